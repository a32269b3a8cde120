//! Images of both samples, and what a classifier and the training sample tell about them.

use burn::tensor::Device;
use ndarray::{Array2, Axis};
use simile_data::{DataError, Dataset};
use simile_validation::images::{
    Classified, ClassifiedMetrics, ClassifiedSample, ImageMetrics, NearestImages, classified_metrics,
    nearest_metrics, random_rows, side_lengths,
};
use simile_validation::metrics::DistanceMetrics;
use simile_validation::plots::format::with_error;
use simile_validation::{ValidateOptions, check_events};

use super::PipelineError;
use crate::models::{ImageClassifier, ImageClassifierError};
use crate::validation::ImagesConfig;

/// Images of each sample whose nearest training images are looked for.
const SEARCHED: usize = 1000;
/// Training images looked through at a time.
const BLOCK: usize = 4096;

/// Reference and candidate, in this order.
pub(crate) struct Images {
    /// Name of the column.
    pub(super) column: String,
    /// Height and width.
    pub(super) size: [usize; 2],
    /// `[images, pixels]`
    pub(super) pixels: [Array2<f32>; 2],
    /// Text of every class; empty where neither labels nor a classifier are there.
    pub(super) classes: Vec<String>,
    /// The class of every image by its label, where the sample has labels.
    pub(super) labelled: [Option<Vec<usize>>; 2],
    /// What the classifier found, and its name.
    pub(super) classified: Option<(String, [Classified; 2])>,
    /// The nearest training images of some, once they were looked for.
    pub(super) nearest: Option<[NearestImages; 2]>,
}

/// Where images and labels come from.
pub(crate) struct Source<'a> {
    /// The table of the configuration.
    pub(crate) config: &'a ImagesConfig,
    /// Reference and candidate.
    pub(crate) samples: [&'a Dataset; 2],
    /// Whether the candidate's labels say what its images were made for.
    pub(crate) is_conditional: bool,
    /// Images read from each sample at most.
    pub(crate) max_events: Option<usize>,
}

impl Source<'_> {
    /// Reads and classifies the images.
    pub(crate) fn read(&self, device: &Device) -> Result<Images, PipelineError> {
        let column = self.config.column.clone().unwrap_or_default();
        let limit = self.max_events.map(|events| events as u64);
        let [reference, candidate] = self.samples.map(|sample| values(sample, &column, limit));
        let pixels = [reference?, candidate?];
        let found = pixels[0].ncols();
        let size = side_lengths(self.config.size, found).filter(|[height, width]| height * width == found);
        let Some(size) = size else {
            return Err(ImageClassifierError::NotSquare { column, found }.into());
        };
        let mut images = Images {
            column,
            size,
            pixels,
            classes: Vec::new(),
            labelled: [None, None],
            classified: None,
            nearest: None,
        };
        let labels = self.labels(limit)?;
        let known = match &self.config.classifier {
            Some(path) => {
                let classifier = ImageClassifier::load(path, device)?;
                classifier.check_size(size)?;
                let found = images.pixels.each_ref().map(|pixels| classifier.classify(pixels.view()));
                images.classified = Some((classifier.name.clone(), found));
                classifier.manifest.labels
            }
            None => distinct(&labels),
        };
        images.labelled = classes_of(labels, &known, self.config)?;
        images.classes = known.into_iter().map(|label| label.to_string()).collect();
        Ok(images)
    }

    /// Labels of both samples, where they have some.
    fn labels(&self, limit: Option<u64>) -> Result<[Option<Vec<f32>>; 2], PipelineError> {
        let Some(label) = &self.config.label else { return Ok([None, None]) };
        let read = |sample: &Dataset| -> Result<Vec<f32>, DataError> {
            Ok(values(sample, label, limit)?.index_axis(Axis(1), 0).to_vec())
        };
        let [reference, candidate] = self.samples;
        let candidate = self.is_conditional.then(|| read(candidate)).transpose()?;
        Ok([Some(read(reference)?), candidate])
    }
}

