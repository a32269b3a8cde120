//! Renders a [`Scene`] with `plotters`: as SVG, and as an anti-aliased PNG.

use std::fmt::Debug;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use plotters::prelude::{
    BitMapBackend, Color as _, DrawingBackend, FontStyle, FontTransform, IntoFont, RGBColor, SVGBackend,
    ShapeStyle, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::font;
use super::indexed::indexed;
use super::scene::{Anchor, Color, Point, Scene, Shape, Text};

/// Units of the SVG per pixel of the figure: `plotters` writes whole numbers, and a tenth of a pixel is enough.
const SVG_UNITS: f64 = 10.0;
/// Pixels of the PNG per pixel of the figure: sharp on high-density screens and in talks.
const PNG_PIXELS: usize = 2;
/// Samples per pixel of the PNG and direction; `plotters` leaves the edges of polygons rough.
const SAMPLES: usize = 2;
/// `plotters` divides the font sizes it writes to SVG by this.
const SVG_FONT_FACTOR: f64 = 1.24;
/// `plotters` puts the baseline of text anchored at its top this many ems lower.
const SVG_ASCENT: f64 = 0.76;

/// The figure as an SVG document.
pub(crate) fn svg(scene: &Scene) -> String {
    let units = |length: f64| (length * SVG_UNITS).round() as u32;
    let mut document = String::new();
    let mut surface =
        Vector(SVGBackend::with_string(&mut document, (units(scene.width), units(scene.height))));
    draw(scene, &mut surface);
    in_memory(surface.0.present());
    drop(surface);
    let images: String = scene.shapes.iter().filter_map(embedded).collect();
    // Behind all else, for `plotters` knows no images: nothing may be drawn over them.
    let end = document.rfind("</svg>").unwrap_or(document.len());
    document.insert_str(end, &images);
    let oversized = format!("width=\"{}\" height=\"{}\"", units(scene.width), units(scene.height));
    document.replacen(&oversized, &format!("width=\"{}\" height=\"{}\"", scene.width, scene.height), 1)
}

/// The element of an image: a bitmap of one sample per pixel, which browsers are told not to smooth.
fn embedded(shape: &Shape) -> Option<String> {
    let Shape::Image { at: (x, y), pixel, width, levels } = shape else { return None };
    let rows = levels.len() / width;
    let [x, y, wide, high] =
        [*x, *y, pixel * *width as f64, pixel * rows as f64].map(|length| (length * SVG_UNITS).round());
    let data = BASE64.encode(grey_png(levels, *width));
    Some(format!(
        "<image x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{high}\" preserveAspectRatio=\"none\" \
         style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{data}\"/>\n"
    ))
}

/// A grey image as a PNG file, black for 255.
fn grey_png(levels: &[u8], width: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, (levels.len() / width) as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_compression(png::Compression::Best);
    let inverted: Vec<u8> = levels.iter().map(|level| 255 - level).collect();
    let mut writer = encoder.write_header().expect("an image has rows and columns");
    writer.write_image_data(&inverted).expect("writing to memory cannot fail");
    writer.finish().expect("writing to memory cannot fail");
    file
}

/// The figure as a PNG file, `PNG_PIXELS` times the size of the scene.
pub(crate) fn png(scene: &Scene) -> Result<Vec<u8>, png::EncodingError> {
    let (width, height) = (scene.width as usize * PNG_PIXELS, scene.height as usize * PNG_PIXELS);
    let mut samples = vec![255; width * SAMPLES * height * SAMPLES * 3];
    let size = ((width * SAMPLES) as u32, (height * SAMPLES) as u32);
    draw(scene, &mut Raster(BitMapBackend::with_buffer(&mut samples, size)));
    encode(&average(&samples, width), width as u32, height as u32)
}

/// Something that can show shapes; coordinates and sizes are those of the scene.
trait Surface {
    fn line(&mut self, points: &[Point], width: f64, color: Color);
    fn polygon(&mut self, points: &[Point], color: Color);
    fn boxes(&mut self, boxes: &[[f64; 4]], color: Color);
    fn disc(&mut self, center: Point, radius: f64, color: Color);
    fn image(&mut self, at: Point, pixel: f64, width: usize, levels: &[u8]);
    fn text(&mut self, text: &Text);
}

fn draw(scene: &Scene, surface: &mut impl Surface) {
    for shape in &scene.shapes {
        match shape {
            Shape::Line { points, width, color } => surface.line(points, *width, *color),
            Shape::Polygon { points, color } => surface.polygon(points, *color),
            Shape::Boxes { boxes, color } => surface.boxes(boxes, *color),
            Shape::Disc { center, radius, color } => surface.disc(*center, *radius, *color),
            Shape::Image { at, pixel, width, levels } => surface.image(*at, *pixel, *width, levels),
            Shape::Text(text) => surface.text(text),
        }
    }
}

struct Vector<'a>(SVGBackend<'a>);

