//! Model folders and conditions that cannot be used: one clear error, exit code 2, and nothing written.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array};
use arrow::datatypes::Float32Type;
use simile::models::bundle::FORMAT_VERSION;
use tempfile::TempDir;

use crate::program::{copy, refuse, text};
use crate::toy::{Showers, Toy, trained_showers, write};

/// A copy of the trained model, to be damaged, and conditions that fit it.
struct Damaged {
    folder: TempDir,
}

impl Damaged {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&trained_showers().model(), &folder.path().join("model"));
        Showers::new(20, 2).write(&folder.path().join("conditions.parquet"));
        Self { folder }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("model").join(name)
    }

    /// Replaces text in a file of the model.
    fn replace(&self, name: &str, old: &str, new: &str) {
        let before = std::fs::read_to_string(self.file(name)).unwrap();
        assert!(before.contains(old), "{name} does not hold {old}");
        std::fs::write(self.file(name), before.replacen(old, new, 1)).unwrap();
    }

    #[track_caller]
    fn refuse(&self, expected: &[&str]) {
        let path = |name: &str| text(self.folder.path().join(name));
        let (model, conditions, out) = (path("model"), path("conditions.parquet"), path("out.parquet"));
        let arguments = ["sample", &model, "--conditions", &conditions, "-o", &out];
        refuse(self.folder.path(), &arguments, expected);
    }
}

#[test]
fn truncated_weights_are_noticed_wherever_they_end() {
    let model = Damaged::new();
    let whole = std::fs::read(model.file("weights.safetensors")).unwrap();
    for length in [0, 1, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(model.file("weights.safetensors"), &whole[..length]).unwrap();
        model.refuse(&["weights.safetensors is damaged"]);
    }
    // A header that claims more memory than there is.
    let mut huge = whole;
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    std::fs::write(model.file("weights.safetensors"), huge).unwrap();
    model.refuse(&["weights.safetensors is damaged"]);
}

#[test]
fn weights_of_another_model_do_not_fit() {
    let model = Damaged::new();
    let other = Toy::tracks().train();
    std::fs::copy(other.model().join("weights.safetensors"), model.file("weights.safetensors")).unwrap();
    model.refuse(&["weights.safetensors", "weight `"]);
}

#[test]
fn every_file_of_a_model_must_be_there_and_whole() {
    for (file, missing) in [
        ("manifest.json", "is no simile model: manifest.json"),
        ("preprocessing.json", "is no simile model: preprocessing.json"),
        ("weights.safetensors", "cannot read"),
    ] {
        let model = Damaged::new();
        std::fs::remove_file(model.file(file)).unwrap();
        model.refuse(&[missing]);
        std::fs::write(model.file(file), "{\"format_version\": 1, \"kind\"").unwrap();
        model.refuse(&[file, "is damaged"]);
    }
}

#[test]
fn a_manifest_of_another_version_is_not_guessed_at() {
    let model = Damaged::new();
    let current = format!("\"format_version\": {FORMAT_VERSION}");
    model.replace("manifest.json", &current, "\"format_version\": 1");
    let expected = format!("manifest.json has format version 1, this simile reads version {FORMAT_VERSION}");
    model.refuse(&[&expected]);
    let model = Damaged::new();
    model.replace("manifest.json", "\"kind\": \"flow\",", "\"kind\": \"flow\", \"colour\": \"red\",");
    model.refuse(&["manifest.json is damaged", "unknown field `colour`"]);
}

#[test]
fn a_run_directory_of_another_version_is_not_guessed_at() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    copy(&trained_showers().run(), &run);
    let manifest = std::fs::read_to_string(run.join("manifest.json")).unwrap();
    let other = manifest.replace("\"format_version\": 1", "\"format_version\": 9");
    std::fs::write(run.join("manifest.json"), other).unwrap();
    refuse(folder.path(), &["report", &text(&run)], &["format version 9, this simile reads version 1"]);
}

#[test]
fn conditions_must_have_the_schema_of_the_training_events() {
    let model = Damaged::new();
    let conditions = |columns: Vec<(&str, ArrayRef)>| {
        write(&model.folder.path().join("conditions.parquet"), columns);
    };
    let energy: ArrayRef = Arc::new(Float32Array::from_iter_values((0..20).map(|i| 2000.0 + i as f32)));
    conditions(vec![("incident_energ", energy.clone())]);
    model.refuse(&["`incident_energy` does not exist", "did you mean `incident_energ`?"]);
    let pairs = (0..20).map(|_| Some(vec![Some(2000.0), Some(0.1)]));
    let pairs = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(pairs, 2);
    conditions(vec![("incident_energy", Arc::new(pairs))]);
    model.refuse(&["condition `incident_energy` with 1 values a row, the file has 2"]);
    conditions(vec![("incident_energy", energy.clone())]);
    model.replace("manifest.json", r#""incident_energy": "MeV""#, r#""incident_energy": "GeV""#);
    model.refuse(&["condition `incident_energy` is in MeV here, the model was trained on GeV: convert it"]);
    model.replace("manifest.json", r#""incident_energy": "GeV""#, r#""incident_energy": "MeV""#);
    conditions(vec![("incident_energy", energy.slice(0, 0))]);
    model.refuse(&["conditions.parquet has no events (0 rows)"]);
    std::fs::write(model.folder.path().join("conditions.parquet"), "").unwrap();
    model.refuse(&["conditions.parquet is not a Parquet file"]);
}

#[test]
fn conditions_with_impossible_values_are_named_with_their_row() {
    let model = Damaged::new();
    let write = |value: f32| {
        let mut showers = Showers::new(20, 2);
        showers.energy[11] = value;
        showers.write(&model.folder.path().join("conditions.parquet"));
    };
    write(f32::NAN);
    model.refuse(&["`incident_energy` is NaN in row 11", "conditions.parquet"]);
    write(-5.0);
    model.refuse(&["`incident_energy`, row 11: -5 has no logarithm"]);
}

#[test]
fn a_folder_that_is_no_model_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let here = text(folder.path());
    let run = text(trained_showers().run());
    for command in [vec!["inspect", &here], vec!["bench", &here, "--conditions", "x.parquet"]] {
        refuse(folder.path(), &command, &["is no simile model", "manifest.json"]);
    }
    // A run directory has a manifest, too.
    refuse(folder.path(), &["inspect", &run], &["is no simile model", "give the `model` folder of a run"]);
}
