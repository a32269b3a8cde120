//! `simile sample`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Int64Type};
use simile_data::Dataset;
use tempfile::TempDir;

use crate::program::{command, read, refuse, succeed, text};
use crate::toy::{Showers, VOXELS, shower_config, trained_showers};

/// A folder with conditions for the shared model.
struct Samples {
    folder: TempDir,
    model: String,
}

impl Samples {
    fn new(conditions: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Showers::new(conditions, 2).write(&folder.path().join("conditions.parquet"));
        Self { folder, model: text(trained_showers().model()) }
    }

    fn path(&self, name: &str) -> String {
        text(self.folder.path().join(name))
    }

    fn arguments(&self, out: &str, more: &[&str]) -> Vec<String> {
        let conditions = self.path("conditions.parquet");
        let fixed = ["sample", &self.model, "--conditions", &conditions, "-o", out];
        fixed.iter().chain(more).map(|argument| argument.to_string()).collect()
    }

    /// Samples into a file of the folder and returns its path.
    fn sample(&self, name: &str, more: &[&str]) -> String {
        let out = self.path(name);
        succeed(&self.arguments(&out, more));
        out
    }
}

fn energies(batch: &RecordBatch) -> Vec<f32> {
    batch["incident_energy"].as_primitive::<Float32Type>().values().to_vec()
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let samples = Samples::new(700);
    let [one, two] = ["1", "2"].map(|threads| {
        let file = samples.sample(threads, &["--n", "5000", "--threads", threads]);
        std::fs::read(file).unwrap()
    });
    assert!(one == two, "the files differ");
}

#[test]
fn shards_in_order_equal_one_process() {
    let samples = Samples::new(700);
    let whole = samples.sample("whole", &["-n", "5000"]);
    let parts = ["1/3", "2/3", "3/3"]
        .map(|shard| samples.sample(&shard.replace('/', "of"), &["--n", "5000", "--shard", shard]));
    let rows: Vec<u64> = parts.iter().map(|part| Dataset::open(&[part]).unwrap().num_rows()).collect();
    assert!(rows.iter().all(|&rows| rows > 0) && rows.iter().sum::<u64>() == 5000, "{rows:?}");
    assert!(read(&parts).columns() == read(&[whole]).columns(), "the shards differ from the whole");
}

#[test]
fn an_event_does_not_depend_on_how_many_are_generated() {
    let samples = Samples::new(700);
    let many = read(&[samples.sample("many", &["--n", "4000"])]);
    for n in [1, 1000, 1025, 3999] {
        let few = read(&[samples.sample(&n.to_string(), &["--n", &n.to_string()])]);
        assert!(few.columns() == many.slice(0, n).columns(), "{n} events are not the first of 4000");
    }
}

#[test]
fn the_seed_matters() {
    let samples = Samples::new(100);
    let [one, two] = ["1", "2"].map(|seed| read(&[samples.sample(seed, &["--seed", seed])]));
    assert_eq!(one["incident_energy"].as_ref(), two["incident_energy"].as_ref());
    assert!(one["voxels"].as_ref() != two["voxels"].as_ref());
}

#[test]
fn conditions_come_again_in_turn_and_events_are_numbered() {
    let samples = Samples::new(300);
    let conditions = energies(&read(&[samples.path("conditions.parquet")]));
    let file = samples.sample("out", &["--n", "1501"]);
    let events = read(&[&file]);
    assert_eq!(events["event_id"].as_primitive::<Int64Type>().values().to_vec(), Vec::from_iter(0..1501));
    let expected: Vec<f32> = (0..1501).map(|i| conditions[i % 300]).collect();
    assert_eq!(energies(&events), expected);
    let alone = read(&[samples.sample("one each", &[])]);
    assert_eq!(energies(&alone), conditions);
}

