//! Comparison of one feature of two samples: tests, distances, their floors, and histograms on common bins.

use rayon::prelude::*;

use crate::binning::{Binning, BinningRule};
use crate::histogram::Histogram;
use crate::metrics::{
    AdjustedPValues, Chi2Metrics, FeatureMetrics, Floored, HistogramPair, KsMetrics, TestMetrics,
};
use crate::permutation::Permutations;
use crate::sample::FeatureColumn;
use crate::statistics::{
    Grouping, Ordered, anderson_darling_sf, benjamini_hochberg, chi2_homogeneity, cramer_von_mises_p_value,
    holm, jackknife_error, jensen_shannon, kolmogorov_smirnov, ks_test, moments, quadratic, reduced_size,
    separation_power, wasserstein, without_groups,
};

/// Divisions into halves over which a floor is averaged; more would only repeat the same events.
pub(crate) const FLOOR_SPLITS: u64 = 10;
/// Entries whose halves are compared; of larger samples, evenly drawn events with as many.
const FLOOR_ENTRIES: usize = 400_000;

/// One sample of a feature with what all features of the sample share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    /// The values.
    pub(crate) column: &'a FeatureColumn,
    /// Division of the events into groups.
    pub(crate) grouping: &'a Grouping,
    /// Sum of the event weights, to which histograms are normalised.
    pub(crate) sum_of_weights: f64,
}

/// How all features are compared.
#[derive(Clone, Copy)]
pub(crate) struct Comparing<'a> {
    /// The way to bins.
    pub(crate) binning: BinningRule,
    /// Permutations of the events; `None` for none.
    pub(crate) permutations: Option<&'a Permutations>,
    /// Chooses the halves behind the floors.
    pub(crate) seed: u64,
}

/// Compares one feature. Both columns need entries and positive sums of weights; the binning and the way to draw
/// are those of the reference.
pub(crate) fn compare(reference: Side<'_>, candidate: Side<'_>, how: Comparing<'_>) -> FeatureMetrics {
    let Comparing { binning, permutations, seed } = how;
    let feature = &reference.column.feature;
    let (a, b) = rayon::join(
        || Ordered::new(reference.column, reference.grouping),
        || Ordered::new(candidate.column, candidate.grouping),
    );
    let binning = Binning::for_reference(feature, a.values(), binning);
    let groups = Histogram::of_groups(&binning, reference.column, reference.grouping);
    let candidate_groups = Histogram::of_groups(&binning, candidate.column, candidate.grouping);
    let histograms =
        |keep: &dyn Fn(usize) -> bool| [&groups, &candidate_groups].map(|groups| sum(&binning, groups, keep));
    let [histogram_a, histogram_b] = histograms(&|_| true);
    let without: [_; Grouping::GROUPS] = std::array::from_fn(|left| histograms(&|group| group != left));
    let (size_a, size_b) = (a.effective_entries(), b.effective_entries());
    let parent = Parent { ordered: &a, binning: &binning, groups: &groups };
    let ((distance, without_groups), floors) = rayon::join(
        || (wasserstein(&a, &b), without_groups(&a, &b)),
        || Floors::of(parent, reference, size_b, seed),
    );
    let statistic = kolmogorov_smirnov(&a, &b);
    let ks_p = ks_test(statistic, &a, &b);
    let squares = quadratic(&a, &b);
    let test = |statistic: f64, p_value: f64| TestMetrics {
        statistic,
        p_value: feature.per_event.then_some(p_value),
    };
    let chi2 = chi2_homogeneity(&histogram_a, &histogram_b);
    let of_histograms = |figure: fn(&Histogram, &Histogram) -> f64, floor: f64| Floored {
        value: figure(&histogram_a, &histogram_b),
        error: jackknife_error(&without.each_ref().map(|[a, b]| figure(a, b))),
        floor,
    };
    FeatureMetrics {
        feature: feature.clone(),
        ks: KsMetrics { statistic, p_value: feature.per_event.then_some(ks_p), floor: floors.ks },
        anderson_darling: test(squares.anderson_darling, anderson_darling_sf(squares.anderson_darling)),
        cramer_von_mises: test(
            squares.cramer_von_mises,
            cramer_von_mises_p_value(squares.cramer_von_mises, size_a, size_b),
        ),
        permutation: permutations.map(|permutations| permutations.test([reference, candidate])),
        adjusted: None,
        chi2: Chi2Metrics {
            statistic: chi2.statistic,
            ndf: chi2.ndf,
            p_value: feature.per_event.then_some(chi2.p_value),
        },
        wasserstein: Floored {
            value: distance,
            error: jackknife_error(&without_groups.wasserstein),
            floor: floors.wasserstein,
        },
        separation_power: of_histograms(separation_power, floors.separation_power),
        energy_distance: Floored {
            value: squares.energy_distance,
            error: jackknife_error(&without_groups.energy_distance),
            floor: floors.energy_distance,
        },
        jensen_shannon: of_histograms(jensen_shannon, floors.jensen_shannon),
        reference: moments(reference.column),
        candidate: moments(candidate.column),
        histogram: HistogramPair {
            edges: binning.edges().to_vec(),
            reference: histogram_a.contents(reference.sum_of_weights),
            candidate: histogram_b.contents(candidate.sum_of_weights),
        },
    }
}

