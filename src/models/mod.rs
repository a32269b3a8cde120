//! Surrogate models, one per file.
//!
//! A model sees model space only: standardised targets `[batch, targets]` and conditions `[batch, conditions]`, made
//! by `simile_data::Preprocessing`. It has a differentiable loss and can sample targets for conditions.

mod adversarial;
mod autoencoder;
pub mod bundle;
mod classifier;
mod diffusion;
mod efficiency;
mod flow;
mod flow_matching;
mod gan;
mod grouped;
mod image_classifier;
mod lenet;
mod maf;
mod mixture;
mod network;
mod per_group;
mod prediction;
mod principal;
#[cfg(test)]
mod tests;
mod vae;
mod wgan;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simile_data::Preprocessing;
use std::collections::BTreeMap;
use std::ops::Range;

pub use autoencoder::{Autoencoder, AutoencoderConfig, Corruption, DenoisingConfig};
pub use classifier::{ClassifierConfig, MlpClassifier};
pub use diffusion::{Diffusion, DiffusionConfig};
pub use efficiency::{Efficiency, EfficiencyConfig};
pub use flow::{Flow, FlowConfig, TransformKind};
pub use flow_matching::{FlowMatching, FlowMatchingConfig};
pub use gan::{Gan, GanConfig, GeneratorLoss};
pub use grouped::Grouped;
pub use image_classifier::{
    ClassifierManifest, ImageClassifier, ImageClassifierError, ImageColumns, PixelScale,
};
pub use lenet::{LabelledImages, LeNet, LeNetConfig, LeNetTraining};
pub use maf::{Maf, MafConfig};
pub use network::{ActivationKind, ConvolutionsConfig, NetworkConfig};
pub use per_group::ModelConfigs;
pub use prediction::Prediction;
pub(crate) use principal::PrincipalComponents;
pub use vae::{Likelihood, Vae, VaeConfig, Variance};
pub use wgan::{Constraint, Wgan, WganConfig};

use crate::config::ConfigError;

/// What a model learns to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Width of a condition in model space.
    pub conditions: usize,
    /// Columns of model space that belong together, in the order in which they are generated.
    pub target_groups: Vec<Range<usize>>,
    /// Columns of targets that hold one category between them; each lies in one group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_categories: Vec<Range<usize>>,
}

impl Space {
    /// The model space of a preprocessing.
    pub fn of(preprocessing: &Preprocessing) -> Self {
        Self {
            conditions: preprocessing.n_condition(),
            target_groups: preprocessing.target_groups(),
            target_categories: preprocessing.target_categories(),
        }
    }

    /// Width of a target in model space.
    pub fn targets(&self) -> usize {
        self.target_groups.last().map_or(0, |group| group.end)
    }
}

/// Widths that the model of one group of targets sees; its conditions include the groups generated before.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpace {
    /// Width of a condition.
    pub conditions: usize,
    /// Width of a target.
    pub targets: usize,
    /// Columns of a target that hold one category between them.
    pub categories: Vec<Range<usize>>,
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
    /// Which rows these are of the batch that several processes share; all where there is one process.
    pub place: Place,
}

/// Some rows of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the first row.
    pub begin: usize,
    /// Events of the whole batch.
    pub of: usize,
}

impl Batch {
    /// A whole batch of events that count the same.
    pub fn new(target: Tensor<2>, condition: Tensor<2>) -> Self {
        let place = Place { begin: 0, of: target.dims()[0] };
        Self { target, condition, weight: None, place }
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.target.dims()[0]
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mean over the batch of a quantity per event `[batch, 1]`, each times its weight; shape `[1]`.
    pub fn mean(&self, quantity: Tensor<2>) -> Tensor<1> {
        match &self.weight {
            Some(weight) => (quantity * weight.clone()).mean(),
            None => quantity.mean(),
        }
    }

    /// Random numbers `[batch, columns]`, drawn for the whole batch of all processes, of which these are the rows of this
    /// one; `number` is given the place of each.
    pub(crate) fn draw(&self, columns: usize, number: impl FnMut(usize) -> f32) -> Tensor<2> {
        let Place { begin, of } = self.place;
        let mut numbers: Vec<f32> = (0..of * columns).map(number).collect();
        numbers.truncate((begin + self.len()) * columns);
        numbers.drain(..begin * columns);
        Tensor::from_data(TensorData::new(numbers, [self.len(), columns]), &self.target.device())
    }

    /// Standard normal numbers `[batch, columns]`, see [`Batch::draw`].
    pub(crate) fn normal_noise(&self, columns: usize, rng: &mut ChaCha8Rng) -> Tensor<2> {
        self.draw(columns, |_| rng.sample::<f32, _>(StandardNormal))
    }
}

/// Where training stands when a batch is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Steps of the optimiser taken before.
    pub number: u64,
    /// Epoch, counted from 1.
    pub epoch: usize,
}