/// A column of a data set.
fn values(dataset: &Dataset, column: &str, limit: Option<u64>) -> Result<Array2<f32>, DataError> {
    let width = dataset.column_width(column)?;
    let mut values = Vec::new();
    for events in dataset.scan().columns(&[column]).limit(limit).events()? {
        values.extend(events?.column(column)?.iter().copied());
    }
    Ok(Array2::from_shape_vec((values.len() / width, width), values).expect("a row for every event"))
}

/// Different labels of both samples, ascending.
fn distinct(labels: &[Option<Vec<f32>>; 2]) -> Vec<f32> {
    let mut distinct: Vec<f32> = labels.iter().flatten().flatten().copied().collect();
    distinct.sort_by(f32::total_cmp);
    distinct.dedup();
    distinct
}

fn classes_of(
    labels: [Option<Vec<f32>>; 2],
    known: &[f32],
    config: &ImagesConfig,
) -> Result<[Option<Vec<usize>>; 2], PipelineError> {
    let class = |label: f32| {
        known.iter().position(|known| *known == label).ok_or_else(|| {
            let column = config.label.clone().unwrap_or_default();
            ImageClassifierError::ForeignLabel { column, label }
        })
    };
    let [reference, candidate] = labels.map(|labels| {
        labels.map(|labels| labels.into_iter().map(class).collect::<Result<Vec<_>, _>>()).transpose()
    });
    Ok([reference?, candidate?])
}

/// What the classifier found, in a line.
pub(super) fn summary(found: &ClassifiedMetrics) -> String {
    let with_floor = |figure: &DistanceMetrics| {
        let (value, floor) =
            (with_error(figure.value, figure.error), with_error(figure.floor, figure.floor_error));
        format!("{value}, truth against truth {floor}")
    };
    let distance = format!("Fréchet distance of images {}", with_floor(&found.fid_lenet));
    match &found.accuracy {
        Some(accuracy) => format!("class accuracy {}; {distance}", with_floor(accuracy)),
        None => distance,
    }
}

impl Images {
    /// Looks for the nearest training images of some.
    pub(crate) fn search(&mut self, train: &Dataset, seed: u64) -> Result<(), PipelineError> {
        let some = |pixels: &Array2<f32>| {
            let rows = random_rows(pixels.nrows(), SEARCHED, seed);
            NearestImages::new(pixels.select(Axis(0), &rows))
        };
        let mut searches = self.pixels.each_ref().map(some);
        for events in train.scan().columns(&[&self.column]).batch_rows(BLOCK).events()? {
            let events = events?;
            let block = events.column(&self.column)?;
            searches.iter_mut().for_each(|search| search.look_through(block));
        }
        self.nearest = Some(searches);
        Ok(())
    }

    /// The figures, of samples with enough images.
    pub(crate) fn metrics(&self, options: &ValidateOptions) -> Result<ImageMetrics, PipelineError> {
        let labels = [&options.reference_label, &options.candidate_label];
        for (sample, images) in labels.into_iter().zip(&self.pixels) {
            check_events(sample, images.nrows())?;
        }
        let seed = options.seed;
        let classified = self.classified.as_ref().map(|(name, found)| {
            let [reference, candidate] = [0, 1].map(|sample| ClassifiedSample {
                found: &found[sample],
                truth: self.labelled[sample].as_deref(),
            });
            classified_metrics((name, &self.classes), reference, candidate, seed)
        });
        let distances =
            self.nearest.as_ref().map(|searches| searches.each_ref().map(NearestImages::distances));
        let nearest = distances.map(|[reference, candidate]| nearest_metrics(reference, candidate, seed));
        Ok(ImageMetrics { classified: classified.transpose()?, nearest })
    }

    /// The class of every image of a sample by its label, or else by the classifier; `None` where neither is known.
    pub(super) fn classes_of(&self, sample: usize) -> Option<&[usize]> {
        let found = self.classified.as_ref().map(|(_, found)| &found[sample].classes[..]);
        self.labelled[sample].as_deref().or(found)
    }
}
