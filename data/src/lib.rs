//! Parquet events in and out: schemas, roles, selections, splits and preprocessing.
//!
//! ```no_run
//! use simile_data::Dataset;
//!
//! let showers = Dataset::open(&["showers/*.parquet"])?;
//! let scan = showers.scan().columns(&["incident_energy", "voxels"]).select(Some("incident_energy > 1000"));
//! for events in scan.events()? {
//!     let events = events?;
//!     println!("{} showers, voxels {:?}", events.len(), events.column("voxels")?.dim());
//! }
//! # Ok::<(), simile_data::DataError>(())
//! ```

mod atomic;
mod blocks;
mod bridge;
mod concatenate;
pub mod config;
mod damage;
mod dataset;
pub mod error;
pub mod events;
mod expression;
mod hash;
pub mod idx;
pub mod inspect;
mod moments;
mod numbered;
mod numeric;
pub mod objects;
pub mod preprocessing;
pub mod random;
mod scan;
mod schema;
pub mod split;
pub mod writer;

pub use arrow::datatypes::SchemaRef;
pub use atomic::write_file;
pub use blocks::{Block, Blocks};
pub use concatenate::concatenate;
pub use config::DataConfig;
pub use dataset::{Dataset, FileInfo};
pub use error::{DataError, name_hint};
pub use events::Events;
pub use hash::sha256;
pub use idx::{IdxError, import_idx};
pub use inspect::{ColumnSummary, InspectOptions, Inspection, Statistics, inspect};
pub use numbered::{numbered_batch, numbered_schema};
pub use objects::{ObjectReader, Objects, ObjectsConfig};
pub use preprocessing::Preprocessing;
pub use scan::Scan;
pub use schema::{GEOMETRY_KEY, UNITS_KEY};
pub use split::{Split, SplitConfig};
pub use writer::{
    EventWriter, PendingFile, ROW_GROUP_BYTES, ROW_GROUP_ROWS, WriterOptions, WrittenFile, event_schema,
    events_to_batch, matrix_to_array,
};
