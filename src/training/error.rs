//! Why training stops, and what to look at.

use std::path::PathBuf;

use ndarray::Array2;
use simile_data::Preprocessing;
use simile_data::preprocessing::PreprocessingError;
use thiserror::Error;

use super::EventBatch;
use crate::nn::parameters::ParameterError;
use crate::tensors::TensorFileError;

/// Training that cannot start or go on.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// Reading events failed.
    #[error(transparent)]
    Data(#[from] simile_data::DataError),
    /// An event does not fit the preprocessing.
    #[error(transparent)]
    Preprocessing(#[from] PreprocessingError),
    /// Reading or writing a checkpoint failed.
    #[error(transparent)]
    Tensors(#[from] TensorFileError),
    /// A checkpoint does not fit the model.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// There is nothing to train on.
    #[error("no training events: check data.files, data.select and data.split")]
    NoEvents,
    /// A likelihood cannot take negative weights.
    #[error(
        "column `{column}`, prepared row {row}: weight {weight} is negative; train on events with weights ≥ 0"
    )]
    NegativeWeight {
        /// The weight column
        column: String,
        /// Row in the prepared file
        row: u64,
        /// The weight
        weight: f32,
    },
    /// Nothing would be learnt.
    #[error("column `{column}`: all weights are zero")]
    ZeroWeights {
        /// The weight column
        column: String,
    },
    /// The loss or its gradient is not a number.
    #[error(
        "training stopped: {what} is not finite in epoch {epoch}, batch {batch} (prepared rows {rows}); {inputs}. \
         Lower training.learning_rate or training.gradient_clip, or mend these events"
    )]
    NotFinite {
        /// Loss or gradient
        what: &'static str,
        /// Epoch, counted from 1
        epoch: usize,
        /// Batch within the epoch, counted from 0
        batch: usize,
        /// First rows of the batch
        rows: String,
        /// What is remarkable about the inputs
        inputs: String,
    },
    /// The checkpoint belongs to another run.
    #[error(
        "{path} was written by a run with another configuration or other data: \
         start afresh in a new output directory, or restore the configuration"
    )]
    ForeignCheckpoint {
        /// The checkpoint
        path: PathBuf,
    },
    /// The loss looks at a batch as a whole.
    #[error(
        "model.{key} depends on whole batches, which several processes do not see: set it to 0, or train with one"
    )]
    WholeBatches {
        /// Key of the model's configuration
        key: &'static str,
    },
    /// Processes that train together have come apart.
    #[error(
        "the processes have different weights {when}: give all of them the same kind of processor, the same program and \
         the same files, then start again"
    )]
    Apart {
        /// When that was found
        when: String,
    },
    /// Somebody asked for training to stop.
    #[error(
        "interrupted in epoch {epoch} after {batches} batches; the checkpoint holds all of them: go on with `simile \
         train RUN`, or `simile run` and --resume"
    )]
    Interrupted {
        /// Epoch, counted from 1
        epoch: usize,
        /// Batches of it that were done
        batches: usize,
    },
}

/// Rows named in an error.
const ROWS_SHOWN: usize = 8;

/// The error that names loss or gradient, and the events it happened with.
pub(super) fn not_finite(
    what: &'static str,
    epoch: usize,
    batch: &EventBatch,
    preprocessing: &Preprocessing,
) -> TrainingError {
    let mut rows: Vec<String> = batch.rows.iter().take(ROWS_SHOWN).map(u64::to_string).collect();
    if batch.rows.len() > ROWS_SHOWN {
        rows.push("…".into());
    }
    let inputs = [
        extreme("target", &batch.target, batch, |index| preprocessing.target_of(index)),
        extreme("condition", &batch.condition, batch, |index| preprocessing.condition_of(index)),
    ];
    let inputs: Vec<String> = inputs.into_iter().flatten().collect();
    TrainingError::NotFinite {
        what,
        epoch,
        batch: batch.index,
        rows: rows.join(", "),
        inputs: inputs.join("; "),
    }
}

/// The value furthest from zero, or not finite, and where it comes from.
fn extreme<'a>(
    role: &str,
    matrix: &Array2<f32>,
    batch: &EventBatch,
    column_of: impl Fn(usize) -> Option<&'a str>,
) -> Option<String> {
    let far = |v: f32| if v.is_finite() { v.abs() } else { f32::INFINITY };
    let worst = matrix.indexed_iter().max_by(|(_, a), (_, b)| far(**a).total_cmp(&far(**b)));
    worst.map(|((row, column), value)| {
        let name = column_of(column).unwrap_or_default();
        let row = batch.rows[row];
        format!("most extreme {role}: column `{name}`, prepared row {row}, {value} in model space")
    })
}
