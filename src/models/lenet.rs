//! Classifier of grey images after LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998, Proc. IEEE 86, 2278).
//!
//! Two convolutions, each of which halves the image (stride 2 in place of pooling, Springenberg et al. 2014,
//! arXiv:1412.6806), and a hidden layer lead to features f(x) = max(0, ·), as many as LeNet-5 has in its last hidden layer;
//! logits are s = W·f(x) + b. The loss is the cross-entropy L = mean(log Σ_k exp(s_k) − s_class). In training, images are
//! moved by a few pixels at random, since surrogates need not centre theirs as a data set does.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1, Axis};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use simile_data::random;

use super::network::{ActivationKind, ConvolutionsConfig, NetworkConfig, Role};
use crate::kernels::{self, Activation, Blocks, MlpShape, activate};
use crate::nn::{Mlp, MlpConfig, Network, parameters};
use crate::training::{self, EpochRecord, Optimizer, ScheduleKind, TrainingConfig, matrix};

/// Widths of a [`LeNet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeNetConfig {
    /// Height and width of an image.
    pub size: [usize; 2],
    /// Number of classes.
    pub classes: usize,
    /// Channels after every halving of the image.
    pub channels: Vec<usize>,
    /// Units of the hidden layer.
    pub width: usize,
    /// Number of features.
    pub features: usize,
}

/// As in LeNet-5.
const FEATURES: usize = 84;
/// Largest width of anything.
const MAX_SIZE: usize = 1 << 14;
/// Rows classified at a time.
const CLASSIFIED_ROWS: usize = 512;

impl LeNetConfig {
    /// A size that learns the digits of MNIST to 99% in a minute on two cores.
    pub fn new(size: [usize; 2], classes: usize) -> Self {
        Self { size, classes, channels: vec![16, 32], width: 128, features: FEATURES }
    }

    /// Shortest side of an image that can be halved as often as there are channels.
    pub fn smallest_side(&self) -> usize {
        1 << self.channels.len().min(MAX_SIZE.ilog2() as usize)
    }

    /// Checks numbers that come from a file: a guard against damaged ones.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let needed = self.smallest_side();
        let numbers = [self.classes, self.width, self.features];
        let numbers = numbers.iter().chain(&self.size).chain(&self.channels);
        match numbers.clone().find(|number| !(1..=MAX_SIZE).contains(*number)) {
            Some(number) => Err(format!("a network of width {number}")),
            None if self.channels.is_empty() || self.size[0].min(self.size[1]) < needed => {
                Err(format!("images of {:?} pixels, {needed} are needed", self.size))
            }
            None => Ok(()),
        }
    }

    /// Draws the weights.
    pub fn init(&self, device: &Device, rng: &mut ChaCha8Rng) -> LeNet {
        let [height, width] = self.size;
        let convolutions = ConvolutionsConfig { image: [1, height, width], channels: self.channels.clone() };
        let body = NetworkConfig {
            width: self.width,
            hidden: 1,
            blocks: Blocks::Plain,
            activation: ActivationKind::Relu,
            convolutions: Some(convolutions),
        };
        let head = MlpShape {
            inputs: self.features,
            outputs: self.classes,
            width: 0,
            hidden: 0,
            blocks: Blocks::Plain,
            activation: Activation::Relu,
        };
        LeNet {
            body: body.init(Role::Encoder, [height * width, self.features], device, rng),
            head: MlpConfig { shape: head, output_gain: 1.0 }.init(device, rng),
        }
    }
}

/// See the module documentation.
#[derive(Module, Debug)]
pub struct LeNet {
    body: Network,
    head: Mlp,
}

/// Labelled images.
#[derive(Clone, Debug)]
pub struct LabelledImages {
    /// Pixels of order one, `[images, height·width]`, width fastest.
    pub pixels: Array2<f32>,
    /// Class of each, from 0.
    pub classes: Vec<usize>,
}

