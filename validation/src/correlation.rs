//! Correlation matrices of two samples, and their distance: root mean square difference of the coefficients of all pairs.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;

use crate::compare::FLOOR_SPLITS;
use crate::metrics::{CorrelationMetrics, Floored};
use crate::sample::{FeatureColumn, Sample};
use crate::statistics::{Grouping, jackknife_error, reduced_size};

/// Features of a matrix that can still be read.
const MOST_SHOWN: usize = 48;
/// Events that are worked on together.
const BLOCK: usize = 4096;

/// Sums over the events of every group, from which the correlations of any of them follow.
pub(crate) struct Correlations {
    features: Vec<String>,
    groups: Vec<Sums>,
}

/// Sums of weights w, their squares, w·x and w·x·xᵀ, x the features in units near their width from near their mean.
#[derive(Clone)]
struct Sums {
    weight: f64,
    squares: f64,
    first: Array1<f64>,
    second: Array2<f64>,
}

impl Sums {
    fn zero(features: usize) -> Self {
        let (first, second) = (Array1::zeros(features), Array2::zeros((features, features)));
        Self { weight: 0.0, squares: 0.0, first, second }
    }

    fn add(&mut self, other: &Self) {
        self.weight += other.weight;
        self.squares += other.squares;
        self.first += &other.first;
        self.second += &other.second;
    }

    fn effective_events(&self) -> f64 {
        if self.squares > 0.0 { self.weight * self.weight / self.squares } else { 0.0 }
    }

    /// Coefficients; a constant feature has 0 with all others.
    fn correlation(&self) -> Array2<f64> {
        let mean = &self.first / self.weight;
        let covariance = |i: usize, j: usize| self.second[(i, j)] / self.weight - mean[i] * mean[j];
        let width: Vec<f64> = (0..mean.len()).map(|i| covariance(i, i).max(0.0).sqrt()).collect();
        Array2::from_shape_fn(self.second.raw_dim(), |(i, j)| {
            // Below the rounding of the sums, a feature is constant.
            if width[i].min(width[j]) > 1e-7 { covariance(i, j) / (width[i] * width[j]) } else { 0.0 }
        })
    }
}

impl Correlations {
    /// Of all features with one entry per event; `None` with fewer than two of them.
    pub(crate) fn of(sample: &Sample, grouping: &Grouping) -> Option<Self> {
        let columns: Vec<&FeatureColumn> = per_event(sample).collect();
        if columns.len() < 2 {
            return None;
        }
        let scales: Vec<[f64; 2]> = columns.par_iter().map(|column| mean_and_width(column)).collect();
        let mut events: Vec<Vec<u32>> = vec![Vec::new(); Grouping::GROUPS];
        (0..sample.events).for_each(|event| events[usize::from(grouping.group(event))].push(event as u32));
        let of_group = |events: &Vec<u32>| {
            let mut sums = Sums::zero(columns.len());
            events.chunks(BLOCK).for_each(|block| add_block(&mut sums, &columns, &scales, block));
            sums
        };
        let groups = events.par_iter().map(of_group).collect();
        Some(Self { features: columns.iter().map(|column| column.feature.label.clone()).collect(), groups })
    }

    fn sum(&self, keep: impl Fn(usize) -> bool) -> Sums {
        let mut sum = Sums::zero(self.features.len());
        self.groups.iter().enumerate().filter(|(g, _)| keep(*g)).for_each(|(_, group)| sum.add(group));
        sum
    }

    /// Distance of the coefficients of a candidate from these.
    pub(crate) fn distance(&self, candidate: &Self, seed: u64) -> Floored {
        let without = std::array::from_fn(|left| {
            let [a, b] = [self, candidate].map(|sample| sample.sum(|group| group != left));
            distance(&a.correlation(), &b.correlation())
        });
        let (reference, candidate) = (self.sum(|_| true), candidate.sum(|_| true));
        let value = distance(&reference.correlation(), &candidate.correlation());
        let size = reduced_size(reference.effective_events(), candidate.effective_events());
        let floor = (0..FLOOR_SPLITS).map(|split| {
            let first = Grouping::halves(seed, split);
            let (a, b) = (self.sum(|group| first[group]), self.sum(|group| !first[group]));
            // Differences of coefficients shrink as 1/√n.
            let shrink = reduced_size(a.effective_events(), b.effective_events()) / size;
            distance(&a.correlation(), &b.correlation()) * shrink.sqrt()
        });
        Floored { value, error: jackknife_error(&without), floor: floor.sum::<f64>() / FLOOR_SPLITS as f64 }
    }

