//! One contract for all kinds of columns and all codecs: what was written is read, whole, in part and in order.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::*;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use simile_data::{DataError, Events};

use crate::support::*;

const ROWS: usize = 500;

fn codecs() -> [Compression; 6] {
    [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4_RAW,
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ]
}

/// Small whole numbers, which every numeric type holds exactly.
fn scalars(data_type: &DataType) -> ArrayRef {
    let numbers =
        Float32Array::from_iter_values((0..ROWS).map(|i| (i % 2) as f32 + 2.0 * ((i / 3) % 50) as f32));
    cast(&numbers, data_type).unwrap()
}

fn numeric_columns() -> Vec<(String, ArrayRef)> {
    use DataType::*;
    let types = [
        Int8,
        Int16,
        Int32,
        Int64,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        Float16,
        Float32,
        Float64,
        Decimal128(9, 2),
    ];
    let mut columns: Vec<_> = types.iter().map(|t| (t.to_string(), scalars(t))).collect();
    columns.push(("Boolean".into(), Arc::new(BooleanArray::from_iter((0..ROWS).map(|i| Some(i % 3 == 0))))));
    let dictionary = Dictionary(Box::new(Int32), Box::new(Float64));
    columns.push(("Dictionary".into(), cast(&scalars(&Float64), &dictionary).unwrap()));
    columns
}

/// `[ROWS, 6]` as a flat fixed list, a nested one and variable lists of one length.
fn list_columns() -> Vec<(String, ArrayRef)> {
    let item = |data_type| Arc::new(Field::new("element", data_type, true));
    let flat: ArrayRef = Arc::new(Float32Array::from_iter_values((0..ROWS * 6).map(|i| i as f32 / 8.0)));
    let triples: ArrayRef = Arc::new(FixedSizeListArray::new(item(DataType::Float32), 3, flat.clone(), None));
    let nested: ArrayRef =
        Arc::new(FixedSizeListArray::new(item(triples.data_type().clone()), 2, triples, None));
    let fixed: ArrayRef = Arc::new(FixedSizeListArray::new(item(DataType::Float32), 6, flat, None));
    let list = cast(&fixed, &DataType::List(item(DataType::Float32))).unwrap();
    let large = cast(&fixed, &DataType::LargeList(item(DataType::Float32))).unwrap();
    [("fixed", fixed), ("nested", nested), ("list", list), ("large_list", large)]
        .map(|(name, array)| (name.to_string(), array))
        .into()
}

/// Columns that only pass through: jagged, structured, with nulls, text.
fn other_columns() -> Vec<(String, ArrayRef)> {
    let jagged = || {
        (0..ROWS).map(|i| (i % 11 != 5).then(|| (0..i % 4).map(move |j| (i % 3 != 1).then_some(j as f32))))
    };
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(jagged()));
    let large: ArrayRef = Arc::new(LargeListArray::from_iter_primitive::<Float32Type, _, _>(jagged()));
    let members = |n: usize| {
        let pt: ArrayRef = Arc::new(Float32Array::from_iter_values((0..n).map(|i| i as f32)));
        let charge: ArrayRef = Arc::new(Int8Array::from_iter((0..n).map(|i| (i % 5 != 0).then_some(1))));
        Arc::new(StructArray::try_from(vec![("pt", pt), ("charge", charge)]).unwrap())
    };
    let lengths: Vec<usize> = (0..ROWS).map(|i| i % 4).collect();
    let muons = members(lengths.iter().sum());
    let item = Arc::new(Field::new("item", muons.data_type().clone(), true));
    let muons = ListArray::new(item, arrow::buffer::OffsetBuffer::from_lengths(lengths), muons, None);
    let text = StringArray::from_iter((0..ROWS).map(|i| (i % 9 != 0).then(|| format!("event {i}"))));
    vec![
        ("jagged".into(), list),
        ("large_jagged".into(), large),
        ("muons".into(), Arc::new(muons)),
        ("vertex".into(), members(ROWS)),
        ("text".into(), Arc::new(text)),
    ]
}

fn all_columns() -> RecordBatch {
    let columns = numeric_columns().into_iter().chain(list_columns()).chain(other_columns());
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

#[test]
fn every_kind_survives_every_codec_in_small_batches() {
    let folder = tempfile::tempdir().unwrap();
    let all = all_columns();
    for codec in codecs() {
        let path = folder.path().join("all.parquet");
        write(&path, &all, &options(codec, 170));
        let (rows, read) = collect(open(&path).scan().batch_rows(64));
        assert_eq!(rows, (0..ROWS as u64).collect::<Vec<_>>());
        for (field, (before, after)) in
            all.schema().fields().iter().zip(all.columns().iter().zip(read.columns()))
        {
            assert_eq!(before, after, "{} with {codec:?}", field.name());
        }
    }
}

#[test]
fn selected_rows_are_the_same_rows_for_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.parquet");
    let all = all_columns();
    write(&path, &all, &options(Compression::SNAPPY, 170));
    let (rows, read) =
        collect(open(&path).scan().batch_rows(64).rows(3..400).select(Some("\"Int32\" % 3 = 1")));
    let numbers = all.column_by_name("Int32").unwrap().as_primitive::<Int32Type>();
    let expected: Vec<u64> = (3..400).filter(|&row| numbers.value(row as usize) % 3 == 1).collect();
    assert_eq!(rows, expected);
    assert!(rows.len() > 50, "the selection should cross row groups");
    let expected = take_record_batch(&all, &UInt64Array::from(expected)).unwrap();
    for (index, field) in all.schema().fields().iter().enumerate() {
        assert_eq!(read.column(index), expected.column(index), "{}", field.name());
    }
}

