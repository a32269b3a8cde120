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
    /// Check a configuration and print it with all defaults; does not read the data
    Check {
        /// Configuration
        file: PathBuf,
        /// Change a value of the configuration, for example training.epochs=5; may be repeated
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
}

impl Config {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        match self.action {
            Action::Schema => print!("{}", schema()),
            Action::Check { file, set } => print!("{}", RunConfig::load(&file, &set)?.to_toml()),
        }
        Ok(Outcome::Success)
    }
}
