//! `simile merge`.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::options::{Common, Scratch, check_output};
use crate::sampling;

/// Put the shards of a sample together
#[derive(Args)]
#[command(after_help = "Example:\n  simile merge parts/*.parquet -o sample.parquet\n\n\
    Checks that no shard is missing, doubled, damaged or of another sample. The file is, byte for byte, the one that a\n\
    single process writes.")]
pub(super) struct Merge {
    /// Parquet files or globs of the shards, in any order; their manifests lie beside them
    #[arg(required = true, value_name = "PART")]
    parts: Vec<String>,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the output file if it exists
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    scratch: Scratch,
}

impl Merge {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        check_output(&self.output, self.overwrite)?;
        let scratch = self.scratch.folder();
        let merged = sampling::merge(&self.parts, &self.output, scratch.as_deref(), &mut common.terminal())?;
        println!(
            "{}: {} events of {} parts, SHA-256 {}",
            self.output.display(),
            merged.events,
            merged.parts,
            merged.sha256
        );
        Ok(Outcome::Success)
    }
}
