//! Going on with interrupted runs.

#[cfg(unix)]
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::program::{command, refuse, succeed, text};
use crate::toy::Toy;

/// Enough to be interrupted five times on a fast machine.
const EPOCHS: &str = "training.epochs=150";

/// Starts `simile run --resume` and kills it (SIGKILL) some time after it has written a checkpoint.
fn kill_after_a_checkpoint(toy: &Toy, delay: Duration) {
    let checkpoint = toy.run().join("checkpoints/last.safetensors");
    let state = || std::fs::read(&checkpoint).ok();
    let before = state();
    let arguments = ["run", &toy.config(), "--out", &text(toy.run()), "--resume", "--quiet", "--set", EPOCHS];
    let mut child = command(&arguments).stdout(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while state() == before {
        assert!(start.elapsed() < Duration::from_secs(300), "no checkpoint was written");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(delay);
    assert!(child.try_wait().unwrap().is_none(), "training ended before it could be killed");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Starts `simile run --resume` and sends it a signal some time after it has begun to train. Returns its exit code.
#[cfg(unix)]
fn signal_in_training(toy: &Toy, signal: &str, delay: Duration) -> Option<i32> {
    let arguments = ["run", &toy.config(), "--out", &text(toy.run()), "--resume", "--set", EPOCHS];
    let mut child = command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut messages = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(messages.any(|line| line.unwrap().contains("epoch")), "training begins");
    std::thread::sleep(delay);
    let kill = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let start = Instant::now();
    let rest: Vec<String> = messages.map(Result::unwrap).collect();
    let code = child.wait().unwrap().code();
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?} to stop", start.elapsed());
    assert!(rest.last().is_some_and(|line| line.contains("interrupted")), "{rest:?}");
    code
}

#[cfg(unix)]
#[test]
fn a_run_preempted_five_times_ends_as_if_never_interrupted() {
    let toy = Toy::tracks();
    let calm = toy.path("calm");
    succeed(&["prepare", &toy.config(), "--out", &calm, "--set", EPOCHS]);
    succeed(&["train", &calm]);
    for (signal, milliseconds) in [("TERM", 0), ("USR1", 3), ("TERM", 11), ("USR1", 20), ("TERM", 31)] {
        let code = signal_in_training(&toy, signal, Duration::from_millis(milliseconds));
        assert_eq!(code, Some(75));
    }
    let run = text(toy.run());
    succeed(&["run", &toy.config(), "--out", &run, "--resume", "--set", EPOCHS]);
    assert!(weights(&toy.run()) == weights(Path::new(&calm)), "the weights differ");
    let log = std::fs::read_to_string(toy.run().join("log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 150);
}

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("model/weights.safetensors")).unwrap()
}

#[test]
fn a_run_killed_five_times_ends_as_if_never_interrupted() {
    let toy = Toy::tracks();
    let calm = toy.path("calm");
    succeed(&["prepare", &toy.config(), "--out", &calm, "--set", EPOCHS]);
    succeed(&["train", &calm]);
    // At no particular moments: within an epoch, while a checkpoint is written, between epochs.
    for milliseconds in [0, 3, 7, 13, 23] {
        kill_after_a_checkpoint(&toy, Duration::from_millis(milliseconds));
        assert!(!toy.model().exists());
    }
    let run = text(toy.run());
    let ended = succeed(&["run", &toy.config(), "--out", &run, "--resume", "--set", EPOCHS]);
    assert!(ended.stderr.contains("going on with epoch"), "{}", ended.stderr);
    assert!(weights(&toy.run()) == weights(Path::new(&calm)), "the weights differ");
    let log = std::fs::read_to_string(toy.run().join("log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 150);
    assert!(toy.run().join("report.html").exists());
    // Nothing is left to do.
    let again = succeed(&["run", &toy.config(), "--out", &run, "--resume", "--set", EPOCHS]);
    assert_eq!(again.stdout, ended.stdout);
    assert!(!again.stderr.contains("epoch"), "{}", again.stderr);
}

#[test]
fn an_existing_run_directory_is_not_touched_without_resume() {
    let toy = Toy::tracks();
    let run = text(toy.run());
    succeed(&["prepare", &toy.config(), "--out", &run]);
    for command in ["run", "prepare"] {
        refuse(toy.folder(), &[command, &toy.config(), "--out", &run], &[&run, "exists", "--resume"]);
    }
}

#[test]
fn resuming_with_another_configuration_names_the_key_that_differs() {
    let toy = Toy::tracks();
    let run = text(toy.run());
    succeed(&["prepare", &toy.config(), "--out", &run]);
    for (change, difference) in [
        ("model.width=17", format!("model.width is 16 in {run}, 17 now")),
        ("training.epochs=3", format!("training.epochs is 2 in {run}, 3 now")),
        ("data.select='dx > 0'", format!("data.select is not set in {run}, \"dx > 0\" now")),
        ("data.files=['b.parquet']", "data.files[0] is ".into()),
    ] {
        refuse(
            toy.folder(),
            &["run", &toy.config(), "--out", &run, "--resume", "--set", change],
            &[&difference, "resume with the same configuration"],
        );
    }
    refuse(toy.folder(), &["run", &toy.config(), "--out", &run, "--resume", "--seed", "5"], &["seed"]);
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let toy = Toy::tracks().train();
    let checkpoint = toy.run().join("checkpoints/last.safetensors");
    let bytes = std::fs::read(&checkpoint).unwrap();
    std::fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    refuse(toy.folder(), &["train", &text(toy.run())], &["checkpoints/last.safetensors is damaged"]);
}
