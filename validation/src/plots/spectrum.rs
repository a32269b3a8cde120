//! The distribution of one feature in both samples, with ratio, tests, under- and overflow.

use super::Draft;
use super::axis::Axis;
use super::font;
use super::format::{count, percent, probability, significant, titled, unit_text, with_error};
use super::legend::{Key, MARK, legend};
use super::overlay::{CANDIDATE, Overlay, Series, centers};
use super::panel::{LEGEND_SIZE, NOTE_SIZE, Panel};
use super::scene::{Anchor, GREY_TEXT, Scene};
use crate::metrics::{FeatureMetrics, HistogramContents, HistogramPair, SampleInfo};

/// Distance of lines in notes, in pixels.
const NOTE_ROW: f64 = 19.0;
/// Room for the name of a sample beside the test results.
const LONGEST_NAME: f64 = 210.0;

/// The figure of one feature, for the given section of the gallery.
pub(super) fn draft(metrics: &FeatureMetrics, samples: [&SampleInfo; 2], section: String) -> Draft {
    let (feature, histogram) = (&metrics.feature, &metrics.histogram);
    let unit = feature.unit.as_deref();
    let edges = &histogram.edges;
    let (low, high) = (edges.first().copied().unwrap_or(0.0), edges.last().copied().unwrap_or(1.0));
    let widths = unequal_widths(edges, feature.log_x);
    let overlay = Overlay {
        title: &feature.label,
        note: format!("{} | {} events", count(samples[0].events), count(samples[1].events)),
        x_title: titled(&feature.label, unit),
        y_title: &y_title(metrics, widths.is_some()),
        x: Axis::new(low, high, feature.log_x),
        log_y: feature.log_y,
        edges,
        centers: centers(edges, feature.log_x),
        reference: series(&histogram.reference, widths.as_deref()),
        candidate: series(&histogram.candidate, widths.as_deref()),
    };
    let (mut scene, panel) = overlay.draw();
    let notes = notes(metrics);
    sample_legend(&mut scene, &panel, histogram, samples);
    for (row, note) in notes.iter().enumerate() {
        let at = (panel.left + panel.width - 16.0, panel.top + 26.0 + row as f64 * NOTE_ROW);
        scene.text(at, note, NOTE_SIZE, Anchor::End).color(GREY_TEXT);
    }
    Draft {
        name: feature.name.clone(),
        title: feature.label.clone(),
        caption: caption(metrics, samples),
        section,
        scene,
    }
}

/// Widths of bins as they appear on the axis, where they are not all the same: contents are then drawn as densities.
fn unequal_widths(edges: &[f64], log: bool) -> Option<Vec<f64>> {
    let width =
        |pair: &[f64]| if log && pair[0] > 0.0 { (pair[1] / pair[0]).ln() } else { pair[1] - pair[0] };
    let widths: Vec<f64> = edges.windows(2).map(width).collect();
    widths.iter().any(|width| (width / widths[0] - 1.0).abs() > 1e-6).then_some(widths)
}

/// Contents of bins, divided by their widths where these are given.
pub(super) fn series(contents: &HistogramContents, widths: Option<&[f64]>) -> Series {
    let divisor = |bin: usize| widths.map_or(1.0, |widths| widths[bin]);
    let values = contents.values.iter().enumerate().map(|(bin, value)| value / divisor(bin));
    let intervals =
        contents.intervals.iter().enumerate().map(|(bin, ends)| ends.map(|end| end / divisor(bin)));
    Series { values: values.collect(), intervals: intervals.collect() }
}

fn y_title(metrics: &FeatureMetrics, density: bool) -> String {
    let feature = &metrics.feature;
    let per = match feature.unit.as_deref() {
        _ if !density => {
            return if feature.per_event {
                "Fraction of events per bin"
            } else {
                "Entries per event and bin"
            }
            .into();
        }
        _ if feature.log_x => "e-fold".to_owned(),
        Some(unit) => unit_text(unit).to_string(),
        None => "unit".to_owned(),
    };
    if feature.per_event {
        format!("Fraction of events per {per}")
    } else {
        format!("Entries per event and {per}")
    }
}

