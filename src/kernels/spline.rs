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
//!
//! Vector instructions run over rows: the parameters of one feature lie as `[parameter, row]`.

use std::ops::Range;

use pulp::Simd;

use super::block::Place;
use super::simd::{Lanes, Mask};

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

    /// What the bins share beyond their smallest size.
    fn span(&self) -> f32 {
        2.0 * self.bound * (1.0 - MIN_BIN * self.bins as f32)
    }

    /// Smallest size of a bin.
    fn smallest(&self) -> f32 {
        2.0 * self.bound * MIN_BIN
    }

    /// (y, log dy/dx), or, inverted, (x, log dx/dy). Replaces the unnormalised widths and heights by their softmax
    /// fractions.
    #[inline(always)]
    pub(super) fn transform<S: Simd>(
        &self,
        simd: S,
        parameters: &mut [f32],
        place: Place,
        v: Lanes<S>,
        inverse: bool,
    ) -> (Lanes<S>, Lanes<S>) {
        let zero = Lanes::splat(simd, 0.0);
        let inside = self.inside(v);
        // Outside, where the result is not used, the formulas still want an argument inside.
        let u = inside.select(v, zero);
        self.normalise(simd, parameters, place);
        let bin = self.bin(simd, parameters, place, u, inverse);
        let (value, log) = if inverse { bin.inverse(u) } else { bin.forward(u) };
        // Rounding may carry a value next to the bound beyond it.
        let value = value.clamp(-self.bound, self.bound);
        (inside.select(value, v), inside.select(if inverse { -log } else { log }, zero))
    }

    /// Replaces the unnormalised widths and heights by their softmax fractions.
    #[inline(always)]
    fn normalise<S: Simd>(&self, simd: S, parameters: &mut [f32], place: Place) {
        softmax(simd, parameters, place, 0..self.bins);
        softmax(simd, parameters, place, self.bins..2 * self.bins);
    }

    /// The bin that holds v among the knots in x (y for the inverse), given the fractions.
    #[inline(always)]
    fn bin<S: Simd>(&self, simd: S, parameters: &[f32], place: Place, v: Lanes<S>, inverse: bool) -> Bin<S> {
        let [known, other] = if inverse { [self.bins, 0] } else { [0, self.bins] };
        let known = self.extent(
            simd,
            parameters,
            Place { at: known * place.stride + place.at, ..place },
            #[inline(always)]
            |_, left| v.greater_equal(left),
        );
        let other = self.extent(
            simd,
            parameters,
            Place { at: other * place.stride + place.at, ..place },
            #[inline(always)]
            |k, _| known.index.greater_equal(k),
        );
        let (x, y) = if inverse { (other, known) } else { (known, other) };
        let ends = self.unnormalised_derivatives(simd, parameters, place, known.index);
        let [d0, d1] = [derivative(ends[0]), derivative(ends[1])];
        Bin { x, y, slope: y.size / x.size, d0, d1, ends }
    }

    /// The last bin along one axis that is `reached`, which is asked for the number and the left edge of every bin
    /// but the first.
    #[inline(always)]
    fn extent<S: Simd>(
        &self,
        simd: S,
        fractions: &[f32],
        place: Place,
        reached: impl Fn(Lanes<S>, Lanes<S>) -> Mask<S>,
    ) -> Extent<S> {
        let zero = Lanes::splat(simd, 0.0);
        let mut here = Extent { index: zero, left: zero - self.bound, size: zero };
        let mut found = here;
        for k in 0..self.bins {
            here.index = Lanes::splat(simd, k as f32);
            // The last bin ends at the bound, whatever the rounding of the sum.
            here.size = if k + 1 == self.bins {
                -here.left + self.bound
            } else {
                place.load(simd, fractions, k).mul_add(zero + self.span(), zero + self.smallest())
            };
            found = if k == 0 { here } else { here.or(found, reached(here.index, here.left)) };
            here.left = here.left + here.size;
        }
        found
    }

    /// Unnormalised derivatives at both ends of a bin; zero, which gives 1, at the bounds.
    #[inline(always)]
    fn unnormalised_derivatives<S: Simd>(
        &self,
        simd: S,
        parameters: &[f32],
        place: Place,
        index: Lanes<S>,
    ) -> [Lanes<S>; 2] {
        let mut ends = [Lanes::splat(simd, 0.0); 2];
        // The derivative between bins k and k + 1 is at the right end of one and the left end of the other.
        for k in 0..self.bins - 1 {
            let u = place.load(simd, parameters, 2 * self.bins + k);
            ends[0] = index.is((k + 1) as f32).select(u, ends[0]);
            ends[1] = index.is(k as f32).select(u, ends[1]);
        }
        ends
    }

    /// Writes the gradients of the parameters and returns that of x, given what [`Spline::transform`] made of the
    /// parameters and the gradients of y and log dy/dx.
    #[inline(always)]
    pub(super) fn backward<S: Simd>(
        &self,
        simd: S,
        parameters: &[f32],
        gradients: &mut [f32],
        place: Place,
        v: Lanes<S>,
        [upstream, upstream_log]: [Lanes<S>; 2],
    ) -> Lanes<S> {
        let zero = Lanes::splat(simd, 0.0);
        let one = zero + 1.0;
        let inside = self.inside(v);
        let u = inside.select(v, zero);
        // All gradients below are linear in these two.
        let (grad_y, grad_log) = (inside.select(upstream, zero), inside.select(upstream_log, zero));
        let bin = self.bin(simd, parameters, place, u, false);
        let Bin { x: Extent { size: width, .. }, y: Extent { size: height, .. }, slope, d0, d1, .. } = bin;
        let xi = (u - bin.x.left) / width;
        let (rest, t) = (one - xi, xi * (one - xi));
        let (numerator, denominator) = bin.fraction(xi);
        let bend = bin.bend(xi);

        let (inverse, inverse_bend) = (one / denominator, one / bend);
        let chain = Chain {
            numerator,
            denominator,
            to_ratio: grad_y * height * inverse * inverse,
            to_bend: grad_log * inverse_bend,
            to_denominator: grad_log * inverse * 2.0,
        };
        let q = d1 + d0 - slope * 2.0;
        let turn = one - xi * 2.0;
        let grad_xi = chain.gradient(
            slope * xi * 2.0 + d0 * turn,
            q * turn,
            (d1 * xi + slope * turn - d0 * rest) * 2.0,
        );
        let grad_slope = chain.gradient(xi * xi, one - t * 2.0, t * 2.0) + grad_log * 2.0 / slope;
        let grad_d0 = chain.gradient(t, t, rest * rest);
        let grad_d1 = chain.gradient(zero, t, xi * xi);
        let grad_height = grad_y * numerator * inverse + grad_slope / width;
        let grad_width = -(grad_xi * xi + grad_slope * slope) / width;
        let grad_u = grad_xi / width;

        self.softmax_backward(simd, parameters, gradients, place, 0, bin.x, [-grad_u, grad_width]);
        self.softmax_backward(simd, parameters, gradients, place, self.bins, bin.y, [grad_y, grad_height]);
        let ends = [
            grad_d0 * (bin.ends[0] + DERIVATIVE_SHIFT).sigmoid(),
            grad_d1 * (bin.ends[1] + DERIVATIVE_SHIFT).sigmoid(),
        ];
        for k in 0..self.bins - 1 {
            let gradient = bin.x.index.is(k as f32).select(ends[1], zero);
            let gradient = bin.x.index.is((k + 1) as f32).select(ends[0], gradient);
            place.store(gradients, 2 * self.bins + k, gradient);
        }
        inside.select(grad_u, upstream)
    }

    /// Gradients of unnormalised bin sizes: every bin before the one found shifts its left edge, itself it has a size.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "one call for each of two axes")]
    fn softmax_backward<S: Simd>(
        &self,
        simd: S,
        fractions: &[f32],
        gradients: &mut [f32],
        place: Place,
        first: usize,
        found: Extent<S>,
        [grad_left, grad_size]: [Lanes<S>; 2],
    ) {
        let zero = Lanes::splat(simd, 0.0);
        // Σ fraction·gradient; the fractions follow from the sizes.
        let before = found.left + self.bound - found.index * self.smallest();
        let mean = (before * grad_left + (found.size - self.smallest()) * grad_size) / self.span();
        for k in 0..self.bins {
            let fraction = place.load(simd, fractions, first + k) * self.span();
            let at = found.index.is(k as f32).select(grad_size, zero);
            let size = found.index.greater_equal(zero + (k + 1) as f32).select(grad_left, at);
            place.store(gradients, first + k, fraction * (size - mean));
        }
    }

    #[inline(always)]
    fn inside<S: Simd>(&self, v: Lanes<S>) -> Mask<S> {
        v.abs().less(self.bound)
    }
}

