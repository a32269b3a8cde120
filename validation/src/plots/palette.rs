//! Colour scales that keep their order in grey print and for every kind of colour vision.

use super::scene::Color;

/// Viridis (S. van der Walt and N. Smith, 2015) at ten even steps, light to dark: ink for energy, paper for none.
const SEQUENTIAL: [Color; 10] = [
    [253, 231, 37],
    [181, 222, 43],
    [110, 206, 88],
    [53, 183, 121],
    [31, 158, 137],
    [38, 130, 142],
    [49, 104, 142],
    [62, 73, 137],
    [72, 40, 120],
    [68, 1, 84],
];

/// Blue to white to vermilion, equally dark at both ends.
const DIVERGING: [Color; 5] = [[0, 84, 147], [120, 178, 219], [247, 247, 247], [240, 161, 107], [178, 68, 0]];

/// Once round the circle in eight steps: every hue has a lightness of its own among its neighbours, from dark violet
/// through green to yellow and back through red.
const CYCLIC: [Color; 9] = [
    [30, 20, 105],
    [0, 98, 178],
    [0, 150, 160],
    [86, 185, 60],
    [222, 200, 40],
    [240, 140, 30],
    [206, 52, 40],
    [140, 35, 115],
    [30, 20, 105],
];

/// Colours of classes without order: "muted" of P. Tol (2021, SRON/EPS/TN/09-002), and black.
pub(crate) const QUALITATIVE: [Color; 10] = [
    [51, 34, 136],
    [136, 204, 238],
    [221, 204, 119],
    [17, 119, 51],
    [204, 102, 119],
    [136, 34, 85],
    [68, 170, 153],
    [153, 153, 51],
    [170, 68, 153],
    [0, 0, 0],
];

/// Colour of an angle in turns; whole turns make no difference.
pub(crate) fn cyclic(turns: f64) -> Color {
    interpolate(&CYCLIC, turns.rem_euclid(1.0))
}

/// Colour of a fraction of the range, 0 to 1.
pub(crate) fn sequential(fraction: f64) -> Color {
    interpolate(&SEQUENTIAL, fraction)
}

/// Colour of a signed share of the range, −1 to 1; white at 0.
pub(crate) fn diverging(share: f64) -> Color {
    interpolate(&DIVERGING, 0.5 * (share + 1.0))
}

fn interpolate(stops: &[Color], fraction: f64) -> Color {
    let position = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) } * (stops.len() - 1) as f64;
    let index = (position as usize).min(stops.len() - 2);
    let share = position - index as f64;
    std::array::from_fn(|channel| {
        let (from, to) = (f64::from(stops[index][channel]), f64::from(stops[index + 1][channel]));
        (from + share * (to - from)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance([r, g, b]: Color) -> f64 {
        0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
    }

    #[test]
    fn the_sequential_scale_darkens_all_the_way() {
        let scale: Vec<f64> = (0..=50).map(|step| luminance(sequential(f64::from(step) / 50.0))).collect();
        assert!(scale.windows(2).all(|pair| pair[0] > pair[1]), "{scale:?}");
    }

    #[test]
    fn the_cyclic_scale_closes_and_its_eighths_differ_in_lightness() {
        assert_eq!((cyclic(-0.25), cyclic(1.0)), (cyclic(0.75), cyclic(0.0)));
        let lightness: Vec<f64> = (0..=8).map(|eighth| luminance(cyclic(f64::from(eighth) / 8.0))).collect();
        assert!(lightness.windows(2).all(|pair| (pair[0] - pair[1]).abs() > 10.0), "{lightness:?}");
    }

    #[test]
    fn the_diverging_scale_is_neutral_in_the_middle_and_ends_beyond_its_range() {
        assert_eq!(diverging(0.0), [247, 247, 247]);
        assert_eq!((diverging(-9.0), diverging(9.0)), (DIVERGING[0], DIVERGING[4]));
    }
}
