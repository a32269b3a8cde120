//! `simile completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Outcome};

/// Print the completions of a shell
#[derive(Args)]
#[command(
    after_help = "Example:\n  simile completions bash > ~/.local/share/bash-completion/completions/simile"
)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        clap_complete::generate(self.shell, &mut Cli::command(), "simile", &mut std::io::stdout());
        Ok(Outcome::Success)
    }
}
