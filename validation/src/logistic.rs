//! A quick two-sample classifier: logistic regression that sees means and widths.
//!
//! The log-odds are `a + Σ b_k z_k + c_k z_k²` with `z = asinh(x)` of the standardised inputs: linear for typical
//! values, logarithmic in the tails, so that a rare large input cannot rule the fit.

use linfa::traits::Fit;
use linfa_logistic::LogisticRegression;
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

use crate::c2st::{ClassifierError, Labelled, Scorer, TwoSampleClassifier};

/// L2 penalty on the coefficients, in units of one event's loss.
const PENALTY: f64 = 1.0;
/// The gradient of the summed loss fluctuates by √events; a fit converged to a hundredth of that is exact enough.
const TOLERANCE: f64 = 0.01;

/// Logistic regression on the inputs and their squares (`linfa-logistic`, L-BFGS). It has no free choices, so the
/// validation part joins the training part.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogisticClassifier;

impl TwoSampleClassifier for LogisticClassifier {
    fn name(&self) -> &str {
        "quadratic logistic regression"
    }

    fn fit(
        &self,
        train: &Labelled<'_>,
        validation: &Labelled<'_>,
        _seed: u64,
    ) -> Result<Box<Scorer<'_>>, ClassifierError> {
        let x = concatenate![Axis(0), expand(train.x), expand(validation.x)];
        let y = concatenate![Axis(0), train.y, validation.y].mapv(|label| label > 0.5);
        let events = y.len() as f64;
        let model = LogisticRegression::default()
            .alpha(PENALTY)
            .gradient_tolerance(TOLERANCE * events.sqrt())
            .fit(&linfa::Dataset::new(x, y))?;
        let sign = if model.labels().pos.class { 1.0 } else { -1.0 };
        Ok(Box::new(move |x| (expand(x).dot(model.params()) * sign).to_vec()))
    }
}

