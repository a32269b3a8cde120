//! Layer normalisation (Ba, Kiros, Hinton 2016, arXiv:1607.06450) of blocks of rows: x̂ = (x − ⟨x⟩)/σ over the features
//! of a row, σ² = ⟨(x − ⟨x⟩)²⟩ + ε. Scale and shift belong to the linear layer that follows.
//!
//! Backward: ∂L/∂x = (g − ⟨g⟩ − x̂·⟨g·x̂⟩)/σ.

use pulp::{Simd, WithSimd};

use super::simd::{Lanes, with_lanes};

/// Keeps rows of equal features finite.
pub(super) const EPSILON: f32 = 1e-5;

/// Normalises values `[feature, row]` in place, and writes 1/σ of every row unless `inverse_sigma` is empty.
pub(super) fn normalise(values: &mut [f32], inverse_sigma: &mut [f32], stride: usize) {
    with_lanes(Normalise { values, inverse_sigma, stride });
}

/// Replaces the gradients of normalised values by those of the values.
pub(super) fn normalise_backward(
    gradients: &mut [f32],
    normalised: &[f32],
    inverse_sigma: &[f32],
    stride: usize,
) {
    with_lanes(NormaliseBackward { gradients, normalised, inverse_sigma, stride });
}

struct Normalise<'a> {
    values: &'a mut [f32],
    inverse_sigma: &'a mut [f32],
    stride: usize,
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let share = self.stride as f32 / self.values.len() as f32;
        for at in (0..self.stride).step_by(S::F32_LANES) {
            let mut mean = Lanes::splat(simd, 0.0);
            for values in self.values.chunks_exact(self.stride) {
                mean = mean + Lanes::load(simd, &values[at..]);
            }
            mean = mean * share;
            let mut variance = Lanes::splat(simd, 0.0);
            for values in self.values.chunks_exact_mut(self.stride) {
                let centred = Lanes::load(simd, &values[at..]) - mean;
                centred.store(&mut values[at..]);
                variance = centred.mul_add(centred, variance);
            }
            let inverse = Lanes::splat(simd, 1.0) / (variance * share + EPSILON).sqrt();
            for values in self.values.chunks_exact_mut(self.stride) {
                (Lanes::load(simd, &values[at..]) * inverse).store(&mut values[at..]);
            }
            if !self.inverse_sigma.is_empty() {
                inverse.store(&mut self.inverse_sigma[at..]);
            }
        }
    }
}

struct NormaliseBackward<'a> {
    gradients: &'a mut [f32],
    normalised: &'a [f32],
    inverse_sigma: &'a [f32],
    stride: usize,
}

impl WithSimd for NormaliseBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let share = self.stride as f32 / self.gradients.len() as f32;
        for at in (0..self.stride).step_by(S::F32_LANES) {
            let (mut mean, mut along) = (Lanes::splat(simd, 0.0), Lanes::splat(simd, 0.0));
            let features =
                self.gradients.chunks_exact(self.stride).zip(self.normalised.chunks_exact(self.stride));
            for (gradients, normalised) in features {
                let g = Lanes::load(simd, &gradients[at..]);
                mean = mean + g;
                along = g.mul_add(Lanes::load(simd, &normalised[at..]), along);
            }
            (mean, along) = (mean * share, along * share);
            let inverse = Lanes::load(simd, &self.inverse_sigma[at..]);
            let features =
                self.gradients.chunks_exact_mut(self.stride).zip(self.normalised.chunks_exact(self.stride));
            for (gradients, normalised) in features {
                let g = Lanes::load(simd, &gradients[at..]) - mean;
                let g = g - Lanes::load(simd, &normalised[at..]) * along;
                (g * inverse).store(&mut gradients[at..]);
            }
        }
    }
}
