//! What the template of the report shows, as text ready to be set.

use minijinja::Value;
use serde::Serialize;

use super::ReportContext;
use crate::metrics::{Bound, FeatureMetrics, Gate, Metrics, Moments, SampleInfo, Share, Verdict};
use crate::plots::format::{count, probability, significant, titled, with_error};
use crate::plots::{Figure, LearningCurves};

/// A value of this many times its floor is marked in the table.
const NOTABLE: f64 = 2.0;
/// Figures wider than this ratio of width to height take the whole row.
const WIDE: f64 = 1.8;

#[derive(Serialize)]
pub(super) struct VerdictView {
    kind: &'static str,
    badge: &'static str,
    headline: String,
    failures: Vec<String>,
}

pub(super) fn verdict(metrics: &Metrics) -> VerdictView {
    let failures: Vec<String> = metrics.gates.iter().filter(|gate| !gate.passed).map(failure).collect();
    let (failed, all) = (failures.len(), metrics.gates.len());
    let (kind, badge, headline) = match metrics.verdict {
        Verdict::None => ("open", "NO GATES", "Nothing was required of this comparison".into()),
        Verdict::Fail => ("fail", "FAIL", format!("{failed} of {all} gates failed")),
        Verdict::Pass if all == 1 => ("pass", "PASS", "The only gate passed".into()),
        Verdict::Pass => ("pass", "PASS", format!("All {all} gates passed")),
    };
    VerdictView { kind, badge, headline, failures }
}

fn failure(gate: &Gate) -> String {
    let side = match gate.bound {
        Bound::Max => "above its upper",
        Bound::Min => "below its lower",
    };
    match gate.value.is_finite() {
        true => {
            format!("{} is {}, {side} limit {}.", gate.name, gate_value(gate), gate.limit)
        }
        false => format!("{} has no value, so it cannot keep its limit {}.", gate.name, gate.limit),
    }
}

/// The value, with its error where it has one.
fn gate_value(gate: &Gate) -> String {
    let exact = value_beside(gate.value, gate.limit);
    let Some(error) = gate.error.filter(|error| *error > 0.0) else {
        return exact;
    };
    let text = with_error(gate.value, error);
    // Rounded to its error a value may seem to lie on its limit.
    match text.split(" ± ").next().map(str::parse::<f64>) {
        Some(Ok(rounded)) if rounded == gate.limit => format!("{exact} ± {}", significant(error, 2)),
        _ => text,
    }
}

/// As many digits as tell the value from the limit.
fn value_beside(value: f64, limit: f64) -> String {
    let text = |digits| significant(value, digits);
    (3..9).find(|digits| text(*digits) != significant(limit, *digits)).map_or_else(|| text(3), text)
}

#[derive(Serialize)]
pub(super) struct GateView {
    name: String,
    value: String,
    limit: String,
    passed: bool,
}

/// Failed gates first, otherwise in the order asked for.
pub(super) fn gates(metrics: &Metrics) -> Vec<GateView> {
    let mut gates: Vec<&Gate> = metrics.gates.iter().collect();
    gates.sort_by_key(|gate| gate.passed);
    let sign = |bound| if bound == Bound::Max { "≤" } else { "≥" };
    gates
        .into_iter()
        .map(|gate| GateView {
            name: gate.name.clone(),
            value: gate_value(gate),
            limit: format!("{} {}", sign(gate.bound), gate.limit),
            passed: gate.passed,
        })
        .collect()
}

/// A share as a percentage with its error.
pub(super) fn share(share: Share) -> String {
    format!("({}) %", with_error(100.0 * share.value, 100.0 * share.error))
}

/// A row of the table of modes.
#[derive(Serialize)]
pub(super) struct ModeView {
    centre: String,
    reference: String,
    candidate: String,
    ratio: String,
    recovered: bool,
}

/// A row of the table of classes.
#[derive(Serialize)]
pub(super) struct ClassView {
    label: String,
    reference: String,
    candidate: String,
    ratio: String,
    accuracy: String,
    reference_accuracy: String,
    low: bool,
}

/// A class with less than this part of the reference's share is marked.
const LOW_SHARE: f64 = 0.5;

