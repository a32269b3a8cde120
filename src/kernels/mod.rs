//! The hot operations of training and sampling.
//!
//! Each operation is one function on Burn tensors. On the CPU backend (`Flex`) in `f32` it runs a fused kernel with
//! a handwritten backward pass; on every other device or element type it runs the composition of Burn operations in
//! [`reference`], which is also what the tests compare the fused kernels with.
//!
//! Fused kernels walk blocks of rows that stay in the second-level cache through a whole network or coupling layer.
//! Blocks have a fixed size and their gradients are added in order, so results do not depend on the number of
//! threads. Vector instructions are chosen at run time ([`pulp`]).

mod activation;
mod adamw;
mod autodiff;
mod block;
mod convolution;
mod coupling;
mod flex;
mod mlp;
mod norm;
mod permute;
mod reductions;
pub mod reference;
mod simd;
mod spline;
#[cfg(test)]
mod tests;
mod transform;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchTensor, backend_extension};
use burn::tensor::{DType, Device, Tensor};

pub use activation::Activation;
pub use adamw::AdamWStep;
pub use convolution::ConvolutionShape;
pub use coupling::CouplingShape;
pub use mlp::{Blocks, MlpShape};
pub use permute::Columns;
pub use spline::Spline;
pub use transform::Transform;

/// Fused operations as an extension of Burn's CPU backend; [`mlp`] and its neighbours are the public face. What the
/// `keeping` forms return beside the result is what the backward form wants.
#[backend_extension(Autodiff, Flex)]
pub trait Kernels: Backend {
    /// See [`mlp`].
    fn mlp(x: FloatTensor<Self>, weights: FloatTensor<Self>, shape: MlpShape) -> FloatTensor<Self>;

