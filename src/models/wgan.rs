//! Wasserstein GAN, conditional.
//!
//! The critic D, held to slopes near 1, estimates the Wasserstein-1 distance W = max_D E D(x) − E D(G(z)), which the
//! generator minimises. Held by clipping its weights to \[−c, c\] (Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875) or by
//! the penalty λ·E(‖∇_x D(x̂)‖ − 1)² between real and generated targets, x̂ = u·x + (1 − u)·G(z), u ~ U(0, 1) (Gulrajani
//! et al. 2017, arXiv:1704.00028). The gradient is written out as a product of the layers of a piecewise linear critic, so
//! that one backward pass suffices.
//!
//! Calorimeter GANs constrain the sum of the energies besides (CaloGAN, Paganini, de Oliveira, Nachman 2017,
//! arXiv:1705.02355). Here the sums s of all targets of an event in model space are held to the real mean and width within
//! the batch: w·((⟨s⟩ − ⟨s′⟩)² + (σ(s) − σ(s′))²)/σ²(s).

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adversarial::{Players, PlayersConfig, critic};
use super::network::{NetworkConfig, check_not_negative, check_positive};
use super::{Batch, GroupSpace, Judge, Loss, Step, Surrogate, Turn};
use crate::config::ConfigError;

/// How the critic is held to slopes near 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Constraint {
    /// A penalty on the gradient.
    GradientPenalty {
        /// Weight λ.
        #[serde(default = "default_penalty")]
        weight: f64,
    },
    /// Weights are clipped.
    Clipping {
        /// Bound c.
        #[serde(default = "default_clip")]
        limit: f64,
    },
}

/// Value of Gulrajani et al. 2017.
fn default_penalty() -> f64 {
    10.0
}

/// Value of Arjovsky et al. 2017.
fn default_clip() -> f64 {
    0.01
}

/// Shape of a [`Wgan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WganConfig {
    /// Dimensions of the noise that the generator starts from.
    pub latents: usize,
    /// Network from noise and condition to targets.
    pub generator: NetworkConfig,
    /// Network that judges targets with their condition.
    #[serde(deserialize_with = "critic")]
    pub critic: NetworkConfig,
    /// Steps of the critic for every step of the generator.
    pub critic_steps: usize,
    /// How the critic is held to slopes near 1.
    pub constraint: Constraint,
    /// Weight of the constraint on the sum of the targets.
    pub sum_constraint: f64,
}

impl Default for WganConfig {
    fn default() -> Self {
        let PlayersConfig { latents, generator, critic, critic_steps } = PlayersConfig::default();
        let constraint = Constraint::GradientPenalty { weight: default_penalty() };
        Self { latents, generator, critic, critic_steps, constraint, sum_constraint: 0.0 }
    }
}

impl WganConfig {
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
        check_not_negative("sum_constraint", self.sum_constraint)?;
        match self.constraint {
            Constraint::Clipping { limit } => check_positive("constraint.limit", limit),
            Constraint::GradientPenalty { weight } => {
                check_positive("constraint.weight", weight)?;
                self.players().check_gradient()
            }
        }
    }

    /// The networks that see targets, with their keys.
    pub(super) fn networks(&self) -> Vec<(&'static str, &NetworkConfig)> {
        vec![("generator", &self.generator), ("critic", &self.critic)]
    }

    /// Draws the weights.
    pub fn init(&self, space: GroupSpace, device: &Device, rng: &mut ChaCha8Rng) -> Wgan {
        Wgan {
            players: self.players().init(space, device, rng),
            constraint: self.constraint,
            sum_constraint: self.sum_constraint,
        }
        .after_step()
    }
}

/// See the module documentation.
#[derive(Module, Debug)]
pub struct Wgan {
    players: Players,
    #[module(skip)]
    constraint: Constraint,
    #[module(skip)]
    sum_constraint: f64,
}

/// Keeps the derivative of the norm finite at zero.
const EPSILON: f64 = 1e-12;

impl Wgan {
    fn critic_loss(&self, batch: &Batch, rng: &mut ChaCha8Rng) -> Loss {
        let fake = self.players.fixed().fake(batch, rng);
        let real_score = self.players.score(batch.target.clone(), &batch.condition);
        let fake_score = self.players.score(fake.clone(), &batch.condition);
        let distance = batch.mean(real_score - fake_score);
        let figure = distance.clone().detach();
        let loss = match self.constraint {
            Constraint::Clipping { .. } => return Loss::of(-distance).with("critic distance", figure),
            Constraint::GradientPenalty { weight } => {
                let norm = self.gradient_norm(batch, fake, rng);
                let penalty = batch.mean((norm.clone() - 1.0).square());
                Loss::of(penalty * weight - distance).with("critic gradient", batch.mean(norm.detach()))
            }
        };
        loss.with("critic distance", figure)
    }

    /// ‖∇_x D‖ between real and generated targets, `[batch, 1]`.
    fn gradient_norm(&self, batch: &Batch, fake: Tensor<2>, rng: &mut ChaCha8Rng) -> Tensor<2> {
        let share = batch.draw(1, |_| rng.gen_range(0.0f32..1.0));
        let between = fake.clone() + (batch.target.clone() - fake) * share;
        (self.players.squared_slope(between, &batch.condition) + EPSILON).sqrt()
    }

    fn generator_loss(&self, batch: &Batch, rng: &mut ChaCha8Rng) -> Loss {
        let fake = self.players.fake(batch, rng);
        let score = self.players.fixed().score(fake.clone(), &batch.condition);
        let mut loss = -batch.mean(score);
        if self.sum_constraint > 0.0 {
            loss = loss + sum_deviation(batch, fake) * self.sum_constraint;
        }
        Loss { turn: Turn::Generator, ..Loss::of(loss) }
    }
}

/// How far mean and width of the sums of generated targets are from those of real ones, in units of the real variance.
fn sum_deviation(batch: &Batch, fake: Tensor<2>) -> Tensor<1> {
    let moments = |target: Tensor<2>| {
        let sum = target.sum_dim(1);
        let mean = batch.mean(sum.clone());
        let variance = batch.mean((sum - mean.clone().unsqueeze()).square());
        (mean, (variance + EPSILON).sqrt())
    };
    let ((real_mean, real_width), (mean, width)) = (moments(batch.target.clone()), moments(fake));
    let squares = (mean - real_mean).square() + (width - real_width.clone()).square();
    squares / real_width.square()
}

impl Surrogate for Wgan {
    const LOSS_LABEL: &'static str = "loss of the critic";
    const JUDGE: Judge = Judge::Distance;
    /// As in Gulrajani et al. 2017.
    const MOMENTS: [f64; 2] = [0.0, 0.9];

    fn whole_batch_key(&self) -> Option<&'static str> {
        (self.sum_constraint > 0.0).then_some("sum_constraint")
    }

    fn loss(&self, batch: &Batch, step: Step, rng: &mut ChaCha8Rng) -> Loss {
        match self.players.turn(step) {
            Turn::Main => self.critic_loss(batch, rng),
            Turn::Generator => self.generator_loss(batch, rng),
        }
    }

    fn after_step(mut self) -> Self {
        if let Constraint::Clipping { limit } = self.constraint {
            self.players.critic = self.players.critic.clipped(limit);
        }
        self
    }

    fn noise_width(&self) -> usize {
        self.players.noise_width()
    }

    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.players.generate(noise, condition)
    }
}
