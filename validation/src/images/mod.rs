//! Samples of images: what a classifier sees in them, how near they are to training images, and simple observables.
//!
//! `validation` knows no classifier: it is handed features and classes of both samples as [`Classified`].

mod classes;
mod frechet;
mod nearest;
mod observables;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use simile_data::random;

pub use self::classes::{ClassMetrics, ClassifiedMetrics, ClassifiedSample, accuracy, classified_metrics};
pub use self::nearest::{NearestImages, NearestMetrics, nearest_metrics};
pub(crate) use self::observables::image_features;

/// A column of grey images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageColumn {
    /// Name of the column, lists of pixels row by row.
    pub name: String,
    /// Height and width; `None` for squares.
    pub size: Option<[usize; 2]>,
}

/// Height and width of images of so many pixels: those given, or the sides of a square; `None` if it is none.
pub fn side_lengths(given: Option<[usize; 2]>, pixels: usize) -> Option<[usize; 2]> {
    let side = pixels.isqrt();
    given.or_else(|| (side * side == pixels).then_some([side; 2]))
}

/// Rows of some `wanted` of so many images, at random and in their order: files may be sorted by class. All rows if no more
/// are there.
pub fn random_rows(images: usize, wanted: usize, seed: u64) -> Vec<usize> {
    if wanted >= images {
        return (0..images).collect();
    }
    let mut rng = random::stream(seed, "validation/images", 0);
    let mut rows = rand::seq::index::sample(&mut rng, images, wanted).into_vec();
    rows.sort_unstable();
    rows
}

/// What a classifier makes of a sample of images.
#[derive(Clone, Debug)]
pub struct Classified {
    /// Numbers in which images of different kinds differ, `[images, features]`.
    pub features: Array2<f32>,
    /// Most probable class of every image, from 0.
    pub classes: Vec<usize>,
}

/// Figures of samples of images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageMetrics {
    /// By a classifier of images; where there is one.
    pub classified: Option<ClassifiedMetrics>,
    /// By their distances to training images; in a run.
    pub nearest: Option<NearestMetrics>,
}
