//! The statistics against scipy; `validation/golden/golden.py` made the numbers.

use serde::Deserialize;

use super::*;
use crate::binning::Binning;
use crate::histogram::{Content, Histogram};
use crate::sample::FeatureColumn;
use crate::testing::{column, weighted};

#[derive(Deserialize)]
struct Golden {
    samples: Vec<SampleCase>,
    kolmogorov: Vec<[f64; 2]>,
    cramer_von_mises_sf: Vec<[f64; 2]>,
    anderson_darling_sf: Vec<[f64; 2]>,
    counts: Vec<CountsCase>,
    weighted_counts: Vec<WeightedCase>,
    auc: Vec<AucCase>,
    exact_ks: Vec<(usize, usize, f64, f64)>,
    poisson_intervals: Vec<[f64; 4]>,
}

#[derive(Deserialize)]
struct SampleCase {
    name: String,
    a: Vec<f32>,
    b: Vec<f32>,
    weights_a: Option<Vec<f32>>,
    weights_b: Option<Vec<f32>>,
    ks: f64,
    ks_p_exact: Option<f64>,
    wasserstein: f64,
    energy_distance: f64,
    anderson_darling: Option<f64>,
    cramer_von_mises: Option<f64>,
    cramer_von_mises_p: Option<f64>,
    mean_a: f64,
    std_a: f64,
    effective_a: f64,
}

#[derive(Deserialize)]
struct CountsCase {
    name: String,
    a: Vec<u32>,
    b: Vec<u32>,
    statistic: f64,
    ndf: usize,
    p_value: f64,
}

#[derive(Deserialize)]
struct WeightedCase {
    name: String,
    w1: Vec<f64>,
    s1: Vec<f64>,
    w2: Vec<f64>,
    s2: Vec<f64>,
    statistic: f64,
    ndf: usize,
    p_value: f64,
}

#[derive(Deserialize)]
struct AucCase {
    name: String,
    negative: Vec<f64>,
    positive: Vec<f64>,
    auc: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../golden/golden.json")).expect("golden.py writes this form")
}

#[track_caller]
fn close(name: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs().max(1e-12),
        "{name}: {found} instead of {expected}"
    );
}

fn make_column(values: Vec<f32>, weights: Option<Vec<f32>>) -> FeatureColumn {
    match weights {
        Some(weights) => weighted(values, weights),
        None => column(values),
    }
}

#[test]
fn distances_and_moments() {
    for case in golden().samples {
        let name = &case.name;
        let columns = (make_column(case.a, case.weights_a), make_column(case.b, case.weights_b));
        let order = |column: &FeatureColumn| Ordered::new(column, &Grouping::new(column.values.len(), 1));
        let (a, b) = (order(&columns.0), order(&columns.1));
        close(name, kolmogorov_smirnov(&a, &b), case.ks, 1e-12);
        close(name, wasserstein(&a, &b), case.wasserstein, 1e-12);
        close(name, wasserstein(&a, &b), case.wasserstein, 1e-12);
        let found = quadratic(&a, &b);
        close(name, found.energy_distance, case.energy_distance, 1e-12);
        if let Some(expected) = case.anderson_darling {
            close(name, found.anderson_darling, expected, 1e-12);
        }
        if let (Some(statistic), Some(p)) = (case.cramer_von_mises, case.cramer_von_mises_p) {
            close(name, found.cramer_von_mises, statistic, 1e-11);
            let sizes = (a.effective_entries(), b.effective_entries());
            // One less a sum near one, whose terms below 1e-7 scipy leaves out.
            let found = cramer_von_mises_p_value(found.cramer_von_mises, sizes.0, sizes.1);
            assert!((found - p).abs() < 1e-6 * p + 2e-9, "{name}: {found} instead of {p}");
        }
        close(name, a.effective_entries(), case.effective_a, 1e-12);
        let found = moments(&columns.0);
        close(name, found.mean, case.mean_a, 1e-12);
        close(name, found.std, case.std_a, 1e-12);
    }
}

/// The asymptotic p-value stands for the exact one, except that ties leave the latter undefined.
#[test]
fn ks_p_values_approach_the_exact_ones() {
    for case in golden().samples.iter().filter(|case| !case.name.contains("ties")) {
        let Some(exact) = case.ks_p_exact else { continue };
        let found = ks_p_value(case.ks, case.a.len() as f64, case.b.len() as f64);
        assert!((found - exact).abs() < 0.02, "{}: {found} instead of {exact}", case.name);
    }
}

