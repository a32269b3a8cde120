//! Conditional variational autoencoder (Kingma & Welling 2013, arXiv:1312.6114; Sohn, Lee, Yan 2015).
//!
//! A latent z decides, with the condition c, the target x: p(x|c) = ∫ p(x|z, c)·p(z|c) dz. An encoder q(z|x, c), a normal
//! distribution with diagonal covariance, guesses z, and the loss is −ELBO per target dimension,
//!
//! ELBO = E_q\[log p(x|z, c)\] − β·KL(q(z|x, c) ‖ p(z|c)).
//!
//! The observation is normal with a learned variance for every target (Rybkin, Daniilidis, Levine 2020,
//! arXiv:2006.13202), or every target and event, or it is Bernoulli; columns that hold a category are categorical.
//! The prior is standard normal or a flow. Free bits λ
//! (Kingma et al. 2016, arXiv:1606.04934) leave every latent λ nats at no cost. log p(x|c) is estimated with importance
//! weights (Burda, Grosse, Salakhutdinov 2015, arXiv:1509.00519).

use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flow::log_standard_normal;
use super::network::{NetworkConfig, Role, check_count, check_not_negative};
use super::{Batch, Flow, FlowConfig, GroupSpace, LogProb, Loss, Step, Surrogate, normal_noise};
use crate::config::ConfigError;
use crate::kernels;
use crate::nn::Network;

/// Distribution of a target given the latent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Likelihood {
    /// Normal with a learned variance for every target.
    #[default]
    Gaussian,
    /// Of targets in \[0, 1\], as those of black-and-white images.
    Bernoulli,
}

/// What the variance of a Gaussian observation depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// On the target alone (Rybkin, Daniilidis, Levine 2020).
    #[default]
    PerTarget,
    /// On latent and condition, too: the decoder gives it beside the mean.
    PerEvent,
}

/// Shape of a [`Vae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VaeConfig {
    /// Latent dimensions.
    pub latents: usize,
    /// Network of q(z|x, c).
    pub encoder: NetworkConfig,
    /// Network of p(x|z, c).
    pub decoder: NetworkConfig,
    /// Distribution of a target given the latent.
    pub likelihood: Likelihood,
    /// What the variance of a Gaussian observation depends on.
    pub variance: Variance,
    /// Draw targets from that distribution; otherwise its mean is what is generated.
    pub observation_noise: bool,
    /// Weight of the KL divergence.
    pub beta: f64,
    /// Epochs in which that weight rises from 0 to `beta`.
    pub warm_up: usize,
    /// Nats of the KL divergence that cost nothing, for every latent dimension.
    pub free_bits: f64,
    /// Flow of the prior p(z|c); standard normal without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior: Option<FlowConfig>,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self {
            latents: 16,
            encoder: NetworkConfig::default(),
            decoder: NetworkConfig::default(),
            likelihood: Likelihood::Gaussian,
            variance: Variance::PerTarget,
            observation_noise: true,
            beta: 1.0,
            warm_up: 0,
            free_bits: 0.0,
            prior: None,
        }
    }
}

impl VaeConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_count("latents", self.latents)?;
        self.encoder.check("encoder")?;
        self.decoder.check("decoder")?;
        check_not_negative("beta", self.beta)?;
        check_not_negative("free_bits", self.free_bits)?;
        let prior = self.prior.as_ref().map_or(Ok(()), FlowConfig::check);
        prior.map_err(|error| error.moved("model", "model.prior"))
    }

    /// The networks that see targets, with their keys.
    pub(super) fn networks(&self) -> Vec<(&'static str, &NetworkConfig)> {
        vec![("encoder", &self.encoder), ("decoder", &self.decoder)]
    }

    /// Draws the weights.
    pub fn init(&self, space: GroupSpace, device: &Device, rng: &mut ChaCha8Rng) -> Vae {
        let GroupSpace { conditions, targets, categories } = space;
        let latents = self.latents;
        let prior_space = GroupSpace { conditions, targets: latents, categories: Vec::new() };
        let gaussian = self.likelihood == Likelihood::Gaussian;
        let outputs = if gaussian && self.variance == Variance::PerEvent { 2 * targets } else { targets };
        Vae {
            encoder: self.encoder.init(Role::Encoder, [targets + conditions, 2 * latents], device, rng),
            decoder: self.decoder.init(Role::Decoder, [latents + conditions, outputs], device, rng),
            log_sigma: gaussian.then(|| Param::from_tensor(Tensor::zeros([1, targets], device))),
            prior: self.prior.as_ref().map(|prior| prior.init(prior_space, device, rng)),
            config: self.clone(),
            targets,
            categories,
        }
    }
}

