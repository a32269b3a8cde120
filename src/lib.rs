//! simile trains fast likenesses of slow particle-physics simulation.
//!
//! Events are read from Parquet (`simile_data`), a surrogate is trained on them ([`training`], [`models`]), events are
//! generated ([`sampling`]) and judged against reference Monte Carlo (`simile_validation`). [`pipeline`] strings these
//! stages together, [`events`] fills lists of objects in nested events, [`comparison`] sets finished runs side by side, [`sweep`] makes
//! and ranks parameter scans, [`simulation`] draws events from known truths, [`fetch`] downloads
//! public data, `import` reads HDF5 if built with that feature; [`cli`] is the program.

pub mod cli;
pub mod comparison;
pub mod config;
pub mod events;
pub mod fetch;
mod files;
#[cfg(feature = "hdf5")]
pub mod import;
pub mod kernels;
pub mod models;
pub mod nn;
pub mod pipeline;
pub mod sampling;
pub mod simulation;
pub mod sweep;
pub mod tensors;
pub mod training;
pub mod validation;

/// Told what the user should know.
pub trait Warn {
    /// Something looks wrong, but work goes on.
    fn warn(&mut self, message: &str);
}
