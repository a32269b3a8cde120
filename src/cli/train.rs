//! `simile train`, in one process or in several that MPI started.

use std::path::PathBuf;

use clap::Args;

use super::options::Common;
use super::{EXIT_ERROR, Outcome, is_interruption};
use crate::pipeline::{self, RunDirectory};
use crate::training::workers::{self, Workers};

/// Train the model of a prepared run; goes on from its checkpoint if there is one
#[derive(Args)]
#[command(after_help = "Examples:\n  simile train runs/quickstart\n  \
    mpirun -n 4 simile train runs/quickstart      processes that share every batch; needs a build with `--features mpi`")]
pub(super) struct Train {
    /// Run directory
    run: PathBuf,
}

impl Train {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        let workers = workers::start()?;
        match self.train(common, &*workers) {
            Err(error) if workers.size() > 1 && !is_interruption(&error) => {
                common.report_error(&error);
                workers.abort(EXIT_ERROR)
            }
            Err(_) if !workers.is_first() => Ok(Outcome::Stopped),
            result => result,
        }
    }

    fn train(&self, common: &Common, workers: &dyn Workers) -> anyhow::Result<Outcome> {
        let mut run = RunDirectory::open(&self.run)?;
        let mut terminal = if workers.is_first() { common.terminal() } else { common.mute_terminal() };
        pipeline::train(&mut run, &common.device()?, workers, &mut terminal)?;
        Ok(Outcome::Success)
    }
}
