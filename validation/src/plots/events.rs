//! Nested events: mass peaks, efficiency, and single objects in bins of energy.

use super::Draft;
use super::axis::Axis;
use super::format::{titled, with_error};
use super::legend::{Key, legend};
use super::overlay::{CANDIDATE, Overlay, Series, centers, ratio_axis};
use super::panel::{Look, NOTE_SIZE, Panel, Point2};
use super::scene::{Anchor, GREY_TEXT, Marker, Scene};
use super::spectrum::{sample_legend, series};
use crate::events::{EfficiencyBin, EventMetrics, MassMetrics, ObjectMetrics, PeakFit};
use crate::metrics::{HistogramPair, SampleInfo};

/// The reference's mark where it is points too.
const REFERENCE: Look = Look { color: [70, 70, 70], marker: Marker::Square, radius: 4.4 };
const NOTE_ROW: f64 = 18.0;

/// All figures.
pub(super) fn drafts(events: &EventMetrics, samples: [&SampleInfo; 2]) -> Vec<Draft> {
    let masses = events.masses.iter().map(|mass| mass_draft(mass, samples));
    let efficiency = (!events.efficiency.is_empty()).then(|| efficiency_draft(&events.efficiency, samples));
    let objects = events.objects.iter().map(|object| object_draft(object, samples));
    masses.chain(efficiency).chain(objects).collect()
}

fn overlay<'a>(
    title: &'a str,
    x_title: String,
    y_title: &'a str,
    histogram: &'a HistogramPair,
) -> Overlay<'a> {
    let edges = &histogram.edges;
    let contents: [Series; 2] =
        [&histogram.reference, &histogram.candidate].map(|content| series(content, None));
    let [reference, candidate] = contents;
    Overlay {
        title,
        note: String::new(),
        x_title,
        y_title,
        x: Axis::linear(edges[0], edges[edges.len() - 1]),
        log_y: false,
        edges,
        centers: centers(edges, false),
        reference,
        candidate,
    }
}

fn mass_draft(mass: &MassMetrics, samples: [&SampleInfo; 2]) -> Draft {
    let title = format!("Invariant mass of {} → γγ", mass.symbol);
    let (mut scene, panel) =
        overlay(&title, "Invariant mass [MeV]".into(), "Fraction of pairs per bin", &mass.histogram).draw();
    sample_legend(&mut scene, &panel, &mass.histogram, samples);
    let notes = [(samples[0], &mass.reference), (samples[1], &mass.candidate)]
        .map(|(sample, fit)| fitted(&sample.label, fit));
    for (row, note) in notes.into_iter().flatten().enumerate() {
        let at = (panel.right() - 16.0, panel.top + 26.0 + row as f64 * NOTE_ROW);
        scene.text(at, note, NOTE_SIZE, Anchor::End).color(GREY_TEXT);
    }
    Draft {
        name: format!("mass_{}", mass.pdg),
        caption: format!(
            "{title}: pairs of reconstructed objects of one parent. Position and width are those of the Gaussian core (±2.5σ); the candidate's \
             differ by {} % and {} % from the reference's.",
            with_error(100.0 * mass.position_deviation.value, 100.0 * mass.position_deviation.error),
            with_error(100.0 * mass.width_deviation.value, 100.0 * mass.width_deviation.error)
        ),
        title,
        section: "Mass peaks".into(),
        scene,
    }
}

fn fitted(label: &str, fit: &PeakFit) -> [String; 2] {
    [
        format!("{label}: m = {} MeV", with_error(fit.mean_mev, fit.mean_error_mev)),
        format!("σ = {} MeV", with_error(fit.width_mev, fit.width_error_mev)),
    ]
}

fn object_draft(object: &ObjectMetrics, samples: [&SampleInfo; 2]) -> Draft {
    let feature = &object.feature;
    let x_title = titled(&feature.label, feature.unit.as_deref());
    let (mut scene, panel) =
        overlay(&feature.label, x_title, "Fraction of objects per bin", &object.histogram).draw();
    sample_legend(&mut scene, &panel, &object.histogram, samples);
    Draft {
        name: feature.name.clone(),
        title: feature.label.clone(),
        caption: format!("{} of true energy: objects in nested events.", feature.label),
        section: "Objects in bins of energy".into(),
        scene,
    }
}

fn efficiency_draft(bins: &[EfficiencyBin], samples: [&SampleInfo; 2]) -> Draft {
    let mut scene = Scene::new(720.0, 588.0);
    let points = |of: &dyn Fn(&EfficiencyBin) -> (f64, f64)| -> Vec<Point2> {
        let point = |bin: &EfficiencyBin| {
            let (value, error) = of(bin);
            Point2::new((bin.energy_low * bin.energy_high).sqrt(), value, error)
        };
        bins.iter().map(point).collect()
    };
    let reference = points(&|bin| (bin.reference.value, bin.reference.error));
    let candidate = points(&|bin| (bin.candidate.value, bin.candidate.error));
    let ratios: Vec<Point2> = (reference.iter().zip(&candidate))
        .filter(|(reference, _)| reference.y > 0.0)
        .map(|(reference, candidate)| {
            let ratio = candidate.y / reference.y;
            let error = (candidate.error() / reference.y).hypot(ratio * reference.error() / reference.y);
            Point2::new(candidate.x, ratio, error)
        })
        .collect();
    let x = Axis::log(bins[0].energy_low, bins[bins.len() - 1].energy_high);
    let panel = |top, height, y| Panel { left: 96.0, top, width: 600.0, height, x: x.clone(), y };
    let main = panel(36.0, 352.0, Axis::linear(0.0, 1.15));
    let below = panel(406.0, 126.0, ratio_axis(&ratios));
    main.points(&mut scene, &reference, REFERENCE);
    main.points(&mut scene, &candidate, CANDIDATE);
    main.frame(&mut scene, false);
    main.heading(&mut scene, "Efficiency", "");
    main.y_title(&mut scene, "Found / generated objects", 72.0);
    let keys = [Key::points(&samples[0].label, REFERENCE), Key::points(&samples[1].label, CANDIDATE)];
    legend(&mut scene, (main.left + 390.0, main.bottom() - 60.0), &keys);
    below.horizontal(&mut scene, 1.0);
    below.points(&mut scene, &ratios, CANDIDATE);
    below.frame(&mut scene, true);
    below.x_title(&mut scene, "True energy [MeV]");
    below.y_title(&mut scene, "Ratio", 72.0);
    Draft {
        name: "efficiency".into(),
        title: "Efficiency".into(),
        caption: "Generated objects that are found, in bins of true energy, and the ratio to the reference."
            .into(),
        section: "Response".into(),
        scene,
    }
}
