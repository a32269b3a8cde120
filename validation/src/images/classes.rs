//! What a classifier of images tells of two samples: whether images are of the class they were made for, whether all classes
//! are there, and distances in the space of its features.
//!
//! With p_k the share of the images classified as k of K classes, the balance is −Σ p_k ln p_k / ln K, and the smallest
//! share min_k p_k/q_k, q_k being the reference's. The floors are the same figures of the reference: its accuracy and
//! balance, and the smallest share of halves of it.

use serde::{Deserialize, Serialize};

use super::Classified;
use super::frechet::frechet;
use crate::compare::FLOOR_SPLITS;
use crate::error::ValidationError;
use crate::metrics::{DistanceMetrics, Estimate, NeighbourMetrics, Share};
use crate::multivariate::{mean, neighbourhoods};
use crate::statistics::Grouping;

/// One sample, classified.
#[derive(Clone, Copy, Debug)]
pub struct ClassifiedSample<'a> {
    /// What the classifier makes of it.
    pub found: &'a Classified,
    /// The class every image was made for, or has; `None` where that is not known.
    pub truth: Option<&'a [usize]>,
}

/// Figures by a classifier of images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassifiedMetrics {
    /// Which classifier.
    pub classifier: String,
    /// Images in the class they were made for, with binomial error; the floor is that of the reference. `None` without labels.
    pub accuracy: Option<DistanceMetrics>,
    /// Entropy of the classes found over that of equal shares; the floor is that of the reference.
    pub balance: DistanceMetrics,
    /// The smallest share of a class over the reference's share; the floor is that of halves of the reference.
    pub smallest_share: DistanceMetrics,
    /// Every class.
    pub classes: Vec<ClassMetrics>,
    /// Fréchet distance of the features, and that of halves of the reference.
    pub fid_lenet: DistanceMetrics,
    /// Precision, recall, density and coverage of the standardised features; `None` with too few images.
    pub neighbours: Option<NeighbourMetrics>,
}

/// One class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Its label.
    pub label: String,
    /// Share of the reference that is classified so.
    pub reference: Share,
    /// Share of the candidate that is classified so.
    pub candidate: Share,
    /// Of the candidate's images made for this class, the share classified so; `None` without labels.
    pub accuracy: Option<Share>,
    /// The same of the reference.
    pub reference_accuracy: Option<Share>,
}

/// Compares `candidate` with `reference`, classified by the `classifier` of that name with the classes `labels`.
///
/// # Errors
/// When the eigenvalues of a covariance cannot be found.
pub fn classified_metrics(
    (classifier, labels): (&str, &[String]),
    reference: ClassifiedSample<'_>,
    candidate: ClassifiedSample<'_>,
    seed: u64,
) -> Result<ClassifiedMetrics, ValidationError> {
    let features = [reference, candidate].map(|sample| &sample.found.features);
    let counts = [reference, candidate].map(|sample| counts(&sample.found.classes, labels.len()));
    let classes = labels.iter().enumerate().map(|(class, label)| ClassMetrics {
        label: label.clone(),
        reference: share(&counts[0], class),
        candidate: share(&counts[1], class),
        accuracy: candidate.accuracy(Some(class)),
        reference_accuracy: reference.accuracy(Some(class)),
    });
    let [floor, value] = [&counts[0], &counts[1]].map(|counts| balance(counts));
    let smallest = smallest_share(&counts[0], &counts[1]);
    let of_halves = smallest_shares_of_halves(&reference.found.classes, labels.len(), seed);
    Ok(ClassifiedMetrics {
        classifier: classifier.to_owned(),
        accuracy: candidate.accuracy(None).map(|found| {
            let truth = reference.accuracy(None).unwrap_or(Share { value: f64::NAN, error: f64::NAN });
            with_floor(
                Estimate { value: found.value, error: found.error },
                Estimate { value: truth.value, error: truth.error },
            )
        }),
        balance: with_floor(value, floor),
        smallest_share: with_floor(smallest, of_halves),
        classes: classes.collect(),
        fid_lenet: frechet(features[0], features[1], seed)?,
        neighbours: neighbourhoods(features[0], features[1], seed),
    })
}

fn with_floor(value: Estimate, floor: Estimate) -> DistanceMetrics {
    DistanceMetrics { value: value.value, error: value.error, floor: floor.value, floor_error: floor.error }
}

impl ClassifiedSample<'_> {
    fn accuracy(&self, class: Option<usize>) -> Option<Share> {
        Some(accuracy(self.truth?, &self.found.classes, class))
    }
}

/// Part of the images of a class, or of all, that a classifier finds in it.
pub fn accuracy(truth: &[usize], found: &[usize], class: Option<usize>) -> Share {
    let pairs = truth.iter().zip(found).filter(|(truth, _)| class.is_none_or(|class| **truth == class));
    let (right, wrong): (Vec<_>, Vec<_>) = pairs.partition(|(truth, found)| truth == found);
    Share::of(right.len(), right.len() + wrong.len())
}

fn counts(classes: &[usize], number: usize) -> Vec<usize> {
    let mut counts = vec![0; number];
    classes.iter().for_each(|&class| counts[class] += 1);
    counts
}

fn share(counts: &[usize], class: usize) -> Share {
    Share::of(counts[class], counts.iter().sum())
}

