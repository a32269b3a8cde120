//! Layers on Burn: everything with weights has an `XConfig::init(&device, &mut rng) -> X`.

use burn::module::Param;
use burn::tensor::Tensor;

mod convolution;
mod coupling;
mod image;
mod made;
mod mlp;
mod network;
pub mod parameters;
mod permutation;
#[cfg(test)]
mod tests;
mod time;

pub use convolution::Convolution;
pub use coupling::{Coupling, CouplingConfig};
pub use image::{ImageConfig, ImageDecoder, ImageEncoder, ImageField};
pub use made::{Made, MadeConfig};
pub use mlp::{Mlp, MlpConfig};
pub use network::Network;
pub use permutation::{Permutation, PermutationConfig};
pub use time::{TIME_FEATURES, TimeNetwork};

/// A weight clipped to [−limit, limit].
fn clipped<const D: usize>(weight: Param<Tensor<D>>, limit: f64) -> Param<Tensor<D>> {
    weight.map(|weight| {
        if weight.is_require_grad() {
            return Tensor::from_inner(weight.inner().clamp(-limit, limit)).require_grad();
        }
        weight.clamp(-limit, limit)
    })
}
