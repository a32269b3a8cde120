//! Two features against each other: shares of the events in bins of a plane.

use crate::metrics::{PlaneContents, PlaneMetrics};
use crate::sample::{Feature, FeatureColumn};

/// Bins of each axis: as fine as some ten thousand events allow.
const BINS: usize = 60;
/// Share of the reference that may lie beyond each end of an axis, so that one outlier cannot set the range.
const TAIL: f64 = 0.0005;
/// Space on each side of that, where a candidate that reaches too far can be seen, as a fraction of the range.
const PADDING: f64 = 0.12;
/// Axes of one unit whose ranges differ by less than this factor get the same scale: a circle is then a circle.
const ALIKE: f64 = 1.5;

/// Both samples on bins that span the reference.
pub(crate) fn plane(reference: &[FeatureColumn; 2], candidate: &[FeatureColumn; 2]) -> PlaneMetrics {
    let [x, y] = reference;
    let (x_range, y_range) = alike([x, y].map(range), [&x.feature, &y.feature]);
    let (x_edges, y_edges) = (edges(x_range, x.feature.log_x), edges(y_range, y.feature.log_x));
    let contents = |columns| contents(columns, &x_edges, &y_edges);
    PlaneMetrics {
        x: x.feature.clone(),
        y: y.feature.clone(),
        reference: contents(reference),
        candidate: contents(candidate),
        x_edges,
        y_edges,
    }
}

/// The padded bulk of the values: their logarithms for a feature on a logarithmic axis.
fn range(column: &FeatureColumn) -> (f64, f64) {
    let log = column.feature.log_x;
    let mut values: Vec<f32> = column.values.iter().copied().filter(|value| !log || *value > 0.0).collect();
    values.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| {
        values.get((share * values.len() as f64) as usize).map_or(0.0, |value| f64::from(*value))
    };
    let scale = |value: f64| if log { value.ln() } else { value };
    let (low, high) = (scale(at(TAIL)), scale(at(1.0 - TAIL)));
    let padding = if high > low { PADDING * (high - low) } else { 0.5 * low.abs().max(1e-3) };
    (low - padding, high + padding)
}

/// Ranges of equal length where the features can be measured with one ruler.
fn alike([x, y]: [(f64, f64); 2], features: [&Feature; 2]) -> ((f64, f64), (f64, f64)) {
    let lengths = [x, y].map(|(low, high)| high - low);
    let (short, long) = (lengths[0].min(lengths[1]), lengths[0].max(lengths[1]));
    if features[0].unit != features[1].unit
        || features.iter().any(|feature| feature.log_x)
        || long > ALIKE * short
    {
        return (x, y);
    }
    let widened = |(low, high): (f64, f64)| (0.5 * (low + high - long), 0.5 * (low + high + long));
    (widened(x), widened(y))
}

fn edges((low, high): (f64, f64), log: bool) -> Vec<f64> {
    let edge = |index: usize| low + (high - low) * index as f64 / BINS as f64;
    (0..=BINS).map(|index| if log { edge(index).exp() } else { edge(index) }).collect()
}

fn contents([x, y]: &[FeatureColumn; 2], x_edges: &[f64], y_edges: &[f64]) -> PlaneContents {
    let bin = |edges: &[f64], value: f32| {
        let above = edges.partition_point(|edge| *edge <= f64::from(value));
        (1..edges.len()).contains(&above).then(|| above - 1)
    };
    let mut shares = vec![0.0; (x_edges.len() - 1) * (y_edges.len() - 1)];
    let (mut outside, mut all) = (0.0, 0.0);
    for event in 0..x.values.len() {
        let weight = x.weight(event);
        all += weight;
        match (bin(x_edges, x.values[event]), bin(y_edges, y.values[event])) {
            (Some(column), Some(row)) => shares[row * (x_edges.len() - 1) + column] += weight,
            _ => outside += weight,
        }
    }
    shares.iter_mut().for_each(|share| *share /= all);
    PlaneContents { shares, outside: outside / all }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{column, gaussian, weighted};

    #[test]
    fn every_event_is_in_its_bin_or_outside() {
        let reference = [column(gaussian(5000, 0.0, 1)), column(gaussian(5000, 3.0, 2))];
        let mut values = vec![0.0; 10];
        values[9] = 1e6;
        let candidate = [weighted(values, vec![2.0; 10]), weighted(vec![3.0; 10], vec![2.0; 10])];
        let found = plane(&reference, &candidate);
        for contents in [&found.reference, &found.candidate] {
            assert!((contents.shares.iter().sum::<f64>() + contents.outside - 1.0).abs() < 1e-12);
        }
        assert!((found.candidate.outside - 0.1).abs() < 1e-12 && found.reference.outside < 0.01);
        let (bin, _) =
            found.candidate.shares.iter().enumerate().find(|(_, share)| **share > 0.0).expect("a filled bin");
        let (row, column) = (bin / BINS, bin % BINS);
        assert!((found.x_edges[column]..found.x_edges[column + 1]).contains(&0.0));
        assert!((found.y_edges[row]..found.y_edges[row + 1]).contains(&3.0));
    }

    #[test]
    fn axes_of_similar_range_have_one_scale() {
        let length = |edges: &[f64]| edges[BINS] - edges[0];
        let wide = |factor: f32| gaussian(2000, 0.0, 3).iter().map(|value| factor * value).collect();
        let lengths = |factor: f32| {
            let columns = [column(gaussian(2000, 0.0, 1)), column(wide(factor))];
            let found = plane(&columns, &columns);
            length(&found.y_edges) / length(&found.x_edges)
        };
        assert!((lengths(1.3) - 1.0).abs() < 1e-12);
        assert!(lengths(20.0) > 15.0);
    }
}