/// See the module documentation.
#[derive(Module, Debug)]
pub struct Vae {
    encoder: Network,
    decoder: Network,
    /// Of Gaussian observations; where the decoder gives it for every event, what its output is added to
    log_sigma: Option<Param<Tensor<2>>>,
    prior: Option<Flow>,
    #[module(skip)]
    config: VaeConfig,
    #[module(skip)]
    targets: usize,
    #[module(skip)]
    categories: Vec<Range<usize>>,
}

/// Bounds of log σ of a code: beyond them it would be a point, or no code at all.
const CODE_LOG_SIGMA: f64 = 7.0;
/// Smallest log σ of an observation: a target that is always the same would be infinitely likely.
const MIN_LOG_SIGMA: f64 = -7.0;
/// ½ ln 2π
const HALF_LOG_2PI: f64 = 0.918_938_533_204_672_7;

/// What is seen of a latent.
struct Observation {
    /// Mean of p(x|z, c), or the logits of targets that are 0 or 1, `[batch, targets]`.
    mean: Tensor<2>,
    /// log σ of Gaussian targets, `[batch or 1, targets]`.
    log_sigma: Option<Tensor<2>>,
}

/// Mean and log σ of q(z|x, c), `[batch, latents]` each.
struct Code {
    mean: Tensor<2>,
    log_sigma: Tensor<2>,
}

impl Vae {
    fn encode(&self, target: Tensor<2>, condition: Tensor<2>) -> Code {
        let latents = self.config.latents;
        let out = self.encoder.forward(Tensor::cat(vec![target, condition], 1));
        Code {
            mean: out.clone().narrow(1, 0, latents),
            log_sigma: out.narrow(1, latents, latents).clamp(-CODE_LOG_SIGMA, CODE_LOG_SIGMA),
        }
    }

    fn decode(&self, latent: Tensor<2>, condition: Tensor<2>) -> Observation {
        let out = self.decoder.forward(Tensor::cat(vec![latent, condition], 1));
        let Some(log_sigma) = self.log_sigma.as_ref().map(Param::val) else {
            return Observation { mean: out, log_sigma: None };
        };
        let (mean, log_sigma) = match self.config.variance {
            Variance::PerTarget => (out, log_sigma),
            Variance::PerEvent => {
                let [mean, rest] = [0, self.targets].map(|start| out.clone().narrow(1, start, self.targets));
                (mean, log_sigma + rest)
            }
        };
        Observation { mean, log_sigma: Some(log_sigma.clamp(MIN_LOG_SIGMA, -MIN_LOG_SIGMA)) }
    }

    /// log p(x|z, c), `[batch, 1]`.
    fn log_likelihood(&self, target: Tensor<2>, Observation { mean, log_sigma }: Observation) -> Tensor<2> {
        let each = match log_sigma {
            Some(log_sigma) => {
                let pull = (target.clone() - mean.clone()) / log_sigma.clone().exp();
                pull.square() * -0.5 - HALF_LOG_2PI - log_sigma
            }
            None => target.clone() * mean.clone() - activation::softplus(mean.clone(), 1.0),
        };
        if self.categories.is_empty() {
            return each.sum_dim(1);
        }
        let numbers = (each * self.is_number(&target.device())).sum_dim(1);
        self.categories.iter().fold(numbers, |sum, category| {
            let [target, logits] =
                [&target, &mean].map(|t| t.clone().narrow(1, category.start, category.len()));
            sum + (target * logits.clone()).sum_dim(1) - kernels::log_sum_exp(logits)
        })
    }

    /// Targets drawn with standard normal `noise`, or without it those expected, `[batch, targets]`.
    fn observe(&self, Observation { mean, log_sigma }: Observation, noise: Option<Tensor<2>>) -> Tensor<2> {
        let drawn = match (log_sigma, &noise) {
            (Some(_), None) => mean.clone(),
            (Some(log_sigma), Some(noise)) => mean.clone() + noise.clone() * log_sigma.exp(),
            (None, None) => activation::sigmoid(mean.clone()),
            // 1 with the probability p that a standard normal number is below the p-quantile.
            (None, Some(noise)) => uniform(noise.clone()).lower(activation::sigmoid(mean.clone())).float(),
        };
        self.with_categories(drawn, &mean, noise.as_ref())
    }

