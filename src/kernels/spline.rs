//! Monotone rational-quadratic spline with linear tails (Durkan, Bekasov, Murray, Papamakarios, "Neural Spline
//! Flows", 2019, arXiv:1906.04032, equations 4 to 8), forward, inverse and backward.
//!
//! On \[−b, b\] the curve passes through K + 1 knots with positive derivatives δ; in bin k of width w, height h and
//! slope s = h/w, at ξ = (x − x_k)/w, with t = ξ(1−ξ) and q = δ_k + δ_{k+1} − 2s,
//!
//! y = y_k + h·(sξ² + δ_k·t)/(s + q·t),  dy/dx = s²(δ_{k+1}ξ² + 2st + δ_k(1−ξ)²)/(s + q·t)².
//!
//! Outside it is the identity. The K unnormalised widths and heights go through a softmax, the K − 1 inner
//! derivatives through a softplus shifted so that parameters of zero give the identity.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::ROWS_PER_TASK;
use super::flex::{contiguous, from_vec, matrix_shape, values};
use super::simd::{exp, softplus, vectorised};

/// Smallest width and height of a bin as a fraction of the interval (as in nflows).
pub(super) const MIN_BIN: f32 = 1e-3;
/// Smallest derivative at a knot (as in nflows).
pub(super) const MIN_DERIVATIVE: f32 = 1e-3;
/// softplus(SHIFT) + MIN_DERIVATIVE = 1
pub(super) const DERIVATIVE_SHIFT: f32 = 0.539_742_4;

/// Shape of a rational-quadratic spline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spline {
    /// Number of bins K, at most [`Spline::MAX_BINS`].
    pub bins: usize,
    /// The spline acts on \[−bound, bound\].
    pub bound: f32,
}

impl Spline {
    /// Largest number of bins.
    pub const MAX_BINS: usize = 64;

    /// Parameters of one transformed value: K widths, K heights, K − 1 derivatives.
    pub fn parameters(&self) -> usize {
        3 * self.bins - 1
    }
}

/// One curve: left edges, sizes and softmax fractions of the bins in x and y, padded to `L` ≥ K entries so that
/// loops over them have a fixed length.
struct Curve<'a, const L: usize> {
    x: Bins<L>,
    y: Bins<L>,
    derivatives: &'a [f32],
}

struct Bins<const L: usize> {
    fraction: [f32; L],
    size: [f32; L],
    left: [f32; L],
}

impl<const L: usize> Bins<L> {
    #[inline(always)]
    fn new(unnormalised: &[f32], bound: f32) -> Self {
        let bins = unnormalised.len();
        let mut fraction = [f32::NEG_INFINITY; L];
        fraction[..bins].copy_from_slice(unnormalised);
        let max = fraction.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
        for (i, f) in fraction.iter_mut().enumerate() {
            *f = if i < bins { exp(*f - max) } else { 0.0 };
        }
        let scale = 1.0 / fraction.iter().sum::<f32>();
        let span = 2.0 * bound * (1.0 - MIN_BIN * bins as f32);
        let mut size = [0.0; L];
        for (size, f) in size.iter_mut().zip(&mut fraction) {
            *f *= scale;
            *size = 2.0 * bound * MIN_BIN + span * *f;
        }
        let mut left = [f32::INFINITY; L];
        let mut edge = -bound;
        for (left, size) in left[..bins].iter_mut().zip(&size) {
            *left = edge;
            edge += size;
        }
        // The last bin ends at the bound, whatever the rounding of the sum.
        size[bins - 1] = bound - left[bins - 1];
        Self { fraction, size, left }
    }

    /// The bin that holds `v`.
    #[inline(always)]
    fn find(&self, v: f32) -> usize {
        self.left.iter().map(|&left| u32::from(v >= left)).sum::<u32>().max(1) as usize - 1
    }
}

/// The bin of one value and what the formulas need of it.
struct Bin {
    k: usize,
    left: [f32; 2],
    width: f32,
    height: f32,
    slope: f32,
    d0: f32,
    d1: f32,
}

