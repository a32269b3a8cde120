//! The command line: one file per subcommand.
//!
//! Exit codes: 0 success, 1 a validation gate failed, 2 an error, 75 stopped by the batch system, to be started again.
//! Results go to standard output, messages and progress to standard error.

mod bench;
mod classify;
mod compare;
mod completions;
mod config;
mod fetch;
mod fill;
mod import;
mod inspect;
mod merge;
mod options;
mod preemption;
mod reconstruct;
mod run;
mod sample;
mod simulate;
mod stage;
mod sweep;
mod terminal;
mod train;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::pipeline::PipelineError;
use crate::training::TrainingError;
use options::Common;

/// Fast surrogate simulation for particle physics, validated against reference Monte Carlo.
#[derive(Parser)]
#[command(
    name = "simile",
    version,
    after_help = "Examples:\n  \
        simile run configs/quickstart.toml\n  \
        simile sample runs/quickstart/model --conditions events.parquet -o generated.parquet -n 100000\n  \
        simile validate --reference full.parquet --candidate generated.parquet --incident incident_energy --voxels voxels -o check\n  \
        simile compare runs/quickstart runs/other\n\n\
        Exit codes: 0 success, 1 a validation gate failed, 2 an error, 75 stopped by SIGTERM or SIGUSR1: start it again."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Prepare(run::Prepare),
    Train(train::Train),
    Generate(stage::Generate),
    Report(stage::Report),
    Sample(sample::Sample),
    Merge(merge::Merge),
    Sweep(sweep::Sweep),
    Fill(fill::Fill),
    Reconstruct(reconstruct::Reconstruct),
    Simulate(simulate::Simulate),
    Classify(classify::Classify),
    Fetch(fetch::Fetch),
    Import(import::Import),
    Validate(validate::Validate),
    Compare(compare::Compare),
    Inspect(inspect::Inspect),
    Bench(bench::Bench),
    Config(config::Config),
    Completions(completions::Completions),
}

/// What a command that ran to its end says about the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    GateFailed,
    /// Stopped by the batch system; another process says so.
    Stopped,
}

/// Parses the arguments, runs the command, and returns the exit code.
pub fn main() -> ExitCode {
    let Cli { command, common } = Cli::parse();
    match common.start().and_then(|()| run(command, &common)) {
        Ok(Outcome::Success) => ExitCode::SUCCESS,
        Ok(Outcome::GateFailed) => ExitCode::from(1),
        Ok(Outcome::Stopped) => ExitCode::from(preemption::EXIT_AGAIN),
        Err(error) => {
            common.report_error(&error);
            ExitCode::from(if is_interruption(&error) { preemption::EXIT_AGAIN } else { EXIT_ERROR })
        }
    }
}

/// Exit code of an error.
const EXIT_ERROR: u8 = 2;

/// Whether work stopped because the batch system asked for it.
fn is_interruption(error: &anyhow::Error) -> bool {
    let interrupted = |error: &PipelineError| match error {
        PipelineError::Interrupted { .. } => true,
        PipelineError::Training(error) => matches!(error, TrainingError::Interrupted { .. }),
        _ => false,
    };
    error.downcast_ref().is_some_and(interrupted)
}

fn run(command: Command, common: &Common) -> anyhow::Result<Outcome> {
    match command {
        Command::Run(command) => command.run(common),
        Command::Prepare(command) => command.run(common),
        Command::Train(command) => command.run(common),
        Command::Generate(command) => command.run(common),
        Command::Report(command) => command.run(common),
        Command::Sample(command) => command.run(common),
        Command::Merge(command) => command.run(common),
        Command::Sweep(command) => command.run(),
        Command::Fill(command) => command.run(common),
        Command::Reconstruct(command) => command.run(common),
        Command::Simulate(command) => command.run(common),
        Command::Classify(command) => command.run(common),
        Command::Fetch(command) => command.run(common),
        Command::Import(command) => command.run(common),
        Command::Validate(command) => command.run(common),
        Command::Compare(command) => command.run(common),
        Command::Inspect(command) => command.run(common),
        Command::Bench(command) => command.run(common),
        Command::Config(command) => command.run(),
        Command::Completions(command) => command.run(),
    }
}
