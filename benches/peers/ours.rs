//! This library's side of the comparison in `run.py`: prints one JSON object, case → value.
//!
//! The work is that of `peers.py`; see ../README.md.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_distr::StandardNormal;
use simile::kernels::{self, Activation, Blocks, ConvolutionShape, MlpShape};
use simile::models::{Batch, FlowConfig, GroupSpace, Step, Surrogate};
use simile::nn::{MlpConfig, PermutationConfig};
use simile::training::{Optimizer, TrainingConfig};
use simile_data::random;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FEATURES: usize = 16;
const CONDITIONS: usize = 4;
/// Multiplications and additions for one event in one pass through the conditioners.
const FLOW_FLOPS: f64 = 2.0 * 8.0 * (12.0 * 128.0 + 128.0 * 128.0 + 128.0 * 376.0);
const REPETITIONS: usize = 5;

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().use_current_thread();
    pool.build_global().expect("the first pool");
    let mut cases = BTreeMap::new();
    // `cargo bench` hands on its own arguments.
    let only: Option<String> = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let wanted = |name: &str| only.as_ref().is_none_or(|only| name.starts_with(only.as_str()));
    if wanted("gemm") {
        let rate = gemm_rate();
        cases.insert("gemm GFLOP/s".to_string(), rate / 1e9);
        cases.insert("floor train samples/s".to_string(), rate / (3.0 * FLOW_FLOPS));
        cases.insert("floor sample samples/s".to_string(), rate / FLOW_FLOPS);
    }
    if wanted("flow train") {
        for batch in [256, 1024, 4096] {
            cases.insert(format!("flow train {batch} samples/s"), flow_training(batch));
        }
    }
    if wanted("flow sample") {
        for chunk in [2048, 10_000] {
            cases.insert(format!("flow sample {chunk} samples/s"), flow_sampling(chunk));
        }
        cases.insert("flow sample 1 µs".to_string(), 1e6 / flow_sampling(1));
    }
    if wanted("mlp") {
        cases.insert("mlp train 1024 ms".to_string(), 1e3 * mlp_training());
    }
    if wanted("convolution") {
        for transposed in [false, true] {
            let name = if transposed { "transposed convolution" } else { "convolution" };
            let [forward, both] = [false, true].map(|train| 1e3 * convolution(transposed, train));
            cases.insert(format!("{name} forward ms"), forward);
            cases.insert(format!("{name} train ms"), both);
        }
    }
    println!("{}", serde_json::to_string_pretty(&cases).expect("numbers are JSON"));
}

/// Median seconds of one call, of several runs of `calls` calls.
fn seconds(calls: usize, mut work: impl FnMut()) -> f64 {
    for _ in 0..3 {
        work();
    }
    let mut times: Vec<f64> = (0..REPETITIONS)
        .map(|_| {
            let begin = Instant::now();
            (0..calls).for_each(|_| work());
            begin.elapsed().as_secs_f64() / calls as f64
        })
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    times[REPETITIONS / 2]
}

fn normal(rows: usize, columns: usize, device: &Device) -> Tensor<2> {
    let mut rng = random::stream(1, "bench", 0);
    let values: Vec<f32> = (0..rows * columns).map(|_| rng.sample(StandardNormal)).collect();
    Tensor::from_data(TensorData::new(values, [rows, columns]), device)
}

fn flow(device: &Device) -> impl Surrogate {
    let config = FlowConfig {
        couplings: 8,
        width: 128,
        hidden: 2,
        bins: 16,
        tail_bound: 5.0,
        permutation: PermutationConfig::Swap,
        ..FlowConfig::default()
    };
    let space = GroupSpace { conditions: CONDITIONS, targets: FEATURES, categories: Vec::new() };
    config.init(space, device, &mut random::stream(1, "bench/init", 0))
}

/// Adam as the peers have it: no decay, no clipping, no average.
fn adam() -> TrainingConfig {
    TrainingConfig {
        weight_decay: 0.0,
        average_decay: 0.0,
        gradient_clip: f64::MAX,
        ..TrainingConfig::default()
    }
}

