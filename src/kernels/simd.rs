//! Vectors of `f32` as wide as the processor has them, with elementary functions, and the run-time choice of the
//! instruction set.

use std::ops::{Add, Div, Mul, Neg, Sub};
use std::sync::LazyLock;

use pulp::{Simd, WithSimd};

static ARCH: LazyLock<pulp::Arch> = LazyLock::new(pulp::Arch::new);

/// Runs `work`, compiled for the widest vector instructions of this processor. Closures given to it, and functions
/// called inside, must be `#[inline(always)]` to be compiled that way too; those of the standard library, such as `map`
/// of arrays, are not.
#[inline(always)]
pub(super) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    ARCH.dispatch(work)
}

/// The widest vector instructions of this processor, as `pulp` names them: `V4` has AVX-512, `V3` AVX2.
pub(super) fn instructions() -> String {
    format!("{:?}", *ARCH).chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// Runs `work` with the widest vectors of this processor.
pub(super) fn with_lanes<W: WithSimd>(work: W) -> W::Output {
    ARCH.dispatch(work)
}

/// The widest vectors of any processor: memory that is walked in [`Lanes`] is padded to a multiple of it.
pub(super) const MAX_LANES: usize = 16;

/// One value for each of `S::F32_LANES` rows.
#[derive(Clone, Copy)]
pub(super) struct Lanes<S: Simd> {
    simd: S,
    v: S::f32s,
}

/// What a comparison of [`Lanes`] gave.
#[derive(Clone, Copy)]
pub(super) struct Mask<S: Simd> {
    simd: S,
    m: S::m32s,
}

macro_rules! operator {
    ($trait:ident, $method:ident, $call:ident) => {
        impl<S: Simd> $trait for Lanes<S> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self { v: self.simd.$call(self.v, other.v), ..self }
            }
        }

        impl<S: Simd> $trait<f32> for Lanes<S> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: f32) -> Self {
                self.$method(Self::splat(self.simd, other))
            }
        }
    };
}

operator!(Add, add, add_f32s);
operator!(Sub, sub, sub_f32s);
operator!(Mul, mul, mul_f32s);
operator!(Div, div, div_f32s);

impl<S: Simd> Neg for Lanes<S> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self { v: self.simd.neg_f32s(self.v), ..self }
    }
}

impl<S: Simd> Lanes<S> {
    #[inline(always)]
    pub(super) fn splat(simd: S, value: f32) -> Self {
        Self { simd, v: simd.splat_f32s(value) }
    }

    /// The first values of a slice.
    #[inline(always)]
    pub(super) fn load(simd: S, values: &[f32]) -> Self {
        let values = &values[..S::F32_LANES];
        // SAFETY: the slice is as long as the vector, of which any bits are a value.
        Self { simd, v: unsafe { values.as_ptr().cast::<S::f32s>().read_unaligned() } }
    }

    #[inline(always)]
    pub(super) fn store(self, values: &mut [f32]) {
        let values = &mut values[..S::F32_LANES];
        // SAFETY: the slice is as long as the vector.
        unsafe { values.as_mut_ptr().cast::<S::f32s>().write_unaligned(self.v) }
    }

    #[inline(always)]
    fn constant(self, value: f32) -> Self {
        Self::splat(self.simd, value)
    }

    /// self·factor + term
    #[inline(always)]
    pub(super) fn mul_add(self, factor: Self, term: Self) -> Self {
        Self { v: self.simd.mul_add_e_f32s(self.v, factor.v, term.v), ..self }
    }

    /// Polynomial by Horner's rule, highest coefficient first.
    #[inline(always)]
    fn polynomial<const N: usize>(self, coefficients: [f32; N]) -> Self {
        let mut p = self.constant(coefficients[0]);
        for c in &coefficients[1..] {
            p = p.mul_add(self, self.constant(*c));
        }
        p
    }

    /// The larger value; which one where one is NaN depends on the machine.
    #[inline(always)]
    pub(super) fn max(self, other: Self) -> Self {
        Self { v: self.simd.max_f32s(self.v, other.v), ..self }
    }

    /// NaN stays NaN.
    #[inline(always)]
    pub(super) fn clamp(self, low: f32, high: f32) -> Self {
        let raised = self.less(low).select(self.constant(low), self);
        self.constant(high).less_than(raised).select(self.constant(high), raised)
    }

    #[inline(always)]
    pub(super) fn abs(self) -> Self {
        Self { v: self.simd.abs_f32s(self.v), ..self }
    }

    #[inline(always)]
    pub(super) fn sqrt(self) -> Self {
        Self { v: self.simd.sqrt_f32s(self.v), ..self }
    }

