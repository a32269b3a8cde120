//! Finished runs side by side: different models, or different settings, on the same test events.
//!
//! Only what the stages of each run wrote is read: nothing is generated or judged again.

mod record;
mod table;
mod yardstick;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use simile_data::DataError;
use simile_validation::metrics::Estimate;
use simile_validation::plots::{Contender, Limited, PlotError, TradeOff, write_trade_off};
use thiserror::Error;

pub use record::{ClassifierRecord, DeviationRecord, GateCount, ImageRecord, RunRecord};

use crate::files;
use crate::pipeline::{PipelineError, RunDirectory, Stage};
use yardstick::Yardstick;

/// Version of the layout of `comparison.json`.
pub const SCHEMA_VERSION: u32 = 2;

/// View of the event whose classifier the figure shows: shower observables or columns mean the same for all models.
const OBSERVABLES: &str = "observables";

/// Runs that cannot be compared.
#[derive(Debug, Error)]
pub enum ComparisonError {
    /// A run directory cannot be used, or has no finished validation.
    #[error(transparent)]
    Run(#[from] PipelineError),
    /// Two runs were judged on other events, or in another way.
    #[error(
        "{other} was not judged as {first} was: {}; compare runs that were, or go on nevertheless with --force",
        differences.join("; ")
    )]
    Different {
        /// The first run
        first: PathBuf,
        /// The run that differs
        other: PathBuf,
        /// In what
        differences: Vec<String>,
    },
    /// The folder for the results, or a file in it, cannot be written.
    #[error(transparent)]
    Write(#[from] DataError),
    /// The figure cannot be written.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

/// `comparison.json`: the figures of several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// Version of simile
    pub simile: String,
    /// The runs in the order given
    pub runs: Vec<RunRecord>,
    /// In what runs were judged otherwise than the first; empty unless that was allowed
    pub differences: Vec<String>,
}

impl Comparison {
    /// Reads finished runs. With `force`, runs judged on other events or in another way are taken, too.
    ///
    /// # Errors
    /// If a directory is no run, its validation has not finished, a file is damaged, or, without `force`, the runs were
    /// not judged alike.
    pub fn read(paths: &[PathBuf], force: bool) -> Result<Self, ComparisonError> {
        let runs: Vec<RunDirectory> = paths.iter().map(|path| open(path)).collect::<Result<_, _>>()?;
        let yardsticks: Vec<Yardstick> = runs.iter().map(Yardstick::of).collect::<Result<_, _>>()?;
        let mut all = Vec::new();
        for (run, yardstick) in runs.iter().zip(&yardsticks).skip(1) {
            let differences = yardsticks[0].differences(yardstick);
            if !differences.is_empty() && !force {
                let (first, other) = (paths[0].clone(), run.path().to_path_buf());
                return Err(ComparisonError::Different { first, other, differences });
            }
            let named =
                |difference| format!("{} against {}: {difference}", run.path().display(), paths[0].display());
            all.extend(differences.into_iter().map(named));
        }
        let records: Result<Vec<RunRecord>, _> =
            runs.iter().zip(names(paths)).map(|(run, name)| RunRecord::read(run, name)).collect();
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            simile: env!("CARGO_PKG_VERSION").into(),
            runs: records?,
            differences: all,
        })
    }

    /// Writes `comparison.json`, `comparison.md` and the figure `comparison.svg` and `.png` into a folder, which is made
    /// if need be; earlier files of these names are replaced.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ComparisonError> {
        let io = |source| DataError::Io { action: "create", path: folder.to_path_buf(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        files::write_json(&folder.join("comparison.json"), self)?;
        simile_data::write_file(folder.join("comparison.md"), self.markdown())?;
        write_trade_off(&self.trade_off(), "comparison", folder)?;
        Ok(())
    }

    /// Views of the event that classifiers of any run judged, observables first.
    fn views(&self) -> Vec<&str> {
        let mut views: Vec<&str> = Vec::new();
        for classifier in self.runs.iter().flat_map(|run| &run.classifiers) {
            if !views.contains(&classifier.view.as_str()) {
                views.push(&classifier.view);
            }
        }
        views.sort_by_key(|view| *view != OBSERVABLES);
        views
    }

    /// Mean floor of the classifiers on a view.
    fn floor(&self, view: &str) -> Option<Estimate> {
        mean(self.runs.iter().filter_map(|run| Some(run.classifier(view)?.floor)))
    }

    fn trade_off(&self) -> TradeOff {
        let limited = |one: &DeviationRecord| Limited { deviation: one.deviation, limit: one.limit };
        let contender = |run: &RunRecord| Contender {
            name: run.name.clone(),
            events_per_second: run.chunk.events_per_second,
            auc: run.classifier(OBSERVABLES).map(|classifier| classifier.auc),
            response: run.response.as_ref().map(limited),
            resolution: run.resolution.as_ref().map(limited),
        };
        TradeOff { contenders: self.runs.iter().map(contender).collect(), floor: self.floor(OBSERVABLES) }
    }
}

/// Mean of floors, of which there may be none. Runs share test events, so averaging does not shrink the error.
fn mean(floors: impl Iterator<Item = Estimate>) -> Option<Estimate> {
    let floors: Vec<Estimate> = floors.collect();
    let mean = |of: fn(&Estimate) -> f64| floors.iter().map(of).sum::<f64>() / floors.len() as f64;
    let error = mean(|floor| floor.error.powi(2)).sqrt();
    (!floors.is_empty()).then(|| Estimate { value: mean(|floor| floor.value), error })
}

/// Opens a run whose validation has finished.
fn open(path: &Path) -> Result<RunDirectory, PipelineError> {
    let run = RunDirectory::open(path)?;
    let mut needed = Stage::ALL.into_iter().filter(|stage| *stage <= Stage::Validate);
    match needed.find(|stage| !run.is_done(*stage)) {
        Some(needed) => Err(PipelineError::Missing { path: path.to_path_buf(), needed }),
        None => Ok(run),
    }
}

/// Names of the directories; where they are not distinct, the paths as given.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let name = |path: &PathBuf| {
        let absolute = path.canonicalize().unwrap_or_else(|_| path.clone());
        absolute.file_name().map(|name| name.to_string_lossy().into_owned())
    };
    let names: Vec<Option<String>> = paths.iter().map(name).collect();
    let distinct = |name: &Option<String>| names.iter().filter(|other| *other == name).count() == 1;
    let named = names.iter().zip(paths);
    named
        .map(|(name, path)| match name {
            Some(own) if distinct(name) => own.clone(),
            _ => path.display().to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
