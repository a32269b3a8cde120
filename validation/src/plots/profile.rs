//! The longitudinal profile: mean energy of each layer.

use super::Draft;
use super::axis::Axis;
use super::legend::{Key, legend};
use super::overlay::{CANDIDATE, Overlay, Series, centers};
use crate::metrics::{LayerProfile, Profiles, SampleInfo};

/// The figure; `None` without layers.
pub(super) fn draft(profiles: &Profiles, samples: [&SampleInfo; 2]) -> Option<Draft> {
    if profiles.layers.is_empty() {
        return None;
    }
    let values = |pick: fn(&LayerProfile) -> f64| -> Vec<f64> { profiles.layers.iter().map(pick).collect() };
    let edges: Vec<f64> = (0..=profiles.layers.len()).map(|edge| edge as f64 - 0.5).collect();
    let depth = profiles.layers.last().and_then(|layer| layer.x0).map_or(0.0, |[_, back]| back);
    let overlay = Overlay {
        title: "Longitudinal profile",
        note: if depth > 0.0 { format!("calorimeter depth {} X₀", length(depth)) } else { String::new() },
        x_title: "Layer".into(),
        y_title: "Mean energy per event [MeV]",
        x: Axis::numbers(-0.5, profiles.layers.len() as f64 - 0.5),
        log_y: false,
        centers: centers(&edges, false),
        edges: &edges,
        reference: Series::with_errors(
            values(|layer| layer.reference.energy_mev),
            &values(|layer| layer.reference.energy_error_mev),
        ),
        candidate: Series::with_errors(
            values(|layer| layer.candidate.energy_mev),
            &values(|layer| layer.candidate.energy_error_mev),
        ),
    };
    let (mut scene, panel) = overlay.draw();
    let keys = [Key::area(&samples[0].label), Key::points(&samples[1].label, CANDIDATE)];
    legend(&mut scene, (panel.left + 390.0, panel.top + 28.0), &keys);
    Some(Draft {
        name: "longitudinal_profile".into(),
        title: "Longitudinal profile".into(),
        caption: "Mean energy per event in each layer, and its ratio to the reference.".into(),
        section: "Average shower".into(),
        scene,
    })
}

/// A length as a person gave it: without zeros behind, to a thousandth.
pub(super) fn length(value: f64) -> String {
    format!("{}", (1e3 * value).round() / 1e3)
}
