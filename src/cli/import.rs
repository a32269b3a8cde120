//! `simile import`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{ArgGroup, Args};
use simile_data::WrittenFile;
use simile_data::idx::{LABEL_COLUMN, import_idx};

use super::Outcome;
use super::options::{Common, check_output};
use crate::sampling::Observer;

/// Turn images in IDX files, or showers of the CaloChallenge, into Parquet
#[derive(Args)]
#[command(
    group(ArgGroup::new("kind").required(true).args(["labels", "binning"])),
    after_help = "Examples:\n  \
    simile import train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz -o mnist_train.parquet\n  \
    simile import dataset_2_1.hdf5 --binning binning_dataset_2.xml -o dataset_2_1.parquet\n  \
    simile import dataset_1_photons_1.hdf5 --binning binning_dataset_1_photons.xml --particle photon -o photons.parquet\n\n\
    With --labels, FILE has images of unsigned bytes, as those of MNIST, compressed or not. The output has the columns image, \
    its pixels row by row, and digit.\n\n\
    With --binning, FILE is HDF5 with the datasets incident_energies and showers, energies in MeV; it takes a simile built with \
    `--features hdf5`. The output has the columns incident_energy and voxels, with the geometry in its schema metadata. Voxels \
    are taken as they are: no threshold is applied."
)]
pub(super) struct Import {
    /// File with images or showers
    file: PathBuf,
    /// IDX file with the labels of the images
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Name of the column of labels
    #[arg(long, value_name = "NAME", default_value = LABEL_COLUMN, requires = "labels")]
    label_column: String,
    /// XML file with the segmentation of the calorimeter
    #[arg(long, value_name = "FILE")]
    binning: Option<PathBuf>,
    /// Name or pid of the incident particle in the binning file; needed if it has several
    #[arg(long, value_name = "NAME", requires = "binning")]
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
        check_output(&self.output, self.overwrite)?;
        let written = match (&self.labels, &self.binning) {
            (Some(labels), _) => self.images(labels, common)?,
            (None, Some(binning)) => self.showers(binning, common)?,
            (None, None) => bail!("give --labels for images, or --binning for showers"),
        };
        println!("{}: {} events, {} bytes", self.output.display(), written.rows, written.bytes);
        Ok(Outcome::Success)
    }

    fn images(&self, labels: &Path, common: &Common) -> anyhow::Result<WrittenFile> {
        let generator = serde_json::json!({ "code": code(), "imported": [name(&self.file), name(labels)] });
        let (mut terminal, mut done) = (common.terminal(), 0);
        let mut progress = |images: u64, all: u64| {
            if done == 0 {
                terminal.begin(all);
            }
            terminal.advance(images - done);
            done = images;
        };
        Ok(import_idx([&self.file, labels], &self.label_column, &generator, &self.output, &mut progress)?)
    }

    #[cfg(feature = "hdf5")]
    fn showers(&self, binning: &Path, common: &Common) -> anyhow::Result<WrittenFile> {
        use anyhow::Context as _;
        let place = || binning.display().to_string();
        let xml = std::fs::read_to_string(binning).with_context(|| format!("cannot read {}", place()))?;
        let particle = self.particle.as_deref();
        let geometry = simile_physics::Geometry::from_binning_xml(&xml, particle).with_context(place)?;
        let generator = serde_json::json!({
            "code": code(),
            "imported": name(&self.file),
            "binning": name(binning),
            "particle": particle,
        });
        let terminal = &mut common.terminal();
        Ok(crate::import::import_showers(&self.file, &geometry, &generator, &self.output, terminal)?)
    }

    #[cfg(not(feature = "hdf5"))]
    fn showers(&self, _: &Path, _: &Common) -> anyhow::Result<WrittenFile> {
        bail!(
            "{} cannot be imported: this simile was built without HDF5; build it with `cargo build --release --features hdf5`",
            self.file.display()
        )
    }
}

fn code() -> String {
    format!("simile {}", env!("CARGO_PKG_VERSION"))
}

fn name(path: &Path) -> Option<std::borrow::Cow<'_, str>> {
    path.file_name().map(|name| name.to_string_lossy())
}
