//! Classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545).
//!
//! A classifier learns to tell candidate from reference events on one part of them and is scored on another. The
//! area under its ROC curve is 0.5 if it finds no difference. Equal numbers of both classes are drawn, split 57/9/34
//! into training, validation and test, and standardised with the training part; what the larger class has beyond is given
//! weights alone. Area, error and curve are means over repetitions with other initialisations, in which the parts move on
//! through the events, so that three repetitions test every event once; the floor is the same protocol on disjoint halves
//! of the reference.
//!
//! Scores are calibrated on the validation part to the probability D that an event is a candidate ([`isotonic`], as in the
//! CaloChallenge, arXiv:2410.21611). Their cross-entropy on the test part gives 1 + ⟨log₂ D(label)⟩, which is the Jensen–Shannon divergence of
//! the samples in bits if the classifier is the best there is, and less otherwise. The weight (1 − D)/D of an event, D from repetitions
//! that were not trained on it, makes candidates look like the reference, as far as the classifier sees.

mod isotonic;
mod repetition;
mod weights;

use ndarray::{ArrayView1, ArrayView2};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simile_data::random;

use self::repetition::{Protocol, Repetition, Rows};
use self::weights::weights;
use crate::metrics::{C2stMetrics, DistanceMetrics, Estimate, WeightMetrics};

/// Events of each class below which a split into training, validation and test says nothing.
pub const MIN_EVENTS: usize = 20;
/// Points of the ROC curves.
const ROC_POINTS: usize = 201;

/// What a classifier implementation reports when it fails.
pub type ClassifierError = Box<dyn std::error::Error + Send + Sync>;

/// Events with their class.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// Standardised inputs, `[events, inputs]`, in random order.
    pub x: ArrayView2<'a, f32>,
    /// Class: 0 reference, 1 candidate.
    pub y: ArrayView1<'a, f32>,
}

/// A method that learns to tell two samples apart.
pub trait TwoSampleClassifier: Sync {
    /// Name for the report, such as `MLP 3×256`.
    fn name(&self) -> &str;

    /// Trains on `train` and chooses what there is to choose with `validation`. Equal seeds give equal scores.
    ///
    /// # Errors
    /// When the training fails.
    fn fit(
        &self,
        train: &Labelled<'_>,
        validation: &Labelled<'_>,
        seed: u64,
    ) -> Result<Box<Scorer<'_>>, ClassifierError>;
}

/// A trained classifier: one finite score for each row of `[events, inputs]`, larger the more like the candidate.
pub type Scorer<'a> = dyn Fn(ArrayView2<'_, f32>) -> Vec<f64> + 'a;

/// Protocol of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct C2stOptions {
    /// Repetitions with another split and initialisation.
    pub seeds: usize,
    /// Share of the events trained on.
    pub train: f64,
    /// Share of the events that choose the best epoch and calibrate the scores; the rest is the test.
    pub validation: f64,
}

impl Default for C2stOptions {
    fn default() -> Self {
        Self { seeds: 3, train: 0.57, validation: 0.09 }
    }
}

/// Why a classifier test could not be made.
#[derive(Debug, thiserror::Error)]
pub enum C2stError {
    /// Too few events.
    #[error(
        "the classifier test on {view} needs {} reference and {MIN_EVENTS} candidate events, \
         found {reference} and {candidate}; compare more events or leave the classifier out", 2 * MIN_EVENTS
    )]
    TooFewEvents {
        /// View of the event.
        view: String,
        /// Reference events.
        reference: usize,
        /// Candidate events.
        candidate: usize,
    },
    /// Protocol that cannot be followed.
    #[error(
        "classifier options: {seeds} seeds, training share {train}, validation share {validation}; \
         needs one seed or more and two positive shares that sum to less than 1"
    )]
    Options {
        /// Repetitions.
        seeds: usize,
        /// Training share.
        train: f64,
        /// Validation share.
        validation: f64,
    },
    /// A part without events.
    #[error(
        "the classifier test on {view} would train on {train}, watch {validation} and test {test} events of each class; \
         compare more events, or change the shares"
    )]
    EmptyPart {
        /// View of the event.
        view: String,
        /// Training events.
        train: usize,
        /// Validation events.
        validation: usize,
        /// Test events.
        test: usize,
    },
    /// The classifier itself failed.
    #[error("classifier {classifier} on {view}: {source}")]
    Classifier {
        /// View of the event.
        view: String,
        /// Name of the classifier.
        classifier: String,
        /// Reason.
        source: ClassifierError,
    },
    /// The classifier broke its contract.
    #[error("classifier {classifier} on {view} returned {found} finite scores for {expected} test events")]
    Scores {
        /// View of the event.
        view: String,
        /// Name of the classifier.
        classifier: String,
        /// Finite scores returned.
        found: usize,
        /// Test events.
        expected: usize,
    },
}

