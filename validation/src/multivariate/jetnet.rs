//! The distances of the JetNet library (Kansal et al. 2023, arXiv:2211.10295): Fréchet physics distance, FPD, and kernel physics
//! distance, KPD.
//!
//! Features x of both samples `[events, features]` are divided by the largest |x| of the reference. Then
//!
//! - FPD is the Fréchet distance ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2·√(Σ₁Σ₂)) of two Gaussians with the samples' means and covariances. It is
//!   biased by a term ∝ 1/n; the mean over [`BATCHES`] batches of n events, drawn with replacement, is fitted by a straight
//!   line in 1/n, with intercept and slope not negative, over [`SIZES`] values of n up to [`LARGEST_BATCH`] or the size of the
//!   smaller sample; the intercept is the FPD. Chong & Forsyth 2020 (arXiv:1911.07023) do so with images.
//! - KPD is the median over batches of [`KERNEL_BATCH`] events of the squared maximum mean discrepancy with the kernel
//!   (x·y/d + 1)⁴, d the number of features, estimated without the diagonals; its error half the distance of the quantiles
//!   at ±1 σ.
//!
//! With 50,000 events in each sample or more all sizes are JetNet's; with fewer, batches shrink with the samples. JetNet's fit
//! (`scipy.optimize.curve_fit` with bounds) stops short of the minimum, by up to some of its own errors; here it is exact.

use std::ops::Range;

use linfa_linalg::LinalgError;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use simile_data::random;

use super::gaussian::{Gaussian, Sums};
use crate::metrics::{DistanceMetrics, Estimate};
use crate::statistics::{quantile, reduced_size};

/// Numbers of events that the FPD is measured with.
const SIZES: usize = 10;
/// The smallest of them, in units of the largest.
const SMALLEST_BATCH: f64 = 0.4;
/// The largest of them.
const LARGEST_BATCH: usize = 50_000;
/// Batches of every size.
const BATCHES: usize = 20;
/// Events in a batch of the KPD.
const KERNEL_BATCH: usize = 5_000;
/// Batches of the KPD.
const KERNEL_BATCHES: u64 = 10;
/// Quantiles at ±1 σ, as JetNet rounds them.
const ONE_SIGMA: [f64; 2] = [0.16275, 0.83725];
/// Rows that are worked on together.
const ROWS: usize = 512;

/// FPD and KPD of the features of two samples, with the same of disjoint halves of the reference. Both need
/// [`MIN_EVENTS`](super::MIN_EVENTS).
///
/// # Errors
/// When the eigenvalues of a covariance cannot be found.
pub(super) fn fpd_and_kpd(
    reference: &Array2<f32>,
    candidate: &Array2<f32>,
    seed: u64,
) -> Result<[DistanceMetrics; 2], LinalgError> {
    let (scale, centre) = scales(reference);
    let mut order: Vec<u32> = (0..reference.nrows() as u32).collect();
    order.shuffle(&mut random::stream(seed, "validation/halves", u64::MAX));
    let halves = order.split_at(order.len() / 2);
    let all = Events { values: reference, scale: &scale, centre: &centre, rows: None };
    let samples = [all, Events { values: candidate, ..all }];
    let halves = [halves.0, halves.1].map(|rows| Events { rows: Some(rows), ..all });
    let size = |[a, b]: &[Events<'_>; 2]| reduced_size(a.number() as f64, b.number() as f64);
    // Between samples of one parent both shrink as 1/n.
    let shrink = size(&halves) / size(&samples);
    let with_floor = |value: Estimate, floor: Estimate| DistanceMetrics {
        value: value.value,
        error: value.error,
        floor: floor.value * shrink,
        floor_error: floor.error * shrink,
    };
    Ok([
        with_floor(fpd(&samples, seed)?, fpd(&halves, seed)?),
        with_floor(kpd(&samples, seed), kpd(&halves, seed)),
    ])
}

/// Features of some events, in units of the largest of the reference.
#[derive(Clone, Copy)]
struct Events<'a> {
    values: &'a Array2<f32>,
    scale: &'a Array1<f64>,
    /// Near the mean, in that unit.
    centre: &'a Array1<f64>,
    /// All without.
    rows: Option<&'a [u32]>,
}

