//! Masked autoregressive flow (Papamakarios, Pavlakou, Murray 2017, arXiv:1705.07057), with affine transforms or
//! rational-quadratic splines (Durkan et al. 2019, arXiv:1906.04032).
//!
//! Each layer maps feature i of x by an elementwise transform whose parameters a masked network computes from x_<i and the
//! condition, z_i = T(x_i; θ_i(x_<i, c)), so that log|det ∂z/∂x| = Σ log ∂T/∂x_i. The order of the features is reversed
//! between layers. Densities take one pass, generation one for every feature. The loss is −log p per target dimension.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flow::{TransformKind, check_spline, log_standard_normal};
use super::network::{NetworkConfig, check_count};
use super::{Batch, GroupSpace, LogProb, Loss, Step, Surrogate};
use crate::config::ConfigError;
use crate::kernels::{self, Columns, Transform};
use crate::nn::{Made, MadeConfig};

/// Shape of a [`Maf`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MafConfig {
    /// Elementwise transform.
    pub transform: TransformKind,
    /// Number of layers.
    pub layers: usize,
    /// Units in a hidden layer of a network.
    pub width: usize,
    /// Hidden layers of a network.
    pub hidden: usize,
    /// Bins of a spline.
    pub bins: usize,
    /// Splines act on [-tail_bound, tail_bound] of the standardised targets and are the identity outside.
    pub tail_bound: f32,
}

impl Default for MafConfig {
    /// Five layers as in the paper.
    fn default() -> Self {
        Self { transform: TransformKind::Spline, layers: 5, width: 128, hidden: 2, bins: 8, tail_bound: 5.0 }
    }
}

/// Gain of the output layers: the flow starts near the identity.
const OUTPUT_GAIN: f32 = 0.01;

impl MafConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (key, value) in [("layers", self.layers), ("width", self.width), ("hidden", self.hidden)] {
            check_count(key, value)?;
        }
        check_spline(self.bins, self.tail_bound)
    }

    /// None: see the other kinds.
    pub(super) fn networks(&self) -> Vec<(&'static str, &NetworkConfig)> {
        Vec::new()
    }

    /// Draws the weights.
    pub fn init(&self, space: GroupSpace, device: &Device, rng: &mut ChaCha8Rng) -> Maf {
        let transform = self.transform.kernel(self.bins, self.tail_bound);
        let network = MadeConfig {
            features: space.targets,
            condition: space.conditions,
            parameters: transform.parameters(),
            width: self.width,
            hidden: self.hidden,
            output_gain: OUTPUT_GAIN,
        };
        Maf {
            networks: (0..self.layers).map(|_| network.init(device, rng)).collect(),
            transform,
            features: space.targets,
        }
    }
}

/// See the module documentation.
#[derive(Module, Debug)]
pub struct Maf {
    networks: Vec<Made>,
    #[module(skip)]
    transform: Transform,
    #[module(skip)]
    features: usize,
}

impl Maf {
    fn reversed(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::permute_columns(x, &Columns::new((0..self.features as u32).rev().collect()))
    }

    /// Undoes a layer.
    fn inverse(&self, network: &Made, z: Tensor<2>, condition: &Tensor<2>) -> Tensor<2> {
        let z = self.reversed(z);
        network.one_by_one(z.dims()[0], condition, |parameters, i| {
            kernels::transform_inverse(parameters, z.clone().narrow(1, i, 1), self.transform).0
        })
    }

    /// (z, log|det|)
    fn forward(&self, x: Tensor<2>, condition: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let start = Tensor::zeros([x.dims()[0], 1], &x.device());
        self.networks.iter().fold((x, start), |(x, log), network| {
            let parameters = network.forward(x.clone(), condition.clone());
            let (z, more) = kernels::transform(parameters, x, self.transform);
            (self.reversed(z), log + more)
        })
    }
}

impl Surrogate for Maf {
    const LOSS_LABEL: &'static str = "−log p per dimension (nats)";
    const HAS_DENSITY: bool = true;

    fn loss(&self, batch: &Batch, _: Step, _: &mut ChaCha8Rng) -> Loss {
        let (z, log_det) = self.forward(batch.target.clone(), &batch.condition);
        Loss::of(batch.mean(log_standard_normal(z) + log_det) / -(self.features as f64))
    }

    fn noise_width(&self) -> usize {
        self.features
    }

    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.networks.iter().rev().fold(noise, |z, network| self.inverse(network, z, &condition))
    }

    fn trajectory(&self, noise: Tensor<2>, condition: Tensor<2>) -> Option<Vec<Tensor<2>>> {
        // Layers still to be undone reverse the order once each.
        let in_order = |x: &Tensor<2>, left: usize| {
            if left.is_multiple_of(2) { x.clone() } else { self.reversed(x.clone()) }
        };
        let mut path = vec![in_order(&noise, self.networks.len())];
        let mut x = noise;
        for (left, network) in self.networks.iter().enumerate().rev() {
            x = self.inverse(network, x, &condition);
            path.push(in_order(&x, left));
        }
        Some(path)
    }

    fn latent(&self, target: Tensor<2>, condition: Tensor<2>) -> Option<Tensor<2>> {
        Some(self.forward(target, &condition).0)
    }

    fn log_prob(
        &self,
        target: Tensor<2>,
        condition: Tensor<2>,
        _: usize,
        _: &mut ChaCha8Rng,
    ) -> Option<LogProb> {
        let (z, log_det) = self.forward(target, &condition);
        Some(LogProb::exact(log_standard_normal(z) + log_det))
    }
}
