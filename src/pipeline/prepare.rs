//! Stage 1: reads the input, applies selection and split, fits the preprocessing, and writes one Parquet file for each
//! split with just the columns the run needs.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use arrow::datatypes::DataType;
use ndarray::{Array2, s};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use simile_data::preprocessing::PreprocessingError;
use simile_data::{
    DataError, Dataset, EventWriter, Events, Preprocessing, Scan, SchemaRef, Split, WriterOptions,
    event_schema, events_to_batch, random,
};

use super::inputs::Inputs;
use super::{Observer, PipelineError, RunDirectory, validate};
use crate::files;
use crate::models::Space;

/// Events the preprocessing is fitted on at most: its means, widths and quantiles are then known to a few per mille.
const FITTED_EVENTS: usize = 100_000;
/// Numbers the preprocessing is fitted on at most: what a quarter of a gigabyte holds.
const FITTED_VALUES: usize = 64 << 20;

/// What preparation found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Events read, before selection
    pub events_read: u64,
    /// Events to train on
    pub train: u64,
    /// Events to watch
    pub validation: u64,
    /// Events to compare with
    pub test: u64,
    /// SHA-256 of every input file, by path
    pub files: BTreeMap<String, String>,
    /// Those of the files that hold the test events; empty where the test events are a part of all files
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test_files: Vec<String>,
    /// Types of targets that are no `f32`, by column
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub target_types: BTreeMap<String, String>,
    /// Mean time the reference simulation took for an event, in seconds, where the input says
    pub reference_seconds: Option<f64>,
}

const SPLITS: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

/// Runs the stage; returns its duration.
pub(super) fn prepare(run: &RunDirectory, observer: &mut dyn Observer) -> Result<f64, PipelineError> {
    let start = Instant::now();
    let config = &run.config.data;
    let folder = run.path().join("prepared");
    std::fs::create_dir_all(&folder).map_err(|source| DataError::Io {
        action: "create",
        path: folder.clone(),
        source,
    })?;
    let Inputs { input, test, originals } = Inputs::open(run, observer)?;
    if let Some(test) = &test {
        for column in columns(run).iter().filter(|c| !config.derived.contains_key(*c)) {
            test.field(column)?;
        }
    }
    let rows = input.num_rows() + test.as_ref().map_or(0, Dataset::num_rows);
    observer.message(&format!("reading {rows} events"));
    let seed = run.config.seed;
    let split = config.split_of_files();
    let assign = |row| split.assign(seed, row);
    let preprocessing = fit(run, &input, assign)?;
    run.config.model.check_space(&Space::of(&preprocessing))?;

    write_efficiency(run, &input, &preprocessing, assign)?;
    let mut outputs = Outputs::create(run, &input, preprocessing)?;
    outputs.append(&input, run, assign)?;
    if let Some(test) = &test {
        outputs.append(test, run, |_| Split::Test)?;
    }
    let (preprocessing, counts) = outputs.finish()?;
    check_counts(&counts)?;
    files::write_json(&run.preprocessing(), &preprocessing)?;

    let mut summary = Summary {
        events_read: rows,
        train: counts[0],
        validation: counts[1],
        test: counts[2],
        target_types: target_types(&input, &config.target),
        reference_seconds: reference_seconds(run, test.as_ref().unwrap_or(&input)),
        ..Summary::default()
    };
    for dataset in &originals {
        summary.files.extend(paths(dataset).into_iter().zip(dataset.sha256()?));
    }
    // The last of the files as they were given: clusters stand in a folder that changes its name.
    summary.test_files = test.as_ref().and(originals.last()).map(paths).unwrap_or_default();
    files::write_json(&run.summary(), &summary)?;
    validate::rehearse(run, observer)?;
    observer.message(&format!(
        "{} events to train on, {} to validate the training, {} to compare with",
        summary.train, summary.validation, summary.test
    ));
    Ok(start.elapsed().as_secs_f64())
}

fn paths(dataset: &Dataset) -> Vec<String> {
    dataset.files().iter().map(|file| file.path.display().to_string()).collect()
}

fn scan(dataset: &Dataset, run: &RunDirectory) -> Scan {
    let config = &run.config.data;
    let scan = dataset.scan().derive(&config.derived).select(selection(run).as_deref());
    scan.columns(&columns(run)).limit(config.max_events)
}

/// Events to learn the surrogate from: those selected, and found.
fn selection(run: &RunDirectory) -> Option<String> {
    let found = run.config.efficiency.as_ref().map(|efficiency| efficiency.found.clone());
    match (run.config.data.select.clone(), found) {
        (Some(select), Some(found)) => Some(format!("({select}) AND {found}")),
        (select, found) => select.or(found),
    }
}

