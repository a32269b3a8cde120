//! Deterministic generation of events from a model bundle.
//!
//! Event i of a sample is generated for row i of the conditions, which are read in turn from the beginning when there
//! are fewer of them. Events are generated in chunks of [`CHUNK`]; chunk c draws its random numbers from
//! `random::stream(seed, "sample", c)`, so an event depends on seed, model and condition alone: not on the number of
//! threads, of shards, or of events. Shards are whole row groups, which are written chunk by chunk, so that [`merge`] of all
//! shards gives the file that one process would have written.

mod conditions;
mod config;
mod merge;
mod provenance;
mod rate;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use ndarray::ArrayView2;
use rayon::prelude::*;
use simile_data::preprocessing::PreprocessingError;
use simile_data::{
    DataError, Dataset, EventWriter, Events, GEOMETRY_KEY, ROW_GROUP_BYTES, ROW_GROUP_ROWS, SchemaRef,
    UNITS_KEY, WriterOptions, random,
};
use simile_data::{numbered_batch, numbered_schema};
use thiserror::Error;

pub use conditions::scan_conditions;
pub use config::{SampleOptions, SamplingConfig, Shard};
pub use merge::{MergeError, MergeSummary, merge};
pub use provenance::{Making, Origin, Part, PartManifest, Provenance};
pub use rate::{Rate, measure_rates};

use crate::Warn;
use crate::kernels;
use crate::models::bundle::Bundle;
use crate::training::tensor;
use conditions::{Conditions, weight_column};
pub(crate) use conditions::{Extrapolation, check_units};
use provenance::{ORIGIN_KEY, PART_KEY};

/// Events generated together; part of the definition of a sample, so it never changes.
pub const CHUNK: u64 = 1024;
/// Chunks generated between writes: enough to keep many cores busy, few enough to need little memory.
const CHUNKS_PER_BLOCK: u64 = 32;
/// A sample has about as many row groups, if they are not too large then: enough to share out among hundreds of shards.
const ROW_GROUPS: u64 = 256;
/// Column of the event number where the training events had none.
const DEFAULT_ID: &str = "event_id";

/// Generation that cannot start or go on.
#[derive(Debug, Error)]
pub enum SamplingError {
    /// Conditions cannot be read or events not written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The conditions do not fit the model, or the model gave NaN.
    #[error(transparent)]
    Preprocessing(#[from] PreprocessingError),
    /// The conditions file is not one for this model.
    #[error(
        "the model needs condition `{column}` with {expected} values a row, the file has {found}: use conditions of the schema it was trained on"
    )]
    Width {
        /// The column
        column: String,
        /// Width in the file
        found: usize,
        /// Width in training
        expected: usize,
    },
    /// The conditions are in another unit than those of the training events.
    #[error(
        "condition `{column}` is in {found} here, the model was trained on {expected}: convert it, or correct the unit in the file's metadata"
    )]
    Unit {
        /// The column
        column: String,
        /// Unit in the file
        found: String,
        /// Unit in training
        expected: String,
    },
    /// Conditions outside the range of the training events.
    #[error(
        "`{column}` reaches from {found_min} to {found_max}, the model was trained on {min} to {max}: it would extrapolate. Select conditions inside, or leave out --strict"
    )]
    Extrapolation {
        /// The column
        column: String,
        /// Smallest value found
        found_min: f32,
        /// Largest value found
        found_max: f32,
        /// Smallest value trained on
        min: f32,
        /// Largest value trained on
        max: f32,
    },
    /// There is another file under the name of the output.
    #[error(
        "{path} exists and is not what is asked for ({difference}): choose another --output, or replace it with --overwrite"
    )]
    Occupied {
        /// The file
        path: std::path::PathBuf,
        /// In what it differs
        difference: String,
    },
}

/// What was generated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleSummary {
    /// Events written.
    pub events: u64,
    /// Wall-clock time of generation without reading and writing.
    pub generation_seconds: f64,
    /// Wall-clock time in all.
    pub seconds: f64,
}

/// Told about generation.
pub trait Observer: Warn {
    /// Generation of `events` begins.
    fn begin(&mut self, events: u64);
    /// `events` more are written.
    fn advance(&mut self, events: u64);
}

