//! Damage in Parquet files as errors.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use crate::DataError;

pub(crate) fn corrupt(path: &Path, reason: impl Display) -> DataError {
    DataError::Corrupt { path: path.to_owned(), reason: reason.to_string() }
}

/// Runs a step of the decoder. The parquet crate panics on some kinds of damage (a page without its header, an index
/// beyond a dictionary) where it should return an error; both become [`DataError::Corrupt`]. What the step worked on
/// must not be used again after an error.
pub(crate) fn decode<T, E: Display>(
    path: &Path,
    step: impl FnOnce() -> Result<T, E>,
) -> Result<T, DataError> {
    catch(step).map_err(|reason| corrupt(path, reason))
}

/// The result of a step of a library that panics where it should return an error; either error as its message.
pub(crate) fn catch<T, E: Display>(step: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    let panic = match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => return result.map_err(|error| error.to_string()),
        Err(panic) => panic,
    };
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
    Err(message.unwrap_or("the library failed without a message").to_owned())
}

/// Checks what the footer says of rows and places in a file of `bytes` bytes, and returns the number of rows.
pub(crate) fn check_footer(path: &Path, footer: &ParquetMetaData, bytes: u64) -> Result<u64, DataError> {
    let mut rows = 0u64;
    for (index, group) in footer.row_groups().iter().enumerate() {
        let length = u64::try_from(group.num_rows()).ok();
        rows = length
            .and_then(|length| rows.checked_add(length))
            .ok_or_else(|| corrupt(path, format!("row group {index} claims {} rows", group.num_rows())))?;
        if let Some(column) = group.columns().iter().find(|column| !lies_within(column, bytes)) {
            let name = column.column_path();
            return Err(corrupt(
                path,
                format!("the data of column {name} in row group {index} lie outside the file"),
            ));
        }
    }
    Ok(rows)
}

fn lies_within(column: &ColumnChunkMetaData, bytes: u64) -> bool {
    let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let range = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
    range.and_then(|(start, length)| start.checked_add(length)).is_some_and(|end| end <= bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_panics_of_the_decoder_name_the_file() {
        let step = |fail: u8| {
            decode(Path::new("a.parquet"), move || match fail {
                0 => Ok(7),
                1 => Err("bad page"),
                _ => panic!("index {fail} out of bounds"),
            })
        };
        assert_eq!(step(0).unwrap(), 7);
        assert!(
            step(1).unwrap_err().to_string().contains("a.parquet")
                && step(1).unwrap_err().to_string().ends_with("bad page")
        );
        assert!(step(2).unwrap_err().to_string().ends_with("index 2 out of bounds"));
    }
}
