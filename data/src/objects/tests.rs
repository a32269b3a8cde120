use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::*;
use ndarray::array;

use super::*;
use crate::{EventWriter, WriterOptions};

type Lists = Vec<Option<Vec<Option<f32>>>>;

fn lists(rows: Lists) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
}

fn full(rows: &[&[f32]]) -> ArrayRef {
    lists(rows.iter().map(|row| Some(row.iter().copied().map(Some).collect())).collect())
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) -> Dataset {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let mut writer = EventWriter::create(path, batch.schema(), &WriterOptions::default()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    Dataset::open(&[path.to_str().unwrap()]).unwrap()
}

/// Reads the wanted columns of all objects of a file with the given columns.
fn read(
    columns: Vec<(&str, ArrayRef)>,
    config: &ObjectsConfig,
    wanted: &[&str],
) -> Result<Objects, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let dataset = write(&folder.path().join("events.parquet"), columns);
    let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    let reader = ObjectReader::new(&dataset, config, &wanted)?;
    let columns: Vec<String> = reader.columns().into_iter().collect();
    let block = dataset.scan().columns(&columns).blocks()?.next().unwrap()?;
    reader.read(&block)
}

fn of(collection: &str) -> ObjectsConfig {
    ObjectsConfig { collection: collection.to_owned(), ..ObjectsConfig::default() }
}

/// Three events with two, no and one photons, and an event column.
fn photons() -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("rho", Arc::new(Float32Array::from(vec![10.0, 20.0, 30.0])) as ArrayRef),
        ("photon_pt", full(&[&[1.0, 2.0], &[], &[3.0]])),
        ("photon_eta", full(&[&[0.1, 0.2], &[], &[-1.0]])),
        ("photon_phi", full(&[&[3.1, -3.1], &[], &[0.0]])),
        ("jet_eta", full(&[&[0.1], &[5.0], &[]])),
        ("jet_phi", full(&[&[0.1], &[5.0], &[]])),
        ("other", full(&[&[1.0], &[2.0], &[3.0]])),
    ]
}

#[test]
fn members_event_columns_and_expressions_side_by_side() {
    let mut config = of("photon");
    config.columns.insert("energy".into(), "photon_pt * (EXP(photon_eta) + EXP(-photon_eta)) / 2".into());
    config.columns.insert("density".into(), "rho + 1".into());
    let objects = read(photons(), &config, &["energy", "photon_eta", "density"]).unwrap();
    assert_eq!(objects.offsets, [0, 2, 2, 3]);
    assert_eq!(objects.table.rows, [0, 0, 2]);
    assert_eq!(objects.table.column("photon_eta").unwrap(), array![[0.1], [0.2], [-1.0]]);
    assert_eq!(objects.table.column("density").unwrap(), array![[11.0], [11.0], [31.0]]);
    let energy = objects.table.column("energy").unwrap();
    assert!((energy[[2, 0]] - 3.0 * 1.0f32.cosh()).abs() < 1e-5);
}

#[test]
fn distances_wrap_and_leave_out_the_object_itself() {
    let mut config = of("photon");
    config.nearest.insert("alone".into(), "photon".into());
    config.nearest.insert("from_jet".into(), "jet".into());
    let objects = read(photons(), &config, &["alone", "from_jet"]).unwrap();
    let pair = 0.1f32.hypot(2.0 * std::f32::consts::PI - 6.2);
    let found = objects.table.column("alone").unwrap();
    assert!((found[[0, 0]] - pair).abs() < 1e-6 && (found[[1, 0]] - pair).abs() < 1e-6);
    assert_eq!(found[[2, 0]], 10.0);
    let found = objects.table.column("from_jet").unwrap();
    assert!((found[[0, 0]] - 3.0).abs() < 1e-6 && found[[2, 0]] == 10.0);
}

#[test]
fn four_vectors_give_the_coordinates_that_are_missing() {
    let columns = vec![
        ("mu_px", full(&[&[3.0]])),
        ("mu_py", full(&[&[4.0]])),
        ("mu_pz", full(&[&[12.0]])),
        ("mu_e", full(&[&[14.0]])),
        ("mu_phi", full(&[&[7.0]])),
    ];
    let config = ObjectsConfig { cartesian: Some(["px", "py", "pz", "e"].map(str::to_owned)), ..of("mu") };
    let objects = read(columns.clone(), &config, &["mu_pt", "mu_eta", "mu_phi", "mu_mass"]).unwrap();
    let value = |name: &str| objects.table.column(name).unwrap()[[0, 0]];
    assert_eq!(value("mu_pt"), 5.0);
    assert!((value("mu_eta") - (12.0f32 / 5.0).asinh()).abs() < 1e-6);
    assert_eq!(value("mu_phi"), 7.0, "what the file has stays");
    assert!((value("mu_mass") - 27f32.sqrt()).abs() < 1e-5);
    let wrong =
        ObjectsConfig { cartesian: Some(["px", "py", "pz", "energy"].map(str::to_owned)), ..of("mu") };
    let message = read(columns, &wrong, &["mu_pt"]).unwrap_err().to_string();
    assert!(message.contains("`mu_energy` does not exist in collection `mu`"), "{message}");
}

