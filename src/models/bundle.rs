//! A trained model as a folder: `manifest.json`, `weights.safetensors`, `preprocessing.json`. Sampling needs nothing else.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use simile_data::preprocessing::Preprocessing;
use simile_data::preprocessing::PreprocessingError;
use simile_data::random;
use simile_physics::Geometry;
use thiserror::Error;

use super::{Efficiency, LogProb, Space, Surrogate, with_model};
use crate::config::RunConfig;
use crate::files::{self, PendingFolder, ReadError};
use crate::nn::parameters::{self, ParameterError, Parameters};
use crate::tensors::{self, TensorFileError};

/// Version of the layout of a bundle.
pub const FORMAT_VERSION: u32 = 6;

const MANIFEST: &str = "manifest.json";
const WEIGHTS: &str = "weights.safetensors";
const EFFICIENCY: &str = "efficiency.safetensors";
const PREPROCESSING: &str = "preprocessing.json";

/// A model folder that cannot be used.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Not a model folder.
    #[error("{path} is no simile model: {reason}; give the `model` folder of a run")]
    NotAModel {
        /// The folder
        path: PathBuf,
        /// Which file is missing or unreadable
        reason: String,
    },
    /// A file of the bundle is not what it should be.
    #[error("{path} is damaged ({reason}): copy the model folder again")]
    Damaged {
        /// The file
        path: PathBuf,
        /// What is wrong
        reason: String,
    },
    /// Written by another version.
    #[error(
        "{path} has format version {found}, this simile reads version {FORMAT_VERSION}: use the simile that trained it, or train again"
    )]
    Version {
        /// The manifest
        path: PathBuf,
        /// Its version
        found: u64,
    },
    /// The weights file.
    #[error(transparent)]
    Tensors(#[from] TensorFileError),
    /// The weights do not fit the model of the manifest.
    #[error("weights of {path}: {source}")]
    Parameters {
        /// The weights file
        path: PathBuf,
        /// What does not fit
        source: ParameterError,
    },
    /// The preprocessing does not fit.
    #[error(transparent)]
    Preprocessing(#[from] PreprocessingError),
    /// Writing failed.
    #[error(transparent)]
    Write(#[from] simile_data::DataError),
}

/// What a model is and where it came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT_VERSION`]
    pub format_version: u32,
    /// Kind of model
    pub kind: String,
    /// Versions of the programs that trained it
    pub versions: BTreeMap<String, String>,
    /// Widths of model space
    pub space: Space,
    /// Number of trainable weights
    pub parameters: usize,
    /// Conditions a model needs: column name and width
    pub condition_columns: Vec<(String, usize)>,
    /// What it generates: column name and width
    pub target_columns: Vec<(String, usize)>,
    /// Calorimeter of the training events
    pub geometry: Option<Geometry>,
    /// Units by column
    pub units: BTreeMap<String, String>,
    /// Types of the target columns where they are no `f32`, by column, as Arrow writes them
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub target_types: BTreeMap<String, String>,
    /// Training events and files
    pub training: TrainingRecord,
    /// The resolved configuration of the run
    pub config: RunConfig,
}

/// What a model was trained on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecord {
    /// SHA-256 of every input file, by path
    pub files: BTreeMap<String, String>,
    /// Events trained on
    pub events: u64,
    /// Epoch whose weights were kept
    pub best_epoch: usize,
    /// Epochs run
    pub epochs: usize,
    /// Wall-clock time of training
    pub seconds: f64,
    /// What was found when a latent density was fitted
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
}

/// A model that can sample, whatever its kind.
pub trait Generator: Send + Sync {
    /// See [`Surrogate::sample`].
    fn sample(&self, condition: Tensor<2>, rng: &mut ChaCha8Rng) -> Tensor<2>;

    /// See [`Surrogate::noise_width`].
    fn noise_width(&self) -> usize;

    /// See [`Surrogate::generate`].
    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2>;

    /// See [`Surrogate::latent`].
    fn latent(&self, target: Tensor<2>, condition: Tensor<2>) -> Option<Tensor<2>>;

