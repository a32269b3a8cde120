//! Weights of events, from the probabilities that repetitions gave them.

use super::repetition::Repetition;
use crate::binning::Binning;
use crate::histogram::Histogram;
use crate::metrics::{HistogramPair, WeightMetrics};

/// Weights shown: two decades to either side of 1.
const DECADES: f64 = 2.0;
const BINS: usize = 40;

/// (1 − D)/D of every event of a class, D the mean over the repetitions that tested it; NaN without any.
pub(super) fn weights(runs: &[Repetition], class: usize, events: usize) -> Vec<f32> {
    let mut sums = vec![(0.0, 0.0); events];
    for &(row, probability) in runs.iter().flat_map(|run| &run.probabilities[class]) {
        sums[row].0 += probability;
        sums[row].1 += 1.0;
    }
    sums.into_iter().map(|(sum, tested)| ((tested - sum) / sum) as f32).collect()
}

impl WeightMetrics {
    /// Of the weights of reference and candidate, NaN left out.
    pub(super) fn of(weights: &[Vec<f32>; 2]) -> Self {
        let edge = |i: usize| 10f64.powf(DECADES * (2.0 * i as f64 / BINS as f64 - 1.0));
        let binning = Binning::new((0..=BINS).map(edge).collect());
        let known =
            || weights.iter().map(|weights| weights.iter().map(|&w| f64::from(w)).filter(|w| !w.is_nan()));
        let [reference, candidate] = [0, 1].map(|class| {
            let mut histogram = Histogram::new(binning.clone());
            known().nth(class).expect("two classes").for_each(|weight| histogram.fill(weight, 1.0));
            histogram.contents(histogram.total())
        });
        let of_candidates = || known().nth(1).expect("two classes");
        let (sum, squares) = of_candidates().fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
        Self {
            histogram: HistogramPair { edges: binning.edges().to_vec(), reference, candidate },
            effective: sum * sum / (of_candidates().count() as f64 * squares),
        }
    }
}
