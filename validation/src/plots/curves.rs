//! Learning curves: loss of training and validation, the learning rate, and other figures against epochs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Draft;
use super::axis::Axis;
use super::legend::{Key, legend};
use super::panel::{Look, Panel, Point2};
use super::scene::{BLUE, GREY_LINE, Marker, ORANGE, Point, Scene};

const TRAIN_DASHES: &[f64] = &[7.0, 4.0];

/// How the training went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearningCurves {
    /// Epochs in order.
    pub epochs: Vec<EpochPoint>,
    /// What the loss is, such as `Negative log-likelihood per event`.
    pub loss_label: String,
    /// What epochs are compared by, where it is not the loss: then `validation_loss` is a figure of its own.
    pub judge_label: Option<String>,
}

/// One epoch of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochPoint {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the training events.
    pub train_loss: f64,
    /// Mean loss over the validation events after the epoch, or what epochs are compared by.
    pub validation_loss: f64,
    /// Other figures, by name.
    pub figures: BTreeMap<String, f64>,
    /// Learning rate at the end of the epoch.
    pub learning_rate: f64,
    /// Duration in seconds.
    pub seconds: f64,
}

impl LearningCurves {
    /// The epoch with the smallest finite validation loss.
    pub fn best(&self) -> Option<&EpochPoint> {
        self.epochs
            .iter()
            .filter(|epoch| epoch.validation_loss.is_finite())
            .min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss))
    }
}

/// The figures; none without epochs.
pub(super) fn drafts(curves: &LearningCurves) -> Vec<Draft> {
    let (Some(first), Some(last)) = (curves.epochs.first(), curves.epochs.last()) else { return Vec::new() };
    let x = Axis::numbers(first.epoch as f64 - 0.5, last.epoch as f64 + 0.5);
    std::iter::once(losses_draft(curves, x.clone())).chain(figures_draft(curves, &x)).collect()
}

/// Loss and learning rate.
fn losses_draft(curves: &LearningCurves, x: Axis) -> Draft {
    let mut scene = Scene::new(720.0, 560.0);
    losses(&mut scene, curves, x.clone());
    learning_rate(&mut scene, curves, x);
    let best = curves.best().map_or(String::new(), |best| {
        let figure = curves.judge_label.as_deref().unwrap_or("validation loss");
        format!(" The smallest {figure} is that of epoch {}.", best.epoch)
    });
    let shown =
        if curves.judge_label.is_some() { "training events" } else { "training and validation events" };
    Draft {
        name: "learning_curves".into(),
        title: "Learning curves".into(),
        caption: format!("Loss of {shown} after each epoch, and the learning rate below.{best}"),
        section: "Training".into(),
        scene,
    }
}

const COLUMNS: usize = 2;
/// Of a small panel, and the distance to the next.
const SMALL: [f64; 2] = [264.0, 132.0];
const STEP: [f64; 2] = [360.0, 186.0];

/// Everything else that was watched, each in a panel of its own.
fn figures_draft(curves: &LearningCurves, x: &Axis) -> Option<Draft> {
    let watched = curves.epochs.iter().flat_map(|epoch| epoch.figures.keys());
    let names: BTreeSet<&str> = watched.map(String::as_str).collect();
    let point = |epoch: &EpochPoint, y: f64| (epoch.epoch as f64, y);
    let judged = curves.judge_label.iter().map(|label| {
        let points = curves.epochs.iter().map(|epoch| point(epoch, epoch.validation_loss));
        (label.as_str(), points.collect())
    });
    let series = names.into_iter().map(|name| {
        let value = |epoch: &EpochPoint| epoch.figures.get(name).copied().unwrap_or(f64::NAN);
        (name, curves.epochs.iter().map(|epoch| point(epoch, value(epoch))).collect())
    });
    let panels: Vec<(&str, Vec<Point>)> = judged.chain(series).collect();
    if panels.is_empty() {
        return None;
    }
    let rows = panels.len().div_ceil(COLUMNS);
    let mut scene = Scene::new(COLUMNS as f64 * STEP[0], rows as f64 * STEP[1] + 40.0);
    for (i, (name, points)) in panels.iter().enumerate() {
        let (row, column) = (i / COLUMNS, i % COLUMNS);
        let panel = Panel {
            left: 68.0 + column as f64 * STEP[0],
            top: 36.0 + row as f64 * STEP[1],
            width: SMALL[0],
            height: SMALL[1],
            x: x.clone(),
            y: loss_axis(points.iter().map(|point| point.1)),
        };
        panel.curve(&mut scene, points, 1.8, BLUE, &[]);
        panel.frame(&mut scene, true);
        panel.heading(&mut scene, name, "");
        if i + COLUMNS >= panels.len() {
            panel.x_title(&mut scene, "Epoch");
        }
    }
    Some(Draft {
        name: "training_figures".into(),
        title: "Training in figures".into(),
        caption: "Other figures watched during training, each the mean over an epoch.".into(),
        section: "Training".into(),
        scene,
    })
}

