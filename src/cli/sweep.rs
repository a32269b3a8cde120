//! `simile sweep`: parameter scans.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Outcome;
use crate::sweep::{self, Ranking, SweepConfig};

/// Expand a parameter scan into numbered configurations, or rank its finished runs
#[derive(Args)]
#[command(after_help = "Example:\n  simile sweep expand scan.toml -o runs/scan\n  \
    simile run runs/scan/configs/001.toml --out runs/scan/runs/001 --resume      and so on, one job each\n  \
    simile sweep rank runs/scan\n\n\
    scan.toml:\n  \
    base = \"configs/quickstart.toml\"\n  \
    draws = 20                      # random search; without it, every combination of values\n  \
    [parameters]\n  \
    \"model.couplings\" = { values = [4, 6, 8] }\n  \
    \"training.learning_rate\" = { log_uniform = [3e-4, 3e-3] }      # or uniform, integers")]
pub(super) struct Sweep {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Write the configurations of all trials
    Expand {
        /// Description of the scan
        scan: PathBuf,
        /// Folder of the scan
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Rank the finished runs, best first, and write ranking.json
    Rank {
        /// Folder of the scan
        folder: PathBuf,
        /// Figure that decides, named as in gates; by default the AUC of the first classifier
        #[arg(long, value_name = "NAME")]
        metric: Option<String>,
        /// More of it is better
        #[arg(long)]
        largest: bool,
        /// Rank runs that were judged on other test events or in another way, too
        #[arg(long)]
        force: bool,
    },
}

impl Sweep {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        match self.action {
            Action::Expand { scan, output } => {
                let sweep = sweep::Sweep::expand(&SweepConfig::load(&scan)?, &output)?;
                println!("{}: {} trials", output.display(), sweep.trials.len());
            }
            Action::Rank { folder, metric, largest, force } => {
                let ranking = Ranking::read(&folder, metric.as_deref(), largest, force)?;
                ranking.write(&folder)?;
                print!("{}", ranking.text());
            }
        }
        Ok(Outcome::Success)
    }
}
