//! Several candidates for one reference: quality against speed, and how far each is off in response and resolution.

use std::path::Path;

use super::axis::Axis;
use super::labels::{self, Label};
use super::legend::MARK;
use super::panel::{LEGEND_SIZE, Look, NOTE_SIZE, Panel, TICK_SIZE};
use super::scene::{
    Anchor, BLUE, Color, GREEN, GREY_BAND, GREY_FILL, GREY_LINE, GREY_TEXT, Marker, ORANGE, PURPLE, Point,
    Scene,
};
use super::{Draft, Figure, PlotError, font, write};
use crate::metrics::Estimate;

/// What the figure shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TradeOff {
    /// The candidates in order.
    pub contenders: Vec<Contender>,
    /// Area under the ROC curve for truth against truth.
    pub floor: Option<Estimate>,
}

/// One candidate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contender {
    /// Name.
    pub name: String,
    /// Events per second on one core.
    pub events_per_second: f64,
    /// Area under the ROC curve of a classifier on observables.
    pub auc: Option<Estimate>,
    /// Largest relative deviation of the mean response; for showers.
    pub response: Option<Limited>,
    /// Largest relative deviation of the resolution; for showers.
    pub resolution: Option<Limited>,
}

/// A deviation and what is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limited {
    /// The deviation, with its sign.
    pub deviation: Estimate,
    /// The largest size that passes; `None` without a gate.
    pub limit: Option<f64>,
}

/// Writes the figure as `NAME.svg` and `NAME.png` into an existing folder, replacing files of these names.
///
/// # Errors
/// When a file cannot be written.
pub fn write_trade_off(trade_off: &TradeOff, name: &str, directory: &Path) -> Result<Figure, PlotError> {
    let draft = Draft {
        name: name.into(),
        title: TITLE.into(),
        caption: "Area under the ROC curve of a classifier against events per second; largest deviations of response \
                  and resolution over the bins of incident energy, with the limits of the gates in grey."
            .into(),
        section: "Comparison".into(),
        scene: scene(trade_off),
    };
    write(draft, directory)
}

const TITLE: &str = "Quality against speed";
const WIDTH: f64 = 900.0;
/// Height without the lower panels, and their upper end.
const UPPER_HEIGHT: f64 = 500.0;
const ROWS_TOP: f64 = 540.0;
/// Height of a row of the lower panels.
const ROW: f64 = 32.0;
/// Left end of the lower panels, right of the names; their width, and the space between them.
const ROWS_LEFT: f64 = 200.0;
const ROWS_WIDTH: f64 = 312.0;
const ROWS_GAP: f64 = 52.0;
/// Radius of all marks, and half the length of the caps of error bars.
const RADIUS: f64 = 5.5;
const CAP: f64 = 4.0;
const BAR_WIDTH: f64 = 1.6;
const DASHES: &[f64] = &[5.0, 4.0];

/// A deviation of a candidate.
type Quantity = fn(&Contender) -> Option<Limited>;

const QUANTITIES: [(&str, Quantity); 2] =
    [("Response", |one| one.response), ("Resolution σ/E", |one| one.resolution)];

/// Marks in turn; shape and shade tell neighbours apart in grey print.
fn look(index: usize) -> Look {
    const COLORS: [Color; 4] = [BLUE, ORANGE, PURPLE, GREEN];
    const MARKERS: [Marker; 4] = [Marker::Disc, Marker::Square, Marker::Diamond, Marker::Triangle];
    // Shifted after each round, so that sixteen candidates look different.
    Look { color: COLORS[(index + index / 4) % 4], marker: MARKERS[index % 4], radius: RADIUS }
}

fn scene(trade_off: &TradeOff) -> Scene {
    let contenders = &trade_off.contenders;
    let known = |quantity: &Quantity| contenders.iter().any(|one| quantity(one).is_some());
    let quantities: Vec<_> = QUANTITIES.iter().filter(|(_, quantity)| known(quantity)).collect();
    let height = ROW * contenders.len() as f64;
    let total = if quantities.is_empty() { UPPER_HEIGHT } else { ROWS_TOP + height + 60.0 };
    let mut scene = Scene::new(WIDTH, total);
    quality(&mut scene, trade_off);
    for (index, (title, quantity)) in quantities.iter().enumerate() {
        let panel = Panel {
            left: ROWS_LEFT + index as f64 * (ROWS_WIDTH + ROWS_GAP),
            top: ROWS_TOP,
            width: ROWS_WIDTH,
            height,
            x: deviation_axis(contenders, *quantity),
            y: Axis::linear(0.0, 1.0),
        };
        deviations(&mut scene, &panel, contenders, title, *quantity);
    }
    if !quantities.is_empty() {
        for (row, contender) in contenders.iter().enumerate() {
            let name = font::fit(&contender.name, TICK_SIZE, false, ROWS_LEFT - 28.0);
            scene.text((ROWS_LEFT - 14.0, middle(row) + 0.36 * TICK_SIZE), name, TICK_SIZE, Anchor::End);
        }
    }
    scene
}

