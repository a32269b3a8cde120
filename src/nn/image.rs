//! Convolutional networks between vectors and images `[channels, height, width]`, which stand in a vector pixel by pixel,
//! width fastest.
//!
//! - [`ImageEncoder`]: convolutions of stride 2, then an MLP that also sees the rest of the input;
//! - [`ImageDecoder`]: an MLP, then transposed convolutions of stride 2 (both as in DCGAN, Radford, Metz, Chintala 2015,
//!   arXiv:1511.06434, without normalisation);
//! - [`ImageField`]: image to image, with a rest that shifts every channel: residual blocks at every resolution on the way
//!   down and up, joined by sums (after the U-Net of Ronneberger, Fischer, Brox 2015, arXiv:1505.04597, as Ho, Jain, Abbeel
//!   2020, arXiv:2006.11239, use it).

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use super::mlp::{HIDDEN_GAIN, RESIDUAL_GAIN, piecewise_slope};
use super::{Convolution, Mlp, MlpConfig};
use crate::kernels::{Activation, ConvolutionShape, MlpShape, activate};

/// Halving and doubling of images: a kernel that is a multiple of the stride covers all pixels alike.
const KERNEL: usize = 4;
/// Convolutions that keep the size.
const SAME_KERNEL: usize = 3;

/// Convolutions around an MLP.
#[derive(Clone, Debug)]
pub struct ImageConfig {
    /// Channels, height and width.
    pub image: [usize; 3],
    /// Channels: of an [`ImageField`] at every resolution from the full one, of the others after every halving.
    pub channels: Vec<usize>,
    /// The MLP; its `inputs` and `outputs` are those of the whole network.
    pub mlp: MlpShape,
}

fn pixels([channels, height, width]: [usize; 3]) -> usize {
    channels * height * width
}

/// Image from `large` to half its size.
fn halving(large: [usize; 3], channels: usize) -> ConvolutionShape {
    let small = [channels, large[1] / 2, large[2] / 2];
    ConvolutionShape { large, small, kernel: KERNEL, stride: 2, padding: 1, transposed: false }
}

fn same(image: [usize; 3], channels: usize) -> ConvolutionShape {
    let small = [channels, image[1], image[2]];
    ConvolutionShape { large: image, small, kernel: SAME_KERNEL, stride: 1, padding: 1, transposed: false }
}

/// The first columns as an image, and the rest.
fn split(x: Tensor<2>, image: [usize; 3]) -> (Tensor<4>, Option<Tensor<2>>) {
    let ([batch, columns], first) = (x.dims(), pixels(image));
    let rest = (columns > first).then(|| x.clone().narrow(1, first, columns - first));
    let [channels, height, width] = image;
    (x.narrow(1, 0, first).reshape([batch, channels, height, width]), rest)
}

fn flat(image: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = image.dims();
    image.reshape([batch, channels * height * width])
}

fn joined(first: Tensor<2>, rest: Option<Tensor<2>>) -> Tensor<2> {
    match rest {
        Some(rest) => Tensor::cat(vec![first, rest], 1),
        None => first,
    }
}

impl ImageConfig {
    /// Shapes of the halvings, from the image on.
    fn halvings(image: [usize; 3], channels: &[usize]) -> Vec<ConvolutionShape> {
        let mut large = image;
        let halve = |&channels: &usize| {
            let shape = halving(large, channels);
            large = shape.small;
            shape
        };
        channels.iter().map(halve).collect()
    }

    /// A network whose input starts with the image.
    pub fn encoder(&self, device: &Device, rng: &mut ChaCha8Rng) -> ImageEncoder {
        let shapes = Self::halvings(self.image, &self.channels);
        let last = shapes.last().map_or(self.image, |shape| shape.small);
        let convolutions = shapes.into_iter().map(|shape| Convolution::init(shape, HIDDEN_GAIN, device, rng));
        let inputs = self.mlp.inputs - pixels(self.image) + pixels(last);
        ImageEncoder {
            convolutions: convolutions.collect(),
            head: MlpConfig { shape: MlpShape { inputs, ..self.mlp }, output_gain: 1.0 }.init(device, rng),
            image: self.image,
        }
    }

    /// A network whose output is one or more images.
    pub fn decoder(&self, device: &Device, rng: &mut ChaCha8Rng) -> ImageDecoder {
        let [_, height, width] = self.image;
        let image = [self.mlp.outputs / (height * width), height, width];
        let shapes = Self::halvings(image, &self.channels);
        let small = shapes.last().map_or(image, |shape| shape.small);
        let stem = MlpShape { outputs: pixels(small), ..self.mlp };
        let stem = MlpConfig { shape: stem, output_gain: HIDDEN_GAIN }.init(device, rng);
        let shapes = shapes.into_iter().enumerate().rev();
        let convolutions = shapes.map(|(i, shape)| {
            let gain = if i == 0 { 1.0 } else { HIDDEN_GAIN };
            Convolution::init(ConvolutionShape { transposed: true, ..shape }, gain, device, rng)
        });
        ImageDecoder { stem, convolutions: convolutions.collect(), small }
    }

