//! Hand-computed showers and invariances of the observables.

mod calo_challenge;

use ndarray::{Array1, array};
use proptest::prelude::*;

use super::*;

/// A layer of two rings, an empty one, and one of two rings × four sectors.
fn geometry() -> Geometry {
    Geometry::from_json(
        r#"{"layers":[{"r_edges_mm":[0,10,30],"n_alpha":1,"x0":[0,2]},
            {"r_edges_mm":[],"n_alpha":1,"x0":[2,3]},
            {"r_edges_mm":[0,10,30],"n_alpha":4,"x0":[3,9]}]}"#,
    )
    .unwrap()
}

fn value(observables: &ShowerObservables, row: ArrayView1<f32>, name: &str) -> f32 {
    let column = observables.observables().iter().position(|o| o.name == name);
    row[column.unwrap_or_else(|| panic!("no observable {name}"))]
}

#[test]
fn hand_computed_shower() {
    let observables = ShowerObservables::new(&geometry());
    // Layer 0: 3 MeV at r = 5 and 1 MeV at r = 20. Layer 2: 2 MeV at (5, α = 0), 4 MeV at (20, α = π/2).
    let shower = array![[3.0, 1.0, 2.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0]];
    let result = observables.compute(shower.view(), array![40.0].view());
    let expected: [(&str, f64); 18] = [
        ("visible_energy", 10.0),
        ("response", 0.25),
        ("energy_layer_0", 4.0),
        ("energy_layer_2", 6.0),
        // (4 · 1 + 6 · 6) / 10, then √((4 · 3² + 6 · 2²) / 10)
        ("depth", 4.0),
        ("depth_width", 6.0f64.sqrt()),
        // (3 · 5 + 20) / 4, then √((3 · 25 + 400) / 4 − 8.75²)
        ("radius_layer_0", 8.75),
        ("radial_width_layer_0", 42.1875f64.sqrt()),
        ("active_voxels_layer_0", 2.0),
        ("sparsity_layer_0", 0.0),
        // (2 · 5 + 4 · 20) / 6 = 15, then √((2 · 25 + 4 · 400) / 6 − 15²)
        ("radius_layer_2", 15.0),
        ("radial_width_layer_2", 50.0f64.sqrt()),
        ("x_layer_2", 10.0 / 6.0),
        ("y_layer_2", 80.0 / 6.0),
        ("x_width_layer_2", (50.0f64 / 6.0 - (10.0f64 / 6.0).powi(2)).sqrt()),
        ("y_width_layer_2", (1600.0f64 / 6.0 - (80.0f64 / 6.0).powi(2)).sqrt()),
        ("active_voxels_layer_2", 2.0),
        ("sparsity_layer_2", 0.75),
    ];
    for (name, expected) in expected {
        let found = f64::from(value(&observables, result.row(0), name));
        assert!((found - expected).abs() < 1e-5, "{name}: {found}, expected {expected}");
    }
    assert_eq!(result.ncols(), expected.len());
}

#[test]
fn core_leaves_out_directions_and_counts() {
    let observables = ShowerObservables::new(&geometry());
    let expected = [
        "visible_energy",
        "response",
        "energy_layer_0",
        "energy_layer_2",
        "depth",
        "radius_layer_0",
        "radial_width_layer_0",
        "radius_layer_2",
        "radial_width_layer_2",
    ];
    assert_eq!(observables.core_names(), expected);
}

#[test]
fn a_single_layer_repeats_no_column() {
    let json = r#"{"layers":[{"r_edges_mm":[0,10],"n_alpha":1,"x0":[0,2]}]}"#;
    let observables = ShowerObservables::new(&Geometry::from_json(json).unwrap());
    let names: Vec<_> = observables.observables().iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["visible_energy", "response", "active_voxels_layer_0", "sparsity_layer_0"]);
    let result = observables.compute(array![[2.0], [0.0]].view(), array![8.0, 0.0].view());
    assert_eq!(result, array![[2.0, 0.25, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]);
}

#[test]
fn without_depths_of_all_layers_there_is_no_depth() {
    let known = ShowerObservables::new(&geometry());
    let mut geometry = geometry();
    // An empty layer needs none.
    geometry.layers[1].x0 = None;
    assert_eq!(ShowerObservables::new(&geometry).observables(), known.observables());
    geometry.layers[2].x0 = None;
    let unknown = ShowerObservables::new(&geometry);
    let names: Vec<_> = unknown.observables().iter().map(|o| o.name.as_str()).collect();
    assert!(names.iter().all(|name| !name.contains("depth")), "{names:?}");
    assert!(!unknown.core_names().contains(&"depth"));
    let shower = Array2::from_shape_fn((1, 10), |(_, voxel)| voxel as f32);
    let [with, without] =
        [&known, &unknown].map(|observables| observables.compute(shower.view(), array![40.0].view()));
    assert_eq!(without.ncols(), with.ncols() - 2);
    for name in names {
        assert_eq!(value(&known, with.row(0), name), value(&unknown, without.row(0), name), "{name}");
    }
}

