//! KL divergence of the model from the truth, where the true density of every event is known.
//!
//! KL(p ‖ q) = E_p[log p − log q] is the mean over the test events of the difference between their true log density and
//! that of the model, in nats. It is 0 for the truth and may come out below by its standard error. The model's density
//! is that of model space, so the targets must have no preprocessing.

use burn::tensor::Device;
use simile_data::{Dataset, random};
use simile_validation::metrics::KlMetrics;

use super::{PipelineError, RunDirectory};
use crate::models::bundle::Bundle;
use crate::sampling::CHUNK;
use crate::training::tensor;

/// Compares the densities at the test events; `None` without a column of true densities, or where the model has none.
pub(super) fn kl(
    run: &RunDirectory,
    bundle: &Bundle,
    test: &Dataset,
    device: &Device,
) -> Result<Option<KlMetrics>, PipelineError> {
    let Some(truth) = &run.config.validation.log_density else { return Ok(None) };
    let weight = run.config.data.weight.as_ref();
    let mut columns = run.config.data.numeric_columns();
    columns.push(truth.clone());
    let mut excess = Excess::default();
    for (chunk, events) in test.scan().columns(&columns).batch_rows(CHUNK as usize).events()?.enumerate() {
        let events = events?;
        let mut rng = random::stream(run.config.seed, "validate/kl", chunk as u64);
        let condition = tensor(&bundle.preprocessing.condition(&events)?, device);
        let target = tensor(&bundle.preprocessing.target(&events, &mut rng)?, device);
        let Some(log_prob) = bundle.generator.log_prob(target, condition, &mut rng) else { return Ok(None) };
        let log_prob = log_prob.into_data();
        let log_prob = log_prob.as_slice::<f32>().expect("models compute in f32");
        let weights = weight.map(|weight| events.column(weight)).transpose()?;
        for (event, (log_p, log_q)) in events.column(truth)?.iter().zip(log_prob).enumerate() {
            let weight = weights.map_or(1.0, |weights| f64::from(weights[[event, 0]]));
            // A density of 0, or one that is no number, is as bad as can be written.
            excess.add(f64::from(*log_p) - f64::from(log_q.max(f32::MIN)), weight);
        }
    }
    Ok(Some(excess.mean()))
}

/// Weighted sums of log p − log q.
#[derive(Default)]
struct Excess {
    weights: f64,
    /// Σw·d
    sum: f64,
    /// Σw², Σw²·d and Σw²·d²
    squares: [f64; 3],
}

impl Excess {
    fn add(&mut self, difference: f64, weight: f64) {
        self.weights += weight;
        self.sum += weight * difference;
        let square = weight * weight;
        for (sum, term) in self.squares.iter_mut().zip([1.0, difference, difference * difference]) {
            *sum += square * term;
        }
    }

    /// The mean, and its standard error √(Σw²(d − mean)²)/Σw.
    fn mean(&self) -> KlMetrics {
        let value = self.sum / self.weights;
        let [one, first, second] = self.squares;
        let variance = second - 2.0 * value * first + value * value * one;
        KlMetrics { value, error: variance.max(0.0).sqrt() / self.weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_has_the_error_of_a_mean() {
        let differences = [0.3, -0.1, 0.2, 0.0];
        let mut excess = Excess::default();
        differences.iter().for_each(|difference| excess.add(*difference, 2.0));
        let KlMetrics { value, error } = excess.mean();
        // Python 3.11.7: statistics.pstdev([0.3, -0.1, 0.2, 0.0]) / 2
        assert!(
            (value - 0.1).abs() < 1e-12 && (error - 0.07905694150420949).abs() < 1e-12,
            "{value} {error}"
        );
        excess.add(1e3, 0.0);
        assert_eq!(excess.mean().value, value);
    }
}
