//! Weighted one-dimensional histograms that keep under- and overflow.

use crate::binning::Binning;
use crate::metrics::HistogramContents;
use crate::sample::FeatureColumn;
use crate::statistics::{Grouping, poisson_interval};

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
        let widths = self.binning.edges().windows(2).map(|pair| pair[1] - pair[0]);
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

    /// Central intervals of ±1 σ for [`Histogram::normalised`], with `norm > 0`. Empty bins have that of entries of the mean weight.
    pub fn intervals(&self, norm: f64) -> Vec<[f64; 2]> {
        let all = self.slots.iter().fold(Content::default(), |sum, &content| sum + content);
        let typical_weight = if all.sumw > 0.0 { all.sumw2 / all.sumw } else { 0.0 };
        let interval = |&content| poisson_interval(content, typical_weight).map(|end| end / norm);
        self.bins().iter().map(interval).collect()
    }

    /// Everything in units of `norm`, for `metrics.json`; of no events, whose `norm` is 0, zeros.
    pub(crate) fn contents(&self, norm: f64) -> HistogramContents {
        let norm = if norm == 0.0 { 1.0 } else { norm };
        HistogramContents {
            values: self.normalised(norm),
            errors: self.errors(norm),
            intervals: self.intervals(norm),
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
    use crate::testing::{column, gaussian, weighted};

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

    /// Two entries of weight 3 are two entries, and an empty bin has room for entries of the mean weight.
    #[test]
    fn intervals_scale_with_the_weights() {
        let bins = Binning::new(vec![0.0, 1.0, 4.0]);
        let one = Histogram::of(&bins, &column(vec![0.5, 0.6])).intervals(1.0);
        let three = Histogram::of(&bins, &weighted(vec![0.5, 0.6], vec![3.0; 2])).intervals(3.0);
        assert_eq!(one, three);
        // scipy 1.17: chi2.ppf(norm.cdf(-1), 4) / 2, chi2.ppf(norm.cdf(1), 6) / 2 and chi2.ppf(norm.cdf(1), 2) / 2
        let expected = [0.708_185_439_818_971_3, 4.637_859_623_455_245, 0.0, 1.841_021_645_009_263_2];
        assert!(one.iter().flatten().zip(expected).all(|(end, expected)| (end - expected).abs() < 1e-9));
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
}
