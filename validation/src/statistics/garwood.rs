//! Central confidence intervals of the contents of histogram bins.
//!
//! For n entries Garwood's (1936, Biometrika 28, 437) `[½ χ²_{α/2}(2n), ½ χ²_{1−α/2}(2n + 2)]`, which covers the Poisson mean with
//! probability 1 − α at least. A sum of weights w with variance v = Σw² fluctuates as n = w²/v entries of weight v/w each, whose
//! interval is scaled by v/w (Bohm & Zech 2014, NIM A 748, 1, arXiv:1309.1287), as the `coffea` and `hist` libraries do.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::histogram::Content;

/// Probability between ±1 σ of a Gaussian.
const ONE_SIGMA: f64 = 0.682_689_492_137_085_9;

/// Entries from which the quantile of χ² is that of its Cornish–Fisher expansion (Goldberg & Levine 1946, Ann. Math. Stat. 17,
/// 216), by then good to 1e-9.
const MANY: f64 = 1000.0;

/// Interval of ±1 σ for the content of a bin. `typical_weight` stands for the weight of the entries that an empty bin does not have.
/// Bins with a negative sum of weights, for which there is no such interval, have that of the standard error.
pub fn poisson_interval(content: Content, typical_weight: f64) -> [f64; 2] {
    let Content { sumw, sumw2 } = content;
    if sumw < 0.0 || (sumw == 0.0 && sumw2 > 0.0) {
        return [sumw - sumw2.sqrt(), sumw + sumw2.sqrt()];
    }
    let weight = if sumw > 0.0 { sumw2 / sumw } else { typical_weight };
    let entries = content.effective_entries();
    let tail = 0.5 * (1.0 - ONE_SIGMA);
    let low = if entries > 0.0 { half_chi2_quantile(2.0 * entries, tail, -1.0) } else { 0.0 };
    [weight * low, weight * half_chi2_quantile(2.0 * entries + 2.0, 1.0 - tail, 1.0)]
}

/// Half the quantile of χ² at `probability`, which is that of a Gaussian at `sigmas`, −1 or 1.
fn half_chi2_quantile(freedom: f64, probability: f64, sigmas: f64) -> f64 {
    if freedom > 2.0 * MANY {
        // The terms in σ² − 1 vanish.
        let width = (2.0 * freedom).sqrt();
        return 0.5 * (freedom + sigmas * (width - 2.0 / (3.0 * width)) + 12.0 / (405.0 * freedom));
    }
    0.5 * ChiSquared::new(freedom).map_or(f64::NAN, |chi2| chi2.inverse_cdf(probability))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bin_has_room_above_alone() {
        let [low, high] = poisson_interval(Content::default(), 2.5);
        // −ln(0.1587) entries would be none with this probability.
        assert!(low == 0.0 && (high - 2.5 * 1.841_021_645).abs() < 1e-6, "{high}");
    }

    #[test]
    fn both_ends_meet_where_the_approximation_begins() {
        for freedom in [1.999_999_99 * MANY, 2.000_000_01 * MANY] {
            for (probability, sigmas) in [(0.5 - 0.5 * ONE_SIGMA, -1.0), (0.5 + 0.5 * ONE_SIGMA, 1.0)] {
                let found = half_chi2_quantile(freedom, probability, sigmas);
                let exact = ChiSquared::new(freedom).expect("positive").inverse_cdf(probability);
                assert!((2.0 * found / exact - 1.0).abs() < 1e-9, "{found} {exact}");
            }
        }
    }

    #[test]
    fn negative_contents_keep_their_standard_error() {
        assert_eq!(poisson_interval(Content { sumw: -3.0, sumw2: 4.0 }, 1.0), [-5.0, -1.0]);
        assert_eq!(poisson_interval(Content { sumw: 0.0, sumw2: 4.0 }, 1.0), [-2.0, 2.0]);
    }
}
