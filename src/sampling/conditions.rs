//! Conditions of the events to generate, read in turn from a data set.

use std::ops::Range;

use simile_data::preprocessing::ColumnRange;
use simile_data::{DataError, Dataset, Events, Preprocessing, Scan};

use super::{Observer, SamplingError, names};
use crate::models::bundle::Bundle;

/// Conditions up to this number of values stay in memory; larger files are read block by block.
const CACHED_VALUES: u64 = 8 << 20;

/// Reads what a model is conditioned on, and the weights where there are some. Conditions that were derived from other
/// columns in training are derived here, too, unless the data set has them already, as prepared events do.
pub fn scan_conditions(bundle: &Bundle, dataset: &Dataset) -> Scan {
    let config = &bundle.manifest.config.data;
    let has = |column: &str| dataset.field(column).is_ok();
    let mut columns = names(&bundle.manifest.condition_columns);
    let mut derived = config.derived.clone();
    derived.retain(|column, _| !has(column));
    columns.extend(weight_column(bundle, dataset));
    dataset.scan().derive(&derived).columns(&columns)
}

/// The column of event weights, where training had one and the conditions have it: an event generated for the condition
/// of a weighted event counts as much as that one.
pub(super) fn weight_column<'a>(bundle: &'a Bundle, dataset: &Dataset) -> Option<&'a str> {
    bundle.manifest.config.data.weight.as_deref().filter(|column| dataset.field(column).is_ok())
}

/// The conditions of a sample: event i takes row i modulo the number of rows.
pub(super) struct Conditions<'a> {
    dataset: &'a Dataset,
    bundle: &'a Bundle,
    cached: Option<Events>,
}

impl<'a> Conditions<'a> {
    /// Checks that the file has what the model needs.
    pub(super) fn open(dataset: &'a Dataset, bundle: &'a Bundle) -> Result<Self, SamplingError> {
        check_units(bundle, dataset, |condition| condition)?;
        let derived = &bundle.manifest.config.data.derived;
        let mut width = 0;
        for (column, expected) in &bundle.manifest.condition_columns {
            width += *expected as u64;
            if !derived.contains_key(column) || dataset.field(column).is_ok() {
                let found = dataset.column_width(column)?;
                if found != *expected {
                    return Err(SamplingError::Width { column: column.clone(), found, expected: *expected });
                }
            }
        }
        let mut conditions = Self { dataset, bundle, cached: None };
        if conditions.len() == 0 {
            return Err(DataError::NoRows {
                place: dataset
                    .files()
                    .iter()
                    .map(|f| f.path.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }
            .into());
        }
        if conditions.len() * width <= CACHED_VALUES {
            conditions.cached = Some(conditions.scan(0..conditions.len())?);
        }
        Ok(conditions)
    }

    /// Number of different rows.
    pub(super) fn len(&self) -> u64 {
        self.dataset.num_rows()
    }

    /// Conditions of the events in `range`, in order; `rows` of the result are the event numbers.
    pub(super) fn read(&mut self, range: Range<u64>) -> Result<Events, SamplingError> {
        let events: Vec<u64> = range.clone().collect();
        let mut result = match &self.cached {
            Some(cached) => {
                let positions: Vec<usize> =
                    events.iter().map(|event| (event % self.len()) as usize).collect();
                cached.select_rows(&positions)
            }
            None => self.read_rows(range)?,
        };
        result.rows = events;
        Ok(result)
    }

    /// Reads rows modulo the number of rows, one run after the other.
    fn read_rows(&self, range: Range<u64>) -> Result<Events, SamplingError> {
        let runs: Result<Vec<Events>, DataError> =
            self.runs(range).into_iter().map(|run| self.scan(run)).collect();
        Ok(Events::concat(&runs?)?)
    }

    /// The rows of the events in `range`, as runs of consecutive ones.
    fn runs(&self, mut range: Range<u64>) -> Vec<Range<u64>> {
        let mut runs = Vec::new();
        while range.start < range.end {
            let first = range.start % self.len();
            let last = self.len().min(first + range.end - range.start);
            runs.push(first..last);
            range.start += last - first;
        }
        runs
    }

    fn scan(&self, rows: Range<u64>) -> Result<Events, DataError> {
        let scan = scan_conditions(self.bundle, self.dataset).rows(rows);
        let blocks: Result<Vec<Events>, DataError> = scan.events()?.collect();
        Events::concat(&blocks?)
    }

    /// Compares the conditions of the events in `range` with those of the training events.
    pub(super) fn check_ranges(
        &self,
        range: Range<u64>,
        strict: bool,
        observer: &mut dyn Observer,
    ) -> Result<(), SamplingError> {
        let mut extrapolation = Extrapolation::new(&self.bundle.preprocessing);
        // Longer ranges take all rows, over and over.
        for rows in self.runs(range.start..range.end.min(range.start + self.len())) {
            match &self.cached {
                Some(cached) => {
                    let positions: Vec<usize> = rows.map(|row| row as usize).collect();
                    extrapolation.see(&cached.select_rows(&positions))?;
                }
                None => scan_conditions(self.bundle, self.dataset)
                    .rows(rows)
                    .events()?
                    .try_for_each(|events| extrapolation.see(&events?))?,
            }
        }
        if strict {
            extrapolation.check()?;
        }
        extrapolation.warn(observer);
        Ok(())
    }
}

/// Refuses conditions in another unit than in training; `source` is the column of the data set that a condition is read
/// from. A column without unit is taken as it is.
pub(crate) fn check_units<'a>(
    bundle: &'a Bundle,
    dataset: &Dataset,
    source: impl Fn(&'a str) -> &'a str,
) -> Result<(), SamplingError> {
    let units = dataset.units()?;
    for (column, _) in &bundle.manifest.condition_columns {
        let both = units.get(source(column)).zip(bundle.manifest.units.get(column));
        if let Some((found, expected)) = both.filter(|(found, expected)| found != expected) {
            let (column, found, expected) = (column.clone(), found.clone(), expected.clone());
            return Err(SamplingError::Unit { column, found, expected });
        }
    }
    Ok(())
}

/// The ranges of conditions seen so far beside those of the training events.
pub(crate) struct Extrapolation<'a> {
    ranges: &'a [ColumnRange],
    found: Vec<(f32, f32)>,
}

