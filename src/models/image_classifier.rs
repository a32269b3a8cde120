//! A trained [`LeNet`] with what belongs to it: the labels of its classes, the scale of its pixels, and how often it is right.
//! On disk a folder with `manifest.json` and `weights.safetensors`.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};
use simile_data::{DataError, Dataset, random, sha256};
use simile_validation::images::{Classified, accuracy, side_lengths};
use simile_validation::metrics::Share;
use simile_validation::plots::format::with_error;
use thiserror::Error;

use super::lenet::{LabelledImages, LeNet, LeNetConfig, LeNetTraining};
use crate::files::{self, PendingFolder};
use crate::nn::parameters::{self, ParameterError};
use crate::tensors::{self, TensorFileError};
use crate::training;

/// Digits of a hash that tell weights apart.
const HASH_DIGITS: usize = 12;
/// Version of the layout of the folder.
const FORMAT_VERSION: u32 = 1;
/// Name of the kind in the manifest.
const KIND: &str = "image-classifier";
const MANIFEST: &str = "manifest.json";
const WEIGHTS: &str = "weights.safetensors";
/// More classes than this are a column that holds no labels.
const MAX_CLASSES: usize = 1000;
/// Images are moved by this part of their size in training: two pixels of the 28 of MNIST.
const SHIFT: f64 = 1.0 / 14.0;
/// Images in a step.
const BATCH: usize = 128;
/// Largest learning rate.
const LEARNING_RATE: f64 = 3e-3;

/// A classifier that cannot be trained, read or written.
#[derive(Debug, Error)]
pub enum ImageClassifierError {
    /// Reading images or writing results.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The column holds no images of the size asked for.
    #[error(
        "column `{column}` of {place} has {found} values, an image of {} × {} has {}: name the right column, or give its size",
        size[0], size[1], size[0] * size[1]
    )]
    Width {
        /// The column
        column: String,
        /// The files
        place: String,
        /// Values in a row
        found: usize,
        /// Height and width
        size: [usize; 2],
    },
    /// The number of values is no square, and no size was given.
    #[error("column `{column}` has {found} values, which make no square image: give height and width")]
    NotSquare {
        /// The column
        column: String,
        /// Values in a row
        found: usize,
    },
    /// Too small for the network.
    #[error("images of {} × {} pixels are too small: {needed} in each direction are needed", size[0], size[1])]
    TooSmall {
        /// Height and width
        size: [usize; 2],
        /// Shortest side
        needed: usize,
    },
    /// Labels that make no classes.
    #[error(
        "column `{column}` has {found} different labels, a classifier needs 2 to {MAX_CLASSES}: name a column of labels"
    )]
    Labels {
        /// The column
        column: String,
        /// Different values
        found: usize,
    },
    /// A test image of a class that was not trained.
    #[error(
        "row {row} of {place} has the label {value}, which no training image has: test with images of the same classes"
    )]
    UnknownLabel {
        /// The files
        place: String,
        /// The row
        row: u64,
        /// The label
        value: f32,
    },
    /// A label that the classifier does not know.
    #[error(
        "column `{column}` has the label {label}, which the classifier of images was not trained with: train one with all labels"
    )]
    ForeignLabel {
        /// The column
        column: String,
        /// The label
        label: f32,
    },
    /// Images of another size than those the classifier was trained with.
    #[error(
        "images are of {} × {} pixels, those of the classifier of {} × {}: train one with images of this size",
        found[0], found[1], expected[0], expected[1]
    )]
    OtherSize {
        /// Height and width
        found: [usize; 2],
        /// Those of the classifier
        expected: [usize; 2],
    },
    /// The loss became infinite.
    #[error("the training of the classifier diverged: are there pixels beyond all measure?")]
    Diverged,
    /// Not a folder of a classifier.
    #[error("{path} is no classifier of images ({reason}): make one with `simile classify`")]
    NotAClassifier {
        /// The folder
        path: PathBuf,
        /// Why not
        reason: String,
    },
    /// The weights file.
    #[error(transparent)]
    Tensors(#[from] TensorFileError),
    /// The weights do not fit the manifest.
    #[error("weights of {path}: {source}")]
    Parameters {
        /// The weights file
        path: PathBuf,
        /// What does not fit
        source: ParameterError,
    },
}

