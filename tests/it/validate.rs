//! `simile validate`: any two files.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use simile_data::{EventWriter, UNITS_KEY, WriterOptions};
use simile_validation::Metrics;
use tempfile::TempDir;

use crate::program::{refuse, simile, succeed, text};
use crate::toy::{Showers, write, write_tracks};

/// A folder with two independent samples of tracks; `dx` of the candidate is shifted.
struct Pair {
    folder: TempDir,
}

impl Pair {
    fn new(bias: f32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_tracks(&folder.path().join("reference.parquet"), 800, 1, 0.0);
        write_tracks(&folder.path().join("candidate.parquet"), 800, 2, bias);
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        text(self.folder.path().join(name))
    }

    fn gates(&self, gates: &[(&str, &str)]) -> String {
        let gate = |(metric, limit): &(&str, &str)| format!("[[gate]]\nmetric = \"{metric}\"\n{limit}\n");
        let path = self.path("gates.toml");
        std::fs::write(&path, gates.iter().map(gate).collect::<String>()).unwrap();
        path
    }

    /// Arguments that compare `candidate` with the reference, quickly.
    fn arguments(&self, candidate: &str, more: &[&str]) -> Vec<String> {
        let config = self.path("quick.toml");
        std::fs::write(
            &config,
            "c2st = { seeds = 1 }\nclassifier = { width = 16, hidden = 1, epochs = 2 }\n",
        )
        .unwrap();
        let (reference, candidate, out) =
            (self.path("reference.parquet"), self.path(candidate), self.path("out"));
        let fixed = [
            "validate",
            "--reference",
            &reference,
            "--candidate",
            &candidate,
            "--config",
            &config,
            "-o",
            &out,
        ];
        fixed.iter().chain(more).map(|argument| argument.to_string()).collect()
    }

    fn metrics(&self) -> Metrics {
        Metrics::read(&self.folder.path().join("out/metrics.json")).unwrap()
    }
}

#[test]
fn a_sample_equals_itself() {
    let pair = Pair::new(0.0);
    let gates = pair
        .gates(&[("features.max_ks_statistic", "max = 0.0"), ("features.dx.wasserstein.value", "max = 0.0")]);
    let more = ["--columns", "dx,dy", "--thresholds", &gates];
    let ended = succeed(&pair.arguments("reference.parquet", &more));
    assert!(ended.stdout.contains("verdict  pass"), "{}", ended.stdout);
    let metrics = pair.metrics();
    assert_eq!(metrics.features.len(), 2);
    assert!(metrics.features.iter().all(|feature| feature.ks.p_value == Some(1.0)));
    assert_eq!(metrics.global.c2st.len(), 1);
    for file in ["report.html", "plots/dx.svg", "plots/dy.png"] {
        assert!(Path::new(&pair.path("out")).join(file).metadata().unwrap().len() > 1000, "{file}");
    }
}

#[test]
fn samples_of_one_truth_pass_and_a_shifted_one_fails() {
    let gates = [("features.dx.ks.p_value", "min = 1e-4"), ("features.dy.ks.p_value", "min = 1e-4")];
    let more =
        |gates: &str| ["--columns", "dx,dy", "--no-classifier", "--thresholds", gates].map(str::to_owned);
    let same = Pair::new(0.0);
    let more_same = more(&same.gates(&gates));
    succeed(&same.arguments("candidate.parquet", &more_same.each_ref().map(String::as_str)));
    let shifted = Pair::new(0.2);
    let more_shifted = more(&shifted.gates(&gates));
    let ended = simile(&shifted.arguments("candidate.parquet", &more_shifted.each_ref().map(String::as_str)));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("FAILED   features.dx.ks.p_value"), "{}", ended.stdout);
    assert!(lines[1].starts_with("passed   features.dy.ks.p_value"), "{}", ended.stdout);
    let mean = |pair: &Pair| pair.metrics().features[0].candidate.mean;
    assert!((mean(&shifted) - mean(&same) - 0.2).abs() < 1e-6);
}

#[test]
fn showers_are_compared_by_their_observables() {
    let pair = Pair::new(0.0);
    Showers::new(500, 1).write(Path::new(&pair.path("reference.parquet")));
    let mut brighter = Showers::new(500, 1);
    brighter.voxels.iter_mut().flatten().for_each(|energy| *energy *= 1.1);
    brighter.write(Path::new(&pair.path("candidate.parquet")));
    let more = ["--incident", "incident_energy", "--voxels", "voxels", "--no-classifier"];
    succeed(&pair.arguments("candidate.parquet", &more));
    let response = pair.metrics().response.unwrap();
    assert!((response.mean_deviation - 0.1).abs() < 1e-5, "{}", response.mean_deviation);
    assert!(response.resolution_deviation.abs() < 1e-5, "{}", response.resolution_deviation);
    assert!(pair.metrics().profiles.is_some());
}

