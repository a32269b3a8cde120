//! Streaming events out of a [`Dataset`], one row group at a time.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::RecordBatch;

use crate::blocks::{Block, Blocks, Plan};
use crate::expression::Scope;
use crate::numeric::{self, Defect, Fault};
use crate::{DataError, Dataset, Events};

/// What to read of a [`Dataset`]. Built up by its methods, then turned into an iterator.
///
/// For each row group the selection is evaluated first, on the columns it names; of the other columns only the rows
/// that pass are decoded. Columns not asked for are never read.
///
/// Memory: one batch of decoded events, the compressed pages under the cursor, and with a selection 16 bytes or less
/// per row of one row group.
#[derive(Clone, Debug)]
pub struct Scan {
    dataset: Dataset,
    columns: Option<Vec<String>>,
    select: Option<String>,
    derived: BTreeMap<String, String>,
    batch_rows: Option<usize>,
    rows: Range<u64>,
    limit: u64,
}

impl Scan {
    pub(crate) fn new(dataset: Dataset) -> Self {
        let rows = 0..dataset.num_rows();
        let derived = BTreeMap::new();
        Self { dataset, columns: None, select: None, derived, batch_rows: None, rows, limit: u64::MAX }
    }

    /// Columns to give, in this order; columns of the files or derived. Without it: all of both.
    pub fn columns<S: AsRef<str>>(mut self, names: &[S]) -> Self {
        self.columns = Some(names.iter().map(|name| name.as_ref().to_owned()).collect());
        self
    }

    /// Keep only events that meet this polars SQL condition. It may name any column and derived column.
    pub fn select(mut self, condition: Option<&str>) -> Self {
        self.select = condition.map(str::to_owned);
        self
    }

    /// Define new columns by polars SQL expressions, name → expression. They may name each other.
    pub fn derive(mut self, columns: &BTreeMap<String, String>) -> Self {
        self.derived = columns.clone();
        self
    }

    /// Events per block. By default as many as decode into about 8 MB.
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.batch_rows = Some(rows.max(1));
        self
    }

    /// Only events with global row numbers in this range, counted before selection; cut to the data set's size.
    pub fn rows(mut self, rows: Range<u64>) -> Self {
        self.rows = rows.start..rows.end.min(self.dataset.num_rows());
        self
    }

    /// At most so many events, the first that are selected.
    pub fn limit(mut self, events: Option<u64>) -> Self {
        self.limit = events.unwrap_or(u64::MAX);
        self
    }

    /// Iterates over blocks of numeric columns. Every value is checked to be a finite 32-bit number; lists must have
    /// one length in all rows.
    ///
    /// # Errors
    /// At once: an unknown column, a column that is not numeric, or an invalid expression. While iterating: a null,
    /// NaN or infinity, a ragged list, a damaged file. If the scan covers all rows and gives no event, the iterator
    /// ends with [`DataError::NoRows`] or [`DataError::EmptySelection`].
    pub fn events(self) -> Result<impl Iterator<Item = Result<Events, DataError>> + Send, DataError> {
        let empty = self.when_empty();
        let dataset = self.dataset.clone();
        let blocks = self.blocks()?;
        if let Some((name, found)) =
            blocks.plan().output_types().find(|(_, found)| !numeric::may_be_numbers(found))
        {
            return Err(DataError::NotNumeric { column: name.to_owned(), found: found.clone() });
        }
        Ok(EventStream { dataset, blocks, shapes: BTreeMap::new(), empty })
    }

    /// Iterates over Arrow batches of columns of any type, as stored, for passing events on.
    ///
    /// # Errors
    /// At once: an unknown column or an invalid expression. While iterating: a damaged file.
    pub fn batches(self) -> Result<impl Iterator<Item = Result<RecordBatch, DataError>> + Send, DataError> {
        Ok(self.blocks()?.map(|block| block.map(|block| block.batch)))
    }

    /// Like [`batches`](Self::batches), with the global row number of each event.
    ///
    /// # Errors
    /// As [`batches`](Self::batches).
    pub fn blocks(self) -> Result<Blocks, DataError> {
        let schema = self.dataset.schema();
        let scope = Scope::new(schema, &self.derived, self.dataset.place());
        let derived = scope.derived(self.columns.as_deref())?;
        let select = self.select.as_deref().map(|text| scope.select(text)).transpose()?;
        let columns = self.columns.unwrap_or_else(|| {
            let stored = schema.fields().iter().map(|field| field.name());
            stored.chain(derived.keys()).cloned().collect()
        });
        let plan = Plan::new(&self.dataset, &columns, derived, select)?;
        Ok(Blocks::new(self.dataset, plan, self.batch_rows, self.rows, self.limit))
    }

    /// The error of giving no event at all; none for a part of the rows, which may rightly be empty.
    fn when_empty(&self) -> Option<DataError> {
        let total = self.dataset.num_rows();
        if self.rows != (0..total) || self.limit == 0 {
            return None;
        }
        Some(match &self.select {
            Some(select) if total > 0 => DataError::EmptySelection { total, select: select.clone() },
            _ => DataError::NoRows { place: self.dataset.place() },
        })
    }
}

/// Blocks as checked matrices.
struct EventStream {
    dataset: Dataset,
    blocks: Blocks,
    /// Lengths of the list levels of each column, fixed by its first row.
    shapes: BTreeMap<String, Vec<usize>>,
    empty: Option<DataError>,
}

impl Iterator for EventStream {
    type Item = Result<Events, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.blocks.next() {
            Some(block) => {
                self.empty = None;
                let events = block.and_then(|block| self.matrices(block));
                if events.is_err() {
                    self.blocks.stop();
                }
                Some(events)
            }
            None => self.empty.take().map(Err),
        }
    }
}

impl EventStream {
    fn matrices(&mut self, block: Block) -> Result<Events, DataError> {
        let schema = block.batch.schema();
        let mut matrices = Vec::with_capacity(schema.fields().len());
        for (field, array) in schema.fields().iter().zip(block.batch.columns()) {
            let name = field.name();
            if !self.shapes.contains_key(name) {
                let not_numeric =
                    || DataError::NotNumeric { column: name.clone(), found: array.data_type().clone() };
                self.shapes.insert(name.clone(), numeric::shape_of(array).ok_or_else(not_numeric)?);
            }
            let matrix = numeric::to_matrix(array, &self.shapes[name]);
            matrices.push((name.clone(), matrix.map_err(|fault| self.describe(name, fault, &block))?));
        }
        let mut events = Events::new(block.rows);
        matrices.into_iter().try_for_each(|(name, matrix)| events.push(name, matrix))?;
        Ok(events)
    }

    fn describe(&self, column: &str, fault: Fault, block: &Block) -> DataError {
        let (column, row) = (column.to_owned(), block.rows[fault.row]);
        let path = self.dataset.files()[block.file].path.clone();
        match fault.defect {
            Defect::Null => DataError::Null { column, row, path },
            Defect::NotFinite(value) => DataError::NotFinite { column, row, path, value },
            Defect::Ragged { found, expected } => DataError::Ragged { column, row, path, found, expected },
            Defect::NotNumeric => {
                let found =
                    block.batch.column_by_name(&column).expect("a column of the block").data_type().clone();
                DataError::NotNumeric { column, found }
            }
        }
    }
}