#[test]
fn numbers_become_matrices() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.parquet");
    write(&path, &all_columns(), &options(Compression::SNAPPY, 170));
    let dataset = open(&path);
    for (name, array) in numeric_columns() {
        let blocks = dataset.scan().columns(&[&name]).batch_rows(64).events().unwrap();
        let events = Events::concat(&blocks.collect::<Result<Vec<_>, _>>().unwrap()).unwrap();
        let expected = cast(&array, &DataType::Float32).unwrap();
        let expected = expected.as_primitive::<Float32Type>().values().to_vec();
        assert_eq!(events.column(&name).unwrap().column(0).to_vec(), expected, "{name}");
        assert_eq!(dataset.column_width(&name).unwrap(), 1);
    }
    for (name, _) in list_columns() {
        assert_eq!(dataset.column_width(&name).unwrap(), 6, "{name}");
        let blocks = dataset.scan().columns(&[&name]).batch_rows(64).events().unwrap();
        let events = Events::concat(&blocks.collect::<Result<Vec<_>, _>>().unwrap()).unwrap();
        let values = events.column(&name).unwrap();
        assert!(values.iter().enumerate().all(|(i, &value)| value == i as f32 / 8.0), "{name}");
        assert_eq!(values.dim(), (ROWS, 6));
    }
    for name in ["text", "vertex", "muons"] {
        let error = dataset.scan().columns(&[name]).events().err().unwrap();
        assert!(matches!(error, DataError::NotNumeric { .. }), "{name}: {error}");
    }
}

#[test]
fn parts_and_limits_cover_the_rows_asked_for() {
    let (_folder, path) = shower_file();
    let dataset = open(&path);
    let part = |scan: simile_data::Scan| collect(scan.columns(&["event_id"])).0;
    assert_eq!(part(dataset.scan().rows(290..610)), (290..610).collect::<Vec<_>>());
    assert_eq!(part(dataset.scan().rows(990..5000)), (990..1000).collect::<Vec<_>>());
    assert_eq!(part(dataset.scan().limit(Some(301)).batch_rows(100)), (0..301).collect::<Vec<_>>());
    assert!(part(dataset.scan().rows(600..600)).is_empty());
    let selected = part(dataset.scan().select(Some("event_id % 2 = 1")).rows(100..900).limit(Some(120)));
    assert_eq!(selected, (100..340).filter(|row| row % 2 == 1).collect::<Vec<_>>());
}

/// One case of a column that cannot be a matrix: its array, and the message up to the file name.
fn refused(array: ArrayRef, message: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.parquet");
    let batch = RecordBatch::try_from_iter_with_nullable([("x", array, true)]).unwrap();
    write(&path, &batch, &options(Compression::SNAPPY, 40));
    let mut events = open(&path).scan().columns(&["x"]).batch_rows(16).events().unwrap();
    let error = events.find_map(Result::err).expect("an error").to_string();
    assert!(error.starts_with(message) && error.contains("bad.parquet"), "{error}");
    assert!(events.next().is_none(), "the scan goes on after an error");
}

#[test]
fn faulty_values_name_column_row_and_file() {
    let with = |bad: f64| {
        Arc::new(Float64Array::from_iter_values((0..100).map(|i| if i == 77 { bad } else { 1.0 })))
    };
    refused(with(f64::NAN), "column `x` is NaN in row 77");
    refused(with(f64::NEG_INFINITY), "column `x` is -inf in row 77");
    refused(with(1e39), "column `x` is 1000000000000000000000000000000000000000 in row 77");
    let null = Float32Array::from_iter((0..100).map(|i| (i != 63).then_some(1.0)));
    refused(Arc::new(null), "column `x` is null in row 63");
    let list = |bad: usize| {
        let rows = (0..100).map(move |i| Some(vec![Some(1.0); if i == bad { 2 } else { 3 }]));
        Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
    };
    refused(list(45), "column `x` is ragged: row 45");
    refused(list(0), "column `x` is ragged: row 1 ");
    let element = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        (0..100).map(|i| Some([Some(1.0), Some(if i == 99 { f32::NAN } else { 2.0 })])),
        2,
    );
    refused(Arc::new(element), "column `x` is NaN in row 99");
}
