//! Modes: which peaks of the reference the candidate has found, and how much it generates between them.
//!
//! A mode is a point in the space of some columns; an event belongs to it within a Euclidean `radius`. The share of a
//! mode is p = Σ_{i∈mode} wᵢ / Σ wᵢ, with the binomial error of weighted events, √(Σ wᵢ² (1_{i∈mode} − p)²) / Σ wᵢ.
//! Counting modes is the usual test for generators that forget some (Metz et al. 2017, arXiv:1611.02163).

use ndarray::ArrayView2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare::FLOOR_SPLITS;
use crate::metrics::{ModeMetrics, ModeShares, Share};
use crate::statistics::Grouping;

/// A mode counts as recovered with this part of the reference's share: far from where fluctuations of a share reach,
/// and far from what a generator leaves of a mode that it has forgotten.
const RECOVERED: f64 = 1.0 / 3.0;

/// Where modes are looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModesOptions {
    /// Scalar columns that span the space of the modes.
    pub columns: Vec<String>,
    /// Centre of each mode, one coordinate for every column.
    pub centres: Vec<Vec<f64>>,
    /// Events within this distance of its centre belong to a mode.
    pub radius: f64,
}

/// Why modes cannot be counted.
#[derive(Debug, thiserror::Error)]
pub enum ModesError {
    /// Nothing to count.
    #[error("modes need one column and one centre at least")]
    Empty,
    /// A centre in another space.
    #[error("mode centre {centre:?} is not one finite coordinate for each of the {columns} columns")]
    Centre {
        /// The centre.
        centre: Vec<f64>,
        /// Number of columns.
        columns: usize,
    },
    /// A radius that is none.
    #[error("radius {radius} of modes is not a positive number")]
    Radius {
        /// The radius.
        radius: f64,
    },
    /// A mode without events of the reference.
    #[error(
        "{sample} has no events within {radius} of mode centre {centre:?}: there is no mode to recover; move it, or \
         raise the radius"
    )]
    NoMode {
        /// Label of the reference.
        sample: String,
        /// The centre.
        centre: Vec<f64>,
        /// The radius.
        radius: f64,
    },
}

impl ModesOptions {
    /// Checks what can be checked without events.
    ///
    /// # Errors
    /// Names the value out of range.
    pub fn check(&self) -> Result<(), ModesError> {
        if self.columns.is_empty() || self.centres.is_empty() {
            return Err(ModesError::Empty);
        }
        let columns = self.columns.len();
        let misfit =
            |centre: &&Vec<f64>| centre.len() != columns || centre.iter().any(|value| !value.is_finite());
        if let Some(centre) = self.centres.iter().find(misfit) {
            return Err(ModesError::Centre { centre: centre.clone(), columns });
        }
        match self.radius.is_finite() && self.radius > 0.0 {
            true => Ok(()),
            false => Err(ModesError::Radius { radius: self.radius }),
        }
    }
}

/// Events in the space of the modes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points<'a> {
    /// Name of the sample.
    pub(crate) label: &'a str,
    /// `[events, columns]`
    pub(crate) values: ArrayView2<'a, f32>,
    /// Event weights; `None` for unit weights.
    pub(crate) weights: Option<&'a [f32]>,
}

/// Shares of all modes in both samples. `seed` chooses the halves of the reference behind the floor.
///
/// # Errors
/// When a mode has no events in the reference.
pub(crate) fn mode_metrics(
    options: &ModesOptions,
    reference: Points<'_>,
    candidate: Points<'_>,
    grouping: &Grouping,
    seed: u64,
) -> Result<ModeMetrics, ModesError> {
    let groups = Tally::of_groups(options, reference, grouping);
    let truth = Tally::sum(options, &groups, |_| true);
    let found = Tally::sum(
        options,
        &Tally::of_groups(options, candidate, &Grouping::new(candidate.values.nrows(), 0)),
        |_| true,
    );
    let empty = (0..options.centres.len()).find(|&mode| truth.share(mode).value <= 0.0);
    if let Some(mode) = empty {
        let (sample, centre) = (reference.label.to_owned(), options.centres[mode].clone());
        return Err(ModesError::NoMode { sample, centre, radius: options.radius });
    }
    let modes: Vec<ModeShares> = options
        .centres
        .iter()
        .enumerate()
        .map(|(mode, centre)| ModeShares {
            centre: centre.clone(),
            reference: truth.share(mode),
            candidate: found.share(mode),
            recovered: found.recovers(&truth, mode),
        })
        .collect();
    let floor = (0..FLOOR_SPLITS).map(|split| {
        let first = Grouping::halves(seed, split);
        let [a, b] = [true, false].map(|half| Tally::sum(options, &groups, |group| first[group] == half));
        (0..modes.len()).filter(|&mode| b.recovers(&a, mode)).count()
    });
    Ok(ModeMetrics {
        columns: options.columns.clone(),
        radius: options.radius,
        recovered: modes.iter().filter(|mode| mode.recovered).count(),
        recovered_floor: floor.sum::<usize>() as f64 / FLOOR_SPLITS as f64,
        outside: found.share(modes.len()),
        outside_floor: truth.share(modes.len()),
        modes,
    })
}

/// Sums of weights and of squared weights.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    weights: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.weights += other.weights;
        self.squares += other.squares;
    }
}

/// Events of every mode, then those outside all of them, and all together.
#[derive(Clone, Debug)]
struct Tally {
    parts: Vec<Sums>,
    all: Sums,
}

impl Tally {
    fn new(options: &ModesOptions) -> Self {
        Self { parts: vec![Sums::default(); options.centres.len() + 1], all: Sums::default() }
    }

