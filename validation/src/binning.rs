//! Bin edges, and how they are chosen for a feature.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sample::Feature;
use crate::statistics::bayesian_blocks;

/// Bins of a feature when the range allows; enough to see shapes with some thousand events.
pub const DEFAULT_BINS: usize = 45;
/// Share of the reference left outside the bins on each side, so that one outlier cannot set the range.
const TAIL: f64 = 0.001;
/// Padding of the robust range on each side, as a fraction of it.
const PADDING: f64 = 0.05;
/// Integers beyond this are no counts; far beyond, every `f32` is an integer.
const MAX_COUNT: f64 = 1e6;

/// Values that Bayesian blocks are made from at most: they take time ∝ the square.
const MAX_BLOCK_VALUES: usize = 2000;
/// Probability of a block too many.
const FALSE_BLOCKS: f64 = 0.05;

/// How the bins of a feature are chosen from the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BinningRule {
    /// 45 bins of equal width, or of equal ratio on a logarithmic axis; one or more integers each for counts.
    #[default]
    Uniform,
    /// 45 bins of equal content, narrow where the reference has many entries.
    Quantile,
    /// As many as the shape of the reference calls for (Scargle et al. 2013).
    BayesianBlocks,
}

/// Ascending bin edges; bin `i` is `[edges[i], edges[i + 1])` and the last bin includes its upper edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Binning {
    edges: Vec<f64>,
}

impl Binning {
    /// Bins between the given edges.
    ///
    /// # Panics
    /// When there are fewer than two edges, or they are not finite and strictly ascending.
    pub fn new(edges: Vec<f64>) -> Self {
        let ascending = edges.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = edges.iter().all(|edge| edge.is_finite());
        assert!(edges.len() > 1 && ascending && finite, "bin edges must ascend and be finite: {edges:?}");
        Self { edges }
    }

    /// `bins` bins of equal width between `low` and `high`.
    pub fn linear(low: f64, high: f64, bins: usize) -> Self {
        Self::new((0..=bins).map(|i| low + (high - low) * i as f64 / bins as f64).collect())
    }

    /// `bins` bins of equal ratio between `low > 0` and `high`.
    pub fn logarithmic(low: f64, high: f64, bins: usize) -> Self {
        let ratio = (high / low).ln();
        Self::new((0..=bins).map(|i| low * (ratio * i as f64 / bins as f64).exp()).collect())
    }

    /// Bins for a feature, from the values of the reference. What lies outside them is kept as under- and overflow.
    ///
    /// - [`BinningRule::Uniform`] bins span the quantiles 0.1% to 99.9% and a margin, are of equal ratio where the feature asks for
    ///   logarithmic bins, and centred on integers where all values are integers.
    /// - [`BinningRule::Quantile`] bins hold equal numbers of entries between these quantiles, as far as ties let them.
    /// - [`BinningRule::BayesianBlocks`] are those of 2,000 quantiles in equal steps, which keep the shape of larger samples; of the
    ///   logarithms where the feature asks for logarithmic bins.
    ///
    /// Where a feature has no two values to put edges between, the bins are uniform.
    pub fn for_reference(feature: &Feature, ascending: &[f32], rule: BinningRule) -> Self {
        let positive = ascending.partition_point(|&value| value <= 0.0);
        let logarithmic = feature.log_x && positive < ascending.len();
        let shown = if logarithmic { &ascending[positive..] } else { ascending };
        let mut edges = match rule {
            BinningRule::Uniform => Vec::new(),
            BinningRule::Quantile => equal_contents(shown),
            BinningRule::BayesianBlocks => blocks(shown, logarithmic),
        };
        match edges.as_mut_slice() {
            [first, .., last] => {
                // As wide for the outermost integers as for the others.
                let margin = if !logarithmic && are_counts(shown) { 0.5 } else { 0.0 };
                (*first, *last) = (*first - margin, *last + margin);
                Self::new(edges)
            }
            _ => Self::uniform(shown, logarithmic),
        }
    }

    fn uniform(ascending: &[f32], logarithmic: bool) -> Self {
        let (low, high) = robust_range(ascending);
        if logarithmic {
            let margin = ((high / low).powf(PADDING)).max(1.01);
            return Self::logarithmic(low / margin, high * margin, DEFAULT_BINS);
        }
        if are_counts(ascending) {
            return Self::integers(low, high);
        }
        let width = high - low;
        let margin = if width > 0.0 { PADDING * width } else { 0.5 * low.abs().max(1e-3) };
        Self::linear(low - margin, high + margin, DEFAULT_BINS)
    }

