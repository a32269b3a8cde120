//! Nested events: lists of objects in every event, as an analysis reads them.
//!
//! [`fill`] draws the reconstruction of generated objects from a model and adds it to a file; [`Clusters`] makes the same
//! lists of fully simulated showers, which is the reference, and the flat tables that models are trained on.

mod clusters;
mod config;
mod fill;
mod nested;

pub(crate) use clusters::{CLUSTER_COLUMNS, carried};
pub use clusters::{Clusters, ClustersError};
pub use config::{ClustersConfig, DirectionConfig, EventsConfig, MassesConfig};
pub use fill::{FillOptions, FillSummary, fill};
