//! Coupling layer: one part of the features, with the condition, decides how the other part is transformed
//! (Dinh, Sohl-Dickstein, Bengio 2016, "Real NVP", arXiv:1605.08803).
//!
//! With x = (a, b): y = (a, T(b; θ(a, condition))), log|det| = Σ log|∂T/∂b|, where T is elementwise,
//!
//! - affine: T(b) = b·exp(s) + t with s = c·tanh(s′/c) bounded by c = [`MAX_LOG_SCALE`], or
//! - a rational-quadratic spline ([`kernels::Spline`]).

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use super::{Mlp, MlpConfig};
use crate::kernels::{self, Spline};

/// Bound of the log-scale of an affine coupling: keeps the inverse well conditioned.
pub(super) const MAX_LOG_SCALE: f64 = 3.0;

/// Elementwise transform of a coupling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transform {
    /// RealNVP's scale and shift.
    Affine,
    /// Rational-quadratic spline.
    Spline(Spline),
}

impl Transform {
    fn parameters(&self) -> usize {
        match self {
            Self::Affine => 2,
            Self::Spline(spline) => spline.parameters(),
        }
    }
}

/// Shape of a [`Coupling`].
#[derive(Clone, Copy, Debug)]
pub struct CouplingConfig {
    /// Number of features, at least 1; the first half (rounded down) stays.
    pub features: usize,
    /// Width of the condition.
    pub condition: usize,
    /// How the second half is transformed.
    pub transform: Transform,
    /// Units in a hidden layer of the conditioner.
    pub width: usize,
    /// Hidden layers, or residual blocks.
    pub hidden: usize,
    /// Residual conditioner.
    pub residual: bool,
}

/// See the module documentation. Acts on `[batch, features]` with a condition `[batch, condition]`.
#[derive(Module, Debug)]
pub struct Coupling {
    conditioner: Mlp,
    #[module(skip)]
    kept: usize,
    #[module(skip)]
    transform: Transform,
}

/// Gain of the conditioner's last layer: the flow starts near the identity.
const OUTPUT_GAIN: f32 = 0.01;

impl CouplingConfig {
    /// Draws the weights.
    pub fn init(&self, device: &Device, rng: &mut ChaCha8Rng) -> Coupling {
        let kept = self.features / 2;
        // Without kept features and condition the parameters are constants: the bias, behind an input of zeros.
        let conditioner = MlpConfig {
            inputs: (kept + self.condition).max(1),
            outputs: (self.features - kept) * self.transform.parameters(),
            width: self.width,
            hidden: self.hidden,
            residual: self.residual,
            negative_slope: 0.0,
            output_gain: OUTPUT_GAIN,
        }
        .init(device, rng);
        Coupling { conditioner, kept, transform: self.transform }
    }
}

impl Coupling {
    /// (y, log|det| `[batch, 1]`)
    pub fn forward(&self, x: Tensor<2>, condition: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        self.apply(x, condition, |parameters, b| match self.transform {
            Transform::Affine => {
                let (log_scale, shift) = affine(parameters);
                (b * log_scale.clone().exp() + shift, log_scale.sum_dim(1))
            }
            Transform::Spline(spline) => kernels::spline(parameters, b, spline),
        })
    }

    /// Undoes [`Coupling::forward`].
    pub fn inverse(&self, y: Tensor<2>, condition: &Tensor<2>) -> Tensor<2> {
        let (x, _) = self.apply(y, condition, |parameters, b| match self.transform {
            Transform::Affine => {
                let (log_scale, shift) = affine(parameters);
                ((b - shift) * (-log_scale.clone()).exp(), -log_scale.sum_dim(1))
            }
            Transform::Spline(spline) => kernels::spline_inverse(parameters, b, spline),
        });
        x
    }

    fn apply(
        &self,
        x: Tensor<2>,
        condition: &Tensor<2>,
        transform: impl FnOnce(Tensor<2>, Tensor<2>) -> (Tensor<2>, Tensor<2>),
    ) -> (Tensor<2>, Tensor<2>) {
        let [rows, features] = x.dims();
        let inputs = [self.kept > 0, condition.dims()[1] > 0];
        if self.kept == 0 {
            let input = if inputs[1] { condition.clone() } else { Tensor::zeros([rows, 1], &x.device()) };
            return transform(self.conditioner.forward(input), x);
        }
        let a = x.clone().narrow(1, 0, self.kept);
        let b = x.narrow(1, self.kept, features - self.kept);
        let input = if inputs[1] { Tensor::cat(vec![a.clone(), condition.clone()], 1) } else { a.clone() };
        let (b, log_det) = transform(self.conditioner.forward(input), b);
        (Tensor::cat(vec![a, b], 1), log_det)
    }
}

/// Bounded log-scale and shift, `[batch, features]` each.
fn affine(parameters: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let half = parameters.dims()[1] / 2;
    let log_scale = parameters.clone().narrow(1, 0, half);
    ((log_scale / MAX_LOG_SCALE).tanh() * MAX_LOG_SCALE, parameters.narrow(1, half, half))
}
