//! Multilayer perceptron, forward and backward, block of rows by block of rows.
//!
//! Plain: h_l = a(W_l·h_{l−1} + b_l). Residual (as nflows' `ResidualNet`): h ← W₀·x + b₀, then blocks
//! h ← h + W₂·a(W₁·a(h) + b₁) + b₂, and a(h) in front of the output layer; or, with layer normalisation, the same with
//! norm(h) in place of a(h), as in transformers (Xiong et al. 2020, arXiv:2002.04745). The output layer is linear. With g the
//! gradient of a layer's output, ∂L/∂x = Wᵀ·g, ∂L/∂W = g·xᵀ and ∂L/∂b = Σ_rows g.

use burn::backend::flex::FlexTensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Activation;
use super::block::{
    Block, Layer, Pieces, ROWS, add_gradients, block_memory, for_each, give_back, memory, pieces_of,
    transpose, with_scratch,
};
use super::flex::{contiguous, from_flat, from_vec, into_vec, matrix_shape, values};
use super::norm::{normalise, normalise_backward};

/// How the hidden layers of a network follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blocks {
    /// One after the other.
    #[default]
    Plain,
    /// In residual blocks of two, each behind a nonlinearity.
    Residual,
    /// In residual blocks of two with a nonlinearity between them, each block behind a layer normalisation.
    LayerNorm,
}

/// Shape of a multilayer perceptron whose weights are packed in one vector: layer after layer, each the matrix
/// `[outputs, inputs]` and then the biases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MlpShape {
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
    /// Units in a hidden layer.
    pub width: usize,
    /// Hidden layers, or residual blocks; without any, the network is one linear layer.
    pub hidden: usize,
    /// How hidden layers follow each other.
    pub blocks: Blocks,
    /// Nonlinearity of the hidden layers.
    pub activation: Activation,
}

