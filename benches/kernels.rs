//! The fused kernels one by one: `cargo bench --bench kernels [FILTER]`. The case named "reference" is the same work as
//! a composition of Burn operations.

use burn::tensor::{Device, Tensor, TensorData};
use divan::Bencher;
use divan::counter::ItemsCount;
use rand::Rng;
use rand_distr::StandardNormal;
use simile::kernels::{
    self, Activation, AdamWStep, Blocks, Columns, CouplingShape, MlpShape, Spline, Transform,
};
use simile_data::random;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: [usize; 3] = [1, 256, 4096];

fn main() {
    divan::main();
}

fn normal(shape: [usize; 2], scale: f32, device: &Device) -> Tensor<2> {
    let mut rng = random::stream(1, "bench", 0);
    let values: Vec<f32> =
        (0..shape[0] * shape[1]).map(|_| scale * rng.sample::<f32, _>(StandardNormal)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn weights(shape: MlpShape, device: &Device) -> Tensor<1> {
    normal([1, shape.parameters()], 0.05, device).squeeze_dim(0)
}

/// 16 features and 4 conditions, conditioner 128 × 2, 16 bins.
fn coupling_shape() -> CouplingShape {
    let transform = Transform::Spline(Spline { bins: 16, bound: 5.0 });
    let activation = Activation::Relu;
    let (inputs, outputs) = (12, 8 * transform.parameters());
    let mlp = MlpShape { inputs, outputs, width: 128, hidden: 2, blocks: Blocks::Plain, activation };
    CouplingShape { columns: Columns::identity(16), transform, mlp }
}

fn mlp_shape() -> MlpShape {
    let activation = Activation::Silu;
    MlpShape { inputs: 64, outputs: 64, width: 512, hidden: 2, blocks: Blocks::Plain, activation }
}

#[divan::bench(args = ROWS)]
fn coupling_forward(bencher: Bencher, rows: usize) {
    let (device, shape) = (Device::flex(), coupling_shape());
    let (state, condition) = (normal([rows, 17], 1.0, &device), normal([rows, 4], 1.0, &device));
    let weights = weights(shape.mlp, &device);
    bencher
        .counter(ItemsCount::new(rows))
        .bench(|| kernels::coupling(state.clone(), condition.clone(), weights.clone(), shape.clone()));
}

#[divan::bench(args = ROWS)]
fn coupling_inverse(bencher: Bencher, rows: usize) {
    let (device, shape) = (Device::flex(), coupling_shape());
    let (state, condition) = (normal([rows, 17], 1.0, &device), normal([rows, 4], 1.0, &device));
    let weights = weights(shape.mlp, &device);
    bencher.counter(ItemsCount::new(rows)).bench(|| {
        kernels::coupling_inverse(state.clone(), condition.clone(), weights.clone(), shape.clone())
    });
}

#[divan::bench(args = ROWS)]
fn coupling_training(bencher: Bencher, rows: usize) {
    train_coupling(bencher, rows, kernels::coupling);
}

#[divan::bench(args = ROWS)]
fn coupling_training_reference(bencher: Bencher, rows: usize) {
    train_coupling(bencher, rows, |s, c, w, shape| kernels::reference::coupling(s, c, w, &shape));
}

fn train_coupling(
    bencher: Bencher,
    rows: usize,
    coupling: impl Fn(Tensor<2>, Tensor<2>, Tensor<1>, CouplingShape) -> Tensor<2> + Sync,
) {
    let (device, shape) = (Device::flex().autodiff(), coupling_shape());
    let state = normal([rows, 17], 1.0, &device).require_grad();
    let condition = normal([rows, 4], 1.0, &device);
    let weights = weights(shape.mlp, &device).require_grad();
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        coupling(state.clone(), condition.clone(), weights.clone(), shape.clone()).sum().backward()
    });
}

#[divan::bench(args = ROWS)]
fn mlp_training(bencher: Bencher, rows: usize) {
    train_mlp(bencher, rows, kernels::mlp);
}

#[divan::bench(args = ROWS)]
fn mlp_training_reference(bencher: Bencher, rows: usize) {
    train_mlp(bencher, rows, kernels::reference::mlp);
}

fn train_mlp(bencher: Bencher, rows: usize, mlp: fn(Tensor<2>, Tensor<1>, MlpShape) -> Tensor<2>) {
    let (device, shape) = (Device::flex().autodiff(), mlp_shape());
    let x = normal([rows, 64], 1.0, &device);
    let weights = weights(shape, &device).require_grad();
    bencher
        .counter(ItemsCount::new(rows))
        .bench_local(|| mlp(x.clone(), weights.clone(), shape).square().mean().backward());
}

#[divan::bench(args = [4_096, 1 << 20])]
fn adamw(bencher: Bencher, length: usize) {
    let tensor = || Tensor::<1>::ones([length], &Device::flex());
    let step = AdamWStep {
        learning_rate: 1e-3,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        correction_1: 0.1,
        correction_2: 1e-3,
        gradient_scale: 1.0,
        average_decay: 0.99,
    };
    let gradient = tensor();
    let mut state = Some([(); 4].map(|()| tensor()));
    bencher.counter(ItemsCount::new(length)).bench_local(|| {
        let taken = state.take().expect("in place between steps");
        state = Some(kernels::adamw(taken, gradient.clone(), step));
    });
}
