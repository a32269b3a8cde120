//! Checkpoints: bit-exact continuation, and files that belong to something else or are damaged.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use super::*;

fn config() -> TrainingConfig {
    TrainingConfig {
        epochs: 4,
        batch_size: 64,
        average_decay: 0.9,
        learning_rate: 3e-3,
        ..TrainingConfig::default()
    }
}

/// Samples whose every random ingredient matters: dequantisation noise, order of windows and of events.
fn samples() -> [Sample; 2] {
    let noise = [("y1", Step::Dequantize { width: 1.0 })];
    [Sample::new(&correlated(700, 0), &noise), Sample::new(&correlated(200, 1), &noise)]
}

/// Stops the process in the middle of an epoch, as far as a test can: the stack unwinds without any tidying up.
struct Killer {
    epoch: usize,
}

impl Warn for Killer {
    fn warn(&mut self, _: &str) {}
}

impl Observer for Killer {
    fn start(&mut self, _: usize, _: usize, _: u64) {}

    fn step(&mut self, _: usize, _: f64) {
        if self.epoch == 2 {
            std::panic::resume_unwind(Box::new("killed"));
        }
    }

    fn epoch(&mut self, record: &EpochRecord, _: bool) {
        self.epoch = record.epoch;
    }
}

/// Asks training to stop once so many more questions have been answered with no; counts steps.
pub(super) struct Preempted {
    pub(super) patience: Cell<usize>,
    pub(super) steps: usize,
}

impl Warn for Preempted {
    fn warn(&mut self, _: &str) {}
}

impl Observer for Preempted {
    fn start(&mut self, _: usize, _: usize, _: u64) {}

    fn step(&mut self, _: usize, _: f64) {
        self.steps += 1;
    }

    fn epoch(&mut self, _: &EpochRecord, _: bool) {}

    fn interrupted(&self) -> bool {
        let left = self.patience.get();
        self.patience.set(left.saturating_sub(1));
        left == 0
    }
}

/// Everything an epoch says except how long it took.
fn timeless(history: &[EpochRecord]) -> Vec<EpochRecord> {
    history.iter().map(|record| EpochRecord { seconds: 0.0, ..record.clone() }).collect()
}

#[test]
fn training_goes_on_from_a_checkpoint_bit_by_bit() {
    check_continuation(|sample, seed| sample.flow(seed));
}

/// Whose weights take part in some of the steps, and whose epochs are compared by a distance.
#[test]
fn a_game_goes_on_from_a_checkpoint_bit_by_bit() {
    let network = NetworkConfig { width: 8, hidden: 1, ..NetworkConfig::default() };
    let config =
        GanConfig { generator: network.clone(), critic: network, critic_steps: 3, ..GanConfig::default() };
    check_continuation(|sample, seed| {
        let mut rng = random::stream(seed, "test/init", 0);
        Grouped::init(&sample.space(), |_, group| config.init(group, &autodiff(), &mut rng))
    });
}

/// Whose latent density is fitted after training.
#[test]
fn an_autoencoder_goes_on_from_a_checkpoint_bit_by_bit() {
    let network = NetworkConfig { width: 8, hidden: 1, ..NetworkConfig::default() };
    let config = AutoencoderConfig { latents: 2, encoder: network.clone(), decoder: network, components: 2 };
    check_continuation(|sample, seed| {
        let mut rng = random::stream(seed, "test/init", 0);
        Grouped::init(&sample.space(), |_, group| config.init(group, &autodiff(), &mut rng))
    });
}

/// `init` draws the weights of a model from a seed.
fn check_continuation<M: Surrogate>(init: impl Fn(&Sample, u64) -> M) {
    let [train_sample, validation_sample] = samples();
    let (train_source, validation) = (train_sample.source(150), validation_sample.source(150));
    let config = config();
    let straight = run(init(&train_sample, 1), &setup(&config, &train_source, &validation)).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let with_checkpoint = Setup { checkpoint: Some(&path), ..setup(&config, &train_source, &validation) };
    let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let model = init(&train_sample, 1);
        train(model, &autodiff(), &with_checkpoint, &mut Killer { epoch: 0 }).map(|_| ())
    }));
    assert!(killed.is_err(), "the run was killed in its third epoch");

    check_preemption(&init, &straight, &with_checkpoint);
    // The weights drawn before the checkpoint is read must not matter.
    let resumed = run(init(&train_sample, 2), &with_checkpoint).unwrap();
    assert_eq!(resumed.history.len(), 4);
    assert_eq!(timeless(&resumed.history), timeless(&straight.history));
    assert_eq!(resumed.best_epoch, straight.best_epoch);
    assert!(bytes(&resumed.weights) == bytes(&straight.weights), "the weights differ");

    let finished = run(init(&train_sample, 3), &with_checkpoint).unwrap();
    assert_eq!(finished.history, resumed.history, "a finished run is not trained again");
    assert!(bytes(&finished.weights) == bytes(&straight.weights));
}

