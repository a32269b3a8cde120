//! Elementwise invertible transforms with parameters of their own for every value, forward, inverse and backward:
//!
//! - affine: y = x·e^s + t with s = c·tanh(s′/c) bounded by c = [`MAX_LOG_SCALE`] (Dinh, Sohl-Dickstein, Bengio 2016,
//!   "Real NVP", arXiv:1605.08803); parameters s′, t.
//! - a rational-quadratic [`Spline`].

use burn::backend::flex::FlexTensor;
use pulp::{Simd, WithSimd};

use super::Spline;
use super::block::{Block, Pieces, Place, ROWS, for_each, with_scratch};
use super::flex::{contiguous, from_vec, matrix_shape, values};
use super::simd::{Lanes, with_lanes};

/// Bound of the log-scale of an affine transform: keeps the inverse well conditioned.
pub(crate) const MAX_LOG_SCALE: f32 = 3.0;

/// Elementwise transform; see the module documentation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transform {
    /// Scale and shift.
    Affine,
    /// Rational-quadratic spline.
    Spline(Spline),
}

impl Transform {
    /// Parameters of one value.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Affine => 2,
            Self::Spline(spline) => spline.parameters(),
        }
    }

    pub(super) fn check(&self) {
        if let Self::Spline(Spline { bins, .. }) = self {
            assert!((1..=Spline::MAX_BINS).contains(bins), "a spline has 1 to {} bins", Spline::MAX_BINS);
        }
    }
}

/// Moves values `[feature, row]` in place and adds their log-derivatives to `log` `[row]`. The parameters `[feature,
/// parameter, row]` are left in the form that [`ElementwiseBackward`] wants.
pub(super) struct Elementwise<'a> {
    pub(super) transform: Transform,
    pub(super) inverse: bool,
    pub(super) stride: usize,
    pub(super) parameters: &'a mut [f32],
    pub(super) values: &'a mut [f32],
    pub(super) log: &'a mut [f32],
}

impl WithSimd for Elementwise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let stride = self.stride;
        let parameters = self.parameters.chunks_exact_mut(self.transform.parameters() * stride);
        for (parameters, values) in parameters.zip(self.values.chunks_exact_mut(stride)) {
            for at in (0..stride).step_by(S::F32_LANES) {
                let place = Place { stride, at };
                let v = Lanes::load(simd, &values[at..]);
                let (value, log) = match self.transform {
                    Transform::Affine => affine(simd, parameters, place, v, self.inverse),
                    Transform::Spline(spline) => spline.transform(simd, parameters, place, v, self.inverse),
                };
                value.store(&mut values[at..]);
                (Lanes::load(simd, &self.log[at..]) + log).store(&mut self.log[at..]);
            }
        }
    }
}

/// Writes the gradients of the parameters, and replaces those of y by those of x.
pub(super) struct ElementwiseBackward<'a> {
    pub(super) transform: Transform,
    pub(super) stride: usize,
    pub(super) parameters: &'a [f32],
    pub(super) grad_parameters: &'a mut [f32],
    pub(super) values: &'a [f32],
    pub(super) grad: &'a mut [f32],
    pub(super) grad_log: &'a [f32],
}

impl WithSimd for ElementwiseBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let stride = self.stride;
        let length = self.transform.parameters() * stride;
        let parameters =
            self.parameters.chunks_exact(length).zip(self.grad_parameters.chunks_exact_mut(length));
        let values = self.values.chunks_exact(stride).zip(self.grad.chunks_exact_mut(stride));
        for ((parameters, grad_parameters), (values, grad)) in parameters.zip(values) {
            for at in (0..stride).step_by(S::F32_LANES) {
                let place = Place { stride, at };
                let v = Lanes::load(simd, &values[at..]);
                let upstream = [Lanes::load(simd, &grad[at..]), Lanes::load(simd, &self.grad_log[at..])];
                let g = match self.transform {
                    Transform::Affine => {
                        affine_backward(simd, parameters, grad_parameters, place, v, upstream)
                    }
                    Transform::Spline(spline) => {
                        spline.backward(simd, parameters, grad_parameters, place, v, upstream)
                    }
                };
                g.store(&mut grad[at..]);
            }
        }
    }
}

#[inline(always)]
fn affine<S: Simd>(
    simd: S,
    parameters: &[f32],
    place: Place,
    v: Lanes<S>,
    inverse: bool,
) -> (Lanes<S>, Lanes<S>) {
    let (raw, shift) = (place.load(simd, parameters, 0), place.load(simd, parameters, 1));
    let log_scale = (raw * (1.0 / MAX_LOG_SCALE)).tanh() * MAX_LOG_SCALE;
    if inverse {
        ((v - shift) * (-log_scale).exp(), -log_scale)
    } else {
        (v.mul_add(log_scale.exp(), shift), log_scale)
    }
}

