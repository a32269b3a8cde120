//! An axis: its range, linear or logarithmic, and its ticks with labels as a paper prints them.

/// One axis with a non-empty range.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// Ticks at whole numbers only.
    whole: bool,
}

/// Tick positions in data units.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    /// Long ticks with their labels; a label may be empty.
    pub(crate) major: Vec<(f64, String)>,
    pub(crate) minor: Vec<f64>,
    /// The power of ten that was taken out of all labels, such as `×10⁴`; empty in general.
    pub(crate) factor: String,
}

/// Labels beyond these powers of ten are written with a common factor.
/// Far beyond any quantity in use, and safe from overflow in what is computed here.
const LARGEST: f64 = 1e300;
const PLAIN_EXPONENTS: std::ops::Range<i32> = -3..5;

impl Axis {
    /// A linear axis; an empty or non-finite range is widened to one that can be drawn.
    pub(crate) fn linear(low: f64, high: f64) -> Self {
        let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        let (low, high) = (low.clamp(-LARGEST, LARGEST), high.clamp(-LARGEST, LARGEST));
        let half = if low == 0.0 { 0.5 } else { 0.5 * low.abs() };
        let (low, high) = if high - low > 1e-9 * half { (low, high) } else { (low - half, low + half) };
        Self { low, high, log: false, whole: false }
    }

    /// A logarithmic axis; falls back to a linear one where the range is not positive.
    pub(crate) fn log(low: f64, high: f64) -> Self {
        if low > 0.0 && high.is_finite() && high > low * (1.0 + 1e-9) {
            Self { low, high: high.min(LARGEST), log: true, whole: false }
        } else {
            Self::linear(low, high)
        }
    }

    /// A linear axis of numbered things, such as layers or epochs.
    pub(crate) fn numbers(low: f64, high: f64) -> Self {
        Self { whole: true, ..Self::linear(low, high) }
    }

    /// Linear or logarithmic as asked.
    pub(crate) fn new(low: f64, high: f64, log: bool) -> Self {
        if log { Self::log(low, high) } else { Self::linear(low, high) }
    }

    pub(crate) fn high(&self) -> f64 {
        self.high
    }

    pub(crate) fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Where `value` lies between the ends, 0 to 1; values beyond an end, or without a logarithm, lie on it.
    pub(crate) fn fraction(&self, value: f64) -> f64 {
        let fraction = match self.log {
            true if value <= 0.0 => 0.0,
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) }
    }

    /// The axis with free space above the data: they then end at `used` (0 to 1) of its length.
    pub(crate) fn with_headroom(&self, used: f64) -> Self {
        let high = match self.log {
            true => self.low * (self.high / self.low).powf(1.0 / used),
            false => self.low + (self.high - self.low) / used,
        };
        Self { high: high.min(LARGEST), ..*self }
    }

    /// About `wanted` labelled ticks, three at least, and the finer ones between.
    pub(crate) fn ticks(&self, wanted: usize) -> Ticks {
        if !self.log {
            return self.linear_ticks(wanted);
        }
        let decades = (self.high / self.low).log10();
        if decades < 0.7 { self.linear_ticks(wanted) } else { self.log_ticks(wanted, decades) }
    }

    fn linear_ticks(&self, wanted: usize) -> Ticks {
        let (step, parts) = self.step(wanted);
        let exponent = self.low.abs().max(self.high.abs()).log10().floor() as i32;
        let power = if PLAIN_EXPONENTS.contains(&exponent) { 0 } else { exponent };
        let unit = 10f64.powi(power);
        let decimals = (-(step / unit * 1.000_001).log10().floor()).max(0.0) as usize;
        let major = multiples(step, self.low, self.high)
            .map(|value| (value, signed(format!("{:.decimals$}", value / unit + 0.0))))
            .collect();
        let minor = multiples(step / parts, self.low, self.high).collect();
        let factor = if power == 0 { String::new() } else { format!("×10{}", superscript(power)) };
        Ticks { major, minor, factor }
    }

    /// The step of the labelled ticks, and into how many parts the finer ones cut it.
    fn step(&self, wanted: usize) -> (f64, f64) {
        let steps = |wanted: usize| nice_step((self.high - self.low) / wanted as f64);
        let few = |step: f64| multiples(step, self.low, self.high).nth(2).is_none();
        let (step, parts) = (wanted.max(1)..)
            .map(steps)
            .take(12)
            .find(|(step, _)| !few(*step))
            .unwrap_or_else(|| steps(wanted.max(1)));
        match self.whole {
            true if step <= 1.0 => (1.0, 1.0),
            true => (step.round(), 1.0),
            false => (step, parts),
        }
    }

    fn log_ticks(&self, wanted: usize, decades: f64) -> Ticks {
        let range = (self.low.log10() - 1e-9).floor() as i32..=(self.high.log10() + 1e-9).ceil() as i32;
        let inside = |value: &f64| *value >= self.low * (1.0 - 1e-9) && *value <= self.high * (1.0 + 1e-9);
        let every = ((decades / (1.5 * wanted as f64)).ceil() as i32).max(1);
        let multiples: &[i32] = match decades {
            decades if decades < 2.4 => &[1, 2, 5],
            decades if decades < 3.0 => &[1, 3],
            _ => &[1],
        };
        let is_short = multiples.len() > 1 && self.low >= 1e-3 && self.high < 1e6;
        let label = if is_short { plain_label } else { log_label };
        let major = range
            .clone()
            .flat_map(|power| multiples.iter().map(move |multiple| (power, *multiple)))
            .filter(|(power, _)| power.rem_euclid(every) == 0)
            .map(|(power, multiple)| (f64::from(multiple) * 10f64.powi(power), label(multiple, power)))
            .filter(|(value, _)| inside(value))
            .collect();
        let digits = if every == 1 { 1..10 } else { 1..2 };
        let minor =
            range.flat_map(|power| digits.clone().map(move |digit| f64::from(digit) * 10f64.powi(power)));
        Ticks { major, minor: minor.filter(inside).collect(), factor: String::new() }
    }
}