impl C2stOptions {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`C2stError::Options`].
    pub fn check(&self) -> Result<(), C2stError> {
        let Self { seeds, train, validation } = *self;
        let shares = train > 0.0 && validation > 0.0 && train + validation < 1.0;
        if seeds > 0 && shares { Ok(()) } else { Err(C2stError::Options { seeds, train, validation }) }
    }

    /// End of the training part and begin of the test part of `n` events.
    fn boundaries(&self, n: usize) -> [usize; 2] {
        [self.train, self.train + self.validation].map(|share| (share * n as f64).round() as usize)
    }

    fn check_parts(&self, view: &str, n: usize) -> Result<(), C2stError> {
        let [train_end, test_start] = self.boundaries(n);
        let [train, validation, test] = [train_end, test_start - train_end, n - test_start];
        if train.min(validation).min(test) > 0 {
            return Ok(());
        }
        Err(C2stError::EmptyPart { view: view.into(), train, validation, test })
    }
}

/// What a classifier test found.
pub struct C2st {
    /// Figures and curves.
    pub metrics: C2stMetrics,
    /// Weight of every candidate event, NaN for those that no repetition tested.
    pub weights: Vec<f32>,
}

/// Tests whether `classifier` tells the rows of `candidate` from those of `reference`, both `[events, inputs]`.
/// `view` names the inputs in the result, in errors and in `progress`.
///
/// # Errors
/// With invalid options, too few events, or when the classifier fails.
///
/// # Panics
/// When the samples differ in their number of inputs.
pub fn c2st(
    view: &str,
    reference: ArrayView2<'_, f32>,
    candidate: ArrayView2<'_, f32>,
    classifier: &dyn TwoSampleClassifier,
    options: &C2stOptions,
    seed: u64,
    progress: &dyn Fn(&str),
) -> Result<C2st, C2stError> {
    options.check()?;
    assert_eq!(reference.ncols(), candidate.ncols(), "both samples need the same inputs");
    if reference.nrows() < 2 * MIN_EVENTS || candidate.nrows() < MIN_EVENTS {
        let (reference, candidate) = (reference.nrows(), candidate.nrows());
        return Err(C2stError::TooFewEvents { view: view.into(), reference, candidate });
    }
    options.check_parts(view, reference.nrows().min(candidate.nrows()).min(reference.nrows() / 2))?;
    let protocol = Protocol { view, classifier, options };
    let mut rng = random::stream(seed, &format!("validation/c2st/{view}"), 0);
    let truth = permutation(reference.nrows(), &mut rng);
    // Candidate i was often generated for the conditions of reference i modulo their number. Such twins go to the same part:
    // one in training labelled as reference would point away from one in the test. Of several rounds each reference draws
    // its twin; where the numbers do not fit, this would favour some candidates, and chance decides.
    let fake = permutation(candidate.nrows(), &mut rng);
    let fake = if fake.len().is_multiple_of(truth.len()) { twins_first(&truth, fake) } else { fake };
    let truth = Rows { matrix: reference.view(), rows: &truth };
    let fake = Rows { matrix: candidate.view(), rows: &fake };
    let halves = truth.halves();
    let (mut runs, mut floor_runs) = (Vec::new(), Vec::new());
    for number in 0..options.seeds {
        let mut rng = random::stream(seed, &format!("validation/c2st/{view}"), 1 + number as u64);
        runs.push(protocol.run([truth, fake], number, &mut rng)?);
        floor_runs.push(protocol.run(halves, number, &mut rng)?);
        progress(&format!(
            "classifier on {view}, {}/{}: AUC {:.3}, truth against truth {:.3}",
            number + 1,
            options.seeds,
            runs[number].auc.value,
            floor_runs[number].auc.value
        ));
    }
    let [auc, floor] = [&runs, &floor_runs].map(|runs| mean(runs, |run| (run.auc.value, run.auc.variance)));
    let [divergence, divergence_floor] = [&runs, &floor_runs]
        .map(|runs| mean(runs, |run| (run.divergence.value, run.divergence.error.powi(2))));
    let weights = [0, 1].map(|class| weights(&runs, class, [truth, fake][class].rows.len()));
    let metrics = C2stMetrics {
        name: view.into(),
        classifier: classifier.name().into(),
        auc: auc.value,
        error: auc.error,
        floor: floor.value,
        floor_error: floor.error,
        jensen_shannon: DistanceMetrics {
            value: divergence.value,
            error: divergence.error,
            floor: divergence_floor.value,
            floor_error: divergence_floor.error,
        },
        weights: WeightMetrics::of(&weights),
        seeds: options.seeds,
        events_per_class: reference.nrows().min(candidate.nrows()),
        roc: mean_curve(&runs),
        floor_roc: mean_curve(&floor_runs),
    };
    let [_, weights] = weights;
    Ok(C2st { metrics, weights })
}

