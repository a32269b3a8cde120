//! What a sample is, which part of it a file holds, and where both are written down.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use simile_data::{DataError, Dataset};

use super::{SampleOptions, Shard, row_group_rows};
use crate::files;
use crate::models::bundle::Bundle;

/// Schema metadata key of [`Origin`], as other generators of events use it.
pub(super) const ORIGIN_KEY: &str = "generator";
/// Key of [`Part`] in the footer, outside the schema: all else is equal in the parts of a sample.
pub(super) const PART_KEY: &str = "simile.part";
/// Version of the layout of [`PartManifest`].
const FORMAT_VERSION: u32 = 1;

/// Everything that decides the events of a sample: parts belong together if this is equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Program and version
    pub code: String,
    /// Kind of model
    pub model: String,
    /// SHA-256 of the model's weights
    pub weights_sha256: String,
    /// SHA-256 over preprocessing, model configuration and columns
    pub configuration_sha256: String,
    /// SHA-256 over sizes and footers of the files with the conditions
    pub conditions_sha256: String,
    /// Seed of the random numbers
    pub seed: u64,
    /// Events of the whole sample
    pub events: u64,
}

impl Origin {
    pub(super) fn new(
        bundle: &Bundle,
        conditions: &Dataset,
        options: &SampleOptions,
    ) -> Result<Self, DataError> {
        Ok(Self {
            code: concat!("simile ", env!("CARGO_PKG_VERSION")).to_owned(),
            model: bundle.manifest.kind.clone(),
            weights_sha256: bundle.weights_sha256.clone(),
            configuration_sha256: configuration_sha256(bundle),
            conditions_sha256: conditions.fingerprint()?,
            seed: options.seed,
            events: options.events.unwrap_or(conditions.num_rows()),
        })
    }

    /// In what another origin differs: key, value here, value there.
    pub(super) fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let [mine, theirs] = [self, other]
            .map(|origin| serde_json::to_value(origin).expect("plain data are representable in JSON"));
        let keys = mine.as_object().into_iter().flatten();
        keys.filter(|(key, value)| theirs[key.as_str()] != **value)
            .map(|(key, value)| (key.clone(), value.to_string(), theirs[key.as_str()].to_string()))
            .next()
    }
}

/// Hash of what decides the events of a model besides its weights.
fn configuration_sha256(bundle: &Bundle) -> String {
    let manifest = &bundle.manifest;
    let data = &manifest.config.data;
    let parts = serde_json::json!({
        "preprocessing": bundle.preprocessing,
        "model": manifest.config.model,
        "columns": [manifest.condition_columns, manifest.target_columns],
        "geometry": manifest.geometry,
        "units": manifest.units,
        "data": [serde_json::json!(data.id), serde_json::json!(data.weight), serde_json::json!(data.derived)],
    });
    simile_data::sha256(parts.to_string().as_bytes()).expect("memory can be read")
}

/// Which events of a sample are in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The shard that was asked for; 1/1 is all of it
    pub shard: Shard,
    /// Number of the first event
    pub first: u64,
    /// Number behind the last event
    pub end: u64,
}

impl Part {
    /// A shard of a sample of `events` events, `row_bytes` bytes each.
    pub(super) fn new(shard: Shard, events: u64, row_bytes: u64) -> Self {
        let range = shard.range(events, row_group_rows(events, row_bytes));
        Self { shard, first: range.start, end: range.end }
    }

    /// Number of events.
    pub fn events(&self) -> u64 {
        self.end - self.first
    }
}

/// A sample and a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The sample
    pub origin: Origin,
    /// The part of it
    pub part: Part,
}

impl Provenance {
    /// Reads the footer of a file; none where `simile sample` did not write it.
    pub(super) fn of_file(dataset: &Dataset, file: usize) -> Option<Self> {
        let read = |key| dataset.file_metadata(file, key);
        Some(Self {
            origin: serde_json::from_str(read(ORIGIN_KEY)?).ok()?,
            part: serde_json::from_str(read(PART_KEY)?).ok()?,
        })
    }
}

/// How a part was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Making {
    /// Seconds from the start to the first event
    pub setup_seconds: f64,
    /// Seconds of generation alone
    pub generation_seconds: f64,
    /// Seconds in all, up to the complete file
    pub seconds: f64,
    /// Threads
    pub threads: usize,
    /// Vector instructions of the processor; others may round otherwise
    pub instructions: String,
}

/// `…_manifest.json` beside a file of generated events. It appears before the file does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartManifest {
    /// Version of this layout
    pub format_version: u32,
    /// Name of the file
    pub file: String,
    /// Its SHA-256
    pub sha256: String,
    /// Its size
    pub bytes: u64,
    /// Events in it
    pub events: u64,
    /// What they are
    #[serde(flatten)]
    pub provenance: Provenance,
    /// How each part was made: one entry, or in a merged file one for every part in order
    pub making: Vec<Making>,
}

impl PartManifest {
    /// For a complete file that lacks only its name `out`.
    pub(super) fn new(
        out: &Path,
        file: &simile_data::PendingFile,
        provenance: Provenance,
        making: Vec<Making>,
    ) -> Result<Self, DataError> {
        Ok(Self {
            format_version: FORMAT_VERSION,
            file: out.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256: file.sha256()?,
            bytes: file.bytes()?,
            events: file.rows(),
            provenance,
            making,
        })
    }

    /// Where the manifest of a file lies.
    pub fn path(file: &Path) -> PathBuf {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        file.with_file_name(format!("{stem}_manifest.json"))
    }

    /// Reads the manifest of a file.
    ///
    /// # Errors
    /// Says why there is none.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let path = Self::path(file);
        let manifest: Self =
            files::read_json(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        match manifest.format_version {
            FORMAT_VERSION => Ok(manifest),
            other => Err(format!("{} has format version {other}, not {FORMAT_VERSION}", path.display())),
        }
    }

    /// Writes it beside its file.
    pub(super) fn write(&self, file: &Path) -> Result<(), DataError> {
        files::write_json(&Self::path(file), self)
    }
}
