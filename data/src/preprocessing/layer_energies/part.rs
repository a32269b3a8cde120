//! A part of a whole, given the whole, as a number with a logistic distribution.
//!
//! The energy of a layer is part of that of the shower, that of a voxel part of that of its layer. With e the logarithm of the whole, a part is
//! there with probability p(e) = σ(q(e)), σ(x) = 1/(1 + e^−x) and q quadratic (logistic regression by Newton's method). Its size y, if it is there, lies
//! at m(e) + s(e)·r: m quadratic, by least squares, ln s linear, by those of ln |y − m|, and r has a distribution F that does not depend on e: the
//! resolution of a calorimeter goes with a power of the energy. Then
//!
//! - x = σ⁻¹(1 − p + p·F(r)) of a part that is there,
//! - x = σ⁻¹((1 − p)·U(0, 1)) of one that is not, drawn afresh each time.
//!
//! Whatever the whole, x has the logistic distribution, and its density has no step at −q(e), where parts begin to be there. Models get x/(π/√3), which
//! has width 1.

use rand::distributions::Open01;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

/// Fewest parts that a distribution is learnt from, and fewest of either kind for a probability that depends on the whole.
const MIN_EVENTS: usize = 50;
/// Knots of F, at equal distances of σ⁻¹(F).
const KNOTS: usize = 276;
/// σ⁻¹(F) of the outermost knots; beyond, F goes on as a straight line in it.
const LAST_KNOT: f64 = 11.0;
const MAX_ITERATIONS: usize = 30;
/// Precision of the prior that keeps coefficients finite where all events are alike, in units of one event.
const RIDGE: f64 = 1.0;
/// Bounds of q: p and 1 − p are not smaller than 4e-7.
const LARGEST_ODDS: f64 = 15.0;
/// e^−15
const LEAST_NOT: f64 = 3.059_023_205_018_258e-7;
/// Bounds of σ⁻¹(F). Nearer to the parts that are not there than the lower one, single precision could not tell them apart.
const SCORES: std::ops::RangeInclusive<f64> = -11.0..=30.0;
/// Smallest s: parts of one size have a width all the same.
const SMALLEST_WIDTH: f64 = 1e-3;
/// Largest s: energies differ by no more than e^±10.
const LARGEST_WIDTH: f64 = 10.0;
/// Residuals count as no smaller than this part of the mean one.
const LEAST_RESIDUAL: f64 = 1e-3;
/// Width of the logistic distribution, π/√3.
const WIDTH: f64 = 1.813_799_364_234_217_8;

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// q
    odds: [f32; 3],
    /// m
    mean: [f32; 3],
    /// ln s
    log_width: [f32; 2],
    /// r at the knots of F
    residuals: Vec<f32>,
}

/// A part in an event: e, and y if it is there.
pub(super) type Observed = (f64, Option<f64>);

impl Part {
    /// Fits the events.
    pub(super) fn fit(events: &[Observed]) -> Self {
        let there: Vec<(f64, f64)> = events.iter().filter_map(|&(e, y)| Some((e, y?))).collect();
        let missing = events.len() - there.len();
        let odds = match (there.len(), missing) {
            // A shower without any visible energy is no rare event among a million, but impossible.
            (1.., 0) => [LARGEST_ODDS as f32, 0.0, 0.0],
            (n, missing) if n.min(missing) < MIN_EVENTS => {
                [((n as f32 + 0.5) / (missing as f32 + 0.5)).ln(), 0.0, 0.0]
            }
            _ => fit_odds(events),
        };
        if there.len() < MIN_EVENTS {
            let n = there.len().max(1) as f64;
            let mean = there.iter().map(|part| part.1).sum::<f64>() / n;
            let square = there.iter().map(|part| (part.1 - mean).powi(2)).sum::<f64>() / n;
            let log_width = [(1.0 + square.sqrt()).ln() as f32, 0.0];
            let residuals = knots().map(|x| x as f32).collect();
            return Self { odds, mean: [mean as f32, 0.0, 0.0], log_width, residuals };
        }
        let mut normal = Normal::ridge([0.0; 3]);
        there.iter().for_each(|&(e, y)| normal.add([1.0, e, e * e], y, 1.0));
        let mean = normal.solve().map(|x| x as f32);
        let residual = |&(e, y): &(f64, f64)| y - quadratic(mean, e);
        let typical = there.iter().map(|part| residual(part).abs()).sum::<f64>() / there.len() as f64;
        // Residuals of zero have no logarithm; the few that are small say little.
        let least = (LEAST_RESIDUAL * typical).max(SMALLEST_WIDTH);
        // The prior pulls to this scale everywhere.
        let scale = typical.max(least);
        let middle = there.iter().map(|part| part.0).sum::<f64>() / there.len() as f64;
        let mut normal = Normal::ridge([0.0; 2]);
        for part in &there {
            let log_size = (residual(part).abs().max(least) / scale).ln();
            normal.add([1.0, part.0 - middle], log_size, 1.0);
        }
        let [at_middle, slope] = normal.solve();
        let log_width = [scale.ln() + at_middle - slope * middle, slope].map(|x| x as f32);
        let mut residuals: Vec<f64> =
            there.iter().map(|part| residual(part) / width(log_width, part.0)).collect();
        residuals.sort_unstable_by(f64::total_cmp);
        Self { odds, mean, log_width, residuals: residual_knots(&residuals) }
    }