impl Events<'_> {
    fn number(&self) -> usize {
        self.rows.map_or(self.values.nrows(), <[u32]>::len)
    }

    /// Places of a number of events drawn with replacement.
    fn draw(&self, number: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
        (0..number).map(|_| rng.gen_range(0..self.number())).collect()
    }

    fn row(&self, place: usize) -> ArrayView1<'_, f32> {
        self.values.row(self.rows.map_or(place, |rows| rows[place] as usize))
    }

    /// Events at some places, `[events, features]`.
    fn at(&self, places: &[usize]) -> Array2<f64> {
        let mut events = Array2::zeros((places.len(), self.values.ncols()));
        for (mut event, &place) in events.rows_mut().into_iter().zip(places) {
            for ((to, &from), scale) in event.iter_mut().zip(self.row(place)).zip(self.scale) {
                *to = f64::from(from) / scale;
            }
        }
        events
    }

    /// Mean, less the centre, and covariance of events at some places, each of which counts several `times`.
    fn gaussian(&self, places: &[usize], times: &[f64]) -> Gaussian {
        let mut sums = Sums::zero(self.values.ncols());
        let mut block = Array2::zeros((ROWS, self.values.ncols()));
        let per_unit = self.scale.mapv(f64::recip);
        for (places, times) in places.chunks(ROWS).zip(times.chunks(ROWS)) {
            let roots: Array1<f64> = times.iter().map(|times| times.sqrt()).collect();
            for ((mut event, &place), root) in block.rows_mut().into_iter().zip(places).zip(&roots) {
                let units = per_unit.iter().zip(self.centre);
                for ((to, &from), (per_unit, centre)) in event.iter_mut().zip(self.row(place)).zip(units) {
                    *to = (f64::from(from) * per_unit - centre) * root;
                }
            }
            sums.add(block.slice(s![..places.len(), ..]), &roots);
        }
        sums.gaussian()
    }
}

/// Largest size of every feature, 1 for a feature that is always zero, and its mean in this unit.
fn scales(sample: &Array2<f32>) -> (Array1<f64>, Array1<f64>) {
    let scale = sample.map_axis(Axis(0), |feature| {
        let largest = feature.iter().fold(0.0f64, |max, &x| max.max(f64::from(x).abs()));
        if largest > 0.0 { largest } else { 1.0 }
    });
    let mean = sample.map_axis(Axis(0), |feature| {
        feature.iter().map(|&x| f64::from(x)).sum::<f64>() / feature.len() as f64
    });
    let centre = mean / &scale;
    (scale, centre)
}

