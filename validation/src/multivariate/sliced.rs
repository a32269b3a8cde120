//! Sliced Wasserstein-1 distance: the mean Wasserstein-1 distance of the projections on random directions (Rabin et al. 2011, SSVM,
//! LNCS 6667, 435), in standard deviations of the reference.
//!
//! It has [`DIRECTIONS`] directions, the same for candidate and floor, and up to [`LARGEST`] events of each sample. The error is from
//! the jackknife over groups of events, the floor from disjoint halves of the reference as for single features: scaled to the sizes
//! compared, since between samples of one parent the distance shrinks as 1/√n.

use ndarray::{Array1, Array2};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use simile_data::random;

use super::Standardised;
use crate::compare::FLOOR_SPLITS;
use crate::metrics::DistanceMetrics;
use crate::sample::FeatureColumn;
use crate::statistics::{Grouping, Ordered, jackknife_error, reduced_size, wasserstein, without_groups};

/// Random directions: their mean is then good to some per cent for differences in a few features.
const DIRECTIONS: u64 = 100;
/// Events of each sample at most.
const LARGEST: usize = 50_000;

/// The distance of `[reference, candidate]`; `None` where a sample has not two events for every group.
pub(super) fn sliced_wasserstein(samples: &[Standardised<'_>; 2], seed: u64) -> Option<DistanceMetrics> {
    if samples.iter().any(|sample| sample.events() < 2 * Grouping::GROUPS) {
        return None;
    }
    let samples = [0, 1].map(|i| evenly(&samples[i]));
    let groupings = [0, 1].map(|i| Grouping::new(samples[i].nrows(), seed));
    let slices: Vec<Slice> = (0..DIRECTIONS)
        .into_par_iter()
        .map(|index| {
            let direction = direction(samples[0].ncols(), seed, index);
            let [a, b] = [0, 1].map(|i| project(&samples[i], &direction, &groupings[i]));
            Slice::of(&a, &b, seed)
        })
        .collect();
    let mean = |figure: &dyn Fn(&Slice) -> f64| slices.iter().map(figure).sum::<f64>() / slices.len() as f64;
    let without_groups = std::array::from_fn(|group| mean(&|slice| slice.without_groups[group]));
    let splits: [f64; FLOOR_SPLITS as usize] =
        std::array::from_fn(|split| mean(&|slice| slice.of_halves[split]));
    let floor = splits.iter().sum::<f64>() / splits.len() as f64;
    let variance =
        splits.iter().map(|split| (split - floor).powi(2)).sum::<f64>() / (splits.len() - 1) as f64;
    Some(DistanceMetrics {
        value: mean(&|slice| slice.distance),
        error: jackknife_error(&without_groups),
        floor,
        floor_error: (variance / splits.len() as f64).sqrt(),
    })
}

/// Some of the events, one in every equal part of the sample.
fn evenly(sample: &Standardised<'_>) -> Array2<f32> {
    let (events, used) = (sample.events(), sample.events().min(LARGEST));
    let rows: Vec<usize> = (0..used).map(|i| i * events / used).collect();
    sample.at(&rows)
}

/// A direction without preference, of unit length.
fn direction(features: usize, seed: u64, index: u64) -> Array1<f32> {
    let mut rng = random::stream(seed, "validation/directions", index);
    let components: Array1<f32> = Array1::from_shape_simple_fn(features, || StandardNormal.sample(&mut rng));
    let length = components.dot(&components).sqrt();
    components / length
}

fn project(sample: &Array2<f32>, direction: &Array1<f32>, grouping: &Grouping) -> Ordered {
    Ordered::new(&FeatureColumn::unnamed(sample.dot(direction).to_vec(), None), grouping)
}

/// Distances of one projection.
struct Slice {
    distance: f64,
    without_groups: [f64; Grouping::GROUPS],
    /// For every division of the reference, scaled to the sizes compared.
    of_halves: [f64; FLOOR_SPLITS as usize],
}

impl Slice {
    fn of(reference: &Ordered, candidate: &Ordered, seed: u64) -> Self {
        let size = |a: &Ordered, b: &Ordered| reduced_size(a.values().len() as f64, b.values().len() as f64);
        let of_halves = std::array::from_fn(|split| {
            let first = Grouping::halves(seed, split as u64);
            let (a, b) = (reference.filter(&first), reference.filter(&first.map(|kept| !kept)));
            wasserstein(&a, &b) * (size(&a, &b) / size(reference, candidate)).sqrt()
        });
        Self {
            distance: wasserstein(reference, candidate),
            without_groups: without_groups(reference, candidate).wasserstein,
            of_halves,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::testing::gaussian;

    /// What `validation/golden/neighbours.py` found with POT.
    #[derive(Deserialize)]
    struct Golden {
        sliced: Sliced,
    }

    #[derive(Deserialize)]
    struct Sliced {
        a: Vec<Vec<f32>>,
        b: Vec<Vec<f32>>,
        directions: Vec<Vec<f32>>,
        distance: f64,
    }

    fn matrix(rows: &[Vec<f32>]) -> Array2<f32> {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
    }

    #[test]
    fn slices_have_the_distances_of_pot() {
        let Golden { sliced } = serde_json::from_str(include_str!("../../golden/neighbours.json"))
            .expect("neighbours.py writes this form");
        let samples = [matrix(&sliced.a), matrix(&sliced.b)];
        let distances = sliced.directions.iter().map(|direction| {
            let direction = Array1::from(direction.clone());
            let [a, b] =
                [0, 1].map(|i| project(&samples[i], &direction, &Grouping::new(samples[i].nrows(), 1)));
            Slice::of(&a, &b, 1).distance
        });
        let found = distances.sum::<f64>() / sliced.directions.len() as f64;
        // Projections are rounded to f32.
        assert!((found / sliced.distance - 1.0).abs() < 1e-6, "{found} instead of {}", sliced.distance);
    }

    /// A shift by 2 in three dimensions has the mean projection 2·E|cos θ| = 1, known from 100 directions to 6%.
    #[test]
    fn a_shift_is_seen_in_its_mean_projection() {
        let normal = |events: usize, seed| {
            Array2::from_shape_vec((events, 3), gaussian(3 * events, 0.0, seed)).expect("three columns")
        };
        let mut shifted = normal(3000, 2);
        shifted.column_mut(1).mapv_inplace(|x| x + 2.0);
        let distance = |samples: [Array2<f32>; 2]| {
            sliced_wasserstein(&[0, 1].map(|i| Standardised::already(&samples[i])), 5)
        };
        let found = distance([normal(4000, 1), shifted]).expect("enough events");
        assert!((found.value - 1.0).abs() < 0.2, "{found:?}");
        // The error of the mean of the projected shift, with Gaussians of unit width.
        let expected = 0.5 * (1.0f64 / 4000.0 + 1.0 / 3000.0).sqrt();
        assert!((0.5..2.0).contains(&(found.error / expected)), "{found:?}");
        let same = distance([normal(4000, 1), normal(3000, 3)]).expect("enough events");
        assert_eq!(distance([normal(4000, 1), normal(39, 3)]), None);
        assert!(
            found.value > 20.0 * found.floor && (0.5..1.7).contains(&(same.value / same.floor)),
            "{same:?}"
        );
    }
}
