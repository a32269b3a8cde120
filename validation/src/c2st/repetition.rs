//! One repetition of the test: a training, and what it finds on events it was not trained on.

use ndarray::{Array1, Array2, ArrayView2};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::isotonic::Isotonic;
use super::{C2stError, C2stOptions, Labelled, ROC_POINTS, TwoSampleClassifier, permutation};
use crate::metrics::Estimate;
use crate::statistics::{Auc, roc};

/// Some rows of a matrix.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) matrix: ArrayView2<'a, f32>,
    pub(super) rows: &'a [usize],
}

impl Rows<'_> {
    /// Two halves, of equal size.
    pub(super) fn halves(self) -> [Self; 2] {
        let half = self.rows.len() / 2;
        [&self.rows[..half], &self.rows[half..2 * half]].map(|rows| Self { rows, ..self })
    }
}

/// What a repetition found.
pub(super) struct Repetition {
    pub(super) auc: Auc,
    pub(super) true_positive_rates: Vec<f64>,
    /// 1 + ⟨log₂ D(label)⟩ over the test part.
    pub(super) divergence: Estimate,
    /// Rows of either class that were not trained on, with their probability D of being a candidate.
    pub(super) probabilities: [Vec<(usize, f64)>; 2],
}

pub(super) struct Protocol<'a> {
    pub(super) view: &'a str,
    pub(super) classifier: &'a dyn TwoSampleClassifier,
    pub(super) options: &'a C2stOptions,
}

impl Protocol<'_> {
    /// Repetition `number`, in which the parts begin `number` test parts further on.
    pub(super) fn run(
        &self,
        classes: [Rows<'_>; 2],
        number: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Repetition, C2stError> {
        let n = classes[0].rows.len().min(classes[1].rows.len());
        let [train_end, test_start] = self.options.boundaries(n);
        let begin = number * (n - test_start) % n;
        let moved = classes.map(|class| {
            let mut rows = class.rows.to_vec();
            rows[..n].rotate_left(begin);
            rows
        });
        let part = |from: usize, to: usize| [0, 1].map(|class| &moved[class][from..to]);
        let matrices = classes.map(|class| class.matrix);
        let mut train = Part::new(matrices, part(0, train_end), rng);
        let mut validation = Part::new(matrices, part(train_end, test_start), rng);
        let scale = Standardisation::fit(train.x.view());
        [&mut train, &mut validation].into_iter().for_each(|part| scale.apply(&mut part.x));
        let failed = |source| C2stError::Classifier {
            view: self.view.to_owned(),
            classifier: self.classifier.name().to_owned(),
            source,
        };
        let scorer =
            self.classifier.fit(&train.labelled(), &validation.labelled(), rng.r#gen()).map_err(failed)?;
        let scores = |x: ArrayView2<'_, f32>| self.check(scorer(x), x.nrows());
        let of_validation = scores(validation.x.view())?;
        let calibration =
            Isotonic::fit(of_validation.into_iter().zip(validation.y.iter().map(|&label| label > 0.5)));
        // Beyond the parts, the larger class has events that nothing was trained on either.
        let untrained = [0, 1].map(|class| &moved[class][test_start..]);
        let mut tested = [Vec::new(), Vec::new()];
        for class in 0..2 {
            let mut x = select(matrices[class], untrained[class]);
            scale.apply(&mut x);
            tested[class] = scores(x.view())?;
        }
        let probabilities = [0, 1].map(|class| {
            let probability = |(&row, &score): (&usize, &f64)| (row, calibration.probability(score));
            untrained[class].iter().zip(&tested[class]).map(probability).collect::<Vec<_>>()
        });
        let test = n - test_start;
        let [negative, positive] = [0, 1].map(|class| &tested[class][..test]);
        Ok(Repetition {
            auc: Auc::of(negative, positive),
            true_positive_rates: roc(negative, positive, ROC_POINTS),
            divergence: divergence([0, 1].map(|class| &probabilities[class][..test])),
            probabilities,
        })
    }

    fn check(&self, scores: Vec<f64>, expected: usize) -> Result<Vec<f64>, C2stError> {
        let found = scores.iter().filter(|score| score.is_finite()).count();
        if found == expected && scores.len() == expected {
            return Ok(scores);
        }
        let (view, classifier) = (self.view.to_owned(), self.classifier.name().to_owned());
        Err(C2stError::Scores { view, classifier, found, expected })
    }
}

/// Mean over both classes of 1 + log₂ of the probability of the right label.
fn divergence([reference, candidate]: [&[(usize, f64)]; 2]) -> Estimate {
    let reference = reference.iter().map(|(_, probability)| 1.0 + (1.0 - probability).log2());
    let gains: Vec<f64> =
        reference.chain(candidate.iter().map(|(_, probability)| 1.0 + probability.log2())).collect();
    let n = gains.len() as f64;
    let value = gains.iter().sum::<f64>() / n;
    let variance = gains.iter().map(|gain| (gain - value).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    Estimate { value, error: (variance / n).sqrt() }
}

fn select(matrix: ArrayView2<'_, f32>, rows: &[usize]) -> Array2<f32> {
    matrix.select(ndarray::Axis(0), rows)
}

/// Events of both classes in one random order, with labels 0 and 1.
struct Part {
    x: Array2<f32>,
    y: Array1<f32>,
}

impl Part {
    fn new(matrices: [ArrayView2<'_, f32>; 2], rows: [&[usize]; 2], rng: &mut ChaCha8Rng) -> Self {
        let order = permutation(rows[0].len() + rows[1].len(), rng);
        let mut x = Array2::zeros((order.len(), matrices[0].ncols()));
        let mut y = Array1::zeros(order.len());
        for (target, source) in order.into_iter().enumerate() {
            let (class, row) = match source.checked_sub(rows[0].len()) {
                None => (0, rows[0][source]),
                Some(source) => (1, rows[1][source]),
            };
            y[target] = class as f32;
            x.row_mut(target).assign(&matrices[class].row(row));
        }
        Self { x, y }
    }

    fn labelled(&self) -> Labelled<'_> {
        Labelled { x: self.x.view(), y: self.y.view() }
    }
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
