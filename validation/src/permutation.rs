//! p-values by permutation of events (Fisher 1935; Phipson & Smyth 2010, arXiv:1603.05766), which hold for any sample size and for
//! features with several entries per event: an event takes all its entries and their weights along.
//!
//! Of B + 1 labellings of the events, the true one among them, a share p = (1 + k)/(1 + B) has a statistic as large as the true one.
//! With distribution functions F and G of the two labels, and H of all entries, the statistics are `sup |F − G|`,
//! `∫ (F − G)²/(H(1 − H)) dH` and `∫ (F − G)² dx`: those of the tests of Kolmogorov and Smirnov and of Anderson and Darling, and of the
//! energy distance. F − G is taken at 1,000 quantiles of all entries at most.
//!
//! Weights are brought to a mean of one in each sample; p is exact where they have the same distribution in both. Where the samples share
//! their conditions event by event it is too large, as are those of the formulas.

use rand::seq::SliceRandom;
use rayon::prelude::*;
use simile_data::random;

use crate::compare::Side;
use crate::metrics::PermutationMetrics;
use crate::statistics::sort_key;

/// Events of each sample that are permuted at most: more would make p-values below 1/B only smaller.
const MAX_EVENTS: usize = 100_000;
/// Entries of each sample, which limit the events of features with many entries per event.
const MAX_ENTRIES: usize = 1_000_000;
/// Places at which distribution functions are compared.
const MAX_POINTS: usize = 1000;
/// Labellings that are worked on together, one per bit.
const WORD: usize = u64::BITS as usize;
/// Statistics closer than this are equal; they differ by the order of sums.
const ROUNDING: f64 = 1e-9;

/// The same permutations for all features of two samples.
pub(crate) struct Permutations {
    number: usize,
    seed: u64,
    shared: Labellings,
}

impl Permutations {
    /// `number` permutations of two samples with these numbers of events; `None` for none.
    pub(crate) fn new(events: [usize; 2], number: usize, seed: u64) -> Option<Self> {
        let shared = Labellings::new(events.map(|events| events.min(MAX_EVENTS)), number, seed);
        (number > 0).then_some(Self { number, seed, shared })
    }

