//! Coupling layer on the fused kernel: features are mixed, then one half of them, with the condition, decides how the
//! other half moves; formulas at [`CouplingShape`].

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use super::{Mlp, MlpConfig, Permutation, PermutationConfig};
use crate::kernels::{self, Activation, Blocks, Columns, CouplingShape, MlpShape, Transform};

/// Shape of a [`Coupling`].
#[derive(Clone, Copy, Debug)]
pub struct CouplingConfig {
    /// Number of features, at least 1; the first half (rounded down) of the mixed features stays.
    pub features: usize,
    /// Width of the condition.
    pub condition: usize,
    /// How features are mixed beforehand.
    pub permutation: PermutationConfig,
    /// How the second half is transformed.
    pub transform: Transform,
    /// Units in a hidden layer of the conditioner.
    pub width: usize,
    /// Hidden layers, or residual blocks.
    pub hidden: usize,
    /// Residual conditioner.
    pub residual: bool,
}

/// See the module documentation. Acts on a state `[batch, features + 1]`, the features and the log-determinant so
/// far, with a condition `[batch, condition]`.
#[derive(Module, Debug)]
pub struct Coupling {
    permutation: Permutation,
    conditioner: Mlp,
    #[module(skip)]
    transform: Transform,
}

/// Gain of the conditioner's last layer: the flow starts near the identity.
const OUTPUT_GAIN: f32 = 0.01;

impl CouplingConfig {
    /// Draws the weights.
    pub fn init(&self, device: &Device, rng: &mut ChaCha8Rng) -> Coupling {
        let kept = self.features / 2;
        let permutation = self.permutation.init(self.features, device, rng);
        let shape = MlpShape {
            inputs: kept + self.condition,
            outputs: (self.features - kept) * self.transform.parameters(),
            width: self.width,
            hidden: self.hidden,
            blocks: if self.residual { Blocks::Residual } else { Blocks::Plain },
            activation: Activation::Relu,
        };
        let conditioner = MlpConfig { shape, output_gain: OUTPUT_GAIN }.init(device, rng);
        Coupling { permutation, conditioner, transform: self.transform }
    }
}

impl Coupling {
    /// The state behind the layer.
    pub fn forward(&self, state: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let features = state.dims()[1] - 1;
        let weights = self.conditioner.weights();
        if self.permutation.is_order() {
            return kernels::coupling(state, condition, weights, self.shape(self.permutation.columns()));
        }
        let state = with_log_det(state, |x| self.permutation.forward(x));
        kernels::coupling(state, condition, weights, self.shape(Columns::identity(features)))
    }

    /// Undoes [`Coupling::forward`]; not differentiable.
    pub fn inverse(&self, state: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let features = state.dims()[1] - 1;
        let weights = self.conditioner.weights();
        if self.permutation.is_order() {
            let shape = self.shape(self.permutation.columns());
            return kernels::coupling_inverse(state, condition, weights, shape);
        }
        let shape = self.shape(Columns::identity(features));
        let state = kernels::coupling_inverse(state, condition, weights, shape);
        with_log_det(state, |y| self.permutation.inverse(y))
    }

    /// Undoes the mixing of features alone.
    pub fn unmix(&self, features: Tensor<2>) -> Tensor<2> {
        self.permutation.inverse(features).0
    }

    fn shape(&self, columns: Columns) -> CouplingShape {
        CouplingShape { columns, transform: self.transform, mlp: self.conditioner.shape() }
    }
}

/// Applies a map of the features to a state, and adds the map's log-determinant.
fn with_log_det(
    state: Tensor<2>,
    map: impl FnOnce(Tensor<2>) -> (Tensor<2>, Option<Tensor<2>>),
) -> Tensor<2> {
    let features = state.dims()[1] - 1;
    let (x, log_det) = map(state.clone().narrow(1, 0, features));
    let log = state.narrow(1, features, 1);
    Tensor::cat(vec![x, log_det.map_or(log.clone(), |log_det| log + log_det)], 1)
}
