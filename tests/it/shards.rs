//! Samples in parts: `simile sample --shard`, killed and made again, and `simile merge`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rand::Rng;
use simile_data::random;
use tempfile::TempDir;

use crate::program::{command, refuse, simile, succeed, text};
use crate::toy::{Showers, Toy, trained_showers};

/// Events of the sample: the last of its row groups is not full, and there are too few of them for 16 shards.
const EVENTS: &str = "9500";

/// A folder for the parts of a sample.
struct Parts {
    folder: TempDir,
    model: String,
}

impl Parts {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Showers::new(700, 2).write(&folder.path().join("conditions.parquet"));
        Self { folder, model: text(trained_showers().model()) }
    }

    fn path(&self, name: &str) -> String {
        text(self.folder.path().join(name))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn arguments(&self, name: &str, more: &[&str]) -> Vec<String> {
        let (conditions, out) = (self.path("conditions.parquet"), self.path(name));
        let fixed =
            ["sample", &self.model, "--conditions", &conditions, "-o", &out, "-n", EVENTS, "--threads", "1"];
        fixed.iter().chain(more).map(|argument| argument.to_string()).collect()
    }

    fn sample(&self, name: &str, more: &[&str]) {
        succeed(&self.arguments(name, more));
    }

    /// Makes all shards, the last one first.
    fn shards(&self, count: usize) -> Vec<String> {
        let names: Vec<String> = (1..=count).map(|index| format!("part{index}.parquet")).collect();
        for index in (1..=count).rev() {
            self.sample(&names[index - 1], &["--shard", &format!("{index}/{count}")]);
        }
        names
    }

    fn merge(&self, parts: &[String], out: &str) -> Vec<String> {
        let parts = parts.iter().map(|name| self.path(name));
        let mut arguments = vec!["merge".to_owned(), "-o".to_owned(), self.path(out)];
        arguments.extend(parts);
        arguments
    }
}

