//! `simile config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Outcome;
use crate::config::{RunConfig, schema};

/// Check a configuration, or print the JSON Schema of configurations
#[derive(Args)]
#[command(
    after_help = "Examples:\n  simile config check configs/quickstart.toml\n  simile config schema > schema.json"
)]
pub(super) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print the JSON Schema of configurations, for editors
    Schema,
    /// Check a configuration and print it with all defaults
    Check {
        /// Configuration
        file: PathBuf,
    },
}

impl Config {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        match self.action {
            Action::Schema => print!("{}", schema()),
            Action::Check { file } => print!("{}", RunConfig::load(&file, &[])?.to_toml()),
        }
        Ok(Outcome::Success)
    }
}
