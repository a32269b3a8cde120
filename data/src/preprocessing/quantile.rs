//! Rank-Gauss: x → Φ⁻¹(rank of x in the training sample), as a monotone piecewise-linear map.
//!
//! The knots are quantiles of the training sample at equally spaced normal scores, so that the tails are as
//! well resolved as the bulk. With n events the scores run over ±Φ⁻¹(1 − 1/2n), where the extreme events are.
//! Values shared by several knots (an atom, such as "no energy") keep one knot in the middle of their ranks,
//! which makes the map strictly increasing and its inverse exact. Beyond the extremes it goes on as a
//! straight line.

use ndarray::{Array1, Array2, Axis};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use statrs::function::erf::{erfc, erfc_inv};

use super::error::{Fault, StepError};
use super::transform::{Transform, all_finite};

/// Bounds of the number of knots; the upper one keeps a list column's maps within tens of MB.
const KNOTS: std::ops::RangeInclusive<usize> = 2..=10_000;

/// The straight lines beyond the extremes are as steep as the map is over this many outermost units of score:
/// over a single segment, two nearly equal extreme events would make them arbitrarily steep.
const TAIL_SCORES: f32 = 1.0;

/// Rows that are mapped together.
const ROWS: usize = 256;

/// One map for each component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quantile {
    maps: Vec<Map>,
}

/// A strictly increasing piecewise-linear map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    values: Vec<f32>,
    scores: Vec<f32>,
    /// d score / d value below the first and above the last knot.
    tail_slopes: [f32; 2],
}

impl Quantile {
    pub(super) fn fit(knots: usize, x: &Array2<f64>) -> Result<Self, StepError> {
        if !KNOTS.contains(&knots) {
            return Err(StepError::Parameter {
                name: "knots",
                value: knots as f64,
                allowed: "from 2 to 10000",
            });
        }
        let mut sorted = Vec::with_capacity(x.nrows());
        let maps = x.axis_iter(Axis(1)).map(|column| {
            sorted.clear();
            sorted.extend(column.iter().copied());
            sorted.sort_unstable_by(f64::total_cmp);
            Map::fit(knots, &sorted)
        });
        Ok(Self { maps: maps.collect() })
    }
}

impl Transform for Quantile {
    fn output_width(&self, input: usize) -> Option<usize> {
        (self.maps.len() == input && self.maps.iter().all(Map::is_valid)).then_some(input)
    }

    fn forward(&self, mut x: Array2<f64>, _: &mut dyn RngCore) -> Result<Array2<f64>, Fault> {
        for mut row in x.axis_iter_mut(Axis(0)) {
            row.iter_mut().zip(&self.maps).for_each(|(value, map)| *value = map.score(*value));
        }
        Ok(x)
    }

    fn inverse(&self, mut z: Array2<f64>) -> Array2<f64> {
        // A map stays in the first-level cache for the rows of a block, and they in the second.
        for mut block in z.axis_chunks_iter_mut(Axis(0), ROWS) {
            for (mut column, map) in block.axis_iter_mut(Axis(1)).zip(&self.maps) {
                column.iter_mut().for_each(|score| *score = map.value(*score));
            }
        }
        z
    }

    fn log_det(&self, x: &Array2<f64>, _: &Array2<f64>) -> Option<Array1<f64>> {
        let of_row = |row: ndarray::ArrayView1<'_, f64>| {
            row.iter().zip(&self.maps).map(|(&value, map)| map.slope(value).ln()).sum()
        };
        Some(x.axis_iter(Axis(0)).map(of_row).collect())
    }
}

