//! `simile fill`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use simile_data::Dataset;

use super::Outcome;
use super::options::{Common, check_output};
use crate::events::{self, EventsConfig, FillOptions};
use crate::models::bundle::Bundle;

/// Add reconstructed objects to nested events with a trained model
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    simile fill runs/diphoton/model --events generated.parquet -o reconstructed.parquet\n  \
    simile fill runs/diphoton/model --events generated.parquet -o ten.parquet --oversample 10\n\n\
    The [events] table of the model's configuration, or of the file given by --config, says which objects are reconstructed\n\
    and how the model's conditions are made. Order, other columns and schema metadata of the events stay; lists may be\n\
    shorter than those of the generated objects, and a column of positions says which object is whose.")]
pub(super) struct Fill {
    /// Folder of the model, `model` in a run directory
    model: PathBuf,
    /// Parquet file or glob with nested events; may be repeated
    #[arg(long, required = true, value_name = "FILE")]
    events: Vec<String>,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// TOML file with an [events] table to be used instead of the model's
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Reconstructions of each event, as rows with a part of its weight
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    oversample: Option<u16>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Refuse conditions outside the range of the training events
    #[arg(long)]
    strict: bool,
    /// Replace the output file if it exists
    #[arg(long)]
    overwrite: bool,
}

/// A configuration of which only the events are used.
#[derive(serde::Deserialize)]
struct EventsFile {
    events: EventsConfig,
}

impl Fill {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        check_output(&self.output, self.overwrite)?;
        let device = common.device()?;
        let bundle = Bundle::load(&self.model, &device)?;
        let config = self.events_config(&bundle)?;
        let input = Dataset::open(&self.events)?;
        let options = FillOptions { seed: self.seed, strict: self.strict };
        let mut terminal = common.terminal();
        let summary = events::fill(&bundle, &input, &config, options, &device, &self.output, &mut terminal)?;
        let repetitions = match config.oversample {
            1 => String::new(),
            times => format!(" ({} × {times})", input.num_rows()),
        };
        println!(
            "{}: {} events{repetitions}, {} of {} objects reconstructed in {:.1} s, {:.0} objects/s",
            self.output.display(),
            summary.events,
            summary.reconstructed,
            summary.objects,
            summary.seconds,
            summary.objects as f64 / summary.seconds
        );
        Ok(Outcome::Success)
    }

    fn events_config(&self, bundle: &Bundle) -> anyhow::Result<EventsConfig> {
        let config = match &self.config {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let file: EventsFile =
                    toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
                Some(file.events)
            }
            None => bundle.manifest.config.events.clone(),
        };
        let Some(mut config) = config else {
            bail!(
                "the model {} was trained without an [events] table: give a file with one by --config",
                self.model.display()
            );
        };
        config.oversample = self.oversample.map_or(config.oversample, usize::from);
        config.check()?;
        Ok(config)
    }
}