#[test]
fn sparsity_restates_and_nothing_else_does() {
    let observables = ShowerObservables::new(&geometry());
    let restate = |o: &&Observable| o.restates;
    let names: Vec<_> = observables.observables().iter().filter(restate).map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["sparsity_layer_0", "sparsity_layer_2"]);
}

#[test]
fn threshold_only_counts() {
    let observables = ShowerObservables::new(&geometry()).with_threshold_mev(2.0);
    let shower = array![[3.0, 1.0, 2.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0]];
    let result = observables.compute(shower.view(), array![40.0].view());
    assert_eq!(value(&observables, result.row(0), "active_voxels_layer_2"), 1.0);
    assert_eq!(value(&observables, result.row(0), "sparsity_layer_2"), 0.875);
    assert_eq!(value(&observables, result.row(0), "visible_energy"), 10.0);
    assert_eq!(cell_energies(&shower, 2.0).collect::<Vec<_>>(), [3.0, 4.0]);
}

#[test]
fn energy_in_one_voxel_has_no_width() {
    let observables = ShowerObservables::new(&geometry());
    for voxel in 0..10 {
        let mut shower = Array2::zeros((1, 10));
        shower[[0, voxel]] = 1234.567;
        let result = observables.compute(shower.view(), array![1e4].view());
        for (observable, &value) in observables.observables().iter().zip(&result) {
            assert!(!observable.name.contains("width") || value == 0.0, "{}: {value}", observable.name);
        }
    }
}

#[test]
fn views_of_any_layout_agree() {
    let observables = ShowerObservables::new(&geometry());
    let showers = Array2::from_shape_fn((3, 10), |(i, j)| (i * 10 + j) as f32);
    let transposed = showers.t().as_standard_layout().into_owned();
    let incident = array![1e3, 2e3, 3e3];
    assert_eq!(
        observables.compute(showers.view(), incident.view()),
        observables.compute(transposed.t(), incident.view())
    );
}

#[test]
#[should_panic(expected = "voxels of the geometry")]
fn another_number_of_voxels_panics() {
    let _ = ShowerObservables::new(&geometry()).compute(array![[1.0]].view(), array![1.0].view());
}

proptest! {
    /// Scaling the calorimeter's response scales energies and leaves shapes alone.
    #[test]
    fn shapes_do_not_depend_on_the_energy_scale(
        voxels in prop::collection::vec(0.0f32..1e3, 10), power in -6..6i32,
    ) {
        let observables = ShowerObservables::new(&geometry());
        let scale = 2.0f32.powi(power);
        let shower = Array2::from_shape_vec((1, 10), voxels).unwrap();
        let incident = Array1::from_elem(1, 5e3);
        let before = observables.compute(shower.view(), incident.view());
        let after = observables.compute((&shower * scale).view(), incident.view());
        for ((observable, &a), &b) in observables.observables().iter().zip(&before).zip(&after) {
            let energy = observable.unit == Some("MeV") || observable.name == "response";
            let expected = if energy { a * scale } else { a };
            prop_assert!((b - expected).abs() <= 1e-6 * expected.abs(), "{}: {a} to {b}", observable.name);
        }
    }

    /// Layers add up to the whole; centres lie inside the calorimeter.
    #[test]
    fn sums_and_bounds(voxels in prop::collection::vec(0.0f32..1e3, 10)) {
        let observables = ShowerObservables::new(&geometry());
        let shower = Array2::from_shape_vec((1, 10), voxels).unwrap();
        let result = observables.compute(shower.view(), array![1e4].view());
        let get = |name: &str| value(&observables, result.row(0), name);
        let visible = get("visible_energy");
        prop_assert!((get("energy_layer_0") + get("energy_layer_2") - visible).abs() <= 1e-6 * visible);
        prop_assert!((get("response") * 1e4 - visible).abs() <= 1e-6 * visible);
        if visible > 0.0 {
            prop_assert!((1.0..=6.0).contains(&get("depth")));
            prop_assert!(get("depth_width") <= 2.5001);
        }
        let (x, y, r) = (get("x_layer_2"), get("y_layer_2"), get("radius_layer_2"));
        prop_assert!(x.hypot(y) <= r * 1.00001);
    }
}
