//! Classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545).
//!
//! A classifier learns to tell candidate from reference events on one part of them and is scored on another. The
//! area under its ROC curve is 0.5 if it finds no difference. Equal numbers of both classes are drawn, split 60/10/30
//! into training, validation and test, and standardised with the training part. Area, error and curve are means over
//! repetitions with fresh splits and initialisations; the floor is the same protocol on disjoint halves of the reference.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simile_data::random;

use crate::metrics::C2stMetrics;
use crate::statistics::{Auc, roc};

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

    /// Trains on `train`, chooses what there is to choose with `validation`, and returns one finite score for each
    /// row of `test`: larger is more like the candidate. Equal seeds give equal scores.
    ///
    /// # Errors
    /// When the training fails.
    fn fit_scores(
        &self,
        train: &Labelled<'_>,
        validation: &Labelled<'_>,
        test: ArrayView2<'_, f32>,
        seed: u64,
    ) -> Result<Vec<f64>, ClassifierError>;
}

/// Protocol of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct C2stOptions {
    /// Repetitions with another split and initialisation.
    pub seeds: usize,
    /// Share of the events trained on.
    pub train: f64,
    /// Share of the events that choose the best epoch; the rest is the test.
    pub validation: f64,
}

impl Default for C2stOptions {
    fn default() -> Self {
        Self { seeds: 3, train: 0.6, validation: 0.1 }
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
) -> Result<C2stMetrics, C2stError> {
    options.check()?;
    assert_eq!(reference.ncols(), candidate.ncols(), "both samples need the same inputs");
    if reference.nrows() < 2 * MIN_EVENTS || candidate.nrows() < MIN_EVENTS {
        let (reference, candidate) = (reference.nrows(), candidate.nrows());
        return Err(C2stError::TooFewEvents { view: view.into(), reference, candidate });
    }
    options.check_parts(view, reference.nrows().min(candidate.nrows()).min(reference.nrows() / 2))?;
    let protocol = Protocol { view, classifier, options };
    let (mut runs, mut floor_runs) = (Vec::new(), Vec::new());
    for repetition in 0..options.seeds {
        let mut rng = random::stream(seed, &format!("validation/c2st/{view}"), repetition as u64);
        let truth = permutation(reference.nrows(), &mut rng);
        let fake = permutation(candidate.nrows(), &mut rng);
        // Candidate i was often generated for the conditions of reference i. Twins go to the same part: one in training
        // labelled as reference would point away from one in the test.
        let fake = if reference.nrows() == candidate.nrows() { truth.clone() } else { fake };
        let truth = Rows { matrix: reference.reborrow(), rows: &truth };
        let fake = Rows { matrix: candidate.reborrow(), rows: &fake };
        let half = truth.rows.len() / 2;
        runs.push(protocol.run(truth, fake, &mut rng)?);
        floor_runs.push(protocol.run(truth.range(0..half), truth.range(half..2 * half), &mut rng)?);
        progress(&format!(
            "classifier on {view}, {}/{}: AUC {:.3}, truth against truth {:.3}",
            repetition + 1,
            options.seeds,
            runs[repetition].auc.value,
            floor_runs[repetition].auc.value
        ));
    }
    let (main, floor) = (Summary::of(&runs), Summary::of(&floor_runs));
    Ok(C2stMetrics {
        name: view.into(),
        classifier: classifier.name().into(),
        auc: main.auc,
        error: main.error,
        floor: floor.auc,
        floor_error: floor.error,
        seeds: options.seeds,
        events_per_class: reference.nrows().min(candidate.nrows()),
        roc: main.roc,
        floor_roc: floor.roc,
    })
}

fn permutation(n: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..n).collect();
    rows.shuffle(rng);
    rows
}

/// Some rows of a matrix.
#[derive(Clone, Copy)]
struct Rows<'a> {
    matrix: ArrayView2<'a, f32>,
    rows: &'a [usize],
}

impl<'a> Rows<'a> {
    fn range(self, range: Range<usize>) -> Self {
        Self { rows: &self.rows[range], ..self }
    }
}

/// One training and its outcome on the test part.
struct Run {
    auc: Auc,
    true_positive_rates: Vec<f64>,
}

struct Protocol<'a> {
    view: &'a str,
    classifier: &'a dyn TwoSampleClassifier,
    options: &'a C2stOptions,
}

