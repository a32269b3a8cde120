//! The steps of one column, in order.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use simile_physics::Geometry;

use super::config::Step;
use super::error::{Fault, PreprocessingError, StepError, ValueError};
use super::layer_energies::LayerEnergies;
use super::transform::{Fitted, Transform};
use crate::Events;

/// Fitted steps of one column. `layer_energies` and `relative` need a second column, and can only come first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chain {
    pub(super) column: String,
    /// Width of the column as read.
    pub(super) width: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layer_energies: Option<LayerEnergies>,
    /// The condition that values are relative to, and the power of it that is their unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    relative_to: Option<(String, f32)>,
    steps: Vec<Fitted>,
}

/// What a chain may use beside its own column.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) conditions: &'a [String],
    pub(super) geometry: Option<&'a Geometry>,
    pub(super) is_condition: bool,
}

/// Powers beyond this are mistakes.
const MAX_POWER: f64 = 4.0;

impl Chain {
    /// Fits `steps` one after the other on `train`, each on what those before it make of the sample.
    pub(super) fn fit(
        column: &str,
        steps: &[Step],
        surroundings: Surroundings,
        train: &Events,
        rng: &mut dyn RngCore,
    ) -> Result<Self, PreprocessingError> {
        let width = train.column(column)?.ncols();
        let column_name = column.to_owned();
        let mut chain =
            Self { column: column_name, width, layer_energies: None, relative_to: None, steps: Vec::new() };
        let mut remaining = steps;
        match steps.first() {
            Some(step @ Step::LayerEnergies { .. }) => {
                chain.layer_energies = Some(chain.fit_layer_energies(step, surroundings, train)?);
                remaining = &steps[1..];
            }
            Some(Step::Relative { to, power }) => {
                chain.check_condition("to", to, surroundings.conditions, train)?;
                if !(0.0..=MAX_POWER).contains(power) {
                    let allowed = "from 0 to 4";
                    let fault = StepError::Parameter { name: "power", value: *power, allowed };
                    return Err(chain.step_error(1, fault));
                }
                chain.relative_to = Some((to.clone(), *power as f32));
                remaining = &steps[1..];
            }
            _ => {}
        }
        let mut x = chain.read(train, rng)?;
        for (index, step) in remaining.iter().enumerate() {
            let position = index + 1 + steps.len() - remaining.len();
            let fitted = match step {
                Step::Dequantize { .. } if surroundings.is_condition => {
                    Err(StepError::TargetOnly { kind: "dequantize" })
                }
                Step::Binarise { .. } if surroundings.is_condition => {
                    Err(StepError::TargetOnly { kind: "binarise" })
                }
                _ => Fitted::fit(step, &x),
            };
            let fitted = fitted.map_err(|fault| chain.step_error(position, fault))?;
            x = fitted.forward(x, rng).map_err(|fault| fault.at(column, &train.rows))?;
            chain.steps.push(fitted);
        }
        Ok(chain)
    }

    /// Columns in model space.
    ///
    /// # Errors
    /// If the fitted parameters contradict each other, which only a damaged file can cause.
    pub(super) fn output_width(&self) -> Result<usize, PreprocessingError> {
        let read = match &self.layer_energies {
            Some(first) => first.output_width(self.width),
            None => Some(self.width).filter(|&width| width > 0),
        };
        read.and_then(|read| self.steps.iter().try_fold(read, |width, step| step.output_width(width)))
            .ok_or_else(|| PreprocessingError::Damaged { column: self.column.clone() })
    }

    /// Columns of model space in every group of targets; `None` for an ordinary column.
    pub(super) fn groups(&self) -> Option<Vec<usize>> {
        self.layer_energies.as_ref().map(LayerEnergies::groups)
    }

    /// Whether model space has a column for every category.
    pub(super) fn ends_in_categories(&self) -> bool {
        matches!(self.steps.last(), Some(Fitted::OneHot(_)))
    }