#[test]
fn exact_ks_p_values() {
    // Relative however small they are.
    let close = |name: &str, found: f64, expected: f64| {
        assert!((found / expected - 1.0).abs() < 1e-9, "{name}: {found} instead of {expected}");
    };
    for case in golden().samples.iter().filter(|case| case.weights_a.is_none()) {
        let expected = case.ks_p_exact.expect("scipy's exact p-value");
        close(&case.name, ks_exact_p_value(case.ks, case.a.len(), case.b.len()), expected);
    }
    for (n, m, distance, expected) in golden().exact_ks {
        for (n, m) in [(n, m), (m, n)] {
            close(&format!("{n}, {m}, {distance}"), ks_exact_p_value(distance, n, m), expected);
        }
    }
}

#[test]
fn poisson_intervals() {
    for [sumw, sumw2, low, high] in golden().poisson_intervals {
        let found = poisson_interval(Content { sumw, sumw2 }, 1.0);
        close(&format!("{sumw}, {sumw2}"), found[0], low, 1e-9);
        close(&format!("{sumw}, {sumw2}"), found[1], high, 1e-9);
    }
}

#[test]
fn kolmogorov_distribution() {
    for [lambda, expected] in golden().kolmogorov {
        close(&format!("λ = {lambda}"), kolmogorov_sf(lambda), expected, 1e-10);
    }
}

#[test]
fn limits_of_the_quadratic_tests() {
    // Absolute where a probability is one less a sum near one.
    let check = |name: &str, found: f64, expected: f64| {
        assert!((found - expected).abs() < 1e-6 * expected + 1e-13, "{name}: {found} instead of {expected}");
    };
    for [x, expected] in golden().cramer_von_mises_sf {
        check(&format!("W² = {x}"), cramer_von_mises_sf(x), expected);
    }
    for [x, expected] in golden().anderson_darling_sf {
        check(&format!("A² = {x}"), anderson_darling_sf(x), expected);
    }
}

/// A histogram with given sums of weights and of squared weights: pairs of entries `w/n ± d`.
fn histogram(sumw: &[f64], sumw2: &[f64]) -> Histogram {
    let mut histogram = Histogram::new(Binning::linear(0.0, sumw.len() as f64, sumw.len()));
    for (bin, (w, s)) in sumw.iter().zip(sumw2).enumerate() {
        let pairs = (w * w / s / 2.0).ceil();
        let mean = w / (2.0 * pairs);
        let deviation = (s / (2.0 * pairs) - mean * mean).sqrt();
        for _ in 0..pairs as usize {
            histogram.fill(bin as f64 + 0.5, mean + deviation);
            histogram.fill(bin as f64 + 0.5, mean - deviation);
        }
    }
    histogram
}

#[test]
fn chi2_of_counts() {
    for case in golden().counts {
        let fill = |counts: &[u32]| {
            let mut histogram = Histogram::new(Binning::linear(0.0, counts.len() as f64, counts.len()));
            for (bin, &count) in counts.iter().enumerate() {
                (0..count).for_each(|_| histogram.fill(bin as f64 + 0.5, 1.0));
            }
            histogram
        };
        let found = chi2_homogeneity(&fill(&case.a), &fill(&case.b));
        close(&case.name, found.statistic, case.statistic, 1e-12);
        close(&case.name, found.p_value, case.p_value, 1e-9);
        assert_eq!(found.ndf, case.ndf, "{}", case.name);
    }
}

#[test]
fn chi2_of_weights() {
    for case in golden().weighted_counts {
        let found = chi2_homogeneity(&histogram(&case.w1, &case.s1), &histogram(&case.w2, &case.s2));
        close(&case.name, found.statistic, case.statistic, 1e-9);
        close(&case.name, found.p_value, case.p_value, 1e-8);
        assert_eq!(found.ndf, case.ndf, "{}", case.name);
    }
}

#[test]
fn area_under_the_roc_curve() {
    for case in golden().auc {
        close(&case.name, Auc::of(&case.negative, &case.positive).value, case.auc, 1e-12);
    }
}