impl Surface for Vector<'_> {
    fn line(&mut self, points: &[Point], width: f64, color: Color) {
        let style = style(color).stroke_width((width * SVG_UNITS).round() as u32);
        in_memory(self.0.draw_path(points.iter().map(|point| scaled(*point, SVG_UNITS)), &style));
    }

    fn polygon(&mut self, points: &[Point], color: Color) {
        in_memory(self.0.fill_polygon(points.iter().map(|point| scaled(*point, SVG_UNITS)), &style(color)));
    }

    /// One polygon round all boxes: boxes of their own would show hairlines where they touch.
    fn boxes(&mut self, boxes: &[[f64; 4]], color: Color) {
        let above = boxes.iter().flat_map(|&[left, top, right, _]| [(left, top), (right, top)]);
        let below =
            boxes.iter().rev().flat_map(|&[left, _, right, bottom]| [(right, bottom), (left, bottom)]);
        self.polygon(&above.chain(below).collect::<Vec<_>>(), color);
    }

    fn disc(&mut self, center: Point, radius: f64, color: Color) {
        let radius = (radius * SVG_UNITS).round() as u32;
        in_memory(self.0.draw_circle(scaled(center, SVG_UNITS), radius, &style(color), true));
    }

    /// See [`embedded`].
    fn image(&mut self, _: Point, _: f64, _: usize, _: &[u8]) {}

    fn text(&mut self, text: &Text) {
        let horizontal = match text.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let (ascent, (x, y)) = (SVG_ASCENT * text.size, text.at);
        let (transform, top) = match text.vertical {
            true => (FontTransform::Rotate270, (x - ascent, y)),
            false => (FontTransform::None, (x, y - ascent)),
        };
        let weight = if text.bold { FontStyle::Bold } else { FontStyle::Normal };
        let font = (font::FAMILY, text.size * SVG_UNITS * SVG_FONT_FACTOR).into_font().style(weight);
        let color = rgb(text.color);
        let style =
            TextStyle::from(font.transform(transform)).pos(Pos::new(horizontal, VPos::Top)).color(&color);
        in_memory(self.0.draw_text(&text.text, &style, scaled(top, SVG_UNITS)));
    }
}

/// Samples of the PNG per pixel of the figure.
const RASTER: f64 = (PNG_PIXELS * SAMPLES) as f64;

struct Raster<'a>(BitMapBackend<'a>);

