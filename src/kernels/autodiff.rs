//! Backward passes of the fused kernels under Burn's autodiff.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::{Activation, AdamWStep, Columns, Kernels, Spline};

#[derive(Debug)]
struct Linear(Activation);

impl<B: Kernels> Backward<B, 3> for Linear {
    /// x, weight, y
    type State = [FloatTensor<B>; 3];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [x, weight, y] = ops.state;
        let (grad_x, grad_weight, grad_bias) = B::fused_linear_backward(grad, y, x, weight, self.0);
        for (parent, grad) in ops.parents.into_iter().zip([grad_x, grad_weight, grad_bias]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

#[derive(Debug)]
struct SplineForward(Spline);

impl<B: Kernels> Backward<B, 2> for SplineForward {
    /// parameters, x
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [parameters, x] = ops.state;
        let (grad_parameters, grad_x) = B::spline_backward(grad, parameters, x, self.0);
        for (parent, grad) in ops.parents.into_iter().zip([grad_parameters, grad_x]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

#[derive(Debug)]
struct Permute;

impl<B: Kernels> Backward<B, 1> for Permute {
    /// The inverse permutation
    type State = Columns;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::permute_columns(grad, ops.state));
        }
    }
}

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight) = (x.primitive().clone(), weight.primitive().clone());
        let y = B::fused_linear(x.clone(), weight.clone(), bias.primitive().clone(), activation);
        match Linear(activation).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([x, weight, y.clone()], y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn spline(
        parameters: FloatTensor<Self>,
        x: FloatTensor<Self>,
        spline: Spline,
        inverse: bool,
    ) -> FloatTensor<Self> {
        let nodes = [parameters.node(), x.node()];
        let (parameters, x) = (parameters.primitive().clone(), x.primitive().clone());
        let y = B::spline(parameters.clone(), x.clone(), spline, inverse);
        match SplineForward(spline).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                assert!(!inverse, "the inverse spline has no gradient: detach its inputs");
                prepared.finish([parameters, x], y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn permute_columns(x: FloatTensor<Self>, columns: Columns) -> FloatTensor<Self> {
        let y = B::permute_columns(x.primitive().clone(), columns.clone());
        match Permute.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(columns.inverse(), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_linear_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("backward passes run on the inner backend: second derivatives are not supported")
    }

    fn spline_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Spline,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("backward passes run on the inner backend: second derivatives are not supported")
    }

    fn adamw(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("the optimiser works on tensors off the autodiff graph")
    }
}
