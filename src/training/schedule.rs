//! Learning rate as a function of the step.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate changes during training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Cosine rise over the first fifth, then cosine fall to almost zero (Smith & Topin 2017, arXiv:1708.07120).
    #[default]
    OneCycle,
    /// Cosine fall to almost zero after a short linear rise (Loshchilov & Hutter 2016, arXiv:1608.03983).
    Cosine,
    /// The same rate throughout.
    Constant,
}

/// Fraction of the steps in which the one-cycle rate rises.
const ONE_CYCLE_RISE: f64 = 0.2;
/// Start of the one-cycle rate relative to its peak.
const ONE_CYCLE_START: f64 = 0.04;
/// Fraction of the steps in which the cosine rate rises.
const COSINE_RISE: f64 = 0.02;
/// End of falling rates relative to the peak.
const END: f64 = 1e-3;

impl ScheduleKind {
    /// Learning rate relative to its peak in step `step` of `steps`, counted from 0.
    pub fn factor(self, step: u64, steps: u64) -> f64 {
        let progress = step as f64 / steps.max(1) as f64;
        match self {
            Self::OneCycle if progress < ONE_CYCLE_RISE => {
                ONE_CYCLE_START + (1.0 - ONE_CYCLE_START) * (1.0 - falling(progress / ONE_CYCLE_RISE))
            }
            Self::OneCycle => {
                END + (1.0 - END) * falling((progress - ONE_CYCLE_RISE) / (1.0 - ONE_CYCLE_RISE))
            }
            Self::Cosine if progress < COSINE_RISE => {
                ((step + 1) as f64 / (COSINE_RISE * steps as f64)).min(1.0)
            }
            Self::Cosine => END + (1.0 - END) * falling((progress - COSINE_RISE) / (1.0 - COSINE_RISE)),
            Self::Constant => 1.0,
        }
    }
}

/// Half a cosine from 1 at 0 to 0 at 1.
fn falling(x: f64) -> f64 {
    0.5 * (1.0 + (PI * x).cos())
}

#[cfg(test)]
mod tests {
    use super::ScheduleKind::{Constant, Cosine, OneCycle};

    #[test]
    fn rates_rise_to_the_peak_and_fall_to_almost_nothing() {
        for kind in [OneCycle, Cosine] {
            let rates: Vec<f64> = (0..1000).map(|step| kind.factor(step, 1000)).collect();
            let peak = (0..1000).max_by(|&a, &b| rates[a].total_cmp(&rates[b])).unwrap();
            assert!(rates[peak] > 0.9999, "{kind:?} reaches {}", rates[peak]);
            assert!(rates[..peak].windows(2).all(|w| w[0] <= w[1]), "{kind:?} rises");
            assert!(rates[peak..].windows(2).all(|w| w[0] >= w[1]), "{kind:?} falls");
            assert!(
                rates[999] < 2e-3 && rates.iter().all(|r| (0.0..=1.0).contains(r)),
                "{kind:?} ends at {}",
                rates[999]
            );
        }
        assert_eq!(Constant.factor(10, 1000), 1.0);
    }
}
