//! From events to what is compared: one-dimensional features and the inputs of the classifiers.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simile_physics::Geometry;
use simile_physics::shower::{ShowerObservables, cell_energies};

use crate::images::image_features;
use crate::sample::{Feature, FeatureColumn, Sample};
use crate::table::{ImageTable, Table};

/// Showers per task.
const CHUNK: usize = 512;
/// List columns with more elements, such as images, enter the classifier but not the list of features.
const MAX_ELEMENTS: usize = 32;
/// Ratio of upper to lower end of the bulk beyond which a positive quantity is drawn in logarithmic bins.
const LOG_RANGE: f32 = 30.0;
/// Layer energies below 1 keV count as 1 keV in the classifier's logarithms if no higher threshold is set.
const MIN_ENERGY_MEV: f32 = 1e-3;
/// Added to energies in MeV before the CaloChallenge takes their logarithm.
const CALO_CHALLENGE_OFFSET_MEV: f32 = 1e-8;
/// The CaloChallenge's unit of centres and widths.
const CALO_CHALLENGE_LENGTH_MM: f32 = 100.0;

/// The shower observables that classifiers and distances of whole events are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObservableSet {
    /// Total and layer energies over the incident one, response, depth, radii and radial widths: what does not depend on the direction of a
    /// shower about its axis.
    #[default]
    Core,
    /// Those of the CaloChallenge (arXiv:2410.21611), scaled as its evaluate.py does: 30 for photons of its data set 1, 46 for pions, 362 for data
    /// sets 2 and 3.
    CaloChallenge,
}

/// Everything derived from one sample.
pub(crate) struct Extraction {
    /// One-dimensional features.
    pub(crate) sample: Sample,
    /// Shower observables `[events, observables]`.
    observables: Option<Array2<f32>>,
    /// Numbers in the compared columns of an event.
    pub(crate) numbers: usize,
    /// What the classifier on observables is given beside them, in this order.
    others: Vec<Compared>,
}

/// A compared column, or the observables of images.
enum Compared {
    /// The features that it became.
    Features(Range<usize>),
    /// Its elements, too many to be features.
    Elements(Array2<f32>),
}

impl Compared {
    fn columns<'a>(&'a self, sample: &'a Sample) -> Vec<ArrayView1<'a, f32>> {
        match self {
            Self::Features(range) => {
                sample.columns[range.clone()].iter().map(|column| ArrayView1::from(&column.values)).collect()
            }
            Self::Elements(matrix) => matrix.columns().into_iter().collect(),
        }
    }
}

/// Showers of one calorimeter.
pub(crate) struct Calorimeter {
    observables: ShowerObservables,
    set: ObservableSet,
    threshold_mev: f32,
    response: usize,
}

impl Calorimeter {
    /// Of which classifiers and distances are given `set`.
    pub(crate) fn new(geometry: &Geometry, set: ObservableSet, threshold_mev: f32) -> Self {
        let observables = ShowerObservables::new(geometry);
        let response = observables.observables().iter().position(|observable| observable.name == "response");
        Self { response: response.expect("every geometry has a response"), observables, set, threshold_mev }
    }

    /// Observables `[events, observables]`.
    fn compute(&self, voxels: ArrayView2<'_, f32>, incident: &[f32]) -> Array2<f32> {
        let mut result = Array2::zeros((voxels.nrows(), self.observables.observables().len()));
        let tasks: Vec<_> = result
            .axis_chunks_iter_mut(Axis(0), CHUNK)
            .zip(voxels.axis_chunks_iter(Axis(0), CHUNK).zip(incident.chunks(CHUNK)))
            .collect();
        tasks.into_par_iter().for_each(|(mut result, (voxels, incident))| {
            result.assign(&self.observables.compute(voxels, incident.into()));
        });
        result
    }

