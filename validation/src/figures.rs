//! The figures that gates may limit, by name.

use crate::events::MassMetrics;
use crate::images::{ClassMetrics, ClassifiedMetrics, ImageMetrics, NearestMetrics};
use crate::metrics::{
    C2stMetrics, DistanceMetrics, Estimate, FeatureMetrics, GlobalMetrics, LikelihoodMetrics, Metrics,
    ModeMetrics, ResponseMetrics,
};

/// A figure that a gate may limit.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedFigure {
    /// Name, such as `c2st.voxels.auc`.
    pub name: String,
    /// Value.
    pub value: f64,
    /// Standard error, where the figure has one.
    pub error: Option<f64>,
}

/// Value and standard error of a figure.
type Value = (f64, Option<f64>);

/// A figure of `T`; `None` where it is not defined.
type Figure<T> = fn(&T) -> Option<Value>;

/// A figure of whole events; `None` where it is not defined.
type OfEvents = fn(&GlobalMetrics) -> Option<DistanceMetrics>;

/// Figures of every feature, named `features.<feature>.<figure>`.
const OF_FEATURE: [(&str, Figure<FeatureMetrics>); 16] = [
    ("ks.statistic", |feature| Some((feature.ks.statistic, None))),
    ("ks.p_value", |feature| Some((feature.ks.p_value?, None))),
    ("ks.p_value_holm", |feature| Some((feature.adjusted?.holm, None))),
    ("ks.p_value_benjamini_hochberg", |feature| Some((feature.adjusted?.benjamini_hochberg, None))),
    ("anderson_darling.p_value", |feature| Some((feature.anderson_darling.p_value?, None))),
    ("cramer_von_mises.p_value", |feature| Some((feature.cramer_von_mises.p_value?, None))),
    ("ks.permutation_p_value", |feature| Some((feature.permutation?.ks, None))),
    ("anderson_darling.permutation_p_value", |feature| Some((feature.permutation?.anderson_darling, None))),
    ("energy_distance.permutation_p_value", |feature| Some((feature.permutation?.energy_distance, None))),
    ("energy_distance", |feature| Some(with_error(feature.energy_distance))),
    ("jensen_shannon", |feature| Some(with_error(feature.jensen_shannon))),
    ("chi2.p_value", |feature| Some((feature.chi2.p_value?, None))),
    ("chi2.reduced", |feature| Some((feature.chi2.statistic / feature.chi2.ndf.max(1) as f64, None))),
    ("wasserstein.value", |feature| Some(with_error(feature.wasserstein))),
    ("wasserstein.relative", |feature| {
        let unit = feature.reference.std.max(f64::MIN_POSITIVE);
        Some((feature.wasserstein.value / unit, Some(feature.wasserstein.error / unit)))
    }),
    ("separation_power", |feature| Some(with_error(feature.separation_power))),
];

/// Figures of every classifier test, named `c2st.<view>.<figure>`.
const OF_C2ST: [(&str, Figure<C2stMetrics>); 3] = [
    ("auc", |c2st| Some((c2st.auc, Some(c2st.error)))),
    ("jensen_shannon", |c2st| Some((c2st.jensen_shannon.value, Some(c2st.jensen_shannon.error)))),
    ("auc_excess", |c2st| Some((c2st.auc - c2st.floor, Some(c2st.error.hypot(c2st.floor_error))))),
];

/// Figures of response and resolution, named `response.<figure>`.
const OF_RESPONSE: [(&str, Figure<ResponseMetrics>); 2] = [
    ("mean_deviation", |response| Some((response.mean_deviation, Some(response.mean_deviation_error)))),
    ("resolution_deviation", |response| {
        Some((response.resolution_deviation, Some(response.resolution_deviation_error)))
    }),
];

/// Figures of the modes, named `modes.<figure>`.
const OF_MODES: [(&str, Figure<ModeMetrics>); 2] = [
    ("recovered", |modes| Some((modes.recovered as f64, None))),
    ("outside", |modes| Some((modes.outside.value, Some(modes.outside.error)))),
];

