//! `metrics.json`: everything a comparison of two samples has found, sufficient to draw and report it.
//!
//! Every figure of merit comes with its `floor`: the value it takes for truth against truth, from disjoint
//! halves of the reference. Figures that shrink with the number of events are scaled to the sizes compared.

mod features;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};
use simile_data::DataError;

pub use self::features::{
    AdjustedPValues, Chi2Metrics, FeatureMetrics, Floored, HistogramContents, HistogramPair, KsMetrics,
    Moments, PermutationMetrics, TestMetrics,
};
use crate::events::EventMetrics;
use crate::images::ImageMetrics;
use crate::sample::Feature;

/// Version of the layout of `metrics.json`.
pub const SCHEMA_VERSION: u32 = 5;

/// The outcome of a validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The sample that is taken as truth.
    pub reference: SampleInfo,
    /// The sample that is judged.
    pub candidate: SampleInfo,
    /// One-dimensional comparisons.
    pub features: Vec<FeatureMetrics>,
    /// Response and resolution against incident energy; for showers.
    pub response: Option<ResponseMetrics>,
    /// Figures of the whole event.
    pub global: GlobalMetrics,
    /// Average showers; where the data carry a calorimeter geometry.
    pub profiles: Option<Profiles>,
    /// Both samples as a map; where two numbers are compared and nothing else.
    pub plane: Option<PlaneMetrics>,
    /// Nested events with the same objects; where a run fills some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventMetrics>,
    /// What a classifier and the training sample tell about images; where events are images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageMetrics>,
    /// The gates asked for, in their order.
    pub gates: Vec<Gate>,
    /// `fail` as soon as one gate failed.
    pub verdict: Verdict,
}

/// Where a sample came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleInfo {
    /// Name in legends.
    pub label: String,
    /// Events compared.
    pub events: usize,
    /// Sum of event weights; equals `events` without weights.
    pub sum_of_weights: f64,
    /// Files read.
    pub files: Vec<String>,
}

/// Response (visible over incident energy) in bins of incident energy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseMetrics {
    /// Bins with ascending energy; bins without events in either sample are left out.
    pub bins: Vec<ResponseBin>,
    /// Size of the largest deviation of the mean over the bins.
    pub mean_deviation: f64,
    /// Standard error of the mean's deviation in that bin.
    pub mean_deviation_error: f64,
    /// Size of the largest deviation of the resolution over the bins.
    pub resolution_deviation: f64,
    /// Standard error of the resolution's deviation in that bin.
    pub resolution_deviation_error: f64,
}

/// A value with its standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    #[serde(deserialize_with = "number_or_nan")]
    pub value: f64,
    /// Its standard error.
    #[serde(deserialize_with = "number_or_nan")]
    pub error: f64,
}

impl From<Floored> for Estimate {
    fn from(figure: Floored) -> Self {
        Self { value: figure.value, error: figure.error }
    }
}

impl From<DistanceMetrics> for Estimate {
    fn from(DistanceMetrics { value, error, .. }: DistanceMetrics) -> Self {
        Self { value, error }
    }
}

impl ResponseMetrics {
    /// The bin in which a deviation is largest in size.
    pub fn worst(&self, deviation: impl Fn(&ResponseBin) -> Estimate) -> Option<&ResponseBin> {
        self.bins.iter().max_by(|a, b| deviation(a).value.abs().total_cmp(&deviation(b).value.abs()))
    }
}

/// One bin of incident energy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseBin {
    /// Lower edge in the unit of the incident energy (MeV).
    pub energy_low: f64,
    /// Upper edge.
    pub energy_high: f64,
    /// Mean incident energy of the reference in this bin.
    pub energy_mean: f64,
    /// The reference.
    pub reference: ResponsePoint,
    /// The candidate.
    pub candidate: ResponsePoint,
    /// `mean_candidate / mean_reference − 1`, the samples taken as independent; 1 where only the reference is zero.
    pub mean_deviation: Estimate,
    /// The same for the resolution.
    pub resolution_deviation: Estimate,
}