/// Generates events for `conditions` into the Parquet file `out`.
///
/// The file holds the event number, the model's conditions and targets in `f32`, the weights of the conditions where both
/// they and the training events have some, and the training events' geometry and units. It appears under its name only
/// when it is complete, after its [`PartManifest`].
///
/// # Errors
/// If the conditions do not fit the model, cannot be read, or the file cannot be written.
pub fn sample(
    bundle: &Bundle,
    conditions: &Dataset,
    options: &SampleOptions,
    device: &Device,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<SampleSummary, SamplingError> {
    let start = options.started;
    let Plan { schema, provenance, row_group_rows } = Plan::new(bundle, conditions, options)?;
    let range = provenance.part.first..provenance.part.end;
    let mut conditions = Conditions::open(conditions, bundle)?;
    conditions.check_ranges(range.clone(), options.strict, observer)?;
    observer.begin(range.end - range.start);

    let writer_options = WriterOptions {
        row_group_rows: row_group_rows as usize,
        row_group_bytes: None,
        scratch: options.scratch.clone(),
        ..WriterOptions::default()
    };
    let mut writer = EventWriter::create(out, schema.clone(), &writer_options)?;
    let setup_seconds = start.elapsed().as_secs_f64();
    let mut generation_seconds = 0.0;
    for block in blocks(range) {
        let events = conditions.read(block.clone())?;
        let generation = Instant::now();
        let generate = |events, chunk| generate_chunk(bundle, events, chunk, options.seed, device);
        let generated = generate_block(&events, block.start, generate)?;
        generation_seconds += generation.elapsed().as_secs_f64();
        // One by one, because page boundaries depend on what is written together.
        generated.iter().try_for_each(|chunk| writer.write(&numbered_batch(chunk, &schema)?))?;
        observer.advance(block.end - block.start);
    }
    writer.annotate(PART_KEY, serde_json::to_string(&provenance.part).expect("plain data are JSON"));
    let file = writer.close()?;
    let seconds = start.elapsed().as_secs_f64();
    let making = Making {
        setup_seconds,
        generation_seconds,
        seconds,
        threads: rayon::current_num_threads(),
        instructions: kernels::instructions(),
    };
    PartManifest::new(out, &file, provenance, vec![making])?.write(out)?;
    Ok(SampleSummary { events: file.persist()?.rows, generation_seconds, seconds })
}

/// Whether `out` is already what [`sample`] would write.
///
/// # Errors
/// If there is another file.
pub fn is_done(
    bundle: &Bundle,
    conditions: &Dataset,
    options: &SampleOptions,
    out: &Path,
) -> Result<bool, SamplingError> {
    if !out.exists() {
        return Ok(false);
    }
    let wanted = Plan::new(bundle, conditions, options)?.provenance;
    let occupied = |difference: String| SamplingError::Occupied { path: out.to_path_buf(), difference };
    let file = Dataset::open(&[out.to_string_lossy()]).map_err(|error| occupied(error.to_string()))?;
    let found =
        Provenance::of_file(&file, 0).ok_or_else(|| occupied("simile sample did not write it".to_owned()))?;
    if let Some((key, here, there)) = wanted.origin.difference(&found.origin) {
        return Err(occupied(format!("its {key} is {there}, not {here}")));
    }
    if wanted.part != found.part {
        return Err(occupied(format!("it is shard {}, not {}", found.part.shard, wanted.part.shard)));
    }
    Ok(PartManifest::read(out).is_ok_and(|manifest| manifest.bytes == file.files()[0].bytes))
}

/// What is to be written.
struct Plan {
    schema: SchemaRef,
    provenance: Provenance,
    row_group_rows: u64,
}

impl Plan {
    fn new(bundle: &Bundle, conditions: &Dataset, options: &SampleOptions) -> Result<Self, DataError> {
        let origin = Origin::new(bundle, conditions, options)?;
        let columns = columns(bundle, weight_column(bundle, conditions));
        let row_bytes = 8 + columns.iter().map(|(_, width)| 4 * *width as u64).sum::<u64>();
        let schema = schema(bundle, &columns, &origin);
        let part = Part::new(options.shard, origin.events, row_bytes);
        let row_group_rows = row_group_rows(origin.events, row_bytes);
        Ok(Self { schema, provenance: Provenance { origin, part }, row_group_rows })
    }
}

/// Rows of a row group: whole chunks, so few that a sample can be shared out, and no more than fit into memory well.
fn row_group_rows(events: u64, row_bytes: u64) -> u64 {
    let most = (ROW_GROUP_ROWS as u64).min(ROW_GROUP_BYTES as u64 / row_bytes);
    CHUNK * ((events / ROW_GROUPS).min(most) / CHUNK).max(1)
}

/// Consecutive ranges that begin at multiples of a block, except the first.
fn blocks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let size = CHUNK * CHUNKS_PER_BLOCK;
    let mut next = range.start;
    std::iter::from_fn(move || {
        (next < range.end).then(|| {
            let block = next..((next / size + 1) * size).min(range.end);
            next = block.end;
            block
        })
    })
}

