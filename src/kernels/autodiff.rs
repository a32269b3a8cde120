//! Backward passes of the fused kernels under Burn's autodiff.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::{AdamWStep, Columns, ConvolutionShape, CouplingShape, Kernels, MlpShape, Transform};

#[derive(Debug)]
struct Mlp(MlpShape);

impl<B: Kernels> Backward<B, 2> for Mlp {
    /// x, weights, what the forward pass kept
    type State = [FloatTensor<B>; 3];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [x, weights, kept] = ops.state;
        let needs_x = ops.parents[0].is_some();
        let (grad_x, grad_weights) = B::mlp_backward(grad, x, weights, kept, self.0, needs_x);
        register::<B, 2>(grads, ops.parents.map(|p| p.map(|node| node.id)), [grad_x, grad_weights]);
    }
}

#[derive(Debug)]
struct Coupling(CouplingShape);

impl<B: Kernels> Backward<B, 3> for Coupling {
    /// state, condition, weights, what the forward pass kept
    type State = [FloatTensor<B>; 4];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [state, condition, weights, kept] = ops.state;
        let needs = [0, 1].map(|i| ops.parents[i].is_some());
        let (grad_state, grad_condition, grad_weights) =
            B::coupling_backward(grad, state, condition, weights, kept, self.0, needs);
        register::<B, 3>(
            grads,
            ops.parents.map(|p| p.map(|node| node.id)),
            [grad_state, grad_condition, grad_weights],
        );
    }
}

#[derive(Debug)]
struct Elementwise(Transform);

impl<B: Kernels> Backward<B, 2> for Elementwise {
    /// parameters, x
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [parameters, x] = ops.state;
        let (grad_parameters, grad_x) = B::transform_backward(grad, parameters, x, self.0);
        register::<B, 2>(grads, ops.parents.map(|p| p.map(|node| node.id)), [grad_parameters, grad_x]);
    }
}

#[derive(Debug)]
struct Convolution(ConvolutionShape);

impl<B: Kernels> Backward<B, 3> for Convolution {
    /// x, weight
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [x, weight] = ops.state;
        let needs_x = ops.parents[0].is_some();
        let (grad_x, grad_weight, grad_bias) = B::convolution_backward(grad, x, weight, self.0, needs_x);
        let parents = ops.parents.map(|p| p.map(|node| node.id));
        register::<B, 3>(grads, parents, [grad_x, grad_weight, grad_bias]);
    }
}

#[derive(Debug)]
struct Permute;

impl<B: Kernels> Backward<B, 1> for Permute {
    /// The inverse permutation
    type State = Columns;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        register::<B, 1>(
            grads,
            ops.parents.map(|p| p.map(|node| node.id)),
            [B::permute_columns(grad, ops.state)],
        );
    }
}

#[derive(Debug)]
struct LogSumExp;

impl<B: Kernels> Backward<B, 1> for LogSumExp {
    /// x, y
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [x, y] = ops.state;
        register::<B, 1>(
            grads,
            ops.parents.map(|p| p.map(|node| node.id)),
            [B::log_sum_exp_backward(grad, x, y)],
        );
    }
}

/// Hands gradients to the inputs that want them.
fn register<B: Kernels, const N: usize>(
    grads: &mut Gradients,
    parents: [Option<NodeId>; N],
    gradients: [FloatTensor<B>; N],
) {
    for (parent, gradient) in parents.into_iter().zip(gradients) {
        if let Some(node) = parent {
            grads.register::<B>(node, gradient);
        }
    }
}

const SECOND_DERIVATIVES: &str =
    "backward passes run on the inner backend: second derivatives are not supported";

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn mlp(x: FloatTensor<Self>, weights: FloatTensor<Self>, shape: MlpShape) -> FloatTensor<Self> {
        let nodes = [x.node(), weights.node()];
        let [x, weights] = [x, weights].map(|t| t.primitive().clone());
        match Mlp(shape).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (y, kept) = B::mlp_keeping(x.clone(), weights.clone(), shape);
                prepared.finish([x, weights, kept], y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::mlp(x, weights, shape)),
        }
    }

    fn coupling(
        state: FloatTensor<Self>,
        condition: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        shape: CouplingShape,
        inverse: bool,
    ) -> FloatTensor<Self> {
        let nodes = [state.node(), condition.node(), weights.node()];
        let [state, condition, weights] = [state, condition, weights].map(|t| t.primitive().clone());
        match Coupling(shape.clone()).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                assert!(!inverse, "the inverse coupling has no gradient: detach its inputs");
                let (y, kept) = B::coupling_keeping(state.clone(), condition.clone(), weights.clone(), shape);
                prepared.finish([state, condition, weights, kept], y)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::coupling(state, condition, weights, shape, inverse))
            }
        }
    }

    fn transform(
        parameters: FloatTensor<Self>,
        x: FloatTensor<Self>,
        transform: Transform,
        inverse: bool,
    ) -> FloatTensor<Self> {
        let nodes = [parameters.node(), x.node()];
        let [parameters, x] = [parameters, x].map(|t| t.primitive().clone());
        let y = B::transform(parameters.clone(), x.clone(), transform, inverse);
        match Elementwise(transform).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                assert!(!inverse, "the inverse transform has no gradient: detach its inputs");
                prepared.finish([parameters, x], y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: ConvolutionShape,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x, weight, bias] = [x, weight, bias].map(|t| t.primitive().clone());
        let y = B::convolution(x.clone(), weight.clone(), bias, shape);
        match Convolution(shape).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([x, weight], y),
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

    fn log_sum_exp(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let x = x.primitive().clone();
        let y = B::log_sum_exp(x.clone());
        match LogSumExp.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([x, y.clone()], y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn mlp_keeping(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: MlpShape,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("{SECOND_DERIVATIVES}")
    }

    fn mlp_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: MlpShape,
        _: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("{SECOND_DERIVATIVES}")
    }

    fn coupling_keeping(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: CouplingShape,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("{SECOND_DERIVATIVES}")
    }

    fn coupling_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: CouplingShape,
        _: [bool; 2],
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("{SECOND_DERIVATIVES}")
    }

    fn transform_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Transform,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("{SECOND_DERIVATIVES}")
    }

    fn convolution_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: ConvolutionShape,
        _: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("{SECOND_DERIVATIVES}")
    }

    fn log_sum_exp_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        unreachable!("{SECOND_DERIVATIVES}")
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
