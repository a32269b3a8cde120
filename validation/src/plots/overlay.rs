//! Reference and candidate as histograms over the same bins, with their ratio below.

use super::axis::Axis;
use super::panel::{Look, Panel, Point2};
use super::scene::{BLUE, GREY_BAND, GREY_FILL, GREY_LINE, Marker, Scene};

/// Share of the height that data may use; the rest is for legend and notes.
const USED: f64 = 0.71;
/// A logarithmic ordinate shows no more decades than this below the largest bin.
const DECADES: f64 = 9.0;

/// The candidate's mark.
pub(crate) const CANDIDATE: Look = Look { color: BLUE, marker: Marker::Disc, radius: 3.6 };

/// Two histograms with everything written round them.
pub(crate) struct Overlay<'a> {
    pub(crate) title: &'a str,
    /// Small text right of the title.
    pub(crate) note: String,
    pub(crate) x_title: String,
    pub(crate) y_title: &'a str,
    pub(crate) x: Axis,
    pub(crate) log_y: bool,
    pub(crate) edges: &'a [f64],
    /// Where the candidate's points lie, one per bin.
    pub(crate) centers: Vec<f64>,
    pub(crate) reference: Series,
    pub(crate) candidate: Series,
}

/// Contents of the bins and the intervals of ±1 σ that error bars show.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) values: Vec<f64>,
    pub(crate) intervals: Vec<[f64; 2]>,
}

impl Series {
    /// Contents with standard errors.
    pub(crate) fn with_errors(values: Vec<f64>, errors: &[f64]) -> Self {
        let intervals = values.iter().zip(errors).map(|(value, error)| [value - error, value + error]);
        Self { intervals: intervals.collect(), values }
    }

    fn lower(&self) -> Vec<f64> {
        self.intervals.iter().map(|ends| ends[0]).collect()
    }

    fn upper(&self) -> Vec<f64> {
        self.intervals.iter().map(|ends| ends[1]).collect()
    }
}

/// Centres of bins as they appear on a linear or logarithmic axis.
pub(crate) fn centers(edges: &[f64], log: bool) -> Vec<f64> {
    let center = |pair: &[f64]| match log && pair[0] > 0.0 {
        true => (pair[0] * pair[1]).sqrt(),
        false => 0.5 * (pair[0] + pair[1]),
    };
    edges.windows(2).map(center).collect()
}

/// Size of the figure.
const SIZE: (f64, f64) = (720.0, 676.0);
/// Pulls shown; larger ones end at the frame.
const LARGEST_PULL: f64 = 5.0;

/// A panel of the figure.
fn panel(top: f64, height: f64, x: Axis, y: Axis) -> Panel {
    Panel { left: 96.0, top, width: 600.0, height, x, y }
}