impl Map {
    /// Fits on `sorted` values, at least one.
    fn fit(knots: usize, sorted: &[f64]) -> Self {
        let n = sorted.len() as f64;
        let extreme = normal_score(1.0 - 0.5 / n);
        let (mut values, mut scores): (Vec<f32>, Vec<f32>) = (Vec::new(), Vec::new());
        // Probability of the first knot at the value last pushed.
        let mut first = 0.0;
        for knot in 0..knots {
            let probability = normal_cdf(extreme * (2.0 * knot as f64 / (knots - 1) as f64 - 1.0));
            let value = quantile(sorted, probability) as f32;
            match values.last() {
                Some(&last) if value <= last => {
                    *scores.last_mut().expect("one score a value") =
                        normal_score(0.5 * (first + probability)) as f32;
                }
                _ => {
                    first = probability;
                    values.push(value);
                    scores.push(normal_score(probability) as f32);
                }
            }
        }
        let tail_slopes =
            [tail_slope(values.iter().zip(&scores)), tail_slope(values.iter().zip(&scores).rev())];
        Self { values, scores, tail_slopes }
    }

    fn is_valid(&self) -> bool {
        let increasing = |knots: &[f32]| knots.windows(2).all(|pair| pair[0] < pair[1]) && all_finite(knots);
        !self.values.is_empty()
            && self.values.len() == self.scores.len()
            && increasing(&self.values)
            && increasing(&self.scores)
            && self.tail_slopes.iter().all(|slope| slope.is_normal() && *slope > 0.0)
    }

    fn score(&self, value: f64) -> f64 {
        let above = self.values.partition_point(|&knot| f64::from(knot) <= value);
        interpolate(&self.values, &self.scores, above, self.tail_slopes.map(f64::from), value)
    }

    /// d score / d value
    fn slope(&self, value: f64) -> f64 {
        let above = self.values.partition_point(|&knot| f64::from(knot) <= value);
        line(&self.values, &self.scores, above, self.tail_slopes.map(f64::from)).1
    }

    /// Number of scores up to this one. But for atoms they are equally spaced, so a few steps from the place where it
    /// would be then are faster than a bisection.
    fn above(&self, score: f64) -> usize {
        let scores = &self.scores;
        let (first, last) = (f64::from(scores[0]), f64::from(scores[scores.len() - 1]));
        let guess = (score - first) / (last - first) * (scores.len() - 1) as f64 + 1.0;
        // Saturates, also from what is not a number.
        let mut above = (guess as usize).min(scores.len());
        while above > 0 && f64::from(scores[above - 1]) > score {
            above -= 1;
        }
        while above < scores.len() && f64::from(scores[above]) <= score {
            above += 1;
        }
        above
    }

    fn value(&self, score: f64) -> f64 {
        let above = self.above(score);
        let tail_slopes = self.tail_slopes.map(|slope| 1.0 / f64::from(slope));
        interpolate(&self.scores, &self.values, above, tail_slopes, score)
    }
}

/// The line through the knots (`from`, `to`), and beyond them with `tail_slopes`; `above` knots are not above `at`.
fn interpolate(from: &[f32], to: &[f32], above: usize, tail_slopes: [f64; 2], at: f64) -> f64 {
    let (knot, slope) = line(from, to, above, tail_slopes);
    f64::from(to[knot]) + slope * (at - f64::from(from[knot]))
}

/// The knot at which that line begins, and its slope.
fn line(from: &[f32], to: &[f32], above: usize, tail_slopes: [f64; 2]) -> (usize, f64) {
    let last = from.len() - 1;
    match above {
        0 => (0, tail_slopes[0]),
        above if above > last => (last, tail_slopes[1]),
        above => {
            let rise = f64::from(to[above]) - f64::from(to[above - 1]);
            (above - 1, rise / (f64::from(from[above]) - f64::from(from[above - 1])))
        }
    }
}

/// Slope over the first [`TAIL_SCORES`] of `(value, score)` knots, counted from the outside; 1 for a single
/// knot.
fn tail_slope<'a>(mut knots: impl Iterator<Item = (&'a f32, &'a f32)>) -> f32 {
    let Some((&value, &score)) = knots.next() else { return 1.0 };
    let mut slope = 1.0;
    for (&inner_value, &inner_score) in knots {
        slope = (f64::from(inner_score) - f64::from(score)) / (f64::from(inner_value) - f64::from(value));
        if (inner_score - score).abs() >= TAIL_SCORES {
            break;
        }
    }
    slope.clamp(1e-30, 1e30) as f32
}

