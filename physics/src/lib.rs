//! The physics that every other part of simile shares: calorimeter geometry and shower observables, four-vectors and
//! particles, the reconstruction of clusters, a parametrised calorimeter, and toy densities whose truth is known.
//!
//! Energies are in MeV, lengths in mm, depths in radiation lengths X₀ and angles in radians. The crate knows
//! neither files nor models.

mod binning;
pub mod four_vector;
mod geometry;
pub mod parametrised;
pub mod particles;
pub mod reconstruction;
pub mod shower;
pub mod toys;
pub mod units;

pub use binning::BinningError;
pub use four_vector::FourVector;
pub use geometry::{Geometry, GeometryError, Layer};
