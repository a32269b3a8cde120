//! Lists made of tables of objects.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, RecordBatch, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take_record_batch;
use arrow::datatypes::Field;

use crate::DataError;

/// Name of the items of lists in Parquet files.
const ITEM: &str = "element";

/// The type of a column of lists of such values.
fn item(values: &ArrayRef) -> Arc<Field> {
    Arc::new(Field::new(ITEM, values.data_type().clone(), false))
}

/// One list for every event: the objects `offsets[i]..offsets[i + 1]`.
///
/// # Errors
/// If there are 2³¹ objects or more.
pub fn list_column(values: ArrayRef, offsets: &[usize]) -> Result<ArrayRef, DataError> {
    let too_many = || DataError::Config {
        key: "objects".to_owned(),
        reason: format!("{} objects in one block are too many for a list column", values.len()),
    };
    let ends: Result<Vec<i32>, _> = offsets.iter().map(|&end| i32::try_from(end)).collect();
    let ends = OffsetBuffer::new(ends.map_err(|_| too_many())?.into());
    Ok(Arc::new(ListArray::try_new(item(&values), ends, values, None)?))
}

/// Offsets of the objects that are kept, and their positions.
#[must_use]
pub fn objects_kept(offsets: &[usize], kept: &[bool]) -> (Vec<usize>, Vec<usize>) {
    let positions: Vec<usize> = (0..kept.len()).filter(|&object| kept[object]).collect();
    let mut ends = Vec::with_capacity(offsets.len());
    let mut count = 0;
    let mut next = 0;
    for &end in offsets {
        count += kept[next..end].iter().filter(|kept| **kept).count();
        next = end;
        ends.push(count);
    }
    (ends, positions)
}

/// Every row `times` times, one after the other.
///
/// # Errors
/// If a column cannot be copied.
pub fn repeat_rows(batch: &RecordBatch, times: usize) -> Result<RecordBatch, DataError> {
    if times == 1 {
        return Ok(batch.clone());
    }
    let rows = (0..batch.num_rows() as u64).flat_map(|row| std::iter::repeat_n(row, times));
    Ok(take_record_batch(batch, &UInt64Array::from_iter_values(rows))?)
}
