//! Sheets of images for the report: samples, classes, reconstructions, nearest training images, ways through the latent
//! space, and ways from noise to image.
//!
//! Latents of two images are joined by a straight line between codes, and on the sphere where the latent is the noise (White
//! 2016, arXiv:1609.04468).

mod latent;
mod sheets;

use burn::tensor::{Device, Tensor};
use ndarray::{Array2, ArrayView1, ArrayView2};
use rand_chacha::ChaCha8Rng;
use simile_data::{DataError, Dataset, Events, random};
use simile_validation::plots::{ImageFigures, ImageRow};

use super::images::Images;
use super::{PipelineError, RunDirectory};
use crate::models::bundle::Bundle;
use crate::training::{matrix, tensor};

/// Test events that latents are taken from at most.
const EVENTS: u64 = 4000;

/// What the sheets are made from.
struct Gallery<'a> {
    bundle: &'a Bundle,
    device: &'a Device,
    images: &'a Images,
    /// Some test events.
    test: Events,
    /// The smallest and the largest test pixel: white and black.
    range: [f32; 2],
    seed: u64,
}

/// All sheets that the model has something for.
pub(super) fn figures(
    run: &RunDirectory,
    bundle: &Bundle,
    images: &Images,
    test: &Dataset,
    device: &Device,
) -> Result<ImageFigures, PipelineError> {
    let manifest = &bundle.manifest;
    let columns = manifest.condition_columns.iter().chain(&manifest.target_columns);
    let columns: Vec<&String> = columns.map(|(column, _)| column).collect();
    // Classes are known of the images alone that were compared.
    let limit = EVENTS.min(images.pixels[0].nrows() as u64);
    let blocks: Result<Vec<Events>, DataError> =
        test.scan().columns(&columns).limit(Some(limit)).events()?.collect();
    let pixels = images.pixels[0].iter();
    let range = pixels
        .fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], &pixel| [low.min(pixel), high.max(pixel)]);
    let gallery =
        Gallery { bundle, device, images, test: Events::concat(&blocks?)?, range, seed: run.config.seed };
    let mut sheets = vec![gallery.samples()];
    sheets.extend(gallery.classes());
    sheets.extend(gallery.path()?);
    sheets.extend(gallery.nearest());
    sheets.extend(gallery.reconstructions()?);
    sheets.push(gallery.interpolations()?);
    sheets.extend(gallery.traversal()?);
    Ok(ImageFigures { size: images.size, sheets, map: gallery.map()? })
}

impl Gallery<'_> {
    fn rng(&self, sheet: u64) -> ChaCha8Rng {
        random::stream(self.seed, "validate/gallery", sheet)
    }

    /// Pixels as shades between those of the smallest and the largest test pixel.
    fn shades(&self, pixels: ArrayView1<'_, f32>) -> Vec<u8> {
        let [low, high] = self.range;
        let width = if high > low { high - low } else { 1.0 };
        pixels.iter().map(|pixel| (255.0 * ((pixel - low) / width).clamp(0.0, 1.0)).round() as u8).collect()
    }

    fn row(&self, label: impl Into<String>, images: ArrayView2<'_, f32>) -> ImageRow {
        let images = images.rows().into_iter().map(|image| self.shades(image)).collect();
        ImageRow { label: label.into(), apart: false, images }
    }

    /// Some test events.
    fn events(&self, events: impl IntoIterator<Item = usize>) -> Events {
        self.test.select_rows(&events.into_iter().collect::<Vec<_>>())
    }

    fn pixels_of<'e>(&self, events: &'e Events) -> Result<ArrayView2<'e, f32>, DataError> {
        events.column(&self.images.column)
    }

    /// Conditions of events in model space.
    fn condition(&self, events: &Events) -> Result<Tensor<2>, PipelineError> {
        Ok(tensor(&self.bundle.preprocessing.condition(events)?, self.device))
    }

    /// Targets of events in model space.
    fn target(&self, events: &Events, rng: &mut ChaCha8Rng) -> Result<Tensor<2>, PipelineError> {
        Ok(tensor(&self.bundle.preprocessing.target(events, rng)?, self.device))
    }

    /// Images `[events, pixels]` of targets in model space, which belong to the conditions of `events`.
    fn pixels(&self, target: Tensor<2>, events: &Events) -> Result<Array2<f32>, PipelineError> {
        let columns = self.bundle.preprocessing.target_inverse(matrix(target).view(), events)?;
        let image = columns.into_iter().find(|(name, _)| *name == self.images.column);
        Ok(image.expect("a checked configuration names a target").1)
    }

    /// The class of a test event as text; empty where it is not known.
    fn class(&self, event: usize) -> String {
        let class = self.images.labelled[0].as_ref().map(|classes| classes[event]);
        class.map_or(String::new(), |class| self.images.classes[class].clone())
    }
}
