//! Fréchet distance of images in the space of a classifier's features, as the FID of Heusel et al. 2017 (arXiv:1706.08500),
//! whose classifier is Inception; here it is one of the same data.
//!
//! The distance has a bias ∝ 1/n (Chong & Forsyth 2020, arXiv:1911.07023), so that value and floor are those of equal numbers
//! of images: halves of the reference against halves of the candidate, and against each other, mean over [`SPLITS`] divisions.
//! A half of the reference meets the half of the candidate that was not generated for its conditions, as it does in the
//! floor. Errors are from the jackknife over groups of images.

use linfa_linalg::LinalgError;
use ndarray::{Array2, Axis};
use rayon::prelude::*;

use super::random_rows;
use crate::metrics::DistanceMetrics;
use crate::multivariate::Sums;
use crate::statistics::{Grouping, jackknife_error};

/// Divisions into halves; more would repeat the same images.
const SPLITS: u64 = 5;
const GROUPS: usize = Grouping::GROUPS;

/// The distance of features `[images, features]`. Both samples need two images for every half of a group.
///
/// # Errors
/// When the eigenvalues of a covariance cannot be found.
pub(super) fn frechet(
    reference: &Array2<f32>,
    candidate: &Array2<f32>,
    seed: u64,
) -> Result<DistanceMetrics, LinalgError> {
    let images = reference.nrows().min(candidate.nrows());
    let [reference, candidate] = [reference, candidate].map(|sample| of_groups(sample, images, seed));
    let without: Vec<Option<usize>> = std::iter::once(None).chain((0..GROUPS).map(Some)).collect();
    let found: Result<Vec<[f64; 2]>, LinalgError> =
        without.into_par_iter().map(|without| distances(&reference, &candidate, without, seed)).collect();
    let found = found?;
    let errors = [0, 1].map(|figure| jackknife_error(&std::array::from_fn(|group| found[group + 1][figure])));
    Ok(DistanceMetrics { value: found[0][0], error: errors[0], floor: found[0][1], floor_error: errors[1] })
}

/// Value and floor, without the images of a group.
fn distances(
    reference: &[Sums],
    candidate: &[Sums],
    without: Option<usize>,
    seed: u64,
) -> Result<[f64; 2], LinalgError> {
    let (mut value, mut floor) = (0.0, 0.0);
    for split in 0..SPLITS {
        let first = Grouping::halves(seed, split);
        let half = |groups: &[Sums], side: bool| {
            let kept = groups
                .iter()
                .enumerate()
                .filter(|(group, _)| first[*group] == side && without != Some(*group));
            Sums::total(kept.map(|(_, sums)| sums)).gaussian()
        };
        let [truth, other_truth] = [true, false].map(|side| half(reference, side));
        value += 0.5 * truth.frechet_distance(&half(candidate, false))?;
        value += 0.5 * other_truth.frechet_distance(&half(candidate, true))?;
        floor += truth.frechet_distance(&other_truth)?;
    }
    Ok([value, floor].map(|sum| sum / SPLITS as f64))
}

/// Sums over each group of so many images of a sample.
fn of_groups(sample: &Array2<f32>, images: usize, seed: u64) -> Vec<Sums> {
    let (grouping, rows) = (Grouping::new(images, seed), random_rows(sample.nrows(), images, seed));
    let groups = (0..GROUPS).into_par_iter().map(|group| {
        let of_group = rows.iter().enumerate().filter(|(i, _)| usize::from(grouping.group(*i)) == group);
        let rows: Vec<usize> = of_group.map(|(_, row)| *row).collect();
        Sums::of(sample.select(Axis(0), &rows).mapv(f64::from).view())
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gaussian;

    fn sample(images: usize, shift: f32, seed: u64) -> Array2<f32> {
        let mut x =
            Array2::from_shape_vec((images, 5), gaussian(5 * images, 0.0, seed)).expect("five columns");
        x.column_mut(2).mapv_inplace(|value| value + shift);
        x
    }

    #[test]
    fn truth_against_truth_is_at_the_floor() {
        let found = frechet(&sample(3000, 0.0, 1), &sample(2000, 0.0, 2), 3).expect("finite");
        let excess = (found.value - found.floor).abs();
        assert!(excess < 4.0 * found.error.hypot(found.floor_error), "{found:?}");
        // Equal samples in halves that were not generated for the same conditions: no more alike than halves of one.
        let same = frechet(&sample(2000, 0.0, 1), &sample(2000, 0.0, 1), 3).expect("finite");
        assert!((same.value - same.floor).abs() < 1e-9, "{same:?}");
    }

    /// A file may be sorted by class: only the first half is shifted here.
    #[test]
    fn of_a_larger_sample_images_from_all_over_it_are_taken() {
        let sorted = ndarray::concatenate![Axis(0), sample(2000, 2.0, 1), sample(2000, 0.0, 2)];
        let mixed = ndarray::concatenate![Axis(0), sample(1000, 2.0, 3), sample(1000, 0.0, 4)];
        let found = frechet(&sorted, &mixed, 3).expect("finite");
        assert!((found.value - found.floor).abs() < 4.0 * found.error.hypot(found.floor_error), "{found:?}");
    }

    /// The distance is the square of the shift, whose error is 2·δ·√(2/n).
    #[test]
    fn a_shift_is_found_with_its_error() {
        let found = frechet(&sample(4000, 0.0, 1), &sample(4000, 0.5, 2), 3).expect("finite");
        assert!((found.value - found.floor - 0.25).abs() < 4.0 * found.error, "{found:?}");
        let expected = 2.0 * 0.5 * (2.0 / 4000.0f64).sqrt();
        assert!((0.5..2.0).contains(&(found.error / expected)), "{found:?} instead of {expected}");
    }
}
