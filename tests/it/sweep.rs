//! `simile sweep`.

use std::path::Path;

use simile::sweep::Ranking;

use crate::program::{refuse, succeed, text};
use crate::toy::Toy;

fn scan(toy: &Toy, parameters: &str) -> String {
    let path = toy.path("scan.toml");
    let text = format!("base = {:?}\n{parameters}", toy.config());
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_grid_is_trained_and_ranked() {
    let toy = Toy::tracks();
    let scan = scan(
        &toy,
        "[parameters]\n'training.learning_rate' = { values = [1e-6, 5e-3] }\n'seed' = { values = [4, 5] }",
    );
    let folder = toy.path("scan");
    let expanded = succeed(&["sweep", "expand", &scan, "-o", &folder]);
    assert!(expanded.stdout.contains("4 trials"), "{}", expanded.stdout);
    refuse(toy.folder(), &["sweep", "rank", &folder], &["no run of", "simile run"]);
    for trial in ["001", "002", "003"] {
        let (config, run) = (format!("{folder}/configs/{trial}.toml"), format!("{folder}/runs/{trial}"));
        let set = ["--set", "training.epochs=4", "--quiet"];
        succeed(&[&["run", &config, "--out", &run, "--resume"][..], &set].concat());
    }
    let rank = ["sweep", "rank", &folder, "--metric", "features.max_ks_statistic"];
    let ranked = succeed(&rank);
    let json = std::fs::read_to_string(Path::new(&folder).join("ranking.json")).unwrap();
    let ranking: Ranking = serde_json::from_str(&json).unwrap();
    // The learning rate of trials 1 and 3 is too small to learn anything; the keys are in alphabetical order.
    assert_eq!(ranking.runs[0].name, "002");
    assert_eq!(ranking.runs[0].values["training.learning_rate"], toml::Value::Float(5e-3));
    assert!(ranking.runs.windows(2).all(|pair| pair[0].value <= pair[1].value));
    assert_eq!(ranking.unfinished, ["004"]);
    assert!(ranked.stdout.contains("not finished: 004"), "{}", ranked.stdout);
    let by_default = succeed(&["sweep", "rank", &folder, "--largest"]);
    assert!(
        by_default.stdout.contains("c2st.") && by_default.stdout.contains(".auc"),
        "{}",
        by_default.stdout
    );
    refuse(
        toy.folder(),
        &["sweep", "rank", &folder, "--metric", "features.max_ks_statistics"],
        &["no figure `features.max_ks_statistics`", "features.max_ks_statistic"],
    );
}

#[test]
fn a_trial_that_is_no_configuration_stops_the_scan() {
    let toy = Toy::tracks();
    for (parameters, expected) in [
        (
            "[parameters]\n'training.epochs' = { values = [3, 0] }",
            &["trial 002 (training.epochs=0)", "at least 1"][..],
        ),
        ("[parameters]\n'model.witdh' = { values = [3] }", &["trial 001", "witdh"]),
        ("draws = 3\n[parameters]\n'model.width' = { log_uniform = [0, 3] }", &["model.width", "positive"]),
        ("parameter = 3", &["unknown field"]),
    ] {
        let scan = scan(&toy, parameters);
        refuse(toy.folder(), &["sweep", "expand", &scan, "-o", &toy.path("scan")], expected);
    }
    refuse(toy.folder(), &["sweep", "rank", &text(toy.folder())], &["is no folder of a scan"]);
}
