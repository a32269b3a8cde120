//! Layers on Burn: everything with weights has an `XConfig::init(&device, &mut rng) -> X`.

mod coupling;
mod made;
mod mlp;
pub mod parameters;
mod permutation;
#[cfg(test)]
mod tests;
mod time;

pub use coupling::{Coupling, CouplingConfig};
pub use made::{Made, MadeConfig};
pub use mlp::{Mlp, MlpConfig};
pub use permutation::{Permutation, PermutationConfig};
pub use time::{TIME_FEATURES, TimeNetwork};
