//! Black-and-white images of grey ones: x → 1 with probability y = (x − a)/(b − a), else 0.
//!
//! Drawn afresh every time, this is the dynamic binarisation of Salakhutdinov & Murray 2008 ("On the quantitative analysis
//! of deep belief networks"), for which log-likelihoods of MNIST are quoted in nats. The inverse is a + (b − a)·z for the
//! probability z of white, or for what was drawn with it.

use ndarray::{Array1, Array2};
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use super::error::{Fault, StepError, ValueError};
use super::transform::{Transform, all_finite, check};

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Binarise {
    range: [f32; 2],
}

impl Binarise {
    pub(super) fn new(range: [f64; 2]) -> Result<Self, StepError> {
        let step = Self { range: range.map(|end| end as f32) };
        step.output_width(1).map(|_| step).ok_or(StepError::Range { range })
    }
}

impl Transform for Binarise {
    fn output_width(&self, input: usize) -> Option<usize> {
        (all_finite(&self.range) && self.range[0] < self.range[1]).then_some(input)
    }

    fn forward(&self, mut x: Array2<f64>, rng: &mut dyn RngCore) -> Result<Array2<f64>, Fault> {
        let range @ [begin, end] = self.range.map(f64::from);
        check(&x, |value| (begin..=end).contains(&value), |value| ValueError::OutsideRange { value, range })?;
        // Most pixels of a drawing are plain black or white, and need no random number.
        x.mapv_inplace(|value| match (value - begin) / (end - begin) {
            y if y == 0.0 || y == 1.0 => y,
            y => f64::from(rng.gen_bool(y)),
        });
        Ok(x)
    }

    fn inverse(&self, mut z: Array2<f64>) -> Array2<f64> {
        let [begin, end] = self.range.map(f64::from);
        z.mapv_inplace(|value| begin + (end - begin) * value.clamp(0.0, 1.0));
        z
    }

    /// A probability stays what it is.
    fn log_det(&self, x: &Array2<f64>, _: &Array2<f64>) -> Option<Array1<f64>> {
        Some(Array1::zeros(x.nrows()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn pixels_are_white_as_often_as_they_are_bright() {
        let x = Array2::from_shape_fn((20_000, 4), |(_, pixel)| [0.0, 51.0, 204.0, 255.0][pixel]);
        let step = Binarise::new([0.0, 255.0]).unwrap();
        let mut rng = random::stream(1, "test", 0);
        let z = step.forward(x.clone(), &mut rng).unwrap();
        assert!(z.iter().all(|&z| z == 0.0 || z == 1.0));
        for (pixel, expected) in [0.0, 0.2, 0.8, 1.0].into_iter().enumerate() {
            let found = z.column(pixel).sum() / 20_000.0;
            // Four standard errors of a mean of zeros and ones.
            let error = 4.0 * (expected * (1.0 - expected) / 20_000.0_f64).sqrt();
            assert!((found - expected).abs() <= error, "{found} instead of {expected}");
        }
        assert_ne!(z, step.forward(x, &mut rng).unwrap());
        let back = step.inverse(Array2::from_shape_vec((1, 4), vec![0.0, 0.2, 1.0, 7.0]).unwrap());
        assert_eq!(back.mapv(|x| x.round()).into_raw_vec_and_offset().0, [0.0, 51.0, 255.0, 255.0]);
    }

    #[test]
    fn other_values_and_ranges_are_refused() {
        let step = Binarise::new([0.0, 1.0]).unwrap();
        for value in [-0.1, 1.1, f64::NAN] {
            let x = Array2::from_elem((1, 1), value);
            let fault = step.forward(x, &mut random::stream(1, "test", 0)).unwrap_err();
            assert!(matches!(fault.error, ValueError::OutsideRange { .. }), "{value}");
        }
        for range in [[1.0, 1.0], [1.0, 0.0], [0.0, f64::INFINITY]] {
            assert_eq!(Binarise::new(range), Err(StepError::Range { range }));
        }
    }
}