/// Middle of a row of the lower panels.
fn middle(row: usize) -> f64 {
    ROWS_TOP + ROW * (row as f64 + 0.5)
}

/// The upper panel.
fn quality(scene: &mut Scene, trade_off: &TradeOff) {
    let numbered = trade_off.contenders.iter().enumerate();
    let shown: Vec<(usize, &Contender, Estimate)> = numbered
        .filter_map(|(index, one)| Some((index, one, one.auc?)))
        .filter(|(_, one, auc)| one.events_per_second.is_finite() && auc.value.is_finite())
        .collect();
    let aucs: Vec<Estimate> = shown.iter().map(|(_, _, auc)| *auc).chain(trade_off.floor).collect();
    let rates: Vec<f64> = shown.iter().map(|(_, one, _)| one.events_per_second).collect();
    let (x, y) = (rate_axis(&rates), auc_axis(&aucs));
    let panel = Panel { left: 96.0, top: 40.0, width: 780.0, height: 400.0, x, y };
    if let Some(Estimate { value, error }) = trade_off.floor {
        let (upper, lower) = (panel.py(value + error), panel.py(value - error));
        scene.boxes(vec![[panel.left, upper, panel.right(), lower]], GREY_FILL);
        let y = panel.py(value);
        scene.line(vec![(panel.left, y), (panel.right(), y)], BAR_WIDTH, GREY_LINE);
    }
    panel.horizontal(scene, 0.5);
    let names: Vec<Label> = shown
        .iter()
        .map(|(index, one, auc)| {
            let (x, y) = (panel.px(one.events_per_second), panel.py(auc.value));
            let ends = [auc.value + auc.error, auc.value - auc.error].map(|value| (x, panel.py(value)));
            mark(scene, (x, y), ends, look(*index));
            let reach = RADIUS + 2.0;
            Label {
                text: font::fit(&one.name, LEGEND_SIZE, false, 220.0),
                at: (x, y),
                taken: [x - reach, ends[0].1.min(y - reach), x + reach, ends[1].1.max(y + reach)],
            }
        })
        .collect();
    labels::place(scene, &names, [panel.left, panel.top, panel.right(), panel.bottom()]);
    panel.frame(scene, true);
    panel.heading(scene, TITLE, "");
    panel.x_title(scene, "Events per second on one core");
    panel.y_title(scene, "Classifier AUC on observables", 68.0);
    key(scene, (panel.right(), panel.top - 12.0), trade_off.floor.is_some());
}

/// A mark with its error bar, along either axis.
fn mark(scene: &mut Scene, at: Point, ends: [Point; 2], look: Look) {
    scene.line(ends.to_vec(), BAR_WIDTH, look.color);
    let across = if ends[0].0 == ends[1].0 { (CAP, 0.0) } else { (0.0, CAP) };
    for (x, y) in ends {
        let cap = vec![(x - across.0, y - across.1), (x + across.0, y + across.1)];
        scene.line(cap, BAR_WIDTH, look.color);
    }
    scene.marker(at, look.marker, look.radius, look.color);
}

/// What the lines across mean, in the line of the title and ending at `right`.
fn key(scene: &mut Scene, (mut right, baseline): Point, floor: bool) {
    let y = baseline - 0.36 * NOTE_SIZE;
    let keys = [("0.5: cannot be told apart", false), ("floor: truth against truth", true)];
    for (name, is_floor) in keys.into_iter().filter(|(_, is_floor)| floor || !is_floor) {
        let left = right - font::width(name, NOTE_SIZE, false) - MARK - 8.0;
        if is_floor {
            scene.boxes(vec![[left, y - 6.0, left + MARK, y + 6.0]], GREY_FILL);
            scene.line(vec![(left, y), (left + MARK, y)], BAR_WIDTH, GREY_LINE);
        } else {
            scene.dashed(&[(left, y), (left + MARK, y)], 1.0, GREY_LINE, DASHES);
        }
        scene.text((right, baseline), name, NOTE_SIZE, Anchor::End).color(GREY_TEXT);
        right = left - 24.0;
    }
}

/// A lower panel: a deviation of every candidate in per cent, over the limits of its gates.
fn deviations(scene: &mut Scene, panel: &Panel, contenders: &[Contender], title: &str, quantity: Quantity) {
    let rows = || contenders.iter().enumerate().filter_map(|(row, one)| Some((row, quantity(one)?)));
    let limits: Vec<(usize, f64)> = rows().filter_map(|(row, one)| Some((row, one.limit?))).collect();
    for (row, limit) in &limits {
        let (top, bottom) = (middle(*row) - ROW / 2.0, middle(*row) + ROW / 2.0);
        let (left, right) = (panel.px(-100.0 * limit), panel.px(100.0 * limit));
        scene.boxes(vec![[left, top, right, bottom]], GREY_FILL);
        for x in [left, right] {
            scene.line(vec![(x, top), (x, bottom)], 1.2, GREY_BAND);
        }
    }
    let zero = panel.px(0.0);
    scene.dashed(&[(zero, panel.top), (zero, panel.bottom())], 1.0, GREY_LINE, DASHES);
    for (row, Limited { deviation: Estimate { value, error }, .. }) in rows() {
        if value.is_finite() && error.is_finite() {
            let at = |value: f64| (panel.px(100.0 * value), middle(row));
            mark(scene, at(value), [at(value - error), at(value + error)], look(row));
        }
    }
    panel.frame_of_rows(scene, true);
    panel.heading(scene, title, if limits.is_empty() { "" } else { "grey: within the gate" });
    panel.x_title(scene, "Largest deviation [%]");
}

