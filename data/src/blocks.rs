//! The row-group reader under [`Scan`](crate::Scan): selection first, the other columns for the selected rows only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::ops::Range;

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};

use crate::expression::Expression;
use crate::{DataError, Dataset, damage};

/// Consecutive selected events of one file.
#[derive(Clone, Debug)]
pub struct Block {
    /// Global row number of each event, counted before selection.
    pub rows: Vec<u64>,
    /// The columns.
    pub batch: RecordBatch,
    /// Index of the file in [`Dataset::files`].
    pub file: usize,
}

/// Which columns are read, which are computed, and what is given out.
#[derive(Debug)]
pub(crate) struct Plan {
    select: Option<Expression>,
    /// Derived columns among the outputs.
    derived: BTreeMap<String, Expression>,
    /// Stored columns needed for the outputs.
    stored: BTreeSet<String>,
    output: SchemaRef,
}

impl Plan {
    pub(crate) fn new(
        dataset: &Dataset,
        columns: &[String],
        mut derived: BTreeMap<String, Expression>,
        select: Option<Expression>,
    ) -> Result<Self, DataError> {
        let schema = dataset.schema();
        let mut stored = BTreeSet::new();
        let mut fields: Vec<Field> = Vec::with_capacity(columns.len());
        for name in columns {
            if fields.iter().any(|field| field.name() == name) {
                return Err(DataError::DuplicateColumn {
                    column: name.clone(),
                    place: "the columns to read".to_owned(),
                });
            }
            if let Some(expression) = derived.get(name) {
                stored.extend(expression.columns.iter().cloned());
                fields.push(Field::new(name, expression.data_type(schema)?, true));
            } else if let Ok(field) = schema.field_with_name(name) {
                stored.insert(name.clone());
                fields.push(field.clone());
            } else {
                let names = schema.fields().iter().map(|field| field.name().as_str());
                let names = names.chain(derived.keys().map(String::as_str));
                return Err(DataError::unknown_column(name, dataset.place(), names));
            }
        }
        derived.retain(|name, _| columns.contains(name));
        let output = Schema::new_with_metadata(fields, schema.metadata().clone()).into();
        Ok(Self { select, derived, stored, output })
    }

    pub(crate) fn output_types(&self) -> impl Iterator<Item = (&str, &DataType)> {
        self.output.fields().iter().map(|field| (field.name().as_str(), field.data_type()))
    }

