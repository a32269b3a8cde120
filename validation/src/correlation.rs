//! Distance of the correlation matrices of two samples: root mean square difference of the coefficients of all pairs.

use ndarray::{Array2, ArrayView2};

use crate::compare::FLOOR_SPLITS;
use crate::metrics::Floored;
use crate::sample::{FeatureColumn, Sample};
use crate::statistics::{Grouping, reduced_size};

/// Compares the correlations of all features with one entry per event. `None` with fewer than two of them.
pub(crate) fn correlation_distance(
    reference: &Sample,
    candidate: &Sample,
    grouping: &Grouping,
    seed: u64,
) -> Option<Floored> {
    let columns = |sample: &Sample| per_event(sample).count();
    if columns(reference) < 2 {
        return None;
    }
    let value = distance(&correlation(reference, |_| true).0, &correlation(candidate, |_| true).0);
    let size = reduced_size(effective_events(reference), effective_events(candidate));
    let floor = (0..FLOOR_SPLITS).map(|split| {
        let first = Grouping::halves(seed, split);
        let in_first = |event: usize| first[usize::from(grouping.group(event))];
        let ((a, size_a), (b, size_b)) =
            (correlation(reference, in_first), correlation(reference, |event| !in_first(event)));
        // Differences of coefficients shrink as 1/√n.
        distance(&a, &b) * (reduced_size(size_a, size_b) / size).sqrt()
    });
    Some(Floored { value, floor: floor.sum::<f64>() / FLOOR_SPLITS as f64 })
}

fn per_event(sample: &Sample) -> impl Iterator<Item = &FeatureColumn> {
    sample.columns.iter().filter(|column| column.feature.per_event)
}

fn effective_events(sample: &Sample) -> f64 {
    per_event(sample).next().map_or(0.0, |column| effective(column, |_| true))
}

fn effective(column: &FeatureColumn, keep: impl Fn(usize) -> bool) -> f64 {
    let weights = (0..column.values.len()).filter(|&i| keep(i)).map(|i| column.weight(i));
    let (sum, squares) = weights.fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

/// Weighted correlation matrix of the kept events and their effective number. A constant feature has coefficient 0
/// with all others.
fn correlation(sample: &Sample, keep: impl Fn(usize) -> bool) -> (Array2<f64>, f64) {
    let columns: Vec<&FeatureColumn> = per_event(sample).collect();
    let kept: Vec<usize> = (0..sample.events).filter(|&event| keep(event)).collect();
    let mut standardised = Array2::<f64>::zeros((kept.len(), columns.len()));
    for (column, mut target) in columns.iter().zip(standardised.columns_mut()) {
        let total: f64 = kept.iter().map(|&i| column.weight(i)).sum();
        let value = |i: usize| f64::from(column.values[i]);
        let mean = kept.iter().map(|&i| column.weight(i) * value(i)).sum::<f64>() / total;
        let squares: f64 = kept.iter().map(|&i| column.weight(i) * (value(i) - mean).powi(2)).sum();
        let scale = if squares > 0.0 { squares.sqrt().recip() } else { 0.0 };
        for (target, &i) in target.iter_mut().zip(&kept) {
            *target = (value(i) - mean) * scale;
        }
    }
    let weighted = match columns[0].weights {
        None => standardised.clone(),
        Some(_) => Array2::from_shape_fn(standardised.raw_dim(), |(row, k)| {
            columns[k].weight(kept[row]) * standardised[[row, k]]
        }),
    };
    (standardised.t().dot(&weighted), effective(columns[0], keep))
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
        let found = correlation_distance(&a, &b, &Grouping::new(20_000, 1), 1).expect("two features");
        assert!((found.value - 0.3).abs() < 0.03, "{found:?}");
        // E|Δρ| = √(2/π) (1−ρ²) √(2/n) = 0.006
        assert!((0.002..0.012).contains(&found.floor), "{found:?}");
    }

    #[test]
    fn one_feature_has_no_correlation() {
        let mut single = sample(0.5, 100, 1);
        single.columns.truncate(1);
        assert_eq!(correlation_distance(&single, &single, &Grouping::new(100, 1), 1), None);
    }
}
