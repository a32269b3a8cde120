//! The average shower voxel by voxel in every layer.

use std::f64::consts::TAU;

use super::Draft;
use super::axis::Axis;
use super::color_bar::color_bar;
use super::font;
use super::palette::{diverging, sequential};
use super::panel::{AXIS_TITLE_SIZE, NOTE_SIZE, TITLE_SIZE};
use super::profile::length;
use super::scene::{Anchor, BLACK, Color, GREY_TEXT, Point, Scene, WHITE};
use crate::metrics::{LayerMean, LayerProfile, Profiles, SampleInfo};

/// Layers shown voxel by voxel; with more, as many evenly spaced ones.
const MOST_LAYERS: usize = 12;
/// Decades of the colour scale below the largest voxel.
const DECADES: f64 = 4.0;
/// Radius of a map in pixels.
const RADIUS: f64 = 130.0;
/// Ranges of the relative difference that a colour scale may have.
const HALF_RANGES: [f64; 6] = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// The maps of the layers that have more than one voxel.
pub(super) fn drafts(profiles: &Profiles, samples: [&SampleInfo; 2]) -> Vec<Draft> {
    let mapped: Vec<(usize, &LayerProfile)> =
        profiles.layers.iter().enumerate().filter(|(_, layer)| has_map(layer)).collect();
    let step = mapped.len().div_ceil(MOST_LAYERS).max(1);
    mapped.into_iter().step_by(step).map(|(index, layer)| draft(index, layer, samples)).collect()
}

/// A layer of one voxel has nothing to map.
fn has_map(layer: &LayerProfile) -> bool {
    let voxels = layer.r_edges_mm.len().saturating_sub(1) * layer.n_alpha;
    voxels > 1 && [&layer.reference, &layer.candidate].iter().all(|mean| mean.voxels_mev.len() == voxels)
}

fn draft(index: usize, layer: &LayerProfile, samples: [&SampleInfo; 2]) -> Draft {
    let radii: Vec<String> = layer.r_edges_mm.iter().copied().map(length).collect();
    let depth = layer.x0.map(|[front, back]| format!(" ({} to {} X₀)", length(front), length(back)));
    Draft {
        name: format!("average_shower_layer_{index}"),
        title: format!("Average shower in layer {index}"),
        caption: format!(
            "Mean energy per event in each voxel of layer {index}{}, and the relative difference. Rings are \
             drawn equally wide; their edges are at {} mm. Voxels without energy in the reference are white.",
            depth.unwrap_or_default(),
            radii.join(", ")
        ),
        section: "Average shower".into(),
        scene: map_scene(index, layer, samples),
    }
}

/// Reference, candidate and their relative difference side by side, with the colour scales below.
fn map_scene(index: usize, layer: &LayerProfile, samples: [&SampleInfo; 2]) -> Scene {
    let mut scene = Scene::new(960.0, 400.0);
    scene.text((24.0, 28.0), format!("Average shower in layer {index}"), TITLE_SIZE, Anchor::Start).bold();
    let outer = layer.r_edges_mm.last().map_or(String::new(), |edge| format!("r < {} mm", length(*edge)));
    scene.text((936.0, 28.0), outer, NOTE_SIZE, Anchor::End).color(GREY_TEXT);
    let means = [&layer.reference, &layer.candidate];
    let energies = energy_scale(means);
    for (column, (mean, sample)) in means.into_iter().zip(samples).enumerate() {
        let color = |energy: &f64| (*energy > 0.0).then(|| sequential(energies.fraction(*energy)));
        map(&mut scene, column, &sample.label, layer, &mean.voxels_mev.iter().map(color).collect::<Vec<_>>());
    }
    let differences = differences(&layer.reference, &layer.candidate);
    let half = half_range(&differences);
    let colors: Vec<_> =
        differences.iter().map(|difference| difference.map(|d| diverging(d / half))).collect();
    map(&mut scene, 2, "Relative difference", layer, &colors);
    color_bar(&mut scene, 338.0, [24.0, 594.0], &energies, sequential, "Mean energy per event [MeV]");
    let percent = Axis::linear(-100.0 * half, 100.0 * half);
    let signed = |fraction: f64| diverging(2.0 * fraction - 1.0);
    color_bar(&mut scene, 338.0, [644.0, 904.0], &percent, signed, "Difference [%]");
    scene
}

/// A scale that spans the voxels of both samples, up to [`DECADES`] below the largest.
fn energy_scale(means: [&LayerMean; 2]) -> Axis {
    let energies =
        || means.iter().flat_map(|mean| &mean.voxels_mev).copied().filter(|energy| energy.is_finite());
    let high = energies().fold(0.0, f64::max);
    let low = energies().filter(|energy| *energy > 0.0).fold(high, f64::min);
    Axis::log(low.max(high * 10f64.powf(-DECADES)), high)
}