#[test]
fn what_both_have_is_compared_unless_columns_are_named() {
    let pair = Pair::new(0.0);
    let ended = succeed(&pair.arguments("candidate.parquet", &["--no-classifier"]));
    assert!(ended.stderr.contains("all common columns: "), "{}", ended.stderr);
    let names: Vec<String> =
        pair.metrics().features.into_iter().map(|feature| feature.feature.name).collect();
    assert!(["dx", "dy"].iter().all(|name| names.contains(&name.to_string())), "{names:?}");

    let pair = Pair::new(0.0);
    let values: ArrayRef = Arc::new(Float32Array::from_iter_values((0..800).map(|i| 0.01 * i as f32)));
    write(Path::new(&pair.path("candidate.parquet")), vec![("dx", values.clone()), ("extra", values)]);
    let ended = succeed(&pair.arguments("candidate.parquet", &["--no-classifier"]));
    let [_, left_out] = ended.stderr.split("left out").collect::<Vec<_>>()[..] else {
        panic!("{}", ended.stderr)
    };
    assert!(left_out.contains("dy") && left_out.contains("extra") && !left_out.contains("dx"), "{left_out}");

    let pair = Pair::new(0.0);
    for (name, seed) in [("reference.parquet", 1), ("candidate.parquet", 2)] {
        Showers::new(500, seed).write(Path::new(&pair.path(name)));
    }
    let ended = succeed(&pair.arguments("candidate.parquet", &["--no-classifier"]));
    assert!(ended.stderr.contains("comparing showers: `voxels` for `incident_energy`"), "{}", ended.stderr);
    assert!(pair.metrics().response.is_some());
}

#[test]
fn different_units_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [reference, candidate] = ["GeV", "MeV"].map(|unit| {
        let path = folder.path().join(unit);
        let metadata = HashMap::from([(UNITS_KEY.to_owned(), format!("{{\"pt\":\"{unit}\"}}"))]);
        let field = Field::new("pt", DataType::Float32, false);
        let schema = Arc::new(Schema::new_with_metadata(vec![field], metadata));
        let mut writer = EventWriter::create(&path, schema.clone(), &WriterOptions::default()).unwrap();
        let values: ArrayRef = Arc::new(Float32Array::from_iter_values((0..100).map(|i| i as f32)));
        writer.write(&RecordBatch::try_new(schema, vec![values]).unwrap()).unwrap();
        writer.finish().unwrap();
        text(path)
    });
    let out = text(folder.path().join("out"));
    let arguments = ["validate", "--reference", &reference, "--candidate", &candidate, "-o", &out];
    refuse(folder.path(), &arguments, &["`pt` is in GeV in reference and in MeV in candidate"]);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let pair = Pair::new(0.0);
    let values: ArrayRef = Arc::new(Float32Array::from(vec![1.0; 100]));
    write(Path::new(&pair.path("short.parquet")), vec![("dx", values.clone())]);
    let refused = |candidate: &str, more: &[&str], expected: &[&str]| {
        refuse(pair.folder.path(), &pair.arguments(candidate, more), expected);
    };
    // The options file is written before the first look at the folder.
    pair.arguments("candidate.parquet", &[]);
    write(Path::new(&pair.path("other.parquet")), vec![("other", values)]);
    refused("other.parquet", &[], &["nothing to compare", "no column of numbers in common", "--columns"]);
    refused(
        "short.parquet",
        &["--columns", "dx,dy"],
        &["candidate: column `dy` does not exist in", "short.parquet"],
    );
    refused("candidate.parquet", &["--columns", "dz"], &["reference: column `dz` does not exist"]);
    refused("candidate.parquet", &["--voxels", "dx"], &["`dx`", "incident"]);
    refused("none.parquet", &["--columns", "dx"], &["no file matches"]);
    refused("candidate.parquet", &["--columns", "dx", "--thresholds", &pair.path("none")], &["none"]);
    let gates = pair.gates(&[("features.dz.ks.statistic", "max = 0.1")]);
    let more = ["--columns", "dx", "--thresholds", &gates];
    refused(
        "candidate.parquet",
        &more,
        &["gate `features.dz.ks.statistic`: there is no such figure", "features.dx.ks.statistic"],
    );
    let gates = pair.gates(&[("features.dx.ks.statistic", "")]);
    refused("candidate.parquet", &["--columns", "dx", "--thresholds", &gates], &["has no finite limit"]);
    let config = pair.path("bad.toml");
    std::fs::write(&config, "column = [\"dx\"]\n").unwrap();
    let (reference, out) = (pair.path("reference.parquet"), pair.path("out"));
    let arguments =
        ["validate", "--reference", &reference, "--candidate", &reference, "--config", &config, "-o", &out];
    refuse(pair.folder.path(), &arguments, &["bad.toml", "unknown field `column`"]);
    std::fs::create_dir(&out).unwrap();
    refused("candidate.parquet", &["--columns", "dx"], &["out exists", "--output"]);
    let either = ["simile validate RUN", "--reference FILE --candidate FILE --output DIR"];
    refuse(pair.folder.path(), &["validate"], &either);
    refuse(pair.folder.path(), &["validate", "--reference", &reference, "-o", &out], &either);
    let both = ["validate", "runs/a", "--reference", &reference];
    refuse(pair.folder.path(), &both, &["'[RUN]' cannot be used with", "--reference"]);
}
