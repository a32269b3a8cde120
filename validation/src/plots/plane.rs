//! Two features against each other: both samples as maps of the density, side by side.

use std::f64::consts::TAU;

use super::Draft;
use super::axis::Axis;
use super::color_bar::color_bar;
use super::format::{percent, titled, unit_text};
use super::palette::sequential;
use super::panel::{Panel, TITLE_SIZE};
use super::scene::{Anchor, BLACK, Point, Scene, WHITE};
use crate::metrics::{ModeMetrics, ModeShares, PlaneContents, PlaneMetrics, SampleInfo};
use crate::plots::format::count;

/// Decades of the colour scale below the densest bin.
const DECADES: f64 = 4.0;
/// Colours of a map: neighbouring bins of one colour are one box, which keeps the vector file small.
const COLORS: f64 = 40.0;
/// Boxes reach so many pixels under their neighbours, against gaps between the two.
const OVERLAP: f64 = 0.4;
/// Side of a map in pixels.
const SIDE: f64 = 370.0;
const LOST_DASHES: &[f64] = &[5.0, 4.0];

/// The figure, with a circle round each mode of the same two columns.
pub(super) fn draft(plane: &PlaneMetrics, modes: Option<&ModeMetrics>, samples: [&SampleInfo; 2]) -> Draft {
    let [x, y] = [&plane.x, &plane.y].map(|feature| feature.label.as_str());
    let modes = modes.filter(|modes| modes.columns == [plane.x.name.as_str(), plane.y.name.as_str()]);
    let circles = modes.map_or(String::new(), |modes| {
        format!(
            " Circles of radius {} are modes; dashed ones have less than a third of the reference's events.",
            modes.radius
        )
    });
    Draft {
        name: "plane".into(),
        title: format!("{y} against {x}"),
        caption: format!(
            "Density of events in {x} and {y}, both samples on one logarithmic scale. White bins are empty; {} of {} and {} \
             of {} lie outside the frame.{circles}",
            percent(plane.reference.outside),
            samples[0].label,
            percent(plane.candidate.outside),
            samples[1].label,
        ),
        section: "Target plane".into(),
        scene: scene(plane, modes, samples),
    }
}

fn scene(plane: &PlaneMetrics, modes: Option<&ModeMetrics>, samples: [&SampleInfo; 2]) -> Scene {
    let mut scene = Scene::new(960.0, 590.0);
    let title = format!("{} against {}", plane.y.label, plane.x.label);
    let title = super::font::fit(&title, TITLE_SIZE, true, 900.0);
    scene.text((84.0, 28.0), title, TITLE_SIZE, Anchor::Start).bold();
    let densities = [&plane.reference, &plane.candidate].map(|contents| densities(plane, contents));
    let scale = density_scale(&densities);
    let axes = [(&plane.x, &plane.x_edges), (&plane.y, &plane.y_edges)].map(|(feature, edges)| {
        Axis::new(edges.first().copied().unwrap_or(0.0), edges.last().copied().unwrap_or(1.0), feature.log_x)
    });
    for (column, (densities, sample)) in densities.iter().zip(samples).enumerate() {
        let [x, y] = axes.clone();
        let panel = Panel { left: 84.0 + 462.0 * column as f64, top: 78.0, width: SIDE, height: SIDE, x, y };
        map(&mut scene, &panel, plane, densities, &scale);
        for mode in modes.iter().flat_map(|modes| &modes.modes) {
            let radius = modes.map_or(0.0, |modes| modes.radius);
            circle(&mut scene, &panel, mode, radius, column == 0 || mode.recovered);
        }
        panel.frame(&mut scene, true);
        panel.heading(&mut scene, &sample.label, &format!("{} events", count(sample.events)));
        panel.x_title(&mut scene, &titled(&plane.x.label, plane.x.unit.as_deref()));
        panel.y_title(&mut scene, &titled(&plane.y.label, plane.y.unit.as_deref()), 56.0);
    }
    color_bar(&mut scene, 518.0, [84.0, 916.0], &scale, sequential, &density_title(plane));
    scene
}

