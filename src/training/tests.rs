//! Training on small samples in temporary Parquet files.

mod closure;
mod interruption;
mod reading;
mod stopping;
mod together;

use std::collections::{BTreeMap, HashMap};

use burn::tensor::Device;
use ndarray::Array2;
use simile_data::preprocessing::{PreprocessingConfig, Step};
use simile_data::{
    Dataset, EventWriter, Events, Preprocessing, WriterOptions, event_schema, events_to_batch, random,
};
use tempfile::TempDir;

use super::workers::Alone;
use super::{EpochRecord, EventSource, Observer, Setup, Trained, TrainingConfig, TrainingError, train};
use crate::Warn;
use crate::models::{
    AutoencoderConfig, Flow, FlowConfig, GanConfig, Grouped, NetworkConfig, Space, Surrogate,
};
use crate::nn::{PermutationConfig, parameters::Parameters};

/// Scalar columns in a temporary file; those named `c…` are conditions, `y…` targets, `weight` is the weight.
struct Sample {
    _folder: TempDir,
    dataset: Dataset,
    preprocessing: Preprocessing,
    weight: Option<&'static str>,
}

impl Sample {
    /// Columns go to model space as they are, except for `steps`.
    fn new(columns: &[(&'static str, Vec<f32>)], steps: &[(&str, Step)]) -> Self {
        let mut events = Events::new((0..columns[0].1.len() as u64).collect());
        for (name, values) in columns {
            events.push(*name, Array2::from_shape_vec([values.len(), 1], values.clone()).unwrap()).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sample.parquet");
        let schema: Vec<(String, usize)> = events.names().map(|name| (name.to_string(), 1)).collect();
        let schema = event_schema(&schema, HashMap::new());
        let mut writer = EventWriter::create(&path, schema.clone(), &WriterOptions::default()).unwrap();
        writer.write(&events_to_batch(&events, &schema).unwrap()).unwrap();
        writer.finish().unwrap();

        let role = |initial: char| -> Vec<String> {
            events.names().filter(|name| name.starts_with(initial)).map(str::to_string).collect()
        };
        let mut config: BTreeMap<String, Vec<Step>> =
            role('c').into_iter().chain(role('y')).map(|name| (name, Vec::new())).collect();
        config.extend(steps.iter().map(|(name, step)| (name.to_string(), vec![step.clone()])));
        let config = PreprocessingConfig(config);
        Self {
            preprocessing: Preprocessing::fit(&config, &role('c'), &role('y'), None, &events, 1).unwrap(),
            dataset: Dataset::open(&[path.display().to_string()]).unwrap(),
            weight: columns.iter().map(|(name, _)| *name).find(|name| *name == "weight"),
            _folder: folder,
        }
    }

    fn source(&self, window: usize) -> EventSource<'_> {
        EventSource::new(&self.dataset, &self.preprocessing, self.weight, window).unwrap()
    }

    fn space(&self) -> Space {
        Space::of(&self.preprocessing)
    }

    /// A small flow for this sample, its weights drawn from `seed`.
    fn flow(&self, seed: u64) -> Grouped<Flow> {
        let config = FlowConfig {
            couplings: 2,
            width: 16,
            hidden: 1,
            bins: 4,
            permutation: PermutationConfig::Lu,
            ..FlowConfig::default()
        };
        let mut rng = random::stream(seed, "test/init", 0);
        Grouped::init(&self.space(), |_, group| config.init(group, &autodiff(), &mut rng))
    }
}

fn autodiff() -> Device {
    Device::flex().autodiff()
}

/// Larger than any sample here: everything is read at once.
const WHOLE: usize = 1_000_000;

fn setup<'a>(config: &'a TrainingConfig, train: &'a EventSource, validation: &'a EventSource) -> Setup<'a> {
    Setup { config, seed: 5, train, validation, checkpoint: None, fingerprint: "this run", workers: &Alone }
}

/// An observer that does not look.
struct Unobserved;

impl Warn for Unobserved {
    fn warn(&mut self, _: &str) {}
}

impl Observer for Unobserved {
    fn start(&mut self, _: usize, _: usize, _: u64) {}
    fn step(&mut self, _: usize, _: f64) {}
    fn epoch(&mut self, _: &EpochRecord, _: bool) {}
}

fn run<M: Surrogate>(model: M, setup: &Setup) -> Result<Trained, TrainingError> {
    train(model, &autodiff(), setup, &mut Unobserved)
}

/// Weights as they are in memory.
fn bytes(weights: &Parameters) -> Vec<(&str, &[u8])> {
    weights.iter().map(|(name, data)| (name.as_str(), data.as_bytes())).collect()
}

/// Noisy pairs around a curve.
fn correlated(events: usize, stage: u64) -> Vec<(&'static str, Vec<f32>)> {
    use rand::Rng;
    let mut rng = random::stream(9, "test/sample", stage);
    let mut normal = move || rng.sample::<f32, _>(rand_distr::StandardNormal);
    let c: Vec<f32> = (0..events).map(|_| normal()).collect();
    let y0: Vec<f32> = c.iter().map(|c| c.sin() + 0.3 * normal()).collect();
    let y1 = y0.iter().map(|y| (2.0 * y * y + normal()).round()).collect();
    vec![("c", c), ("y0", y0), ("y1", y1)]
}