    /// Whether the column lies on a grid.
    pub(super) fn is_dequantized(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Fitted::Dequantize(_)))
    }

    /// `[events, output_width]` in model space, and ln|det ∂z/∂x| of every event; see [`Transform::log_det`].
    pub(super) fn forward_with_log_det(
        &self,
        events: &Events,
        rng: &mut dyn RngCore,
    ) -> Result<(Array2<f64>, Option<Array1<f64>>), PreprocessingError> {
        let read = self.read(events, rng)?;
        let mut log_det = self.read_log_det(events)?;
        let z = self.steps.iter().try_fold(read, |x, step| {
            let z = step.forward(x.clone(), rng)?;
            log_det = log_det.take().zip(step.log_det(&x, &z)).map(|(sum, own)| sum + own);
            Ok(z)
        });
        Ok((z.map_err(|fault: Fault| fault.at(&self.column, &events.rows))?, log_det))
    }

    /// `[events, output_width]` in model space.
    pub(super) fn forward(
        &self,
        events: &Events,
        rng: &mut dyn RngCore,
    ) -> Result<Array2<f64>, PreprocessingError> {
        let read = self.read(events, rng)?;
        (self.steps.iter())
            .try_fold(read, |x, step| step.forward(x, rng))
            .map_err(|fault| fault.at(&self.column, &events.rows))
    }

    /// `[events, width]` of the column from `[events, output_width]` in model space.
    pub(super) fn inverse(
        &self,
        z: ArrayView2<f32>,
        conditions: &Events,
    ) -> Result<Array2<f32>, PreprocessingError> {
        if !z.iter().all(|value| value.is_finite()) {
            let ((row, _), &value) =
                z.indexed_iter().find(|(_, value)| !value.is_finite()).expect("one is not");
            let column = self.column.clone();
            return Err(PreprocessingError::Output { column, row: conditions.rows[row], value });
        }
        let x = self.steps.iter().rev().fold(z.mapv(f64::from), |x, step| step.inverse(x));
        let at = |fault: Fault| fault.at(&self.column, &conditions.rows);
        match (&self.layer_energies, &self.relative_to) {
            (Some(first), _) => first.inverse(x.view(), scalar(first.incident(), conditions)?).map_err(at),
            (None, Some((to, power))) => {
                let truth = positive(to, conditions)?.map_err(at)?;
                Ok((x * truth.mapv(|c| c.powf(f64::from(*power))) + truth).mapv(saturate))
            }
            (None, None) => Ok(x.mapv(saturate)),
        }
    }

    /// The column as the steps expect it.
    fn read(&self, events: &Events, rng: &mut dyn RngCore) -> Result<Array2<f64>, PreprocessingError> {
        let values = events.column(&self.column)?;
        if values.ncols() != self.width {
            let column = self.column.clone();
            return Err(PreprocessingError::Width { column, found: values.ncols(), expected: self.width });
        }
        let at = |fault: Fault| fault.at(&self.column, &events.rows);
        check_finite(values).map_err(at)?;
        match (&self.layer_energies, &self.relative_to) {
            (Some(first), _) => first.forward(values, scalar(first.incident(), events)?, rng).map_err(at),
            (None, Some((to, power))) => {
                let truth = positive(to, events)?.map_err(at)?;
                Ok((values.mapv(f64::from) - &truth) / truth.mapv(|c| c.powf(f64::from(*power))))
            }
            (None, None) => Ok(values.mapv(f64::from)),
        }
    }

    /// ln|det| of what [`read`](Self::read) does.
    fn read_log_det(&self, events: &Events) -> Result<Option<Array1<f64>>, PreprocessingError> {
        Ok(match (&self.layer_energies, &self.relative_to) {
            (Some(_), _) => None,
            (None, Some((to, power))) => {
                let exponents = self.width as f64 * f64::from(*power);
                Some(scalar(to, events)?.mapv(|c| -exponents * f64::from(c).ln()))
            }
            (None, None) => Some(Array1::zeros(events.len())),
        })
    }

    fn fit_layer_energies(
        &self,
        step: &Step,
        Surroundings { conditions, geometry, is_condition }: Surroundings,
        train: &Events,
    ) -> Result<LayerEnergies, PreprocessingError> {
        let Step::LayerEnergies { incident, threshold_mev, headroom, rotate, by_layer } = step else {
            unreachable!("called for this step only");
        };
        let fail = |fault| self.step_error(1, fault);
        if is_condition {
            return Err(fail(StepError::TargetOnly { kind: "layer_energies" }));
        }
        self.check_condition("incident", incident, conditions, train)?;
        let voxels = train.column(&self.column)?;
        let at = |fault: Fault| fault.at(&self.column, &train.rows);
        check_finite(voxels).map_err(at)?;
        let geometry = geometry.ok_or_else(|| fail(StepError::NoGeometry))?;
        let first = LayerEnergies::new(incident, *threshold_mev, *headroom, *rotate, geometry, voxels)
            .map_err(fail)?
            .by_layer(*by_layer);
        let incident_mev = scalar(first.incident(), train)?;
        first.fit(voxels, incident_mev).map_err(at)
    }

    /// What the first step needs beside its column must be a scalar condition: the inverse needs it.
    fn check_condition(
        &self,
        key: &'static str,
        column: &str,
        conditions: &[String],
        train: &Events,
    ) -> Result<(), PreprocessingError> {
        let setting = format!("`{key}` = \"{column}\"");
        if !conditions.iter().any(|condition| condition == column) {
            let conditions = conditions.to_vec();
            return Err(self.step_error(1, StepError::NotCondition { setting, conditions }));
        }
        match train.column(column)?.ncols() {
            1 => Ok(()),
            width => Err(self.step_error(1, StepError::ConditionNotScalar { setting, width })),
        }
    }

    fn step_error(&self, step: usize, fault: StepError) -> PreprocessingError {
        PreprocessingError::Step { column: self.column.clone(), step, fault }
    }
}

/// A scalar column `[events]` that the first step needs.
fn scalar<'a>(column: &str, events: &'a Events) -> Result<ArrayView1<'a, f32>, PreprocessingError> {
    let values = events.column(column)?;
    if values.ncols() != 1 {
        let column = column.to_owned();
        return Err(PreprocessingError::Width { column, found: values.ncols(), expected: 1 });
    }
    Ok(values.index_axis_move(ndarray::Axis(1), 0))
}

/// The condition `[events, 1]` that values are relative to, or the first of its values that is not positive.
fn positive(column: &str, events: &Events) -> Result<Result<Array2<f64>, Fault>, PreprocessingError> {
    let values = scalar(column, events)?.mapv(f64::from);
    Ok(match values.iter().position(|&value| !(value > 0.0 && value.is_finite())) {
        None => Ok(values.insert_axis(ndarray::Axis(1))),
        Some(row) => {
            let error = ValueError::Divisor { column: column.to_owned(), value: values[row] };
            Err(Fault { row, component: 0, error })
        }
    })
}

fn check_finite(values: ArrayView2<f32>) -> Result<(), Fault> {
    match values.indexed_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some(((row, component), &value)) => {
            Err(Fault { row, component, error: ValueError::NotFinite { value: f64::from(value) } })
        }
    }
}

/// Nearest finite `f32`: what an exponential makes of an absurd model output must still be a number.
pub(super) fn saturate(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}
