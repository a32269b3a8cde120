//! `simile simulate`.

use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, Int64Type};
use simile_data::Dataset;
use simile_physics::toys::Toy;
use simile_validation::Metrics;

use crate::program::{command, read, refuse, succeed, text};

#[test]
fn toys_are_drawn_with_their_log_density_whatever_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    for toy in Toy::ALL {
        // More than one block of chunks for one of them.
        let events = if toy == Toy::Ring { 140_000 } else { 5_000 };
        let file = |threads: &str| text(folder.path().join(format!("{}-{threads}.parquet", toy.name())));
        for threads in ["1", "4"] {
            let (events, out) = (events.to_string(), file(threads));
            let arguments =
                ["simulate", "toy", toy.name(), "--events", &events, "--threads", threads, "-o", &out];
            let printed = succeed(&arguments).stdout;
            assert!(printed.contains(&format!("{events} events")), "{printed}");
        }
        assert!(std::fs::read(file("1")).unwrap() == std::fs::read(file("4")).unwrap(), "{toy:?}");
        let batch = read(&[file("1")]);
        assert_eq!(batch.num_rows(), events);
        assert_eq!(batch["event_id"].as_primitive::<Int64Type>().values()[events - 1], events as i64 - 1);
        let [x, y, log_density] =
            ["x", "y", "log_density"].map(|name| batch[name].as_primitive::<Float32Type>().values());
        let density = toy.density();
        for event in (0..events).step_by(97) {
            let expected = density.log_density([x[event], y[event]].map(f64::from));
            assert!((f64::from(log_density[event]) - expected).abs() < 1e-5, "{toy:?}, event {event}");
        }
        let dataset = Dataset::open(&[file("1")]).unwrap();
        let generator: serde_json::Value =
            serde_json::from_str(&dataset.schema().metadata()["generator"]).unwrap();
        assert_eq!((&generator["toy"], &generator["seed"]), (&toy.name().into(), &1.into()));
    }
}

#[test]
fn the_committed_toys_can_be_made_again() {
    let folder = tempfile::tempdir().unwrap();
    for toy in Toy::ALL {
        let out = text(folder.path().join("again.parquet"));
        succeed(&["simulate", "toy", toy.name(), "--events", "20000", "-o", &out, "--overwrite"]);
        let committed =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/samples/toys/{}.parquet", toy.name()));
        let [again, committed] = [out, text(committed)].map(|file| read(&[file]));
        for column in ["event_id", "x", "y", "log_density"] {
            // Sines and logarithms differ in the last digit between systems.
            if column == "event_id" {
                assert_eq!(&again[column], &committed[column]);
                continue;
            }
            let [again, committed] =
                [&again, &committed].map(|batch| batch[column].as_primitive::<Float32Type>());
            let pairs = again.values().iter().zip(committed.values());
            assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-4), "{toy:?}, {column}");
        }
    }
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = text(folder.path().join("toy.parquet"));
    refuse(
        folder.path(),
        &["simulate", "toy", "rings", "--events", "10", "-o", &out],
        &["rings", "ring", "spiral"],
    );
    refuse(folder.path(), &["simulate", "toy", "ring", "--events", "0", "-o", &out], &["--events"]);
    let nowhere = text(folder.path().join("none/toy.parquet"));
    refuse(
        folder.path(),
        &["simulate", "toy", "ring", "--events", "10", "-o", &nowhere],
        &["none/toy.parquet"],
    );
    std::fs::write(&out, "in the way").unwrap();
    refuse(
        folder.path(),
        &["simulate", "toy", "ring", "--events", "10", "-o", &out],
        &["exists", "--overwrite"],
    );
    let help = command(&["simulate", "toy", "--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("simile simulate toy checkerboard"));
}

/// The configuration of a committed toy with a small flow, and its sample by full path.
fn quick(toy: Toy, more: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample = text(root.join(format!("data/samples/toys/{}.parquet", toy.name())));
    let fixed = [
        format!("data.files=[\"{sample}\"]"),
        "data.split={train=0.5,validation=0.1,test=0.4}".to_owned(),
        "model={kind=\"flow\",couplings=8,width=48,hidden=2,bins=16,tail_bound=4.0}".to_owned(),
        "training.epochs=16".to_owned(),
        "validation.c2st={seeds=1}".to_owned(),
        "validation.classifier={width=16,hidden=1,epochs=2}".to_owned(),
    ];
    let overrides = fixed.into_iter().chain(more.iter().map(|entry| (*entry).to_owned()));
    let config = text(root.join(format!("configs/toys/{}.toml", toy.name())));
    let sets = overrides.flat_map(|entry| ["--set".to_owned(), entry]);
    std::iter::once(config).chain(sets).collect()
}

fn run(folder: &Path, toy: Toy, more: &[&str]) -> Vec<String> {
    let out = text(folder.join("run"));
    ["run".to_owned()].into_iter().chain(quick(toy, more)).chain(["--out".to_owned(), out]).collect()
}

/// In the repository's root, where the configurations find their thresholds.
fn at_root(arguments: &[String]) -> std::process::Output {
    command(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
}

#[test]
fn a_flow_finds_the_modes_and_the_density_of_the_ring() {
    let folder = tempfile::tempdir().unwrap();
    let ended = at_root(&run(folder.path(), Toy::Ring, &[]));
    let run = folder.path().join("run");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(matches!(ended.status.code(), Some(0 | 1)), "{said}");
    let Metrics { global, plane, gates, .. } = Metrics::read(&run.join("validation/metrics.json")).unwrap();
    let (modes, kl) = (global.modes.unwrap(), global.kl.unwrap());
    assert_eq!((modes.recovered, modes.recovered_floor), (8, 8.0));
    assert!(modes.outside.value < 0.1, "{:?}", modes.outside);
    // The Gaussian of the ring's mean and variance is ln(2 + 0.15²) − ln 8 − ln 0.15² = 2.4 nats away.
    assert!((-5.0 * kl.error..0.3).contains(&kl.value) && kl.error < 0.05, "{kl:?}");
    assert!(gates.iter().any(|gate| gate.name == "kl" && gate.value == kl.value));
    assert!(plane.is_some());
    for file in ["latent_map.json", "plots/plane.svg", "plots/latent_map.png"] {
        assert!(run.join("validation").join(file).metadata().unwrap().len() > 1000, "{file}");
    }
    let report = std::fs::read_to_string(run.join("report.html")).unwrap();
    for part in ["Modes recovered", "8 of 8", "KL divergence", "outside all modes"] {
        assert!(report.contains(part), "{part}");
    }
}

#[test]
fn densities_and_modes_that_cannot_be_compared_are_refused() {
    let refused = |more: &[&str], expected: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let ended = at_root(&run(folder.path(), Toy::Ring, more));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(expected.iter().all(|part| said.contains(part)), "{said}");
        assert!(!folder.path().join("run").exists());
    };
    refused(
        &["preprocessing.y=[{kind=\"standardize\"}]"],
        &["validation.log_density", "`y`", "without preprocessing"],
    );
    refused(&["validation.log_density=\"x\""], &["validation.log_density", "no role"]);
    refused(&["validation.log_density=\"density\""], &["column `density` does not exist", "log_density"]);
    refused(&["validation.modes.columns=[\"x\",\"z\"]"], &["validation.modes.columns = z", "x, y"]);
    refused(&["validation.modes.centres=[[0.0]]"], &["validation.modes", "[0.0]", "2 columns"]);
    refused(
        &["validation.modes.centres=[[0.0,0.0]]"],
        &["has no events within 0.5 of mode centre [0.0, 0.0]"],
    );
}