/// Where labelled images stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageColumns {
    /// Column of the pixels, row by row.
    pub image: String,
    /// Column of the labels.
    pub label: String,
    /// Height and width of an image; none for a square.
    pub size: Option<[usize; 2]>,
}

/// Linear map of pixels to numbers with mean 0 and width 1 over all training images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelScale {
    /// Mean pixel.
    pub mean: f32,
    /// Standard deviation of the pixels.
    pub std: f32,
}

/// What a classifier is and how well it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierManifest {
    /// [`FORMAT_VERSION`]
    pub format_version: u32,
    /// Always `image-classifier`.
    pub kind: String,
    /// Version of simile that trained it.
    pub simile: String,
    /// Widths of the network.
    pub network: LeNetConfig,
    /// How it was trained.
    pub training: LeNetTraining,
    /// Scale of its input.
    pub pixels: PixelScale,
    /// Label of every class, ascending.
    pub labels: Vec<f32>,
    /// Columns of the training images.
    pub columns: ImageColumns,
    /// SHA-256 of the files with the training images, by path.
    pub train_files: BTreeMap<String, String>,
    /// Training images.
    pub train_images: usize,
    /// SHA-256 of the files with the test images, by path.
    pub test_files: BTreeMap<String, String>,
    /// Test images.
    pub test_images: usize,
    /// Part of the test images that are classified rightly, with its binomial error.
    pub accuracy: Share,
    /// The same for the images of every class.
    pub class_accuracy: Vec<Share>,
    /// Wall-clock time of training.
    pub seconds: f64,
}

/// See the module documentation.
pub struct ImageClassifier {
    /// What it is.
    pub manifest: ClassifierManifest,
    /// What it is, and which weights it has, if they were read from a file.
    pub name: String,
    network: LeNet,
    device: Device,
}

/// Images and labels as read.
struct Labelled {
    pixels: Array2<f32>,
    labels: Vec<f32>,
    rows: Vec<u64>,
}

fn place(dataset: &Dataset) -> String {
    let paths: Vec<String> = dataset.files().iter().map(|file| file.path.display().to_string()).collect();
    paths.join(", ")
}

fn hashes(dataset: &Dataset) -> Result<BTreeMap<String, String>, DataError> {
    let paths = dataset.files().iter().map(|file| file.path.display().to_string());
    Ok(paths.zip(dataset.sha256()?).collect())
}

impl ImageColumns {
    /// Height and width of the images in a data set.
    fn size_in(&self, dataset: &Dataset) -> Result<[usize; 2], ImageClassifierError> {
        let found = dataset.column_width(&self.image)?;
        let column = self.image.clone();
        let Some(size) = side_lengths(self.size, found) else {
            return Err(ImageClassifierError::NotSquare { column, found });
        };
        if size[0] * size[1] != found {
            return Err(ImageClassifierError::Width { column, place: place(dataset), found, size });
        }
        Ok(size)
    }

    fn read(&self, dataset: &Dataset) -> Result<Labelled, ImageClassifierError> {
        let width = dataset.column_width(&self.image)?;
        let (mut pixels, mut labels, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for events in dataset.scan().columns(&[&self.image, &self.label]).events()? {
            let events = events?;
            pixels.extend(events.column(&self.image)?.iter().copied());
            labels.extend(events.column(&self.label)?.column(0).iter().copied());
            rows.extend_from_slice(&events.rows);
        }
        let pixels = Array2::from_shape_vec((rows.len(), width), pixels).expect("a row for every image");
        Ok(Labelled { pixels, labels, rows })
    }
}

impl PixelScale {
    fn of(pixels: &Array2<f32>) -> Self {
        let n = pixels.len() as f64;
        let mean = pixels.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let variance = pixels.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
        let std = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        Self { mean: mean as f32, std: std as f32 }
    }

