//! Access to the CPU backend's tensors as slices, and the backend's implementation of [`Kernels`].

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

use super::{Activation, AdamWStep, Columns, Kernels, Spline, adamw, linear, permute, spline};

impl Kernels for Flex {
    fn fused_linear(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        activation: Activation,
    ) -> FlexTensor {
        linear::forward(x, weight, bias, activation)
    }

    fn fused_linear_backward(
        grad: FlexTensor,
        y: FlexTensor,
        x: FlexTensor,
        weight: FlexTensor,
        activation: Activation,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        linear::backward(grad, y, x, weight, activation)
    }

    fn spline(parameters: FlexTensor, x: FlexTensor, spline: Spline, inverse: bool) -> FlexTensor {
        spline::transform(parameters, x, spline, inverse)
    }

    fn spline_backward(
        grad: FlexTensor,
        parameters: FlexTensor,
        x: FlexTensor,
        spline: Spline,
    ) -> (FlexTensor, FlexTensor) {
        spline::backward(grad, parameters, x, spline)
    }

    fn permute_columns(x: FlexTensor, columns: Columns) -> FlexTensor {
        permute::forward(x, &columns)
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

pub(super) fn matrix_shape(tensor: &FlexTensor) -> [usize; 2] {
    let shape = tensor.layout().shape();
    [shape[0], shape[1]]
}
