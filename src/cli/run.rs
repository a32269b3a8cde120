//! `simile run` and `simile prepare`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::options::Common;
use super::stage::print_verdict;
use super::{Outcome, terminal::Terminal};
use crate::config::RunConfig;
use crate::pipeline;

/// Which configuration, and where its run goes.
#[derive(Args)]
struct Source {
    /// Configuration, see `simile config schema`
    config: PathBuf,
    /// Run directory; by default runs/NAME for NAME.toml
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of all random numbers, instead of the configuration's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Change a value of the configuration, such as training.epochs=5; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Source {
    fn load(&self) -> anyhow::Result<(RunConfig, PathBuf)> {
        let mut overrides = self.set.clone();
        overrides.extend(self.seed.map(|seed| format!("seed={seed}")));
        let config = RunConfig::load(&self.config, &overrides)?;
        let out = match &self.out {
            Some(out) => out.clone(),
            None => {
                Path::new("runs").join(self.config.file_stem().context("the configuration has no file name")?)
            }
        };
        Ok((config, out))
    }
}

/// Read events, train a surrogate, generate, compare and report
#[derive(Args)]
#[command(after_help = "Examples:\n  simile run configs/quickstart.toml\n  \
    simile run configs/calorimeter_flow.toml --out runs/deep --set model.couplings=16\n  \
    simile run configs/quickstart.toml --resume      go on with an interrupted run")]
pub(super) struct Run {
    #[command(flatten)]
    source: Source,
    /// Go on with the run in the run directory if there is one
    #[arg(long)]
    resume: bool,
}

impl Run {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        let (config, out) = self.source.load()?;
        let mut terminal: Terminal = common.terminal();
        let run = pipeline::run(&config, &out, self.resume, &common.device()?, &mut terminal)?;
        print_verdict(&run)
    }
}

/// Only read, select and split the events of a run
#[derive(Args)]
#[command(
    after_help = "Example:\n  simile prepare configs/quickstart.toml --out runs/a && simile train runs/a"
)]
pub(super) struct Prepare {
    #[command(flatten)]
    source: Source,
}

impl Prepare {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        let (config, out) = self.source.load()?;
        let run = pipeline::prepare(&config, &out, &mut common.terminal())?;
        println!("{}", run.path().display());
        Ok(Outcome::Success)
    }
}
