//! Several files as one table, their metadata and how they may differ.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use parquet::basic::Compression;
use simile_data::{DataError, Dataset};

use crate::support::*;

const GEOMETRY: &str = r#"{"layers":[{"r_edges_mm":[0.0,5.0,10.0],"n_alpha":2,"x0":[0.0,4.0]}]}"#;

#[test]
fn files_follow_each_other_in_sorted_order() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(Compression::SNAPPY, 300);
    write(&folder.path().join("part_b.parquet"), &showers(400, 350), &options);
    write(&folder.path().join("part_a.parquet"), &showers(0, 400), &options);
    write(&folder.path().join("part_c.parquet"), &showers(750, 0), &options);
    let dataset = Dataset::open(&[format!("{}/part_*.parquet", folder.path().display())]).unwrap();
    assert_eq!(dataset.num_rows(), 750);
    assert_eq!(dataset.files().iter().map(|file| file.rows).collect::<Vec<_>>(), [400, 350, 0]);
    assert_eq!(dataset.files().iter().map(|file| file.row_groups).collect::<Vec<_>>()[..2], [2, 2]);
    let (rows, read) = collect(dataset.scan().batch_rows(128));
    assert_eq!(rows, (0..750).collect::<Vec<_>>());
    assert_eq!(read.columns(), showers(0, 750).columns());
    let (rows, read) = collect(dataset.scan().rows(390..420).select(Some("event_id % 2 = 0")));
    assert_eq!(rows, (390..420).step_by(2).collect::<Vec<_>>());
    assert_eq!(read.num_rows(), 15);
}

