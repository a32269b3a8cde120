//! Mean response and resolution against incident energy, each with the ratio to the reference.

use super::Draft;
use super::axis::Axis;
use super::legend::{Key, legend};
use super::overlay::{CANDIDATE, ratio_axis};
use super::panel::{Look, Panel, Point2};
use super::scene::{GREY_BAND, Marker, Scene};
use crate::metrics::{ResponseBin, ResponseMetrics, ResponsePoint, SampleInfo};

/// Size of a figure.
const SIZE: (f64, f64) = (720.0, 588.0);

/// The reference's mark where it is points too.
const REFERENCE: Look = Look { color: [70, 70, 70], marker: Marker::Square, radius: 4.4 };

/// Value and error of one quantity.
type Quantity = fn(&ResponsePoint) -> (f64, f64);

/// Both figures; none without bins.
pub(super) fn drafts(response: &ResponseMetrics, samples: [&SampleInfo; 2]) -> Vec<Draft> {
    if response.bins.is_empty() {
        return Vec::new();
    }
    let mean: Quantity = |point| (point.mean, point.mean_error);
    let resolution: Quantity = |point| (point.resolution, point.resolution_error);
    let figure = |name: &str, title: &str, y_title: &str, quantity, caption: &str| Draft {
        name: name.into(),
        title: title.into(),
        caption: format!("{caption} Bars across show the bins of incident energy."),
        section: "Response".into(),
        scene: scene(response, samples, title, y_title, quantity),
    };
    vec![
        figure(
            "mean_response",
            "Mean response",
            "Mean of visible or measured / incident energy",
            mean,
            "Mean of visible (or measured) over incident energy in bins of incident energy, and its ratio to the reference.",
        ),
        figure(
            "resolution",
            "Energy resolution",
            "σ / mean of (visible or measured) / incident energy",
            resolution,
            "Standard deviation over mean of visible (or measured) over incident energy in bins of incident energy, and its ratio to the reference.",
        ),
    ]
}

fn scene(
    response: &ResponseMetrics,
    samples: [&SampleInfo; 2],
    title: &str,
    y_title: &str,
    quantity: Quantity,
) -> Scene {
    let mut scene = Scene::new(SIZE.0, SIZE.1);
    let bins = &response.bins;
    let reference = points(bins, |bin| quantity(&bin.reference));
    let candidate = points(bins, |bin| quantity(&bin.candidate));
    let ratios = ratios(&reference, &candidate);
    let (main, ratio) = stacked(energy_axis(bins), value_axis(&reference, &candidate), ratio_axis(&ratios));
    for (panel, series, look) in [(&main, &reference, REFERENCE), (&main, &candidate, CANDIDATE)] {
        for (bin, point) in bins.iter().zip(series) {
            panel.curve(
                &mut scene,
                &[(bin.energy_low, point.y), (bin.energy_high, point.y)],
                1.3,
                look.color,
                &[],
            );
        }
        panel.points(&mut scene, series, look);
    }
    main.frame(&mut scene, false);
    main.heading(&mut scene, title, "");
    main.y_title(&mut scene, y_title, 72.0);
    let keys = [Key::points(&samples[0].label, REFERENCE), Key::points(&samples[1].label, CANDIDATE)];
    legend(&mut scene, (main.left + 390.0, main.top + 28.0), &keys);
    let band: Vec<f64> = reference.iter().map(|point| point.error() / point.y).collect();
    for (bin, error) in bins.iter().zip(band).filter(|(_, error)| error.is_finite()) {
        ratio.boxes(
            &mut scene,
            &[bin.energy_low, bin.energy_high],
            Some(&[1.0 - error]),
            &[1.0 + error],
            GREY_BAND,
        );
    }
    ratio.horizontal(&mut scene, 1.0);
    ratio.points(&mut scene, &ratios, CANDIDATE);
    ratio.frame(&mut scene, true);
    ratio.x_title(&mut scene, "Incident energy [MeV]");
    ratio.y_title(&mut scene, &format!("Ratio to {}", samples[0].label), 72.0);
    scene
}

fn points(bins: &[ResponseBin], quantity: impl Fn(&ResponseBin) -> (f64, f64)) -> Vec<Point2> {
    bins.iter()
        .map(|bin| {
            let (y, error) = quantity(bin);
            Point2::new(bin.energy_mean, y, error)
        })
        .collect()
}

fn ratios(reference: &[Point2], candidate: &[Point2]) -> Vec<Point2> {
    reference
        .iter()
        .zip(candidate)
        .map(|(reference, candidate)| {
            let error = (candidate.error() / reference.y).abs();
            Point2::new(candidate.x, candidate.y / reference.y, error)
        })
        .collect()
}

/// Logarithmic where the bins span more than a factor of four.
fn energy_axis(bins: &[ResponseBin]) -> Axis {
    let low = bins.iter().map(|bin| bin.energy_low).fold(f64::INFINITY, f64::min);
    let high = bins.iter().map(|bin| bin.energy_high).fold(f64::NEG_INFINITY, f64::max);
    Axis::new(low, high, low > 0.0 && high > 4.0 * low)
}

fn value_axis(reference: &[Point2], candidate: &[Point2]) -> Axis {
    let finite = || reference.iter().chain(candidate).filter(|point| point.y.is_finite());
    let error = |point: &Point2| if point.error().is_finite() { point.error() } else { 0.0 };
    let low = finite().map(|point| point.y - error(point)).fold(f64::INFINITY, f64::min);
    let high = finite().map(|point| point.y + error(point)).fold(f64::NEG_INFINITY, f64::max);
    let margin = 0.15 * (high - low).max(0.02 * high.abs());
    let low = if low >= 0.0 { (low - margin).max(0.0) } else { low - margin };
    Axis::linear(low, high + margin).with_headroom(0.82)
}

/// The upper panel of a figure and the one under it.
fn stacked(x: Axis, y: Axis, ratio: Axis) -> (Panel, Panel) {
    let main = Panel { left: 96.0, top: 36.0, width: 600.0, height: 352.0, x: x.clone(), y };
    (main, Panel { left: 96.0, top: 406.0, width: 600.0, height: 120.0, x, y: ratio })
}
