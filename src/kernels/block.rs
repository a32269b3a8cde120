//! Blocks of rows that one task works on, feature by feature: value j of row r lies at `[j · stride + r]`, so that
//! vector instructions run over rows. The stride is the number of rows, padded to a whole number of vectors.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::simd::{Lanes, MAX_LANES, vectorised, with_lanes};

/// Rows of a block: few enough for its intermediate results to stay in the second-level cache and for a batch of 256
/// to occupy four cores, many enough for efficient matrix products.
pub(super) const ROWS: usize = 64;

/// Number of rows in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) rows: usize,
}

impl Block {
    /// Distance of the values of a row.
    pub(super) fn stride(self) -> usize {
        self.rows.next_multiple_of(MAX_LANES)
    }

    /// The blocks of a batch.
    pub(super) fn all(rows: usize) -> impl Iterator<Item = Self> {
        (0..rows).step_by(ROWS).map(move |start| Self { rows: ROWS.min(rows - start) })
    }

    /// Writes columns `columns` of row-major `source` with `width` columns feature by feature; padding is zero.
    pub(super) fn gather(
        self,
        target: &mut [f32],
        source: &[f32],
        width: usize,
        columns: impl Iterator<Item = usize>,
    ) {
        for (target, column) in target.chunks_exact_mut(self.stride()).zip(columns) {
            let (values, padding) = target.split_at_mut(self.rows);
            let source = source[column..].iter().step_by(width);
            values.iter_mut().zip(source).for_each(|(to, from)| *to = *from);
            padding.fill(0.0);
        }
    }

    /// Undoes [`Block::gather`].
    pub(super) fn scatter(
        self,
        target: &mut [f32],
        source: &[f32],
        width: usize,
        columns: impl Iterator<Item = usize>,
    ) {
        for (source, column) in source.chunks_exact(self.stride()).zip(columns) {
            let target = target[column..].iter_mut().step_by(width);
            target.zip(&source[..self.rows]).for_each(|(to, from)| *to = *from);
        }
    }
}

/// The parameters of one feature for the rows of one vector: parameter p at `values[p · stride + at]`.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) stride: usize,
    pub(super) at: usize,
}

impl Place {
    #[inline(always)]
    pub(super) fn load<S: Simd>(self, simd: S, values: &[f32], parameter: usize) -> Lanes<S> {
        Lanes::load(simd, &values[parameter * self.stride + self.at..])
    }

    #[inline(always)]
    pub(super) fn store<S: Simd>(self, values: &mut [f32], parameter: usize, value: Lanes<S>) {
        value.store(&mut values[parameter * self.stride + self.at..]);
    }
}

/// One layer of a packed network: the weights `[outputs, inputs]` start at `start`, the biases follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Layer {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) start: usize,
}

impl Layer {
    pub(super) fn weights(&self) -> Range<usize> {
        self.start..self.start + self.inputs * self.outputs
    }

    pub(super) fn biases(&self) -> Range<usize> {
        self.weights().end..self.weights().end + self.outputs
    }

    /// The part of the layer that gives some of its outputs.
    pub(super) fn part(&self, outputs: Range<usize>) -> Part {
        assert!(outputs.end <= self.outputs, "outputs of a layer");
        Part { layer: *self, outputs }
    }

    pub(super) fn whole(&self) -> Part {
        self.part(0..self.outputs)
    }
}

/// Some of the outputs of a [`Layer`].
#[derive(Clone, Debug)]
pub(super) struct Part {
    layer: Layer,
    outputs: Range<usize>,
}

impl Part {
    fn weights(&self) -> Range<usize> {
        let start = self.layer.start + self.outputs.start * self.layer.inputs;
        start..start + self.outputs.len() * self.layer.inputs
    }

    fn biases(&self) -> Range<usize> {
        let start = self.layer.biases().start;
        start + self.outputs.start..start + self.outputs.end
    }

    /// y = W·x + b, or y += W·x + b. `parameters` are those of the whole network.
    pub(super) fn forward(&self, block: Block, parameters: &[f32], x: &[f32], y: &mut [f32], add: bool) {
        let stride = block.stride();
        if block.rows == 1 {
            return with_lanes(OneRow { part: self, stride, parameters, x, y, add });
        }
        for (y, &bias) in y.chunks_exact_mut(stride).zip(&parameters[self.biases()]) {
            if add {
                y.iter_mut().for_each(|y| *y += bias);
            } else {
                y.fill(bias);
            }
        }
        let weights = &parameters[self.weights()];
        let (inputs, outputs) = (self.layer.inputs, self.outputs.len());
        product(
            [block.rows, outputs, inputs],
            (y, [1, stride]),
            (x, [1, stride]),
            (weights, [1, inputs]),
            true,
        );
    }

