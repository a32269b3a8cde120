//! Several processes, here threads, that train one model.

use std::cell::Cell;
use std::path::Path;
use std::sync::{Barrier, Mutex};

use super::interruption::Preempted;
use super::*;
use crate::models::{ModelConfigs, with_model};
use crate::training::workers::Workers;

/// What threads in place of processes share: the values that each adds.
struct Table {
    barrier: Barrier,
    values: Mutex<Vec<Vec<f64>>>,
}

/// One of the threads.
struct Member<'a> {
    rank: usize,
    size: usize,
    table: &'a Table,
}

impl Workers for Member<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum(&self, values: &mut [f64]) {
        self.table.values.lock().unwrap()[self.rank] = values.to_vec();
        self.table.barrier.wait();
        let all = self.table.values.lock().unwrap().clone();
        for (i, value) in values.iter_mut().enumerate() {
            *value = all.iter().map(|of_one| of_one[i]).sum();
        }
        // Nobody writes the next values before everybody has read these.
        self.table.barrier.wait();
    }

    fn sum_gradients(&self, values: &mut [f32]) {
        let mut sums: Vec<f64> = values.iter().copied().map(f64::from).collect();
        self.sum(&mut sums);
        values.iter_mut().zip(sums).for_each(|(value, sum)| *value = sum as f32);
    }

    fn abort(&self, _: u8) -> ! {
        unreachable!("training does not end processes")
    }
}

