//! Objects of nested events as a table with one row for each, and lists made of such tables.
//!
//! A column of the table may be a member of the collection, a column of the event (the same for all its objects), a
//! quantity derived here (transverse momentum, pseudorapidity, azimuth and mass of Cartesian components; the distance to
//! the nearest object of a collection), or an SQL expression of all of these.

mod collection;
mod kinematics;
mod lists;

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use collection::Collection;
pub use lists::{list_column, objects_kept, repeat_rows};

use crate::expression::{Expression, Scope};
use crate::numeric::{self, Defect, Fault};
use crate::{Block, DataError, Dataset, Events};
use kinematics::Derived;

/// Which objects, and what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectsConfig {
    /// The collection: the columns of lists `NAME_…`, or the column `NAME` of lists of structs. Its members are
    /// addressed as `NAME_member` either way.
    pub collection: String,
    /// Columns by name as SQL expressions of members, columns of the event and derived columns, for example
    /// `incident_energy = "photon_energy"`. A column that is not listed has the name of what it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// New columns with the distance ΔR of every object to the nearest other one of a collection, 10 where there is none:
    /// for example `photon_isolation = "photon"`. Needs the members `eta` and `phi`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nearest: BTreeMap<String, String>,
    /// Members with p_x, p_y, p_z and energy, of which `NAME_pt`, `NAME_eta`, `NAME_phi` (rad) and `NAME_mass` are
    /// derived where the file has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cartesian: Option<[String; 4]>,
}

/// How the columns wanted of a collection are made of those of a file.
#[derive(Debug)]
pub struct ObjectReader {
    collection: Collection,
    derived: Vec<Derived>,
    /// Expression of every output, in the order wanted.
    outputs: Vec<(String, Expression)>,
    /// Members and event columns that the expressions and derived columns need.
    members: Vec<String>,
    event_columns: Vec<String>,
    place: String,
}

/// The objects of several events.
#[derive(Clone, Debug)]
pub struct Objects {
    /// Of each event its first object, and behind them the number of objects.
    pub offsets: Vec<usize>,
    /// The columns; `rows` are the global row numbers of the objects' events.
    pub table: Events,
}

impl ObjectReader {
    /// Reads the columns `wanted` of the objects in files of the data set's schema.
    ///
    /// # Errors
    /// If the collection does not exist, or a column cannot be made of what the file has.
    pub fn new(dataset: &Dataset, config: &ObjectsConfig, wanted: &[String]) -> Result<Self, DataError> {
        let (schema, place) = (dataset.schema(), dataset.place());
        let collection = Collection::find(schema, &config.collection, &place)?;
        let derived = Derived::all(schema, config, &collection, &place)?;
        let table = table_schema(schema, &collection, &derived);
        let expressions: BTreeMap<String, String> = config.columns.clone();
        let scope =
            Scope::new(&table, &expressions, format!("the objects `{}` of {place}", collection.name()));
        let outputs: Result<Vec<_>, DataError> =
            wanted.iter().map(|name| Ok((name.clone(), scope.column(name)?))).collect();
        let outputs = outputs?;
        if let Some((name, found)) = outputs.iter().find_map(|(name, expression)| {
            let found = expression.data_type(&table).ok()?;
            (!numeric::may_be_numbers(&found)).then_some((name, found))
        }) {
            return Err(DataError::NotNumeric { column: name.clone(), found });
        }
        let mut needed: BTreeSet<String> =
            outputs.iter().flat_map(|(_, expression)| expression.columns.iter().cloned()).collect();
        let mut used: Vec<Derived> = Vec::new();
        // The last first, since they may be made of others.
        for derived in derived.into_iter().rev() {
            if derived.names().any(|name| needed.contains(&name)) {
                needed.extend(derived.inputs());
                used.push(derived);
            }
        }
        used.reverse();
        let of_event = |name: &String| schema.field_with_name(name).is_ok() && !collection.has(name);
        let mut members: Vec<String> = needed.iter().filter(|name| collection.has(name)).cloned().collect();
        if members.is_empty() {
            members.push(collection.first_member().to_owned());
        }
        let event_columns = needed.iter().filter(|name| of_event(name)).cloned().collect();
        Ok(Self { collection, derived: used, outputs, members, event_columns, place })
    }

