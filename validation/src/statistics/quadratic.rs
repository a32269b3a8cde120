//! Tests and distances from the square of the difference of two distribution functions F and G.
//!
//! With n = n₁n₂/(n₁+n₂) and the distribution function H of both samples together,
//!
//! - Cramér–von Mises: W² = n·∫ (F − G)² dH (Anderson 1962, Ann. Math. Stat. 33, 1148),
//! - Anderson–Darling: A² = n·∫ (F − G)²/(H·(1 − H)) dH (Pettitt 1976, Biometrika 63, 161; with ties as Scholz & Stephens 1987, JASA
//!   82, 918, eq. 6), which sees the tails,
//! - energy distance: √(2 ∫ (F − G)² dx) (Székely & Rizzo 2013), in the root of the unit of the values.
//!
//! Weighted samples enter as in the other distances, with their effective numbers of entries.

use std::f64::consts::{PI, TAU};

use super::ordered::{Ordered, for_each_distinct, reduced_size};

/// See the module documentation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quadratic {
    /// W²
    pub cramer_von_mises: f64,
    /// A²
    pub anderson_darling: f64,
    /// √(2 ∫ (F − G)² dx)
    pub energy_distance: f64,
}

/// All three in one pass. Both samples need a positive sum of weights.
pub fn quadratic(a: &Ordered, b: &Ordered) -> Quadratic {
    let (scale_a, scale_b) = (a.sum_of_weights().recip(), b.sum_of_weights().recip());
    let (size_a, size_b) = (a.effective_entries(), b.effective_entries());
    let share = size_a / (size_a + size_b);
    let (mut f, mut g, mut previous) = (0.0_f64, 0.0_f64, 0.0);
    let (mut of_w, mut of_a, mut of_x) = (0.0_f64, 0.0_f64, 0.0_f64);
    for_each_distinct(a, b, |value, in_a, in_b| {
        // Before the first value F = G = 0 and the step from `previous` counts nothing.
        of_x += (f - g).powi(2) * (value - previous);
        let step_a: f64 = in_a.map(|i| a.weight(i)).sum::<f64>() * scale_a;
        let step_b: f64 = in_b.map(|i| b.weight(i)).sum::<f64>() * scale_b;
        (f, g, previous) = (f + step_a, g + step_b, value);
        let step = share * step_a + (1.0 - share) * step_b;
        let h = share * f + (1.0 - share) * g;
        let square = (f - g).powi(2) * step;
        of_w += square;
        // At the last value F = G = 1, up to rounding.
        if square > 0.0 && h * (1.0 - h) > f64::EPSILON {
            of_a += square / (h * (1.0 - h));
        }
    });
    let n = reduced_size(size_a, size_b);
    Quadratic { cramer_von_mises: n * of_w, anderson_darling: n * of_a, energy_distance: (2.0 * of_x).sqrt() }
}

/// Probability of a larger W² for equal parents: asymptotic, after W² is brought to the mean and variance of the limit
/// (Anderson 1962; `scipy.stats.cramervonmises_2samp` does the same).
pub fn cramer_von_mises_p_value(statistic: f64, size_a: f64, size_b: f64) -> f64 {
    let total = size_a + size_b;
    if reduced_size(size_a, size_b) == 0.0 {
        return 1.0;
    }
    let mean = (1.0 + 1.0 / total) / 6.0;
    let product = 4.0 * size_a * size_b;
    let variance = (total + 1.0)
        * (product * total - 3.0 * (size_a * size_a + size_b * size_b) - 0.5 * product)
        / (45.0 * total * total * product);
    cramer_von_mises_sf(1.0 / 6.0 + (statistic - mean) / (45.0 * variance).sqrt())
}

/// Survival function of the limit of W², Σ_j χ²_j/(jπ)² with independent χ² of one degree of freedom (Anderson & Darling
/// 1952, Ann. Math. Stat. 23, 193, eq. 4.35).
pub fn cramer_von_mises_sf(x: f64) -> f64 {
    /// Terms fall as e^(−4k²/x).
    const TERMS: u32 = 20;
    /// Beyond, the probability is below 1e-20, which is nothing beside the 1 that it is found from.
    const LARGEST: f64 = 10.0;
    if x <= 0.0 {
        return 1.0;
    }
    if x > LARGEST {
        return 0.0;
    }
    // Γ(k + ½)/(Γ(½)·k!)
    let mut coefficient = 1.0;
    let mut sum = 0.0;
    for k in 0..TERMS {
        let k = f64::from(k);
        let y = (4.0 * k + 1.0).powi(2) / (16.0 * x);
        sum += coefficient * (4.0 * k + 1.0).sqrt() * scaled_bessel(y);
        coefficient *= (k + 0.5) / (k + 1.0);
    }
    (1.0 - sum / (PI * x.sqrt())).clamp(0.0, 1.0)
}

