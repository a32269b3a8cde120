//! Autoencoder, plain or denoising (Vincent et al. 2008, "Extracting and composing robust features with denoising
//! autoencoders"), with a latent density fitted afterwards.
//!
//! An encoder takes target x and condition c to a code z, a decoder takes z and c back to x: L = E‖x − D(E(x̃, c), c)‖² per
//! target dimension, x̃ = x or, for the denoising one, x corrupted by Gaussian noise or by setting targets to zero at
//! random. To generate, z is drawn from a Gaussian mixture of the codes of training events given c (Ghosh et al. 2019,
//! arXiv:1903.12436). The linear autoencoder, principal component analysis, is the baseline of the reconstruction.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ndarray::Array2;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mixture::{LatentMixture, joined};
use super::network::{NetworkConfig, Role, check_count, check_positive};
use super::principal::PrincipalComponents;
use super::{Batch, GroupSpace, Loss, Step, Surrogate};
use crate::config::ConfigError;
use crate::nn::Network;
use crate::training::matrix;

/// How a denoising autoencoder spoils its input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Corruption {
    /// Noise of this width is added.
    Gaussian {
        /// Standard deviation in model space.
        sigma: f64,
    },
    /// Targets are set to zero.
    Masking {
        /// Probability of each.
        probability: f64,
    },
}

/// Shape of an [`Autoencoder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AutoencoderConfig {
    /// Dimensions of the code.
    pub latents: usize,
    /// Network of the encoder.
    pub encoder: NetworkConfig,
    /// Network of the decoder.
    pub decoder: NetworkConfig,
    /// Largest number of components of the mixture; how many are used is decided by held-out likelihood.
    pub components: usize,
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self {
            latents: 16,
            encoder: NetworkConfig::default(),
            decoder: NetworkConfig::default(),
            components: 32,
        }
    }
}

impl AutoencoderConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_count("latents", self.latents)?;
        check_count("components", self.components)?;
        self.encoder.check("encoder")?;
        self.decoder.check("decoder")
    }

    /// The networks that see targets, with their keys.
    pub(super) fn networks(&self) -> Vec<(&'static str, &NetworkConfig)> {
        vec![("encoder", &self.encoder), ("decoder", &self.decoder)]
    }

    /// Draws the weights.
    pub fn init(&self, space: GroupSpace, device: &Device, rng: &mut ChaCha8Rng) -> Autoencoder {
        self.init_with(None, space, device, rng)
    }

    fn init_with(
        &self,
        corruption: Option<Corruption>,
        space: GroupSpace,
        device: &Device,
        rng: &mut ChaCha8Rng,
    ) -> Autoencoder {
        let GroupSpace { conditions, targets, .. } = space;
        let latents = self.latents;
        Autoencoder {
            encoder: self.encoder.init(Role::Encoder, [targets + conditions, latents], device, rng),
            decoder: self.decoder.init(Role::Decoder, [latents + conditions, targets], device, rng),
            mixture: LatentMixture::new(self.components, latents, conditions, device),
            corruption,
        }
    }
}

/// Shape of an [`Autoencoder`] that denoises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DenoisingConfig {
    /// Dimensions of the code.
    pub latents: usize,
    /// Network of the encoder.
    pub encoder: NetworkConfig,
    /// Network of the decoder.
    pub decoder: NetworkConfig,
    /// Largest number of components of the mixture; how many are used is decided by held-out likelihood.
    pub components: usize,
    /// How the input is spoilt.
    pub corruption: Corruption,
}

impl Default for DenoisingConfig {
    fn default() -> Self {
        let AutoencoderConfig { latents, encoder, decoder, components } = AutoencoderConfig::default();
        Self { latents, encoder, decoder, components, corruption: Corruption::Gaussian { sigma: 0.3 } }
    }
}

impl DenoisingConfig {
    fn autoencoder(&self) -> AutoencoderConfig {
        let Self { latents, encoder, decoder, components, .. } = self.clone();
        AutoencoderConfig { latents, encoder, decoder, components }
    }

    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.autoencoder().check()?;
        match self.corruption {
            Corruption::Gaussian { sigma } => check_positive("corruption.sigma", sigma),
            Corruption::Masking { probability } if (0.0..1.0).contains(&probability) => Ok(()),
            Corruption::Masking { probability } => {
                Err(ConfigError::value("model.corruption.probability", probability, "at least 0 and below 1"))
            }
        }
    }

    /// The networks that see targets, with their keys.
    pub(super) fn networks(&self) -> Vec<(&'static str, &NetworkConfig)> {
        vec![("encoder", &self.encoder), ("decoder", &self.decoder)]
    }

    /// Draws the weights.
    pub fn init(&self, space: GroupSpace, device: &Device, rng: &mut ChaCha8Rng) -> Autoencoder {
        self.autoencoder().init_with(Some(self.corruption), space, device, rng)
    }
}

