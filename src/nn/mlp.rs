//! Multilayer perceptron, plain or with residual blocks.
//!
//! Plain: `hidden` layers of `width` units. Residual (as nflows' `ResidualNet`): one layer to `width`, then blocks
//! h ← h + W₂·a(W₁·a(h)) of two layers each. The output layer is linear.

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use rand_chacha::ChaCha8Rng;

use super::{Linear, LinearConfig};
use crate::kernels::Activation;

/// Shape of an [`Mlp`].
#[derive(Clone, Copy, Debug)]
pub struct MlpConfig {
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
    /// Units in a hidden layer.
    pub width: usize,
    /// Hidden layers, or residual blocks.
    pub hidden: usize,
    /// Residual blocks instead of plain layers.
    pub residual: bool,
    /// Slope of the leaky ReLU for negative values; 0 is the plain ReLU.
    pub negative_slope: f32,
    /// Gain of the output layer; small values start a coupling near the identity.
    pub output_gain: f32,
}

/// See the module documentation; x `[batch, inputs]`, result `[batch, outputs]`.
#[derive(Module, Debug)]
pub struct Mlp {
    input: Linear,
    hidden: Vec<Linear>,
    output: Linear,
    residual: bool,
    negative_slope: f32,
}

/// He gain, for layers in front of a ReLU.
const RELU_GAIN: f32 = std::f32::consts::SQRT_2;
/// Gain of the second layer of a residual block, so that blocks start near the identity.
const RESIDUAL_GAIN: f32 = 0.1;

impl MlpConfig {
    /// Draws the weights.
    pub fn init(&self, device: &Device, rng: &mut ChaCha8Rng) -> Mlp {
        let width = self.width;
        let mut layer = |inputs, outputs, gain| LinearConfig { inputs, outputs, gain }.init(device, rng);
        let input = layer(self.inputs, width, RELU_GAIN);
        let hidden = if self.residual {
            (0..2 * self.hidden).map(|i| layer(width, width, [RELU_GAIN, RESIDUAL_GAIN][i % 2])).collect()
        } else {
            (1..self.hidden).map(|_| layer(width, width, RELU_GAIN)).collect()
        };
        let output = layer(width, self.outputs, self.output_gain);
        Mlp { input, hidden, output, residual: self.residual, negative_slope: self.negative_slope }
    }
}

impl Mlp {
    /// Applies the network.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let h = if self.residual { self.residual_blocks(x) } else { self.plain_layers(x) };
        self.output.forward(h, Activation::Identity)
    }

    fn activation(&self) -> Activation {
        if self.negative_slope == 0.0 { Activation::Relu } else { Activation::LeakyRelu(self.negative_slope) }
    }

    fn plain_layers(&self, x: Tensor<2>) -> Tensor<2> {
        let first = self.input.forward(x, self.activation());
        self.hidden.iter().fold(first, |h, layer| layer.forward(h, self.activation()))
    }

    fn residual_blocks(&self, x: Tensor<2>) -> Tensor<2> {
        let first = self.input.forward(x, Activation::Identity);
        let h = self.hidden.chunks_exact(2).fold(first, |h, block| {
            let inner = block[0].forward(self.activate(h.clone()), self.activation());
            h + block[1].forward(inner, Activation::Identity)
        });
        self.activate(h)
    }

    fn activate(&self, h: Tensor<2>) -> Tensor<2> {
        activation::leaky_relu(h, self.negative_slope.into())
    }
}
