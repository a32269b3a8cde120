//! Names of the figures that gates may limit.

use crate::metrics::{C2stMetrics, FeatureMetrics, Metrics};

/// A figure of `T`; `None` where it is not defined.
type Figure<T> = fn(&T) -> Option<f64>;

/// Figures of every feature, named `features.<feature>.<figure>`.
const OF_FEATURE: [(&str, Figure<FeatureMetrics>); 7] = [
    ("ks.statistic", |feature| Some(feature.ks.statistic)),
    ("ks.p_value", |feature| feature.ks.p_value),
    ("chi2.p_value", |feature| feature.chi2.p_value),
    ("chi2.reduced", |feature| Some(feature.chi2.statistic / feature.chi2.ndf.max(1) as f64)),
    ("wasserstein.value", |feature| Some(feature.wasserstein.value)),
    ("wasserstein.relative", |feature| {
        Some(feature.wasserstein.value / feature.reference.std.max(f64::MIN_POSITIVE))
    }),
    ("separation_power", |feature| Some(feature.separation_power.value)),
];

/// Figures of every classifier test, named `c2st.<view>.<figure>`.
const OF_C2ST: [(&str, Figure<C2stMetrics>); 2] =
    [("auc", |c2st| Some(c2st.auc)), ("auc_excess", |c2st| Some(c2st.auc - c2st.floor))];

/// Largest separation power of all features.
const MAX_SEPARATION: &str = "features.max_separation_power";
/// Largest Kolmogorov–Smirnov distance of all features.
const MAX_KS: &str = "features.max_ks_statistic";
const MEAN_DEVIATION: &str = "response.mean_deviation";
const RESOLUTION_DEVIATION: &str = "response.resolution_deviation";
const CORRELATION: &str = "correlation_distance";
const KL: &str = "kl";
const MODES_RECOVERED: &str = "modes.recovered";
const MODES_OUTSIDE: &str = "modes.outside";

impl Metrics {
    /// All figures that a gate may limit, with their names. `wasserstein.relative` is the distance in units of the
    /// reference's standard deviation, `auc_excess` the area above its floor.
    pub fn figures(&self) -> Vec<(String, f64)> {
        let c2st = self.global.c2st.iter().flat_map(|test| {
            OF_C2ST.iter().filter_map(move |(figure, value)| {
                Some((format!("c2st.{}.{figure}", test.name), value(test)?))
            })
        });
        let response = self.response.iter().flat_map(|response| {
            [(MEAN_DEVIATION, response.mean_deviation), (RESOLUTION_DEVIATION, response.resolution_deviation)]
        });
        let correlation = self.global.correlation_distance.map(|figure| (CORRELATION, figure.value));
        let modes = self.global.modes.iter().flat_map(|modes| {
            [(MODES_RECOVERED, modes.recovered as f64), (MODES_OUTSIDE, modes.outside.value)]
        });
        let kl = self.global.kl.map(|kl| (KL, kl.value));
        let largest = |value: fn(&FeatureMetrics) -> f64| self.features.iter().map(value).fold(0.0, f64::max);
        let summary = [
            (MAX_SEPARATION, largest(|feature| feature.separation_power.value)),
            (MAX_KS, largest(|feature| feature.ks.statistic)),
        ];
        let features = self.features.iter().flat_map(|feature| {
            OF_FEATURE.iter().filter_map(move |(figure, value)| {
                Some((format!("features.{}.{figure}", feature.feature.name), value(feature)?))
            })
        });
        let named = response
            .chain(correlation)
            .chain(modes)
            .chain(kl)
            .chain(summary)
            .map(|(name, value)| (name.to_owned(), value));
        c2st.chain(named).chain(features).collect()
    }
}

impl C2stMetrics {
    /// Names of the figures of the classifier test on one view of the event.
    pub(crate) fn figure_names(view: &str) -> impl Iterator<Item = String> {
        OF_C2ST.iter().map(move |(figure, _)| format!("c2st.{view}.{figure}"))
    }
}