/// What `work` gives in every one of `size` threads.
fn together<T: Send>(size: usize, work: impl Fn(&Member) -> T + Sync) -> Vec<T> {
    let table = Table { barrier: Barrier::new(size), values: Mutex::new(vec![Vec::new(); size]) };
    std::thread::scope(|scope| {
        let spawn = |rank| {
            let (work, table) = (&work, &table);
            scope.spawn(move || work(&Member { rank, size, table }))
        };
        let threads: Vec<_> = (0..size).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Windows of 130 and batches of 64: batches of 2 events, and a last one of a single event.
const EVENTS: usize = 3 * 130 + 64 + 1;
const WINDOW: usize = 130;

fn config() -> TrainingConfig {
    // Differences of rounding grow from step to step, and the faster the larger the steps are.
    TrainingConfig {
        epochs: 2,
        batch_size: 64,
        learning_rate: 1e-4,
        average_decay: 0.9,
        ..TrainingConfig::default()
    }
}

/// Events with weights, and noise of the preprocessing.
fn samples() -> [Sample; 2] {
    [(EVENTS, 0), (150, 1)].map(|(events, stage)| {
        let mut columns = correlated(events, stage);
        columns.push(("weight", columns[0].1.iter().map(|c| 0.5 + c.abs()).collect()));
        Sample::new(&columns, &[("y1", Step::Dequantize { width: 1.0 })])
    })
}

/// Trains a model given by its configuration and the seed of its weights, as one of several.
fn train_as(
    workers: &dyn Workers,
    model: &str,
    seed: u64,
    checkpoint: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<Trained, TrainingError> {
    let [train_sample, validation_sample] = samples();
    let (events, validation) = (train_sample.source(WINDOW), validation_sample.source(WINDOW));
    let (config, models) = (config(), toml::from_str::<ModelConfigs>(model).unwrap());
    let setup = Setup { checkpoint, workers, ..setup(&config, &events, &validation) };
    let mut rng = random::stream(seed, "test/init", 0);
    with_model!(&models, &train_sample.space(), &autodiff(), &mut rng, |model| {
        train(model, &autodiff(), &setup, observer)
    })
}

fn train_alone(model: &str) -> Trained {
    train_as(&Alone, model, 1, None, &mut Unobserved).unwrap()
}

const FLOW: &str = "kind = 'flow'\ncouplings = 2\nwidth = 16\nhidden = 1\nbins = 4";

/// Losses to 1e-5 of themselves, weights to 1e-4.
#[track_caller]
fn assert_close(found: &Trained, expected: &Trained, what: &str) {
    let numbers = |trained: &Trained| -> Vec<f64> {
        let of_epoch = |r: &EpochRecord| [r.train_loss, r.validation_loss.unwrap(), r.gradient_norm];
        let figures = trained.history.iter().flat_map(|r| r.figures.values().copied());
        trained.history.iter().flat_map(of_epoch).chain(figures).collect()
    };
    for (found, expected) in numbers(found).iter().zip(numbers(expected)) {
        assert!(
            (found - expected).abs() <= 1e-5 * expected.abs().max(0.1),
            "{what}: {found}, alone {expected}"
        );
    }
    let weights = |trained: &Trained| -> Vec<f64> {
        trained.weights.values().flat_map(|data| data.iter::<f64>().collect::<Vec<_>>()).collect()
    };
    for (found, expected) in weights(found).iter().zip(weights(expected)) {
        assert!((found - expected).abs() <= 1e-4, "{what}: weight {found}, alone {expected}");
    }
}

/// Whatever noise a model draws, and however many rows a batch has.
#[test]
fn several_train_as_one_does() {
    let network = "{ width = 8, hidden = 1 }";
    let players = format!("generator = {network}\ncritic_steps = 2");
    let coder = format!("latents = 2\nencoder = {network}\ndecoder = {network}");
    let kinds = [
        FLOW.to_string(),
        "kind = 'maf'\nlayers = 2\nwidth = 8\nhidden = 1".to_string(),
        format!("kind = 'cvae'\n{coder}"),
        format!("kind = 'autoencoder'\n{coder}\ncomponents = 2"),
        format!("kind = 'denoising-autoencoder'\n{coder}\ncomponents = 2"),
        format!(
            "kind = 'denoising-autoencoder'\n{coder}\ncomponents = 2\ncorruption = {{ kind = 'masking', probability = 0.3 }}"
        ),
        format!("kind = 'gan'\n{players}"),
        format!("kind = 'wgan'\n{players}"),
        format!("kind = 'diffusion'\nnetwork = {network}"),
        format!("kind = 'flow-matching'\nnetwork = {network}"),
    ];
    for model in kinds {
        let alone = train_alone(&model);
        for size in [2, 3] {
            let all = together(size, |member| train_as(member, &model, 1, None, &mut Unobserved).unwrap());
            assert_close(&all[0], &alone, &format!("{size} with {model}"));
            let same = |other: &Trained| bytes(&other.weights) == bytes(&all[0].weights);
            assert!(all.iter().all(same), "the {size} disagree on {model}");
        }
    }
}

/// One of them is asked to stop; all do, after the same batch, and go on from the checkpoint of the first.
#[test]
fn all_stop_where_one_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let stopped = together(2, |member| {
        let patience = if member.rank == 1 { 3 } else { usize::MAX };
        let mut observer = Preempted { patience: Cell::new(patience), steps: 0 };
        train_as(member, FLOW, 1, Some(&path), &mut observer).map(|_| ())
    });
    for result in stopped {
        let Err(TrainingError::Interrupted { epoch: 1, batches: 4 }) = result else { panic!("{result:?}") };
    }
    let resumed = together(2, |member| train_as(member, FLOW, 2, Some(&path), &mut Unobserved).unwrap());
    assert_close(&resumed[0], &train_alone(FLOW), "after a stop");
}

#[test]
fn different_weights_are_noticed_by_all() {
    let results = together(3, |member| {
        train_as(member, FLOW, 1 + member.rank as u64 / 2, None, &mut Unobserved).map(|_| ())
    });
    for result in results {
        let Err(TrainingError::Apart { when }) = result else { panic!("{result:?}") };
        assert_eq!(when, "at the start");
    }
}

#[test]
fn losses_of_whole_batches_are_refused() {
    for (key, model) in [("free_bits", "kind = 'cvae'"), ("sum_constraint", "kind = 'wgan'")] {
        let model = format!("{model}\n{key} = 0.5");
        let results = together(2, |member| train_as(member, &model, 1, None, &mut Unobserved).map(|_| ()));
        for result in results {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(&format!("model.{key}")), "{message}");
        }
    }
}
