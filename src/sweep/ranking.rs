//! The finished runs of a scan, best first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use simile_data::name_hint;
use simile_validation::plots::format::with_error;
use simile_validation::{Metrics, NamedFigure};

use super::{Sweep, SweepError, Trial};
use crate::comparison::{Comparison, ComparisonError};
use crate::files;
use crate::pipeline::{RunDirectory, Stage};

/// `ranking.json`: the finished runs of a scan, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// The figure that decides
    pub metric: String,
    /// Whether more of it is better
    pub largest_first: bool,
    /// Finished runs
    pub runs: Vec<Ranked>,
    /// Trials without a finished validation
    pub unfinished: Vec<String>,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranked {
    /// Trial
    pub name: String,
    /// The figure
    pub value: f64,
    /// Its standard error, where it has one
    pub error: Option<f64>,
    /// What the trial varied
    pub values: BTreeMap<String, toml::Value>,
}

impl Ranking {
    /// Ranks the finished runs of the scan in `folder` by a figure that gates know, by default the area under the ROC
    /// curve of the first classifier. With `force`, runs that were judged differently are ranked, too.
    ///
    /// # Errors
    /// If no run has finished, one has no such figure or is damaged, or, without `force`, they were not judged alike.
    pub fn read(
        folder: &Path,
        metric: Option<&str>,
        largest_first: bool,
        force: bool,
    ) -> Result<Self, SweepError> {
        let sweep = Sweep::open(folder)?;
        let run = |trial: &Trial| folder.join("runs").join(&trial.name);
        let (finished, unfinished): (Vec<Trial>, Vec<Trial>) =
            sweep.trials.into_iter().partition(|trial| is_finished(&run(trial)));
        let paths: Vec<PathBuf> = finished.iter().map(run).collect();
        if paths.is_empty() {
            return Err(SweepError::NothingFinished(folder.to_path_buf()));
        }
        Comparison::read(&paths, force)?;
        let mut metric = metric.map(str::to_owned);
        let mut runs = Vec::with_capacity(finished.len());
        for (trial, path) in finished.into_iter().zip(&paths) {
            let run = RunDirectory::open(path).map_err(ComparisonError::from)?;
            let figures = Metrics::read(&run.metrics())?.figures();
            let NamedFigure { name, value, error } = choose(figures, metric.as_deref(), path)?;
            metric.get_or_insert(name);
            runs.push(Ranked { name: trial.name, value, error, values: trial.values });
        }
        // What is not a number comes last.
        let key = |run: &Ranked| match run.value {
            value if value.is_nan() => f64::INFINITY,
            value if largest_first => -value,
            value => value,
        };
        runs.sort_by(|a, b| key(a).total_cmp(&key(b)));
        let metric = metric.expect("there is at least one run");
        Ok(Self { metric, largest_first, runs, unfinished: unfinished.into_iter().map(|t| t.name).collect() })
    }

    /// Writes `ranking.json` into the folder of the scan.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), SweepError> {
        Ok(files::write_json(&folder.join("ranking.json"), self)?)
    }

    /// The ranking as a table: place, trial, figure, values.
    pub fn text(&self) -> String {
        let mut text = format!("place  trial  {}\n", self.metric);
        for (place, run) in self.runs.iter().enumerate() {
            let figure = with_error(run.value, run.error.unwrap_or(0.0));
            let values: Vec<String> =
                run.values.iter().map(|(key, value)| format!("{key}={value}")).collect();
            text += &format!("{:>5}  {}  {figure}  {}\n", place + 1, run.name, values.join("  "));
        }
        if !self.unfinished.is_empty() {
            text += &format!("not finished: {}\n", self.unfinished.join(", "));
        }
        text
    }
}

fn is_finished(run: &Path) -> bool {
    RunDirectory::open(run).is_ok_and(|run| run.is_done(Stage::Validate))
}

/// The figure of that name; without a name, the area under the ROC curve of the first classifier, or the first figure.
fn choose(figures: Vec<NamedFigure>, metric: Option<&str>, path: &Path) -> Result<NamedFigure, SweepError> {
    let names: Vec<String> = figures.iter().map(|figure| figure.name.clone()).collect();
    let is_auc = |figure: &&NamedFigure| figure.name.starts_with("c2st.") && figure.name.ends_with(".auc");
    let found = match metric {
        Some(metric) => figures.iter().find(|figure| figure.name == metric),
        None => figures.iter().find(is_auc).or(figures.first()),
    };
    found.cloned().ok_or_else(|| {
        let metric = metric.unwrap_or("c2st").to_owned();
        let hint = name_hint("figures", &metric, names.iter().map(String::as_str));
        SweepError::UnknownMetric { path: path.to_path_buf(), metric, hint }
    })
}
