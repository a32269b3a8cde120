//! Every bad input gives one clear message.

use simile_data::{Dataset, Events};
use simile_physics::Geometry;
use simile_validation::images::{ClassifiedMetrics, ImageMetrics};
use simile_validation::metrics::{DistanceMetrics, Estimate, KlMetrics, LikelihoodMetrics};
use simile_validation::{GateRule, LogisticClassifier, ValidateOptions, read_gates, validate};

use crate::toy;

struct Case {
    folder: tempfile::TempDir,
    reference: Dataset,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let reference = toy::dataset(folder.path(), "reference.parquet", toy::truth(1, 100));
        Self { folder, reference }
    }

    fn write(&self, events: &Events, geometry: Option<&Geometry>) -> Dataset {
        toy::open(&toy::write(self.folder.path(), "candidate.parquet", events, geometry))
    }

    fn message(&self, candidate: &Dataset, options: &ValidateOptions) -> String {
        let outcome = validate(&self.reference, candidate, options, Some(&LogisticClassifier), &|_| ());
        outcome.expect_err("bad input").to_string()
    }
}

#[track_caller]
fn assert_names(message: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(message.contains(part), "`{part}` is missing in: {message}"));
}

#[test]
fn gates() {
    let case = Case::new();
    let with = |metric: &str, max, min| ValidateOptions {
        gates: vec![GateRule { metric: metric.into(), max, min }],
        ..toy::options()
    };
    let message = case.message(&case.reference, &with("c2st.voxel.auc", Some(0.5), None));
    assert_names(&message, &["`c2st.voxel.auc`", "did you mean `c2st.voxels.auc`?"]);
    // Nothing is like it: the names that there are.
    let message = case.message(&case.reference, &with("sharpness", Some(0.5), None));
    assert_names(&message, &["`sharpness`", "; the figures are ", " in all)"]);
    assert_names(&case.message(&case.reference, &with("c2st.voxels.auc", None, None)), &["`max` or `min`"]);
    let file = case.folder.path().join("gates.toml");
    let read = |text: &str| {
        std::fs::write(&file, text).expect("space on disk");
        read_gates(&file).map_err(|error| error.to_string())
    };
    assert_names(
        &read("[[gate]]\nmetric = \"a\"\nmaximum = 1").expect_err("unknown key"),
        &["maximum", "gates.toml"],
    );
    assert_names(&read("[[gate]]\nmetric = \"a\"\nmax = nan").expect_err("not a number"), &["`a`", "finite"]);
    let expected = GateRule { metric: "a".into(), max: Some(1.0), min: Some(0.0) };
    assert_eq!(read("[[gate]]\nmetric = \"a\"\nmax = 1.0\nmin = 0.0"), Ok(vec![expected]));
}

#[test]
fn options_out_of_range() {
    let case = Case::new();
    for edges in [vec![1.0], vec![2.0, 1.0], vec![1.0, 1.0], vec![0.0, f64::NAN]] {
        let options = ValidateOptions { response_edges: Some(edges), ..toy::options() };
        assert_names(&case.message(&case.reference, &options), &["response edges", "ascending"]);
    }
    let options = ValidateOptions { threshold_mev: -1.0, ..toy::options() };
    assert_names(&case.message(&case.reference, &options), &["threshold -1 MeV"]);
    let mut options = toy::options();
    options.c2st.train = 0.95;
    assert_names(&case.message(&case.reference, &options), &["0.95", "less than 1"]);
}

