//! The Geant4 and NanoAOD samples kept next to the repository; skipped, loudly, where they are not at hand.

use std::path::PathBuf;
use std::time::Instant;

use simile_data::{DataError, Dataset, EventWriter, Events, InspectOptions, inspect};

use crate::support::*;

fn sample(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if !path.exists() {
        eprintln!("SKIPPED: {name} is not at hand, so it is not checked (looked in ../shared/data)");
        return None;
    }
    Some(path)
}

/// Rows, voxels, Σ voxels, Σ incident energy and fraction of empty voxels as recorded in `geant4/stats.txt`, which
/// numpy made when the samples were produced.
const GEANT4: [(&str, u64, usize, f64, f64, f64); 4] = [
    ("photons_compact_train", 37_500, 144, 7.61544e7, 4.02861e8, 0.25898),
    ("photons_compact_test", 12_500, 144, 2.56575e7, 1.35743e8, 0.25682),
    ("photons_full_train", 7_500, 1408, 1.53549e7, 8.12439e7, 0.65059),
    ("photons_full_test", 2_500, 1408, 5.23099e6, 2.77122e7, 0.64499),
];

#[test]
fn geant4_showers_have_the_recorded_sums() {
    for (name, rows, voxels, visible, incident, empty) in GEANT4 {
        let Some(path) = sample(&format!("geant4/{name}.parquet")) else { continue };
        let dataset = open(&path);
        assert_eq!((dataset.num_rows(), dataset.column_width("voxels").unwrap()), (rows, voxels));
        assert_eq!(dataset.geometry().unwrap().unwrap().n_voxels(), voxels);
        assert_eq!(dataset.units().unwrap()["voxels"], "MeV");
        let (mut sums, mut zeros) = ([0.0; 2], 0u64);
        for events in dataset.scan().columns(&["voxels", "incident_energy"]).events().unwrap() {
            let events = events.unwrap();
            let total = |name| events.column(name).unwrap().iter().map(|&x| f64::from(x)).sum::<f64>();
            sums[0] += total("voxels");
            sums[1] += total("incident_energy");
            zeros += events.column("voxels").unwrap().iter().filter(|&&x| x == 0.0).count() as u64;
        }
        assert!((sums[0] / visible - 1.0).abs() < 1e-5, "{name}: Σ voxels {}", sums[0]);
        assert!((sums[1] / incident - 1.0).abs() < 1e-5, "{name}: Σ incident energy {}", sums[1]);
        assert!((zeros as f64 / (rows * voxels as u64) as f64 - empty).abs() < 1e-5, "{name}: {zeros} empty");
    }
}

/// `stats.txt`: 500–1250 MeV has 2,457 showers with a visible fraction of 0.189192.
#[test]
fn geant4_selection_and_derived_columns_match() {
    let Some(path) = sample("geant4/photons_compact_test.parquet") else { return };
    let derived = [("fraction".to_owned(), "ARRAY_SUM(voxels) / incident_energy".to_owned())].into();
    let scan = open(&path).scan().columns(&["fraction"]).derive(&derived);
    let scan = scan.select(Some("incident_energy >= 500 AND incident_energy < 1250"));
    let events = Events::concat(&scan.events().unwrap().map(Result::unwrap).collect::<Vec<_>>()).unwrap();
    assert_eq!(events.len(), 2457);
    let mean = events.column("fraction").unwrap().iter().map(|&x| f64::from(x)).sum::<f64>() / 2457.0;
    assert!((mean - 0.189192).abs() < 1e-6, "{mean}");
}

#[test]
fn nested_photons_are_inspected() {
    let Some(path) = sample("geant4/diphotons_compact.parquet") else { return };
    let options = InspectOptions { columns: vec!["photon_voxels".into()], ..Default::default() };
    let summary = inspect(&open(&path), &options).unwrap();
    assert_eq!(summary.columns[0].type_name, "list<f32[144]>");
    assert_eq!(summary.columns[0].values.as_ref().unwrap().count, 23_946 * 144);
    assert_eq!(summary.columns[0].multiplicity.as_ref().unwrap().count, 12_000);
}

#[test]
fn nanoaod_is_inspected_and_passed_through() {
    for name in ["nano_dy", "nano_dy.extensionarray", "nano_dimuon"] {
        let Some(path) = sample(&format!("nanoaod/{name}.parquet")) else { continue };
        let start = Instant::now();
        let dataset = open(&path);
        let summary = inspect(&dataset, &InspectOptions::default()).unwrap();
        assert!(summary.columns.len() >= 1499 && summary.rows == 40);
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.parquet");
        let mut writer = EventWriter::create(&copy, dataset.schema().clone(), &Default::default()).unwrap();
        for batch in dataset.scan().batch_rows(7).batches().unwrap() {
            writer.write(&batch.unwrap()).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(collect(open(&copy).scan()).1, collect(dataset.scan()).1, "{name}");
        assert!(start.elapsed().as_secs() < 20, "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn nanoaod_selection_on_jagged_columns() {
    let Some(path) = sample("nanoaod/nano_dimuon.parquet") else { return };
    let dataset = open(&path);
    let two =
        collect(dataset.scan().columns(&["nMuon", "Muon_pt"]).select(Some("ARRAY_LENGTH(\"Muon_pt\") >= 2")))
            .0;
    let counted = collect(dataset.scan().columns(&["nMuon"]).select(Some("\"nMuon\" >= 2"))).0;
    assert!(!two.is_empty() && two == counted);
    let error = dataset.scan().columns(&["Muon_pt"]).events().unwrap().find_map(Result::err);
    assert!(matches!(error, Some(DataError::Ragged { .. })), "{error:?}");
}

#[test]
fn empty_nanoaod_is_inspected_but_not_trained_on() {
    let Some(path) = sample("nanoaod/nano_dy_empty.parquet") else { return };
    let dataset = open(&path);
    let summary = inspect(&dataset, &InspectOptions::default()).unwrap();
    assert!(summary.rows == 0 && summary.columns.iter().all(|column| column.values.is_none()));
    summary.to_string();
    let error = dataset.scan().columns(&["MET_pt"]).events().unwrap().find_map(Result::err);
    assert!(matches!(error, Some(DataError::NoRows { .. })), "{error:?}");
}

#[test]
fn malformed_nanoaod_is_refused() {
    let Some(path) = sample("nanoaod/nano_dy_malformed.parquet") else { return };
    let error = Dataset::open(&[path.to_str().unwrap()]).unwrap_err();
    assert!(
        matches!(error, DataError::NotParquet { .. }) && error.to_string().contains("has no footer"),
        "{error}"
    );
}
