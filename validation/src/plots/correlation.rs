//! Correlation matrices of both samples, and their difference.

use super::Draft;
use super::axis::Axis;
use super::color_bar::color_bar;
use super::font;
use super::palette::diverging;
use super::panel::{AXIS_TITLE_SIZE, TITLE_SIZE};
use super::scene::{Anchor, BLACK, Scene};
use crate::metrics::{CorrelationMetrics, SampleInfo};

/// Side of a matrix in pixels.
const SIDE: f64 = 330.0;
const TOP: f64 = 76.0;
/// Left edges of the three.
const LEFT: [f64; 3] = [226.0, 582.0, 938.0];
/// Largest size of the names of features.
const NAME_SIZE: f64 = 12.0;
/// Ranges of the difference that the colours may span.
const HALF_RANGES: [f64; 5] = [0.05, 0.1, 0.2, 0.5, 1.0];

/// The figure.
pub(super) fn draft(found: &CorrelationMetrics, samples: [&SampleInfo; 2]) -> Draft {
    Draft {
        name: "correlations".into(),
        title: "Correlations".into(),
        caption: format!(
            "Correlation coefficients of all pairs of features in {} and {}, and their difference, {} minus {}.",
            samples[0].label, samples[1].label, samples[1].label, samples[0].label
        ),
        section: "Correlations".into(),
        scene: scene(found, samples),
    }
}

fn scene(found: &CorrelationMetrics, samples: [&SampleInfo; 2]) -> Scene {
    let mut scene = Scene::new(1300.0, 500.0);
    scene.text((24.0, 30.0), "Correlations", TITLE_SIZE, Anchor::Start).bold();
    let cell = SIDE / found.features.len() as f64;
    let size = NAME_SIZE.min(1.1 * cell);
    for (number, name) in found.features.iter().enumerate() {
        let baseline = TOP + (number as f64 + 0.5) * cell + 0.35 * size;
        let name = format!("{name}  {}", number + 1);
        let name = font::fit(&name, size, false, LEFT[0] - 32.0);
        scene.text((LEFT[0] - 8.0, baseline), name, size, Anchor::End);
    }
    let difference: Vec<Vec<f64>> = found
        .candidate
        .iter()
        .zip(&found.reference)
        .map(|(candidate, reference)| candidate.iter().zip(reference).map(|(c, r)| c - r).collect())
        .collect();
    let largest = difference.iter().flatten().fold(0.0f64, |largest, d| largest.max(d.abs()));
    let half = HALF_RANGES.into_iter().find(|half| *half >= largest).unwrap_or(2.0);
    let titles = [samples[0].label.as_str(), samples[1].label.as_str(), "Difference"];
    let matrices = [(&found.reference, 1.0), (&found.candidate, 1.0), (&difference, half)];
    for ((left, title), (matrix, half)) in LEFT.into_iter().zip(titles).zip(matrices) {
        let title = font::fit(title, AXIS_TITLE_SIZE, false, SIDE);
        scene.text((left + 0.5 * SIDE, TOP - 12.0), title, AXIS_TITLE_SIZE, Anchor::Middle);
        for (i, row) in matrix.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                let (x, y) = (left + j as f64 * cell, TOP + i as f64 * cell);
                scene.boxes(vec![[x, y, x + cell, y + cell]], diverging(value / half));
            }
        }
        let (right, bottom) = (left + SIDE, TOP + SIDE);
        scene.line(vec![(left, TOP), (right, TOP), (right, bottom), (left, bottom), (left, TOP)], 1.2, BLACK);
        // Every name, or every second, …: numbers need some 16 pixels.
        for number in (0..matrix.len()).step_by((16.0 / cell).ceil() as usize) {
            let at = (left + (number as f64 + 0.5) * cell, bottom + 14.0);
            scene.text(at, (number + 1).to_string(), 10.0, Anchor::Middle);
        }
    }
    let signed = |fraction: f64| diverging(2.0 * fraction - 1.0);
    let (top, unit, range) = (TOP + SIDE + 34.0, Axis::linear(-1.0, 1.0), Axis::linear(-half, half));
    color_bar(&mut scene, top, [LEFT[0], LEFT[1] + SIDE - 20.0], &unit, signed, "Correlation coefficient");
    color_bar(&mut scene, top, [LEFT[2] + 20.0, LEFT[2] + SIDE], &range, signed, "Difference");
    scene
}
