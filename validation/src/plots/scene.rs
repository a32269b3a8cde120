//! A figure as a list of shapes in figure coordinates (pixels, y downwards), drawn once and rendered to SVG and PNG.

use super::font;

/// An opaque colour, red, green, blue. Figures use no transparency, so that they print the same everywhere.
pub(crate) type Color = [u8; 3];

pub(crate) const WHITE: Color = [255, 255, 255];
pub(crate) const BLACK: Color = [0, 0, 0];
/// Secondary text: dark enough for a contrast of 7:1 on white.
pub(crate) const GREY_TEXT: Color = [85, 85, 85];
pub(crate) const GREY_LINE: Color = [110, 110, 110];
pub(crate) const GREY_BAND: Color = [186, 186, 186];
pub(crate) const GREY_FILL: Color = [224, 224, 224];
/// Blue and vermilion of the palette of Okabe and Ito (2008), distinct for every kind of colour vision.
pub(crate) const BLUE: Color = [0, 114, 178];
pub(crate) const ORANGE: Color = [213, 94, 0];
/// Bluish green of the same palette, and its reddish purple darkened for thin lines.
pub(crate) const GREEN: Color = [0, 158, 115];
pub(crate) const PURPLE: Color = [150, 60, 110];

/// A point in figure coordinates.
pub(crate) type Point = (f64, f64);

/// Which part of a text lies at its position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a point is drawn; with the colour it keeps samples apart in grey print too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Marker {
    Disc,
    Square,
    Triangle,
    Diamond,
}

/// One line of text.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) at: Point,
    pub(crate) text: String,
    pub(crate) size: f64,
    pub(crate) anchor: Anchor,
    pub(crate) bold: bool,
    /// Reads upwards, as the title of a vertical axis does.
    pub(crate) vertical: bool,
    pub(crate) color: Color,
}

/// What a figure is made of.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// Connected straight lines.
    Line { points: Vec<Point>, width: f64, color: Color },
    /// A filled convex polygon.
    Polygon { points: Vec<Point>, color: Color },
    /// Filled boxes side by side, `[left, top, right, bottom]`, as under a histogram.
    Boxes { boxes: Vec<[f64; 4]>, color: Color },
    /// A filled disc.
    Disc { center: Point, radius: f64, color: Color },
    /// A grey image whose upper left corner lies at a point: squares of side `pixel`, `width` in a row, black for 255.
    Image { at: Point, pixel: f64, width: usize, levels: Vec<u8> },
    /// One line of text with its baseline at a point.
    Text(Text),
}

/// A figure under construction.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) shapes: Vec<Shape>,
}

