//! Access to the CPU backend's tensors as slices, and the backend's implementation of [`Kernels`].

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

use super::{AdamWStep, Columns, ConvolutionShape, CouplingShape, Kernels, MlpShape, Transform};
use super::{adamw, convolution, coupling, mlp, permute, reductions, transform};

impl Kernels for Flex {
    fn mlp(x: FlexTensor, weights: FlexTensor, shape: MlpShape) -> FlexTensor {
        mlp::forward(x, weights, shape, false).0
    }

    fn mlp_keeping(x: FlexTensor, weights: FlexTensor, shape: MlpShape) -> (FlexTensor, FlexTensor) {
        mlp::forward(x, weights, shape, true)
    }

    fn mlp_backward(
        grad: FlexTensor,
        x: FlexTensor,
        weights: FlexTensor,
        kept: FlexTensor,
        shape: MlpShape,
        needs_x: bool,
    ) -> (FlexTensor, FlexTensor) {
        mlp::backward(grad, x, weights, kept, shape, needs_x)
    }

    fn coupling(
        state: FlexTensor,
        condition: FlexTensor,
        weights: FlexTensor,
        shape: CouplingShape,
        inverse: bool,
    ) -> FlexTensor {
        coupling::transform(state, condition, weights, &shape, inverse, false).0
    }

    fn coupling_keeping(
        state: FlexTensor,
        condition: FlexTensor,
        weights: FlexTensor,
        shape: CouplingShape,
    ) -> (FlexTensor, FlexTensor) {
        coupling::transform(state, condition, weights, &shape, false, true)
    }

    fn coupling_backward(
        grad: FlexTensor,
        state: FlexTensor,
        condition: FlexTensor,
        weights: FlexTensor,
        kept: FlexTensor,
        shape: CouplingShape,
        needs: [bool; 2],
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        coupling::backward(grad, [state, condition, weights, kept], &shape, needs)
    }

    fn transform(parameters: FlexTensor, x: FlexTensor, transform: Transform, inverse: bool) -> FlexTensor {
        transform::forward(parameters, x, transform, inverse)
    }

    fn transform_backward(
        grad: FlexTensor,
        parameters: FlexTensor,
        x: FlexTensor,
        transform: Transform,
    ) -> (FlexTensor, FlexTensor) {
        transform::backward(grad, parameters, x, transform)
    }

    fn permute_columns(x: FlexTensor, columns: Columns) -> FlexTensor {
        permute::forward(x, &columns)
    }

    fn convolution(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        shape: ConvolutionShape,
    ) -> FlexTensor {
        convolution::forward(x, weight, bias, shape)
    }

    fn convolution_backward(
        grad: FlexTensor,
        x: FlexTensor,
        weight: FlexTensor,
        shape: ConvolutionShape,
        needs_x: bool,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        convolution::backward(grad, x, weight, shape, needs_x)
    }

    fn log_sum_exp(x: FlexTensor) -> FlexTensor {
        reductions::log_sum_exp(x)
    }

    fn log_sum_exp_backward(grad: FlexTensor, x: FlexTensor, y: FlexTensor) -> FlexTensor {
        reductions::log_sum_exp_backward(grad, x, y)
    }

    fn adamw(
        parameter: FlexTensor,
        grad: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        average: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        adamw::step([parameter, first, second, average], grad, step)
    }
}

/// The tensor itself where its elements lie in order, else an ordered copy.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The elements of a tensor that went through [`contiguous`].
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("a contiguous tensor is one slice")
}

pub(super) fn from_vec<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The memory of a tensor, or a copy where it is shared.
pub(super) fn into_vec(tensor: FlexTensor) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap_or_default()
}

/// A vector.
pub(super) fn from_flat(values: Vec<f32>) -> FlexTensor {
    let length = values.len();
    from_vec(values, [length])
}

pub(super) fn matrix_shape(tensor: &FlexTensor) -> [usize; 2] {
    let shape = tensor.layout().shape();
    [shape[0], shape[1]]
}