    fn apply(&self, pixels: ArrayView2<'_, f32>) -> Array2<f32> {
        pixels.mapv(|pixel| (pixel - self.mean) / self.std)
    }
}

/// Different labels, ascending.
fn distinct(labels: &[f32]) -> Vec<f32> {
    let mut distinct = labels.to_vec();
    distinct.sort_by(f32::total_cmp);
    distinct.dedup();
    distinct
}

impl ImageClassifier {
    /// Trains a classifier on `train`, and counts how often it is right on `test`. Equal seeds give equal classifiers.
    ///
    /// # Errors
    /// If the images cannot be read, do not have the size given, or the labels make no classes.
    pub fn train(
        train: &Dataset,
        test: &Dataset,
        columns: &ImageColumns,
        (epochs, seed): (usize, u64),
        device: &Device,
        observer: &mut dyn training::Observer,
    ) -> Result<Self, ImageClassifierError> {
        let start = Instant::now();
        let size = columns.size_in(train)?;
        columns.size_in(test)?;
        let images = columns.read(train)?;
        let labels = distinct(&images.labels);
        if !(2..=MAX_CLASSES).contains(&labels.len()) {
            let (column, found) = (columns.label.clone(), labels.len());
            return Err(ImageClassifierError::Labels { column, found });
        }
        let network = LeNetConfig::new(size, labels.len());
        let needed = network.smallest_side();
        if size[0].min(size[1]) < needed {
            return Err(ImageClassifierError::TooSmall { size, needed });
        }
        let pixels = PixelScale::of(&images.pixels);
        let darkest = images.pixels.iter().copied().fold(f32::INFINITY, f32::min);
        let training = LeNetTraining {
            epochs,
            batch_size: BATCH,
            learning_rate: LEARNING_RATE,
            shift: (SHIFT * size[0].min(size[1]) as f64).round() as usize,
            background: (darkest - pixels.mean) / pixels.std,
            seed,
        };
        let mut manifest = ClassifierManifest {
            format_version: FORMAT_VERSION,
            kind: KIND.into(),
            simile: env!("CARGO_PKG_VERSION").into(),
            network,
            training,
            pixels,
            labels,
            columns: ImageColumns { size: Some(size), ..columns.clone() },
            train_files: hashes(train)?,
            train_images: images.rows.len(),
            test_files: hashes(test)?,
            test_images: 0,
            accuracy: Share::of(0, 0),
            class_accuracy: Vec::new(),
            seconds: 0.0,
        };
        let classes = manifest.classes(&images, train)?;
        let labelled = LabelledImages { pixels: pixels.apply(images.pixels.view()), classes };
        let network = LeNet::train(&manifest.network, &labelled, &training, device, observer)
            .ok_or(ImageClassifierError::Diverged)?;
        manifest.seconds = start.elapsed().as_secs_f64();
        let mut classifier = Self { name: manifest.name(), manifest, network, device: device.clone() };
        classifier.test(test)?;
        Ok(classifier)
    }

    /// Counts how often it is right.
    fn test(&mut self, test: &Dataset) -> Result<(), ImageClassifierError> {
        let images = self.manifest.columns.read(test)?;
        let truth = self.manifest.classes(&images, test)?;
        let found = self.classify(images.pixels.view()).classes;
        let classes = 0..self.manifest.labels.len();
        let manifest = &mut self.manifest;
        manifest.accuracy = accuracy(&truth, &found, None);
        manifest.class_accuracy = classes.map(|class| accuracy(&truth, &found, Some(class))).collect();
        manifest.test_images = truth.len();
        Ok(())
    }

    /// Features and most probable class of images `[images, pixels]` in the unit of the training images.
    pub fn classify(&self, pixels: ArrayView2<'_, f32>) -> Classified {
        let scaled = self.manifest.pixels.apply(pixels);
        let (features, classes) = self.network.classify(scaled.view(), &self.device);
        Classified { features, classes }
    }

