//! Where classes of events lie in a plane of the latent space.

use serde::{Deserialize, Serialize};

use super::Draft;
use super::format::count;
use super::latent::axis;
use super::palette::QUALITATIVE;
use super::panel::{LEGEND_SIZE, Panel};
use super::scene::{Anchor, Color, Marker, Scene};

/// Side of the map in pixels.
const SIDE: f64 = 520.0;
/// Radius of a point in pixels.
const POINT: f64 = 2.2;
/// Marks of classes beyond the number of colours.
const MARKERS: [Marker; 4] = [Marker::Disc, Marker::Square, Marker::Triangle, Marker::Diamond];

/// Points of a plane with their classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMap {
    /// Points.
    pub points: Vec<[f32; 2]>,
    /// Class of each, from 0.
    pub classes: Vec<usize>,
    /// Names of the classes.
    pub labels: Vec<String>,
    /// Axis titles.
    pub axes: [String; 2],
    /// What the plane is, in a sentence.
    pub caption: String,
}

fn look(class: usize) -> (Color, Marker) {
    let colors = QUALITATIVE.len();
    (QUALITATIVE[class % colors], MARKERS[class / colors % MARKERS.len()])
}

/// The figure; `None` without points.
pub(super) fn draft(map: &ClassMap) -> Option<Draft> {
    let pairs = map.points.iter().zip(&map.classes);
    let points: Vec<([f64; 2], usize)> = pairs
        .filter(|(point, _)| point.iter().all(|value| value.is_finite()))
        .map(|(point, class)| (point.map(f64::from), *class))
        .collect();
    if points.is_empty() {
        return None;
    }
    let [x, y] = [0, 1].map(|coordinate| axis(points.iter().map(|(point, _)| point[coordinate]).collect()));
    let mut scene = Scene::new(720.0, 640.0);
    let panel = Panel { left: 84.0, top: 52.0, width: SIDE, height: SIDE, x, y };
    for (point, class) in &points {
        if panel.x.contains(point[0]) && panel.y.contains(point[1]) {
            let (color, marker) = look(*class);
            scene.marker((panel.px(point[0]), panel.py(point[1])), marker, POINT, color);
        }
    }
    panel.frame(&mut scene, true);
    panel.heading(&mut scene, "Classes in the latent space", &format!("{} images", count(points.len())));
    panel.x_title(&mut scene, &map.axes[0]);
    panel.y_title(&mut scene, &map.axes[1], 56.0);
    for (row, label) in map.labels.iter().enumerate() {
        let (at, (color, marker)) = ((SIDE + 108.0, 66.0 + 24.0 * row as f64), look(row));
        scene.marker(at, marker, 6.0, color);
        scene.text((at.0 + 14.0, at.1 + 0.36 * LEGEND_SIZE), label, LEGEND_SIZE, Anchor::Start);
    }
    Some(Draft {
        name: "latent_classes".into(),
        title: "Classes in the latent space".into(),
        caption: map.caption.clone(),
        section: "Latent space".into(),
        scene,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::scene::Shape;

    #[test]
    fn points_have_the_colour_of_their_class() {
        let map = ClassMap {
            points: vec![[0.0, 1.0], [1.0, 0.0], [f32::NAN, 0.0], [0.5, 0.5]],
            classes: vec![0, 1, 1, 0],
            labels: vec!["shirt".into(), "boot".into()],
            axes: ["z₁", "z₂"].map(String::from),
            caption: String::new(),
        };
        let shapes = draft(&map).expect("there are points").scene.shapes;
        let colors: Vec<Color> = shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Disc { radius, color, .. } if *radius == POINT => Some(*color),
                _ => None,
            })
            .collect();
        assert_eq!(colors, [QUALITATIVE[0], QUALITATIVE[1], QUALITATIVE[0]]);
        assert!(draft(&ClassMap { points: Vec::new(), ..map }).is_none());
    }
}
