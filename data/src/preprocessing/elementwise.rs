//! Transforms of single numbers: logarithm, logit, standardisation.

use ndarray::{Array1, Array2, Axis};
use rand::RngCore;
use serde::{Deserialize, Serialize};

use super::error::{Fault, StepError, ValueError};
use super::transform::{Transform, all_finite, check};

/// With α = 0, the distance from the ends of the interval at which `logit` stops; ±27.6 in model space.
const LOGIT_EDGE: f64 = 1e-12;

/// Tolerates values that single precision pushed over the end of an interval, in units of its length.
const RANGE_TOLERANCE: f64 = 1e-6;

/// x → ln(x + offset).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    offset: f32,
}

impl Log {
    pub(super) fn new(offset: f64) -> Result<Self, StepError> {
        if !(offset as f32).is_finite() {
            return Err(StepError::Parameter { name: "offset", value: offset, allowed: "finite" });
        }
        Ok(Self { offset: offset as f32 })
    }
}

impl Transform for Log {
    fn output_width(&self, input: usize) -> Option<usize> {
        self.offset.is_finite().then_some(input)
    }

    fn forward(&self, mut x: Array2<f64>, _: &mut dyn RngCore) -> Result<Array2<f64>, Fault> {
        let offset = f64::from(self.offset);
        check(&x, |value| value + offset > 0.0, |value| ValueError::NotPositive { value, offset })?;
        x.mapv_inplace(|value| (value + offset).ln());
        Ok(x)
    }

    fn inverse(&self, mut z: Array2<f64>) -> Array2<f64> {
        let offset = f64::from(self.offset);
        z.mapv_inplace(|value| value.exp() - offset);
        z
    }

    fn log_det(&self, _: &Array2<f64>, z: &Array2<f64>) -> Option<Array1<f64>> {
        Some(-z.sum_axis(Axis(1)))
    }
}

/// x → logit(α + (1 − 2α) y) with y = (x − a)/(b − a).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Logit {
    alpha: f32,
    range: [f32; 2],
}

impl Logit {
    pub(super) fn new(alpha: f64, range: [f64; 2]) -> Result<Self, StepError> {
        if !(0.0..0.5).contains(&alpha) {
            return Err(StepError::Parameter {
                name: "alpha",
                value: alpha,
                allowed: "at least 0 and below 0.5",
            });
        }
        let logit = Self { alpha: alpha as f32, range: range.map(|end| end as f32) };
        if logit.output_width(1).is_none() {
            return Err(StepError::Range { range });
        }
        Ok(logit)
    }
}

impl Transform for Logit {
    fn output_width(&self, input: usize) -> Option<usize> {
        let usable =
            (0.0..0.5).contains(&self.alpha) && all_finite(&self.range) && self.range[0] < self.range[1];
        usable.then_some(input)
    }

    fn forward(&self, mut x: Array2<f64>, _: &mut dyn RngCore) -> Result<Array2<f64>, Fault> {
        let (alpha, range @ [begin, end]) = (f64::from(self.alpha), self.range.map(f64::from));
        let length = end - begin;
        let tolerance = RANGE_TOLERANCE * length;
        check(
            &x,
            |value| value >= begin - tolerance && value <= end + tolerance,
            |value| ValueError::OutsideRange { value, range },
        )?;
        x.mapv_inplace(|value| {
            let y =
                (alpha + (1.0 - 2.0 * alpha) * (value - begin) / length).clamp(LOGIT_EDGE, 1.0 - LOGIT_EDGE);
            (y / (1.0 - y)).ln()
        });
        Ok(x)
    }

    fn inverse(&self, mut z: Array2<f64>) -> Array2<f64> {
        let (alpha, [begin, end]) = (f64::from(self.alpha), self.range.map(f64::from));
        z.mapv_inplace(|value| {
            let y = 1.0 / (1.0 + (-value).exp());
            // Below the end, so that the cell of a grid whose last one ends there is found; single precision rounds to it.
            begin + (end - begin) * ((y - alpha) / (1.0 - 2.0 * alpha)).clamp(0.0, 1.0 - LOGIT_EDGE)
        });
        z
    }

    /// −ln y − ln(1 − y) = |z| + 2 ln(1 + e^−|z|) for y = 1/(1 + e^−z), and the constant slope of y.
    fn log_det(&self, _: &Array2<f64>, z: &Array2<f64>) -> Option<Array1<f64>> {
        let (alpha, [begin, end]) = (f64::from(self.alpha), self.range.map(f64::from));
        let slope = ((1.0 - 2.0 * alpha) / (end - begin)).ln();
        Some(z.mapv(|z| z.abs() + 2.0 * (-z.abs()).exp().ln_1p() + slope).sum_axis(Axis(1)))
    }
}

/// x → (x − mean)/σ by component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Standardize {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Standardize {
    pub(super) fn fit(x: &Array2<f64>) -> Self {
        let (mut mean, mut std) = (Vec::with_capacity(x.ncols()), Vec::with_capacity(x.ncols()));
        for column in x.axis_iter(Axis(1)) {
            let n = column.len() as f64;
            let centre = column.sum() / n;
            let variance = column.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / n;
            mean.push(centre as f32);
            std.push(scale(variance.sqrt(), centre));
        }
        Self { mean, std }
    }
}

/// σ, or 1 for a component that is constant up to rounding: there is nothing to scale, and the tiny σ of
/// rounding errors would blow up the first event that differs.
fn scale(std: f64, mean: f64) -> f32 {
    let std_f32 = std as f32;
    if std > f64::from(f32::EPSILON) * mean.abs() && std_f32.is_normal() { std_f32 } else { 1.0 }
}

impl Transform for Standardize {
    fn output_width(&self, input: usize) -> Option<usize> {
        let usable = self.mean.len() == input
            && self.std.len() == input
            && all_finite(&self.mean)
            && self.std.iter().all(|&std| std.is_finite() && std > 0.0);
        usable.then_some(input)
    }

    fn forward(&self, mut x: Array2<f64>, _: &mut dyn RngCore) -> Result<Array2<f64>, Fault> {
        for mut row in x.axis_iter_mut(Axis(0)) {
            for ((value, &mean), &std) in row.iter_mut().zip(&self.mean).zip(&self.std) {
                *value = (*value - f64::from(mean)) / f64::from(std);
            }
        }
        Ok(x)
    }

    fn inverse(&self, mut z: Array2<f64>) -> Array2<f64> {
        for mut row in z.axis_iter_mut(Axis(0)) {
            for ((value, &mean), &std) in row.iter_mut().zip(&self.mean).zip(&self.std) {
                *value = *value * f64::from(std) + f64::from(mean);
            }
        }
        z
    }

    fn log_det(&self, x: &Array2<f64>, _: &Array2<f64>) -> Option<Array1<f64>> {
        let log_det: f64 = self.std.iter().map(|&std| -f64::from(std).ln()).sum();
        Some(Array1::from_elem(x.nrows(), log_det))
    }
}
