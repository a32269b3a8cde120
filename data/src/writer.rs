//! Writing events to Parquet, atomically and row group by row group.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use ndarray::ArrayView2;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::atomic::AtomicFile;
use crate::schema::difference;
use crate::{DataError, Events};

/// Row groups are closed at this encoded size, so that readers and writer need little memory for wide events.
pub const ROW_GROUP_BYTES: usize = 64 << 20;
/// Rows of a row group at most: small enough to skip by, large enough to compress well.
pub const ROW_GROUP_ROWS: usize = 131_072;

/// How a file is written.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Codec of the pages. Default: zstd, level 3 (close to gzip in size, several times faster).
    pub compression: Compression,
    /// Rows per row group at most.
    pub row_group_rows: usize,
    /// Encoded bytes per row group at most; none where every row group but the last is to have `row_group_rows`.
    pub row_group_bytes: Option<usize>,
    /// For columns whose values hardly ever repeat: numbers are stored without dictionary, `f32` split by bytes and
    /// integers as differences. Random coordinates then take half the space.
    pub distinct: bool,
    /// Folder in which the file is written before it moves to its place, best one of this machine where the place is
    /// on a network file system; by default the folder of the file.
    pub scratch: Option<PathBuf>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        let level = ZstdLevel::try_new(3).expect("zstd has level 3");
        Self {
            compression: Compression::ZSTD(level),
            row_group_rows: ROW_GROUP_ROWS,
            row_group_bytes: Some(ROW_GROUP_BYTES),
            distinct: false,
            scratch: None,
        }
    }
}

/// A Parquet file being written. It takes its name in [`finish`](Self::finish); dropped before that, it is removed.
#[derive(Debug)]
pub struct EventWriter {
    file: AtomicFile,
    schema: SchemaRef,
    writer: ArrowWriter<File>,
    rows: u64,
}

/// A finished file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Events written.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
}

impl EventWriter {
    /// Starts a file. Schema metadata (geometry, units, …) is stored in it for readers of any language.
    ///
    /// # Errors
    /// If the folder does not exist or cannot be written, or Parquet cannot store the schema.
    pub fn create(
        path: impl AsRef<Path>,
        schema: SchemaRef,
        options: &WriterOptions,
    ) -> Result<Self, DataError> {
        let path = path.as_ref();
        let file = AtomicFile::create(path, options.scratch.as_deref())?;
        let mut metadata: Vec<_> = schema.metadata().iter().collect();
        // The map is a hash map: sorted, so that equal events give equal files.
        metadata.sort_unstable();
        let metadata =
            metadata.into_iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
        let builder = match options.distinct {
            true => encode_distinct(WriterProperties::builder(), &schema),
            false => WriterProperties::builder(),
        };
        let properties = builder
            .set_compression(options.compression)
            .set_max_row_group_row_count(Some(options.row_group_rows.max(1)))
            .set_max_row_group_bytes(options.row_group_bytes)
            .set_key_value_metadata(Some(metadata))
            .set_created_by(CREATED_BY.to_owned())
            .build();
        let writer = ArrowWriter::try_new(file.handle()?, schema.clone(), Some(properties));
        let writer = writer.map_err(|error| write_error(file.place(), error))?;
        Ok(Self { file, schema, writer, rows: 0 })
    }

    /// The schema of the file.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends events.
    ///
    /// # Errors
    /// If the batch has another schema, or the disk is full.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        // The parquet writer takes a batch with fewer columns without a word.
        if let Some(difference) = difference(&self.schema, batch.schema_ref()) {
            return Err(DataError::Misfit { path: self.file.path().to_owned(), difference });
        }
        self.writer.write(batch).map_err(|error| write_error(self.file.place(), error))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Adds metadata to the footer that is not part of the schema, because it tells this file from others like it.
    pub fn annotate(&mut self, key: &str, value: String) {
        self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }

    /// Writes the footer, flushes to disk and gives the file its name.
    ///
    /// # Errors
    /// If the disk is full; nothing is left behind then.
    pub fn finish(self) -> Result<WrittenFile, DataError> {
        self.close()?.persist()
    }

    /// Writes the footer, but leaves the file without its name.
    ///
    /// # Errors
    /// If the disk is full; nothing is left behind then.
    pub fn close(self) -> Result<PendingFile, DataError> {
        let Self { file, writer, rows, .. } = self;
        writer.close().map_err(|error| write_error(file.place(), error))?;
        Ok(PendingFile { file: file.arrive()?, rows })
    }
}

/// A complete file that lacks only its name; dropped without it, it is removed.
#[derive(Debug)]
pub struct PendingFile {
    pub(crate) file: AtomicFile,
    pub(crate) rows: u64,
}

impl PendingFile {
    /// Events in the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Size of the file.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn bytes(&self) -> Result<u64, DataError> {
        self.file.bytes()
    }

    /// SHA-256 of the file in hexadecimal.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn sha256(&self) -> Result<String, DataError> {
        self.file.sha256()
    }

    /// Flushes to disk and gives the file its name.
    ///
    /// # Errors
    /// If the disk is full; nothing is left behind then.
    pub fn persist(self) -> Result<WrittenFile, DataError> {
        Ok(WrittenFile { rows: self.rows, bytes: self.file.persist()? })
    }
}

/// The program that files name as their writer.
pub(crate) const CREATED_BY: &str = concat!("simile ", env!("CARGO_PKG_VERSION"));

