//! Samples for the unit tests.

use rand_distr::{Distribution, Normal};
use simile_data::random;

use crate::sample::{Feature, FeatureColumn};
use crate::statistics::{Grouping, Ordered, kolmogorov_sf};

pub(crate) fn feature(name: &str) -> Feature {
    Feature { name: name.into(), label: name.into(), unit: None, log_x: false, log_y: false, per_event: true }
}

pub(crate) fn column(values: Vec<f32>) -> FeatureColumn {
    FeatureColumn { feature: feature("x"), values, weights: None, events: None }
}

pub(crate) fn weighted(values: Vec<f32>, weights: Vec<f32>) -> FeatureColumn {
    FeatureColumn { weights: Some(weights), ..column(values) }
}

pub(crate) fn ordered(values: Vec<f32>) -> Ordered {
    let grouping = Grouping::new(values.len(), 1);
    Ordered::new(&column(values), &grouping)
}

/// `n` values of a Gaussian of unit width.
pub(crate) fn gaussian(n: usize, mean: f64, seed: u64) -> Vec<f32> {
    let normal = Normal::new(mean, 1.0).expect("a positive width");
    let mut rng = random::stream(seed, "validation/testing", 0);
    (0..n).map(|_| normal.sample(&mut rng) as f32).collect()
}

/// Probability that uniform p-values look less uniform than these: a KS test of p-values.
pub(crate) fn uniformity(mut p_values: Vec<f64>) -> f64 {
    p_values.sort_by(f64::total_cmp);
    let n = p_values.len() as f64;
    let distance = p_values.iter().enumerate().map(|(i, p)| (p - i as f64 / n).max((i + 1) as f64 / n - p));
    kolmogorov_sf(n.sqrt() * distance.fold(0.0, f64::max))
}