#[test]
fn distances_are_found_from_four_vectors_and_have_names_of_their_own() {
    let components = [("px", [1.0, 0.0]), ("py", [0.0, 1.0]), ("pz", [0.0, 0.0]), ("e", [1.0, 1.0])];
    let columns: Vec<(String, ArrayRef)> =
        components.iter().map(|(name, values)| (format!("mu_{name}"), full(&[values]))).collect();
    let columns = || columns.iter().map(|(name, array)| (name.as_str(), array.clone())).collect();
    let mut config =
        ObjectsConfig { cartesian: Some(["px", "py", "pz", "e"].map(str::to_owned)), ..of("mu") };
    config.nearest.insert("mu_isolation".into(), "mu".into());
    let objects = read(columns(), &config, &["mu_e", "mu_isolation"]).unwrap();
    let found = objects.table.column("mu_isolation").unwrap();
    assert!(found.iter().all(|distance| (distance - std::f32::consts::FRAC_PI_2).abs() < 1e-6), "{found}");
    config.nearest.insert("mu_px".into(), "mu".into());
    let message = read(columns(), &config, &["mu_px"]).unwrap_err().to_string();
    assert!(message.contains("`mu_px` exists twice") && message.contains("another name"), "{message}");
}

#[test]
fn lists_of_structs_and_large_lists_are_the_same() {
    let fields: Fields = vec![Field::new("pt", DataType::Float32, false)].into();
    let objects =
        StructArray::new(fields.clone(), vec![Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0]))], None);
    let item = Arc::new(Field::new("item", DataType::Struct(fields), false));
    let structs = ListArray::new(item, OffsetBuffer::new(vec![0, 2, 2, 3].into()), Arc::new(objects), None);
    let large = LargeListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(4), Some(5)]),
        Some(vec![]),
        Some(vec![Some(6)]),
    ]);
    let columns: Vec<(&str, ArrayRef)> = vec![("jet", Arc::new(structs)), ("mu_n", Arc::new(large))];
    let jets = read(columns.clone(), &of("jet"), &["jet_pt"]).unwrap();
    assert_eq!(
        (jets.offsets, jets.table.column("jet_pt").unwrap().to_owned()),
        (vec![0, 2, 2, 3], array![[1.0], [2.0], [3.0]])
    );
    let muons = read(columns, &of("mu"), &["mu_n"]).unwrap();
    assert_eq!(muons.table.column("mu_n").unwrap(), array![[4.0], [5.0], [6.0]]);
}

#[test]
fn a_null_list_holds_no_objects_even_with_items_behind_it() {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let values = Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0]));
    let offsets = OffsetBuffer::new(vec![0, 1, 2, 3].into());
    let nulls = NullBuffer::from(vec![true, false, true]);
    let list = ListArray::new(item, offsets, values, Some(nulls));
    let (offsets, items) = collection::parts(&(Arc::new(list) as ArrayRef)).unwrap();
    assert_eq!(
        (offsets, items.as_primitive::<Float32Type>().values().to_vec()),
        (vec![0, 1, 1, 2], vec![1.0, 3.0])
    );
    let null = lists(vec![None, Some(vec![Some(1.0)])]);
    let objects = read(vec![("a_x", null.clone()), ("a_y", null)], &of("a"), &["a_x", "a_y"]).unwrap();
    assert_eq!((objects.offsets, objects.table.rows), (vec![0, 0, 1], vec![1]));
}

#[test]
fn faults_name_columns_and_rows() {
    let message = |columns, config: &ObjectsConfig, wanted: &[&str]| {
        read(columns, config, wanted).unwrap_err().to_string()
    };
    let found = message(
        vec![("a_x", full(&[&[1.0], &[1.0, 2.0]])), ("a_y", full(&[&[1.0], &[1.0]]))],
        &of("a"),
        &["a_x", "a_y"],
    );
    assert!(found.starts_with("row 1 of ") && found.contains("`a_x` has 2 objects, `a_y` has 1"), "{found}");
    let found = message(photons(), &of("photons"), &["photons_pt"]);
    assert!(
        found.contains("collection `photons` does not exist") && found.contains("did you mean `photon`?"),
        "{found}"
    );
    let found = message(photons(), &of("photon"), &["photon_energy"]);
    assert!(found.contains("column `photon_energy` does not exist in the objects `photon`"), "{found}");
    let mut config = of("photon");
    config.columns.insert("x".into(), "jet_eta + 1".into());
    let found = message(photons(), &config, &["x"]);
    assert!(found.contains("`jet_eta` does not exist"), "{found}");
    let null = lists(vec![Some(vec![]), Some(vec![Some(1.0), None])]);
    let found = message(vec![("a_x", null)], &of("a"), &["a_x"]);
    assert!(found.contains("`a_x`") && found.contains("row 1"), "{found}");
    let infinite = full(&[&[1.0], &[f32::INFINITY]]);
    let found = message(vec![("a_x", infinite)], &of("a"), &["a_x"]);
    assert!(found.contains("inf") && found.contains("row 1"), "{found}");
}

#[test]
fn events_without_objects_have_none() {
    let objects = read(vec![("a_x", full(&[&[], &[]]))], &of("a"), &["a_x"]).unwrap();
    assert_eq!((objects.offsets, objects.table.len()), (vec![0, 0, 0], 0));
    assert_eq!(objects.table.column("a_x").unwrap().dim(), (0, 1));
}

#[test]
fn lists_are_made_of_what_is_kept() {
    let (offsets, kept) = objects_kept(&[0, 2, 2, 5], &[true, false, false, true, true]);
    assert_eq!((&offsets[..], &kept[..]), (&[0, 1, 1, 3][..], &[0, 3, 4][..]));
    let column = list_column(Arc::new(Int32Array::from(vec![7, 8, 9])), &offsets).unwrap();
    let list = column.as_list::<i32>();
    let row = |event: usize| list.value(event).as_primitive::<Int32Type>().values().to_vec();
    assert_eq!([row(0), row(1), row(2)], [vec![7], vec![], vec![8, 9]]);
}