/// Figures of the likelihood, by name.
const OF_LIKELIHOOD: [(&str, Figure<LikelihoodMetrics>); 3] = [
    ("log_likelihood", |likelihood| Some(with_error(likelihood.log_likelihood))),
    ("elbo", |likelihood| likelihood.elbo.map(with_error)),
    ("bits_per_dimension", |likelihood| likelihood.bits_per_dimension.map(with_error)),
];

fn with_error(figure: impl Into<Estimate>) -> Value {
    let Estimate { value, error } = figure.into();
    (value, Some(error))
}

/// Figures of every peak of invariant mass, named `events.mass_<PDG number>.<figure>`; deviations by their size.
const OF_MASS: [(&str, Figure<MassMetrics>); 2] = [
    ("position_deviation", |mass| {
        Some((mass.position_deviation.value.abs(), Some(mass.position_deviation.error)))
    }),
    ("width_deviation", |mass| Some((mass.width_deviation.value.abs(), Some(mass.width_deviation.error)))),
];

/// Figures of images by a classifier, named `images.<figure>`.
const OF_CLASSIFIED: [(&str, Figure<ClassifiedMetrics>); 9] = [
    ("accuracy", |found| found.accuracy.map(with_error)),
    ("balance", |found| Some(with_error(found.balance))),
    ("smallest_share", |found| Some(with_error(found.smallest_share))),
    ("fid_lenet", |found| Some(with_error(found.fid_lenet))),
    ("fid_lenet_over_floor", |found| Some(over_floor(found.fid_lenet))),
    ("precision", |found| Some(with_error(found.neighbours?.precision))),
    ("recall", |found| Some(with_error(found.neighbours?.recall))),
    ("density", |found| Some(with_error(found.neighbours?.density))),
    ("coverage", |found| Some(with_error(found.neighbours?.coverage))),
];

/// Figures of every class of images, named `images.class_<label>.<figure>`.
const OF_CLASS: [(&str, Figure<ClassMetrics>); 2] = [
    ("accuracy", |class| class.accuracy.map(|share| (share.value, Some(share.error)))),
    ("share", |class| Some((class.candidate.value, Some(class.candidate.error)))),
];

/// Figures of distances to training images, named `images.<figure>`.
const OF_NEAREST: [(&str, Figure<NearestMetrics>); 2] = [
    ("nearest_ratio", |nearest| Some(with_error(nearest.ratio))),
    ("near_copies", |nearest| Some((nearest.near_copies.value, Some(nearest.near_copies.error)))),
];

/// A figure in units of its floor, whose errors are taken as independent.
fn over_floor(figure: DistanceMetrics) -> Value {
    let DistanceMetrics { value, error, floor, floor_error } = figure;
    let ratio = value / floor;
    (ratio, Some((error / floor).hypot(ratio * floor_error / floor)))
}

/// Figures of whole events by name and title.
pub(crate) const OF_EVENTS: [(&str, &str, OfEvents); 8] = [
    ("fpd", "Fréchet physics distance", |global| global.fpd),
    ("kpd", "Kernel physics distance", |global| global.kpd),
    ("precision", "Precision", |global| Some(global.neighbours?.precision)),
    ("recall", "Recall", |global| Some(global.neighbours?.recall)),
    ("density", "Density", |global| Some(global.neighbours?.density)),
    ("coverage", "Coverage", |global| Some(global.neighbours?.coverage)),
    ("mmd", "Squared mean discrepancy", |global| global.mmd),
    ("sliced_wasserstein", "Sliced Wasserstein distance", |global| global.sliced_wasserstein),
];

/// Largest separation power of all features.
const MAX_SEPARATION: &str = "features.max_separation_power";
/// Largest Kolmogorov–Smirnov distance of all features.
const MAX_KS: &str = "features.max_ks_statistic";
const CORRELATION: &str = "correlation_distance";
const KL: &str = "kl";

