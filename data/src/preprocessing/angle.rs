//! φ → (sin φ, cos φ): an angle without the jump at ±π.

use ndarray::{Array2, Axis, concatenate, s};
use rand::RngCore;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::transform::Transform;

/// Maps `[rows, w]` angles in rad to `[rows, 2w]`: all sines, then all cosines. The inverse φ = atan2(sin,
/// cos) lies in (−π, π] and does not need sin² + cos² = 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Angle {}

impl Transform for Angle {
    fn output_width(&self, input: usize) -> Option<usize> {
        input.checked_mul(2)
    }

    fn forward(&self, x: Array2<f64>, _: &mut dyn RngCore) -> Result<Array2<f64>, Fault> {
        let parts = [x.mapv(f64::sin), x.mapv(f64::cos)];
        Ok(concatenate(Axis(1), &parts.each_ref().map(Array2::view)).expect("both parts have the same rows"))
    }

    fn inverse(&self, z: Array2<f64>) -> Array2<f64> {
        let width = z.ncols() / 2;
        let mut angle = z.slice(s![.., ..width]).to_owned();
        angle.zip_mut_with(&z.slice(s![.., width..]), |sin, &cos| *sin = sin.atan2(cos));
        angle
    }
}
