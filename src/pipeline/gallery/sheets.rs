//! Sheets that need no latent space.

use ndarray::{Array2, Axis, s};
use simile_validation::plots::format::{count, significant};
use simile_validation::plots::{ImageBlock, ImageRow, ImageSheet, MEMORISATION};

use super::{Gallery, PipelineError};
use crate::models::normal_noise;

/// Heading of sheets that show both samples.
const IMAGES: &str = "Images";
/// Rows and columns of samples.
const GRID: usize = 10;
/// Images of every class.
const OF_CLASS: usize = 10;
/// Classes shown at most.
const MOST_CLASSES: usize = 12;
/// Rows and columns of ways from noise to image.
const PATHS: [usize; 2] = [8, 10];
/// Generated images shown with their nearest training images, twice.
const PAIRS: usize = 12;
/// Columns of reconstructions, and how many rows of them.
const RECONSTRUCTIONS: [usize; 2] = [12, 3];

/// Headings of blocks with reference and candidate.
const SAMPLES: [&str; 2] = ["Test images", "Generated images"];

impl Gallery<'_> {
    /// The first images of both samples.
    pub(super) fn samples(&self) -> ImageSheet {
        let blocks = [0, 1].map(|sample| {
            let pixels = &self.images.pixels[sample];
            let shown = pixels.slice(s![..pixels.nrows().min(GRID * GRID), ..]);
            ImageBlock {
                heading: SAMPLES[sample].into(),
                columns: Vec::new(),
                rows: shown.axis_chunks_iter(Axis(0), GRID).map(|images| self.row("", images)).collect(),
            }
        });
        let conditions = if self.bundle.manifest.condition_columns.is_empty() {
            ""
        } else {
            " Images in the same place have the same conditions."
        };
        let [low, high] = self.range;
        ImageSheet {
            name: "images_samples".into(),
            title: "Test images and generated images".into(),
            caption: format!(
                "The first images of both samples, none of them chosen.{conditions} White pixels are {low}, black ones {high}."
            ),
            section: IMAGES.into(),
            blocks: blocks.into(),
        }
    }

    /// A row for every class; none where classes are not known.
    pub(super) fn classes(&self) -> Option<ImageSheet> {
        let classes = [self.images.classes_of(0)?, self.images.classes_of(1)?];
        let number = self.images.classes.len().min(MOST_CLASSES);
        let blocks = [0, 1].map(|sample| {
            let rows = self.images.classes[..number].iter().enumerate().map(|(class, label)| {
                let of_class = classes[sample].iter().enumerate().filter(|(_, found)| **found == class);
                let rows: Vec<usize> = of_class.map(|(image, _)| image).take(OF_CLASS).collect();
                self.row(label, self.images.pixels[sample].select(Axis(0), &rows).view())
            });
            ImageBlock { heading: SAMPLES[sample].into(), columns: Vec::new(), rows: rows.collect() }
        });
        let how = match &self.images.labelled[1] {
            Some(_) => {
                "A row for every class that images were generated for, and the test images with this label."
            }
            None => "A row for every class as the classifier finds it; the model was not told of classes.",
        };
        Some(ImageSheet {
            name: "images_classes".into(),
            title: "Images by class".into(),
            caption: format!("{how} The first of every class are shown."),
            section: IMAGES.into(),
            blocks: blocks.into(),
        })
    }

    /// The states between noise and image; none where the way is one step.
    pub(super) fn path(&self) -> Result<Option<ImageSheet>, PipelineError> {
        let events = self.events(0..PATHS[0].min(self.test.len()));
        let condition = self.condition(&events)?;
        let generator = &self.bundle.generator;
        let noise = normal_noise(events.len(), generator.noise_width(), self.device, &mut self.rng(0));
        let Some(path) = generator.trajectory(noise, condition) else { return Ok(None) };
        let (last, shown) = (path.len() - 1, PATHS[1].min(path.len()));
        let steps: Vec<usize> = (0..shown).map(|i| i * last / (shown - 1).max(1)).collect();
        let states: Result<Vec<_>, _> =
            steps.iter().map(|&step| self.pixels(path[step].clone(), &events)).collect();
        let states = states?;
        let rows = (0..events.len()).map(|event| ImageRow {
            label: self.class(event),
            apart: false,
            images: states.iter().map(|state| self.shades(state.row(event))).collect(),
        });
        let block = ImageBlock {
            heading: String::new(),
            columns: steps.iter().map(usize::to_string).collect(),
            rows: rows.collect(),
        };
        Ok(Some(ImageSheet {
            name: "images_path".into(),
            title: "From noise to image".into(),
            caption: format!(
                "States on the way from standard normal noise to an image, shown as images, with the number of the step of {last} above."
            ),
            section: IMAGES.into(),
            blocks: vec![block],
        }))
    }

    /// Generated images with their nearest training images; none before these were looked for.
    pub(super) fn nearest(&self) -> Option<ImageSheet> {
        let search = &self.images.nearest.as_ref()?[1];
        let distances = search.distances();
        let mut order: Vec<usize> = (0..distances.len()).collect();
        let first = order[..order.len().min(PAIRS)].to_vec();
        order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
        let closest = &order[..order.len().min(PAIRS)];
        let row = |label: &str, pixels: &Array2<f32>, images: &[usize]| {
            self.row(label, pixels.select(Axis(0), images).view())
        };
        let mut rows = vec![
            row("generated", &search.images, &first),
            row("training", &search.nearest, &first),
            row("closest generated", &search.images, closest),
            row("training", &search.nearest, closest),
        ];
        rows[2].apart = true;
        let [smallest, median] =
            [0, order.len() / 2].map(|place| significant(distances[order[place]].into(), 3));
        Some(ImageSheet {
            name: "images_nearest".into(),
            title: "Nearest training images".into(),
            caption: format!(
                "Generated images above the training image with the smallest distance in pixels: the first ones, and those of {} with the \
                 smallest distances. These begin at {smallest}; half of all are above {median}. A model that copies would show twins.",
                count(distances.len())
            ),
            section: MEMORISATION.into(),
            blocks: vec![ImageBlock { rows, ..ImageBlock::default() }],
        })
    }

    /// Test images as the encoder sees them and the decoder restores them; none without an encoder.
    pub(super) fn reconstructions(&self) -> Result<Option<ImageSheet>, PipelineError> {
        let [columns, bands] = RECONSTRUCTIONS;
        let events = self.events(0..(columns * bands).min(self.test.len()));
        let mut rng = self.rng(1);
        let target = self.target(&events, &mut rng)?;
        let condition = self.condition(&events)?;
        let Some([input, output]) = self.bundle.generator.reconstruct(target.clone(), condition, &mut rng)
        else {
            return Ok(None);
        };
        let is_spoilt = (target - input.clone()).abs().max().into_scalar::<f32>() > 0.0;
        let truth = self.pixels_of(&events)?.to_owned();
        let (input, output) = (self.pixels(input, &events)?, self.pixels(output, &events)?);
        let mut shown = vec![("test image", &truth)];
        shown.extend(is_spoilt.then_some(("spoilt", &input)));
        shown.push(("restored", &output));
        let mut rows = Vec::new();
        for first in (0..events.len()).step_by(columns) {
            let band = s![first..(first + columns).min(events.len()), ..];
            let start = rows.len();
            rows.extend(shown.iter().map(|(label, pixels)| self.row(*label, pixels.slice(band))));
            rows[start].apart = first > 0;
        }
        let spoilt = if is_spoilt { " The encoder sees the spoilt image, as in training." } else { "" };
        Ok(Some(ImageSheet {
            name: "images_reconstructions".into(),
            title: "Reconstructions".into(),
            caption: format!("Test images, and what the decoder makes of their codes.{spoilt}"),
            section: super::latent::SECTION.into(),
            blocks: vec![ImageBlock { rows, ..ImageBlock::default() }],
        }))
    }
}
