//! The networks inside models, as configured.

use std::fmt::Display;

use burn::tensor::Device;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::kernels::{Activation, Blocks, MlpShape};
use crate::nn::{ImageConfig, MlpConfig, Network};

/// Nonlinearity between the layers of a network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActivationKind {
    /// max(z, 0)
    Relu,
    /// z for z > 0, else 0.2 z (as in the critics of Radford et al. 2015, arXiv:1511.06434)
    LeakyRelu,
    /// z/(1 + e^−z)
    Silu,
    /// z·Φ(z)
    Gelu,
    /// tanh z
    Tanh,
}

/// Slope of the leaky ReLU for negative arguments.
pub(super) const NEGATIVE_SLOPE: f32 = 0.2;

impl ActivationKind {
    fn kernel(self) -> Activation {
        match self {
            Self::Relu => Activation::Relu,
            Self::LeakyRelu => Activation::LeakyRelu(NEGATIVE_SLOPE),
            Self::Silu => Activation::Silu,
            Self::Gelu => Activation::Gelu,
            Self::Tanh => Activation::Tanh,
        }
    }
}

/// A network inside a model: a multilayer perceptron, or one with convolutions around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// Units in a hidden layer.
    pub width: usize,
    /// Hidden layers, or residual blocks of two layers each.
    pub hidden: usize,
    /// How hidden layers follow each other.
    pub blocks: Blocks,
    /// Nonlinearity.
    pub activation: ActivationKind,
    /// Convolutions, where targets are an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convolutions: Option<ConvolutionsConfig>,
}

/// Convolutions of stride 2: before the hidden layers where the targets come in, after them where they go out. Of
/// diffusion and flow matching they are a network of their own, which goes from the full resolution down and up again, and
/// the hidden layers bring in time and conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConvolutionsConfig {
    /// Channels, height and width: targets are their values, width fastest.
    pub image: [usize; 3],
    /// Channels after every halving of the image; of diffusion and flow matching at every resolution, the full one first.
    pub channels: Vec<usize>,
}

impl Default for NetworkConfig {
    /// A size that trains in minutes on two cores; SiLU, which is smooth, suits regression.
    fn default() -> Self {
        Self {
            width: 256,
            hidden: 2,
            blocks: Blocks::Plain,
            activation: ActivationKind::Silu,
            convolutions: None,
        }
    }
}

/// Largest number of layers, of units in a layer, of latents: a guard against numbers from damaged files.
const MAX_SIZE: usize = 1 << 16;

/// Checks that a count is at least 1 and of reasonable size.
pub(super) fn check_count(key: &str, value: usize) -> Result<(), ConfigError> {
    if (1..=MAX_SIZE).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::value(format!("model.{key}"), value, format!("1 to {MAX_SIZE}")))
}

/// Checks that a number is not negative.
pub(super) fn check_not_negative(key: &str, value: f64) -> Result<(), ConfigError> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(ConfigError::value(format!("model.{key}"), value, "zero or a positive number"))
}

/// Checks that a number is positive.
pub(super) fn check_positive(key: &str, value: impl Into<f64> + Display + Copy) -> Result<(), ConfigError> {
    let number: f64 = value.into();
    if number > 0.0 && number.is_finite() {
        return Ok(());
    }
    Err(ConfigError::value(format!("model.{key}"), value, "a positive number"))
}

impl NetworkConfig {
    /// Checks ranges; `name` is the key of the network in the table of the model.
    pub(super) fn check(&self, name: &str) -> Result<(), ConfigError> {
        check_count(&format!("{name}.width"), self.width)?;
        check_count(&format!("{name}.hidden"), self.hidden)?;
        let Some(ConvolutionsConfig { image, channels }) = &self.convolutions else { return Ok(()) };
        let name = format!("{name}.convolutions");
        image.iter().try_for_each(|&size| check_count(&format!("{name}.image"), size))?;
        channels.iter().try_for_each(|&number| check_count(&format!("{name}.channels"), number))?;
        let side = image[1].min(image[2]);
        if channels.is_empty() || side.checked_shr(channels.len() as u32).unwrap_or(0) == 0 {
            let key = format!("model.{name}.channels");
            let expected =
                format!("1 to {} numbers: so often can an image of {side} pixels be halved", side.ilog2());
            return Err(ConfigError::value(key, format!("{channels:?}"), expected));
        }
        Ok(())
    }

    /// Checks that the image, if there is one, has as many values as there are targets.
    pub(super) fn check_targets(&self, name: &str, targets: usize) -> Result<(), ConfigError> {
        match &self.convolutions {
            Some(ConvolutionsConfig { image, .. }) if image.iter().product::<usize>() != targets => {
                let key = format!("model.{name}.convolutions.image");
                let expected = format!("channels, height and width of the {targets} targets");
                Err(ConfigError::value(key, format!("{image:?}"), expected))
            }
            _ => Ok(()),
        }
    }

    /// The network in its role, from `inputs` to `outputs`.
    pub(super) fn init(
        &self,
        role: Role,
        [inputs, outputs]: [usize; 2],
        device: &Device,
        rng: &mut ChaCha8Rng,
    ) -> Network {
        let Self { width, hidden, blocks, activation, .. } = *self;
        let mlp = MlpShape { inputs, outputs, width, hidden, blocks, activation: activation.kernel() };
        let Some(ConvolutionsConfig { image, channels }) = &self.convolutions else {
            return Network::Mlp(MlpConfig { shape: mlp, output_gain: 1.0 }.init(device, rng));
        };
        let config = ImageConfig { image: *image, channels: channels.clone(), mlp };
        match role {
            Role::Encoder => Network::ImageEncoder(config.encoder(device, rng)),
            Role::Decoder => Network::ImageDecoder(config.decoder(device, rng)),
            Role::Field => Network::ImageField(config.field(device, rng)),
        }
    }
}

/// Where a network has the targets, which may be an image.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// They begin its input.
    Encoder,
    /// They are its output, once or several times.
    Decoder,
    /// Both.
    Field,
}
