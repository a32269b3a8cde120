//! What several files have in common, and where they differ.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::{DataError, FileInfo};

/// Schema metadata key of the calorimeter geometry (JSON).
pub const GEOMETRY_KEY: &str = "simile.geometry";
/// Schema metadata key of the units: JSON object from column name to unit.
pub const UNITS_KEY: &str = "simile.units";

/// The schema of several files as one table: their columns, nullable where any file has them so, and the metadata they
/// share. Geometry and units must agree as JSON.
pub(crate) fn common_schema(
    files: &[FileInfo],
    footers: &[ArrowReaderMetadata],
) -> Result<SchemaRef, DataError> {
    let first = footers[0].schema();
    let mut names = BTreeSet::new();
    if let Some(field) = first.fields().iter().find(|field| !names.insert(field.name())) {
        let place = files[0].path.display().to_string();
        return Err(DataError::DuplicateColumn { column: field.name().clone(), place });
    }
    let mut metadata = first.metadata().clone();
    for (file, footer) in files.iter().zip(footers).skip(1) {
        let columns = difference(first, footer.schema());
        if let Some(difference) = columns.or_else(|| metadata_difference(first, footer.schema())) {
            let (first, path) = (files[0].path.clone(), file.path.clone());
            return Err(DataError::SchemaMismatch { first, path, difference });
        }
        metadata.retain(|key, value| footer.schema().metadata().get(key) == Some(value));
    }
    // A geometry or unit table written in other words passed the comparison as JSON; keep that of the first file.
    for key in [GEOMETRY_KEY, UNITS_KEY] {
        if let Some(value) = first.metadata().get(key) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let nullable = |index: usize| footers.iter().any(|footer| footer.schema().field(index).is_nullable());
    let fields = first.fields().iter().enumerate();
    let fields: Vec<_> = fields.map(|(i, field)| field.as_ref().clone().with_nullable(nullable(i))).collect();
    Ok(Arc::new(Schema::new_with_metadata(fields, metadata)))
}

/// The first way in which the columns of `other` are not those of `first`. How the items of lists are called does not
/// matter.
pub(crate) fn difference(first: &Schema, other: &Schema) -> Option<String> {
    let mut pairs = first.fields().iter().zip(other.fields());
    let equal =
        |(a, b): (&FieldRef, &FieldRef)| a.name() == b.name() && a.data_type().equals_datatype(b.data_type());
    if first.fields().len() == other.fields().len() && pairs.all(equal) {
        return None;
    }
    for field in first.fields() {
        match other.field_with_name(field.name()) {
            Err(_) => return Some(format!("it has no column `{}`", field.name())),
            Ok(found) if !field.data_type().equals_datatype(found.data_type()) => {
                let (name, found, expected) = (field.name(), found.data_type(), field.data_type());
                return Some(format!("its column `{name}` has type {found}, not {expected}"));
            }
            Ok(_) => {}
        }
    }
    let extra = other.fields().iter().find(|field| first.field_with_name(field.name()).is_err());
    if let Some(extra) = extra {
        return Some(format!("it has an additional column `{}`", extra.name()));
    }
    let (expected, found) = first.fields().iter().zip(other.fields()).find(|(a, b)| a.name() != b.name())?;
    Some(format!("its columns are ordered differently (`{}` where `{}` is)", found.name(), expected.name()))
}

fn metadata_difference(first: &Schema, other: &Schema) -> Option<String> {
    let differs = |key: &&str| json(first, key) != json(other, key);
    [GEOMETRY_KEY, UNITS_KEY]
        .into_iter()
        .find(differs)
        .map(|key| format!("its schema metadata `{key}` differs"))
}

fn json(schema: &Schema, key: &str) -> Option<serde_json::Value> {
    let text = schema.metadata().get(key)?;
    Some(serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.clone())))
}
