//! Signals by which batch systems announce that a job will end: SIGTERM, and SIGUSR1 (`sbatch --signal`); and SIGPIPE, which says that
//! nobody reads on.
//!
//! Output files appear complete or not at all, so the program ends at once with [`EXIT_AGAIN`], except in training: that is
//! asked to write a checkpoint first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a program that was stopped and will go on when it is started again: `EX_TEMPFAIL` of sysexits.h. Batch
/// scripts requeue the job then.
pub(super) const EXIT_AGAIN: u8 = 75;

/// Whether and how to end.
#[derive(Clone, Debug)]
pub(super) struct Preemption {
    requested: Arc<AtomicBool>,
    at_once: Arc<AtomicBool>,
}

impl Default for Preemption {
    fn default() -> Self {
        Self { requested: Arc::default(), at_once: Arc::new(AtomicBool::new(true)) }
    }
}

impl Preemption {
    /// Handles the signals from now on.
    #[cfg(unix)]
    pub(super) fn watch(&self) -> std::io::Result<()> {
        use signal_hook::consts::{SIGPIPE, SIGTERM, SIGUSR1};
        // `simile … | head` ends as other programs do: Rust ignores the signal, and printing would panic.
        signal_hook::flag::register_conditional_default(SIGPIPE, Arc::new(AtomicBool::new(true)))?;
        for signal in [SIGTERM, SIGUSR1] {
            let at_once = self.at_once.clone();
            signal_hook::flag::register_conditional_shutdown(signal, i32::from(EXIT_AGAIN), at_once)?;
            signal_hook::flag::register(signal, self.requested.clone())?;
        }
        Ok(())
    }

    /// Other systems have no such signals.
    #[cfg(not(unix))]
    pub(super) fn watch(&self) -> std::io::Result<()> {
        Ok(())
    }

    /// From now on, a signal ends the program at once, or is kept until somebody asks.
    pub(super) fn end_at_once(&self, at_once: bool) {
        self.at_once.store(at_once, Ordering::SeqCst);
    }

    /// Whether a signal was kept.
    pub(super) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }
}