#[test]
fn committed_thresholds_are_valid() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let recorded = root.join("reference/diphoton/metrics.json");
    let events = simile_validation::Metrics::read(&recorded).expect("recorded metrics").events;
    let files: Vec<_> = std::fs::read_dir(root.join("thresholds"))
        .expect("the folder")
        .map(|file| file.expect("a file").path())
        .collect();
    assert!(!files.is_empty());
    let case = Case::new();
    for file in files {
        let gates = read_gates(&file).unwrap_or_else(|error| panic!("{error}"));
        // What needs a model or a classifier, or was found in nested events, is handed in by whoever has it.
        let options = ValidateOptions {
            gates,
            kl: Some(KlMetrics::default()),
            likelihood: Some(LikelihoodMetrics {
                elbo: Some(Estimate::default()),
                bits_per_dimension: Some(Estimate::default()),
                ..LikelihoodMetrics::default()
            }),
            events: events.clone(),
            images: Some(ImageMetrics {
                classified: Some(ClassifiedMetrics {
                    accuracy: Some(DistanceMetrics::default()),
                    fid_lenet: DistanceMetrics { floor: 1.0, ..DistanceMetrics::default() },
                    ..ClassifiedMetrics::default()
                }),
                ..ImageMetrics::default()
            }),
            ..toy::options()
        };
        validate(&case.reference, &case.reference, &options, Some(&LogisticClassifier), &|_| ())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

#[test]
fn columns() {
    let case = Case::new();
    let unknown = ValidateOptions { voxels: Some("voxel".into()), ..toy::options() };
    assert_names(
        &case.message(&case.reference, &unknown),
        &["reference", "`voxel`", "did you mean `voxels`?"],
    );
    let no_incident = ValidateOptions { incident: None, ..toy::options() };
    assert_names(&case.message(&case.reference, &no_incident), &["`voxels`", "incident"]);
    let nothing = ValidateOptions::default();
    assert_names(&case.message(&case.reference, &nothing), &["nothing to compare"]);
    let not_scalar = ValidateOptions { weight: Some("momentum".into()), ..toy::options() };
    assert_names(&case.message(&case.reference, &not_scalar), &["momentum", "3 elements", "scalar"]);
    let twice = ValidateOptions { columns: vec!["incident_energy".into()], ..toy::options() };
    assert_names(&case.message(&case.reference, &twice), &["`incident_energy` exists twice"]);
}

#[test]
fn values() {
    let case = Case::new();
    let spoil = |column: &str, row: usize, value: f32| {
        let good = toy::showers(toy::truth(2, 100));
        let mut events = Events::new(good.rows.clone());
        for name in good.names() {
            let mut matrix = good.column(name).expect("a named column").to_owned();
            if name == column {
                matrix[[row, 0]] = value;
            }
            events.push(name, matrix).expect("equal lengths");
        }
        case.message(&case.write(&events, Some(&toy::geometry())), &toy::options())
    };
    assert_names(&spoil("voxels", 17, -0.5), &["candidate", "`voxels`", "row 17", "-0.5"]);
    assert_names(&spoil("incident_energy", 3, 0.0), &["`incident_energy`", "row 3", "positive"]);
    assert_names(&spoil("momentum", 4, f32::NAN), &["`momentum`", "row 4", "NaN"]);
}

#[test]
fn geometries() {
    let case = Case::new();
    let events = toy::showers(toy::truth(2, 100));
    let mut other = toy::geometry();
    other.layers[0].r_edges_mm[1] = 6.0;
    assert_names(
        &case.message(&case.write(&events, Some(&other)), &toy::options()),
        &["different geometries"],
    );
    let bare = case.write(&events, None);
    let outcome = validate(&bare, &case.reference, &toy::options(), None, &|_| ());
    assert_names(&outcome.expect_err("no geometry").to_string(), &["simile.geometry", "`voxels`"]);
    // A candidate may leave the geometry out: it is that of the reference.
    validate(&case.reference, &bare, &toy::options(), None, &|_| ()).expect("the reference has one");
    let wrong_width = ValidateOptions { voxels: Some("momentum".into()), columns: vec![], ..toy::options() };
    assert_names(&case.message(&case.reference, &wrong_width), &["`momentum`", "3 elements", "expected 7"]);
}

#[test]
fn sizes_and_weights() {
    let case = Case::new();
    let few = case.write(&toy::showers(toy::truth(2, 10)), Some(&toy::geometry()));
    assert_names(&case.message(&few, &toy::options()), &["candidate has 10 events", "40"]);
    let dark = toy::Recipe { scale: 0.0, ..toy::truth(2, 100) };
    let dark = case.write(&toy::showers(dark), Some(&toy::geometry()));
    assert_names(&case.message(&dark, &toy::options()), &["candidate has no entries", "cell_energy"]);
    let zero_weights = {
        let mut events = toy::showers(toy::truth(2, 100));
        events.push("w", ndarray::Array2::zeros((100, 1))).expect("equal lengths");
        case.write(&events, Some(&toy::geometry()))
    };
    let weighted = ValidateOptions { weight: Some("w".into()), ..toy::options() };
    let outcome = validate(&zero_weights, &zero_weights, &weighted, None, &|_| ());
    assert_names(&outcome.expect_err("no weight").to_string(), &["`w`", "sum to 0"]);
}
