//! Several processes that train one model: each computes some rows of every batch, and gradients are added up over all.
//!
//! All of them read the same events and draw the same noise for the whole batch, so that a training by several is that
//! of one, but for the rounding of the sums. The first alone writes files.

#[cfg(feature = "mpi")]
mod mpi;

use std::hash::Hasher;
use std::ops::Range;

use thiserror::Error;

use crate::nn::parameters::Parameters;

/// The processes that train a model together, as one of them sees them. What communicates is called by all of them, in
/// the same order.
pub trait Workers {
    /// Number of this process, from 0.
    fn rank(&self) -> usize;
    /// Number of processes.
    fn size(&self) -> usize;
    /// Replaces values by their sums over the processes, the same everywhere.
    fn sum(&self, values: &mut [f64]);
    /// The same for gradients.
    fn sum_gradients(&self, values: &mut [f32]);
    /// Ends all processes, since this one cannot go on; the others may be waiting for it.
    fn abort(&self, exit_code: u8) -> !;

    /// Whether this is the process that writes files and speaks.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Whether this holds anywhere; returns when all have asked.
    fn any(&self, holds: bool) -> bool {
        let mut count = [f64::from(u8::from(holds))];
        self.sum(&mut count);
        count[0] > 0.0
    }

    /// The number that the first process has.
    fn of_first(&self, value: f64) -> f64 {
        let mut sum = [if self.is_first() { value } else { 0.0 }];
        self.sum(&mut sum);
        sum[0]
    }

    /// Whether weights are the same everywhere.
    fn agree_on(&self, weights: &Parameters) -> bool {
        let mut hasher = std::hash::DefaultHasher::new();
        weights.values().for_each(|data| hasher.write(data.as_bytes()));
        // Exact as a number.
        let hash = (hasher.finish() >> 16) as f64;
        !self.any(self.of_first(hash) != hash)
    }

    /// The rows of a batch that this process computes, and their part of all that are computed. In a batch with fewer
    /// events than processes every process computes all.
    fn share(&self, events: usize) -> (Range<usize>, f64) {
        let (rank, size) = (self.rank(), self.size());
        if events < size {
            return (0..events, 1.0 / size as f64);
        }
        let rows = rank * events / size..(rank + 1) * events / size;
        let part = rows.len() as f64 / events as f64;
        (rows, part)
    }
}

/// One process.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Workers for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, _: &mut [f64]) {}

    fn sum_gradients(&self, _: &mut [f32]) {}

    fn abort(&self, exit_code: u8) -> ! {
        std::process::exit(exit_code.into())
    }
}

/// Processes that do not find each other.
#[derive(Debug, Error)]
pub enum WorkersError {
    /// Each would train a model of its own, in the same folder.
    #[error(
        "{variable} says that this is one of {expected} processes, but {found} found each other: build simile with \
         `--features mpi` and the MPI library whose mpirun or srun starts it (srun: see --mpi)"
    )]
    Lost {
        /// Set by what started the processes
        variable: &'static str,
        /// How many it started
        expected: usize,
        /// How many this one knows
        found: usize,
    },
}

/// Where Open MPI, MPICH with its relatives, and Slurm say how many processes they started.
const SIZE_VARIABLES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];

/// The processes that were started together with this one.
///
/// # Errors
/// If there should be more than there are.
pub fn start() -> Result<Box<dyn Workers>, WorkersError> {
    let workers = world();
    check(workers.size(), |name| std::env::var(name).ok())?;
    Ok(workers)
}

#[cfg(feature = "mpi")]
fn world() -> Box<dyn Workers> {
    mpi::Mpi::start().map_or(Box::new(Alone), |world| Box::new(world))
}

#[cfg(not(feature = "mpi"))]
fn world() -> Box<dyn Workers> {
    Box::new(Alone)
}

fn check(found: usize, value_of: impl Fn(&str) -> Option<String>) -> Result<(), WorkersError> {
    for variable in SIZE_VARIABLES {
        let Some(expected) = value_of(variable).and_then(|value| value.parse().ok()) else { continue };
        if expected > found {
            return Err(WorkersError::Lost { variable, expected, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_do_not_find_each_other_are_noticed() {
        let set = |set: &'static str, value: &'static str| {
            move |name: &str| (name == set).then(|| value.to_string())
        };
        assert!(check(1, |_| None).is_ok());
        assert!(check(2, set("PMI_SIZE", "2")).is_ok());
        assert!(check(1, set("SLURM_STEP_NUM_TASKS", "1")).is_ok());
        let message = check(1, set("OMPI_COMM_WORLD_SIZE", "4")).unwrap_err().to_string();
        assert!(message.contains("OMPI_COMM_WORLD_SIZE") && message.contains("one of 4"), "{message}");
    }
}
