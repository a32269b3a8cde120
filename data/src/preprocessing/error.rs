//! What can go wrong between columns and model space.

use crate::DataError;

/// Why a preprocessing could not be fitted, loaded or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessingError {
    /// A column is missing or cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Nothing to fit on.
    #[error(
        "there are no training events to fit the preprocessing on; check `select` and the split fractions"
    )]
    NoEvents,
    /// The configuration speaks of a column that has no role.
    #[error(
        "`preprocessing.{column}` names a column that is neither condition nor target{}",
        nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
    )]
    UnknownColumn {
        /// The name in the configuration.
        column: String,
        /// The most similar condition or target, if any is similar.
        nearest: Option<String>,
    },
    /// A column has two roles.
    #[error("column `{column}` is listed twice among conditions and targets; keep one")]
    DuplicateColumn {
        /// The name of the column.
        column: String,
    },
    /// A step is not possible for its column.
    #[error("`preprocessing.{column}`, step {step}: {fault}")]
    Step {
        /// The name of the column.
        column: String,
        /// Position in the list of steps, counted from 1.
        step: usize,
        /// What is wrong.
        fault: StepError,
    },
    /// A value lies outside the domain of a step.
    #[error("column `{column}`{}, row {row}: {fault}", index(*component))]
    Value {
        /// The name of the column.
        column: String,
        /// Global row number of the event in the data set.
        row: u64,
        /// Position inside the column; 0 for a scalar.
        component: usize,
        /// What is wrong.
        fault: ValueError,
    },
    /// A column has another width than in training.
    #[error(
        "column `{column}` has {found} values a row, the model was trained on {expected}; use data of the \
         same schema"
    )]
    Width {
        /// The name of the column.
        column: String,
        /// Width found.
        found: usize,
        /// Width in training.
        expected: usize,
    },
    /// Model output of another shape than the targets.
    #[error("model output has shape [{}, {}], expected [{}, {}]: one row for each event and one column for \
             each target in model space", found[0], found[1], expected[0], expected[1])]
    OutputShape {
        /// Shape found.
        found: [usize; 2],
        /// Shape expected.
        expected: [usize; 2],
    },
    /// The model produced NaN or infinity.
    #[error(
        "the model produced {value} for column `{column}`, row {row}; train again with a lower learning \
         rate or gradient clipping"
    )]
    Output {
        /// Target column the number belongs to.
        column: String,
        /// Global row number of the event.
        row: u64,
        /// NaN or ±∞.
        value: f32,
    },
    /// A stored preprocessing was written by another version.
    #[error(
        "preprocessing format {found} is not supported, this program reads format {supported}; train the \
         model again"
    )]
    FormatVersion {
        /// Version in the file.
        found: u32,
        /// Version understood.
        supported: u32,
    },
    /// A stored preprocessing contradicts itself.
    #[error(
        "the stored preprocessing of column `{column}` is inconsistent; the file is damaged, copy or train \
         the model again"
    )]
    Damaged {
        /// The name of the column.
        column: String,
    },
}

/// Why a step does not suit its column.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// A parameter is out of range.
    #[error("`{name}` = {value} must be {allowed}")]
    Parameter {
        /// Key in the configuration.
        name: &'static str,
        /// The offending value.
        value: f64,
        /// The values allowed, in words.
        allowed: &'static str,
    },
    /// An interval must have a length.
    #[error("`range` = [{}, {}] must be finite and increasing", range[0], range[1])]
    Range {
        /// The offending interval.
        range: [f64; 2],
    },
    /// Noise in a condition would make generation depend on more than its conditions.
    #[error("`{kind}` draws noise and suits targets only; remove it from this condition")]
    TargetOnly {
        /// Kind of the step.
        kind: &'static str,
    },
    /// Steps that look at a second column work on values as read.
    #[error("`{kind}` works on values as read and must be the first step")]
    NotFirst {
        /// Kind of the step.
        kind: &'static str,
    },
    /// `layer_energies` needs to know the layers.
    #[error(
        "`layer_energies` needs the calorimeter's layers, but the data have no `simile.geometry` in their \
         schema metadata"
    )]
    NoGeometry,
    /// The geometry belongs to other data.
    #[error(
        "the column has {found} values a row, the geometry has {expected} voxels; they must be of one \
         calorimeter"
    )]
    Voxels {
        /// Width of the column.
        found: usize,
        /// Voxels of the geometry.
        expected: usize,
    },
    /// What a step needs beside its column must be known when events are generated.
    #[error("{setting} is not among the conditions ({}); the inverse needs it", conditions.join(", "))]
    NotCondition {
        /// Key and name given.
        setting: String,
        /// The conditions.
        conditions: Vec<String>,
    },
    /// It must be one number.
    #[error("{setting} has {width} values a row; it must be a scalar column")]
    ConditionNotScalar {
        /// Key and name given.
        setting: String,
        /// Its width.
        width: usize,
    },
    /// No shower has energy.
    #[error("no training event has energy in any voxel; check the column and its unit (MeV)")]
    NoEnergy,
    /// Categories are single numbers.
    #[error("`one_hot` needs a scalar column, this one has {width} values a row")]
    NotScalar {
        /// Width of the column.
        width: usize,
    },
    /// A continuous column is no category.
    #[error(
        "`one_hot` found more than {limit} different values; a continuous column wants `standardize` or \
         `quantile`"
    )]
    TooManyCategories {
        /// Largest number of categories.
        limit: usize,
    },
}

