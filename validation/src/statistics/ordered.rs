//! Weighted values in ascending order, in which every distance of distribution functions is one merge.

use std::ops::Range;

use rand::seq::SliceRandom;
use simile_data::random;

use crate::sample::FeatureColumn;

/// A random division of events into groups of equal size, for the jackknife and for disjoint halves.
#[derive(Clone, Debug)]
pub struct Grouping {
    group_of_event: Vec<u8>,
}

impl Grouping {
    /// Number of groups: enough for an error good to 1/√(2·19) = 16%, few enough to be cheap.
    pub const GROUPS: usize = 20;

    /// Divides `events` events. Samples of equal size are divided alike, so that events sharing a condition leave
    /// both samples together.
    pub fn new(events: usize, seed: u64) -> Self {
        let mut group_of_event: Vec<u8> = (0..events).map(|event| (event % Self::GROUPS) as u8).collect();
        group_of_event.shuffle(&mut random::stream(seed, "validation/groups", 0));
        Self { group_of_event }
    }

    /// Number of events.
    pub fn events(&self) -> usize {
        self.group_of_event.len()
    }

    /// Group of an event.
    pub fn group(&self, event: usize) -> u8 {
        self.group_of_event[event]
    }

    /// The `index`-th division of the groups into two halves; `true` marks the first half.
    pub fn halves(seed: u64, index: u64) -> [bool; Self::GROUPS] {
        let mut first = std::array::from_fn(|group| group < Self::GROUPS / 2);
        first.shuffle(&mut random::stream(seed, "validation/halves", index));
        first
    }
}

/// Values of one feature in ascending order with their weights and groups.
#[derive(Clone, Debug, Default)]
pub struct Ordered {
    values: Vec<f32>,
    /// Empty for unit weights.
    weights: Vec<f32>,
    groups: Vec<u8>,
}

impl Ordered {
    /// Sorts a column.
    pub fn new(column: &FeatureColumn, grouping: &Grouping) -> Self {
        Self::every(1, column, grouping)
    }

    /// Sorts the entries of every `stride`-th event of a column.
    pub fn every(stride: usize, column: &FeatureColumn, grouping: &Grouping) -> Self {
        let kept = column.values.iter().enumerate().filter(|(i, _)| column.event(*i).is_multiple_of(stride));
        let mut keys: Vec<u64> = kept.map(|(i, &value)| sort_key(value) << 32 | i as u64).collect();
        keys.sort_unstable();
        let order = || keys.iter().map(|&key| (key & u64::from(u32::MAX)) as usize);
        Self {
            values: order().map(|i| column.values[i]).collect(),
            weights: column.weights.as_ref().map_or_else(Vec::new, |w| order().map(|i| w[i]).collect()),
            groups: order().map(|i| grouping.group(column.event(i))).collect(),
        }
    }

    /// The entries of the groups marked `true`.
    #[must_use]
    pub fn filter(&self, keep: &[bool; Grouping::GROUPS]) -> Self {
        let kept = |i: &usize| keep[self.groups[*i] as usize];
        let indices = || (0..self.values.len()).filter(kept);
        let weights =
            if self.weights.is_empty() { Vec::new() } else { indices().map(|i| self.weights[i]).collect() };
        Self {
            values: indices().map(|i| self.values[i]).collect(),
            weights,
            groups: indices().map(|i| self.groups[i]).collect(),
        }
    }

    /// Ascending values.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Whether the values have weights of their own.
    pub fn is_weighted(&self) -> bool {
        !self.weights.is_empty()
    }

    /// Weight of the `i`-th value.
    pub fn weight(&self, i: usize) -> f64 {
        self.weights.get(i).map_or(1.0, |&weight| f64::from(weight))
    }

    /// Group of the `i`-th value.
    pub fn group(&self, i: usize) -> usize {
        self.groups[i] as usize
    }

    /// Sum of weights.
    pub fn sum_of_weights(&self) -> f64 {
        (0..self.values.len()).map(|i| self.weight(i)).sum()
    }

    /// Number of unit-weight entries that fluctuate as much, `(Σw)²/Σw²`.
    pub fn effective_entries(&self) -> f64 {
        let (sum, squares) = (0..self.values.len())
            .map(|i| self.weight(i))
            .fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
        if squares > 0.0 { sum * sum / squares } else { 0.0 }
    }
}

/// Integer that sorts as the value does, with −0 before +0.
pub(crate) fn sort_key(value: f32) -> u64 {
    let bits = value.to_bits();
    u64::from(if bits >> 31 == 1 { !bits } else { bits | 1 << 31 })
}

/// Visits every distinct value of the two samples in ascending order, with the entries of each that equal it.
pub(super) fn for_each_distinct(
    a: &Ordered,
    b: &Ordered,
    mut visit: impl FnMut(f64, Range<usize>, Range<usize>),
) {
    let (mut i, mut j) = (0, 0);
    while i < a.values.len() || j < b.values.len() {
        let head = |values: &[f32], at: usize| values.get(at).copied().unwrap_or(f32::INFINITY);
        let value = head(&a.values, i).min(head(&b.values, j));
        let (from_a, from_b) = (i, j);
        while a.values.get(i).is_some_and(|&v| v <= value) {
            i += 1;
        }
        while b.values.get(j).is_some_and(|&v| v <= value) {
            j += 1;
        }
        visit(f64::from(value), from_a..i, from_b..j);
    }
}

/// Size that sets the fluctuation of a distance between two samples, `n₁n₂/(n₁+n₂)`.
pub(crate) fn reduced_size(a: f64, b: f64) -> f64 {
    if a + b > 0.0 { a * b / (a + b) } else { 0.0 }
}
