//! Selections and derived columns in SQL.

use std::collections::BTreeMap;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::*;
use proptest::prelude::*;
use simile_data::{DataError, Events, Scan};

use crate::support::*;

fn derived(columns: &[(&str, &str)]) -> BTreeMap<String, String> {
    columns.iter().map(|(name, sql)| (name.to_string(), sql.to_string())).collect()
}

fn selected(sql: &str) -> Vec<u64> {
    let (_folder, path) = shower_file();
    collect(open(&path).scan().columns(&["event_id"]).batch_rows(64).select(Some(sql))).0
}

#[test]
fn conditions_see_all_kinds_of_columns() {
    let rows = |condition: fn(usize) -> bool| {
        (0..1000).filter(|&i| condition(i)).map(|i| i as u64).collect::<Vec<_>>()
    };
    assert_eq!(selected("incident_energy BETWEEN 1000 AND 2000"), rows(|i| (50..=150).contains(&i)));
    assert_eq!(selected("particle = 'electron' AND event_id > 1500"), rows(|i| i % 2 == 1 && i > 500));
    assert_eq!(selected("ARRAY_SUM(voxels) > 2000"), rows(|i| 4.0 * i as f32 + 0.6 > 2000.0));
    assert_eq!(selected("ARRAY_LENGTH(hits) = 3"), rows(|i| i % 5 == 3));
    assert_eq!(selected("ARRAY_GET(voxels, 1) > 990.5"), rows(|i| i > 990));
    assert_eq!(selected("event_id IN (1003, 1950)"), [3, 950]);
    assert_eq!(selected("SQRT(incident_energy) < 23 OR ABS(event_id - 1700) < 2"), [0, 1, 2, 699, 700, 701]);
}

/// Every numeric type and dictionaries, which pandas writes for categories.
#[test]
fn all_types_can_be_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("types.parquet");
    let numbers = Float32Array::from_iter_values((0..100).map(|i| i as f32));
    let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int8), Box::new(values));
    use DataType::*;
    let types = [Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float16, Float32, Float64];
    let types = types.into_iter().chain([Decimal128(9, 2), dictionary(Float64)]);
    let columns: Vec<_> = types.map(|to| (to.to_string(), cast(&numbers, &to).unwrap())).collect();
    let names = StringArray::from_iter_values((0..100).map(|i| if i == 42 { "pi0" } else { "eta" }));
    let text = ("meson".to_owned(), cast(&names, &dictionary(Utf8)).unwrap());
    let batch = RecordBatch::try_from_iter(columns.clone().into_iter().chain([text])).unwrap();
    write(&path, &batch, &Default::default());
    let rows = |sql: &str| collect(open(&path).scan().columns(&["Int8"]).select(Some(sql))).0;
    for (name, _) in columns {
        assert_eq!(rows(&format!("\"{name}\" > 41.5 AND \"{name}\" < 43")), [42], "{name}");
    }
    assert_eq!(rows("meson = 'pi0'"), [42]);
}

#[test]
fn null_means_not_selected() {
    assert_eq!(selected("quality < 10"), [1, 2, 3, 4, 5, 6, 8, 9]);
    assert_eq!(selected("quality IS NULL AND event_id < 1020"), [0, 7, 14]);
}

fn events(scan: Scan) -> Result<Events, DataError> {
    Events::concat(&scan.events()?.collect::<Result<Vec<_>, _>>()?)
}

#[test]
fn derived_columns_can_be_read_selected_by_and_built_upon() {
    let (_folder, path) = shower_file();
    let columns = derived(&[
        ("visible", "ARRAY_SUM(voxels)"),
        ("response", "visible / incident_energy"),
        ("log_energy", "ln(incident_energy)"),
        ("one", "1.0"),
    ]);
    let scan =
        open(&path).scan().derive(&columns).batch_rows(64).select(Some("response > 0.1 AND log_energy < 9"));
    let events = events(scan.columns(&["response", "voxels", "one", "log_energy"])).unwrap();
    let row = |i: usize| (4.0 * i as f64 + 0.6) / f64::from(energy(i));
    let expected: Vec<u64> =
        (0..1000).filter(|&i| row(i) > 0.1 && f64::from(energy(i)).ln() < 9.0).map(|i| i as u64).collect();
    assert_eq!(events.rows, expected);
    assert_eq!(events.names().collect::<Vec<_>>(), ["response", "voxels", "one", "log_energy"]);
    for (position, &i) in expected.iter().enumerate() {
        let i = i as usize;
        assert!((f64::from(events.column("response").unwrap()[[position, 0]]) / row(i) - 1.0).abs() < 1e-5);
        let log = f64::from(events.column("log_energy").unwrap()[[position, 0]]);
        assert!((log - f64::from(energy(i)).ln()).abs() < 1e-5);
        assert_eq!(events.column("one").unwrap()[[position, 0]], 1.0);
        assert_eq!(events.column("voxels").unwrap()[[position, 2]], i as f32 + 0.2);
    }
}

#[test]
fn derived_columns_pass_through_as_arrow_after_the_stored_ones() {
    let (_folder, path) = shower_file();
    let columns = derived(&[("is_high", "incident_energy > 5000"), ("twice", "event_id * 2")]);
    let (_, batch) = collect(open(&path).scan().derive(&columns));
    let schema = batch.schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names[6..], ["is_high", "twice"]);
    assert_eq!(batch.column(7).as_primitive::<Int64Type>().value(3), 2006);
    assert_eq!(batch.column(6).as_boolean().true_count(), 549);
}

