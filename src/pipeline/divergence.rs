//! KL divergence of the model from the truth, where the true density of every event is known.
//!
//! KL(p ‖ q) = E_p[log p − log q] is the mean over the test events of the difference between their true log density and
//! that of the model, in nats. It is 0 for the truth and may come out below by its standard error. The model's density
//! is that of model space, so the targets must have no preprocessing.

use burn::tensor::Device;
use simile_data::{Dataset, random};
use simile_validation::metrics::{Estimate, KlMetrics};

use super::likelihood::{numbers, weights};
use super::{PipelineError, RunDirectory};
use crate::models::bundle::Bundle;
use crate::sampling::CHUNK;
use crate::training::tensor;

/// Draws for every event, where the model's density is estimated: the few latents of toys need no more.
const IMPORTANCE_SAMPLES: usize = 64;

/// Compares the densities at the test events; `None` without a column of true densities, or where the model has none.
pub(super) fn kl(
    run: &RunDirectory,
    bundle: &Bundle,
    test: &Dataset,
    device: &Device,
) -> Result<Option<KlMetrics>, PipelineError> {
    let Some(truth) = &run.config.validation.log_density else { return Ok(None) };
    let mut columns = run.config.data.numeric_columns();
    columns.push(truth.clone());
    let mut excess = WeightedMean::default();
    for (chunk, events) in test.scan().columns(&columns).batch_rows(CHUNK as usize).events()?.enumerate() {
        let events = events?;
        let mut rng = random::stream(run.config.seed, "validate/kl", chunk as u64);
        let condition = tensor(&bundle.preprocessing.condition(&events)?, device);
        let target = tensor(&bundle.preprocessing.target(&events, &mut rng)?, device);
        let Some(log_prob) = bundle.generator.log_prob(target, condition, IMPORTANCE_SAMPLES, &mut rng)
        else {
            return Ok(None);
        };
        let truths = events.column(truth)?;
        let densities = truths.iter().zip(numbers(log_prob.value));
        for ((log_p, log_q), weight) in densities.zip(weights(run, &events)?) {
            excess.add(f64::from(*log_p) - log_q, weight);
        }
    }
    let Estimate { value, error } = excess.estimate();
    Ok(Some(KlMetrics { value, error }))
}

/// Sums of weighted quantities, one an event.
#[derive(Clone, Copy, Default)]
pub(super) struct WeightedMean {
    weights: f64,
    /// Σw·x
    sum: f64,
    /// Σw², Σw²·x and Σw²·x²
    squares: [f64; 3],
}

impl WeightedMean {
    pub(super) fn add(&mut self, x: f64, weight: f64) {
        self.weights += weight;
        self.sum += weight * x;
        let square = weight * weight;
        for (sum, term) in self.squares.iter_mut().zip([1.0, x, x * x]) {
            *sum += square * term;
        }
    }

    /// The mean, and its standard error √(Σw²(x − mean)²)/Σw.
    pub(super) fn estimate(&self) -> Estimate {
        let value = self.sum / self.weights;
        let [one, first, second] = self.squares;
        let variance = second - 2.0 * value * first + value * value * one;
        Estimate { value, error: variance.max(0.0).sqrt() / self.weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_has_the_error_of_a_mean() {
        let differences = [0.3, -0.1, 0.2, 0.0];
        let mut excess = WeightedMean::default();
        differences.iter().for_each(|difference| excess.add(*difference, 2.0));
        let Estimate { value, error } = excess.estimate();
        // Python 3.11.7: statistics.pstdev([0.3, -0.1, 0.2, 0.0]) / 2
        assert!(
            (value - 0.1).abs() < 1e-12 && (error - 0.07905694150420949).abs() < 1e-12,
            "{value} {error}"
        );
        excess.add(1e3, 0.0);
        assert_eq!(excess.estimate().value, value);
    }
}
