//! A whole coupling layer (Dinh, Sohl-Dickstein, Bengio 2016, "Real NVP", arXiv:1605.08803), forward, inverse and
//! backward: reordering of the features, conditioner network and elementwise transform on a block of rows that stays
//! in the second-level cache.
//!
//! With x = (a, b) the reordered features: y = (a, T(b; θ(a, condition))), log|det| = Σ log|∂T/∂b|. Features travel with
//! the log-determinant so far in one more column, the *state* `[rows, features + 1]`.

use std::ops::Range;

use burn::backend::flex::FlexTensor;

use super::block::{Block, Pieces, ROWS, block_memory, for_each, give_back, pieces_of, with_scratch};
use super::flex::{contiguous, from_flat, from_vec, into_vec, matrix_shape, values};
use super::simd::with_lanes;
use super::transform::{Elementwise, ElementwiseBackward};
use super::{Columns, MlpShape, Transform};

/// Shape of a coupling layer. The conditioner has `mlp.inputs` = fixed features and condition, and `mlp.outputs` =
/// moved features times the parameters of the transform, feature by feature.
#[derive(Clone, Debug, PartialEq)]
pub struct CouplingShape {
    /// Reordering in front of the coupling; the first half (rounded down) stays fixed, the second moves.
    pub columns: Columns,
    /// How the second half moves.
    pub transform: Transform,
    /// The conditioner.
    pub mlp: MlpShape,
}

impl CouplingShape {
    /// Number of features.
    pub fn features(&self) -> usize {
        self.columns.as_slice().len()
    }

    /// Number of features that stay.
    pub fn fixed(&self) -> usize {
        self.features() / 2
    }

    fn moved(&self) -> usize {
        self.features() - self.fixed()
    }

    fn condition(&self) -> usize {
        self.mlp.inputs - self.fixed()
    }

    /// Column in the state of feature i of the reordered features.
    fn column(&self, i: usize) -> usize {
        self.columns.as_slice()[i] as usize
    }

    fn fixed_columns(&self) -> impl Iterator<Item = usize> {
        (0..self.fixed()).map(|i| self.column(i))
    }

    fn moved_columns(&self) -> impl Iterator<Item = usize> {
        (self.fixed()..self.features()).map(|i| self.column(i))
    }

    /// Values of every row that the backward pass needs.
    fn kept_width(&self) -> usize {
        self.mlp.kept_width() + self.mlp.outputs
    }

    /// Groups of moved features whose parameters are computed and used while they are in the cache.
    fn groups(&self) -> impl Iterator<Item = Range<usize>> {
        let (moved, size) = (self.moved(), self.group_size());
        (0..moved).step_by(size).map(move |start| start..moved.min(start + size))
    }

    fn group_size(&self) -> usize {
        (OUTPUTS_PER_GROUP / self.transform.parameters()).clamp(1, self.moved())
    }

    fn check(&self, state: &FlexTensor, condition: &FlexTensor, weights: &FlexTensor) -> usize {
        let [rows, width] = matrix_shape(state);
        assert_eq!(width, self.features() + 1, "width of the state of a coupling");
        assert_eq!(matrix_shape(condition), [rows, self.condition()], "shape of the condition of a coupling");
        assert_eq!(values(weights).len(), self.mlp.parameters(), "number of weights of a coupling");
        self.transform.check();
        assert_eq!(
            self.mlp.outputs,
            self.moved() * self.transform.parameters(),
            "outputs of the conditioner"
        );
        rows
    }
}

/// Outputs of the conditioner computed at a time.
const OUTPUTS_PER_GROUP: usize = 512;

/// The layer or its inverse; returns the new state and, if asked, what the backward pass needs.
pub(super) fn transform(
    state: FlexTensor,
    condition: FlexTensor,
    weights: FlexTensor,
    shape: &CouplingShape,
    inverse: bool,
    keep: bool,
) -> (FlexTensor, FlexTensor) {
    let (state, condition, weights) = (contiguous(state), contiguous(condition), contiguous(weights));
    let rows = shape.check(&state, &condition, &weights);
    let width = shape.features() + 1;
    let mut out = vec![0.0; rows * width];
    let mut kept = block_memory(rows, if keep { shape.kept_width() } else { 0 });
    let blocks: Vec<_> = pieces_of(&mut kept, ROWS * shape.kept_width())
        .zip(pieces_of(&mut out, ROWS * width))
        .zip(Block::all(rows))
        .enumerate()
        .collect();
    let task = Forward { shape, parameters: values(&weights), inverse };
    for_each(blocks, |(i, ((kept, out), block))| {
        let row = i * ROWS;
        let condition = &values(&condition)[row * shape.condition()..];
        task.run(block, &values(&state)[row * width..], condition, out, kept);
    });
    (from_vec(out, [rows, width]), from_flat(kept))
}

