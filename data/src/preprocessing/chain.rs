//! The steps of one column, in order.

use ndarray::{Array2, ArrayView1, ArrayView2};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use simile_physics::Geometry;

use super::config::Step;
use super::error::{Fault, PreprocessingError, StepError, ValueError};
use super::layer_energies::LayerEnergies;
use super::transform::{Fitted, Transform};
use crate::Events;

/// Fitted steps of one column. `layer_energies` alone needs a second column, and can only come first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chain {
    pub(super) column: String,
    /// Width of the column as read.
    pub(super) width: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layer_energies: Option<LayerEnergies>,
    steps: Vec<Fitted>,
}

/// What a chain may use beside its own column.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) conditions: &'a [String],
    pub(super) geometry: Option<&'a Geometry>,
    pub(super) is_condition: bool,
}

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
        let mut chain = Self { column: column.to_owned(), width, layer_energies: None, steps: Vec::new() };
        let mut remaining = steps;
        if let Some(step @ Step::LayerEnergies { .. }) = steps.first() {
            chain.layer_energies = Some(chain.fit_layer_energies(step, surroundings, train)?);
            remaining = &steps[1..];
        }
        let mut x = chain.read(train, rng)?;
        for (index, step) in remaining.iter().enumerate() {
            let position = index + 1 + steps.len() - remaining.len();
            let fitted = match step {
                Step::Dequantize { .. } if surroundings.is_condition => {
                    Err(StepError::TargetOnly { kind: "dequantize" })
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
        match &self.layer_energies {
            None => Ok(x.mapv(saturate)),
            Some(first) => first
                .inverse(x.view(), incident_energy(first, conditions)?)
                .map_err(|fault| fault.at(&self.column, &conditions.rows)),
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
        match &self.layer_energies {
            None => Ok(values.mapv(f64::from)),
            Some(first) => first.forward(values, incident_energy(first, events)?, rng).map_err(at),
        }
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
        if !conditions.contains(incident) {
            let (incident, conditions) = (incident.clone(), conditions.to_vec());
            return Err(fail(StepError::IncidentNotCondition { incident, conditions }));
        }
        let width = train.column(incident)?.ncols();
        if width != 1 {
            return Err(fail(StepError::IncidentNotScalar { incident: incident.clone(), width }));
        }
        let voxels = train.column(&self.column)?;
        let at = |fault: Fault| fault.at(&self.column, &train.rows);
        check_finite(voxels).map_err(at)?;
        let geometry = geometry.ok_or_else(|| fail(StepError::NoGeometry))?;
        let first = LayerEnergies::new(incident, *threshold_mev, *headroom, *rotate, geometry, voxels)
            .map_err(fail)?
            .by_layer(*by_layer);
        let incident_mev = incident_energy(&first, train)?;
        first.fit(voxels, incident_mev).map_err(at)
    }

    fn step_error(&self, step: usize, fault: StepError) -> PreprocessingError {
        PreprocessingError::Step { column: self.column.clone(), step, fault }
    }
}

/// The scalar column `[events]` of incident energies in MeV.
fn incident_energy<'a>(
    step: &LayerEnergies,
    events: &'a Events,
) -> Result<ArrayView1<'a, f32>, PreprocessingError> {
    let values = events.column(step.incident())?;
    if values.ncols() != 1 {
        let column = step.incident().to_owned();
        return Err(PreprocessingError::Width { column, found: values.ncols(), expected: 1 });
    }
    Ok(values.index_axis_move(ndarray::Axis(1), 0))
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