impl Overlay<'_> {
    /// Draws all but the legend, for which the upper quarter of the returned panel is free.
    pub(crate) fn draw(&self) -> (Scene, Panel) {
        let mut scene = Scene::new(SIZE.0, SIZE.1);
        let ratios = self.ratios();
        let main = panel(36.0, 352.0, self.x.clone(), self.ordinate());
        let ratio = panel(406.0, 110.0, self.x.clone(), ratio_axis(&ratios));
        let pull = panel(534.0, 80.0, self.x.clone(), Axis::linear(-LARGEST_PULL, LARGEST_PULL));
        self.draw_contents(&mut scene, &main);
        self.draw_ratio(&mut scene, &ratio, &ratios);
        self.draw_pulls(&mut scene, &pull);
        (scene, main)
    }

    fn draw_contents(&self, scene: &mut Scene, panel: &Panel) {
        let (upper, lower) = (self.reference.upper(), self.reference.lower());
        panel.boxes(scene, self.edges, None, &self.reference.values, GREY_FILL);
        panel.boxes(scene, self.edges, Some(&lower), &upper, GREY_BAND);
        panel.steps(scene, self.edges, &self.reference.values, 1.5, GREY_LINE);
        panel.points(scene, &self.candidate_points(), CANDIDATE);
        panel.frame(scene, false);
        panel.heading(scene, self.title, &self.note);
        panel.y_title(scene, self.y_title, 72.0);
    }

    fn draw_ratio(&self, scene: &mut Scene, panel: &Panel, ratios: &[Point2]) {
        let relative = |ends: Vec<f64>| -> Vec<f64> {
            let bins = ends.iter().zip(&self.reference.values);
            bins.map(|(end, value)| if *value > 0.0 { end / value } else { 1.0 }).collect()
        };
        let (lower, upper) = (relative(self.reference.lower()), relative(self.reference.upper()));
        panel.boxes(scene, self.edges, Some(&lower), &upper, GREY_BAND);
        panel.horizontal(scene, 1.0);
        panel.points(scene, ratios, CANDIDATE);
        panel.frame(scene, false);
        panel.y_title(scene, "Ratio", 72.0);
    }

    fn draw_pulls(&self, scene: &mut Scene, panel: &Panel) {
        let pulls: Vec<f64> =
            self.pulls().iter().map(|pull| pull.clamp(-LARGEST_PULL, LARGEST_PULL)).collect();
        let [below, above] =
            [f64::min, f64::max].map(|end| pulls.iter().map(|pull| end(*pull, 0.0)).collect::<Vec<_>>());
        panel.boxes(scene, self.edges, Some(&vec![-1.0; pulls.len()]), &vec![1.0; pulls.len()], GREY_FILL);
        panel.boxes(scene, self.edges, Some(&below), &above, CANDIDATE.color);
        panel.horizontal(scene, 0.0);
        panel.frame(scene, true);
        panel.x_title(scene, &self.x_title);
        panel.y_title(scene, "Pull", 72.0);
    }

    /// Candidate minus reference over the errors on the sides that face each other; 0 where neither has any.
    fn pulls(&self) -> Vec<f64> {
        let bins = self.candidate.values.iter().zip(&self.candidate.intervals);
        let bins = bins.zip(self.reference.values.iter().zip(&self.reference.intervals));
        bins.map(|((candidate, own), (reference, other))| {
            let (difference, above) = (candidate - reference, usize::from(candidate > reference));
            let error = (candidate - own[1 - above]).hypot(other[above] - reference);
            if error > 0.0 { difference / error } else { 0.0 }
        })
        .collect()
    }

    /// Bins where neither sample has anything carry no point.
    fn candidate_points(&self) -> Vec<Point2> {
        let bins = self.centers.iter().zip(self.candidate.values.iter().zip(&self.candidate.intervals));
        bins.zip(&self.reference.values)
            .filter(|((_, (value, _)), reference)| **value > 0.0 || (!self.log_y && **reference > 0.0))
            .map(|((x, (y, ends)), _)| Point2::within(*x, *y, *ends))
            .collect()
    }

    fn ratios(&self) -> Vec<Point2> {
        let candidate = self.candidate.values.iter().zip(&self.candidate.intervals);
        let bins = self.centers.iter().zip(candidate.zip(&self.reference.values));
        bins.filter(|(_, (_, reference))| **reference > 0.0)
            .map(|(x, ((y, ends), reference))| {
                Point2::within(*x, y / reference, ends.map(|end| end / reference))
            })
            .collect()
    }

    fn ordinate(&self) -> Axis {
        let tops = self.reference.upper().into_iter().chain(self.candidate.upper());
        let high = tops.filter(|top| top.is_finite()).fold(0.0, f64::max);
        if high <= 0.0 {
            return Axis::linear(0.0, 1.0);
        }
        if !self.log_y {
            return Axis::linear(0.0, high).with_headroom(USED);
        }
        let values = self.reference.values.iter().chain(&self.candidate.values);
        let low = values.copied().filter(|value| *value > 0.0).fold(high, f64::min);
        let low = (0.4 * low).max(high * 10f64.powf(-DECADES));
        Axis::log(low, high).with_headroom(USED)
    }
}

/// A range about 1 that holds nine in ten of the ratios known well enough to mean something.
pub(crate) fn ratio_axis(ratios: &[Point2]) -> Axis {
    const HALF_RANGES: [f64; 8] = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5];
    let mut deviations: Vec<f64> = ratios
        .iter()
        .filter(|ratio| ratio.y.is_finite() && ratio.error() < 0.3)
        .map(|ratio| (ratio.y - 1.0).abs() + ratio.error())
        .collect();
    deviations.sort_by(f64::total_cmp);
    let needed = deviations.get(deviations.len() * 9 / 10).copied().unwrap_or(1.0);
    match HALF_RANGES.into_iter().find(|half| *half >= needed) {
        Some(half) => Axis::linear(1.0 - 1.15 * half, 1.0 + 1.15 * half),
        None => Axis::linear(0.0, 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_axis_follows_the_bulk_and_not_one_bad_bin() {
        let point = |y| Point2::new(0.0, y, 0.01);
        let mut ratios = vec![point(1.03); 30];
        ratios.push(point(9.0));
        let axis = ratio_axis(&ratios);
        assert!((axis.high() - 1.0575).abs() < 1e-9, "{axis:?}");
        assert_eq!(ratio_axis(&[]).high(), 2.0);
    }

    #[test]
    fn error_bars_end_where_the_interval_does() {
        let point = Point2::within(1.0, 4.0, [2.5, 7.0]);
        assert_eq!((point.errors, point.error()), ([1.5, 3.0], 3.0));
    }

    #[test]
    fn pulls_take_the_errors_that_face_each_other() {
        let series = |values: [f64; 3], intervals: [[f64; 2]; 3]| Series {
            values: values.to_vec(),
            intervals: intervals.to_vec(),
        };
        let overlay = Overlay {
            title: "",
            note: String::new(),
            x_title: String::new(),
            y_title: "",
            x: Axis::linear(0.0, 3.0),
            log_y: false,
            edges: &[0.0, 1.0, 2.0, 3.0],
            centers: vec![0.5, 1.5, 2.5],
            reference: series([1.0, 4.0, 0.0], [[0.5, 4.0], [1.0, 4.5], [0.0, 0.0]]),
            candidate: series([6.0, 2.0, 0.0], [[2.0, 7.0], [1.5, 6.0], [0.0, 0.0]]),
        };
        assert_eq!(overlay.pulls(), [1.0, -0.4, 0.0]);
    }

    #[test]
    fn centres_are_geometric_on_a_logarithmic_axis() {
        assert_eq!(centers(&[1.0, 100.0], true), [10.0]);
        assert_eq!(centers(&[1.0, 3.0, 5.0], false), [2.0, 4.0]);
    }
}