impl Scene {
    /// An empty white figure of `width` × `height` pixels.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        let background = Shape::Boxes { boxes: vec![[0.0, 0.0, width, height]], color: WHITE };
        Self { width, height, shapes: vec![background] }
    }

    pub(crate) fn line(&mut self, points: Vec<Point>, width: f64, color: Color) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, width, color });
        }
    }

    /// Draws `points` as dashes; `pattern` alternates drawn and skipped lengths in pixels.
    pub(crate) fn dashed(&mut self, points: &[Point], width: f64, color: Color, pattern: &[f64]) {
        if pattern.is_empty() {
            return self.line(points.to_vec(), width, color);
        }
        for dash in dashes(points, pattern) {
            self.line(dash, width, color);
        }
    }

    pub(crate) fn polygon(&mut self, points: Vec<Point>, color: Color) {
        self.shapes.push(Shape::Polygon { points, color });
    }

    pub(crate) fn boxes(&mut self, boxes: Vec<[f64; 4]>, color: Color) {
        if !boxes.is_empty() {
            self.shapes.push(Shape::Boxes { boxes, color });
        }
    }

    pub(crate) fn disc(&mut self, center: Point, radius: f64, color: Color) {
        self.shapes.push(Shape::Disc { center, radius, color });
    }

    pub(crate) fn image(&mut self, at: Point, pixel: f64, width: usize, levels: Vec<u8>) {
        self.shapes.push(Shape::Image { at, pixel, width, levels });
    }

    /// Draws a marker of about `radius` pixels.
    pub(crate) fn marker(&mut self, (x, y): Point, marker: Marker, radius: f64, color: Color) {
        match marker {
            Marker::Disc => self.disc((x, y), radius, color),
            Marker::Square => {
                let half = 0.9 * radius;
                self.boxes(vec![[x - half, y - half, x + half, y + half]], color);
            }
            Marker::Triangle => {
                let (half, low) = (1.1 * radius, y + 0.8 * radius);
                self.polygon(vec![(x, y - 1.2 * radius), (x + half, low), (x - half, low)], color);
            }
            Marker::Diamond => {
                let half = 1.25 * radius;
                self.polygon(vec![(x, y - half), (x + half, y), (x, y + half), (x - half, y)], color);
            }
        }
    }

    /// Writes horizontal black text; the returned reference serves to change its looks.
    pub(crate) fn text(
        &mut self,
        at: Point,
        text: impl Into<String>,
        size: f64,
        anchor: Anchor,
    ) -> &mut Text {
        let text = Text { at, text: text.into(), size, anchor, bold: false, vertical: false, color: BLACK };
        self.shapes.push(Shape::Text(text));
        match self.shapes.last_mut() {
            Some(Shape::Text(text)) => text,
            _ => unreachable!("a text was pushed just now"),
        }
    }
}

impl Text {
    pub(crate) fn bold(&mut self) -> &mut Self {
        self.bold = true;
        self
    }

    pub(crate) fn vertical(&mut self) -> &mut Self {
        self.vertical = true;
        self
    }

    pub(crate) fn color(&mut self, color: Color) -> &mut Self {
        self.color = color;
        self
    }

    /// Where the baseline starts, once the anchor is resolved.
    pub(crate) fn origin(&self) -> Point {
        let shift = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -0.5,
            Anchor::End => -1.0,
        } * font::width(&self.text, self.size, self.bold);
        if self.vertical { (self.at.0, self.at.1 - shift) } else { (self.at.0 + shift, self.at.1) }
    }
}

/// Cuts a line into its drawn dashes.
fn dashes(points: &[Point], pattern: &[f64]) -> Vec<Vec<Point>> {
    let mut result = Vec::new();
    let mut current: Vec<Point> = points.first().copied().into_iter().collect();
    let (mut index, mut left) = (0, pattern[0]);
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let at = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length);
            current.push(at);
            if index % 2 == 0 {
                result.push(std::mem::take(&mut current));
            }
            current = vec![at];
            index = (index + 1) % pattern.len();
            left = pattern[index].max(0.5);
        }
        left -= length - done;
        current.push((x1, y1));
    }
    if index % 2 == 0 && current.len() > 1 {
        result.push(current);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_keep_their_lengths_round_corners() {
        let cut = dashes(&[(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)], &[6.0, 2.0]);
        let lengths: Vec<f64> = cut
            .iter()
            .map(|dash| dash.windows(2).map(|p| (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1)).sum())
            .collect();
        assert_eq!(lengths, [6.0, 6.0, 4.0]);
        assert!(cut[1].contains(&(10.0, 0.0)), "the second dash bends round the corner: {:?}", cut[1]);
    }

    #[test]
    fn an_anchor_moves_along_the_direction_of_reading() {
        let mut scene = Scene::new(100.0, 100.0);
        let width = font::width("abc", 10.0, false);
        assert_eq!(scene.text((50.0, 50.0), "abc", 10.0, Anchor::End).origin(), (50.0 - width, 50.0));
        assert_eq!(
            scene.text((50.0, 50.0), "abc", 10.0, Anchor::End).vertical().origin(),
            (50.0, 50.0 + width)
        );
    }
}
