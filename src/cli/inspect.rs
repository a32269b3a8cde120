//! `simile inspect`.

use std::path::{Path, PathBuf};

use clap::Args;
use simile_data::{Dataset, InspectOptions};

use super::Outcome;
use super::options::Common;
use crate::models::bundle::Manifest;

/// Show what a Parquet file or a model holds
#[derive(Args)]
#[command(after_help = "Examples:\n  simile inspect data/samples/photons_compact_train.parquet\n  \
    simile inspect nano.parquet --columns 'Jet_*,nJet'\n  simile inspect runs/quickstart/model")]
pub(super) struct Inspect {
    /// Parquet file, glob, or model folder
    path: String,
    /// Columns to show, with * for any characters
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    columns: Vec<String>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(self, _: &Common) -> anyhow::Result<Outcome> {
        if Path::new(&self.path).is_dir() {
            return self.model();
        }
        let dataset = Dataset::open(&[&self.path])?;
        let options = InspectOptions { columns: self.columns, ..InspectOptions::default() };
        let inspection = simile_data::inspect(&dataset, &options)?;
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&inspection)?),
            false => print!("{inspection}"),
        }
        Ok(Outcome::Success)
    }

    fn model(&self) -> anyhow::Result<Outcome> {
        let folder = PathBuf::from(&self.path);
        let manifest = Manifest::load(&folder)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&manifest)?);
            return Ok(Outcome::Success);
        }
        let columns = |columns: &[(String, usize)]| -> String {
            let with_unit = columns.iter().map(|(name, width)| {
                let unit = manifest.units.get(name).map_or(String::new(), |unit| format!(" ({unit})"));
                if *width == 1 { format!("{name}{unit}") } else { format!("{name}[{width}]{unit}") }
            });
            with_unit.collect::<Vec<_>>().join(", ")
        };
        let training = &manifest.training;
        println!("{} of {} parameters", manifest.kind, manifest.parameters);
        println!("conditions  {}", columns(&manifest.condition_columns));
        println!("targets     {}", columns(&manifest.target_columns));
        if let Some(geometry) = &manifest.geometry {
            println!("calorimeter {} layers, {} voxels", geometry.n_layers(), geometry.n_voxels());
        }
        println!(
            "training    {} events, {} epochs in {:.1} min, epoch {} kept, seed {}",
            training.events,
            training.epochs,
            training.seconds / 60.0,
            training.best_epoch,
            manifest.config.seed
        );
        for (file, sha256) in &training.files {
            println!("            {file} sha256 {sha256}");
        }
        Ok(Outcome::Success)
    }
}
