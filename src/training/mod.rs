//! The training loop: the same for every [`Surrogate`].
//!
//! An epoch runs over all training events in random order, then the loss of the validation events is taken with the
//! averaged weights, and a checkpoint is written, in long epochs and on request also between two batches. Training
//! continues from a checkpoint bit by bit as if it had not been interrupted: random numbers are keyed by epoch, and a
//! checkpoint within an epoch holds how many of them were used.

mod checkpoint;
mod config;
mod error;
mod events;
mod judge;
mod optimizer;
mod schedule;
#[cfg(test)]
mod tests;
mod validation;
mod watch;
pub mod workers;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, ArrayView2, s};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Deserializer, Serialize};
use simile_data::random;

pub use config::TrainingConfig;
pub use error::TrainingError;
pub use events::{EpochBatches, EventBatch, EventSource};
pub use schedule::ScheduleKind;

use crate::Warn;
use crate::kernels;
use crate::models::{Batch, Loss, Place, Step, Surrogate, Turn};
use crate::nn::parameters::{self, Parameters};
use checkpoint::{Checkpoint, PartialEpoch, Progress};
use error::not_finite;
use events::words;
pub use optimizer::Optimizer;
use watch::{GENERATOR_GRADIENT, GRADIENT, LOSS};
use workers::Workers;

/// What one epoch gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean over the training batches, with the weights at the time of each; of a model with an adversary, the loss of
    /// the critic, NaN in an epoch so short that it had no turn.
    #[serde(deserialize_with = "number_or_nan")]
    pub train_loss: f64,
    /// Over the validation events with the averaged weights, the loss, or the distance by which epochs of a model with
    /// an adversary are compared; none without validation events.
    pub validation_loss: Option<f64>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Mean gradient norm before clipping.
    #[serde(deserialize_with = "number_or_nan")]
    pub gradient_norm: f64,
    /// Means of other figures worth watching.
    #[serde(default)]
    pub figures: BTreeMap<String, f64>,
    /// Wall-clock time of the epoch.
    pub seconds: f64,
}

/// JSON has null for a number that is none.
fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Told how training proceeds.
pub trait Observer: Warn {
    /// Training begins with `first_epoch` of `epochs` (counted from 1), each of `batches`.
    fn start(&mut self, first_epoch: usize, epochs: usize, batches: u64);
    /// A step over `events` events was taken; `loss` is that of the batch.
    fn step(&mut self, events: usize, loss: f64);
    /// An epoch ended; `best` says whether its weights are the best so far.
    fn epoch(&mut self, record: &EpochRecord, best: bool);
    /// Whether training is to write a checkpoint and stop; asked before every batch.
    fn interrupted(&self) -> bool {
        false
    }
}

/// What training works on.
pub struct Setup<'a> {
    /// Optimisation.
    pub config: &'a TrainingConfig,
    /// Seed of the run.
    pub seed: u64,
    /// Events to learn from.
    pub train: &'a EventSource<'a>,
    /// Events to watch; may be empty.
    pub validation: &'a EventSource<'a>,
    /// Where the checkpoint is kept. If the file exists, training goes on from it.
    pub checkpoint: Option<&'a Path>,
    /// Hash of everything that decides the result; a checkpoint with another one is refused.
    pub fingerprint: &'a str,
    /// The processes that train together.
    pub workers: &'a dyn Workers,
}

/// What training gave.
pub struct Trained {
    /// The averaged weights of the best epoch.
    pub weights: Parameters,
    /// All epochs.
    pub history: Vec<EpochRecord>,
    /// The epoch of [`Trained::weights`].
    pub best_epoch: usize,
    /// What was found when the latent density was fitted, by name.
    pub figures: BTreeMap<String, f64>,
}

