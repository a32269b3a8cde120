//! The `[training]` table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schedule::ScheduleKind;
use crate::config::ConfigError;

/// How a model is optimised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Passes over the training events.
    pub epochs: usize,
    /// Events in a step.
    pub batch_size: usize,
    /// Largest learning rate of the schedule.
    pub learning_rate: f64,
    /// How the learning rate changes during training.
    pub schedule: ScheduleKind,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// Gradients are scaled down to at most this global norm.
    pub gradient_clip: f64,
    /// Decay per step of the exponential moving average of the weights, which is what the model keeps; it is
    /// shortened during the first steps. 0 keeps the last weights.
    pub average_decay: f64,
    /// Stop when the validation loss has not improved for so many epochs; 0 never stops early.
    pub patience: usize,
    /// Training events held in memory at a time; larger samples are shuffled window by window.
    pub window_events: usize,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 30,
            batch_size: 512,
            learning_rate: 1e-3,
            schedule: ScheduleKind::OneCycle,
            weight_decay: 1e-4,
            gradient_clip: 5.0,
            average_decay: 0.999,
            patience: 0,
            window_events: 200_000,
        }
    }
}

impl TrainingConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let counts =
            [("epochs", self.epochs), ("batch_size", self.batch_size), ("window_events", self.window_events)];
        for (key, value) in counts {
            if value == 0 {
                return Err(ConfigError::value(format!("training.{key}"), value, "at least 1"));
            }
        }
        for (key, value) in [("learning_rate", self.learning_rate), ("gradient_clip", self.gradient_clip)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(ConfigError::value(format!("training.{key}"), value, "a positive number"));
            }
        }
        if !(0.0..1.0).contains(&self.average_decay) {
            return Err(ConfigError::value(
                "training.average_decay",
                self.average_decay,
                "at least 0 and below 1",
            ));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return Err(ConfigError::value(
                "training.weight_decay",
                self.weight_decay,
                "zero or a positive number",
            ));
        }
        Ok(())
    }
}