#[test]
fn generated_showers_are_showers_of_the_same_calorimeter() {
    let samples = Samples::new(300);
    let [generated, truth] = [samples.sample("out", &[]), samples.path("conditions.parquet")]
        .map(|file| Dataset::open(&[file]).unwrap());
    assert_eq!(generated.geometry().unwrap(), truth.geometry().unwrap());
    assert!(generated.geometry().unwrap().is_some());
    assert_eq!(generated.units().unwrap(), truth.units().unwrap());
    assert_eq!(generated.column_width("voxels").unwrap(), VOXELS);
    let generator: serde_json::Value =
        serde_json::from_str(generated.metadata("generator").unwrap()).unwrap();
    assert_eq!(generator["seed"], 1);
    let response = |dataset: &Dataset| {
        let events = dataset.scan().events().unwrap().next().unwrap().unwrap();
        let (energy, voxels) = (events.column("incident_energy").unwrap(), events.column("voxels").unwrap());
        assert!(voxels.iter().all(|&energy| energy >= 0.0));
        voxels.sum() / energy.sum()
    };
    // Two epochs teach the model at least how much energy is visible: the transforms know nearly as much.
    let (found, expected) = (response(&generated), response(&truth));
    assert!((found / expected - 1.0).abs() < 0.2, "visible fraction {found}, in truth {expected}");
}

#[test]
fn conditions_outside_the_training_range_warn_or_with_strict_refuse() {
    let samples = Samples::new(100);
    let mut showers = Showers::new(100, 3);
    showers.energy[40] = 5e5;
    showers.write(&samples.folder.path().join("conditions.parquet"));
    let out = samples.path("out");
    refuse(
        samples.folder.path(),
        &samples.arguments(&out, &["--strict"]),
        &["`incident_energy` reaches from", "to 500000", "--strict"],
    );
    let ended = succeed(&samples.arguments(&out, &[]));
    assert!(ended.stderr.contains("warning: `incident_energy` reaches from"), "{}", ended.stderr);
    assert_eq!(Dataset::open(&[out]).unwrap().num_rows(), 100);
}

#[test]
fn an_existing_file_is_replaced_only_on_request() {
    let samples = Samples::new(50);
    let out = samples.path("out");
    std::fs::write(&out, "mine").unwrap();
    refuse(samples.folder.path(), &samples.arguments(&out, &[]), &[&out, "exists", "--overwrite"]);
    succeed(&samples.arguments(&out, &["--overwrite"]));
    assert_eq!(Dataset::open(&[out]).unwrap().num_rows(), 50);
}

#[test]
fn a_killed_sample_leaves_no_file_under_its_name() {
    let samples = Samples::new(50);
    let out = samples.path("out.parquet");
    let mut child = command(&samples.arguments(&out, &["--n", "100000000", "--quiet"])).spawn().unwrap();
    let start = Instant::now();
    // Something is written under another name.
    while std::fs::read_dir(samples.folder.path()).unwrap().count() < 2 {
        assert!(start.elapsed() < Duration::from_secs(300) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!std::path::Path::new(&out).exists());
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let samples = Samples::new(50);
    let out = samples.path("out");
    for (arguments, expected) in [
        (["--shard", "4/3"], "write I/N"),
        (["--n", "0"], "0 is not in 1.."),
        (["--device", "abacus"], "use --device flex"),
    ] {
        refuse(samples.folder.path(), &samples.arguments(&out, &arguments), &[expected]);
    }
    let nowhere = samples.path("no/such/folder/out");
    refuse(samples.folder.path(), &samples.arguments(&nowhere, &[]), &["cannot create", &nowhere]);
}

/// A file system of one megabyte, gone when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where mounting is not allowed.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder.path().to_str().unwrap()])
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_an_error_and_nothing_stays_on_it() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: a full disk: mounting a small file system needs root on Linux");
        return;
    };
    let samples = Samples::new(50);
    let out = text(disk.0.path().join("out.parquet"));
    refuse(
        disk.0.path(),
        &samples.arguments(&out, &["--n", "200000"]),
        &[&format!("cannot write {out}"), "No space left on device"],
    );
    let part = samples.sample("part.parquet", &["--n", "200000"]);
    refuse(
        disk.0.path(),
        &["merge", &part, "-o", &out],
        &[&format!("cannot write {out}"), "No space left on device"],
    );
    let elsewhere = ["merge", &part, "-o", &out, "--scratch", &text(samples.folder.path())];
    refuse(disk.0.path(), &elsewhere, &[&format!("cannot write {out}"), "No space left on device"]);
    // 60,000 showers do not fit, so the run fails in its first stage.
    let many = samples.folder.path().join("many.parquet");
    Showers::new(60_000, 1).write(&many);
    let config = samples.path("many.toml");
    std::fs::write(&config, shower_config(&many)).unwrap();
    let run = text(disk.0.path().join("run"));
    refuse(disk.0.path(), &["run", &config, "--out", &run], &["cannot write", "No space left on device"]);
}
