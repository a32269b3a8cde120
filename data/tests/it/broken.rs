//! Damaged files give an error that names the file; they never panic and never allocate what they claim to need.

use std::path::Path;

use parquet::basic::{Compression, ZstdLevel};
use simile_data::{DataError, Dataset};

use crate::support::*;

fn open_error(path: &Path) -> DataError {
    let error = Dataset::open(&[path.to_str().unwrap()]).unwrap_err();
    assert!(error.to_string().contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
    error
}

/// Opens and reads everything, as batches; any outcome but a panic.
fn read_all(path: &Path) -> Result<u64, DataError> {
    let dataset = Dataset::open(&[path.to_str().unwrap()])?;
    let mut rows = 0;
    for batch in dataset.scan().batches()? {
        rows += batch?.num_rows() as u64;
    }
    Ok(rows)
}

#[test]
fn files_of_another_kind_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let case = |name: &str, content: &[u8], expected: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let message = open_error(&path).to_string();
        assert!(message.contains("is not a Parquet file") && message.contains(expected), "{message}");
    };
    case("zero.parquet", b"", "it is empty (0 bytes)");
    case("short.parquet", b"PAR1", "it does not begin");
    case(
        "root.parquet",
        b"root\x00\x00\xf7\x58 a file of another kind",
        "it does not begin with the bytes PAR1",
    );
    let mut malformed = b"PAR1".to_vec();
    malformed.resize(100, 0);
    case("malformed.parquet", &malformed, "has no footer");
}

#[test]
fn truncation_anywhere_is_noticed() {
    let (folder, path) = shower_file();
    let whole = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.parquet");
    for length in (0..whole.len()).step_by(97).chain(whole.len() - 12..whole.len()) {
        std::fs::write(&cut, &whole[..length]).unwrap();
        assert!(matches!(open_error(&cut), DataError::NotParquet { .. }), "cut at {length}");
    }
}

#[test]
fn a_damaged_footer_is_an_error_or_harmless() {
    let (folder, path) = shower_file();
    let whole = std::fs::read(&path).unwrap();
    let footer = u32::from_le_bytes(whole[whole.len() - 8..whole.len() - 4].try_into().unwrap()) as usize;
    let damaged = folder.path().join("damaged.parquet");
    let mut errors = 0;
    let places: Vec<usize> = (whole.len() - 8 - footer..whole.len() - 4).step_by(11).collect();
    for &place in &places {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        std::fs::write(&damaged, &bytes).unwrap();
        if let Err(error) = read_all(&damaged) {
            errors += 1;
            assert!(error.to_string().contains("damaged.parquet"), "byte {place}: {error}");
        }
    }
    assert!(errors > places.len() / 10, "{errors} errors for {} places", places.len());
}

#[test]
fn damaged_pages_are_an_error_or_wrong_values_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())] {
        let path = folder.path().join("damaged.parquet");
        write(&path, &showers(0, 300), &options(codec, 100));
        let whole = std::fs::read(&path).unwrap();
        let mut errors = 0;
        for place in (4..whole.len() * 3 / 4).step_by(61) {
            let mut bytes = whole.clone();
            bytes[place..place + 2].iter_mut().for_each(|byte| *byte ^= 0xa5);
            std::fs::write(&path, &bytes).unwrap();
            if let Err(error) = read_all(&path) {
                errors += 1;
                assert!(error.to_string().contains("damaged.parquet"), "byte {place}: {error}");
            }
        }
        assert!(errors > 0, "no damage noticed with {codec:?}");
    }
}

#[test]
fn columns_not_asked_for_are_not_decoded() {
    let (_folder, path) = shower_file();
    let mut bytes = std::fs::read(&path).unwrap();
    // Ruin the pages of `voxels` in all row groups.
    let reader =
        parquet::file::serialized_reader::SerializedFileReader::new(std::fs::File::open(&path).unwrap());
    use parquet::file::reader::FileReader;
    for group in reader.unwrap().metadata().row_groups() {
        let voxels =
            group.columns().iter().find(|column| column.column_path().string().starts_with("voxels"));
        let (start, length) = voxels.unwrap().byte_range();
        bytes[start as usize..(start + length) as usize].fill(0xff);
    }
    std::fs::write(&path, bytes).unwrap();
    let dataset = open(&path);
    let select = Some("incident_energy > 600");
    let (rows, _) = collect(dataset.scan().columns(&["event_id", "hits"]).select(select));
    assert_eq!(rows.len(), 989);
    let error = dataset.scan().columns(&["voxels"]).select(select).events().unwrap().find_map(Result::err);
    assert!(matches!(error, Some(DataError::Corrupt { .. })), "{error:?}");
    // No event passes, so the ruined column is not touched.
    let none = dataset.scan().columns(&["voxels"]).select(Some("incident_energy < 0")).events().unwrap();
    assert!(matches!(none.last(), Some(Err(DataError::EmptySelection { total: 1000, .. }))));
}

#[test]
fn a_file_that_vanishes_after_opening_is_named() {
    let (_folder, path) = shower_file();
    let dataset = open(&path);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(dataset.scan().batches().unwrap().next(), Some(Err(DataError::Io { .. }))));
    assert!(matches!(dataset.sha256(), Err(DataError::Io { .. })));
}
