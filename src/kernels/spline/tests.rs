//! Properties of the curves at a million inputs: knots and their neighbours, far tails, parameters of any size.

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use simile_data::random;

use super::{MIN_BIN, Spline};
use crate::kernels::{self, Transform};

/// Size of unnormalised parameters.
#[derive(Clone, Copy, Debug)]
enum Size {
    Zero,
    /// Standard normal numbers times this.
    Normal(f32),
    /// ±10⁴ or zero: fractions of 0 and 1, derivatives of 10⁻³ and 10⁴.
    Saturated,
}

impl Size {
    fn draw(self, rng: &mut ChaCha8Rng) -> f32 {
        match self {
            Self::Zero => 0.0,
            Self::Normal(scale) => scale * rng.sample::<f32, _>(StandardNormal),
            Self::Saturated => [-1e4, 0.0, 1e4][rng.gen_range(0..3)],
        }
    }
}

const SPLINES: [Spline; 7] = [
    Spline { bins: 2, bound: 1.0 },
    Spline { bins: 7, bound: 3.0 },
    Spline { bins: 8, bound: 8.0 },
    Spline { bins: 10, bound: 8.0 },
    Spline { bins: 16, bound: 5.0 },
    Spline { bins: 33, bound: 3.0 },
    Spline { bins: 64, bound: 10.0 },
];
/// Together at least a million.
const INPUTS_PER_CASE: usize = 15_000;

/// Inputs in ascending order, each with the curve it goes through.
struct Block {
    spline: Spline,
    /// One row of parameters for every input; the same for the inputs of one curve.
    parameters: Vec<f32>,
    inputs: Vec<f32>,
    curves: Vec<usize>,
}

impl Block {
    /// `inverse` takes the knots of the inverse curves.
    fn new(spline: Spline, size: Size, inverse: bool, rng: &mut ChaCha8Rng) -> Self {
        let mut block = Self { spline, parameters: Vec::new(), inputs: Vec::new(), curves: Vec::new() };
        for curve in 0.. {
            if block.inputs.len() >= INPUTS_PER_CASE {
                break;
            }
            let parameters: Vec<f32> = (0..spline.parameters()).map(|_| size.draw(rng)).collect();
            let inputs = inputs(&parameters, spline, inverse, rng);
            block.parameters.extend(parameters.repeat(inputs.len()));
            block.curves.extend(std::iter::repeat_n(curve, inputs.len()));
            block.inputs.extend(inputs);
        }
        block
    }

    fn tensors(&self, values: &[f32], device: &Device) -> [Tensor<2>; 2] {
        let rows = values.len();
        let parameters = TensorData::new(self.parameters.clone(), [rows, self.spline.parameters()]);
        let values = TensorData::new(values.to_vec(), [rows, 1]);
        [parameters, values].map(|data| Tensor::from_data(data, device))
    }

    /// (values, log-determinants)
    fn transform(&self, values: &[f32], inverse: bool) -> (Vec<f32>, Vec<f32>) {
        let [parameters, values] = self.tensors(values, &Device::flex());
        let f = if inverse { kernels::transform_inverse } else { kernels::transform };
        let (moved, log) = f(parameters, values, Transform::Spline(self.spline));
        (numbers(moved), numbers(log))
    }

    /// Gradients of the sum of values and log-determinants.
    fn gradients(&self) -> [Vec<f32>; 2] {
        let tensors = self.tensors(&self.inputs, &Device::flex().autodiff()).map(Tensor::require_grad);
        let (y, log) =
            kernels::transform(tensors[0].clone(), tensors[1].clone(), Transform::Spline(self.spline));
        let gradients = (y + log).sum().backward();
        tensors.map(|t| numbers(t.grad(&gradients).unwrap()))
    }
}

