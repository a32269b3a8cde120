//! Conditional normalizing flow of coupling layers.
//!
//! An invertible map f takes a target y, given its condition c, to z = f(y; c) with standard normal density, so that
//! log p(y|c) = log N(z; 0, 1) + log|det ∂f/∂y|. Trained by maximum likelihood: the loss is −log p per target
//! dimension. Couplings are rational-quadratic splines (Durkan et al. 2019, arXiv:1906.04032) or affine (Dinh et
//! al. 2016, arXiv:1605.08803).

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::{NetworkConfig, check_count, check_positive};
use super::{Batch, GroupSpace, LogProb, Loss, Step, Surrogate};
use crate::config::ConfigError;
use crate::kernels::{Spline, Transform};
use crate::nn::{Coupling, CouplingConfig, PermutationConfig};

/// Elementwise transform inside the couplings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransformKind {
    /// Rational-quadratic spline (Durkan et al. 2019).
    #[default]
    Spline,
    /// Scale and shift (RealNVP, Dinh et al. 2016).
    Affine,
}

/// Checks the shape of a spline.
pub(super) fn check_spline(bins: usize, tail_bound: f32) -> Result<(), ConfigError> {
    if !(2..=Spline::MAX_BINS).contains(&bins) {
        return Err(ConfigError::value("model.bins", bins, format!("2 to {}", Spline::MAX_BINS)));
    }
    check_positive("tail_bound", tail_bound)
}

impl TransformKind {
    pub(super) fn kernel(self, bins: usize, bound: f32) -> Transform {
        match self {
            Self::Spline => Transform::Spline(Spline { bins, bound }),
            Self::Affine => Transform::Affine,
        }
    }
}

/// Shape of a [`Flow`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowConfig {
    /// Elementwise transform inside the couplings.
    pub transform: TransformKind,
    /// Number of coupling layers.
    pub couplings: usize,
    /// Units in a hidden layer of a conditioner.
    pub width: usize,
    /// Hidden layers of a conditioner, or its residual blocks.
    pub hidden: usize,
    /// Residual conditioners.
    pub residual: bool,
    /// Bins of a spline.
    pub bins: usize,
    /// Splines act on [-tail_bound, tail_bound] of the standardised targets and are the identity outside.
    pub tail_bound: f32,
    /// How features are mixed before every pair of couplings; inside a pair the halves change places.
    pub permutation: PermutationConfig,
}

impl Default for FlowConfig {
    /// The flow that reached the recorded figures on the sample calorimeter in `configs/calorimeter_flow.toml`.
    fn default() -> Self {
        Self {
            transform: TransformKind::Spline,
            couplings: 10,
            width: 192,
            hidden: 2,
            residual: false,
            bins: 16,
            tail_bound: 5.0,
            permutation: PermutationConfig::Random,
        }
    }
}

impl FlowConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (key, value) in [("couplings", self.couplings), ("width", self.width), ("hidden", self.hidden)] {
            check_count(key, value)?;
        }
        check_spline(self.bins, self.tail_bound)
    }

    /// None: see the other kinds.
    pub(super) fn networks(&self) -> Vec<(&'static str, &NetworkConfig)> {
        Vec::new()
    }

    /// Draws the weights.
    pub fn init(&self, space: GroupSpace, device: &Device, rng: &mut ChaCha8Rng) -> Flow {
        let transform = self.transform.kernel(self.bins, self.tail_bound);
        // Every second coupling transforms what the one before it kept: mixed at random each time, a feature would
        // stay untransformed with probability 2^−couplings.
        let permutation = |layer: usize| match layer % 2 {
            0 => self.permutation,
            _ => PermutationConfig::Swap,
        };
        let coupling = |layer: usize| CouplingConfig {
            features: space.targets,
            condition: space.conditions,
            permutation: permutation(layer),
            transform,
            width: self.width,
            hidden: self.hidden,
            residual: self.residual,
        };
        Flow {
            couplings: (0..self.couplings).map(|layer| coupling(layer).init(device, rng)).collect(),
            features: space.targets,
        }
    }
}

/// See the module documentation.
#[derive(Module, Debug)]
pub struct Flow {
    couplings: Vec<Coupling>,
    #[module(skip)]
    features: usize,
}

impl Flow {
    /// log p(target | condition) of every row, `[batch, 1]`, in model space.
    pub fn log_prob(&self, target: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let (z, log_det) = self.forward(target, condition);
        log_standard_normal(z) + log_det
    }

    /// The latent z of targets, `[batch, targets]`, and log|det ∂z/∂y|, `[batch, 1]`.
    pub fn forward(&self, target: Tensor<2>, condition: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let couplings = self.couplings.iter();
        let state = couplings.fold(with_zero(target), |state, c| c.forward(state, condition.clone()));
        (state.clone().narrow(1, 0, self.features), state.narrow(1, self.features, 1))
    }

    /// The targets of latents z, `[batch, targets]`; not differentiable.
    pub fn inverse(&self, latent: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let couplings = self.couplings.iter().rev();
        couplings.fold(with_zero(latent), |state, c| c.inverse(state, condition.clone())).narrow(
            1,
            0,
            self.features,
        )
    }
}

impl Flow {
    /// The features behind the first `couplings`, without the mixing of these: every feature stands where it does in the
    /// target.
    fn unmixed(&self, state: &Tensor<2>, couplings: usize) -> Tensor<2> {
        let features = state.clone().narrow(1, 0, self.features);
        self.couplings[..couplings].iter().rev().fold(features, |x, coupling| coupling.unmix(x))
    }
}

/// log N(z; 0, 1) of every row, `[batch, 1]`.
pub(super) fn log_standard_normal(z: Tensor<2>) -> Tensor<2> {
    let features = z.dims()[1] as f64;
    z.square().sum_dim(1) * -0.5 - 0.5 * features * (2.0 * std::f64::consts::PI).ln()
}

/// Features as the state of couplings: with a log-determinant of zero.
fn with_zero(x: Tensor<2>) -> Tensor<2> {
    let zero = Tensor::zeros([x.dims()[0], 1], &x.device());
    Tensor::cat(vec![x, zero], 1)
}

impl Surrogate for Flow {
    const LOSS_LABEL: &'static str = "−log p per dimension (nats)";
    const HAS_DENSITY: bool = true;

    fn loss(&self, batch: &Batch, _: Step, _: &mut ChaCha8Rng) -> Loss {
        let log_prob = Flow::log_prob(self, batch.target.clone(), batch.condition.clone());
        Loss::of(batch.mean(log_prob) / -(self.features as f64))
    }

    fn noise_width(&self) -> usize {
        self.features
    }

    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.inverse(noise, condition)
    }

    fn latent(&self, target: Tensor<2>, condition: Tensor<2>) -> Option<Tensor<2>> {
        Some(self.forward(target, condition).0)
    }

    fn trajectory(&self, noise: Tensor<2>, condition: Tensor<2>) -> Option<Vec<Tensor<2>>> {
        let mut state = with_zero(noise);
        let mut path = vec![self.unmixed(&state, self.couplings.len())];
        for (index, coupling) in self.couplings.iter().enumerate().rev() {
            state = coupling.inverse(state, condition.clone());
            path.push(self.unmixed(&state, index));
        }
        Some(path)
    }

    fn log_prob(
        &self,
        target: Tensor<2>,
        condition: Tensor<2>,
        _: usize,
        _: &mut ChaCha8Rng,
    ) -> Option<LogProb> {
        Some(LogProb::exact(Flow::log_prob(self, target, condition)))
    }
}

#[cfg(test)]
mod tests;
