//! Images: a classifier of them, and a run that is judged by it.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, FixedSizeListArray, UInt8Array};
use arrow::datatypes::UInt8Type;
use rand::Rng;
use simile_data::random;
use simile_validation::Metrics;

use crate::program::{refuse, succeed, text};
use crate::toy::write;

/// Height and width of the images.
const SIZE: [usize; 2] = [8, 10];

/// A horizontal bar, a vertical bar, or a frame, somewhere in the image, with some noise. The label is 1, 3 or 7.
fn shapes(path: &Path, n: usize, seed: u64) {
    let [height, width] = SIZE;
    let mut rng = random::stream(seed, "toy/shapes", 0);
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let label: u8 = [1, 3, 7][rng.gen_range(0..3)];
        let (top, left) = (rng.gen_range(0..height - 4), rng.gen_range(0..width - 4));
        let mut image = vec![0u8; height * width];
        for (y, x) in (0..5).flat_map(|y| (0..5).map(move |x| (y, x))) {
            let is_lit = match label {
                1 => y == 2,
                3 => x == 2,
                _ => y % 4 == 0 || x % 4 == 0,
            };
            let light = if is_lit { rng.gen_range(150..=255) } else { rng.gen_range(0..40) };
            image[(top + y) * width + left + x] = light;
        }
        images.push(image);
        labels.push(label);
    }
    let rows = images.into_iter().map(|image| Some(image.into_iter().map(Some)));
    let images = FixedSizeListArray::from_iter_primitive::<UInt8Type, _, _>(rows, (height * width) as i32);
    let columns: [ArrayRef; 2] = [Arc::new(images), Arc::new(UInt8Array::from(labels))];
    write(path, ["pixels", "kind"].into_iter().zip(columns).collect());
}

/// Training and test images and a classifier; for reading only.
fn shapes_and_classifier() -> &'static Path {
    static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // Nothing drops a static, so the folder lies where the next test run finds and replaces it.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shapes");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        shapes(&folder.join("train.parquet"), 2000, 1);
        shapes(&folder.join("test.parquet"), 600, 2);
        classify(&folder, "classifier", &[]);
        folder
    })
}

fn classify(folder: &Path, name: &str, options: &[&str]) {
    let files = ["train.parquet", "test.parquet", name].map(|file| text(folder.join(file)));
    let [train, test, out] = files.each_ref().map(String::as_str);
    let arguments = [
        "classify", "--data", train, "--test", test, "--image", "pixels", "--label", "kind", "--size",
        "8x10", "--epochs", "5", "-o", out,
    ];
    succeed(&[&arguments[..], options].concat());
}

