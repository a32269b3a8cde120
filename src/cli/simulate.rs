//! `simile simulate`.

use std::path::PathBuf;

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use simile_physics::toys::Toy;

use super::Outcome;
use super::options::Common;
use crate::simulation::simulate_toy;

/// Draw events from a known truth
#[derive(Args)]
#[command(after_help = "Example:\n  simile simulate toy ring --events 20000 -o ring.parquet")]
pub(super) struct Simulate {
    #[command(subcommand)]
    truth: Truth,
}

#[derive(Subcommand)]
enum Truth {
    /// Draw points of a two-dimensional toy density, with their true log density
    #[command(after_help = "Examples:\n  \
        simile simulate toy ring --events 20000 -o ring.parquet\n  \
        simile simulate toy checkerboard --events 1000000 --seed 7 -o board.parquet\n\n\
        The file has the columns event_id, x, y and log_density: log p(x, y) in nats.\n\
        A sample begins with the events of any smaller one of the same toy and seed.")]
    Toy(ToyArguments),
}

#[derive(Args)]
struct ToyArguments {
    /// The density
    #[arg(value_parser = PossibleValuesParser::new(Toy::ALL.map(Toy::name)).try_map(|name| name.parse::<Toy>()))]
    toy: Toy,
    /// Number of events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the output file if it exists
    #[arg(long)]
    overwrite: bool,
}

impl Simulate {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        match self.truth {
            Truth::Toy(arguments) => arguments.run(common),
        }
    }
}

impl ToyArguments {
    fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        let Self { toy, events, seed, output, overwrite } = self;
        if output.exists() && !overwrite {
            bail!("{} exists: choose another --output, or replace it with --overwrite", output.display());
        }
        let written = simulate_toy(toy, events, seed, &output, &mut common.terminal())?;
        println!("{}: {} events, {} bytes", output.display(), written.rows, written.bytes);
        Ok(Outcome::Success)
    }
}