    /// See [`Surrogate::latent_width`].
    fn latent_width(&self) -> usize;

    /// See [`Surrogate::is_latent_noise`].
    fn is_latent_noise(&self) -> bool;

    /// See [`Surrogate::decode`].
    fn decode(&self, latent: Tensor<2>, condition: Tensor<2>) -> Tensor<2>;

    /// See [`Surrogate::reconstruct`].
    fn reconstruct(
        &self,
        target: Tensor<2>,
        condition: Tensor<2>,
        rng: &mut ChaCha8Rng,
    ) -> Option<[Tensor<2>; 2]>;

    /// See [`Surrogate::trajectory`].
    fn trajectory(&self, noise: Tensor<2>, condition: Tensor<2>) -> Option<Vec<Tensor<2>>>;

    /// See [`Surrogate::log_prob`].
    fn log_prob(
        &self,
        target: Tensor<2>,
        condition: Tensor<2>,
        samples: usize,
        rng: &mut ChaCha8Rng,
    ) -> Option<LogProb>;
}

impl<M: Surrogate + Send + Sync> Generator for M {
    fn sample(&self, condition: Tensor<2>, rng: &mut ChaCha8Rng) -> Tensor<2> {
        Surrogate::sample(self, condition, rng)
    }

    fn noise_width(&self) -> usize {
        Surrogate::noise_width(self)
    }

    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        Surrogate::generate(self, noise, condition)
    }

    fn latent(&self, target: Tensor<2>, condition: Tensor<2>) -> Option<Tensor<2>> {
        Surrogate::latent(self, target, condition)
    }

    fn latent_width(&self) -> usize {
        Surrogate::latent_width(self)
    }

    fn is_latent_noise(&self) -> bool {
        Surrogate::is_latent_noise(self)
    }

    fn decode(&self, latent: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        Surrogate::decode(self, latent, condition)
    }

    fn reconstruct(
        &self,
        target: Tensor<2>,
        condition: Tensor<2>,
        rng: &mut ChaCha8Rng,
    ) -> Option<[Tensor<2>; 2]> {
        Surrogate::reconstruct(self, target, condition, rng)
    }

    fn trajectory(&self, noise: Tensor<2>, condition: Tensor<2>) -> Option<Vec<Tensor<2>>> {
        Surrogate::trajectory(self, noise, condition)
    }

    fn log_prob(
        &self,
        target: Tensor<2>,
        condition: Tensor<2>,
        samples: usize,
        rng: &mut ChaCha8Rng,
    ) -> Option<LogProb> {
        Surrogate::log_prob(self, target, condition, samples, rng)
    }
}

/// A trained model ready to sample.
pub struct Bundle {
    /// What it is
    pub manifest: Manifest,
    /// Between columns and model space
    pub preprocessing: Preprocessing,
    /// The model
    pub generator: Box<dyn Generator>,
    /// Which objects are found at all, where that was learnt
    pub efficiency: Option<Efficiency>,
    /// SHA-256 of the weights file: identifies the model in the files it generates
    pub weights_sha256: String,
}

/// Writes a bundle; the folder appears under its name only when it is complete, and replaces an earlier one.
///
/// # Errors
/// If the parent folder cannot be written or the disk is full.
pub fn save(
    path: &Path,
    manifest: &Manifest,
    preprocessing: &Preprocessing,
    weights: &Parameters,
    efficiency: Option<&Efficiency>,
) -> Result<(), BundleError> {
    let folder = PendingFolder::create(path)?;
    files::write_json(&folder.path().join(MANIFEST), manifest)?;
    files::write_json(&folder.path().join(PREPROCESSING), preprocessing)?;
    tensors::write(&folder.path().join(WEIGHTS), weights, HashMap::new())?;
    if let Some(efficiency) = efficiency {
        tensors::write(&folder.path().join(EFFICIENCY), &efficiency.weights(), HashMap::new())?;
    }
    Ok(folder.replace()?)
}

