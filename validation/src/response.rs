//! Response (visible over incident energy) and its resolution in bins of incident energy.

use crate::metrics::{Estimate, ResponseBin, ResponseMetrics, ResponsePoint};
use crate::sample::FeatureColumn;
use crate::statistics::moments;

/// Incident energy, response and weight of every event of a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseSample<'a> {
    /// Incident energies.
    pub(crate) incident: &'a [f32],
    /// Visible over incident energy.
    pub(crate) response: &'a [f32],
    /// Event weights; `None` for unit weights.
    pub(crate) weights: Option<&'a [f32]>,
}

/// Edges of `bins` bins that hold equal numbers of the given energies; fewer where energies repeat. There must be
/// an energy.
pub(crate) fn quantile_edges(energies: &[f32], bins: usize) -> Vec<f64> {
    let mut ascending = energies.to_vec();
    ascending.sort_by(f32::total_cmp);
    let last = ascending.len() - 1;
    let mut edges: Vec<f64> = (0..=bins).map(|i| f64::from(ascending[i * last / bins])).collect();
    edges.dedup();
    if edges.len() == 1 {
        // One energy only: a bin around it.
        return vec![0.999 * edges[0], 1.001 * edges[0]];
    }
    edges
}

/// Compares mean response and resolution between the ascending `edges`; the last bin includes its upper edge. A
/// bin counts when both samples have events in it. `None` when no bin does.
pub(crate) fn response_metrics(
    reference: ResponseSample<'_>,
    candidate: ResponseSample<'_>,
    edges: &[f64],
) -> Option<ResponseMetrics> {
    let last = edges.len().saturating_sub(2);
    let bins: Vec<ResponseBin> = edges
        .windows(2)
        .enumerate()
        .filter_map(|(i, pair)| bin(reference, candidate, [pair[0], pair[1]], i == last))
        .collect();
    let largest = |deviation: fn(&ResponseBin) -> Estimate| {
        let by_size = |a: &Estimate, b: &Estimate| a.value.abs().total_cmp(&b.value.abs());
        bins.iter().map(deviation).max_by(by_size)
    };
    let mean = largest(|bin| bin.mean_deviation)?;
    let resolution = largest(|bin| bin.resolution_deviation)?;
    Some(ResponseMetrics {
        bins,
        mean_deviation: mean.value.abs(),
        mean_deviation_error: mean.error,
        resolution_deviation: resolution.value.abs(),
        resolution_deviation_error: resolution.error,
    })
}

/// Relative difference of two values with errors. A reference of zero has no relative error.
fn deviation((candidate, candidate_error): (f64, f64), (reference, reference_error): (f64, f64)) -> Estimate {
    if reference == 0.0 {
        return Estimate { value: if candidate == 0.0 { 0.0 } else { 1.0 }, error: 0.0 };
    }
    let ratio = candidate / reference;
    let error = (candidate_error / reference).hypot(ratio * reference_error / reference);
    Estimate { value: ratio - 1.0, error }
}

fn bin(
    reference: ResponseSample<'_>,
    candidate: ResponseSample<'_>,
    [low, high]: [f64; 2],
    closed: bool,
) -> Option<ResponseBin> {
    let inside = |&energy: &f32| {
        let energy = f64::from(energy);
        energy >= low && (energy < high || closed && energy == high)
    };
    let (reference, energy_mean) = point(reference, inside)?;
    let (candidate, _) = point(candidate, inside)?;
    let mean = |point: &ResponsePoint| (point.mean, point.mean_error);
    let resolution = |point: &ResponsePoint| (point.resolution, point.resolution_error);
    Some(ResponseBin {
        energy_low: low,
        energy_high: high,
        energy_mean,
        mean_deviation: deviation(mean(&candidate), mean(&reference)),
        resolution_deviation: deviation(resolution(&candidate), resolution(&reference)),
        reference,
        candidate,
    })
}

