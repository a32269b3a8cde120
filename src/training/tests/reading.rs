use rand::Rng;

use super::*;
use crate::models::Surrogate;
use crate::training::{EventBatch, to_tensors};

fn batches(batches: impl Iterator<Item = Result<EventBatch, TrainingError>>) -> Vec<EventBatch> {
    batches.map(Result::unwrap).collect()
}

fn rows(batches: &[EventBatch]) -> Vec<u64> {
    batches.iter().flat_map(|batch| batch.rows.iter().copied()).collect()
}

const EVENTS: usize = 1003;

fn numbered() -> Sample {
    let numbers: Vec<f32> = (0..EVENTS).map(|i| i as f32).collect();
    let half = numbers.iter().map(|n| 0.5 * n).collect();
    Sample::new(&[("c", half), ("y", numbers)], &[("y", Step::Dequantize { width: 1.0 })])
}

/// Windows that divide the sample, that do not, of one event, and of more than there are.
#[test]
fn an_epoch_has_every_event_once_whatever_the_window() {
    let sample = numbered();
    for window in [1, 17, 256, EVENTS - 1, EVENTS, WHOLE] {
        let source = sample.source(window);
        let mut orders = Vec::new();
        for epoch in [1, 2] {
            let epoch_batches = batches(source.shuffled(5, epoch, 100));
            assert_eq!(source.batches_per_epoch(100), epoch_batches.len() as u64, "window {window}");
            for (index, batch) in epoch_batches.iter().enumerate() {
                assert_eq!(batch.index, index);
                assert!(
                    (1..=100).contains(&batch.rows.len()),
                    "window {window}: {} events",
                    batch.rows.len()
                );
            }
            let order = rows(&epoch_batches);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, Vec::from_iter(0..EVENTS as u64), "window {window}, epoch {epoch}");
            let unmoved = order.iter().enumerate().filter(|(i, row)| *i as u64 == **row).count();
            assert!(unmoved < 50, "window {window}: {unmoved} events are where they are in the file");
            orders.push(order);
        }
        assert_ne!(orders[0], orders[1], "window {window}: two epochs have the same order");
        assert_eq!(orders[0], rows(&batches(source.shuffled(5, 1, 100))), "an epoch can be repeated");
        assert_ne!(orders[0], rows(&batches(source.shuffled(6, 1, 100))), "the seed decides the order");
    }
}

#[test]
fn events_keep_their_own_values_and_get_new_noise_every_epoch() {
    let sample = numbered();
    for window in [64, WHOLE] {
        let source = sample.source(window);
        // In the order of the events, and in the order in which it was drawn.
        let (mut noise, mut drawn): (Vec<Vec<f32>>, Vec<Vec<f32>>) = Default::default();
        for epoch in [1, 2] {
            let (mut of_epoch, mut in_order) = (vec![0.0; EVENTS], Vec::new());
            for batch in batches(source.shuffled(5, epoch, 50)) {
                for (i, &row) in batch.rows.iter().enumerate() {
                    assert_eq!(batch.condition[[i, 0]], 0.5 * row as f32, "condition of event {row}");
                    of_epoch[row as usize] = batch.target[[i, 0]] - row as f32;
                    in_order.push(of_epoch[row as usize]);
                }
            }
            assert!(of_epoch.iter().all(|n| (0.0..=1.0).contains(n)), "noise of width 1");
            noise.push(of_epoch);
            drawn.push(in_order);
        }
        for of_epochs in [noise, drawn] {
            let close = |(a, b): &(&f32, &f32)| (*a - *b).abs() < 1e-3;
            let repeated = of_epochs[0].iter().zip(&of_epochs[1]).filter(close).count();
            assert!(repeated < 20, "window {window}: {repeated} events have the same noise in two epochs");
        }
    }
}

#[test]
fn validation_reads_in_order_with_the_same_noise() {
    let sample = numbered();
    for window in [64, WHOLE] {
        let source = sample.source(window);
        let [first, second] = [(); 2].map(|()| batches(source.in_order(5, 50)));
        assert_eq!(rows(&first), Vec::from_iter(0..EVENTS as u64));
        assert!(first.iter().zip(&second).all(|(a, b)| a.target == b.target));
    }
}

