//! Multilayer perceptron on the fused kernel, plain or with residual blocks; formulas at [`MlpShape`].

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::kernels::{self, Activation, Blocks, MlpShape};

/// Shape and initial weights of an [`Mlp`].
#[derive(Clone, Copy, Debug)]
pub struct MlpConfig {
    /// Layers.
    pub shape: MlpShape,
    /// Gain of the output layer; small values start a coupling near the identity.
    pub output_gain: f32,
}

/// Weights and biases of all layers in one vector; x `[batch, inputs]`, result `[batch, outputs]`.
#[derive(Module, Debug)]
pub struct Mlp {
    weights: Param<Tensor<1>>,
    #[module(skip)]
    shape: MlpShape,
}

/// Gain of layers in front of a rectifier (He et al. 2015).
pub(super) const HIDDEN_GAIN: f32 = std::f32::consts::SQRT_2;
/// Gain of the second layer of a residual block, so that blocks start near the identity.
pub(super) const RESIDUAL_GAIN: f32 = 0.1;

impl MlpConfig {
    /// Draws weights uniformly from ±gain·√(3/inputs), so that a gain of 1 keeps the variance of a layer's input;
    /// biases start at zero.
    pub fn init(&self, device: &Device, rng: &mut ChaCha8Rng) -> Mlp {
        let layers: Vec<_> = self.shape.layers().collect();
        let last = layers.len() - 1;
        let gain = |i: usize| match i {
            _ if i == last => self.output_gain,
            // The second layers of blocks follow their first ones, which follow the input layer.
            _ if self.shape.blocks != Blocks::Plain && i > 0 && i.is_multiple_of(2) => RESIDUAL_GAIN,
            _ => HIDDEN_GAIN,
        };
        let mut weights = Vec::with_capacity(self.shape.parameters());
        for (i, (inputs, outputs)) in layers.into_iter().enumerate() {
            let limit = gain(i) * (3.0 / inputs as f32).sqrt();
            weights.extend((0..inputs * outputs).map(|_| rng.gen_range(-1.0f32..1.0) * limit));
            weights.extend(std::iter::repeat_n(0.0, outputs));
        }
        let length = weights.len();
        let weights = Tensor::from_data(TensorData::new(weights, [length]), device);
        Mlp { weights: Param::from_tensor(weights), shape: self.shape }
    }
}

impl Mlp {
    /// Applies the network.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::mlp(x, self.weights(), self.shape)
    }

    /// ∂y/∂x `[batch, inputs]` of a plain network with one output and a piecewise linear activation, written out as
    /// W₁ᵀ·D₁·W₂ᵀ·D₂…, D the slopes at x: a differentiable function of the weights, with respect to which the slopes are
    /// constant almost everywhere.
    ///
    /// # Panics
    /// If the network is another one.
    pub fn input_gradient(&self, x: Tensor<2>) -> Tensor<2> {
        assert!(
            self.shape.blocks == Blocks::Plain && self.shape.outputs == 1,
            "a plain network with one output"
        );
        let layers = self.layers();
        let (last, hidden) = layers.split_last().expect("a network has a layer");
        let mut slopes = Vec::new();
        let mut h = x.detach();
        for (weights, biases) in hidden {
            let z = h.matmul(weights.clone().detach().transpose()) + biases.clone().detach().unsqueeze();
            let slope = piecewise_slope(&z, self.shape.activation);
            h = z * slope.clone();
            slopes.push(slope);
        }
        let rows = h.dims()[0];
        let gradient = last.0.clone().repeat_dim(0, rows);
        let backwards = hidden.iter().zip(slopes).rev();
        backwards.fold(gradient, |gradient, ((weights, _), slope)| (gradient * slope).matmul(weights.clone()))
    }

    /// Weights `[outputs, inputs]` and biases `[outputs]` of every layer.
    fn layers(&self) -> Vec<(Tensor<2>, Tensor<1>)> {
        let packed = self.weights();
        let mut start = 0;
        let layers = self.shape.layers().map(|(inputs, outputs)| {
            let weights = packed.clone().narrow(0, start, inputs * outputs).reshape([outputs, inputs]);
            let biases = packed.clone().narrow(0, start + inputs * outputs, outputs);
            start += (inputs + 1) * outputs;
            (weights, biases)
        });
        layers.collect()
    }

    /// All weights and biases clipped to [−limit, limit].
    pub fn clipped(mut self, limit: f64) -> Self {
        self.weights = super::clipped(self.weights, limit);
        self
    }

    /// The packed weights.
    pub(super) fn weights(&self) -> Tensor<1> {
        self.weights.val()
    }

    /// The layers.
    pub fn shape(&self) -> MlpShape {
        self.shape
    }
}

/// Slope of a piecewise linear activation at z.
///
/// # Panics
/// If the activation is another one.
pub(super) fn piecewise_slope<const D: usize>(z: &Tensor<D>, activation: Activation) -> Tensor<D> {
    let negative = match activation {
        Activation::Relu => 0.0,
        Activation::LeakyRelu(slope) => slope,
        other => panic!("{other:?} is not piecewise linear"),
    };
    z.clone().greater_elem(0.0).float() * (1.0 - negative) + negative
}
