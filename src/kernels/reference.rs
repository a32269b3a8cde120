//! The kernels as compositions of Burn operations: what the fused ones are compared with, and what runs on devices and
//! element types without a fused kernel. Differentiated by Burn.

use std::ops::Range;

use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Bool, Int, Tensor, TensorData, activation};

use super::norm::EPSILON;
use super::spline::{DERIVATIVE_SHIFT, MIN_BIN, MIN_DERIVATIVE};
use super::transform::MAX_LOG_SCALE;
use super::{
    Activation, AdamWStep, Blocks, Columns, ConvolutionShape, CouplingShape, MlpShape, Spline, Transform,
};

/// See [`super::mlp`].
pub fn mlp(x: Tensor<2>, weights: Tensor<1>, shape: MlpShape) -> Tensor<2> {
    let layers: Vec<_> = shape.packed_layers().collect();
    let apply = |i: usize, x: Tensor<2>| {
        let layer = layers[i];
        let part = |range: Range<usize>| weights.clone().narrow(0, range.start, range.len());
        let biases = part(layer.biases()).unsqueeze();
        if layer.inputs == 0 {
            return biases.repeat_dim(0, x.dims()[0]);
        }
        let matrix = part(layer.weights()).reshape([layer.outputs, layer.inputs]);
        x.matmul(matrix.transpose()) + biases
    };
    let activate = |z: Tensor<2>| activate(z, shape.activation);
    let last = layers.len() - 1;
    let h = if shape.blocks != Blocks::Plain && last > 0 {
        let lead = |h: Tensor<2>| if shape.blocks == Blocks::LayerNorm { normalise(h) } else { activate(h) };
        let h = (1..last).step_by(2).fold(apply(0, x), |h, i| {
            let inner = activate(apply(i, lead(h.clone())));
            h + apply(i + 1, inner)
        });
        lead(h)
    } else {
        (0..last).fold(x, |h, i| activate(apply(i, h)))
    };
    apply(last, h)
}

fn normalise(h: Tensor<2>) -> Tensor<2> {
    let centred = h.clone() - h.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    centred / (variance + EPSILON).sqrt()
}

/// See [`super::activate`].
pub fn activate<const D: usize>(z: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Relu => activation::relu(z),
        Activation::LeakyRelu(slope) => activation::leaky_relu(z, slope.into()),
        Activation::Silu => activation::silu(z),
        Activation::Gelu => activation::gelu(z),
        Activation::Tanh => z.tanh(),
    }
}

/// See [`super::coupling`].
pub fn coupling(
    state: Tensor<2>,
    condition: Tensor<2>,
    weights: Tensor<1>,
    shape: &CouplingShape,
) -> Tensor<2> {
    let features = shape.features();
    let x = permute_columns(state.clone().narrow(1, 0, features), &shape.columns);
    let log = state.narrow(1, features, 1);
    let (y, log_det) = move_second_half(x, condition, weights, shape, transform);
    Tensor::cat(vec![y, log + log_det], 1)
}

/// See [`super::coupling_inverse`].
pub fn coupling_inverse(
    state: Tensor<2>,
    condition: Tensor<2>,
    weights: Tensor<1>,
    shape: &CouplingShape,
) -> Tensor<2> {
    let features = shape.features();
    let log = state.clone().narrow(1, features, 1);
    let y = state.narrow(1, 0, features);
    let (x, log_det) = move_second_half(y, condition, weights, shape, transform_inverse);
    Tensor::cat(vec![permute_columns(x, &shape.columns.inverse()), log + log_det], 1)
}

fn move_second_half(
    x: Tensor<2>,
    condition: Tensor<2>,
    weights: Tensor<1>,
    shape: &CouplingShape,
    transform: fn(Tensor<2>, Tensor<2>, Transform) -> (Tensor<2>, Tensor<2>),
) -> (Tensor<2>, Tensor<2>) {
    let (features, fixed) = (shape.features(), shape.fixed());
    let b = x.clone().narrow(1, fixed, features - fixed);
    // Burn does not join matrices without columns.
    let parts: Vec<Tensor<2>> = [(fixed > 0).then(|| x.narrow(1, 0, fixed)), Some(condition)]
        .into_iter()
        .flatten()
        .filter(|part| part.dims()[1] > 0)
        .collect();
    let input = if parts.is_empty() { b.clone() } else { Tensor::cat(parts, 1) };
    let (b, log_det) = transform(mlp(input.clone(), weights, shape.mlp), b, shape.transform);
    let y = if fixed > 0 { Tensor::cat(vec![input.narrow(1, 0, fixed), b], 1) } else { b };
    (y, log_det)
}

