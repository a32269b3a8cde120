//! Samples as Gaussians of their means and covariances, and the Fréchet distance of two of them,
//! ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2·√(Σ₁Σ₂)) (Dowson & Landau 1982, J. Multivar. Anal. 12, 450).

use linfa_linalg::LinalgError;
use linfa_linalg::eigh::{EigValshInto, Eigh};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};

/// Features of the sums of products that are worked out together.
const PANEL: usize = 48;

/// Sums over events, which mean and covariance follow from.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    number: f64,
    first: Array1<f64>,
    /// Σx·xᵀ on and below the diagonal.
    second: Array2<f64>,
}

impl Sums {
    pub(crate) fn zero(features: usize) -> Self {
        Self { number: 0.0, first: Array1::zeros(features), second: Array2::zeros((features, features)) }
    }

    /// Of events `[events, features]`.
    pub(crate) fn of(events: ArrayView2<'_, f64>) -> Self {
        let mut sums = Self::zero(events.ncols());
        sums.add(events, &Array1::ones(events.nrows()));
        sums
    }

    /// Of all events of several samples.
    pub(crate) fn total<'a>(mut parts: impl Iterator<Item = &'a Self>) -> Self {
        let start = parts.next().expect("a sample").clone();
        parts.fold(start, |mut total, part| {
            total.number += part.number;
            total.first += &part.first;
            total.second += &part.second;
            total
        })
    }

    /// Adds events `[events, features]` that count several times, each multiplied by the root of that number.
    pub(crate) fn add(&mut self, events: ArrayView2<'_, f64>, roots: &Array1<f64>) {
        self.number += roots.dot(roots);
        self.first += &roots.dot(&events);
        let features = self.first.len();
        for panel in (0..features).step_by(PANEL) {
            let end = (panel + PANEL).min(features);
            let (left, right) = (events.slice(s![.., panel..]), events.slice(s![.., panel..end]));
            general_mat_mul(1.0, &left.t(), &right, 1.0, &mut self.second.slice_mut(s![panel.., panel..end]));
        }
    }

    /// Their Gaussian; at least two events.
    pub(crate) fn gaussian(mut self) -> Gaussian {
        for row in 0..self.first.len() {
            for column in 0..row {
                self.second[[column, row]] = self.second[[row, column]];
            }
        }
        Gaussian::of_sums(self.number, &self.first, &self.second)
    }
}

/// Mean and covariance of a sample.
#[derive(Clone, Debug)]
pub(crate) struct Gaussian {
    mean: Array1<f64>,
    covariance: Array2<f64>,
}

impl Gaussian {
    /// Of `n` events, at least two, with the sum Σx and the sum of products Σx·xᵀ.
    fn of_sums(n: f64, sum: &Array1<f64>, products: &Array2<f64>) -> Self {
        let mean = sum / n;
        let column = mean.view().insert_axis(Axis(1));
        let covariance = (products - &(column.dot(&column.t()) * n)) / (n - 1.0);
        Self { mean, covariance }
    }

    /// The Fréchet distance.
    ///
    /// # Errors
    /// When the eigenvalues of a covariance cannot be found.
    pub(crate) fn frechet_distance(&self, other: &Self) -> Result<f64, LinalgError> {
        let (values, vectors) = self.covariance.eigh()?;
        // √Σ₁·Σ₂·√Σ₁ has the eigenvalues of Σ₁Σ₂, and is symmetric.
        let root = (&vectors * &values.mapv(|value| value.max(0.0).sqrt())).dot(&vectors.t());
        let product = root.dot(&other.covariance).dot(&root);
        let values = ((&product + &product.t()) * 0.5).eigvalsh_into()?;
        let overlap: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
        let shift = &self.mean - &other.mean;
        Ok(shift.dot(&shift) + self.covariance.diag().sum() + other.covariance.diag().sum() - 2.0 * overlap)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// What `validation/golden/frechet.py` found with scipy.
    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        a: Vec<Vec<f64>>,
        b: Vec<Vec<f64>>,
        frechet: f64,
    }

    fn once(events: &Array2<f64>) -> Gaussian {
        Sums::of(events.view()).gaussian()
    }

    /// More features than are worked out together, and events that count twice.
    #[test]
    fn sums_are_those_of_all_products() {
        let events = Array2::from_shape_fn((7, 2 * PANEL + 3), |(i, j)| ((i * j) as f64).sin());
        let times = Array1::from_iter((0..7).map(|i| f64::from(i % 2 + 1)));
        let roots = times.mapv(f64::sqrt);
        let mut sums = Sums::zero(events.ncols());
        let weighted = &events * &roots.view().insert_axis(Axis(1));
        sums.add(weighted.slice(s![..4, ..]), &roots.slice(s![..4]).to_owned());
        sums.add(weighted.slice(s![4.., ..]), &roots.slice(s![4..]).to_owned());
        let found = sums.gaussian();
        let products = events.t().dot(&(&events * &times.view().insert_axis(Axis(1))));
        let expected = Gaussian::of_sums(times.sum(), &times.dot(&events), &products);
        let largest = (&found.covariance - &expected.covariance).fold(0.0f64, |max, x| max.max(x.abs()));
        assert!(largest < 1e-12, "{largest}");
        assert!((&found.mean - &expected.mean).iter().all(|x| x.abs() < 1e-12));
    }

    #[test]
    fn the_frechet_distance_is_that_of_scipys_matrix_root() {
        let golden: Golden = serde_json::from_str(include_str!("../../golden/frechet.json"))
            .expect("frechet.py writes this form");
        for case in golden.cases {
            let matrix = |rows: &[Vec<f64>]| {
                Array2::from_shape_fn((rows.len(), rows[0].len()), |(event, feature)| rows[event][feature])
            };
            let (a, b) = (matrix(&case.a), matrix(&case.b));
            let sums = Gaussian::of_sums(a.nrows() as f64, &a.sum_axis(Axis(0)), &a.t().dot(&a));
            for first in [once(&a), sums] {
                let found = first.frechet_distance(&once(&b)).expect("finite");
                let close = (found - case.frechet).abs() < 1e-6 * case.frechet;
                assert!(close, "{}: {found} instead of {}", case.name, case.frechet);
            }
            let own = once(&a).frechet_distance(&once(&a)).expect("finite");
            assert!(own.abs() < 1e-6 * case.frechet, "{}: {own} from itself", case.name);
        }
    }
}
