//! Everything training needs to go on exactly where it was, in one `safetensors` file per run.
//!
//! Tensors are named `weights.…`, `first.…`, `second.…`, `average.…` (optimiser) and `best.…`; progress is TOML in the
//! file's metadata, because `serde_json` may change the last bit of a number. The file is replaced atomically after every epoch,
//! and within long ones.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::optimizer::OptimizerState;
use super::watch::Means;
use super::{EpochRecord, TrainingError};
use crate::nn::parameters::Parameters;
use crate::tensors;

/// Where training stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Hash of what must not change between start and resume.
    pub(super) fingerprint: String,
    /// Optimiser steps taken.
    pub(super) steps: u64,
    /// Those that each weight took part in.
    pub(super) weight_steps: BTreeMap<String, u64>,
    /// Finished epochs.
    pub(super) history: Vec<EpochRecord>,
    /// Epoch whose averaged weights are kept.
    pub(super) best_epoch: usize,
    /// Where the epoch after the finished ones stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) partial: Option<PartialEpoch>,
}

/// An epoch that has begun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct PartialEpoch {
    /// Batches done.
    pub(super) batches: usize,
    /// Random numbers of the loss used so far, in words of the generator.
    pub(super) loss_words: u64,
    /// The same for those of the preprocessing.
    pub(super) event_words: u64,
    /// Sums over the batches.
    pub(super) means: Means,
    /// Learning rate of the last step.
    pub(super) learning_rate: f64,
    /// Wall-clock time so far.
    pub(super) seconds: f64,
}

/// Contents of a checkpoint.
pub(super) struct Checkpoint {
    pub(super) progress: Progress,
    pub(super) weights: Parameters,
    pub(super) optimizer: OptimizerState,
    pub(super) best: Parameters,
}

const PROGRESS: &str = "simile.progress";

impl Checkpoint {
    pub(super) fn save(&self, path: &Path) -> Result<(), TrainingError> {
        let parts = [
            ("weights", &self.weights),
            ("first", &self.optimizer.first),
            ("second", &self.optimizer.second),
            ("average", &self.optimizer.average),
            ("best", &self.best),
        ];
        let mut all = Parameters::new();
        for (part, parameters) in parts {
            all.extend(parameters.iter().map(|(name, data)| (format!("{part}.{name}"), data.clone())));
        }
        let progress = toml::to_string(&self.progress).expect("progress is representable in TOML");
        Ok(tensors::write(path, &all, HashMap::from([(PROGRESS.to_string(), progress)]))?)
    }

    pub(super) fn load(path: &Path) -> Result<Self, TrainingError> {
        let (mut all, metadata) = tensors::read(path)?;
        let foreign = || TrainingError::ForeignCheckpoint { path: path.to_path_buf() };
        let progress = metadata.get(PROGRESS).ok_or_else(foreign)?;
        let progress: Progress = toml::from_str(progress).map_err(|_| foreign())?;
        let mut take = |part: &str| -> Parameters {
            let prefix = format!("{part}.");
            let names: Vec<String> = all.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
            names
                .into_iter()
                .filter_map(|n| all.remove(&n).map(|d| (n[prefix.len()..].to_string(), d)))
                .collect()
        };
        Ok(Self {
            weights: take("weights"),
            optimizer: OptimizerState {
                first: take("first"),
                second: take("second"),
                average: take("average"),
            },
            best: take("best"),
            progress,
        })
    }
}
