//! `simile sample`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use clap::Args;
use simile_data::Dataset;

use super::Outcome;
use super::options::{Common, Scratch};
use crate::models::bundle::Bundle;
use crate::sampling::{self, SampleOptions, Shard};

/// Generate events with a trained model
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    simile sample runs/quickstart/model --conditions events.parquet -o generated.parquet\n  \
    simile sample runs/quickstart/model --conditions events.parquet -o part3.parquet -n 1000000 --shard 3/8\n\n\
    Event i is generated for row i of the conditions, which start again when there are fewer of them.\n\
    `simile merge` makes of all shards the file that one process would have written. What a file holds and how it was\n\
    made stands in NAME_manifest.json beside NAME.parquet.")]
pub(super) struct Sample {
    /// Folder of the model, `model` in a run directory
    model: PathBuf,
    /// Parquet file or glob with the condition columns of the model; may be repeated
    #[arg(long, required = true, value_name = "FILE")]
    conditions: Vec<String>,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Number of events of the whole sample; by default one for every condition
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    n: Option<u64>,
    /// Generate only part I of N
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    shard: Shard,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Refuse conditions outside the range of the training events
    #[arg(long)]
    strict: bool,
    /// Replace the output file if it exists
    #[arg(long)]
    overwrite: bool,
    /// Do nothing if the output file is already there with just these events
    #[arg(long, conflicts_with = "overwrite")]
    resume: bool,
    #[command(flatten)]
    scratch: Scratch,
}

impl Sample {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        let started = Instant::now();
        if self.output.exists() && !self.overwrite && !self.resume {
            bail!(
                "{} exists: choose another --output, replace it with --overwrite, or keep it with --resume if it is complete",
                self.output.display()
            );
        }
        let device = common.device()?;
        let bundle = Bundle::load(&self.model, &device)?;
        let conditions = Dataset::open(&self.conditions)?;
        let options = SampleOptions {
            events: self.n,
            seed: self.seed,
            shard: self.shard,
            strict: self.strict,
            scratch: self.scratch.folder(),
            started,
        };
        if self.resume && sampling::is_done(&bundle, &conditions, &options, &self.output)? {
            println!("{}: complete", self.output.display());
            return Ok(Outcome::Success);
        }
        let mut terminal = common.terminal();
        let summary = sampling::sample(&bundle, &conditions, &options, &device, &self.output, &mut terminal)?;
        println!(
            "{}: {} events in {:.1} s, {:.0} events/s",
            self.output.display(),
            summary.events,
            summary.seconds,
            summary.events as f64 / summary.seconds
        );
        Ok(Outcome::Success)
    }
}