    /// A network from image and rest to image.
    pub fn field(&self, device: &Device, rng: &mut ChaCha8Rng) -> ImageField {
        let (first, deeper) = self.channels.split_first().expect("there is at least the full resolution");
        let full = [*first, self.image[1], self.image[2]];
        let shapes = Self::halvings(full, deeper);
        let sizes: Vec<[usize; 3]> =
            std::iter::once(full).chain(shapes.iter().map(|shape| shape.small)).collect();
        let inputs = self.mlp.inputs - pixels(self.image);
        let shifts: usize = sizes.iter().map(|size| 2 * size[0]).sum();
        let rest = MlpShape { inputs, outputs: shifts, ..self.mlp };
        let mut init = |shape, gain| Convolution::init(shape, gain, device, rng);
        let blocks = |init: &mut dyn FnMut(ConvolutionShape, f32) -> Convolution| {
            sizes.iter().map(|&size| init(same(size, size[0]), RESIDUAL_GAIN)).collect()
        };
        ImageField {
            input: init(same(self.image, *first), 1.0),
            on_the_way_down: blocks(&mut init),
            down: shapes.iter().map(|&shape| init(shape, 1.0)).collect(),
            up: shapes
                .iter()
                .map(|&shape| init(ConvolutionShape { transposed: true, ..shape }, 1.0))
                .collect(),
            on_the_way_up: blocks(&mut init),
            output: init(same(full, self.image[0]), 1.0),
            shifts: MlpConfig { shape: rest, output_gain: 1.0 }.init(device, rng),
            image: self.image,
        }
    }
}

/// Image and rest `[batch, pixels + rest]` to a vector.
#[derive(Module, Debug)]
pub struct ImageEncoder {
    convolutions: Vec<Convolution>,
    head: Mlp,
    #[module(skip)]
    image: [usize; 3],
}

impl ImageEncoder {
    fn activation(&self) -> Activation {
        self.head.shape().activation
    }

    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (image, rest) = split(x, self.image);
        let features =
            self.convolutions.iter().fold(image, |h, layer| activate(layer.forward(h), self.activation()));
        self.head.forward(joined(flat(features), rest))
    }

    /// See [`Mlp::input_gradient`].
    pub(super) fn input_gradient(&self, x: Tensor<2>) -> Tensor<2> {
        let (image, rest) = split(x.detach(), self.image);
        let mut h = image;
        let mut slopes = Vec::new();
        for layer in &self.convolutions {
            let z = layer.forward_fixed(h);
            let slope = piecewise_slope(&z, self.activation());
            h = z * slope.clone();
            slopes.push(slope);
        }
        let features = h.dims();
        let gradient = self.head.input_gradient(joined(flat(h), rest));
        let [_, channels, height, width] = features;
        let (gradient, rest) = split(gradient, [channels, height, width]);
        let layers = self.convolutions.iter().zip(slopes).rev();
        let gradient =
            layers.fold(gradient, |gradient, (layer, slope)| layer.input_gradient(gradient * slope));
        joined(flat(gradient), rest)
    }

    pub(super) fn clipped(mut self, limit: f64) -> Self {
        self.convolutions = self.convolutions.into_iter().map(|layer| layer.clipped(limit)).collect();
        self.head = self.head.clipped(limit);
        self
    }
}

/// A vector to images `[batch, pixels]`.
#[derive(Module, Debug)]
pub struct ImageDecoder {
    stem: Mlp,
    convolutions: Vec<Convolution>,
    #[module(skip)]
    small: [usize; 3],
}

impl ImageDecoder {
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (image, _) = split(self.stem.forward(x), self.small);
        let activation = self.stem.shape().activation;
        flat(self.convolutions.iter().fold(image, |h, layer| layer.forward(activate(h, activation))))
    }
}

/// Image and rest `[batch, pixels + rest]` to an image `[batch, pixels]`.
#[derive(Module, Debug)]
pub struct ImageField {
    input: Convolution,
    on_the_way_down: Vec<Convolution>,
    down: Vec<Convolution>,
    up: Vec<Convolution>,
    on_the_way_up: Vec<Convolution>,
    output: Convolution,
    shifts: Mlp,
    #[module(skip)]
    image: [usize; 3],
}

impl ImageField {
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (image, rest) = split(x, self.image);
        let rest = rest.expect("a field depends on the time");
        let mut shifts = Shifts { values: self.shifts.forward(rest), used: 0 };
        let activation = self.shifts.shape().activation;
        let mut block = |h: Tensor<4>, layer: &Convolution| {
            let shifted = h.clone() + shifts.next(h.dims()[1]);
            h + layer.forward(activate(shifted, activation))
        };
        let mut h = self.input.forward(image);
        let mut passed = Vec::new();
        for (i, layer) in self.on_the_way_down.iter().enumerate() {
            h = block(h, layer);
            if let Some(down) = self.down.get(i) {
                passed.push(h.clone());
                h = down.forward(h);
            }
        }
        for (i, layer) in self.on_the_way_up.iter().enumerate().rev() {
            h = block(h, layer);
            if let Some(across) = passed.pop() {
                h = self.up[i - 1].forward(h) + across;
            }
        }
        flat(self.output.forward(activate(h, activation)))
    }
}

/// Shifts of channels that are still to be used, `[batch, channels]`.
struct Shifts {
    values: Tensor<2>,
    used: usize,
}

impl Shifts {
    fn next(&mut self, channels: usize) -> Tensor<4> {
        let shift = self.values.clone().narrow(1, self.used, channels);
        self.used += channels;
        let batch = shift.dims()[0];
        shift.reshape([batch, channels, 1, 1])
    }
}
