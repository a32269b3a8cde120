//! Distances of whole events, each with the same figure for disjoint halves of the reference.

mod gaussian;
mod jetnet;
mod neighbours;
mod sliced;

use linfa_linalg::LinalgError;
use ndarray::{Array1, Array2, Axis};

pub(crate) use self::gaussian::Sums;
pub(crate) use self::neighbours::mean;
use crate::metrics::{DistanceMetrics, NeighbourMetrics};

/// Fewest events of which halves have covariances of two sizes.
pub(crate) const MIN_EVENTS: usize = 6;

/// All figures of whole events.
pub(crate) struct Distances {
    pub(crate) fpd: DistanceMetrics,
    pub(crate) kpd: DistanceMetrics,
    pub(crate) neighbours: Option<NeighbourMetrics>,
    pub(crate) mmd: Option<DistanceMetrics>,
    pub(crate) sliced_wasserstein: Option<DistanceMetrics>,
}

/// Distances of the features of two samples `[events, features]`. Both need [`MIN_EVENTS`].
///
/// # Errors
/// When the eigenvalues of a covariance cannot be found.
pub(crate) fn distances(
    reference: &Array2<f32>,
    candidate: &Array2<f32>,
    seed: u64,
) -> Result<Distances, LinalgError> {
    let [fpd, kpd] = jetnet::fpd_and_kpd(reference, candidate, seed)?;
    let samples = Standardised::of(reference, candidate);
    let neighbourhoods = neighbours::neighbourhoods(&samples, seed);
    let (neighbours, mmd) = neighbourhoods.unzip();
    let sliced_wasserstein = sliced::sliced_wasserstein(&samples, seed);
    Ok(Distances { fpd, kpd, neighbours, mmd, sliced_wasserstein })
}

/// Precision, recall, density and coverage in features `[events, features]`, standardised by the reference; `None` with too few events.
pub(crate) fn neighbourhoods(
    reference: &Array2<f32>,
    candidate: &Array2<f32>,
    seed: u64,
) -> Option<NeighbourMetrics> {
    neighbours::neighbourhoods(&Standardised::of(reference, candidate), seed)
        .map(|(neighbours, _)| neighbours)
}

/// Features less their mean, in units of their standard deviation, both of the reference. Features that are constant there keep
/// their unit.
struct Standardised<'a> {
    sample: &'a Array2<f32>,
    mean: Array1<f64>,
    unit: Array1<f64>,
}

impl<'a> Standardised<'a> {
    /// Reference and candidate.
    fn of(reference: &'a Array2<f32>, candidate: &'a Array2<f32>) -> [Self; 2] {
        let n = reference.nrows() as f64;
        let sum = |feature: usize, term: &dyn Fn(f64) -> f64| {
            reference.column(feature).iter().map(|&x| term(f64::from(x))).sum::<f64>()
        };
        let features = reference.ncols();
        let mean = Array1::from_shape_fn(features, |feature| sum(feature, &|x| x) / n);
        let unit = Array1::from_shape_fn(features, |feature| {
            let variance = sum(feature, &|x| (x - mean[feature]).powi(2)) / n;
            if variance > 0.0 { variance.sqrt() } else { 1.0 }
        });
        [reference, candidate].map(|sample| Self { sample, mean: mean.clone(), unit: unit.clone() })
    }

    /// A sample whose features have mean 0 and width 1 already.
    #[cfg(test)]
    fn already(sample: &'a Array2<f32>) -> Self {
        Self { sample, mean: Array1::zeros(sample.ncols()), unit: Array1::ones(sample.ncols()) }
    }

    /// Number of events.
    fn events(&self) -> usize {
        self.sample.nrows()
    }