fn losses(scene: &mut Scene, curves: &LearningCurves, x: Axis) {
    let series = |value: fn(&EpochPoint) -> f64| -> Vec<Point> {
        curves.epochs.iter().map(|epoch| (epoch.epoch as f64, value(epoch))).collect()
    };
    let train = series(|epoch| epoch.train_loss);
    let validation = match curves.judge_label {
        None => series(|epoch| epoch.validation_loss),
        Some(_) => Vec::new(),
    };
    let y = loss_axis(train.iter().chain(&validation).map(|point| point.1)).with_headroom(0.86);
    let panel = Panel { left: 96.0, top: 36.0, width: 600.0, height: 320.0, x, y };
    let train_look = Look { color: ORANGE, marker: Marker::Square, radius: 3.4 };
    let validation_look = Look { color: BLUE, marker: Marker::Disc, radius: 4.0 };
    draw(scene, &panel, &train, train_look, TRAIN_DASHES);
    draw(scene, &panel, &validation, validation_look, &[]);
    panel.frame(scene, false);
    panel.heading(scene, "Learning curves", &duration(curves));
    panel.y_title(scene, &curves.loss_label, 72.0);
    let mut keys = vec![Key::curve("training", train_look, TRAIN_DASHES)];
    if !validation.is_empty() {
        keys.push(Key::curve("validation", validation_look, &[]));
    }
    legend(scene, (panel.left + 380.0, panel.top + 24.0), &keys);
}

fn learning_rate(scene: &mut Scene, curves: &LearningCurves, x: Axis) {
    let rates: Vec<Point> =
        curves.epochs.iter().map(|epoch| (epoch.epoch as f64, epoch.learning_rate)).collect();
    let largest = rates.iter().map(|rate| rate.1).filter(|rate| rate.is_finite()).fold(0.0, f64::max);
    let y = Axis::linear(0.0, largest * 1.15);
    let panel = Panel { left: 96.0, top: 386.0, width: 600.0, height: 112.0, x, y };
    panel.curve(scene, &rates, 1.8, GREY_LINE, &[]);
    panel.frame(scene, true);
    panel.x_title(scene, "Epoch");
    panel.y_title(scene, "Learning rate", 72.0);
}

fn draw(scene: &mut Scene, panel: &Panel, points: &[Point], look: Look, pattern: &[f64]) {
    panel.curve(scene, points, 1.8, look.color, pattern);
    if points.len() <= 60 {
        let points: Vec<Point2> = points.iter().map(|&(x, y)| Point2::new(x, y, 0.0)).collect();
        panel.points(scene, &points, look);
    }
}

/// Spans the losses; logarithmic where they are positive and spread over more than a factor of 20.
fn loss_axis(losses: impl Iterator<Item = f64>) -> Axis {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for loss in losses.filter(|loss| loss.is_finite()) {
        (low, high) = (low.min(loss), high.max(loss));
    }
    if low > 0.0 && high > 20.0 * low {
        return Axis::log(low / 1.2, high * 1.2);
    }
    // A figure that does not change gets room, too.
    let margin = (0.06 * (high - low)).max(1e-3 * high.abs()).max(f64::MIN_POSITIVE);
    Axis::linear(low - margin, high + margin)
}

fn duration(curves: &LearningCurves) -> String {
    let seconds: f64 =
        curves.epochs.iter().map(|epoch| epoch.seconds).filter(|seconds| seconds.is_finite()).sum();
    match seconds {
        0.0 => format!("{} epochs", curves.epochs.len()),
        s if s < 120.0 => format!("{} epochs in {s:.0} s", curves.epochs.len()),
        s => format!("{} epochs in {:.0} min", curves.epochs.len(), s / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves(losses: &[f64]) -> LearningCurves {
        let epochs = losses
            .iter()
            .enumerate()
            .map(|(index, loss)| EpochPoint {
                epoch: index + 1,
                train_loss: *loss,
                validation_loss: loss + 0.5,
                figures: BTreeMap::from([("diversity".to_string(), 1.0), ("KL".to_string(), *loss)]),
                learning_rate: 1e-3,
                seconds: 30.0,
            })
            .collect();
        LearningCurves { epochs, loss_label: "Negative log-likelihood".into(), judge_label: None }
    }

    #[test]
    fn the_best_epoch_ignores_losses_that_are_not_numbers() {
        assert_eq!(curves(&[3.0, f64::NAN, 1.0, 2.0]).best().map(|best| best.epoch), Some(3));
        assert!(curves(&[f64::NAN]).best().is_none());
    }

    #[test]
    fn any_number_of_epochs_can_be_drawn() {
        assert!(drafts(&curves(&[])).is_empty());
        for losses in [vec![1.0], vec![f64::NAN; 3], vec![1e4, 30.0, 2.0], vec![-5.0; 200]] {
            assert_eq!(drafts(&curves(&losses)).len(), 2);
        }
    }
}