    /// Bins that each hold the same number of integers from `low` to `high`.
    fn integers(low: f64, high: f64) -> Self {
        let step = ((high - low + 1.0) / DEFAULT_BINS as f64).ceil();
        let bins = ((high - low + 1.0) / step).ceil();
        Self::linear(low - 0.5, low - 0.5 + bins * step, bins as usize)
    }

    /// Bin edges, one more than bins.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Number of bins.
    pub fn bins(&self) -> usize {
        self.edges.len() - 1
    }

    /// Slot of a value: 0 is underflow, `1..=bins` are the bins, `bins + 1` is overflow (also for NaN).
    pub fn slot(&self, value: f64) -> usize {
        if value == self.edges[self.bins()] {
            return self.bins();
        }
        if value.is_nan() {
            return self.bins() + 1;
        }
        self.edges.partition_point(|&edge| edge <= value)
    }
}

fn are_counts(ascending: &[f32]) -> bool {
    let (low, high) = robust_range(ascending);
    low.abs().max(high.abs()) < MAX_COUNT && ascending.iter().all(|value| value.fract() == 0.0)
}

/// Edges in the gaps between the values nearest to quantiles in equal steps.
fn equal_contents(ascending: &[f32]) -> Vec<f64> {
    let Some(last) = ascending.len().checked_sub(1) else { return Vec::new() };
    let [first, last] = [TAIL, 1.0 - TAIL].map(|share| (share * last as f64).round() as usize);
    let inside = &ascending[first..=last];
    let at = |i: usize| f64::from(inside[i]);
    let steps = (1..DEFAULT_BINS).map(|bin| inside.len() * bin / DEFAULT_BINS);
    // Values that tie stay together, alone where they would fill a bin.
    let gaps = steps.flat_map(|i| {
        let begin = inside.partition_point(|value| *value < inside[i]);
        let end = inside.partition_point(|value| *value <= inside[i]);
        [begin, if end - begin > inside.len() / DEFAULT_BINS { end } else { begin }]
    });
    let middles = gaps.filter(|i| (1..inside.len()).contains(i)).map(|i| 0.5 * (at(i - 1) + at(i)));
    let mut edges: Vec<f64> = std::iter::once(at(0)).chain(middles).chain([at(inside.len() - 1)]).collect();
    // The upper end of a tie comes again from every step inside it.
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    edges
}

/// Edges of Bayesian blocks, which end at the extreme quantiles.
fn blocks(ascending: &[f32], logarithmic: bool) -> Vec<f64> {
    let number = ascending.len().min(MAX_BLOCK_VALUES);
    let quantile = |i: usize| f64::from(ascending[(2 * i + 1) * ascending.len() / (2 * number)]);
    let values = (0..number).map(|i| if logarithmic { quantile(i).ln() } else { quantile(i) });
    let mut edges = bayesian_blocks(&values.collect::<Vec<_>>(), FALSE_BLOCKS);
    if logarithmic {
        edges.iter_mut().for_each(|edge| *edge = edge.exp());
    }
    // Exact in spite of the logarithm, so that the largest value lies inside.
    if let [first, .., last] = edges.as_mut_slice() {
        (*first, *last) = (quantile(0), quantile(number - 1));
    }
    edges
}

