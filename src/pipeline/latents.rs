//! Where the latent space of a model with two targets goes: some generated events with the noise they were made of.

use burn::tensor::{Device, Tensor};
use ndarray::{ArrayView2, Axis, concatenate};
use simile_data::{DataError, Dataset, Events, random};
use simile_validation::plots::LatentMap;

use super::{PipelineError, RunDirectory};
use crate::models::bundle::Bundle;
use crate::models::normal_noise;
use crate::sampling::scan_conditions;
use crate::training::tensor;

/// Points of the map: enough to fill a plane, few enough to be told apart.
const POINTS: usize = 4000;

/// Generates events for the first test events' conditions, which begin again when there are fewer; `None` unless the
/// target is two numbers and the noise two or more, of which the first two are shown.
pub(super) fn latent_map(
    run: &RunDirectory,
    bundle: &Bundle,
    test: &Dataset,
    device: &Device,
) -> Result<Option<LatentMap>, PipelineError> {
    let manifest = &bundle.manifest;
    let width: usize = manifest.target_columns.iter().map(|(_, width)| width).sum();
    if width != 2 || bundle.generator.noise_width() < 2 {
        return Ok(None);
    }
    let scan = scan_conditions(bundle, test).limit(Some(POINTS as u64));
    let blocks: Result<Vec<Events>, DataError> = scan.events()?.collect();
    let known = Events::concat(&blocks?)?;
    let events = known.select_rows(&(0..POINTS).map(|point| point % known.len()).collect::<Vec<_>>());

    let mut rng = random::stream(run.config.seed, "validate/latents", 0);
    let noise = normal_noise(POINTS, bundle.generator.noise_width(), device, &mut rng);
    let condition = tensor(&bundle.preprocessing.condition(&events)?, device);
    let target = values(bundle.generator.generate(noise.clone(), condition));
    let target =
        ArrayView2::from_shape((POINTS, target.len() / POINTS), &target).expect("a row for every point");
    let columns = bundle.preprocessing.target_inverse(target, &events)?;
    let views: Vec<ArrayView2<'_, f32>> = columns.iter().map(|(_, values)| values.view()).collect();
    let targets = concatenate(Axis(1), &views).expect("a row for every point");
    Ok(Some(LatentMap {
        latents: values(noise.narrow(1, 0, 2)).chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect(),
        targets: targets.rows().into_iter().map(|pair| [pair[0], pair[1]]).collect(),
        latent_labels: ["z₁", "z₂"].map(String::from),
        target_labels: labels(bundle),
    }))
}

/// A matrix row by row.
fn values(matrix: Tensor<2>) -> Vec<f32> {
    matrix.into_data().try_to_vec().expect("models compute in f32")
}

/// Axis titles of the two targets: the names of two columns, or one with the numbers of its elements, and the unit.
fn labels(bundle: &Bundle) -> [String; 2] {
    let columns = &bundle.manifest.target_columns;
    std::array::from_fn(|index| {
        let column = &columns[index.min(columns.len() - 1)].0;
        let name = if columns.len() == 2 { column.clone() } else { format!("{column}_{index}") };
        match bundle.manifest.units.get(column) {
            Some(unit) => format!("{name} [{unit}]"),
            None => name,
        }
    })
}