impl Surface for Raster<'_> {
    /// Segments and round joints one by one: the outline `plotters` computes for a wide path has flaws at sharp bends.
    fn line(&mut self, points: &[Point], width: f64, color: Color) {
        let width = (width * RASTER).round().max(1.0);
        for pair in points.windows(2) {
            self.segment(pair[0], pair[1], width, color);
        }
        if width > 4.0 {
            for joint in &points[1..points.len() - 1] {
                in_memory(self.0.draw_circle(
                    scaled(*joint, RASTER),
                    (width / 2.0) as u32,
                    &style(color),
                    true,
                ));
            }
        }
    }

    fn polygon(&mut self, points: &[Point], color: Color) {
        in_memory(self.0.fill_polygon(points.iter().map(|point| scaled(*point, RASTER)), &style(color)));
    }

    fn boxes(&mut self, boxes: &[[f64; 4]], color: Color) {
        for &[left, top, right, bottom] in boxes {
            let (corner, opposite) = (scaled((left, top), RASTER), scaled((right, bottom), RASTER));
            in_memory(self.0.draw_rect(corner, opposite, &style(color), true));
        }
    }

    fn disc(&mut self, center: Point, radius: f64, color: Color) {
        let radius = (radius * RASTER).round() as u32;
        in_memory(self.0.draw_circle(scaled(center, RASTER), radius, &style(color), true));
    }

    fn image(&mut self, (left, top): Point, pixel: f64, width: usize, levels: &[u8]) {
        for (index, level) in levels.iter().enumerate() {
            let corner = (left + (index % width) as f64 * pixel, top + (index / width) as f64 * pixel);
            let (x, y) = scaled(corner, RASTER);
            let (right, bottom) = scaled((corner.0 + pixel, corner.1 + pixel), RASTER);
            in_memory(self.0.draw_rect((x, y), (right, bottom), &style([255 - level; 3]), true));
        }
    }

    /// Sets glyphs itself: `plotters` ignores their side bearings and differs from its SVG in size and baseline.
    fn text(&mut self, text: &Text) {
        let (x, y) = scaled(text.origin(), RASTER);
        font::rasterize(&text.text, text.size * RASTER, text.bold, |right, down, coverage| {
            let pixel = if text.vertical { (x + down, y - right) } else { (x + right, y + down) };
            let color = rgb(text.color).mix(f64::from(coverage)).to_backend_color();
            in_memory(self.0.draw_pixel(pixel, color));
        });
    }
}

impl Raster<'_> {
    /// A straight line; along the axes as a rectangle, so that all frames and ticks have the same width.
    fn segment(&mut self, from: Point, to: Point, width: f64, color: Color) {
        let ((x0, y0), (x1, y1)) = (scaled(from, RASTER), scaled(to, RASTER));
        let (before, after) = ((width / 2.0).floor() as i32, (width / 2.0).ceil() as i32);
        if x0 == x1 || y0 == y1 {
            let corner = (x0.min(x1) - before, y0.min(y1) - before);
            let opposite = (x0.max(x1) + after, y0.max(y1) + after);
            in_memory(self.0.draw_rect(corner, opposite, &style(color), true));
        } else {
            in_memory(self.0.draw_line((x0, y0), (x1, y1), &style(color).stroke_width(width as u32)));
        }
    }
}

fn scaled((x, y): Point, scale: f64) -> (i32, i32) {
    ((x * scale).round() as i32, (y * scale).round() as i32)
}

fn rgb([red, green, blue]: Color) -> RGBColor {
    RGBColor(red, green, blue)
}

fn style(color: Color) -> ShapeStyle {
    rgb(color).filled()
}

/// Both backends draw into memory, where nothing can go wrong.
fn in_memory<E: Debug>(drawn: Result<(), E>) {
    drawn.expect("drawing into memory cannot fail");
}

