//! Legends: a sample of each mark with its name.

use super::panel::{LEGEND_SIZE, Look};
use super::scene::{Anchor, Color, GREY_BAND, GREY_FILL, GREY_LINE, Point, Scene};

/// Height of one row of a legend in pixels.
pub(crate) const ROW: f64 = 23.0;
/// Width of the mark in front of a name.
pub(crate) const MARK: f64 = 30.0;

/// One row of a legend.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    name: String,
    mark: Mark,
}

#[derive(Clone, Debug)]
enum Mark {
    Points(Look),
    Area,
    Line(Color, &'static [f64]),
    Curve(Look, &'static [f64]),
}

impl Key {
    /// Points with error bars.
    pub(crate) fn points(name: &str, look: Look) -> Self {
        Self { name: name.to_owned(), mark: Mark::Points(look) }
    }

    /// The filled histogram of the reference with its error band.
    pub(crate) fn area(name: &str) -> Self {
        Self { name: name.to_owned(), mark: Mark::Area }
    }

    /// Points without errors on a line, dashed after `pattern`.
    pub(crate) fn curve(name: &str, look: Look, pattern: &'static [f64]) -> Self {
        Self { name: name.to_owned(), mark: Mark::Curve(look, pattern) }
    }

    /// A line, dashed after `pattern`.
    pub(crate) fn line(name: &str, color: Color, pattern: &'static [f64]) -> Self {
        Self { name: name.to_owned(), mark: Mark::Line(color, pattern) }
    }
}

/// Draws rows from `at` downwards; `at` is the left end of the first baseline.
pub(crate) fn legend(scene: &mut Scene, (x, y): Point, keys: &[Key]) {
    for (row, key) in keys.iter().enumerate() {
        let baseline = y + row as f64 * ROW;
        mark(scene, (x, baseline - 0.36 * LEGEND_SIZE), &key.mark);
        scene.text((x + MARK + 8.0, baseline), &key.name, LEGEND_SIZE, Anchor::Start);
    }
}

fn mark(scene: &mut Scene, (x, y): Point, mark: &Mark) {
    let middle = x + MARK / 2.0;
    match mark {
        Mark::Points(look) => {
            scene.line(vec![(middle, y - 8.0), (middle, y + 8.0)], 1.4, look.color);
            scene.marker((middle, y), look.marker, look.radius.max(4.0), look.color);
        }
        Mark::Area => {
            scene.boxes(vec![[x, y - 4.0, x + MARK, y + 7.0]], GREY_FILL);
            scene.boxes(vec![[x, y - 7.0, x + MARK, y - 1.0]], GREY_BAND);
            scene.line(vec![(x, y - 4.0), (x + MARK, y - 4.0)], 1.5, GREY_LINE);
        }
        Mark::Curve(look, pattern) => {
            scene.dashed(&[(x, y), (x + MARK, y)], 1.8, look.color, pattern);
            scene.marker((middle, y), look.marker, look.radius, look.color);
        }
        Mark::Line(color, pattern) => scene.dashed(&[(x, y), (x + MARK, y)], 2.2, *color, pattern),
    }
}