    /// The columns of `set`, scaled to order one.
    fn inputs(&self, observables: &Array2<f32>, incident: &[f32]) -> Vec<Vec<f32>> {
        let floor = self.threshold_mev.max(MIN_ENERGY_MEV);
        let columns = match self.set {
            ObservableSet::Core => self.observables.core(),
            ObservableSet::CaloChallenge => self.observables.calo_challenge(),
        };
        let scaled = columns.iter().map(|&column| {
            let unit = self.observables.observables()[column].unit;
            let scale = |value: f32, incident: f32| match (self.set, unit) {
                (ObservableSet::Core, Some("MeV")) => (value.max(floor) / incident).log10(),
                (ObservableSet::CaloChallenge, Some("MeV")) => (value + CALO_CHALLENGE_OFFSET_MEV).log10(),
                (ObservableSet::CaloChallenge, Some("mm")) => value / CALO_CHALLENGE_LENGTH_MM,
                _ => value,
            };
            observables
                .column(column)
                .iter()
                .zip(incident)
                .map(|(&v, &incident)| scale(v, incident))
                .collect()
        });
        scaled.collect()
    }

    fn columns(&self, observables: &Array2<f32>, weights: Option<&Vec<f32>>) -> Vec<FeatureColumn> {
        let described = self.observables.observables().iter().zip(observables.columns());
        let column =
            |(observable, values): (&simile_physics::shower::Observable, ndarray::ArrayView1<'_, f32>)| {
                FeatureColumn {
                    feature: Feature {
                        name: observable.name.clone(),
                        label: observable.label.clone(),
                        unit: observable.unit.map(str::to_owned),
                        log_x: observable.log,
                        log_y: false,
                        per_event: true,
                    },
                    values: values.to_vec(),
                    weights: weights.cloned(),
                    events: None,
                }
            };
        described.filter(|(observable, _)| !observable.restates).map(column).collect()
    }
}

/// Features and observables of a sample. The compared columns go from the table to them, so that they are held once.
pub(crate) fn extract(
    table: &mut Table,
    calorimeter: Option<&Calorimeter>,
    incident: Option<&String>,
    units: &BTreeMap<String, String>,
) -> Extraction {
    let weights = table.weights.as_ref();
    let mut columns = Vec::new();
    if let (Some(name), Some(energies)) = (incident, &table.incident) {
        let feature = scalar_feature(name, "Incident energy", units.get(name), energies);
        columns.push(FeatureColumn {
            feature,
            values: energies.clone(),
            weights: weights.cloned(),
            events: None,
        });
    }
    let mut observables = None;
    if let (Some(calorimeter), Some(voxels), Some(energies)) = (calorimeter, &table.voxels, &table.incident) {
        let computed = calorimeter.compute(voxels.view(), energies);
        columns.extend(calorimeter.columns(&computed, weights));
        columns.push(cell_spectrum(voxels.view(), weights));
        observables = Some(computed);
    }
    let mut others = Vec::new();
    if let Some(ImageTable { name, size, pixels }) = &table.image {
        others.push(appended(&mut columns, image_features(name, *size, pixels, weights)));
    }
    let compared = std::mem::take(&mut table.columns);
    let numbers = compared.iter().map(|(_, matrix)| matrix.ncols()).sum();
    for (name, matrix) in compared {
        others.push(match matrix.ncols() {
            0..=MAX_ELEMENTS => {
                appended(&mut columns, column_features(&name, matrix, units.get(&name), weights))
            }
            _ => Compared::Elements(matrix),
        });
    }
    let sum_of_weights = table.sum_of_weights();
    let sample = Sample { label: table.label.clone(), columns, events: table.events, sum_of_weights };
    Extraction { sample, observables, numbers, others }
}

fn appended(columns: &mut Vec<FeatureColumn>, more: impl IntoIterator<Item = FeatureColumn>) -> Compared {
    let first = columns.len();
    columns.extend(more);
    Compared::Features(first..columns.len())
}

/// The energies of all cells with energy; those below threshold have none.
fn cell_spectrum(voxels: ArrayView2<'_, f32>, weights: Option<&Vec<f32>>) -> FeatureColumn {
    let (mut values, mut events) = (Vec::new(), Vec::new());
    for (event, shower) in voxels.rows().into_iter().enumerate() {
        values.extend(cell_energies(shower, 0.0));
        events.resize(values.len(), event as u32);
    }
    let weights = weights.map(|weights| events.iter().map(|&event| weights[event as usize]).collect());
    let feature = Feature {
        name: "cell_energy".into(),
        label: "Cell energy".into(),
        unit: Some("MeV".into()),
        log_x: true,
        log_y: true,
        per_event: false,
    };
    FeatureColumn { feature, values, weights, events: Some(events) }
}