/// Which part of a model a step trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// All of it, or, of a model with an adversary, the critic.
    Main,
    /// The generator of a model with an adversary.
    Generator,
}

/// What a step minimises.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Weighted mean over the batch, shape `[1]`. Only weights of the part whose turn it is have a gradient.
    pub value: Tensor<1>,
    /// The part that learns.
    pub turn: Turn,
    /// Other figures to be watched, shape `[1]`, by name.
    pub figures: Vec<(&'static str, Tensor<1>)>,
}

impl Loss {
    /// The loss of a model that is trained as a whole.
    pub fn of(value: Tensor<1>) -> Self {
        Self { value, turn: Turn::Main, figures: Vec::new() }
    }

    /// With a figure to be watched.
    pub fn with(mut self, name: &'static str, figure: Tensor<1>) -> Self {
        self.figures.push((name, figure));
        self
    }
}

/// How epochs are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// By the loss of the validation events.
    Loss,
    /// By a distance between generated and validation events: the loss of a game says nothing about its result.
    Distance,
}

/// log p(target | condition) of events, in nats.
#[derive(Clone, Debug)]
pub struct LogProb {
    /// `[batch, 1]`: exact, or the importance-weighted estimate of a model with latents
    pub value: Tensor<2>,
    /// The evidence lower bound `[batch, 1]`, where the value is an estimate
    pub lower_bound: Option<Tensor<2>>,
}

impl LogProb {
    /// A density known exactly.
    pub fn exact(value: Tensor<2>) -> Self {
        Self { value, lower_bound: None }
    }

    /// Of two groups of targets together.
    fn plus(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            lower_bound: self.lower_bound.zip(other.lower_bound).map(|(a, b)| a + b),
        }
    }
}

/// A trainable generator of targets given conditions.
pub trait Surrogate: Module + ModuleDisplay {
    /// What [`Surrogate::loss`] is, for logs and plots.
    const LOSS_LABEL: &'static str;
    /// How epochs are compared.
    const JUDGE: Judge = Judge::Loss;
    /// Whether [`Surrogate::log_prob`] gives a density.
    const HAS_DENSITY: bool = false;
    /// Decay of the moments of Adam.
    const MOMENTS: [f64; 2] = [0.9, 0.999];
    /// Whether a latent density is fitted after training.
    const FITS_LATENT: bool = false;

    /// Key of the configuration by which the loss depends on a batch as a whole, rather than being a mean over its events;
    /// such a loss cannot be shared by several processes.
    fn whole_batch_key(&self) -> Option<&'static str> {
        None
    }

    /// Loss of a batch; random numbers come from `rng` alone.
    fn loss(&self, batch: &Batch, step: Step, rng: &mut ChaCha8Rng) -> Loss;

    /// What has to be done to the weights after every step of the optimiser.
    #[must_use]
    fn after_step(self) -> Self {
        self
    }

    /// Fits the latent density on training events, compared with held-out ones where there is a choice; returns the model
    /// and figures for the report, by name.
    #[must_use]
    fn fit_latent(
        self,
        _train: &Batch,
        _held_out: &Batch,
        _rng: &mut ChaCha8Rng,
    ) -> (Self, BTreeMap<String, f64>) {
        (self, BTreeMap::new())
    }

    /// Standard normal numbers that one event is made of.
    fn noise_width(&self) -> usize;

    /// One target `[batch, targets]` for noise `[batch, noise_width]` and condition `[batch, conditions]`.
    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2>;

    /// One target `[batch, targets]` for every condition; random numbers come from `rng` alone.
    fn sample(&self, condition: Tensor<2>, rng: &mut ChaCha8Rng) -> Tensor<2> {
        let noise = normal_noise(condition.dims()[0], self.noise_width(), &condition.device(), rng);
        self.generate(noise, condition)
    }

    /// Where targets lie in the latent space, `[batch, latents]`: the noise that gives them, or the mean of their codes;
    /// none where the model knows no way back.
    fn latent(&self, _target: Tensor<2>, _condition: Tensor<2>) -> Option<Tensor<2>> {
        None
    }

    /// Width of the latent space in which [`Surrogate::latent`] and [`Surrogate::decode`] meet.
    fn latent_width(&self) -> usize {
        self.noise_width()
    }

    /// Whether latents are the noise, rather than codes.
    fn is_latent_noise(&self) -> bool {
        true
    }

    /// The most typical target `[batch, targets]` of latents `[batch, latent_width]` and conditions.
    fn decode(&self, latent: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.generate(latent, condition)
    }

    /// Targets as an encoder is shown them in training, and as the decoder restores them, `[batch, targets]` each; none
    /// without an encoder.
    fn reconstruct(
        &self,
        _target: Tensor<2>,
        _condition: Tensor<2>,
        _rng: &mut ChaCha8Rng,
    ) -> Option<[Tensor<2>; 2]> {
        None
    }

    /// States on the way from noise to target, `[batch, targets]` each, the noise first and the target last; none where
    /// the way is one step.
    fn trajectory(&self, _noise: Tensor<2>, _condition: Tensor<2>) -> Option<Vec<Tensor<2>>> {
        None
    }

    /// The log density of targets `[batch, targets]`; none where the model has none. One that has to be estimated is so with
    /// `samples` draws from `rng` for every event.
    fn log_prob(
        &self,
        _target: Tensor<2>,
        _condition: Tensor<2>,
        _samples: usize,
        _rng: &mut ChaCha8Rng,
    ) -> Option<LogProb> {
        None
    }
}

