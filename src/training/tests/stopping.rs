//! Training that ends before its last epoch: early stopping, and numbers that are not finite.

use rand::Rng;
use rand_distr::StandardNormal;

use super::*;
use crate::training::schedule::ScheduleKind;

/// Normal numbers around `mean`.
fn around(mean: f32, events: usize) -> Sample {
    let mut rng = random::stream(1, "test/around", 0);
    let y = |_| mean + 0.1 * rng.sample::<f32, _>(StandardNormal);
    Sample::new(&[("y", (0..events).map(y).collect())], &[])
}

/// The training events lie away from the validation events: every epoch is worse than the first.
#[test]
fn patience_stops_training_and_the_best_epoch_is_kept() {
    let (train_sample, validation_sample) = (around(1.0, 500), around(-1.0, 200));
    let (train_source, validation) = (train_sample.source(WHOLE), validation_sample.source(WHOLE));
    let epochs = |epochs, patience| {
        let config = TrainingConfig {
            epochs,
            patience,
            batch_size: 16,
            learning_rate: 1e-2,
            schedule: ScheduleKind::Constant,
            average_decay: 0.0,
            ..TrainingConfig::default()
        };
        run(train_sample.flow(1), &setup(&config, &train_source, &validation)).unwrap()
    };
    let stopped = epochs(10, 2);
    assert_eq!((stopped.best_epoch, stopped.history.len()), (1, 3));
    let losses: Vec<f64> = stopped.history.iter().map(|r| r.validation_loss.unwrap()).collect();
    assert!(losses[1..].iter().all(|later| later > &losses[0]), "{losses:?}");
    let first = epochs(1, 0);
    assert!(bytes(&stopped.weights) == bytes(&first.weights), "the weights are those of the first epoch");
    assert_eq!(epochs(4, 0).history.len(), 4, "a patience of 0 never stops");
}

#[test]
fn without_validation_events_the_last_epoch_is_kept() {
    let sample = around(1.0, 200);
    let empty = Sample {
        dataset: empty_dataset(&sample),
        preprocessing: sample.preprocessing.clone(),
        weight: None,
        _folder: tempfile::tempdir().unwrap(),
    };
    let (train_source, validation) = (sample.source(WHOLE), empty.source(WHOLE));
    let config = TrainingConfig { epochs: 3, patience: 1, ..TrainingConfig::default() };
    let trained = run(sample.flow(1), &setup(&config, &train_source, &validation)).unwrap();
    assert_eq!((trained.best_epoch, trained.history.len()), (3, 3));
    assert!(trained.history.iter().all(|record| record.validation_loss.is_none()));
    let error = run(sample.flow(1), &setup(&config, &validation, &train_source)).err().unwrap();
    assert!(matches!(error, TrainingError::NoEvents), "{error}");
}

/// A file with the columns of `sample` and no events.
fn empty_dataset(sample: &Sample) -> Dataset {
    let path = sample._folder.path().join("empty.parquet");
    let writer = EventWriter::create(&path, sample.dataset.schema().clone(), &WriterOptions::default());
    writer.unwrap().finish().unwrap();
    Dataset::open(&[path.display().to_string()]).unwrap()
}

/// The square of 10³⁰ is no `f32`.
#[test]
fn a_loss_that_is_not_finite_names_batch_row_and_column() {
    let mut columns = correlated(300, 0);
    columns[2].1[237] = 1e30;
    let sample = Sample::new(&columns, &[]);
    let good = Sample::new(&correlated(300, 1), &[]);
    let config = TrainingConfig { epochs: 2, batch_size: 32, ..TrainingConfig::default() };

    let (bad_source, good_source) = (sample.source(WHOLE), good.source(WHOLE));
    let wanted = bad_source.shuffled(5, 1, 32).map(Result::unwrap).find(|b| b.rows.contains(&237)).unwrap();
    let error = run(sample.flow(1), &setup(&config, &bad_source, &good_source)).err().unwrap();
    let message = error.to_string();
    let TrainingError::NotFinite { what, epoch, batch, rows, .. } = error else { panic!("{message}") };
    assert_eq!((what, epoch, batch), ("the loss", 1, wanted.index));
    assert!(rows.starts_with(&format!("{}, {}, ", wanted.rows[0], wanted.rows[1])), "{rows}");
    for part in ["`y1`", "prepared row 237", "1000000000000000000000000000000"] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }

    let error = run(sample.flow(1), &setup(&config, &good_source, &bad_source)).err().unwrap();
    let TrainingError::NotFinite { what, epoch, batch, .. } = error else { panic!("{error}") };
    assert_eq!((what, epoch, batch), ("the validation loss", 1, 237 / 32));
}

#[test]
fn a_diverging_training_stops_with_an_error() {
    let sample = Sample::new(&correlated(300, 0), &[]);
    let source = sample.source(WHOLE);
    let config = TrainingConfig {
        learning_rate: 1e25,
        schedule: ScheduleKind::Constant,
        batch_size: 32,
        ..TrainingConfig::default()
    };
    let error = run(sample.flow(1), &setup(&config, &source, &source)).err().expect("training diverges");
    let message = error.to_string();
    assert!(
        message.contains("is not finite in epoch 1, batch ") && message.contains("learning_rate"),
        "{message}"
    );
}

/// Collects warnings.
#[derive(Default)]
struct Warned(Vec<String>);

impl Warn for Warned {
    fn warn(&mut self, message: &str) {
        self.0.push(message.to_string());
    }
}

impl Observer for Warned {
    fn start(&mut self, _: usize, _: usize, _: u64) {}
    fn step(&mut self, _: usize, _: f64) {}
    fn epoch(&mut self, _: &EpochRecord, _: bool) {}
}

/// A generator that hardly moves, beside targets a hundred times as far apart as what it starts with; then, beside
/// targets like those, none.
#[test]
fn a_collapsed_generator_is_warned_of_once() {
    let warnings = |scale: f32| {
        let columns = correlated(300, 0).into_iter().map(|(name, values)| {
            let scale = if name.starts_with('y') { scale } else { 1.0 };
            (name, values.into_iter().map(|v| scale * v).collect())
        });
        let sample = Sample::new(&columns.collect::<Vec<_>>(), &[]);
        let source = sample.source(WHOLE);
        let config = TrainingConfig { epochs: 3, learning_rate: 1e-9, ..TrainingConfig::default() };
        let mut rng = random::stream(1, "test/init", 0);
        let gan = GanConfig::default();
        let model = Grouped::init(&sample.space(), |_, group| gan.init(group, &autodiff(), &mut rng));
        let mut warned = Warned::default();
        train(model, &autodiff(), &setup(&config, &source, &source), &mut warned).unwrap();
        warned.0
    };
    let found = warnings(100.0);
    assert!(found.len() == 1 && found[0].contains("epoch 1") && found[0].contains("collapsed"), "{found:?}");
    assert!(warnings(0.5).is_empty());
}