    pub(super) fn is_valid(&self) -> bool {
        let numbers = self.odds.iter().chain(&self.mean).chain(&self.log_width).chain(&self.residuals);
        numbers.into_iter().all(|number| number.is_finite())
            && self.residuals.len() == KNOTS
            && self.residuals.windows(2).all(|pair| pair[0] < pair[1])
    }

    /// q(e)
    fn odds(&self, e: f64) -> f64 {
        quadratic(self.odds, e).clamp(-LARGEST_ODDS, LARGEST_ODDS)
    }

    /// Where a part lies in model space.
    pub(super) fn place(&self, (e, y): Observed, rng: &mut dyn RngCore) -> f64 {
        match y {
            Some(y) => self.there(e, y),
            None => self.not_there(e, rng),
        }
    }

    /// How far x of model space is from where parts begin to be there.
    pub(super) fn missing(&self, e: f64, x: f64) -> f64 {
        -self.odds(e) - x * WIDTH
    }

    /// In model space, a part of size y.
    fn there(&self, e: f64, y: f64) -> f64 {
        let r = (y - quadratic(self.mean, e)) / width(self.log_width, e);
        let score = self.score(r).clamp(*SCORES.start(), *SCORES.end());
        // e^x = e^−q + (1 + e^−q)·e^score; a large score has no digits to lose to the rest.
        let not = (-self.odds(e)).exp();
        let x = if score > 30.0 { score + not.ln_1p() } else { (not + (1.0 + not) * score.exp()).ln() };
        x / WIDTH
    }

    /// In model space, a part that is not there.
    fn not_there(&self, e: f64, rng: &mut dyn RngCore) -> f64 {
        // σ⁻¹((1 − p)·u) with 1 − p = 1/(1 + e^q)
        let u = CEILING * rng.sample::<f64, _>(Open01);
        (u / (self.odds(e).exp() + (1.0 - u))).ln() / WIDTH
    }

    /// Size of the part at `x` of model space, `None` if it is not there.
    pub(super) fn size(&self, e: f64, x: f64) -> Option<f64> {
        let (x, odds) = (x * WIDTH, self.odds(e));
        if x <= -odds {
            return None;
        }
        let not = if odds < LARGEST_ODDS { (-odds).exp() } else { LEAST_NOT };
        // Far from the edge, what follows is x − ln(1 + e^−q) to 3e-7, at a third of the cost.
        let score = if x + odds > 15.0 {
            x - if not < 1e-4 { not } else { not.ln_1p() }
        } else {
            ((x.exp() - not) / (1.0 + not)).ln()
        };
        Some(quadratic(self.mean, e) + width(self.log_width, e) * self.residual(score.max(*SCORES.start())))
    }

    /// σ⁻¹(F(r))
    fn score(&self, r: f64) -> f64 {
        let next = self.residuals.partition_point(|&knot| f64::from(knot) <= r).clamp(1, KNOTS - 1);
        let [low, high] = [next - 1, next].map(|knot| f64::from(self.residuals[knot]));
        knot(next - 1) + (r - low) / (high - low) * STEP
    }

    /// r at σ⁻¹(F)
    fn residual(&self, score: f64) -> f64 {
        let position = (score + LAST_KNOT) * (1.0 / STEP);
        let before = (position.max(0.0) as usize).min(KNOTS - 2);
        let [low, high] = [before, before + 1].map(|knot| f64::from(self.residuals[knot]));
        low + (position - before as f64) * (high - low)
    }
}

