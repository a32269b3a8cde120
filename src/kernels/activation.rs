//! Activations of hidden layers and their derivatives.

use pulp::{Simd, WithSimd};

use super::simd::{Lanes, with_lanes};

/// Nonlinearity between the layers of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// a(z) = max(z, 0)
    Relu,
    /// a(z) = z for z > 0, else `slope`·z with a slope in (0, 1)
    LeakyRelu(f32),
    /// a(z) = z/(1 + e^−z), also called swish
    Silu,
    /// a(z) = z·Φ(z), Φ the standard normal distribution function (Hendrycks & Gimpel 2016, arXiv:1606.08415)
    Gelu,
    /// a(z) = tanh z
    Tanh,
}

impl Activation {
    /// Whether a′(z) follows from a(z), so that no more than the output has to be kept for the backward pass.
    pub(super) fn output_gives_derivative(self) -> bool {
        !matches!(self, Self::Silu | Self::Gelu)
    }

    /// Replaces every z by a(z), and writes a′(z) to `derivatives` unless that is empty.
    pub(super) fn apply(self, z: &mut [f32], derivatives: &mut [f32]) {
        with_lanes(Apply { activation: self, z, derivatives });
    }

    /// Multiplies gradients by a′, given the outputs a or, where these do not suffice, the derivatives.
    pub(super) fn scale_by_derivative(self, gradients: &mut [f32], outputs: &[f32], derivatives: &[f32]) {
        let known = if self.output_gives_derivative() { outputs } else { derivatives };
        with_lanes(ScaleByDerivative { activation: self, gradients, known });
    }

    /// (a(z), a′(z))
    #[inline(always)]
    fn value_and_derivative<S: Simd>(self, z: Lanes<S>, zero: Lanes<S>) -> (Lanes<S>, Lanes<S>) {
        match self {
            // Written so that NaN stays NaN.
            Self::Relu => (z.less(0.0).select(zero, z), zero),
            Self::LeakyRelu(slope) => (z.less(0.0).select(z * slope, z), zero),
            Self::Tanh => (z.tanh(), zero),
            Self::Silu => {
                let sigmoid = z.sigmoid();
                let value = z * sigmoid;
                (value, sigmoid + value * (zero + 1.0 - sigmoid))
            }
            Self::Gelu => {
                let [distribution, density] = z.normal();
                (z * distribution, z.mul_add(density, distribution))
            }
        }
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, known: Lanes<S>, zero: Lanes<S>) -> Lanes<S> {
        let one = zero + 1.0;
        match self {
            Self::Relu => zero.greater_equal(known).select(zero, one),
            Self::LeakyRelu(slope) => zero.greater_equal(known).select(zero + slope, one),
            Self::Tanh => one - known * known,
            Self::Silu | Self::Gelu => known,
        }
    }
}

struct Apply<'a> {
    activation: Activation,
    z: &'a mut [f32],
    derivatives: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let zero = Lanes::splat(simd, 0.0);
        if self.derivatives.is_empty() {
            for z in self.z.chunks_exact_mut(S::F32_LANES) {
                self.activation.value_and_derivative(Lanes::load(simd, z), zero).0.store(z);
            }
        } else {
            let derivatives = self.derivatives.chunks_exact_mut(S::F32_LANES);
            for (z, derivative) in self.z.chunks_exact_mut(S::F32_LANES).zip(derivatives) {
                let (a, d) = self.activation.value_and_derivative(Lanes::load(simd, z), zero);
                a.store(z);
                d.store(derivative);
            }
        }
    }
}

struct ScaleByDerivative<'a> {
    activation: Activation,
    gradients: &'a mut [f32],
    known: &'a [f32],
}

impl WithSimd for ScaleByDerivative<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let zero = Lanes::splat(simd, 0.0);
        let known = self.known.chunks_exact(S::F32_LANES);
        for (g, known) in self.gradients.chunks_exact_mut(S::F32_LANES).zip(known) {
            let derivative = self.activation.derivative(Lanes::load(simd, known), zero);
            (Lanes::load(simd, g) * derivative).store(g);
        }
    }
}