fn sum(binning: &Binning, groups: &[Histogram], keep: impl Fn(usize) -> bool) -> Histogram {
    let kept = groups.iter().enumerate().filter(|(group, _)| keep(*group));
    kept.fold(Histogram::new(binning.clone()), |total, (_, histogram)| total + histogram)
}

/// Adjusts the p-values of the Kolmogorov–Smirnov tests for the number of features.
pub(crate) fn adjust(features: &mut [FeatureMetrics]) {
    let tested: Vec<&mut FeatureMetrics> =
        features.iter_mut().filter(|feature| feature.ks.p_value.is_some()).collect();
    let p_values: Vec<f64> = tested.iter().filter_map(|feature| feature.ks.p_value).collect();
    let adjusted = holm(&p_values).into_iter().zip(benjamini_hochberg(&p_values));
    for (feature, (holm, benjamini_hochberg)) in tested.into_iter().zip(adjusted) {
        feature.adjusted = Some(AdjustedPValues { holm, benjamini_hochberg });
    }
}

/// Mean distances of disjoint halves of the reference, scaled to the sizes of reference and candidate: between
/// samples of one parent, distances of distribution functions shrink as `1/√n` and squared ones as `1/n`, where
/// `n = n₁n₂/(n₁+n₂)`.
#[derive(Clone, Copy, Default)]
struct Floors {
    ks: f64,
    wasserstein: f64,
    separation_power: f64,
    energy_distance: f64,
    jensen_shannon: f64,
}

/// The sample whose halves are compared.
#[derive(Clone, Copy)]
struct Parent<'a> {
    ordered: &'a Ordered,
    binning: &'a Binning,
    groups: &'a [Histogram],
}

impl Floors {
    fn of(all: Parent<'_>, reference: Side<'_>, candidate_size: f64, seed: u64) -> Self {
        let size = all.ordered.effective_entries();
        // Floors of more events would only be better known than anybody needs.
        let stride = all.ordered.values().len().div_ceil(FLOOR_ENTRIES);
        let some = (stride > 1).then(|| Ordered::every(stride, reference.column, reference.grouping));
        let parent = Parent { ordered: some.as_ref().unwrap_or(all.ordered), ..all };
        let part = parent.ordered.effective_entries() / size;
        let size = reduced_size(size, candidate_size);
        let split = |index| Self::of_halves(parent, part, size, Grouping::halves(seed, index));
        let splits: Vec<Self> = (0..FLOOR_SPLITS).into_par_iter().map(split).collect();
        let mean = |figure: fn(&Self) -> f64| splits.iter().map(figure).sum::<f64>() / FLOOR_SPLITS as f64;
        Self {
            ks: mean(|floor| floor.ks),
            wasserstein: mean(|floor| floor.wasserstein),
            separation_power: mean(|floor| floor.separation_power),
            energy_distance: mean(|floor| floor.energy_distance),
            jensen_shannon: mean(|floor| floor.jensen_shannon),
        }
    }

