//! Parquet files one after the other in one file, row group by row group, without decoding them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions,
    ParquetMetaDataReader,
};
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;

use crate::atomic::AtomicFile;
use crate::writer::{CREATED_BY, PendingFile, write_error};
use crate::{DataError, damage};

/// Writes the events of `parts` into one file. It has the metadata of the first part, except that under `annotation.0`,
/// which is [annotated](crate::EventWriter::annotate) with `annotation.1` instead. Where the parts are what one writer
/// would have written between two row groups, the file is, byte for byte, the one that it would have written.
///
/// # Errors
/// If a part cannot be read, is damaged or has another schema than the first, or the disk is full.
pub fn concatenate(
    parts: &[&Path],
    out: &Path,
    annotation: (&str, String),
    scratch: Option<&Path>,
) -> Result<PendingFile, DataError> {
    let first = Part::open(parts.first().ok_or(DataError::NoFiles)?)?;
    let file = AtomicFile::create(out, scratch)?;
    let mut writer = first.writer(file.handle()?, annotation.0).map_err(|e| write_error(file.place(), e))?;
    let mut rows = 0;
    for path in parts {
        let part = Part::open(path)?;
        part.check_schema(&first)?;
        rows += part.append(&mut writer, file.place())?;
    }
    writer.append_key_value_metadata(KeyValue::new(annotation.0.to_owned(), annotation.1));
    writer.close().map_err(|error| write_error(file.place(), error))?;
    Ok(PendingFile { file: file.arrive()?, rows })
}

/// One file and its footer, page indices included.
struct Part<'a> {
    path: &'a Path,
    file: File,
    footer: ParquetMetaData,
}

impl<'a> Part<'a> {
    fn open(path: &'a Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::io("read", path))?;
        let bytes = file.metadata().map_err(DataError::io("read", path))?.len();
        // Encodings of pages are kept as they are, not summed up, because they are written again.
        let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
        let reader = ParquetMetaDataReader::new()
            .with_metadata_options(Some(options))
            .with_page_index_policy(PageIndexPolicy::Optional);
        let footer = damage::decode(path, || reader.parse_and_finish(&file))?;
        damage::check_footer(path, &footer, bytes)?;
        Ok(Self { path, file, footer })
    }

    /// A writer of files like this one.
    fn writer(&self, out: File, annotation: &str) -> Result<SerializedFileWriter<File>, ParquetError> {
        let metadata = self.footer.file_metadata();
        let kept = metadata.key_value_metadata().into_iter().flatten().filter(|kv| kv.key != annotation);
        let properties = WriterProperties::builder()
            .set_key_value_metadata(Some(kept.cloned().collect()))
            .set_created_by(CREATED_BY.to_owned())
            .build();
        SerializedFileWriter::new(out, metadata.schema_descr().root_schema_ptr(), Arc::new(properties))
    }

    fn check_schema(&self, first: &Self) -> Result<(), DataError> {
        let [mine, theirs] = [self, first].map(|part| part.footer.file_metadata().schema());
        if mine == theirs {
            return Ok(());
        }
        let difference = "its columns have other names or types".to_owned();
        Err(DataError::SchemaMismatch {
            first: first.path.to_owned(),
            path: self.path.to_owned(),
            difference,
        })
    }

    /// Copies all row groups and returns the number of rows. `place` names the output in messages.
    fn append(&self, writer: &mut SerializedFileWriter<File>, place: &Path) -> Result<u64, DataError> {
        for group in 0..self.footer.num_row_groups() {
            self.append_row_group(group, writer).map_err(|error| match error {
                ParquetError::External(_) => write_error(place, error),
                other => damage::corrupt(self.path, other),
            })?;
        }
        Ok(self.footer.row_groups().iter().map(|group| group.num_rows() as u64).sum())
    }

    fn append_row_group(
        &self,
        index: usize,
        writer: &mut SerializedFileWriter<File>,
    ) -> Result<(), ParquetError> {
        let group = self.footer.row_group(index);
        let page_index = self.footer.page_index();
        let mut out = writer.next_row_group()?;
        for (position, column) in group.columns().iter().enumerate() {
            let close = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: group.num_rows() as u64,
                metadata: with_old_limits(column)?,
                bloom_filter: None,
                column_index: page_index.and_then(|pages| pages.column_index(index, position)).cloned(),
                offset_index: page_index.and_then(|pages| pages.offset_index(index, position)).cloned(),
            };
            out.append_column(&self.file, close)?;
        }
        out.close().map(drop)
    }
}

/// The column chunk with its statistics as the writer had them: smallest and largest value stand twice in a footer, under
/// old and new keys, and reading forgets about the old ones.
fn with_old_limits(column: &ColumnChunkMetaData) -> Result<ColumnChunkMetaData, ParquetError> {
    let Some(statistics) = column.statistics() else { return Ok(column.clone()) };
    let old = column.column_descr().sort_order().is_signed();
    let statistics = match statistics.clone() {
        Statistics::Int32(values) => Statistics::Int32(values.with_backwards_compatible_min_max(old)),
        Statistics::Int64(values) => Statistics::Int64(values.with_backwards_compatible_min_max(old)),
        Statistics::Float(values) => Statistics::Float(values.with_backwards_compatible_min_max(old)),
        Statistics::Double(values) => Statistics::Double(values.with_backwards_compatible_min_max(old)),
        other => other,
    };
    column.clone().into_builder().set_statistics(statistics).build()
}