/// Chain rule through y = y_k + h·a/e and log dy/dx = 2 log s + log n − 2 log e.
struct Chain<S: Simd> {
    numerator: Lanes<S>,
    denominator: Lanes<S>,
    to_ratio: Lanes<S>,
    to_bend: Lanes<S>,
    to_denominator: Lanes<S>,
}

impl<S: Simd> Chain<S> {
    /// ∂L/∂v, given the derivatives of numerator a, denominator e and bend n with respect to v.
    #[inline(always)]
    fn gradient(&self, a: Lanes<S>, e: Lanes<S>, n: Lanes<S>) -> Lanes<S> {
        self.to_ratio * (a * self.denominator - self.numerator * e) + self.to_bend * n
            - self.to_denominator * e
    }
}

/// The derivative at a knot.
#[inline(always)]
fn derivative<S: Simd>(unnormalised: Lanes<S>) -> Lanes<S> {
    (unnormalised + DERIVATIVE_SHIFT).softplus() + MIN_DERIVATIVE
}

/// Replaces numbers by their softmax.
#[inline(always)]
fn softmax<S: Simd>(simd: S, values: &mut [f32], place: Place, range: Range<usize>) {
    let mut max = place.load(simd, values, range.start);
    for i in range.clone().skip(1) {
        max = place.load(simd, values, i).max(max);
    }
    let mut sum = Lanes::splat(simd, 0.0);
    for i in range.clone() {
        let e = (place.load(simd, values, i) - max).exp();
        place.store(values, i, e);
        sum = sum + e;
    }
    let scale = Lanes::splat(simd, 1.0) / sum;
    for i in range {
        let fraction = place.load(simd, values, i) * scale;
        place.store(values, i, fraction);
    }
}

