//! Samples as Gaussians of their means and covariances, and the Fréchet distance of two of them,
//! ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2·√(Σ₁Σ₂)) (Dowson & Landau 1982, J. Multivar. Anal. 12, 450).

use linfa_linalg::LinalgError;
use linfa_linalg::eigh::Eigh;
use ndarray::{Array1, Array2, Axis};

/// Mean and covariance of a sample.
#[derive(Clone, Debug)]
pub(crate) struct Gaussian {
    mean: Array1<f64>,
    covariance: Array2<f64>,
}

impl Gaussian {
    /// Of events `[events, features]` that count several `times`, at least two together; the covariance is the unbiased one.
    pub(crate) fn of(mut events: Array2<f64>, times: &Array1<f64>) -> Self {
        let n = times.sum();
        let mean = times.dot(&events) / n;
        events -= &mean;
        events *= &times.mapv(f64::sqrt).insert_axis(Axis(1));
        Self { covariance: events.t().dot(&events) / (n - 1.0), mean }
    }

    /// Of `n` events, at least two, with the sum Σx and the sum of products Σx·xᵀ.
    pub(crate) fn of_sums(n: f64, sum: &Array1<f64>, products: &Array2<f64>) -> Self {
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
        let (values, _) = ((&product + &product.t()) * 0.5).eigh()?;
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
            let once = |events: &Array2<f64>| Gaussian::of(events.clone(), &Array1::ones(events.nrows()));
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