fn numbers(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Knots, bounds and the numbers next to them; values inside, around and far outside the interval.
fn inputs(parameters: &[f32], spline: Spline, inverse: bool, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let bound = spline.bound;
    let unnormalised = &parameters[if inverse { spline.bins..2 * spline.bins } else { 0..spline.bins }];
    let exact = left_edges(unnormalised, spline).into_iter().chain([bound, 0.0]);
    let mut inputs: Vec<f32> = exact.flat_map(|v| [v.next_down(), v, v.next_up()]).collect();
    inputs.extend([1e30, f32::MAX, f32::MIN_POSITIVE].iter().flat_map(|&v| [-v, v]));
    inputs.extend((0..16).map(|_| rng.gen_range(-bound..bound)));
    inputs.extend((0..4).map(|_| bound * rng.sample::<f32, _>(StandardNormal)));
    inputs.sort_unstable_by(f32::total_cmp);
    inputs
}

/// As the kernel computes them, up to the rounding of the exponentials.
fn left_edges(unnormalised: &[f32], spline: Spline) -> Vec<f32> {
    let max = unnormalised.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let e: Vec<f32> = unnormalised.iter().map(|u| (u - max).exp()).collect();
    let scale = 1.0 / e.iter().sum::<f32>();
    let size = |e: &f32| (e * scale).mul_add(spline.span(), 2.0 * spline.bound * MIN_BIN);
    let mut left = -spline.bound;
    let next = |e| {
        let here = left;
        left += size(e);
        here
    };
    e.iter().map(next).collect()
}

fn for_every_block(sizes: &[Size], stage: &str, mut check: impl FnMut(&str, &Block, bool)) -> usize {
    let mut count = 0;
    for (i, spline) in SPLINES.into_iter().enumerate() {
        for &size in sizes {
            for inverse in [false, true] {
                let block = Block::new(spline, size, inverse, &mut random::stream(1, stage, i as u64));
                let direction = if inverse { "inverse" } else { "forward" };
                check(&format!("{spline:?}, {size:?}, {direction}"), &block, inverse);
                count += block.inputs.len();
            }
        }
    }
    count
}

const SIZES: [Size; 5] =
    [Size::Zero, Size::Normal(1.0), Size::Normal(10.0), Size::Normal(1e4), Size::Saturated];

/// Rounding of a value near the bound, relative to the bound.
const ROUNDING: f32 = 1e-6;

#[test]
fn curves_are_finite_bounded_and_monotone_for_any_parameters() {
    let count = for_every_block(&SIZES, "test/properties", |name, block, inverse| {
        let (moved, log) = block.transform(&block.inputs, inverse);
        let bound = block.spline.bound;
        for (i, ((&v, &w), &log)) in block.inputs.iter().zip(&moved).zip(&log).enumerate() {
            assert!(w.is_finite() && log.is_finite(), "{name}: {v} goes to {w}, log-determinant {log}");
            if v.abs() < bound {
                assert!(w.abs() <= bound, "{name}: {v} leaves the interval for {w}");
            } else {
                assert!(w == v && log == 0.0, "{name}: outside, {v} goes to {w}, log-determinant {log}");
            }
            if i > 0 && block.curves[i] == block.curves[i - 1] {
                let fall = moved[i - 1] - w;
                let (before, after) = (block.inputs[i - 1], v);
                assert!(
                    fall <= ROUNDING * bound,
                    "{name}: from {before} to {after} the curve falls by {fall}"
                );
            }
        }
    });
    assert!(count >= 1_000_000, "{count} inputs");
}

#[test]
fn gradients_are_finite_for_any_parameters() {
    for_every_block(&SIZES, "test/gradients", |name, block, inverse| {
        if inverse {
            return;
        }
        for gradient in block.gradients() {
            assert!(gradient.iter().all(|g| g.is_finite()), "{name}: a gradient is not finite");
        }
    });
}

#[test]
fn parameters_of_zero_give_the_identity() {
    for_every_block(&[Size::Zero], "test/identity", |name, block, inverse| {
        let (moved, log) = block.transform(&block.inputs, inverse);
        for ((&v, &w), &log) in block.inputs.iter().zip(&moved).zip(&log) {
            let limit = ROUNDING * block.spline.bound;
            assert!(v == w || (v - w).abs() <= limit, "{name}: {v} goes to {w}");
            assert!(log.abs() <= 1e-5, "{name}: log-determinant {log} at {v}");
        }
    });
}

/// A rounding error of the moved value comes back magnified where the curve is flat.
#[test]
fn inverse_undoes_the_curve_for_ordinary_parameters() {
    for_every_block(&[Size::Normal(1.0), Size::Normal(2.0)], "test/round trip", |name, block, inverse| {
        let (moved, log) = block.transform(&block.inputs, inverse);
        let (back, log_back) = block.transform(&moved, !inverse);
        let mut opposite = 0;
        for (i, (&v, &w)) in block.inputs.iter().zip(&back).enumerate() {
            let limit = 2.0 * ROUNDING * block.spline.bound * (-log[i]).exp().max(1.0);
            assert!(v == w || (v - w).abs() <= limit, "{name}: {v} comes back as {w}");
            opposite += usize::from((log[i] + log_back[i]).abs() < 1e-2);
        }
        let share = opposite as f64 / back.len() as f64;
        assert!(share > 0.97, "{name}: log-determinants cancel for {share} of the inputs only");
    });
}