#[test]
fn metadata_is_typed_and_shared() {
    let folder = tempfile::tempdir().unwrap();
    let units = r#"{"incident_energy": "MeV"}"#;
    let file = |name: &str, geometry: &str, generator: &str| {
        let path = folder.path().join(name);
        let metadata = [("simile.geometry", geometry), ("simile.units", units), ("generator", generator)];
        write(&path, &with_metadata(&showers(0, 10), &metadata), &options(Compression::SNAPPY, 300));
        path.display().to_string()
    };
    let a = file("a.parquet", GEOMETRY, "seed 1");
    // The same geometry, written in another way.
    let b = file("b.parquet", &GEOMETRY.replace(',', ", "), "seed 2");
    let dataset = Dataset::open(&[&a, &b]).unwrap();
    assert_eq!(dataset.geometry().unwrap().unwrap().n_voxels(), 4);
    assert_eq!(dataset.units().unwrap()["incident_energy"], "MeV");
    assert_eq!(dataset.metadata("simile.geometry"), Some(GEOMETRY));
    assert_eq!(dataset.metadata("generator"), None, "the files differ in it");
    assert_eq!(Dataset::open(&[&a]).unwrap().metadata("generator"), Some("seed 1"));

    let other = file("c.parquet", &GEOMETRY.replace("10.0", "20.0"), "seed 3");
    let message = Dataset::open(&[&a, &other]).unwrap_err().to_string();
    assert!(message.contains("c.parquet") && message.contains("`simile.geometry` differs"), "{message}");
    let nonsense = file("d.parquet", r#"{"layers": 3}"#, "");
    let message = Dataset::open(&[nonsense]).unwrap().geometry().unwrap_err().to_string();
    assert!(message.contains("`simile.geometry`") && message.contains("d.parquet"), "{message}");
}

#[test]
fn data_sets_whose_numbers_mean_something_else_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, geometry: &str, units: &str| {
        let path = folder.path().join(name);
        let metadata = [("simile.geometry", geometry), ("simile.units", units)];
        write(&path, &with_metadata(&showers(0, 10), &metadata), &options(Compression::SNAPPY, 300));
        Dataset::open(&[path.display().to_string()]).unwrap()
    };
    let own = open("own.parquet", GEOMETRY, r#"{"incident_energy": "MeV"}"#);
    let nested = open("nested.parquet", GEOMETRY, r#"{"photon_energy": "GeV", "other": "mm"}"#);
    assert!(
        own.check_alike(&own, |column| column).is_ok() && own.check_alike(&nested, |column| column).is_ok()
    );
    let renamed = |column| if column == "incident_energy" { "photon_energy" } else { column };
    let message = own.check_alike(&nested, renamed).unwrap_err().to_string();
    for part in
        ["`incident_energy` of", "own.parquet is in MeV", "`photon_energy` of", "nested.parquet in GeV"]
    {
        assert!(message.contains(part), "{message}");
    }
    let wider = open("wider.parquet", &GEOMETRY.replace("10.0", "20.0"), "{}");
    let message = own.check_alike(&wider, |column| column).unwrap_err().to_string();
    assert!(message.contains("different calorimeters") && message.contains("wider.parquet"), "{message}");
}

#[test]
fn differing_schemas_are_refused_with_the_difference() {
    let (folder, path) = shower_file();
    let reference = path.display().to_string();
    let all = showers(0, 10);
    let case = |batch: RecordBatch, expected: &str| {
        let other = folder.path().join("other.parquet");
        write(&other, &batch, &options(Compression::SNAPPY, 300));
        let message = Dataset::open(&[&reference, other.to_str().unwrap()]).unwrap_err().to_string();
        assert!(message.ends_with(expected) && message.contains("other.parquet"), "{message}");
    };
    case(all.project(&[0, 1, 2, 3, 4]).unwrap(), "it has no column `particle`");
    case(
        all.project(&[1, 0, 2, 3, 4, 5]).unwrap(),
        "ordered differently (`incident_energy` where `event_id` is)",
    );
    let mut columns = all.columns().to_vec();
    columns[1] = Arc::new(Float64Array::from(vec![1.0; 10]));
    let names = all.schema();
    let changed = |columns: Vec<ArrayRef>| names.fields().iter().map(|f| f.name().clone()).zip(columns);
    case(
        RecordBatch::try_from_iter(changed(columns)).unwrap(),
        "its column `incident_energy` has type Float64, not Float32",
    );
    let more = changed(all.columns().to_vec()).chain([("weight".to_owned(), all.column(1).clone())]);
    case(RecordBatch::try_from_iter(more).unwrap(), "it has an additional column `weight`");
}

/// Arrow's writers call the items of a list `item`, `element` or otherwise; that is no difference.
#[test]
fn names_of_list_items_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let all = showers(0, 40);
    let renamed = |name: &str, batch: &RecordBatch| {
        let list = DataType::List(Arc::new(Field::new(name, DataType::Float32, true)));
        RecordBatch::try_from_iter([("hits", cast(batch.column(3), &list).unwrap())]).unwrap()
    };
    write(&folder.path().join("a.parquet"), &renamed("item", &all.slice(0, 15)), &Default::default());
    write(&folder.path().join("b.parquet"), &renamed("hit", &all.slice(15, 25)), &Default::default());
    let dataset = Dataset::open(&[format!("{}/*.parquet", folder.path().display())]).unwrap();
    assert_eq!(collect(dataset.scan()).1, renamed("item", &all));
}

#[test]
fn missing_and_doubled_files_are_refused() {
    let (folder, path) = shower_file();
    let path = path.to_str().unwrap();
    assert!(matches!(Dataset::open::<&str>(&[]), Err(DataError::NoFiles)));
    let nothing = format!("{}/*.root", folder.path().display());
    let message = Dataset::open(&[nothing]).unwrap_err().to_string();
    assert!(message.contains("*.root") && message.contains("relative paths start from"), "{message}");
    assert!(matches!(Dataset::open(&[path, path]), Err(DataError::DuplicateFile { .. })));
    assert!(matches!(Dataset::open(&["a[.parquet"]), Err(DataError::Pattern { .. })));
    let message = Dataset::open(&[folder.path().to_str().unwrap()]).unwrap_err().to_string();
    assert!(message.contains("it is a folder"), "{message}");
}

#[test]
fn unknown_columns_offer_the_nearest() {
    let (_folder, path) = shower_file();
    let dataset = open(&path);
    for message in [
        dataset.column_width("voxel").unwrap_err().to_string(),
        dataset.scan().columns(&["voxel"]).events().err().unwrap().to_string(),
    ] {
        assert!(
            message.contains("did you mean `voxels`?") && message.contains("showers.parquet"),
            "{message}"
        );
    }
    let twice = dataset.scan().columns(&["voxels", "voxels"]).batches().err().unwrap();
    assert!(matches!(twice, DataError::DuplicateColumn { .. }), "{twice}");
    assert!(matches!(dataset.column_width("hits"), Err(DataError::Ragged { row: 0, found: 0, .. })));
    assert!(matches!(dataset.column_width("particle"), Err(DataError::NotNumeric { .. })));
}

#[test]
fn hashes_are_those_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &showers(0, 100), &options(Compression::SNAPPY, 300));
    let first = open(&path).sha256().unwrap();
    assert!(first[0].len() == 64 && first[0].bytes().all(|byte| byte.is_ascii_hexdigit()));
    write(&path, &showers(0, 100), &options(Compression::SNAPPY, 300));
    assert_eq!(open(&path).sha256().unwrap(), first, "equal events give equal files");
    write(&path, &showers(1, 100), &options(Compression::SNAPPY, 300));
    assert_ne!(open(&path).sha256().unwrap(), first);
}
