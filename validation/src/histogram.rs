//! Weighted one-dimensional histograms that keep under- and overflow.

use crate::metrics::HistogramContents;
use crate::sample::{Feature, FeatureColumn};
use crate::statistics::Grouping;

/// Bins of a feature when the range allows; enough to see shapes with some thousand events.
pub const DEFAULT_BINS: usize = 45;
/// Share of the reference left outside the bins on each side, so that one outlier cannot set the range.
const TAIL: f64 = 0.001;
/// Padding of the robust range on each side, as a fraction of it.
const PADDING: f64 = 0.05;
/// Integers beyond this are no counts; far beyond, every `f32` is an integer.
const MAX_COUNT: f64 = 1e6;

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

    /// Bins for a feature, from the values of the reference: they span the quantiles 0.1% to 99.9% and a margin,
    /// are logarithmic where the feature asks for it, and centred on integers where all values are integers.
    pub fn for_reference(feature: &Feature, ascending: &[f32]) -> Self {
        let positive = ascending.partition_point(|&value| value <= 0.0);
        if feature.log_x && positive < ascending.len() {
            let (low, high) = robust_range(&ascending[positive..]);
            let margin = ((high / low).powf(PADDING)).max(1.01);
            return Self::logarithmic(low / margin, high * margin, DEFAULT_BINS);
        }
        let (low, high) = robust_range(ascending);
        let countable = low.abs().max(high.abs()) < MAX_COUNT;
        if countable && ascending.iter().all(|value| value.fract() == 0.0) {
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

/// Quantiles `TAIL` and `1 - TAIL` of ascending values; `(0, 0)` without any.
fn robust_range(ascending: &[f32]) -> (f64, f64) {
    let Some(last) = ascending.len().checked_sub(1) else {
        return (0.0, 0.0);
    };
    let at = |q: f64| f64::from(ascending[(q * last as f64).round() as usize]);
    (at(TAIL), at(1.0 - TAIL))
}

/// Sum of weights and sum of squared weights, which estimates its variance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Content {
    /// Sum of weights.
    pub sumw: f64,
    /// Sum of squared weights (of squared sums over one event where entries are correlated).
    pub sumw2: f64,
}

impl Content {
    /// Number of unit-weight entries with the same relative error, `(Σw)²/Σw²`.
    pub fn effective_entries(&self) -> f64 {
        if self.sumw2 > 0.0 { self.sumw * self.sumw / self.sumw2 } else { 0.0 }
    }
}

impl std::ops::Add for Content {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { sumw: self.sumw + other.sumw, sumw2: self.sumw2 + other.sumw2 }
    }
}

/// A weighted histogram with under- and overflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    binning: Binning,
    /// Underflow, the bins, overflow.
    slots: Vec<Content>,
    entries: u64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new(binning: Binning) -> Self {
        let slots = vec![Content::default(); binning.bins() + 2];
        Self { binning, slots, entries: 0 }
    }

    /// The histogram of one feature. The weights that one event adds to one bin count as one weight, because
    /// entries of one event are not independent.
    pub fn of(binning: &Binning, column: &FeatureColumn) -> Self {
        let mut histogram = [Self::new(binning.clone())];
        fill_events(&mut histogram, column, |_| 0);
        let [histogram] = histogram;
        histogram
    }

    /// One histogram for each group of events; their sum is [`Histogram::of`].
    pub fn of_groups(binning: &Binning, column: &FeatureColumn, grouping: &Grouping) -> Vec<Self> {
        let mut histograms = vec![Self::new(binning.clone()); Grouping::GROUPS];
        fill_events(&mut histograms, column, |event| usize::from(grouping.group(event)));
        histograms
    }

    /// Adds one independent entry.
    pub fn fill(&mut self, value: f64, weight: f64) {
        self.add(self.binning.slot(value), weight);
        self.entries += 1;
    }

    fn add(&mut self, slot: usize, weight: f64) {
        self.slots[slot].sumw += weight;
        self.slots[slot].sumw2 += weight * weight;
    }

    /// The bins.
    pub fn binning(&self) -> &Binning {
        &self.binning
    }

    /// Contents of the bins without under- and overflow.
    pub fn bins(&self) -> &[Content] {
        &self.slots[1..=self.binning.bins()]
    }

    /// Contents of underflow, the bins and overflow, in this order.
    pub fn slots(&self) -> &[Content] {
        &self.slots
    }

    /// Entries below the first edge.
    pub fn underflow(&self) -> Content {
        self.slots[0]
    }

    /// Entries above the last edge.
    pub fn overflow(&self) -> Content {
        self.slots[self.binning.bins() + 1]
    }

    /// Number of entries, whatever their weight.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Sum of weights with under- and overflow.
    pub fn total(&self) -> f64 {
        self.slots.iter().map(|content| content.sumw).sum()
    }

    /// Sums of weights of the bins divided by `norm` and the bin widths: a density per unit of the abscissa.
    pub fn density(&self, norm: f64) -> Vec<f64> {
        let widths = self.binning.edges.windows(2).map(|pair| pair[1] - pair[0]);
        self.bins().iter().zip(widths).map(|(content, width)| content.sumw / (norm * width)).collect()
    }

    /// Sums of weights of the bins divided by `norm`.
    pub fn normalised(&self, norm: f64) -> Vec<f64> {
        self.bins().iter().map(|content| content.sumw / norm).collect()
    }

    /// Standard errors of [`Histogram::normalised`].
    pub fn errors(&self, norm: f64) -> Vec<f64> {
        self.bins().iter().map(|content| content.sumw2.sqrt() / norm.abs()).collect()
    }

    /// Everything in units of `norm`, for `metrics.json`.
    pub(crate) fn contents(&self, norm: f64) -> HistogramContents {
        HistogramContents {
            values: self.normalised(norm),
            errors: self.errors(norm),
            underflow: self.underflow().sumw / norm,
            overflow: self.overflow().sumw / norm,
            entries: self.entries,
        }
    }
}

