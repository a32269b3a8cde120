//! Elementary functions written so that the compiler can vectorise loops over them, and the run-time choice of the
//! instruction set.

use std::sync::LazyLock;

static ARCH: LazyLock<pulp::Arch> = LazyLock::new(pulp::Arch::new);

/// Runs `work`, compiled for the widest vector instructions of this processor. Functions called inside must be
/// `#[inline(always)]` to be compiled that way too.
#[inline(always)]
pub(super) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    ARCH.dispatch(work)
}

/// e^x with a relative error below 3e-7; arguments are clamped to ±87. Cephes `expf` (Moshier 1992): reduction by
/// ln 2 in two parts and a polynomial of degree 5.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5·2²³ rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = p * r + c;
    }
    let two_to_n = f32::from_bits(((n as i32 + 127) as u32) << 23);
    two_to_n * (p * r * r + r + 1.0)
}

/// ln(1 + e^x) with a relative error below 1e-6: max(x, 0) + ln(1 + e), e = e^−|x|, by the series of
/// 2·artanh(s) with s = e/(2 + e) ≤ 1/3.
#[inline(always)]
pub(super) fn softplus(x: f32) -> f32 {
    let e = exp(-x.abs());
    let s = e / (2.0 + e);
    let s2 = s * s;
    let mut p = 1.0 / 13.0;
    for c in [1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 0.2, 1.0 / 3.0, 1.0] {
        p = p * s2 + c;
    }
    x.max(0.0) + 2.0 * s * p
}

#[cfg(test)]
mod tests {
    #[test]
    fn softplus_agrees_with_the_standard_library() {
        for i in -80_000..80_000 {
            let x = i as f32 * 1e-3;
            let exact = f64::from(x).max(0.0) + (-f64::from(x).abs()).exp().ln_1p();
            let error = (f64::from(super::softplus(x)) / exact - 1.0).abs();
            assert!(error < 1e-6, "softplus({x}): relative error {error}");
        }
    }

    #[test]
    fn exp_agrees_with_the_standard_library() {
        for i in -86_000..86_000 {
            let x = i as f32 * 1e-3;
            let error = (super::exp(x) as f64 / (x as f64).exp() - 1.0).abs();
            assert!(error < 3e-7, "exp({x}): relative error {error}");
        }
    }
}