    /// The coefficients of both, to be looked at; `None` with more features than [`MOST_SHOWN`].
    pub(crate) fn shown(&self, candidate: &Self) -> Option<CorrelationMetrics> {
        if self.features.len() > MOST_SHOWN {
            return None;
        }
        let rows = |sample: &Self| {
            let matrix = sample.sum(|_| true).correlation();
            matrix.outer_iter().map(|row| row.to_vec()).collect()
        };
        let features = self.features.clone();
        Some(CorrelationMetrics { features, reference: rows(self), candidate: rows(candidate) })
    }
}

fn per_event(sample: &Sample) -> impl Iterator<Item = &FeatureColumn> {
    sample.columns.iter().filter(|column| column.feature.per_event)
}

/// Without weights; 1 in place of the width of a constant.
fn mean_and_width(column: &FeatureColumn) -> [f64; 2] {
    let n = column.values.len().max(1) as f64;
    let values = || column.values.iter().map(|&value| f64::from(value));
    let mean = values().sum::<f64>() / n;
    let width = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    [mean, if width > 0.0 { width } else { 1.0 }]
}

fn add_block(sums: &mut Sums, columns: &[&FeatureColumn], scales: &[[f64; 2]], events: &[u32]) {
    let weights: Vec<f64> = events.iter().map(|&event| columns[0].weight(event as usize)).collect();
    let x = Array2::from_shape_fn((events.len(), columns.len()), |(row, k)| {
        let [mean, width] = scales[k];
        (f64::from(columns[k].values[events[row] as usize]) - mean) / width
    });
    let weighted = &x * &Array1::from(weights.clone()).insert_axis(Axis(1));
    sums.weight += weights.iter().sum::<f64>();
    sums.squares += weights.iter().map(|w| w * w).sum::<f64>();
    sums.first += &weighted.sum_axis(Axis(0));
    sums.second += &x.t().dot(&weighted);
}

/// Root mean square difference over the pairs above the diagonal.
fn distance(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let pairs = |matrix: ArrayView2<'_, f64>| -> Vec<f64> {
        matrix.indexed_iter().filter(|((i, j), _)| i < j).map(|(_, &value)| value).collect()
    };
    let (a, b) = (pairs(a.view()), pairs(b.view()));
    (a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{column, gaussian};

    /// Two features with correlation `rho`.
    fn sample(rho: f32, events: usize, seed: u64) -> Sample {
        let (x, noise) = (gaussian(events, 0.0, seed), gaussian(events, 5.0, seed + 1));
        let y = x.iter().zip(&noise).map(|(x, noise)| rho * x + (1.0 - rho * rho).sqrt() * noise).collect();
        Sample {
            label: String::new(),
            columns: vec![column(x), column(y)],
            events,
            sum_of_weights: events as f64,
        }
    }

    #[test]
    fn difference_of_coefficients_and_its_floor() {
        let (a, b) = (sample(0.5, 20_000, 1), sample(0.2, 20_000, 3));
        let [a, b] =
            [a, b].map(|sample| Correlations::of(&sample, &Grouping::new(20_000, 1)).expect("two features"));
        let found = a.distance(&b, 1);
        let shown = a.shown(&b).expect("few features");
        assert!((shown.reference[0][1] - 0.5).abs() < 0.02 && (shown.candidate[1][1] - 1.0).abs() < 1e-9);
        assert!((found.value - 0.3).abs() < 0.03, "{found:?}");
        // E|Δρ| = √(2/π) (1−ρ²) √(2/n) = 0.006
        assert!((0.002..0.012).contains(&found.floor), "{found:?}");
    }

    #[test]
    fn one_feature_has_no_correlation() {
        let mut single = sample(0.5, 100, 1);
        single.columns.truncate(1);
        assert!(Correlations::of(&single, &Grouping::new(100, 1)).is_none());
    }
}