/// Parts that are not there keep this distance from being there, so that rounding does not bring them.
const CEILING: f64 = 1.0 - 1e-5;
/// Smallest distance of r from knot to knot: an atom becomes a steep line.
const STEEPEST: f32 = 1e-3;
/// Distance of knots.
const STEP: f64 = 2.0 * LAST_KNOT / (KNOTS - 1) as f64;

fn knot(number: usize) -> f64 {
    number as f64 * STEP - LAST_KNOT
}

fn knots() -> impl Iterator<Item = f64> {
    (0..KNOTS).map(knot)
}

/// Quantiles of ascending residuals at the knots, made to ascend strictly; straight on where there are no events.
fn residual_knots(ascending: &[f64]) -> Vec<f32> {
    let n = ascending.len() as f64;
    let spread = (ascending[ascending.len() - 1] - ascending[0]).max(1e-3);
    let at = |score: f64| {
        // Event i at probability (i + ½)/n.
        let position = n / (1.0 + (-score).exp()) - 0.5;
        let inside = position.clamp(0.0, n - 1.0);
        let [below, above] = [inside.floor(), inside.ceil()].map(|i| ascending[i as usize]);
        // Beyond the outermost event a logistic tail of the sample's width.
        let last = (2.0 * n - 1.0).ln();
        let beyond = score - score.clamp(-last, last);
        below + (above - below) * inside.fract() + beyond * spread / (2.0 * last)
    };
    let mut values: Vec<f32> = Vec::with_capacity(KNOTS);
    for score in knots() {
        let value = at(score) as f32;
        let least = values.last().map_or(f32::NEG_INFINITY, |&last| last + STEEPEST.max(1e-6 * last.abs()));
        values.push(value.max(least));
    }
    values
}

fn quadratic([a, b, c]: [f32; 3], e: f64) -> f64 {
    f64::from(a) + e * (f64::from(b) + e * f64::from(c))
}

/// s, within bounds for wholes unlike those learnt from.
fn width([a, b]: [f32; 2], e: f64) -> f64 {
    (f64::from(a) + f64::from(b) * e).exp().clamp(SMALLEST_WIDTH, LARGEST_WIDTH)
}

/// Coefficients of q by Newton's method; steps are halved where they overshoot.
fn fit_odds(events: &[Observed]) -> [f32; 3] {
    let mut q = [0.0; 3];
    let (mut likelihood, mut normal) = odds_equations(events, q);
    for _ in 0..MAX_ITERATIONS {
        let step = normal.solve();
        let next = (0..20).find_map(|halvings| {
            let next = [0, 1, 2].map(|i| q[i] + 0.5f64.powi(halvings) * step[i]);
            let (there, normal) = odds_equations(events, next);
            (there >= likelihood).then_some((next, there, normal))
        });
        let Some((next, there, at_next)) = next else { break };
        let gain = there - likelihood;
        (q, likelihood, normal) = (next, there, at_next);
        if gain < 1e-6 * events.len() as f64 {
            break;
        }
    }
    q.map(|x| x as f32)
}

/// Log-likelihood of the parts that are there, and the equations of the next step.
fn odds_equations(events: &[Observed], q: [f64; 3]) -> (f64, Normal<3>) {
    let mut likelihood = -0.5 * RIDGE * q.iter().map(|x| x * x).sum::<f64>();
    let mut normal = Normal::ridge(q);
    for (e, y) in events {
        let odds = q[0] + e * (q[1] + e * q[2]);
        let side = if y.is_some() { odds } else { -odds };
        // ln σ(side)
        likelihood += side.min(0.0) - (-side.abs()).exp().ln_1p();
        let p = 1.0 / (1.0 + (-odds).exp());
        let curvature = (p * (1.0 - p)).max(1e-12);
        let target = if y.is_some() { 1.0 - p } else { -p };
        normal.add([1.0, *e, e * e], target / curvature, curvature);
    }
    (likelihood, normal)
}

/// Normal equations of weighted least squares.
struct Normal<const N: usize> {
    matrix: [[f64; N]; N],
    vector: [f64; N],
}

