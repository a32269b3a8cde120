//! Fused linear layer: y = a(x·W + b), forward and backward.
//!
//! The activations are those whose derivative follows from the output alone, so that backward needs no
//! pre-activation: with g = ∂L/∂y ∘ a′(y), ∂L/∂x = g·Wᵀ, ∂L/∂W = xᵀ·g and ∂L/∂b = Σ_rows g.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::ROWS_PER_TASK;
use super::flex::{contiguous, from_vec, matrix_shape, values};
use super::simd::vectorised;

/// Activation applied by [`super::linear`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// a(z) = z
    Identity,
    /// a(z) = max(z, 0)
    Relu,
    /// a(z) = z for z > 0, else `slope`·z with a slope in (0, 1)
    LeakyRelu(f32),
    /// a(z) = tanh z
    Tanh,
}

impl Activation {
    fn apply(self, z: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => vectorised(
                #[inline(always)]
                || z.iter_mut().for_each(|z| *z = z.max(0.0)),
            ),
            Self::LeakyRelu(slope) => vectorised(
                #[inline(always)]
                || z.iter_mut().for_each(|z| *z = z.max(slope * *z)),
            ),
            Self::Tanh => vectorised(
                #[inline(always)]
                || {
                    for z in z.iter_mut() {
                        let e = super::simd::exp(2.0 * z.clamp(-15.0, 15.0));
                        *z = (e - 1.0) / (e + 1.0);
                    }
                },
            ),
        }
    }

    /// Multiplies gradients `g` by a′, expressed through the outputs `y`.
    fn scale_by_derivative(self, g: &mut [f32], y: &[f32]) {
        let pairs = g.iter_mut().zip(y);
        match self {
            Self::Identity => {}
            Self::Relu => vectorised(
                #[inline(always)]
                || pairs.for_each(|(g, &y)| *g = if y > 0.0 { *g } else { 0.0 }),
            ),
            Self::LeakyRelu(slope) => {
                vectorised(
                    #[inline(always)]
                    || pairs.for_each(|(g, &y)| *g = if y > 0.0 { *g } else { slope * *g }),
                );
            }
            Self::Tanh => vectorised(
                #[inline(always)]
                || pairs.for_each(|(g, &y)| *g *= 1.0 - y * y),
            ),
        }
    }
}

pub(super) fn forward(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    activation: Activation,
) -> FlexTensor {
    let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
    let [rows, n_in] = matrix_shape(&x);
    let n_out = matrix_shape(&weight)[1];
    let (weights, biases) = (values(&weight), values(&bias));
    let mut y = vec![0.0; rows * n_out];
    y.par_chunks_mut(ROWS_PER_TASK * n_out).zip(values(&x).par_chunks(ROWS_PER_TASK * n_in)).for_each(
        |(y, x)| {
            y.chunks_exact_mut(n_out).for_each(|row| row.copy_from_slice(biases));
            let x = Matrix { data: x, rows: y.len() / n_out, columns: n_in, transposed: false };
            product(y, x, Matrix { data: weights, rows: n_in, columns: n_out, transposed: false }, true);
            activation.apply(y);
        },
    );
    from_vec(y, [rows, n_out])
}

/// Gradients with respect to x, weight and bias.
pub(super) fn backward(
    grad: FlexTensor,
    y: FlexTensor,
    x: FlexTensor,
    weight: FlexTensor,
    activation: Activation,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let (grad, y, x, weight) = (contiguous(grad), contiguous(y), contiguous(x), contiguous(weight));
    let [rows, n_out] = matrix_shape(&grad);
    let n_in = matrix_shape(&x)[1];
    let weights = Matrix { data: values(&weight), rows: n_out, columns: n_in, transposed: true };

    let mut g = values(&grad).to_vec();
    let mut grad_x = vec![0.0; rows * n_in];
    let bias_parts: Vec<Vec<f32>> = g
        .par_chunks_mut(ROWS_PER_TASK * n_out)
        .zip(values(&y).par_chunks(ROWS_PER_TASK * n_out))
        .zip(grad_x.par_chunks_mut(ROWS_PER_TASK * n_in))
        .map(|((g, y), grad_x)| {
            activation.scale_by_derivative(g, y);
            let block = Matrix { data: g, rows: g.len() / n_out, columns: n_out, transposed: false };
            product(grad_x, block, weights, false);
            sum_rows(g, n_out)
        })
        .collect();
    // Added in the order of the blocks: independent of which thread finished first.
    let grad_bias = bias_parts.into_iter().reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect());

    let grad_weight = weight_gradient(values(&x), &g, rows, n_in, n_out);
    (
        from_vec(grad_x, [rows, n_in]),
        from_vec(grad_weight, [n_in, n_out]),
        from_vec(grad_bias.unwrap_or_else(|| vec![0.0; n_out]), [n_out]),
    )
}

fn sum_rows(g: &[f32], n_out: usize) -> Vec<f32> {
    vectorised(
        #[inline(always)]
        || {
            let mut sum = vec![0.0; n_out];
            for row in g.chunks_exact(n_out) {
                sum.iter_mut().zip(row).for_each(|(s, g)| *s += g);
            }
            sum
        },
    )
}

/// Rows of a weight gradient that one task computes: hidden layers are narrow, and every core wants work.
const WEIGHT_ROWS_PER_TASK: usize = 32;

/// xᵀ·g, one task for every block of rows of the result.
fn weight_gradient(x: &[f32], g: &[f32], rows: usize, n_in: usize, n_out: usize) -> Vec<f32> {
    let mut result = vec![0.0; n_in * n_out];
    result.par_chunks_mut(WEIGHT_ROWS_PER_TASK * n_out).enumerate().for_each(|(i, block)| {
        let first = i * WEIGHT_ROWS_PER_TASK;
        let height = block.len() / n_out;
        // Rows first..first+height of xᵀ, that is those columns of x.
        let (m, n, k) = (height, n_out, rows);
        // SAFETY: block is height × n_out; x has `rows` rows of n_in values and first + height <= n_in; g is rows × n_out.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                block.as_mut_ptr(),
                1,
                n_out as isize,
                false,
                x.as_ptr().add(first),
                n_in as isize,
                1,
                g.as_ptr(),
                1,
                n_out as isize,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    });
    result
}

/// A row-major matrix as a factor of a product; `rows` and `columns` are those of the factor, after transposition.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl Matrix<'_> {
    /// (column stride, row stride)
    fn strides(&self) -> (isize, isize) {
        if self.transposed { (self.rows as isize, 1) } else { (1, self.columns as isize) }
    }
}

/// out = a·b, or out += a·b; on the calling thread.
fn product(out: &mut [f32], a: Matrix, b: Matrix, accumulate: bool) {
    assert_eq!(a.columns, b.rows, "inner dimensions of a product");
    assert_eq!(out.len(), a.rows * b.columns, "size of a product");
    assert!(a.data.len() == a.rows * a.columns && b.data.len() == b.rows * b.columns, "sizes of factors");
    let ((a_column, a_row), (b_column, b_row)) = (a.strides(), b.strides());
    // SAFETY: the sizes of the three matrices were checked above, and the strides follow from them.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns as isize,
            accumulate,
            a.data.as_ptr(),
            a_column,
            a_row,
            b.data.as_ptr(),
            b_column,
            b_row,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