/// Entropy over its largest value, and its error by propagation.
fn balance(counts: &[usize]) -> Estimate {
    let n: usize = counts.iter().sum();
    let shares = counts.iter().filter(|&&count| count > 0).map(|&count| count as f64 / n as f64);
    let entropy = -shares.clone().map(|p| p * p.ln()).sum::<f64>();
    let variance = shares.map(|p| p * p.ln().powi(2)).sum::<f64>() - entropy * entropy;
    let largest = (counts.len() as f64).ln();
    Estimate { value: entropy / largest, error: (variance.max(0.0) / n as f64).sqrt() / largest }
}

/// The smallest ratio of shares over the classes that the reference has, and its statistical error.
fn smallest_share(reference: &[usize], candidate: &[usize]) -> Estimate {
    let ratio = |class: usize| {
        let [truth, found] = [reference, candidate].map(|counts| share(counts, class));
        let value = found.value / truth.value;
        Estimate { value, error: (found.error / truth.value).hypot(value * truth.error / truth.value) }
    };
    let ratios = (0..reference.len()).filter(|&class| reference[class] > 0).map(ratio);
    ratios.min_by(|a, b| a.value.total_cmp(&b.value)).unwrap_or_default()
}

/// Mean over divisions of the sample into halves, and the error of the mean.
fn smallest_shares_of_halves(classes: &[usize], number: usize, seed: u64) -> Estimate {
    let grouping = Grouping::new(classes.len(), seed);
    let smallest = (0..FLOOR_SPLITS).map(|split| {
        let first = Grouping::halves(seed, split);
        let [one, other] = [true, false].map(|side| {
            let half = classes.iter().enumerate();
            let half = half.filter(|(image, _)| first[usize::from(grouping.group(*image))] == side);
            counts(&half.map(|(_, &class)| class).collect::<Vec<_>>(), number)
        });
        smallest_share(&one, &other).value
    });
    mean(smallest.collect())
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::testing::gaussian;

    /// `count` images of every class, features round the class's own place.
    fn sample(images: &[usize], seed: u64) -> Classified {
        let classes: Vec<usize> =
            images.iter().enumerate().flat_map(|(class, &count)| std::iter::repeat_n(class, count)).collect();
        let noise = gaussian(3 * classes.len(), 0.0, seed);
        let features = Array2::from_shape_fn((classes.len(), 3), |(image, feature)| {
            noise[3 * image + feature] + if classes[image] == feature { 4.0 } else { 0.0 }
        });
        Classified { features, classes }
    }

    fn metrics(reference: &Classified, candidate: &Classified, truth: Option<&[usize]>) -> ClassifiedMetrics {
        let labels = ["0", "1", "2"].map(String::from);
        let reference = ClassifiedSample { found: reference, truth: Some(&reference.classes) };
        classified_metrics(("test", &labels), reference, ClassifiedSample { found: candidate, truth }, 1)
            .expect("finite")
    }

    #[test]
    fn a_balanced_sample_has_all_classes() {
        let (truth, fake) = (sample(&[400; 3], 1), sample(&[400; 3], 2));
        let found = metrics(&truth, &fake, None);
        assert!((found.balance.value - 1.0).abs() < 1e-12 && found.smallest_share.value == 1.0, "{found:?}");
        assert!((0.75..1.0).contains(&found.smallest_share.floor), "{found:?}");
        assert!(found.accuracy.is_none() && found.classes.len() == 3);
        let excess = found.fid_lenet.value - found.fid_lenet.floor;
        assert!(excess.abs() < 4.0 * found.fid_lenet.error.hypot(found.fid_lenet.floor_error), "{found:?}");
    }

    /// Of 1200 images 900, 300 and 0 are in the classes: entropy of (3/4, 1/4, 0).
    #[test]
    fn a_lost_class_shows_in_balance_and_smallest_share() {
        let (truth, fake) = (sample(&[400; 3], 1), sample(&[900, 300, 0], 2));
        let found = metrics(&truth, &fake, None);
        // Python 3.11.7: -(0.75*log(0.75) + 0.25*log(0.25)) / log(3)
        assert!((found.balance.value - 0.5118595071429148).abs() < 1e-12, "{:?}", found.balance);
        assert_eq!(found.smallest_share.value, 0.0);
        assert!(found.fid_lenet.value > 20.0 * found.fid_lenet.floor, "{:?}", found.fid_lenet);
    }

    #[test]
    fn accuracy_counts_images_in_the_class_they_were_made_for() {
        let (truth, fake) = (sample(&[400; 3], 1), sample(&[400; 3], 2));
        // The second class is asked for another 100 times, which gave images of the first.
        let asked: Vec<usize> = (0..1200).map(|i| if i < 300 { 0 } else { (i / 400).max(1) }).collect();
        let found = metrics(&truth, &fake, Some(&asked));
        let accuracy = found.accuracy.expect("there are labels");
        // Python 3.11.7: sqrt(1100/1200*100/1200/1200)
        assert!((accuracy.value - 1100.0 / 1200.0).abs() < 1e-12, "{accuracy:?}");
        assert!(
            (accuracy.error - 0.007978559231302818).abs() < 1e-12 && accuracy.floor == 1.0,
            "{accuracy:?}"
        );
        let of_classes: Vec<f64> = found.classes.iter().map(|class| class.accuracy.unwrap().value).collect();
        assert_eq!(of_classes, [1.0, 0.8, 1.0]);
    }
}