/// The classes of images, where a classifier tells them.
pub(super) fn classes(metrics: &Metrics) -> Vec<ClassView> {
    let classified = metrics.images.iter().filter_map(|images| images.classified.as_ref());
    let classes = classified.flat_map(|found| &found.classes).map(|class| {
        let (ratio, error) = ratio(class.reference, class.candidate);
        let or_nothing = |accuracy: Option<Share>| accuracy.map_or("–".into(), share);
        ClassView {
            label: class.label.clone(),
            reference: share(class.reference),
            candidate: share(class.candidate),
            ratio: with_error(ratio, error),
            accuracy: or_nothing(class.accuracy),
            reference_accuracy: or_nothing(class.reference_accuracy),
            low: ratio < LOW_SHARE,
        }
    });
    classes.collect()
}

/// Candidate over reference, and its error.
fn ratio(reference: Share, candidate: Share) -> (f64, f64) {
    let ratio = candidate.value / reference.value;
    (ratio, (candidate.error / reference.value).hypot(ratio * reference.error / reference.value))
}

/// The modes in the order of the configuration, then what lies outside all of them.
pub(super) fn modes(metrics: &Metrics) -> Vec<ModeView> {
    let Some(modes) = &metrics.global.modes else { return Vec::new() };
    let row = |centre: String, reference: Share, candidate: Share, recovered: bool| {
        let (ratio, error) = ratio(reference, candidate);
        ModeView {
            centre,
            reference: share(reference),
            candidate: share(candidate),
            ratio: with_error(ratio, error),
            recovered,
        }
    };
    let named = modes.modes.iter().map(|mode| {
        let coordinates: Vec<String> = mode.centre.iter().map(|value| significant(*value, 3)).collect();
        row(format!("({})", coordinates.join(", ")), mode.reference, mode.candidate, mode.recovered)
    });
    let outside = row("outside all modes".into(), modes.outside_floor, modes.outside, true);
    named.chain([outside]).collect()
}

#[derive(Serialize)]
pub(super) struct SampleView {
    label: String,
    events: String,
}

pub(super) fn sample(info: &SampleInfo) -> SampleView {
    SampleView { label: info.label.clone(), events: count(info.events) }
}

#[derive(Serialize)]
pub(super) struct RowView {
    label: String,
    /// Anchor of the figure; empty without one.
    figure: String,
    cells: Vec<CellView>,
}

#[derive(Serialize)]
struct CellView {
    text: String,
    /// The number to sort by; empty where there is none.
    sort: String,
    high: bool,
}

impl CellView {
    fn new(text: String, value: f64) -> Self {
        let sort = if value.is_finite() { value.to_string() } else { String::new() };
        Self { text, sort, high: false }
    }

    /// A value and its floor.
    fn pair(text: String, value: f64, floor: f64) -> [Self; 2] {
        let high = value > NOTABLE * floor;
        [Self { high, ..Self::new(text, value) }, Self::new(significant(floor, 2), floor)]
    }

    fn probability(p: Option<f64>) -> Self {
        p.map_or_else(|| Self::new("–".into(), f64::NAN), |p| Self::new(probability(p), p))
    }
}

pub(super) fn rows(metrics: &Metrics, figures: &[Figure]) -> Vec<RowView> {
    metrics
        .features
        .iter()
        .map(|feature| {
            let title = &feature.feature.label;
            let figure = figures.iter().find(|figure| figure.name == feature.feature.name);
            RowView {
                label: titled(title, feature.feature.unit.as_deref()),
                figure: figure.map(anchor).unwrap_or_default(),
                cells: cells(feature),
            }
        })
        .collect()
}

fn cells(feature: &FeatureMetrics) -> Vec<CellView> {
    let (ks, chi2) = (&feature.ks, &feature.chi2);
    let (wasserstein, separation) = (&feature.wasserstein, &feature.separation_power);
    let mut cells = Vec::with_capacity(12);
    cells.extend(CellView::pair(significant(ks.statistic, 2), ks.statistic, ks.floor));
    // By permutation where entries are correlated, which the formula does not know.
    let by_permutation = feature.permutation.map(|permutation| permutation.ks);
    cells.push(CellView::probability(ks.p_value.or(by_permutation)));
    let reduced = chi2.statistic / chi2.ndf as f64;
    cells.push(CellView::new(format!("{:.1}/{}", chi2.statistic, chi2.ndf), reduced));
    cells.push(CellView::probability(chi2.p_value));
    let distance = with_error(wasserstein.value, wasserstein.error);
    cells.extend(CellView::pair(distance, wasserstein.value, wasserstein.floor));
    let power = with_error(separation.value, separation.error);
    cells.extend(CellView::pair(power, separation.value, separation.floor));
    cells.extend(moments(&feature.reference, &feature.candidate));
    cells
}