impl Protocol<'_> {
    fn run(&self, zero: Rows<'_>, one: Rows<'_>, rng: &mut ChaCha8Rng) -> Result<Run, C2stError> {
        let n = zero.rows.len().min(one.rows.len());
        let [train_end, test_start] = self.options.boundaries(n);
        let part = |range: Range<usize>, rng: &mut ChaCha8Rng| {
            labelled(zero.range(range.clone()), one.range(range), rng)
        };
        let mut train = part(0..train_end, rng);
        let mut validation = part(train_end..test_start, rng);
        let mut test = part(test_start..n, rng);
        let scale = Standardisation::fit(train.0.view());
        [&mut train, &mut validation, &mut test].into_iter().for_each(|part| scale.apply(&mut part.0));
        let scores = self.scores(&train, &validation, test.0.view(), rng.r#gen())?;
        let class = |label: f32| -> Vec<f64> {
            scores.iter().zip(&test.1).filter(|(_, y)| **y == label).map(|(score, _)| *score).collect()
        };
        let (negative, positive) = (class(0.0), class(1.0));
        Ok(Run {
            auc: Auc::of(&negative, &positive),
            true_positive_rates: roc(&negative, &positive, ROC_POINTS),
        })
    }

    fn scores(
        &self,
        train: &(Array2<f32>, Array1<f32>),
        validation: &(Array2<f32>, Array1<f32>),
        test: ArrayView2<'_, f32>,
        seed: u64,
    ) -> Result<Vec<f64>, C2stError> {
        let (view, classifier) = (self.view.to_owned(), self.classifier.name().to_owned());
        let train = Labelled { x: train.0.view(), y: train.1.view() };
        let validation = Labelled { x: validation.0.view(), y: validation.1.view() };
        let expected = test.nrows();
        let scores = match self.classifier.fit_scores(&train, &validation, test, seed) {
            Ok(scores) => scores,
            Err(source) => return Err(C2stError::Classifier { view, classifier, source }),
        };
        let found = scores.iter().filter(|score| score.is_finite()).count();
        if found == expected && scores.len() == expected {
            Ok(scores)
        } else {
            Err(C2stError::Scores { view, classifier, found, expected })
        }
    }
}

/// Rows of both classes in one random order, with labels 0 and 1.
fn labelled(zero: Rows<'_>, one: Rows<'_>, rng: &mut ChaCha8Rng) -> (Array2<f32>, Array1<f32>) {
    let order = permutation(zero.rows.len() + one.rows.len(), rng);
    let mut x = Array2::zeros((order.len(), zero.matrix.ncols()));
    let mut y = Array1::zeros(order.len());
    for (target, source) in order.into_iter().enumerate() {
        let row = match source.checked_sub(zero.rows.len()) {
            None => zero.matrix.row(zero.rows[source]),
            Some(source) => {
                y[target] = 1.0;
                one.matrix.row(one.rows[source])
            }
        };
        x.row_mut(target).assign(&row);
    }
    (x, y)
}

/// Shift and scale to zero mean and unit width of the training part.
struct Standardisation {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Standardisation {
    fn fit(x: ArrayView2<'_, f32>) -> Self {
        let n = x.nrows() as f64;
        let mut sums = vec![(0.0, 0.0); x.ncols()];
        let first: Vec<f64> = x.row(0).iter().map(|&value| f64::from(value)).collect();
        for row in x.rows() {
            for ((sum, &value), &origin) in sums.iter_mut().zip(row).zip(&first) {
                // Differences from the first row: no cancellation for columns far from zero.
                let difference = f64::from(value) - origin;
                *sum = (sum.0 + difference, sum.1 + difference * difference);
            }
        }
        let mean = sums.iter().zip(&first).map(|(sum, origin)| origin + sum.0 / n).collect();
        let std = sums.iter().map(|sum| (sum.1 / n - (sum.0 / n).powi(2)).max(0.0).sqrt());
        let scale = std.map(|std| if std > 0.0 { std.recip() } else { 1.0 }).collect();
        Self { mean, scale }
    }

    fn apply(&self, x: &mut Array2<f32>) {
        for mut row in x.rows_mut() {
            for ((value, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *value = ((f64::from(*value) - mean) * scale) as f32;
            }
        }
    }
}

/// Mean over repetitions.
struct Summary {
    auc: f64,
    error: f64,
    roc: Vec<[f64; 2]>,
}

impl Summary {
    /// The error adds the spread over repetitions, divided by √repetitions, to DeLong's error of one test sample.
    /// Repetitions share events, so averaging them does not shrink the latter.
    fn of(runs: &[Run]) -> Self {
        let k = runs.len() as f64;
        let auc = runs.iter().map(|run| run.auc.value).sum::<f64>() / k;
        let spread = runs.iter().map(|run| (run.auc.value - auc).powi(2)).sum::<f64>() / (k - 1.0).max(1.0);
        let sampling = runs.iter().map(|run| run.auc.variance).sum::<f64>() / k;
        let height = |i: usize| runs.iter().map(|run| run.true_positive_rates[i]).sum::<f64>() / k;
        let roc = (0..ROC_POINTS).map(|i| [i as f64 / (ROC_POINTS - 1) as f64, height(i)]).collect();
        Self { auc, error: (spread / k + sampling).sqrt(), roc }
    }
}