/// Writes the conditions of all objects that are not to test with, and whether each is found.
fn write_efficiency(
    run: &RunDirectory,
    input: &Dataset,
    preprocessing: &Preprocessing,
    split: impl Fn(u64) -> Split,
) -> Result<(), PipelineError> {
    let (config, Some(efficiency)) = (&run.config.data, &run.config.efficiency) else { return Ok(()) };
    let mut names: Vec<(String, usize)> =
        preprocessing.condition_columns().map(|(name, width)| (name.to_owned(), width)).collect();
    names.push((efficiency.found.clone(), 1));
    let schema = event_schema(&names, HashMap::new());
    let mut writer = EventWriter::create(run.efficiency(), schema.clone(), &WriterOptions::default())?;
    let columns: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
    let scan = input.scan().derive(&config.derived).select(config.select.as_deref());
    for events in scan.columns(&columns).limit(config.max_events).events()? {
        let events = events?;
        let kept: Vec<usize> = (0..events.len()).filter(|&i| split(events.rows[i]) != Split::Test).collect();
        writer.write(&events_to_batch(&events.select_rows(&kept), &schema)?)?;
    }
    writer.finish()?;
    Ok(())
}

/// Types of the targets other than `f32`.
fn target_types(input: &Dataset, targets: &[String]) -> BTreeMap<String, String> {
    let stored =
        targets.iter().filter_map(|target| Some((target.clone(), input.field(target).ok()?.data_type())));
    stored
        .filter(|(_, found)| found.is_integer() || matches!(found, DataType::Boolean | DataType::Float64))
        .map(|(target, found)| (target, found.to_string()))
        .collect()
}

/// Columns the run needs: those of training, the true log density, and the labels of images.
fn columns(run: &RunDirectory) -> Vec<String> {
    let validation = &run.config.validation;
    let label = validation.images.as_ref().and_then(|images| images.label.as_ref());
    let mut columns = run.config.data.numeric_columns();
    let others = validation.log_density.iter().chain(label).filter(|column| !columns.contains(column));
    columns.extend(others.cloned().collect::<Vec<_>>());
    columns
}

/// Fits the preprocessing on a random part of the training events: files are often sorted by energy.
fn fit(
    run: &RunDirectory,
    input: &Dataset,
    split: impl Fn(u64) -> Split,
) -> Result<Preprocessing, PipelineError> {
    let config = &run.config.data;
    let seed = run.config.seed;
    let share = fitted_share(input, run, &split)?;
    let is_fitted = |row: u64| {
        split(row) == Split::Train
            && (share >= 1.0 || random::stream(seed, "prepare/fit", row).gen_bool(share))
    };
    let mut blocks = Vec::new();
    for events in scan(input, run).events()? {
        let events = events?;
        let fitted: Vec<usize> = (0..events.len()).filter(|&i| is_fitted(events.rows[i])).collect();
        blocks.push(events.select_rows(&fitted));
    }
    let geometry = input.geometry()?;
    let train = Events::concat(&blocks)?;
    Preprocessing::fit(
        &run.config.preprocessing,
        &config.condition,
        &config.target,
        geometry.as_ref(),
        &train,
        seed,
    )
    .map_err(|source| in_files(input, source))
}

/// Part of the training events that is fitted on: all of them, or what fits into memory.
fn fitted_share(
    input: &Dataset,
    run: &RunDirectory,
    split: impl Fn(u64) -> Split,
) -> Result<f64, PipelineError> {
    let config = &run.config.data;
    let stored = columns(run).into_iter().filter(|column| !config.derived.contains_key(column));
    let widths: Result<Vec<usize>, DataError> = stored.map(|column| input.column_width(&column)).collect();
    let width = widths?.iter().sum::<usize>() + config.derived.len();
    let limit = FITTED_EVENTS.min(FITTED_VALUES / width.max(1)) as u64;
    if input.num_rows() <= limit {
        return Ok(1.0);
    }
    let mut train = 0;
    for events in scan(input, run).events()? {
        train += events?.rows.iter().filter(|&&row| split(row) == Split::Train).count();
    }
    Ok(limit as f64 / train.max(1) as f64)
}

/// An error about a value, with the file of its row, and the row within that file.
fn in_files(dataset: &Dataset, mut source: PreprocessingError) -> PipelineError {
    let mut files = paths(dataset);
    if let PreprocessingError::Value { row, .. } = &mut source {
        for (file, path) in dataset.files().iter().zip(files.clone()) {
            if *row < file.rows {
                files = vec![path];
                break;
            }
            *row -= file.rows;
        }
    }
    PipelineError::Values { files: files.join(", "), source }
}

