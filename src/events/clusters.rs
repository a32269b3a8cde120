//! The reconstruction of fully simulated showers as files: flat tables to train on, and the reference lists of nested
//! events.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use simile_data::{
    DataError, Dataset, EventWriter, Events, ObjectReader, UNITS_KEY, WriterOptions, WrittenFile,
    events_to_batch, random,
};
use simile_physics::Geometry;
use simile_physics::reconstruction::{
    Calibration, CalibrationFit, RawCluster, Reconstruction, ReconstructionConfig, ReconstructionError,
};
use thiserror::Error;

use super::nested::{NestedWriter, Quantity};
use super::{ClustersConfig, EventsConfig};

/// Columns of a cluster: name, type, unit.
pub(crate) const CLUSTER_COLUMNS: [(&str, DataType, Option<&str>); 7] = [
    ("cluster_energy", DataType::Float32, Some("MeV")),
    ("cluster_x", DataType::Float32, Some("mm")),
    ("cluster_y", DataType::Float32, Some("mm")),
    ("cluster_depth", DataType::Float32, Some("X0")),
    ("cluster_width", DataType::Float32, Some("mm")),
    ("cluster_cells", DataType::Int32, None),
    ("cluster_quality", DataType::Int32, None),
];
/// Whether it is found.
const FOUND: &str = "cluster_found";

/// Showers that cannot be reconstructed.
#[derive(Debug, Error)]
pub enum ClustersError {
    /// Settings, geometry or calibration.
    #[error(transparent)]
    Reconstruction(#[from] ReconstructionError),
    /// Reading or writing.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Showers without a calorimeter.
    #[error(
        "{place} has no calorimeter geometry in its schema metadata (simile.geometry), which the reconstruction needs"
    )]
    NoGeometry {
        /// The file
        place: String,
    },
    /// The voxels are of another calorimeter.
    #[error(
        "column `{column}` has {found} voxels a shower, the geometry {expected}: they must be of one calorimeter"
    )]
    Voxels {
        /// The column
        column: String,
        /// Its width
        found: usize,
        /// Voxels of the geometry
        expected: usize,
    },
    /// No column of voxels is named.
    #[error(
        "`events.voxels` is needed to reconstruct events: the member of the objects that holds their voxels"
    )]
    NoVoxels,
}

/// A calibrated reconstruction.
#[derive(Clone, Debug)]
pub struct Clusters {
    reconstruction: Reconstruction,
    settings: ReconstructionConfig,
    calibration: Calibration,
    seed: u64,
}

impl Clusters {
    /// Prepares the reconstruction of showers like those of `showers`, on which the calibration is fitted unless it is
    /// given.
    ///
    /// # Errors
    /// If a setting is out of range, the file has no geometry or no such columns, or the calibration cannot be fitted.
    pub fn prepare(config: &ClustersConfig, showers: &Dataset, seed: u64) -> Result<Self, ClustersError> {
        let reconstruction = Reconstruction::new(&geometry(showers)?, &config.settings)?;
        let settings = config.settings.clone();
        if let Some(calibration) = settings.calibration {
            return Ok(Self { reconstruction, settings, calibration, seed });
        }
        let mut fit = CalibrationFit::default();
        for events in showers.scan().columns(&[&config.voxels, &config.incident]).events()? {
            let events = events?;
            let voxels = events.column(&config.voxels)?;
            let clusters = raw(&reconstruction, &config.voxels, voxels, &events.rows, seed, SHOWERS)?;
            for (cluster, incident) in clusters.iter().zip(events.column(&config.incident)?) {
                fit.add(cluster.visible_mev, f64::from(*incident));
            }
        }
        Ok(Self { reconstruction, settings, calibration: fit.solve()?, seed })
    }

