//! Invertible mixing of features between couplings.
//!
//! - `swap`: the order is reversed, so that the halves change places.
//! - `random`: a fixed random permutation.
//! - `lu`: a learned matrix W = L·U with unit lower triangle L and positive diagonal of U, after a fixed random
//!   permutation (Kingma & Dhariwal 2018, "Glow", eq. 10; nflows' `LULinear`): log|det W| = Σ log U_ii.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernels::{self, Columns};

/// Kind of [`Permutation`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PermutationConfig {
    /// The halves change places.
    Swap,
    /// A fixed random order.
    #[default]
    Random,
    /// A fixed random order followed by a learned LU-decomposed matrix.
    Lu,
}

/// See the module documentation. Acts on `[batch, features]`.
#[derive(Module, Debug)]
pub struct Permutation {
    order: Param<Tensor<1, Int>>,
    matrix: Option<Lu>,
}

/// Entries of L below and of U above the diagonal in one matrix; its diagonal holds log U_ii.
#[derive(Module, Debug)]
struct Lu {
    entries: Param<Tensor<2>>,
}

impl PermutationConfig {
    /// Draws the order; a learned matrix starts as the identity.
    pub fn init(&self, features: usize, device: &Device, rng: &mut ChaCha8Rng) -> Permutation {
        let order: Vec<i64> = match self {
            Self::Swap => (0..features as i64).rev().collect(),
            Self::Random | Self::Lu => shuffled(features, rng),
        };
        let order = Tensor::from_data(TensorData::new(order, [features]), &device.clone().without_autodiff());
        let matrix = (*self == Self::Lu)
            .then(|| Lu { entries: Param::from_tensor(Tensor::zeros([features, features], device)) });
        Permutation { order: Param::initialized(burn::module::ParamId::new(), order), matrix }
    }
}

/// A random order after which a coupling keeps other features than before: left to chance, two features would stay
/// where they are every other time, and one of them might never be transformed.
fn shuffled(n: usize, rng: &mut ChaCha8Rng) -> Vec<i64> {
    let mut order: Vec<i64> = (0..n as i64).collect();
    let kept = n / 2;
    loop {
        order.shuffle(rng);
        if kept == 0 || order[..kept].iter().any(|&feature| feature >= kept as i64) {
            return order;
        }
    }
}

impl Permutation {
    /// The permuted features and log|det|, `[1, 1]`; none where it is zero.
    pub fn forward(&self, x: Tensor<2>) -> (Tensor<2>, Option<Tensor<2>>) {
        let x = kernels::permute_columns(x, &self.columns());
        match &self.matrix {
            None => (x, None),
            Some(lu) => {
                let (lower, upper, log_det) = lu.factors();
                (x.matmul(lower).matmul(upper), Some(log_det))
            }
        }
    }

    /// Undoes [`Permutation::forward`]; its log|det| is the negative.
    pub fn inverse(&self, y: Tensor<2>) -> (Tensor<2>, Option<Tensor<2>>) {
        let (y, log_det) = match &self.matrix {
            None => (y, None),
            Some(lu) => (y.clone().matmul(lu.inverse(&y.device())), Some(-lu.factors().2)),
        };
        (kernels::permute_columns(y, &self.columns().inverse()), log_det)
    }

    /// Whether nothing but the order changes.
    pub(super) fn is_order(&self) -> bool {
        self.matrix.is_none()
    }

    /// The order.
    pub(super) fn columns(&self) -> Columns {
        let order = self.order.val().into_data();
        Columns::new(order.iter::<i64>().map(|c| c as u32).collect())
    }
}

impl Lu {
    /// L, U and log|det|.
    fn factors(&self) -> (Tensor<2>, Tensor<2>, Tensor<2>) {
        let entries = self.entries.val();
        let n = entries.dims()[0];
        let device = entries.device();
        let eye = Tensor::<2>::eye(n, &device);
        let log_diagonal = (entries.clone() * eye.clone()).sum_dim(1);
        let lower = entries.clone().tril(-1) + eye.clone();
        let upper = entries.triu(1) + eye * log_diagonal.clone().exp();
        (lower, upper, log_diagonal.sum_dim(0))
    }

    /// (L·U)⁻¹ by substitution in `f64`.
    fn inverse(&self, device: &Device) -> Tensor<2> {
        let data = self.entries.val().into_data();
        let n = data.shape()[0];
        let a: Vec<f64> = data.iter::<f64>().collect();
        let mut inverse = vec![0.0f32; n * n];
        for column in 0..n {
            let mut x = vec![0.0f64; n];
            x[column] = 1.0;
            for i in 0..n {
                x[i] -= (0..i).map(|j| a[i * n + j] * x[j]).sum::<f64>();
            }
            for i in (0..n).rev() {
                x[i] = (x[i] - (i + 1..n).map(|j| a[i * n + j] * x[j]).sum::<f64>()) / a[i * n + i].exp();
            }
            for (i, &x) in x.iter().enumerate() {
                inverse[i * n + column] = x as f32;
            }
        }
        Tensor::from_data(TensorData::new(inverse, [n, n]), &device.clone().inner())
    }
}