impl<'a> Extrapolation<'a> {
    /// Nothing seen yet.
    pub(crate) fn new(preprocessing: &'a Preprocessing) -> Self {
        let ranges = preprocessing.condition_ranges();
        Self { ranges, found: vec![(f32::INFINITY, f32::NEG_INFINITY); ranges.len()] }
    }

    /// Takes note of conditions.
    pub(crate) fn see(&mut self, events: &Events) -> Result<(), DataError> {
        for (range, found) in self.ranges.iter().zip(&mut self.found) {
            for &value in events.column(&range.column)?.column(range.component) {
                *found = (found.0.min(value), found.1.max(value));
            }
        }
        Ok(())
    }

    /// Conditions that reach beyond the training events; held-out events reach a little beyond them.
    fn beyond(&self) -> impl Iterator<Item = (&ColumnRange, (f32, f32))> {
        self.ranges.iter().zip(self.found.iter().copied()).filter(|(range, (min, max))| {
            let margin = 0.01 * (range.max - range.min);
            min <= max && (*min < range.min - margin || *max > range.max + margin)
        })
    }

    /// An error for the first of them.
    pub(crate) fn check(&self) -> Result<(), SamplingError> {
        match self.beyond().next() {
            None => Ok(()),
            Some((range, (found_min, found_max))) => {
                let column = range.column.clone();
                let (min, max) = (range.min, range.max);
                Err(SamplingError::Extrapolation { column, found_min, found_max, min, max })
            }
        }
    }

    /// A warning for each of them.
    pub(crate) fn warn(&self, observer: &mut dyn Observer) {
        for (range, (found_min, found_max)) in self.beyond() {
            observer.warn(&format!(
                "`{}` reaches from {found_min} to {found_max}, the model was trained on {} to {}: it extrapolates",
                range.column, range.min, range.max
            ));
        }
    }
}
