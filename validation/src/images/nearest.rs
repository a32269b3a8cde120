//! Are generated images copies of training images? Distances ‖x − t‖ in pixels from images x to the nearest training image t,
//! of generated images and of test images, which are no copies (as Meehan, Chaudhuri, Dasgupta 2020, arXiv:2004.05675).
//!
//! Distances of generated images are smaller where images are copied, and where they are smoother than true ones.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::binning::BinningRule;
use crate::compare::{Comparing, Side, compare};
use crate::metrics::{DistanceMetrics, FeatureMetrics, Share};
use crate::sample::{Feature, FeatureColumn};
use crate::statistics::{Grouping, jackknife_error};

/// Images that are searched for together.
const CHUNK: usize = 128;
/// Images as near to a training image as this share of the test images, or nearer, are near copies.
const NEAR: f64 = 0.05;

/// The nearest training image of each of some images.
pub struct NearestImages {
    /// The images, `[images, pixels]`.
    pub images: Array2<f32>,
    /// The nearest training image of each; zeros before there was one.
    pub nearest: Array2<f32>,
    squares: Vec<f32>,
}

impl NearestImages {
    /// Of `[images, pixels]`, before any training image is known.
    pub fn new(images: Array2<f32>) -> Self {
        let squares = vec![f32::INFINITY; images.nrows()];
        Self { nearest: Array2::zeros(images.raw_dim()), squares, images }
    }

    /// Looks through more training images `[training images, pixels]`.
    pub fn look_through(&mut self, training: ArrayView2<'_, f32>) {
        let norms: Array1<f32> = training.map_axis(Axis(1), |image| image.dot(&image));
        let chunks = self.images.axis_chunks_iter(Axis(0), CHUNK).into_par_iter();
        let nearest = self.nearest.axis_chunks_iter_mut(Axis(0), CHUNK).into_par_iter();
        chunks.zip(nearest).zip(self.squares.par_chunks_mut(CHUNK)).for_each(
            |((images, mut nearest), squares)| {
                // ‖x − t‖² − ‖x‖²
                let products = images.dot(&training.t());
                for (((image, mut nearest), square), products) in
                    images.rows().into_iter().zip(nearest.rows_mut()).zip(squares).zip(products.rows())
                {
                    let relative = norms.iter().zip(products).map(|(norm, product)| norm - 2.0 * product);
                    let best = relative.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
                    let Some((index, relative)) = best else { continue };
                    if relative + image.dot(&image) < *square {
                        *square = relative + image.dot(&image);
                        nearest.assign(&training.row(index));
                    }
                }
            },
        );
    }

    /// Distance of every image to the nearest training image.
    pub fn distances(&self) -> Vec<f32> {
        let pairs = self.images.rows().into_iter().zip(self.nearest.rows());
        pairs
            .map(|(image, nearest)| {
                Zip::from(image).and(nearest).fold(0.0, |sum: f32, x, t| sum + (x - t).powi(2)).sqrt()
            })
            .collect()
    }
}

/// How near the images of two samples are to training images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearestMetrics {
    /// Images of each sample.
    pub images: [usize; 2],
    /// Median distance of candidates over that of the reference, whose own is 1.
    pub ratio: DistanceMetrics,
    /// Share of candidates as near as the nearest twentieth of the reference is, or nearer.
    pub near_copies: Share,
    /// Both distributions.
    pub distance: FeatureMetrics,
}

/// Compares the distances of candidates with those of the reference.
pub fn nearest_metrics(reference: Vec<f32>, candidate: Vec<f32>, seed: u64) -> NearestMetrics {
    let samples = [reference, candidate];
    let groupings = [0, 1].map(|i| Grouping::new(samples[i].len(), seed));
    let median = |i: usize, without: Option<usize>| {
        let kept = samples[i].iter().enumerate();
        let kept = kept.filter(|(image, _)| Some(usize::from(groupings[i].group(*image))) != without);
        quantile(kept.map(|(_, distance)| *distance).collect(), 0.5)
    };
    let ratio = |without: Option<usize>| median(1, without) / median(0, without);
    let near = quantile(samples[0].clone(), NEAR);
    let copies = samples[1].iter().filter(|&&distance| f64::from(distance) <= near).count();
    let feature = Feature {
        name: "nearest_training_image".into(),
        label: "Distance to the nearest training image".into(),
        unit: None,
        log_x: false,
        log_y: false,
        per_event: true,
    };
    let images = [samples[0].len(), samples[1].len()];
    let near_copies = Share::of(copies, images[1]);
    let error = jackknife_error(&std::array::from_fn(|group| ratio(Some(group))));
    let ratio = DistanceMetrics { value: ratio(None), error, floor: 1.0, floor_error: 0.0 };
    let columns = samples.map(|values| FeatureColumn { values, ..column(&feature) });
    let [truth, fake] = [0, 1].map(|i| Side {
        column: &columns[i],
        grouping: &groupings[i],
        sum_of_weights: images[i] as f64,
    });
    let distance =
        compare(truth, fake, Comparing { binning: BinningRule::default(), permutations: None, seed });
    NearestMetrics { images, ratio, near_copies, distance }
}

fn column(feature: &Feature) -> FeatureColumn {
    FeatureColumn { feature: feature.clone(), values: Vec::new(), weights: None, events: None }
}

/// The value below which a share of the values lies.
fn quantile(mut values: Vec<f32>, share: f64) -> f64 {
    let index = ((values.len() - 1) as f64 * share).round() as usize;
    f64::from(*values.select_nth_unstable_by(index, f32::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gaussian;

    fn images(number: usize, seed: u64) -> Array2<f32> {
        Array2::from_shape_vec((number, 6), gaussian(6 * number, 0.0, seed)).expect("six pixels")
    }

    #[test]
    fn the_nearest_image_is_found_in_whatever_block_it_stands() {
        let (queries, training) = (images(300, 1), images(500, 2));
        let mut search = NearestImages::new(queries.clone());
        for block in training.axis_chunks_iter(Axis(0), 70) {
            search.look_through(block);
        }
        for (query, found) in queries.rows().into_iter().zip(search.distances()) {
            let distances = training.rows().into_iter().map(|t| (&query - &t).mapv(|d| d * d).sum().sqrt());
            let expected = distances.fold(f32::INFINITY, f32::min);
            assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}");
        }
    }

    #[test]
    fn copies_are_told_from_new_images() {
        let training = images(2000, 1);
        let distances = |images: Array2<f32>| {
            let mut search = NearestImages::new(images);
            search.look_through(training.view());
            search.distances()
        };
        let test = distances(images(800, 2));
        let fresh = nearest_metrics(test.clone(), distances(images(800, 3)), 1);
        assert!((fresh.ratio.value - 1.0).abs() < 4.0 * fresh.ratio.error, "{:?}", fresh.ratio);
        assert!(
            (fresh.near_copies.value - NEAR).abs() < 5.0 * fresh.near_copies.error,
            "{:?}",
            fresh.near_copies
        );
        let noise = images(800, 4).mapv(|x| 0.05 * x);
        let copied = nearest_metrics(test, distances(&training.slice(ndarray::s![..800, ..]) + &noise), 1);
        assert!(copied.ratio.value < 0.3 && copied.near_copies.value > 0.9, "{copied:?}");
    }
}
