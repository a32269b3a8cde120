//! Invertible maps between the columns of events and the space models work in.
//!
//! Every condition and target has a list of [`Step`]s, fitted one after the other on training events and
//! applied in the same order; the inverse runs backwards. What is drawn at random (dequantisation, noise
//! below a readout threshold) comes from the caller's generator, afresh with every call.
//!
//! A round trip restores a value to 1e-5 of itself after `log` and `logit`, whose model space is relative,
//! and to 1e-5 of the spread of its column after `standardize` and `quantile`, whose model space is absolute.
//!
//! ```
//! use ndarray::array;
//! use simile_data::Events;
//! use simile_data::preprocessing::{Preprocessing, PreprocessingConfig};
//!
//! let mut train = Events::new(vec![0, 1, 2]);
//! train.push("energy", array![[1e3], [1e4], [1e5]])?;
//! train.push("phi", array![[0.1], [-3.0], [2.0]])?;
//! let config: PreprocessingConfig = serde_json::from_str(
//!     r#"{"energy": [{"kind": "log"}, {"kind": "standardize"}], "phi": [{"kind": "angle"}]}"#,
//! )?;
//! let preprocessing = Preprocessing::fit(&config, &["energy".into()], &["phi".into()], None, &train, 1)?;
//! let mut rng = simile_data::random::stream(1, "example", 0);
//! let target = preprocessing.target(&train, &mut rng)?;
//! assert_eq!(target.dim(), (3, 2));
//! let back = preprocessing.target_inverse(target.view(), &train)?;
//! assert!((back[0].1[[1, 0]] + 3.0).abs() < 1e-5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod angle;
mod binarise;
mod chain;
mod config;
mod discrete;
mod elementwise;
mod error;
mod layer_energies;
mod quantile;
#[cfg(test)]
mod tests;
mod transform;
mod whiten;

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};
use simile_physics::Geometry;

pub use self::config::{PreprocessingConfig, Step};
pub use self::error::{PreprocessingError, StepError, ValueError};

use self::chain::{Chain, Surroundings, saturate};
use crate::{Events, random};

/// Version of the serialised form; raised whenever an older program would misread it.
const FORMAT_VERSION: u32 = 1;

/// How similar (Jaro–Winkler, 0 to 1) a name must be to be offered as a correction.
const SIMILAR: f64 = 0.8;

/// Fitted preprocessing of all conditions and targets.
///
/// Serialised (`preprocessing.json`) it restores bit for bit; deserialisation checks version and consistency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Preprocessing {
    format_version: u32,
    conditions: Vec<Chain>,
    targets: Vec<Chain>,
    condition_ranges: Vec<ColumnRange>,
    /// Columns in model space of every condition and of every target: finding them checks every fitted number.
    #[serde(skip)]
    widths: [Vec<usize>; 2],
}

/// Range of a condition in the training sample: outside of it a model extrapolates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnRange {
    /// Name of the column.
    pub column: String,
    /// Position inside the column; 0 for a scalar.
    pub component: usize,
    /// Smallest value, in the unit of the column.
    pub min: f32,
    /// Largest value, in the unit of the column.
    pub max: f32,
}

impl Preprocessing {
    /// Fits `config` on `train`, a sample of the training events. `geometry` is needed by `layer_energies`
    /// only; `seed` keys the noise added to the sample.
    ///
    /// # Errors
    /// A column that is missing, named twice, or configured without a role; a step that does not suit its
    /// column; a value outside the domain of a step, with its row.
    pub fn fit(
        config: &PreprocessingConfig,
        condition: &[String],
        target: &[String],
        geometry: Option<&Geometry>,
        train: &Events,
        seed: u64,
    ) -> Result<Self, PreprocessingError> {
        check_names(config, condition, target)?;
        if train.is_empty() {
            return Err(PreprocessingError::NoEvents);
        }
        let mut rng = random::stream(seed, "preprocessing/fit", 0);
        let mut fit = |columns: &[String], is_condition| -> Result<Vec<Chain>, _> {
            let surroundings = Surroundings { conditions: condition, geometry, is_condition };
            let chains = columns
                .iter()
                .map(|column| Chain::fit(column, config.steps(column), surroundings, train, &mut rng));
            chains.collect()
        };
        let stored = Stored {
            format_version: FORMAT_VERSION,
            conditions: fit(condition, true)?,
            targets: fit(target, false)?,
            condition_ranges: ranges(condition, train)?,
        };
        stored.try_into()
    }

