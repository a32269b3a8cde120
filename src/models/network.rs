//! The networks inside models, as configured.

use std::fmt::Display;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::kernels::{Activation, Blocks, MlpShape};
use crate::nn::MlpConfig;

/// Nonlinearity between the layers of a network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActivationKind {
    /// max(z, 0)
    Relu,
    /// z for z > 0, else 0.2 z (as in the critics of Radford et al. 2015, arXiv:1511.06434)
    LeakyRelu,
    /// z/(1 + e^−z)
    Silu,
    /// z·Φ(z)
    Gelu,
    /// tanh z
    Tanh,
}

/// Slope of the leaky ReLU for negative arguments.
pub(super) const NEGATIVE_SLOPE: f32 = 0.2;

impl ActivationKind {
    fn kernel(self) -> Activation {
        match self {
            Self::Relu => Activation::Relu,
            Self::LeakyRelu => Activation::LeakyRelu(NEGATIVE_SLOPE),
            Self::Silu => Activation::Silu,
            Self::Gelu => Activation::Gelu,
            Self::Tanh => Activation::Tanh,
        }
    }
}

/// A multilayer perceptron inside a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// Units in a hidden layer.
    pub width: usize,
    /// Hidden layers, or residual blocks of two layers each.
    pub hidden: usize,
    /// How hidden layers follow each other.
    pub blocks: Blocks,
    /// Nonlinearity.
    pub activation: ActivationKind,
}

impl Default for NetworkConfig {
    /// A size that trains in minutes on two cores; SiLU, which is smooth, suits regression.
    fn default() -> Self {
        Self { width: 256, hidden: 2, blocks: Blocks::Plain, activation: ActivationKind::Silu }
    }
}

/// Largest number of layers, of units in a layer, of latents: a guard against numbers from damaged files.
const MAX_SIZE: usize = 1 << 16;

/// Checks that a count is at least 1 and of reasonable size.
pub(super) fn check_count(key: &str, value: usize) -> Result<(), ConfigError> {
    if (1..=MAX_SIZE).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::value(format!("model.{key}"), value, format!("1 to {MAX_SIZE}")))
}

/// Checks that a number is not negative.
pub(super) fn check_not_negative(key: &str, value: f64) -> Result<(), ConfigError> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(ConfigError::value(format!("model.{key}"), value, "zero or a positive number"))
}

/// Checks that a number is positive.
pub(super) fn check_positive(key: &str, value: impl Into<f64> + Display + Copy) -> Result<(), ConfigError> {
    let number: f64 = value.into();
    if number > 0.0 && number.is_finite() {
        return Ok(());
    }
    Err(ConfigError::value(format!("model.{key}"), value, "a positive number"))
}

impl NetworkConfig {
    /// Checks ranges; `name` is the key of the network in the table of the model.
    pub(super) fn check(&self, name: &str) -> Result<(), ConfigError> {
        check_count(&format!("{name}.width"), self.width)?;
        check_count(&format!("{name}.hidden"), self.hidden)
    }

    /// The network from `inputs` to `outputs`.
    pub(super) fn mlp(&self, inputs: usize, outputs: usize) -> MlpConfig {
        let Self { width, hidden, blocks, activation } = *self;
        let shape = MlpShape { inputs, outputs, width, hidden, blocks, activation: activation.kernel() };
        MlpConfig { shape, output_gain: 1.0 }
    }
}
