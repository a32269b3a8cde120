//! Geant4 showers against the figures that were made with them, where the files are at hand.

use std::path::PathBuf;
use std::time::Instant;

use simile_validation::{ValidateOptions, validate};

use crate::toy::open;

/// Mean visible fraction and σ/mean of `photons_compact_test.parquet` between these energies, from `stats.txt` next
/// to it.
const EDGES: [f64; 6] = [500.0, 1250.0, 3150.0, 7900.0, 19_900.0, 50_001.0];
const EXPECTED: [(usize, f64, f64); 5] = [
    (2457, 0.189192, 0.08263),
    (2458, 0.189439, 0.05347),
    (2504, 0.189424, 0.03353),
    (2549, 0.189199, 0.02139),
    (2532, 0.188899, 0.01477),
];

fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/geant4");
    if folder.join("photons_compact_test.parquet").exists() {
        return Some(folder);
    }
    println!("SKIPPED: {} is not there; no check against Geant4 figures", folder.display());
    None
}

#[test]
fn train_and_test_showers_agree_and_have_the_known_response() {
    let Some(folder) = folder() else { return };
    let [reference, candidate] =
        ["test", "train"].map(|part| open(&folder.join(format!("photons_compact_{part}.parquet"))));
    let options = ValidateOptions {
        incident: Some("incident_energy".into()),
        voxels: Some("voxels".into()),
        response_edges: Some(EDGES.to_vec()),
        max_events: Some(12_500),
        ..ValidateOptions::default()
    };
    let start = Instant::now();
    let metrics = validate(&reference, &candidate, &options, None, &|_| ()).expect("good files").metrics;
    println!("12,500 against 12,500 showers of 144 voxels: {:.2} s", start.elapsed().as_secs_f64());
    let response = metrics.response.expect("showers");
    for (bin, (events, mean, resolution)) in response.bins.iter().zip(EXPECTED) {
        assert_eq!(bin.reference.events, events);
        assert!((bin.reference.mean - mean).abs() < 1e-6, "{bin:?}");
        assert!((bin.reference.resolution - resolution).abs() < 2e-5, "{bin:?}");
    }
    assert!(response.mean_deviation < 0.01 && response.resolution_deviation < 0.1, "{response:?}");
    let smallest = metrics.features.iter().filter_map(|feature| feature.ks.p_value).fold(1.0, f64::min);
    assert!(smallest > 1e-5, "both files come from one simulation, smallest p-value {smallest}");
}