/// Averages blocks of `SAMPLES` × `SAMPLES` RGB samples of an image `width` blocks wide.
fn average(samples: &[u8], width: usize) -> Vec<u8> {
    let row = width * SAMPLES * 3;
    let mut pixels = Vec::with_capacity(samples.len() / (SAMPLES * SAMPLES));
    let mut sums = vec![0u16; row];
    for rows in samples.chunks_exact(SAMPLES * row) {
        sums.fill(0);
        for samples in rows.chunks_exact(row) {
            sums.iter_mut().zip(samples).for_each(|(sum, &sample)| *sum += u16::from(sample));
        }
        for block in sums.chunks_exact(SAMPLES * 3) {
            pixels.extend((0..3).map(|channel| {
                let sum: u16 = block[channel..].iter().step_by(3).sum();
                (sum / (SAMPLES * SAMPLES) as u16) as u8
            }));
        }
    }
    pixels
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let (palette, indices) = indexed(pixels);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(palette.concat());
    encoder.set_compression(png::Compression::Default);
    // Large areas of one colour compress best unfiltered.
    encoder.set_filter(png::FilterType::NoFilter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&indices)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::scene::{BLACK, BLUE};

    fn decode(file: &[u8]) -> (u32, Vec<u8>) {
        let mut decoder = png::Decoder::new(file);
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, pixels)
    }

    #[test]
    fn shapes_appear_where_they_were_drawn_in_both_formats() {
        let mut scene = Scene::new(40.0, 20.0);
        scene.boxes(vec![[10.0, 5.0, 20.0, 15.0]], BLUE);
        scene.text((2.0, 12.0), "a<b & \"c\"", 8.0, Anchor::Start).color(BLACK);
        let document = svg(&scene);
        assert!(
            document.starts_with("<svg width=\"40\" height=\"20\" viewBox=\"0 0 400 200\""),
            "{document}"
        );
        assert!(
            document.contains("a&lt;b &amp; &quot;c&quot;") && document.contains("100,50 200,50"),
            "{document}"
        );
        let mut scene = Scene::new(40.0, 20.0);
        scene.boxes(vec![[10.0, 5.0, 20.0, 15.0]], BLUE);
        let (width, pixels) = decode(&png(&scene).unwrap());
        let pixel = |x: usize, y: usize| &pixels[(y * width as usize + x) * 3..][..3];
        assert_eq!((pixel(30, 20), pixel(50, 20), pixel(30, 5)), (&BLUE[..], &[255; 3][..], &[255; 3][..]));
    }

    #[test]
    fn images_have_their_pixels_in_both_formats() {
        let mut scene = Scene::new(20.0, 10.0);
        scene.image((4.0, 2.0), 1.5, 2, vec![0, 255, 100, 7]);
        let (width, pixels) = decode(&png(&scene).unwrap());
        let pixel = |x: usize, y: usize| pixels[(y * width as usize + x) * 3];
        assert_eq!([pixel(8, 4), pixel(10, 6), pixel(11, 4), pixel(13, 6)], [255, 255, 0, 0]);
        assert_eq!([pixel(9, 8), pixel(12, 8), pixel(14, 8)], [155, 248, 255]);
        let document = svg(&scene);
        let data = document.split("base64,").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let (width, pixels) = decode(&BASE64.decode(data).unwrap());
        assert_eq!((width, &pixels[..]), (2, &[255, 0, 155, 248][..]));
        assert!(
            document.contains("<image x=\"40\" y=\"20\" width=\"30\" height=\"30\"")
                && document.ends_with("</svg>\n")
        );
    }

    #[test]
    fn text_stands_on_its_baseline_and_ends_at_its_anchor() {
        let mut scene = Scene::new(60.0, 30.0);
        scene.text((50.0, 20.0), "HHH", 12.0, Anchor::End);
        let (width, pixels) = decode(&png(&scene).unwrap());
        let dark: Vec<(usize, usize)> = (0..pixels.len() / 3)
            .filter(|index| pixels[index * 3] < 128)
            .map(|index| (index % width as usize, index / width as usize))
            .collect();
        let (bottom, right) =
            (dark.iter().map(|p| p.1).max().unwrap(), dark.iter().map(|p| p.0).max().unwrap());
        assert!((38..=40).contains(&bottom) && (94..=100).contains(&right), "{bottom} {right}");
    }
}