    /// p-values of one feature. Both sides need a positive sum of weights.
    pub(crate) fn test(&self, sides: [Side<'_>; 2]) -> PermutationMetrics {
        let events = [0, 1].map(|sample| {
            let of_entries =
                sides[sample].grouping.events() * MAX_ENTRIES / sides[sample].column.values.len();
            self.shared.events[sample].min(of_entries.max(1))
        });
        let own = (events != self.shared.events).then(|| Labellings::new(events, self.number, self.seed));
        let labellings = own.as_ref().unwrap_or(&self.shared);
        let pool = Pool::of(sides, events);
        let blocks = labellings.blocks.par_iter().map(|labels| pool.statistics(labels));
        let blocks: Vec<[[f64; WORD]; 3]> = blocks.collect();
        let p_value = |statistic: usize| {
            let values = || blocks.iter().flat_map(|block| block[statistic]).take(self.number + 1);
            let truth = values().next().unwrap_or(f64::NAN);
            let as_large = values().filter(|value| *value >= truth * (1.0 - ROUNDING)).count();
            as_large as f64 / (self.number + 1) as f64
        };
        PermutationMetrics {
            permutations: self.number,
            events,
            ks: p_value(0),
            anderson_darling: p_value(1),
            energy_distance: p_value(2),
        }
    }
}

/// Which events are called reference: bit k of the word of an event is its label in the k-th labelling of a block, and the first
/// labelling of all is the truth.
struct Labellings {
    events: [usize; 2],
    blocks: Vec<Vec<u64>>,
}

impl Labellings {
    fn new(events: [usize; 2], permutations: usize, seed: u64) -> Self {
        let blocks = (0..(permutations + 1).div_ceil(WORD)).into_par_iter();
        let blocks = blocks.map(|block| {
            let mut rng = random::stream(seed, "validation/permutations", block as u64);
            let mut order: Vec<u32> = (0..(events[0] + events[1]) as u32).collect();
            let mut labels = vec![0; order.len()];
            for bit in 0..WORD {
                if block == 0 && bit == 0 {
                    labels[..events[0]].iter_mut().for_each(|word| *word = 1);
                } else {
                    let (few, many) = order.partial_shuffle(&mut rng, events[0].min(events[1]));
                    let chosen = if events[0] <= events[1] { few } else { many };
                    chosen.iter().for_each(|&event| labels[event as usize] |= 1 << bit);
                }
            }
            labels
        });
        Self { events, blocks: blocks.collect() }
    }
}

/// The entries of both samples in ascending order.
struct Pool {
    events: Vec<u32>,
    weights: Vec<f32>,
    points: Vec<Point>,
}

/// Where F − G is taken: behind all entries that equal the last one of a stretch.
struct Point {
    /// Entries up to here.
    end: usize,
    /// Sum of their weights.
    sum: f64,
    /// dH/(H(1 − H)) of the stretch.
    of_anderson_darling: f64,
    /// Distance to the next point.
    of_energy: f64,
}

impl Pool {
    /// Evenly chosen events of both samples, those of the second numbered behind those of the first.
    fn of(sides: [Side<'_>; 2], used: [usize; 2]) -> Self {
        let (mut keys, mut entries) = (Vec::new(), Vec::new());
        for (sample, side) in sides.iter().enumerate() {
            let (available, used, first) = (side.grouping.events(), used[sample], [0, used[0]][sample]);
            let scale = available as f64 / side.sum_of_weights;
            let number = |event: usize| event * used / available;
            let kept = |event: usize| number(event + 1) > number(event);
            let column = side.column;
            for i in (0..column.values.len()).filter(|&i| kept(column.event(i))) {
                keys.push(sort_key(column.values[i]) << 32 | entries.len() as u64);
                let event = (first + number(column.event(i))) as u32;
                entries.push((column.values[i], event, (column.weight(i) * scale) as f32));
            }
        }
        keys.sort_unstable();
        let order = || keys.iter().map(|&key| entries[(key & u64::from(u32::MAX)) as usize]);
        let (values, weights): (Vec<f32>, Vec<f32>) =
            order().map(|(value, _, weight)| (value, weight)).unzip();
        let events = order().map(|(_, event, _)| event).collect();
        Self { events, points: points(&values, &weights), weights }
    }

    /// The three statistics of every labelling of a block.
    fn statistics(&self, labels: &[u64]) -> [[f64; WORD]; 3] {
        let (sums, totals) = self.sums(labels);
        let all = self.points.last().map_or(0.0, |point| point.sum);
        // F − G = S/T − (C − S)/(A − T) with the sums S of one label, C of both, and T, A of all entries.
        let scale = totals.map(|total| 1.0 / total + 1.0 / (all - total));
        let of_all = totals.map(|total| 1.0 / (all - total));
        let mut statistics = [[0.0f64; WORD]; 3];
        for (point, sums) in self.points.iter().zip(&sums) {
            for k in 0..WORD {
                let difference = scale[k] * sums[k] - of_all[k] * point.sum;
                let square = difference * difference;
                statistics[0][k] = statistics[0][k].max(difference.abs());
                statistics[1][k] += square * point.of_anderson_darling;
                statistics[2][k] += square * point.of_energy;
            }
        }
        // A label without entries is no less extreme than the truth.
        for k in (0..WORD).filter(|&k| !(totals[k] > 0.0 && totals[k] < all)) {
            statistics.iter_mut().for_each(|statistic| statistic[k] = f64::INFINITY);
        }
        statistics
    }

    /// Sums of weights of one label up to each point, and of all its entries.
    fn sums(&self, labels: &[u64]) -> (Vec<[f64; WORD]>, [f64; WORD]) {
        let (mut begin, mut sum) = (0, [0.0; WORD]);
        let sums = self.points.iter().map(|point| {
            let mut stretch = [0.0f32; WORD];
            for i in begin..point.end {
                add(&mut stretch, labels[self.events[i] as usize], self.weights[i]);
            }
            sum.iter_mut().zip(stretch).for_each(|(sum, more)| *sum += f64::from(more));
            begin = point.end;
            sum
        });
        (sums.collect(), sum)
    }
}

fn points(values: &[f32], weights: &[f32]) -> Vec<Point> {
    let fewest = values.len().div_ceil(MAX_POINTS).max(1);
    let all: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let mut points: Vec<Point> = Vec::new();
    let (mut begin, mut end, mut before, mut sum) = (0, 0, 0.0, 0.0);
    for equal in values.chunk_by(|a, b| a == b) {
        sum += weights[end..end + equal.len()].iter().map(|&weight| f64::from(weight)).sum::<f64>();
        end += equal.len();
        if end - begin >= fewest || end == values.len() {
            let share = sum / all;
            let of_anderson_darling =
                if end < values.len() { (sum - before) / all / (share * (1.0 - share)) } else { 0.0 };
            if let Some(last) = points.last_mut() {
                last.of_energy = f64::from(equal[0]) - f64::from(values[last.end - 1]);
            }
            points.push(Point { end, sum, of_anderson_darling, of_energy: 0.0 });
            (begin, before) = (end, sum);
        }
    }
    points
}

/// Adds a weight where a bit is set, eight bits at a time.
#[inline]
fn add(sums: &mut [f32; WORD], bits: u64, weight: f32) {
    for (sums, byte) in sums.chunks_exact_mut(8).zip(bits.to_le_bytes()) {
        sums.iter_mut().zip(LANES[byte as usize]).for_each(|(sum, lane)| *sum += weight * lane);
    }
}

/// The bits of every byte as numbers.
static LANES: [[f32; 8]; 256] = {
    let mut lanes = [[0.0; 8]; 256];
    let mut i = 0;
    while i < 256 * 8 {
        lanes[i / 8][i % 8] = (((i / 8) >> (i % 8)) & 1) as f32;
        i += 1;
    }
    lanes
};

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::sample::FeatureColumn;
    use crate::statistics::{Grouping, Ordered, kolmogorov_smirnov, ks_p_value};
    use crate::testing::{column, gaussian, uniformity};