fn flow_training(rows: usize) -> f64 {
    let device = Device::flex().autodiff();
    let batch = Batch::new(normal(rows, FEATURES, &device), normal(rows, CONDITIONS, &device));
    let mut model = Some(flow(&device));
    let mut optimizer = Optimizer::new(model.as_ref().expect("just made"), &Device::flex());
    let (config, mut rng) = (adam(), random::stream(1, "bench/loss", 0));
    let time = seconds((8192 / rows).max(2), || {
        let flow = model.take().expect("in place between steps");
        let loss = flow.loss(&batch, Step { number: 0, epoch: 1 }, &mut rng).value;
        model = Some(optimizer.step(flow, loss.backward(), 1e-4, &config).0);
    });
    rows as f64 / time
}

fn flow_sampling(rows: usize) -> f64 {
    let device = Device::flex();
    let (model, condition) = (flow(&device), normal(rows, CONDITIONS, &device));
    let mut rng = random::stream(1, "bench/sample", 0);
    let calls = (20_000 / rows).clamp(1, 1000);
    rows as f64 / seconds(calls, || drop(model.sample(condition.clone(), &mut rng).into_data()))
}

/// 64 → 512 → 512 → 64 with SiLU on the mean square error, batch 1024; seconds a step.
fn mlp_training() -> f64 {
    let device = Device::flex().autodiff();
    let activation = Activation::Silu;
    let shape =
        MlpShape { inputs: 64, outputs: 64, width: 512, hidden: 2, blocks: Blocks::Plain, activation };
    let mlp = MlpConfig { shape, output_gain: 1.0 };
    let mut model = Some(mlp.init(&device, &mut random::stream(1, "bench/init", 0)));
    let mut optimizer = Optimizer::new(model.as_ref().expect("just made"), &Device::flex());
    let (x, y, config) = (normal(1024, 64, &device), normal(1024, 64, &device), adam());
    seconds(20, || {
        let mlp = model.take().expect("in place between steps");
        let loss = (mlp.forward(x.clone()) - y.clone()).square().mean();
        model = Some(optimizer.step(mlp, loss.backward(), 1e-3, &config).0);
    })
}

/// Convolution 32 → 64 channels, 3 × 3, of 28 × 28 images, and its transpose 64 → 32 channels, 4 × 4, stride 2, from
/// 14 × 14 to 28 × 28, batch 128; seconds, with the backward pass if asked.
fn convolution(transposed: bool, train: bool) -> f64 {
    let plain = Device::flex();
    let device = if train { plain.autodiff() } else { plain };
    let [batch, size, from, to] = if transposed { [128, 14, 64, 32] } else { [128, 28, 32, 64] };
    let kernel = if transposed { [from, to, 4, 4] } else { [to, from, 3, 3] };
    let x = normal(batch * from, size * size, &device).reshape([batch, from, size, size]);
    let weight = normal(kernel[0] * kernel[1], kernel[2] * kernel[3], &device).reshape(kernel);
    let (x, weight) = if train { (x.require_grad(), weight.require_grad()) } else { (x, weight) };
    let bias = Tensor::<1>::zeros([to], &device);
    let bias = if train { bias.require_grad() } else { bias };
    let shape = ConvolutionShape {
        large: if transposed { [to, 28, 28] } else { [from, 28, 28] },
        small: if transposed { [from, 14, 14] } else { [to, 28, 28] },
        kernel: kernel[2],
        stride: if transposed { 2 } else { 1 },
        padding: 1,
        transposed,
    };
    seconds(3, || {
        let y = kernels::convolution(x.clone(), weight.clone(), bias.clone(), shape);
        if train {
            drop(y.sum().backward());
        } else {
            drop(y.into_data());
        }
    })
}

/// Operations a second of a product of large matrices on all threads.
fn gemm_rate() -> f64 {
    const N: usize = 2048;
    let matrix = || vec![1.0f32; N * N];
    let (a, b, mut c) = (matrix(), matrix(), matrix());
    let time = seconds(2, || {
        let stride = N as isize;
        // SAFETY: three matrices of N × N values.
        unsafe {
            gemm::gemm(
                N,
                N,
                N,
                c.as_mut_ptr(),
                1,
                stride,
                false,
                a.as_ptr(),
                1,
                stride,
                b.as_ptr(),
                1,
                stride,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::Rayon(0),
            );
        }
    });
    2.0 * (N as f64).powi(3) / time
}