/// The three files being written.
struct Outputs {
    preprocessing: Preprocessing,
    noise: ChaCha8Rng,
    /// Columns of model space whose numbers have to lie between 0 and 1.
    bounded: Vec<Range<usize>>,
    schema: SchemaRef,
    writers: [EventWriter; 3],
}

impl Outputs {
    fn create(
        run: &RunDirectory,
        input: &Dataset,
        preprocessing: Preprocessing,
    ) -> Result<Self, PipelineError> {
        let roles = preprocessing.condition_columns().chain(preprocessing.target_columns());
        let mut columns: Vec<(String, usize)> = roles.map(|(c, width)| (c.to_string(), width)).collect();
        for column in self::columns(run) {
            if columns.iter().all(|(known, _)| *known != column) {
                columns.push((column, 1));
            }
        }
        let schema = event_schema(&columns, metadata(input));
        let create =
            |split| EventWriter::create(run.prepared(split), schema.clone(), &WriterOptions::default());
        let writers = [create(Split::Train)?, create(Split::Validation)?, create(Split::Test)?];
        let noise = random::stream(run.config.seed, "prepare/noise", 0);
        let groups = preprocessing.target_groups().into_iter().enumerate();
        let bounded =
            groups.filter(|(i, _)| run.config.model.of(*i).is_bernoulli()).map(|(_, columns)| columns);
        let bounded = bounded.collect();
        Ok(Self { preprocessing, noise, bounded, schema, writers })
    }

    /// Writes all events of a data set. Each is taken to model space once, so that a value outside the domain of a
    /// transform is found now rather than in the middle of training.
    fn append(
        &mut self,
        dataset: &Dataset,
        run: &RunDirectory,
        split: impl Fn(u64) -> Split,
    ) -> Result<(), PipelineError> {
        for events in scan(dataset, run).events()? {
            let events = events?;
            self.preprocessing.condition(&events).map_err(|source| in_files(dataset, source))?;
            let target = self
                .preprocessing
                .target(&events, &mut self.noise)
                .map_err(|source| in_files(dataset, source))?;
            self.check_bounded(&target)?;
            let assigned: Vec<Split> = events.rows.iter().map(|&row| split(row)).collect();
            for (writer, wanted) in self.writers.iter_mut().zip(SPLITS) {
                let positions: Vec<usize> = (0..events.len()).filter(|&i| assigned[i] == wanted).collect();
                if positions.is_empty() {
                    continue;
                }
                let events = events.select_rows(&positions);
                if wanted == Split::Train {
                    self.preprocessing
                        .cover_conditions(&events)
                        .map_err(|source| in_files(dataset, source))?;
                }
                writer.write(&events_to_batch(&events, &self.schema)?)?;
            }
        }
        Ok(())
    }

    fn check_bounded(&self, target: &Array2<f32>) -> Result<(), PipelineError> {
        for columns in &self.bounded {
            let numbers = target.slice(s![.., columns.clone()]);
            if let Some(value) = numbers.iter().find(|number| !(0.0..=1.0).contains(*number)) {
                return Err(PipelineError::NotBetween { value: *value });
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(Preprocessing, [u64; 3]), PipelineError> {
        let [train, validation, test] = self.writers;
        Ok((self.preprocessing, [train.finish()?.rows, validation.finish()?.rows, test.finish()?.rows]))
    }
}

fn check_counts(counts: &[u64; 3]) -> Result<(), PipelineError> {
    for (count, split) in counts.iter().zip(["train", "validation", "test"]) {
        // Training can do without validation events.
        if *count == 0 && split != "validation" {
            return Err(PipelineError::EmptySplit { split, counts: *counts });
        }
    }
    Ok(())
}

/// Schema metadata as written to files.
fn metadata(dataset: &Dataset) -> HashMap<String, String> {
    dataset.schema().metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Opens one Parquet file, whatever characters its name has.
pub(super) fn open(path: &Path) -> Result<Dataset, DataError> {
    Dataset::open(&[path.display().to_string()])
}

/// Mean time of the reference simulation for an event; none where the column is missing or holds something else.
fn reference_seconds(run: &RunDirectory, reference: &Dataset) -> Option<f64> {
    let column = run.config.validation.time_column.as_ref()?;
    let (mut sum, mut events) = (0.0, 0);
    for block in reference.scan().columns(&[column.as_str()]).events().ok()? {
        let block = block.ok()?;
        sum += block.column(column).ok()?.iter().map(|&seconds| f64::from(seconds)).sum::<f64>();
        events += block.len();
    }
    Some(sum / events as f64)
}
