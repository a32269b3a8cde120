use simile_data::random;

use super::super::{Activation, linear};
use super::*;

const ACTIVATIONS: [Activation; 4] =
    [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.01), Activation::Tanh];

/// Rows, inputs and outputs: one row, blocks that are full, not full and almost empty, odd widths.
const SHAPES: [[usize; 3]; 8] =
    [[1, 1, 1], [1, 7, 3], [3, 100, 2], [64, 33, 64], [65, 5, 17], [130, 1, 9], [200, 65, 1], [257, 31, 65]];

/// Sums of up to 257 products in `f32`.
const TOLERANCE: f64 = 1e-5;

fn layer(activation: Activation) -> impl Fn(&[Tensor<2>]) -> Tensor<2> + Sync {
    move |t| linear(t[0].clone(), t[1].clone(), t[2].clone().squeeze_dim::<1>(0), activation)
}

fn inputs([rows, n_in, n_out]: [usize; 3], layouts: [Layout; 3], rng: &mut ChaCha8Rng) -> [Input; 4] {
    let scale = 1.0 / (n_in as f32).sqrt();
    [
        Input::normal([rows, n_in], 1.0, layouts[0], rng),
        Input::normal([n_in, n_out], scale, layouts[1], rng),
        Input::normal([1, n_out], 0.5, layouts[2], rng),
        Input::normal([rows, n_out], 1.0, Layout::Ordered, rng),
    ]
}

#[test]
fn layer_agrees_with_the_reference_and_finite_differences() {
    let mut rng = random::stream(1, "test/linear", 0);
    for activation in ACTIVATIONS {
        for shape in SHAPES {
            for i in 0..LAYOUTS.len() {
                let layouts = [0, 1, 2].map(|shift| LAYOUTS[(i + shift) % LAYOUTS.len()]);
                let [x, weight, bias, upstream] = inputs(shape, layouts, &mut rng);
                let name = format!("{activation:?} {shape:?} {layouts:?}");
                check(&name, &layer(activation), &[x, weight, bias], &upstream, TOLERANCE, &mut rng);
            }
        }
    }
}

#[test]
fn tanh_saturates() {
    let device = Device::flex();
    let x = Tensor::<2>::from_data([[-1e30f32], [-20.0], [0.0], [1e-3], [20.0], [1e30]], &device);
    let y = linear(x, Tensor::ones([1, 1], &device), Tensor::zeros([1], &device), Activation::Tanh);
    assert_close("tanh", &numbers(y), &[-1.0, -1.0, 0.0, 1e-3f64.tanh(), 1.0, 1.0], 1e-6);
}

#[test]
fn layer_does_not_depend_on_threads() {
    let mut rng = random::stream(2, "test/linear", 0);
    for activation in ACTIVATIONS {
        let [x, weight, bias, upstream] = inputs([1000, 129, 67], [Layout::Ordered; 3], &mut rng);
        let inputs = [x, weight, bias];
        assert_same_on_any_threads(&format!("{activation:?}"), || {
            evaluate(&layer(activation), &inputs, &upstream, DType::F32)
        });
    }
}
