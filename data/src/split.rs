//! Which events train, validate and test: decided per event, whatever the order, selection or sharding.

use rand_chacha::rand_core::RngCore;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DataError, random};

/// The part of a data set an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Fitted on: preprocessing and model weights.
    Train,
    /// Watched during training: early stopping, choice of epoch.
    Validation,
    /// Seen only by the final comparison.
    Test,
}

/// Fractions of the events used for training, validation and test. They must add up to 1.
///
/// Every event is assigned on its own by a random number keyed by the run's seed and the event's row number,
/// so the fractions are met up to counting statistics.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// Fraction of events the preprocessing and the model are fitted on.
    pub train: f64,
    /// Fraction of events that decide when to stop.
    pub validation: f64,
    /// Fraction of events kept for the final comparison.
    pub test: f64,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { train: 0.8, validation: 0.1, test: 0.1 }
    }
}

/// Rounding allowed in the sum of the three fractions.
const SUM_TOLERANCE: f64 = 1e-6;

impl SplitConfig {
    /// Checks that the fractions are in `[0, 1]`, leave something to train on, and add up to 1.
    ///
    /// # Errors
    /// Names the key at fault.
    pub fn check(&self) -> Result<(), DataError> {
        let invalid = |key: &str, reason: String| Err(DataError::Config { key: key.to_owned(), reason });
        for (key, fraction) in [("train", self.train), ("validation", self.validation), ("test", self.test)] {
            if !(0.0..=1.0).contains(&fraction) {
                return invalid(
                    &format!("split.{key}"),
                    format!("{fraction} is not a fraction between 0 and 1"),
                );
            }
        }
        if self.train == 0.0 {
            return invalid(
                "split.train",
                "no events would be left to train on; give a fraction above 0".to_owned(),
            );
        }
        let sum = self.train + self.validation + self.test;
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return invalid("split", format!("train + validation + test is {sum}, but must be 1"));
        }
        Ok(())
    }

    /// The same proportion of training to validation events, with no test events.
    pub fn without_test(&self) -> Self {
        let kept = self.train + self.validation;
        Self { train: self.train / kept, validation: self.validation / kept, test: 0.0 }
    }

    /// The split of the event in global row `row`: a function of `(seed, row)` alone.
    pub fn assign(&self, seed: u64, row: u64) -> Split {
        // The 53 high bits, as a number in [0, 1).
        let uniform = (random::stream(seed, "split", row).next_u64() >> 11) as f64 * (0.5f64).powi(53);
        if uniform < self.train {
            Split::Train
        } else if uniform < self.train + self.validation || self.test == 0.0 {
            Split::Validation
        } else {
            Split::Test
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(train: f64, validation: f64, test: f64) -> SplitConfig {
        SplitConfig { train, validation, test }
    }

    #[test]
    fn fractions_are_met() {
        let split = config(0.6, 0.1, 0.3);
        let n = 40_000;
        let mut counts = [0u32; 3];
        (0..n).for_each(|row| counts[split.assign(11, row) as usize] += 1);
        for (count, p) in counts.iter().zip([0.6, 0.1, 0.3]) {
            let sigma = (n as f64 * p * (1.0 - p)).sqrt();
            assert!((f64::from(*count) - n as f64 * p).abs() < 5.0 * sigma, "{counts:?}");
        }
    }

    #[test]
    fn empty_parts_stay_empty() {
        for row in 0..5_000 {
            assert_ne!(config(0.5, 0.5, 0.0).assign(1, row), Split::Test);
            assert_ne!(config(0.7, 0.2, 0.1).without_test().assign(1, row), Split::Test);
            assert_ne!(config(0.5, 0.0, 0.5).assign(1, row), Split::Validation);
            assert_eq!(config(1.0, 0.0, 0.0).assign(1, row), Split::Train);
        }
        let rescaled = config(0.6, 0.1, 0.3).without_test();
        rescaled.check().unwrap();
        assert!((rescaled.train / rescaled.validation - 6.0).abs() < 1e-12);
    }

    #[test]
    fn bad_fractions_name_their_key() {
        let message = |split: SplitConfig| split.check().unwrap_err().to_string();
        assert!(
            message(config(0.8, 0.1, 0.2))
                .starts_with("`split` is invalid: train + validation + test is 1.1")
        );
        assert!(message(config(1.2, -0.2, 0.0)).starts_with("`split.train`"));
        assert!(message(config(0.0, 0.5, 0.5)).contains("no events would be left to train on"));
        assert!(message(config(f64::NAN, 0.5, 0.5)).starts_with("`split.train`"));
        SplitConfig::default().check().unwrap();
    }

    proptest! {
        /// Moving a boundary moves no event across the others: an event in a smaller training part is in every larger.
        #[test]
        fn training_parts_are_nested(seed: u64, row: u64, small in 0.1..0.5f64, more in 0.0..0.4f64) {
            let inner = config(small, 0.1, 0.9 - small).assign(seed, row);
            let outer = config(small + more, 0.1, 0.9 - small - more).assign(seed, row);
            prop_assert!(inner != Split::Train || outer == Split::Train);
        }

        #[test]
        fn assignment_depends_on_seed_and_row_only(seed: u64, rows in prop::collection::vec(any::<u64>(), 1..50)) {
            let split = SplitConfig::default();
            let forward: Vec<_> = rows.iter().map(|&row| split.assign(seed, row)).collect();
            let mut backward: Vec<_> = rows.iter().rev().map(|&row| split.assign(seed, row)).collect();
            backward.reverse();
            prop_assert_eq!(forward, backward);
        }
    }
}
