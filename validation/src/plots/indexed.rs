//! Reduces an image to 256 colours, which halves the size of the PNG files of figures.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::scene::Color;

/// Colours of an indexed PNG.
const COLORS: usize = 256;

/// Palette and one index per pixel of an RGB image. Frequent colours stay as they are; rarer ones, from soft edges and
/// colour scales, become a neighbour at the smallest distance that leaves no more than 256 of them.
pub(crate) fn indexed(pixels: &[u8]) -> (Vec<Color>, Vec<u8>) {
    let colors: Vec<Color> = pixels.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    // Runs of one colour make up most of a figure, so that few look-ups suffice.
    let runs = || colors.chunk_by(|a, b| a == b);
    let mut counts: HashMap<Color, usize> = HashMap::new();
    for run in runs() {
        *counts.entry(run[0]).or_default() += run.len();
    }
    let mut ranking: Vec<(Color, usize)> = counts.into_iter().collect();
    // The colour decides between equal counts, so that the file does not depend on the order of the hash map.
    ranking.sort_unstable_by_key(|(color, count)| (Reverse(*count), *color));
    let ranking: Vec<Color> = ranking.into_iter().map(|(color, _)| color).collect();
    let palette = (0..).find_map(|distance| spread(&ranking, 4 * distance)).unwrap_or_default();
    let index: HashMap<Color, u8> = ranking.iter().map(|color| (*color, nearest(&palette, *color))).collect();
    let indices = runs().flat_map(|run| std::iter::repeat_n(index[&run[0]], run.len())).collect();
    (palette, indices)
}

/// The colours that lie more than `distance` from all before them; `None` where these are too many.
fn spread(ranking: &[Color], distance: u8) -> Option<Vec<Color>> {
    let mut palette: Vec<Color> = Vec::with_capacity(COLORS);
    for color in ranking {
        if palette.iter().all(|chosen| between(*chosen, *color) > distance) || palette.is_empty() {
            if palette.len() == COLORS {
                return None;
            }
            palette.push(*color);
        }
    }
    Some(palette)
}

fn nearest(palette: &[Color], color: Color) -> u8 {
    (0..palette.len()).min_by_key(|index| between(palette[*index], color)).unwrap_or(0) as u8
}

/// The largest difference of any channel.
fn between(a: Color, b: Color) -> u8 {
    a.iter().zip(b).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_colours_are_exact_and_rare_ones_close() {
        let mut pixels = [[10, 20, 30], [255, 255, 255]].concat().repeat(500);
        for value in 0..=255 {
            pixels.extend([[value, value, value], [value, 255 - value, 7], [40, value, 200]].concat());
        }
        let (palette, indices) = indexed(&pixels);
        assert!(palette.len() <= COLORS && indices.len() == pixels.len() / 3);
        assert_eq!(
            (palette[usize::from(indices[0])], palette[usize::from(indices[1])]),
            ([10, 20, 30], [255; 3])
        );
        for (pixel, index) in pixels.chunks_exact(3).zip(indices) {
            let shown = palette[usize::from(index)];
            assert!(between([pixel[0], pixel[1], pixel[2]], shown) <= 4, "{pixel:?} became {shown:?}");
        }
    }

    #[test]
    fn few_colours_are_all_kept() {
        assert_eq!(indexed(&[1, 2, 3, 1, 2, 4, 1, 2, 3]), (vec![[1, 2, 3], [1, 2, 4]], vec![0, 1, 0]));
    }
}
