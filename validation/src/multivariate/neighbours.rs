//! What the distances of events to each other tell, in features standardised by the reference.
//!
//! With the ball of an event reaching to its k-th nearest neighbour in its own sample:
//!
//! - precision is the share of candidates in a ball of the reference, recall the share of reference events in a ball of the candidate
//!   (Kynkäänniemi et al. 2019, arXiv:1904.06991),
//! - density is the mean number of balls of the reference round a candidate over k, coverage the share of balls of the reference with
//!   a candidate in them (Naeem et al. 2020, arXiv:2002.09797), which outliers do not enlarge.
//!
//! The squared maximum mean discrepancy (Gretton et al. 2012, JMLR 13, 723) has the kernel exp(−‖x − y‖²/(2σ²)), σ the median distance
//! of reference events, and is estimated without the diagonals: 0 on average for equal parents.
//!
//! All depend on the number of events, which is therefore the same for the floor: they are means over [`SUBSAMPLES`] pairs of disjoint
//! subsamples of up to [`LARGEST`] events, and their errors those of these means (for the discrepancy, Zaremba et al. 2013,
//! arXiv:1307.1954). A block of rows of distances is held at a time.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis, s};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use simile_data::random;

use super::Standardised;
use crate::metrics::{DistanceMetrics, Estimate, NeighbourMetrics};

/// Neighbours that define a ball, as Naeem et al. have it.
const NEIGHBOURS: usize = 5;
/// Pairs of subsamples: an error good to a third, and as many events in each as possible.
const SUBSAMPLES: usize = 5;
/// Events of a subsample at most: the time is ∝ the square.
const LARGEST: usize = 2000;
/// Events whose distances to all others are found together, by one product of matrices.
const ROWS: usize = 128;
/// Squared distances of this size, in units of the squared norms they are differences of, are those of equal events.
const ROUNDING: f64 = 64.0 * f64::EPSILON;
/// Events below which neighbourhoods mean little.
const SMALLEST: usize = 4 * NEIGHBOURS;

