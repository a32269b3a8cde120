//! Parameter scans: one configuration becomes many, and their finished runs are ranked.
//!
//! ```toml
//! base = "configs/quickstart.toml"
//! draws = 20                                   # random search; without it, the grid of all values
//!
//! [parameters]
//! "model.couplings" = { values = [4, 6, 8] }
//! "training.learning_rate" = { log_uniform = [3e-4, 3e-3] }
//! ```
//!
//! A scan is a folder: `configs/001.toml` and so on, `sweep.json` with the values of every trial, and `runs/001` and so on
//! where their runs are expected. Running them is left to the batch system.

mod config;
mod ranking;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use simile_data::DataError;
use simile_validation::MetricsError;
use thiserror::Error;

pub use config::{SweepConfig, Values};
pub use ranking::{Ranked, Ranking};

use crate::comparison::ComparisonError;
use crate::config::{ConfigError, RunConfig};
use crate::files::{self, PendingFolder};

/// A scan that cannot be made or ranked.
#[derive(Debug, Error)]
pub enum SweepError {
    /// The description of the scan, the base configuration, or a value that does not fit into it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A trial is no valid configuration.
    #[error("trial {trial} ({values}): {source}")]
    Trial {
        /// Number of the trial
        trial: String,
        /// Its values
        values: String,
        /// What is wrong
        source: Box<ConfigError>,
    },
    /// The folder is in the way.
    #[error("{0} exists: choose another --output")]
    Exists(PathBuf),
    /// Not the folder of a scan.
    #[error("{path} is no folder of a scan ({reason}): make one with `simile sweep expand`")]
    NotASweep {
        /// The folder
        path: PathBuf,
        /// Why not
        reason: String,
    },
    /// There is nothing to rank yet.
    #[error(
        "no run of {0} has a finished validation: start them with `simile run CONFIG --out RUN`, see --help"
    )]
    NothingFinished(PathBuf),
    /// No such figure.
    #[error("{path} has no figure `{metric}`{hint}")]
    UnknownMetric {
        /// The run
        path: PathBuf,
        /// Name asked for
        metric: String,
        /// The nearest name
        hint: String,
    },
    /// Runs that cannot be compared.
    #[error(transparent)]
    Comparison(#[from] ComparisonError),
    /// The figures of a run.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Writing.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Version of the layout of `sweep.json`.
const FORMAT_VERSION: u32 = 1;

/// `sweep.json`: the trials of a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Version of this layout
    pub format_version: u32,
    /// The configuration that the trials change
    pub base: PathBuf,
    /// All trials in order
    pub trials: Vec<Trial>,
}

/// One configuration of a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Number, with leading zeros
    pub name: String,
    /// Values by key
    pub values: BTreeMap<String, toml::Value>,
}

impl Trial {
    /// The values as on a command line.
    pub fn settings(&self) -> Vec<String> {
        self.values.iter().map(|(key, value)| format!("{key}={value}")).collect()
    }
}

impl Sweep {
    /// Makes the folder of a scan. Every trial is checked before anything is written.
    ///
    /// # Errors
    /// If the folder exists, the description or a trial is not valid, or the folder cannot be written.
    pub fn expand(config: &SweepConfig, folder: &Path) -> Result<Self, SweepError> {
        if folder.exists() {
            return Err(SweepError::Exists(folder.to_path_buf()));
        }
        let all = config.trials()?;
        let width = all.len().to_string().len().max(3);
        let trials = all.into_iter().enumerate();
        let trials: Vec<Trial> =
            trials.map(|(i, values)| Trial { name: format!("{:0width$}", i + 1), values }).collect();
        let pending = PendingFolder::create(folder)?;
        let configs = pending.path().join("configs");
        let io = |source| DataError::Io { action: "create", path: folder.to_path_buf(), source };
        std::fs::create_dir(&configs).map_err(io)?;
        for trial in &trials {
            let settings = trial.settings();
            let run = RunConfig::load(&config.base, &settings).map_err(|source| SweepError::Trial {
                trial: trial.name.clone(),
                values: settings.join(", "),
                source: Box::new(source),
            })?;
            let text = format!("# {}\n{}", settings.join(", "), run.to_toml());
            simile_data::write_file(configs.join(format!("{}.toml", trial.name)), text)?;
        }
        let sweep = Self { format_version: FORMAT_VERSION, base: config.base.clone(), trials };
        files::write_json(&pending.path().join("sweep.json"), &sweep)?;
        pending.commit()?;
        Ok(sweep)
    }

    /// Opens the folder of a scan.
    ///
    /// # Errors
    /// If it is none.
    pub fn open(folder: &Path) -> Result<Self, SweepError> {
        let not_a_sweep = |reason: String| SweepError::NotASweep { path: folder.to_path_buf(), reason };
        let sweep: Self = files::read_json(&folder.join("sweep.json"))
            .map_err(|error| not_a_sweep(format!("sweep.json: {error}")))?;
        match sweep.format_version {
            FORMAT_VERSION => Ok(sweep),
            other => Err(not_a_sweep(format!("format version {other}, this simile reads {FORMAT_VERSION}"))),
        }
    }
}
