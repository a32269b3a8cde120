//! Round trips and conservation laws of `layer_energies`.

use ndarray::{Array1, Axis, array};
use proptest::prelude::*;

use super::*;
use crate::random;

/// One voxel, then 2 × 1, then 2 × 4, with an empty layer between.
fn geometry() -> Geometry {
    let json = r#"{"layers":[{"r_edges_mm":[0,10],"n_alpha":1,"x0":[0,1]},
        {"r_edges_mm":[0,10,20],"n_alpha":1,"x0":[1,2]},{"r_edges_mm":[],"n_alpha":1,"x0":[2,3]},
        {"r_edges_mm":[0,10,20],"n_alpha":4,"x0":[3,9]}]}"#;
    Geometry::from_json(json).unwrap()
}

const LAYERS: [Range; 3] = [0..1, 1..3, 3..11];
type Range = std::ops::Range<usize>;

fn fit(threshold: f64, voxels: &Array2<f32>, incident: &Array1<f32>) -> LayerEnergies {
    let step = LayerEnergies::new("e", threshold, 1.2, false, &geometry(), voxels.view()).unwrap();
    step.fit(voxels.view(), incident.view()).unwrap()
}

fn round_trip(step: &LayerEnergies, voxels: &Array2<f32>, incident: &Array1<f32>, seed: u64) -> Array2<f32> {
    let z = step.forward(voxels.view(), incident.view(), &mut random::stream(seed, "test", 0)).unwrap();
    assert!(z.iter().all(|z| z.is_finite()), "{z}");
    // In single precision, deposits far below all others of a voxel lose digits; in samples as odd as these many are.
    let single = step.inverse(z.mapv(|z| f64::from(z as f32)).view(), incident.view()).unwrap();
    let back = step.inverse(z.view(), incident.view()).unwrap();
    for (single, back) in single.iter().zip(&back) {
        assert!((single - back).abs() <= 0.05 * back, "{single} in single precision, {back} in double");
    }
    back
}

#[test]
fn hand_computed_model_space() {
    let voxels = array![[2.0, 1.0, 3.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]];
    let incident = array![100.0];
    let step = fit(0.5, &voxels, &incident);
    assert!((step.max_response - 0.24).abs() < 1e-6);
    let z = step.forward(voxels.view(), incident.view(), &mut random::stream(1, "test", 0)).unwrap();
    assert_eq!((step.n_ratios(), step.n_shared(), step.output_width(11)), (3, 10, Some(13)));
    // The layers have 2, 4 and 14 MeV, and take their parts in this order.
    let parts: Vec<_> = step.parts(&[2.0, 4.0, 14.0], 100.0).collect();
    let log = |x: f64| (x / 0.5).ln();
    let expected = [(log(100.0), 20.0f64 / 4.0), (log(20.0), 2.0 / 18.0), (log(18.0), 4.0 / 14.0)];
    for ((e, y), (expected_e, odds)) in parts.into_iter().zip(expected) {
        assert!((e - expected_e).abs() < 1e-6 && (y.unwrap() - odds.ln()).abs() < 1e-6, "{e} {y:?}");
    }
    assert!(z.iter().all(|z| z.is_finite()), "{z}");
}

#[test]
fn the_response_limit_is_an_error_with_a_way_out() {
    let step = fit(0.5, &Array2::ones((1, 11)), &array![100.0]);
    let hot = Array2::from_elem((2, 11), 1.3);
    let fault =
        step.forward(hot.view(), array![1e3, 100.0].view(), &mut random::stream(1, "test", 0)).unwrap_err();
    assert_eq!((fault.row, fault.component), (1, 0));
    assert!(fault.error.to_string().contains("raise `headroom`"), "{}", fault.error);
}

