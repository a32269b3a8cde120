//! Truth against truth, against a shifted surrogate, with weights, and reproducibly.

use serde_json::Value;
use simile_data::Dataset;
use simile_validation::metrics::{FeatureMetrics, SCHEMA_VERSION, Verdict};
use simile_validation::{
    GateRule, LogisticClassifier, Metrics, TwoSampleClassifier, ValidateOptions, validate,
};

use crate::toy;

fn gate(metric: &str, max: f64) -> GateRule {
    GateRule { metric: metric.into(), max: Some(max), min: None }
}

fn compare(reference: &Dataset, candidate: &Dataset, options: &ValidateOptions) -> Metrics {
    let classifier: &dyn TwoSampleClassifier = &LogisticClassifier;
    validate(reference, candidate, options, Some(classifier), &|_| ()).expect("valid samples").metrics
}

fn feature<'a>(metrics: &'a Metrics, name: &str) -> &'a FeatureMetrics {
    let found = metrics.features.iter().find(|feature| feature.feature.name == name);
    found.unwrap_or_else(|| panic!("no feature {name}"))
}

/// Equal but for the last digit, which the quick parser of numbers may miss.
#[track_caller]
fn assert_close(a: &Value, b: &Value) {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().expect("f64"), b.as_f64().expect("f64"));
            assert!((a - b).abs() <= 1e-14 * b.abs(), "{a} instead of {b}");
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| assert_close(a, b));
        }
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()));
            a.values().zip(b.values()).for_each(|(a, b)| assert_close(a, b));
        }
        _ => assert_eq!(a, b),
    }
}

fn gated() -> ValidateOptions {
    let gates = vec![
        gate("c2st.voxels.auc", 0.55),
        gate("c2st.observables.auc", 0.55),
        gate("response.mean_deviation", 0.01),
        gate("response.resolution_deviation", 0.15),
        GateRule { metric: "features.response.ks.p_value".into(), max: None, min: Some(1e-4) },
    ];
    ValidateOptions { gates, ..toy::options() }
}

#[test]
fn truth_against_truth_passes_and_survives_json() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let reference = toy::dataset(folder.path(), "a.parquet", toy::truth(1, 4000));
    let candidate = toy::dataset(folder.path(), "b.parquet", toy::truth(2, 3000));
    let metrics = compare(&reference, &candidate, &gated());
    assert_eq!(metrics.verdict, Verdict::Pass, "{:?}", metrics.gates);
    assert_eq!((metrics.gates.len(), metrics.reference.events, metrics.candidate.events), (5, 4000, 3000));
    for feature in &metrics.features {
        let (name, p) = (&feature.feature.name, feature.ks.p_value);
        assert_eq!(p.is_none(), name == "cell_energy", "only cells of one event are correlated");
        assert!(p.is_none_or(|p| p > 1e-4), "{name}: {:?}", feature.ks);
        assert!(feature.chi2.p_value.is_none_or(|p| p > 1e-4), "{name}: {:?}", feature.chi2);
        let distance = feature.wasserstein;
        assert!(distance.value <= 6.0 * distance.floor, "{name}: {distance:?}");
    }
    let response = metrics.response.as_ref().expect("showers");
    assert_eq!(response.bins.len(), 5);
    for bin in &response.bins {
        let point = bin.reference;
        assert!((point.mean - toy::response()).abs() < 4.0 * point.mean_error, "{bin:?}");
        assert!((point.resolution - toy::resolution()).abs() < 4.0 * point.resolution_error, "{bin:?}");
    }
    let path = folder.path().join("metrics.json");
    metrics.write(&path).expect("space on disk");
    let read = Metrics::read(&path).expect("what was written");
    let value = |metrics: &Metrics| serde_json::to_value(metrics).expect("JSON");
    assert_close(&value(&read), &value(&metrics));
    let text = std::fs::read_to_string(&path).expect("a file");
    let current = format!("\"schema_version\": {SCHEMA_VERSION}");
    std::fs::write(&path, text.replacen(&current, "\"schema_version\": 99", 1)).expect("space on disk");
    assert!(Metrics::read(&path).expect_err("another version").to_string().contains("version 99"));
}

