//! Settings of nested events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simile_data::ObjectsConfig;
use simile_physics::reconstruction::{ReconstructionConfig, ReconstructionError};

use crate::config::ConfigError;

/// The `[reconstruction]` table: showers become clusters before anything else is done with them. The targets are then
/// among `cluster_energy` (MeV), `cluster_x`, `cluster_y` and `cluster_width` (mm), `cluster_depth` (X₀), `cluster_cells`,
/// `cluster_quality` and `cluster_found`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClustersConfig {
    /// Column of the voxel energies in MeV.
    pub voxels: String,
    /// Column of the incident energy in MeV, which the calibration is fitted to.
    pub incident: String,
    /// Noise, thresholds and calibration.
    pub settings: ReconstructionConfig,
}

impl Default for ClustersConfig {
    fn default() -> Self {
        let [voxels, incident] = ["voxels", "incident_energy"].map(String::from);
        Self { voxels, incident, settings: ReconstructionConfig::default() }
    }
}

impl ClustersConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ReconstructionError> {
        self.settings.check()
    }
}

/// The `[events]` table: nested events, whose objects are reconstructed by the surrogate one by one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// Parquet files or globs that a run fills and compares; `simile fill` takes others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The generated objects, and the model's conditions in terms of what the file has.
    pub objects: ObjectsConfig,
    /// Columns to be passed on, by default all; `Jet_*` stands for all that begin so. Others are not read unless needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Put before the names of the targets to name the new columns of lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// New column with the position of the generated object in its list, by default the prefix, the collection, and
    /// `_index`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// Reconstructions of each event; more than one makes rows of their own with a part of the event's weight.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub oversample: usize,
    /// Column of event weights, made where the file has none and events are repeated.
    #[serde(default = "weight")]
    pub weight: String,
    /// Barycentres to be turned into directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<DirectionConfig>,
    /// Member with the voxels of each object in MeV, which a run with `[reconstruction]` makes the reference of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voxels: Option<String>,
    /// Invariant masses to be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masses: Option<MassesConfig>,
}

/// Directions: new columns `pt`, `eta` and `phi` of clusters, whose barycentre is relative to the axis of a generated
/// object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectionConfig {
    /// η and φ of the generated object.
    pub axis: [String; 2],
    /// Targets with the barycentre in mm, towards growing φ and towards growing η.
    pub barycentre: [String; 2],
    /// Target with the energy.
    pub energy: String,
    /// Names of the new columns, after the prefix.
    pub names: [String; 3],
    /// Distance of the calorimeter's face from the vertex in mm.
    pub distance_mm: f64,
}

/// Invariant masses of the clusters of one parent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MassesConfig {
    /// Member of the generated objects with the position of their parent in its collection.
    pub parent: String,
    /// Member of the parents with their PDG number: a peak for every kind.
    pub species: String,
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

fn weight() -> String {
    "weight".into()
}

impl EventsConfig {
    /// Checks values that types alone cannot.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.oversample == 0 {
            return Err(ConfigError::value("events.oversample", 0, "at least 1"));
        }
        match &self.direction {
            Some(direction) if !(direction.distance_mm > 0.0 && direction.distance_mm.is_finite()) => {
                let key = "events.direction.distance_mm";
                Err(ConfigError::value(key, direction.distance_mm, "positive and finite"))
            }
            _ => Ok(()),
        }
    }

    /// Name of the column of positions.
    #[must_use]
    pub fn index_name(&self) -> String {
        let default = || format!("{}{}_index", self.prefix, self.objects.collection);
        self.index.clone().unwrap_or_else(default)
    }

    /// Name of the column of lists for a target.
    #[must_use]
    pub fn list_name(&self, target: &str) -> String {
        format!("{}{target}", self.prefix)
    }

    /// Whether a column is passed on.
    pub(crate) fn keeps(&self, column: &str) -> bool {
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => column.starts_with(beginning),
            None => column == pattern,
        };
        self.keep.is_empty() || self.keep.iter().any(matches)
    }
}
