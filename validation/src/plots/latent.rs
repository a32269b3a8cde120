//! Which part of the latent space becomes which part of the target space.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

use super::Draft;
use super::axis::Axis;
use super::format::count;
use super::palette::cyclic;
use super::panel::{Panel, TITLE_SIZE};
use super::scene::{Anchor, Scene};

/// Side of a map in pixels.
const SIDE: f64 = 370.0;
/// Radius of a point in pixels.
const POINT: f64 = 1.7;
/// Share of the points that may lie beyond each end of an axis, so that one outlier cannot set the range.
const TAIL: f64 = 0.001;

/// Points of a two-dimensional latent space and the targets generated from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatentMap {
    /// Latent points.
    pub latents: Vec<[f32; 2]>,
    /// The target of each.
    pub targets: Vec<[f32; 2]>,
    /// Axis titles of the latent plane, such as `z₁`.
    pub latent_labels: [String; 2],
    /// Axis titles of the target plane with their units.
    pub target_labels: [String; 2],
}

/// The figure; `None` without points.
pub(super) fn draft(map: &LatentMap) -> Option<Draft> {
    let finite = |(latent, target): &(&[f32; 2], &[f32; 2])| {
        latent.iter().chain(*target).all(|value| value.is_finite())
    };
    let pairs: Vec<([f64; 2], [f64; 2])> = map
        .latents
        .iter()
        .zip(&map.targets)
        .filter(finite)
        .map(|(latent, target)| (latent.map(f64::from), target.map(f64::from)))
        .collect();
    if pairs.is_empty() {
        return None;
    }
    let (latents, targets): (Vec<[f64; 2]>, Vec<[f64; 2]>) = pairs.into_iter().unzip();
    let turns = turns(&targets);
    let mut scene = Scene::new(960.0, 520.0);
    scene.text((84.0, 28.0), "From latent to target space", TITLE_SIZE, Anchor::Start).bold();
    let note = format!("{} events", count(targets.len()));
    plane(&mut scene, 0, &latents, &turns, ("Latent space", ""), &map.latent_labels);
    plane(&mut scene, 1, &targets, &turns, ("Target space", &note), &map.target_labels);
    Some(Draft {
        name: "latent_map".into(),
        title: "From latent to target space".into(),
        caption: "Latent points and the targets generated from them. A point has the same colour on both sides, that of \
                  the direction in which its target lies from the mean of all."
            .into(),
        section: "Latent space".into(),
        scene,
    })
}

/// Direction of each target from their mean in units of their spread, in turns from −½ to ½.
fn turns(targets: &[[f64; 2]]) -> Vec<f64> {
    let number = targets.len() as f64;
    let [x, y] = [0, 1].map(|column| {
        let values = || targets.iter().map(move |target| target[column]);
        let mean = values().sum::<f64>() / number;
        let spread = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / number).sqrt();
        (mean, spread.max(f64::MIN_POSITIVE))
    });
    targets.iter().map(|target| ((target[1] - y.0) / y.1).atan2((target[0] - x.0) / x.1) / TAU).collect()
}

/// One of the two panels.
fn plane(
    scene: &mut Scene,
    column: usize,
    points: &[[f64; 2]],
    turns: &[f64],
    (title, note): (&str, &str),
    labels: &[String; 2],
) {
    let [x, y] = [0, 1].map(|coordinate| axis(points.iter().map(|point| point[coordinate]).collect()));
    let panel = Panel { left: 84.0 + 462.0 * column as f64, top: 78.0, width: SIDE, height: SIDE, x, y };
    for (point, turn) in points.iter().zip(turns) {
        if panel.x.contains(point[0]) && panel.y.contains(point[1]) {
            scene.disc((panel.px(point[0]), panel.py(point[1])), POINT, cyclic(*turn));
        }
    }
    panel.frame(scene, true);
    panel.heading(scene, title, note);
    panel.x_title(scene, &labels[0]);
    panel.y_title(scene, &labels[1], 56.0);
}

/// Spans the values but for a few at both ends, with some space.
pub(super) fn axis(mut values: Vec<f64>) -> Axis {
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| values[((share * values.len() as f64) as usize).min(values.len() - 1)];
    let (low, high) = (at(TAIL), at(1.0 - TAIL));
    let padding = 0.08 * (high - low);
    Axis::linear(low - padding, high + padding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::scene::{Color, Shape};

    /// A ring of eight points whose latents lie on a line.
    fn ring() -> LatentMap {
        let targets = |index: usize| (TAU * index as f32 as f64 / 8.0).sin_cos();
        LatentMap {
            latents: (0..8).map(|index| [index as f32, 0.0]).collect(),
            targets: (0..8).map(targets).map(|(sin, cos)| [cos as f32, sin as f32]).collect(),
            latent_labels: ["z₁", "z₂"].map(String::from),
            target_labels: ["x", "y"].map(String::from),
        }
    }

    fn colors(map: &LatentMap) -> Vec<Color> {
        let shapes = draft(map).expect("there are points").scene.shapes;
        let discs = shapes.into_iter().filter_map(|shape| match shape {
            Shape::Disc { color, .. } => Some(color),
            _ => None,
        });
        discs.collect()
    }

    #[test]
    fn a_point_has_one_colour_on_both_sides_and_directions_differ() {
        let colors = colors(&ring());
        assert_eq!((colors.len(), &colors[..8]), (16, &colors[8..]));
        let mut distinct = colors[..8].to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 8);
    }

    #[test]
    fn what_is_not_a_number_is_left_out() {
        let mut map = ring();
        map.targets[3][0] = f32::NAN;
        map.latents[4][1] = f32::INFINITY;
        assert_eq!(colors(&map).len(), 12);
        map.targets.clear();
        assert!(draft(&map).is_none());
    }
}
