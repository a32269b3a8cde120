//! Units: a quantity in the crate's own units is its number times the constant of its unit.
//!
//! ```
//! use simile_physics::units::{CM, GEV, MEV, MM};
//! assert_eq!(2.0 * GEV / MEV, 2000.0);
//! assert_eq!(1.5 * CM / MM, 15.0);
//! ```

/// Energy of one MeV; masses and momenta use it too (c = 1).
pub const MEV: f64 = 1.0;
/// Energy of one GeV.
pub const GEV: f64 = 1e3 * MEV;
/// Energy of one TeV.
pub const TEV: f64 = 1e3 * GEV;
/// Length of one mm.
pub const MM: f64 = 1.0;
/// Length of one cm.
pub const CM: f64 = 10.0 * MM;
/// Length of one m.
pub const M: f64 = 1e3 * MM;
/// Angle of one rad.
pub const RAD: f64 = 1.0;
/// Angle of one mrad.
pub const MRAD: f64 = 1e-3 * RAD;