/// Why a value has no place in model space.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// NaN or infinity.
    #[error(
        "{value} is not a finite number; leave such events out (`data.select` in a configuration), or repair the file"
    )]
    NotFinite {
        /// The offending value.
        value: f64,
    },
    /// No logarithm.
    #[error(
        "{value} has no logarithm (offset {offset}); leave such events out (`data.select` in a configuration), or set a larger `offset`"
    )]
    NotPositive {
        /// The offending value.
        value: f64,
        /// Configured offset.
        offset: f64,
    },
    /// No logit.
    #[error("{value} lies outside [{}, {}]; widen `range` of the `logit`, or leave such events out \
             (`data.select` in a configuration)", range[0], range[1])]
    OutsideRange {
        /// The offending value.
        value: f64,
        /// Configured range.
        range: [f64; 2],
    },
    /// Never seen in training.
    #[error(
        "{value} is none of the categories seen in training ({known:?}); select events of known categories, \
         or train on this one too"
    )]
    UnknownCategory {
        /// The offending value.
        value: f64,
        /// Categories of the training sample.
        known: Vec<f32>,
    },
    /// Not a multiple of the grid width.
    #[error(
        "{value} is not on the grid {offset} + k·{width}; set the `width` of `dequantize` to the spacing of \
         the values"
    )]
    OffGrid {
        /// The offending value.
        value: f64,
        /// Spacing of the grid.
        width: f64,
        /// A point of the grid.
        offset: f64,
    },
    /// A deposit below zero.
    #[error(
        "energy {value} MeV is negative; leave such events out (`data.select` in a configuration), or subtract the pedestal in the \
         input"
    )]
    NegativeEnergy {
        /// The offending value in MeV.
        value: f64,
    },
    /// No particle.
    #[error(
        "the incident energy in `{incident}` is {value} MeV, it must be positive; leave such events out \
         (`data.select` in a configuration)"
    )]
    IncidentEnergy {
        /// Column of the incident energy.
        incident: String,
        /// The offending value in MeV.
        value: f64,
    },
    /// Nothing can be divided by it.
    #[error(
        "the column is taken relative to `{column}`, which is {value} and must be positive; leave such events out (`data.select` in a configuration)"
    )]
    Divisor {
        /// The condition.
        column: String,
        /// Its value.
        value: f64,
    },
    /// More visible energy than model space holds.
    #[error(
        "visible / incident energy is {response}, at or above the limit {limit} set from the training \
         sample; \
             raise `headroom` of `layer_energies`, or leave such events out (`data.select` in a configuration)"
    )]
    ResponseTooHigh {
        /// Visible over incident energy of the event.
        response: f64,
        /// `headroom` × the largest response of the training sample.
        limit: f64,
    },
}

/// `[component]`, or nothing for the first one, which for a scalar is the only one.
fn index(component: usize) -> String {
    if component > 0 { format!("[{component}]") } else { String::new() }
}

/// A [`ValueError`] and where in the batch it is.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) row: usize,
    pub(super) component: usize,
    pub(super) error: ValueError,
}

impl Fault {
    /// Names the column and, through the batch's `rows`, the event.
    pub(super) fn at(self, column: &str, rows: &[u64]) -> PreprocessingError {
        PreprocessingError::Value {
            column: column.to_owned(),
            row: rows[self.row],
            component: self.component,
            fault: self.error,
        }
    }
}