    /// Widens [`condition_ranges`](Self::condition_ranges) to training events beyond those that were fitted on.
    ///
    /// # Errors
    /// If a condition is missing.
    pub fn cover_conditions(&mut self, events: &Events) -> Result<(), PreprocessingError> {
        let columns: Vec<String> = self.condition_columns().map(|(column, _)| column.to_owned()).collect();
        for (range, more) in self.condition_ranges.iter_mut().zip(ranges(&columns, events)?) {
            (range.min, range.max) = (range.min.min(more.min), range.max.max(more.max));
        }
        Ok(())
    }

    /// Columns of the conditions in model space.
    #[must_use]
    pub fn n_condition(&self) -> usize {
        self.widths[0].iter().sum()
    }

    /// Columns of the targets in model space.
    #[must_use]
    pub fn n_target(&self) -> usize {
        self.widths[1].iter().sum()
    }

    /// Names of the conditions and the widths of their columns as read.
    pub fn condition_columns(&self) -> impl Iterator<Item = (&str, usize)> {
        self.conditions.iter().map(|chain| (chain.column.as_str(), chain.width))
    }

    /// Names of the targets and the widths of their columns as read.
    pub fn target_columns(&self) -> impl Iterator<Item = (&str, usize)> {
        self.targets.iter().map(|chain| (chain.column.as_str(), chain.width))
    }

    /// Columns of model space that belong together, covering `0..n_target` in order: the energies and the voxels of
    /// `layer_energies` are a group each, or the voxels one for every layer; ordinary columns side by side form one.
    #[must_use]
    pub fn target_groups(&self) -> Vec<Range<usize>> {
        let mut groups: Vec<Range<usize>> = Vec::new();
        let (mut start, mut after_ordinary) = (0, false);
        for (chain, &width) in self.targets.iter().zip(&self.widths[1]) {
            let end = start + width;
            let own = chain.groups();
            match (&own, groups.last_mut()) {
                (Some(own), _) => groups.extend(own.iter().scan(start, |begin, width| {
                    *begin += width;
                    Some(*begin - width..*begin)
                })),
                (None, Some(last)) if after_ordinary => last.end = end,
                (None, _) => groups.push(start..end),
            }
            (start, after_ordinary) = (end, own.is_none());
        }
        groups
    }

    /// Columns of model space that hold one category of a target between them.
    #[must_use]
    pub fn target_categories(&self) -> Vec<Range<usize>> {
        let mut start = 0;
        let ranges = self.targets.iter().zip(&self.widths[1]).map(|(chain, width)| {
            start += width;
            (chain.ends_in_categories(), start - width..start)
        });
        ranges.filter(|(categories, _)| *categories).map(|(_, range)| range).collect()
    }

    /// The condition column that column `index` of model space comes from.
    #[must_use]
    pub fn condition_of(&self, index: usize) -> Option<&str> {
        column_of(&self.conditions, &self.widths[0], index)
    }

    /// The target column that column `index` of model space comes from.
    #[must_use]
    pub fn target_of(&self, index: usize) -> Option<&str> {
        column_of(&self.targets, &self.widths[1], index)
    }

    /// Ranges of the raw conditions in the training sample.
    #[must_use]
    pub fn condition_ranges(&self) -> &[ColumnRange] {
        &self.condition_ranges
    }

    /// Conditions `[events, n_condition]` in model space.
    ///
    /// # Errors
    /// A column that is missing or of another width; a value outside the domain of a step, with its row.
    pub fn condition(&self, events: &Events) -> Result<Array2<f32>, PreprocessingError> {
        // Steps that draw noise are refused for conditions when they are fitted: this generator stays unused.
        let mut rng = random::stream(0, "preprocessing/condition", 0);
        forward(&self.conditions, self.n_condition(), events, &mut rng)
    }

    /// Targets `[events, n_target]` in model space, with noise drawn from `rng`.
    ///
    /// # Errors
    /// As [`condition`](Self::condition).
    pub fn target(&self, events: &Events, rng: &mut impl Rng) -> Result<Array2<f32>, PreprocessingError> {
        forward(&self.targets, self.n_target(), events, rng)
    }

    /// Targets as [`target`](Self::target) gives them, and what has to be added to the log density of every event in model
    /// space for that of its columns, in nats: ln|det ∂z/∂x|. Of columns on a grid the sum is, in the mean over the noise, a
    /// lower bound of the log probability; of a binarised column it is the log probability of what was drawn. `None` where a
    /// step leaves no density (`angle`, `one_hot`, `layer_energies`).
    ///
    /// # Errors
    /// As [`condition`](Self::condition).
    pub fn target_with_log_det(
        &self,
        events: &Events,
        rng: &mut dyn RngCore,
    ) -> Result<(Array2<f32>, Option<Array1<f64>>), PreprocessingError> {
        let mut target = Array2::zeros((events.len(), self.n_target()));
        let (mut start, mut log_det) = (0, Some(Array1::zeros(events.len())));
        for chain in &self.targets {
            let (z, own) = chain.forward_with_log_det(events, rng)?;
            place(&mut target, start, &z);
            start += z.ncols();
            log_det = log_det.zip(own).map(|(sum, own)| sum + own);
        }
        Ok((target, log_det))
    }