/// The round step (1, 2 or 5 times a power of ten) next above `raw`, and into how many parts finer ticks cut it.
fn nice_step(raw: f64) -> (f64, f64) {
    let power = 10f64.powf(raw.log10().floor());
    let (step, parts) = match raw / power {
        ratio if ratio <= 1.000_001 => (1.0, 5.0),
        ratio if ratio <= 2.000_001 => (2.0, 4.0),
        ratio if ratio <= 5.000_001 => (5.0, 5.0),
        _ => (10.0, 5.0),
    };
    (step * power, parts)
}

fn multiples(step: f64, low: f64, high: f64) -> impl Iterator<Item = f64> {
    let slack = step * 1e-6;
    let (first, last) = (((low - slack) / step).ceil() as i64, ((high + slack) / step).floor() as i64);
    (first..=last).map(move |index| index as f64 * step)
}

fn log_label(multiple: i32, power: i32) -> String {
    match (multiple, power) {
        (1, 0) => "1".into(),
        (1, 1) => "10".into(),
        (1, _) => format!("10{}", superscript(power)),
        _ => format!("{multiple}×10{}", superscript(power)),
    }
}

/// Written out: ranges of few decades read more easily so where the numbers are short.
fn plain_label(multiple: i32, power: i32) -> String {
    let decimals = (-power).max(0) as usize;
    format!("{:.decimals$}", f64::from(multiple) * 10f64.powi(power))
}

/// A true minus sign, as wide as the plus.
pub(crate) fn signed(number: String) -> String {
    number.replace('-', "−")
}

/// An exponent in superscript digits.
pub(crate) fn superscript(power: i32) -> String {
    power
        .to_string()
        .chars()
        .map(|digit| match digit {
            '-' => '⁻',
            digit => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize - '0' as usize],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, wanted: usize) -> Vec<String> {
        axis.ticks(wanted).major.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_labels_are_round_and_short() {
        assert_eq!(labels(&Axis::linear(0.0, 1.0), 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::linear(-10.0, 10.0), 4), ["−10", "−5", "0", "5", "10"]);
        let large = Axis::linear(0.0, 60_000.0);
        assert_eq!(labels(&large, 6), ["0", "10000", "20000", "30000", "40000", "50000", "60000"]);
        let tiny = Axis::linear(0.0, 4e-6);
        assert_eq!(
            (labels(&tiny, 4), tiny.ticks(4).factor),
            (["0", "1", "2", "3", "4"].map(String::from).to_vec(), "×10⁻⁶".into())
        );
        assert_eq!(labels(&Axis::linear(0.98, 1.02), 4), ["0.98", "0.99", "1.00", "1.01", "1.02"]);
    }

    #[test]
    fn logarithmic_labels_are_powers_of_ten() {
        assert_eq!(labels(&Axis::log(1e-2, 1e3), 6), ["10⁻²", "10⁻¹", "1", "10", "10²", "10³"]);
        assert_eq!(labels(&Axis::log(500.0, 30_000.0), 6), ["500", "1000", "2000", "5000", "10000", "20000"]);
        assert_eq!(labels(&Axis::log(0.1, 90.0), 6), ["0.1", "0.3", "1", "3", "10", "30"]);
        assert_eq!(
            labels(&Axis::log(250.0, 150_000.0), 6),
            ["300", "1000", "3000", "10000", "30000", "100000"]
        );
        assert_eq!(labels(&Axis::log(2e5, 2e6), 6), ["2×10⁵", "5×10⁵", "10⁶", "2×10⁶"]);
        assert_eq!(labels(&Axis::log(1e-9, 1e9), 6).len(), 9);
    }

    #[test]
    fn narrow_ranges_have_three_labels_and_numbered_things_whole_ones() {
        assert_eq!(labels(&Axis::linear(0.977, 1.023), 2), ["0.98", "1.00", "1.02"]);
        assert_eq!(labels(&Axis::numbers(-0.5, 2.5), 6), ["0", "1", "2"]);
        assert_eq!(labels(&Axis::numbers(0.5, 30.5), 6), ["5", "10", "15", "20", "25", "30"]);
    }

    #[test]
    fn degenerate_ranges_can_be_drawn() {
        for axis in [
            Axis::linear(3.0, 3.0),
            Axis::linear(f64::NAN, 1.0),
            Axis::log(0.0, 10.0),
            Axis::log(-1.0, -1.0),
            Axis::linear(0.0, f64::INFINITY),
            Axis::linear(-f64::MAX, f64::MAX),
            Axis::linear(1e300, 1e300),
            Axis::log(1e-300, 1e308).with_headroom(0.5),
        ] {
            assert!(axis.high > axis.low && axis.low.is_finite() && axis.high().is_finite(), "{axis:?}");
            assert!(!axis.ticks(5).major.is_empty(), "{axis:?}");
            for value in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0, 5.0, f64::INFINITY] {
                assert!((0.0..=1.0).contains(&axis.fraction(value)), "{axis:?} at {value}");
            }
        }
    }

    #[test]
    fn headroom_leaves_the_upper_part_free() {
        for log in [false, true] {
            let axis = Axis::new(1.0, 100.0, log);
            assert!((axis.with_headroom(0.75).fraction(100.0) - 0.75).abs() < 1e-12);
        }
    }
}