impl<'a, const L: usize> Curve<'a, L> {
    #[inline(always)]
    fn new(parameters: &'a [f32], spline: Spline) -> Self {
        let (widths, rest) = parameters.split_at(spline.bins);
        let (heights, derivatives) = rest.split_at(spline.bins);
        Self { x: Bins::new(widths, spline.bound), y: Bins::new(heights, spline.bound), derivatives }
    }

    #[inline(always)]
    fn bin(&self, k: usize) -> Bin {
        let (width, height) = (self.x.size[k], self.y.size[k]);
        let inner =
            |i: Option<usize>| i.and_then(|i| self.derivatives.get(i)).map_or(1.0, |&u| derivative(u));
        Bin {
            k,
            left: [self.x.left[k], self.y.left[k]],
            width,
            height,
            slope: height / width,
            d0: inner(k.checked_sub(1)),
            d1: inner(Some(k)),
        }
    }
}

#[inline(always)]
fn derivative(unnormalised: f32) -> f32 {
    MIN_DERIVATIVE + softplus(unnormalised + DERIVATIVE_SHIFT)
}

impl Bin {
    /// (y, log dy/dx) at ξ.
    #[inline(always)]
    fn forward(&self, xi: f32) -> (f32, f32) {
        let (numerator, denominator) = self.fraction(xi);
        (self.left[1] + self.height * numerator / denominator, self.log_derivative(xi, denominator))
    }

    /// (x, log dy/dx) at y; the root of the quadratic in that of its two forms that adds numbers of one sign.
    #[inline(always)]
    fn inverse(&self, y: f32) -> (f32, f32) {
        let dy = y - self.left[1];
        let q = self.d1 + self.d0 - 2.0 * self.slope;
        let a = self.height * (self.slope - self.d0) + dy * q;
        let b = self.height * self.d0 - dy * q;
        let c = -self.slope * dy;
        let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
        let xi = if b < 0.0 { (root - b) / (2.0 * a) } else { -2.0 * c / (b + root) }.clamp(0.0, 1.0);
        let (_, denominator) = self.fraction(xi);
        (self.left[0] + xi * self.width, self.log_derivative(xi, denominator))
    }

    #[inline(always)]
    fn fraction(&self, xi: f32) -> (f32, f32) {
        let t = xi * (1.0 - xi);
        let q = self.d1 + self.d0 - 2.0 * self.slope;
        (self.slope * xi * xi + self.d0 * t, self.slope + q * t)
    }

    #[inline(always)]
    fn log_derivative(&self, xi: f32, denominator: f32) -> f32 {
        let ratio = self.slope / denominator;
        (ratio * ratio * self.bend(xi)).ln()
    }

    #[inline(always)]
    fn bend(&self, xi: f32) -> f32 {
        let rest = 1.0 - xi;
        self.d1 * xi * xi + 2.0 * self.slope * xi * rest + self.d0 * rest * rest
    }
}

/// Chooses the padded number of bins.
macro_rules! with_padding {
    ($bins:expr, $call:ident, ($($argument:expr),*)) => {
        match $bins {
            0..=8 => $call::<8>($($argument),*),
            9..=16 => $call::<16>($($argument),*),
            17..=32 => $call::<32>($($argument),*),
            _ => $call::<{ Spline::MAX_BINS }>($($argument),*),
        }
    };
}

pub(super) fn transform(parameters: FlexTensor, x: FlexTensor, spline: Spline, inverse: bool) -> FlexTensor {
    let (parameters, x) = (contiguous(parameters), contiguous(x));
    let [rows, features] = check(&parameters, &x, spline);
    let mut out = vec![0.0; rows * (features + 1)];
    out.par_chunks_mut(ROWS_PER_TASK * (features + 1))
        .zip(values(&parameters).par_chunks(ROWS_PER_TASK * features * spline.parameters()))
        .zip(values(&x).par_chunks(ROWS_PER_TASK * features))
        .for_each(|((out, parameters), x)| {
            vectorised(
                #[inline(always)]
                || {
                    with_padding!(
                        spline.bins,
                        transform_rows,
                        (out, parameters, x, features, spline, inverse)
                    )
                },
            );
        });
    from_vec(out, [rows, features + 1])
}

