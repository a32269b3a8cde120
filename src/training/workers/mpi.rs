//! [`Workers`] that talk by MPI.

use mpi::collective::SystemOperation;
use mpi::datatype::Equivalence;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};

use super::Workers;

/// All processes of `MPI_COMM_WORLD`. An error of the library ends them all.
pub(super) struct Mpi {
    world: SimpleCommunicator,
    /// Dropped last: that ends the use of MPI.
    _universe: Universe,
}

impl Mpi {
    /// None if this process uses MPI already.
    pub(super) fn start() -> Option<Self> {
        // Other threads compute, but do not communicate.
        let (universe, _) = mpi::initialize_with_threading(mpi::Threading::Funneled)?;
        Some(Self { world: universe.world(), _universe: universe })
    }

    fn add_up<T: Equivalence + Copy>(&self, values: &mut [T]) {
        let own = values.to_vec();
        self.world.all_reduce_into(&own[..], values, SystemOperation::sum());
    }
}

impl Workers for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn sum(&self, values: &mut [f64]) {
        self.add_up(values);
    }

    fn sum_gradients(&self, values: &mut [f32]) {
        self.add_up(values);
    }

    fn abort(&self, exit_code: u8) -> ! {
        self.world.abort(exit_code.into())
    }
}
