//! Sheets of grey images: rows and columns of them, in one or more blocks side by side. Dark is much: paper is an empty
//! pixel, ink the brightest one.

use serde::{Deserialize, Serialize};

use super::Draft;
use super::font;
use super::latent_classes::{self, ClassMap};
use super::panel::{AXIS_TITLE_SIZE, NOTE_SIZE, TITLE_SIZE};
use super::scene::{Anchor, GREY_FILL, GREY_TEXT, Scene};

/// Space round a figure in pixels.
const MARGIN: f64 = 24.0;
/// Space between blocks.
const BLOCK_GAP: f64 = 36.0;
/// Space between images.
const GAP: f64 = 1.5;
/// Space above a row that starts a group.
const GROUP_GAP: f64 = 14.0;
/// Width that the blocks of a figure share: of one block, and of several.
const WIDTHS: [f64; 2] = [672.0, 912.0];
/// Side of the largest image in pixels.
const LARGEST: f64 = 64.0;
/// Sizes of a pixel are multiples of this, so that all pixels of the bitmap come out alike.
const STEP: f64 = 0.25;

/// All that is shown of a run whose events are images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageFigures {
    /// Height and width of an image.
    pub size: [usize; 2],
    /// The sheets in their order.
    pub sheets: Vec<ImageSheet>,
    /// Where the classes lie in the latent space; for models that know it.
    pub map: Option<ClassMap>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageSheet {
    /// Name of its files.
    pub name: String,
    /// Title above it.
    pub title: String,
    /// What it shows, in a sentence or two.
    pub caption: String,
    /// Heading of the gallery under which it belongs.
    pub section: String,
    /// What stands side by side.
    pub blocks: Vec<ImageBlock>,
}

/// Rows of images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageBlock {
    /// What they are.
    pub heading: String,
    /// What the columns are; may be empty.
    pub columns: Vec<String>,
    /// From top to bottom.
    pub rows: Vec<ImageRow>,
}

/// Images side by side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageRow {
    /// What they are; may be empty.
    pub label: String,
    /// Whether some space above sets it apart.
    pub apart: bool,
    /// The images, pixel by pixel, width fastest: 0 is the smallest value shown and 255 the largest.
    pub images: Vec<Vec<u8>>,
}

/// The figures, in their order.
pub(super) fn drafts(figures: &ImageFigures) -> Vec<Draft> {
    let sheets = figures.sheets.iter().filter(|sheet| !sheet.blocks.is_empty());
    let sheets = sheets.map(|sheet| Draft {
        name: sheet.name.clone(),
        title: sheet.title.clone(),
        caption: sheet.caption.clone(),
        section: sheet.section.clone(),
        scene: scene(sheet, figures.size),
    });
    sheets.chain(figures.map.as_ref().and_then(latent_classes::draft)).collect()
}

/// Where everything stands.
struct Layout {
    /// Side of an image pixel.
    pixel: f64,
    /// Distance of columns and of rows.
    pitch: [f64; 2],
    /// Room for the labels of rows, for every block.
    labels: Vec<f64>,
}

impl Layout {
    fn of(sheet: &ImageSheet, [height, width]: [usize; 2]) -> Self {
        let labels: Vec<f64> = sheet.blocks.iter().map(label_width).collect();
        let columns: usize = sheet.blocks.iter().map(columns).sum();
        let gaps = BLOCK_GAP * (sheet.blocks.len() - 1) as f64 + labels.iter().sum::<f64>();
        let available = WIDTHS[usize::from(sheet.blocks.len() > 1)] - gaps;
        let side = (available / columns.max(1) as f64 - GAP).min(LARGEST);
        let pixel = (side / height.max(width).max(1) as f64 / STEP).floor().max(1.0) * STEP;
        let pitch = [width, height].map(|pixels| pixel * pixels as f64 + GAP);
        Self { pixel, pitch, labels }
    }

    /// Width of a block without the labels of its rows.
    fn width(&self, block: &ImageBlock) -> f64 {
        self.pitch[0] * columns(block) as f64 + GAP
    }

    fn height(&self, block: &ImageBlock) -> f64 {
        let apart = block.rows.iter().filter(|row| row.apart).count() as f64;
        self.pitch[1] * block.rows.len() as f64 + GAP + GROUP_GAP * apart
    }
}

fn columns(block: &ImageBlock) -> usize {
    block.rows.iter().map(|row| row.images.len()).max().unwrap_or(0)
}

fn label_width(block: &ImageBlock) -> f64 {
    let widths = block.rows.iter().map(|row| font::width(&row.label, NOTE_SIZE, false));
    let widest = widths.fold(0.0, f64::max);
    if widest > 0.0 { widest + 10.0 } else { 0.0 }
}

