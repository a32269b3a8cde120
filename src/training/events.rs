//! Training events in shuffled batches with bounded memory.
//!
//! Events are read in windows of consecutive rows. The order of the windows and of the events inside each is drawn
//! anew for every epoch; a sample that fits into one window is read once and kept. Dequantisation noise is drawn
//! afresh for every batch: drawn once, a flow memorises it.

use std::ops::Range;

use ndarray::{Array2, Axis};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use simile_data::{DataError, Dataset, Events, Preprocessing, random};

use super::TrainingError;

/// A prepared sample: its files, how columns become model space, and the window it is read in.
pub struct EventSource<'a> {
    dataset: &'a Dataset,
    preprocessing: &'a Preprocessing,
    columns: Vec<String>,
    weight: Option<String>,
    mean_weight: f32,
    window: u64,
    cached: Option<Events>,
}

/// Events in model space.
pub struct EventBatch {
    /// Number of the batch within the epoch.
    pub index: usize,
    /// Rows of the events in the prepared file.
    pub rows: Vec<u64>,
    /// `[batch, targets]`
    pub target: Array2<f32>,
    /// `[batch, conditions]`
    pub condition: Array2<f32>,
    /// `[batch, 1]`, with mean 1 over the sample
    pub weight: Option<Array2<f32>>,
}

impl EventBatch {
    /// The events at some positions.
    fn select(&self, positions: &[usize]) -> Self {
        Self {
            index: self.index,
            rows: positions.iter().map(|&position| self.rows[position]).collect(),
            target: self.target.select(Axis(0), positions),
            condition: self.condition.select(Axis(0), positions),
            weight: self.weight.as_ref().map(|weight| weight.select(Axis(0), positions)),
        }
    }

    /// Every second event, and the others.
    pub(super) fn halves(&self) -> [Self; 2] {
        [0, 1].map(|first| self.select(&(first..self.rows.len()).step_by(2).collect::<Vec<_>>()))
    }

    /// As many events of weight 1, which appear as often as their weights say: those at which the sum of the weights passes
    /// equal steps ("systematic resampling", Kitagawa 1996, doi:10.2307/1390750).
    pub(super) fn unweighted(self) -> Self {
        let Some(weight) = &self.weight else { return self };
        let sums: Vec<f64> = weight
            .iter()
            .scan(0.0, |sum, &weight| {
                *sum += f64::from(weight);
                Some(*sum)
            })
            .collect();
        let events = sums.len();
        let step = sums.last().map_or(0.0, |sum| sum / events as f64);
        let passing = |k: usize| sums.partition_point(|&sum| sum <= (k as f64 + 0.5) * step).min(events - 1);
        let selected = self.select(&(0..events).map(passing).collect::<Vec<_>>());
        Self { weight: None, ..selected }
    }
}

impl<'a> EventSource<'a> {
    /// Opens a prepared sample.
    ///
    /// # Errors
    /// If it cannot be read, or a weight is negative.
    pub fn new(
        dataset: &'a Dataset,
        preprocessing: &'a Preprocessing,
        weight: Option<&str>,
        window: usize,
    ) -> Result<Self, TrainingError> {
        let roles = preprocessing.condition_columns().chain(preprocessing.target_columns());
        let columns = roles.map(|(name, _)| name).chain(weight).map(str::to_string).collect();
        let mut source = Self {
            dataset,
            preprocessing,
            columns,
            weight: weight.map(str::to_string),
            mean_weight: 1.0,
            window: window as u64,
            cached: None,
        };
        // Reading nothing is an error of the reader, but a run may do without validation events.
        if source.is_empty() {
            return Ok(source);
        }
        if source.len() <= source.window {
            source.cached = Some(source.read(0..source.len())?);
        }
        source.mean_weight = source.mean_weight()?;
        Ok(source)
    }

    /// How columns become model space.
    pub fn preprocessing(&self) -> &Preprocessing {
        self.preprocessing
    }

    /// Number of events.
    pub fn len(&self) -> u64 {
        self.dataset.num_rows()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of batches in an epoch.
    pub fn batches_per_epoch(&self, batch_size: usize) -> u64 {
        self.windows().map(|w| (w.end - w.start).div_ceil(batch_size as u64)).sum()
    }

    /// The batches of one epoch in random order, with noise of this epoch.
    pub fn shuffled(&self, seed: u64, epoch: usize, batch_size: usize) -> EpochBatches<'_, 'a> {
        let mut order = random::stream(seed, "train/order", epoch as u64);
        let mut windows: Vec<Range<u64>> = self.windows().collect();
        windows.shuffle(&mut order);
        let noise = random::stream(seed, "train/noise", epoch as u64);
        EpochBatches::new(self, windows, Some(order), noise, batch_size)
    }

    /// The batches in file order, with the same noise every time.
    pub fn in_order(&self, seed: u64, batch_size: usize) -> EpochBatches<'_, 'a> {
        let noise = random::stream(seed, "validation/noise", 0);
        EpochBatches::new(self, self.windows().collect(), None, noise, batch_size)
    }

    /// At most `events` in the order of the files and spread evenly over them, which may be sorted; with the same noise
    /// every time.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn spread(&self, seed: u64, events: usize) -> Result<EventBatch, TrainingError> {
        let (of, picked) = (self.len(), self.len().min(events as u64));
        let mut parts = Vec::new();
        for window in self.windows() {
            // Pick k is row ⌊k·of/picked⌋.
            let first = |row: u64| (row * picked).div_ceil(of);
            let picks = first(window.start)..first(window.end);
            if picks.is_empty() {
                continue;
            }
            let rows = picks.map(|k| (k * of / picked - window.start) as usize);
            let read = if self.cached.is_some() { None } else { Some(self.read(window.clone())?) };
            let events = read.as_ref().or(self.cached.as_ref()).expect("the window was read");
            parts.push(events.select_rows(&rows.collect::<Vec<_>>()));
        }
        let mut noise = random::stream(seed, "validation/noise", 0);
        self.batch(&Events::concat(&parts)?, 0, &mut noise)
    }