    /// [`Kernels::mlp`] for training.
    fn mlp_keeping(
        x: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        shape: MlpShape,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients with respect to x (empty unless `needs_x`) and weights.
    fn mlp_backward(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        kept: FloatTensor<Self>,
        shape: MlpShape,
        needs_x: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// See [`coupling`] and [`coupling_inverse`].
    fn coupling(
        state: FloatTensor<Self>,
        condition: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        shape: CouplingShape,
        inverse: bool,
    ) -> FloatTensor<Self>;

    /// [`Kernels::coupling`] for training.
    fn coupling_keeping(
        state: FloatTensor<Self>,
        condition: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        shape: CouplingShape,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients with respect to state and condition (each empty unless it `needs` one) and weights.
    fn coupling_backward(
        grad: FloatTensor<Self>,
        state: FloatTensor<Self>,
        condition: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        kept: FloatTensor<Self>,
        shape: CouplingShape,
        needs: [bool; 2],
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Transformed values and, in one more column, the log-determinant.
    fn transform(
        parameters: FloatTensor<Self>,
        x: FloatTensor<Self>,
        transform: Transform,
        inverse: bool,
    ) -> FloatTensor<Self>;

    /// Gradients of the forward [`Kernels::transform`] with respect to parameters and x.
    fn transform_backward(
        grad: FloatTensor<Self>,
        parameters: FloatTensor<Self>,
        x: FloatTensor<Self>,
        transform: Transform,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// See [`convolution`].
    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: ConvolutionShape,
    ) -> FloatTensor<Self>;

    /// Gradients with respect to x (empty unless `needs_x`), weight and bias.
    fn convolution_backward(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        shape: ConvolutionShape,
        needs_x: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Reorders the columns of a matrix.
    fn permute_columns(x: FloatTensor<Self>, columns: Columns) -> FloatTensor<Self>;

    /// See [`log_sum_exp`].
    fn log_sum_exp(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradient of [`Kernels::log_sum_exp`], given its output y.
    fn log_sum_exp_backward(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

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

/// The multilayer perceptron `shape` with packed `weights` on x `[batch, inputs]`; result `[batch, outputs]`.
pub fn mlp(x: Tensor<2>, weights: Tensor<1>, shape: MlpShape) -> Tensor<2> {
    if !is_fused(&x) {
        return reference::mlp(x, weights, shape);
    }
    Tensor::from_dispatch(Dispatch::mlp(x.into_dispatch(), weights.into_dispatch(), shape))
}

/// A coupling layer on the state `[batch, features + 1]` (features, then the log-determinant so far) with a condition
/// `[batch, condition]` and the packed weights of the conditioner: reorders the features, moves the second half as
/// the first half and the condition tell, and adds the log-determinant. Formula and source: [`CouplingShape`].
pub fn coupling(
    state: Tensor<2>,
    condition: Tensor<2>,
    weights: Tensor<1>,
    shape: CouplingShape,
) -> Tensor<2> {
    if !is_fused(&state) {
        return reference::coupling(state, condition, weights, &shape);
    }
    let tensors = (state.into_dispatch(), condition.into_dispatch(), weights.into_dispatch());
    Tensor::from_dispatch(Dispatch::coupling(tensors.0, tensors.1, tensors.2, shape, false))
}

/// Undoes [`coupling`], and subtracts its log-determinant. Not differentiable: gradients stop here.
pub fn coupling_inverse(
    state: Tensor<2>,
    condition: Tensor<2>,
    weights: Tensor<1>,
    shape: CouplingShape,
) -> Tensor<2> {
    let (state, condition, weights) = (state.detach(), condition.detach(), weights.detach());
    if !is_fused(&state) {
        return reference::coupling_inverse(state, condition, weights, &shape);
    }
    let tensors = (state.into_dispatch(), condition.into_dispatch(), weights.into_dispatch());
    Tensor::from_dispatch(Dispatch::coupling(tensors.0, tensors.1, tensors.2, shape, true))
}

/// Moves every element of x `[batch, features]` with parameters `[batch, features · transform.parameters()]`, feature
/// by feature; returns values `[batch, features]` and log|dy/dx| summed over the features `[batch, 1]`.
pub fn transform(parameters: Tensor<2>, x: Tensor<2>, transform: Transform) -> (Tensor<2>, Tensor<2>) {
    if !is_fused(&x) {
        return reference::transform(parameters, x, transform);
    }
    let features = x.dims()[1];
    unpack(Dispatch::transform(parameters.into_dispatch(), x.into_dispatch(), transform, false), features)
}

/// Inverse of [`transform`]: values and log|dx/dy| for y `[batch, features]`. Not differentiable: gradients stop here.
pub fn transform_inverse(
    parameters: Tensor<2>,
    y: Tensor<2>,
    transform: Transform,
) -> (Tensor<2>, Tensor<2>) {
    let (parameters, y) = (parameters.detach(), y.detach());
    if !is_fused(&y) {
        return reference::transform_inverse(parameters, y, transform);
    }
    let features = y.dims()[1];
    unpack(Dispatch::transform(parameters.into_dispatch(), y.into_dispatch(), transform, true), features)
}

fn unpack(packed: DispatchTensor, features: usize) -> (Tensor<2>, Tensor<2>) {
    let packed = Tensor::<2>::from_dispatch(packed);
    (packed.clone().narrow(1, 0, features), packed.narrow(1, features, 1))
}

/// Convolution, or its transpose, of images x `[batch, channels, height, width]` with weight `[c, C, kernel, kernel]` (c
/// channels of the small image, C of the large one) and bias `[output channels]`.
pub fn convolution(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, shape: ConvolutionShape) -> Tensor<4> {
    if !is_fused(&x) {
        return reference::convolution(x, weight, bias, shape);
    }
    Tensor::from_dispatch(Dispatch::convolution(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        shape,
    ))
}

/// a(z) of every element.
pub fn activate<const D: usize>(z: Tensor<D>, activation: Activation) -> Tensor<D> {
    reference::activate(z, activation)
}

/// Column `columns[j]` of x `[batch, features]` becomes column j of the result.
pub fn permute_columns(x: Tensor<2>, columns: &Columns) -> Tensor<2> {
    if !is_fused(&x) {
        return reference::permute_columns(x, columns);
    }
    Tensor::from_dispatch(Dispatch::permute_columns(x.into_dispatch(), columns.clone()))
}

/// ln Σ exp over the columns of x `[batch, columns]`, `[batch, 1]`; −∞ where all columns are.
pub fn log_sum_exp(x: Tensor<2>) -> Tensor<2> {
    if !is_fused(&x) {
        return reference::log_sum_exp(x);
    }
    Tensor::from_dispatch(Dispatch::log_sum_exp(x.into_dispatch()))
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

/// The vector instructions that are used: `V3` and `V4` are levels of x86-64, with AVX2 and AVX-512. Sums may be rounded
/// otherwise with others.
pub fn instructions() -> String {
    simd::instructions()
}

/// Frees memory that training steps leave for the next one; call it when there is no next one.
pub fn free_spare_memory() {
    block::free_spare_memory();
}

/// Fused kernels exist for `f32` on the CPU backend.
fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device().inner() == Device::flex()
}
