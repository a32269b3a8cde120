//! Reordering of columns, differentiable: the gradient is reordered by the inverse permutation.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;

use super::flex::{contiguous, from_vec, matrix_shape, values};

/// A permutation of columns: column `columns[j]` of the input is column j of the output. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns(Arc<[u32]>);

impl Columns {
    /// # Panics
    /// If `columns` is no permutation of 0..n.
    pub fn new(columns: Vec<u32>) -> Self {
        let mut seen = vec![false; columns.len()];
        for &c in &columns {
            assert!(
                !std::mem::replace(&mut seen[c as usize], true),
                "column {c} occurs twice in a permutation"
            );
        }
        Self(columns.into())
    }

    /// The permutation that changes nothing.
    pub fn identity(features: usize) -> Self {
        Self((0..features as u32).collect())
    }

    /// The permutation that undoes this one.
    pub fn inverse(&self) -> Self {
        let mut inverse = vec![0; self.0.len()];
        for (j, &c) in self.0.iter().enumerate() {
            inverse[c as usize] = j as u32;
        }
        Self(inverse.into())
    }

    /// The source column of every output column.
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }
}

pub(super) fn forward(x: FlexTensor, columns: &Columns) -> FlexTensor {
    let x = contiguous(x);
    let [rows, width] = matrix_shape(&x);
    assert_eq!(width, columns.0.len(), "a permutation needs one entry for every column");
    let mut y = Vec::with_capacity(rows * width);
    for row in values(&x).chunks_exact(width) {
        y.extend(columns.0.iter().map(|&c| row[c as usize]));
    }
    from_vec(y, [rows, width])
}
