//! The scale of a map: a horizontal bar of colours with ticks and title below.

use super::axis::Axis;
use super::panel::TICK_SIZE;
use super::scene::{Anchor, BLACK, Color, Scene};

/// Height of the bar in pixels.
const HEIGHT: f64 = 12.0;
const STEPS: usize = 64;

/// Draws the bar below `top` between two horizontal positions; `color` gives that of a fraction of the axis.
pub(crate) fn color_bar(
    scene: &mut Scene,
    top: f64,
    [left, right]: [f64; 2],
    axis: &Axis,
    color: impl Fn(f64) -> Color,
    title: &str,
) {
    let (bottom, width) = (top + HEIGHT, right - left);
    for step in 0..STEPS {
        let (begin, end) = (step as f64 / STEPS as f64, (step + 1) as f64 / STEPS as f64);
        // Each box reaches to the end: the next covers all but its own share.
        scene.boxes(vec![[left + begin * width, top, right, bottom]], color(0.5 * (begin + end)));
    }
    scene.line(vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], 1.0, BLACK);
    let ticks = axis.ticks((width / 90.0) as usize);
    for value in ticks.minor {
        let x = left + width * axis.fraction(value);
        scene.line(vec![(x, bottom), (x, bottom + 3.0)], 0.8, BLACK);
    }
    for (value, label) in ticks.major {
        let x = left + width * axis.fraction(value);
        scene.line(vec![(x, bottom), (x, bottom + 5.0)], 1.0, BLACK);
        scene.text((x, bottom + 20.0), label, TICK_SIZE - 1.0, Anchor::Middle);
    }
    let title = format!("{title} {}", ticks.factor);
    scene.text(((left + right) / 2.0, bottom + 42.0), title.trim(), TICK_SIZE, Anchor::Middle);
}
