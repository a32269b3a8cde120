//! Distances of two empirical distribution functions F and G.
//!
//! Kolmogorov–Smirnov `sup |F − G|`, and Wasserstein-1 `∫ |F − G| dx` (Ramdas et al. 2017, arXiv:1509.02237).
//! Weighted samples enter through `F(x) = Σ_{x_i ≤ x} w_i / Σ w_i`; ties are exact because F and G are only
//! compared between distinct values.

use super::ordered::{Grouping, Ordered, for_each_distinct};

const GROUPS: usize = Grouping::GROUPS;

/// Largest distance of the distribution functions. Both samples need a positive sum of weights.
pub fn kolmogorov_smirnov(a: &Ordered, b: &Ordered) -> f64 {
    let (total_a, total_b) = (a.sum_of_weights(), b.sum_of_weights());
    let (mut f, mut g, mut largest) = (0.0, 0.0, 0.0_f64);
    for_each_distinct(a, b, |_, in_a, in_b| {
        f += in_a.map(|i| a.weight(i)).sum::<f64>();
        g += in_b.map(|i| b.weight(i)).sum::<f64>();
        largest = largest.max((f / total_a - g / total_b).abs());
    });
    largest
}

/// Wasserstein-1 distance in the unit of the values. Both samples need a positive sum of weights.
pub fn wasserstein(a: &Ordered, b: &Ordered) -> f64 {
    let (scale_a, scale_b) = (a.sum_of_weights().recip(), b.sum_of_weights().recip());
    let (mut f, mut g, mut distance, mut previous) = (0.0, 0.0, 0.0, 0.0);
    for_each_distinct(a, b, |value, in_a, in_b| {
        // Before the first value F = G = 0 and the step from `previous` counts nothing.
        distance += (f * scale_a - g * scale_b).abs() * (value - previous);
        f += in_a.map(|i| a.weight(i)).sum::<f64>();
        g += in_b.map(|i| b.weight(i)).sum::<f64>();
        previous = value;
    });
    distance
}

/// Standard error of an estimate E from the delete-one-group jackknife, `σ² = (k−1)/k Σ_g (E_g − Ē)²`, where `E_g` leaves the
/// events of group g out of both samples.
pub(crate) fn jackknife_error(replicates: &[f64; GROUPS]) -> f64 {
    let k = GROUPS as f64;
    let mean = replicates.iter().sum::<f64>() / k;
    ((k - 1.0) / k * replicates.iter().map(|w| (w - mean).powi(2)).sum::<f64>()).sqrt()
}

/// Distances without the events of each group.
pub(crate) struct WithoutGroups {
    /// Wasserstein-1.
    pub(crate) wasserstein: [f64; GROUPS],
    /// √(2 ∫ (F − G)² dx)
    pub(crate) energy_distance: [f64; GROUPS],
}

/// All in one pass: the distribution function without group g is `(ΣF − F_g)/(Σw − w_g)`.
pub(crate) fn without_groups(a: &Ordered, b: &Ordered) -> WithoutGroups {
    let (mut f, mut g) = (Replicates::new(a), Replicates::new(b));
    let (mut distances, mut squares) = ([0.0; GROUPS], [0.0; GROUPS]);
    let mut previous = 0.0;
    for_each_distinct(a, b, |value, in_a, in_b| {
        let step = value - previous;
        for (group, (distance, square)) in distances.iter_mut().zip(&mut squares).enumerate() {
            let difference = f.without(group) - g.without(group);
            *distance += difference.abs() * step;
            *square += difference * difference * step;
        }
        in_a.for_each(|i| f.add(a.group(i), a.weight(i)));
        in_b.for_each(|i| g.add(b.group(i), b.weight(i)));
        previous = value;
    });
    WithoutGroups { wasserstein: distances, energy_distance: squares.map(|square| (2.0 * square).sqrt()) }
}

/// Running distribution functions of a sample without each of the groups.
struct Replicates {
    sum: f64,
    of_group: [f64; GROUPS],
    scale: [f64; GROUPS],
}

impl Replicates {
    fn new(sample: &Ordered) -> Self {
        let mut in_group = [0.0; GROUPS];
        (0..sample.values().len()).for_each(|i| in_group[sample.group(i)] += sample.weight(i));
        let total: f64 = in_group.iter().sum();
        let scale = in_group.map(|weight| if total > weight { 1.0 / (total - weight) } else { 0.0 });
        Self { sum: 0.0, of_group: [0.0; GROUPS], scale }
    }

    fn add(&mut self, group: usize, weight: f64) {
        self.sum += weight;
        self.of_group[group] += weight;
    }

    fn without(&self, group: usize) -> f64 {
        (self.sum - self.of_group[group]) * self.scale[group]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gaussian, ordered, weighted};

    #[test]
    fn identical_samples_have_no_distance() {
        let a = ordered(vec![3.0, 1.0, 1.0, -2.0, 0.0, -0.0]);
        assert_eq!(kolmogorov_smirnov(&a, &a), 0.0);
        assert_eq!(wasserstein(&a, &a), 0.0);
        assert_eq!(jackknife_error(&without_groups(&a, &a).wasserstein), 0.0);
    }

    #[test]
    fn weight_two_is_a_doubled_row() {
        let other = ordered(vec![0.3, 0.9, 2.0, 2.1, 2.1]);
        let doubled = ordered(vec![0.1, 0.1, 0.5, 2.0]);
        let grouping = Grouping::new(3, 1);
        let weight_two = Ordered::new(&weighted(vec![0.1, 0.5, 2.0], vec![2.0, 1.0, 1.0]), &grouping);
        assert!(
            (kolmogorov_smirnov(&doubled, &other) - kolmogorov_smirnov(&weight_two, &other)).abs() < 1e-15
        );
        assert!((wasserstein(&doubled, &other) - wasserstein(&weight_two, &other)).abs() < 1e-15);
    }

    #[test]
    fn shift_is_the_wasserstein_distance() {
        let shifted = ordered(vec![1.5, 2.5, 5.5, 7.5]);
        assert!((wasserstein(&ordered(vec![1.0, 2.0, 5.0, 7.0]), &shifted) - 0.5).abs() < 1e-12);
    }

    /// The jackknife error of the distance of two shifted Gaussians is the spread of that distance over samples:
    /// for a shift beyond the width it is the error of the difference of means, √(2/n).
    #[test]
    fn jackknife_error_is_the_error_of_the_shift() {
        let n = 4000;
        let (a, b) = (ordered(gaussian(n, 0.0, 1)), ordered(gaussian(n, 1.5, 2)));
        let (distance, error) = (wasserstein(&a, &b), jackknife_error(&without_groups(&a, &b).wasserstein));
        let expected = (2.0 / n as f64).sqrt();
        assert!((distance - 1.5).abs() < 4.0 * expected, "{distance}");
        assert!((0.5..1.7).contains(&(error / expected)), "{error} against {expected}");
    }
}