/// Response and resolution of one sample in one bin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponsePoint {
    /// Events in the bin.
    pub events: usize,
    /// Mean of visible over incident energy.
    pub mean: f64,
    /// Standard error of the mean.
    pub mean_error: f64,
    /// Standard deviation over mean of visible over incident energy.
    pub resolution: f64,
    /// Standard error of the resolution.
    pub resolution_error: f64,
}

/// Figures of the whole event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GlobalMetrics {
    /// Two-sample classifiers, one per view of the event.
    pub c2st: Vec<C2stMetrics>,
    /// Root mean square difference of the correlation coefficients of all pairs of per-event features; `None` with
    /// fewer than two features.
    pub correlation_distance: Option<Floored>,
    /// The coefficients themselves; `None` with fewer than two features, or too many to show.
    pub correlations: Option<CorrelationMetrics>,
    /// Fréchet physics distance of the observables; `None` with too few events.
    pub fpd: Option<DistanceMetrics>,
    /// Kernel physics distance of the observables.
    pub kpd: Option<DistanceMetrics>,
    /// Precision, recall, density and coverage of the standardised observables; `None` with too few events.
    pub neighbours: Option<NeighbourMetrics>,
    /// Squared maximum mean discrepancy of the standardised observables with a Gaussian kernel; `None` with too few events.
    pub mmd: Option<DistanceMetrics>,
    /// Sliced Wasserstein-1 distance of the standardised observables, in standard deviations; `None` with too few events.
    pub sliced_wasserstein: Option<DistanceMetrics>,
    /// Peaks of the reference in the candidate; where centres are given.
    pub modes: Option<ModeMetrics>,
    /// Kullback–Leibler divergence of the candidate's density from the truth; where both are known.
    pub kl: Option<KlMetrics>,
    /// Mean log-likelihood of the reference; where the maker of the candidate worked it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<LikelihoodMetrics>,
}

/// Correlation coefficients of the features with one entry per event; 0 for those of a constant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrelationMetrics {
    /// Labels of the features.
    pub features: Vec<String>,
    /// Rows of the reference's matrix.
    pub reference: Vec<Vec<f64>>,
    /// Rows of the candidate's matrix.
    pub candidate: Vec<Vec<f64>>,
}

/// A figure of whole events. What it is, and how its error is found, is told where it is worked out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DistanceMetrics {
    /// The figure, without unit.
    #[serde(deserialize_with = "number_or_nan")]
    pub value: f64,
    /// Its error: over batches, as the JetNet library defines it, for FPD and KPD; over disjoint subsamples for figures of
    /// neighbours and the discrepancy; from the jackknife for the sliced Wasserstein distance.
    #[serde(deserialize_with = "number_or_nan")]
    pub error: f64,
    /// Figure of two disjoint halves of the reference, for or scaled to the sizes compared.
    #[serde(deserialize_with = "number_or_nan")]
    pub floor: f64,
    /// Error of the floor.
    #[serde(deserialize_with = "number_or_nan")]
    pub floor_error: f64,
}

/// How far each sample fills the space of the other, judged by nearest neighbours (Kynkäänniemi et al. 2019, arXiv:1904.06991;
/// Naeem et al. 2020, arXiv:2002.09797). Less than the floor is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NeighbourMetrics {
    /// Neighbours within the ball of an event.
    pub neighbours: usize,
    /// Events of a subsample.
    pub events: usize,
    /// Share of candidates where the reference is.
    pub precision: DistanceMetrics,
    /// Share of the reference where candidates are.
    pub recall: DistanceMetrics,
    /// Number of reference events near a candidate, over that expected.
    pub density: DistanceMetrics,
    /// Share of reference events with a candidate near.
    pub coverage: DistanceMetrics,
}

impl NeighbourMetrics {
    /// The figures with their titles.
    pub(crate) fn named(&self) -> [(&'static str, DistanceMetrics); 4] {
        [
            ("Precision", self.precision),
            ("Recall", self.recall),
            ("Density", self.density),
            ("Coverage", self.coverage),
        ]
    }
}

/// KL(truth ‖ candidate) in nats, the mean of log p − log q over the reference. It has no floor but 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KlMetrics {
    /// The divergence.
    pub value: f64,
    /// Standard error of the mean.
    pub error: f64,
}

