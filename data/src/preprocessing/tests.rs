//! Properties of whole chains: round trips, noise and storage.

mod log_det;
mod messages;

use ndarray::{Array1, Array2, array};
use proptest::prelude::*;
use rand::RngCore;

use super::*;

fn config(json: &str) -> PreprocessingConfig {
    serde_json::from_str(json).unwrap()
}

/// Events with global rows 100, 101, …
fn events(columns: &[(&str, Array2<f32>)]) -> Events {
    let n = columns[0].1.nrows() as u64;
    let mut events = Events::new((100..100 + n).collect());
    for (name, values) in columns {
        events.push(*name, values.clone()).unwrap();
    }
    events
}

fn column(values: Vec<f32>) -> Array2<f32> {
    Array1::from(values).insert_axis(Axis(1))
}

fn fit_x(steps: &str, train: &Events) -> Result<Preprocessing, PreprocessingError> {
    Preprocessing::fit(&config(&format!(r#"{{"x":{steps}}}"#)), &[], &["x".into()], None, train, 7)
}

fn round_trip(preprocessing: &Preprocessing, events: &Events, seed: u64) -> Array2<f32> {
    let z = preprocessing.target(events, &mut random::stream(seed, "test", 0)).unwrap();
    assert_eq!(z.dim(), (events.len(), preprocessing.n_target()));
    assert!(z.iter().all(|value| value.is_finite()), "{z}");
    preprocessing.target_inverse(z.view(), events).unwrap().remove(0).1
}

/// Largest |back − x| / (|x| + scale).
fn deviation(back: &Array2<f32>, x: &Array2<f32>, scale: f32) -> f32 {
    back.iter().zip(x).map(|(&back, &x)| (back - x).abs() / (x.abs() + scale)).fold(0.0, f32::max)
}

/// Positive values over twelve decades.
fn decades() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec((-6.0f32..6.0).prop_map(|power| 10f32.powf(power)), 2..60)
}

proptest! {
    #[test]
    fn relative_chains_round_trip(train in decades(), other in decades()) {
        let (train, other) = (events(&[("x", column(train))]), events(&[("x", column(other))]));
        for steps in [
            r#"[{"kind":"log"}]"#,
            r#"[{"kind":"log"},{"kind":"standardize"}]"#,
            r#"[{"kind":"log"},{"kind":"quantile","knots":50},{"kind":"standardize"}]"#,
        ] {
            let preprocessing = fit_x(steps, &train).unwrap();
            let x = train.column("x").unwrap().to_owned();
            prop_assert!(deviation(&round_trip(&preprocessing, &train, 1), &x, 0.0) < 1e-5, "{steps}");
            // A quantile map may be arbitrarily steep between two training values, but extrapolates gently.
            if !steps.contains("quantile") {
                let x = other.column("x").unwrap().to_owned();
                prop_assert!(deviation(&round_trip(&preprocessing, &other, 1), &x, 0.0) < 1e-5, "{steps}");
            }
        }
    }

    #[test]
    fn absolute_chains_round_trip(
        unit in -6..=6i32,
        train in prop::collection::vec(-1.0f32..1.0, 2..200),
    ) {
        let x = column(train) * 10f32.powi(unit);
        let spread = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        let train = events(&[("x", x.clone())]);
        for steps in [
            "[]",
            r#"[{"kind":"standardize"}]"#,
            r#"[{"kind":"quantile"}]"#,
            r#"[{"kind":"quantile","knots":7},{"kind":"standardize"}]"#,
            r#"[{"kind":"standardize"},{"kind":"logit","range":[-20,20],"alpha":0}]"#,
        ] {
            let preprocessing = fit_x(steps, &train).unwrap();
            let deviation = deviation(&round_trip(&preprocessing, &train, 1), &x, spread);
            prop_assert!(deviation < 1e-5, "{steps}: {deviation}");
        }
    }

    #[test]
    fn logit_round_trips_down_to_alpha(power in prop::collection::vec(-9.0f32..0.0, 2..60), flip: bool) {
        let fraction = |power: f32| if flip { 1.0 - 10f32.powf(power) } else { 10f32.powf(power) };
        let x = column(power.into_iter().map(fraction).collect());
        let train = events(&[("x", x.clone())]);
        for (alpha, scale) in [(1e-6, 1e-6), (0.0, 0.0), (0.05, 0.05)] {
            let preprocessing = fit_x(&format!(r#"[{{"kind":"logit","alpha":{alpha}}}]"#), &train).unwrap();
            let deviation = deviation(&round_trip(&preprocessing, &train, 1), &x, scale);
            prop_assert!(deviation < 1e-5, "alpha {alpha}: {deviation}");
        }
    }

    #[test]
    fn discrete_chains_restore_every_bit(
        levels in prop::collection::vec(0u8..=255, 2..100), seed: u64, half in prop::bool::ANY,
    ) {
        let x = column(levels.iter().map(|&level| f32::from(level) + if half { 0.5 } else { 0.0 }).collect());
        let train = events(&[("x", x.clone())]);
        for steps in [
            r#"[{"kind":"one_hot"}]"#,
            r#"[{"kind":"one_hot"},{"kind":"standardize"}]"#,
            r#"[{"kind":"dequantize","width":1}]"#,
            r#"[{"kind":"dequantize","width":1},{"kind":"standardize"}]"#,
            r#"[{"kind":"dequantize","width":1},{"kind":"logit","range":[0,257]},{"kind":"standardize"}]"#,
            r#"[{"kind":"dequantize","width":0.5},{"kind":"quantile"}]"#,
        ] {
            prop_assert_eq!(round_trip(&fit_x(steps, &train).unwrap(), &train, seed), &x, "{}", steps);
        }
    }

    #[test]
    fn angles_round_trip(angles in prop::collection::vec(-3.1f32..3.1, 2..60)) {
        let pairs = Array2::from_shape_vec((angles.len(), 1), angles).unwrap();
        let x = concatenate_columns(&pairs);
        let train = events(&[("x", x.clone())]);
        let preprocessing = fit_x(r#"[{"kind":"angle"},{"kind":"standardize"}]"#, &train).unwrap();
        prop_assert_eq!(preprocessing.n_target(), 4);
        prop_assert!(deviation(&round_trip(&preprocessing, &train, 1), &x, 1.0) < 1e-5);
    }
}

/// Two different columns made of one.
fn concatenate_columns(x: &Array2<f32>) -> Array2<f32> {
    ndarray::concatenate![Axis(1), x.view(), x.mapv(|x| -0.5 * x).view()]
}

/// A sample for every kind of step, with two conditions and five targets.
fn mixed() -> (Events, PreprocessingConfig, [String; 2], [String; 5]) {
    let n = 40;
    let ramp = |scale: f32| column((0..n).map(|i| scale * (1.0 + i as f32)).collect());
    let sample = events(&[
        ("energy", ramp(100.0)),
        ("pdg", column((0..n).map(|i| [11.0, -11.0, 22.0][i % 3]).collect())),
        ("mass", ramp(0.1)),
        ("phi", ramp(0.07)),
        (
            "voxels",
            Array2::from_shape_fn((n, 4), |(i, j)| if (i + j) % 3 == 0 { 0.0 } else { (i + j) as f32 }),
        ),
        ("count", column((0..n).map(|i| (i % 7) as f32).collect())),
        ("vertex", Array2::from_shape_fn((n, 3), |(i, j)| (i as f32 - 20.0) * (j as f32 + 0.3))),
    ]);
    let config = config(
        r#"{"energy":[{"kind":"log","offset":1.5},{"kind":"standardize"}], "pdg":[{"kind":"one_hot"}],
            "mass":[{"kind":"logit","range":[0,10]},{"kind":"quantile","knots":11}], "phi":[{"kind":"angle"}],
            "voxels":[{"kind":"layer_energies","incident":"energy","threshold_mev":0.5},
                      {"kind":"standardize"}],
            "count":[{"kind":"dequantize","width":1},{"kind":"standardize"}]}"#,
    );
    (
        sample,
        config,
        ["energy".to_owned(), "pdg".to_owned()],
        ["mass", "phi", "voxels", "count", "vertex"].map(str::to_owned),
    )
}

/// Layers of one voxel, none, and 3 r × 1 α voxels.
fn geometry() -> Geometry {
    let json = r#"{"layers":[{"r_edges_mm":[0,10],"n_alpha":1,"x0":[0,1]},
        {"r_edges_mm":[],"n_alpha":1,"x0":[1,2]},
        {"r_edges_mm":[0,10,20,30],"n_alpha":1,"x0":[2,9]}]}"#;
    Geometry::from_json(json).unwrap()
}

fn fit_mixed() -> (Events, Preprocessing) {
    let (sample, config, condition, target) = mixed();
    let fitted = Preprocessing::fit(&config, &condition, &target, Some(&geometry()), &sample, 7).unwrap();
    (sample, fitted)
}

#[test]
fn columns_groups_and_ranges_of_a_mixed_sample() {
    let (_, fitted) = fit_mixed();
    assert_eq!((fitted.n_condition(), fitted.n_target()), (1 + 3, 1 + 2 + (2 + 3) + 1 + 3));
    assert_eq!(fitted.condition_columns().collect::<Vec<_>>(), [("energy", 1), ("pdg", 1)]);
    let targets: Vec<_> = fitted.target_columns().collect();
    assert_eq!(targets, [("mass", 1), ("phi", 1), ("voxels", 4), ("count", 1), ("vertex", 3)]);
    assert_eq!(fitted.target_groups(), [0..3, 3..5, 5..8, 8..12]);
    let range = |column: &str, min, max| ColumnRange { column: column.to_owned(), component: 0, min, max };
    assert_eq!(fitted.condition_ranges(), [range("energy", 100.0, 4000.0), range("pdg", -11.0, 22.0)]);

    let mut fitted = fitted;
    let more = events(&[("energy", column(vec![50.0, 200.0])), ("pdg", column(vec![11.0, 211.0]))]);
    fitted.cover_conditions(&more).unwrap();
    assert_eq!(fitted.condition_ranges(), [range("energy", 50.0, 4000.0), range("pdg", -11.0, 211.0)]);
}

#[test]
fn relative_values_are_the_same_for_any_truth() {
    let sample = events(&[
        ("energy", column(vec![100.0, 200.0, 4000.0, 7.0])),
        ("measured", column(vec![110.0, 180.0, 4000.0, 7.7])),
    ]);
    for (power, expected) in
        [("", [0.1, -0.1, 0.0, 0.1]), (r#","power":0.5"#, [1.0, -std::f32::consts::SQRT_2, 0.0, 0.264_575_1])]
    {
        let config = config(&format!(r#"{{"measured":[{{"kind":"relative","to":"energy"{power}}}]}}"#));
        let (condition, target) = (["energy".to_owned()], ["measured".to_owned()]);
        let fitted = Preprocessing::fit(&config, &condition, &target, None, &sample, 1).unwrap();
        let stored = serde_json::to_string(&fitted).unwrap();
        assert_eq!(serde_json::from_str::<Preprocessing>(&stored).unwrap(), fitted);
        let z = fitted.target(&sample, &mut random::stream(1, "test", 0)).unwrap();
        assert!(
            z.column(0)
                .iter()
                .zip(expected)
                .all(|(found, expected): (&f32, f32)| (found - expected).abs() < 1e-6)
        );
        let back = fitted.target_inverse(z.view(), &sample).unwrap();
        let pairs = back[0].1.iter().zip(sample.column("measured").unwrap());
        assert!(pairs.into_iter().all(|(a, b)| (a / b - 1.0).abs() < 1e-6));
    }
}

#[test]
fn a_mixed_sample_round_trips() {
    let (sample, fitted) = fit_mixed();
    let z = fitted.target(&sample, &mut random::stream(1, "test", 0)).unwrap();
    for (name, back) in fitted.target_inverse(z.view(), &sample).unwrap() {
        let x = sample.column(&name).unwrap().to_owned();
        // Only standardised, `vertex` is exact in units of its spread.
        let scale = if name == "vertex" { 50.0 } else { 1e-3 };
        assert!(deviation(&back, &x, scale) < 1e-5, "{name}: {back}, expected {x}");
    }
}

#[test]
fn standardised_columns_have_mean_0_and_variance_1() {
    let x = concatenate_columns(&column((0..1000).map(|i| 1e5 + (i % 37) as f32).collect()));
    let train = events(&[("x", x)]);
    let z = fit_x(r#"[{"kind":"standardize"}]"#, &train).unwrap();
    let z = z.target(&train, &mut random::stream(1, "test", 0)).unwrap();
    for column in z.axis_iter(Axis(1)) {
        assert!(column.mean().unwrap().abs() < 1e-3 && (column.var(0.0) - 1.0).abs() < 1e-3, "{column}");
    }
}

#[test]
fn a_constant_column_is_shifted_only() {
    let train = events(&[("x", column(vec![0.1; 30]))]);
    for steps in [r#"[{"kind":"standardize"}]"#, r#"[{"kind":"quantile"}]"#] {
        let fitted = fit_x(steps, &train).unwrap();
        let z = fitted.target(&train, &mut random::stream(1, "test", 0)).unwrap();
        assert!(z.iter().all(|z| z.abs() < 1e-6), "{steps}: {z}");
        let other = events(&[("x", column(vec![0.6]))]);
        let z = fitted.target(&other, &mut random::stream(1, "test", 0)).unwrap();
        assert!((z[[0, 0]] - 0.5).abs() < 1e-6, "{steps}: {z}");
    }
}

#[test]
fn noise_is_fresh_with_every_call_and_only_a_function_of_the_generator() {
    let (sample, fitted) = fit_mixed();
    let mut rng = random::stream(3, "test", 0);
    let first = fitted.target(&sample, &mut rng).unwrap();
    let second = fitted.target(&sample, &mut rng).unwrap();
    assert_eq!(first, fitted.target(&sample, &mut random::stream(3, "test", 0)).unwrap());
    let differs = |columns: Range<usize>| {
        let mut pairs = first.slice(s![.., columns.clone()]).into_iter().zip(second.slice(s![.., columns]));
        pairs.any(|(a, b)| a != b)
    };
    assert!(!differs(0..3) && !differs(9..12), "mass, phi and vertex carry no noise");
    assert!(differs(3..5) && differs(5..8) && differs(8..9), "ratios, fractions and counts do");
    let before = rng.next_u64();
    fitted.condition(&sample).unwrap();
    assert_ne!(before, rng.next_u64());
}

#[test]
fn stored_and_loaded_it_is_the_same_to_the_last_bit() {
    let (sample, fitted) = fit_mixed();
    let json = serde_json::to_string(&fitted).unwrap();
    let loaded: Preprocessing = serde_json::from_str(&json).unwrap();
    assert_eq!(loaded, fitted);
    assert_eq!(serde_json::to_string(&loaded).unwrap(), json);
    let target = |p: &Preprocessing| p.target(&sample, &mut random::stream(1, "test", 0)).unwrap();
    assert_eq!(target(&loaded), target(&fitted));
    assert_eq!(loaded.condition(&sample).unwrap(), fitted.condition(&sample).unwrap());
}

proptest! {
    /// Fitted numbers of any magnitude survive JSON.
    #[test]
    fn every_fitted_number_survives_json(values in prop::collection::vec(prop::num::f32::NORMAL, 2..20)) {
        let values: Vec<f32> = values.iter().map(|x| x.clamp(-1e30, 1e30)).collect();
        let train = events(&[("x", column(values))]);
        let fitted = fit_x(r#"[{"kind":"standardize"},{"kind":"quantile","knots":5}]"#, &train).unwrap();
        let loaded: Preprocessing = serde_json::from_str(&serde_json::to_string(&fitted).unwrap()).unwrap();
        prop_assert_eq!(loaded, fitted);
    }
}

#[test]
fn absurd_model_output_stays_finite() {
    let (sample, fitted) = fit_mixed();
    for value in [-1e30, 1e30] {
        let z = Array2::from_elem((sample.len(), fitted.n_target()), value);
        for (name, back) in fitted.target_inverse(z.view(), &sample).unwrap() {
            assert!(back.iter().all(|x| x.is_finite()), "{name}: {back}");
        }
    }
    let wide = fit_x(r#"[{"kind":"log"},{"kind":"standardize"}]"#, &events(&[("x", array![[1e-3], [1e3]])]))
        .unwrap();
    let back = wide.target_inverse(array![[100.0]].view(), &events(&[("y", array![[0.0]])])).unwrap();
    assert_eq!(back[0].1, array![[f32::MAX]]);
}

/// Geant4 showers through the chain a calorimeter flow is trained with.
#[test]
fn geant4_showers_round_trip() -> Result<(), Box<dyn std::error::Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/photons_compact_test.parquet");
    let dataset = crate::Dataset::open(&[path])?;
    let scan = dataset.scan().columns(&["incident_energy", "voxels"]);
    let showers = Events::concat(&scan.events()?.collect::<Result<Vec<_>, _>>()?)?;
    let config = config(
        r#"{"incident_energy":[{"kind":"log"},{"kind":"standardize"}],
            "voxels":[{"kind":"layer_energies","incident":"incident_energy","threshold_mev":0.01},
                      {"kind":"quantile"}]}"#,
    );
    let geometry = dataset.geometry()?.expect("the file carries its geometry");
    let (condition, target) = (["incident_energy".to_owned()], ["voxels".to_owned()]);
    let fitted = Preprocessing::fit(&config, &condition, &target, Some(&geometry), &showers, 1)?;
    assert_eq!(fitted.target_groups(), [0..4, 4..148]);
    let mut by_layer = config.clone();
    let Step::LayerEnergies { by_layer: key, .. } = &mut by_layer.0.get_mut("voxels").unwrap()[0] else {
        unreachable!()
    };
    *key = true;
    let by_layer = Preprocessing::fit(&by_layer, &condition, &target, Some(&geometry), &showers, 1)?;
    assert_eq!(by_layer.target_groups(), [0..4, 4..12, 12..76, 76..140, 140..148]);
    let z = fitted.target(&showers, &mut random::stream(2, "test", 0))?;
    for column in z.axis_iter(Axis(1)) {
        assert!(column.mean().unwrap().abs() < 0.05 && (column.std(0.0) - 1.0).abs() < 0.05);
    }
    let back = fitted.target_inverse(z.view(), &showers)?.remove(0).1;
    let voxels = showers.column("voxels")?;
    for (back, shower) in back.outer_iter().zip(voxels.outer_iter()) {
        for layer in 0..geometry.n_layers() {
            let sum = |shower: ndarray::ArrayView1<f32>| {
                shower.slice(s![geometry.layer_voxels(layer)]).iter().map(|&v| f64::from(v)).sum::<f64>()
            };
            let (found, expected) = (sum(back), sum(shower));
            assert!(
                (found - expected).abs() < 0.01 + 1e-5 * expected,
                "layer {layer}: {found}, not {expected}"
            );
        }
    }
    Ok(())
}
