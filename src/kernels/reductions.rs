//! ln Σ exp over the columns of a matrix: mixtures, cross entropies and importance-weighted likelihoods.

use burn::backend::flex::FlexTensor;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::flex::{contiguous, from_vec, matrix_shape, values};
use super::simd::{Lanes, MAX_LANES, with_lanes};

/// Elements that one task works on.
const ELEMENTS_PER_TASK: usize = 8 * 1024;

/// m + ln Σ exp(x − m) with m the largest value of a row; −∞ for a row of −∞.
pub(super) fn log_sum_exp(x: FlexTensor) -> FlexTensor {
    let x = contiguous(x);
    let [rows, width] = matrix_shape(&x);
    assert!(width > 0, "a sum over the columns of a matrix needs a column");
    let mut y = vec![0.0; rows];
    let rows_per_task = ELEMENTS_PER_TASK.div_ceil(width);
    y.par_chunks_mut(rows_per_task).zip(values(&x).par_chunks(rows_per_task * width)).for_each(|(y, x)| {
        with_lanes(Forward { y, x, width });
    });
    from_vec(y, [rows, 1])
}

/// ∂L/∂x = g·exp(x − y) for y of [`log_sum_exp`].
pub(super) fn log_sum_exp_backward(grad: FlexTensor, x: FlexTensor, y: FlexTensor) -> FlexTensor {
    let (grad, x, y) = (contiguous(grad), contiguous(x), contiguous(y));
    let [rows, width] = matrix_shape(&x);
    let mut grad_x = values(&x).to_vec();
    let rows_per_task = ELEMENTS_PER_TASK.div_ceil(width);
    grad_x
        .par_chunks_mut(rows_per_task * width)
        .zip(values(&y).par_chunks(rows_per_task).zip(values(&grad).par_chunks(rows_per_task)))
        .for_each(|(x, (y, grad))| with_lanes(Backward { x, y, grad, width }));
    from_vec(grad_x, [rows, width])
}

/// The last values of a row, too few for a vector.
fn padded(rest: &[f32]) -> [f32; MAX_LANES] {
    let mut values = [0.0; MAX_LANES];
    values[..rest.len()].copy_from_slice(rest);
    values
}

#[inline(always)]
fn exp_of_difference<S: Simd>(simd: S, x: &[f32], y: f32) -> Lanes<S> {
    (Lanes::load(simd, x) - y).exp()
}

struct Forward<'a> {
    y: &'a mut [f32],
    x: &'a [f32],
    width: usize,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (y, x) in self.y.iter_mut().zip(self.x.chunks_exact(self.width)) {
            let max = x.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
            if max == f32::NEG_INFINITY {
                *y = if x.iter().any(|x| x.is_nan()) { f32::NAN } else { max };
                continue;
            }
            let vectors = x.chunks_exact(S::F32_LANES);
            let rest = vectors.remainder();
            let mut total = Lanes::splat(simd, 0.0);
            for v in vectors {
                total = total + exp_of_difference(simd, v, max);
            }
            let mut sum = total.sum();
            if !rest.is_empty() {
                let mut last = padded(rest);
                exp_of_difference(simd, &last, max).store(&mut last);
                sum += last[..rest.len()].iter().sum::<f32>();
            }
            *y = max + sum.ln();
        }
    }
}

struct Backward<'a> {
    x: &'a mut [f32],
    y: &'a [f32],
    grad: &'a [f32],
    width: usize,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.x.chunks_exact_mut(self.width);
        for (x, (&y, &grad)) in rows.zip(self.y.iter().zip(self.grad)) {
            // A row of −∞ has no probabilities.
            let y = if y == f32::NEG_INFINITY { 0.0 } else { y };
            let mut vectors = x.chunks_exact_mut(S::F32_LANES);
            for v in &mut vectors {
                (exp_of_difference(simd, v, y) * grad).store(v);
            }
            let rest = vectors.into_remainder();
            if !rest.is_empty() {
                let mut last = padded(rest);
                (exp_of_difference(simd, &last, y) * grad).store(&mut last);
                rest.copy_from_slice(&last[..rest.len()]);
            }
        }
    }
}
