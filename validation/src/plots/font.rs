//! The typeface of every figure: DejaVu Sans, shipped with the crate so that figures look the same on any machine.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, GlyphId, ScaleFont, point};

/// Font families of the SVG files, best first: viewers without DejaVu fall back to a face of similar width.
pub(crate) const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// The regular face as a TrueType file, for embedding in the report.
pub(crate) const REGULAR: &[u8] = include_bytes!("assets/DejaVuSans.ttf");
const BOLD: &[u8] = include_bytes!("assets/DejaVuSans-Bold.ttf");

static FACES: LazyLock<[FontRef<'static>; 2]> = LazyLock::new(|| {
    [REGULAR, BOLD]
        .map(|face| FontRef::try_from_slice(face).expect("the fonts shipped in assets/ are valid TrueType"))
});

fn face(bold: bool) -> &'static FontRef<'static> {
    &FACES[usize::from(bold)]
}

/// The pixel scale at which one em is `size` pixels; `ab_glyph` scales by ascent minus descent instead.
fn pixel_scale(font: &FontRef<'_>, size: f64) -> f32 {
    let em = font.units_per_em().unwrap_or(2048.0);
    size as f32 * font.height_unscaled() / em
}

/// Glyphs of `text` with the horizontal position of each, and the advance of the whole line.
fn layout(text: &str, size: f64, bold: bool) -> (Vec<(GlyphId, f32)>, f32) {
    let font = face(bold);
    let scaled = font.as_scaled(pixel_scale(font, size));
    let mut position = 0.0;
    let mut previous = None;
    let mut glyphs = Vec::with_capacity(text.len());
    for character in text.chars() {
        let id = scaled.glyph_id(character);
        position += previous.map_or(0.0, |previous| scaled.kern(previous, id));
        glyphs.push((id, position));
        position += scaled.h_advance(id);
        previous = Some(id);
    }
    (glyphs, position)
}

/// Width of `text` set at `size` pixels per em.
pub(crate) fn width(text: &str, size: f64, bold: bool) -> f64 {
    f64::from(layout(text, size, bold).1)
}

/// The longest beginning of `text` that fits into `available` pixels, with an ellipsis where something was cut.
pub(crate) fn fit(text: &str, size: f64, bold: bool, available: f64) -> String {
    if width(text, size, bold) <= available {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let shortened: String = kept.iter().collect::<String>().trim_end().to_owned() + "…";
        if width(&shortened, size, bold) <= available {
            return shortened;
        }
    }
    String::new()
}

/// Calls `draw(right, down, coverage)` for every pixel that `text` touches, relative to the start of its baseline.
pub(crate) fn rasterize(text: &str, size: f64, bold: bool, mut draw: impl FnMut(i32, i32, f32)) {
    let font = face(bold);
    let scale = pixel_scale(font, size);
    for (id, position) in layout(text, size, bold).0 {
        let glyph = id.with_scale_and_position(scale, point(position, 0.0));
        let Some(outline) = font.outline_glyph(glyph) else { continue };
        let corner = outline.px_bounds().min;
        outline.draw(|x, y, coverage| draw(corner.x as i32 + x as i32, corner.y as i32 + y as i32, coverage));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_that_figures_use_has_a_glyph() {
        let used = "0123456789+-−.,×⁻⁰¹²³⁴⁵⁶⁷⁸⁹χσμαβΔηφ±√∞≤≥→|()[]/%°₀₁₂";
        for character in used.chars() {
            for bold in [false, true] {
                assert_ne!(face(bold).glyph_id(character).0, 0, "{character} (bold: {bold}) is missing");
            }
        }
    }

    #[test]
    fn width_grows_with_the_size_and_shortened_text_fits() {
        let (small, large) = (width("Energy [MeV]", 10.0, false), width("Energy [MeV]", 20.0, false));
        assert!((large / small - 2.0).abs() < 0.02, "{small} {large}");
        let short = fit("visible energy over incident energy", 14.0, false, 120.0);
        assert!(short.ends_with('…') && width(&short, 14.0, false) <= 120.0, "{short}");
        assert_eq!(fit("short", 14.0, false, 120.0), "short");
    }
}
