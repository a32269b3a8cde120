//! How many events a model generates per second on one thread.

use std::time::Instant;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use simile_data::{DataError, Dataset, Events};
use simile_validation::statistics::quantile;

use super::{CHUNK, SamplingError, generate_chunk, scan_conditions};
use crate::models::bundle::Bundle;

/// Repetitions of a measurement: enough for a median that one disturbance does not move, and for a spread.
const REPETITIONS: usize = 9;
/// Quantiles between which the middle 68% of the repetitions lie, one standard deviation to either side.
const MIDDLE: [f64; 2] = [0.16, 0.84];

/// Events per second on one thread in batches of one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Events generated together
    pub batch: usize,
    /// Median over the repetitions
    pub events_per_second: f64,
    /// Half the range of the middle 68% of the repetitions
    pub spread: f64,
    /// Repetitions
    pub repetitions: usize,
}

/// Measures the rate on one thread for every batch size, `seconds` for each or as long as nine batches take. Conditions
/// are the first of the data set, repeated as need be; reading them and writing events are not part of the time.
///
/// # Errors
/// If the conditions cannot be read or do not fit the model.
pub fn measure_rates(
    bundle: &Bundle,
    conditions: &Dataset,
    batches: &[usize],
    seconds: f64,
    device: &Device,
) -> Result<Vec<Rate>, SamplingError> {
    let blocks: Result<Vec<Events>, DataError> =
        scan_conditions(bundle, conditions).limit(Some(CHUNK)).events()?.collect();
    let conditions = Events::concat(&blocks?)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread can be started");
    let measure = |&batch: &usize| {
        let positions: Vec<usize> = (0..batch).map(|i| i % conditions.len()).collect();
        let events = conditions.select_rows(&positions);
        let generate = |chunk| generate_chunk(bundle, events.clone(), chunk, 0, device).map(drop);
        pool.install(|| repeat(batch, seconds / REPETITIONS as f64, generate))
    };
    batches.iter().map(measure).collect()
}

/// Measures one batch size; a repetition lasts `seconds` or as long as one batch takes.
fn repeat(
    batch: usize,
    seconds: f64,
    generate: impl Fn(u64) -> Result<(), SamplingError>,
) -> Result<Rate, SamplingError> {
    // The first batch fills caches and chooses instructions.
    generate(0)?;
    let mut chunk = 0;
    let mut rates = Vec::with_capacity(REPETITIONS);
    for _ in 0..REPETITIONS {
        let (start, first) = (Instant::now(), chunk);
        while chunk == first || start.elapsed().as_secs_f64() < seconds {
            chunk += 1;
            generate(chunk)?;
        }
        rates.push((chunk - first) as f64 * batch as f64 / start.elapsed().as_secs_f64());
    }
    Ok(Rate::of(batch, rates))
}

impl Rate {
    /// Summarises repetitions; there must be one.
    fn of(batch: usize, mut rates: Vec<f64>) -> Self {
        rates.sort_by(f64::total_cmp);
        let [low, high] = MIDDLE.map(|share| quantile(&rates, share));
        Self {
            batch,
            events_per_second: quantile(&rates, 0.5),
            spread: 0.5 * (high - low),
            repetitions: rates.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_repetition_moves_neither_median_nor_spread_far() {
        // In order 5, 98, 99, 100, 100.5, 101, 102, 103, 104: the quantiles lie at positions 0.16 · 8 and 0.84 · 8.
        let rates = vec![104.0, 101.0, 100.0, 102.0, 99.0, 98.0, 103.0, 5.0, 100.5];
        let rate = Rate::of(16, rates);
        assert_eq!((rate.batch, rate.repetitions, rate.events_per_second), (16, 9, 100.5));
        assert!((rate.spread - 0.5 * (102.72 - 98.28)).abs() < 1e-9, "{}", rate.spread);
        assert_eq!(Rate::of(1, vec![7.0]).spread, 0.0);
    }

    #[test]
    fn every_repetition_generates_a_chunk_of_its_own() {
        let chunks = std::cell::RefCell::new(Vec::new());
        let rate = repeat(3, 0.0, |chunk| {
            chunks.borrow_mut().push(chunk);
            Ok(())
        });
        assert_eq!(*chunks.borrow(), (0..=REPETITIONS as u64).collect::<Vec<_>>());
        assert!(rate.unwrap().events_per_second > 0.0);
    }
}
