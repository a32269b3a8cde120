//! The run directory: where each stage finds its input and leaves its output.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PipelineError;
use crate::config::RunConfig;
use crate::files::{self, PendingFolder};

/// A step of a run; each reads only what earlier ones wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Reads, selects, splits; fits the preprocessing.
    Prepare,
    /// Trains the model.
    Train,
    /// Generates events for the test events' conditions.
    Sample,
    /// Compares them with the test events.
    Validate,
    /// Draws plots, writes the report.
    Report,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 5] = [Self::Prepare, Self::Train, Self::Sample, Self::Validate, Self::Report];

    /// The name as in `manifest.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Train => "train",
            Self::Sample => "sample",
            Self::Validate => "validate",
            Self::Report => "report",
        }
    }

    /// The command that runs it on a run directory; `simile sample` works on any model.
    pub fn command(self) -> &'static str {
        match self {
            Self::Sample => "generate",
            _ => self.name(),
        }
    }
}

/// `manifest.json` of a run: what has been done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunManifest {
    /// Version of the layout
    pub format_version: u32,
    /// Version of simile
    pub simile: String,
    /// Finished stages in order
    pub stages: Vec<StageRecord>,
}

/// A finished stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRecord {
    /// Which
    pub stage: Stage,
    /// Wall-clock time
    pub seconds: f64,
}

/// Version of the layout of a run directory.
const FORMAT_VERSION: u32 = 1;

/// An existing run directory.
pub struct RunDirectory {
    root: PathBuf,
    /// The resolved configuration.
    pub config: RunConfig,
    manifest: RunManifest,
}

impl RunDirectory {
    /// Makes a new run directory; `fill` does the first stage in it. If it fails, nothing is left behind.
    pub(super) fn create(
        root: &Path,
        config: &RunConfig,
        fill: impl FnOnce(&Self) -> Result<f64, PipelineError>,
    ) -> Result<Self, PipelineError> {
        if files::is_occupied(root) {
            return Err(PipelineError::Exists { path: root.to_path_buf() });
        }
        let pending = PendingFolder::create(root)?;
        simile_data::write_file(pending.path().join("config.toml"), config.to_toml())?;
        let manifest = RunManifest {
            format_version: FORMAT_VERSION,
            simile: env!("CARGO_PKG_VERSION").to_string(),
            stages: Vec::new(),
        };
        let mut run = Self { root: pending.path().to_path_buf(), config: config.clone(), manifest };
        let seconds = fill(&run)?;
        run.finish(Stage::Prepare, seconds)?;
        pending.commit()?;
        run.root = root.to_path_buf();
        Ok(run)
    }

    /// Opens a run directory.
    ///
    /// # Errors
    /// If it is none, or was written by another version.
    pub fn open(root: &Path) -> Result<Self, PipelineError> {
        let path = root.join("manifest.json");
        let not_a_run = |reason: String| PipelineError::NotARun { path: root.to_path_buf(), reason };
        let manifest: RunManifest =
            files::read_json(&path).map_err(|error| not_a_run(format!("manifest.json: {error}")))?;
        if manifest.format_version != FORMAT_VERSION {
            return Err(not_a_run(format!(
                "format version {}, this simile reads version {FORMAT_VERSION}",
                manifest.format_version
            )));
        }
        let config = RunConfig::load(&root.join("config.toml"), &[])?;
        Ok(Self { root: root.to_path_buf(), config, manifest })
    }

    /// Whether a stage has finished.
    pub fn is_done(&self, stage: Stage) -> bool {
        self.manifest.stages.iter().any(|record| record.stage == stage)
    }

    /// Wall-clock time of a finished stage.
    pub fn seconds(&self, stage: Stage) -> Option<f64> {
        self.manifest.stages.iter().find(|record| record.stage == stage).map(|record| record.seconds)
    }

    /// Records that a stage begins: later ones are no longer done, whose input may change at any time.
    pub(super) fn begin(&mut self, stage: Stage) -> Result<(), PipelineError> {
        if self.manifest.stages.iter().all(|record| record.stage <= stage) {
            return Ok(());
        }
        self.manifest.stages.retain(|record| record.stage <= stage);
        self.write()
    }

    /// Records a stage as done.
    pub(super) fn finish(&mut self, stage: Stage, seconds: f64) -> Result<(), PipelineError> {
        self.manifest.stages.retain(|record| record.stage < stage);
        self.manifest.stages.push(StageRecord { stage, seconds });
        self.write()
    }

    fn write(&self) -> Result<(), PipelineError> {
        Ok(files::write_json(&self.root.join("manifest.json"), &self.manifest)?)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Events of one split.
    pub fn prepared(&self, split: simile_data::Split) -> PathBuf {
        let name = match split {
            simile_data::Split::Train => "train",
            simile_data::Split::Validation => "validation",
            simile_data::Split::Test => "test",
        };
        self.root.join("prepared").join(format!("{name}.parquet"))
    }

    /// Clusters of the showers to train on, where there is a reconstruction.
    pub fn clusters(&self) -> PathBuf {
        self.root.join("prepared/clusters.parquet")
    }

    /// Nested events with the clusters of the full simulation.
    pub fn reference_events(&self) -> PathBuf {
        self.root.join("prepared/events.parquet")
    }

    /// The objects of those events as a flat table.
    pub fn objects(&self) -> PathBuf {
        self.root.join("prepared/objects.parquet")
    }

    /// Conditions of objects and whether they are found.
    pub fn efficiency(&self) -> PathBuf {
        self.root.join("prepared/efficiency.parquet")
    }

    /// What preparation found out.
    pub fn summary(&self) -> PathBuf {
        self.root.join("prepared/summary.json")
    }

    /// The fitted preprocessing.
    pub fn preprocessing(&self) -> PathBuf {
        self.root.join("prepared/preprocessing.json")
    }

    /// The checkpoint of training.
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoints/last.safetensors")
    }

    /// The trained model.
    pub fn model(&self) -> PathBuf {
        self.root.join("model")
    }

    /// Generated events.
    pub fn generated(&self) -> PathBuf {
        self.root.join("generated/events.parquet")
    }

    /// Nested events filled with generated objects.
    pub fn filled(&self) -> PathBuf {
        self.root.join("generated/filled.parquet")
    }

    /// What filling took.
    pub fn filling(&self) -> PathBuf {
        self.root.join("generated/filled.json")
    }

    /// What generation took.
    pub fn generation(&self) -> PathBuf {
        self.root.join("generated/summary.json")
    }

    /// Results of the comparison.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("validation/metrics.json")
    }

    /// Weights of the generated events.
    pub fn weights(&self) -> PathBuf {
        self.root.join("validation/weights.parquet")
    }

    /// Latent points and the targets generated from them; for two targets.
    pub fn latent_map(&self) -> PathBuf {
        self.root.join("validation/latent_map.json")
    }

    /// Images to be shown; where events are images.
    pub fn images(&self) -> PathBuf {
        self.root.join("validation/images.json")
    }

    /// Figures.
    pub fn plots(&self) -> PathBuf {
        self.root.join("validation/plots")
    }

    /// The report.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// Events of the run, one JSON object a line.
    pub fn log(&self) -> PathBuf {
        self.root.join("log.jsonl")
    }
}