    /// Checks that images have the size of those it was trained with.
    ///
    /// # Errors
    /// If they have not.
    pub fn check_size(&self, found: [usize; 2]) -> Result<(), ImageClassifierError> {
        let expected = self.manifest.network.size;
        if found == expected { Ok(()) } else { Err(ImageClassifierError::OtherSize { found, expected }) }
    }

    /// Writes the folder, which appears complete, in place of an earlier one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ImageClassifierError> {
        let folder = PendingFolder::create(path)?;
        files::write_json(&folder.path().join(MANIFEST), &self.manifest)?;
        tensors::write(&folder.path().join(WEIGHTS), &parameters::collect(&self.network), HashMap::new())?;
        Ok(folder.replace()?)
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// If a file is missing or damaged, or the files do not belong together.
    pub fn load(path: &Path, device: &Device) -> Result<Self, ImageClassifierError> {
        let not_a_classifier =
            |reason: String| ImageClassifierError::NotAClassifier { path: path.to_path_buf(), reason };
        let manifest: serde_json::Value = files::read_json(&path.join(MANIFEST))
            .map_err(|error| not_a_classifier(format!("{MANIFEST}: {error}")))?;
        if manifest["kind"] != KIND {
            return Err(not_a_classifier(format!("{MANIFEST} does not say `kind` \"{KIND}\"")));
        }
        if manifest["format_version"] != FORMAT_VERSION {
            let found = &manifest["format_version"];
            let reason = format!("format version {found}, this simile reads version {FORMAT_VERSION}");
            return Err(not_a_classifier(reason));
        }
        let manifest: ClassifierManifest = serde_json::from_value(manifest)
            .map_err(|error| not_a_classifier(format!("{MANIFEST}: {error}")))?;
        manifest.network.check().map_err(not_a_classifier)?;
        if manifest.labels.len() != manifest.network.classes {
            let [labels, classes] = [manifest.labels.len(), manifest.network.classes];
            return Err(not_a_classifier(format!("{MANIFEST}: {labels} labels of {classes} classes")));
        }
        let weights_path = path.join(WEIGHTS);
        let (weights, _) = tensors::read(&weights_path)?;
        let hash = File::open(&weights_path).and_then(sha256);
        let hash =
            hash.map_err(|source| DataError::Io { action: "read", path: weights_path.clone(), source })?;
        let name = format!("{}, weights {}", manifest.name(), &hash[..HASH_DIGITS]);
        // Weights drawn here are replaced.
        let network = manifest.network.init(device, &mut random::stream(0, "lenet/load", 0));
        let network = parameters::load(network, weights)
            .map_err(|source| ImageClassifierError::Parameters { path: weights_path, source })?;
        Ok(Self { manifest, name, network: network.valid(), device: device.clone() })
    }
}

impl ClassifierManifest {
    /// Class of a label; none for one that was not trained.
    pub fn class_of(&self, label: f32) -> Option<usize> {
        self.labels.iter().position(|known| *known == label)
    }

    fn classes(&self, images: &Labelled, dataset: &Dataset) -> Result<Vec<usize>, ImageClassifierError> {
        let classes = images.labels.iter().zip(&images.rows).map(|(&value, &row)| {
            self.class_of(value).ok_or_else(|| {
                let place = place(dataset);
                ImageClassifierError::UnknownLabel { place, row, value }
            })
        });
        classes.collect()
    }
}

impl ClassifierManifest {
    /// What it is, for reports.
    pub fn name(&self) -> String {
        let [height, width] = self.network.size;
        let Share { value, error } = self.accuracy;
        let accuracy = with_error(100.0 * value, 100.0 * error);
        format!("LeNet of {height} × {width} pixels, ({accuracy}) % right")
    }

    /// What it is and how well it does, in a line.
    pub fn summary(&self) -> String {
        let [height, width] = self.network.size;
        let Share { value, error } = self.accuracy;
        format!(
            "{} classes of {height} × {width} pixels: accuracy ({}) % on {} test images, trained on {} in {:.0} s",
            self.labels.len(),
            with_error(100.0 * value, 100.0 * error),
            self.test_images,
            self.train_images,
            self.seconds
        )
    }
}