/// How probable the candidate's density finds events of the reference. There is no floor: the entropy of the truth is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LikelihoodMetrics {
    /// Mean of log p of whole events, in nats: of a density in the units of the columns, of a lower bound of the probability
    /// where they lie on a grid, of the probability where they were made black and white.
    pub log_likelihood: Estimate,
    /// Mean of the evidence lower bound, where log p is estimated with importance weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elbo: Option<Estimate>,
    /// Importance weights of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance_samples: Option<usize>,
    /// −log₂ p for every number of an event, where those lie on a grid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits_per_dimension: Option<Estimate>,
    /// Events it is the mean of.
    pub events: usize,
}

/// Which modes of the reference the candidate has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeMetrics {
    /// Columns that span the space of the modes.
    pub columns: Vec<String>,
    /// Events within this distance of its centre belong to a mode.
    pub radius: f64,
    /// The modes in the order given.
    pub modes: Vec<ModeShares>,
    /// Modes of which the candidate has at least a third of the reference's share.
    pub recovered: usize,
    /// `recovered` of two disjoint halves of the reference, mean over divisions.
    pub recovered_floor: f64,
    /// Events of the candidate outside all modes.
    pub outside: Share,
    /// Events of the reference outside all modes, which halves of it have on average.
    pub outside_floor: Share,
}

/// One mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeShares {
    /// One coordinate for every column.
    pub centre: Vec<f64>,
    /// The reference.
    pub reference: Share,
    /// The candidate.
    pub candidate: Share,
    /// Whether the candidate has at least a third of the reference's share.
    pub recovered: bool,
}

/// Part of the events, by weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// 0 to 1; NaN of no events.
    #[serde(deserialize_with = "number_or_nan")]
    pub value: f64,
    /// Standard error.
    #[serde(deserialize_with = "number_or_nan")]
    pub error: f64,
}

impl Share {
    /// `part` of `all` events that count alike, with the binomial error; of none, nothing is known.
    pub fn of(part: usize, all: usize) -> Self {
        let (value, n) = (part as f64 / all as f64, all as f64);
        Self { value, error: (value * (1.0 - value) / n).sqrt() }
    }
}

/// Two features against each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaneMetrics {
    /// The feature of the horizontal axis.
    pub x: Feature,
    /// The feature of the vertical axis.
    pub y: Feature,
    /// Bin edges of `x`.
    pub x_edges: Vec<f64>,
    /// Bin edges of `y`.
    pub y_edges: Vec<f64>,
    /// The reference.
    pub reference: PlaneContents,
    /// The candidate.
    pub candidate: PlaneContents,
}

/// One sample in the bins of a plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaneContents {
    /// Share of the events in each bin, by weight; x fastest.
    pub shares: Vec<f64>,
    /// Share of the events outside all bins.
    pub outside: f64,
}

/// A classifier trained to tell candidate from reference (Lopez-Paz & Oquab 2017, arXiv:1610.06545).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct C2stMetrics {
    /// View of the event: `voxels` or `observables`.
    pub name: String,
    /// Name of the classifier.
    pub classifier: String,
    /// Area under the ROC curve on events not trained on, mean over seeds: 0.5 where the classifier cannot tell.
    pub auc: f64,
    /// Standard error of `auc`.
    pub error: f64,
    /// `auc` of two disjoint halves of the reference.
    pub floor: f64,
    /// Standard error of `floor`.
    pub floor_error: f64,
    /// Jensen–Shannon divergence in bits that the classifier sees, from its calibrated probabilities: no more than the true one
    /// but for fluctuations, 0 equal, 1 disjoint.
    pub jensen_shannon: DistanceMetrics,
    /// How candidates would have to be weighted.
    pub weights: WeightMetrics,
    /// Number of repetitions with another split and initialisation.
    pub seeds: usize,
    /// Events of each class, split over training, validation and test.
    pub events_per_class: usize,
    /// Points (false positive rate, true positive rate) with ascending rates, mean over seeds.
    pub roc: Vec<[f64; 2]>,
    /// The same for truth against truth.
    pub floor_roc: Vec<[f64; 2]>,
}