/// Everything that has to be said once for every kind of model: the variants of [`ModelConfig`] with their
/// documentation, the names under which they are configured, and the type of the model.
macro_rules! models {
    ($($(#[$doc:meta])* $name:literal $(or $alias:literal)? => $variant:ident($config:ident) makes $model:ident,)*) => {
        /// A model: `kind` chooses it.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind", deny_unknown_fields)]
        pub enum ModelConfig {
            $($(#[$doc])* #[serde(rename = $name $(, alias = $alias)?)] $variant($config),)*
        }

        impl ModelConfig {
            /// Name of the kind as written in a configuration.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// Checks values that types alone cannot.
            ///
            /// # Errors
            /// Names the key and the allowed range.
            pub fn check(&self) -> Result<(), ConfigError> {
                match self {
                    $(Self::$variant(config) => config.check(),)*
                }
            }

            /// Checks that images are as large as the targets.
            fn check_targets(&self, targets: usize) -> Result<(), ConfigError> {
                let networks = match self {
                    $(Self::$variant(config) => config.networks(),)*
                };
                networks.into_iter().try_for_each(|(name, network)| network.check_targets(name, targets))
            }

            /// What the loss of this kind is.
            pub fn loss_label(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $model::LOSS_LABEL,)*
                }
            }

            /// Whether models of this kind have a density.
            pub fn has_density(&self) -> bool {
                match self {
                    $(Self::$variant(_) => $model::HAS_DENSITY,)*
                }
            }

            /// Whether the density of this kind is estimated with a lower bound.
            pub fn estimates_density(&self) -> bool {
                matches!(self, Self::Vae(_))
            }

            /// Whether targets are numbers between 0 and 1.
            pub fn is_bernoulli(&self) -> bool {
                matches!(self, Self::Vae(config) if config.likelihood == Likelihood::Bernoulli)
            }

            /// How the epochs of this kind are compared.
            pub fn judge(&self) -> Judge {
                match self {
                    $(Self::$variant(_) => $model::JUDGE,)*
                }
            }
        }

        /// Calls `$body` with `$model` bound to the freshly initialised model of a [`ModelConfigs`]: the one place where
        /// the kind chosen at run time becomes a type.
        macro_rules! with_model {
            ($chosen:expr, $space:expr, $device:expr, $rng:expr, |$bound:ident| $body:expr) => {
                match $chosen.of(0) {
                    $($crate::models::ModelConfig::$variant(_) => {
                        let $bound = $crate::models::Grouped::init($space, |i, group| match $chosen.of(i) {
                            $crate::models::ModelConfig::$variant(config) => config.init(group, $device, $rng),
                            other => unreachable!("a checked configuration has one kind, not {other:?}"),
                        });
                        $body
                    })*
                }
            };
        }
        pub(crate) use with_model;
    };
}

models! {
    /// Conditional normalizing flow of coupling layers.
    "flow" => Flow(FlowConfig) makes Flow,
    /// Masked autoregressive flow.
    "maf" => Maf(MafConfig) makes Maf,
    /// Conditional variational autoencoder.
    "cvae" or "vae" => Vae(VaeConfig) makes Vae,
    /// Autoencoder with a latent density fitted afterwards.
    "autoencoder" => Autoencoder(AutoencoderConfig) makes Autoencoder,
    /// Denoising autoencoder with a latent density fitted afterwards.
    "denoising-autoencoder" => DenoisingAutoencoder(DenoisingConfig) makes Autoencoder,
    /// Generative adversarial network.
    "gan" => Gan(GanConfig) makes Gan,
    /// Wasserstein GAN.
    "wgan" => Wgan(WganConfig) makes Wgan,
    /// Denoising diffusion.
    "diffusion" => Diffusion(DiffusionConfig) makes Diffusion,
    /// Conditional flow matching.
    "flow-matching" => FlowMatching(FlowMatchingConfig) makes FlowMatching,
}

/// Standard normal numbers `[rows, columns]`.
pub(crate) fn normal_noise(rows: usize, columns: usize, device: &Device, rng: &mut ChaCha8Rng) -> Tensor<2> {
    let noise: Vec<f32> = (0..rows * columns).map(|_| rng.sample::<f32, _>(StandardNormal)).collect();
    Tensor::from_data(TensorData::new(noise, [rows, columns]), device)
}