/// Symmetric about zero, with every limit and error bar on it.
fn deviation_axis(contenders: &[Contender], quantity: Quantity) -> Axis {
    let reaches = |one: Limited| [one.deviation.value.abs() + one.deviation.error, one.limit.unwrap_or(0.0)];
    let reaches = contenders.iter().filter_map(quantity).flat_map(reaches);
    let largest = reaches.filter(|reach| reach.is_finite()).fold(1e-4, f64::max);
    Axis::linear(-115.0 * largest, 115.0 * largest)
}

/// A decade or more, with room for names on either side.
fn rate_axis(rates: &[f64]) -> Axis {
    let (low, high) =
        (rates.iter().copied().fold(f64::INFINITY, f64::min), rates.iter().copied().fold(0.0, f64::max));
    if !(low > 0.0 && low <= high) {
        return Axis::log(1.0, 10.0);
    }
    let margin = (10.0 * low / high).sqrt().max(1.7);
    Axis::log(low / margin, high * margin)
}

fn auc_axis(aucs: &[Estimate]) -> Axis {
    let ends = |sign: f64| aucs.iter().map(move |auc| auc.value + sign * auc.error);
    let finite = |values: &mut dyn Iterator<Item = f64>, start: f64, fold: fn(f64, f64) -> f64| {
        values.filter(|value| value.is_finite()).fold(start, fold)
    };
    let (low, high) = (finite(&mut ends(-1.0), 0.5, f64::min), finite(&mut ends(1.0), 0.52, f64::max));
    let margin = 0.12 * (high - low);
    Axis::linear(low - margin, high + margin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::scene::Shape;
    use crate::plots::tests::assert_no_text_overlaps;

    fn contender(name: &str, events_per_second: f64, auc: f64) -> Contender {
        let limited = |value, limit| Limited { deviation: Estimate { value, error: 0.002 }, limit };
        Contender {
            name: name.into(),
            events_per_second,
            auc: Some(Estimate { value: auc, error: 0.008 }),
            response: Some(limited(-0.004, Some(0.01))),
            resolution: Some(limited(0.07, None)),
        }
    }

    fn with_floor(contenders: Vec<Contender>) -> TradeOff {
        TradeOff { contenders, floor: Some(Estimate { value: 0.503, error: 0.004 }) }
    }

    #[test]
    fn names_do_not_overlap_wherever_the_candidates_lie() {
        let names = ["flow", "flow_deep", "flow matching with a long name", "a", "b", "c", "d", "e", "f"];
        let equal = names.map(|name| contender(name, 20_000.0, 0.55));
        let far: Vec<Contender> = (0..9)
            .map(|i| contender(names[i as usize], 10f64.powi(i - 2), 0.5 + 0.05 * f64::from(i)))
            .collect();
        for contenders in [equal.to_vec(), far] {
            let scene = scene(&with_floor(contenders));
            assert_no_text_overlaps("trade-off", &scene);
            for name in names {
                // Long names are shortened.
                let begin: String = name.chars().take(8).collect();
                let texts = scene.shapes.iter().filter(|shape| match shape {
                    Shape::Text(text) => text.text.starts_with(&begin),
                    _ => false,
                });
                assert!(texts.count() >= 2, "{name} is not beside its mark and its row");
            }
        }
    }

    #[test]
    fn broken_or_missing_figures_are_left_out() {
        let bare = |auc| Contender { auc, name: "bare".into(), ..Contender::default() };
        for value in [f64::NAN, f64::INFINITY, 1e300, 0.0] {
            let estimate = Estimate { value, error: value };
            let broken = Some(Limited { deviation: estimate, limit: Some(value) });
            let one = Contender { events_per_second: value, response: broken, ..bare(Some(estimate)) };
            let trade_off = TradeOff { contenders: vec![one, bare(None)], floor: None };
            let svg = crate::plots::render::svg(&scene(&trade_off));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{value}");
        }
        assert_eq!(scene(&with_floor(vec![bare(None)])).height, UPPER_HEIGHT, "no rows without deviations");
    }

    #[test]
    fn sixteen_candidates_look_different() {
        let looks: Vec<String> = (0..16).map(|i| format!("{:?}", look(i))).collect();
        assert!((1..16).all(|i| !looks[..i].contains(&looks[i])), "{looks:?}");
    }
}
