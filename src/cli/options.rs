//! Options that every subcommand takes.

use std::path::Path;

use anyhow::{Context, bail};
use burn::tensor::Device;
use clap::{Args, ValueEnum};

use super::terminal::Terminal;

/// How messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines to read, and progress bars on a terminal
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Refuses to replace a file unless asked to.
pub(super) fn check_output(output: &Path, overwrite: bool) -> anyhow::Result<()> {
    if output.exists() && !overwrite {
        bail!("{} exists: choose another --output, or replace it with --overwrite", output.display());
    }
    Ok(())
}

#[derive(Args)]
pub(super) struct Common {
    /// Number of threads; by default one for every core this process may use
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Where to compute; this build knows `flex`, the CPU
    #[arg(long, global = true, default_value = "flex", value_name = "DEVICE")]
    device: String,
    /// Say only what went wrong
    #[arg(short, long, global = true)]
    quiet: bool,
    /// How messages are written to standard error
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
}

impl Common {
    /// Starts the threads.
    pub(super) fn start(&self) -> anyhow::Result<()> {
        let threads = self.threads.map_or(0, usize::from);
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")
    }

    /// The device to compute on.
    pub(super) fn device(&self) -> anyhow::Result<Device> {
        match self.device.as_str() {
            "flex" => Ok(Device::flex()),
            other => bail!("device `{other}` is not available in this build: use --device flex"),
        }
    }

    /// Where messages and progress go.
    pub(super) fn terminal(&self) -> Terminal {
        Terminal::new(self.quiet, self.log_format)
    }

    /// Writes an error with its causes.
    pub(super) fn report_error(&self, error: &anyhow::Error) {
        let mut message = String::new();
        for cause in error.chain().map(ToString::to_string) {
            // Many errors already say what their source says.
            if !message.contains(&cause) {
                message = if message.is_empty() { cause } else { format!("{message}: {cause}") };
            }
        }
        match self.log_format {
            LogFormat::Text => eprintln!("error: {}", message.trim_end()),
            LogFormat::Json => eprintln!("{}", serde_json::json!({"level": "error", "message": message})),
        }
    }
}
