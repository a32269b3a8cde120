//! `simile simulate`.

use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, Int64Type};
use simile_data::Dataset;
use simile_physics::toys::Toy;

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