    /// Some of the events.
    fn at(&self, rows: &[usize]) -> Array2<f32> {
        let mut events = self.sample.select(Axis(0), rows);
        for mut event in events.rows_mut() {
            for ((x, mean), unit) in event.iter_mut().zip(&self.mean).zip(&self.unit) {
                *x = ((f64::from(*x) - mean) / unit) as f32;
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gaussian;

    /// Events of five modes on a ring beside a feature without structure; `modes` of them are drawn.
    fn ring(events: usize, modes: usize, seed: u64) -> Array2<f32> {
        let noise = gaussian(3 * events, 0.0, seed);
        Array2::from_shape_fn((events, 3), |(event, feature)| {
            let angle = std::f32::consts::TAU * (event % modes) as f32 / 5.0;
            let centre = [4.0 * angle.cos(), 4.0 * angle.sin(), 0.0][feature];
            centre + 0.3 * noise[3 * event + feature]
        })
    }

    fn excess(distance: DistanceMetrics) -> f64 {
        (distance.value - distance.floor) / distance.error.hypot(distance.floor_error).max(1e-12)
    }

    /// Figures of neighbours, the discrepancy and the sliced distance.
    fn judged(samples: [Array2<f32>; 2]) -> (NeighbourMetrics, DistanceMetrics, DistanceMetrics) {
        let samples = Standardised::of(&samples[0], &samples[1]);
        let (neighbours, mmd) = neighbours::neighbourhoods(&samples, 3).expect("enough events");
        (neighbours, mmd, sliced::sliced_wasserstein(&samples, 3).expect("enough events"))
    }

    #[test]
    fn a_dropped_mode_costs_recall_and_coverage_but_no_precision() {
        let (neighbours, mmd, sliced) = judged([ring(10_000, 5, 1), ring(10_000, 4, 2)]);
        for distance in [neighbours.recall, neighbours.coverage] {
            let lost = 1.0 - distance.value / distance.floor;
            assert!(excess(distance) < -5.0 && (lost - 0.2).abs() < 0.03, "{distance:?}");
        }
        assert!(excess(neighbours.precision).abs() < 4.0, "{:?}", neighbours.precision);
        for distance in [mmd, sliced] {
            assert!(excess(distance) > 5.0, "{distance:?}");
        }
    }

    #[test]
    fn events_between_the_modes_cost_precision_but_no_recall() {
        let mut blurred = ring(10_000, 5, 2);
        let background = gaussian(3 * 2000, 0.0, 7);
        for (mut event, values) in blurred.rows_mut().into_iter().zip(background.chunks(3)) {
            event.iter_mut().zip(values).for_each(|(x, value)| *x = 0.5 * value);
        }
        let (neighbours, ..) = judged([ring(10_000, 5, 1), blurred]);
        for distance in [neighbours.precision, neighbours.density] {
            assert!(excess(distance) < -5.0, "{distance:?}");
        }
        assert!(
            (neighbours.precision.value / neighbours.precision.floor - 0.8).abs() < 0.03,
            "{neighbours:?}"
        );
        assert!((neighbours.recall.value - neighbours.recall.floor).abs() < 0.03, "{neighbours:?}");
    }

    #[test]
    fn truth_against_truth_is_at_the_floor() {
        let (neighbours, mmd, sliced) = judged([ring(4000, 5, 1), ring(3000, 5, 2)]);
        let NeighbourMetrics { precision, recall, density, coverage, .. } = neighbours;
        for distance in [precision, recall, density, coverage, mmd] {
            assert!(excess(distance).abs() < 5.0, "{distance:?}");
        }
        assert!((0.5..2.0).contains(&(sliced.value / sliced.floor)), "{sliced:?}");
    }

    #[test]
    fn few_events_have_no_neighbourhoods() {
        let found = distances(&ring(100, 5, 1), &ring(100, 5, 2), 3).expect("finite");
        assert!(found.neighbours.is_none() && found.mmd.is_none() && found.sliced_wasserstein.is_some());
    }

    #[test]
    fn units_are_those_of_the_reference() {
        let reference = Array2::from_shape_vec((3, 2), vec![1.0, 7.0, 2.0, 7.0, 3.0, 7.0]).expect("3 × 2");
        let candidate = &reference * 2.0;
        let [_, found] = Standardised::of(&reference, &candidate);
        let found = found.at(&[0, 1, 2]);
        let unit = (2.0f32 / 3.0).sqrt();
        assert!((found[[0, 0]], found[[2, 1]]) == (0.0, 7.0) && (found[[2, 0]] - 4.0 / unit).abs() < 1e-6);
    }
}