/// See [`super::transform`].
pub fn transform(parameters: Tensor<2>, x: Tensor<2>, transform: Transform) -> (Tensor<2>, Tensor<2>) {
    match transform {
        Transform::Spline(shape) => spline(parameters, x, shape),
        Transform::Affine => {
            let (log_scale, shift) = affine(parameters, x.dims());
            (x * log_scale.clone().exp() + shift, log_scale.sum_dim(1))
        }
    }
}

/// See [`super::transform_inverse`].
pub fn transform_inverse(
    parameters: Tensor<2>,
    y: Tensor<2>,
    transform: Transform,
) -> (Tensor<2>, Tensor<2>) {
    match transform {
        Transform::Spline(shape) => spline_inverse(parameters, y, shape),
        Transform::Affine => {
            let (log_scale, shift) = affine(parameters, y.dims());
            ((y - shift) * (-log_scale.clone()).exp(), -log_scale.sum_dim(1))
        }
    }
}

/// Bounded log-scale and shift, `[batch, features]` each.
fn affine(parameters: Tensor<2>, [rows, features]: [usize; 2]) -> (Tensor<2>, Tensor<2>) {
    let parameters = parameters.reshape([rows, features, 2]);
    let part = |i: usize| parameters.clone().narrow(2, i, 1).squeeze_dim::<2>(2);
    let bound = f64::from(MAX_LOG_SCALE);
    ((part(0) / bound).tanh() * bound, part(1))
}

/// See [`super::convolution`].
pub fn convolution(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, shape: ConvolutionShape) -> Tensor<4> {
    let (stride, padding) = ([shape.stride; 2], [shape.padding; 2]);
    if !shape.transposed {
        return conv2d(x, weight, Some(bias), ConvOptions::new(stride, padding, [1, 1], 1));
    }
    // What the patches do not reach.
    let rest = [1, 2].map(|i| {
        let reach = (shape.small[i] - 1) * shape.stride + shape.kernel;
        shape.large[i] + 2 * shape.padding - reach
    });
    conv_transpose2d(x, weight, Some(bias), ConvTransposeOptions::new(stride, padding, rest, [1, 1], 1))
}

/// See [`super::log_sum_exp`].
pub fn log_sum_exp(x: Tensor<2>) -> Tensor<2> {
    let max = x.clone().detach().max_dim(1);
    let sum = (x - max.clone()).exp().sum_dim(1);
    sum.log() + max
}

/// See [`super::permute_columns`].
pub fn permute_columns(x: Tensor<2>, columns: &Columns) -> Tensor<2> {
    let indices: Vec<i64> = columns.as_slice().iter().map(|&c| c.into()).collect();
    let length = indices.len();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [length]), &x.device());
    x.select(1, indices)
}

/// See [`super::adamw`].
pub fn adamw<const D: usize>(
    [parameter, first, second, average]: [Tensor<D>; 4],
    grad: Tensor<D>,
    step: AdamWStep,
) -> [Tensor<D>; 4] {
    let grad = grad * step.gradient_scale;
    let first = first * step.beta_1 + grad.clone() * (1.0 - step.beta_1);
    let second = second * step.beta_2 + grad.square() * (1.0 - step.beta_2);
    let size = (second.clone() / step.correction_2).sqrt() + step.epsilon;
    let update = first.clone() / step.correction_1 / size + parameter.clone() * step.weight_decay;
    let parameter = parameter - update * step.learning_rate;
    let average = average * step.average_decay + parameter.clone() * (1.0 - step.average_decay);
    [parameter, first, second, average]
}

fn spline(parameters: Tensor<2>, x: Tensor<2>, spline: Spline) -> (Tensor<2>, Tensor<2>) {
    let curve = Curve::new(parameters, x.dims(), spline);
    let v = x.clone().clamp(-spline.bound, spline.bound).unsqueeze_dim::<3>(2);
    let bin = curve.bin(curve.left_x.clone(), v.clone());
    let xi = (v - bin.left_x.clone()) / bin.width.clone();
    let (numerator, denominator) = bin.fraction(xi.clone());
    let y = bin.left_y.clone() + bin.height.clone() * numerator / denominator.clone();
    let log = bin.log_derivative(xi, denominator);
    inside_or_identity(x, y, log, spline)
}