fn shared(threshold: f64, energy: f64, shares: &[f64]) -> Vec<f32> {
    let step = fit(threshold, &Array2::ones((1, 11)), &array![100.0]);
    let mut cells = vec![0.0f32; shares.len()];
    step.share(energy, &mut shares.iter().copied().enumerate().collect(), &mut cells);
    cells
}

#[test]
fn too_many_voxels_for_the_energy_share_by_rank() {
    assert_eq!(shared(1.0, 2.5, &[1.25; 8]), [1.25, 1.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(shared(1.0, 1.0, &[2.0, 7.0, 3.0]), [0.0, 1.0, 0.0]);
}

#[test]
fn voxels_that_scaling_takes_below_threshold_stay_at_it() {
    assert_eq!(shared(1.0, 6.0, &[1.0, 2.0, 10.0]), [1.0, 1.0, 4.0]);
    assert_eq!(shared(1.0, 6.0, &[1.0, 2.0]), [2.0, 4.0]);
}

#[test]
fn rotation_turns_and_mirrors_all_layers_together() {
    let json = r#"{"layers":[{"r_edges_mm":[0,1,2],"n_alpha":4,"x0":[0,1]},{"r_edges_mm":[0,1],"n_alpha":8,"x0":[1,2]}]}"#;
    let geometry = Geometry::from_json(json).unwrap();
    let voxels = Array1::from_iter((1..=16).map(|v| v as f32)).insert_axis(Axis(0));
    let step = LayerEnergies::new("e", 0.5, 1.2, true, &geometry, voxels.view()).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut turned = vec![0.0; 16];
        let shower = voxels.as_slice().unwrap();
        step.turn(shower, &mut turned, &mut random::stream(seed, "test", 0));
        // Sector 0 of the coarse layer and sector 0 of the fine one lie at the same angle, and stay together.
        let coarse = turned[..8].chunks(2).position(|sector| sector == [1.0, 2.0]).unwrap();
        let fine = turned[8..].iter().position(|&v| v == 9.0).unwrap();
        assert_eq!(fine, 2 * coarse);
        // So do sectors 1 and 2, on the same side.
        let coarse = turned[..8].chunks(2).position(|sector| sector == [3.0, 4.0]).unwrap();
        let fine = turned[8..].iter().position(|&v| v == 11.0).unwrap();
        assert_eq!(fine, 2 * coarse);
        seen.insert(turned.iter().map(|&v| v as u8).collect::<Vec<_>>());
    }
    assert_eq!(seen.len(), 8, "four turns, each mirrored or not");
}

#[test]
fn sectors_that_begin_together_are_mirrored_together() {
    for begin in [-std::f64::consts::PI, 0.5, 0.1] {
        let json = format!(
            r#"{{"layers":[
            {{"r_edges_mm":[0,1],"n_alpha":4,"alpha_begin":{begin},"x0":[0,1]}},
            {{"r_edges_mm":[0,1],"n_alpha":8,"alpha_begin":{begin},"x0":[1,2]}}]}}"#
        );
        let geometry = Geometry::from_json(&json).unwrap();
        let voxels = Array1::from_iter((1..=12).map(|v| v as f32)).insert_axis(Axis(0));
        let step = LayerEnergies::new("e", 0.5, 1.2, true, &geometry, voxels.view()).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut turned = vec![0.0; 12];
            step.turn(voxels.as_slice().unwrap(), &mut turned, &mut random::stream(seed, "test", 0));
            for coarse in 0..4 {
                // The fine sectors 2k and 2k + 1 are behind the coarse one k, wherever it lies.
                let k = turned[coarse] as usize - 1;
                let mut behind = [turned[4 + 2 * coarse] as usize, turned[5 + 2 * coarse] as usize];
                behind.sort_unstable();
                assert_eq!(behind, [5 + 2 * k, 6 + 2 * k], "sectors from {begin} on, seed {seed}");
            }
            seen.insert(turned.iter().map(|&v| v as u8).collect::<Vec<_>>());
        }
        assert_eq!(seen.len(), 8, "four turns, each mirrored or not");
    }
}