impl MlpShape {
    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.output_layer().biases().end
    }

    /// (inputs, outputs) of every layer.
    pub fn layers(&self) -> impl Iterator<Item = (usize, usize)> {
        self.packed_layers().map(|layer| (layer.inputs, layer.outputs))
    }

    pub(super) fn packed_layers(&self) -> impl Iterator<Item = Layer> {
        (0..=self.hidden_layers()).map(|i| self.layer(i))
    }

    fn hidden_layers(&self) -> usize {
        match (self.hidden, self.blocks) {
            (0, _) => 0,
            (hidden, Blocks::Plain) => hidden,
            (hidden, Blocks::Residual | Blocks::LayerNorm) => 1 + 2 * hidden,
        }
    }

    fn layer(&self, i: usize) -> Layer {
        let last = self.hidden_layers();
        let width = self.width;
        let packed = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
        let inputs = if i == 0 { self.inputs } else { width };
        let outputs = if i == last { self.outputs } else { width };
        let start = if i == 0 { 0 } else { packed(self.inputs, width) + (i - 1) * packed(width, width) };
        Layer { inputs, outputs, start }
    }

    pub(super) fn output_layer(&self) -> Layer {
        self.layer(self.hidden_layers())
    }

    /// Width of the input of the output layer.
    pub(super) fn last_width(&self) -> usize {
        self.output_layer().inputs
    }

    /// Values of one activation or normalisation kept for the backward pass: its outputs and, where they are needed,
    /// derivatives or 1/σ.
    fn slot_width(&self) -> usize {
        let more = match self.blocks {
            _ if !self.activation.output_gives_derivative() => self.width,
            Blocks::LayerNorm => 1,
            Blocks::Plain | Blocks::Residual => 0,
        };
        self.width + more
    }

    /// Whether what is kept in a slot comes from a normalisation: they and the activations take turns.
    fn is_norm(&self, slot: usize) -> bool {
        self.blocks == Blocks::LayerNorm && slot.is_multiple_of(2)
    }

    /// Values kept for every row: the input and those of all activations.
    pub(super) fn kept_width(&self) -> usize {
        self.inputs + self.hidden_layers() * self.slot_width()
    }

    /// Where the input of layer i lies among what is kept: that of layer 0 comes first, then the activations.
    fn input_place(&self, i: usize) -> usize {
        if i == 0 { 0 } else { self.inputs + (i - 1) * self.slot_width() }
    }

    /// Gradients of every row: those of the outputs of all layers.
    pub(super) fn gradient_width(&self) -> usize {
        self.hidden_width() + self.outputs
    }

    /// Those of the hidden layers, which come first.
    pub(super) fn hidden_width(&self) -> usize {
        self.hidden_layers() * self.width
    }

    /// Scratch for every row of [`MlpShape::hidden_forward`] and of [`MlpShape::hidden_backward`].
    pub(super) fn scratch_width(&self) -> usize {
        if self.blocks == Blocks::Plain { 0 } else { self.width }
    }

    /// Runs the hidden layers on the input, with which `kept` begins, fills the rest of `kept` and returns the input of
    /// the output layer.
    pub(super) fn hidden_forward<'a>(
        &self,
        block: Block,
        parameters: &[f32],
        kept: &'a mut [f32],
        scratch: &mut [f32],
    ) -> &'a [f32] {
        let (input, slots) = kept.split_at_mut(self.inputs * block.stride());
        let input = &*input;
        if self.hidden == 0 {
            return input;
        }
        let length = self.width * block.stride();
        let slots = slots.chunks_exact_mut(self.slot_width() * block.stride());
        let mut slots = slots.map(|slot| slot.split_at_mut(length));
        let mut slot = || slots.next().expect("every activation has a place");
        let layer = |i: usize| self.layer(i).whole();
        if self.blocks == Blocks::Plain {
            return (0..self.hidden).fold(input, |x, i| {
                let (h, derivatives) = slot();
                layer(i).forward(block, parameters, x, h, false);
                self.apply(h, derivatives);
                h
            });
        }
        let lead = |x: &[f32], outer: &mut [f32], rest: &mut [f32]| {
            outer.copy_from_slice(x);
            if self.blocks == Blocks::LayerNorm {
                normalise(outer, &mut rest[..block.stride()], block.stride());
            } else {
                self.apply(outer, rest);
            }
        };
        let h = &mut scratch[..length];
        layer(0).forward(block, parameters, input, h, false);
        for i in 0..self.hidden {
            let (outer, rest) = slot();
            lead(h, outer, rest);
            let (inner, derivatives) = slot();
            layer(1 + 2 * i).forward(block, parameters, outer, inner, false);
            self.apply(inner, derivatives);
            layer(2 + 2 * i).forward(block, parameters, inner, h, true);
        }
        let (last, rest) = slot();
        lead(h, last, rest);
        last
    }

    /// The activation; derivatives are written where the slot is meant to hold them.
    fn apply(&self, values: &mut [f32], rest: &mut [f32]) {
        let derivatives = if self.activation.output_gives_derivative() { &mut [] } else { rest };
        self.activation.apply(values, derivatives);
    }

    /// The weights of every layer transposed, in their places, for the backward pass; there are no biases.
    pub(super) fn transposed(&self, parameters: &[f32]) -> Vec<f32> {
        let mut result = memory(parameters.len());
        for layer in self.packed_layers() {
            let range = layer.weights();
            let source = &parameters[range.clone()];
            transpose(&mut result[range], source, [layer.outputs, layer.inputs]);
        }
        result
    }

    /// Writes the gradients of the hidden layers' outputs, and that of the input unless `grad_input` is empty, given
    /// that of the input of the output layer, which is used up.
    pub(super) fn hidden_backward(
        &self,
        block: Block,
        transposed: &[f32],
        kept: &[f32],
        gradients: &mut [f32],
        [last, grad_input, scratch]: [&mut [f32]; 3],
    ) {
        if self.hidden == 0 {
            if !grad_input.is_empty() {
                grad_input.copy_from_slice(last);
            }
            return;
        }
        let (length, stride) = (self.width * block.stride(), block.stride());
        let through = |slot: usize, g: &mut [f32]| {
            let values = &kept[self.input_place(slot + 1) * stride..][..self.slot_width() * stride];
            let (outputs, rest) = values.split_at(length);
            if self.is_norm(slot) {
                normalise_backward(g, outputs, &rest[..stride], stride);
            } else {
                self.activation.scale_by_derivative(g, outputs, rest);
            }
        };
        // From layer i to the activation in front of it.
        let step = |i: usize, g: &[f32], before: &mut [f32]| {
            self.layer(i).whole().backward(block, transposed, g, before, false);
            through(i - 1, before);
        };
        let mut layers: Vec<&mut [f32]> = gradients.chunks_exact_mut(length).collect();
        through(self.hidden_layers() - 1, last);
        if self.blocks != Blocks::Plain {
            let outer = &mut scratch[..length];
            for i in (0..self.hidden).rev() {
                let [inner_g, g] = &mut layers[1 + 2 * i..3 + 2 * i] else {
                    unreachable!("two layers a block")
                };
                g.copy_from_slice(last);
                step(2 + 2 * i, g, inner_g);
                step(1 + 2 * i, inner_g, outer);
                last.iter_mut().zip(&*outer).for_each(|(g, outer)| *g += outer);
            }
            layers[0].copy_from_slice(last);
        } else {
            layers[self.hidden - 1].copy_from_slice(last);
            for i in (1..self.hidden).rev() {
                let [before, g] = &mut layers[i - 1..=i] else { unreachable!("two layers") };
                step(i, g, before);
            }
        }
        if !grad_input.is_empty() {
            self.layer(0).whole().backward(block, transposed, layers[0], grad_input, false);
        }
    }

    /// Gradients of the weights from the inputs of all layers among what was kept and the gradients of their outputs, in
    /// blocks of rows of the given widths. Every weight is summed in the order of the blocks, on whichever thread.
    pub(super) fn weight_gradients(
        &self,
        rows: usize,
        [kept, gradients]: [&[f32]; 2],
        [kept_width, gradient_width]: [usize; 2],
    ) -> Vec<f32> {
        let mut result = vec![0.0; self.parameters()];
        let mut tasks = Vec::new();
        let mut rest = Pieces(&mut result);
        let mut place = 0;
        for (i, layer) in self.packed_layers().enumerate() {
            let (inputs, outputs) = (layer.inputs, layer.outputs);
            let weights = rest.take(inputs * outputs);
            let biases = rest.take(outputs);
            let pieces = pieces_of(weights, OUTPUTS_PER_TASK * inputs);
            for (n, (weights, biases)) in pieces.zip(biases.chunks_mut(OUTPUTS_PER_TASK)).enumerate() {
                let of_gradient = place + n * OUTPUTS_PER_TASK;
                tasks.push((weights, biases, inputs, [self.input_place(i), of_gradient]));
            }
            place += outputs;
        }
        for_each(tasks, |(weights, biases, inputs, [of_input, of_gradient])| {
            for (i, block) in Block::all(rows).enumerate() {
                let stride = block.stride();
                let x = &kept[i * ROWS * kept_width + of_input * stride..][..inputs * stride];
                let g = &gradients[i * ROWS * gradient_width + of_gradient * stride..];
                add_gradients(block, weights, biases, x, &g[..biases.len() * stride]);
            }
        });
        result
    }
}