/// Probability density of each bin.
fn densities(plane: &PlaneMetrics, contents: &PlaneContents) -> Vec<f64> {
    let widths = |edges: &[f64]| -> Vec<f64> { edges.windows(2).map(|pair| pair[1] - pair[0]).collect() };
    let (columns, rows) = (widths(&plane.x_edges), widths(&plane.y_edges));
    let areas = rows.iter().flat_map(|row| columns.iter().map(move |column| row * column));
    contents.shares.iter().zip(areas).map(|(share, area)| share / area).collect()
}

/// A scale that spans the bins of both samples, up to [`DECADES`] below the densest.
fn density_scale(densities: &[Vec<f64>; 2]) -> Axis {
    let filled =
        || densities.iter().flatten().copied().filter(|density| density.is_finite() && *density > 0.0);
    let high = filled().fold(0.0, f64::max);
    let low = filled().fold(high, f64::min);
    Axis::log(low.max(high * 10f64.powf(-DECADES)), high)
}

/// Events per area: the unit of the density.
fn density_title(plane: &PlaneMetrics) -> String {
    let unit = |unit: &Option<String>| unit.as_deref().map(unit_text).unwrap_or_default();
    match (unit(&plane.x.unit), unit(&plane.y.unit)) {
        (x, y) if x.is_empty() && y.is_empty() => "Probability density".into(),
        (x, y) if x == y => format!("Probability density [1/{x}²]"),
        (x, y) => format!("Probability density [1/({})]", format!("{x} {y}").trim()),
    }
}

/// Filled bins row by row, bins of one colour in one box.
fn map(scene: &mut Scene, panel: &Panel, plane: &PlaneMetrics, densities: &[f64], scale: &Axis) {
    let columns = plane.x_edges.len().saturating_sub(1).max(1);
    let level = |density: &f64| {
        (density.is_finite() && *density > 0.0).then(|| (scale.fraction(*density) * COLORS).round() as u8)
    };
    for (row, y) in densities.chunks(columns).zip(plane.y_edges.windows(2)) {
        let levels: Vec<Option<u8>> = row.iter().map(level).collect();
        let mut first = 0;
        for run in levels.chunk_by(|a, b| a == b) {
            let (begin, end) = (plane.x_edges[first], plane.x_edges[first + run.len()]);
            first += run.len();
            if let Some(level) = run[0] {
                let right = (panel.px(end) + OVERLAP).min(panel.left + panel.width);
                let top = (panel.py(y[1]) - OVERLAP).max(panel.top);
                let color = sequential(f64::from(level) / COLORS);
                scene.boxes(vec![[panel.px(begin), top, right, panel.py(y[0])]], color);
            }
        }
    }
}

/// A black circle with a white rim, which shows on every colour; cut at the frame.
fn circle(scene: &mut Scene, panel: &Panel, mode: &ModeShares, radius: f64, recovered: bool) {
    let [x, y] = mode.centre[..] else { return };
    let points: Vec<(f64, f64)> = (0..=72)
        .map(|step| (TAU * f64::from(step) / 72.0).sin_cos())
        .map(|(sin, cos)| (x + radius * cos, y + radius * sin))
        .collect();
    let inside =
        |point: &&[(f64, f64)]| point.iter().all(|(x, y)| panel.x.contains(*x) && panel.y.contains(*y));
    let pixels: Vec<Vec<Point>> = points
        .chunk_by(|a, b| inside(&&[*a, *b][..]))
        .map(|part| part.iter().map(|(x, y)| (panel.px(*x), panel.py(*y))).collect())
        .collect();
    for part in &pixels {
        scene.line(part.clone(), 2.8, WHITE);
    }
    for part in &pixels {
        scene.dashed(part, 1.3, BLACK, if recovered { &[] } else { LOST_DASHES });
    }
}
