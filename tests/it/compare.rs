//! `simile compare`: runs side by side.

use std::path::Path;

use simile::comparison::Comparison;
use simile_validation::Verdict;

use crate::program::{copy, refuse, simile, succeed, text};
use crate::toy::{Toy, trained_showers};

fn read(folder: &str) -> Comparison {
    let json = std::fs::read_to_string(Path::new(folder).join("comparison.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

#[test]
fn runs_become_a_table_and_a_figure() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(folder.path().join(name));
    let other = path("other");
    copy(&trained_showers().run(), Path::new(&other));
    let out = path("new/comparison");
    let ended = succeed(&["compare", &text(trained_showers().run()), &other, "-o", &out]);
    let rows: Vec<&str> = ended.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for name in ["run", "floor", "other"] {
        assert!(rows.contains(&name), "no row {name}: {}", ended.stdout);
    }
    let found = read(&out);
    let names: Vec<&str> = found.runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["run", "other"]);
    let [one, copied] = [&found.runs[0], &found.runs[1]];
    assert_eq!(
        (&one.classifiers, &one.response, one.chunk),
        (&copied.classifiers, &copied.response, copied.chunk)
    );
    assert_eq!((one.model.as_str(), one.verdict, one.speed_up), ("flow", Verdict::None, None));
    let views: Vec<&str> = one.classifiers.iter().map(|classifier| classifier.view.as_str()).collect();
    assert_eq!(views, ["voxels", "observables"]);
    let deviation = one.resolution.as_ref().unwrap().deviation;
    assert!(deviation.value.abs() > 0.0 && deviation.error > 0.0, "{deviation:?}");
    assert!(one.single.events_per_second > 0.0 && one.chunk.events_per_second > one.single.events_per_second);
    assert!(one.single.repetitions >= 5 && (one.single.batch, one.chunk.batch) == (1, 1024));
    for file in ["comparison.md", "comparison.svg", "comparison.png"] {
        assert!(Path::new(&out).join(file).metadata().unwrap().len() > 500, "{file}");
    }
    // Again over the files of the first time, with one run.
    succeed(&["compare", &other, "-o", &out]);
    assert_eq!(read(&out).runs.len(), 1);
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 4);
}

#[test]
fn runs_judged_otherwise_are_refused_unless_forced() {
    let toy = Toy::tracks();
    let (tracks, showers, out) = (text(toy.run()), text(trained_showers().run()), toy.path("out"));
    succeed(&["run", &toy.config(), "--out", &tracks]);
    let differing = ["test events from", "events.parquet (SHA-256 ", "validation.voxels", "--force"];
    refuse(toy.folder(), &["compare", &showers, &tracks, "-o", &out], &differing);
    let forced = succeed(&["compare", &showers, &tracks, "-o", &out, "--force"]);
    assert!(forced.stderr.contains("warning: not judged alike"), "{}", forced.stderr);
    let found = read(&out);
    assert!(!found.differences.is_empty() && found.runs[1].response.is_none());
    // Without showers there is nothing to say about response and resolution.
    let alone = succeed(&["compare", &tracks, "-o", &out]);
    assert!(!alone.stdout.contains("response") && alone.stdout.contains("observables"), "{}", alone.stdout);
    // Another seed, other gates and other training are no obstacle.
    let other = toy.path("other");
    let changes = [
        "--seed",
        "2",
        "--set",
        "training.epochs=1",
        "--set",
        "validation.gates=[{metric='c2st.observables.auc',max=1.0}]",
    ];
    succeed(&[&["run", &toy.config(), "--out", &other][..], &changes].concat());
    succeed(&["compare", &tracks, &other, "-o", &out]);
    assert!(read(&out).differences.is_empty());
}

#[test]
fn what_is_no_finished_run_is_named_with_the_way_out() {
    let toy = Toy::showers().train();
    let (run, out) = (text(toy.run()), toy.path("out"));
    refuse(toy.folder(), &["compare", &run, "-o", &out], &[&format!("run `simile generate {run}` first")]);
    succeed(&["generate", &run]);
    refuse(toy.folder(), &["compare", &run, "-o", &out], &[&format!("run `simile validate {run}` first")]);
    refuse(toy.folder(), &["compare", &text(toy.model()), "-o", &out], &["is no run directory"]);
    assert_eq!(simile(&["compare"]).code, Some(2));
}
