//! Neural two-sample classifier: a multilayer perceptron with leaky ReLU trained on binary cross-entropy
//! L = mean(log(1 + eˢ) − y·s) of its score s, keeping the epoch with the lowest validation loss.
//!
//! The default of three layers of 256 units follows the low-level classifier of CaloFlow (Krause & Shih 2021,
//! arXiv:2106.05285) at half its width.

use burn::module::Module;
use burn::tensor::{Device, activation};
use ndarray::{Array2, ArrayView2, Axis};
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simile_data::random;
use simile_validation::c2st::{ClassifierError, Labelled, Scorer, TwoSampleClassifier};

use crate::config::ConfigError;
use crate::kernels::{Activation, Blocks, MlpShape};
use crate::nn::parameters::{self, Parameters};
use crate::nn::{Mlp, MlpConfig};
use crate::training::{Optimizer, TrainingConfig, tensor};

/// Shape and training of a [`MlpClassifier`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierConfig {
    /// Units in a hidden layer.
    pub width: usize,
    /// Hidden layers.
    pub hidden: usize,
    /// Largest number of passes over the training events.
    pub epochs: usize,
    /// Stop when the validation loss has not improved for so many epochs.
    pub patience: usize,
    /// Events in a step.
    pub batch_size: usize,
    /// Learning rate of Adam.
    pub learning_rate: f64,
}

impl Default for ClassifierConfig {
    fn default() -> Self {
        Self { width: 256, hidden: 3, epochs: 60, patience: 20, batch_size: 256, learning_rate: 1e-3 }
    }
}

impl ClassifierConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let counts = [
            ("width", self.width),
            ("hidden", self.hidden),
            ("epochs", self.epochs),
            ("patience", self.patience),
            ("batch_size", self.batch_size),
        ];
        for (key, value) in counts {
            if value == 0 {
                return Err(ConfigError::value(format!("validation.classifier.{key}"), value, "at least 1"));
            }
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            let expected = "a positive number";
            return Err(ConfigError::value(
                "validation.classifier.learning_rate",
                self.learning_rate,
                expected,
            ));
        }
        Ok(())
    }
}

/// See the module documentation.
pub struct MlpClassifier {
    config: ClassifierConfig,
    name: String,
    device: Device,
}

/// Slope of the leaky ReLU, as in CaloChallenge's classifier.
const NEGATIVE_SLOPE: f32 = 0.01;
/// Rows scored at a time.
const SCORED_ROWS: usize = 4096;

impl MlpClassifier {
    /// A classifier that trains on `device`.
    pub fn new(config: ClassifierConfig, device: Device) -> Self {
        let name = format!("MLP {}×{}", config.hidden, config.width);
        Self { config, name, device }
    }

    fn optimisation(&self) -> TrainingConfig {
        TrainingConfig {
            learning_rate: self.config.learning_rate,
            average_decay: 0.0,
            gradient_clip: f64::MAX,
            weight_decay: 0.0,
            ..TrainingConfig::default()
        }
    }
}

impl TwoSampleClassifier for MlpClassifier {
    fn name(&self) -> &str {
        &self.name
    }

    fn fit(
        &self,
        train: &Labelled<'_>,
        validation: &Labelled<'_>,
        seed: u64,
    ) -> Result<Box<Scorer<'_>>, ClassifierError> {
        let model = self.train(train, validation, seed)?;
        Ok(Box::new(move |x| scores(&model, x, &self.device)))
    }
}

impl MlpClassifier {
    /// The network of a classifier of `inputs` numbers.
    pub(super) fn network(&self, inputs: usize) -> MlpConfig {
        let shape = MlpShape {
            inputs,
            outputs: 1,
            width: self.config.width,
            hidden: self.config.hidden,
            blocks: Blocks::Plain,
            activation: Activation::LeakyRelu(NEGATIVE_SLOPE),
        };
        MlpConfig { shape, output_gain: 1.0 }
    }

    /// The network with the lowest validation loss.
    pub(super) fn train(
        &self,
        train: &Labelled<'_>,
        validation: &Labelled<'_>,
        seed: u64,
    ) -> Result<Mlp, ClassifierError> {
        let device = self.device.clone().autodiff();
        let mut rng = random::stream(seed, "classifier/init", 0);
        let mut model = self.network(train.x.ncols()).init(&device, &mut rng);
        let mut optimizer = Optimizer::new(&model, &self.device);
        let mut best: (f64, usize, Parameters) = (f64::INFINITY, 0, parameters::collect(&model));
        for epoch in 0..self.config.epochs {
            model = self.epoch(model, &mut optimizer, train, seed, epoch, &device)?;
            let loss = validation_loss(&model.valid(), validation, &self.device);
            if loss < best.0 {
                best = (loss, epoch, parameters::collect(&model));
            }
            if epoch >= best.1 + self.config.patience {
                break;
            }
        }
        if best.0.is_infinite() {
            return Err("the validation loss was never finite".into());
        }
        Ok(parameters::load(model.valid(), best.2)?)
    }

    fn epoch(
        &self,
        mut model: Mlp,
        optimizer: &mut Optimizer,
        train: &Labelled<'_>,
        seed: u64,
        epoch: usize,
        device: &Device,
    ) -> Result<Mlp, ClassifierError> {
        let mut rng = random::stream(seed, "classifier/order", epoch as u64);
        let mut order: Vec<usize> = (0..train.x.nrows()).collect();
        order.shuffle(&mut rng);
        let config = self.optimisation();
        for batch in order.chunks(self.config.batch_size) {
            let x = tensor(&train.x.select(Axis(0), batch), device);
            let y = tensor(&train.y.select(Axis(0), batch).insert_axis(Axis(1)), device);
            let score = model.forward(x);
            let loss = (activation::softplus(score.clone(), 1.0) - score * y).mean();
            let (next, norm) = optimizer.step(model, loss.backward(), self.config.learning_rate, &config);
            if !norm.is_finite() {
                return Err(format!("the gradient is not finite in epoch {}", epoch + 1).into());
            }
            model = next;
        }
        Ok(model)
    }
}

fn validation_loss(model: &Mlp, events: &Labelled<'_>, device: &Device) -> f64 {
    let loss = |(s, &y): (f64, &f32)| s.max(0.0) + (-s.abs()).exp().ln_1p() - f64::from(y) * s;
    let losses = scores(model, events.x, device).into_iter().zip(events.y).map(loss);
    losses.sum::<f64>() / events.y.len() as f64
}

/// Scores of rows, in logits.
pub(super) fn scores(model: &Mlp, x: ArrayView2<f32>, device: &Device) -> Vec<f64> {
    let mut scores = Vec::with_capacity(x.nrows());
    for rows in x.axis_chunks_iter(Axis(0), SCORED_ROWS) {
        let rows: Array2<f32> = rows.to_owned();
        scores.extend(model.forward(tensor(&rows, device)).into_data().iter::<f64>());
    }
    scores
}