struct Forward<'a> {
    shape: &'a CouplingShape,
    parameters: &'a [f32],
    inverse: bool,
}

impl Forward<'_> {
    /// One block; `kept` is empty if nothing is to be kept.
    fn run(&self, block: Block, state: &[f32], condition: &[f32], out: &mut [f32], kept: &mut [f32]) {
        let Self { shape, parameters, inverse } = *self;
        let CouplingShape { mlp, transform, .. } = shape;
        let (stride, features, fixed) = (block.stride(), shape.features(), shape.fixed());
        let keep = !kept.is_empty();
        let n = transform.parameters();
        let group_width = shape.group_size() * n;
        let own_kept = if keep { 0 } else { mlp.kept_width() + group_width };
        let widths = [own_kept, shape.moved(), 1, mlp.scratch_width()];
        with_scratch(widths.iter().sum::<usize>() * stride, |scratch| {
            let mut scratch = Pieces(scratch);
            let [own_kept, moved, log, rest] = widths.map(|width| scratch.take(width * stride));
            let kept = if keep { kept } else { own_kept };
            let (network, all_parameters) = kept.split_at_mut(mlp.kept_width() * stride);

            // Columns of feature i of the reordered features in the old and in the new state.
            let from = |i: usize| if inverse { i } else { shape.column(i) };
            let to = |i: usize| if inverse { shape.column(i) } else { i };
            let (fixed_input, others) = network.split_at_mut(fixed * stride);
            let condition_input = &mut others[..shape.condition() * stride];
            block.gather(fixed_input, state, features + 1, (0..fixed).map(from));
            block.gather(moved, state, features + 1, (fixed..features).map(from));
            block.gather(condition_input, condition, shape.condition(), 0..shape.condition());
            block.gather(log, state, features + 1, features..features + 1);

            let last = mlp.hidden_forward(block, parameters, network, rest);
            for group in shape.groups() {
                let outputs = group.start * n..group.end * n;
                let place = if keep { outputs.clone() } else { 0..outputs.len() };
                let own = &mut all_parameters[place.start * stride..place.end * stride];
                mlp.output_layer().part(outputs).forward(block, parameters, last, own, false);
                with_lanes(Elementwise {
                    transform: *transform,
                    inverse,
                    stride,
                    parameters: own,
                    values: &mut moved[group.start * stride..group.end * stride],
                    log,
                });
            }

            block.scatter(out, &network[..fixed * stride], features + 1, (0..fixed).map(to));
            block.scatter(out, moved, features + 1, (fixed..features).map(to));
            block.scatter(out, log, features + 1, features..features + 1);
        });
    }
}

/// Gradients with respect to state and condition, if asked, and the weights, from what [`transform`] kept.
pub(super) fn backward(
    grad: FlexTensor,
    [state, condition, weights, kept]: [FlexTensor; 4],
    shape: &CouplingShape,
    [needs_state, needs_condition]: [bool; 2],
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let (grad, state) = (contiguous(grad), contiguous(state));
    let (weights, kept) = (contiguous(weights), contiguous(kept));
    let rows = shape.check(&state, &condition, &weights);
    let widths = [shape.features() + 1, shape.condition()];
    let [state_rows, condition_rows] =
        [needs_state, needs_condition].map(|needed| if needed { rows } else { 0 });
    let mut grad_state = vec![0.0; state_rows * widths[0]];
    let mut grad_condition = vec![0.0; condition_rows * widths[1]];
    let mut gradients = block_memory(rows, shape.mlp.gradient_width());
    let blocks: Vec<_> = pieces_of(&mut grad_state, ROWS * widths[0])
        .zip(pieces_of(&mut grad_condition, ROWS * widths[1]))
        .zip(pieces_of(&mut gradients, ROWS * shape.mlp.gradient_width()))
        .zip(Block::all(rows))
        .enumerate()
        .collect();
    let transposed = shape.mlp.transposed(values(&weights));
    let task = Backward {
        shape,
        grad: values(&grad),
        state: values(&state),
        transposed: &transposed,
        kept: values(&kept),
    };
    for_each(blocks, |(i, (((grad_state, grad_condition), gradients), block))| {
        task.run(block, i * ROWS, gradients, [grad_state, grad_condition]);
    });
    let block_widths = [shape.kept_width(), shape.mlp.gradient_width()];
    let weight_gradients = shape.mlp.weight_gradients(rows, [values(&kept), &gradients], block_widths);
    give_back([into_vec(kept), gradients, transposed]);
    (
        from_vec(grad_state, [state_rows, widths[0]]),
        from_vec(grad_condition, [condition_rows, widths[1]]),
        from_flat(weight_gradients),
    )
}

