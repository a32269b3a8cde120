//! Streaming minimum, maximum, mean and standard deviation of column elements, merged batch by batch.

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use serde::Serialize;

use crate::inspect::{ColumnSummary, type_name};
use crate::numeric::is_number;

/// Statistics of finite numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Finite numbers.
    pub count: u64,
    /// NaN and infinities, not part of the other figures.
    pub non_finite: u64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation with n − 1 in the denominator; 0 for a single number.
    pub std: f64,
}

/// Running moments: mean and Σ(x − mean)², merged by the pairwise formula of Chan, Golub & LeVeque (1979).
#[derive(Clone, Debug)]
struct Moments {
    count: u64,
    non_finite: u64,
    min: f64,
    max: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    const EMPTY: Self =
        Self { count: 0, non_finite: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, mean: 0.0, squares: 0.0 };

    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let finite = values.clone().filter(|value| value.is_finite());
        let (mut count, mut sum, mut min, mut max) = (0u64, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        for value in finite.clone() {
            count += 1;
            sum += value;
            min = min.min(value);
            max = max.max(value);
        }
        let mean = if count > 0 { sum / count as f64 } else { 0.0 };
        let squares = finite.map(|value| (value - mean).powi(2)).sum();
        Self { count, non_finite: values.count() as u64 - count, min, max, mean, squares }
    }

    fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        if other.count > 0 {
            let (distance, share) = (other.mean - self.mean, other.count as f64 / count as f64);
            self.squares += other.squares + distance.powi(2) * self.count as f64 * share;
            self.mean += distance * share;
        }
        self.count = count;
        self.non_finite += other.non_finite;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// `None` if there is nothing to describe.
    fn statistics(&self) -> Option<Statistics> {
        let Self { count, non_finite, min, max, mean, squares } = *self;
        let std = if count > 1 { (squares / (count - 1) as f64).sqrt() } else { 0.0 };
        (count > 0).then_some(Statistics { count, non_finite, min, max, mean, std })
    }
}

/// A column without inner structure, or one member of a structure: what has values of one type.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// `column`, or `column.member` inside structures.
    pub(crate) path: String,
    type_name: String,
    nulls: u64,
    numeric: bool,
    values: Moments,
    multiplicity: Moments,
}

impl Leaf {
    /// The leaves of a column in the order in which [`feed`](Self::feed) meets them.
    pub(crate) fn of(path: &str, data_type: &DataType) -> Vec<Self> {
        match data_type {
            DataType::Struct(fields) => {
                fields.iter().flat_map(|f| Self::of(&format!("{path}.{}", f.name()), f.data_type())).collect()
            }
            DataType::List(item) | DataType::LargeList(item) => {
                let wrap = |leaf: Self| Self { type_name: format!("list<{}>", leaf.type_name), ..leaf };
                Self::of(path, item.data_type()).into_iter().map(wrap).collect()
            }
            DataType::FixedSizeList(item, length) => {
                let wrap = |leaf: Self| Self { type_name: format!("{}[{length}]", leaf.type_name), ..leaf };
                Self::of(path, item.data_type()).into_iter().map(wrap).collect()
            }
            scalar => vec![Self {
                path: path.to_owned(),
                type_name: type_name(scalar),
                nulls: 0,
                numeric: is_number(scalar),
                values: Moments::EMPTY,
                multiplicity: Moments::EMPTY,
            }],
        }
    }

    /// Adds a batch of a column to its leaves, the next ones of `leaves`.
    pub(crate) fn feed<'a>(array: &ArrayRef, leaves: &mut impl Iterator<Item = &'a mut Self>) {
        feed(array, leaves, 0, None);
    }

    pub(crate) fn summary(self, unit: Option<String>, filled: bool) -> ColumnSummary {
        ColumnSummary {
            name: self.path,
            type_name: self.type_name,
            unit,
            nulls: filled.then_some(self.nulls),
            values: self.values.statistics(),
            multiplicity: self.multiplicity.statistics(),
        }
    }
}

/// `nulls` counts the nulls of the lists and structures around `array`, `lengths` describes the outermost list.
fn feed<'a>(
    array: &ArrayRef,
    leaves: &mut impl Iterator<Item = &'a mut Leaf>,
    nulls: u64,
    lengths: Option<&Moments>,
) {
    let nulls = nulls + array.logical_null_count() as u64;
    match array.data_type() {
        DataType::Struct(_) => {
            for member in array.as_struct().columns() {
                feed(member, leaves, nulls, lengths);
            }
        }
        DataType::List(_) => feed_list(array.as_list::<i32>(), leaves, nulls, lengths),
        DataType::LargeList(_) => feed_list(array.as_list::<i64>(), leaves, nulls, lengths),
        DataType::FixedSizeList(..) => feed(array.as_fixed_size_list().values(), leaves, nulls, lengths),
        _ => {
            let leaf = leaves.next().expect("leaves are made from the schema of the batches");
            leaf.nulls += nulls;
            if let Some(lengths) = lengths {
                leaf.multiplicity.merge(lengths);
            }
            if let (true, Ok(numbers)) = (leaf.numeric, cast(array, &DataType::Float64)) {
                leaf.values.merge(&Moments::of(numbers.as_primitive::<Float64Type>().iter().flatten()));
            }
        }
    }
}

fn feed_list<'a, O: OffsetSizeTrait>(
    list: &GenericListArray<O>,
    leaves: &mut impl Iterator<Item = &'a mut Leaf>,
    nulls: u64,
    lengths: Option<&Moments>,
) {
    let offsets = list.value_offsets();
    let own = Moments::of(offsets.windows(2).map(|pair| (pair[1] - pair[0]).as_usize() as f64));
    let (start, end) = (offsets[0].as_usize(), offsets[list.len()].as_usize());
    feed(&list.values().slice(start, end - start), leaves, nulls, Some(lengths.unwrap_or(&own)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_of_known_numbers() {
        let statistics = Moments::of([2.0, 4.0, f64::NAN, 9.0].into_iter()).statistics().unwrap();
        let expected =
            Statistics { count: 3, non_finite: 1, min: 2.0, max: 9.0, mean: 5.0, std: 13f64.sqrt() };
        assert_eq!(statistics, expected);
        assert_eq!(Moments::of([f64::NAN].into_iter()).statistics(), None);
    }

    proptest! {
        #[test]
        fn merging_parts_gives_the_whole(values in prop::collection::vec(-1e3..1e3f64, 2..60), cut in 0usize..60) {
            let cut = cut.min(values.len());
            let mut merged = Moments::of(values[..cut].iter().copied());
            merged.merge(&Moments::of(values[cut..].iter().copied()));
            let (merged, whole) =
                (merged.statistics().unwrap(), Moments::of(values.iter().copied()).statistics().unwrap());
            prop_assert_eq!((merged.count, merged.min, merged.max), (whole.count, whole.min, whole.max));
            prop_assert!((merged.mean - whole.mean).abs() < 1e-9 && (merged.std - whole.std).abs() < 1e-9);
        }
    }
}