#[test]
fn two_percent_more_energy_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let reference = toy::dataset(folder.path(), "a.parquet", toy::truth(1, 8000));
    let shifted = toy::Recipe { scale: 1.02, ..toy::truth(2, 8000) };
    let metrics = compare(&reference, &toy::dataset(folder.path(), "b.parquet", shifted), &gated());
    assert_eq!(metrics.verdict, Verdict::Fail);
    let failed: Vec<&str> =
        metrics.gates.iter().filter(|gate| !gate.passed).map(|gate| gate.name.as_str()).collect();
    assert!(failed.contains(&"response.mean_deviation"), "{failed:?}");
    assert!(failed.contains(&"features.response.ks.p_value"), "{failed:?}");
    let response = feature(&metrics, "response");
    assert!((response.wasserstein.value / (0.02 * toy::response()) - 1.0).abs() < 0.15, "{response:?}");
    let voxels = &metrics.global.c2st[0];
    assert!(voxels.name == "voxels" && voxels.auc > voxels.floor + 5.0 * voxels.error, "{voxels:?}");
    // Momenta have nothing to do with the energies.
    assert!(feature(&metrics, "momentum_1").ks.p_value > Some(1e-3));
    let profiles = metrics.profiles.as_ref().expect("showers");
    let ratio = profiles.layers[0].candidate.energy_mev / profiles.layers[0].reference.energy_mev;
    assert!((ratio - 1.02).abs() < 0.06, "{ratio}");
}

#[test]
fn a_resolution_worse_by_ten_percent_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let reference = toy::dataset(folder.path(), "a.parquet", toy::truth(1, 8000));
    let wider = toy::Recipe { spread: 1.1, ..toy::truth(2, 8000) };
    let gates = vec![gate("response.mean_deviation", 0.01), gate("response.resolution_deviation", 0.05)];
    let options = ValidateOptions { gates, ..toy::options() };
    let metrics = compare(&reference, &toy::dataset(folder.path(), "b.parquet", wider), &options);
    assert_eq!(metrics.gates.iter().map(|gate| gate.passed).collect::<Vec<_>>(), [true, false]);
    let response = feature(&metrics, "response");
    assert!(response.anderson_darling.p_value < Some(1e-3), "{response:?}");
    let permutation = response.permutation.expect("some permutations");
    assert!(permutation.anderson_darling <= 0.002, "{permutation:?}");
    // The incident energies are as they were.
    assert!(feature(&metrics, "incident_energy").anderson_darling.p_value > Some(1e-3));
}