/// Precision, recall, density and coverage, and the squared discrepancy of `[reference, candidate]`; `None` with too few events.
pub(super) fn neighbourhoods(
    samples: &[Standardised<'_>; 2],
    seed: u64,
) -> Option<(NeighbourMetrics, DistanceMetrics)> {
    let [reference, candidate] = samples;
    let events = (reference.events() / (2 * SUBSAMPLES)).min(candidate.events() / SUBSAMPLES).min(LARGEST);
    if events < SMALLEST {
        return None;
    }
    let truth = subsamples(reference, events, 2 * SUBSAMPLES, seed, 0);
    let fake = subsamples(candidate, events, SUBSAMPLES, seed, 1);
    let width = median_distance(&truth[0]);
    let clouds = |samples: Vec<Points>| -> Vec<Cloud> {
        samples.into_par_iter().map(|points| Cloud::new(points, width)).collect()
    };
    let (truth, fake) = (clouds(truth), clouds(fake));
    let (first, second) = truth.split_at(SUBSAMPLES);
    let against = |others: &[Cloud]| -> Vec<Pair> {
        first.par_iter().zip(others).map(|(truth, other)| truth.compare(other, width)).collect()
    };
    let (values, floors) = (against(&fake), against(second));
    let distance = |figure: fn(&Pair) -> f64| {
        let [value, floor] = [&values, &floors].map(|pairs| mean(pairs.iter().map(figure).collect()));
        DistanceMetrics {
            value: value.value,
            error: value.error,
            floor: floor.value,
            floor_error: floor.error,
        }
    };
    let neighbours = NeighbourMetrics {
        neighbours: NEIGHBOURS,
        events,
        precision: distance(|pair| pair.precision),
        recall: distance(|pair| pair.recall),
        density: distance(|pair| pair.density),
        coverage: distance(|pair| pair.coverage),
    };
    Some((neighbours, distance(|pair| pair.squared_discrepancy)))
}

/// Disjoint random events.
fn subsamples(sample: &Standardised<'_>, events: usize, number: usize, seed: u64, index: u64) -> Vec<Points> {
    let mut order: Vec<usize> = (0..sample.events()).collect();
    order.shuffle(&mut random::stream(seed, "validation/subsamples", index));
    let rows = order.chunks_exact(events).take(number);
    rows.map(|rows| Points::new(sample.at(rows).mapv(f64::from))).collect()
}

/// Mean of independent values, and its error.
pub(crate) fn mean(values: Vec<f64>) -> Estimate {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Estimate { value: mean, error: (variance / n).sqrt() }
}

/// Events as points.
struct Points {
    /// `[events, features]`
    values: Array2<f64>,
    squared_norms: Array1<f64>,
}

impl Points {
    fn new(values: Array2<f64>) -> Self {
        Self { squared_norms: values.map_axis(Axis(1), |event| event.dot(&event)), values }
    }

    fn len(&self) -> usize {
        self.squared_norms.len()
    }

    /// Hands on every event with its squared distances ‖x‖² + ‖y‖² − 2·x·y to all of `others`.
    fn squared_distances(&self, others: &Self, mut each: impl FnMut(usize, &mut [f64])) {
        for first in (0..self.len()).step_by(ROWS) {
            let block = self.values.slice(s![first..(first + ROWS).min(self.len()), ..]);
            let mut products = Array2::zeros((block.nrows(), others.len()));
            general_mat_mul(1.0, &block, &others.values.t(), 0.0, &mut products);
            for (event, mut row) in (first..).zip(products.rows_mut()) {
                let own = self.squared_norms[event];
                for (value, other) in row.iter_mut().zip(&others.squared_norms) {
                    let distance = own + other - 2.0 * *value;
                    *value = if distance < ROUNDING * (own + other) { 0.0 } else { distance };
                }
                each(event, row.as_slice_mut().expect("made in standard order"));
            }
        }
    }
}

/// Median distance of all pairs of different events; 1 where most are alike.
fn median_distance(points: &Points) -> f64 {
    let mut squares = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
    points.squared_distances(points, |event, row| squares.extend_from_slice(&row[event + 1..]));
    let (middle, even) = (squares.len() / 2, squares.len().is_multiple_of(2));
    let (below, &mut upper, _) = squares.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = if even { below.iter().copied().fold(0.0, f64::max) } else { upper };
    let median = 0.5 * (lower.sqrt() + upper.sqrt());
    if median > 0.0 { median } else { 1.0 }
}

/// Events of one sample.
struct Cloud {
    points: Points,
    /// Squared radii of the balls.
    balls: Vec<f64>,
    /// Mean of the kernel over pairs of different events.
    kernel: f64,
}

/// Figures of one pair of subsamples.
#[derive(Clone, Copy, Debug)]
struct Pair {
    precision: f64,
    recall: f64,
    density: f64,
    coverage: f64,
    squared_discrepancy: f64,
}

impl Cloud {
    fn new(points: Points, width: f64) -> Self {
        let (mut balls, mut kernel) = (Vec::with_capacity(points.len()), 0.0);
        points.squared_distances(&points, |_, row| {
            // Less one for the event itself.
            kernel += kernel_sum(row, width) - 1.0;
            // It is its own nearest neighbour.
            balls.push(*row.select_nth_unstable_by(NEIGHBOURS, f64::total_cmp).1);
        });
        let n = points.len() as f64;
        Self { kernel: kernel / (n * (n - 1.0)), points, balls }
    }

    /// Judges `other` as a candidate for this reference.
    fn compare(&self, other: &Self, width: f64) -> Pair {
        let mut precise = vec![false; other.points.len()];
        let (mut recalled, mut covered, mut inside, mut kernel) = (0, 0, 0, 0.0);
        self.points.squared_distances(&other.points, |event, row| {
            let (ball, before) = (self.balls[event], inside);
            for (&distance, precise) in row.iter().zip(&mut precise) {
                inside += usize::from(distance < ball);
                *precise |= distance < ball;
            }
            covered += usize::from(inside > before);
            recalled += usize::from(row.iter().zip(&other.balls).any(|(distance, ball)| distance < ball));
            kernel += kernel_sum(row, width);
        });
        let (own, others) = (self.balls.len() as f64, precise.len() as f64);
        Pair {
            precision: precise.iter().filter(|precise| **precise).count() as f64 / others,
            recall: recalled as f64 / own,
            density: inside as f64 / (NEIGHBOURS as f64 * others),
            coverage: covered as f64 / own,
            squared_discrepancy: self.kernel + other.kernel - 2.0 * kernel / (own * others),
        }
    }
}

fn kernel_sum(squared_distances: &[f64], width: f64) -> f64 {
    let scale = -0.5 / (width * width);
    squared_distances.iter().map(|distance| (scale * distance).exp()).sum()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// What `validation/golden/neighbours.py` found with prdc and scikit-learn.
    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        a: Vec<Vec<f64>>,
        b: Vec<Vec<f64>>,
        precision: f64,
        recall: f64,
        density: f64,
        coverage: f64,
        median_distance: f64,
        squared_discrepancy: f64,
    }

    #[test]
    fn neighbourhoods_are_prdcs_and_the_discrepancy_scikit_learns() {
        let golden: Golden = serde_json::from_str(include_str!("../../golden/neighbours.json"))
            .expect("neighbours.py writes this form");
        for case in golden.cases {
            let points = |rows: &[Vec<f64>]| {
                Points::new(Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j]))
            };
            let (a, b) = (points(&case.a), points(&case.b));
            let width = median_distance(&a);
            let found = Cloud::new(a, width).compare(&Cloud::new(b, width), width);
            for (figure, found, expected) in [
                ("precision", found.precision, case.precision),
                ("recall", found.recall, case.recall),
                ("density", found.density, case.density),
                ("coverage", found.coverage, case.coverage),
                ("median", width, case.median_distance),
                ("discrepancy", found.squared_discrepancy, case.squared_discrepancy),
            ] {
                let close = (found - expected).abs() <= 1e-10 * expected.abs().max(1e-3);
                assert!(close, "{}, {figure}: {found} instead of {expected}", case.name);
            }
        }
    }

    /// Over many pairs of one parent the discrepancy averages to zero.
    #[test]
    fn the_discrepancy_is_unbiased() {
        let parent = |seed| {
            Array2::from_shape_vec((400, 2), crate::testing::gaussian(800, 0.0, seed)).expect("two columns")
        };
        let repeats = (0..100).map(|seed| {
            let samples = [parent(seed), parent(1000 + seed)];
            let samples = [0, 1].map(|i| Standardised::already(&samples[i]));
            let (_, mmd) = neighbourhoods(&samples, seed).expect("enough events");
            mmd.value
        });
        let found = mean(repeats.collect());
        assert!(found.value.abs() < 3.5 * found.error && found.error < 3e-3, "{found:?}");
    }
}
