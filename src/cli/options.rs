//! Options that every subcommand takes, or several.

use std::path::PathBuf;
use std::thread::available_parallelism;

use std::path::Path;

use anyhow::{Context, bail};
use burn::tensor::Device;
use clap::{Args, ValueEnum};

use super::preemption::Preemption;
use super::terminal::{Terminal, Volume};

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
    /// Number of threads; by default one for every core this process may use, or fewer if OMP_NUM_THREADS or
    /// SLURM_CPUS_PER_TASK says so
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
    /// Whether the batch system wants the job to end
    #[arg(skip)]
    preemption: Preemption,
}

/// Where unfinished files lie.
#[derive(Args)]
pub(super) struct Scratch {
    /// Folder, best of this machine, in which a file is written before it moves to its place; by default that place
    #[arg(long, value_name = "DIR", env = "TMPDIR")]
    scratch: Option<PathBuf>,
}

impl Scratch {
    pub(super) fn folder(&self) -> Option<PathBuf> {
        self.scratch.clone().filter(|folder| !folder.as_os_str().is_empty())
    }
}

/// Variables that say how many threads a program may start, the first one that is set.
const THREAD_VARIABLES: [&str; 2] = ["OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"];

/// The number of threads that the environment asks for; none where it does not.
fn threads_of(variables: impl Fn(&str) -> Option<String>) -> anyhow::Result<Option<usize>> {
    for name in THREAD_VARIABLES {
        let Some(value) = variables(name).filter(|value| !value.trim().is_empty()) else { continue };
        // OpenMP takes a number for each level of nesting.
        let outermost = value.split(',').next().unwrap_or_default().trim();
        match outermost.parse() {
            Ok(threads) if threads > 0 => return Ok(Some(threads)),
            _ => bail!("{name}={value}: set it to a number of threads, unset it, or use --threads"),
        }
    }
    Ok(None)
}

impl Common {
    /// Starts the threads, and watches for signals of the batch system.
    pub(super) fn start(&self) -> anyhow::Result<()> {
        self.preemption.watch().context("cannot handle signals")?;
        let asked = threads_of(|name| std::env::var(name).ok())?;
        // Affinity and limits of control groups are part of what the system says is available.
        let available = available_parallelism().map_or(usize::MAX, usize::from);
        let threads = match self.threads {
            Some(threads) => usize::from(threads),
            None => asked.map_or(0, |asked| asked.min(available)),
        };
        // A training step is many short parallel loops: handing each to other threads and sleeping until it is done
        // takes a tenth of it.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread();
        pool.build_global().context("cannot start threads")
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
        let volume = if self.quiet { Volume::Warnings } else { Volume::All };
        Terminal::new(volume, self.log_format, self.preemption.clone())
    }

    /// The terminal of a process beside the one that speaks.
    pub(super) fn mute_terminal(&self) -> Terminal {
        Terminal::new(Volume::Nothing, self.log_format, self.preemption.clone())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(set: &[(&str, &str)]) -> anyhow::Result<Option<usize>> {
        let value = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
        threads_of(value)
    }

    #[test]
    fn the_environment_may_ask_for_fewer_threads() {
        assert_eq!(threads(&[]).unwrap(), None);
        assert_eq!(threads(&[("SLURM_CPUS_PER_TASK", "4")]).unwrap(), Some(4));
        let both = [("SLURM_CPUS_PER_TASK", "4"), ("OMP_NUM_THREADS", "2,1")];
        assert_eq!(threads(&both).unwrap(), Some(2));
        assert_eq!(threads(&[("SLURM_CPUS_PER_TASK", "4"), ("OMP_NUM_THREADS", "")]).unwrap(), Some(4));
        for value in ["0", "many", "-1"] {
            let message = threads(&[("OMP_NUM_THREADS", value)]).unwrap_err().to_string();
            assert!(message.contains(&format!("OMP_NUM_THREADS={value}")), "{message}");
        }
    }
}
