//! Toy samples whose truth is known, configurations that train on them in a second, and one trained run to share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Float32Type, Schema};
use rand::Rng;
use rand_distr::{Exp1, StandardNormal};
use simile_data::{EventWriter, GEOMETRY_KEY, UNITS_KEY, WriterOptions, random};
use tempfile::TempDir;

use crate::program::{succeed, text};

/// Three layers of 2, 2 × 2 and 2 rings × sectors.
pub(crate) const GEOMETRY: &str = r#"{"layers":[
    {"r_edges_mm":[0,10,40],"n_alpha":1,"x0":[0,2]},
    {"r_edges_mm":[0,10,40],"n_alpha":2,"x0":[2,10]},
    {"r_edges_mm":[0,10,40],"n_alpha":1,"x0":[10,20]}]}"#;
pub(crate) const UNITS: &str = r#"{"incident_energy":"MeV","voxels":"MeV"}"#;
/// Mean share of the visible energy in each voxel.
const SHARES: [f32; VOXELS] = [0.10, 0.04, 0.30, 0.08, 0.28, 0.08, 0.09, 0.03];
/// Voxels of the geometry.
pub(crate) const VOXELS: usize = 8;

/// Showers with a visible fraction of 0.2 whose voxels fluctuate independently.
#[derive(Clone)]
pub(crate) struct Showers {
    pub(crate) energy: Vec<f32>,
    pub(crate) voxels: Vec<[f32; VOXELS]>,
}

impl Showers {
    pub(crate) fn new(n: usize, seed: u64) -> Self {
        let mut rng = random::stream(seed, "toy/showers", 0);
        let energy: Vec<f32> = (0..n).map(|_| 1000.0 * rng.gen_range(0.0..3.0_f32).exp()).collect();
        let voxels = energy.iter().map(|energy| {
            SHARES.map(|share| {
                let fluctuation: f32 = rng.sample::<f32, _>(Exp1) + rng.sample::<f32, _>(Exp1);
                0.2 * energy * share * (0.5 + 0.25 * fluctuation)
            })
        });
        Self { voxels: voxels.collect(), energy }
    }

    pub(crate) fn energy_column(&self) -> (&'static str, ArrayRef) {
        ("incident_energy", Arc::new(Float32Array::from(self.energy.clone())))
    }

    pub(crate) fn voxel_column(&self) -> (&'static str, ArrayRef) {
        let rows = self.voxels.iter().map(|shower| Some(shower.map(Some)));
        let voxels = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, VOXELS as i32);
        ("voxels", Arc::new(voxels))
    }

    pub(crate) fn write(&self, path: &Path) {
        write(path, vec![self.energy_column(), self.voxel_column()]);
    }
}

/// Writes columns behind an `event_id`, with geometry and units.
pub(crate) fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    write_as(path, columns, [GEOMETRY, UNITS]);
}

/// The same with another geometry and other units.
pub(crate) fn write_as(path: &Path, columns: Vec<(&str, ArrayRef)>, [geometry, units]: [&str; 2]) {
    let rows = columns.first().map_or(0, |(_, array)| array.len()) as i64;
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(100..100 + rows));
    let columns: Vec<(&str, ArrayRef)> = std::iter::once(("event_id", id)).chain(columns).collect();
    let metadata = HashMap::from([(GEOMETRY_KEY.into(), geometry.into()), (UNITS_KEY.into(), units.into())]);
    let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), metadata));
    let mut writer = EventWriter::create(path, schema.clone(), &WriterOptions::default()).unwrap();
    if rows > 0 {
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        writer.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    }
    writer.finish().unwrap();
}

/// Tracks: a hit position (`dx`, `dy`) in mm whose spread falls with the `momentum`, shifted by `bias`.
pub(crate) fn write_tracks(path: &Path, n: usize, seed: u64, bias: f32) {
    let mut rng = random::stream(seed, "toy/tracks", 0);
    let momentum: Vec<f32> = (0..n).map(|_| rng.gen_range(1.0..10.0)).collect();
    let mut position = |bias: f32| -> ArrayRef {
        let values = momentum.iter().map(|p| bias + rng.sample::<f32, _>(StandardNormal) / p);
        Arc::new(Float32Array::from_iter_values(values))
    };
    let (dx, dy) = (position(bias), position(0.0));
    let momentum: ArrayRef = Arc::new(Float32Array::from(momentum.clone()));
    write(path, vec![("momentum", momentum), ("dx", dx), ("dy", dy)]);
}

const COMMON: &str = r#"
[model]
kind = "flow"
couplings = 2
width = 16
hidden = 1
bins = 4

[training]
epochs = 2
batch_size = 64

[validation]
c2st = { seeds = 1 }
classifier = { width = 16, hidden = 1, epochs = 1 }
"#;

/// A configuration that trains on the showers of a file, half of them, and compares with the other half.
pub(crate) fn shower_config(file: &Path) -> String {
    let file = text(file);
    format!(
        r#"title = "Toy showers"

[data]
files = ["{file}"]
condition = ["incident_energy"]
target = ["voxels"]
split = {{ train = 0.5, validation = 0.1, test = 0.4 }}

[preprocessing]
incident_energy = [{{ kind = "log" }}, {{ kind = "standardize" }}]
voxels = [
    {{ kind = "layer_energies", incident = "incident_energy", threshold_mev = 0.01 }},
    {{ kind = "quantile" }},
]
{COMMON}"#
    )
}

/// The same for tracks.
pub(crate) fn track_config(file: &Path) -> String {
    let file = text(file);
    format!(
        r#"title = "Toy tracks"

[data]
files = ["{file}"]
condition = ["momentum"]
target = ["dx", "dy"]
{COMMON}"#
    )
}

/// A folder with a sample, its configuration, and perhaps its run.
pub(crate) struct Toy {
    folder: PathBuf,
    /// Removes the folder.
    _guard: Option<TempDir>,
}

impl Toy {
    fn temporary() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder: folder.path().to_path_buf(), _guard: Some(folder) }
    }

    /// 600 showers.
    pub(crate) fn showers() -> Self {
        Self::temporary().with_showers()
    }

    fn with_showers(self) -> Self {
        Showers::new(600, 1).write(&self.data());
        self.configure(&shower_config(&self.data()));
        self
    }

    /// 600 tracks.
    pub(crate) fn tracks() -> Self {
        let toy = Self::temporary();
        write_tracks(&toy.data(), 600, 1, 0.0);
        toy.configure(&track_config(&toy.data()));
        toy
    }

    pub(crate) fn configure(&self, config: &str) {
        std::fs::write(self.config(), config).unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> String {
        text(self.folder().join(name))
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("events.parquet")
    }

    pub(crate) fn config(&self) -> String {
        self.path("toy.toml")
    }

    /// The run directory.
    pub(crate) fn run(&self) -> PathBuf {
        self.folder().join("run")
    }

    pub(crate) fn model(&self) -> PathBuf {
        self.run().join("model")
    }

    /// Runs `prepare` and `train`.
    pub(crate) fn train(self) -> Self {
        let run = text(self.run());
        succeed(&["prepare", &self.config(), "--out", &run]);
        succeed(&["train", &run]);
        self
    }
}

/// Showers with a complete run; for reading only.
pub(crate) fn trained_showers() -> &'static Toy {
    static TOY: OnceLock<Toy> = OnceLock::new();
    TOY.get_or_init(|| {
        // Nothing drops a static, so the folder lies where the next test run finds and replaces it.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trained_showers");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let toy = Toy { folder, _guard: None }.with_showers();
        succeed(&["run", &toy.config(), "--out", &text(toy.run())]);
        toy
    })
}
