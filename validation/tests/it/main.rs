//! Whole comparisons of Parquet files.

mod errors;
mod geant4;
mod showers;
mod toy;