/// Trains a model whose weights lie on an autodiff device.
///
/// # Errors
/// If events cannot be read, loss or gradient are not finite, a checkpoint does not fit, or several processes cannot train
/// this model together.
pub fn train<M: Surrogate>(
    model: M,
    device: &Device,
    setup: &Setup,
    observer: &mut dyn Observer,
) -> Result<Trained, TrainingError> {
    if setup.train.is_empty() {
        return Err(TrainingError::NoEvents);
    }
    if let Some(key) = model.whole_batch_key().filter(|_| setup.workers.size() > 1) {
        return Err(TrainingError::WholeBatches { key });
    }
    let mut training = Training::new(model, device, setup)?;
    training.check_agreement("at the start")?;
    let epochs = setup.config.epochs;
    observer.start(training.progress.history.len() + 1, epochs, training.batches);
    while training.progress.history.len() < epochs && !training.is_stale() {
        training.epoch(observer)?;
    }
    kernels::free_spare_memory();
    let (weights, figures) = training.fit_latent()?;
    let Progress { history, best_epoch, .. } = training.progress;
    Ok(Trained { weights, history, best_epoch, figures })
}

struct Training<'a, M> {
    setup: &'a Setup<'a>,
    device: Device,
    /// `None` only while the optimiser holds the model.
    model: Option<M>,
    optimizer: Optimizer,
    progress: Progress,
    best: Parameters,
    batches: u64,
    /// Validation events that generated ones are compared with, once they are read.
    judged: Option<EventBatch>,
    saved: Instant,
}

/// A checkpoint is written at least so often, so that a crash costs no more.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(600);

impl<'a, M: Surrogate> Training<'a, M> {
    fn new(model: M, device: &Device, setup: &'a Setup<'a>) -> Result<Self, TrainingError> {
        let plain = device.clone().inner();
        let mut optimizer = Optimizer::new(&model, &plain).with_moments(M::MOMENTS);
        let batches = setup.train.batches_per_epoch(setup.config.batch_size);
        let progress = Progress { fingerprint: setup.fingerprint.to_string(), ..Progress::default() };
        let best = parameters::collect(&model);
        let Some(path) = setup.checkpoint.filter(|path| path.exists()) else {
            return Ok(Self {
                setup,
                device: device.clone(),
                model: Some(model),
                optimizer,
                progress,
                best,
                batches,
                judged: None,
                saved: Instant::now(),
            });
        };
        let checkpoint = Checkpoint::load(path)?;
        if checkpoint.progress.fingerprint != setup.fingerprint {
            return Err(TrainingError::ForeignCheckpoint { path: path.to_path_buf() });
        }
        let steps = (checkpoint.progress.steps, &checkpoint.progress.weight_steps);
        optimizer.restore(checkpoint.optimizer, steps, &plain)?;
        Ok(Self {
            setup,
            device: device.clone(),
            model: Some(parameters::load(model, checkpoint.weights)?),
            optimizer,
            progress: checkpoint.progress,
            best: checkpoint.best,
            batches,
            judged: None,
            saved: Instant::now(),
        })
    }

    /// Whether the validation loss has not improved for too long.
    fn is_stale(&self) -> bool {
        let patience = self.setup.config.patience;
        patience > 0 && self.progress.history.len() >= self.progress.best_epoch + patience
    }

    fn epoch(&mut self, observer: &mut dyn Observer) -> Result<(), TrainingError> {
        let epoch = self.progress.history.len() + 1;
        let mut record = self.train_epoch(epoch, observer)?;
        self.check_agreement(&format!("after epoch {epoch}"))?;
        let start = Instant::now();
        let averaged = self.averaged_weights();
        self.judge(&mut record, &averaged, observer)?;
        watch::warn_of_failure(&self.progress.history, &record, observer);
        record.seconds += start.elapsed().as_secs_f64();
        let best = self.is_best(&record);
        if best {
            self.best = averaged;
            self.progress.best_epoch = epoch;
        }
        self.progress.partial = None;
        self.progress.history.push(record);
        self.save()?;
        observer.epoch(&self.progress.history[epoch - 1], best);
        Ok(())
    }