/// Voxels over six decades, some exactly at threshold, some zero.
fn showers(zeros: bool) -> impl Strategy<Value = (f32, Array2<f32>)> {
    let voxel = (0u8..10, 0.0f32..6.0);
    let threshold = (-3i32..2).prop_map(|power| 10f32.powi(power));
    (threshold, prop::collection::vec(voxel, 220)).prop_map(move |(threshold, voxels)| {
        let voxels = voxels.iter().map(|&(kind, power)| match kind {
            0..=2 if zeros => 0.0,
            3 => threshold,
            _ => threshold * 10f32.powf(power),
        });
        let voxels = Array1::from_iter(voxels).into_shape_with_order((20, 11)).unwrap();
        (threshold, voxels)
    })
}

fn incident(voxels: &Array2<f32>) -> Array1<f32> {
    voxels.sum_axis(Axis(1)).mapv(|visible| 5.0 * visible + 1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn without_noise_the_round_trip_is_exact((_, voxels) in showers(false)) {
        let incident = incident(&voxels);
        let step = fit(1e-9, &voxels, &incident);
        for (back, &voxel) in round_trip(&step, &voxels, &incident, 1).iter().zip(&voxels) {
            prop_assert!((back - voxel).abs() <= 1e-5 * voxel, "{back}, expected {voxel}");
        }
    }

    #[test]
    fn noise_below_threshold_is_undone((threshold, voxels) in showers(true), seed: u64) {
        let incident = incident(&voxels);
        let step = fit(f64::from(threshold), &voxels, &incident);
        for (back, &voxel) in round_trip(&step, &voxels, &incident, seed).iter().zip(&voxels) {
            prop_assert!((back - voxel).abs() <= 1e-5 * voxel, "{back}, expected {voxel}");
        }
    }

    /// Deposits below threshold vanish, but their energy stays in the layer.
    #[test]
    fn layer_energies_are_conserved(voxels in prop::collection::vec(0.0f32..3.0, 220), seed: u64) {
        let voxels = Array1::from(voxels).mapv(|x| x.powi(4)).into_shape_with_order((20, 11)).unwrap();
        let incident = incident(&voxels);
        let step = fit(1.0, &voxels, &incident);
        let back = round_trip(&step, &voxels, &incident, seed);
        prop_assert!(back.iter().all(|&energy| energy == 0.0 || energy >= 0.9999));
        for (back, shower) in back.outer_iter().zip(voxels.outer_iter()) {
            for layer in LAYERS {
                let energy = shower.slice(ndarray::s![layer.clone()]).sum();
                let found = back.slice(ndarray::s![layer]).sum();
                let expected = if energy < 1.0 { 0.0 } else { energy };
                prop_assert!((found - expected).abs() <= 1e-5 * expected, "{found}, expected {expected}");
            }
        }
    }

    /// Any model output gives showers that respect threshold and total energy.
    #[test]
    fn any_output_is_a_shower(z in prop::collection::vec(-30.0f64..30.0, 13), energy in 1.0f32..1e5) {
        let step = fit(1.0, &Array2::ones((1, 11)), &array![100.0]);
        let z = Array1::from(z).insert_axis(Axis(0));
        let shower = step.inverse(z.view(), array![energy].view()).unwrap();
        let mut energies = [0.0; 3];
        step.fill_energies(&z.as_slice().unwrap()[..3], f64::from(energy), &mut energies);
        let total: f64 = energies.iter().sum();
        prop_assert!(total <= 1.000001 * f64::from(step.max_response) * f64::from(energy));
        let visible = shower.iter().map(|&x| f64::from(x)).sum::<f64>();
        prop_assert!(shower.iter().all(|&x| x == 0.0 || x >= 0.9999));
        prop_assert!(visible <= total * 1.00001 && visible >= total * 0.99999 - 3.0, "{visible} of {total}");
    }
}