impl Manifest {
    /// Reads the manifest of a model folder.
    ///
    /// # Errors
    /// If there is none, it is damaged, or has another format version.
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        let path = folder.join(MANIFEST);
        let damaged = |error: ReadError| match error {
            ReadError::Io(error) => {
                BundleError::NotAModel { path: folder.to_path_buf(), reason: format!("{MANIFEST}: {error}") }
            }
            ReadError::Json(error) => BundleError::Damaged { path: path.clone(), reason: error.to_string() },
        };
        let json: serde_json::Value = files::read_json(&path).map_err(damaged)?;
        // Run directories have a manifest, too.
        if json.get("kind").is_none() {
            let model = folder.join("model");
            let reason = if model.join(MANIFEST).is_file() {
                format!("it is a run directory; did you mean {}?", model.display())
            } else {
                format!("{MANIFEST} names no `kind` of model")
            };
            return Err(BundleError::NotAModel { path: folder.to_path_buf(), reason });
        }
        // Before the rest is read: another version's manifest may not be readable.
        match json.get("format_version").and_then(serde_json::Value::as_u64) {
            Some(found) if found == u64::from(FORMAT_VERSION) => {}
            Some(found) => return Err(BundleError::Version { path, found }),
            None => {
                let reason = format!("{MANIFEST} has no format_version");
                return Err(BundleError::NotAModel { path: folder.to_path_buf(), reason });
            }
        }
        serde_json::from_value(json)
            .map_err(|error| BundleError::Damaged { path: path.clone(), reason: error.to_string() })
    }
}

fn file_sha256(path: &Path) -> Result<String, BundleError> {
    let digest = File::open(path).and_then(simile_data::sha256);
    Ok(digest.map_err(|source| TensorFileError::Read { path: path.to_path_buf(), source })?)
}

/// The classifier of found objects, where the configuration has one.
fn efficiency(
    folder: &Path,
    manifest: &Manifest,
    device: &Device,
) -> Result<Option<Efficiency>, BundleError> {
    let Some(config) = &manifest.config.efficiency else { return Ok(None) };
    let path = folder.join(EFFICIENCY);
    let (weights, _) = tensors::read(&path)?;
    let efficiency = Efficiency::load(config, manifest.space.conditions, weights, device);
    efficiency.map(Some).map_err(|source| BundleError::Parameters { path, source })
}

impl Bundle {
    /// Loads a model folder onto a device.
    ///
    /// # Errors
    /// If a file is missing, damaged or of another format version, or if the files do not belong together.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, BundleError> {
        let manifest = Manifest::load(folder)?;
        let path = folder.join(PREPROCESSING);
        let text = std::fs::read_to_string(&path).map_err(|error| BundleError::NotAModel {
            path: folder.to_path_buf(),
            reason: format!("{PREPROCESSING}: {error}"),
        })?;
        let preprocessing: Preprocessing = serde_json::from_str(&text)
            .map_err(|error| BundleError::Damaged { path: path.clone(), reason: error.to_string() })?;
        let path = folder.join(MANIFEST);
        let damaged = |reason: String| BundleError::Damaged { path: path.clone(), reason };
        manifest.config.check().map_err(|error| damaged(error.to_string()))?;
        if manifest.space != Space::of(&preprocessing) {
            return Err(damaged(format!("{PREPROCESSING} belongs to another model")));
        }
        manifest.config.model.check_space(&manifest.space).map_err(|error| damaged(error.to_string()))?;
        let path = folder.join(WEIGHTS);
        let (weights, _) = tensors::read(&path)?;
        let weights_sha256 = file_sha256(&path)?;
        // Shapes and orders drawn here are replaced by those of the file.
        let mut rng = random::stream(manifest.config.seed, "train/init", 0);
        let generator = with_model!(&manifest.config.model, &manifest.space, device, &mut rng, |model| {
            let model = parameters::load(model, weights);
            let model = model.map_err(|source| BundleError::Parameters { path: path.clone(), source })?;
            Box::new(model.valid()) as Box<dyn Generator>
        });
        let efficiency = efficiency(folder, &manifest, device)?;
        Ok(Self { manifest, preprocessing, generator, efficiency, weights_sha256 })
    }
}