    /// Trains an epoch, or what is left of one.
    fn train_epoch(
        &mut self,
        epoch: usize,
        observer: &mut dyn Observer,
    ) -> Result<EpochRecord, TrainingError> {
        let config = self.setup.config;
        let mut partial = self.progress.partial.take().unwrap_or_default();
        let mut noise = random::stream(self.setup.seed, "train/loss", epoch as u64);
        noise.set_word_pos(partial.loss_words.into());
        let mut batches = self.setup.train.shuffled(self.setup.seed, epoch, config.batch_size);
        batches.skip_to(partial.batches, partial.event_words);
        let (start, before) = (Instant::now(), partial.seconds);
        loop {
            let finished = !self.train_batch(epoch, &mut batches, &mut noise, &mut partial, observer)?;
            partial.seconds = before + start.elapsed().as_secs_f64();
            (partial.loss_words, partial.event_words) = (words(&noise), batches.noise_words());
            let interrupted = self.setup.workers.any(observer.interrupted());
            if finished || interrupted || self.saved.elapsed() > CHECKPOINT_INTERVAL {
                self.progress.partial = Some(partial.clone());
                self.pause(interrupted)?;
            }
            if finished {
                return Ok(record(epoch, partial));
            }
        }
    }

    /// Takes one step; false after the last of the epoch.
    fn train_batch(
        &mut self,
        epoch: usize,
        batches: &mut EpochBatches,
        noise: &mut ChaCha8Rng,
        partial: &mut PartialEpoch,
        observer: &mut dyn Observer,
    ) -> Result<bool, TrainingError> {
        let config = self.setup.config;
        let Some(batch) = batches.next().transpose()? else { return Ok(false) };
        let size = batch.rows.len();
        let model = self.model.take().expect("the model is in place between steps");
        let step = Step { number: self.optimizer.steps, epoch };
        let workers = self.setup.workers;
        let (rows, part) = workers.share(size);
        let Loss { value: loss, turn, figures } =
            model.loss(&to_tensors(&batch, rows, &self.device), step, noise).scaled(part);
        let mut sums: Vec<f64> =
            std::iter::once(&loss).chain(figures.iter().map(|(_, figure)| figure)).map(scalar).collect();
        workers.sum(&mut sums);
        let value = sums[0];
        if !value.is_finite() {
            return Err(not_finite("the loss", epoch, &batch, self.setup.train.preprocessing()));
        }
        let factor = config.schedule.factor(self.optimizer.steps, self.batches * config.epochs as u64);
        partial.learning_rate = config.learning_rate * factor;
        let (model, norm) =
            self.optimizer.step_together(model, loss.backward(), partial.learning_rate, config, workers);
        self.model = Some(model.after_step());
        if !norm.is_finite() {
            return Err(not_finite("the gradient", epoch, &batch, self.setup.train.preprocessing()));
        }
        let [loss, gradient] = match turn {
            Turn::Main => [LOSS, GRADIENT],
            Turn::Generator => ["generator loss", GENERATOR_GRADIENT],
        };
        partial.means.add(loss, value, size);
        partial.means.add(gradient, norm, size);
        figures.iter().zip(&sums[1..]).for_each(|((name, _), sum)| partial.means.add(name, *sum, size));
        partial.batches += 1;
        observer.step(size, value);
        Ok(true)
    }

    /// Stops within an epoch if that was asked for; writes a checkpoint then, and if the last one is too old.
    fn pause(&mut self, interrupted: bool) -> Result<(), TrainingError> {
        if interrupted || self.saved.elapsed() > CHECKPOINT_INTERVAL {
            self.save()?;
        }
        if interrupted {
            // Where one process ends, what started them may end all: the first has to be done.
            self.setup.workers.any(false);
        }
        let batches = self.progress.partial.as_ref().map_or(0, |partial| partial.batches);
        let epoch = self.progress.history.len() + 1;
        if interrupted { Err(TrainingError::Interrupted { epoch, batches }) } else { Ok(()) }
    }

    fn save(&mut self) -> Result<(), TrainingError> {
        self.saved = Instant::now();
        let path = self.setup.checkpoint.filter(|_| self.setup.workers.is_first());
        path.map_or(Ok(()), |path| self.checkpoint().save(path))
    }

