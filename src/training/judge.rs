//! Distance between generated and validation events in model space, by which epochs of a model with an adversary are
//! compared: its loss says nothing about its result.
//!
//! The mean of Wasserstein-1 distances of one-dimensional projections (Rabin et al. 2012, "Wasserstein barycenter and its
//! application to texture mixing"): on every axis of the targets, which alone would not see correlations, and on as many
//! random directions of condition and target together, which alone would not see single axes.

use ndarray::{Array1, Array2, Axis, concatenate, s};
use rand::Rng;
use rand_distr::StandardNormal;
use simile_data::random;
use simile_validation::FeatureColumn;
use simile_validation::statistics::{Grouping, Ordered, wasserstein};

/// Fewest random directions.
const MIN_DIRECTIONS: usize = 64;

/// How generated events differ from real ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// Mean distance of the projections; 0 for equal samples.
    pub(super) distance: f64,
    /// Mean distance of two generated events, over that of two real ones: near 0 where the generator has collapsed.
    pub(super) diversity: f64,
}

/// Compares targets `[events, targets]` that belong to the same conditions `[events, conditions]`.
pub(super) fn compare(
    condition: &Array2<f32>,
    [real, generated]: [&Array2<f32>; 2],
    weight: Option<&[f32]>,
    seed: u64,
) -> Verdict {
    let grouping = Grouping::new(real.nrows(), seed);
    let distance = |a: Array1<f32>, b: Array1<f32>| {
        let column =
            |values: Array1<f32>| FeatureColumn::unnamed(values.to_vec(), weight.map(<[f32]>::to_vec));
        let [a, b] = [a, b].map(|values| Ordered::new(&column(values), &grouping));
        wasserstein(&a, &b)
    };
    let axes = real.axis_iter(Axis(1)).zip(generated.axis_iter(Axis(1)));
    let mut distances: Vec<f64> = axes.map(|(a, b)| distance(a.to_owned(), b.to_owned())).collect();
    let [real_joined, generated_joined] = [real, generated].map(|target| {
        concatenate(Axis(1), &[condition.view(), target.view()]).expect("as many conditions as targets")
    });
    let mut rng = random::stream(seed, "validation/directions", 0);
    for _ in 0..real.ncols().max(MIN_DIRECTIONS) {
        let direction = Array1::from_shape_fn(real_joined.ncols(), |_| rng.sample::<f32, _>(StandardNormal));
        let direction = &direction / direction.dot(&direction).sqrt();
        distances.push(distance(real_joined.dot(&direction), generated_joined.dot(&direction)));
    }
    Verdict {
        distance: distances.iter().sum::<f64>() / distances.len() as f64,
        diversity: spread(generated) / spread(real),
    }
}

/// Mean distance of events that are half a sample apart.
fn spread(events: &Array2<f32>) -> f64 {
    let half = events.nrows() / 2;
    let difference = &events.slice(s![..half, ..]) - &events.slice(s![half..2 * half, ..]);
    let distances = difference.map_axis(Axis(1), |row| f64::from(row.dot(&row)).sqrt());
    distances.mean().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(rows: usize, columns: usize, stage: u64) -> Array2<f32> {
        let mut rng = random::stream(3, "test/judge", stage);
        Array2::from_shape_fn([rows, columns], |_| rng.sample(StandardNormal))
    }

    #[test]
    fn equal_samples_have_no_distance() {
        let (condition, target) = (normal(200, 1, 0), normal(200, 3, 1));
        let verdict = compare(&condition, [&target, &target], None, 1);
        assert_eq!(verdict, Verdict { distance: 0.0, diversity: 1.0 });
    }

    /// A shift of every axis by d moves each axis by d, and a random direction by d·|Σ u|/√dim.
    #[test]
    fn a_shift_is_seen() {
        let (condition, target) = (normal(500, 1, 0), normal(500, 2, 1));
        let verdict = compare(&condition, [&target, &(&target + 0.3)], None, 1);
        assert!((0.15..0.3).contains(&verdict.distance), "{verdict:?}");
    }

    /// Targets that do not belong to their conditions have the right distribution on every axis.
    #[test]
    fn a_lost_condition_is_seen() {
        let condition = normal(4000, 1, 0);
        let real = &condition + &(0.1 * &normal(4000, 1, 1));
        let mut shuffled = real.clone();
        shuffled.invert_axis(Axis(0));
        let lost = compare(&condition, [&real, &shuffled], None, 1).distance;
        let kept =
            compare(&condition, [&real, &(&condition + &(0.1 * &normal(4000, 1, 2)))], None, 1).distance;
        assert!(lost > 5.0 * kept, "lost {lost}, kept {kept}");
    }

    #[test]
    fn a_collapsed_generator_has_no_diversity() {
        let (condition, target) = (normal(300, 1, 0), normal(300, 2, 1));
        let verdict = compare(&condition, [&target, &(0.01 * &target)], None, 1);
        assert!(verdict.diversity < 0.02, "{verdict:?}");
    }
}