fn check(parameters: &FlexTensor, x: &FlexTensor, spline: Spline) -> [usize; 2] {
    let [rows, features] = matrix_shape(x);
    assert_eq!(
        matrix_shape(parameters),
        [rows, features * spline.parameters()],
        "shape of spline parameters"
    );
    assert!((1..=Spline::MAX_BINS).contains(&spline.bins), "a spline has 1 to {} bins", Spline::MAX_BINS);
    [rows, features]
}

#[inline(always)]
fn transform_rows<const L: usize>(
    out: &mut [f32],
    parameters: &[f32],
    x: &[f32],
    features: usize,
    spline: Spline,
    inverse: bool,
) {
    let n = spline.parameters();
    let rows = out.chunks_exact_mut(features + 1).zip(x.chunks_exact(features));
    for ((out, x), parameters) in rows.zip(parameters.chunks_exact(features * n)) {
        let mut log_determinant = 0.0;
        for ((out, &v), parameters) in out.iter_mut().zip(x).zip(parameters.chunks_exact(n)) {
            if v.abs() < spline.bound {
                let curve = Curve::<L>::new(parameters, spline);
                let (value, log_derivative) = if inverse {
                    curve.bin(curve.y.find(v)).inverse(v)
                } else {
                    let bin = curve.bin(curve.x.find(v));
                    bin.forward((v - bin.left[0]) / bin.width)
                };
                // Rounding may carry a value next to the bound beyond it.
                *out = value.clamp(-spline.bound, spline.bound);
                log_determinant += log_derivative;
            } else {
                *out = v;
            }
        }
        out[features] = if inverse { -log_determinant } else { log_determinant };
    }
}

/// Gradients with respect to parameters and x; `grad` is that of values and log-determinant `[rows, features + 1]`.
pub(super) fn backward(
    grad: FlexTensor,
    parameters: FlexTensor,
    x: FlexTensor,
    spline: Spline,
) -> (FlexTensor, FlexTensor) {
    let (grad, parameters, x) = (contiguous(grad), contiguous(parameters), contiguous(x));
    let [rows, features] = check(&parameters, &x, spline);
    let n = spline.parameters();
    let mut grad_parameters = vec![0.0; rows * features * n];
    let mut grad_x = vec![0.0; rows * features];
    grad_parameters
        .par_chunks_mut(ROWS_PER_TASK * features * n)
        .zip(grad_x.par_chunks_mut(ROWS_PER_TASK * features))
        .zip(values(&parameters).par_chunks(ROWS_PER_TASK * features * n))
        .zip(values(&x).par_chunks(ROWS_PER_TASK * features))
        .zip(values(&grad).par_chunks(ROWS_PER_TASK * (features + 1)))
        .for_each(|((((grad_parameters, grad_x), parameters), x), grad)| {
            vectorised(
                #[inline(always)]
                || {
                    with_padding!(
                        spline.bins,
                        backward_rows,
                        (grad_parameters, grad_x, parameters, x, grad, features, spline)
                    );
                },
            );
        });
    (from_vec(grad_parameters, [rows, features * n]), from_vec(grad_x, [rows, features]))
}

#[inline(always)]
fn backward_rows<const L: usize>(
    grad_parameters: &mut [f32],
    grad_x: &mut [f32],
    parameters: &[f32],
    x: &[f32],
    grad: &[f32],
    features: usize,
    spline: Spline,
) {
    let n = spline.parameters();
    let elements = grad_parameters.chunks_exact_mut(n).zip(grad_x).zip(parameters.chunks_exact(n)).zip(x);
    for (i, (((grad_parameters, grad_x), parameters), &v)) in elements.enumerate() {
        let (row, feature) = (i / features * (features + 1), i % features);
        let (grad_y, grad_log) = (grad[row + feature], grad[row + features]);
        *grad_x = if v.abs() < spline.bound {
            backward_element::<L>(grad_parameters, parameters, v, [grad_y, grad_log], spline)
        } else {
            grad_y
        };
    }
}