    /// Refuses to go on where processes have different weights.
    fn check_agreement(&self, when: &str) -> Result<(), TrainingError> {
        let workers = self.setup.workers;
        if workers.size() == 1 || workers.agree_on(&parameters::collect(self.model())) {
            return Ok(());
        }
        Err(TrainingError::Apart { when: when.to_string() })
    }

    fn model(&self) -> &M {
        self.model.as_ref().expect("the model is in place between steps")
    }

    fn averaged_weights(&self) -> Parameters {
        self.optimizer.averaged(self.model())
    }

    /// The best weights with the latent density fitted, where the model has one.
    fn fit_latent(&mut self) -> Result<(Parameters, BTreeMap<String, f64>), TrainingError> {
        let best = std::mem::take(&mut self.best);
        if !M::FITS_LATENT {
            return Ok((best, BTreeMap::new()));
        }
        let Setup { seed, train, validation, .. } = *self.setup;
        let model = parameters::load(self.model().valid(), best)?;
        let events = if validation.is_empty() {
            train.spread(seed, 2 * FITTED_EVENTS)?.halves()
        } else {
            [train.spread(seed, FITTED_EVENTS)?, validation.spread(seed, FITTED_EVENTS)?]
        };
        let device = self.device.clone().inner();
        let [fitted, held_out] = events
            .map(EventBatch::unweighted)
            .map(|events| to_tensors(&events, 0..events.rows.len(), &device));
        let mut rng = random::stream(seed, "train/latent", 0);
        let (model, figures) = model.fit_latent(&fitted, &held_out, &mut rng);
        Ok((parameters::collect(&model), figures))
    }

    fn checkpoint(&self) -> Checkpoint {
        let steps = self.optimizer.steps;
        let weight_steps = self.optimizer.weight_steps();
        Checkpoint {
            progress: Progress { steps, weight_steps, ..self.progress.clone() },
            weights: parameters::collect(self.model()),
            optimizer: self.optimizer.state(),
            best: self.best.clone(),
        }
    }
}

/// An epoch whose steps are done.
fn record(epoch: usize, partial: PartialEpoch) -> EpochRecord {
    let mut figures = partial.means.finish();
    let mut take = |name| figures.remove(name).unwrap_or(f64::NAN);
    EpochRecord {
        epoch,
        train_loss: take(LOSS),
        validation_loss: None,
        learning_rate: partial.learning_rate,
        gradient_norm: take(GRADIENT),
        figures,
        seconds: partial.seconds,
    }
}

/// Events that a latent density is fitted on: enough for the covariances of some tens of components.
const FITTED_EVENTS: usize = 10_000;

fn scalar(tensor: &Tensor<1>) -> f64 {
    f64::from(tensor.clone().into_scalar::<f32>())
}

/// Some rows of a batch.
fn to_tensors(batch: &EventBatch, rows: Range<usize>, device: &Device) -> Batch {
    let tensor = |matrix: &Array2<f32>| tensor(matrix.slice(s![rows.clone(), ..]), device);
    Batch {
        target: tensor(&batch.target),
        condition: tensor(&batch.condition),
        weight: batch.weight.as_ref().map(tensor),
        place: Place { begin: rows.start, of: batch.rows.len() },
    }
}

/// A matrix as a tensor.
pub(crate) fn tensor<'a>(matrix: impl Into<ArrayView2<'a, f32>>, device: &Device) -> Tensor<2> {
    let matrix = matrix.into();
    let values: Vec<f32> = matrix.iter().copied().collect();
    Tensor::from_data(TensorData::new(values, [matrix.nrows(), matrix.ncols()]), device)
}

/// A tensor as a matrix.
pub(crate) fn matrix(tensor: Tensor<2>) -> Array2<f32> {
    let [rows, columns] = tensor.dims();
    let values = tensor.into_data().try_to_vec().expect("models compute in f32");
    Array2::from_shape_vec([rows, columns], values).expect("a matrix has rows times columns values")
}