#[inline(always)]
fn affine_backward<S: Simd>(
    simd: S,
    parameters: &[f32],
    gradients: &mut [f32],
    place: Place,
    v: Lanes<S>,
    [grad, grad_log]: [Lanes<S>; 2],
) -> Lanes<S> {
    let bounded = (place.load(simd, parameters, 0) * (1.0 / MAX_LOG_SCALE)).tanh();
    let scale = (bounded * MAX_LOG_SCALE).exp();
    let grad_x = grad * scale;
    let grad_log_scale = grad_x * v + grad_log;
    place.store(gradients, 0, grad_log_scale * (-(bounded * bounded) + 1.0));
    place.store(gradients, 1, grad);
    grad_x
}

/// Values moved and the log-determinant in one more column, for parameters `[rows, features · parameters]`.
pub(super) fn forward(
    parameters: FlexTensor,
    x: FlexTensor,
    transform: Transform,
    inverse: bool,
) -> FlexTensor {
    let (parameters, x) = (contiguous(parameters), contiguous(x));
    let [rows, features] = check(&parameters, &x, transform);
    let n = transform.parameters();
    let mut out = vec![0.0; rows * (features + 1)];
    let blocks: Vec<_> = out.chunks_mut(ROWS * (features + 1)).zip(Block::all(rows)).enumerate().collect();
    for_each(blocks, |(i, (out, block))| {
        let (row, stride) = (i * ROWS, block.stride());
        with_scratch((n + 2) * stride, |scratch| {
            let mut scratch = Pieces(scratch);
            let [own, value, log] = [n, 1, 1].map(|width| scratch.take(width * stride));
            log.fill(0.0);
            for feature in 0..features {
                let columns = feature * n..(feature + 1) * n;
                block.gather(own, &values(&parameters)[row * features * n..], features * n, columns);
                block.gather(value, &values(&x)[row * features..], features, feature..feature + 1);
                with_lanes(Elementwise { transform, inverse, stride, parameters: own, values: value, log });
                block.scatter(out, value, features + 1, feature..feature + 1);
            }
            block.scatter(out, log, features + 1, features..features + 1);
        });
    });
    from_vec(out, [rows, features + 1])
}

/// Gradients with respect to parameters and x; `grad` is that of values and log-determinant `[rows, features + 1]`.
pub(super) fn backward(
    grad: FlexTensor,
    parameters: FlexTensor,
    x: FlexTensor,
    transform: Transform,
) -> (FlexTensor, FlexTensor) {
    let (grad, parameters, x) = (contiguous(grad), contiguous(parameters), contiguous(x));
    let [rows, features] = check(&parameters, &x, transform);
    let n = transform.parameters();
    let width = features * n;
    let mut grad_parameters = vec![0.0; rows * width];
    let mut grad_x = vec![0.0; rows * features];
    let blocks: Vec<_> = grad_parameters
        .chunks_mut(ROWS * width)
        .zip(grad_x.chunks_mut(ROWS * features))
        .zip(Block::all(rows))
        .enumerate()
        .collect();
    for_each(blocks, |(i, ((grad_parameters, grad_x), block))| {
        let (row, stride) = (i * ROWS, block.stride());
        let grad = &values(&grad)[row * (features + 1)..];
        with_scratch((2 * n + 4) * stride, |scratch| {
            let mut scratch = Pieces(scratch);
            let [own, grad_own] = [n; 2].map(|width| scratch.take(width * stride));
            let [value, moved, g, g_log] = [1; 4].map(|width| scratch.take(width * stride));
            for feature in 0..features {
                let columns = feature * n..(feature + 1) * n;
                block.gather(own, &values(&parameters)[row * width..], width, columns.clone());
                block.gather(value, &values(&x)[row * features..], features, feature..feature + 1);
                block.gather(g, grad, features + 1, feature..feature + 1);
                // Once more forward, for the parameters in the form of the backward pass.
                moved.copy_from_slice(value);
                with_lanes(Elementwise {
                    transform,
                    inverse: false,
                    stride,
                    parameters: own,
                    values: moved,
                    log: g_log,
                });
                block.gather(g_log, grad, features + 1, features..features + 1);
                with_lanes(ElementwiseBackward {
                    transform,
                    stride,
                    parameters: own,
                    grad_parameters: grad_own,
                    values: value,
                    grad: g,
                    grad_log: g_log,
                });
                block.scatter(grad_parameters, grad_own, width, columns);
                block.scatter(grad_x, g, features, feature..feature + 1);
            }
        });
    });
    (from_vec(grad_parameters, [rows, width]), from_vec(grad_x, [rows, features]))
}

fn check(parameters: &FlexTensor, x: &FlexTensor, transform: Transform) -> [usize; 2] {
    transform.check();
    let [rows, features] = matrix_shape(x);
    let expected = [rows, features * transform.parameters()];
    assert_eq!(matrix_shape(parameters), expected, "shape of the parameters of a transform");
    [rows, features]
}
