//! A framed plot area: two axes, ticks inside the frame, and marks given in data coordinates.

use super::axis::Axis;
use super::font;
use super::scene::{Anchor, BLACK, Color, GREY_LINE, GREY_TEXT, Marker, Point, Scene};

/// Font sizes in pixels of a figure 720 wide: at column width of a paper the tick labels come to about 7 pt.
pub(crate) const TITLE_SIZE: f64 = 17.0;
pub(crate) const AXIS_TITLE_SIZE: f64 = 17.0;
pub(crate) const TICK_SIZE: f64 = 15.0;
pub(crate) const LEGEND_SIZE: f64 = 15.0;
pub(crate) const NOTE_SIZE: f64 = 13.0;
const FRAME_WIDTH: f64 = 1.25;
const MAJOR_TICK: f64 = 9.0;
const MINOR_TICK: f64 = 5.0;

/// A plot area of the figure with its axes.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

/// A series of points with error bars, in data coordinates; not finite values are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point2 {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Length of the bar below and above.
    pub(crate) errors: [f64; 2],
}

impl Point2 {
    /// A point with a standard error.
    pub(crate) fn new(x: f64, y: f64, error: f64) -> Self {
        Self { x, y, errors: [error; 2] }
    }

    /// A point within the interval `ends`.
    pub(crate) fn within(x: f64, y: f64, ends: [f64; 2]) -> Self {
        Self { x, y, errors: [y - ends[0], ends[1] - y] }
    }

    /// The longer side of the bar.
    pub(crate) fn error(&self) -> f64 {
        self.errors[0].max(self.errors[1])
    }
}

/// How a series looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) color: Color,
    pub(crate) marker: Marker,
    pub(crate) radius: f64,
}

impl Panel {
    pub(crate) fn px(&self, x: f64) -> f64 {
        self.left + self.width * self.x.fraction(x)
    }

    pub(crate) fn py(&self, y: f64) -> f64 {
        self.top + self.height * (1.0 - self.y.fraction(y))
    }

    pub(crate) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Number of labels that suit the height: closer together in the low panels of ratios.
    fn y_labels(&self) -> usize {
        let distance = if self.height < 200.0 { 34.0 } else { 55.0 };
        (self.height / distance).round().max(2.0) as usize
    }

    /// Frame, ticks on all four sides, and labels; `x_labels` is false for the upper of two stacked panels.
    pub(crate) fn frame(&self, scene: &mut Scene, x_labels: bool) {
        self.y_ticks(scene);
        self.frame_of_rows(scene, x_labels);
    }

