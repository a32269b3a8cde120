//! What is found about one feature.

use serde::{Deserialize, Serialize};

use crate::sample::Feature;

/// Comparison of one feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureMetrics {
    /// Name, label, unit and how to draw it.
    #[serde(flatten)]
    pub feature: Feature,
    /// Kolmogorov–Smirnov test.
    pub ks: KsMetrics,
    /// Anderson–Darling test, A².
    pub anderson_darling: TestMetrics,
    /// Cramér–von Mises test, W².
    pub cramer_von_mises: TestMetrics,
    /// χ² test of the histograms, under- and overflow included.
    pub chi2: Chi2Metrics,
    /// p-values of these tests by permutation of events; `None` where no permutations were asked for.
    pub permutation: Option<PermutationMetrics>,
    /// The p-value of the Kolmogorov–Smirnov test, adjusted for the number of features; `None` without p-value.
    pub adjusted: Option<AdjustedPValues>,
    /// Wasserstein-1 distance in the unit of the feature.
    pub wasserstein: Floored,
    /// `½ Σ (h₁−h₂)²/(h₁+h₂)` of the normalised histograms: 0 equal, 1 disjoint.
    pub separation_power: Floored,
    /// `√(2 ∫ (F − G)² dx)` of the distribution functions, in the root of the unit of the feature.
    pub energy_distance: Floored,
    /// Jensen–Shannon divergence of the normalised histograms in bits: 0 equal, 1 disjoint.
    pub jensen_shannon: Floored,
    /// Moments of the reference.
    pub reference: Moments,
    /// Moments of the candidate.
    pub candidate: Moments,
    /// Both histograms on common bins.
    pub histogram: HistogramPair,
}

/// A figure and its value for truth against truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floored {
    /// Reference against candidate.
    pub value: f64,
    /// Standard error, from the jackknife over groups of events; up to twice the true one where samples differ by no more than
    /// chance, for squares and sizes then shrink with every event.
    pub error: f64,
    /// Truth against truth.
    pub floor: f64,
}

/// Two-sample Kolmogorov–Smirnov test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KsMetrics {
    /// Largest distance of the distribution functions.
    pub statistic: f64,
    /// Probability of a larger distance for equal parents; `None` for features with several entries per event,
    /// whose correlation it does not know.
    pub p_value: Option<f64>,
    /// Statistic for truth against truth.
    pub floor: f64,
}

/// A test without floor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestMetrics {
    /// The statistic.
    pub statistic: f64,
    /// Probability of a larger statistic for equal parents; `None` for features with several entries per event.
    pub p_value: Option<f64>,
}

/// Probabilities of larger statistics for equal parents, found by permutation of whole events. They hold for features with several
/// entries per event too, and are not below 1/(permutations + 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PermutationMetrics {
    /// Number of permutations.
    pub permutations: usize,
    /// Events permuted of reference and candidate, evenly chosen where they are fewer than compared.
    pub events: [usize; 2],
    /// p-value of the Kolmogorov–Smirnov distance.
    pub ks: f64,
    /// p-value of the Anderson–Darling statistic.
    pub anderson_darling: f64,
    /// p-value of the energy distance.
    pub energy_distance: f64,
}

/// A p-value among those of all features.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdjustedPValues {
    /// Probability that any feature comes out as extreme as this, for equal parents (Holm 1979).
    pub holm: f64,
    /// Share of false alarms if this feature and all with smaller p-values are called different (Benjamini & Hochberg 1995).
    pub benjamini_hochberg: f64,
}

/// χ² test of two histograms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chi2Metrics {
    /// χ².
    pub statistic: f64,
    /// Degrees of freedom: bins after merging the thinly filled ones, less one.
    pub ndf: usize,
    /// Probability of a larger χ² for equal parents; `None` for features with several entries per event.
    pub p_value: Option<f64>,
}

/// Mean and standard deviation with standard errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Weighted mean.
    pub mean: f64,
    /// Standard error of the mean.
    pub mean_error: f64,
    /// Weighted standard deviation.
    pub std: f64,
    /// Standard error of the standard deviation.
    pub std_error: f64,
}

/// Histograms of reference and candidate on common bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistogramPair {
    /// Bin edges, one more than bins.
    pub edges: Vec<f64>,
    /// The reference.
    pub reference: HistogramContents,
    /// The candidate.
    pub candidate: HistogramContents,
}

/// Histogram contents in entries per event: the fraction of events in each bin where a feature has one entry per
/// event, and the mean number of entries per event in each bin otherwise. Divide by the bin width for a density.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistogramContents {
    /// Entries per event in each bin.
    pub values: Vec<f64>,
    /// Their standard errors.
    pub errors: Vec<f64>,
    /// Ends of their central intervals of ±1 σ (Garwood), which stay above zero and leave room above empty bins.
    pub intervals: Vec<[f64; 2]>,
    /// Entries per event below the first edge.
    pub underflow: f64,
    /// Entries per event above the last edge.
    pub overflow: f64,
    /// Number of entries, whatever their weight.
    pub entries: u64,
}