struct Backward<'a> {
    shape: &'a CouplingShape,
    grad: &'a [f32],
    state: &'a [f32],
    transposed: &'a [f32],
    kept: &'a [f32],
}

impl Backward<'_> {
    /// One block, from row `row` on; the gradients of state and condition are empty if they are not needed.
    fn run(
        &self,
        block: Block,
        row: usize,
        gradients: &mut [f32],
        [grad_state, grad_condition]: [&mut [f32]; 2],
    ) {
        let Self { shape, transposed, .. } = *self;
        let CouplingShape { mlp, transform, .. } = shape;
        let (stride, features, fixed) = (block.stride(), shape.features(), shape.fixed());
        let n = transform.parameters();
        let needs_input = !(grad_state.is_empty() && grad_condition.is_empty());
        let widths = [
            shape.moved(),
            shape.moved(),
            1,
            mlp.last_width(),
            if needs_input { mlp.inputs } else { 0 },
            mlp.scratch_width(),
        ];
        with_scratch(widths.iter().sum::<usize>() * stride, |scratch| {
            let mut scratch = Pieces(scratch);
            let [moved, g, g_log, g_last, g_input, rest] = widths.map(|width| scratch.take(width * stride));
            let state = &self.state[row * (features + 1)..];
            let grad = &self.grad[row * (features + 1)..];
            let kept = &self.kept[row * shape.kept_width()..][..shape.kept_width() * stride];
            let (network, all_parameters) = kept.split_at(mlp.kept_width() * stride);
            let (g_hidden, g_parameters) = gradients.split_at_mut(mlp.hidden_width() * stride);

            block.gather(moved, state, features + 1, shape.moved_columns());
            block.gather(g, grad, features + 1, fixed..features);
            block.gather(g_log, grad, features + 1, features..features + 1);
            for group in shape.groups() {
                let outputs = group.start * n..group.end * n;
                let own = outputs.start * stride..outputs.end * stride;
                let values = group.start * stride..group.end * stride;
                with_lanes(ElementwiseBackward {
                    transform: *transform,
                    stride,
                    parameters: &all_parameters[own.clone()],
                    grad_parameters: &mut g_parameters[own.clone()],
                    values: &moved[values.clone()],
                    grad: &mut g[values],
                    grad_log: g_log,
                });
                let part = mlp.output_layer().part(outputs);
                part.backward(block, transposed, &g_parameters[own], g_last, group.start > 0);
            }
            mlp.hidden_backward(block, transposed, network, g_hidden, [g_last, &mut *g_input, rest]);
            if !grad_condition.is_empty() {
                let width = shape.condition();
                block.scatter(grad_condition, &g_input[fixed * stride..], width, 0..width);
            }
            if !grad_state.is_empty() {
                // What the fixed features get from the conditioner, and directly.
                let through = &mut moved[..fixed * stride];
                block.gather(through, grad, features + 1, 0..fixed);
                through.iter_mut().zip(&*g_input).for_each(|(g, more)| *g += more);
                block.scatter(grad_state, through, features + 1, shape.fixed_columns());
                block.scatter(grad_state, g, features + 1, shape.moved_columns());
                block.scatter(grad_state, g_log, features + 1, features..features + 1);
            }
        });
    }
}
