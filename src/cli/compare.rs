//! `simile compare`: finished runs side by side.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::options::Common;
use crate::Warn;
use crate::comparison::Comparison;

/// Compare finished runs with each other: quality, speed and size of different models for the same data
#[derive(Args)]
#[command(
    after_help = "Examples:\n  simile compare runs/flow runs/diffusion\n  simile compare runs/* -o runs-compared\n\n\
    Writes comparison.md, comparison.json, comparison.svg and comparison.png. Gates that failed do not change the exit code."
)]
pub(super) struct Compare {
    /// Run directories with a finished validation
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Folder for table and figure; files of an earlier comparison are replaced
    #[arg(short, long, value_name = "DIR", default_value = "comparison")]
    output: PathBuf,
    /// Compare runs that were judged on other test events or in another way, and say so
    #[arg(long)]
    force: bool,
}

impl Compare {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        let comparison = Comparison::read(&self.runs, self.force)?;
        comparison.write(&self.output)?;
        let mut terminal = common.terminal();
        for difference in &comparison.differences {
            terminal.warn(&format!("not judged alike: {difference}"));
        }
        print!("{}", comparison.text());
        println!("\nfigure   {}", self.output.join("comparison.png").display());
        Ok(Outcome::Success)
    }
}