    /// Columns of the file that are needed.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<String> {
        let mut columns = self.collection.columns(&self.members);
        columns.extend(self.event_columns.iter().cloned());
        columns.extend(self.derived.iter().flat_map(Derived::foreign_columns));
        columns
    }

    /// The objects of a block, which must have the [`columns`](Self::columns).
    ///
    /// # Errors
    /// Lists of different lengths; a value that is null, not finite, or no number, with its row.
    pub fn read(&self, block: &Block) -> Result<Objects, DataError> {
        let flat = self.collection.flatten(&block.batch, &self.members, &block.rows, &self.place)?;
        let events: Vec<u64> = (0..block.rows.len())
            .flat_map(|i| std::iter::repeat_n(i as u64, flat.offsets[i + 1] - flat.offsets[i]))
            .collect();
        let rows: Vec<u64> = events.iter().map(|&event| block.rows[event as usize]).collect();
        let mut columns: Vec<(String, ArrayRef)> = self.members.iter().cloned().zip(flat.members).collect();
        let events = UInt64Array::from(events);
        for name in &self.event_columns {
            let column = block.batch.column_by_name(name).expect("the columns of the objects are read");
            columns.push((name.clone(), take(column, &events, None)?));
        }
        for derived in &self.derived {
            let computed = derived.compute(&columns, &flat.offsets, block, &self.place)?;
            columns.extend(computed);
        }
        let table = self.evaluate(&columns, rows)?;
        Ok(Objects { offsets: flat.offsets, table })
    }

    fn evaluate(&self, columns: &[(String, ArrayRef)], rows: Vec<u64>) -> Result<Events, DataError> {
        let fields: Vec<Field> =
            columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let arrays = columns.iter().map(|(_, array)| array.clone()).collect();
        let batch = RecordBatch::try_new_with_options(Schema::new(fields).into(), arrays, &options)?;
        let mut table = Events::new(rows);
        for (name, expression) in &self.outputs {
            let array = expression.evaluate(&batch)?;
            let matrix = matrix(&array).map_err(|fault| self.describe(name, fault, &table.rows))?;
            table.push(name.clone(), matrix)?;
        }
        Ok(table)
    }

    fn describe(&self, column: &str, fault: Fault, rows: &[u64]) -> DataError {
        let (column, path) = (column.to_owned(), std::path::PathBuf::from(&self.place));
        let row = rows.get(fault.row).copied().unwrap_or_default();
        match fault.defect {
            Defect::Null => DataError::Null { column, row, path },
            Defect::NotFinite(value) => DataError::NotFinite { column, row, path, value },
            Defect::Ragged { found, expected } => DataError::Ragged { column, row, path, found, expected },
            Defect::NotNumeric => DataError::NotNumeric { column, found: DataType::Null },
        }
    }
}

impl Objects {
    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

/// A column of numbers of events, such as their weights.
///
/// # Errors
/// If it is no column of the block, or not of numbers, or one is null or not finite.
pub fn event_numbers(block: &Block, column: &str) -> Result<Vec<f64>, DataError> {
    let names = block.batch.schema();
    let names = names.fields().iter().map(|field| field.name().as_str());
    let array = block
        .batch
        .column_by_name(column)
        .ok_or_else(|| DataError::unknown_column(column, "the events", names))?;
    let fault = |fault: Fault| {
        let (column, row, path) =
            (column.to_owned(), block.rows[fault.row], std::path::PathBuf::from("the events"));
        match fault.defect {
            Defect::Null => DataError::Null { column, row, path },
            Defect::NotFinite(value) => DataError::NotFinite { column, row, path, value },
            _ => DataError::NotNumeric { column, found: array.data_type().clone() },
        }
    };
    let values = numeric::to_matrix(array, &[]).map_err(fault)?;
    Ok(values.iter().map(|&value| f64::from(value)).collect())
}

/// The column as a matrix; a column without rows has the width its type says, or 1.
fn matrix(array: &ArrayRef) -> Result<ndarray::Array2<f32>, Fault> {
    if array.is_empty() {
        return Ok(ndarray::Array2::zeros((0, 1)));
    }
    let shape = numeric::shape_of(array).ok_or(Fault { row: 0, defect: Defect::NotNumeric })?;
    numeric::to_matrix(array, &shape)
}

/// Everything an expression may name; lists of other collections are no columns of an event. Members hide columns of the
/// event.
fn table_schema(schema: &Schema, collection: &Collection, derived: &[Derived]) -> Schema {
    let mut fields: Vec<Field> = collection.fields().collect();
    fields.extend(
        derived.iter().flat_map(Derived::names).map(|name| Field::new(name, DataType::Float64, true)),
    );
    for field in schema.fields() {
        let is_list = matches!(field.data_type(), DataType::List(_) | DataType::LargeList(_));
        if !is_list && fields.iter().all(|known| known.name() != field.name()) {
            fields.push(field.as_ref().clone());
        }
    }
    Schema::new(fields)
}

#[cfg(test)]
mod tests;