/// Legend with the share of entries outside the bins under each name.
pub(super) fn sample_legend(
    scene: &mut Scene,
    panel: &Panel,
    histogram: &HistogramPair,
    samples: [&SampleInfo; 2],
) {
    let (left, top) = (panel.left + 16.0, panel.top + 26.0);
    let looks: [fn(&str) -> Key; 2] = [Key::area, |name| Key::points(name, CANDIDATE)];
    let contents = [&histogram.reference, &histogram.candidate];
    for (row, ((sample, look), content)) in samples.into_iter().zip(looks).zip(contents).enumerate() {
        let baseline = top + row as f64 * 2.0 * NOTE_ROW;
        let name = font::fit(&sample.label, LEGEND_SIZE, false, LONGEST_NAME);
        legend(scene, (left, baseline), &[look(&name)]);
        let at = (left + MARK + 8.0, baseline + NOTE_ROW - 1.0);
        scene.text(at, outside(content), NOTE_SIZE, Anchor::Start).color(GREY_TEXT);
    }
}

/// Under- and overflow as shares of all entries.
fn outside(content: &HistogramContents) -> String {
    let total: f64 = content.values.iter().sum::<f64>() + content.underflow + content.overflow;
    match (content.underflow, content.overflow) {
        (0.0, 0.0) => "no under- or overflow".into(),
        _ if total > 0.0 => format!(
            "{} below, {} above",
            percent(content.underflow / total),
            percent(content.overflow / total)
        ),
        _ => "no entries".into(),
    }
}

/// Test results in one line each.
fn notes(metrics: &FeatureMetrics) -> [String; 3] {
    let p = |value: Option<f64>| {
        value.map_or(String::new(), |p| format!(", p = {}", probability(p)).replace("= <", "<"))
    };
    let unit = metrics.feature.unit.as_deref().map_or(String::new(), |unit| format!(" {}", unit_text(unit)));
    let (ks, chi2, wasserstein) = (&metrics.ks, &metrics.chi2, &metrics.wasserstein);
    [
        format!(
            "KS = {} (floor {}){}",
            significant(ks.statistic, 2),
            significant(ks.floor, 2),
            p(ks.p_value.or(metrics.permutation.map(|permutation| permutation.ks)))
        ),
        format!("χ²/ndf = {:.1}/{}{}", chi2.statistic, chi2.ndf, p(chi2.p_value)),
        format!(
            "W₁ = {}{unit} (floor {})",
            with_error(wasserstein.value, wasserstein.error),
            significant(wasserstein.floor, 2)
        ),
    ]
}

fn caption(metrics: &FeatureMetrics, samples: [&SampleInfo; 2]) -> String {
    format!(
        "{}: {} (grey, band: central interval of ±1 σ) and {} (points); below, their ratio and the pull, the difference over its error. Shares in the legend lie outside the bins.",
        metrics.feature.label, samples[0].label, samples[1].label
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_of_unequal_bins_are_divided_by_their_widths() {
        let contents = HistogramContents {
            values: vec![0.5, 0.5],
            errors: vec![0.1; 2],
            intervals: vec![[0.4, 0.7]; 2],
            underflow: 0.0,
            overflow: 0.0,
            entries: 50,
        };
        let drawn = |edges: &[f64], log| series(&contents, unequal_widths(edges, log).as_deref());
        assert_eq!(drawn(&[0.0, 1.0, 2.0], false).values, [0.5, 0.5]);
        assert_eq!(drawn(&[1.0, 10.0, 100.0], true).values, [0.5, 0.5]);
        let unequal = drawn(&[0.0, 1.0, 5.0], false);
        assert_eq!((unequal.values, unequal.intervals), (vec![0.5, 0.125], vec![[0.4, 0.7], [0.1, 0.175]]));
    }
}