    /// ∂L/∂x = Wᵀ·g, or adds it. The weights are those of the whole network, every layer transposed.
    pub(super) fn backward(
        &self,
        block: Block,
        transposed: &[f32],
        g: &[f32],
        grad_x: &mut [f32],
        add: bool,
    ) {
        let stride = block.stride();
        let (inputs, outputs) = (self.layer.inputs, self.outputs.len());
        let weights = &transposed[self.layer.weights()][self.outputs.start..];
        product(
            [block.rows, inputs, outputs],
            (grad_x, [1, stride]),
            (g, [1, stride]),
            (weights, [1, self.layer.outputs]),
            add,
        );
    }
}

/// Adds ∂L/∂W = g·xᵀ and ∂L/∂b = Σ g to the gradients of weights `[outputs, inputs]` and biases.
pub(super) fn add_gradients(block: Block, weights: &mut [f32], biases: &mut [f32], x: &[f32], g: &[f32]) {
    let stride = block.stride();
    let (inputs, outputs) = (x.len() / stride, biases.len());
    product([inputs, outputs, block.rows], (weights, [1, inputs]), (x, [stride, 1]), (g, [1, stride]), true);
    add_sums(biases, g, stride, block.rows);
}

/// Writes the transpose of `source` `[rows, columns]`.
pub(super) fn transpose(target: &mut [f32], source: &[f32], [rows, columns]: [usize; 2]) {
    target.par_chunks_mut(COLUMNS_PER_TASK * rows).enumerate().for_each(|(i, target)| {
        transpose_columns(target, &source[i * COLUMNS_PER_TASK..], [rows, columns]);
    });
}

/// Columns that one task transposes.
const COLUMNS_PER_TASK: usize = 64;

/// Transposes as many of the first columns as the target has place for.
fn transpose_columns(target: &mut [f32], source: &[f32], [rows, columns]: [usize; 2]) {
    /// Side of the tiles that are turned in registers.
    const TILE: usize = 8;
    let taken = target.len() / rows;
    let whole = [rows, taken].map(|size| size / TILE * TILE);
    vectorised(
        #[inline(always)]
        || {
            for i in (0..whole[0]).step_by(TILE) {
                for j in (0..whole[1]).step_by(TILE) {
                    let mut tile = [[0.0; TILE]; TILE];
                    for (r, tile) in tile.iter_mut().enumerate() {
                        tile.copy_from_slice(&source[(i + r) * columns + j..][..TILE]);
                    }
                    for c in 0..TILE {
                        let mut turned = [0.0; TILE];
                        for (to, tile) in turned.iter_mut().zip(&tile) {
                            *to = tile[c];
                        }
                        target[(j + c) * rows + i..][..TILE].copy_from_slice(&turned);
                    }
                }
            }
        },
    );
    for i in 0..rows {
        for j in if i < whole[0] { whole[1] } else { 0 }..taken {
            target[j * rows + i] = source[i * columns + j];
        }
    }
}

/// out = a·b, or out += a·b, on the calling thread, for out `[m, n]`, a `[m, k]`, b `[k, n]`; every matrix with the
/// distances of its rows and of its columns.
pub(super) fn product(
    [m, n, k]: [usize; 3],
    (out, [out_row, out_column]): (&mut [f32], [usize; 2]),
    (a, [a_row, a_column]): (&[f32], [usize; 2]),
    (b, [b_row, b_column]): (&[f32], [usize; 2]),
    add: bool,
) {
    if m == 0 || n == 0 || k == 0 {
        if !add {
            out.fill(0.0);
        }
        return;
    }
    let last =
        |rows: usize, columns: usize, row: usize, column: usize| (rows - 1) * row + (columns - 1) * column;
    assert!(last(m, n, out_row, out_column) < out.len(), "size of a product");
    assert!(last(m, k, a_row, a_column) < a.len(), "size of the left factor");
    assert!(last(k, n, b_row, b_column) < b.len(), "size of the right factor");
    // SAFETY: the last element of each of the three matrices lies inside its slice.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            out_column as isize,
            out_row as isize,
            add,
            a.as_ptr(),
            a_column as isize,
            a_row as isize,
            b.as_ptr(),
            b_column as isize,
            b_row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// A single row: dot products with the rows of the weights, which a product of matrices is slow at.
struct OneRow<'a> {
    part: &'a Part,
    stride: usize,
    parameters: &'a [f32],
    x: &'a [f32],
    y: &'a mut [f32],
    add: bool,
}

