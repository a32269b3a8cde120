//! Removes the linear correlations between the components of a column.
//!
//! With the mean μ and the covariance Σ = L·Lᵀ of the training sample, L lower triangular (Cholesky), x → L⁻¹(x − μ) has zero mean, unit
//! widths and no correlations. Each component is what is left of it after linear regression on those before, so that a later
//! group of targets never enters an earlier one.

use ndarray::{Array1, Array2, Axis};
use rand::RngCore;
use serde::{Deserialize, Serialize};

use super::error::{Fault, StepError};
use super::transform::{Transform, all_finite};

/// Components are given this part of their own variance as noise in the fit, so that one that follows from the others is not divided by
/// zero.
const RIDGE: f64 = 1e-6;

/// More components would make a file of gigabytes.
const MOST_COMPONENTS: usize = 4096;

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whiten {
    mean: Vec<f32>,
    /// Row k of L, k + 1 numbers.
    rows: Vec<Vec<f32>>,
}

impl Whiten {
    pub(super) fn fit(x: &Array2<f64>) -> Result<Self, StepError> {
        let width = x.ncols();
        if width > MOST_COMPONENTS {
            let (value, allowed) = (width as f64, "a column of at most 4096 components in model space");
            return Err(StepError::Parameter { name: "whiten", value, allowed });
        }
        let n = x.nrows() as f64;
        let mean = x.sum_axis(Axis(0)) / n;
        let centred = x - &mean;
        let covariance = centred.t().dot(&centred) / n;
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(width);
        for k in 0..width {
            let mut row: Vec<f64> = Vec::with_capacity(k + 1);
            for j in 0..k {
                let known: f64 = row.iter().zip(&rows[j]).map(|(a, b)| a * b).sum();
                row.push((covariance[(k, j)] - known) / rows[j][j]);
            }
            let own = covariance[(k, k)];
            let explained: f64 = row.iter().map(|a| a * a).sum();
            let left = (own - explained).max(0.0) + RIDGE * own;
            row.push(if left > 0.0 { left.sqrt() } else { 1.0 });
            rows.push(row);
        }
        let rows = rows.into_iter().map(|row| row.into_iter().map(|a| a as f32).collect()).collect();
        Ok(Self { mean: mean.iter().map(|&m| m as f32).collect(), rows })
    }

    fn factor(&self) -> Array2<f64> {
        let width = self.rows.len();
        Array2::from_shape_fn((width, width), |(k, j)| self.rows[k].get(j).map_or(0.0, |&a| f64::from(a)))
    }

    fn mean(&self) -> Array1<f64> {
        self.mean.iter().map(|&m| f64::from(m)).collect()
    }
}

impl Transform for Whiten {
    fn output_width(&self, input: usize) -> Option<usize> {
        let triangular = self
            .rows
            .iter()
            .enumerate()
            .all(|(k, row)| row.len() == k + 1 && all_finite(row) && row[k] > 0.0);
        (self.mean.len() == input && self.rows.len() == input && all_finite(&self.mean) && triangular)
            .then_some(input)
    }

    fn forward(&self, mut x: Array2<f64>, _: &mut dyn RngCore) -> Result<Array2<f64>, Fault> {
        for mut event in x.outer_iter_mut() {
            for (k, (row, &mean)) in self.rows.iter().zip(&self.mean).enumerate() {
                let known: f64 = row[..k].iter().zip(&event).map(|(&a, w)| f64::from(a) * w).sum();
                event[k] = (event[k] - f64::from(mean) - known) / f64::from(row[k]);
            }
        }
        Ok(x)
    }

    fn inverse(&self, z: Array2<f64>) -> Array2<f64> {
        z.dot(&self.factor().t()) + self.mean()
    }

    fn log_det(&self, x: &Array2<f64>, _: &Array2<f64>) -> Option<Array1<f64>> {
        let log_det: f64 =
            self.rows.iter().filter_map(|row| row.last()).map(|&own| -f64::from(own).ln()).sum();
        Some(Array1::from_elem(x.nrows(), log_det))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use rand::Rng;

    /// Four components, of which the last follows from the first two.
    fn sample(events: usize) -> Array2<f64> {
        let mut rng = random::stream(1, "test", 0);
        let mut x = Array2::from_shape_simple_fn((events, 4), || rng.gen_range(-1.0..1.0));
        for mut event in x.outer_iter_mut() {
            event[1] += 3.0 * event[0] + 5.0;
            event[3] = event[0] - 2.0 * event[1];
        }
        x
    }

    #[test]
    fn components_are_uncorrelated_and_come_back() {
        let x = sample(4000);
        let step = Whiten::fit(&x).unwrap();
        assert_eq!((step.output_width(4), step.output_width(3)), (Some(4), None));
        let z = step.forward(x.clone(), &mut random::stream(2, "test", 0)).unwrap();
        let covariance = z.t().dot(&z) / 4000.0;
        for ((i, j), &found) in covariance.indexed_iter() {
            let expected = if i == j && i < 3 { 1.0 } else { 0.0 };
            assert!((found - expected).abs() < 5e-3, "{covariance}");
        }
        let back = step.inverse(z);
        assert!(back.iter().zip(&x).all(|(back, x)| (back - x).abs() < 1e-5 * x.abs().max(1.0)));
    }

    #[test]
    fn later_components_do_not_enter_earlier_ones() {
        let step = Whiten::fit(&sample(100)).unwrap();
        let mut x = sample(1);
        let mut rng = random::stream(2, "test", 0);
        let z = step.forward(x.clone(), &mut rng).unwrap();
        x[(0, 2)] += 1.0;
        let moved = step.forward(x, &mut rng).unwrap();
        assert!(z[(0, 0)] == moved[(0, 0)] && z[(0, 1)] == moved[(0, 1)] && z[(0, 2)] != moved[(0, 2)]);
    }
}