    #[inline(always)]
    pub(super) fn greater_equal(self, other: Self) -> Mask<S> {
        Mask { simd: self.simd, m: self.simd.greater_than_or_equal_f32s(self.v, other.v) }
    }

    #[inline(always)]
    fn less_than(self, other: Self) -> Mask<S> {
        Mask { simd: self.simd, m: self.simd.less_than_f32s(self.v, other.v) }
    }

    #[inline(always)]
    pub(super) fn less(self, other: f32) -> Mask<S> {
        self.less_than(self.constant(other))
    }

    #[inline(always)]
    fn equal(self, other: Self) -> Mask<S> {
        Mask { simd: self.simd, m: self.simd.equal_f32s(self.v, other.v) }
    }

    #[inline(always)]
    pub(super) fn is(self, other: f32) -> Mask<S> {
        self.equal(self.constant(other))
    }

    #[inline(always)]
    pub(super) fn sum(self) -> f32 {
        self.simd.reduce_sum_f32s(self.v)
    }

    /// e^x with a relative error below 3e-7; arguments are clamped to ±87. Cephes `expf` (Moshier 1992): reduction by
    /// ln 2 in two parts and a polynomial of degree 5.
    #[inline(always)]
    pub(super) fn exp(self) -> Self {
        // Adding 1.5·2²³ rounds to the nearest integer and leaves it in the lowest bits.
        const ROUND: f32 = 12_582_912.0;
        let x = self.clamp(-87.0, 87.0);
        let shifted = x.mul_add(self.constant(std::f32::consts::LOG2_E), self.constant(ROUND));
        let n = shifted - ROUND;
        let r = n.mul_add(self.constant(-0.693_359_4), x);
        let r = n.mul_add(self.constant(2.121_944_4e-4), r);
        let p = r.polynomial([1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5]);
        let simd = self.simd;
        let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted.v), simd.splat_u32s(23));
        let bits = simd.add_u32s(exponent, simd.splat_u32s(1.0f32.to_bits()));
        let two_to_n = Self { v: simd.transmute_f32s_u32s(bits), ..self };
        two_to_n * p.mul_add(r * r, r + 1.0)
    }

    /// ln x of normal positive numbers with a relative error below 3e-7 (absolute near 1). Cephes `logf` (Moshier
    /// 1992): the exponent apart, a polynomial of degree 8 for the mantissa.
    #[inline(always)]
    pub(super) fn ln(self) -> Self {
        let simd = self.simd;
        let bits = simd.transmute_u32s_f32s(self.v);
        // The exponent as the lowest bits of 2²³ + exponent.
        let exponent = simd.wrapping_dyn_shr_u32s(bits, simd.splat_u32s(23));
        let exponent = simd.or_u32s(exponent, simd.splat_u32s(8_388_608.0f32.to_bits()));
        let exponent = Self { v: simd.transmute_f32s_u32s(exponent), ..self } - (8_388_608.0 + 126.0);
        let mantissa = simd.and_u32s(bits, simd.splat_u32s(0x007f_ffff));
        let mantissa = simd.or_u32s(mantissa, simd.splat_u32s(0.5f32.to_bits()));
        let mantissa = Self { v: simd.transmute_f32s_u32s(mantissa), ..self };
        let low = mantissa.less(std::f32::consts::FRAC_1_SQRT_2);
        let e = exponent - low.select(self.constant(1.0), self.constant(0.0));
        let m = mantissa + low.select(mantissa, self.constant(0.0)) - 1.0;
        let square = m * m;
        let p = m.polynomial([
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ]);
        let tail = p * m * square - e * 2.121_944_4e-4 - square * 0.5;
        let result = m + tail + e * 0.693_359_4;
        // The bits of NaN look like a number.
        self.equal(self).select(result, self)
    }

    /// ln(1 + e^x) with a relative error below 1e-6: max(x, 0) + ln(1 + e), e = e^−|x|, by the series of
    /// 2·artanh(s) with s = e/(2 + e) ≤ 1/3.
    #[inline(always)]
    pub(super) fn softplus(self) -> Self {
        let e = (-self.abs()).exp();
        let s = e / (e + 2.0);
        let p = (s * s).polynomial([1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 0.2, 1.0 / 3.0, 1.0]);
        self.less(0.0).select(self.constant(0.0), self) + s * p * 2.0
    }

    /// 1/(1 + e^−x)
    #[inline(always)]
    pub(super) fn sigmoid(self) -> Self {
        self.constant(1.0) / ((-self).exp() + 1.0)
    }

    /// tanh x with an absolute error below 3e-7.
    #[inline(always)]
    pub(super) fn tanh(self) -> Self {
        let e = (self.clamp(-15.0, 15.0) * 2.0).exp();
        (e - 1.0) / (e + 1.0)
    }

    /// The standard normal distribution function and density, absolute errors below 4e-7 (Abramowitz & Stegun 1964,
    /// 7.1.26).
    #[inline(always)]
    pub(super) fn normal(self) -> [Self; 2] {
        let e = (self * self * -0.5).exp();
        let t = self.constant(1.0) / (self.abs() * (0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2) + 1.0);
        let p = t.polynomial([1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6]);
        let tail = p * t * e * 0.5;
        [self.less(0.0).select(tail, self.constant(1.0) - tail), e * 0.398_942_3]
    }
}