#[test]
fn nulls_in_derived_columns_are_errors_unless_filled() {
    let (_folder, path) = shower_file();
    let dataset = open(&path);
    let read = |sql: &str| events(dataset.scan().derive(&derived(&[("x", sql)])).columns(&["x"]));
    assert!(matches!(read("quality * 2"), Err(DataError::Null { row: 0, .. })));
    assert_eq!(read("COALESCE(quality, -1)").unwrap().column("x").unwrap()[[7, 0]], -1.0);
    assert!(matches!(read("1 / (incident_energy - 510)"), Err(DataError::NotFinite { row: 1, .. })));
}

/// Messages for a `select` on the shower file.
fn refused(sql: &str) -> String {
    let (_folder, path) = shower_file();
    let columns = derived(&[("log_energy", "ln(incident_energy)")]);
    let scan = open(&path).scan().derive(&columns).columns(&["voxels"]).select(Some(sql));
    scan.events().err().unwrap_or_else(|| panic!("{sql} is accepted")).to_string()
}

#[test]
fn bad_conditions_are_refused_before_reading() {
    let cases = [
        ("incident_energy >", "not a valid SQL expression"),
        ("incident_energy > 1000; DROP TABLE x", "not a valid SQL expression"),
        ("incident_energi > 1000", "did you mean `incident_energy`?"),
        ("log_energi > 3", "did you mean `log_energy`?"),
        ("incident_energy", "it gives Float32, not true or false"),
        ("particle + 1 > 2", "select = \"particle + 1 > 2\": "),
        ("incident_energy > AVG(incident_energy)", "combines several events"),
        ("SUM(incident_energy) > 3", "combines several events"),
        ("COUNT(*) > 3", "several"),
        ("ROW_NUMBER() OVER (ORDER BY event_id) < 4", "combines several events"),
        ("LAG(event_id) OVER (ORDER BY event_id) < 4", "combines several events"),
        ("no_such_function(event_id) > 1", "no_such_function"),
        ("event_id IN (SELECT event_id FROM other)", "select = "),
    ];
    for (sql, expected) in cases {
        let message = refused(sql);
        assert!(message.contains(expected), "{sql}: {message}");
    }
}

#[test]
fn bad_derived_columns_name_their_key() {
    let (_folder, path) = shower_file();
    let dataset = open(&path);
    let refused = |columns: &[(&str, &str)]| {
        dataset.scan().derive(&derived(columns)).batches().err().expect("an error").to_string()
    };
    assert!(refused(&[("x", "ln(")]).starts_with("derived.x = \"ln(\": it is not a valid SQL"));
    let message = refused(&[("a", "b + 1"), ("b", "c * 2"), ("c", "a")]);
    assert!(message.contains("defined by each other: b → c → a → b"), "{message}");
    assert!(refused(&[("voxels", "event_id")]).contains("column `voxels` exists twice"));
    assert!(refused(&[("x", "AVG(event_id)")]).contains("combines several events"));
    assert!(refused(&[("x", "evnt_id + 1")]).contains("did you mean `event_id`?"));
}

#[test]
fn no_event_left_is_an_error_with_counts() {
    let (_folder, path) = shower_file();
    let none = |scan: Scan| events(scan.columns(&["voxels"]));
    let scan = open(&path).scan().select(Some("incident_energy < 0"));
    let message = none(scan.clone()).unwrap_err().to_string();
    assert_eq!(
        message,
        "none of the 1000 events passes select = \"incident_energy < 0\"; loosen the selection"
    );
    // A shard may rightly be empty.
    assert!(none(scan.rows(0..500)).unwrap().is_empty());
}

#[test]
fn empty_files_cannot_be_trained_on_but_pass_through() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.parquet");
    write(&path, &showers(0, 0), &Default::default());
    let dataset = open(&path);
    let error = events(dataset.scan().columns(&["voxels"]).select(Some("event_id > 3"))).unwrap_err();
    assert!(matches!(error, DataError::NoRows { .. }), "{error}");
    assert_eq!(collect(dataset.scan()).1.num_rows(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Neither batch size nor the cut into row groups changes what is selected.
    #[test]
    fn selection_does_not_depend_on_blocks(
        batch in 1usize..700, group in 1usize..400, modulus in 1i64..9, start in 0u64..300, length in 0u64..400,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write(&path, &showers(0, 500), &options(parquet::basic::Compression::UNCOMPRESSED, group));
        let sql = format!("event_id % {modulus} = 0");
        let scan = open(&path).scan().columns(&["event_id", "hits"]).batch_rows(batch);
        let (rows, read) = collect(scan.select(Some(&sql)).rows(start..start + length));
        let expected: Vec<u64> =
            (start..(start + length).min(500)).filter(|row| (1000 + *row as i64) % modulus == 0).collect();
        prop_assert_eq!(&rows, &expected);
        for (position, &row) in rows.iter().enumerate() {
            prop_assert_eq!(read.column(0).as_primitive::<Int64Type>().value(position), 1000 + row as i64);
            prop_assert_eq!(read.column(1).as_list::<i32>().value(position).len(), (row % 5) as usize);
        }
    }
}