#[test]
fn merged_shards_are_the_file_of_one_process() {
    let parts = Parts::new();
    parts.sample("whole.parquet", &[]);
    for count in [1, 3, 8, 16] {
        let mut names = parts.shards(count);
        names.reverse();
        let merged = format!("merged{count}.parquet");
        succeed(&parts.merge(&names, &merged));
        assert!(parts.bytes(&merged) == parts.bytes("whole.parquet"), "{count} shards give another file");
        names.iter().for_each(|name| std::fs::remove_file(parts.path(name)).unwrap());
    }
    let read = |name: &str| -> serde_json::Value { serde_json::from_slice(&parts.bytes(name)).unwrap() };
    let (whole, merged) = (read("whole_manifest.json"), read("merged8_manifest.json"));
    for key in ["sha256", "bytes", "events", "origin", "part"] {
        assert_eq!(whole[key], merged[key], "{key}");
    }
    assert_eq!(merged["making"].as_array().unwrap().len(), 8);
    assert!(merged["making"][0]["setup_seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn what_is_not_one_whole_sample_is_not_merged() {
    let parts = Parts::new();
    let names = parts.shards(4);
    let folder = parts.folder.path();
    let onto_itself = [&parts.merge(&names, &names[0])[..], &["--overwrite".into()]].concat();
    let before = parts.bytes(&names[0]);
    refuse(folder, &onto_itself, &["part1.parquet is one of the parts", "--output"]);
    assert!(parts.bytes(&names[0]) == before, "the part has changed");
    let refuse = |names: &[String], expected: &[&str]| {
        refuse(folder, &parts.merge(names, "merged.parquet"), expected);
    };
    refuse(&names[..1], &["events 2048 to 9499 are in no part", "shards 2-4 of 4"]);
    refuse(&[&names[..1], &names[2..3]].concat(), &["make shards 2,4 of 4"]);
    parts.sample("half.parquet", &["--shard", "1/2"]);
    refuse(&[&names[..], &["half.parquet".into()]].concat(), &["overlap", "half.parquet", "event 0"]);
    refuse(&[&names[1..], &["half.parquet".into()]].concat(), &["overlap", "both hold event 2048"]);
    parts.sample("seed.parquet", &["--shard", "2/4", "--seed", "7"]);
    refuse(
        &["part1.parquet".into(), "seed.parquet".into()],
        &["seed.parquet is of another sample", "seed 7"],
    );
    Showers::new(700, 3).write(&folder.join("other.parquet"));
    let mut arguments = parts.arguments("conditions2.parquet", &["--shard", "2/4"]);
    arguments[3] = parts.path("other.parquet");
    succeed(&arguments);
    refuse(&["part1.parquet".into(), "conditions2.parquet".into()], &["conditions_sha256"]);
    refuse(&["part1.parquet".into(), "conditions.parquet".into()], &["cannot be read as one data set"]);
    refuse(&["conditions.parquet".into()], &["conditions.parquet is no part of a sample"]);
    refuse(&["part9.parquet".into()], &["no file matches"]);
    let other_model = Toy::showers();
    other_model.configure(
        &std::fs::read_to_string(other_model.config()).unwrap().replace("epochs = 2", "epochs = 1"),
    );
    let other_model = other_model.train();
    let mut arguments = parts.arguments("model.parquet", &["--shard", "2/4"]);
    arguments[1] = text(other_model.model());
    succeed(&arguments);
    refuse(
        &["part1.parquet".into(), "model.parquet".into()],
        &["model.parquet is of another sample", "sha256"],
    );
    std::fs::rename(parts.path("part3_manifest.json"), parts.path("away")).unwrap();
    refuse(&names, &["part3.parquet has no usable manifest"]);
    std::fs::rename(parts.path("away"), parts.path("part3_manifest.json")).unwrap();
    // A byte of the data, which no decoder would notice.
    let mut damaged = parts.bytes("part3.parquet");
    damaged[1000] ^= 1;
    std::fs::write(parts.path("part3.parquet"), damaged).unwrap();
    refuse(&names, &["part3.parquet is not as it was written"]);
}

#[test]
fn a_shard_killed_at_any_moment_leaves_no_file_and_can_be_made_again() {
    let parts = Parts::new();
    parts.sample("calm.parquet", &["--shard", "2/2"]);
    let mut rng = random::stream(1, "test/kill", 0);
    let (out, arguments) =
        (parts.path("part.parquet"), parts.arguments("part.parquet", &["--shard", "2/2", "--resume"]));
    let mut killed = 0;
    while killed < 20 {
        let mut child = command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(rng.gen_range(0..60_000)));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            // Too late: it had finished.
            std::fs::remove_file(&out).unwrap();
            continue;
        }
        killed += 1;
        if Path::new(&out).exists() {
            assert!(
                parts.bytes("part.parquet") == parts.bytes("calm.parquet"),
                "an unfinished file has the final name"
            );
            std::fs::remove_file(&out).unwrap();
        }
    }
    succeed(&arguments);
    assert!(parts.bytes("part.parquet") == parts.bytes("calm.parquet"), "the bytes differ");
    // Nothing of the killed processes is left, and a finished shard is not made again.
    let mut left: Vec<_> =
        std::fs::read_dir(parts.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(
        left,
        ["calm.parquet", "calm_manifest.json", "conditions.parquet", "part.parquet", "part_manifest.json"]
    );
    assert!(succeed(&arguments).stdout.contains("complete"));
    let other = parts.arguments("part.parquet", &["--shard", "1/2", "--resume"]);
    refuse(parts.folder.path(), &other, &["it is shard 2/2, not 1/2", "--overwrite"]);
}

#[test]
fn files_are_written_in_the_scratch_folder_first() {
    let parts = Parts::new();
    let scratch =
        tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
    parts.sample("beside.parquet", &[]);
    let arguments = parts.arguments("moved.parquet", &[]);
    assert!(command(&arguments).env("TMPDIR", scratch.path()).status().unwrap().success());
    assert!(parts.bytes("beside.parquet") == parts.bytes("moved.parquet"));
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    let nowhere = parts.arguments("nowhere.parquet", &["--scratch", "/proc/none"]);
    refuse(parts.folder.path(), &nowhere, &["cannot write in the scratch folder /proc/none", "TMPDIR"]);
}

#[test]
fn the_environment_decides_on_threads() {
    let parts = Parts::new();
    let threads = |name: &str, variables: &[(&str, &str)]| {
        let mut arguments = parts.arguments(name, &[]);
        arguments.truncate(arguments.len() - 2);
        let ended = command(&arguments).envs(variables.iter().copied()).output().unwrap();
        let manifest = std::fs::read(parts.path(&name.replace(".parquet", "_manifest.json")));
        let manifest = manifest.map(|json| serde_json::from_slice::<serde_json::Value>(&json).unwrap());
        (ended.status.code(), manifest.ok().map(|json| json["making"][0]["threads"].as_u64().unwrap()))
    };
    assert_eq!(threads("a.parquet", &[("SLURM_CPUS_PER_TASK", "1")]), (Some(0), Some(1)));
    let available = std::thread::available_parallelism().unwrap().get() as u64;
    assert_eq!(threads("b.parquet", &[("OMP_NUM_THREADS", "9999")]), (Some(0), Some(available)));
    assert_eq!(threads("c.parquet", &[("OMP_NUM_THREADS", "all")]), (Some(2), None));
}

#[test]
fn shards_that_make_no_sense_are_refused() {
    let parts = Parts::new();
    for shard in ["0/4", "5/4", "1/0", "one"] {
        let ended = simile(&parts.arguments("out.parquet", &["--shard", shard]));
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains("write I/N with 1 ≤ I ≤ N"), "{}", ended.stderr);
    }
}