/// Writes the gradient of one value's parameters and returns that of the value.
#[inline(always)]
fn backward_element<const L: usize>(
    grad_parameters: &mut [f32],
    parameters: &[f32],
    v: f32,
    [grad_y, grad_log]: [f32; 2],
    spline: Spline,
) -> f32 {
    let curve = Curve::<L>::new(parameters, spline);
    let bin = curve.bin(curve.x.find(v));
    let Bin { k, width, height, slope, d0, d1, .. } = bin;
    let xi = (v - bin.left[0]) / width;
    let (rest, t) = (1.0 - xi, xi * (1.0 - xi));
    let (numerator, denominator) = bin.fraction(xi);
    let bend = bin.bend(xi);

    // Chain rule through y = y_k + h·a/e and log dy/dx = 2 log s + log n − 2 log e, given the derivatives of
    // numerator a, denominator e and bend n with respect to one variable.
    let (inverse, inverse_bend) = (1.0 / denominator, 1.0 / bend);
    let chain = |a: f32, e: f32, n: f32| {
        grad_y * height * (a * denominator - numerator * e) * inverse * inverse
            + grad_log * (n * inverse_bend - 2.0 * e * inverse)
    };
    let q = d1 + d0 - 2.0 * slope;
    let turn = 1.0 - 2.0 * xi;
    let grad_xi = chain(2.0 * slope * xi + d0 * turn, q * turn, 2.0 * (d1 * xi + slope * turn - d0 * rest));
    let grad_slope = chain(xi * xi, 1.0 - 2.0 * t, 2.0 * t) + 2.0 * grad_log / slope;
    let grad_d0 = chain(t, t, rest * rest);
    let grad_d1 = chain(0.0, t, xi * xi);
    let grad_height = grad_y * numerator * inverse + grad_slope / width;
    let grad_width = -(grad_xi * xi + grad_slope * slope) / width;
    let grad_v = grad_xi / width;

    let (grad_widths, others) = grad_parameters.split_at_mut(spline.bins);
    let (grad_heights, grad_derivatives) = others.split_at_mut(spline.bins);
    let scale = 2.0 * spline.bound * (1.0 - MIN_BIN * spline.bins as f32);
    softmax_backward(grad_widths, &curve.x.fraction, k, -grad_v, grad_width, scale);
    softmax_backward(grad_heights, &curve.y.fraction, k, grad_y, grad_height, scale);
    for (i, grad) in [(k.checked_sub(1), grad_d0), (Some(k), grad_d1)] {
        if let Some(i) = i.filter(|&i| i < grad_derivatives.len()) {
            grad_derivatives[i] = grad / (1.0 + exp(-(curve.derivatives[i] + DERIVATIVE_SHIFT)));
        }
    }
    grad_v
}

/// Gradient of unnormalised bin sizes: every bin before k shifts the left edge (`grad_left`), bin k has `grad_size`.
#[inline(always)]
fn softmax_backward<const L: usize>(
    grad: &mut [f32],
    fraction: &[f32; L],
    k: usize,
    grad_left: f32,
    grad_size: f32,
    scale: f32,
) {
    let mut size = [0.0; L];
    let mut mean = 0.0;
    for (i, (size, fraction)) in size.iter_mut().zip(fraction).enumerate() {
        *size = if i < k { grad_left } else { 0.0 } + if i == k { grad_size } else { 0.0 };
        mean += *size * fraction;
    }
    for ((grad, size), fraction) in grad.iter_mut().zip(&size).zip(fraction) {
        *grad = scale * fraction * (size - mean);
    }
}

#[cfg(test)]
mod tests;
