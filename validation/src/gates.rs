//! Gates: limits on named figures of [`Metrics`] that decide the verdict.
//!
//! ```toml
//! [[gate]]
//! metric = "c2st.voxels.auc"
//! max = 0.55
//! ```
//!
//! Figures of the whole comparison are `c2st.<view>.auc` and `.auc_excess`, `response.mean_deviation` and `.resolution_deviation`,
//! `correlation_distance`, `fpd`, `kpd`, `precision`, `recall`, `density`, `coverage` (these four with `min`), `mmd`,
//! `sliced_wasserstein`, `modes.recovered`, `modes.outside`, `kl`, `log_likelihood` and `elbo` (with `min`), `bits_per_dimension`,
//! `events.mass_111.position_deviation` and `.width_deviation`, `features.max_separation_power` and `features.max_ks_statistic`;
//! of images `images.accuracy`, `.balance`, `.smallest_share`, `.fid_lenet`, `.fid_lenet_over_floor`, `.precision`, `.recall`, `.density`,
//! `.coverage`, `.nearest_ratio`, `.near_copies`, `images.class_<label>.accuracy` and `.share`; those
//! of a feature `features.<name>.ks.p_value` and the like, by permutation of events `features.<name>.ks.permutation_p_value`. A name that
//! does not exist is answered with those that do.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simile_data::name_hint;

use crate::figures::NamedFigure;
use crate::metrics::{Bound, Gate, Metrics, Verdict};

/// One rule of a gates file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateRule {
    /// Name of a figure, such as `c2st.voxels.auc`, `response.mean_deviation` or
    /// `features.response.ks.p_value`.
    pub metric: String,
    /// The figure may not exceed this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The figure may not fall below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
}

/// A gates file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GatesFile {
    gate: Vec<GateRule>,
}

/// Why gates cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// File.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// Not a gates file.
    #[error("{path}: {source}\nA gates file holds `[[gate]]` tables with `metric` and `max` or `min`.")]
    Toml {
        /// File.
        path: PathBuf,
        /// Reason and place.
        source: Box<toml::de::Error>,
    },
    /// Neither side limited, or not a number.
    #[error("gate `{metric}` has no finite limit; give `max` or `min`")]
    NoLimit {
        /// Name of the figure.
        metric: String,
    },
    /// No such figure.
    #[error("gate `{metric}`: there is no such figure in this comparison{hint}")]
    UnknownMetric {
        /// Name asked for.
        metric: String,
        /// The nearest name, or some of those that exist.
        hint: String,
    },
}

/// Reads a gates file.
///
/// # Errors
/// When it cannot be read, has unknown keys, or a gate has no limit.
pub fn read_gates(path: &Path) -> Result<Vec<GateRule>, GateError> {
    let text = std::fs::read_to_string(path).map_err(|source| GateError::Io { path: path.into(), source })?;
    let file: GatesFile = toml::from_str(&text)
        .map_err(|source| GateError::Toml { path: path.into(), source: Box::new(source) })?;
    file.gate.iter().try_for_each(GateRule::check)?;
    Ok(file.gate)
}

impl GateRule {
    fn check(&self) -> Result<(), GateError> {
        let limits = [self.max, self.min];
        if limits.iter().flatten().next().is_some() && limits.iter().flatten().all(|limit| limit.is_finite())
        {
            return Ok(());
        }
        Err(GateError::NoLimit { metric: self.metric.clone() })
    }
}

/// Checks rules against the names of the figures there will be, before any of them is worked out.
pub(crate) fn check_gates(rules: &[GateRule], available: &[String]) -> Result<(), GateError> {
    for rule in rules {
        rule.check()?;
        if !available.contains(&rule.metric) {
            return Err(GateError::UnknownMetric {
                metric: rule.metric.clone(),
                hint: name_hint("figures", &rule.metric, available.iter().map(String::as_str)),
            });
        }
    }
    Ok(())
}

/// Applies rules to the figures of a comparison.
///
/// # Errors
/// When a rule has no limit or names a figure that does not exist.
pub fn apply_gates(metrics: &mut Metrics, rules: &[GateRule]) -> Result<(), GateError> {
    let figures = metrics.figures();
    let names: Vec<String> = figures.iter().map(|figure| figure.name.clone()).collect();
    check_gates(rules, &names)?;
    metrics.gates = rules.iter().flat_map(|rule| judge(rule, &figures)).collect();
    metrics.verdict = match &metrics.gates[..] {
        [] => Verdict::None,
        gates if gates.iter().all(|gate| gate.passed) => Verdict::Pass,
        _ => Verdict::Fail,
    };
    Ok(())
}

fn judge(rule: &GateRule, figures: &[NamedFigure]) -> Vec<Gate> {
    let figure = figures.iter().find(|figure| figure.name == rule.metric);
    // A figure that is not a number passes no gate.
    let (value, error) = figure.map_or((f64::NAN, None), |figure| (figure.value, figure.error));
    let gate = |bound, limit, passed| Gate { name: rule.metric.clone(), bound, value, error, limit, passed };
    let max = rule.max.map(|limit| gate(Bound::Max, limit, value <= limit));
    let min = rule.min.map(|limit| gate(Bound::Min, limit, value >= limit));
    max.into_iter().chain(min).collect()
}
