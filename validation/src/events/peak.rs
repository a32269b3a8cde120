//! Position and width of a mass peak.
//!
//! Mean μ and standard deviation of the pairs within ±2.5σ of μ, the latter divided by 0.954597, what ±2.5σ leave of the width
//! of a Gaussian, repeated until nothing changes: the Gaussian core, whatever the tails. Errors are the spread over 100
//! resamplings of the pairs with Poisson weights (Efron 1979).

use rand_distr::{Distribution, Poisson};
use serde::{Deserialize, Serialize};
use simile_data::random;

use crate::metrics::number_or_nan;

/// Fewer pairs are no peak.
const FEWEST_PAIRS: usize = 100;
/// Pairs within so many σ are used.
const CUT: f64 = 2.5;
/// √(1 − 2·c·φ(c)/(2Φ(c) − 1)) for c = 2.5.
/// scipy 1.17.1: stats.truncnorm(-2.5, 2.5).std()
const TRUNCATED_WIDTH: f64 = 0.954_597_486_344_580_6;
const ITERATIONS: usize = 40;
const RESAMPLINGS: u64 = 100;

/// The mass of one pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    /// PDG number of the parent.
    pub pdg: i32,
    /// Invariant mass.
    pub mass_mev: f64,
    /// Event weight.
    pub weight: f64,
}

/// A fitted peak; its numbers are NaN of fewer than 100 pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakFit {
    /// Pairs, whether in the peak or not.
    pub pairs: usize,
    /// Position.
    #[serde(deserialize_with = "number_or_nan")]
    pub mean_mev: f64,
    /// Its standard error.
    #[serde(deserialize_with = "number_or_nan")]
    pub mean_error_mev: f64,
    /// σ.
    #[serde(deserialize_with = "number_or_nan")]
    pub width_mev: f64,
    /// Its standard error.
    #[serde(deserialize_with = "number_or_nan")]
    pub width_error_mev: f64,
}

/// Fits the peak; `number` tells samples apart that share a seed.
pub(crate) fn fit_peak(pairs: &[Pair], seed: u64, number: u64) -> PeakFit {
    if pairs.len() < FEWEST_PAIRS {
        let [mean_mev, mean_error_mev, width_mev, width_error_mev] = [f64::NAN; 4];
        return PeakFit { pairs: pairs.len(), mean_mev, mean_error_mev, width_mev, width_error_mev };
    }
    let weights: Vec<f64> = pairs.iter().map(|pair| pair.weight).collect();
    let [mean_mev, width_mev] = core(pairs, &weights, start(pairs));
    let once = Poisson::new(1.0).expect("1 is a mean");
    let mut sums = [[0.0; 2]; 2];
    for resampling in 0..RESAMPLINGS {
        let mut rng = random::stream(seed, "validate/peak", number * RESAMPLINGS + resampling);
        let drawn: Vec<f64> = weights.iter().map(|weight| weight * once.sample(&mut rng)).collect();
        for (sum, value) in sums.iter_mut().zip(core(pairs, &drawn, [mean_mev, width_mev])) {
            *sum = [sum[0] + value, sum[1] + value * value];
        }
    }
    let n = RESAMPLINGS as f64;
    let [mean_error_mev, width_error_mev] =
        sums.map(|[sum, squares]| ((squares - sum * sum / n) / (n - 1.0)).max(0.0).sqrt());
    PeakFit { pairs: pairs.len(), mean_mev, mean_error_mev, width_mev, width_error_mev }
}

/// Median and half of the middle 68%.
fn start(pairs: &[Pair]) -> [f64; 2] {
    let mut ascending: Vec<f64> = pairs.iter().map(|pair| pair.mass_mev).collect();
    ascending.sort_by(f64::total_cmp);
    let [low, median, high] = [0.16, 0.5, 0.84].map(|share| crate::statistics::quantile(&ascending, share));
    [median, 0.5 * (high - low)]
}

fn core(pairs: &[Pair], weights: &[f64], [mut mean, mut width]: [f64; 2]) -> [f64; 2] {
    for _ in 0..ITERATIONS {
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for (pair, weight) in pairs.iter().zip(weights) {
            let distance = pair.mass_mev - mean;
            if distance.abs() <= CUT * width {
                sum += weight;
                first += weight * distance;
                second += weight * distance * distance;
            }
        }
        if sum <= 0.0 {
            break;
        }
        let shift = first / sum;
        let next = (second / sum - shift * shift).max(0.0).sqrt() / TRUNCATED_WIDTH;
        let settled = shift.abs() < 1e-6 * width && (next - width).abs() < 1e-6 * width;
        (mean, width) = (mean + shift, next);
        if settled {
            break;
        }
    }
    [mean, width]
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_distr::StandardNormal;

    use super::*;

    fn pairs(n: usize, tail: f64) -> Vec<Pair> {
        let mut rng = random::stream(5, "test/peak", 0);
        let mass = |rng: &mut rand_chacha::ChaCha8Rng| match rng.gen_bool(tail) {
            true => rng.gen_range(0.0..300.0),
            false => 135.0 + 6.0 * rng.sample::<f64, _>(StandardNormal),
        };
        (0..n).map(|_| Pair { pdg: 111, mass_mev: mass(&mut rng), weight: 0.5 }).collect()
    }

    #[test]
    fn a_gaussian_is_recovered_within_its_errors() {
        let fit = fit_peak(&pairs(20_000, 0.0), 1, 0);
        assert!((fit.mean_mev - 135.0).abs() < 4.0 * fit.mean_error_mev, "{fit:?}");
        assert!((fit.width_mev - 6.0).abs() < 4.0 * fit.width_error_mev, "{fit:?}");
        // At best σ/√n and σ/√(2n); cutting and iterating cost less than a factor of three.
        assert!((0.04..0.09).contains(&fit.mean_error_mev), "{fit:?}");
        assert!((0.03..0.10).contains(&fit.width_error_mev), "{fit:?}");
    }

    #[test]
    fn a_tenth_of_background_moves_the_core_little() {
        let fit = fit_peak(&pairs(20_000, 0.1), 1, 0);
        assert!((fit.mean_mev - 135.0).abs() < 0.3 && (fit.width_mev - 6.0).abs() < 0.4, "{fit:?}");
        assert_eq!(fit.pairs, 20_000);
    }
}