    /// The calibration in use.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// Writes the columns `carried` of a flat file of showers as they are, with the columns of the clusters, `cluster_found`
    /// among them.
    ///
    /// # Errors
    /// If showers cannot be read, are of another calorimeter, or the file not be written.
    pub fn write_flat(
        &self,
        showers: &Dataset,
        voxels: &str,
        carried: &[String],
        out: &Path,
    ) -> Result<WrittenFile, ClustersError> {
        let mut fields: Vec<Field> = Vec::new();
        for column in carried {
            fields.push(showers.field(column)?.clone());
        }
        fields.extend(cluster_fields());
        let schema = Schema::new_with_metadata(fields, self.metadata(showers)?).into();
        let mut writer = EventWriter::create(out, schema, &WriterOptions::default())?;
        let schema = writer.schema().clone();
        let made = Arc::new(Schema::new(cluster_fields().collect::<Vec<_>>()));
        let scan = |columns: &[&str]| showers.scan().columns(columns).batch_rows(BLOCK);
        let carried: Vec<&str> = carried.iter().map(String::as_str).collect();
        // Numbers of showers need not fit into single precision, in which voxels are read.
        for (events, batch) in scan(&[voxels]).events()?.zip(scan(&carried).batches()?) {
            let events = events?;
            let clusters =
                raw(&self.reconstruction, voxels, events.column(voxels)?, &events.rows, self.seed, SHOWERS)?;
            let mut table = Events::new(events.rows);
            self.add_columns(&mut table, &clusters)?;
            let mut columns = batch?.columns().to_vec();
            columns.extend(events_to_batch(&table, &made)?.columns().iter().cloned());
            writer.write(&RecordBatch::try_new(schema.clone(), columns).map_err(DataError::from)?)?;
        }
        Ok(writer.finish()?)
    }

    /// Writes nested events with the clusters of their objects as lists, as the surrogate would; and, as a flat file, the
    /// columns `wanted` of all their objects with the columns of the clusters.
    ///
    /// # Errors
    /// As [`write_flat`](Self::write_flat).
    pub fn write_nested(
        &self,
        input: &Dataset,
        config: &EventsConfig,
        wanted: &[String],
        [nested, flat]: [&Path; 2],
    ) -> Result<u64, ClustersError> {
        let voxels = config.voxels.as_ref().ok_or(ClustersError::NoVoxels)?;
        let mut read: Vec<String> = wanted.to_vec();
        let axis = config.direction.iter().flat_map(|direction| direction.axis.iter());
        for column in axis.chain([voxels]) {
            if !read.contains(column) {
                read.push(column.clone());
            }
        }
        let reader = ObjectReader::new(input, &config.objects, &read)?;
        let quantities = CLUSTER_COLUMNS.map(|(name, data_type, unit)| {
            let unit = unit.map(str::to_owned);
            Quantity { name: name.to_owned(), data_type, unit }
        });
        let mut lists = NestedWriter::create(nested, input, config, 1, &quantities, &self.description())?;
        let fields = wanted.iter().map(|name| Field::new(name, DataType::Float32, false));
        let fields: Vec<_> = fields.chain(cluster_fields()).collect();
        let schema = Schema::new_with_metadata(fields, self.metadata(input)?).into();
        let mut table = EventWriter::create(flat, schema, &WriterOptions::default())?;
        let schema = table.schema().clone();
        let mut columns: Vec<String> = lists.kept.clone();
        columns.extend(reader.columns().into_iter().filter(|column| !lists.kept.contains(column)));
        let mut first = 0;
        for block in input.scan().columns(&columns).blocks()? {
            let block = block?;
            let mut objects = reader.read(&block)?;
            let numbers: Vec<u64> = (first..first + objects.len() as u64).collect();
            first += objects.len() as u64;
            let showers = objects.table.column(voxels)?;
            let clusters = raw(&self.reconstruction, voxels, showers, &numbers, self.seed, EVENTS)?;
            self.add_columns(&mut objects.table, &clusters)?;
            let found: Vec<bool> = objects.table.column(FOUND)?.iter().map(|&found| found > 0.5).collect();
            lists.write(&block.batch, &objects.offsets, &objects.table, &found)?;
            table.write(&events_to_batch(&objects.table, &schema)?)?;
        }
        lists.finish()?;
        table.finish()?;
        Ok(first)
    }