/// Response of the events whose energy is `inside`, and their mean energy.
fn point(sample: ResponseSample<'_>, inside: impl Fn(&f32) -> bool) -> Option<(ResponsePoint, f64)> {
    let events: Vec<usize> = (0..sample.incident.len()).filter(|&i| inside(&sample.incident[i])).collect();
    let column = |values: &[f32]| {
        let selected = |numbers: &[f32]| events.iter().map(|&i| numbers[i]).collect();
        FeatureColumn::unnamed(selected(values), sample.weights.map(selected))
    };
    let found = moments(&column(sample.response));
    let resolution = if found.mean > 0.0 { found.std / found.mean } else { 0.0 };
    let resolution_error = if found.mean > 0.0 { found.std_error / found.mean } else { 0.0 };
    let point = ResponsePoint {
        events: events.len(),
        mean: found.mean,
        mean_error: found.mean_error,
        resolution,
        resolution_error,
    };
    (!events.is_empty()).then(|| (point, moments(&column(sample.incident)).mean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gaussian;

    #[test]
    fn finds_a_shifted_and_a_narrowed_bin() {
        let n = 20_000;
        let incident: Vec<f32> = (0..n).map(|i| 1.0 + (i % 2) as f32).collect();
        let sample = |scale: f32, width: f32, seed| -> Vec<f32> {
            let noise = gaussian(n, 0.0, seed);
            noise
                .iter()
                .enumerate()
                .map(|(i, x)| if i % 2 == 0 { 0.2 + 0.01 * x } else { scale + width * x })
                .collect()
        };
        let (truth, shifted) = (sample(0.2, 0.01, 1), sample(0.206, 0.0085, 2));
        let of = |response| ResponseSample { incident: &incident, response, weights: None };
        let found = response_metrics(of(&truth), of(&shifted), &[0.5, 1.5, 2.0]).expect("two bins");
        assert_eq!(found.bins.len(), 2);
        let [unchanged, changed] = [&found.bins[0], &found.bins[1]];
        assert_eq!(changed.candidate.events, n / 2);
        assert!((unchanged.candidate.mean - 0.2).abs() < 4.0 * unchanged.candidate.mean_error);
        assert!((changed.candidate.mean - 0.206).abs() < 4.0 * changed.candidate.mean_error);
        assert!(
            (changed.candidate.resolution - 0.0085 / 0.206).abs() < 4.0 * changed.candidate.resolution_error
        );
        let expected = changed.candidate.resolution / (n as f64).sqrt();
        assert!((changed.candidate.resolution_error / expected - 1.0).abs() < 0.1, "σ/√(2n) of n/2 events");
        assert!((found.mean_deviation - 0.03).abs() < 0.003, "{}", found.mean_deviation);
        assert_eq!(found.worst(|bin| bin.mean_deviation), Some(changed));
        assert_eq!(found.mean_deviation_error, changed.mean_deviation.error);
        assert!(changed.resolution_deviation.value < 0.0, "{:?}", changed.resolution_deviation);
        // Relative errors of the means are 0.05/√(n/2) and 0.041/√(n/2), of the widths 1/√n each.
        let expected = 1.03 * 0.05f64.hypot(0.0413) / (n as f64 / 2.0).sqrt();
        assert!((found.mean_deviation_error / expected - 1.0).abs() < 0.05, "{}", found.mean_deviation_error);
        let expected = (1.0 + changed.resolution_deviation.value) * (2.0 / n as f64).sqrt();
        let error = found.resolution_deviation_error;
        assert!((error / expected - 1.0).abs() < 0.1, "{error} {expected}");
        assert!((found.resolution_deviation - 0.175).abs() < 0.03, "{}", found.resolution_deviation);
    }

    #[test]
    fn a_reference_of_zero_has_a_finite_deviation() {
        assert_eq!(deviation((0.1, 0.01), (0.0, 0.0)), Estimate { value: 1.0, error: 0.0 });
        assert_eq!(deviation((0.0, 0.0), (0.0, 0.0)), Estimate::default());
        let gone = deviation((0.0, 0.01), (0.1, 0.01));
        assert!(gone.value == -1.0 && (gone.error - 0.1).abs() < 1e-12, "{gone:?}");
    }

    #[test]
    fn edges_hold_equal_numbers_and_repeat_no_energy() {
        let energies: Vec<f32> = (0..=100).map(|i| i as f32).collect();
        assert_eq!(quantile_edges(&energies, 5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(quantile_edges(&[1.0, 1.0, 1.0, 2.0, 2.0], 5), [1.0, 2.0]);
        let single = quantile_edges(&[50.0; 4], 5);
        assert!(single.len() == 2 && single[0] < 50.0 && single[1] > 50.0);
    }
}