impl<const N: usize> Normal<N> {
    /// Those of the prior, for a step from `at`.
    fn ridge(at: [f64; N]) -> Self {
        let mut matrix = [[0.0; N]; N];
        (0..N).for_each(|i| matrix[i][i] = RIDGE);
        Self { matrix, vector: at.map(|x| -RIDGE * x) }
    }

    fn add(&mut self, x: [f64; N], y: f64, weight: f64) {
        for i in 0..N {
            self.vector[i] += weight * x[i] * y;
            for j in 0..N {
                self.matrix[i][j] += weight * x[i] * x[j];
            }
        }
    }

    /// Elimination; the matrix is positive definite.
    fn solve(&self) -> [f64; N] {
        let (mut a, mut b) = (self.matrix, self.vector);
        for i in 0..N {
            for j in i + 1..N {
                let factor = a[j][i] / a[i][i];
                (i..N).for_each(|k| a[j][k] -= factor * a[i][k]);
                b[j] -= factor * b[i];
            }
        }
        let mut x = [0.0; N];
        for i in (0..N).rev() {
            let known: f64 = (i + 1..N).map(|k| a[i][k] * x[k]).sum();
            x[i] = (b[i] - known) / a[i][i];
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    /// There with probability σ(−3 + e); then y around 0.5 + 0.8 e with width 0.7·e^−0.4e.
    fn events(number: usize) -> Vec<Observed> {
        let mut rng = random::stream(1, "test", 0);
        let mut logistic = move || {
            let u: f64 = rng.sample(Open01);
            (u / (1.0 - u)).ln()
        };
        let draw = |i: usize| {
            let e = 6.0 * (i as f64 + 0.5) / number as f64;
            let there = logistic() < e - 3.0;
            (e, there.then(|| 0.5 + 0.8 * e + 0.7 * (-0.4 * e).exp() * logistic()))
        };
        (0..number).map(draw).collect()
    }

    #[test]
    fn model_space_is_logistic_whatever_the_whole() {
        let events = events(40_000);
        let part = Part::fit(&events);
        let mut rng = random::stream(2, "test", 0);
        let x = |&(e, y): &Observed| match y {
            Some(y) => part.there(e, y),
            None => part.not_there(e, &mut rng),
        };
        let x: Vec<f64> = events.iter().map(x).collect();
        for of_whole in x.chunks(5_000) {
            let n = of_whole.len() as f64;
            let mean = of_whole.iter().sum::<f64>() / n;
            let square = of_whole.iter().map(|z| z * z).sum::<f64>() / n;
            assert!(mean.abs() < 0.06 && (square - 1.0).abs() < 0.1, "{mean} {square}");
        }
    }

    #[test]
    fn sizes_come_back() {
        let events = events(5_000);
        let part = Part::fit(&events);
        let mut rng = random::stream(2, "test", 0);
        for &(e, y) in &events {
            match y {
                Some(y) => {
                    let back = part.size(e, part.there(e, y)).expect("it is there");
                    assert!((back - y).abs() < 1e-9 * y.abs().max(1.0), "{back} instead of {y}");
                }
                None => assert_eq!(part.size(e, part.not_there(e, &mut rng)), None),
            }
        }
    }

    /// Nor do 8 standard deviations make one that is always there vanish.
    #[test]
    fn what_is_always_there_stays() {
        let always: Vec<Observed> = events(5_000).into_iter().filter(|event| event.1.is_some()).collect();
        let part = Part::fit(&always);
        let [low, first] = [-8.0, -4.0].map(|x| part.size(3.0, x).expect("it is there"));
        assert!(low < first && first - low < 2.0, "{low} {first}");
    }

    #[test]
    fn parts_there_never_rarely_or_always_have_a_place() {
        let mut rarely = events(3000);
        rarely.iter_mut().skip(40).for_each(|event| event.1 = None);
        let [never, always] = [None, Some(2.0)].map(|y| vec![(1.0, y); 100]);
        for events in [never, always, vec![(0.0, Some(0.0)); 1], rarely] {
            let part = Part::fit(&events);
            assert!(part.is_valid(), "{part:?}");
            let mut rng = random::stream(2, "test", 0);
            for e in [0.0, 1.0, 12.0] {
                let (not, there) = (part.not_there(e, &mut rng), part.there(e, 2.0));
                assert!(not.is_finite() && there.is_finite() && not < there, "{not} {there}");
                assert!(part.size(e, there).is_some_and(f64::is_finite) && part.size(e, not).is_none());
            }
        }
    }
}