    fn add_columns(&self, events: &mut Events, clusters: &[RawCluster]) -> Result<(), DataError> {
        let column = |value: &dyn Fn(&RawCluster) -> f64| {
            Array2::from_shape_fn((clusters.len(), 1), |(i, _)| value(&clusters[i]) as f32)
        };
        let found =
            |cluster: &RawCluster| f64::from(u8::from(self.calibration.finds(cluster, &self.settings)));
        let values: [Array2<f32>; 8] = [
            column(&|cluster| self.calibration.energy_mev(cluster)),
            column(&|cluster| cluster.x_mm),
            column(&|cluster| cluster.y_mm),
            column(&|cluster| cluster.depth_x0),
            column(&|cluster| cluster.width_mm),
            column(&|cluster| f64::from(cluster.cells)),
            column(&|cluster| f64::from(cluster.quality)),
            column(&found),
        ];
        let names = CLUSTER_COLUMNS.iter().map(|(name, ..)| *name).chain([FOUND]);
        names.zip(values).try_for_each(|(name, values)| events.push(name, values))
    }

    /// What made the clusters.
    fn description(&self) -> serde_json::Value {
        let settings = ReconstructionConfig { calibration: Some(self.calibration), ..self.settings.clone() };
        serde_json::json!({
            "code": format!("simile {}", env!("CARGO_PKG_VERSION")),
            "settings": settings,
            "seed": self.seed,
        })
    }

    fn metadata(&self, input: &Dataset) -> Result<HashMap<String, String>, DataError> {
        let mut metadata: HashMap<String, String> =
            input.schema().metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut units = input.units()?;
        units.extend(
            CLUSTER_COLUMNS
                .iter()
                .filter_map(|(name, _, unit)| Some(((*name).to_owned(), (*unit)?.to_owned()))),
        );
        metadata.insert(UNITS_KEY.to_owned(), serde_json::to_string(&units).expect("a map of strings"));
        metadata.insert("simile.reconstruction".to_owned(), self.description().to_string());
        Ok(metadata)
    }
}

/// Showers that are in memory at a time.
const BLOCK: usize = 4096;
/// Names of random streams of noise.
const SHOWERS: &str = "reconstruct/showers";
const EVENTS: &str = "reconstruct/events";

/// Clusters of showers `[showers, voxels]`; `numbers` key their noise.
fn raw(
    reconstruction: &Reconstruction,
    column: &str,
    voxels: ArrayView2<f32>,
    numbers: &[u64],
    seed: u64,
    stage: &str,
) -> Result<Vec<RawCluster>, ClustersError> {
    let (found, expected) = (voxels.ncols(), reconstruction.n_voxels());
    if found != expected && !numbers.is_empty() {
        return Err(ClustersError::Voxels { column: column.to_owned(), found, expected });
    }
    let voxels = voxels.as_standard_layout();
    let clusters = voxels.axis_iter(Axis(0)).into_par_iter().zip(numbers).map(|(shower, &number)| {
        let shower = shower.to_slice().expect("rows of an array in standard layout are contiguous");
        reconstruction.cluster(shower, &mut random::stream(seed, stage, number))
    });
    Ok(clusters.collect())
}

fn cluster_fields() -> impl Iterator<Item = Field> {
    let columns = CLUSTER_COLUMNS.into_iter().map(|(name, data_type, _)| (name, data_type));
    let columns = columns.chain([(FOUND, DataType::Boolean)]);
    columns.map(|(name, data_type)| Field::new(name, data_type, false))
}

fn geometry(dataset: &Dataset) -> Result<Geometry, ClustersError> {
    let place = || dataset.files()[0].path.display().to_string();
    dataset.geometry()?.ok_or_else(|| ClustersError::NoGeometry { place: place() })
}

/// Columns of numbers beside the voxels.
pub(crate) fn carried(showers: &Dataset, voxels: &str) -> Vec<String> {
    let fields = showers.schema().fields().iter();
    let numbers = fields.filter(|field| field.data_type().is_numeric() && field.name() != voxels);
    numbers.map(|field| field.name().clone()).collect()
}
