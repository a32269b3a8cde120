//! Simple observables of grey images, which tell what is wrong where a classifier tells that something is.
//!
//! With pixels v_(y,x) ≥ 0 (negative ones count as 0) and ⟨·⟩ the mean weighted with v: the mean pixel; the centre (⟨x⟩, ⟨y⟩);
//! the widths √⟨(x − ⟨x⟩)²⟩ and the same of y; the slant ⟨(x − ⟨x⟩)(y − ⟨y⟩)⟩ over the product of the widths, all in pixels from the
//! upper left; and the roughness, the mean step |Δv| between neighbouring pixels over the mean pixel, which is smaller for
//! blurred images. An image without light has its centre in the middle, and no width, slant or roughness.

use ndarray::{Array2, ArrayView1, Axis};
use rayon::prelude::*;

use crate::sample::{Feature, FeatureColumn};

/// Name behind that of the column, label and unit.
const OBSERVABLES: [(&str, &str, Option<&str>); 7] = [
    ("mean", "Mean pixel", None),
    ("x", "Centre, horizontal", Some("pixels")),
    ("y", "Centre, vertical", Some("pixels")),
    ("width_x", "Width, horizontal", Some("pixels")),
    ("width_y", "Width, vertical", Some("pixels")),
    ("slant", "Slant", None),
    ("roughness", "Roughness", None),
];

/// Observables of images `[images, height·width]` as features, one after the other.
pub(crate) fn image_features(
    column: &str,
    size: [usize; 2],
    images: &Array2<f32>,
    weights: Option<&Vec<f32>>,
) -> Vec<FeatureColumn> {
    let rows: Vec<ArrayView1<'_, f32>> = images.axis_iter(Axis(0)).collect();
    let values: Vec<[f32; OBSERVABLES.len()]> =
        rows.into_par_iter().map(|image| observables(image, size)).collect();
    let features = OBSERVABLES.iter().enumerate().map(|(index, (name, label, unit))| FeatureColumn {
        feature: Feature {
            name: format!("{column}_{name}"),
            label: (*label).to_owned(),
            unit: unit.map(str::to_owned),
            log_x: false,
            log_y: false,
            per_event: true,
        },
        values: values.iter().map(|values| values[index]).collect(),
        weights: weights.cloned(),
        events: None,
    });
    features.collect()
}

fn observables(image: ArrayView1<'_, f32>, [height, width]: [usize; 2]) -> [f32; OBSERVABLES.len()] {
    let pixel = |y: usize, x: usize| f64::from(image[y * width + x].max(0.0));
    // Σv, Σvx, Σvy, Σvx², Σvy², Σvxy
    let mut sums = [0.0; 6];
    let mut steps = 0.0;
    for y in 0..height {
        for x in 0..width {
            let (value, [x_, y_]) = (pixel(y, x), [x as f64, y as f64]);
            let terms = [1.0, x_, y_, x_ * x_, y_ * y_, x_ * y_];
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += value * term);
            steps += if x > 0 { (value - pixel(y, x - 1)).abs() } else { 0.0 };
            steps += if y > 0 { (value - pixel(y - 1, x)).abs() } else { 0.0 };
        }
    }
    let light = sums[0];
    if light <= 0.0 {
        let middle = [width, height].map(|side| 0.5 * (side as f32 - 1.0));
        return [0.0, middle[0], middle[1], 0.0, 0.0, 0.0, 0.0];
    }
    let [x, y, xx, yy, xy] = [1, 2, 3, 4, 5].map(|index| sums[index] / light);
    let [width_x, width_y] = [xx - x * x, yy - y * y].map(|variance| variance.max(0.0).sqrt());
    let slant = if width_x * width_y > 0.0 { (xy - x * y) / (width_x * width_y) } else { 0.0 };
    [light / (height * width) as f64, x, y, width_x, width_y, slant, steps / light].map(|value| value as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagonal_has_the_moments_of_a_diagonal() {
        // Pixels (0, 0), (1, 1) and (2, 2) of 3 × 4; twice as bright makes no difference but to the mean.
        let mut image = Array2::<f32>::zeros((1, 12));
        [0, 5, 10].into_iter().for_each(|pixel| image[[0, pixel]] = 2.0);
        image[[0, 11]] = -1.0;
        let found: Vec<f32> =
            image_features("image", [3, 4], &image, None).iter().map(|column| column.values[0]).collect();
        let width = (2.0f32 / 3.0).sqrt();
        // Steps of the three pixels: 2, 4 and 3 neighbours each, of which none is lit.
        let expected = [0.5, 1.0, 1.0, width, width, 1.0, 3.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
        }
    }

    #[test]
    fn an_image_without_light_has_its_centre_in_the_middle() {
        let found = observables(Array2::<f32>::zeros((1, 12)).row(0), [3, 4]);
        assert_eq!(found, [0.0, 1.5, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
