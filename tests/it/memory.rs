//! Generation needs the same memory for any number of events, training for any number of steps.

#![cfg(target_os = "linux")]

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array};
use arrow::datatypes::Float32Type;
use rand::Rng;
use rand_distr::StandardNormal;
use simile_data::random;

use crate::program::{command, succeed, text};
use crate::toy::{Toy, track_config, write};

/// Largest resident memory of a process in kB, watched until it ends.
pub(crate) fn peak(mut child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            peak = peak.max(now.unwrap_or(0));
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Numbers per event: a sample held in memory would be seen.
const WIDTH: i32 = 32;

/// A model of wide events that is quick to sample.
fn wide_events() -> Toy {
    let toy = Toy::tracks();
    let mut rng = random::stream(1, "toy/wide", 0);
    let momentum: ArrayRef =
        Arc::new(Float32Array::from_iter_values((0..800).map(|_| rng.gen_range(1.0..10.0))));
    let rows =
        (0..800).map(|_| Some((0..WIDTH).map(|_| Some(rng.sample(StandardNormal))).collect::<Vec<_>>()));
    let wide: ArrayRef = Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, WIDTH));
    write(&toy.data(), vec![("momentum", momentum), ("wide", wide)]);
    let config = track_config(&toy.data()).replace(r#"["dx", "dy"]"#, r#"["wide"]"#);
    toy.configure(&config.replace("couplings = 2", "couplings = 1\ntransform = \"affine\""));
    toy.train()
}

#[test]
fn peak_memory_does_not_grow_with_the_sample() {
    let toy = wide_events();
    let sample = |n: &str| {
        let arguments = ["sample", &text(toy.model()), "--conditions", &text(toy.data()), "-o", &toy.path(n)];
        let options = ["--n", n, "--threads", "2", "--quiet"];
        peak(command(&[&arguments[..], &options].concat()).stdout(Stdio::null()).spawn().unwrap())
    };
    // Both beyond the first row group, which is the largest part that is held.
    let (fewer, more) = (sample("200000"), sample("800000"));
    assert!(fewer > 1000 && more < 400_000, "{fewer} kB and {more} kB");
    // The additional events alone are 77 MB; allocator and threads give or take some megabytes.
    assert!(more < fewer + 40_000, "{fewer} kB for 200,000 events, {more} kB for 800,000");
}

#[test]
fn ten_thousand_steps_leave_no_memory_behind() {
    let train = |epochs: usize| {
        let toy = Toy::tracks();
        // 480 events to train on.
        let schedule = format!("epochs = {epochs}\nbatch_size = 4");
        let config = track_config(&toy.data()).replace("epochs = 2\nbatch_size = 64", &schedule);
        toy.configure(&config);
        let run = text(toy.run());
        succeed(&["prepare", &toy.config(), "--out", &run]);
        let train = ["train", &run, "--threads", "1", "--quiet"];
        let peak = peak(command(&train).stdout(Stdio::null()).spawn().unwrap());
        let log = std::fs::read_to_string(toy.run().join("log.jsonl")).unwrap();
        assert_eq!(log.lines().count(), epochs, "epochs trained");
        peak
    };
    let (fewer, more) = (train(5), train(90));
    // The gradients of one step are 6 kB, the values that its graph keeps 2 kB.
    assert!(fewer > 1000 && more < fewer + 4_000, "{fewer} kB after 600 steps, {more} kB after 10,800");
}
