//! Calorimeter geometry and shower observables: the physics that every other part of simile shares. And toy densities,
//! whose truth is known.
//!
//! Energies are in MeV, lengths in mm, depths in radiation lengths X₀ and angles in radians. The crate knows
//! neither files nor models.

mod binning;
mod geometry;
pub mod shower;
pub mod toys;

pub use binning::BinningError;
pub use geometry::{Geometry, GeometryError, Layer};