/// `[z, z²]`, `[events, 2 inputs]`.
fn expand(x: ArrayView2<'_, f32>) -> Array2<f64> {
    let inputs = x.ncols();
    let mut expanded = Array2::zeros((x.nrows(), 2 * inputs));
    let z = x.mapv(|value| f64::from(value).asinh());
    expanded.slice_mut(s![.., inputs..]).assign(&z.mapv(|z| z * z));
    expanded.slice_mut(s![.., ..inputs]).assign(&z);
    expanded
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use statrs::distribution::{ContinuousCDF, Normal};

    use super::*;
    use crate::c2st::{C2stOptions, c2st};
    use crate::testing::gaussian;

    fn matrix(events: usize, mean: f64, width: f32, seed: u64) -> Array2<f32> {
        let mut x =
            Array2::from_shape_vec((events, 3), gaussian(3 * events, 0.0, seed)).expect("three columns");
        x.column_mut(1).mapv_inplace(|value| value * width + mean as f32);
        x
    }

    fn test(reference: &Array2<f32>, candidate: &Array2<f32>) -> crate::metrics::C2stMetrics {
        let (reference, candidate) = (reference.view(), candidate.view());
        let options = C2stOptions::default();
        c2st("toy", reference, candidate, &LogisticClassifier, &options, 5, &|_| ())
            .expect("valid samples")
            .metrics
    }

    /// For Gaussians of unit width a distance δ apart the best classifier has AUC = Φ(δ/√2).
    #[test]
    fn shifted_gaussians_give_the_analytic_area() {
        for shift in [0.3, 1.0, 2.0] {
            let found = test(&matrix(6000, 0.0, 1.0, 1), &matrix(6000, shift, 1.0, 2));
            let expected = Normal::standard().cdf(shift / 2.0_f64.sqrt());
            assert!(
                (found.auc - expected).abs() < 3.0 * found.error,
                "{shift}: {found:?} instead of {expected}"
            );
            assert!(found.error < 0.02);
            let area: f64 =
                found.roc.windows(2).map(|p| (p[1][0] - p[0][0]) * (p[0][1] + p[1][1]) / 2.0).sum();
            assert!((area - found.auc).abs() < 5e-3, "{area}");
        }
    }

    /// For Gaussians of unit width a distance δ apart: log₂ density ratios δ·x/ln 2 from their middle, integrated numerically.
    #[test]
    fn divergence_and_weights_are_those_of_the_densities() {
        let shift = 0.8;
        let (reference, candidate) = (matrix(8000, 0.0, 1.0, 1), matrix(9000, shift, 1.0, 2));
        let options = C2stOptions::default();
        let found =
            c2st("toy", reference.view(), candidate.view(), &LogisticClassifier, &options, 5, &|_| ())
                .unwrap();
        let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let gain = |x: f64| density(x) * (1.0 - (1.0 + (shift * (x - 0.5 * shift)).exp()).log2());
        let expected: f64 = (-800..800).map(|i| 0.01 * gain(0.01 * f64::from(i))).sum();
        let divergence = found.metrics.jensen_shannon;
        assert!((divergence.value - expected).abs() < 3.0 * divergence.error, "{divergence:?}, {expected}");
        assert!(divergence.floor.abs() < 3.0 * divergence.floor_error, "{divergence:?}");
        // All are tested, those beyond the 8000 of the reference too; weighted, their mean is the reference's.
        let weights: Vec<f64> = found.weights.iter().map(|&w| f64::from(w)).collect();
        assert!(weights.len() == 9000 && weights.iter().all(|w| w.is_finite() && *w > 0.0));
        let sum: f64 = weights.iter().sum();
        let mean = weights.iter().zip(candidate.column(1)).map(|(w, &x)| w * f64::from(x)).sum::<f64>() / sum;
        assert!(mean.abs() < 0.06, "{mean} instead of 0, unweighted {shift}");
        assert!((sum / 9000.0 - 1.0).abs() < 0.1 && found.metrics.weights.effective < 0.9, "{sum}");
    }

    #[test]
    fn truth_against_truth_is_one_half_and_so_is_the_floor() {
        let found = test(&matrix(6000, 0.0, 1.0, 1), &matrix(6000, 0.0, 1.0, 2));
        assert!((found.auc - 0.5).abs() < 3.0 * found.error, "{found:?}");
        assert!((found.floor - 0.5).abs() < 3.0 * found.floor_error, "{found:?}");
        assert!(found.floor_error > found.error, "the floor has half the events");
    }

    #[test]
    fn sees_a_wrong_width_of_equal_mean() {
        let found = test(&matrix(4000, 0.0, 1.0, 1), &matrix(4000, 0.0, 1.5, 2));
        assert!(found.auc > 0.55 + 3.0 * found.error, "{found:?}");
    }

    #[test]
    fn same_seed_same_figures_and_unequal_samples() {
        let (reference, candidate) = (matrix(500, 0.0, 1.0, 1), matrix(300, 0.2, 1.0, 2));
        let found = test(&reference, &candidate);
        assert_eq!(found, test(&reference, &candidate));
        assert_eq!(found.events_per_class, 300);
    }

    #[test]
    fn constant_inputs_are_harmless() {
        let mut reference = matrix(200, 0.0, 1.0, 1);
        reference.column_mut(0).fill(7.0);
        let mut candidate = matrix(200, 0.0, 1.0, 2);
        candidate.column_mut(0).fill(7.0);
        assert!((test(&reference, &candidate).auc - 0.5).abs() < 0.25);
    }

    #[test]
    fn too_few_events_are_refused() {
        let (few, many) = (matrix(10, 0.0, 1.0, 1), matrix(100, 0.0, 1.0, 1));
        let refused =
            c2st("toy", few.view(), many.view(), &LogisticClassifier, &C2stOptions::default(), 1, &|_| ());
        assert!(refused.err().expect("10 events").to_string().contains("found 10 and 100"));
    }
}