    fn batch(
        &self,
        events: &Events,
        index: usize,
        noise: &mut ChaCha8Rng,
    ) -> Result<EventBatch, TrainingError> {
        let weight = match &self.weight {
            Some(column) => Some(events.column(column)?.mapv(|w| w / self.mean_weight)),
            None => None,
        };
        Ok(EventBatch {
            index,
            target: self.preprocessing.target(events, noise)?,
            condition: self.preprocessing.condition(events)?,
            weight,
            rows: events.rows.clone(),
        })
    }

    fn windows(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let (rows, window) = (self.len(), self.window);
        (0..rows.div_ceil(window)).map(move |i| i * window..((i + 1) * window).min(rows))
    }

    fn read(&self, rows: Range<u64>) -> Result<Events, DataError> {
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        let blocks: Result<Vec<Events>, DataError> =
            self.dataset.scan().columns(&columns).rows(rows).events()?.collect();
        Events::concat(&blocks?)
    }

    fn mean_weight(&self) -> Result<f32, TrainingError> {
        let Some(column) = &self.weight else { return Ok(1.0) };
        let mut sum = 0.0;
        for events in self.dataset.scan().columns(&[column.as_str()]).events()? {
            let events = events?;
            for (&weight, &row) in events.column(column)?.iter().zip(&events.rows) {
                if weight < 0.0 {
                    return Err(TrainingError::NegativeWeight { column: column.clone(), row, weight });
                }
                sum += f64::from(weight);
            }
        }
        if sum == 0.0 {
            return Err(TrainingError::ZeroWeights { column: column.clone() });
        }
        Ok((sum / self.len() as f64) as f32)
    }
}

/// Iterator over the batches of one epoch.
pub struct EpochBatches<'s, 'a> {
    source: &'s EventSource<'a>,
    windows: std::vec::IntoIter<Range<u64>>,
    order: Option<ChaCha8Rng>,
    noise: ChaCha8Rng,
    batch_size: usize,
    /// Rows of the current window, its events once they are read unless the source caches them, the order in which they
    /// come, and how many came.
    rows: Range<u64>,
    window: Option<Events>,
    positions: Vec<usize>,
    done: usize,
    index: usize,
}

impl<'s, 'a> EpochBatches<'s, 'a> {
    fn new(
        source: &'s EventSource<'a>,
        windows: Vec<Range<u64>>,
        order: Option<ChaCha8Rng>,
        noise: ChaCha8Rng,
        batch_size: usize,
    ) -> Self {
        let windows = windows.into_iter();
        Self {
            source,
            windows,
            order,
            noise,
            batch_size,
            rows: 0..0,
            window: None,
            positions: Vec::new(),
            done: 0,
            index: 0,
        }
    }

    /// Words of the noise's random stream used so far.
    pub(super) fn noise_words(&self) -> u64 {
        words(&self.noise)
    }

    /// Leaves out the first `batches`, for which `noise_words` words of the noise's stream were used.
    pub(super) fn skip_to(&mut self, batches: usize, noise_words: u64) {
        while self.index < batches && self.advance().is_some() {}
        self.noise.set_word_pos(noise_words.into());
    }

    /// Where in the window the next batch lies; none after the last.
    fn advance(&mut self) -> Option<Range<usize>> {
        while self.done == self.positions.len() {
            self.rows = self.windows.next()?;
            self.positions = (0..(self.rows.end - self.rows.start) as usize).collect();
            if let Some(order) = &mut self.order {
                self.positions.shuffle(order);
            }
            (self.done, self.window) = (0, None);
        }
        let begin = self.done;
        self.done = (begin + self.batch_size).min(self.positions.len());
        self.index += 1;
        Some(begin..self.done)
    }

    fn batch(&mut self, range: Range<usize>) -> Result<EventBatch, TrainingError> {
        let source = self.source;
        if self.window.is_none() && source.cached.is_none() {
            self.window = Some(source.read(self.rows.clone())?);
        }
        let window = self.window.as_ref().or(source.cached.as_ref()).expect("the window was read");
        source.batch(&window.select_rows(&self.positions[range]), self.index - 1, &mut self.noise)
    }
}

impl Iterator for EpochBatches<'_, '_> {
    type Item = Result<EventBatch, TrainingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let range = self.advance()?;
        Some(self.batch(range))
    }
}

/// Words that were drawn from a stream.
pub(super) fn words(stream: &ChaCha8Rng) -> u64 {
    u64::try_from(stream.get_word_pos()).expect("an epoch draws fewer than 2⁶⁴ words")
}
