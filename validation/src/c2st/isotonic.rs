//! Calibration of classifier scores by isotonic regression (Zadrozny & Elkan 2002), as the CaloChallenge does it
//! (arXiv:2410.21611): the non-decreasing function of the score that fits the labels best.

/// A non-decreasing map from scores to probabilities, linear between its knots and constant beyond them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Isotonic {
    scores: Vec<f64>,
    probabilities: Vec<f64>,
}

/// Neighbouring events that share a probability.
struct Block {
    first: f64,
    last: f64,
    positive: f64,
    events: f64,
}

impl Block {
    fn mean(&self) -> f64 {
        self.positive / self.events
    }
}

impl Isotonic {
    /// Fits the labels, `true` for the positive class, by least squares (pool adjacent violators); equal scores count as
    /// one. A positive event is added at the lowest score and a negative one at the highest, so that where only one class was
    /// seen in m events the other has 1/(m + 1) and not 0. Needs an event; scores must not be NaN.
    pub(super) fn fit(events: impl IntoIterator<Item = (f64, bool)>) -> Self {
        let mut events: Vec<(f64, bool)> = events.into_iter().collect();
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        let [lowest, highest] = [events[0].0, events[events.len() - 1].0];
        events.insert(0, (lowest, true));
        events.push((highest, false));
        let mut blocks: Vec<Block> = Vec::new();
        for tied in events.chunk_by(|a, b| a.0 == b.0) {
            let positive = tied.iter().filter(|(_, positive)| *positive).count() as f64;
            let mut block = Block { first: tied[0].0, last: tied[0].0, positive, events: tied.len() as f64 };
            while let Some(before) = blocks.pop_if(|before| before.mean() >= block.mean()) {
                block = Block {
                    first: before.first,
                    positive: before.positive + block.positive,
                    events: before.events + block.events,
                    ..block
                };
            }
            blocks.push(block);
        }
        let mut fitted = Self { scores: Vec::new(), probabilities: Vec::new() };
        for block in blocks {
            fitted.push(block.first, block.mean());
            if block.last > block.first {
                fitted.push(block.last, block.mean());
            }
        }
        fitted
    }

    fn push(&mut self, score: f64, probability: f64) {
        self.scores.push(score);
        self.probabilities.push(probability);
    }

    /// Probability of the positive class at a score.
    pub(super) fn probability(&self, score: f64) -> f64 {
        let next = self.scores.partition_point(|&knot| knot <= score);
        let Some(before) = next.checked_sub(1) else { return self.probabilities[0] };
        let Some(&after) = self.scores.get(next) else { return self.probabilities[before] };
        let [low, high] = [before, next].map(|knot| self.probabilities[knot]);
        low + (high - low) * (score - self.scores[before]) / (after - self.scores[before])
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// What `validation/golden/isotonic.py` found with scikit-learn.
    #[derive(Deserialize)]
    struct Golden {
        scores: Vec<f64>,
        labels: Vec<u8>,
        at: Vec<f64>,
        probabilities: Vec<f64>,
    }

    #[test]
    fn agrees_with_scikit_learn() {
        let golden: Golden = serde_json::from_str(include_str!("../../golden/isotonic.json")).unwrap();
        let labels = golden.labels.iter().map(|&label| label == 1);
        let fitted = Isotonic::fit(golden.scores.iter().copied().zip(labels));
        for (&score, expected) in golden.at.iter().zip(&golden.probabilities) {
            let found = fitted.probability(score);
            assert!((found - expected).abs() < 1e-12, "{found} instead of {expected} at {score}");
        }
    }

    #[test]
    fn certainty_grows_with_the_number_of_events() {
        let fitted = Isotonic::fit([(0.0, false), (1.0, false), (2.0, true), (3.0, true)]);
        assert_eq!(
            [-9.0, 0.5, 1.5, 9.0].map(|s| fitted.probability(s)),
            [1.0 / 3.0, 1.0 / 3.0, 0.5, 2.0 / 3.0]
        );
        assert_eq!(Isotonic::fit([(1.0, true)]).probability(0.0), 2.0 / 3.0);
    }
}
