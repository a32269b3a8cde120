//! The networks inside models: perceptrons, and convolutional ones for images.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{ImageDecoder, ImageEncoder, ImageField, Mlp};

/// A network from x `[batch, inputs]` to `[batch, outputs]`.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a model has two or three networks")]
pub enum Network {
    /// Of layers that see all of the layer before.
    Mlp(Mlp),
    /// From an image.
    ImageEncoder(ImageEncoder),
    /// To an image.
    ImageDecoder(ImageDecoder),
    /// From image to image.
    ImageField(ImageField),
}

impl Network {
    /// Applies the network.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Mlp(network) => network.forward(x),
            Self::ImageEncoder(network) => network.forward(x),
            Self::ImageDecoder(network) => network.forward(x),
            Self::ImageField(network) => network.forward(x),
        }
    }

    /// See [`Mlp::input_gradient`].
    ///
    /// # Panics
    /// If the network is none of plain layers with one output and a piecewise linear activation.
    pub fn input_gradient(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Mlp(network) => network.input_gradient(x),
            Self::ImageEncoder(network) => network.input_gradient(x),
            other => panic!("no critic: {other}"),
        }
    }

    /// All weights and biases clipped to [−limit, limit].
    ///
    /// # Panics
    /// If the network ends in an image.
    pub fn clipped(self, limit: f64) -> Self {
        match self {
            Self::Mlp(network) => Self::Mlp(network.clipped(limit)),
            Self::ImageEncoder(network) => Self::ImageEncoder(network.clipped(limit)),
            other => panic!("no critic: {other}"),
        }
    }
}
