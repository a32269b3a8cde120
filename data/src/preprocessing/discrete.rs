//! Discrete values: categories and grids.

use ndarray::{Array1, Array2, Axis};
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use super::error::{Fault, StepError, ValueError};
use super::transform::{Transform, all_finite, check};

/// More categories than any particle or process label has; beyond, a column is continuous.
const MAX_CATEGORIES: usize = 256;

/// How far noise stays from the ends of a cell, as a part of the largest value: some roundings in single precision, which
/// must not carry a value into the next cell.
const MARGIN: f64 = 1.0 / (1 << 22) as f64;
/// Largest margin as a part of a cell, for values so large that single precision has no room for noise.
const MAX_MARGIN: f32 = 0.25;

/// How far from the grid, in units of its width, a value may be through rounding.
const GRID_TOLERANCE: f64 = 1e-3;

/// Category → unit vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneHot {
    /// Values of the training sample, increasing.
    categories: Vec<f32>,
}

impl OneHot {
    pub(super) fn fit(x: &Array2<f64>) -> Result<Self, StepError> {
        if x.ncols() != 1 {
            return Err(StepError::NotScalar { width: x.ncols() });
        }
        let mut categories: Vec<f32> = Vec::new();
        for value in x.iter().map(|&value| value as f32) {
            if let Err(place) = categories.binary_search_by(|known| known.total_cmp(&(value + 0.0))) {
                if categories.len() == MAX_CATEGORIES {
                    return Err(StepError::TooManyCategories { limit: MAX_CATEGORIES });
                }
                categories.insert(place, value + 0.0);
            }
        }
        Ok(Self { categories })
    }
}

impl Transform for OneHot {
    fn output_width(&self, input: usize) -> Option<usize> {
        let usable = input == 1 && !self.categories.is_empty() && all_finite(&self.categories);
        usable.then_some(self.categories.len())
    }

    fn forward(&self, x: Array2<f64>, _: &mut dyn RngCore) -> Result<Array2<f64>, Fault> {
        let mut result = Array2::zeros((x.nrows(), self.categories.len()));
        for (row, &value) in x.iter().enumerate() {
            let Some(hot) = self.categories.iter().position(|&known| known == value as f32) else {
                let error = ValueError::UnknownCategory { value, known: self.categories.clone() };
                return Err(Fault { row, component: 0, error });
            };
            result[[row, hot]] = 1.0;
        }
        Ok(result)
    }

    fn inverse(&self, z: Array2<f64>) -> Array2<f64> {
        let largest = z.map_axis(Axis(1), |row| {
            let hot = (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
            f64::from(self.categories[hot])
        });
        largest.insert_axis(Axis(1))
    }
}

/// x → x + width · U(m, 1 − m) for x = offset + k · width, with a margin m for rounding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dequantize {
    width: f32,
    offset: f32,
    /// The part of a cell that noise leaves out on either side.
    margin: f32,
}

impl Dequantize {
    pub(super) fn fit(width: f64, x: &Array2<f64>) -> Result<Self, StepError> {
        if !(width as f32).is_normal() || width < 0.0 {
            return Err(StepError::Parameter { name: "width", value: width, allowed: "positive and finite" });
        }
        let first = x.first().copied().unwrap_or(0.0);
        let remainder = first - (first / width).round() * width;
        let offset = if remainder.abs() > GRID_TOLERANCE * width { remainder } else { 0.0 };
        let largest = x.iter().fold(width, |largest, value| value.abs().max(largest));
        let margin = ((MARGIN * largest / width) as f32).min(MAX_MARGIN);
        Ok(Self { width: width as f32, offset: offset as f32, margin })
    }
}

impl Transform for Dequantize {
    fn output_width(&self, input: usize) -> Option<usize> {
        let usable = self.width.is_normal()
            && self.width > 0.0
            && self.offset.is_finite()
            && (0.0..=MAX_MARGIN).contains(&self.margin);
        usable.then_some(input)
    }

    fn forward(&self, mut x: Array2<f64>, rng: &mut dyn RngCore) -> Result<Array2<f64>, Fault> {
        let (width, offset) = (f64::from(self.width), f64::from(self.offset));
        let margin = f64::from(self.margin);
        let cell = |value: f64| (value - offset) / width;
        check(
            &x,
            |value| (cell(value) - cell(value).round()).abs() <= GRID_TOLERANCE,
            |value| ValueError::OffGrid { value, width, offset },
        )?;
        x.mapv_inplace(|value| offset + width * (cell(value).round() + rng.gen_range(margin..1.0 - margin)));
        Ok(x)
    }

    fn inverse(&self, mut z: Array2<f64>) -> Array2<f64> {
        let (width, offset) = (f64::from(self.width), f64::from(self.offset));
        z.mapv_inplace(|value| offset + ((value - offset) / width).floor() * width);
        z
    }

    /// P(cell) ≥ ∫ p dz over the part of the cell that noise reaches = its width times the mean of p there, and the log of a
    /// mean is no less than the mean of the log (Theis, van den Oord, Bethge 2016, arXiv:1511.01844).
    fn log_det(&self, x: &Array2<f64>, _: &Array2<f64>) -> Option<Array1<f64>> {
        let reached = f64::from(self.width) * (1.0 - 2.0 * f64::from(self.margin));
        Some(Array1::from_elem(x.nrows(), x.ncols() as f64 * reached.ln()))
    }
}
