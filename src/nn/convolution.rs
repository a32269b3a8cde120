//! One convolution of images, or its transpose, on the fused kernel; formulas at [`ConvolutionShape`].

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::kernels::{self, ConvolutionShape};

/// Weights `[c, C, kernel, kernel]` (c channels of the small image, C of the large one) and biases `[output channels]`.
#[derive(Module, Debug)]
pub struct Convolution {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    shape: ConvolutionShape,
}

impl Convolution {
    /// Draws weights uniformly from ±gain·√(3/n), n the number of inputs that an output pixel sees, so that a gain of 1
    /// keeps the variance; biases start at zero.
    pub fn init(shape: ConvolutionShape, gain: f32, device: &Device, rng: &mut ChaCha8Rng) -> Self {
        let ConvolutionShape { large: [large, ..], small: [small, ..], kernel, stride, transposed, .. } =
            shape;
        let (outputs, seen) = if transposed {
            // Every stride-th row and column of the kernel meets a pixel.
            (large, small as f32 * (kernel as f32 / stride as f32).powi(2))
        } else {
            (small, (large * kernel * kernel) as f32)
        };
        let limit = gain * (3.0 / seen).sqrt();
        let dims = [small, large, kernel, kernel];
        let weight: Vec<f32> =
            (0..dims.iter().product()).map(|_| rng.gen_range(-1.0f32..1.0) * limit).collect();
        Self {
            weight: Param::from_tensor(Tensor::from_data(TensorData::new(weight, dims), device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
            shape,
        }
    }

    /// Applies the layer to x `[batch, channels, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::convolution(x, self.weight.val(), self.bias.val(), self.shape)
    }

    /// [`Self::forward`], of which the weights learn nothing.
    pub fn forward_fixed(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::convolution(x, self.weight.val().detach(), self.bias.val().detach(), self.shape)
    }

    /// Gradient with respect to the input for a gradient of the output: a differentiable function of both weights and
    /// gradient.
    pub fn input_gradient(&self, gradient: Tensor<4>) -> Tensor<4> {
        let shape = ConvolutionShape { transposed: !self.shape.transposed, ..self.shape };
        let channels = if shape.transposed { shape.large[0] } else { shape.small[0] };
        let bias = Tensor::zeros([channels], &gradient.device());
        kernels::convolution(gradient, self.weight.val(), bias, shape)
    }

    /// All weights and biases clipped to [−limit, limit].
    pub fn clipped(mut self, limit: f64) -> Self {
        self.weight = super::clipped(self.weight, limit);
        self.bias = super::clipped(self.bias, limit);
        self
    }
}
