//! The hot operations of training and sampling.
//!
//! Each operation is one function on Burn tensors. On the CPU backend (`Flex`) in `f32` it runs a fused kernel with
//! a handwritten backward pass; on every other device or element type it runs the composition of Burn operations in
//! [`reference`], which is also what the tests compare the fused kernels with.
//!
//! Fused kernels split the rows of a batch into blocks of fixed size, so results do not depend on the number of
//! threads. They contain no intrinsics: loops are compiled for several instruction sets and chosen at run time.

mod adamw;
mod autodiff;
mod flex;
mod linear;
mod permute;
pub mod reference;
mod simd;
mod spline;
#[cfg(test)]
mod tests;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Device, Tensor};

pub use adamw::AdamWStep;
pub use linear::Activation;
pub use permute::Columns;
pub use spline::Spline;

/// Rows of a batch that one task works on: small enough to spread a batch of 256 over cores and to keep the
/// intermediate results in the second-level cache, large enough for efficient matrix products.
const ROWS_PER_TASK: usize = 64;

/// Fused operations as an extension of Burn's CPU backend; [`linear`] and its neighbours are the public face.
#[backend_extension(Autodiff, Flex)]
pub trait Kernels: Backend {
    /// `activation(x · weight + bias)`.
    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;

    /// Gradients of [`Kernels::fused_linear`] with respect to x, weight and bias, given its output `y`.
    fn fused_linear_backward(
        grad: FloatTensor<Self>,
        y: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Transformed values and, in one more column, the log-determinant.
    fn spline(
        parameters: FloatTensor<Self>,
        x: FloatTensor<Self>,
        spline: Spline,
        inverse: bool,
    ) -> FloatTensor<Self>;

    /// Gradients of the forward [`Kernels::spline`] with respect to parameters and x.
    fn spline_backward(
        grad: FloatTensor<Self>,
        parameters: FloatTensor<Self>,
        x: FloatTensor<Self>,
        spline: Spline,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Reorders the columns of a matrix.
    fn permute_columns(x: FloatTensor<Self>, columns: Columns) -> FloatTensor<Self>;

    /// One AdamW step of a parameter and its exponential moving average; returns parameter, first and second
    /// moment, average.
    fn adamw(
        parameter: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        average: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// `activation(x · weight + bias)` for x `[batch, in]`, weight `[in, out]`, bias `[out]`; result `[batch, out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
    if !is_fused(&x) {
        return reference::linear(x, weight, bias, activation);
    }
    Tensor::from_dispatch(Dispatch::fused_linear(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        activation,
    ))
}

/// Monotone rational-quadratic spline of every element of x `[batch, features]` with parameters
/// `[batch, features · spline.parameters()]`; returns values `[batch, features]` and log|dy/dx| summed over the
/// features `[batch, 1]`. Formula and source: [`Spline`].
pub fn spline(parameters: Tensor<2>, x: Tensor<2>, spline: Spline) -> (Tensor<2>, Tensor<2>) {
    if !is_fused(&x) {
        return reference::spline(parameters, x, spline);
    }
    let features = x.dims()[1];
    unpack(Dispatch::spline(parameters.into_dispatch(), x.into_dispatch(), spline, false), features)
}

/// Inverse of [`spline`]: values and log|dx/dy| for y `[batch, features]`. Not differentiable: gradients stop here.
pub fn spline_inverse(parameters: Tensor<2>, y: Tensor<2>, spline: Spline) -> (Tensor<2>, Tensor<2>) {
    if !is_fused(&y) {
        return reference::spline_inverse(parameters.detach(), y.detach(), spline);
    }
    let features = y.dims()[1];
    let packed =
        Dispatch::spline(parameters.detach().into_dispatch(), y.detach().into_dispatch(), spline, true);
    unpack(packed, features)
}

fn unpack(packed: burn::backend::DispatchTensor, features: usize) -> (Tensor<2>, Tensor<2>) {
    let packed = Tensor::<2>::from_dispatch(packed);
    (packed.clone().narrow(1, 0, features), packed.narrow(1, features, 1))
}

/// Column `columns[j]` of x `[batch, features]` becomes column j of the result.
pub fn permute_columns(x: Tensor<2>, columns: &Columns) -> Tensor<2> {
    if !is_fused(&x) {
        return reference::permute_columns(x, columns);
    }
    Tensor::from_dispatch(Dispatch::permute_columns(x.into_dispatch(), columns.clone()))
}

/// One AdamW step; see [`AdamWStep`]. All tensors have the shape of the parameter and are off the autodiff graph.
pub fn adamw<const D: usize>(
    [parameter, first, second, average]: [Tensor<D>; 4],
    grad: Tensor<D>,
    step: AdamWStep,
) -> [Tensor<D>; 4] {
    if !is_fused(&parameter) {
        return reference::adamw([parameter, first, second, average], grad, step);
    }
    let (p, m, v, a) = Dispatch::adamw(
        parameter.into_dispatch(),
        grad.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        average.into_dispatch(),
        step,
    );
    [p, m, v, a].map(Tensor::from_dispatch)
}

/// Fused kernels exist for `f32` on the CPU backend.
fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device().inner() == Device::flex()
}