/// Candidates in an order that begins with one twin of every reference, the first that comes, in the order of the
/// references.
fn twins_first(references: &[usize], candidates: Vec<usize>) -> Vec<usize> {
    let mut twins = vec![None; references.len()];
    let mut rest = Vec::new();
    for row in candidates {
        match &mut twins[row % references.len()] {
            twin @ None => *twin = Some(row),
            Some(_) => rest.push(row),
        }
    }
    references.iter().filter_map(|&row| twins[row]).chain(rest).collect()
}

fn permutation(n: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..n).collect();
    rows.shuffle(rng);
    rows
}

/// Mean of a figure with its variance over repetitions. The error adds their spread, divided by √repetitions, to that of one test
/// sample. Repetitions share events, so averaging them does not shrink the latter.
fn mean(runs: &[Repetition], figure: fn(&Repetition) -> (f64, f64)) -> Estimate {
    let k = runs.len() as f64;
    let value = runs.iter().map(|run| figure(run).0).sum::<f64>() / k;
    let spread = runs.iter().map(|run| (figure(run).0 - value).powi(2)).sum::<f64>() / (k - 1.0).max(1.0);
    let sampling = runs.iter().map(|run| figure(run).1).sum::<f64>() / k;
    Estimate { value, error: (spread / k + sampling).sqrt() }
}

fn mean_curve(runs: &[Repetition]) -> Vec<[f64; 2]> {
    let height =
        |i: usize| runs.iter().map(|run| run.true_positive_rates[i]).sum::<f64>() / runs.len() as f64;
    (0..ROC_POINTS).map(|i| [i as f64 / (ROC_POINTS - 1) as f64, height(i)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_begin_with_a_twin_of_every_reference() {
        let mut rng = random::stream(1, "test/twins", 0);
        let (references, candidates) = (permutation(100, &mut rng), permutation(300, &mut rng));
        let ordered = twins_first(&references, candidates);
        assert!(ordered.iter().zip(&references).all(|(candidate, reference)| candidate % 100 == *reference));
        // Of each of the three rounds about a third.
        let of_round = |round: usize| ordered[..100].iter().filter(|row| *row / 100 == round).count();
        assert!((0..3).all(|round| (15..55).contains(&of_round(round))), "{ordered:?}");
        let mut all = ordered;
        all.sort_unstable();
        assert!(all.into_iter().eq(0..300));
    }
}
