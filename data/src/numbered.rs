//! Events with their number as the first column, as generation writes them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::{DataError, Events, event_schema, events_to_batch};

/// [`event_schema`] behind an `int64` column `id` of event numbers.
pub fn numbered_schema(
    id: &str,
    columns: &[(String, usize)],
    metadata: HashMap<String, String>,
) -> SchemaRef {
    let columns = event_schema(columns, metadata);
    let id = Arc::new(Field::new(id, DataType::Int64, false));
    let fields: Vec<_> = std::iter::once(id).chain(columns.fields().iter().cloned()).collect();
    Arc::new(Schema::new_with_metadata(fields, columns.metadata().clone()))
}

/// Events as a batch of [`numbered_schema`]; the numbers are the events' rows.
///
/// # Errors
/// If a column is missing, or its width does not fit the field.
pub fn numbered_batch(events: &Events, schema: &SchemaRef) -> Result<RecordBatch, DataError> {
    let columns: Vec<usize> = (1..schema.fields().len()).collect();
    let columns = Arc::new(schema.project(&columns).expect("every index is that of a field"));
    let columns = events_to_batch(events, &columns)?;
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(events.rows.iter().map(|&row| row as i64)));
    let arrays = std::iter::once(numbers).chain(columns.columns().iter().cloned()).collect();
    Ok(RecordBatch::try_new(schema.clone(), arrays).expect("the arrays have the types of the schema"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn numbers_come_first() {
        let schema = numbered_schema("event_id", &[("x".to_owned(), 2)], HashMap::new());
        let mut events = Events::new(vec![7, 9]);
        events.push("x", array![[1.0, 2.0], [3.0, 4.0]]).unwrap();
        let batch = numbered_batch(&events, &schema).unwrap();
        assert_eq!(batch.schema().field(0).name(), "event_id");
        assert_eq!(batch.column(0).as_ref(), &Int64Array::from(vec![7, 9]) as &dyn arrow::array::Array);
        assert_eq!(batch.num_columns(), 2);
    }
}