/// Outputs of a layer whose weights' gradients one task computes.
const OUTPUTS_PER_TASK: usize = 128;

/// Applies the network; returns y `[rows, outputs]` and, if asked, what the backward pass needs.
pub(super) fn forward(
    x: FlexTensor,
    weights: FlexTensor,
    shape: MlpShape,
    keep: bool,
) -> (FlexTensor, FlexTensor) {
    let (x, weights) = (contiguous(x), contiguous(weights));
    let rows = check(&x, &weights, shape);
    let parameters = values(&weights);
    let MlpShape { inputs, outputs, .. } = shape;
    let mut y = vec![0.0; rows * outputs];
    let mut kept = block_memory(rows, if keep { shape.kept_width() } else { 0 });
    let blocks: Vec<_> = pieces_of(&mut kept, ROWS * shape.kept_width())
        .zip(pieces_of(&mut y, ROWS * outputs))
        .zip(Block::all(rows))
        .enumerate()
        .collect();
    for_each(blocks, |(i, ((kept, y), block))| {
        let stride = block.stride();
        let own_kept = if keep { 0 } else { shape.kept_width() };
        with_scratch((outputs + shape.scratch_width() + own_kept) * stride, |scratch| {
            let mut scratch = Pieces(scratch);
            let output = scratch.take(outputs * stride);
            let kept = if keep { kept } else { scratch.take(own_kept * stride) };
            block.gather(kept, &values(&x)[i * ROWS * inputs..], inputs, 0..inputs);
            let last = shape.hidden_forward(block, parameters, kept, scratch.0);
            shape.output_layer().whole().forward(block, parameters, last, output, false);
            block.scatter(y, output, outputs, 0..outputs);
        });
    });
    (from_vec(y, [rows, outputs]), from_flat(kept))
}