/// How a [`LeNet`] is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeNetTraining {
    /// Passes over the images.
    pub epochs: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Images are moved by up to so many pixels in each direction.
    pub shift: usize,
    /// Value of the pixels that come in from outside.
    pub background: f32,
    /// Seed of weights, order and movements.
    pub seed: u64,
}

impl LeNet {
    /// Features `[batch, features]`.
    pub fn features(&self, images: Tensor<2>) -> Tensor<2> {
        activate(self.body.forward(images), Activation::Relu)
    }

    /// Logits `[batch, classes]`.
    pub fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        self.head.forward(features)
    }

    /// Features `[images, features]` and most probable class of every image.
    pub fn classify(&self, pixels: ArrayView2<'_, f32>, device: &Device) -> (Array2<f32>, Vec<usize>) {
        let width = self.head.shape().inputs;
        let mut features = Array2::zeros((pixels.nrows(), width));
        let mut classes = Vec::with_capacity(pixels.nrows());
        let chunks = features.axis_chunks_iter_mut(Axis(0), CLASSIFIED_ROWS);
        for (mut features, pixels) in chunks.zip(pixels.axis_chunks_iter(Axis(0), CLASSIFIED_ROWS)) {
            let found = self.features(training::tensor(&pixels.to_owned(), device));
            let logits = matrix(self.logits(found.clone()));
            features.assign(&matrix(found));
            classes.extend(logits.rows().into_iter().map(largest));
        }
        (features, classes)
    }

    /// Trains a network from the beginning; its weights are averaged over steps. None if the loss is not finite.
    pub fn train(
        config: &LeNetConfig,
        images: &LabelledImages,
        training: &LeNetTraining,
        device: &Device,
        observer: &mut dyn training::Observer,
    ) -> Option<Self> {
        let learning = device.clone().autodiff();
        let mut model = config.init(&learning, &mut random::stream(training.seed, "lenet/init", 0));
        let mut optimizer = Optimizer::new(&model, device);
        let steps = images.classes.len().div_ceil(training.batch_size) as u64;
        observer.start(1, training.epochs, steps);
        for epoch in 0..training.epochs {
            let start = Instant::now();
            let mut batches = Batches::new(images, config, training, epoch);
            let (mut losses, mut norms, mut rate) = (0.0, 0.0, 0.0);
            for step in epoch as u64 * steps..(epoch as u64 + 1) * steps {
                let (pixels, classes) = batches.next(&learning)?;
                rate = training.learning_rate
                    * ScheduleKind::OneCycle.factor(step, training.epochs as u64 * steps);
                let size = pixels.dims()[0];
                let loss = model.loss(pixels, classes);
                let value = loss.clone().into_scalar::<f64>();
                let norm;
                (model, norm) = optimizer.step(model, loss.backward(), rate, &TrainingConfig::default());
                if !norm.is_finite() {
                    return None;
                }
                (losses, norms) = (losses + value, norms + norm);
                observer.step(size, value);
            }
            let record = EpochRecord {
                epoch: epoch + 1,
                train_loss: losses / steps as f64,
                validation_loss: None,
                learning_rate: rate,
                gradient_norm: norms / steps as f64,
                figures: BTreeMap::new(),
                seconds: start.elapsed().as_secs_f64(),
            };
            observer.epoch(&record, epoch + 1 == training.epochs);
        }
        let weights = optimizer.averaged(&model);
        Some(parameters::load(model.valid(), weights).expect("these are the weights of this network"))
    }

    /// Cross-entropy of images with their classes `[batch, classes]`, 1 for the right one; shape `[1]`.
    fn loss(&self, images: Tensor<2>, classes: Tensor<2>) -> Tensor<1> {
        let logits = self.logits(self.features(images));
        (kernels::log_sum_exp(logits.clone()) - (logits * classes).sum_dim(1)).mean()
    }
}

/// Position of the largest number.
fn largest(logits: ArrayView1<'_, f32>) -> usize {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(class, _)| class)
}

