//! Denoising diffusion (Ho, Jain, Abbeel 2020, arXiv:2006.11239) with the cosine schedule (Nichol & Dhariwal 2021,
//! arXiv:2102.09672) and the deterministic sampler DDIM (Song, Meng, Ermon 2020, arXiv:2010.02502).
//!
//! Data x are noised to x_t = α_t·x + σ_t·ε with α_t = cos(φ_t)/cos(φ_0), φ_t = π/2·(t + s)/(1 + s), s = 0.008, t in
//! \[0, 1\], and α² + σ² = 1. The network F(x_t, t; c) gives the velocity α_t·ε − σ_t·x, from which the noise
//! ε̂ = σ_t·x_t + α_t·F and the data x̂ = α_t·x_t − σ_t·F follow, well-conditioned at all times (Salimans & Ho 2022,
//! arXiv:2202.00512), or x̂ itself, with ε̂ = (x_t − α_t·x̂)/σ_t, which generation does not need at t = 0. The loss is the
//! mean square error per target dimension of the noise, E‖ε̂ − ε‖², of the velocity or of the data (see [`Prediction`]).
//! Generation walks from t = 1 to 0 in N steps, each to x′ = α′·x̂ + σ′·ε̂.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::network::{NetworkConfig, Role, check_count};
use super::prediction::{Prediction, spread_times};
use super::{Batch, GroupSpace, Loss, Step, Surrogate};
use crate::config::{ConfigError, over};
use crate::nn::{TIME_FEATURES, TimeNetwork};

/// Shape of a [`Diffusion`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiffusionConfig {
    /// Network of what is predicted, see [`Prediction`].
    #[serde(deserialize_with = "network")]
    pub network: NetworkConfig,
    /// What is predicted.
    pub prediction: Prediction,
    /// Steps of the sampler, each of one evaluation of the network.
    pub steps: usize,
}

/// The table of the network, with the default's values of keys that are not given.
fn network<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NetworkConfig, D::Error> {
    over(deserializer, DiffusionConfig::default().network)
}

impl Default for DiffusionConfig {
    /// DDIM, of first order, wants about a hundred steps.
    fn default() -> Self {
        Self {
            network: NetworkConfig { width: 512, hidden: 3, ..NetworkConfig::default() },
            prediction: Prediction::default(),
            steps: 100,
        }
    }
}

impl DiffusionConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.network.check("network")?;
        check_count("steps", self.steps)
    }

    /// The networks that see targets, with their keys.
    pub(super) fn networks(&self) -> Vec<(&'static str, &NetworkConfig)> {
        vec![("network", &self.network)]
    }

    /// Draws the weights.
    pub fn init(&self, space: GroupSpace, device: &Device, rng: &mut ChaCha8Rng) -> Diffusion {
        let inputs = space.targets + TIME_FEATURES + space.conditions;
        let network = TimeNetwork::new(self.network.init(Role::Field, [inputs, space.targets], device, rng));
        Diffusion { network, targets: space.targets, prediction: self.prediction, steps: self.steps }
    }
}

/// See the module documentation.
#[derive(Module, Debug)]
pub struct Diffusion {
    network: TimeNetwork,
    #[module(skip)]
    targets: usize,
    #[module(skip)]
    prediction: Prediction,
    #[module(skip)]
    steps: usize,
}

/// Keeps the first steps of the noise small (Nichol & Dhariwal 2021).
const OFFSET: f64 = 0.008;

/// (α_t, σ_t), `[batch, 1]` each.
fn signal_and_noise(time: Tensor<2>) -> [Tensor<2>; 2] {
    let scale = std::f64::consts::FRAC_PI_2 / (1.0 + OFFSET);
    let signal = ((time + OFFSET) * scale).cos() / (OFFSET * scale).cos();
    let noise = (signal.clone().square() * -1.0 + 1.0).clamp_min(0.0).sqrt();
    [signal, noise]
}

/// What the network makes of x_t.
struct Estimate {
    data: Tensor<2>,
    noise: Tensor<2>,
}

impl Diffusion {
    fn estimate(&self, x: Tensor<2>, time: Tensor<2>, condition: Tensor<2>) -> Estimate {
        let [signal, rest] = signal_and_noise(time.clone());
        let f = self.network.forward(x.clone(), time, condition);
        match self.prediction {
            Prediction::Noise | Prediction::Velocity => Estimate {
                data: x.clone() * signal.clone() - f.clone() * rest.clone(),
                noise: x * rest + f * signal,
            },
            Prediction::Data => Estimate { noise: (x - f.clone() * signal) / rest, data: f },
        }
    }

    /// From x at one time to x at another.
    fn step(&self, x: Tensor<2>, condition: &Tensor<2>, [from, to]: [f64; 2]) -> Tensor<2> {
        let (rows, device) = (x.dims()[0], x.device());
        let at = |time| Tensor::full([rows, 1], time, &device);
        let Estimate { data, noise } = self.estimate(x, at(from), condition.clone());
        let [signal, rest] = signal_and_noise(at(to));
        data * signal + noise * rest
    }

    fn times(&self) -> impl Iterator<Item = [f64; 2]> + use<> {
        let steps = self.steps as f64;
        (0..self.steps).map(move |i| [i, i + 1].map(|i| 1.0 - i as f64 / steps))
    }
}

impl Surrogate for Diffusion {
    const LOSS_LABEL: &'static str = "mean square error of noise, velocity or data";

    fn loss(&self, batch: &Batch, _: Step, rng: &mut ChaCha8Rng) -> Loss {
        let time = spread_times(batch, rng);
        let noise = batch.normal_noise(self.targets, rng);
        let [signal, rest] = signal_and_noise(time.clone());
        let x = batch.target.clone() * signal.clone() + noise.clone() * rest.clone();
        let condition = batch.condition.clone();
        let error = match self.prediction {
            Prediction::Noise => self.estimate(x, time, condition).noise - noise,
            Prediction::Velocity => {
                let velocity = noise * signal - batch.target.clone() * rest;
                self.network.forward(x, time, condition) - velocity
            }
            Prediction::Data => self.network.forward(x, time, condition) - batch.target.clone(),
        };
        Loss::of(batch.mean(error.square().mean_dim(1)))
    }

    fn noise_width(&self) -> usize {
        self.targets
    }

    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.times().fold(noise, |x, times| self.step(x, &condition, times))
    }

    fn trajectory(&self, noise: Tensor<2>, condition: Tensor<2>) -> Option<Vec<Tensor<2>>> {
        let mut path = vec![noise];
        for times in self.times() {
            path.push(self.step(path[path.len() - 1].clone(), &condition, times));
        }
        Some(path)
    }
}
