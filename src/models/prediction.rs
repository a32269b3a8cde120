//! What [`Diffusion`](super::Diffusion) and [`FlowMatching`](super::FlowMatching) share: what they learn, and at which times.

use burn::tensor::Tensor;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Batch;

/// What is predicted of a noised event x = α·data + σ·noise: the mean square error of it is the loss. The three follow
/// from each other, so that they differ in how much the times count, and in what the network gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise (Ho, Jain, Abbeel 2020, arXiv:2006.11239), which the network gives as a velocity: little noise, where details
    /// are decided, counts most.
    Noise,
    /// The velocity dx/dt along the path, at constant speed (Salimans & Ho 2022, arXiv:2202.00512). It has noise in all
    /// dimensions, so a perceptron wants to be wider than the targets.
    #[default]
    Velocity,
    /// The data, and the network gives them: for targets that fill few of their dimensions, such as images, with networks
    /// narrower than the targets (Li & He 2025, arXiv:2511.13720). Much noise, where coarse features are decided, counts most.
    Data,
}

/// Least share of noise by which the expected data are turned into a velocity (Li & He 2025).
pub(super) const MIN_NOISE: f64 = 0.05;

/// Times `[batch, 1]` uniform in \[0, 1), one in each of as many equal intervals: their mean loss fluctuates less than
/// that of independent ones.
pub(super) fn spread_times(batch: &Batch, rng: &mut ChaCha8Rng) -> Tensor<2> {
    batch.draw(1, |i| (i as f32 + rng.gen_range(0.0f32..1.0)) / batch.place.of as f32)
}