fn scene(sheet: &ImageSheet, size: [usize; 2]) -> Scene {
    let layout = Layout::of(sheet, size);
    let has_headings = sheet.blocks.iter().any(|block| !block.heading.is_empty());
    let has_columns = sheet.blocks.iter().any(|block| !block.columns.is_empty());
    let top = 44.0 + if has_headings { 26.0 } else { 0.0 } + if has_columns { 20.0 } else { 0.0 };
    let blocks = sheet.blocks.iter().zip(&layout.labels).map(|(block, labels)| labels + layout.width(block));
    let needed = blocks.sum::<f64>() + BLOCK_GAP * (sheet.blocks.len() - 1) as f64;
    let titled = font::width(&sheet.title, TITLE_SIZE, true);
    let height = sheet.blocks.iter().map(|block| layout.height(block)).fold(0.0, f64::max);
    let mut scene = Scene::new(2.0 * MARGIN + needed.max(titled).ceil(), (top + height + MARGIN).ceil());
    scene.text((MARGIN, 28.0), &sheet.title, TITLE_SIZE, Anchor::Start).bold();
    let mut left = MARGIN;
    for (block, labels) in sheet.blocks.iter().zip(&layout.labels) {
        draw(&mut scene, block, &layout, size, (left + labels, top));
        left += labels + layout.width(block) + BLOCK_GAP;
    }
    scene
}

/// Draws a block whose images begin at `(left, top)`, with what stands above and beside them.
fn draw(
    scene: &mut Scene,
    block: &ImageBlock,
    layout: &Layout,
    [_, width]: [usize; 2],
    (left, top): (f64, f64),
) {
    let [pitch, row_pitch] = layout.pitch;
    let above = if block.columns.is_empty() { 10.0 } else { 30.0 };
    let heading = font::fit(&block.heading, AXIS_TITLE_SIZE, false, layout.width(block) + BLOCK_GAP);
    scene.text((left, top - above), heading, AXIS_TITLE_SIZE, Anchor::Start);
    for (column, label) in block.columns.iter().enumerate() {
        let at = (left + GAP + (column as f64 + 0.5) * pitch - 0.5 * GAP, top - 8.0);
        scene.text(at, label, NOTE_SIZE, Anchor::Middle).color(GREY_TEXT);
    }
    let mut y = top;
    for row in &block.rows {
        y += if row.apart { GROUP_GAP } else { 0.0 };
        let baseline = y + 0.5 * row_pitch + 0.36 * NOTE_SIZE;
        scene.text((left - 8.0, baseline), &row.label, NOTE_SIZE, Anchor::End);
        let right = left + GAP + pitch * row.images.len() as f64;
        scene.boxes(vec![[left, y, right, y + row_pitch + GAP]], GREY_FILL);
        for (column, levels) in row.images.iter().enumerate() {
            let at = (left + GAP + column as f64 * pitch, y + GAP);
            scene.image(at, layout.pixel, width, levels.clone());
        }
        y += row_pitch;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::scene::Shape;

    fn sheet(columns: usize) -> ImageSheet {
        let row = |label: &str, apart| ImageRow {
            label: label.into(),
            apart,
            images: vec![vec![0, 255, 7, 8, 9, 10]; columns],
        };
        ImageSheet {
            name: "samples".into(),
            title: "Images".into(),
            caption: String::new(),
            section: "Images".into(),
            blocks: vec![
                ImageBlock {
                    heading: "Reference".into(),
                    columns: vec!["1".into(); columns],
                    rows: vec![row("input", false), row("output", false), row("input", true)],
                };
                2
            ],
        }
    }

    #[test]
    fn images_fit_into_the_figure_and_do_not_overlap() {
        for columns in [1, 8, 40] {
            let scene = scene(&sheet(columns), [2, 3]);
            let areas: Vec<[f64; 4]> = scene
                .shapes
                .iter()
                .filter_map(|shape| match shape {
                    Shape::Image { at: (x, y), pixel, .. } => {
                        Some([*x, *y, x + 3.0 * pixel, y + 2.0 * pixel])
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(areas.len(), 6 * columns);
            for (i, a) in areas.iter().enumerate() {
                assert!(a[0] >= 0.0 && a[1] >= 44.0 && a[2] <= scene.width && a[3] <= scene.height, "{a:?}");
                let apart = |b: &[f64; 4]| a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
                assert!(areas[i + 1..].iter().all(apart), "{a:?} overlaps");
            }
        }
    }
}