impl Metrics {
    /// All figures that a gate may limit. `wasserstein.relative` is the distance in units of the reference's standard
    /// deviation, `auc_excess` the area above its floor.
    pub fn figures(&self) -> Vec<NamedFigure> {
        let c2st =
            self.global.c2st.iter().flat_map(|test| figures(format!("c2st.{}", test.name), &OF_C2ST, test));
        let response =
            self.response.iter().flat_map(|response| figures("response".into(), &OF_RESPONSE, response));
        let named =
            |name: &str, value: f64, error: Option<f64>| NamedFigure { name: name.to_owned(), value, error };
        let correlation = self.global.correlation_distance;
        let correlation = correlation.map(|figure| named(CORRELATION, figure.value, Some(figure.error)));
        let modes = self.global.modes.iter().flat_map(|modes| figures("modes".into(), &OF_MODES, modes));
        let masses = self.events.iter().flat_map(|events| &events.masses);
        let masses = masses.flat_map(|mass| figures(format!("events.mass_{}", mass.pdg), &OF_MASS, mass));
        let kl = self.global.kl.map(|kl| named(KL, kl.value, Some(kl.error)));
        let likelihood = self.global.likelihood.iter().flat_map(|likelihood| {
            OF_LIKELIHOOD.iter().filter_map(|(name, figure)| {
                let (value, error) = figure(likelihood)?;
                Some(named(name, value, error))
            })
        });
        let distances = OF_EVENTS.iter().filter_map(|(name, _, figure)| {
            let DistanceMetrics { value, error, .. } = figure(&self.global)?;
            Some(named(name, value, Some(error)))
        });
        let powers = self.features.iter().map(|feature| feature.separation_power);
        let power = powers.max_by(|a, b| a.value.total_cmp(&b.value));
        let power = power.map(|power| named(MAX_SEPARATION, power.value, Some(power.error)));
        let statistics = self.features.iter().map(|feature| feature.ks.statistic);
        let ks = statistics.max_by(f64::total_cmp).map(|statistic| named(MAX_KS, statistic, None));
        let summary = correlation
            .into_iter()
            .chain(power)
            .chain(ks)
            .chain(distances)
            .chain(modes)
            .chain(kl)
            .chain(likelihood)
            .chain(masses)
            .chain(self.images.iter().flat_map(of_images));
        let features = self
            .features
            .iter()
            .flat_map(|feature| figures(format!("features.{}", feature.feature.name), &OF_FEATURE, feature));
        c2st.chain(response).chain(summary).chain(features).collect()
    }
}

fn of_images(images: &ImageMetrics) -> Vec<NamedFigure> {
    let mut named = Vec::new();
    if let Some(classified) = &images.classified {
        named.extend(figures("images".into(), &OF_CLASSIFIED, classified));
        for class in &classified.classes {
            named.extend(figures(format!("images.class_{}", class.label), &OF_CLASS, class));
        }
    }
    named.extend(images.nearest.iter().flat_map(|nearest| figures("images".into(), &OF_NEAREST, nearest)));
    named
}

/// The figures of `of` that are defined, named after `prefix`.
fn figures<T>(
    prefix: String,
    named: &'static [(&'static str, Figure<T>)],
    of: &T,
) -> impl Iterator<Item = NamedFigure> {
    named.iter().filter_map(move |(figure, value)| {
        let (value, error) = value(of)?;
        Some(NamedFigure { name: format!("{prefix}.{figure}"), value, error })
    })
}

impl C2stMetrics {
    /// Names of the figures of the classifier test on one view of the event.
    pub(crate) fn figure_names(view: &str) -> impl Iterator<Item = String> {
        OF_C2ST.iter().map(move |(figure, _)| format!("c2st.{view}.{figure}"))
    }
}
