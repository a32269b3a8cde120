//! Numbers as a physicist writes them: as many digits as mean something, powers of ten, values with errors.

use super::axis::{signed, superscript};

/// `value` with `digits` significant digits; powers of ten outside 10⁻⁴ … 10⁶; a dash where it is not finite.
pub fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let exponent = rounded_exponent(value, digits);
    if !(-4..6).contains(&exponent) {
        let mantissa = value / 10f64.powi(exponent);
        return signed(format!("{mantissa:.0$}×10{1}", digits.saturating_sub(1), superscript(exponent)));
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    signed(format!("{value:.decimals$}"))
}

/// `value ± error`, both to the second significant digit of the error; three digits of `value` without an error.
pub fn with_error(value: f64, error: f64) -> String {
    if !(error.is_finite() && error > 0.0 && value.is_finite()) {
        return significant(value, 3);
    }
    let last = rounded_exponent(error, 2) - 1;
    let size = value.abs().max(error).log10().floor() as i32;
    let power = if (-4..6).contains(&size) { 0 } else { size };
    let decimals = (power - last).max(0) as usize;
    let unit = 10f64.powi(power);
    let (value, error) = (value / unit, error / unit);
    // Keeps a small negative value from being written as −0.00.
    let value = if value.abs() * 10f64.powi(decimals as i32) < 0.5 { 0.0 } else { value };
    match power {
        0 => signed(format!("{value:.decimals$} ± {error:.decimals$}")),
        _ => signed(format!("({value:.decimals$} ± {error:.decimals$})×10{}", superscript(power))),
    }
}

/// A probability: never `0`, which no test can show.
pub(crate) fn probability(p: f64) -> String {
    match p {
        p if p.is_nan() => "–".into(),
        p if p < 1e-4 => "< 10⁻⁴".into(),
        p if p < 0.1 => significant(p, 2),
        p => format!("{p:.2}"),
    }
}

/// A share as a percentage; `0` only where there is nothing.
pub(crate) fn percent(share: f64) -> String {
    match 100.0 * share {
        share if !share.is_finite() => "–".into(),
        0.0 => "0".into(),
        share if share.abs() < 0.01 => "< 0.01%".into(),
        share => signed(format!("{share:.2}%")),
    }
}

/// A count with commas between groups of three digits.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Axis title with the unit in brackets, the convention of the field.
pub(crate) fn titled(label: &str, unit: Option<&str>) -> String {
    match unit.filter(|unit| !unit.is_empty()) {
        Some(unit) => format!("{label} [{}]", unit_text(unit)),
        None => label.to_owned(),
    }
}

/// A unit as it is set: files write radiation lengths as `X0`.
pub(crate) fn unit_text(unit: &str) -> String {
    unit.replace("X0", "X₀")
}

/// Decimal exponent of `value` once rounded to `digits` significant digits: 0.999 rounds up to 1.0.
fn rounded_exponent(value: f64, digits: usize) -> i32 {
    let precision = digits.saturating_sub(1);
    let scientific = format!("{value:.precision$e}");
    scientific.rsplit('e').next().and_then(|exponent| exponent.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significant_digits_survive_rounding_up() {
        let cases =
            [(0.0123456, "0.0123"), (0.99996, "1.00"), (1234.5, "1234"), (-0.5, "−0.500"), (0.0, "0")];
        for (value, text) in cases {
            assert_eq!(significant(value, 3), text);
        }
        assert_eq!(significant(1.234e-7, 3), "1.23×10⁻⁷");
        assert_eq!(significant(f64::NAN, 3), "–");
    }

    #[test]
    fn values_are_cut_where_their_error_begins() {
        assert_eq!(with_error(0.512345, 0.00412), "0.5123 ± 0.0041");
        assert_eq!(with_error(12345.6, 78.9), "12346 ± 79");
        assert_eq!(with_error(1.5e7, 2.5e5), "(1.500 ± 0.025)×10⁷");
        assert_eq!(with_error(0.5, 0.0), "0.500");
        assert_eq!(with_error(-0.0002, 0.033), "0.000 ± 0.033");
        assert_eq!(with_error(0.00999, 0.000996), "0.0100 ± 0.0010");
    }

    #[test]
    fn small_probabilities_and_shares_are_not_zero() {
        assert_eq!(
            (probability(0.0), probability(0.034), probability(0.5)),
            ("< 10⁻⁴".into(), "0.034".into(), "0.50".into())
        );
        assert_eq!(
            (percent(0.0), percent(1e-5), percent(0.0123)),
            ("0".into(), "< 0.01%".into(), "1.23%".into())
        );
        assert_eq!(
            (count(999), count(1234), count(1_234_567)),
            ("999".into(), "1,234".into(), "1,234,567".into())
        );
    }
}