#[test]
fn weight_two_counts_as_a_doubled_row() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let other = toy::showers(toy::truth(5, 900));
    let mut weighted = toy::showers(toy::truth(6, 600));
    let is_doubled = |event: usize| event.is_multiple_of(3);
    let doubled: Vec<usize> =
        (0..600).flat_map(|event| vec![event; if is_doubled(event) { 2 } else { 1 }]).collect();
    let mut repeated = weighted.select_rows(&doubled);
    let weights =
        |values: Vec<f32>| ndarray::Array2::from_shape_vec((values.len(), 1), values).expect("a column");
    let w = (0..600).map(|event| if is_doubled(event) { 2.0 } else { 1.0 }).collect();
    weighted.push("w", weights(w)).expect("equal lengths");
    repeated.push("w", weights(vec![1.0; doubled.len()])).expect("equal lengths");
    let mut reference = other;
    reference.push("w", weights(vec![1.0; 900])).expect("equal lengths");
    let geometry = toy::geometry();
    let [reference, weighted, repeated] = [("r", reference), ("w", weighted), ("d", repeated)]
        .map(|(name, events)| toy::open(&toy::write(folder.path(), name, &events, Some(&geometry))));
    let options = ValidateOptions { weight: Some("w".into()), ..toy::options() };
    let run =
        |candidate| validate(&reference, candidate, &options, None, &|_| ()).expect("valid samples").metrics;
    let (weighted, repeated) = (run(&weighted), run(&repeated));
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * a.abs().max(1e-3);
    for (a, b) in weighted.features.iter().zip(&repeated.features) {
        let name = &a.feature.name;
        assert!(close(a.ks.statistic, b.ks.statistic), "{name}: {:?} {:?}", a.ks, b.ks);
        assert!(close(a.wasserstein.value, b.wasserstein.value), "{name}");
        assert!(close(a.separation_power.value, b.separation_power.value), "{name}");
        assert!(
            close(a.candidate.mean, b.candidate.mean) && close(a.candidate.std, b.candidate.std),
            "{name}"
        );
        // A weight of two is one event, not two: its errors are larger.
        assert!(a.candidate.mean_error > b.candidate.mean_error || a.candidate.mean_error == 0.0, "{name}");
    }
    let layers = |metrics: &Metrics| metrics.profiles.clone().expect("showers").layers;
    for (a, b) in layers(&weighted).iter().zip(&layers(&repeated)) {
        assert!(close(a.candidate.energy_mev, b.candidate.energy_mev));
    }
    assert_eq!(weighted.candidate.sum_of_weights, repeated.candidate.sum_of_weights);
}

#[test]
fn classifier_sees_events_in_proportion_to_their_weights() {
    // Energies are distributed as E^-1; weights proportional to E make the candidate a different, harder spectrum,
    // and the same weights on the reference make it the same again.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let with_weights = |name: &str, seed: u64, weigh: bool| {
        let mut events = toy::showers(toy::truth(seed, 6000));
        let weights = events.column("incident_energy").expect("it").mapv(|e| if weigh { e } else { 1.0 });
        events.push("w", weights).expect("equal lengths");
        toy::open(&toy::write(folder.path(), name, &events, Some(&toy::geometry())))
    };
    let (plain, hard, other) =
        (with_weights("a", 1, false), with_weights("b", 2, true), with_weights("c", 3, true));
    let options = ValidateOptions { weight: Some("w".into()), ..toy::options() };
    let auc = |a, b| compare(a, b, &options).global.c2st[1].clone();
    let (different, same) = (auc(&plain, &hard), auc(&other, &hard));
    assert!(different.auc > 0.7, "{different:?}");
    assert!((same.auc - 0.5).abs() < 4.0 * same.error, "{same:?}");
}

#[test]
fn any_number_of_threads_gives_the_same_metrics() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let reference = toy::dataset(folder.path(), "a.parquet", toy::truth(1, 3000));
    let candidate = toy::dataset(folder.path(), "b.parquet", toy::truth(2, 3000));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| compare(&reference, &candidate, &toy::options()))
    };
    assert!(run(1) == run(4), "the metrics depend on the number of threads");
}

#[test]
fn columns_without_a_calorimeter() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let recipe = |seed| toy::Recipe { geometry: false, ..toy::truth(seed, 500) };
    let reference = toy::dataset(folder.path(), "a.parquet", recipe(1));
    let candidate = toy::dataset(folder.path(), "b.parquet", recipe(2));
    let options = ValidateOptions { voxels: None, incident: None, max_events: Some(400), ..toy::options() };
    let metrics = compare(&reference, &candidate, &options);
    let names: Vec<&str> = metrics.features.iter().map(|feature| feature.feature.name.as_str()).collect();
    assert_eq!(names, ["momentum_0", "momentum_1", "momentum_2"]);
    assert_eq!((metrics.reference.events, metrics.global.c2st.len()), (400, 1));
    assert!(metrics.response.is_none() && metrics.profiles.is_none());
}
