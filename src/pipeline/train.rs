//! Stage 2: trains the model on the prepared events and writes the bundle.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use burn::tensor::Device;
use rand::Rng;
use simile_data::{DataError, Dataset, Events, Preprocessing, Split, random};

use super::{Observer, PipelineError, RunDirectory, Summary, create_parent, prepare, read};
use crate::Warn;
use crate::models::bundle::{self, FORMAT_VERSION, Manifest, TrainingRecord};
use crate::models::{Efficiency, Space, with_model};
use crate::nn::parameters;
use crate::training::workers::Workers;
use crate::training::{self, EpochRecord, EventSource, Setup, Trained};

pub(super) fn train(
    run: &RunDirectory,
    device: &Device,
    workers: &dyn Workers,
    observer: &mut dyn Observer,
) -> Result<(), PipelineError> {
    let summary: Summary = read(&run.summary())?;
    let preprocessing: Preprocessing = read(&run.preprocessing())?;
    let config = &run.config;
    let space = Space::of(&preprocessing);
    let files = [Split::Train, Split::Validation].map(|split| prepare::open(&run.prepared(split)));
    let [train, validation] = files;
    let (train, validation) = (train?, validation?);
    let source = |dataset| {
        EventSource::new(
            dataset,
            &preprocessing,
            config.data.weight.as_deref(),
            config.training.window_events,
        )
    };
    let (train_events, validation_events) = (source(&train)?, source(&validation)?);
    create_parent(&run.checkpoint())?;
    let setup = Setup {
        config: &config.training,
        seed: config.seed,
        train: &train_events,
        validation: &validation_events,
        checkpoint: Some(&run.checkpoint()),
        fingerprint: &fingerprint(run, &summary),
        workers,
    };

    let autodiff = device.clone().autodiff();
    let mut rng = random::stream(config.seed, "train/init", 0);
    let log = workers.is_first().then(|| run.log());
    let mut logged = Logged { log, inner: observer, error: None };
    let (trained, parameters) = with_model!(&config.model, &space, &autodiff, &mut rng, |model| {
        let parameters = parameters::count(&model);
        logged.inner.message(&format!(
            "{} with {parameters} parameters, {} conditions, {} targets",
            config.model.kind(),
            space.conditions,
            space.targets()
        ));
        if workers.size() > 1 {
            logged.inner.message(&format!("{} processes share every batch", workers.size()));
        }
        (training::train(model, &autodiff, &setup, &mut logged)?, parameters)
    });
    if let Some(error) = logged.error {
        return Err(error.into());
    }
    if !workers.is_first() {
        return Ok(());
    }
    write_history(run, &trained.history)?;
    let efficiency = efficiency(run, &preprocessing, device)?;
    let manifest = manifest(run, summary, space, parameters, &preprocessing, &trained, &train)?;
    Ok(bundle::save(&run.model(), &manifest, &preprocessing, &trained.weights, efficiency.as_ref())?)
}

/// The efficiency is learnt from about this number of objects at most, since they are held in memory.
const MOST_OBJECTS: u64 = 2_000_000;

/// Learns which objects are found, where the configuration asks for it.
fn efficiency(
    run: &RunDirectory,
    preprocessing: &Preprocessing,
    device: &Device,
) -> Result<Option<Efficiency>, PipelineError> {
    let Some(config) = &run.config.efficiency else { return Ok(None) };
    let all = prepare::open(&run.efficiency())?;
    let (share, seed) = (MOST_OBJECTS as f64 / all.num_rows() as f64, run.config.seed);
    // At random: the objects of an event come in an order.
    let is_taken = |row: u64| share >= 1.0 || random::stream(seed, "train/efficiency", row).gen_bool(share);
    let some = |block: Events| {
        let taken: Vec<usize> = (0..block.len()).filter(|&i| is_taken(block.rows[i])).collect();
        block.select_rows(&taken)
    };
    let blocks: Result<Vec<Events>, DataError> = all.scan().events()?.map(|block| block.map(some)).collect();
    let objects = Events::concat(&blocks?)?;
    let condition = preprocessing.condition(&objects)?;
    let found = objects.column(&config.found)?.column(0).to_owned();
    let efficiency = Efficiency::fit(config, &condition, &found, seed, device);
    efficiency.map(Some).map_err(|error| PipelineError::Efficiency(error.to_string()))
}

/// Hash of what decides the result of training.
fn fingerprint(run: &RunDirectory, summary: &Summary) -> String {
    let parts = serde_json::json!({
        "seed": run.config.seed,
        "data": run.config.data,
        "preprocessing": run.config.preprocessing,
        "model": run.config.model,
        "training": run.config.training,
        "files": summary.files,
    });
    simile_data::sha256(parts.to_string().as_bytes()).expect("memory can be read")
}

fn manifest(
    run: &RunDirectory,
    summary: Summary,
    space: Space,
    parameters: usize,
    preprocessing: &Preprocessing,
    trained: &Trained,
    train: &Dataset,
) -> Result<Manifest, PipelineError> {
    let columns = |columns: &mut dyn Iterator<Item = (&str, usize)>| -> Vec<(String, usize)> {
        columns.map(|(name, width)| (name.to_string(), width)).collect()
    };
    Ok(Manifest {
        format_version: FORMAT_VERSION,
        kind: run.config.model.kind().to_string(),
        versions: BTreeMap::from([("simile".to_string(), env!("CARGO_PKG_VERSION").to_string())]),
        space,
        parameters,
        condition_columns: columns(&mut preprocessing.condition_columns()),
        target_columns: columns(&mut preprocessing.target_columns()),
        geometry: train.geometry()?,
        units: train.units()?,
        target_types: summary.target_types,
        training: TrainingRecord {
            files: summary.files,
            events: summary.train,
            best_epoch: trained.best_epoch,
            epochs: trained.history.len(),
            seconds: trained.history.iter().map(|record| record.seconds).sum(),
            figures: trained.figures.clone(),
        },
        config: run.config.clone(),
    })
}

/// Passes everything on and writes a line of the log for every epoch, if there is one.
struct Logged<'a> {
    log: Option<std::path::PathBuf>,
    inner: &'a mut dyn Observer,
    error: Option<DataError>,
}

impl Warn for Logged<'_> {
    fn warn(&mut self, message: &str) {
        self.inner.warn(message);
    }
}

impl training::Observer for Logged<'_> {
    fn start(&mut self, first_epoch: usize, epochs: usize, batches: u64) {
        self.inner.start(first_epoch, epochs, batches);
    }

    fn step(&mut self, events: usize, loss: f64) {
        self.inner.step(events, loss);
    }

    fn interrupted(&self) -> bool {
        self.inner.interrupted()
    }

    fn epoch(&mut self, record: &EpochRecord, best: bool) {
        if let Some(Err(error)) = self.log.as_ref().map(|log| append(log, &line(record))) {
            self.error.get_or_insert(error);
        }
        self.inner.epoch(record, best);
    }
}

fn line(record: &EpochRecord) -> String {
    let mut json = serde_json::to_value(record).expect("a record is representable in JSON");
    json["event"] = "epoch".into();
    format!("{json}\n")
}

fn append(path: &Path, line: &str) -> Result<(), DataError> {
    let io = |source| DataError::Io { action: "write", path: path.to_path_buf(), source };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(io)?;
    file.write_all(line.as_bytes()).map_err(io)
}

/// Rewrites the log from the history: after a resume, epochs stand in it once.
fn write_history(run: &RunDirectory, history: &[EpochRecord]) -> Result<(), DataError> {
    simile_data::write_file(run.log(), history.iter().map(line).collect::<String>())
}
