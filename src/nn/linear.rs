//! Linear layer with activation on the fused kernel.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::kernels::{self, Activation};

/// Shape and initial size of a [`Linear`] layer.
#[derive(Clone, Copy, Debug)]
pub struct LinearConfig {
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
    /// Weights are drawn uniformly from ±gain·√(3/inputs), so that a gain of 1 keeps the variance of the input;
    /// √2 suits ReLU (He et al. 2015).
    pub gain: f32,
}

/// `activation(x · weight + bias)`, x `[batch, inputs]`, result `[batch, outputs]`.
#[derive(Module, Debug)]
pub struct Linear {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl LinearConfig {
    /// Draws the weights; the bias starts at zero.
    pub fn init(&self, device: &Device, rng: &mut ChaCha8Rng) -> Linear {
        let limit = self.gain * (3.0 / self.inputs as f32).sqrt();
        let weights: Vec<f32> =
            (0..self.inputs * self.outputs).map(|_| rng.gen_range(-1.0f32..1.0) * limit).collect();
        let weight = Tensor::from_data(TensorData::new(weights, [self.inputs, self.outputs]), device);
        Linear {
            weight: Param::from_tensor(weight),
            bias: Param::from_tensor(Tensor::zeros([self.outputs], device)),
        }
    }
}

impl Linear {
    /// Applies the layer.
    pub fn forward(&self, x: Tensor<2>, activation: Activation) -> Tensor<2> {
        kernels::linear(x, self.weight.val(), self.bias.val(), activation)
    }
}
