//! What is watched while a model trains beside its loss.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EpochRecord, Observer};

pub(super) const DIVERSITY: &str = "diversity";
pub(super) const GENERATOR_GRADIENT: &str = "generator gradient norm";
/// Diversity below which a generator counts as collapsed: real events that differ by their conditions alone keep more.
const COLLAPSED: f64 = 0.3;
/// Part of the largest gradient below which it counts as vanished.
const VANISHED: f64 = 1e-3;
pub(super) const LOSS: &str = "loss";
pub(super) const GRADIENT: &str = "gradient norm";

/// Means over an epoch, each over the events for which it was given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Means(BTreeMap<String, (f64, usize)>);

impl Means {
    pub(super) fn add(&mut self, name: &str, value: f64, events: usize) {
        let (sum, total) = self.0.entry(name.to_string()).or_default();
        *sum += value * events as f64;
        *total += events;
    }

    pub(super) fn finish(self) -> BTreeMap<String, f64> {
        self.0.into_iter().map(|(name, (sum, events))| (name, sum / events as f64)).collect()
    }
}

/// Warns where a game goes wrong, once for every kind of failure; `history` holds the epochs before.
pub(super) fn warn_of_failure(history: &[EpochRecord], record: &EpochRecord, observer: &mut dyn Observer) {
    let before = |name: &'static str| history.iter().filter_map(|r| r.figures.get(name)).copied();
    let of = |name: &str| record.figures.get(name).copied().unwrap_or(f64::NAN);
    let epoch = record.epoch;
    let diversity = of(DIVERSITY);
    if diversity < COLLAPSED && before(DIVERSITY).all(|earlier| earlier >= COLLAPSED) {
        observer.warn(&format!(
            "epoch {epoch}: generated events are {diversity:.2} times as far apart as real ones: the generator has \
             collapsed. Lower training.learning_rate, or use kind = \"wgan\" with a gradient penalty"
        ));
    }
    let largest = before(GENERATOR_GRADIENT).fold(0.0, f64::max);
    let (now, last) = (of(GENERATOR_GRADIENT), before(GENERATOR_GRADIENT).last().unwrap_or(f64::INFINITY));
    if now < VANISHED * largest && last >= VANISHED * largest {
        observer.warn(&format!(
            "epoch {epoch}: the generator's gradient has fallen from {largest:.1e} to {now:.1e}: the critic tells all \
             events apart. Lower training.learning_rate or model.critic_steps, or use model.generator_loss = \
             \"non_saturating\""
        ));
    }
}