/// Columns of the file behind the event number, with their widths.
fn columns(bundle: &Bundle, weight: Option<&str>) -> Vec<(String, usize)> {
    let mut columns = bundle.manifest.condition_columns.clone();
    columns.extend(weight.map(|column| (column.to_string(), 1)));
    columns.extend(bundle.manifest.target_columns.iter().cloned());
    columns
}

fn schema(bundle: &Bundle, columns: &[(String, usize)], origin: &Origin) -> SchemaRef {
    let manifest = &bundle.manifest;
    let mut metadata = HashMap::from([
        (ORIGIN_KEY.to_string(), serde_json::to_string(origin).expect("plain data are JSON")),
        (UNITS_KEY.to_string(), serde_json::to_string(&manifest.units).expect("a map of strings")),
    ]);
    if let Some(geometry) = &manifest.geometry {
        metadata.insert(GEOMETRY_KEY.to_string(), geometry.to_json());
    }
    numbered_schema(manifest.config.data.id.as_deref().unwrap_or(DEFAULT_ID), columns, metadata)
}

/// Generates the events of a block, chunk by chunk; `events` holds their conditions, at least one, the first has number
/// `first`. Chunks at the ends of the block that belong to it only in part are generated whole, the nearest condition taking
/// the place of those that are not known: an event must not depend on how many others are asked for, and a product of one
/// row with a matrix may be rounded in another way than one of many.
pub(crate) fn generate_block(
    events: &Events,
    first: u64,
    generate: impl Fn(Events, u64) -> Result<Events, SamplingError> + Sync,
) -> Result<Vec<Events>, SamplingError> {
    let last = first + events.len() as u64 - 1;
    let chunks: Vec<u64> = (first / CHUNK..=last / CHUNK).collect();
    chunks
        .into_par_iter()
        .map(|chunk| {
            let numbers = chunk * CHUNK..(chunk + 1) * CHUNK;
            let whole: Vec<usize> =
                numbers.clone().map(|number| (number.clamp(first, last) - first) as usize).collect();
            let generated = generate(events.select_rows(&whole), chunk)?;
            let known = first.max(numbers.start)..numbers.end.min(last + 1);
            if known == numbers {
                return Ok(generated);
            }
            let known: Vec<usize> = known.map(|number| (number - numbers.start) as usize).collect();
            Ok(generated.select_rows(&known))
        })
        .collect()
}

pub(crate) fn generate_chunk(
    bundle: &Bundle,
    mut events: Events,
    chunk: u64,
    seed: u64,
    device: &Device,
) -> Result<Events, SamplingError> {
    let mut rng = random::stream(seed, "sample", chunk);
    let condition = bundle.preprocessing.condition(&events)?;
    let target = bundle.generator.sample(tensor(&condition, device), &mut rng);
    let [rows, columns] = target.dims();
    let data = target.into_data();
    let values = data.as_slice::<f32>().expect("models generate f32");
    let target =
        ArrayView2::from_shape((rows, columns), values).expect("a matrix has rows times columns values");
    for (name, values) in bundle.preprocessing.target_inverse(target, &events)? {
        events.push(name, values)?;
    }
    Ok(events)
}

/// Names of columns as slices, for scans.
fn names(columns: &[(String, usize)]) -> Vec<&str> {
    columns.iter().map(|(name, _)| name.as_str()).collect()
}
