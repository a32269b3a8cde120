//! What all steps after reading have in common.
//!
//! Steps compute in `f64`, so that a chain of them loses nothing to rounding between its links; only model
//! space itself is `f32`. Fitted numbers are rounded to `f32` when they are fitted: nine digits, which every
//! JSON reader restores exactly.

use ndarray::{Array1, Array2};
use rand::RngCore;
use serde::{Deserialize, Serialize};

use super::angle::Angle;
use super::binarise::Binarise;
use super::config::Step;
use super::discrete::{Dequantize, OneHot};
use super::elementwise::{Log, Logit, Standardize};
use super::error::{Fault, StepError, ValueError};
use super::quantile::Quantile;
use super::whiten::Whiten;

/// A fitted, invertible map between `[rows, width]` matrices.
pub(super) trait Transform {
    /// Width of the result for `input` columns; `None` if the fitted parameters do not suit that many columns
    /// or make no sense, which only a damaged file can cause.
    fn output_width(&self, input: usize) -> Option<usize>;

    /// Towards model space. Draws noise, if any, from `rng`, row by row.
    fn forward(&self, x: Array2<f64>, rng: &mut dyn RngCore) -> Result<Array2<f64>, Fault>;

    /// Back to the column. Total: every finite model output means something.
    fn inverse(&self, z: Array2<f64>) -> Array2<f64>;

    /// ln|det ∂z/∂x| of every row, for z = forward(x): what has to be added to a log density of z to get that of x. For x
    /// on a grid, the log of the smallest probability of its cell that the density of z allows. `None` where z has no
    /// density that says one of x.
    fn log_det(&self, _x: &Array2<f64>, _z: &Array2<f64>) -> Option<Array1<f64>> {
        None
    }
}

/// The fitted form of every [`Step`] but `layer_energies` and `relative`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Fitted {
    Log(Log),
    Logit(Logit),
    Standardize(Standardize),
    Quantile(Quantile),
    Whiten(Whiten),
    Angle(Angle),
    OneHot(OneHot),
    Dequantize(Dequantize),
    Binarise(Binarise),
}

impl Fitted {
    /// Fits `step` on `x` `[rows, width]`, which has at least one row.
    pub(super) fn fit(step: &Step, x: &Array2<f64>) -> Result<Self, StepError> {
        Ok(match *step {
            Step::Log { offset } => Self::Log(Log::new(offset)?),
            Step::Logit { alpha, range } => Self::Logit(Logit::new(alpha, range)?),
            Step::Standardize {} => Self::Standardize(Standardize::fit(x)),
            Step::Quantile { knots } => Self::Quantile(Quantile::fit(knots, x)?),
            Step::Whiten {} => Self::Whiten(Whiten::fit(x)?),
            Step::Angle {} => Self::Angle(Angle {}),
            Step::OneHot {} => Self::OneHot(OneHot::fit(x)?),
            Step::Dequantize { width } => Self::Dequantize(Dequantize::fit(width, x)?),
            Step::Binarise { range } => Self::Binarise(Binarise::new(range)?),
            Step::LayerEnergies { .. } => return Err(StepError::NotFirst { kind: "layer_energies" }),
            Step::Relative { .. } => return Err(StepError::NotFirst { kind: "relative" }),
        })
    }

    fn transform(&self) -> &dyn Transform {
        match self {
            Self::Log(step) => step,
            Self::Logit(step) => step,
            Self::Standardize(step) => step,
            Self::Quantile(step) => step,
            Self::Whiten(step) => step,
            Self::Angle(step) => step,
            Self::OneHot(step) => step,
            Self::Dequantize(step) => step,
            Self::Binarise(step) => step,
        }
    }
}

impl Transform for Fitted {
    fn output_width(&self, input: usize) -> Option<usize> {
        self.transform().output_width(input)
    }

    fn forward(&self, x: Array2<f64>, rng: &mut dyn RngCore) -> Result<Array2<f64>, Fault> {
        self.transform().forward(x, rng)
    }

    fn inverse(&self, z: Array2<f64>) -> Array2<f64> {
        self.transform().inverse(z)
    }

    fn log_det(&self, x: &Array2<f64>, z: &Array2<f64>) -> Option<Array1<f64>> {
        self.transform().log_det(x, z)
    }
}

/// Finds the first value that is not `valid`.
pub(super) fn check(
    x: &Array2<f64>,
    valid: impl Fn(f64) -> bool,
    error: impl FnOnce(f64) -> ValueError,
) -> Result<(), Fault> {
    match x.indexed_iter().find(|&(_, &value)| !valid(value)) {
        None => Ok(()),
        Some(((row, component), &value)) => Err(Fault { row, component, error: error(value) }),
    }
}

/// Whether fitted numbers can be computed with.
pub(super) fn all_finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite())
}
