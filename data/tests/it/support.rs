//! Events with known values, and files made of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use parquet::basic::Compression;
use simile_data::{Dataset, EventWriter, Scan, WriterOptions};
use tempfile::TempDir;

pub(crate) const VOXELS: i32 = 4;

pub(crate) fn energy(row: usize) -> f32 {
    500.0 + 10.0 * row as f32
}

/// Made-up showers: `event_id` counts from 1000, voxel `j` of event `i` is `i + j / 10`, event `i` has `i % 5` hits,
/// `quality` is null in every seventh event.
pub(crate) fn showers(first: usize, n: usize) -> RecordBatch {
    let rows = first..first + n;
    let voxels = rows.clone().map(|i| Some((0..VOXELS).map(move |j| Some(i as f32 + j as f32 / 10.0))));
    let hits = rows.clone().map(|i| Some((0..i % 5).map(move |j| Some((i * j) as f32))));
    let quality = rows.clone().map(|i| (i % 7 != 0).then_some(i as f64));
    RecordBatch::try_from_iter([
        (
            "event_id",
            Arc::new(Int64Array::from_iter_values(rows.clone().map(|i| 1000 + i as i64))) as ArrayRef,
        ),
        ("incident_energy", Arc::new(Float32Array::from_iter_values(rows.clone().map(energy)))),
        ("voxels", Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(voxels, VOXELS))),
        ("hits", Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(hits))),
        ("quality", Arc::new(Float64Array::from_iter(quality))),
        ("particle", Arc::new(StringArray::from_iter_values(rows.map(|i| ["photon", "electron"][i % 2])))),
    ])
    .unwrap()
}

pub(crate) fn with_metadata(batch: &RecordBatch, metadata: &[(&str, &str)]) -> RecordBatch {
    let metadata: std::collections::HashMap<_, _> =
        metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let schema = batch.schema().as_ref().clone().with_metadata(metadata);
    batch.clone().with_schema(Arc::new(schema)).unwrap()
}

/// Options with small row groups, so that every test crosses their borders.
pub(crate) fn options(compression: Compression, row_group_rows: usize) -> WriterOptions {
    WriterOptions { compression, row_group_rows, ..WriterOptions::default() }
}

pub(crate) fn write(path: &Path, batch: &RecordBatch, options: &WriterOptions) {
    let mut writer = EventWriter::create(path, batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    let written = writer.finish().unwrap();
    assert_eq!(written.rows, batch.num_rows() as u64);
}

/// A folder holding `showers.parquet` with 1,000 showers in row groups of 300.
pub(crate) fn shower_file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("showers.parquet");
    write(&path, &showers(0, 1000), &options(Compression::SNAPPY, 300));
    (folder, path)
}

pub(crate) fn open(path: &Path) -> Dataset {
    Dataset::open(&[path.to_str().unwrap()]).unwrap()
}

/// Everything a scan gives, in one batch, and the row numbers.
pub(crate) fn collect(scan: Scan) -> (Vec<u64>, RecordBatch) {
    let blocks = scan.blocks().unwrap();
    let schema = blocks.schema().clone();
    let blocks: Vec<_> = blocks.map(Result::unwrap).collect();
    let rows = blocks.iter().flat_map(|block| block.rows.clone()).collect();
    (rows, concat_batches(&schema, blocks.iter().map(|block| &block.batch)).unwrap())
}
