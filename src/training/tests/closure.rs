//! Closure: a conditional density that is known, recovered by training on events drawn from it.
//!
//! c ~ U(−2, 2), y₀ | c ~ N(sin c, s(c)²) with s(c) = 0.5 + 0.15c, y₁ | y₀ ~ N((y₀² − 1)/2, 0.3²): a banana that moves,
//! shrinks and bends with the condition.

use burn::tensor::{Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::*;
use crate::models::TransformKind;
use crate::nn::parameters;

const SIGMA_1: f32 = 0.3;

fn mean_0(c: f32) -> f32 {
    c.sin()
}

fn sigma_0(c: f32) -> f32 {
    0.5 + 0.15 * c
}

fn mean_1(y0: f32) -> f32 {
    0.5 * y0 * y0 - 0.5
}

/// `[c, y0, y1]`
fn draw(rng: &mut ChaCha8Rng) -> [f32; 3] {
    let c = rng.gen_range(-2.0f32..2.0);
    let y0 = mean_0(c) + sigma_0(c) * rng.sample::<f32, _>(StandardNormal);
    [c, y0, mean_1(y0) + SIGMA_1 * rng.sample::<f32, _>(StandardNormal)]
}

fn true_log_prob([c, y0, y1]: [f32; 3]) -> f64 {
    let normal = |y: f32, mean: f32, sigma: f32| {
        let pull = f64::from((y - mean) / sigma);
        -0.5 * pull * pull - f64::from(sigma).ln() - 0.5 * (2.0 * std::f64::consts::PI).ln()
    };
    normal(y0, mean_0(c), sigma_0(c)) + normal(y1, mean_1(y0), SIGMA_1)
}

fn sample(events: &[[f32; 3]]) -> Sample {
    let column = |i: usize| events.iter().map(|event| event[i]).collect();
    Sample::new(&[("c", column(0)), ("y0", column(1)), ("y1", column(2))], &[])
}

fn events(count: usize, stage: &str) -> Vec<[f32; 3]> {
    let mut rng = random::stream(1, stage, 0);
    (0..count).map(|_| draw(&mut rng)).collect()
}

fn fit(transform: TransformKind) -> Grouped<Flow> {
    let (train_sample, validation_sample) =
        (sample(&events(30_000, "test/train")), sample(&events(2_000, "test/validation")));
    let flow_config = FlowConfig {
        transform,
        couplings: 4,
        width: 48,
        bins: 8,
        tail_bound: 8.0,
        permutation: PermutationConfig::Swap,
        ..FlowConfig::default()
    };
    let config = TrainingConfig {
        epochs: 8,
        learning_rate: 4e-3,
        batch_size: 256,
        average_decay: 0.99,
        ..TrainingConfig::default()
    };
    let init = |device: &Device| {
        let mut rng = random::stream(1, "test/init", 0);
        Grouped::init(&train_sample.space(), |_, group| flow_config.init(group, device, &mut rng))
    };
    // A window smaller than the sample: the events are read again in every epoch.
    let (train_source, validation) = (train_sample.source(12_000), validation_sample.source(WHOLE));
    let trained = run(init(&autodiff()), &setup(&config, &train_source, &validation)).unwrap();
    parameters::load(init(&Device::flex()), trained.weights).unwrap()
}

fn tensor<const N: usize>(rows: &[[f32; N]]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(rows.concat(), [rows.len(), N]), &Device::flex())
}

/// Mean of log p_true − log p_flow over new events, per dimension: the Kullback–Leibler divergence, and how much worse
/// than the entropy the loss is.
fn divergence(flow: &Grouped<Flow>) -> f64 {
    let events = events(20_000, "test/test");
    let targets: Vec<[f32; 2]> = events.iter().map(|&[_, y0, y1]| [y0, y1]).collect();
    let conditions: Vec<[f32; 1]> = events.iter().map(|&[c, _, _]| [c]).collect();
    let mut unused = random::stream(0, "test/unused", 0);
    let learnt =
        flow.log_prob(tensor(&targets), tensor(&conditions), 1, &mut unused).unwrap().value.into_data();
    let excess =
        events.iter().zip(learnt.iter::<f64>()).map(|(&event, learnt)| true_log_prob(event) - learnt);
    excess.sum::<f64>() / events.len() as f64 / 2.0
}

fn mean_and_width(values: &[f32]) -> [f32; 2] {
    let n = values.len() as f32;
    let mean = values.iter().sum::<f32>() / n;
    [mean, (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n).sqrt()]
}

/// Means within 15% of the width, and widths within 8%, at three conditions.
fn check_moments(flow: &Grouped<Flow>) {
    for c in [-1.4, 0.0, 1.4] {
        let drawn = flow.sample(tensor(&vec![[c]; 20_000]), &mut random::stream(1, "test/sample", 0));
        let drawn: Vec<f32> = drawn.into_data().try_to_vec().unwrap();
        let y0: Vec<f32> = drawn.chunks_exact(2).map(|y| y[0]).collect();
        let pulls: Vec<f32> = drawn.chunks_exact(2).map(|y| y[1] - mean_1(y[0])).collect();
        for (name, values, expected) in
            [("y₀", &y0, [mean_0(c), sigma_0(c)]), ("y₁ − mean", &pulls, [0.0, SIGMA_1])]
        {
            let [mean, width] = mean_and_width(values);
            assert!(
                (mean - expected[0]).abs() < 0.15 * expected[1],
                "{name} at c = {c}: mean {mean}, true {}",
                expected[0]
            );
            assert!(
                (width / expected[1] - 1.0).abs() < 0.08,
                "{name} at c = {c}: width {width}, true {}",
                expected[1]
            );
        }
    }
}

fn check_closure(transform: TransformKind) {
    let flow = fit(transform);
    let divergence = divergence(&flow);
    // Positive up to the statistical error of the estimate.
    assert!((-0.005..0.02).contains(&divergence), "{divergence} nats per dimension above the entropy");
    check_moments(&flow);
}

#[test]
fn spline_flow_recovers_a_known_density() {
    check_closure(TransformKind::Spline);
}

#[test]
fn affine_flow_recovers_a_known_density() {
    check_closure(TransformKind::Affine);
}