/// Of a sorted file, as many events from every part of it, whatever the window.
#[test]
fn spread_events_come_from_everywhere() {
    let sample = numbered();
    for window in [64, WHOLE] {
        let source = sample.source(window);
        assert_eq!(source.spread(5, EVENTS).unwrap().rows, Vec::from_iter(0..EVENTS as u64));
        let spread = source.spread(5, 100).unwrap();
        let expected: Vec<u64> = (0..100).map(|k| k * EVENTS as u64 / 100).collect();
        assert_eq!(spread.rows, expected, "window {window}");
        assert!(spread.rows.iter().zip(&spread.condition).all(|(row, c)| *c == 0.5 * *row as f32));
        let [even, odd] = spread.halves();
        assert!(even.rows.len() == 50 && odd.rows.iter().all(|row| !even.rows.contains(row)));
    }
}

#[test]
fn unweighted_events_appear_as_often_as_they_weigh() {
    let weights = vec![2.0, 0.0, 1.0, 3.0, 0.0, 0.5, 0.5, 1.0];
    let numbers = |scale: f32| (0..8).map(|i| scale * i as f32).collect();
    let sample = Sample::new(&[("c", numbers(1.0)), ("y", numbers(2.0)), ("weight", weights)], &[]);
    let batch = sample.source(WHOLE).spread(5, 100).unwrap().unweighted();
    assert_eq!(batch.rows, [0, 0, 2, 3, 3, 3, 6, 7]);
    assert!(batch.weight.is_none() && batch.target[[6, 0]] == 12.0);
}

/// An event of weight 2 counts as the same event twice.
#[test]
fn a_weight_of_two_is_an_event_twice() {
    let mut rng = random::stream(1, "test/weights", 0);
    let mut uniform = |_| rng.gen_range(-1.0f32..1.0);
    let (c, y): (Vec<f32>, Vec<f32>) = (0..60).map(|i| (uniform(i), uniform(i))).unzip();
    let weights: Vec<f32> = (0..60).map(|i| [2.0, 1.0, 0.0][i % 3]).collect();
    let repeat = |values: &[f32]| -> Vec<f32> {
        values.iter().zip(&weights).flat_map(|(&v, &w)| std::iter::repeat_n(v, w as usize)).collect()
    };
    let repeated = Sample::new(&[("c", repeat(&c)), ("y", repeat(&y))], &[]);
    let weighted = Sample::new(&[("c", c), ("y", y), ("weight", weights)], &[]);
    let flow = weighted.flow(1);
    let loss = |sample: &Sample| {
        let batch = batches(sample.source(WHOLE).in_order(5, 1000)).remove(0);
        let mut rng = random::stream(1, "test/loss", 0);
        let step = crate::models::Step { number: 0, epoch: 1 };
        flow.loss(&to_tensors(&batch, 0..batch.rows.len(), &autodiff()), step, &mut rng)
            .value
            .into_scalar::<f32>()
    };
    let [weighted, repeated] = [loss(&weighted), loss(&repeated)];
    assert!((weighted - repeated).abs() < 1e-6, "weighted {weighted}, repeated {repeated}");
}

#[test]
fn weights_that_cannot_be_used_are_refused() {
    let sample = |weight: Vec<f32>| Sample::new(&[("y", vec![1.0, 2.0, 3.0]), ("weight", weight)], &[]);
    let error = |sample: &Sample| {
        let source = EventSource::new(&sample.dataset, &sample.preprocessing, sample.weight, WHOLE);
        source.err().expect("the weights are refused").to_string()
    };
    let message = error(&sample(vec![1.0, -0.5, 1.0]));
    assert!(message.contains("`weight`, prepared row 1: weight -0.5 is negative"), "{message}");
    let message = error(&sample(vec![0.0; 3]));
    assert!(message.contains("column `weight`: all weights are zero"), "{message}");
}