/// Quantiles `TAIL` and `1 - TAIL` of ascending values; `(0, 0)` without any.
fn robust_range(ascending: &[f32]) -> (f64, f64) {
    let Some(last) = ascending.len().checked_sub(1) else {
        return (0.0, 0.0);
    };
    let at = |q: f64| f64::from(ascending[(q * last as f64).round() as usize]);
    (at(TAIL), at(1.0 - TAIL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Histogram;
    use crate::testing::{column, feature, gaussian};

    #[test]
    fn slots_cover_the_line_and_the_last_edge_is_inside() {
        let bins = Binning::new(vec![0.0, 1.0, 4.0]);
        let slots = [-0.1, 0.0, 0.9, 1.0, 3.9, 4.0, 4.1, f64::NAN].map(|value| bins.slot(value));
        assert_eq!(slots, [0, 1, 1, 2, 2, 2, 3, 3]);
    }

    #[test]
    fn binnings_follow_the_reference() {
        let mut ascending = gaussian(10_000, 5.0, 1);
        ascending.push(1e9);
        ascending.sort_by(f32::total_cmp);
        let plain = Binning::for_reference(&feature("x"), &ascending, BinningRule::Uniform);
        assert!(
            plain.bins() == DEFAULT_BINS && plain.edges()[0] > 1.0 && plain.edges()[45] < 9.0,
            "{plain:?}"
        );
        let energies: Vec<f32> = (-20..1000).map(|i| if i < 0 { 0.0 } else { 1.01_f32.powi(i) }).collect();
        let log =
            Binning::for_reference(&Feature { log_x: true, ..feature("x") }, &energies, BinningRule::Uniform);
        let ratios: Vec<f64> = log.edges().windows(2).map(|pair| pair[1] / pair[0]).collect();
        assert!(ratios.iter().all(|ratio| (ratio / ratios[0] - 1.0).abs() < 1e-9) && log.edges()[0] > 0.0);
        let counts: Vec<f32> = (0..=40).map(|n| n as f32).collect();
        assert_eq!(
            Binning::for_reference(&feature("x"), &counts, BinningRule::Uniform),
            Binning::linear(-0.5, 40.5, 41)
        );
    }

    #[test]
    fn quantile_bins_hold_equal_numbers() {
        let mut ascending = gaussian(45_000, 5.0, 1);
        ascending.sort_by(f32::total_cmp);
        let bins = Binning::for_reference(&feature("x"), &ascending, BinningRule::Quantile);
        let filled = Histogram::of(&bins, &column(ascending));
        assert_eq!(bins.bins(), DEFAULT_BINS);
        assert!(filled.bins().iter().all(|bin| (bin.sumw - 998.0).abs() <= 1.0), "{:?}", filled.bins());
        assert_eq!((filled.underflow().sumw, filled.overflow().sumw), (45.0, 45.0));
        // Ties of several steps each, in the middle too: a bin for every number.
        let few: Vec<f32> = (0..90).map(|i| (i / 30) as f32).collect();
        let bins = Binning::for_reference(&feature("x"), &few, BinningRule::Quantile);
        assert_eq!(bins.edges(), [-0.5, 0.5, 1.5, 2.5]);
        // A third of the values tie: they are one bin, and the others share the rest.
        let tied: Vec<f32> = (0..900).map(|i| (i - 300).max(0) as f32).collect();
        let bins = Binning::for_reference(&feature("x"), &tied, BinningRule::Quantile);
        let filled = Histogram::of(&bins, &column(tied));
        assert_eq!((bins.edges()[0], bins.edges()[1], filled.bins()[0].sumw), (-0.5, 0.5, 301.0));
        assert!(filled.bins()[1..].iter().all(|bin| (19.0..=20.0).contains(&bin.sumw)), "{filled:?}");
    }

    #[test]
    fn blocks_follow_the_density_and_not_the_number_of_values() {
        let step = |i: u32, n: u32| {
            if 4 * i < n { i as f32 / n as f32 } else { 0.25 + (i - n / 4) as f32 / 10.0 / n as f32 }
        };
        let of = |n: u32| {
            let ascending: Vec<f32> = (0..n).map(|i| 1.0 + step(i, n)).collect();
            Binning::for_reference(&feature("x"), &ascending, BinningRule::BayesianBlocks)
        };
        for bins in [of(1000), of(100_000)] {
            assert_eq!(bins.bins(), 2, "{bins:?}");
            assert!((bins.edges()[1] - 1.25).abs() < 2e-3, "{bins:?}");
        }
        // Equal numbers in every decade: one block of the logarithms.
        let energies: Vec<f32> = (0..1000).map(|i| 1.01_f32.powi(i)).collect();
        let log_x = Feature { log_x: true, ..feature("x") };
        let bins = Binning::for_reference(&log_x, &energies, BinningRule::BayesianBlocks);
        assert_eq!(bins.edges(), [1.0, f64::from(energies[999])]);
    }

    #[test]
    fn degenerate_references_still_have_bins() {
        for values in [vec![], vec![0.0; 3], vec![-7.5; 3], vec![3e-39; 2], vec![1e30; 2]] {
            for log_x in [false, true] {
                for rule in [BinningRule::Uniform, BinningRule::Quantile, BinningRule::BayesianBlocks] {
                    let bins = Binning::for_reference(&Feature { log_x, ..feature("x") }, &values, rule);
                    let inside = |x: f32| (1..=bins.bins()).contains(&bins.slot(f64::from(x)));
                    assert!(bins.bins() >= 1 && values.first().is_none_or(|&x| inside(x) || x == 0.0));
                }
            }
        }
    }
}
