//! Names beside marks, each where it covers neither another name nor a mark.

use super::font;
use super::panel::LEGEND_SIZE;
use super::scene::{Anchor, GREY_LINE, Point, Scene};

/// A mark and its name.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) text: String,
    /// Centre of the mark.
    pub(crate) at: Point,
    /// Area of the mark with its error bars.
    pub(crate) taken: Area,
}

/// `[left, top, right, bottom]`.
pub(crate) type Area = [f64; 4];

/// Height of capitals above and descenders below the baseline, in ems.
const ASCENT: f64 = 0.78;
const DESCENT: f64 = 0.24;
/// Distance of a name from its mark.
const GAP: f64 = 6.0;
/// Distance between two names on one line.
const SPACE: f64 = 12.0;
/// Distance of a name from the frame, whose ticks point inwards.
const MARGIN: f64 = 13.0;
/// Distance between the rings round a mark in which there may be room.
const RING: f64 = 9.0;
const RINGS: u32 = 48;
/// Names in these rings stand beside their mark.
const BESIDE: u32 = 2;
/// Directions in which names are tried, best first: right, left, the four diagonals, above, below.
const DIRECTIONS: [Point; 8] =
    [(1.0, 0.0), (-1.0, 0.0), (1.0, -1.0), (1.0, 1.0), (-1.0, -1.0), (-1.0, 1.0), (0.0, -1.0), (0.0, 1.0)];

/// Writes the names inside `frame`, in order, each nearer to its own mark than to any other where there is room; else, and far
/// from its mark, it gets a thin line to it. Where there is no room at all a name is left out.
pub(crate) fn place(scene: &mut Scene, labels: &[Label], frame: Area) {
    let mut taken: Vec<Area> = labels.iter().map(|label| label.taken).collect();
    for label in labels {
        let free = |area: &Area| inside(area, &frame) && !taken.iter().any(|other| overlap(area, other));
        let is_nearest = |area: &Area| {
            let own = distance(area, label.at);
            labels.iter().all(|other| other.at == label.at || distance(area, other.at) > own)
        };
        let rooms: Vec<(u32, Area)> = (0..=RINGS)
            .flat_map(|ring| {
                DIRECTIONS.map(|direction| (ring, area(label, direction, f64::from(ring) * RING)))
            })
            .filter(|(_, area)| free(area))
            .collect();
        let beside = rooms.iter().find(|(ring, area)| *ring <= BESIDE && is_nearest(area));
        let Some((_, area)) = beside.or(rooms.first()) else { continue };
        if beside.is_none() {
            scene.line(vec![label.at, nearest(area, label.at)], 0.8, GREY_LINE);
        }
        scene.text((area[0], area[3] - DESCENT * LEGEND_SIZE), &label.text, LEGEND_SIZE, Anchor::Start);
        taken.push([area[0] - SPACE, area[1], area[2] + SPACE, area[3]]);
    }
}

/// The point of an area that is nearest to `at`.
fn nearest(area: &Area, at: Point) -> Point {
    (at.0.clamp(area[0], area[2]), at.1.clamp(area[1], area[3]))
}

fn distance(area: &Area, at: Point) -> f64 {
    let (x, y) = nearest(area, at);
    (x - at.0).hypot(y - at.1)
}

/// Area of a name in a direction from its mark, `distance` farther than beside it.
fn area(label: &Label, (right, down): Point, distance: f64) -> Area {
    let (width, height) = (font::width(&label.text, LEGEND_SIZE, false), (ASCENT + DESCENT) * LEGEND_SIZE);
    let ([left, top, end, bottom], (x, y)) = (label.taken, label.at);
    let left = match right {
        right if right > 0.0 => end + GAP + distance,
        right if right < 0.0 => left - GAP - distance - width,
        _ => x - width / 2.0,
    };
    let top = match down {
        // Diagonals stay beside the mark, not beyond its error bars.
        down if right != 0.0 => y - height / 2.0 + down * (0.6 * height + distance),
        down if down < 0.0 => top - GAP - distance - height,
        _ => bottom + GAP + distance,
    };
    [left, top, left + width, top + height]
}

fn inside(area: &Area, frame: &Area) -> bool {
    area[0] >= frame[0] + MARGIN
        && area[1] >= frame[1] + MARGIN
        && area[2] <= frame[2] - MARGIN
        && area[3] <= frame[3] - MARGIN
}

fn overlap(a: &Area, b: &Area) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::scene::Shape;

    fn written(labels: &[Label]) -> Vec<(String, Point)> {
        let mut scene = Scene::new(400.0, 300.0);
        place(&mut scene, labels, [0.0, 0.0, 400.0, 300.0]);
        let texts = scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Text(text) => Some((text.text.clone(), text.at)),
            _ => None,
        });
        texts.collect()
    }

    #[test]
    fn a_name_that_is_nearer_to_another_mark_has_a_line() {
        // Beside its mark there is no room but next to the other.
        let mut scene = Scene::new(400.0, 300.0);
        let tall = |text: &str, x: f64| Label {
            text: text.into(),
            at: (x, 150.0),
            taken: [x - 5.0, 0.0, x + 5.0, 300.0],
        };
        place(&mut scene, &[tall("a", 200.0), tall("a longer name", 180.0)], [150.0, 0.0, 400.0, 300.0]);
        let lines = scene.shapes.iter().filter(|shape| matches!(shape, Shape::Line { .. })).count();
        assert_eq!(lines, 1);
    }

    fn label(text: &str, (x, y): Point) -> Label {
        Label { text: text.into(), at: (x, y), taken: [x - 5.0, y - 20.0, x + 5.0, y + 20.0] }
    }

    #[test]
    fn a_name_stands_right_of_its_mark_or_left_where_the_frame_ends() {
        let names = written(&[label("one", (100.0, 100.0)), label("other", (380.0, 200.0))]);
        let (free, end) = (names[0].1, names[1].1);
        assert_eq!(free.0, 111.0);
        assert!(end.0 < 340.0 && (end.1 - 205.0).abs() < 3.0, "{end:?}");
    }

    #[test]
    fn names_of_marks_at_one_place_are_all_written_apart() {
        let labels: Vec<Label> = (0..10).map(|i| label(&format!("name {i}"), (200.0, 150.0))).collect();
        let names = written(&labels);
        assert_eq!(names.len(), 10);
        for (i, (name, at)) in names.iter().enumerate() {
            let end = at.0 + font::width(name, LEGEND_SIZE, false) + SPACE;
            for (other, (x, y)) in &names[i + 1..] {
                let apart = (y - at.1).abs() >= (ASCENT + DESCENT) * LEGEND_SIZE - 1e-9;
                let beside =
                    *x >= end - 1e-9 || at.0 >= x + font::width(other, LEGEND_SIZE, false) + SPACE - 1e-9;
                assert!(apart || beside, "{name} at {at:?}, {other} at {x}, {y}");
            }
        }
    }
}
