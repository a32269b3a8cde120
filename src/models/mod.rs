//! Surrogate models, one per file.
//!
//! A model sees model space only: standardised targets `[batch, targets]` and conditions `[batch, conditions]`, made
//! by `simile_data::Preprocessing`. It has a differentiable loss and can sample targets for conditions.

pub mod bundle;
mod classifier;
mod flow;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simile_data::Preprocessing;
use std::ops::Range;

pub use classifier::{ClassifierConfig, MlpClassifier};
pub use flow::{Flow, FlowConfig, TransformKind};

use crate::config::ConfigError;

/// What a model learns to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Width of a condition in model space.
    pub conditions: usize,
    /// Columns of model space that belong together, in the order in which they are generated.
    pub target_groups: Vec<Range<usize>>,
}

impl Space {
    /// The model space of a preprocessing.
    pub fn of(preprocessing: &Preprocessing) -> Self {
        Self { conditions: preprocessing.n_condition(), target_groups: preprocessing.target_groups() }
    }

    /// Width of a target in model space.
    pub fn targets(&self) -> usize {
        self.target_groups.last().map_or(0, |group| group.end)
    }
}

/// Events in model space.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[batch, targets]`
    pub target: Tensor<2>,
    /// `[batch, conditions]`
    pub condition: Tensor<2>,
    /// `[batch, 1]` with mean 1 over the sample; none where every event counts the same
    pub weight: Option<Tensor<2>>,
}

impl Batch {
    /// Mean over the batch of a loss per event `[batch, 1]`, each times its weight.
    pub fn mean(&self, loss: Tensor<2>) -> Tensor<1> {
        match &self.weight {
            Some(weight) => (loss * weight.clone()).mean(),
            None => loss.mean(),
        }
    }
}

/// A trainable generator of targets given conditions.
pub trait Surrogate: Module {
    /// What [`Surrogate::loss`] is, for logs and plots.
    const LOSS_LABEL: &'static str;

    /// Weighted mean loss over a batch, shape `[1]`; random numbers come from `rng` alone.
    fn loss(&self, batch: Batch, rng: &mut ChaCha8Rng) -> Tensor<1>;

    /// One target `[batch, targets]` for every condition `[batch, conditions]`; random numbers come from `rng` alone.
    fn sample(&self, condition: Tensor<2>, rng: &mut ChaCha8Rng) -> Tensor<2>;
}

/// The model of a run: `kind` chooses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModelConfig {
    /// Conditional normalizing flow of coupling layers.
    Flow(FlowConfig),
}

impl ModelConfig {
    /// Name of the kind as written in a configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flow(_) => "flow",
        }
    }

    /// Checks values that types alone cannot.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Flow(config) => config.check(),
        }
    }

    /// What the loss of this kind is.
    pub fn loss_label(&self) -> &'static str {
        match self {
            Self::Flow(_) => Flow::LOSS_LABEL,
        }
    }
}

/// Calls `$body` with `$model` bound to the freshly initialised model of a [`ModelConfig`]: the one place where the
/// kind chosen at run time becomes a type.
macro_rules! with_model {
    ($config:expr, $space:expr, $device:expr, $rng:expr, |$model:ident| $body:expr) => {
        match $config {
            $crate::models::ModelConfig::Flow(config) => {
                let $model = config.init($space, $device, $rng);
                $body
            }
        }
    };
}
pub(crate) use with_model;

/// Standard normal numbers `[rows, columns]`.
pub(crate) fn normal_noise(rows: usize, columns: usize, device: &Device, rng: &mut ChaCha8Rng) -> Tensor<2> {
    use rand::Rng;
    let noise: Vec<f32> =
        (0..rows * columns).map(|_| rng.sample::<f32, _>(rand_distr::StandardNormal)).collect();
    Tensor::from_data(burn::tensor::TensorData::new(noise, [rows, columns]), device)
}
