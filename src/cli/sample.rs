//! `simile sample`.

use std::path::PathBuf;

use clap::Args;
use simile_data::Dataset;

use super::Outcome;
use super::options::{Common, check_output};
use crate::models::bundle::Bundle;
use crate::sampling::{self, SampleOptions, Shard};

/// Generate events with a trained model
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    simile sample runs/quickstart/model --conditions events.parquet -o generated.parquet\n  \
    simile sample runs/quickstart/model --conditions events.parquet -o part3.parquet -n 1000000 --shard 3/8\n\n\
    Event i is generated for row i of the conditions, which start again when there are fewer of them.\n\
    Shards of one sample, in order, equal the sample made by one process.")]
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
}

impl Sample {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        check_output(&self.output, self.overwrite)?;
        let device = common.device()?;
        let bundle = Bundle::load(&self.model, &device)?;
        let conditions = Dataset::open(&self.conditions)?;
        let options =
            SampleOptions { events: self.n, seed: self.seed, shard: self.shard, strict: self.strict };
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