    /// Frame with ticks on the horizontal axis alone, for rows that have names instead.
    pub(crate) fn frame_of_rows(&self, scene: &mut Scene, x_labels: bool) {
        self.x_ticks(scene, x_labels);
        let (left, right, top, bottom) = (self.left, self.right(), self.top, self.bottom());
        let corners =
            vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top), (right, top)];
        scene.line(corners, FRAME_WIDTH, BLACK);
    }

    fn x_ticks(&self, scene: &mut Scene, labels: bool) {
        let ticks = self.x.ticks((self.width / 95.0).round() as usize);
        let tick = |scene: &mut Scene, x: f64, length: f64| {
            scene.line(vec![(x, self.bottom()), (x, self.bottom() - length)], 1.0, BLACK);
            scene.line(vec![(x, self.top), (x, self.top + length)], 1.0, BLACK);
        };
        for value in ticks.minor {
            tick(scene, self.px(value), MINOR_TICK);
        }
        for (value, label) in ticks.major {
            tick(scene, self.px(value), MAJOR_TICK);
            if labels {
                scene.text((self.px(value), self.bottom() + 20.0), label, TICK_SIZE, Anchor::Middle);
            }
        }
        if labels && !ticks.factor.is_empty() {
            scene.text((self.right(), self.bottom() + 38.0), ticks.factor, TICK_SIZE, Anchor::End);
        }
    }

    fn y_ticks(&self, scene: &mut Scene) {
        let ticks = self.y.ticks(self.y_labels());
        let tick = |scene: &mut Scene, y: f64, length: f64| {
            scene.line(vec![(self.left, y), (self.left + length, y)], 1.0, BLACK);
            scene.line(vec![(self.right(), y), (self.right() - length, y)], 1.0, BLACK);
        };
        for value in ticks.minor {
            tick(scene, self.py(value), MINOR_TICK);
        }
        for (value, label) in ticks.major {
            let y = self.py(value);
            tick(scene, y, MAJOR_TICK);
            scene.text((self.left - 8.0, y + 0.36 * TICK_SIZE), label, TICK_SIZE, Anchor::End);
        }
        if !ticks.factor.is_empty() {
            scene.text((self.left, self.top - 7.0), ticks.factor, NOTE_SIZE, Anchor::Start);
        }
    }

    /// The title below the horizontal axis, at its right end as is the custom of the field.
    pub(crate) fn x_title(&self, scene: &mut Scene, title: &str) {
        let crowded = !self.x.ticks((self.width / 95.0).round() as usize).factor.is_empty();
        let right = self.right() - if crowded { 60.0 } else { 0.0 };
        let title = font::fit(title, AXIS_TITLE_SIZE, false, self.width - 60.0);
        scene.text((right, self.bottom() + 44.0), title, AXIS_TITLE_SIZE, Anchor::End);
    }

    /// The title of the vertical axis `distance` pixels left of it, ending at its upper end.
    pub(crate) fn y_title(&self, scene: &mut Scene, title: &str, distance: f64) {
        let needed = font::width(title, AXIS_TITLE_SIZE, false);
        let size = (AXIS_TITLE_SIZE * self.height / needed.max(1.0)).clamp(NOTE_SIZE, AXIS_TITLE_SIZE);
        let title = font::fit(title, size, false, self.height + 1.0);
        scene.text((self.left - distance, self.top), title, size, Anchor::End).vertical();
    }

    /// Title of the figure above the frame, and a note at the right end of the same line.
    pub(crate) fn heading(&self, scene: &mut Scene, title: &str, note: &str) {
        let left = self.left + if self.y.ticks(self.y_labels()).factor.is_empty() { 0.0 } else { 48.0 };
        let free = self.right() - left - font::width(note, NOTE_SIZE, false) - 16.0;
        let title = font::fit(title, TITLE_SIZE, true, free);
        scene.text((left, self.top - 10.0), title, TITLE_SIZE, Anchor::Start).bold();
        scene.text((self.right(), self.top - 10.0), note, NOTE_SIZE, Anchor::End).color(GREY_TEXT);
    }

    /// A histogram's area: one box per bin from the lower edge of the panel, or from `low`, up to `high`.
    pub(crate) fn boxes(
        &self,
        scene: &mut Scene,
        edges: &[f64],
        low: Option<&[f64]>,
        high: &[f64],
        color: Color,
    ) {
        let boxes = edges
            .windows(2)
            .zip(high)
            .enumerate()
            .map(|(bin, (edge, high))| {
                let bottom = low.map_or(self.bottom(), |low| self.py(low[bin]));
                [self.px(edge[0]), self.py(*high), self.px(edge[1]), bottom]
            })
            .collect();
        scene.boxes(boxes, color);
    }

    /// The outline of a histogram, down to the lower edge at both ends.
    pub(crate) fn steps(&self, scene: &mut Scene, edges: &[f64], heights: &[f64], width: f64, color: Color) {
        let mut points = Vec::with_capacity(2 * heights.len() + 2);
        points.extend(edges.first().map(|edge| (self.px(*edge), self.bottom())));
        for (edge, height) in edges.windows(2).zip(heights) {
            points.push((self.px(edge[0]), self.py(*height)));
            points.push((self.px(edge[1]), self.py(*height)));
        }
        points.extend(edges.last().map(|edge| (self.px(*edge), self.bottom())));
        scene.line(points, width, color);
    }

    /// Markers with vertical error bars, cut at the frame. A point beyond the frame becomes an arrowhead at its edge.
    pub(crate) fn points(&self, scene: &mut Scene, points: &[Point2], look: Look) {
        for point in points.iter().filter(|point| point.x.is_finite() && point.y.is_finite()) {
            let [below, above] = point.errors.map(|error| if error.is_finite() { error } else { 0.0 });
            let (x, upper, lower) = (self.px(point.x), self.py(point.y + above), self.py(point.y - below));
            if upper < lower {
                scene.line(vec![(x, upper), (x, lower)], 1.4, look.color);
            }
            if self.y.contains(point.y) {
                scene.marker((x, self.py(point.y)), look.marker, look.radius, look.color);
            } else {
                self.arrow(scene, x, point.y > self.y.high(), look.color);
            }
        }
    }

    fn arrow(&self, scene: &mut Scene, x: f64, up: bool, color: Color) {
        let (tip, base) = if up { (self.top + 2.0, 9.0) } else { (self.bottom() - 2.0, -9.0) };
        scene.polygon(vec![(x, tip), (x - 4.5, tip + base), (x + 4.5, tip + base)], color);
    }

    /// A line through data points; gaps are left where a value is not finite.
    pub(crate) fn curve(
        &self,
        scene: &mut Scene,
        points: &[Point],
        width: f64,
        color: Color,
        pattern: &[f64],
    ) {
        for part in points.split(|(x, y)| !(x.is_finite() && y.is_finite())) {
            let pixels: Vec<Point> = part.iter().map(|(x, y)| (self.px(*x), self.py(*y))).collect();
            scene.dashed(&pixels, width, color, pattern);
        }
    }

    /// A thin dashed line across the panel at `y`.
    pub(crate) fn horizontal(&self, scene: &mut Scene, y: f64) {
        let y = self.py(y);
        scene.dashed(&[(self.left, y), (self.right(), y)], 1.0, GREY_LINE, &[5.0, 4.0]);
    }
}
