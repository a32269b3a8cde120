//! What [`Diffusion`](super::Diffusion) and [`FlowMatching`](super::FlowMatching) share: what they learn, and at which times.

use burn::tensor::Tensor;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Batch;

/// What is predicted of a noised event x = α·data + σ·noise: its mean square error is the loss. The three follow from each
/// other, so that they differ in how much every time counts, and in what the network gives. Under errors of the data that are
/// equal, the losses go with (α/σ)², 1/σ² and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise (Ho, Jain, Abbeel 2020, arXiv:2006.11239), while the network gives the velocity. Times of much noise, where
    /// coarse features are decided, hardly count.
    Noise,
    /// The velocity with which noise becomes data (Salimans & Ho 2022, arXiv:2202.00512; Lipman et al. 2022, arXiv:2210.02747). It
    /// has noise in all dimensions, so a perceptron wants to be wider than the targets.
    #[default]
    Velocity,
    /// The data, and the network gives them: for targets that fill few of their dimensions, such as images, with networks
    /// narrower than the targets (Li & He 2025, arXiv:2511.13720, who keep the loss of the velocity). Times of much noise count
    /// more than for the others, and details are learnt later.
    Data,
}

/// Times `[batch, 1]` uniform in \[0, 1), one in each of as many equal intervals: their mean loss fluctuates less than
/// that of independent ones.
pub(super) fn spread_times(batch: &Batch, rng: &mut ChaCha8Rng) -> Tensor<2> {
    batch.draw(1, |i| (i as f32 + rng.gen_range(0.0f32..1.0)) / batch.place.of as f32)
}
