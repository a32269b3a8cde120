//! The fused kernels against their reference in `f64`, against finite differences, and on one, two and three threads.

mod convolution;
mod coupling;
mod memory;
mod mlp;
mod transform;

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::is_fused;

/// How a matrix lies in memory: kernels want rows one after the other, users have views.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Ordered,
    Transposed,
    /// Part of the rows of a larger matrix: in order, but not from the start of the memory.
    Rows,
    /// Part of the rows and columns of a larger matrix.
    Window,
}

const LAYOUTS: [Layout; 4] = [Layout::Ordered, Layout::Transposed, Layout::Rows, Layout::Window];

/// A random matrix `shape` as a view of a larger or transposed one, whose `values` are numbers that `f32` holds exactly.
#[derive(Clone)]
struct Input {
    shape: [usize; 2],
    layout: Layout,
    values: Vec<f64>,
}

impl Input {
    fn normal(shape: [usize; 2], scale: f32, layout: Layout, rng: &mut ChaCha8Rng) -> Self {
        let mut input = Self { shape, layout, values: Vec::new() };
        let [rows, columns] = input.stored_shape();
        let draw = |_| f64::from(scale * rng.sample::<f32, _>(StandardNormal));
        input.values = (0..rows * columns).map(draw).collect();
        input
    }

    fn stored_shape(&self) -> [usize; 2] {
        let [rows, columns] = self.shape;
        match self.layout {
            Layout::Ordered => [rows, columns],
            Layout::Transposed => [columns, rows],
            Layout::Rows => [rows + 3, columns],
            Layout::Window => [rows + 3, columns + 2],
        }
    }

    /// The larger matrix.
    fn stored(&self, device: &Device, dtype: DType) -> Tensor<2> {
        let data = TensorData::new(self.values.clone(), self.stored_shape()).convert_dtype(dtype);
        Tensor::from_data(data, (device, dtype))
    }

    fn view(&self, stored: Tensor<2>) -> Tensor<2> {
        let [rows, columns] = self.shape;
        match self.layout {
            Layout::Ordered => stored,
            Layout::Transposed => stored.transpose(),
            Layout::Rows => stored.narrow(0, 1, rows),
            Layout::Window => stored.narrow(0, 1, rows).narrow(1, 2, columns),
        }
    }

    fn tensor(&self, dtype: DType) -> Tensor<2> {
        self.view(self.stored(&Device::flex(), dtype))
    }
}

/// What a function of matrices gave.
#[derive(Clone, Debug, PartialEq)]
struct Evaluation {
    output: Vec<f64>,
    /// Of Σ upstream·output, with respect to the stored matrix of every input.
    gradients: Vec<Vec<f64>>,
}

type Function<'a> = &'a (dyn Fn(&[Tensor<2>]) -> Tensor<2> + Sync);

/// Runs `f` with gradients: fused for `f32`, the reference for `f64`. The gradient reaches `f` as a transposed view.
fn evaluate(f: Function, inputs: &[Input], upstream: &Input, dtype: DType) -> Evaluation {
    let device = Device::flex().autodiff();
    let stored: Vec<Tensor<2>> =
        inputs.iter().map(|input| input.stored(&device, dtype).require_grad()).collect();
    let views: Vec<Tensor<2>> = inputs.iter().zip(&stored).map(|(i, s)| i.view(s.clone())).collect();
    let output = f(&views);
    let weights = upstream.view(upstream.stored(&device, dtype));
    let gradients = (output.clone().transpose() * weights.transpose()).sum().backward();
    let gradient = |s: &Tensor<2>| numbers(s.grad(&gradients).expect("every input has a gradient"));
    Evaluation { output: numbers(output), gradients: stored.iter().map(gradient).collect() }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Step of finite differences: small, so that few values cross a kink; rounding errors are 1e-16/h.
const STEP: f64 = 1e-7;

/// ∂(Σ upstream·f)/∂ one stored value of one input, by central differences of the reference in `f64`, and its rounding
/// error.
fn finite_difference(f: Function, inputs: &[Input], upstream: &Input, which: [usize; 2]) -> [f64; 2] {
    let at = |step: f64| {
        let mut moved = inputs.to_vec();
        moved[which[0]].values[which[1]] += step;
        let views: Vec<Tensor<2>> = moved.iter().map(|input| input.tensor(DType::F64)).collect();
        (f(&views) * upstream.tensor(DType::F64)).sum().into_scalar::<f64>()
    };
    let [up, down] = [at(STEP), at(-STEP)];
    [(up - down) / (2.0 * STEP), f64::EPSILON * (up.abs() + down.abs()) / STEP]
}

/// Entries of every input whose gradient is compared with finite differences.
const CHECKED_ENTRIES: usize = 12;

/// Compares the fused kernel with the reference, and its gradients with finite differences. `tolerance` is relative to
/// a value and to the root mean square of its matrix.
fn check(name: &str, f: Function, inputs: &[Input], upstream: &Input, tolerance: f64, rng: &mut ChaCha8Rng) {
    let fused = evaluate(f, inputs, upstream, DType::F32);
    let exact = evaluate(f, inputs, upstream, DType::F64);
    assert_close(&format!("{name}: output"), &fused.output, &exact.output, tolerance);
    for (i, (fused, exact)) in fused.gradients.iter().zip(&exact.gradients).enumerate() {
        assert_close(&format!("{name}: gradient {i}"), fused, exact, tolerance);
        for _ in 0..CHECKED_ENTRIES {
            let entry = rng.gen_range(0..fused.len());
            let [difference, rounding] = finite_difference(f, inputs, upstream, [i, entry]);
            let error = (fused[entry] - difference).abs();
            let limit = tolerance * (difference.abs() + root_mean_square(exact)) + rounding;
            assert!(
                error <= limit,
                "{name}: gradient {i}, entry {entry}: {} against {difference}",
                fused[entry]
            );
        }
    }
}

fn root_mean_square(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
}

#[track_caller]
fn assert_close(name: &str, found: &[f64], exact: &[f64], tolerance: f64) {
    assert_eq!(found.len(), exact.len(), "{name}: number of values");
    let scale = root_mean_square(exact);
    for (i, (found, exact)) in found.iter().zip(exact).enumerate() {
        let error = (found - exact).abs() / (exact.abs() + scale).max(f64::MIN_POSITIVE);
        assert!(error <= tolerance, "{name}: value {i} is {found}, exactly {exact}: error {error:.2e}");
    }
}

/// Runs `work` on one, two and three threads and checks that the results are the same.
fn assert_same_on_any_threads<T: PartialEq + Send>(name: &str, work: impl Fn() -> T + Sync) {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&work)
    };
    let one = run(1);
    for threads in [2, 3] {
        assert!(run(threads) == one, "{name}: the result on {threads} threads differs from that on one");
    }
}

/// The comparisons above are of the fused kernels with something else.
#[test]
fn fused_kernels_run_in_f32_on_the_cpu() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let zeros = |dtype| Tensor::<2>::zeros([2, 2], (&device, dtype));
        assert!(is_fused(&zeros(DType::F32)));
        assert!(!is_fused(&zeros(DType::F64)));
    }
}