/// e^(−y)·K_¼(y) = ∫₀^∞ e^(−y(1 + cosh t)) cosh(t/4) dt, by the trapezoidal rule, which converges exponentially here.
fn scaled_bessel(y: f64) -> f64 {
    const STEP: f64 = 0.05;
    const LAST: u32 = 400;
    let term = |i: u32| {
        let t = STEP * f64::from(i);
        (-y * (1.0 + t.cosh())).exp() * (0.25 * t).cosh()
    };
    STEP * (0.5 * term(0) + (1..=LAST).map(term).sum::<f64>())
}

/// Survival function of the limit of A², Σ_j χ²_j/(j(j+1)) (Anderson & Darling 1952, eq. 4.31): the p-value of
/// [`Quadratic::anderson_darling`], good for samples of ten and more.
pub fn anderson_darling_sf(x: f64) -> f64 {
    /// Terms fall as e^(−2k²π²/x).
    const TERMS: u32 = 20;
    /// Beyond, the probability is below 1e-20.
    const LARGEST: f64 = 50.0;
    if x <= 0.0 {
        return 1.0;
    }
    if x > LARGEST {
        return 0.0;
    }
    // (−½ over k)
    let mut coefficient = 1.0;
    let mut sum = 0.0;
    for k in 0..TERMS {
        let k = f64::from(k);
        let t = (4.0 * k + 1.0).powi(2) * PI * PI / (8.0 * x);
        sum += coefficient * (4.0 * k + 1.0) * anderson_darling_integral(x, t);
        coefficient *= -(k + 0.5) / (k + 1.0);
    }
    (1.0 - TAU.sqrt() / x * sum).clamp(0.0, 1.0)
}

/// ∫₀^∞ e^(x/(8(w² + 1)) − t(w² + 1)) dw by the trapezoidal rule, in u = w·√t.
fn anderson_darling_integral(x: f64, t: f64) -> f64 {
    const STEP: f64 = 0.02;
    const LAST: u32 = 400;
    let term = |i: u32| {
        let w = (STEP * f64::from(i)).powi(2) / t + 1.0;
        (x / (8.0 * w) - t * w).exp()
    };
    STEP / t.sqrt() * (0.5 * term(0) + (1..=LAST).map(term).sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Grouping;
    use crate::testing::{gaussian, ordered, weighted};

    #[test]
    fn identical_samples_have_no_distance() {
        let a = ordered(vec![3.0, 1.0, 1.0, -2.0]);
        assert_eq!(quadratic(&a, &a), Quadratic::default());
    }

    #[test]
    fn samples_apart_are_impossible() {
        for x in [9.0, 11.0, 45.0, 55.0, 900.0, 1e6] {
            assert!(cramer_von_mises_sf(x) < 1e-14, "W² = {x}");
        }
        for x in [45.0, 55.0, 900.0, 1e6] {
            assert!(anderson_darling_sf(x) < 1e-14, "A² = {x}");
        }
    }

    #[test]
    fn weight_two_is_a_doubled_row_but_for_the_size() {
        let other = ordered(vec![0.3, 0.9, 2.0, 2.1, 2.1]);
        let doubled = ordered(vec![0.1, 0.1, 0.5, 0.5, 2.0, 2.0]);
        let weight_two = weighted(vec![0.1, 0.5, 2.0], vec![2.0; 3]);
        let weight_two = Ordered::new(&weight_two, &Grouping::new(3, 1));
        let (a, b) = (quadratic(&doubled, &other), quadratic(&weight_two, &other));
        assert!((a.energy_distance - b.energy_distance).abs() < 1e-15);
        assert!(a.cramer_von_mises > b.cramer_von_mises, "three entries of weight two count as three");
    }

    /// Of two normal samples with widths 1 and 1.1 the Anderson–Darling test, which sees tails, has the smaller p-value.
    #[test]
    fn tails_are_seen_by_anderson_and_darling() {
        let a = ordered(gaussian(20_000, 0.0, 1));
        let b = ordered(gaussian(20_000, 0.0, 2).into_iter().map(|x| 1.1 * x).collect());
        let found = quadratic(&a, &b);
        let p = [
            anderson_darling_sf(found.anderson_darling),
            cramer_von_mises_p_value(found.cramer_von_mises, 2e4, 2e4),
        ];
        assert!(p[0] < 1e-6 && p[0] < p[1], "{p:?}");
    }
}