    /// 1 for targets that are numbers, 0 for columns of categories, `[1, targets]`.
    fn is_number(&self, device: &Device) -> Tensor<2> {
        let is_number = |i: usize| !self.categories.iter().any(|category| category.contains(&i));
        let mask: Vec<f32> = (0..self.targets).map(|i| f32::from(is_number(i))).collect();
        Tensor::from_data(TensorData::new(mask, [1, self.targets]), device)
    }

    /// Replaces columns of categories by 1 for the one that is drawn (by its logit and Gumbel noise), or is most likely,
    /// and 0 for the others.
    fn with_categories(&self, drawn: Tensor<2>, logits: &Tensor<2>, noise: Option<&Tensor<2>>) -> Tensor<2> {
        let rows = drawn.dims()[0];
        self.categories.iter().fold(drawn, |drawn, category| {
            let part = |t: &Tensor<2>| t.clone().narrow(1, category.start, category.len());
            let gumbel = |noise: &Tensor<2>| -(-uniform(part(noise)).log()).log();
            let scores = noise.map_or(part(logits), |noise| part(logits) + gumbel(noise));
            let hot = (scores.clone() - scores.max_dim(1)).greater_equal_elem(0.0).float();
            drawn.slice_assign([0..rows, category.clone()], hot)
        })
    }

    /// log p(z|c), `[batch, 1]`.
    fn log_prior(&self, latent: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        match &self.prior {
            Some(flow) => flow.log_prob(latent, condition),
            None => log_standard_normal(latent),
        }
    }

    /// KL(q ‖ p) of every event: for a standard normal prior by formula, of every latent `[batch, latents]`, else estimated
    /// from the drawn z, of all `[batch, 1]`.
    fn divergence(&self, batch: &Batch, code: &Code, latent: &Tensor<2>, pull: &Tensor<2>) -> Tensor<2> {
        if self.prior.is_some() {
            let log_code = log_standard_normal(pull.clone()) - code.log_sigma.clone().sum_dim(1);
            return log_code - self.log_prior(latent.clone(), batch.condition.clone());
        }
        let variance = (code.log_sigma.clone() * 2.0).exp();
        (code.mean.clone().square() + variance - code.log_sigma.clone() * 2.0 - 1.0) * 0.5
    }

    /// What the divergence costs beyond the free bits, which are those of each of its columns.
    fn beyond_free_bits(&self, divergence: Tensor<2>) -> Tensor<2> {
        let free = self.config.free_bits * (self.config.latents / divergence.dims()[1]) as f64;
        if free > 0.0 { at_least(divergence, free) } else { divergence }
    }

    fn beta(&self, epoch: usize) -> f64 {
        let VaeConfig { beta, warm_up, .. } = self.config;
        if epoch > warm_up { beta } else { beta * epoch as f64 / (warm_up + 1) as f64 }
    }
}

/// Φ(n) of standard normal numbers, kept off 0 and 1.
fn uniform(normal: Tensor<2>) -> Tensor<2> {
    (((normal / std::f64::consts::SQRT_2).erf() + 1.0) * 0.5).clamp(1e-7, 1.0 - 1e-7)
}

/// Quantities `[batch, n]` whose mean over the batch is below `floor` have no gradient, and count as `floor`.
fn at_least(quantity: Tensor<2>, floor: f64) -> Tensor<2> {
    let mean = quantity.clone().mean_dim(0);
    let above = mean.clone().detach().greater_elem(floor).float();
    quantity * above.clone() + (above * -1.0 + 1.0) * floor
}

impl Surrogate for Vae {
    const LOSS_LABEL: &'static str = "−ELBO per dimension (nats)";
    const HAS_DENSITY: bool = true;

