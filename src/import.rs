//! Showers from HDF5 files of the CaloChallenge (arXiv:2410.21611).
//!
//! Such a file has two datasets of numbers, energies in MeV: `incident_energies` `[events, 1]` and `showers`
//! `[events, voxels]`, r fastest, then α, then layer, which is the order of our voxels too. They are read in blocks of
//! events, so that memory does not grow with the file.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5::{Dataset, File};
use ndarray::{ArrayView2, Axis};
use simile_data::{
    DataError, EventWriter, Events, GEOMETRY_KEY, SchemaRef, UNITS_KEY, WriterOptions, WrittenFile,
    event_schema, events_to_batch,
};
use simile_physics::Geometry;

use crate::sampling::Observer;

/// Dataset of the incident energies.
const INCIDENT: &str = "incident_energies";
/// Dataset of the voxels.
const SHOWERS: &str = "showers";
/// Columns they become.
const COLUMNS: [&str; 2] = ["incident_energy", "voxels"];
/// Voxels read at a time, 32 MiB: with the largest showers in use (40,500 voxels) still as many events as the chunks
/// of such a file have, which are decompressed as a whole.
const BLOCK_VOXELS: usize = 8 << 20;

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not there, or not HDF5.
    #[error("{path} cannot be opened as an HDF5 file: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system or the HDF5 library says.
        reason: String,
    },
    /// A dataset is missing.
    #[error(
        "{path} has no dataset `{dataset}`, only {found}; files of the CaloChallenge have `{INCIDENT}` and `{SHOWERS}`"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The dataset.
        dataset: &'static str,
        /// What the file has at its top.
        found: String,
    },
    /// A dataset has other dimensions than it should.
    #[error("`{dataset}` of {path} has the shape {found:?}, but should have {expected}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The dataset.
        dataset: &'static str,
        /// Its dimensions.
        found: Vec<usize>,
        /// What they should be.
        expected: String,
    },
    /// Numbers cannot be read.
    #[error("events {} to {} of `{dataset}` in {path} cannot be read, the file is damaged or holds no numbers: {reason}",
        events.start, events.end)]
    Read {
        /// The file.
        path: PathBuf,
        /// The dataset.
        dataset: &'static str,
        /// Events asked for.
        events: Range<usize>,
        /// What the HDF5 library says.
        reason: String,
    },
    /// An energy that cannot be one.
    #[error(
        "event {event} of `{dataset}` in {path} has the value {value}{place}, but should have {expected}; remove the event"
    )]
    Value {
        /// The file.
        path: PathBuf,
        /// The dataset.
        dataset: &'static str,
        /// The event, counted from 0.
        event: usize,
        /// The voxel, if it is one.
        place: String,
        /// The value in single precision.
        value: f32,
        /// What it should be.
        expected: &'static str,
    },
    /// The Parquet file cannot be written.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Writes the showers of the CaloChallenge file `input`, recorded with `geometry`, to the Parquet file `out`:
/// `incident_energy` and `voxels` in MeV, single precision, with geometry and units in the schema metadata, and
/// `generator` beside them. It appears under its name only when it is complete.
///
/// # Errors
/// If `input` is no such file, its voxels are not those of the geometry, an energy is negative or not a number, or
/// `out` cannot be written; there is no output then.
pub fn import_showers(
    input: &Path,
    geometry: &Geometry,
    generator: &serde_json::Value,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<WrittenFile, ImportError> {
    let showers = ShowerFile::open(input, geometry)?;
    let schema = schema(geometry, generator);
    let mut writer = EventWriter::create(out, schema.clone(), &WriterOptions::default())?;
    observer.begin(showers.events as u64);
    for events in showers.blocks() {
        let block = showers.read(events)?;
        writer.write(&events_to_batch(&block, &schema)?)?;
        observer.advance(block.len() as u64);
    }
    Ok(writer.finish()?)
}

fn schema(geometry: &Geometry, generator: &serde_json::Value) -> SchemaRef {
    let units =
        serde_json::json!(COLUMNS.map(|column| (column, "MeV")).into_iter().collect::<HashMap<_, _>>());
    let metadata = HashMap::from([
        (GEOMETRY_KEY.to_owned(), geometry.to_json()),
        (UNITS_KEY.to_owned(), units.to_string()),
        ("generator".to_owned(), generator.to_string()),
    ]);
    let [incident, voxels] = COLUMNS.map(str::to_owned);
    event_schema(&[(incident, 1), (voxels, geometry.n_voxels())], metadata)
}

/// An open file whose datasets have the right shapes.
struct ShowerFile {
    path: PathBuf,
    incident: Dataset,
    showers: Dataset,
    events: usize,
    voxels: usize,
}

impl ShowerFile {
    fn open(path: &Path, geometry: &Geometry) -> Result<Self, ImportError> {
        let open = |reason: String| ImportError::Open { path: path.to_owned(), reason };
        // The HDF5 library words a missing file as a failure of its own.
        std::fs::File::open(path).map_err(|error| open(error.to_string()))?;
        let file = File::open(path).map_err(|error| open(error.to_string()))?;
        let dataset = |dataset| {
            file.dataset(dataset).map_err(|_| ImportError::Missing {
                path: path.to_owned(),
                dataset,
                found: quoted(&file.member_names().unwrap_or_default()),
            })
        };
        let (incident, showers) = (dataset(INCIDENT)?, dataset(SHOWERS)?);
        let shape = |dataset, found: Vec<usize>, expected: String| ImportError::Shape {
            path: path.to_owned(),
            dataset,
            found,
            expected,
        };
        let voxels = geometry.n_voxels();
        let events = match showers.shape()[..] {
            [events, found] if events > 0 && found == voxels => events,
            _ => {
                let expected = format!("one row per event and the {voxels} voxels of the binning in each");
                return Err(shape(SHOWERS, showers.shape(), expected));
            }
        };
        match incident.shape()[..] {
            [found] | [found, 1] if found == events => {}
            _ => {
                let expected = format!("{events} rows as `{SHOWERS}` has, with one energy in each");
                return Err(shape(INCIDENT, incident.shape(), expected));
            }
        }
        Ok(Self { path: path.to_owned(), incident, showers, events, voxels })
    }

    /// Events that are read together: as many as whole chunks of the file have, where that is possible.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let fit = (BLOCK_VOXELS / self.voxels).max(1);
        let size = match self.showers.chunk().as_deref() {
            Some(&[rows, _]) if (1..=fit).contains(&rows) => fit - fit % rows,
            _ => fit,
        };
        let events = self.events;
        (0..events).step_by(size).map(move |begin| begin..(begin + size).min(events))
    }

    fn read(&self, events: Range<usize>) -> Result<Events, ImportError> {
        let failed = |dataset, error: hdf5::Error| ImportError::Read {
            path: self.path.clone(),
            dataset,
            events: events.clone(),
            reason: error.to_string(),
        };
        let incident = match self.incident.ndim() {
            1 => self.incident.read_slice_1d::<f32, _>(events.clone()),
            _ => self.incident.read_slice_1d::<f32, _>((events.clone(), 0)),
        };
        let incident = incident.map_err(|error| failed(INCIDENT, error))?.insert_axis(Axis(1));
        let showers = self.showers.read_slice_2d::<f32, _>((events.clone(), ..));
        let showers = showers.map_err(|error| failed(SHOWERS, error))?;
        self.check(
            INCIDENT,
            incident.view(),
            events.start,
            |energy| energy > 0.0,
            "a positive energy in MeV",
        )?;
        self.check(
            SHOWERS,
            showers.view(),
            events.start,
            |energy| energy >= 0.0,
            "an energy in MeV, 0 or more",
        )?;
        let mut block = Events::new((events.start as u64..events.end as u64).collect());
        for (name, values) in COLUMNS.into_iter().zip([incident, showers]) {
            block.push(name, values)?;
        }
        Ok(block)
    }

    fn check(
        &self,
        dataset: &'static str,
        values: ArrayView2<'_, f32>,
        first: usize,
        holds: impl Fn(f32) -> bool,
        expected: &'static str,
    ) -> Result<(), ImportError> {
        let wrong = values.indexed_iter().find(|&(_, &value)| !(value.is_finite() && holds(value)));
        wrong.map_or(Ok(()), |((row, column), &value)| {
            let place = if dataset == SHOWERS { format!(" in voxel {column}") } else { String::new() };
            let (path, event) = (self.path.clone(), first + row);
            Err(ImportError::Value { path, dataset, event, place, value, expected })
        })
    }
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { "nothing".to_owned() } else { quoted.join(", ") }
}
