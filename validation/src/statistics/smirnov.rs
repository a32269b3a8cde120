//! Exact p-value of the two-sample Kolmogorov–Smirnov distance D, by counting lattice paths (Hodges 1958, Arkiv för Matematik 3, 469).
//!
//! For equal parents without ties every order of the n₁ + n₂ values, a path from (0, 0) to (n₁, n₂), is equally probable. Of the
//! paths to (i, j) the share q that has met |i/n₁ − j/n₂| ≥ D follows from the last step,
//! q(i, j) = (i·q(i−1, j) + j·q(i, j−1))/(i + j), with q = 1 at and beyond this boundary and 0 on the axes before it. All terms
//! are positive, so that small probabilities are as precise as large ones.

use super::kolmogorov::ks_p_value;
use super::ordered::{Ordered, reduced_size};

/// Entries of the larger sample up to which a p-value is exact, as in `scipy.stats.ks_2samp`.
const EXACT_ENTRIES: usize = 10_000;

/// p-value of a two-sample Kolmogorov–Smirnov distance: exact without weights and with up to 10,000 entries in each sample,
/// otherwise [asymptotic](ks_p_value). Ties make it too large, never too small.
pub fn ks_test(statistic: f64, a: &Ordered, b: &Ordered) -> f64 {
    let (in_a, in_b) = (a.values().len(), b.values().len());
    if a.is_weighted() || b.is_weighted() || in_a.max(in_b) > EXACT_ENTRIES {
        return ks_p_value(statistic, a.effective_entries(), b.effective_entries());
    }
    ks_exact_p_value(statistic, in_a, in_b)
}

/// Probability of a distance of `statistic` or more between samples of these sizes. Takes time ∝ `statistic` and the product of
/// the sizes.
pub fn ks_exact_p_value(statistic: f64, size_a: usize, size_b: usize) -> f64 {
    let (m, n) = (size_a.max(size_b) as i64, size_a.min(size_b) as i64);
    if n == 0 {
        return 1.0;
    }
    let (m_step, n_step) = (m / gcd(m, n), n / gcd(m, n));
    // D in units of 1/lcm(m, n), of which it is a multiple.
    let boundary = (statistic * (m * n_step) as f64).round() as i64;
    if boundary <= 0 {
        return 1.0;
    }
    // P(D) ≤ e^(1 − 2·nm/(n+m)·D²) (Wei & Dudley 2012, Stat. Probab. Lett. 82, 636): nothing in f64.
    if 1.0 - 2.0 * reduced_size(m as f64, n as f64) * statistic * statistic < f64::MIN_POSITIVE.ln() {
        return 0.0;
    }
    let inverse: Vec<f64> = (0..=m + n).map(|steps| 1.0 / steps as f64).collect();
    // The column of q at i; not yet entered rows lie beyond the boundary.
    let mut column = vec![1.0; n as usize + 1];
    for i in 0..=m {
        let low = ((n_step * i - boundary).div_euclid(m_step) + 1).max(0);
        let high = (n_step * i + boundary + m_step - 1).div_euclid(m_step).min(n + 1);
        if low >= high {
            return 1.0;
        }
        let mut below = if low > 0 { 1.0 } else { 0.0 };
        for j in low..high {
            let (left, weight) = (&mut column[j as usize], inverse[(i + j) as usize]);
            below = if i + j == 0 { 0.0 } else { *left * (i as f64 * weight) + below * (j as f64 * weight) };
            *left = below;
        }
    }
    column[n as usize]
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{Grouping, kolmogorov_smirnov};
    use crate::testing::{gaussian, ordered, weighted};

    /// Of the C(4, 2) = 6 orders of two and two values two have D = 1, and all D ≥ ½.
    #[test]
    fn small_samples_by_hand() {
        assert!((ks_exact_p_value(1.0, 2, 2) - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(ks_exact_p_value(0.5, 2, 2), 1.0);
        assert_eq!((ks_exact_p_value(0.0, 5, 7), ks_exact_p_value(0.3, 0, 7)), (1.0, 1.0));
        // One against three: D = 1 where the one is first or last.
        assert!((ks_exact_p_value(1.0, 1, 3) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn large_samples_meet_the_asymptotic_value_and_the_end_of_f64() {
        let (statistic, sizes) = (0.02, (10_000, 9_973));
        let asymptotic = ks_p_value(statistic, sizes.0 as f64, sizes.1 as f64);
        let exact = ks_exact_p_value(statistic, sizes.0, sizes.1);
        assert!((exact / asymptotic - 1.0).abs() < 0.02, "{exact} {asymptotic}");
        assert_eq!(ks_exact_p_value(1.0, 10_000, 9_973), 0.0);
    }

    #[test]
    fn weights_and_many_entries_take_the_asymptotic_value() {
        let (a, b) = (gaussian(50, 0.0, 1), ordered(gaussian(40, 0.0, 2)));
        let unit = Ordered::new(&weighted(a.clone(), vec![1.0; 50]), &Grouping::new(50, 1));
        let statistic = kolmogorov_smirnov(&unit, &b);
        assert_eq!(ks_test(statistic, &unit, &b), ks_p_value(statistic, 50.0, 40.0));
        assert_eq!(ks_test(statistic, &ordered(a), &b), ks_exact_p_value(statistic, 50, 40));
        let many = ordered(gaussian(EXACT_ENTRIES + 1, 0.0, 1));
        assert_eq!(ks_test(0.1, &many, &b), ks_p_value(0.1, EXACT_ENTRIES as f64 + 1.0, 40.0));
    }
}