/// Quantile of a sorted sample with event i at probability (i + ½)/n (Hazen), linear in between.
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let position = (probability * sorted.len() as f64 - 0.5).clamp(0.0, (sorted.len() - 1) as f64);
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    below + (above - below) * position.fract()
}

/// Φ⁻¹
fn normal_score(probability: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * probability)
}

/// Φ
fn normal_cdf(score: f64) -> f64 {
    0.5 * erfc(-score / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fit(knots: usize, mut sample: Vec<f64>) -> Map {
        sample.sort_unstable_by(f64::total_cmp);
        let map = Map::fit(knots, &sample);
        assert!(map.is_valid(), "{map:?}");
        map
    }

    #[test]
    fn normal_scores_of_ranks() {
        // scipy 1.15: norm.ppf((np.arange(1001) + 0.5) / 1001)[[0, 100, 500, 750]]
        let map = fit(1000, (0..1001).map(f64::from).collect());
        for (value, score) in [(0.0, -3.290_797_5), (100.0, -1.279_275_6), (500.0, 0.0), (750.0, 0.673_525_4)]
        {
            assert!((map.score(value) - score).abs() < 2e-3, "{value}: {}", map.score(value));
        }
    }

    #[test]
    fn ties_share_the_middle_score() {
        // 60% zeros, then distinct values: the atom's ranks are centred on probability 0.3.
        let sample: Vec<f64> = (0..1000).map(|i| if i < 600 { 0.0 } else { f64::from(i - 599) }).collect();
        let map = fit(400, sample);
        assert!((map.score(0.0) - normal_score(0.3)).abs() < 0.02, "{}", map.score(0.0));
        assert_eq!(map.value(map.score(0.0)), 0.0);
    }

    #[test]
    fn constant_sample_shifts() {
        let map = fit(200, vec![7.5; 20]);
        assert_eq!((map.score(7.5), map.value(0.0)), (0.0, 7.5));
        assert_eq!(map.value(map.score(9.0)), 9.0);
    }

    #[test]
    fn tails_follow_the_outermost_unit_of_score() {
        // Two all but equal maxima must not make the tail steep.
        let mut sample: Vec<f64> = (0..1000).map(|i| f64::from(i) * 1e-3).collect();
        sample.push(0.999_000_1);
        let map = fit(200, sample);
        assert!(map.tail_slopes[1] < 200.0, "{:?}", map.tail_slopes);
        assert!(map.score(2.0) > map.score(1.0) && map.score(2.0).is_finite());
    }

    proptest! {
        #[test]
        fn strictly_increasing_and_inverse(
            sample in prop::collection::vec((0u8..20, -3.0f64..3.0), 1..300),
            scale in -6..=6i32,
            knots in 2usize..300,
            probes in prop::collection::vec(-6.0f64..6.0, 20),
        ) {
            let unit = 10f64.powi(scale);
            // Some values repeat: atoms.
            let value = |&(i, x): &(u8, f64)| unit * if i < 10 { f64::from(i) } else { x };
            let sample: Vec<f64> = sample.iter().map(value).collect();
            let spread = sample.iter().fold(unit, |max, x| max.max(x.abs()));
            let map = fit(knots, sample);
            let mut sorted: Vec<f64> = probes.iter().map(|x| x * unit).collect();
            sorted.sort_unstable_by(f64::total_cmp);
            for pair in sorted.windows(2) {
                prop_assert!(pair[0] == pair[1] || map.score(pair[0]) < map.score(pair[1]));
            }
            for value in sorted {
                prop_assert!((map.value(map.score(value)) - value).abs() <= 1e-9 * spread);
            }
        }
    }
}