fn spline_inverse(parameters: Tensor<2>, y: Tensor<2>, spline: Spline) -> (Tensor<2>, Tensor<2>) {
    let curve = Curve::new(parameters, y.dims(), spline);
    let v = y.clone().clamp(-spline.bound, spline.bound).unsqueeze_dim::<3>(2);
    let bin = curve.bin(curve.left_y.clone(), v.clone());
    let dy = v - bin.left_y.clone();
    let q = bin.q();
    let a = bin.height.clone() * (bin.slope.clone() - bin.d0.clone()) + dy.clone() * q.clone();
    let b = bin.height.clone() * bin.d0.clone() - dy.clone() * q;
    let c = -bin.slope.clone() * dy;
    let root = (b.clone().square() - a.clone() * c.clone() * 4.0).clamp_min(0.0).sqrt();
    // Of the two forms of the root, the one that adds numbers of one sign.
    let negative = b.clone().lower_elem(0.0);
    let xi =
        (c * -2.0 / (b.clone() + root.clone())).mask_where(negative, (root - b) / (a * 2.0)).clamp(0.0, 1.0);
    let (_, denominator) = bin.fraction(xi.clone());
    let x = bin.left_x.clone() + xi.clone() * bin.width.clone();
    let log = -bin.log_derivative(xi, denominator);
    inside_or_identity(y, x, log, spline)
}

fn inside_or_identity(
    v: Tensor<2>,
    moved: Tensor<3>,
    log: Tensor<3>,
    spline: Spline,
) -> (Tensor<2>, Tensor<2>) {
    let outside: Tensor<2, Bool> = v.clone().abs().greater_equal_elem(spline.bound);
    let moved = moved.squeeze_dim::<2>(2).mask_where(outside.clone(), v);
    let log = log.squeeze_dim::<2>(2).mask_fill(outside, 0.0);
    (moved, log.sum_dim(1))
}

/// Knots `[batch, features, K]` and derivatives `[batch, features, K + 1]`.
struct Curve {
    left_x: Tensor<3>,
    left_y: Tensor<3>,
    width: Tensor<3>,
    height: Tensor<3>,
    derivatives: Tensor<3>,
}

impl Curve {
    fn new(parameters: Tensor<2>, [rows, features]: [usize; 2], spline: Spline) -> Self {
        let k = spline.bins;
        let parameters = parameters.reshape([rows, features, spline.parameters()]);
        let [(width, left_x), (height, left_y)] =
            [0, k].map(|start| bins(parameters.clone().narrow(2, start, k), spline));
        let inner = parameters.narrow(2, 2 * k, k - 1) + DERIVATIVE_SHIFT;
        let inner = activation::softplus(inner, 1.0) + MIN_DERIVATIVE;
        let one = Tensor::ones_like(&width).narrow(2, 0, 1);
        Self { left_x, left_y, width, height, derivatives: Tensor::cat(vec![one.clone(), inner, one], 2) }
    }

    /// The bin of every value `[batch, features, 1]` among left edges.
    fn bin(&self, left: Tensor<3>, v: Tensor<3>) -> Bin {
        let k = left.dims()[2];
        let above = v.greater_equal(left).int().sum_dim(2) - 1;
        let index = above.clamp(0, k as i64 - 1);
        let take = |t: &Tensor<3>| t.clone().gather(2, index.clone());
        let (width, height) = (take(&self.width), take(&self.height));
        Bin {
            left_x: take(&self.left_x),
            left_y: take(&self.left_y),
            slope: height.clone() / width.clone(),
            width,
            height,
            d0: take(&self.derivatives),
            d1: self.derivatives.clone().gather(2, index + 1),
        }
    }
}

/// Sizes and left edges of bins.
fn bins(unnormalised: Tensor<3>, spline: Spline) -> (Tensor<3>, Tensor<3>) {
    let k = spline.bins;
    let fraction = activation::softmax(unnormalised, 2);
    let size = (fraction * (1.0 - MIN_BIN * k as f32) + MIN_BIN) * (2.0 * spline.bound);
    let left = size.clone().cumsum(2) - size.clone() - spline.bound;
    (size, left)
}

struct Bin {
    left_x: Tensor<3>,
    left_y: Tensor<3>,
    width: Tensor<3>,
    height: Tensor<3>,
    slope: Tensor<3>,
    d0: Tensor<3>,
    d1: Tensor<3>,
}

impl Bin {
    fn q(&self) -> Tensor<3> {
        self.d1.clone() + self.d0.clone() - self.slope.clone() * 2.0
    }

    fn fraction(&self, xi: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let t = xi.clone() * (-xi.clone() + 1.0);
        let numerator = self.slope.clone() * xi.square() + self.d0.clone() * t.clone();
        (numerator, self.slope.clone() + self.q() * t)
    }

    fn log_derivative(&self, xi: Tensor<3>, denominator: Tensor<3>) -> Tensor<3> {
        let rest = -xi.clone() + 1.0;
        let bend = self.d1.clone() * xi.clone().square()
            + self.slope.clone() * xi * rest.clone() * 2.0
            + self.d0.clone() * rest.square();
        self.slope.clone().log() * 2.0 + bend.log() - denominator.log() * 2.0
    }
}