/// See the module documentation.
#[derive(Module, Debug)]
pub struct Autoencoder {
    encoder: Network,
    decoder: Network,
    mixture: LatentMixture,
    #[module(skip)]
    corruption: Option<Corruption>,
}

impl Autoencoder {
    fn encode(&self, target: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.encoder.forward(Tensor::cat(vec![target, condition], 1))
    }

    fn decode(&self, latent: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.decoder.forward(Tensor::cat(vec![latent, condition], 1))
    }

    /// The targets of a batch as the encoder sees them in training.
    fn corrupted(&self, batch: &Batch, rng: &mut ChaCha8Rng) -> Tensor<2> {
        let target = batch.target.clone();
        let columns = target.dims()[1];
        match self.corruption {
            None => target,
            Some(Corruption::Gaussian { sigma }) => target + batch.normal_noise(columns, rng) * sigma,
            Some(Corruption::Masking { probability }) => {
                target * batch.draw(columns, |_| f32::from(!rng.gen_bool(probability)))
            }
        }
    }

    /// Mean square error per target of the reconstruction of events.
    fn reconstruction_error(&self, batch: &Batch) -> f64 {
        let code = self.encode(batch.target.clone(), batch.condition.clone());
        let error = self.decode(code, batch.condition.clone()) - batch.target.clone();
        error.square().mean().into_scalar::<f64>()
    }

    /// Conditions and codes of events.
    fn codes(&self, batch: &Batch) -> Array2<f32> {
        let code = self.encode(batch.target.clone(), batch.condition.clone());
        joined(&matrix(batch.condition.clone()), &matrix(code))
    }
}

impl Surrogate for Autoencoder {
    const LOSS_LABEL: &'static str = "mean square error of the reconstruction";
    const FITS_LATENT: bool = true;

    fn loss(&self, batch: &Batch, _: Step, rng: &mut ChaCha8Rng) -> Loss {
        let code = self.encode(self.corrupted(batch, rng), batch.condition.clone());
        let error = self.decode(code, batch.condition.clone()) - batch.target.clone();
        Loss::of(batch.mean(error.square().mean_dim(1)))
    }

    fn fit_latent(
        self,
        train: &Batch,
        held_out: &Batch,
        rng: &mut ChaCha8Rng,
    ) -> (Self, BTreeMap<String, f64>) {
        let mixture = self.mixture.clone().fit(&self.codes(train), &self.codes(held_out), rng);
        let latents = mixture.noise_width() - 1;
        let mut figures = BTreeMap::from([
            ("components of the latent mixture".to_string(), mixture.components() as f64),
            ("reconstruction error".to_string(), self.reconstruction_error(held_out)),
        ]);
        let [targets, held_out] = [train, held_out].map(|batch| matrix(batch.target.clone()));
        // As many components as targets leave no error.
        if latents < targets.ncols()
            && let Some(components) = PrincipalComponents::fit(&targets, latents)
        {
            figures.insert(
                format!("reconstruction error of {latents} principal components"),
                components.reconstruction_error(&held_out),
            );
        }
        (Self { mixture, ..self }, figures)
    }

    fn noise_width(&self) -> usize {
        self.mixture.noise_width()
    }

    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.decode(self.mixture.draw(noise, condition.clone()), condition)
    }

    fn latent(&self, target: Tensor<2>, condition: Tensor<2>) -> Option<Tensor<2>> {
        Some(self.encode(target, condition))
    }

    fn latent_width(&self) -> usize {
        self.mixture.noise_width() - 1
    }

    fn is_latent_noise(&self) -> bool {
        false
    }

    fn decode(&self, latent: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.decode(latent, condition)
    }

    fn reconstruct(
        &self,
        target: Tensor<2>,
        condition: Tensor<2>,
        rng: &mut ChaCha8Rng,
    ) -> Option<[Tensor<2>; 2]> {
        let input = self.corrupted(&Batch::new(target, condition.clone()), rng);
        let code = self.encode(input.clone(), condition.clone());
        Some([input, self.decode(code, condition)])
    }
}