impl WithSimd for OneRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let x: Vec<f32> = self.x.iter().step_by(self.stride).copied().collect();
        let inputs = self.part.layer.inputs;
        let biases = &self.parameters[self.part.biases()];
        let weights = &self.parameters[self.part.weights()];
        for (o, (y, &bias)) in self.y.chunks_exact_mut(self.stride).zip(biases).enumerate() {
            let row = &weights[o * inputs..(o + 1) * inputs];
            let mut sums = [Lanes::splat(simd, 0.0); 2];
            let mut at = 0;
            while at + 2 * S::F32_LANES <= inputs {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let at = at + i * S::F32_LANES;
                    *sum = Lanes::load(simd, &row[at..]).mul_add(Lanes::load(simd, &x[at..]), *sum);
                }
                at += 2 * S::F32_LANES;
            }
            let rest: f32 = row[at..].iter().zip(&x[at..]).map(|(w, x)| w * x).sum();
            let value = bias + (sums[0] + sums[1]).sum() + rest;
            y[0] = if self.add { y[0] + value } else { value };
        }
    }
}

/// Adds the sum of the first `number` of every `stride` values.
pub(super) fn add_sums(sums: &mut [f32], values: &[f32], stride: usize, number: usize) {
    with_lanes(AddSums { sums, values, stride, number });
}

struct AddSums<'a> {
    sums: &'a mut [f32],
    values: &'a [f32],
    stride: usize,
    number: usize,
}

impl WithSimd for AddSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (sum, values) in self.sums.iter_mut().zip(self.values.chunks_exact(self.stride)) {
            let vectors = values[..self.number].chunks_exact(S::F32_LANES);
            let rest: f32 = vectors.remainder().iter().sum();
            let mut total = Lanes::splat(simd, 0.0);
            for v in vectors {
                total = total + Lanes::load(simd, v);
            }
            *sum += total.sum() + rest;
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with memory of this thread, whose content is arbitrary.
pub(super) fn with_scratch<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < length {
            scratch.resize(length, 0.0);
        }
        work(&mut scratch[..length])
    })
}

/// Memory of earlier steps: clearing fresh pages for every step takes a tenth of its time.
static SPARE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// Pieces of spare memory: those of the couplings of a large flow.
const MAX_SPARE: usize = 64;

fn spare() -> MutexGuard<'static, Vec<Vec<f32>>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory for `width` values of every row, block after block; its content is arbitrary.
pub(super) fn block_memory(rows: usize, width: usize) -> Vec<f32> {
    memory(Block::all(rows).map(Block::stride).sum::<usize>() * width)
}

/// Memory of arbitrary content.
pub(super) fn memory(length: usize) -> Vec<f32> {
    if length == 0 {
        return Vec::new();
    }
    let mut spare = spare();
    // The smallest piece that suffices, but none that a larger need would miss.
    let fitting = spare.iter().enumerate().filter(|(_, m)| (length..=2 * length).contains(&m.capacity()));
    match fitting.min_by_key(|(_, memory)| memory.capacity()).map(|(i, _)| i) {
        Some(i) => {
            let mut memory = spare.swap_remove(i);
            memory.resize(length, 0.0);
            memory
        }
        None => vec![0.0; length],
    }
}

/// Keeps memory for later steps.
pub(super) fn give_back<const N: usize>(memory: [Vec<f32>; N]) {
    let mut spare = spare();
    spare.extend(memory.into_iter().filter(|memory| memory.capacity() > 0));
    let surplus = spare.len().saturating_sub(MAX_SPARE);
    spare.drain(..surplus);
}

/// Frees the memory kept for later steps.
pub(super) fn free_spare_memory() {
    spare().clear();
}

/// Works on tasks in parallel, one at a time, so that no thread waits for another's second; on this thread if there is
/// one only, since waking another takes longer than a row.
pub(super) fn for_each<T: Send>(tasks: Vec<T>, work: impl Fn(T) + Send + Sync) {
    match tasks.len() {
        1 => tasks.into_iter().for_each(work),
        _ => tasks.into_par_iter().with_max_len(1).for_each(work),
    }
}

/// Pieces of a memory, one for each block of a batch, without end; empty pieces of an empty memory.
pub(super) fn pieces_of(memory: &mut [f32], length: usize) -> impl Iterator<Item = &mut [f32]> {
    let mut pieces = memory.chunks_mut(length.max(1));
    std::iter::from_fn(move || Some(pieces.next().unwrap_or_default()))
}

/// Takes pieces off the front of a slice.
pub(super) struct Pieces<'a>(pub(super) &'a mut [f32]);

impl<'a> Pieces<'a> {
    pub(super) fn take(&mut self, length: usize) -> &'a mut [f32] {
        let (piece, rest) = std::mem::take(&mut self.0).split_at_mut(length);
        self.0 = rest;
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of any size use the memory of those before. The sizes are like none that other tests ask for at the
    /// same time.
    #[test]
    fn memory_is_used_again() {
        const WIDTH: usize = 100_003;
        let take = |rows: usize| {
            let memory = block_memory(rows, WIDTH);
            assert_eq!(memory.len(), rows.next_multiple_of(MAX_LANES) * WIDTH);
            let at = memory.as_ptr();
            give_back([memory]);
            at
        };
        let first = take(40);
        for rows in [33, 48, 25, 40] {
            assert_eq!(take(rows), first, "{rows} rows");
        }
    }
}