#[test]
fn shapes_are_told_apart_and_the_seed_decides_the_weights() {
    let folder = shapes_and_classifier();
    let weights = |name: &str| std::fs::read(folder.join(name).join("weights.safetensors")).unwrap();
    let manifest = std::fs::read_to_string(folder.join("classifier/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert!(manifest["accuracy"]["value"].as_f64().unwrap() > 0.95, "{manifest}");
    assert_eq!(manifest["labels"], serde_json::json!([1.0, 3.0, 7.0]));
    classify(folder, "again", &["--threads", "1"]);
    classify(folder, "other", &["--seed", "2"]);
    assert!(weights("classifier") == weights("again"), "equal seeds give equal weights");
    assert!(weights("classifier") != weights("other"), "other seeds give other weights");
}

#[test]
fn what_holds_no_labelled_images_is_refused() {
    let folder = shapes_and_classifier();
    let scratch = tempfile::tempdir().unwrap();
    let files =
        [folder.join("train.parquet"), folder.join("test.parquet"), scratch.path().join("out")].map(text);
    let [train, test, out] = files.each_ref().map(String::as_str);
    let base = ["classify", "--data", train, "--test", test, "-o", out];
    for (options, expected) in [
        (vec!["--image", "pixels", "--label", "kind"], vec!["pixels", "80 values", "no square image"]),
        (vec!["--image", "pixels", "--label", "kind", "--size", "8x8"], vec!["80 values", "8 × 8"]),
        (vec!["--image", "picture", "--label", "kind"], vec!["picture"]),
        (
            vec!["--image", "pixels", "--label", "event_id", "--size", "8x10"],
            vec!["event_id", "2000 different labels"],
        ),
        (vec!["--image", "event_id", "--label", "kind"], vec!["1 × 1", "too small"]),
        (vec!["--image", "kind", "--label", "kind"], vec!["`kind`", "twice"]),
    ] {
        refuse(scratch.path(), &[&base[..], &options].concat(), &expected);
    }
}

fn config(folder: &Path, model: &str, images: &str) -> String {
    let [train, test] = ["train.parquet", "test.parquet"].map(|file| text(folder.join(file)));
    format!(
        r#"title = "Shapes"

[data]
files = ["{train}"]
test_files = ["{test}"]
condition = ["kind"]
target = ["pixels"]
split = {{ train = 0.9, validation = 0.1, test = 0.0 }}

[preprocessing]
kind = [{{ kind = "one_hot" }}]
pixels = [{{ kind = "dequantize", width = 1.0 }}, {{ kind = "logit", alpha = 0.05, range = [0.0, 256.0] }}]

[model]
{model}

[training]
epochs = 2
batch_size = 64

[validation]
permutations = 0
c2st = {{ seeds = 1 }}
classifier = {{ width = 16, hidden = 1, epochs = 1 }}

[validation.images]
size = [8, 10]
{images}
"#
    )
}

const GATES: &str = r#"
[[validation.gates]]
metric = "images.accuracy"
min = 0.0

[[validation.gates]]
metric = "images.fid_lenet_over_floor"
max = 1e9

[[validation.gates]]
metric = "images.class_7.share"
min = 0.0
"#;

/// A conditional model with an encoder: all figures but the way from noise, which a decoder goes in one step.
#[test]
fn a_run_of_images_is_judged_and_shown() {
    let folder = shapes_and_classifier();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shapes.toml");
    let network = "{ width = 32, hidden = 1 }";
    let model = format!(
        "kind = \"cvae\"\nlatents = 3\nobservation_noise = false\nencoder = {network}\ndecoder = {network}"
    );
    let images = format!("label = \"kind\"\nclassifier = \"{}\"\n{GATES}", text(folder.join("classifier")));
    std::fs::write(&path, config(folder, &model, &images)).unwrap();
    let run = scratch.path().join("run");
    succeed(&["run", &text(&path), "--out", &text(&run)]);

    let metrics = Metrics::read(&run.join("validation/metrics.json")).unwrap();
    let found = metrics.images.as_ref().unwrap();
    let classified = found.classified.as_ref().unwrap();
    assert!(classified.accuracy.unwrap().floor > 0.95 && classified.classes.len() == 3, "{classified:?}");
    assert!(classified.fid_lenet.value > classified.fid_lenet.floor && classified.fid_lenet.floor > 0.0);
    assert_eq!(found.nearest.as_ref().unwrap().images, [600, 600]);
    assert_eq!(metrics.gates.len(), 3);
    let views: Vec<&str> = metrics.global.c2st.iter().map(|test| test.name.as_str()).collect();
    assert_eq!(views, ["pixels", "observables"]);
    assert!(metrics.features.iter().any(|feature| feature.feature.name == "pixels_roughness"));

    let report = std::fs::read_to_string(run.join("report.html")).unwrap();
    for figure in [
        "images_samples",
        "images_classes",
        "images_nearest",
        "images_reconstructions",
        "images_interpolation",
        "images_traversal",
        "latent_classes",
        "nearest_training_image",
    ] {
        assert!(report.contains(&format!("id=\"figure-{figure}\"")), "no {figure}");
        assert!(run.join(format!("validation/plots/{figure}.png")).is_file(), "no {figure}");
    }
    assert!(report.contains("Class accuracy") && !report.contains("figure-images_path"));

    // The same path may have held another classifier.
    let other = scratch.path().join("other");
    crate::program::copy(&run, &other);
    let (_, weights) = classified.classifier.split_once("weights ").unwrap();
    let otherwise = std::fs::read_to_string(other.join("validation/metrics.json")).unwrap();
    let otherwise = otherwise.replace(weights, "0123456789ab");
    std::fs::write(other.join("validation/metrics.json"), otherwise).unwrap();
    let compare = ["compare", &text(&run), &text(&other), "-o", &text(scratch.path().join("both"))];
    refuse(scratch.path(), &compare, &["image classifier", weights, "0123456789ab"]);

    // Two files are judged by the same classifier.
    let settings = scratch.path().join("images.toml");
    let classifier = text(folder.join("classifier"));
    let table = format!(
        "permutations = 0\n[images]\ncolumn = \"pixels\"\nsize = [8, 10]\nlabel = \"kind\"\nclassifier = \"{classifier}\"\n"
    );
    std::fs::write(&settings, table).unwrap();
    let [reference, candidate] =
        [folder.join("test.parquet"), run.join("generated/events.parquet")].map(text);
    let out = scratch.path().join("check");
    succeed(&[
        "validate",
        "--reference",
        &reference,
        "--candidate",
        &candidate,
        "--config",
        &text(&settings),
        "--no-classifier",
        "-o",
        &text(&out),
    ]);
    let again = Metrics::read(&out.join("metrics.json")).unwrap();
    let again = again.images.unwrap();
    assert_eq!((again.classified.unwrap().accuracy, again.nearest), (classified.accuracy, None));
}

/// An image flow without classes: its way from noise is shown, and nothing that needs classes or an encoder.
#[test]
fn a_run_without_labels_shows_what_it_knows() {
    let folder = shapes_and_classifier();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shapes.toml");
    let model = "kind = \"flow\"\ncouplings = 3\nwidth = 16\nhidden = 1\nbins = 4";
    let text_of_config = config(folder, model, "")
        .replace("condition = [\"kind\"]\n", "")
        .replace("kind = [{ kind = \"one_hot\" }]\n", "");
    std::fs::write(&path, text_of_config).unwrap();
    let run = scratch.path().join("run");
    succeed(&["run", &text(&path), "--out", &text(&run)]);
    let metrics = Metrics::read(&run.join("validation/metrics.json")).unwrap();
    let images = metrics.images.unwrap();
    assert!(images.classified.is_none() && images.nearest.is_some());
    let plots = run.join("validation/plots");
    for (figure, expected) in [
        ("images_samples", true),
        ("images_path", true),
        ("images_interpolation", true),
        ("images_traversal", true),
        ("images_classes", false),
        ("images_reconstructions", false),
        ("latent_classes", false),
    ] {
        assert_eq!(plots.join(format!("{figure}.svg")).is_file(), expected, "{figure}");
    }
}

#[test]
fn too_few_images_stop_the_run_before_training() {
    let folder = shapes_and_classifier();
    let scratch = tempfile::tempdir().unwrap();
    let [path, few] = ["shapes.toml", "few.parquet"].map(|name| scratch.path().join(name));
    shapes(&few, 1, 3);
    let model = "kind = \"flow\"\ncouplings = 2\nwidth = 16\nhidden = 1\nbins = 4";
    let images = format!("label = \"kind\"\nclassifier = \"{}\"", text(folder.join("classifier")));
    let config = config(folder, model, &images).replace(&text(folder.join("test.parquet")), &text(few));
    std::fs::write(&path, config).unwrap();
    let run = text(scratch.path().join("run"));
    refuse(scratch.path(), &["run", &text(&path), "--out", &run], &["the test split has 1 events", "40"]);
}

#[test]
fn a_classifier_that_does_not_fit_stops_the_run_before_training() {
    let folder = shapes_and_classifier();
    let scratch = tempfile::tempdir().unwrap();
    let (path, run) = (scratch.path().join("shapes.toml"), text(scratch.path().join("run")));
    let model = "kind = \"flow\"\ncouplings = 2\nwidth = 16\nhidden = 1\nbins = 4";
    let damaged = scratch.path().join("damaged");
    crate::program::copy(&folder.join("classifier"), &damaged);
    let weights = std::fs::read(damaged.join("weights.safetensors")).unwrap();
    std::fs::write(damaged.join("weights.safetensors"), &weights[..weights.len() / 2]).unwrap();
    for (classifier, expected) in [
        (scratch.path().join("none"), vec!["none", "simile classify"]),
        (folder.to_path_buf(), vec!["no classifier of images", "manifest.json"]),
        (damaged, vec!["weights.safetensors", "damaged"]),
    ] {
        let images = format!("label = \"kind\"\nclassifier = \"{}\"", text(classifier));
        std::fs::write(&path, config(folder, model, &images)).unwrap();
        refuse(scratch.path(), &["run", &text(&path), "--out", &run], &expected);
    }
    let misspelt = "label = \"kind\"\n[[validation.gates]]\nmetric = \"images.accuracy\"\nmin = 0.9";
    std::fs::write(&path, config(folder, model, misspelt)).unwrap();
    refuse(scratch.path(), &["run", &text(&path), "--out", &run], &["images.accuracy", "no such figure"]);
    let unknown = format!("label = \"other\"\nclassifier = \"{}\"", text(folder.join("classifier")));
    let foreign = config(folder, model, &unknown)
        .replace("target = [\"pixels\"]", "target = [\"pixels\"]\nderived = { other = \"kind + 1\" }");
    std::fs::write(&path, foreign).unwrap();
    refuse(
        scratch.path(),
        &["run", &text(&path), "--out", &run],
        &["`other` has the label", "classifier of images"],
    );
}