/// Both means, and the ratio of the standard deviations.
fn moments(reference: &Moments, candidate: &Moments) -> [CellView; 3] {
    let mean = |moments: &Moments| CellView::new(with_error(moments.mean, moments.mean_error), moments.mean);
    let ratio = candidate.std / reference.std;
    let error = ratio * (reference.std_error / reference.std).hypot(candidate.std_error / candidate.std);
    [mean(reference), mean(candidate), CellView::new(with_error(ratio, error), ratio)]
}

#[derive(Serialize)]
pub(super) struct SectionView {
    id: String,
    title: String,
    figures: Vec<FigureView>,
}

#[derive(Serialize)]
struct FigureView {
    id: String,
    name: String,
    title: String,
    caption: String,
    svg: Value,
    png: Option<String>,
    wide: bool,
}

/// Figures by section, sections in the order of their first figure; `bitmaps` belong to `figures` one by one.
pub(super) fn sections(figures: &[Figure], bitmaps: &[Option<String>]) -> Vec<SectionView> {
    let mut sections: Vec<SectionView> = Vec::new();
    for (figure, png) in figures.iter().zip(bitmaps) {
        let index =
            sections.iter().position(|section| section.title == figure.section).unwrap_or(sections.len());
        if index == sections.len() {
            let (id, title) = (format!("section-{}", index + 1), figure.section.clone());
            sections.push(SectionView { id, title, figures: Vec::new() });
        }
        sections[index].figures.push(FigureView {
            id: anchor(figure),
            name: figure.name.clone(),
            title: figure.title.clone(),
            caption: figure.caption.clone(),
            svg: Value::from_safe_string(inline(&figure.svg)),
            png: png.clone(),
            wide: aspect(&figure.svg) > WIDE,
        });
    }
    sections
}

fn anchor(figure: &Figure) -> String {
    format!("figure-{}", figure.name)
}

/// The SVG without its namespace, which HTML supplies.
fn inline(svg: &str) -> String {
    svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1)
}

/// Width over height; 1 where the figure does not say.
fn aspect(svg: &str) -> f64 {
    let size = |name: &str| -> Option<f64> { svg.split_once(name)?.1.split('"').next()?.parse().ok() };
    size("width=\"").zip(size("height=\"")).map_or(1.0, |(width, height)| width / height)
}

/// Facts of the run, and what the learning curves add.
pub(super) fn facts(report: &ReportContext, curves: Option<&LearningCurves>) -> Vec<(String, String)> {
    let mut facts = report.facts.clone();
    if let Some(best) = curves.and_then(LearningCurves::best) {
        let epochs = curves.map_or(0, |curves| curves.epochs.len());
        facts.push((
            format!(
                "Smallest {}",
                curves.and_then(|c| c.judge_label.as_deref()).unwrap_or("validation loss")
            ),
            format!("{} in epoch {} of {epochs}", significant(best.validation_loss, 5), best.epoch),
        ));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_shows_that_it_is_beyond_its_limit() {
        assert_eq!(value_beside(0.53004, 0.53), "0.53004");
        assert_eq!(value_beside(0.552, 0.54), "0.552");
        assert_eq!(value_beside(0.5, 0.5), "0.500");
    }

    #[test]
    fn a_gate_shows_the_error_of_its_value() {
        let gate = |value, error| Gate {
            name: "c2st.voxels.auc".into(),
            bound: Bound::Max,
            value,
            error,
            limit: 0.53,
            passed: false,
        };
        assert_eq!(gate_value(&gate(0.552, Some(0.004))), "0.5520 ± 0.0040");
        assert_eq!(gate_value(&gate(0.53004, Some(0.004))), "0.53004 ± 0.0040");
        assert_eq!(gate_value(&gate(0.552, None)), "0.552");
    }

    #[test]
    fn wide_figures_are_recognised() {
        assert!(aspect("<svg width=\"960\" height=\"400\">") > WIDE && aspect("<svg>") < WIDE);
    }

    #[test]
    fn shares_of_nothing_sort_last() {
        let cell = CellView::probability(None);
        assert_eq!((cell.text.as_str(), cell.sort.as_str()), ("–", ""));
    }
}