/// The batches of one epoch.
struct Batches<'a> {
    images: &'a LabelledImages,
    config: &'a LeNetConfig,
    training: &'a LeNetTraining,
    order: Vec<usize>,
    used: usize,
    rng: ChaCha8Rng,
}

impl<'a> Batches<'a> {
    fn new(
        images: &'a LabelledImages,
        config: &'a LeNetConfig,
        training: &'a LeNetTraining,
        epoch: usize,
    ) -> Self {
        let mut rng = random::stream(training.seed, "lenet/order", epoch as u64);
        let mut order: Vec<usize> = (0..images.classes.len()).collect();
        order.shuffle(&mut rng);
        Self { images, config, training, order, used: 0, rng }
    }

    /// Moved images `[batch, pixels]` and their classes `[batch, classes]`; none when all were used.
    fn next(&mut self, device: &Device) -> Option<(Tensor<2>, Tensor<2>)> {
        let rest = &self.order[self.used..];
        let batch = rest.chunks(self.training.batch_size).next()?;
        self.used += batch.len();
        let mut pixels =
            Array2::from_elem((batch.len(), self.images.pixels.ncols()), self.training.background);
        let mut classes = vec![0.0f32; batch.len() * self.config.classes];
        let reach = self.training.shift as isize;
        for (row, &image) in batch.iter().enumerate() {
            let by = [0, 1].map(|_| self.rng.gen_range(-reach..=reach));
            shift(self.images.pixels.row(image), pixels.row_mut(row), self.config.size, by);
            classes[row * self.config.classes + self.images.classes[image]] = 1.0;
        }
        let classes = TensorData::new(classes, [batch.len(), self.config.classes]);
        Some((training::tensor(&pixels, device), Tensor::from_data(classes, device)))
    }
}

/// Copies an image, moved down and to the right; what comes in from outside stays as it is.
fn shift(
    from: ArrayView1<'_, f32>,
    mut to: ArrayViewMut1<'_, f32>,
    [height, width]: [usize; 2],
    [down, right]: [isize; 2],
) {
    for y in 0..height {
        for x in 0..width {
            let source = (y.checked_add_signed(-down), x.checked_add_signed(-right));
            if let (Some(source_y), Some(source_x)) = source
                && source_y < height
                && source_x < width
            {
                to[y * width + x] = from[source_y * width + source_x];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifted_images_lose_what_leaves_and_gain_background() {
        let image = Array2::from_shape_vec((1, 6), vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let shifted = |by| {
            let mut to = Array2::from_elem((1, 6), 9.0);
            shift(image.row(0), to.row_mut(0), [2, 3], by);
            to.into_raw_vec_and_offset().0
        };
        assert_eq!(shifted([0, 0]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(shifted([1, -1]), [9.0, 9.0, 9.0, 2.0, 3.0, 9.0]);
        assert_eq!(shifted([-1, 2]), [9.0, 9.0, 4.0, 9.0, 9.0, 9.0]);
        assert_eq!(shifted([5, 0]), [9.0; 6]);
    }

    /// A network without training has the loss of a guess, ln K, but for the spread of its first logits.
    #[test]
    fn the_loss_is_the_cross_entropy() {
        let device = Device::flex();
        let config = LeNetConfig::new([5, 4], 3);
        let model = config.init(&device, &mut random::stream(1, "test/lenet", 0));
        let pixels = Tensor::<2>::zeros([2, 20], &device);
        let logits = matrix(model.logits(model.features(pixels.clone())));
        let classes = Tensor::from_floats([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], &device);
        let expected: f32 = [1, 2]
            .iter()
            .zip(logits.rows())
            .map(|(&class, row)| row.iter().map(|s| s.exp()).sum::<f32>().ln() - row[class])
            .sum::<f32>()
            / 2.0;
        assert!((model.loss(pixels, classes).into_scalar::<f32>() - expected).abs() < 1e-6);
    }
}