    /// Distances of the groups marked `first` from the others; none where one of the halves is empty. The values are `part` of those in the
    /// histograms.
    fn of_halves(parent: Parent<'_>, part: f64, size: f64, first: [bool; Grouping::GROUPS]) -> Self {
        let Parent { ordered, binning, groups } = parent;
        let (a, b) = (ordered.filter(&first), ordered.filter(&first.map(|kept| !kept)));
        if a.sum_of_weights() <= 0.0 || b.sum_of_weights() <= 0.0 {
            return Self::default();
        }
        let shrink = reduced_size(a.effective_entries(), b.effective_entries()) / size;
        let histograms = (sum(binning, groups, |g| first[g]), sum(binning, groups, |g| !first[g]));
        Self {
            ks: kolmogorov_smirnov(&a, &b) * shrink.sqrt(),
            wasserstein: wasserstein(&a, &b) * shrink.sqrt(),
            separation_power: separation_power(&histograms.0, &histograms.1) * shrink / part,
            energy_distance: quadratic(&a, &b).energy_distance * shrink.sqrt(),
            jensen_shannon: jensen_shannon(&histograms.0, &histograms.1) * shrink / part,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{column, gaussian, uniformity};

    fn compared(reference: Vec<f32>, candidate: Vec<f32>) -> FeatureMetrics {
        let (reference, candidate) = (column(reference), column(candidate));
        let groupings = [&reference, &candidate].map(|column| Grouping::new(column.values.len(), 3));
        let side = |column, grouping: usize| Side {
            column,
            grouping: &groupings[grouping],
            sum_of_weights: groupings[grouping].events() as f64,
        };
        let events = [0, 1].map(|i| groupings[i].events());
        let permutations = Permutations::new(events, 99, 3);
        let how = Comparing { binning: BinningRule::Uniform, permutations: permutations.as_ref(), seed: 3 };
        compare(side(&reference, 0), side(&candidate, 1), how)
    }

    #[test]
    fn p_values_of_truth_against_truth_are_uniform_and_floors_unbiased() {
        let repeats: Vec<FeatureMetrics> =
            (0..200).map(|i| compared(gaussian(1200, 0.0, 1000 + i), gaussian(800, 0.0, 5000 + i))).collect();
        let ks = repeats.iter().map(|m| m.ks.p_value.expect("one entry per event")).collect();
        let chi2 = repeats.iter().map(|m| m.chi2.p_value.expect("one entry per event")).collect();
        let squares = |test: fn(&FeatureMetrics) -> TestMetrics| {
            repeats.iter().map(|m| test(m).p_value.expect("one entry per event")).collect()
        };
        assert!(uniformity(squares(|m| m.anderson_darling)) > 0.01);
        assert!(uniformity(squares(|m| m.cramer_von_mises)) > 0.01);
        assert!(uniformity(ks) > 0.01);
        let permuted = repeats.iter().map(|m| m.permutation.expect("some permutations").energy_distance);
        assert!(uniformity(permuted.collect()) > 0.01);
        assert!(uniformity(chi2) > 0.01);
        let mean = |figure: fn(&FeatureMetrics) -> f64| repeats.iter().map(figure).sum::<f64>() / 200.0;
        let close = |value: f64, floor: f64| (value / floor - 1.0).abs() < 0.1;
        assert!(close(mean(|m| m.ks.statistic), mean(|m| m.ks.floor)));
        assert!(close(mean(|m| m.wasserstein.value), mean(|m| m.wasserstein.floor)));
        assert!(close(mean(|m| m.separation_power.value), mean(|m| m.separation_power.floor)));
        assert!(close(mean(|m| m.energy_distance.value), mean(|m| m.energy_distance.floor)));
        assert!(close(mean(|m| m.jensen_shannon.value), mean(|m| m.jensen_shannon.floor)));
    }

    #[test]
    fn errors_are_the_spread_over_samples() {
        type Figure = fn(&FeatureMetrics) -> Floored;
        let figures: [(&str, Figure); 4] = [
            ("Wasserstein", |m| m.wasserstein),
            ("energy distance", |m| m.energy_distance),
            ("separation power", |m| m.separation_power),
            ("Jensen–Shannon", |m| m.jensen_shannon),
        ];
        for (shift, expected) in [(0.3, 0.75..1.35), (0.0, 1.0..2.2)] {
            let repeats: Vec<FeatureMetrics> = (0..100)
                .map(|i| compared(gaussian(1200, 0.0, 1000 + i), gaussian(800, shift, 5000 + i)))
                .collect();
            for (name, figure) in figures {
                let mean =
                    |of: &dyn Fn(Floored) -> f64| repeats.iter().map(|m| of(figure(m))).sum::<f64>() / 100.0;
                let value = mean(&|figure| figure.value);
                let spread = (mean(&|figure| (figure.value - value).powi(2)) * 100.0 / 99.0).sqrt();
                let ratio = mean(&|figure| figure.error) / spread;
                assert!(expected.contains(&ratio), "{name}, shift {shift}: errors are {ratio} of the spread");
            }
        }
    }

    #[test]
    fn a_shift_by_two_percent_is_flagged() {
        // A spectrum of mean 10 and width 1, as a response with 10% resolution.
        let scale =
            |values: Vec<f32>, factor: f32| values.into_iter().map(|x| x * factor).collect::<Vec<_>>();
        let found = compared(gaussian(10_000, 10.0, 1), scale(gaussian(10_000, 10.0, 2), 1.02));
        assert!(found.ks.p_value < Some(1e-6), "{:?}", found.ks);
        assert!(found.chi2.p_value < Some(1e-6), "{:?}", found.chi2);
        assert!(found.anderson_darling.p_value < Some(1e-6), "{:?}", found.anderson_darling);
        assert!(found.cramer_von_mises.p_value < Some(1e-6), "{:?}", found.cramer_von_mises);
        assert!(found.wasserstein.value > 5.0 * found.wasserstein.floor, "{:?}", found.wasserstein);
        assert!((found.wasserstein.value - 0.2).abs() < 4.0 * found.wasserstein.error);
        assert!(found.separation_power.value > 3.0 * found.separation_power.floor);
    }

    /// 10% more width moves no mean: of the tests on distribution functions the one that sees tails finds it, and the histogram.
    #[test]
    fn a_resolution_worse_by_ten_percent_is_flagged() {
        let wider = gaussian(10_000, 0.0, 2).into_iter().map(|x| 10.0 + 1.1 * x).collect();
        let found = compared(gaussian(10_000, 10.0, 1), wider);
        assert!(found.anderson_darling.p_value < Some(1e-6), "{:?}", found.anderson_darling);
        assert!(found.chi2.p_value < Some(1e-6), "{:?}", found.chi2);
        assert!(found.ks.p_value > found.anderson_darling.p_value, "{:?}", found.ks);
        let (reference, candidate) = (found.reference, found.candidate);
        assert!(
            (candidate.mean - reference.mean).abs() < 4.0 * candidate.mean_error.hypot(reference.mean_error)
        );
        assert!(candidate.std - reference.std > 5.0 * candidate.std_error.hypot(reference.std_error));
        assert!(found.jensen_shannon.value > 2.0 * found.jensen_shannon.floor, "{:?}", found.jensen_shannon);
    }

    /// A narrow peak of 2% of the events that the candidate lacks is a difference of densities more than of distribution functions.
    #[test]
    fn a_dropped_mode_is_flagged() {
        let with_peak = |peak: usize, seed| -> Vec<f32> {
            let narrow = gaussian(peak, 0.0, seed + 1).into_iter().map(|x| 2.5 + 0.02 * x);
            gaussian(10_000 - peak, 0.0, seed).into_iter().chain(narrow).collect()
        };
        let found = compared(with_peak(200, 1), with_peak(0, 3));
        assert!(found.chi2.p_value < Some(1e-6), "{:?}", found.chi2);
        assert!(
            found.separation_power.value > 3.0 * found.separation_power.floor,
            "{:?}",
            found.separation_power
        );
        assert!(found.jensen_shannon.value > 3.0 * found.jensen_shannon.floor, "{:?}", found.jensen_shannon);
        assert!(found.chi2.p_value < found.ks.p_value, "{:?}", found.ks);
    }

    /// Gagunashvili's χ² of one parent, uniform on (−2, 2), drawn from a Gaussian and weighted by its inverse.
    #[test]
    fn p_values_of_the_weighted_chi2_are_uniform() {
        let sample = |n: usize, seed: u64| {
            let values: Vec<f32> = gaussian(n, 0.0, seed).into_iter().filter(|x| x.abs() < 2.0).collect();
            let weights = values.iter().map(|x| (0.5 * x * x).exp()).collect();
            crate::testing::weighted(values, weights)
        };
        let how = Comparing { binning: BinningRule::Uniform, permutations: None, seed: 3 };
        let repeats: Vec<FeatureMetrics> = (0..200)
            .map(|repeat| {
                let columns = [sample(2000, 7000 + repeat), sample(3000, 9000 + repeat)];
                let groupings = [0, 1].map(|i| Grouping::new(columns[i].values.len(), 3));
                let side = |i: usize| {
                    let sum_of_weights =
                        (0..columns[i].values.len()).map(|entry| columns[i].weight(entry)).sum();
                    Side { column: &columns[i], grouping: &groupings[i], sum_of_weights }
                };
                compare(side(0), side(1), how)
            })
            .collect();
        let chi2 = repeats.iter().map(|m| m.chi2.p_value.expect("one entry per event")).collect();
        assert!(uniformity(chi2) > 0.01);
    }

    #[test]
    fn identical_samples() {
        let values = gaussian(300, 0.0, 1);
        let found = compared(values.clone(), values);
        assert_eq!((found.ks.statistic, found.ks.p_value), (0.0, Some(1.0)));
        assert_eq!((found.wasserstein.value, found.wasserstein.error), (0.0, 0.0));
        assert_eq!((found.chi2.statistic, found.chi2.p_value), (0.0, Some(1.0)));
        assert!(found.ks.floor > 0.0 && found.histogram.reference == found.histogram.candidate);
    }

    #[test]
    fn constant_columns_give_finite_figures() {
        let found = compared(vec![0.5; 50], vec![0.5; 60]);
        assert_eq!((found.wasserstein.value, found.ks.floor), (0.0, 0.0));
        // JSON has no NaN: serde writes null.
        let mut found = [found];
        adjust(&mut found);
        let json = serde_json::to_string(&found).expect("JSON").replace("\"unit\":null", "");
        assert!(!json.contains("null"), "{json}");
    }

    #[test]
    fn histograms_hold_every_event() {
        let found = compared(gaussian(5000, 0.0, 1), gaussian(5000, 0.5, 2));
        for contents in [&found.histogram.reference, &found.histogram.candidate] {
            let total = contents.values.iter().sum::<f64>() + contents.underflow + contents.overflow;
            assert!((total - 1.0).abs() < 1e-12);
        }
        assert!(found.histogram.candidate.overflow > found.histogram.reference.overflow);
    }
}