    fn p_values(
        columns: [&FeatureColumn; 2],
        events: [usize; 2],
        number: usize,
        seed: u64,
    ) -> PermutationMetrics {
        let groupings = events.map(|events| Grouping::new(events, 1));
        let side =
            |i: usize| Side { column: columns[i], grouping: &groupings[i], sum_of_weights: events[i] as f64 };
        Permutations::new(events, number, seed).expect("some permutations").test([side(0), side(1)])
    }

    /// What `validation/golden/permutation.py` found with scipy.
    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        resamples: f64,
        a: Vec<Vec<f32>>,
        b: Vec<Vec<f32>>,
        ks: f64,
        anderson_darling: f64,
        energy_distance: f64,
    }

    fn entries(events: &[Vec<f32>]) -> FeatureColumn {
        let numbers = events.iter().enumerate().flat_map(|(i, event)| vec![i as u32; event.len()]);
        FeatureColumn { events: Some(numbers.collect()), ..column(events.concat()) }
    }

    #[test]
    fn scipy_finds_the_same_within_the_errors_of_both() {
        const NUMBER: usize = 19_999;
        let golden: Golden = serde_json::from_str(include_str!("../golden/permutation.json"))
            .expect("permutation.py writes this form");
        for case in golden.cases {
            let (a, b) = (entries(&case.a), entries(&case.b));
            let found = p_values([&a, &b], [case.a.len(), case.b.len()], NUMBER, 5);
            let close = |test: &str, found: f64, expected: f64| {
                let error =
                    (expected * (1.0 - expected) * (1.0 / NUMBER as f64 + 1.0 / case.resamples)).sqrt();
                let name = &case.name;
                assert!(
                    (found - expected).abs() < 4.0 * error,
                    "{name}, {test}: {found} instead of {expected}"
                );
            };
            close("KS", found.ks, case.ks);
            close("AD", found.anderson_darling, case.anderson_darling);
            close("energy", found.energy_distance, case.energy_distance);
        }
    }

    /// Five entries per event with a common part as wide as their own: the p-value that takes them as independent is wrong.
    #[test]
    fn p_values_of_correlated_entries_are_uniform() {
        let events = |n: usize, seed: u64| -> Vec<Vec<f32>> {
            let (common, own) = (gaussian(n, 0.0, seed), gaussian(5 * n, 0.0, seed + 1));
            own.chunks(5).zip(common).map(|(own, common)| own.iter().map(|x| x + common).collect()).collect()
        };
        let (mut naive, mut found) = (Vec::new(), Vec::new());
        for repeat in 0..200 {
            let (a, b) = (entries(&events(60, 4 * repeat)), entries(&events(40, 4 * repeat + 2)));
            found.push(p_values([&a, &b], [60, 40], 199, repeat));
            let [a, b] = [(&a, 60), (&b, 40)].map(|(column, n)| Ordered::new(column, &Grouping::new(n, 1)));
            naive.push(ks_p_value(kolmogorov_smirnov(&a, &b), 300.0, 200.0));
        }
        let of = |test: fn(&PermutationMetrics) -> f64| uniformity(found.iter().map(test).collect());
        assert!(uniformity(naive) < 1e-6);
        for found in [of(|p| p.ks), of(|p| p.anderson_darling), of(|p| p.energy_distance)] {
            assert!(found > 0.01, "{found}");
        }
    }

    #[test]
    fn different_parents_have_the_smallest_p_value() {
        let (a, b) = (column(gaussian(300, 0.0, 1)), column(gaussian(200, 1.0, 2)));
        let found = p_values([&a, &b], [300, 200], 99, 1);
        assert_eq!((found.ks, found.anderson_darling, found.energy_distance), (0.01, 0.01, 0.01));
        // Equal samples are as near as can be.
        let found = p_values([&a, &a], [300, 300], 99, 1);
        assert_eq!((found.ks, found.anderson_darling, found.energy_distance), (1.0, 1.0, 1.0));
    }

    /// More events and entries than are permuted, and a grid of points.
    #[test]
    fn large_samples_are_thinned_evenly() {
        let many = MAX_EVENTS + 20_000;
        let (a, b) = (column(gaussian(many, 0.0, 1)), column(gaussian(1000, 0.0, 2)));
        let found = p_values([&a, &b], [many, 1000], 63, 1);
        assert_eq!(found.events, [MAX_EVENTS, 1000]);
        assert!(found.ks > 0.02 && found.energy_distance > 0.02, "{found:?}");
        // The first half of the events alone would be another distribution.
        let cells: Vec<Vec<f32>> = (0..1200).map(|event| vec![(event / 600) as f32; 1000]).collect();
        let found = p_values(
            [&entries(&cells), &entries(&[cells[0].clone(), cells[1199].clone()])],
            [1200, 2],
            63,
            1,
        );
        assert_eq!((found.events, found.ks), ([1000, 2], 1.0));
    }
}
