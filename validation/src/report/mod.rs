//! `report.html`: verdict, key figures, tables and figures of one run in one file that needs no network.

mod cards;
mod view;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minijinja::{Environment, Value, context};
use simile_data::DataError;

use crate::metrics::Metrics;
use crate::plots::{FONT, Figure, LearningCurves};

const TEMPLATE: &str = include_str!("assets/report.html");
const STYLE: &str = include_str!("assets/report.css");
const SCRIPT: &str = include_str!("assets/report.js");

/// Bitmaps offered for download inside the report, in bytes of all together: it must stay fit for e-mail. Figures
/// beyond offer their vector file alone.
const BITMAP_BUDGET: usize = 4_500_000;

/// What a report tells about a run besides its metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportContext {
    /// Heading, such as `Photon showers: spline flow against Geant4`.
    pub title: String,
    /// A line below it; may be empty.
    pub subtitle: String,
    /// Facts of the run in the order to show them: data files, events, model, parameters, training time, sampling
    /// rate, speed-up, versions, seed, command.
    pub facts: Vec<(String, String)>,
    /// The resolved configuration; empty where there is none.
    pub config_toml: String,
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The bitmap of a figure is gone.
    #[error("cannot read the figure {path}: {source}; write the plots again with `simile report`")]
    Figure {
        /// File.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// The metrics have no JSON form.
    #[error("cannot embed the metrics: {0}")]
    Json(#[from] serde_json::Error),
    /// The template and its data do not fit; a fault of this crate.
    #[error("cannot fill the template of the report: {0:#}; this is a bug in simile, please report it")]
    Template(#[from] minijinja::Error),
    /// The page could not be written.
    #[error(transparent)]
    Write(#[from] DataError),
}

/// Writes a self-contained HTML page to `path`, atomically. Gates that failed come first, then figures with their
/// uncertainty and floor, then every figure of `figures` in its section, as drawn by
/// [`write_plots`](crate::plots::write_plots).
///
/// # Errors
/// When a figure's bitmap cannot be read or the page cannot be written.
pub fn write_report(
    path: &Path,
    context: &ReportContext,
    metrics: &Metrics,
    figures: &[Figure],
    curves: Option<&LearningCurves>,
) -> Result<(), ReportError> {
    let page = render(context, metrics, figures, curves)?;
    Ok(simile_data::write_file(path, page)?)
}

fn render(
    report: &ReportContext,
    metrics: &Metrics,
    figures: &[Figure],
    curves: Option<&LearningCurves>,
) -> Result<String, ReportError> {
    let bitmaps = bitmaps(figures)?;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.add_template("report.html", TEMPLATE)?;
    let page = context! {
        title => report.title,
        subtitle => report.subtitle,
        verdict => view::verdict(metrics),
        gates => view::gates(metrics),
        cards => cards::cards(metrics),
        reference => view::sample(&metrics.reference),
        candidate => view::sample(&metrics.candidate),
        rows => view::rows(metrics, figures),
        modes => view::modes(metrics),
        classes => view::classes(metrics),
        sections => view::sections(figures, &bitmaps),
        facts => view::facts(report, curves),
        config => report.config_toml,
        metrics => BASE64.encode(serde_json::to_vec_pretty(metrics)?),
        font => BASE64.encode(FONT),
        style => Value::from_safe_string(STYLE.into()),
        script => Value::from_safe_string(SCRIPT.into()),
    };
    Ok(environment.get_template("report.html")?.render(page)?)
}

/// The bitmaps as text, as many as the budget allows, in the order of the figures.
fn bitmaps(figures: &[Figure]) -> Result<Vec<Option<String>>, ReportError> {
    let mut used = 0;
    figures
        .iter()
        .map(|figure| {
            let file = std::fs::read(&figure.png_path)
                .map_err(|source| ReportError::Figure { path: figure.png_path.clone(), source })?;
            let encoded = BASE64.encode(file);
            used += encoded.len();
            Ok((used <= BITMAP_BUDGET).then_some(encoded))
        })
        .collect()
}

#[cfg(test)]
mod tests;