impl std::ops::Add<&Self> for Histogram {
    type Output = Self;

    fn add(mut self, other: &Self) -> Self {
        assert_eq!(self.binning, other.binning, "only histograms on the same bins can be added");
        self.slots.iter_mut().zip(&other.slots).for_each(|(content, &more)| *content = *content + more);
        self.entries += other.entries;
        self
    }
}

/// Fills the entries of each event into the histogram that `of_event` chooses for it.
fn fill_events(histograms: &mut [Histogram], column: &FeatureColumn, of_event: impl Fn(usize) -> usize) {
    let mut event_weights: Vec<(usize, f64)> = Vec::new();
    let mut start = 0;
    while start < column.values.len() {
        let event = column.event(start);
        let end =
            (start..column.values.len()).find(|&i| column.event(i) != event).unwrap_or(column.values.len());
        let histogram = &mut histograms[of_event(event)];
        for i in start..end {
            let slot = histogram.binning.slot(f64::from(column.values[i]));
            match event_weights.iter_mut().find(|(filled, _)| *filled == slot) {
                Some((_, weight)) => *weight += column.weight(i),
                None => event_weights.push((slot, column.weight(i))),
            }
        }
        event_weights.drain(..).for_each(|(slot, weight)| histogram.add(slot, weight));
        histogram.entries += (end - start) as u64;
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{column, feature, gaussian, weighted};

    #[test]
    fn slots_cover_the_line_and_the_last_edge_is_inside() {
        let bins = Binning::new(vec![0.0, 1.0, 4.0]);
        let slots = [-0.1, 0.0, 0.9, 1.0, 3.9, 4.0, 4.1, f64::NAN].map(|value| bins.slot(value));
        assert_eq!(slots, [0, 1, 1, 2, 2, 2, 3, 3]);
    }

    #[test]
    fn weights_errors_and_densities() {
        let bins = Binning::new(vec![0.0, 1.0, 4.0]);
        let filled =
            Histogram::of(&bins, &weighted(vec![0.5, 0.6, 2.0, -1.0, 9.0], vec![1.0, 2.0, 3.0, 4.0, 5.0]));
        assert_eq!(filled.bins()[0], Content { sumw: 3.0, sumw2: 5.0 });
        assert_eq!((filled.underflow().sumw, filled.overflow().sumw), (4.0, 5.0));
        assert_eq!((filled.total(), filled.entries()), (15.0, 5));
        assert_eq!(filled.density(15.0), [0.2, 1.0 / 15.0]);
        assert_eq!(filled.normalised(15.0), [0.2, 0.2]);
        assert_eq!(filled.errors(15.0), [5.0_f64.sqrt() / 15.0, 0.2]);
    }

    #[test]
    fn entries_of_one_event_are_one_fluctuation() {
        let mut cells = column(vec![0.1, 0.2, 0.3, 0.4]);
        cells.events = Some(vec![0, 0, 0, 1]);
        let filled = Histogram::of(&Binning::linear(0.0, 1.0, 1), &cells);
        assert_eq!(filled.bins()[0], Content { sumw: 4.0, sumw2: 9.0 + 1.0 });
    }

    #[test]
    fn groups_add_up() {
        let cells = column(gaussian(200, 0.0, 1));
        let bins = Binning::linear(-2.0, 2.0, 8);
        let groups = Histogram::of_groups(&bins, &cells, &Grouping::new(200, 1));
        let total = groups.iter().fold(Histogram::new(bins.clone()), |total, group| total + group);
        assert_eq!(total, Histogram::of(&bins, &cells));
    }

    #[test]
    fn binnings_follow_the_reference() {
        let mut ascending = gaussian(10_000, 5.0, 1);
        ascending.push(1e9);
        ascending.sort_by(f32::total_cmp);
        let plain = Binning::for_reference(&feature("x"), &ascending);
        assert!(
            plain.bins() == DEFAULT_BINS && plain.edges()[0] > 1.0 && plain.edges()[45] < 9.0,
            "{plain:?}"
        );
        let energies: Vec<f32> = (-20..1000).map(|i| if i < 0 { 0.0 } else { 1.01_f32.powi(i) }).collect();
        let log = Binning::for_reference(&Feature { log_x: true, ..feature("x") }, &energies);
        let ratios: Vec<f64> = log.edges().windows(2).map(|pair| pair[1] / pair[0]).collect();
        assert!(ratios.iter().all(|ratio| (ratio / ratios[0] - 1.0).abs() < 1e-9) && log.edges()[0] > 0.0);
        let counts: Vec<f32> = (0..=40).map(|n| n as f32).collect();
        assert_eq!(Binning::for_reference(&feature("x"), &counts), Binning::linear(-0.5, 40.5, 41));
    }

    #[test]
    fn degenerate_references_still_have_bins() {
        for values in [vec![], vec![0.0; 3], vec![-7.5; 3], vec![3e-39; 2], vec![1e30; 2]] {
            for log_x in [false, true] {
                let bins = Binning::for_reference(&Feature { log_x, ..feature("x") }, &values);
                assert!(bins.bins() >= 1);
                assert!(
                    values
                        .first()
                        .is_none_or(|&x| (1..=bins.bins()).contains(&bins.slot(f64::from(x))) || x == 0.0)
                );
            }
        }
    }
}