    fn of_groups(options: &ModesOptions, points: Points<'_>, grouping: &Grouping) -> Vec<Self> {
        let mut groups = vec![Self::new(options); Grouping::GROUPS];
        for (event, point) in points.values.rows().into_iter().enumerate() {
            let weight = points.weights.map_or(1.0, |weights| f64::from(weights[event]));
            let sums = Sums { weights: weight, squares: weight * weight };
            let tally = &mut groups[usize::from(grouping.group(event))];
            let mut outside = true;
            for (centre, part) in options.centres.iter().zip(&mut tally.parts) {
                let squares = point.iter().zip(centre).map(|(value, at)| (f64::from(*value) - at).powi(2));
                if squares.sum::<f64>() <= options.radius * options.radius {
                    part.add(sums);
                    outside = false;
                }
            }
            if outside {
                tally.parts[options.centres.len()].add(sums);
            }
            tally.all.add(sums);
        }
        groups
    }

    fn sum(options: &ModesOptions, groups: &[Self], keep: impl Fn(usize) -> bool) -> Self {
        let mut total = Self::new(options);
        for (_, group) in groups.iter().enumerate().filter(|(index, _)| keep(*index)) {
            total.parts.iter_mut().zip(&group.parts).for_each(|(sums, part)| sums.add(*part));
            total.all.add(group.all);
        }
        total
    }

    fn share(&self, part: usize) -> Share {
        let (inside, all) = (self.parts[part], self.all);
        let value = inside.weights / all.weights;
        let variance = inside.squares * (1.0 - 2.0 * value) + all.squares * value * value;
        Share { value, error: variance.max(0.0).sqrt() / all.weights }
    }

    fn recovers(&self, truth: &Self, mode: usize) -> bool {
        self.share(mode).value >= RECOVERED * truth.share(mode).value
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::testing::gaussian;

    fn options() -> ModesOptions {
        let centres = vec![vec![-2.0, 0.0], vec![2.0, 0.0], vec![0.0, 2.0]];
        ModesOptions { columns: vec!["x".into(), "y".into()], centres, radius: 0.5 }
    }

    /// Events at the centres of the modes, so many at each, the last at a place between them.
    fn sample(counts: [usize; 4]) -> Array2<f32> {
        let places = [[-2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 0.0]];
        let events = places.iter().zip(counts).flat_map(|(place, count)| vec![*place; count]);
        let values: Vec<[f32; 2]> = events.collect();
        let jitter = gaussian(2 * values.len(), 0.0, 7);
        Array2::from_shape_fn((values.len(), 2), |(event, column)| {
            values[event][column] + 0.1 * jitter[2 * event + column]
        })
    }

    fn counted(
        reference: &Array2<f32>,
        candidate: &Array2<f32>,
        weights: Option<&[f32]>,
    ) -> Result<ModeMetrics, ModesError> {
        let grouping = Grouping::new(reference.nrows(), 1);
        let truth = Points { label: "reference", values: reference.view(), weights: None };
        let found = Points { label: "candidate", values: candidate.view(), weights };
        mode_metrics(&options(), truth, found, &grouping, 1)
    }

    #[test]
    fn a_forgotten_mode_and_events_between_modes_are_seen() {
        let reference = sample([400, 400, 200, 0]);
        let same = counted(&reference, &reference, None).unwrap();
        assert_eq!((same.recovered, same.recovered_floor, same.outside.value), (3, 3.0, 0.0));
        assert_eq!(same.modes[2].candidate, same.modes[2].reference);
        let poor = counted(&reference, &sample([650, 230, 20, 100]), None).unwrap();
        let recovered: Vec<bool> = poor.modes.iter().map(|mode| mode.recovered).collect();
        assert_eq!((poor.recovered, recovered), (2, vec![true, true, false]));
        assert_eq!((poor.outside.value, poor.outside_floor.value), (0.1, 0.0));
        // √(p(1 − p)/n)
        assert!((poor.outside.error - (0.1 * 0.9 / 1000f64).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn weights_count_and_widen_the_error() {
        let reference = sample([400, 400, 200, 0]);
        let candidate = sample([400, 400, 100, 100]);
        // The third mode counts twice, what lies between the modes not at all.
        let weights: Vec<f32> =
            (0..1000).map(|event| [1.0, 2.0, 0.0][(event.max(700) - 700) / 100]).collect();
        let found = counted(&reference, &candidate, Some(&weights)).unwrap();
        assert_eq!((found.recovered, found.outside.value), (3, 0.0));
        let share = found.modes[2].candidate;
        assert!((share.value - 0.2).abs() < 1e-12);
        let error = (100.0 * 4.0 * 0.8f64.powi(2) + 800.0 * 0.2f64.powi(2)).sqrt() / 1000.0;
        assert!((share.error - error).abs() < 1e-12, "{share:?}");
    }

    #[test]
    fn modes_that_cannot_be_counted_are_refused() {
        let message = |options: ModesOptions| options.check().unwrap_err().to_string();
        assert!(message(ModesOptions { radius: 0.0, ..options() }).contains("radius 0"));
        assert!(message(ModesOptions { columns: vec!["x".into()], ..options() }).contains("[-2.0, 0.0]"));
        assert!(message(ModesOptions { centres: vec![], ..options() }).contains("one centre"));
        let error =
            counted(&sample([400, 400, 0, 0]), &sample([400, 400, 200, 0]), None).unwrap_err().to_string();
        assert!(error.contains("reference has no events within 0.5 of mode centre [0.0, 2.0]"), "{error}");
    }
}
