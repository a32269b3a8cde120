//! The figure by which epochs are compared, taken of the validation events with the averaged weights.

use ndarray::{Array2, Axis};
use simile_data::random;

use super::error::not_finite;
use super::watch::DIVERSITY;
use super::{EpochRecord, Observer, Training, TrainingError, judge, matrix, scalar, tensor, to_tensors};
use crate::models::{Judge, Step, Surrogate};
use crate::nn::parameters::{self, Parameters};

/// Validation events that are compared with generated ones after an epoch: enough for distances good to a per cent.
const JUDGED_EVENTS: usize = 10_000;

impl<M: Surrogate> Training<'_, M> {
    /// Adds the figure by which epochs are compared, with the given weights.
    pub(super) fn judge(
        &mut self,
        record: &mut EpochRecord,
        weights: &Parameters,
        observer: &dyn Observer,
    ) -> Result<(), TrainingError> {
        if self.setup.validation.is_empty() {
            return Ok(());
        }
        let model = parameters::load(self.model().valid(), weights.clone())?;
        record.validation_loss = Some(match M::JUDGE {
            Judge::Loss => self.validation_loss(record.epoch, &model, observer)?,
            Judge::Distance => {
                let judge::Verdict { distance, diversity } = self.validation_distance(&model, observer)?;
                // Of one event, or of equal ones, there is none.
                if diversity.is_finite() {
                    record.figures.insert(DIVERSITY.into(), diversity);
                }
                // What is decided by it has to be decided everywhere in the same way.
                self.setup.workers.of_first(distance)
            }
        });
        Ok(())
    }

    fn validation_distance(
        &mut self,
        model: &M,
        observer: &dyn Observer,
    ) -> Result<judge::Verdict, TrainingError> {
        let seed = self.setup.seed;
        let device = self.device.clone().inner();
        let mut rng = random::stream(seed, "validation/sample", 0);
        let judged = match self.judged.take() {
            Some(judged) => judged,
            None => self.setup.validation.spread(seed, JUDGED_EVENTS)?,
        };
        let mut generated = Vec::new();
        for condition in judged.condition.axis_chunks_iter(Axis(0), self.setup.config.batch_size) {
            self.pause(self.setup.workers.any(observer.interrupted()))?;
            generated.push(matrix(model.sample(tensor(condition, &device), &mut rng)));
        }
        let views: Vec<_> = generated.iter().map(Array2::view).collect();
        let generated = ndarray::concatenate(Axis(0), &views).expect("batches have the same columns");
        let weight = judged.weight.as_ref().map(|weight| weight.iter().copied().collect::<Vec<_>>());
        let verdict =
            judge::compare(&judged.condition, [&judged.target, &generated], weight.as_deref(), seed);
        self.judged = Some(judged);
        Ok(verdict)
    }

    fn validation_loss(
        &mut self,
        epoch: usize,
        model: &M,
        observer: &dyn Observer,
    ) -> Result<f64, TrainingError> {
        let source = self.setup.validation;
        let device = self.device.clone().inner();
        let mut noise = random::stream(self.setup.seed, "validation/loss", 0);
        // Schedules of the loss are at their end, so that all epochs are judged alike.
        let step = Step { number: self.optimizer.steps, epoch: usize::MAX };
        let (mut sum, mut events) = (0.0, 0);
        for batch in source.in_order(self.setup.seed, self.setup.config.batch_size) {
            let batch = batch?;
            self.pause(self.setup.workers.any(observer.interrupted()))?;
            let (rows, part) = self.setup.workers.share(batch.rows.len());
            let loss = model.loss(&to_tensors(&batch, rows, &device), step, &mut noise).scaled(part);
            let mut value = [scalar(&loss.value)];
            self.setup.workers.sum(&mut value);
            let [value] = value;
            if !value.is_finite() {
                return Err(not_finite("the validation loss", epoch, &batch, source.preprocessing()));
            }
            sum += value * batch.rows.len() as f64;
            events += batch.rows.len();
        }
        Ok(sum / events as f64)
    }

    /// Without validation events the last epoch is the best.
    pub(super) fn is_best(&self, record: &EpochRecord) -> bool {
        let Some(loss) = record.validation_loss else { return true };
        self.progress.history.iter().filter_map(|r| r.validation_loss).all(|earlier| loss < earlier)
    }
}
