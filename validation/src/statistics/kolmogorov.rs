//! Kolmogorov's distribution, `P(K > λ) = 2 Σ_{k≥1} (−1)^{k−1} exp(−2k²λ²)`.

use std::f64::consts::{PI, TAU};

/// Below this the series in θ-function form converges in fewer terms (Marsaglia, Tsang & Wang 2003, JSS 8(18)).
const SMALL: f64 = 1.18;
/// Terms beyond these are below f64 resolution on their side of [`SMALL`].
const TERMS: u32 = 6;

/// Survival function of Kolmogorov's distribution; 1 for λ ≤ 0.
pub fn kolmogorov_sf(lambda: f64) -> f64 {
    if lambda <= 0.0 {
        return 1.0;
    }
    if lambda < SMALL {
        let term = |k: u32| (-f64::from(2 * k - 1).powi(2) * PI * PI / (8.0 * lambda * lambda)).exp();
        let cdf = TAU.sqrt() / lambda * (1..=TERMS).map(term).sum::<f64>();
        return (1.0 - cdf).clamp(0.0, 1.0);
    }
    let term = |k: u32| {
        let size = (-2.0 * (f64::from(k) * lambda).powi(2)).exp();
        if k % 2 == 1 { size } else { -size }
    };
    (2.0 * (1..=TERMS).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// p-value of a two-sample Kolmogorov–Smirnov distance, asymptotic with Stephens' correction for finite samples
/// (Stephens 1970, JRSS B 32, 115): `P(K > (√n + 0.12 + 0.11/√n) D)` with `n = n₁n₂/(n₁+n₂)`.
///
/// `size_a`, `size_b` are effective numbers of entries. Values that tie, and samples that share their conditions,
/// make the p-value too large, never too small.
pub fn ks_p_value(statistic: f64, size_a: f64, size_b: f64) -> f64 {
    let root = super::ordered::reduced_size(size_a, size_b).sqrt();
    if root == 0.0 {
        return 1.0;
    }
    kolmogorov_sf((root + 0.12 + 0.11 / root) * statistic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_the_distribution() {
        assert_eq!(kolmogorov_sf(0.0), 1.0);
        assert_eq!(kolmogorov_sf(1e-3), 1.0);
        assert_eq!(kolmogorov_sf(50.0), 0.0);
        assert_eq!(ks_p_value(0.0, 100.0, 100.0), 1.0);
    }

    #[test]
    fn both_series_agree_where_they_meet() {
        let below = kolmogorov_sf(SMALL - 1e-12);
        assert!((below - kolmogorov_sf(SMALL)).abs() < 1e-11, "{below}");
    }
}