/// `candidate / reference − 1` of each voxel; `None` without energy in the reference.
fn differences(reference: &LayerMean, candidate: &LayerMean) -> Vec<Option<f64>> {
    let voxels = reference.voxels_mev.iter().zip(&candidate.voxels_mev);
    voxels.map(|(reference, candidate)| (*reference > 0.0).then(|| candidate / reference - 1.0)).collect()
}

/// The smallest range that holds four in five differences; the others take the colour at its end.
fn half_range(differences: &[Option<f64>]) -> f64 {
    let mut sizes: Vec<f64> = differences.iter().flatten().map(|difference| difference.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let needed = sizes.get(sizes.len() * 4 / 5).copied().unwrap_or(0.0);
    HALF_RANGES.into_iter().find(|half| *half >= needed).unwrap_or(1.0)
}

/// The map in one of the three columns, with its title.
fn map(scene: &mut Scene, column: usize, title: &str, layer: &LayerProfile, colors: &[Option<Color>]) {
    let center = (24.0 + RADIUS + 310.0 * column as f64, 198.0);
    let title = font::fit(title, AXIS_TITLE_SIZE, false, 300.0);
    scene.text((center.0, 58.0), title, AXIS_TITLE_SIZE, Anchor::Middle);
    disc(scene, center, layer, colors);
}

/// Rings and sectors, r fastest; sector k is centred on α = 2πk/n unless the layer says where sector 0 begins. α runs
/// counter-clockwise from the right.
///
/// Each ring is drawn as a full slice over the ring outside it, so that no gaps show between them.
fn disc(scene: &mut Scene, center: Point, layer: &LayerProfile, colors: &[Option<Color>]) {
    let rings = layer.r_edges_mm.len() - 1;
    let width = TAU / layer.n_alpha as f64;
    scene.disc(center, RADIUS + 1.25, BLACK);
    for ring in (0..rings).rev() {
        let radius = RADIUS * (ring + 1) as f64 / rings as f64;
        for sector in 0..layer.n_alpha {
            let color = colors[sector * rings + ring].unwrap_or(WHITE);
            let begin = layer.alpha_begin.unwrap_or(-0.5 * width) + sector as f64 * width;
            slice(scene, center, radius, (begin, width), color);
        }
    }
}

fn slice(scene: &mut Scene, center: Point, radius: f64, (begin, width): (f64, f64), color: Color) {
    // Slices of more than half a turn are not convex, so that wide sectors are cut.
    let parts = (4.0 * width / TAU).ceil().max(1.0) as usize;
    for part in 0..parts {
        let from = begin + width * part as f64 / parts as f64;
        let steps = (width / parts as f64 / TAU * 144.0).ceil().max(2.0) as usize;
        // A hair beyond the sector, under its neighbour, against gaps between the two.
        let to = from + width / parts as f64 + 0.004;
        let arc = (0..=steps)
            .map(|step| on_circle(center, radius, from + (to - from) * step as f64 / steps as f64));
        scene.polygon(std::iter::once(center).chain(arc).collect(), color);
    }
}

fn on_circle((x, y): Point, radius: f64, angle: f64) -> Point {
    (x + radius * angle.cos(), y - radius * angle.sin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colour_range_covers_the_bulk_of_the_differences() {
        let mut differences = vec![Some(0.03); 20];
        differences.extend([None, Some(5.0)]);
        assert_eq!(half_range(&differences), 0.05);
        assert_eq!(half_range(&[]), 0.02);
    }

    #[test]
    fn sector_zero_lies_to_the_right_unless_the_layer_says_otherwise() {
        let mut layer = LayerProfile {
            x0: Some([0.0, 1.0]),
            r_edges_mm: vec![0.0, 1.0],
            n_alpha: 4,
            alpha_begin: None,
            reference: LayerMean { energy_mev: 1.0, energy_error_mev: 0.0, voxels_mev: vec![1.0; 4] },
            candidate: LayerMean { energy_mev: 1.0, energy_error_mev: 0.0, voxels_mev: vec![1.0; 4] },
        };
        let sector_zero = |layer: &LayerProfile| {
            let mut scene = Scene::new(300.0, 300.0);
            disc(&mut scene, (150.0, 150.0), layer, &[Some([9, 9, 9]), None, None, None]);
            let marked = scene.shapes.iter().find_map(|shape| match shape {
                super::super::scene::Shape::Polygon { points, color: [9, 9, 9] } => Some(points.clone()),
                _ => None,
            });
            marked.expect("the sector is drawn")
        };
        let points = sector_zero(&layer);
        assert!(points.iter().all(|point| point.0 >= 150.0), "{points:?}");
        // From −π to −π/2: the lower left, but for the hair.
        layer.alpha_begin = Some(-TAU / 2.0);
        let points = sector_zero(&layer);
        assert!(points.iter().all(|point| point.0 <= 151.0 && point.1 >= 149.0), "{points:?}");
    }
}
