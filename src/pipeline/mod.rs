//! The stages of a run: prepare → train → sample → validate → report.

mod divergence;
mod gallery;
pub(crate) mod images;
mod inputs;
mod latents;
mod likelihood;
mod nested;
mod prepare;
mod report;
mod run_directory;
mod train;
mod validate;

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use simile_data::preprocessing::PreprocessingError;
use simile_data::{DataError, Split};
use thiserror::Error;

pub use prepare::Summary;
pub(crate) use report::duration;
pub use run_directory::{RunDirectory, RunManifest, Stage, StageRecord};

use crate::config::{ConfigError, RunConfig};
use crate::files;
use crate::models::ImageClassifierError;
use crate::models::bundle::{Bundle, BundleError};
use crate::sampling::{self, Rate, SampleOptions, SampleSummary, SamplingError, Shard};
use crate::training::workers::{Alone, Workers};
use crate::training::{self, TrainingError};

/// A run that cannot start or go on.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// The output directory is in the way.
    #[error("{path} exists: choose another --out, or continue that run with --resume")]
    Exists {
        /// The directory
        path: PathBuf,
    },
    /// Not a run directory.
    #[error("{path} is no run directory of simile ({reason})")]
    NotARun {
        /// The directory
        path: PathBuf,
        /// Why not
        reason: String,
    },
    /// A run is to be resumed with another configuration.
    #[error(
        "{key} is {} in {path}, {} now: resume with the same configuration, or choose another --out",
        shown(was),
        shown(is)
    )]
    Changed {
        /// The run directory
        path: PathBuf,
        /// First key that differs
        key: String,
        /// Its value there
        was: Option<toml::Value>,
        /// Its value now
        is: Option<toml::Value>,
    },
    /// A stage needs an earlier one.
    #[error("{path} has no finished `{}` stage: run `simile {} {path}` first", needed.name(), needed.command())]
    Missing {
        /// The run directory
        path: PathBuf,
        /// The earlier stage
        needed: Stage,
    },
    /// The batch system wants the program to end.
    #[error("interrupted before `{}` of {path}: go on with `simile run` and --resume", next.name())]
    Interrupted {
        /// The run directory
        path: PathBuf,
        /// What comes next
        next: Stage,
    },
    /// A split has no events.
    #[error(
        "no events for {split}: {} train, {} validation, {} test; check data.select, data.split and data.test_files",
        counts[0], counts[1], counts[2]
    )]
    EmptySplit {
        /// The split
        split: &'static str,
        /// Events of train, validation, test
        counts: [u64; 3],
    },
    /// A value in the input does not fit a transform.
    #[error("{files}: {source}")]
    Values {
        /// The input files
        files: String,
        /// Column, row and value
        source: PreprocessingError,
    },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Reading or writing events.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of the run is damaged.
    #[error("{path} is damaged ({reason}): run the stage that wrote it again")]
    Damaged {
        /// The file
        path: PathBuf,
        /// What is wrong
        reason: String,
    },
    /// Between columns and model space.
    #[error(transparent)]
    Preprocessing(#[from] PreprocessingError),
    /// Reconstruction.
    #[error(transparent)]
    Clusters(#[from] crate::events::ClustersError),
    /// A likelihood is asked for that does not exist.
    #[error(
        "`validation.likelihood`: the preprocessing of a target leaves no density (`angle`, `one_hot` and `layer_energies` do \
         not): remove that table, or that step"
    )]
    NoDensity,
    /// Targets of Bernoulli numbers that are none.
    #[error(
        "`model.likelihood` = \"bernoulli\" wants targets between 0 and 1 in model space, and one is {value}: give them the \
         step `binarise`, or choose the likelihood \"gaussian\""
    )]
    NotBetween {
        /// The number
        value: f32,
    },
    /// The classifier of found objects.
    #[error("the efficiency cannot be learnt: {0}; check `efficiency.found` and the conditions")]
    Efficiency(String),
    /// The classifier of images, or what it is shown.
    #[error(transparent)]
    Images(#[from] ImageClassifierError),
    /// Training.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The model folder.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Generation.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// Comparison.
    #[error(transparent)]
    Validation(#[from] simile_validation::ValidationError),
    /// Gates.
    #[error(transparent)]
    Gates(#[from] simile_validation::GateError),
    /// Reading or writing results.
    #[error(transparent)]
    Metrics(#[from] simile_validation::MetricsError),
    /// Drawing.
    #[error(transparent)]
    Plot(#[from] simile_validation::plots::PlotError),
    /// Writing the report.
    #[error(transparent)]
    Report(#[from] simile_validation::report::ReportError),
}

/// Told how a run proceeds.
pub trait Observer: training::Observer + sampling::Observer {
    /// A stage begins.
    fn stage(&mut self, stage: Stage);
    /// Something worth a line.
    fn message(&mut self, message: &str);
}

/// What generation took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationRecord {
    /// Events written
    pub events: u64,
    /// Wall-clock time of generation alone
    pub generation_seconds: f64,
    /// Threads it ran on
    pub threads: usize,
    /// Events per second on one thread, one by one
    pub single: Rate,
    /// Events per second on one thread, in chunks as they were generated
    pub chunk: Rate,
}

/// Runs all stages of a configuration in a new directory, or, with `resume`, what is missing in an existing one.
///
/// # Errors
/// If the directory exists and `resume` is not set, the configuration differs from that of the directory, or a stage
/// fails.
pub fn run(
    config: &RunConfig,
    out: &Path,
    resume: bool,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<RunDirectory, PipelineError> {
    let mut run = if resume && files::is_occupied(out) {
        reopen(config, out)?
    } else {
        prepare(config, out, observer)?
    };
    for stage in Stage::ALL.into_iter().skip(1) {
        if !run.is_done(stage) {
            if observer.interrupted() {
                return Err(PipelineError::Interrupted { path: out.to_path_buf(), next: stage });
            }
            run_stage(&mut run, stage, device, observer)?;
        }
    }
    Ok(run)
}

/// Runs the first stage in a new directory.
///
/// # Errors
/// If the directory exists, or the input cannot be used; then nothing is written.
pub fn prepare(
    config: &RunConfig,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<RunDirectory, PipelineError> {
    if files::is_occupied(out) {
        return Err(PipelineError::Exists { path: out.to_path_buf() });
    }
    // Mistakes in the thresholds are found now rather than after training.
    config.validation.gates()?;
    observer.stage(Stage::Prepare);
    RunDirectory::create(out, config, |run| prepare::prepare(run, observer))
}

fn reopen(config: &RunConfig, out: &Path) -> Result<RunDirectory, PipelineError> {
    let run = RunDirectory::open(out)?;
    let table = |config: &RunConfig| -> toml::Value {
        toml::from_str(&config.to_toml()).expect("what was written as TOML can be read")
    };
    let [old, new] = [&run.config, config].map(table);
    match first_difference("", Some(&old), Some(&new)) {
        Some((key, [was, is])) => Err(PipelineError::Changed { path: out.to_path_buf(), key, was, is }),
        None => Ok(run),
    }
}

/// The first key in which two values differ, with the two.
fn first_difference(
    key: &str,
    old: Option<&toml::Value>,
    new: Option<&toml::Value>,
) -> Option<(String, [Option<toml::Value>; 2])> {
    match (old, new) {
        (Some(toml::Value::Table(old)), Some(toml::Value::Table(new))) => {
            let path = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
            let mut names = old.keys().chain(new.keys());
            names.find_map(|name| first_difference(&path(name), old.get(name), new.get(name)))
        }
        (Some(toml::Value::Array(old)), Some(toml::Value::Array(new))) if old.len() == new.len() => {
            let mut pairs = old.iter().zip(new).enumerate();
            pairs.find_map(|(i, (old, new))| first_difference(&format!("{key}[{i}]"), Some(old), Some(new)))
        }
        _ => (old != new).then(|| (key.to_owned(), [old.cloned(), new.cloned()])),
    }
}

fn shown(value: &Option<toml::Value>) -> String {
    value.as_ref().map_or("not set".into(), ToString::to_string)
}

/// Runs one stage after the first, whether or not it was done before.
///
/// # Errors
/// If an earlier stage is missing, or the stage fails.
pub fn run_stage(
    run: &mut RunDirectory,
    stage: Stage,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<(), PipelineError> {
    if stage == Stage::Prepare {
        return Err(PipelineError::Exists { path: run.path().to_path_buf() });
    }
    in_stage(run, stage, observer, |run, observer| match stage {
        Stage::Prepare => unreachable!("refused above"),
        Stage::Train => train::train(run, device, &Alone, observer),
        Stage::Sample => sample(run, device, observer),
        Stage::Validate => validate::validate(run, device, observer),
        Stage::Report => report::report(run, observer),
    })
}

/// Trains in several processes, each of which calls this; the first alone writes into the run directory.
///
/// # Errors
/// If training fails.
pub fn train(
    run: &mut RunDirectory,
    device: &Device,
    workers: &dyn Workers,
    observer: &mut dyn Observer,
) -> Result<(), PipelineError> {
    let train =
        |run: &RunDirectory, observer: &mut dyn Observer| train::train(run, device, workers, observer);
    if workers.is_first() { in_stage(run, Stage::Train, observer, train) } else { train(run, observer) }
}

/// Does the work of a stage, and records it.
fn in_stage(
    run: &mut RunDirectory,
    stage: Stage,
    observer: &mut dyn Observer,
    work: impl FnOnce(&RunDirectory, &mut dyn Observer) -> Result<(), PipelineError>,
) -> Result<(), PipelineError> {
    if let Some(needed) = Stage::ALL.into_iter().take_while(|s| *s < stage).find(|s| !run.is_done(*s)) {
        return Err(PipelineError::Missing { path: run.path().to_path_buf(), needed });
    }
    observer.stage(stage);
    let start = Instant::now();
    run.begin(stage)?;
    work(run, observer)?;
    run.finish(stage, start.elapsed().as_secs_f64())
}

/// Seconds over which each rate on one thread is measured.
const RATE_SECONDS: f64 = 1.2;

fn sample(run: &RunDirectory, device: &Device, observer: &mut dyn Observer) -> Result<(), PipelineError> {
    let bundle = Bundle::load(&run.model(), device)?;
    let conditions = prepare::open(&run.prepared(Split::Test))?;
    let events = Some(run.config.sampling.events.unwrap_or(conditions.num_rows()));
    let options = SampleOptions {
        events,
        seed: run.config.seed,
        shard: Shard::default(),
        strict: false,
        scratch: None,
        started: Instant::now(),
    };
    let out = run.generated();
    create_parent(&out)?;
    let SampleSummary { events, generation_seconds, .. } =
        sampling::sample(&bundle, &conditions, &options, device, &out, observer)?;
    let batches = [1, sampling::CHUNK as usize];
    let rates = sampling::measure_rates(&bundle, &conditions, &batches, RATE_SECONDS, device)?;
    let [single, chunk] = [rates[0], rates[1]];
    let threads = rayon::current_num_threads();
    let record = GenerationRecord { events, generation_seconds, threads, single, chunk };
    observer.message(&format!(
        "on one thread {:.0} events/s one by one, {:.0} in chunks of {}",
        single.events_per_second, chunk.events_per_second, chunk.batch
    ));
    files::write_json(&run.generation(), &record)?;
    nested::fill(run, &bundle, device, observer)
}

fn create_parent(path: &Path) -> Result<(), DataError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|source| DataError::Io {
        action: "create",
        path: parent.to_path_buf(),
        source,
    })
}

/// Reads a JSON file of a run.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, PipelineError> {
    files::read_json(path)
        .map_err(|error| PipelineError::Damaged { path: path.to_path_buf(), reason: error.to_string() })
}
