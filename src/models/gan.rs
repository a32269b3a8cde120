//! Generative adversarial network (Goodfellow et al. 2014, arXiv:1406.2661), conditional (Mirza & Osindero 2014,
//! arXiv:1411.1784).
//!
//! The critic's score D is the logit of an event being real: it minimises −E log σ(D(x)) − E log σ(−D(G(z))). The
//! generator minimises E log σ(−D(G(z))) (`minimax`) or −E log σ(D(G(z))) (`non_saturating`, whose gradient does not
//! vanish where the critic is sure). A critic that is too sure, or circles around the truth, is held by the penalty
//! γ/2·E‖∇_x D(x)‖² on real targets (R₁ of Mescheder, Geiger, Nowozin 2018, arXiv:1801.04406), its gradient written out as
//! in [`super::wgan`].

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adversarial::{Players, PlayersConfig, critic};
use super::network::{NetworkConfig, check_not_negative};
use super::{Batch, GroupSpace, Judge, Loss, Step, Surrogate, Turn};
use crate::config::ConfigError;

/// What the generator minimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GeneratorLoss {
    /// The critic's gain.
    Minimax,
    /// The surprise of the critic.
    #[default]
    NonSaturating,
}

/// Shape of a [`Gan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GanConfig {
    /// Dimensions of the noise that the generator starts from.
    pub latents: usize,
    /// Network from noise and condition to targets.
    pub generator: NetworkConfig,
    /// Network that judges targets with their condition.
    #[serde(deserialize_with = "critic")]
    pub critic: NetworkConfig,
    /// Steps of the critic for every step of the generator.
    pub critic_steps: usize,
    /// What the generator minimises.
    pub generator_loss: GeneratorLoss,
    /// Weight γ of the penalty on the critic's slope at real targets.
    pub gradient_penalty: f64,
}

impl Default for GanConfig {
    fn default() -> Self {
        let PlayersConfig { latents, generator, critic, .. } = PlayersConfig::default();
        Self {
            latents,
            generator,
            critic,
            critic_steps: 1,
            generator_loss: GeneratorLoss::default(),
            gradient_penalty: 0.0,
        }
    }
}

impl GanConfig {
    fn players(&self) -> PlayersConfig {
        let Self { latents, generator, critic, critic_steps, .. } = self.clone();
        PlayersConfig { latents, generator, critic, critic_steps }
    }

    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.players().check()?;
        check_not_negative("gradient_penalty", self.gradient_penalty)?;
        if self.gradient_penalty > 0.0 { self.players().check_gradient() } else { Ok(()) }
    }

    /// The networks that see targets, with their keys.
    pub(super) fn networks(&self) -> Vec<(&'static str, &NetworkConfig)> {
        vec![("generator", &self.generator), ("critic", &self.critic)]
    }

    /// Draws the weights.
    pub fn init(&self, space: GroupSpace, device: &Device, rng: &mut ChaCha8Rng) -> Gan {
        Gan {
            players: self.players().init(space, device, rng),
            generator_loss: self.generator_loss,
            gradient_penalty: self.gradient_penalty,
        }
    }
}

/// See the module documentation.
#[derive(Module, Debug)]
pub struct Gan {
    players: Players,
    #[module(skip)]
    generator_loss: GeneratorLoss,
    #[module(skip)]
    gradient_penalty: f64,
}

/// −log σ(x)
fn surprise(score: Tensor<2>) -> Tensor<2> {
    activation::softplus(-score, 1.0)
}

impl Gan {
    fn critic_loss(&self, batch: &Batch, rng: &mut ChaCha8Rng) -> Loss {
        let real = self.players.score(batch.target.clone(), &batch.condition);
        let fake = self.players.score(self.players.fixed().fake(batch, rng), &batch.condition);
        let right = |positive: Tensor<2>| positive.greater_elem(0.0).float();
        let accuracy = (right(real.clone().detach()) + right(-fake.clone().detach())) * 0.5;
        let accuracy = batch.mean(accuracy);
        let loss = batch.mean(surprise(real) + surprise(-fake));
        if self.gradient_penalty == 0.0 {
            return Loss::of(loss).with("critic accuracy", accuracy);
        }
        let slope = batch.mean(self.players.squared_slope(batch.target.clone(), &batch.condition));
        let figure = slope.clone().detach().sqrt();
        Loss::of(loss + slope * (0.5 * self.gradient_penalty))
            .with("critic accuracy", accuracy)
            .with("critic gradient", figure)
    }

    fn generator_loss(&self, batch: &Batch, rng: &mut ChaCha8Rng) -> Loss {
        let score = self.players.fixed().score(self.players.fake(batch, rng), &batch.condition);
        let loss = match self.generator_loss {
            GeneratorLoss::Minimax => -surprise(-score),
            GeneratorLoss::NonSaturating => surprise(score),
        };
        Loss { turn: Turn::Generator, ..Loss::of(batch.mean(loss)) }
    }
}

impl Surrogate for Gan {
    const LOSS_LABEL: &'static str = "loss of the critic (nats)";
    const JUDGE: Judge = Judge::Distance;
    /// As in DCGAN (Radford et al. 2015).
    const MOMENTS: [f64; 2] = [0.5, 0.999];

    fn loss(&self, batch: &Batch, step: Step, rng: &mut ChaCha8Rng) -> Loss {
        match self.players.turn(step) {
            Turn::Main => self.critic_loss(batch, rng),
            Turn::Generator => self.generator_loss(batch, rng),
        }
    }

    fn noise_width(&self) -> usize {
        self.players.noise_width()
    }

    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.players.generate(noise, condition)
    }
}
