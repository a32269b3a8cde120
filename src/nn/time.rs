//! Network of a quantity that changes along a path from noise to data, such as a velocity or the noise itself.

use burn::module::Module;
use burn::tensor::Tensor;

use super::Network;

/// Octaves of the time's Fourier features sin(2^k π t), cos(2^k π t), k = 0 … OCTAVES − 1: the finest tells 1/32 of the
/// path apart.
const OCTAVES: usize = 6;
/// Fourier features of the time.
pub const TIME_FEATURES: usize = 2 * OCTAVES;

/// f(x, t, c) for x `[batch, features]`, t `[batch, 1]` in \[0, 1\], c `[batch, conditions]`; result `[batch, features]`.
#[derive(Module, Debug)]
pub struct TimeNetwork {
    network: Network,
}

impl TimeNetwork {
    /// Of a network that has x, Fourier features of the time and the condition as inputs.
    pub fn new(network: Network) -> Self {
        Self { network }
    }

    /// Applies the network.
    pub fn forward(&self, x: Tensor<2>, time: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let octaves: Vec<f32> = (0..OCTAVES).map(|k| std::f32::consts::PI * (1 << k) as f32).collect();
        let octaves = Tensor::<1>::from_floats(octaves.as_slice(), &time.device()).unsqueeze::<2>();
        let phases = time.matmul(octaves);
        self.network.forward(Tensor::cat(vec![x, phases.clone().sin(), phases.cos(), condition], 1))
    }
}
