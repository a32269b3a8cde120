//! Layers on Burn: everything with weights has an `XConfig::init(&device, &mut rng) -> X`.

mod coupling;
mod linear;
mod mlp;
pub mod parameters;
mod permutation;
#[cfg(test)]
mod tests;

pub use coupling::{Coupling, CouplingConfig, Transform};
pub use linear::{Linear, LinearConfig};
pub use mlp::{Mlp, MlpConfig};
pub use permutation::{Permutation, PermutationConfig};
