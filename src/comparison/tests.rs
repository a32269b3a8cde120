//! Tables of made-up runs.

use simile_validation::Verdict;
use simile_validation::metrics::Floored;

use super::*;
use crate::sampling::Rate;

fn estimate(value: f64, error: f64) -> Estimate {
    Estimate { value, error }
}

fn run(name: &str) -> RunRecord {
    let rate = |batch, events_per_second| Rate {
        batch,
        events_per_second,
        spread: 0.012 * events_per_second,
        repetitions: 9,
    };
    let classifier = |view: &str, auc, floor| ClassifierRecord {
        view: view.into(),
        auc: estimate(auc, 0.0112),
        floor: estimate(floor, 0.0163),
    };
    let deviation = |value, energy_mev| DeviationRecord {
        deviation: estimate(value, 0.0103),
        energy_mev,
        limit: Some(0.2),
    };
    RunRecord {
        name: name.into(),
        path: format!("runs/{name}"),
        model: "flow_matching".into(),
        classifiers: vec![classifier("voxels", 0.517, 0.486), classifier("observables", 0.542, 0.507)],
        response: Some(deviation(-0.0025, [500.0, 1600.0])),
        resolution: Some(deviation(0.07, [31_000.0, 50_000.0])),
        images: None,
        separation_power: Floored { value: 0.00213, error: 0.00021, floor: 0.00181 },
        likelihood: None,
        parameters: 1_234_567,
        training_events: 13_532,
        training_seconds: 5400.0,
        single: rate(1, 6120.0),
        chunk: rate(1024, 123_012.0),
        reference_seconds: Some(0.0534),
        speed_up: Some(estimate(6568.8, 78.8)),
        gates: GateCount { passed: 3, all: 4 },
        verdict: Verdict::Fail,
    }
}

fn comparison(runs: Vec<RunRecord>) -> Comparison {
    Comparison { schema_version: SCHEMA_VERSION, simile: "0.1.0".into(), runs, differences: Vec::new() }
}

#[test]
fn a_row_holds_every_figure_with_its_error_and_the_floor_comes_last() {
    let markdown = comparison(vec![run("deep|wide")]).markdown();
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(
        rows,
        [
            "| run | model | AUC observables | AUC voxels | response % | at GeV | σ/E % | at GeV | separation power \
             | parameters | training | 10³/s by 1 | by 1024 | speed-up | verdict | gates |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            "| deep\\|wide | flow_matching | 0.542 ± 0.011 | 0.517 ± 0.011 | −0.2 ± 1.0 | 0.50–1.6 | 7.0 ± 1.0 | 31–50 \
             | 0.00213 ± 0.00021 | 1,234,567 | 90.0 min | 6.120 ± 0.073 | 123.0 ± 1.5 | 6569× | fail | 3/4 |",
            "| floor |  | 0.507 ± 0.016 | 0.486 ± 0.016 |  |  |  |  | 0.0018 |  |  |  |  |  |  |  |",
        ]
    );
}

#[test]
fn the_table_fits_a_terminal_and_long_names_are_cut() {
    let text =
        comparison(vec![run("a"), run("a name that is much too long for a line of a terminal")]).text();
    let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|width| *width <= 120), "{widths:?}\n{text}");
    assert!(text.contains('…'), "{text}");
    assert_eq!(
        widths.len(),
        8,
        "two lines of headings and for each run, a rule, and one for the floor\n{text}"
    );
    assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
}

#[test]
fn runs_without_showers_have_no_columns_of_response() {
    let bare = RunRecord {
        response: None,
        resolution: None,
        speed_up: None,
        verdict: Verdict::None,
        ..run("tracks")
    };
    let text = comparison(vec![bare.clone()]).text();
    assert!(!text.contains("response") && !text.contains("GeV") && !text.contains("speed-up"), "{text}");
    assert!(text.contains("none"), "{text}");
    assert!(comparison(vec![bare, run("showers")]).text().contains("response"));
}

#[test]
fn runs_of_images_show_what_a_classifier_finds() {
    let found = ImageRecord {
        fid: estimate(8.31, 0.22),
        floor: estimate(2.09, 0.11),
        accuracy: Some(estimate(0.974, 0.0016)),
    };
    let markdown =
        comparison(vec![RunRecord { images: Some(found), ..run("digits") }, run("showers")]).markdown();
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    assert!(rows[0].contains("| FID LeNet | right class % |"), "{markdown}");
    assert!(rows[2].contains("| 8.31 ± 0.22 | 97.40 ± 0.16 |") && rows[3].contains("| – |  |"), "{markdown}");
    assert!(rows[4].contains("| 2.09 ± 0.11 |"), "{markdown}");
}

#[test]
fn floors_are_averaged_without_shrinking_their_error() {
    let mut other = run("other");
    other.classifiers[1].floor.value = 0.511;
    let floor = comparison(vec![run("one"), other]).floor(OBSERVABLES).unwrap();
    assert!((floor.value - 0.509).abs() < 1e-12 && (floor.error - 0.0163).abs() < 1e-12, "{floor:?}");
}

#[test]
fn directories_of_one_name_are_told_apart_by_their_paths() {
    let paths = ["a/flow", "b/flow", "b/deep"].map(PathBuf::from);
    assert_eq!(names(&paths), ["a/flow", "b/flow", "deep"]);
}