/// A bin along one axis: its number, left edge and size.
#[derive(Clone, Copy)]
struct Extent<S: Simd> {
    index: Lanes<S>,
    left: Lanes<S>,
    size: Lanes<S>,
}

impl<S: Simd> Extent<S> {
    #[inline(always)]
    fn or(self, other: Self, mask: Mask<S>) -> Self {
        Self {
            index: mask.select(self.index, other.index),
            left: mask.select(self.left, other.left),
            size: mask.select(self.size, other.size),
        }
    }
}

/// The bin of one value and what the formulas need of it.
struct Bin<S: Simd> {
    x: Extent<S>,
    y: Extent<S>,
    slope: Lanes<S>,
    d0: Lanes<S>,
    d1: Lanes<S>,
    /// Unnormalised d0 and d1
    ends: [Lanes<S>; 2],
}

impl<S: Simd> Bin<S> {
    /// (y, log dy/dx) at x.
    #[inline(always)]
    fn forward(&self, x: Lanes<S>) -> (Lanes<S>, Lanes<S>) {
        let xi = (x - self.x.left) / self.x.size;
        let (numerator, denominator) = self.fraction(xi);
        (self.y.left + self.y.size * numerator / denominator, self.log_derivative(xi, denominator))
    }

    /// (x, log dy/dx) at y; the root of the quadratic in that of its two forms that adds numbers of one sign.
    #[inline(always)]
    fn inverse(&self, y: Lanes<S>) -> (Lanes<S>, Lanes<S>) {
        let dy = y - self.y.left;
        let q = self.d1 + self.d0 - self.slope * 2.0;
        let a = self.y.size * (self.slope - self.d0) + dy * q;
        let b = self.y.size * self.d0 - dy * q;
        let c = -self.slope * dy;
        let root = (b * b - a * c * 4.0).clamp(0.0, f32::MAX).sqrt();
        let negative = b.less(0.0);
        let numerator = negative.select(root - b, c * -2.0);
        let denominator = negative.select(a * 2.0, b + root);
        let xi = (numerator / denominator).clamp(0.0, 1.0);
        let (_, denominator) = self.fraction(xi);
        (self.x.left + xi * self.x.size, self.log_derivative(xi, denominator))
    }

    #[inline(always)]
    fn fraction(&self, xi: Lanes<S>) -> (Lanes<S>, Lanes<S>) {
        let t = xi * (-xi + 1.0);
        let q = self.d1 + self.d0 - self.slope * 2.0;
        (self.slope * xi * xi + self.d0 * t, self.slope + q * t)
    }

    #[inline(always)]
    fn log_derivative(&self, xi: Lanes<S>, denominator: Lanes<S>) -> Lanes<S> {
        let ratio = self.slope / denominator;
        (ratio * ratio * self.bend(xi)).ln()
    }

    #[inline(always)]
    fn bend(&self, xi: Lanes<S>) -> Lanes<S> {
        let rest = -xi + 1.0;
        self.d1 * xi * xi + self.slope * xi * rest * 2.0 + self.d0 * rest * rest
    }
}

#[cfg(test)]
mod tests;
