//! Generator and critic: what the models with an adversary share.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use serde::Deserializer;

use super::network::{ActivationKind, NetworkConfig, Role, check_count};
use super::{Batch, GroupSpace, Step, Turn};
use crate::config::{ConfigError, over};
use crate::kernels::Blocks;
use crate::nn::Network;

/// Shape of [`Players`]: dimensions of the noise, the two networks, and steps of the critic for every step of the
/// generator.
pub(super) struct PlayersConfig {
    pub(super) latents: usize,
    pub(super) generator: NetworkConfig,
    pub(super) critic: NetworkConfig,
    pub(super) critic_steps: usize,
}

impl Default for PlayersConfig {
    /// Five steps of the critic as in Gulrajani et al. 2017.
    fn default() -> Self {
        let critic = NetworkConfig { activation: ActivationKind::LeakyRelu, ..NetworkConfig::default() };
        Self { latents: 32, generator: NetworkConfig::default(), critic, critic_steps: 5 }
    }
}

/// The table of a critic, with the default's values of keys that are not given.
pub(super) fn critic<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NetworkConfig, D::Error> {
    over(deserializer, PlayersConfig::default().critic)
}

impl PlayersConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_count("latents", self.latents)?;
        self.generator.check("generator")?;
        self.critic.check("critic")?;
        check_count("critic_steps", self.critic_steps)
    }

    /// Checks that the gradient of the critic can be written out.
    pub(super) fn check_gradient(&self) -> Result<(), ConfigError> {
        let NetworkConfig { activation, blocks, .. } = self.critic;
        if blocks != Blocks::Plain {
            let expected =
                "\"plain\" with a gradient penalty, whose gradient is written out for plain layers";
            return Err(ConfigError::value("model.critic.blocks", format!("{blocks:?}"), expected));
        }
        if !matches!(activation, ActivationKind::Relu | ActivationKind::LeakyRelu) {
            let expected = "\"leaky_relu\" or \"relu\" with a gradient penalty";
            return Err(ConfigError::value("model.critic.activation", format!("{activation:?}"), expected));
        }
        Ok(())
    }

    pub(super) fn init(&self, space: GroupSpace, device: &Device, rng: &mut ChaCha8Rng) -> Players {
        let GroupSpace { conditions, targets, .. } = space;
        Players {
            generator: self.generator.init(Role::Decoder, [self.latents + conditions, targets], device, rng),
            critic: self.critic.init(Role::Encoder, [targets + conditions, 1], device, rng),
            latents: self.latents,
            critic_steps: self.critic_steps as u64,
        }
    }
}

/// Generator G(z, c) and critic D(x, c).
#[derive(Module, Debug)]
pub(super) struct Players {
    pub(super) generator: Network,
    pub(super) critic: Network,
    #[module(skip)]
    latents: usize,
    #[module(skip)]
    critic_steps: u64,
}

impl Players {
    /// Who learns: the critic a number of times, then the generator once.
    pub(super) fn turn(&self, step: Step) -> Turn {
        if step.number % (self.critic_steps + 1) < self.critic_steps { Turn::Main } else { Turn::Generator }
    }

    pub(super) fn noise_width(&self) -> usize {
        self.latents
    }

    /// G(z, c)
    pub(super) fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.generator.forward(Tensor::cat(vec![noise, condition], 1))
    }

    /// The same players, of whom neither learns; what goes through them still has gradients.
    pub(super) fn fixed(&self) -> Self {
        self.clone().no_grad()
    }

    /// Targets for the conditions of a batch.
    pub(super) fn fake(&self, batch: &Batch, rng: &mut ChaCha8Rng) -> Tensor<2> {
        let noise = batch.normal_noise(self.latents, rng);
        self.generate(noise, batch.condition.clone())
    }

    /// D(x, c), `[batch, 1]`.
    pub(super) fn score(&self, target: Tensor<2>, condition: &Tensor<2>) -> Tensor<2> {
        self.critic.forward(Tensor::cat(vec![target, condition.clone()], 1))
    }

    /// ‖∇_x D(x, c)‖², `[batch, 1]`: a function of the critic's weights of which one backward pass gives the gradient.
    pub(super) fn squared_slope(&self, target: Tensor<2>, condition: &Tensor<2>) -> Tensor<2> {
        let targets = target.dims()[1];
        let gradient = self.critic.input_gradient(Tensor::cat(vec![target, condition.clone()], 1));
        gradient.narrow(1, 0, targets).square().sum_dim(1)
    }
}
