//! `simile import`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use simile_physics::Geometry;

use super::Outcome;
use super::options::Common;
use crate::import::import_showers;

/// Turn an HDF5 file of the CaloChallenge into Parquet
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    simile import dataset_2_1.hdf5 --binning binning_dataset_2.xml -o dataset_2_1.parquet\n  \
    simile import dataset_1_photons_1.hdf5 --binning binning_dataset_1_photons.xml --particle photon -o photons.parquet\n\n\
    FILE has the datasets incident_energies and showers, energies in MeV. The output has the columns incident_energy \
    and voxels, with the geometry in its schema metadata. Voxels are taken as they are: no threshold is applied.")]
pub(super) struct Import {
    /// HDF5 file with showers
    file: PathBuf,
    /// XML file with the segmentation of the calorimeter
    #[arg(long, value_name = "FILE")]
    binning: PathBuf,
    /// Name or pid of the incident particle in the binning file; needed if it has several
    #[arg(long, value_name = "NAME")]
    particle: Option<String>,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the output file if it exists
    #[arg(long)]
    overwrite: bool,
}

impl Import {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        let Self { file, binning, particle, output, overwrite } = self;
        if output.exists() && !overwrite {
            bail!("{} exists: choose another --output, or replace it with --overwrite", output.display());
        }
        let place = || binning.display().to_string();
        let xml = std::fs::read_to_string(&binning).with_context(|| format!("cannot read {}", place()))?;
        let geometry = Geometry::from_binning_xml(&xml, particle.as_deref()).with_context(place)?;
        let generator = serde_json::json!({
            "code": format!("simile {}", env!("CARGO_PKG_VERSION")),
            "imported": file.file_name().map(|name| name.to_string_lossy()),
            "binning": binning.file_name().map(|name| name.to_string_lossy()),
            "particle": particle,
        });
        let written = import_showers(&file, &geometry, &generator, &output, &mut common.terminal())?;
        println!("{}: {} events, {} bytes", output.display(), written.rows, written.bytes);
        Ok(Outcome::Success)
    }
}
