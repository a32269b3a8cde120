//! The single stages of a run: `simile generate`, `report`, and `validate` of a run directory.

use std::path::{Path, PathBuf};

use clap::Args;
use simile_validation::Metrics;
use simile_validation::metrics::{Bound, Verdict};

use super::Outcome;
use super::options::Common;
use crate::pipeline::{self, RunDirectory, Stage};

/// A stage as a subcommand on a run directory.
macro_rules! stage_command {
    ($(#[$doc:meta])* $name:ident, $stage:expr, $example:literal) => {
        $(#[$doc])*
        #[derive(Args)]
        #[command(after_help = concat!("Example:\n  ", $example))]
        pub(super) struct $name {
            /// Run directory
            run: PathBuf,
        }

        impl $name {
            pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
                run_stage(&self.run, $stage, common)
            }
        }
    };
}

stage_command!(
    /// Generate the events of a run that are compared with the reference
    Generate,
    Stage::Sample,
    "simile generate runs/quickstart"
);
stage_command!(
    /// Draw the figures and write the report of a run
    Report,
    Stage::Report,
    "simile report runs/quickstart"
);

/// Runs a stage of an existing run; the last two end with the verdict.
pub(super) fn run_stage(run: &Path, stage: Stage, common: &Common) -> anyhow::Result<Outcome> {
    let mut run = RunDirectory::open(run)?;
    pipeline::run_stage(&mut run, stage, &common.device()?, &mut common.terminal())?;
    match stage {
        Stage::Validate | Stage::Report => print_verdict(&run),
        _ => Ok(Outcome::Success),
    }
}

/// Prints gates, verdict and the report's path.
pub(super) fn print_verdict(run: &RunDirectory) -> anyhow::Result<Outcome> {
    let metrics = Metrics::read(&run.metrics())?;
    let outcome = print_gates(&metrics);
    if run.is_done(Stage::Report) {
        println!("report   {}", run.report().display());
    }
    Ok(outcome)
}

/// Prints the gates, failed ones first, and the verdict.
pub(super) fn print_gates(metrics: &Metrics) -> Outcome {
    let (passed, failed): (Vec<_>, Vec<_>) = metrics.gates.iter().partition(|gate| gate.passed);
    for (word, gates) in [("FAILED", failed), ("passed", passed)] {
        for gate in gates {
            let bound = if gate.bound == Bound::Max { "at most" } else { "at least" };
            let error = gate.error.map_or(String::new(), |error| format!(" ± {error:.6}"));
            println!("{word}   {} = {:.6}{error}, must be {bound} {}", gate.name, gate.value, gate.limit);
        }
    }
    match metrics.verdict {
        Verdict::None => {
            println!("verdict  none: no gates are set (validation.thresholds)");
            Outcome::Success
        }
        Verdict::Pass => {
            println!("verdict  pass");
            Outcome::Success
        }
        Verdict::Fail => {
            println!("verdict  fail");
            Outcome::GateFailed
        }
    }
}
