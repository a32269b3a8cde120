//! The writer: atomic, and the inverse of the reader.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use ndarray::Array2;
use parquet::basic::Compression;
use proptest::prelude::*;
use simile_data::{DataError, EventWriter, Events, WriterOptions, event_schema, events_to_batch};

use crate::support::*;

#[test]
fn an_unfinished_file_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    let batch = showers(0, 50);
    let mut writer = EventWriter::create(&path, batch.schema(), &Default::default()).unwrap();
    writer.write(&batch).unwrap();
    assert_eq!((files(), path.exists()), (1, false), "one temporary file under another name");
    drop(writer);
    assert_eq!(files(), 0);
    write(&path, &batch, &Default::default());
    let mut writer = EventWriter::create(&path, batch.schema(), &Default::default()).unwrap();
    let message = writer.write(&batch.project(&[0]).unwrap()).unwrap_err().to_string();
    assert!(message.ends_with("a.parquet: it has no column `incident_energy`"), "{message}");
    drop(writer);
    assert_eq!((files(), open(&path).num_rows()), (1, 50), "the earlier file is untouched");
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no/such/a.parquet");
    let error = EventWriter::create(&path, showers(0, 1).schema(), &Default::default()).unwrap_err();
    assert!(matches!(&error, DataError::Io { path: named, .. } if *named == path), "{error}");
}

#[test]
fn metadata_and_all_columns_pass_through() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    let metadata = [("simile.units", r#"{"incident_energy":"MeV"}"#), ("generator", "parametrised, seed 3")];
    let all = with_metadata(&showers(0, 700), &metadata);
    write(&from, &all, &options(Compression::SNAPPY, 300));
    let dataset = open(&from);
    let mut writer = EventWriter::create(&to, dataset.schema().clone(), &Default::default()).unwrap();
    for batch in dataset.scan().batch_rows(100).batches().unwrap() {
        writer.write(&batch.unwrap()).unwrap();
    }
    assert_eq!(writer.finish().unwrap().bytes, std::fs::metadata(&to).unwrap().len());
    let copy = open(&to);
    assert_eq!(copy.schema(), dataset.schema());
    for (key, value) in metadata {
        assert_eq!(copy.metadata(key), Some(value));
    }
    assert_eq!(collect(copy.scan()).1, all);
}

#[test]
fn row_groups_are_cut_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &showers(0, 1000), &options(Compression::SNAPPY, 300));
    assert_eq!(open(&path).files()[0].row_groups, 4);
}

#[test]
fn events_take_the_types_of_the_schema() {
    let mut events = Events::new(vec![4, 9]);
    events.push("pdg", Array2::from_shape_vec((2, 1), vec![21.9999, -11.0001]).unwrap()).unwrap();
    events.push("cells", Array2::from_shape_vec((2, 2), vec![1.0, 2.0, 3.0, 4.0]).unwrap()).unwrap();
    let item = Arc::new(Field::new("item", DataType::Float64, true));
    let schema: SchemaRef = Schema::new(vec![
        Field::new("cells", DataType::FixedSizeList(item, 2), false),
        Field::new("pdg", DataType::Int32, false),
    ])
    .into();
    let batch = events_to_batch(&events, &schema).unwrap();
    assert_eq!(batch.column(1).as_primitive::<Int32Type>().values(), &[22, -11]);
    assert_eq!(batch.column(0).as_fixed_size_list().values().as_primitive::<Float64Type>().value(3), 4.0);
    let narrow = Schema::new(vec![Field::new("cells", DataType::Float32, false)]).into();
    let message = events_to_batch(&events, &narrow).unwrap_err().to_string();
    assert_eq!(message, "column `cells` cannot be written as Float32: it is 2 numbers per event");
    let missing = Schema::new(vec![Field::new("cell", DataType::Float32, false)]).into();
    assert!(events_to_batch(&events, &missing).unwrap_err().to_string().contains("did you mean `cells`?"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn events_survive_a_file(
        energy in prop::collection::vec(-1e30f32..1e30, 1..200), width in 1usize..20, group in 1usize..100,
        distinct in any::<bool>(),
    ) {
        let n = energy.len();
        let mut events = Events::new((0..n as u64).collect());
        let cells = Array2::from_shape_fn((n, width), |(i, j)| energy[i] * (j as f32 + 0.1));
        events.push("energy", Array2::from_shape_vec((n, 1), energy).unwrap()).unwrap();
        events.push("cells", cells.mapv(|value| value.clamp(f32::MIN, f32::MAX))).unwrap();
        let schema = event_schema(&[("energy".into(), 1), ("cells".into(), width)], HashMap::new());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let options = WriterOptions { distinct, ..options(Compression::SNAPPY, group) };
        write(&path, &events_to_batch(&events, &schema).unwrap(), &options);
        let blocks: Vec<_> = open(&path).scan().batch_rows(33).events().unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(Events::concat(&blocks).unwrap(), events);
    }
}