/// Stops again and again: in the first window of events and in later ones, and while an epoch is judged.
fn check_preemption<M: Surrogate>(init: &impl Fn(&Sample, u64) -> M, straight: &Trained, setup: &Setup) {
    let [sample, _] = samples();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let setup = Setup { checkpoint: Some(&path), ..*setup };
    let (mut stops, mut steps) = (0, 0);
    let trained = loop {
        // Three questions answered with no at first, then one more every time.
        let mut observer = Preempted { patience: Cell::new(3 + stops), steps: 0 };
        let result = train(init(&sample, 1 + stops as u64), &autodiff(), &setup, &mut observer);
        steps += observer.steps;
        match result {
            Ok(trained) => break trained,
            Err(TrainingError::Interrupted { epoch, batches }) => {
                stops += 1;
                let before = (epoch - 1) * setup.train.batches_per_epoch(setup.config.batch_size) as usize;
                assert_eq!(before + batches, steps, "no step is lost or done twice");
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert!(stops >= 5, "stopped {stops} times");
    assert_eq!(timeless(&trained.history), timeless(&straight.history));
    assert!(bytes(&trained.weights) == bytes(&straight.weights), "the weights differ");
}

#[test]
fn training_does_not_depend_on_threads() {
    let [train_sample, validation_sample] = samples();
    let (train_source, validation) = (train_sample.source(WHOLE), validation_sample.source(WHOLE));
    let config = TrainingConfig { epochs: 1, batch_size: 300, ..config() };
    let weights = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let flow = || run(train_sample.flow(1), &setup(&config, &train_source, &validation)).unwrap();
        pool.install(flow).weights
    };
    let one = weights(1);
    for threads in [2, 3] {
        assert!(bytes(&weights(threads)) == bytes(&one), "{threads} threads give other weights than one");
    }
}

/// A checkpoint of one epoch.
fn checkpoint(folder: &Path, sample: &Sample) -> PathBuf {
    let path = folder.join("checkpoint.safetensors");
    let source = sample.source(WHOLE);
    let config = TrainingConfig { epochs: 1, ..config() };
    let setup = Setup { checkpoint: Some(&path), ..setup(&config, &source, &source) };
    run(sample.flow(1), &setup).unwrap();
    path
}

fn resume(path: &Path, sample: &Sample, flow: Grouped<Flow>, fingerprint: &str) -> TrainingError {
    let (source, config) = (sample.source(WHOLE), config());
    let setup = Setup { checkpoint: Some(path), fingerprint, ..setup(&config, &source, &source) };
    run(flow, &setup).err().expect("the checkpoint is refused")
}

#[test]
fn checkpoints_of_other_runs_are_refused() {
    let [sample, _] = samples();
    let folder = tempfile::tempdir().unwrap();
    let path = checkpoint(folder.path(), &sample);
    let error = resume(&path, &sample, sample.flow(1), "another run");
    assert!(matches!(&error, TrainingError::ForeignCheckpoint { path: p } if *p == path), "{error}");

    let wider = FlowConfig { couplings: 2, width: 20, hidden: 1, bins: 4, ..FlowConfig::default() };
    let mut rng = random::stream(1, "test/init", 0);
    let wider = Grouped::init(&sample.space(), |_, group| wider.init(group, &autodiff(), &mut rng));
    let error = resume(&path, &sample, wider, "this run");
    assert!(matches!(error, TrainingError::Parameters(_)), "{error}");

    // Weights without progress, such as those of a model bundle.
    let weights = crate::nn::parameters::collect(&sample.flow(1));
    crate::tensors::write(&path, &weights, HashMap::new()).unwrap();
    let error = resume(&path, &sample, sample.flow(1), "this run");
    assert!(matches!(error, TrainingError::ForeignCheckpoint { .. }), "{error}");
}

#[test]
fn damaged_checkpoints_are_refused() {
    let [sample, _] = samples();
    let folder = tempfile::tempdir().unwrap();
    let path = checkpoint(folder.path(), &sample);
    let whole = std::fs::read(&path).unwrap();
    let mut noise = whole.clone();
    noise[..64].fill(0xff);
    let cuts = [0, 7, 8, 100, whole.len() / 2, whole.len() - 1];
    for damaged in cuts.iter().map(|&cut| &whole[..cut]).chain([&noise[..]]) {
        std::fs::write(&path, damaged).unwrap();
        let message = resume(&path, &sample, sample.flow(1), "this run").to_string();
        let wanted = format!("{} is damaged", path.display());
        assert!(message.starts_with(&wanted), "{} bytes: {message}", damaged.len());
    }
}
