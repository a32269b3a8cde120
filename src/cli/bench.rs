//! `simile bench`.

use std::path::PathBuf;

use clap::Args;
use simile_data::Dataset;

use super::Outcome;
use super::options::Common;
use crate::models::bundle::Bundle;
use crate::sampling::{self, Rate};

/// Measure how many events a model generates per second on one core
#[derive(Args)]
#[command(
    after_help = "Example:\n  simile bench runs/quickstart/model --conditions data/samples/photons_compact_test.parquet"
)]
pub(super) struct Bench {
    /// Folder of the model, `model` in a run directory
    model: PathBuf,
    /// Parquet file or glob with the condition columns of the model
    #[arg(long, required = true, value_name = "FILE")]
    conditions: Vec<String>,
    /// Batch sizes
    #[arg(long, value_delimiter = ',', default_value = "1,16,256,1024", value_name = "N,…")]
    batch: Vec<usize>,
    /// Seconds to measure each
    #[arg(long, default_value_t = 2.0, value_name = "S")]
    seconds: f64,
}

impl Bench {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        let device = common.device()?;
        let bundle = Bundle::load(&self.model, &device)?;
        let dataset = Dataset::open(&self.conditions)?;
        let rates = sampling::measure_rates(&bundle, &dataset, &self.batch, self.seconds, &device)?;
        println!("{:>8}  {:>12}  {:>9}  {:>14}", "batch", "events/s", "spread", "latency");
        for Rate { batch, events_per_second, spread, .. } in rates {
            let latency = 1e3 * batch as f64 / events_per_second;
            println!(
                "{batch:>8}  {events_per_second:>12.0}  {:>9}  {latency:>11.3} ms",
                format!("±{spread:.0}")
            );
        }
        Ok(Outcome::Success)
    }
}