    fn whole_batch_key(&self) -> Option<&'static str> {
        (self.config.free_bits > 0.0).then_some("free_bits")
    }

    fn loss(&self, batch: &Batch, step: Step, rng: &mut ChaCha8Rng) -> Loss {
        let code = self.encode(batch.target.clone(), batch.condition.clone());
        let pull = batch.normal_noise(self.config.latents, rng);
        let latent = code.mean.clone() + code.log_sigma.clone().exp() * pull.clone();
        let decoded = self.decode(latent.clone(), batch.condition.clone());
        let reconstruction = batch.mean(self.log_likelihood(batch.target.clone(), decoded));
        let divergence = self.divergence(batch, &code, &latent, &pull);
        let cost = batch.mean(self.beyond_free_bits(divergence.clone()).sum_dim(1));
        let elbo = reconstruction.clone() - cost * self.beta(step.epoch);
        let divergence = batch.mean(divergence.sum_dim(1));
        Loss::of(elbo / -(self.targets as f64))
            .with("log p(x|z) per dimension", reconstruction.detach() / self.targets as f64)
            .with("KL divergence per dimension", divergence.detach() / self.targets as f64)
    }

    fn noise_width(&self) -> usize {
        self.config.latents + if self.config.observation_noise { self.targets } else { 0 }
    }

    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let latents = self.config.latents;
        let base = noise.clone().narrow(1, 0, latents);
        let latent = match &self.prior {
            Some(flow) => flow.inverse(base, condition.clone()),
            None => base,
        };
        let noise = self.config.observation_noise.then(|| noise.narrow(1, latents, self.targets));
        self.observe(self.decode(latent, condition), noise)
    }

    fn latent(&self, target: Tensor<2>, condition: Tensor<2>) -> Option<Tensor<2>> {
        Some(self.encode(target, condition).mean)
    }

    fn latent_width(&self) -> usize {
        self.config.latents
    }

    fn is_latent_noise(&self) -> bool {
        false
    }

    fn decode(&self, latent: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.observe(self.decode(latent, condition), None)
    }

    fn reconstruct(
        &self,
        target: Tensor<2>,
        condition: Tensor<2>,
        _: &mut ChaCha8Rng,
    ) -> Option<[Tensor<2>; 2]> {
        let code = self.encode(target.clone(), condition.clone()).mean;
        Some([target, Surrogate::decode(self, code, condition)])
    }

    fn log_prob(
        &self,
        target: Tensor<2>,
        condition: Tensor<2>,
        samples: usize,
        rng: &mut ChaCha8Rng,
    ) -> Option<LogProb> {
        let code = self.encode(target.clone(), condition.clone());
        let weights = (0..samples).map(|_| {
            let pull = normal_noise(target.dims()[0], self.config.latents, &target.device(), rng);
            let latent = code.mean.clone() + code.log_sigma.clone().exp() * pull.clone();
            let log_code = log_standard_normal(pull) - code.log_sigma.clone().sum_dim(1);
            let decoded = self.decode(latent.clone(), condition.clone());
            self.log_likelihood(target.clone(), decoded) + self.log_prior(latent, condition.clone())
                - log_code
        });
        let weights = Tensor::cat(weights.collect(), 1);
        Some(LogProb {
            value: kernels::log_sum_exp(weights.clone()) - (samples as f64).ln(),
            lower_bound: Some(weights.mean_dim(1)),
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::module::ModuleVisitor;
    use burn::tensor::Gradients;
    use simile_data::random;

    use super::*;

    struct Idle {
        gradients: Gradients,
        shapes: Vec<Vec<usize>>,
    }

    impl ModuleVisitor for Idle {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.val().grad(&self.gradients).is_none() {
                self.shapes.push(param.val().dims().to_vec());
            }
        }
    }

    /// An operation on a weight that the loss does not depend on stays in Burn's graph for ever, and every step adds one.
    #[test]
    fn every_weight_learns() {
        let device = Device::flex().autodiff();
        for likelihood in [Likelihood::Gaussian, Likelihood::Bernoulli] {
            for variance in [Variance::PerTarget, Variance::PerEvent] {
                let config = VaeConfig { latents: 2, likelihood, variance, ..VaeConfig::default() };
                let mut rng = random::stream(1, "test/weights", 0);
                let space = GroupSpace { conditions: 1, targets: 3, categories: Vec::new() };
                let model = config.init(space, &device, &mut rng);
                let batch = Batch::new(Tensor::ones([4, 3], &device), Tensor::ones([4, 1], &device));
                let loss = model.loss(&batch, Step { number: 0, epoch: 1 }, &mut rng).value;
                let mut idle = Idle { gradients: loss.backward(), shapes: Vec::new() };
                model.visit(&mut idle);
                assert!(idle.shapes.is_empty(), "{likelihood:?}, {variance:?}: {:?}", idle.shapes);
            }
        }
    }
}