/// Encodings of [`WriterOptions::distinct`] for the columns of a schema that hold scalars or lists of `f32`.
fn encode_distinct(builder: WriterPropertiesBuilder, schema: &SchemaRef) -> WriterPropertiesBuilder {
    schema.fields().iter().fold(builder, |builder, field| {
        let name = || field.name().clone();
        let (encoding, column) = match field.data_type() {
            DataType::Float32 => (Encoding::BYTE_STREAM_SPLIT, vec![name()]),
            DataType::Int64 => (Encoding::DELTA_BINARY_PACKED, vec![name()]),
            DataType::List(item) | DataType::LargeList(item) if *item.data_type() == DataType::Float32 => {
                (Encoding::BYTE_STREAM_SPLIT, vec![name(), "list".to_owned(), item.name().clone()])
            }
            _ => return builder,
        };
        let column = ColumnPath::new(column);
        builder.set_column_dictionary_enabled(column.clone(), false).set_column_encoding(column, encoding)
    })
}

pub(crate) fn write_error(path: &Path, error: ParquetError) -> DataError {
    let source = match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => *source,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    };
    DataError::Io { action: "write", path: path.to_owned(), source }
}

/// A schema of `f32` columns: width 1 is a scalar, any other width a fixed-size list.
pub fn event_schema(columns: &[(String, usize)], metadata: HashMap<String, String>) -> SchemaRef {
    let field = |(name, width): &(String, usize)| Field::new(name, column_type(*width), false);
    Arc::new(Schema::new_with_metadata(columns.iter().map(field).collect::<Vec<_>>(), metadata))
}

fn column_type(width: usize) -> DataType {
    match width {
        1 => DataType::Float32,
        _ => {
            DataType::FixedSizeList(item(), i32::try_from(width).expect("events have fewer than 2³¹ numbers"))
        }
    }
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Float32, false))
}

/// The events as an Arrow batch of the given schema: each of its fields is taken from the column of that name.
/// Fields may be scalars of any numeric type, or fixed-size lists of them, as in [`event_schema`].
///
/// # Errors
/// If a column is missing, or its width does not fit the field.
pub fn events_to_batch(events: &Events, schema: &SchemaRef) -> Result<RecordBatch, DataError> {
    let arrays = schema
        .fields()
        .iter()
        .map(|field| matrix_to_array(field.name(), events.column(field.name())?, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema.clone(), arrays)?)
}

/// One matrix `[events, width]` as an Arrow column of type `wanted`; `column` names it in messages.
///
/// # Errors
/// If the width is not that of `wanted`, or the numbers cannot be cast to it.
pub fn matrix_to_array(
    column: &str,
    values: ArrayView2<'_, f32>,
    wanted: &DataType,
) -> Result<ArrayRef, DataError> {
    let misfit =
        || DataError::Shape { column: column.to_owned(), wanted: wanted.clone(), width: values.ncols() };
    // A generated 2.9999 meant for an integer column is a 3; the cast alone would cut it to 2. Of truth values, which the
    // cast takes for true unless they are zero, the nearest counts too.
    let range = whole_range(item_type(wanted));
    let round = |value: f32| range.map_or(value, |[low, high]| value.round().clamp(low, high));
    let flat: ArrayRef = Arc::new(Float32Array::from_iter_values(values.iter().copied().map(round)));
    match wanted {
        DataType::FixedSizeList(_, length) if usize::try_from(*length).ok() == Some(values.ncols()) => {
            let list: ArrayRef = Arc::new(FixedSizeListArray::try_new(item(), *length, flat, None)?);
            Ok(cast(&list, wanted)?)
        }
        scalar if crate::numeric::is_number(scalar) && values.ncols() == 1 => Ok(cast(&flat, scalar)?),
        _ => Err(misfit()),
    }
}

/// The smallest and the largest number of a type of whole numbers, as far as `f32` has them.
fn whole_range(data_type: &DataType) -> Option<[f32; 2]> {
    let below = |end: f32| end.next_down();
    Some(match data_type {
        DataType::Boolean => [0.0, 1.0],
        DataType::Int8 => [i8::MIN.into(), i8::MAX.into()],
        DataType::Int16 => [i16::MIN.into(), i16::MAX.into()],
        DataType::Int32 => [i32::MIN as f32, below(i32::MAX as f32)],
        DataType::Int64 => [i64::MIN as f32, below(i64::MAX as f32)],
        DataType::UInt8 => [0.0, u8::MAX.into()],
        DataType::UInt16 => [0.0, u16::MAX.into()],
        DataType::UInt32 => [0.0, below(u32::MAX as f32)],
        DataType::UInt64 => [0.0, below(u64::MAX as f32)],
        _ => return None,
    })
}

fn item_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::FixedSizeList(item, _) => item.data_type(),
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{Int8Type, UInt8Type};
    use ndarray::Array2;

    use super::*;

    /// What a model generates for whole numbers becomes the nearest that the type has.
    #[test]
    fn whole_numbers_are_rounded_and_kept_in_their_range() {
        let generated = Array2::from_shape_vec([6, 1], vec![-300.0, -0.2, 0.03, 0.5, 2.9, 300.0]).unwrap();
        let of = |wanted: DataType| matrix_to_array("x", generated.view(), &wanted).unwrap();
        let truth: Vec<bool> = of(DataType::Boolean).as_boolean().values().iter().collect();
        assert_eq!(truth, [false, false, false, true, true, true]);
        assert_eq!(of(DataType::UInt8).as_primitive::<UInt8Type>().values(), &[0, 0, 0, 1, 3, 255]);
        assert_eq!(of(DataType::Int8).as_primitive::<Int8Type>().values(), &[-128, 0, 0, 1, 3, 127]);
        let huge = Array2::from_elem([1, 1], 1e30f32);
        for wanted in [DataType::Int32, DataType::Int64, DataType::UInt32, DataType::UInt64] {
            assert_eq!(matrix_to_array("x", huge.view(), &wanted).unwrap().null_count(), 0, "{wanted}");
        }
    }
}
