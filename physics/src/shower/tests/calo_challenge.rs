//! Against the code of the CaloChallenge: `golden/calo_challenge.py` made the expected values with it.

use std::collections::BTreeMap;

use super::*;

macro_rules! official {
    ($file:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/calochallenge/", $file)
    };
}

/// Incident particles of the cases and their binning files; the first is our own.
const CASES: [(&str, &str, &str); 4] = [
    ("small", "photon", concat!(env!("CARGO_MANIFEST_DIR"), "/golden/binning.xml")),
    ("dataset_1_photons", "photon", official!("binning_dataset_1_photons.xml")),
    ("dataset_1_pions", "pion", official!("binning_dataset_1_pions.xml")),
    ("dataset_2", "electron", official!("binning_dataset_2.xml")),
];

fn golden() -> BTreeMap<String, Vec<Vec<f64>>> {
    serde_json::from_str(include_str!("../../../golden/calo_challenge.json")).unwrap()
}

/// The showers of `golden/calo_challenge.py`: energy in all voxels, in half of them, in one of 64.
fn showers(voxels: usize) -> Array2<f32> {
    const MASKS: [u64; 3] = [0, 1, 63];
    Array2::from_shape_fn((MASKS.len(), voxels), |(row, voxel)| {
        let mut number = (voxel as u64 * 2_654_435_761 + (row as u64 + 1) * 2_246_822_519) % (1 << 32);
        number ^= number >> 15;
        number = number * 2_246_822_519 % (1 << 32);
        number ^= number >> 13;
        if number & MASKS[row] == 0 { (number >> 16) as f32 / 64.0 } else { 0.0 }
    })
}

/// The detector of data set 2 as arXiv:2410.21611 describes it: 45 layers of 9 rings of 4.65 mm and 16 sectors.
fn dataset_2() -> Geometry {
    let layer = Layer {
        r_edges_mm: (0..=9).map(|edge| 4.65 * f64::from(edge)).collect(),
        n_alpha: 16,
        alpha_begin: Some(-std::f64::consts::PI),
        x0: None,
    };
    Geometry::new(vec![layer; 45]).unwrap()
}

/// Where all energy sits in one voxel, rounding leaves the official code a width in mm below this, and ours is 0.
const NO_WIDTH_MM: f64 = 1e-5;

/// Largest relative deviation of our observables from the golden ones, with the column's name.
fn deviation(geometry: &Geometry, golden: &[Vec<f64>]) -> (f64, String) {
    let observables = ShowerObservables::new(geometry);
    let showers = showers(geometry.n_voxels());
    let found = observables.compute(showers.view(), Array1::ones(showers.nrows()).view());
    let names = observables.calo_challenge_names();
    assert_eq!(golden.len(), found.nrows());
    let mut worst = (0.0, String::new());
    for (row, golden) in found.rows().into_iter().zip(golden) {
        assert_eq!(golden.len(), names.len());
        for ((&column, name), &expected) in observables.calo_challenge().iter().zip(&names).zip(golden) {
            let expected = if expected.abs() < NO_WIDTH_MM { 0.0 } else { expected };
            let difference = (f64::from(row[column]) - expected).abs() / expected.abs().max(NO_WIDTH_MM);
            if difference > worst.0 {
                worst =
                    (difference, format!("{name}: {} where the CaloChallenge has {expected}", row[column]));
            }
        }
    }
    worst
}

#[test]
fn observables_are_those_of_the_official_code() {
    let golden = golden();
    assert_eq!(golden.len(), CASES.len());
    for (case, particle, file) in CASES {
        let Ok(xml) = std::fs::read_to_string(file) else {
            println!("SKIPPED: {case} is not compared with the CaloChallenge's code: there is no {file}");
            continue;
        };
        let geometry = Geometry::from_binning_xml(&xml, Some(particle)).unwrap();
        let (worst, what) = deviation(&geometry, &golden[case]);
        assert!(worst < 1e-5, "{case}: {worst}, {what}");
        println!("{case}: within {worst:.1e} ({what})");
    }
    let (worst, what) = deviation(&dataset_2(), &golden["dataset_2"]);
    assert!(worst < 1e-5, "{worst}, {what}");
}

#[test]
fn golden_showers_have_layers_without_energy_and_with_one_voxel() {
    // Columns of the small calorimeter: three layers, two of them with sectors, then the visible energy.
    let sparsities: Vec<f64> =
        golden()["small"].iter().flat_map(|row| row[3 + 4 * 2 + 1..][..3].to_vec()).collect();
    assert!(sparsities.contains(&1.0) && sparsities.contains(&0.0), "{sparsities:?}");
    let one = golden()["dataset_2"][2][45 * 5 + 1..][..45]
        .iter()
        .filter(|&&s| (s - 143.0 / 144.0).abs() < 1e-6)
        .count();
    assert!(one > 0);
}

#[test]
fn columns_number_as_published_with_the_incident_energy() {
    let golden = golden();
    let columns = |case: &str| golden[case][0].len() + 1;
    assert_eq!(columns("dataset_1_photons"), 30);
    assert_eq!(columns("dataset_1_pions"), 46);
    assert_eq!(columns("dataset_2"), 362);
    // A geometry of our own, with an empty layer and sectors in one of two others: 2 + 2 + 4·1 + 3·2.
    let expected = [
        "energy_layer_0",
        "energy_layer_2",
        "x_layer_2",
        "y_layer_2",
        "x_width_layer_2",
        "y_width_layer_2",
        "visible_energy",
        "sparsity_layer_0",
        "sparsity_layer_2",
        "radius_layer_0",
        "radius_layer_2",
        "radial_width_layer_0",
        "radial_width_layer_2",
    ];
    assert_eq!(ShowerObservables::new(&geometry()).calo_challenge_names(), expected);
}

#[test]
fn another_beginning_of_the_sectors_turns_the_axes() {
    let turned = dataset_2();
    let mut plain = turned.clone();
    plain.layers.iter_mut().for_each(|layer| layer.alpha_begin = None);
    let showers = showers(plain.n_voxels());
    let [plain, turned] = [plain, turned].map(|geometry| {
        let observables = ShowerObservables::new(&geometry);
        let found = observables.compute(showers.view(), Array1::ones(showers.nrows()).view());
        ["x_layer_7", "y_layer_7", "radius_layer_7"]
            .map(|name| f64::from(value(&observables, found.row(1), name)))
    });
    let (sin, cos) = (std::f64::consts::PI * (1.0 / 16.0 - 1.0)).sin_cos();
    assert!((turned[0] - (cos * plain[0] - sin * plain[1])).abs() < 1e-5);
    assert!((turned[1] - (sin * plain[0] + cos * plain[1])).abs() < 1e-5);
    assert_eq!(turned[2], plain[2]);
    assert!((turned[0] - plain[0]).abs() > 0.1, "{turned:?}");
}
