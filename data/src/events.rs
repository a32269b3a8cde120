//! Numeric columns of a block of events.

use ndarray::{Array2, ArrayView2, Axis, concatenate};

use crate::DataError;

/// Numeric columns of a block of events. Every column is a matrix `[events, width]`; scalars have width 1.
///
/// `rows[i]` is the global row number of event `i` in its data set, counted before any selection, so that an
/// event can be named in messages and assigned to a split whatever was selected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// Global row number of each event.
    pub rows: Vec<u64>,
    columns: Vec<(String, Array2<f32>)>,
}

impl Events {
    /// A block of the given rows, without columns yet.
    pub fn new(rows: Vec<u64>) -> Self {
        Self { rows, columns: Vec::new() }
    }

    /// Adds column `name`, `[events, width]`.
    ///
    /// # Errors
    /// If the matrix does not have one row per event, or the name is taken.
    pub fn push(&mut self, name: impl Into<String>, values: Array2<f32>) -> Result<(), DataError> {
        let column = name.into();
        if values.nrows() != self.len() {
            return Err(DataError::Length { column, found: values.nrows(), expected: self.len() });
        }
        if self.names().any(|name| name == column) {
            return Err(DataError::DuplicateColumn { column, place: "the events".to_owned() });
        }
        self.columns.push((column, values));
        Ok(())
    }

    /// The matrix `[events, width]` of one column.
    ///
    /// # Errors
    /// If there is no such column; the message offers the nearest name.
    pub fn column(&self, name: &str) -> Result<ArrayView2<'_, f32>, DataError> {
        self.columns
            .iter()
            .find(|(column, _)| column == name)
            .map(|(_, values)| values.view())
            .ok_or_else(|| DataError::unknown_column(name, "the events", self.names()))
    }

    /// Column names in the order they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The events at the given positions of this block, in that order.
    ///
    /// # Panics
    /// If a position is not below [`len`](Self::len).
    pub fn select_rows(&self, positions: &[usize]) -> Self {
        Self {
            rows: positions.iter().map(|&position| self.rows[position]).collect(),
            columns: self
                .columns
                .iter()
                .map(|(name, values)| (name.clone(), values.select(Axis(0), positions)))
                .collect(),
        }
    }

    /// The events of all blocks one after the other. Without any block, no events and no columns.
    ///
    /// # Errors
    /// If the blocks differ in the names or widths of their columns.
    pub fn concat(blocks: &[Self]) -> Result<Self, DataError> {
        let Some(first) = blocks.first() else { return Ok(Self::default()) };
        let mut all = Self::new(blocks.iter().flat_map(|block| block.rows.iter().copied()).collect());
        for (name, reference) in &first.columns {
            let parts = blocks.iter().map(|block| block.column(name)).collect::<Result<Vec<_>, _>>()?;
            if let Some(other) = parts.iter().find(|part| part.ncols() != reference.ncols()) {
                return Err(DataError::Config {
                    key: name.clone(),
                    reason: format!(
                        "the column has {} numbers per event in one block and {} in another",
                        reference.ncols(),
                        other.ncols()
                    ),
                });
            }
            let values = concatenate(Axis(0), &parts).expect("parts have equal widths");
            all.columns.push((name.clone(), values));
        }
        Ok(all)
    }

    /// The named columns side by side, `[events, Σ width]`.
    ///
    /// # Errors
    /// If there is no such column; the message offers the nearest name.
    pub fn concat_columns(&self, names: &[String]) -> Result<Array2<f32>, DataError> {
        let parts = names.iter().map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?;
        if parts.is_empty() {
            return Ok(Array2::zeros((self.len(), 0)));
        }
        Ok(concatenate(Axis(1), &parts).expect("columns have one row per event"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn block(rows: &[u64]) -> Events {
        let mut events = Events::new(rows.to_vec());
        let energy: Vec<f32> = rows.iter().map(|&row| row as f32).collect();
        events.push("energy", Array2::from_shape_vec((rows.len(), 1), energy).unwrap()).unwrap();
        let voxels = Array2::from_shape_fn((rows.len(), 2), |(i, j)| rows[i] as f32 * 10.0 + j as f32);
        events.push("voxels", voxels).unwrap();
        events
    }

    #[test]
    fn rows_follow_their_values() {
        let all = Events::concat(&[block(&[3, 4]), block(&[9])]).unwrap();
        assert_eq!(all, block(&[3, 4, 9]));
        assert_eq!(all.select_rows(&[2, 0]), block(&[9, 3]));
        assert_eq!(all.column("voxels").unwrap().row(2).to_vec(), [90.0, 91.0]);
    }

    #[test]
    fn columns_side_by_side_keep_the_order_asked_for() {
        let joined = block(&[5]).concat_columns(&["voxels".into(), "energy".into()]).unwrap();
        assert_eq!(joined, array![[50.0, 51.0, 5.0]]);
        assert_eq!(block(&[5, 6]).concat_columns(&[]).unwrap().dim(), (2, 0));
    }

    #[test]
    fn wrong_columns_are_refused() {
        let mut events = block(&[1, 2]);
        assert!(matches!(
            events.push("z", Array2::zeros((3, 1))),
            Err(DataError::Length { found: 3, expected: 2, .. })
        ));
        assert!(matches!(
            events.push("energy", Array2::zeros((2, 1))),
            Err(DataError::DuplicateColumn { .. })
        ));
        let message = events.column("energi").unwrap_err().to_string();
        assert!(message.contains("did you mean `energy`?"), "{message}");
        let mut narrow = Events::new(vec![7]);
        narrow.push("energy", Array2::zeros((1, 1))).unwrap();
        narrow.push("voxels", Array2::zeros((1, 3))).unwrap();
        assert!(
            Events::concat(&[block(&[1]), narrow]).unwrap_err().to_string().contains("2 numbers per event")
        );
    }
}
