//! The typed configuration of a run: one TOML file, checked completely before any work starts.
//!
//! Every table refuses unknown keys. [`RunConfig::load`] reads a file, applies `--set key=value` overrides, and checks
//! the values; [`schema`] is the JSON Schema committed as `configs/schema.json` for editors.

mod overrides;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use simile_data::DataConfig;
use simile_data::preprocessing::PreprocessingConfig;
use thiserror::Error;

use crate::events::{ClustersConfig, EventsConfig};
use crate::models::{EfficiencyConfig, ModelConfigs};
use crate::sampling::SamplingConfig;
use crate::training::TrainingConfig;
use crate::validation::ValidationConfig;

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration {path}: {source}")]
    Read {
        /// The file
        path: PathBuf,
        /// What the system said
        source: std::io::Error,
    },
    /// Not TOML, or not what simile understands; the message of the parser names line and key.
    #[error("{path}: {message}")]
    Parse {
        /// The file
        path: PathBuf,
        /// The parser's explanation
        message: String,
    },
    /// An override on the command line is not `key=value`.
    #[error("--set `{0}`: write key=value, for example --set training.epochs=5")]
    Override(String),
    /// A value out of range.
    #[error("`{key} = {value}`: must be {expected}")]
    Value {
        /// Dotted key
        key: String,
        /// The value given
        value: String,
        /// What is allowed
        expected: String,
    },
    /// The data table is inconsistent.
    #[error("[data] {0}")]
    Data(#[from] simile_data::DataError),
    /// The reconstruction is configured wrongly.
    #[error(transparent)]
    Reconstruction(#[from] simile_physics::reconstruction::ReconstructionError),
    /// The gates cannot be used.
    #[error("[validation] {0}")]
    Gates(#[from] simile_validation::GateError),
}

/// Reads a table whose missing keys are those of `default`.
pub(crate) fn over<'de, D, T>(deserializer: D, default: T) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Serialize + DeserializeOwned,
{
    let given = serde_json::Map::deserialize(deserializer)?;
    let mut table = serde_json::to_value(default).map_err(D::Error::custom)?;
    table.as_object_mut().expect("a configuration is a table").extend(given);
    serde_json::from_value(table).map_err(D::Error::custom)
}

impl ConfigError {
    /// A value out of range.
    pub fn value(key: impl Into<String>, value: impl Display, expected: impl Into<String>) -> Self {
        Self::Value { key: key.into(), value: value.to_string(), expected: expected.into() }
    }

    /// The same of a table that stands elsewhere.
    pub(crate) fn moved(self, from: &str, to: &str) -> Self {
        match self {
            Self::Value { key, value, expected } if key.starts_with(from) => {
                Self::Value { key: key.replacen(from, to, 1), value, expected }
            }
            other => other,
        }
    }
}

/// The configuration of a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Title of the report.
    #[serde(default = "default_title")]
    pub title: String,
    /// Seed of all random numbers of the run.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Input files and the roles of their columns.
    pub data: DataConfig,
    /// Transforms of each column between files and model; columns not named here are standardised.
    #[serde(default)]
    pub preprocessing: PreprocessingConfig,
    /// The surrogate.
    pub model: ModelConfigs,
    /// Optimisation.
    #[serde(default)]
    pub training: TrainingConfig,
    /// Generation of events to be validated.
    #[serde(default)]
    pub sampling: SamplingConfig,
    /// Comparison with the reference.
    #[serde(default)]
    pub validation: ValidationConfig,
    /// Makes clusters of showers before anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconstruction: Option<ClustersConfig>,
    /// Which objects are found at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub efficiency: Option<EfficiencyConfig>,
    /// Nested events to be filled with what the surrogate generates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventsConfig>,
}

fn default_title() -> String {
    "Surrogate validation".into()
}

fn default_seed() -> u64 {
    1
}

impl RunConfig {
    /// Reads and checks a configuration; `overrides` are `dotted.key=value`, with TOML values.
    ///
    /// # Errors
    /// If the file cannot be read, is not understood, or holds a value out of range.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        let parse = |message: String| ConfigError::Parse { path: path.to_path_buf(), message };
        // Without overrides the text itself is parsed, so that errors can point at its lines.
        let mut config: Self = if overrides.is_empty() {
            toml::from_str(&text).map_err(|error| parse(error.to_string()))?
        } else {
            let mut table: toml::Table = toml::from_str(&text).map_err(|error| parse(error.to_string()))?;
            for entry in overrides {
                overrides::apply(&mut table, entry)?;
            }
            table.try_into().map_err(|error: toml::de::Error| parse(error.to_string()))?
        };
        config.check()?;
        config.validation.resolve(&config.data, &config.preprocessing)?;
        Ok(config)
    }

    /// Checks values that types alone cannot.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.data.check()?;
        self.model.check()?;
        self.training.check()?;
        self.sampling.check()?;
        if let Some(reconstruction) = &self.reconstruction {
            reconstruction.check()?;
        }
        if let Some(efficiency) = &self.efficiency {
            efficiency.check()?;
        }
        if let Some(events) = &self.events {
            events.check()?;
        }
        self.validation.check()
    }

    /// The configuration with all defaults written out, as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a run configuration is representable in TOML")
    }
}

/// JSON Schema of [`RunConfig`], pretty-printed.
pub fn schema() -> String {
    let schema = schemars::schema_for!(RunConfig);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is representable in JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use crate::models::{ActivationKind, EfficiencyConfig, ModelConfig};

    fn model(toml: &str) -> ModelConfig {
        toml::from_str(toml).unwrap()
    }

    /// What a table inside the model does not say is what the model says without that table.
    #[test]
    fn tables_that_say_a_part_keep_the_rest() {
        let ModelConfig::Diffusion(diffusion) = model("kind = \"diffusion\"\nnetwork = { hidden = 4 }")
        else {
            panic!("another kind")
        };
        assert_eq!((diffusion.network.width, diffusion.network.hidden), (512, 4));
        let wgan = model("kind = \"wgan\"\ncritic = { width = 64 }");
        wgan.check().unwrap();
        let ModelConfig::Wgan(wgan) = wgan else { panic!("another kind") };
        assert_eq!((wgan.critic.width, wgan.critic.activation), (64, ActivationKind::LeakyRelu));
        let efficiency: EfficiencyConfig =
            toml::from_str("found = \"x\"\nclassifier = { epochs = 40 }").unwrap();
        assert_eq!((efficiency.classifier.width, efficiency.classifier.epochs), (48, 40));
        let error = toml::from_str::<ModelConfig>("kind = \"wgan\"\ncritic = { widht = 64 }").unwrap_err();
        assert!(error.to_string().contains("unknown field `widht`"), "{error}");
    }

    #[test]
    fn values_out_of_range_are_named_where_they_stand() {
        let error = model("kind = \"cvae\"\nprior = { bins = 1 }").check().unwrap_err().to_string();
        assert!(error.contains("`model.prior.bins = 1`"), "{error}");
        let efficiency: EfficiencyConfig =
            toml::from_str("found = \"x\"\nclassifier = { width = 0 }").unwrap();
        let error = efficiency.check().unwrap_err().to_string();
        assert!(error.contains("`efficiency.classifier.width = 0`"), "{error}");
    }
}