impl<S: Simd> Mask<S> {
    #[inline(always)]
    pub(super) fn select(self, yes: Lanes<S>, no: Lanes<S>) -> Lanes<S> {
        Lanes { simd: self.simd, v: self.simd.select_f32s(self.m, yes.v, no.v) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Map<F>(Vec<f32>, F);

    trait Function {
        fn at<S: Simd>(&self, x: Lanes<S>) -> Lanes<S>;
    }

    impl<F: Function> WithSimd for Map<&F> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, simd: S) -> Vec<f32> {
            for chunk in self.0.chunks_exact_mut(S::F32_LANES) {
                self.1.at(Lanes::load(simd, chunk)).store(chunk);
            }
            self.0
        }
    }

    /// The largest deviation of `f` from `exact`, divided by `scale` of the exact value, over a million arguments.
    fn error(
        f: impl Function,
        [from, to]: [f64; 2],
        exact: impl Fn(f64) -> f64,
        scale: impl Fn(f64) -> f64,
    ) -> f64 {
        let x: Vec<f32> =
            (0..1 << 20).map(|i| (from + (to - from) * f64::from(i) / f64::from(1 << 20)) as f32).collect();
        // The widest vectors of this machine, and what runs where there are none.
        let found = [with_lanes(Map(x.clone(), &f)), Map(x.clone(), &f).with_simd(pulp::Scalar)];
        let errors = found.iter().flatten().zip(x.iter().cycle()).map(|(&y, &x)| {
            let exact = exact(f64::from(x));
            (f64::from(y) - exact).abs() / scale(exact)
        });
        assert!(with_lanes(Map(vec![f32::NAN; MAX_LANES], &f))[0].is_nan(), "NaN stays NaN");
        assert!(Map(vec![f32::NAN], &f).with_simd(pulp::Scalar)[0].is_nan(), "NaN stays NaN without vectors");
        errors.fold(0.0, f64::max)
    }

    macro_rules! function {
        ($name:ident, $x:ident => $value:expr) => {
            struct $name;
            impl Function for $name {
                #[inline(always)]
                fn at<S: Simd>(&self, $x: Lanes<S>) -> Lanes<S> {
                    $value
                }
            }
        };
    }
    function!(Exp, x => x.exp());
    function!(Ln, x => x.ln());
    function!(Softplus, x => x.softplus());
    function!(Sigmoid, x => x.sigmoid());
    function!(Tanh, x => x.tanh());
    function!(NormalDistribution, x => x.normal()[0]);
    function!(NormalDensity, x => x.normal()[1]);

    #[test]
    fn elementary_functions_agree_with_the_standard_library() {
        let relative = |exact: f64| exact.abs();
        let mixed = |exact: f64| exact.abs().max(1.0);
        let normal = |x: f64| 0.5 * statrs::function::erf::erfc(-x / std::f64::consts::SQRT_2);
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        for (name, error, limit) in [
            ("exp", error(Exp, [-86.0, 86.0], f64::exp, relative), 3e-7),
            ("ln", error(Ln, [1e-6, 40.0], f64::ln, mixed), 3e-7),
            ("ln of small numbers", error(Ln, [1e-36, 1e-30], f64::ln, relative), 3e-7),
            ("softplus", error(Softplus, [-80.0, 80.0], softplus, relative), 1e-6),
            ("sigmoid", error(Sigmoid, [-80.0, 80.0], |x| 1.0 / (1.0 + (-x).exp()), relative), 1e-6),
            ("tanh", error(Tanh, [-20.0, 20.0], f64::tanh, mixed), 3e-7),
            ("normal distribution", error(NormalDistribution, [-8.0, 8.0], normal, mixed), 4e-7),
            ("normal density", error(NormalDensity, [-8.0, 8.0], density, mixed), 3e-7),
        ] {
            assert!(error < limit, "{name}: error {error:.2e}");
        }
    }
}