/// Gradients with respect to x, if asked, and the weights, from what [`forward`] kept.
pub(super) fn backward(
    grad: FlexTensor,
    x: FlexTensor,
    weights: FlexTensor,
    kept: FlexTensor,
    shape: MlpShape,
    needs_x: bool,
) -> (FlexTensor, FlexTensor) {
    let (grad, weights, kept) = (contiguous(grad), contiguous(weights), contiguous(kept));
    let rows = check(&x, &weights, shape);
    let transposed = shape.transposed(values(&weights));
    let MlpShape { inputs, outputs, .. } = shape;
    let widths = [shape.kept_width(), shape.gradient_width()];
    let mut grad_x = vec![0.0; if needs_x { rows * inputs } else { 0 }];
    let mut gradients = block_memory(rows, shape.gradient_width());
    let blocks: Vec<_> = pieces_of(&mut grad_x, ROWS * inputs)
        .zip(pieces_of(&mut gradients, ROWS * shape.gradient_width()))
        .zip(Block::all(rows))
        .enumerate()
        .collect();
    for_each(blocks, |(i, ((grad_x, gradients), block))| {
        let stride = block.stride();
        let scratch_widths = [shape.last_width(), if needs_x { inputs } else { 0 }, shape.scratch_width()];
        with_scratch(scratch_widths.iter().sum::<usize>() * stride, |scratch| {
            let mut scratch = Pieces(scratch);
            let [last, grad_input, rest] = scratch_widths.map(|width| scratch.take(width * stride));
            let (hidden, output) = gradients.split_at_mut(shape.hidden_width() * stride);
            block.gather(output, &values(&grad)[i * ROWS * outputs..], outputs, 0..outputs);
            shape.output_layer().whole().backward(block, &transposed, output, last, false);
            let kept = &values(&kept)[i * ROWS * widths[0]..];
            shape.hidden_backward(block, &transposed, kept, hidden, [last, &mut *grad_input, rest]);
            block.scatter(grad_x, grad_input, inputs, 0..inputs);
        });
    });
    let weight_gradients = shape.weight_gradients(rows, [values(&kept), &gradients], widths);
    give_back([into_vec(kept), gradients, transposed]);
    (from_vec(grad_x, [if needs_x { rows } else { 0 }, inputs]), from_flat(weight_gradients))
}

fn check(x: &FlexTensor, weights: &FlexTensor, shape: MlpShape) -> usize {
    let [rows, inputs] = matrix_shape(x);
    assert_eq!(inputs, shape.inputs, "width of the input of a network");
    assert_eq!(values(weights).len(), shape.parameters(), "number of weights of a network");
    rows
}
