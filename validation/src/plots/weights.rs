//! Weights that a classifier gives the events of both samples.

use super::Draft;
use super::axis::Axis;
use super::format::{count, significant};
use super::overlay::{Overlay, centers};
use super::panel::NOTE_SIZE;
use super::scene::{Anchor, GREY_TEXT};
use super::spectrum::{sample_legend, series};
use crate::metrics::{C2stMetrics, SampleInfo};

/// The figure of one classifier.
pub(super) fn draft(c2st: &C2stMetrics, samples: [&SampleInfo; 2]) -> Draft {
    let title = format!("Weights from the classifier on {}", c2st.name);
    let histogram = &c2st.weights.histogram;
    let edges = &histogram.edges;
    let overlay = Overlay {
        title: &title,
        note: format!("{} events of each", count(c2st.events_per_class)),
        x_title: format!("Weight: density of {} / density of {}", samples[0].label, samples[1].label),
        y_title: "Fraction of events per bin",
        x: Axis::new(edges[0], edges[edges.len() - 1], true),
        log_y: true,
        edges,
        centers: centers(edges, true),
        reference: series(&histogram.reference, None),
        candidate: series(&histogram.candidate, None),
    };
    let (mut scene, panel) = overlay.draw();
    sample_legend(&mut scene, &panel, histogram, samples);
    let notes = [
        format!("effective events with weights: {:.0}%", 100.0 * c2st.weights.effective),
        format!("Jensen–Shannon: {} bit", significant(c2st.jensen_shannon.value, 2)),
    ];
    for (row, note) in notes.iter().enumerate() {
        let at = (panel.left + panel.width - 16.0, panel.top + 26.0 + row as f64 * 19.0);
        scene.text(at, note, NOTE_SIZE, Anchor::End).color(GREY_TEXT);
    }
    Draft {
        name: format!("weights_{}", c2st.name),
        caption: format!(
            "Weights (1 − D)/D of the events of {} (grey) and {} (points), D the calibrated probability that a classifier not trained on \
             the event gives for {}. All are 1 where the samples agree. With them, {} looks to the classifier like {}; what is left of the \
             power of its events is (Σw)²/(n·Σw²).",
            samples[0].label, samples[1].label, samples[1].label, samples[1].label, samples[0].label
        ),
        section: "Classifiers".into(),
        scene,
        title,
    }
}
