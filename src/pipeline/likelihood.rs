//! Mean log-likelihood of the test events, where the configuration asks for it.
//!
//! The density of the model is that of model space; the preprocessing says what has to be added for that of the columns
//! ([`target_with_log_det`](simile_data::Preprocessing::target_with_log_det)). Numbers on a grid, dequantised, have a
//! probability, of which −log₂ p for each of the D numbers of an event, bits/dim = −⟨log p⟩/(D·ln 2), is quoted for images
//! of 256 levels (Theis, van den Oord, Bethge 2016, arXiv:1511.01844). Images that were made black and white have one too,
//! quoted in nats. A model with latents has the evidence lower bound, and importance weights bring it closer to log p
//! (Burda, Grosse, Salakhutdinov 2015, arXiv:1509.00519).

use burn::tensor::{Device, Tensor};
use simile_data::preprocessing::Preprocessing;
use simile_data::{Dataset, Events, random};
use simile_validation::metrics::{Estimate, LikelihoodMetrics};

use super::divergence::WeightedMean;
use super::{Observer, PipelineError, RunDirectory, read};
use crate::models::LogProb;
use crate::models::bundle::Bundle;
use crate::sampling::CHUNK;
use crate::training::tensor;

/// The mean over the test events; `None` if it is not asked for, or the model has no density.
pub(super) fn likelihood(
    run: &RunDirectory,
    bundle: &Bundle,
    test: &Dataset,
    device: &Device,
) -> Result<Option<LikelihoodMetrics>, PipelineError> {
    let Some(config) = &run.config.validation.likelihood else { return Ok(None) };
    let samples = config.importance_samples;
    let (mut log_likelihood, mut bound) = (WeightedMean::default(), None::<WeightedMean>);
    let scan = test.scan().columns(&run.config.data.numeric_columns()).limit(config.events);
    let mut count = 0;
    for (chunk, events) in scan.batch_rows(CHUNK as usize).events()?.enumerate() {
        let events = events?;
        let mut rng = random::stream(run.config.seed, "validate/likelihood", chunk as u64);
        let condition = tensor(&bundle.preprocessing.condition(&events)?, device);
        let (target, log_det) = bundle.preprocessing.target_with_log_det(&events, &mut rng)?;
        let log_det = log_det.ok_or(PipelineError::NoDensity)?;
        let target = tensor(&target, device);
        let Some(LogProb { value, lower_bound }) =
            bundle.generator.log_prob(target, condition, samples, &mut rng)
        else {
            return Ok(None);
        };
        let weights = weights(run, &events)?;
        let add = |mean: &mut WeightedMean, log_prob: Tensor<2>| {
            for ((log_prob, log_det), weight) in numbers(log_prob).into_iter().zip(&log_det).zip(&weights) {
                mean.add(log_prob + log_det, *weight);
            }
        };
        add(&mut log_likelihood, value);
        if let Some(lower_bound) = lower_bound {
            add(bound.get_or_insert_default(), lower_bound);
        }
        count += events.len();
    }
    let log_likelihood = log_likelihood.estimate();
    Ok(Some(LikelihoodMetrics {
        log_likelihood,
        elbo: bound.map(|bound| bound.estimate()),
        importance_samples: bound.map(|_| samples),
        bits_per_dimension: bits_per_dimension(&bundle.preprocessing, log_likelihood),
        events: count,
    }))
}

/// Which figures there will be, so that a gate on another is found before training.
pub(super) fn rehearse(
    run: &RunDirectory,
    test: &Dataset,
    observer: &mut dyn Observer,
) -> Result<Option<LikelihoodMetrics>, PipelineError> {
    if run.config.validation.likelihood.is_none() {
        return Ok(None);
    }
    let model = &run.config.model;
    if !model.has_density() {
        observer.message(&format!("a {} has no density: no likelihood, and no gate on it", model.kind()));
        return Ok(None);
    }
    let preprocessing: Preprocessing = read(&run.preprocessing())?;
    let mut first = test.scan().columns(&run.config.data.numeric_columns()).limit(Some(1)).events()?;
    if let Some(event) = first.next() {
        let mut rng = random::stream(run.config.seed, "validate/likelihood", 0);
        preprocessing.target_with_log_det(&event?, &mut rng)?.1.ok_or(PipelineError::NoDensity)?;
    }
    let estimated = model.estimates_density().then(Estimate::default);
    Ok(Some(LikelihoodMetrics {
        elbo: estimated,
        bits_per_dimension: bits_per_dimension(&preprocessing, Estimate::default()),
        ..LikelihoodMetrics::default()
    }))
}

/// −⟨log p⟩/(D·ln 2) for D numbers on grids.
fn bits_per_dimension(preprocessing: &Preprocessing, log_likelihood: Estimate) -> Option<Estimate> {
    let numbers: usize = preprocessing.target_columns().map(|(_, width)| width).sum();
    let bit = numbers as f64 * std::f64::consts::LN_2;
    let Estimate { value, error } = log_likelihood;
    preprocessing.is_dequantized().then(|| Estimate { value: -value / bit, error: error / bit })
}

/// Weights of events.
pub(super) fn weights(run: &RunDirectory, events: &Events) -> Result<Vec<f64>, PipelineError> {
    Ok(match &run.config.data.weight {
        Some(weight) => events.column(weight)?.iter().map(|&weight| f64::from(weight)).collect(),
        None => vec![1.0; events.len()],
    })
}

/// Log densities `[events, 1]`; one of a density of 0, or that is no number, is as bad as can be written.
pub(super) fn numbers(log_prob: Tensor<2>) -> Vec<f64> {
    let log_prob = log_prob.into_data();
    let log_prob = log_prob.as_slice::<f32>().expect("models compute in f32");
    log_prob.iter().map(|log_prob| f64::from(log_prob.max(f32::MIN))).collect()
}
