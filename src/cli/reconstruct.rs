//! `simile reconstruct`.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use simile_data::Dataset;

use super::Outcome;
use super::options::Common;
use crate::config::RunConfig;
use crate::events::Clusters;

/// Make clusters of fully simulated showers
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    simile reconstruct configs/diphoton.toml -o clusters\n\n\
    Writes clusters.parquet, the showers of data.files with the columns of their clusters instead of voxels, and, where the\n\
    configuration has [events], events.parquet and objects.parquet: the nested events with lists of clusters, and their\n\
    objects as a flat table. The calibration is fitted to data.files unless [reconstruction] gives it.")]
pub(super) struct Reconstruct {
    /// Configuration with a [reconstruction] table
    config: PathBuf,
    /// Folder to write, which must not exist
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Change a value of the configuration, such as reconstruction.settings.noise_mev=0.2; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Reconstruct {
    pub(super) fn run(self, _: &Common) -> anyhow::Result<Outcome> {
        if self.output.exists() {
            bail!("{} exists: choose another --output", self.output.display());
        }
        let config = RunConfig::load(&self.config, &self.set)?;
        let Some(reconstruction) = &config.reconstruction else {
            bail!(
                "{} has no [reconstruction] table: nothing says how clusters are made",
                self.config.display()
            );
        };
        let folder = crate::files::PendingFolder::create(&self.output)?;
        let showers = Dataset::open(&config.data.files)?;
        let clusters = Clusters::prepare(reconstruction, &showers, config.seed)?;
        let carried = crate::events::carried(&showers, &reconstruction.voxels);
        let flat = folder.path().join("clusters.parquet");
        let written = clusters.write_flat(&showers, &reconstruction.voxels, &carried, &flat)?;
        let mut objects = 0;
        if let Some(events) = config.events.as_ref().filter(|events| events.voxels.is_some()) {
            let input = Dataset::open(&events.files)?;
            let out = ["events.parquet", "objects.parquet"].map(|name| folder.path().join(name));
            objects = clusters.write_nested(
                &input,
                events,
                &config.data.condition,
                out.each_ref().map(|path| path.as_path()),
            )?;
        }
        folder.commit()?;
        let calibration = clusters.calibration();
        println!(
            "{}: {} showers and {objects} objects of events; energy = {:.5} · visible + {:.3} MeV",
            self.output.display(),
            written.rows,
            calibration.scale,
            calibration.offset_mev
        );
        Ok(Outcome::Success)
    }
}