/// Weights that a classifier gives events, the ratio of the densities of reference and candidate: 1 where it sees no difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightMetrics {
    /// Distribution over the events of both samples.
    pub histogram: HistogramPair,
    /// Share of the candidate events' statistical power that is left with the weights, (Σw)²/(n·Σw²).
    pub effective: f64,
}

/// The average shower, layer by layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profiles {
    /// Layers in geometry order; layers without voxels included.
    pub layers: Vec<LayerProfile>,
}

/// The average shower in one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerProfile {
    /// Begin and end of the layer in radiation lengths, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x0: Option<[f64; 2]>,
    /// Radial bin edges; empty for a layer without voxels.
    pub r_edges_mm: Vec<f64>,
    /// Number of angular bins.
    pub n_alpha: usize,
    /// Angle in rad at which bin 0 begins; without it, bin 0 is centred on α = 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha_begin: Option<f64>,
    /// The reference.
    pub reference: LayerMean,
    /// The candidate.
    pub candidate: LayerMean,
}

/// Mean energies of one sample in one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerMean {
    /// Mean energy per event.
    pub energy_mev: f64,
    /// Standard error of the mean.
    pub energy_error_mev: f64,
    /// Mean energy per event of each voxel; r fastest, then α.
    pub voxels_mev: Vec<f64>,
}

/// Which side of the limit passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// The value may not exceed the limit.
    Max,
    /// The value may not fall below the limit.
    Min,
}

/// A requirement on one figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Name of the figure, such as `c2st.voxels.auc`.
    pub name: String,
    /// Which side of the limit passes.
    pub bound: Bound,
    /// Value found; one that is no number keeps no limit.
    #[serde(deserialize_with = "number_or_nan")]
    pub value: f64,
    /// Standard error of the value, for figures that have one.
    pub error: Option<f64>,
    /// Limit asked for.
    pub limit: f64,
    /// Whether the value keeps the limit.
    pub passed: bool,
}

/// Outcome of all gates together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There are no gates.
    None,
    /// Every gate passed.
    Pass,
    /// At least one gate failed.
    Fail,
}

/// Why `metrics.json` could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// File.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] DataError),
    /// Not the JSON of this crate.
    #[error(
        "{path} is not a metrics.json of schema version {SCHEMA_VERSION}: {source}; run `simile validate` again"
    )]
    Json {
        /// File.
        path: PathBuf,
        /// Reason.
        source: serde_json::Error,
    },
    /// Written by another version.
    #[error(
        "{path} has schema version {found}, this program reads {SCHEMA_VERSION}; run `simile validate` again"
    )]
    Version {
        /// File.
        path: PathBuf,
        /// Version found.
        found: u64,
    },
}

impl Metrics {
    /// Reads `metrics.json`.
    ///
    /// # Errors
    /// When the file cannot be read, is of another schema version, or lacks fields.
    pub fn read(path: &Path) -> Result<Self, MetricsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| MetricsError::Read { path: path.into(), source })?;
        let json = |source| MetricsError::Json { path: path.into(), source };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(json)?;
        match value["schema_version"].as_u64() {
            Some(found) if found != u64::from(SCHEMA_VERSION) => {
                Err(MetricsError::Version { path: path.into(), found })
            }
            _ => serde_json::from_value(value).map_err(json),
        }
    }

    /// Writes `metrics.json` atomically: it appears complete or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), MetricsError> {
        let json = serde_json::to_string_pretty(self)
            .map_err(|source| MetricsError::Json { path: path.into(), source })?;
        Ok(simile_data::write_file(path, json)?)
    }
}

/// JSON has null for a number that is none.
pub(crate) fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A class without images has no accuracy; JSON, which has no such number, keeps that.
    #[test]
    fn figures_that_are_no_numbers_can_be_read_again() {
        let share = serde_json::to_string(&Share::of(0, 0)).unwrap();
        assert!(serde_json::from_str::<Share>(&share).unwrap().value.is_nan());
        let gate = Gate {
            name: "images.accuracy".into(),
            bound: Bound::Min,
            value: f64::NAN,
            error: None,
            limit: 0.95,
            passed: false,
        };
        let again: Gate = serde_json::from_str(&serde_json::to_string(&gate).unwrap()).unwrap();
        assert!(again.value.is_nan() && !again.passed);
    }
}