    /// The outputs from the stored columns of `batch`.
    fn complete(&self, batch: &RecordBatch) -> Result<RecordBatch, DataError> {
        let mut columns = Vec::with_capacity(self.output.fields().len());
        for field in self.output.fields() {
            columns.push(match self.derived.get(field.name()) {
                Some(expression) => expression.evaluate(batch)?,
                None => {
                    let array = batch.column_by_name(field.name()).expect("stored columns are read");
                    // Files of one data set may name the items of a list differently.
                    if array.data_type() == field.data_type() {
                        array.clone()
                    } else {
                        cast(array, field.data_type())?
                    }
                }
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?)
    }
}

/// Rows of one row group that a scan covers.
#[derive(Debug)]
struct Piece {
    file: usize,
    row_group: usize,
    /// Global number of the row group's first row.
    first: u64,
    /// Rows covered, counted within the row group.
    rows: Range<usize>,
}

/// Iterator over [`Block`]s; made by [`Scan::blocks`](crate::Scan::blocks).
pub struct Blocks {
    dataset: Dataset,
    plan: Plan,
    batch_rows: usize,
    pieces: VecDeque<Piece>,
    current: Option<Current>,
    /// Events still wanted.
    limit: u64,
}

/// The row group being read.
struct Current {
    file: usize,
    reader: ParquetRecordBatchReader,
    /// Global numbers of the rows still to come from `reader`.
    rows: Box<dyn Iterator<Item = u64> + Send>,
}

/// Decoded size aimed at for one batch. Decoding lists with a selection was measured to need 20 times as much, 170 MB.
const BATCH_BYTES: usize = 8 << 20;
/// Bounds of the batch size chosen by decoded size: enough rows to amortise a call, few enough for quick feedback.
const BATCH_ROWS: (usize, usize) = (64, 65_536);

impl Blocks {
    pub(crate) fn new(
        dataset: Dataset,
        plan: Plan,
        batch_rows: Option<usize>,
        rows: Range<u64>,
        limit: u64,
    ) -> Self {
        let bytes_per_row: usize = plan
            .stored
            .iter()
            .filter_map(|name| dataset.schema().field_with_name(name).ok())
            .map(|field| decoded_bytes(field.data_type()))
            .sum();
        let fitting = (BATCH_BYTES / bytes_per_row.max(1)).clamp(BATCH_ROWS.0, BATCH_ROWS.1);
        let pieces = pieces(&dataset, &rows);
        Self { dataset, plan, batch_rows: batch_rows.unwrap_or(fitting), pieces, current: None, limit }
    }

    /// Schema of the batches, with the metadata of the files.
    pub fn schema(&self) -> &SchemaRef {
        &self.plan.output
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    fn advance(&mut self) -> Result<Option<Block>, DataError> {
        while self.limit > 0 {
            if let Some(current) = &mut self.current {
                let path = &self.dataset.files()[current.file].path;
                if let Some(batch) = damage::decode(path, || current.reader.next().transpose())? {
                    return self.block(&batch).map(Some);
                }
                if let Some(row) = current.rows.next() {
                    return Err(damage::corrupt(path, format!("row {row} and those after it are missing")));
                }
                self.current = None;
            }
            let Some(piece) = self.pieces.pop_front() else { break };
            self.current = self.start(&piece)?;
        }
        Ok(None)
    }

    fn block(&mut self, batch: &RecordBatch) -> Result<Block, DataError> {
        let current = self.current.as_mut().expect("a batch comes from the current row group");
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX).min(batch.num_rows());
        self.limit -= wanted as u64;
        let batch = self.plan.complete(&batch.slice(0, wanted))?;
        let rows = current.rows.by_ref().take(wanted).collect();
        Ok(Block { rows, batch, file: current.file })
    }

    /// Opens a row group for the rows that pass the selection; `None` if there are none.
    fn start(&self, piece: &Piece) -> Result<Option<Current>, DataError> {
        let Piece { file, first, ref rows, .. } = *piece;
        let Some(select) = &self.plan.select else {
            let reader = self.reader(piece, &self.plan.stored, covered(rows))?;
            let rows = Box::new(first + rows.start as u64..first + rows.end as u64);
            return Ok(Some(Current { file, reader, rows }));
        };
        let mask = self.mask(piece, select)?;
        if mask.count_set_bits() == 0 {
            return Ok(None);
        }
        let passing: Vec<u64> = mask.set_indices().map(|row| first + row as u64).collect();
        let selection = RowSelection::from_filters(&[BooleanArray::new(mask, None)]);
        let reader = self.reader(piece, &self.plan.stored, selection)?;
        Ok(Some(Current { file, reader, rows: Box::new(passing.into_iter()) }))
    }

    /// One bit per row of the row group: covered by the scan and passing `select`.
    fn mask(&self, piece: &Piece, select: &Expression) -> Result<BooleanBuffer, DataError> {
        let columns: BTreeSet<String> = select.columns.iter().cloned().collect();
        let mut mask = arrow::array::BooleanBufferBuilder::new(piece.rows.end);
        mask.append_n(piece.rows.start, false);
        let mut reader = self.reader(piece, &columns, covered(&piece.rows))?;
        let path = &self.dataset.files()[piece.file].path;
        while let Some(batch) = damage::decode(path, || reader.next().transpose())? {
            mask.append_buffer(select.mask(&batch)?.values());
        }
        if mask.len() < piece.rows.end {
            let row = piece.first + mask.len() as u64;
            return Err(damage::corrupt(path, format!("row {row} and those after it are missing")));
        }
        Ok(mask.finish())
    }

    fn reader(
        &self,
        piece: &Piece,
        columns: &BTreeSet<String>,
        selection: RowSelection,
    ) -> Result<ParquetRecordBatchReader, DataError> {
        let path = &self.dataset.files()[piece.file].path;
        let file = File::open(path).map_err(DataError::io("read", path))?;
        let footer = self.dataset.footers()[piece.file].clone();
        let fields = footer.schema().fields().iter().enumerate();
        let indices = fields.filter(|(_, field)| columns.contains(field.name())).map(|(index, _)| index);
        let projection = ProjectionMask::roots(footer.parquet_schema(), indices);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer)
            .with_row_groups(vec![piece.row_group])
            .with_projection(projection)
            .with_batch_size(self.batch_rows)
            .with_row_selection(selection);
        damage::decode(path, || builder.build())
    }

    /// Ends the iteration: after an error the position in the file is unknown.
    pub(crate) fn stop(&mut self) {
        self.limit = 0;
        self.current = None;
    }
}

impl Iterator for Blocks {
    type Item = Result<Block, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, Some(Err(_)) | None) {
            self.stop();
        }
        next
    }
}

fn covered(rows: &Range<usize>) -> RowSelection {
    vec![RowSelector::skip(rows.start), RowSelector::select(rows.len())].into()
}

/// The parts of all row groups within the global `rows`.
fn pieces(dataset: &Dataset, rows: &Range<u64>) -> VecDeque<Piece> {
    let mut pieces = VecDeque::new();
    let mut first = 0;
    for (file, footer) in dataset.footers().iter().enumerate() {
        for (row_group, group) in footer.metadata().row_groups().iter().enumerate() {
            let length = group.num_rows() as u64;
            let within = rows.start.clamp(first, first + length) - first
                ..rows.end.clamp(first, first + length) - first;
            if !within.is_empty() {
                pieces.push_back(Piece {
                    file,
                    row_group,
                    first,
                    rows: within.start as usize..within.end as usize,
                });
            }
            first += length;
        }
    }
    pieces
}

/// Estimated bytes per row in memory; variable lists are taken to have 16 elements.
fn decoded_bytes(data_type: &DataType) -> usize {
    match data_type {
        DataType::FixedSizeList(item, length) => (*length).max(0) as usize * decoded_bytes(item.data_type()),
        DataType::List(item) | DataType::LargeList(item) => 8 + 16 * decoded_bytes(item.data_type()),
        DataType::Struct(fields) => fields.iter().map(|field| decoded_bytes(field.data_type())).sum(),
        other => other.primitive_width().unwrap_or(16),
    }
}
