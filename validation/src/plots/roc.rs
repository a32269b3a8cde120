//! Receiver operating characteristic of a two-sample classifier, with truth against truth as the floor.

use super::Draft;
use super::axis::Axis;
use super::font;
use super::format::{count, with_error};
use super::legend::{Key, legend};
use super::panel::{LEGEND_SIZE, Panel};
use super::scene::{BLUE, Color, GREY_LINE, Point, Scene};
use crate::metrics::{C2stMetrics, SampleInfo};

const FLOOR: Color = [60, 60, 60];
const FLOOR_DASHES: &[f64] = &[9.0, 5.0];
const CHANCE_DOTS: &[f64] = &[2.0, 4.0];

/// The figure of one classifier.
pub(super) fn draft(c2st: &C2stMetrics, samples: [&SampleInfo; 2]) -> Draft {
    let title = format!("Two-sample classifier on {}", c2st.name);
    Draft {
        name: format!("roc_{}", c2st.name),
        caption: format!(
            "How well a classifier ({}) tells {} from {} by their {}, on events it was not trained on; {} events of each, \
             {} seeds. Dashed: two halves of {}, the floor. On the diagonal \
             it can only guess; below, the distance from the diagonal.",
            c2st.classifier,
            samples[1].label,
            samples[0].label,
            c2st.name,
            count(c2st.events_per_class),
            c2st.seeds,
            samples[0].label
        ),
        section: "Classifiers".into(),
        scene: scene(c2st, &title, samples),
        title,
    }
}

fn scene(c2st: &C2stMetrics, title: &str, samples: [&SampleInfo; 2]) -> Scene {
    let mut scene = Scene::new(640.0, 700.0);
    let (curve, floor) = (points(&c2st.roc), points(&c2st.floor_roc));
    let unit = || Axis::linear(0.0, 1.0);
    let main = Panel { left: 96.0, top: 36.0, width: 520.0, height: 460.0, x: unit(), y: unit() };
    main.curve(&mut scene, &[(0.0, 0.0), (1.0, 1.0)], 1.4, GREY_LINE, CHANCE_DOTS);
    main.curve(&mut scene, &floor, 2.2, FLOOR, FLOOR_DASHES);
    main.curve(&mut scene, &curve, 2.4, BLUE, &[]);
    main.frame(&mut scene, false);
    main.heading(&mut scene, title, "");
    main.y_title(&mut scene, "True positive rate", 72.0);
    let (curve, floor) = (above_diagonal(&curve), above_diagonal(&floor));
    let gain = Panel {
        left: 96.0,
        top: 514.0,
        width: 520.0,
        height: 124.0,
        x: unit(),
        y: gain_axis(&curve, &floor),
    };
    gain.curve(&mut scene, &[(0.0, 0.0), (1.0, 0.0)], 1.4, GREY_LINE, CHANCE_DOTS);
    gain.curve(&mut scene, &floor, 2.2, FLOOR, FLOOR_DASHES);
    gain.curve(&mut scene, &curve, 2.4, BLUE, &[]);
    gain.frame(&mut scene, true);
    gain.x_title(&mut scene, "False positive rate");
    gain.y_title(&mut scene, "Difference", 72.0);
    let name = font::fit(&samples[1].label, LEGEND_SIZE, false, 130.0);
    let keys = [
        Key::line(&format!("{name}: AUC {}", with_error(c2st.auc, c2st.error)), BLUE, &[]),
        Key::line(&format!("floor: AUC {}", with_error(c2st.floor, c2st.floor_error)), FLOOR, FLOOR_DASHES),
        Key::line("guessing: AUC 0.5", GREY_LINE, CHANCE_DOTS),
    ];
    legend(&mut scene, (main.left + 168.0, main.top + main.height - 72.0), &keys);
    scene
}

/// True minus false positive rate: what lies between the curve and guessing, which hardly shows in the square above.
fn above_diagonal(curve: &[Point]) -> Vec<Point> {
    curve.iter().map(|(x, y)| (*x, y - x)).collect()
}

fn gain_axis(curve: &[Point], floor: &[Point]) -> Axis {
    let values = || curve.iter().chain(floor).map(|point| point.1).filter(|value| value.is_finite());
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.02, f64::max));
    Axis::linear((1.2 * low).min(-0.1 * high), 1.2 * high)
}

/// The curve with its ends, which a classifier always reaches.
fn points(roc: &[[f64; 2]]) -> Vec<Point> {
    if roc.is_empty() {
        return Vec::new();
    }
    let inner = roc.iter().map(|rates| (rates[0], rates[1]));
    std::iter::once((0.0, 0.0)).chain(inner).chain(std::iter::once((1.0, 1.0))).collect()
}