fn column_features(
    name: &str,
    matrix: Array2<f32>,
    unit: Option<&String>,
    weights: Option<&Vec<f32>>,
) -> Vec<FeatureColumn> {
    let column = |name: String, values: Vec<f32>| {
        let feature = scalar_feature(&name, &name, unit, &values);
        FeatureColumn { feature, values, weights: weights.cloned(), events: None }
    };
    if matrix.ncols() == 1 {
        let events = matrix.nrows();
        let (mut values, _) = matrix.into_raw_vec_and_offset();
        values.truncate(events);
        return vec![column(name.to_owned(), values)];
    }
    let elements = matrix.columns().into_iter().enumerate();
    elements.map(|(element, values)| column(format!("{name}_{element}"), values.to_vec())).collect()
}

/// A feature with logarithmic bins where the bulk (1% to 99%) of its values is positive and spans a large ratio.
fn scalar_feature(name: &str, label: &str, unit: Option<&String>, values: &[f32]) -> Feature {
    let mut values = values.to_vec();
    let mut quantile = |percent: usize| {
        let index = (values.len() - 1) * percent / 100;
        *values.select_nth_unstable_by(index, f32::total_cmp).1
    };
    let (low, high) = (quantile(1), quantile(99));
    let log_x = low > 0.0 && high > LOG_RANGE * low;
    Feature {
        name: name.into(),
        label: label.into(),
        unit: unit.cloned(),
        log_x,
        log_y: false,
        per_event: true,
    }
}

impl Extraction {
    /// Visible over incident energy of every shower.
    pub(crate) fn response(&self, calorimeter: &Calorimeter) -> Option<Vec<f32>> {
        Some(self.observables.as_ref()?.column(calorimeter.response).to_vec())
    }

    /// Inputs of the classifier on observables, `[events, inputs]`: the chosen [set](ObservableSet) of shower observables; the other
    /// compared columns, observables of images and the conditions as they are; and `log10 E_incident`. `None` if there is nothing but conditions.
    pub(crate) fn observable_inputs(
        &self,
        table: &Table,
        calorimeter: Option<&Calorimeter>,
    ) -> Option<Array2<f32>> {
        let mut scaled: Vec<Vec<f32>> = Vec::new();
        if let (Some(calorimeter), Some(observables), Some(incident)) =
            (calorimeter, &self.observables, &table.incident)
        {
            scaled.extend(calorimeter.inputs(observables, incident));
        }
        let mut inputs: Vec<_> = scaled.iter().map(ArrayView1::from).collect();
        inputs.extend(self.others.iter().flat_map(|compared| compared.columns(&self.sample)));
        if inputs.is_empty() {
            return None;
        }
        inputs.extend(table.conditions.iter().flat_map(|matrix| matrix.columns()));
        let logarithms = |energies: &Vec<f32>| -> Vec<f32> { energies.iter().map(|e| e.log10()).collect() };
        let energies = table.incident.as_ref().map(logarithms);
        inputs.extend(energies.iter().map(ArrayView1::from));
        Some(Array2::from_shape_fn((table.events, inputs.len()), |(event, input)| inputs[input][event]))
    }
}

/// Inputs of the classifier on voxels, `[events, voxels + 1]`: `v_k/E_incident` and `log10 E_incident`.
pub(crate) fn voxel_inputs(table: &Table) -> Option<Array2<f32>> {
    let (voxels, incident) = (table.voxels.as_ref()?, table.incident.as_ref()?);
    let mut inputs = Array2::zeros((voxels.nrows(), voxels.ncols() + 1));
    for ((mut row, shower), energy) in inputs.rows_mut().into_iter().zip(voxels.rows()).zip(incident) {
        let last = shower.len();
        row.iter_mut().zip(shower).for_each(|(input, voxel)| *input = voxel / energy);
        row[last] = energy.log10();
    }
    Some(inputs)
}

/// Inputs of the classifier on pixels, `[events, pixels + conditions]`, both as they are.
pub(crate) fn pixel_inputs(table: &Table) -> Option<Array2<f32>> {
    let parts: Vec<_> =
        std::iter::once(&table.image.as_ref()?.pixels).chain(&table.conditions).map(Array2::view).collect();
    Some(ndarray::concatenate(Axis(1), &parts).expect("a row for every event"))
}