fn fpd(samples: &[Events<'_>; 2], seed: u64) -> Result<Estimate, LinalgError> {
    let sizes = batch_sizes(samples[0].number().min(samples[1].number()));
    let tasks: Vec<usize> = sizes.iter().flat_map(|&size| [size; BATCHES]).collect();
    let distances = tasks.into_par_iter().enumerate().map(|(task, size)| {
        let mut rng = random::stream(seed, "validation/fpd", task as u64);
        let [a, b] = samples.map(|sample| {
            let (places, times) = counted(sample.draw(size, &mut rng));
            sample.gaussian(&places, &times)
        });
        a.frechet_distance(&b)
    });
    let distances: Vec<f64> = distances.collect::<Result<_, _>>()?;
    let means: Vec<f64> =
        distances.chunks(BATCHES).map(|batches| batches.iter().sum::<f64>() / BATCHES as f64).collect();
    let inverse: Vec<f64> = sizes.iter().map(|&size| 1.0 / size as f64).collect();
    Ok(intercept(&inverse, &means))
}

/// Different places, and how many times each was drawn.
fn counted(mut drawn: Vec<usize>) -> (Vec<usize>, Vec<f64>) {
    drawn.sort_unstable();
    drawn.chunk_by(usize::eq).map(|same| (same[0], same.len() as f64)).unzip()
}

/// Numbers of events at regular distances of their inverses.
fn batch_sizes(events: usize) -> Vec<usize> {
    let largest = events.min(LARGEST_BATCH) as f64;
    let (first, last) = (1.0 / (SMALLEST_BATCH * largest), 1.0 / largest);
    let step = (last - first) / (SIZES - 1) as f64;
    let inverses = (0..SIZES - 1).map(|i| first + step * i as f64).chain([last]);
    // As JetNet does, down to the next integer, so that rounding may cost an event.
    inverses.map(|inverse| ((1.0 / inverse) as usize).max(2)).collect()
}

/// Intercept of the line a + b·x with a, b ≥ 0 and least squares, and its standard error from the residuals.
fn intercept(x: &[f64], y: &[f64]) -> Estimate {
    let n = x.len() as f64;
    let sum = |term: &dyn Fn(usize) -> f64| (0..x.len()).map(term).sum::<f64>();
    let (sx, sy) = (sum(&|i| x[i]), sum(&|i| y[i]));
    let (sxx, sxy) = (sum(&|i| x[i] * x[i]), sum(&|i| x[i] * y[i]));
    let determinant = n * sxx - sx * sx;
    let (mut a, mut b) = ((sxx * sy - sx * sxy) / determinant, (n * sxy - sx * sy) / determinant);
    if a < 0.0 {
        (a, b) = (0.0, (sxy / sxx).max(0.0));
    } else if b < 0.0 {
        (a, b) = ((sy / n).max(0.0), 0.0);
    }
    let residuals = sum(&|i| (y[i] - a - b * x[i]).powi(2));
    Estimate { value: a, error: (residuals / (n - 2.0) * sxx / determinant).sqrt() }
}

fn kpd(samples: &[Events<'_>; 2], seed: u64) -> Estimate {
    let size = samples[0].number().min(samples[1].number()).min(KERNEL_BATCH);
    let batches = (0..KERNEL_BATCHES).into_par_iter().map(|batch| {
        let mut rng = random::stream(seed, "validation/kpd", batch);
        let [a, b] = samples.map(|sample| sample.at(&sample.draw(size, &mut rng)));
        squared_discrepancy(&a, &b)
    });
    let mut values: Vec<f64> = batches.collect();
    values.sort_by(f64::total_cmp);
    let [low, high] = ONE_SIGMA.map(|probability| quantile(&values, probability));
    Estimate { value: quantile(&values, 0.5), error: 0.5 * (high - low) }
}

/// Unbiased estimate of the squared maximum mean discrepancy.
fn squared_discrepancy(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let own = |x: &Array2<f64>| {
        let n = x.nrows() as f64;
        let diagonal: f64 = x.rows().into_iter().map(|row| kernel(row.dot(&row), x.ncols())).sum();
        (own_kernel_sum(x) - diagonal) / (n * (n - 1.0))
    };
    own(a) + own(b) - 2.0 * kernel_sum(a, b) / (a.nrows() as f64 * b.nrows() as f64)
}

#[inline]
fn kernel(product: f64, features: usize) -> f64 {
    (product * (1.0 / features as f64) + 1.0).powi(4)
}

/// Σ k(x_i, y_j)
fn kernel_sum(x: &Array2<f64>, y: &Array2<f64>) -> f64 {
    blocks(x).map(|rows| block_sum(x.slice(s![rows, ..]), y.view())).sum()
}

/// Σ k(x_i, x_j), of which blocks off the diagonal stand twice.
fn own_kernel_sum(x: &Array2<f64>) -> f64 {
    let sums = blocks(x).map(|rows| {
        let (block, later) = (x.slice(s![rows.clone(), ..]), x.slice(s![rows.end.., ..]));
        block_sum(block, block) + 2.0 * block_sum(block, later)
    });
    sums.sum()
}

fn blocks(x: &Array2<f64>) -> impl Iterator<Item = Range<usize>> {
    let events = x.nrows();
    (0..events).step_by(ROWS).map(move |first| first..(first + ROWS).min(events))
}

fn block_sum(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>) -> f64 {
    /// Independent sums, which need not wait for each other.
    const SUMS: usize = 8;
    let (products, features) = (x.dot(&y.t()), x.ncols());
    let mut sums = [0.0; SUMS];
    for products in products.as_slice_memory_order().expect("a new matrix").chunks(SUMS) {
        sums.iter_mut().zip(products).for_each(|(sum, &product)| *sum += kernel(product, features));
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::testing::gaussian;

    /// What `validation/golden/multivariate.py` found with JetNet's own functions.
    #[derive(Deserialize)]
    struct Golden {
        a: Vec<Vec<f64>>,
        b: Vec<Vec<f64>>,
        frechet: f64,
        squared_discrepancy: f64,
        fit: Fit,
        quantiles: Quantiles,
        shifted: Shifted,
    }

    #[derive(Deserialize)]
    struct Fit {
        sizes: Vec<usize>,
        lines: Vec<Line>,
    }

    #[derive(Deserialize)]
    struct Line {
        values: Vec<f64>,
        intercept: f64,
        error: f64,
    }

    #[derive(Deserialize)]
    struct Quantiles {
        values: Vec<f64>,
        median: f64,
        error: f64,
    }

    #[derive(Deserialize)]
    struct Shifted {
        shift: f64,
        fpd: [f64; 2],
        kpd: [f64; 2],
    }

    fn golden() -> Golden {
        serde_json::from_str(include_str!("../../golden/multivariate.json"))
            .expect("multivariate.py writes this form")
    }

    fn matrix(rows: &[Vec<f64>]) -> Array2<f64> {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
    }

    #[track_caller]
    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1e-9), "{found} instead of {expected}");
    }

    #[test]
    fn batches_and_their_distances_are_jetnets() {
        let golden = golden();
        assert_eq!(batch_sizes(50_000), golden.fit.sizes);
        let (a, b) = (matrix(&golden.a), matrix(&golden.b));
        close(squared_discrepancy(&a, &b), golden.squared_discrepancy);
        let [a, b] = [a, b].map(|sample| Sums::of(sample.view()).gaussian());
        close(a.frechet_distance(&b).unwrap(), golden.frechet);
    }

    #[test]
    fn fits_are_exact_and_quantiles_jetnets() {
        let Golden { fit, quantiles, .. } = golden();
        let inverse: Vec<f64> = fit.sizes.iter().map(|&size| 1.0 / size as f64).collect();
        for line in fit.lines {
            let found = intercept(&inverse, &line.values);
            close(found.value, line.intercept);
            close(found.error, line.error);
        }
        let mut values = quantiles.values;
        values.sort_by(f64::total_cmp);
        close(quantile(&values, 0.5), quantiles.median);
        close(0.5 * (quantile(&values, ONE_SIGMA[1]) - quantile(&values, ONE_SIGMA[0])), quantiles.error);
    }

    /// Two against zero in two dimensions: JetNet gives 8 and 624, divided by the largest of the reference 2 and 15.
    #[test]
    fn constants_have_the_distances_of_jetnet() {
        let (twos, zeros) = (Array2::from_elem((200, 2), 2.0f32), Array2::zeros((200, 2)));
        let [fpd_found, kpd_found] = fpd_and_kpd(&twos, &zeros, 1).unwrap();
        close(fpd_found.value, 2.0);
        close(kpd_found.value, 15.0);
        assert_eq!((fpd_found.floor, kpd_found.floor), (0.0, 0.0));
        let (scale, centre) = (Array1::ones(2), Array1::zeros(2));
        let raw = [&twos, &zeros];
        let raw = raw.map(|sample| Events { values: sample, scale: &scale, centre: &centre, rows: None });
        close(fpd(&raw, 1).unwrap().value, 8.0);
        close(kpd(&raw, 1).value, 624.0);
    }

    fn normal(events: usize, shift: f64, seed: u64) -> Array2<f32> {
        let mut x =
            Array2::from_shape_vec((events, 4), gaussian(4 * events, 0.0, seed)).expect("four columns");
        x.column_mut(0).mapv_inplace(|value| value + shift as f32);
        x
    }

    /// The same two parents as in Python, other events: within the errors of both.
    #[test]
    fn shifted_gaussians_agree_with_jetnet() {
        let Shifted { shift, fpd: expected_fpd, kpd: expected_kpd } = golden().shifted;
        let samples = [normal(50_000, 0.0, 1), normal(50_000, shift, 2)];
        let (scale, centre) = (Array1::ones(4), Array1::zeros(4));
        let samples =
            [0, 1].map(|i| Events { values: &samples[i], scale: &scale, centre: &centre, rows: None });
        let found = fpd(&samples, 3).unwrap();
        // The distance has the error of the shift, 2·δ·√(2/n), besides that of the fit.
        let sampling = 2.0 * shift * (2.0 / 50_000.0f64).sqrt() * std::f64::consts::SQRT_2;
        let error = found.error.hypot(expected_fpd[1]).hypot(sampling);
        assert!((found.value - expected_fpd[0]).abs() < 3.0 * error, "{found:?}, JetNet {expected_fpd:?}");
        let found = kpd(&samples, 3);
        let error = found.error.hypot(expected_kpd[1]);
        assert!((found.value - expected_kpd[0]).abs() < 3.0 * error, "{found:?}, JetNet {expected_kpd:?}");
    }

    #[test]
    fn truth_against_truth_is_at_the_floor() {
        let [fpd, kpd] = fpd_and_kpd(&normal(4000, 0.0, 1), &normal(4000, 0.0, 2), 5).unwrap();
        for found in [fpd, kpd] {
            let excess = found.value - found.floor;
            assert!(
                excess.abs() < 4.0 * found.error.hypot(found.floor_error) + found.floor.abs(),
                "{found:?}"
            );
        }
        let [fpd, kpd] = fpd_and_kpd(&normal(4000, 0.0, 1), &normal(4000, 0.3, 2), 5).unwrap();
        assert!(fpd.value > 5.0 * fpd.floor && kpd.value > 5.0 * kpd.floor, "{fpd:?} {kpd:?}");
    }
}