    /// Whether all targets lie on a grid, so that they have a probability, of so many bits.
    #[must_use]
    pub fn is_dequantized(&self) -> bool {
        self.targets.iter().all(Chain::is_dequantized)
    }

    /// Target columns, in their order, from model output `z` `[events, n_target]` for the events
    /// `conditions`.
    ///
    /// # Errors
    /// A shape other than that; NaN or infinity in `z`, with its row; a condition that a step needs and that
    /// is missing or outside its domain.
    pub fn target_inverse(
        &self,
        z: ArrayView2<f32>,
        conditions: &Events,
    ) -> Result<Vec<(String, Array2<f32>)>, PreprocessingError> {
        let (found, expected) = ([z.nrows(), z.ncols()], [conditions.len(), self.n_target()]);
        if found != expected {
            return Err(PreprocessingError::OutputShape { found, expected });
        }
        let mut start = 0;
        let columns = self.targets.iter().zip(&self.widths[1]).map(|(chain, &width)| {
            let of_chain = z.slice(s![.., start..start + width]);
            start += width;
            Ok((chain.column.clone(), chain.inverse(of_chain, conditions)?))
        });
        columns.collect()
    }
}

fn column_of<'a>(chains: &'a [Chain], widths: &[usize], index: usize) -> Option<&'a str> {
    let mut end = 0;
    let owner = chains.iter().zip(widths).find(|(_, width)| {
        end += *width;
        index < end
    });
    owner.map(|(chain, _)| chain.column.as_str())
}

fn forward(
    chains: &[Chain],
    width: usize,
    events: &Events,
    rng: &mut dyn RngCore,
) -> Result<Array2<f32>, PreprocessingError> {
    let mut result = Array2::zeros((events.len(), width));
    let mut start = 0;
    for chain in chains {
        let z = chain.forward(events, rng)?;
        place(&mut result, start, &z);
        start += z.ncols();
    }
    Ok(result)
}

/// Writes the columns of one chain into model space.
fn place(result: &mut Array2<f32>, start: usize, z: &Array2<f64>) {
    let columns = s![.., start..start + z.ncols()];
    result.slice_mut(columns).zip_mut_with(z, |out, &value| *out = saturate(value));
}

fn ranges(columns: &[String], train: &Events) -> Result<Vec<ColumnRange>, PreprocessingError> {
    let mut ranges = Vec::new();
    for column in columns {
        for (component, values) in train.column(column)?.axis_iter(Axis(1)).enumerate() {
            let min = values.iter().copied().fold(f32::INFINITY, f32::min);
            let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            ranges.push(ColumnRange { column: column.clone(), component, min, max });
        }
    }
    Ok(ranges)
}

fn check_names(
    config: &PreprocessingConfig,
    condition: &[String],
    target: &[String],
) -> Result<(), PreprocessingError> {
    let roles: Vec<&String> = condition.iter().chain(target).collect();
    if let Some(index) = (1..roles.len()).find(|&index| roles[..index].contains(&roles[index])) {
        return Err(PreprocessingError::DuplicateColumn { column: roles[index].clone() });
    }
    match config.0.keys().find(|column| !roles.contains(column)) {
        None => Ok(()),
        Some(column) => {
            let similarity = |role: &str| strsim::jaro_winkler(column, role);
            let nearest = roles.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
            let nearest = nearest.filter(|role| similarity(role) > SIMILAR).map(|role| (*role).clone());
            Err(PreprocessingError::UnknownColumn { column: column.clone(), nearest })
        }
    }
}

/// [`Preprocessing`] before its checks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format_version: u32,
    conditions: Vec<Chain>,
    targets: Vec<Chain>,
    condition_ranges: Vec<ColumnRange>,
}

impl TryFrom<Stored> for Preprocessing {
    type Error = PreprocessingError;

    fn try_from(stored: Stored) -> Result<Self, PreprocessingError> {
        let Stored { format_version, conditions, targets, condition_ranges } = stored;
        if format_version != FORMAT_VERSION {
            return Err(PreprocessingError::FormatVersion {
                found: format_version,
                supported: FORMAT_VERSION,
            });
        }
        let widths = |chains: &[Chain]| chains.iter().map(Chain::output_width).collect::<Result<_, _>>();
        let widths = [widths(&conditions)?, widths(&targets)?];
        Ok(Self { format_version, conditions, targets, condition_ranges, widths })
    }
}
