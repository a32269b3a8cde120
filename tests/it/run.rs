//! `simile run` and the single stages.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float32Type;
use simile_data::Dataset;
use simile_validation::Metrics;
use simile_validation::metrics::Verdict;

use crate::program::{contents, read, refuse, simile, succeed, text};
use crate::toy::{Toy, shower_config, trained_showers};

const FILES: [&str; 13] = [
    "manifest.json",
    "config.toml",
    "log.jsonl",
    "prepared/train.parquet",
    "prepared/validation.parquet",
    "prepared/test.parquet",
    "prepared/summary.json",
    "prepared/preprocessing.json",
    "model/manifest.json",
    "model/weights.safetensors",
    "model/preprocessing.json",
    "generated/events.parquet",
    "checkpoints/last.safetensors",
];

#[test]
fn a_run_leaves_every_file_of_a_run_directory() {
    let run = trained_showers().run();
    for file in FILES {
        assert!(run.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    let metrics = Metrics::read(&run.join("validation/metrics.json")).unwrap();
    assert_eq!(metrics.verdict, Verdict::None);
    let test = Dataset::open(&[text(run.join("prepared/test.parquet"))]).unwrap().num_rows() as usize;
    assert!((180..300).contains(&test), "{test} of 600 events are 40%");
    assert_eq!((metrics.reference.events, metrics.candidate.events), (test, test));
    let features: Vec<&str> = metrics.features.iter().map(|f| f.feature.name.as_str()).collect();
    for name in ["incident_energy", "visible_energy", "response", "energy_layer_2", "depth", "cell_energy"] {
        assert!(features.contains(&name), "{name} is not among {features:?}");
    }
    let views: Vec<&str> = metrics.global.c2st.iter().map(|test| test.name.as_str()).collect();
    assert_eq!(views, ["voxels", "observables"]);
    for name in ["response", "mean_response", "resolution", "cell_energy", "learning_curves", "roc_voxels"] {
        for extension in ["svg", "png"] {
            let plot = run.join(format!("validation/plots/{name}.{extension}"));
            assert!(plot.metadata().unwrap().len() > 1000, "{}", plot.display());
        }
    }
    let unfinished =
        |path: &&std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with('.');
    assert_eq!(contents(&run).keys().find(unfinished), None);
}

#[test]
fn the_log_has_one_line_for_every_epoch() {
    let log = std::fs::read_to_string(trained_showers().run().join("log.jsonl")).unwrap();
    let epochs: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = epochs.iter().map(|epoch| epoch["epoch"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2]);
    assert!(epochs.iter().all(|epoch| epoch["train_loss"].is_f64() && epoch["validation_loss"].is_f64()));
}

#[test]
fn the_report_needs_no_other_file() {
    let report = std::fs::read_to_string(trained_showers().run().join("report.html")).unwrap();
    assert!(report.contains("Toy showers") && report.contains("<svg"));
    for attribute in ["src=\"", "href=\"", "url("] {
        for place in report.split(attribute).skip(1) {
            let target = place.trim_start_matches('"');
            let here = target.starts_with('#') || target.starts_with("data:");
            assert!(here, "{attribute}{}", target.chars().take(80).collect::<String>());
        }
    }
}

#[test]
fn single_stages_give_what_a_run_gives() {
    let whole = trained_showers().run();
    let toy = Toy::showers();
    let run = text(toy.run());
    // Another path to the same events, and nothing else, distinguishes this run.
    succeed(&["prepare", &trained_showers().config(), "--out", &run]);
    for stage in ["train", "generate", "validate", "report"] {
        succeed(&[stage, &run]);
    }
    for file in ["prepared/train.parquet", "model/weights.safetensors", "generated/events.parquet"] {
        let [one, other] = [&whole, &toy.run()].map(|run| std::fs::read(run.join(file)).unwrap());
        assert!(one == other, "{file} differs");
    }
    let [one, other] =
        [&whole, &toy.run()].map(|run| Metrics::read(&run.join("validation/metrics.json")).unwrap());
    assert_eq!(one.features, other.features);
    assert_eq!(one.global, other.global);
    assert!(toy.run().join("report.html").exists());
}

#[test]
fn another_seed_gives_other_events() {
    let toy = trained_showers();
    let folder = tempfile::tempdir().unwrap();
    let run = text(folder.path().join("run"));
    succeed(&["prepare", &toy.config(), "--out", &run, "--seed", "2"]);
    succeed(&["train", &run]);
    succeed(&["generate", &run]);
    let file = "generated/events.parquet";
    let [one, other] = [text(toy.run().join(file)), format!("{run}/{file}")].map(|file| read(&[file]));
    assert_eq!(one.schema().fields(), other.schema().fields());
    assert!(one.column_by_name("voxels") != other.column_by_name("voxels"));
}

#[test]
fn derived_columns_and_weights_go_through_all_stages() {
    let toy = Toy::showers();
    let config = shower_config(&toy.data());
    let config = config.replace("incident_energy", "energy").replace(
        "split =",
        "derived = { energy = \"2.0 * half\", half = \"0.5 * incident_energy\", w = \"sqrt(incident_energy)\" }\n\
         weight = \"w\"\nsplit =",
    );
    toy.configure(&config);
    let run = text(toy.run());
    succeed(&["run", &toy.config(), "--out", &run]);
    let metrics = Metrics::read(&toy.run().join("validation/metrics.json")).unwrap();
    let sums = [&metrics.reference, &metrics.candidate].map(|sample| sample.sum_of_weights);
    assert!(sums[0] > 30.0 * metrics.reference.events as f64, "{sums:?}");
    assert_eq!(sums[0], sums[1], "generated events count as much as those whose conditions they have");
    // Conditions that hold the columns from which the model's are derived, and no weights.
    let out = toy.path("sample.parquet");
    succeed(&["sample", &text(toy.model()), "--conditions", &text(toy.data()), "-o", &out]);
    let [truth, sample] = [text(toy.data()), out].map(|file| read(&[file]));
    let energies =
        |batch: &RecordBatch, name: &str| batch[name].as_primitive::<Float32Type>().values().to_vec();
    assert_eq!(energies(&truth, "incident_energy"), energies(&sample, "energy"));
    assert!(sample.column_by_name("w").is_none());
}

#[test]
fn a_failed_gate_is_named_first_and_gives_exit_code_1() {
    let toy = Toy::showers();
    let run = text(toy.run());
    let gates = r#"validation.gates=[{metric="features.max_ks_statistic",max=1.0},{metric="c2st.voxels.auc",max=0.1}]"#;
    let ended = simile(&["run", &toy.config(), "--out", &run, "--set", gates]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("FAILED   c2st.voxels.auc = 0."), "{}", ended.stdout);
    assert!(lines[0].ends_with("must be at most 0.1"), "{}", ended.stdout);
    assert!(lines[1].starts_with("passed   features.max_ks_statistic"), "{}", ended.stdout);
    assert_eq!(lines[2], "verdict  fail");
    assert!(toy.run().join("report.html").exists());
    assert_eq!(simile(&["report", &run]).code, Some(1));
}

#[test]
fn a_stage_names_the_command_that_must_come_first() {
    let toy = Toy::showers();
    let run = text(toy.run());
    succeed(&["prepare", &toy.config(), "--out", &run, "--set", "training.epochs=1"]);
    refuse(toy.folder(), &["generate", &run], &[&format!("run `simile train {run}` first")]);
    succeed(&["train", &run]);
    refuse(toy.folder(), &["validate", &run], &[&format!("run `simile generate {run}` first")]);
    refuse(toy.folder(), &["report", &run], &[&format!("run `simile generate {run}` first")]);
    succeed(&["generate", &run]);
    refuse(toy.folder(), &["report", &run], &[&format!("run `simile validate {run}` first")]);
    refuse(toy.folder(), &["train", &toy.path("nothing")], &["is no run directory", "manifest.json"]);
}

#[test]
fn messages_are_quiet_or_json_on_request() {
    let toy = Toy::tracks();
    let quiet = succeed(&["prepare", &toy.config(), "--out", &text(toy.run()), "--quiet"]);
    assert_eq!(quiet.stderr, "");
    let json = succeed(&["train", &text(toy.run()), "--log-format", "json"]);
    let events: Vec<serde_json::Value> =
        json.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().filter(|event| event["event"] == "epoch").count(), 2);
    let error = simile(&["train", &toy.path("nothing"), "--log-format", "json"]);
    let error: serde_json::Value = serde_json::from_str(error.stderr.trim()).unwrap();
    assert_eq!(error["level"], "error");
}
