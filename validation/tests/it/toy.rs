//! A toy calorimeter whose showers are known in closed form.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use rand::Rng;
use rand_distr::StandardNormal;
use simile_data::{Dataset, EventWriter, Events, WriterOptions, event_schema, events_to_batch, random};
use simile_physics::{Geometry, Layer};
use simile_validation::ValidateOptions;

/// Mean share of the incident energy in each voxel: layer 0 has 3 rings, layer 1 has 2 rings × 2 sectors.
pub(crate) const SHARES: [f32; 7] = [0.03, 0.02, 0.005, 0.06, 0.02, 0.06, 0.02];
/// Relative fluctuation of each voxel.
const SPREAD: f32 = 0.2;

/// How the showers of one file differ from the truth.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) seed: u64,
    pub(crate) events: usize,
    /// Factor on all energies.
    pub(crate) scale: f32,
    /// Factor on the fluctuation of all voxels.
    pub(crate) spread: f32,
    pub(crate) geometry: bool,
}

pub(crate) fn truth(seed: u64, events: usize) -> Recipe {
    Recipe { seed, events, scale: 1.0, spread: 1.0, geometry: true }
}

pub(crate) fn geometry() -> Geometry {
    Geometry::new(vec![
        Layer { r_edges_mm: vec![0.0, 5.0, 10.0, 20.0], n_alpha: 1, alpha_begin: None, x0: Some([0.0, 5.0]) },
        Layer { r_edges_mm: vec![0.0, 5.0, 20.0], n_alpha: 2, alpha_begin: None, x0: Some([5.0, 20.0]) },
    ])
    .expect("a valid geometry")
}

/// Showers of 1–100 GeV with independent voxels, a mass and a momentum that is not compared with the voxels.
pub(crate) fn showers(recipe: Recipe) -> Events {
    let mut rng = random::stream(recipe.seed, "toy", 0);
    let n = recipe.events;
    let mut normal = |scale: f32| -> f32 { scale * rng.sample::<f32, _>(StandardNormal) };
    let mut voxels = Array2::from_shape_fn((n, SHARES.len()), |(_, k)| {
        SHARES[k] * (1.0 + normal(SPREAD * recipe.spread)).max(0.0)
    });
    let momentum = Array2::from_shape_fn((n, 3), |_| normal(1.0));
    let mut rng = random::stream(recipe.seed, "toy", 1);
    let incident = Array2::from_shape_fn((n, 1), |_| 1e3 * 100.0_f32.powf(rng.r#gen()));
    for (mut shower, energy) in voxels.rows_mut().into_iter().zip(&incident) {
        shower.mapv_inplace(|share| share * energy * recipe.scale);
    }
    let mut events = Events::new((0..n as u64).collect());
    for (name, matrix) in [("incident_energy", incident), ("voxels", voxels), ("momentum", momentum)] {
        events.push(name, matrix).expect("equal lengths");
    }
    events
}

/// Writes events as a Parquet file.
pub(crate) fn write(folder: &Path, name: &str, events: &Events, geometry: Option<&Geometry>) -> PathBuf {
    let path = folder.join(name);
    let columns: Vec<(String, usize)> = events
        .names()
        .map(|name| (name.to_owned(), events.column(name).expect("a named column").ncols()))
        .collect();
    let metadata: HashMap<String, String> = geometry
        .map(|geometry| (Geometry::METADATA_KEY.to_owned(), geometry.to_json()))
        .into_iter()
        .collect();
    let schema = event_schema(&columns, metadata);
    let mut writer =
        EventWriter::create(&path, schema.clone(), &WriterOptions::default()).expect("a new file");
    writer
        .write(&events_to_batch(events, &schema).expect("the schema of the events"))
        .expect("space on disk");
    writer.finish().expect("space on disk");
    path
}

/// A data set of toy showers.
pub(crate) fn dataset(folder: &Path, name: &str, recipe: Recipe) -> Dataset {
    let geometry = recipe.geometry.then(geometry);
    open(&write(folder, name, &showers(recipe), geometry.as_ref()))
}

pub(crate) fn open(path: &Path) -> Dataset {
    Dataset::open(&[path.to_str().expect("a UTF-8 path")]).expect("a Parquet file")
}

pub(crate) fn options() -> ValidateOptions {
    ValidateOptions {
        incident: Some("incident_energy".into()),
        voxels: Some("voxels".into()),
        columns: vec!["momentum".into()],
        seed: 11,
        ..ValidateOptions::default()
    }
}

/// Expected response: sum of the shares.
pub(crate) fn response() -> f64 {
    SHARES.iter().map(|&share| f64::from(share)).sum()
}

/// Expected σ/E: independent voxels of equal relative fluctuation.
pub(crate) fn resolution() -> f64 {
    let squares: f64 = SHARES.iter().map(|&share| f64::from(share).powi(2)).sum();
    f64::from(SPREAD) * squares.sqrt() / response()
}
