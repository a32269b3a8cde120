use simile_data::random;

use super::super::{Activation, Blocks, MlpShape, mlp};
use super::*;

const ACTIVATIONS: [Activation; 5] =
    [Activation::Relu, Activation::LeakyRelu(0.01), Activation::Silu, Activation::Gelu, Activation::Tanh];

/// Rows, inputs, width and outputs: one row, blocks that are full, not full and almost empty, odd widths.
const SHAPES: [[usize; 4]; 7] = [
    [1, 1, 1, 1],
    [1, 7, 5, 3],
    [3, 100, 9, 2],
    [64, 33, 40, 64],
    [65, 5, 31, 17],
    [130, 1, 3, 9],
    [257, 31, 16, 65],
];
/// Hidden layers or blocks.
const DEPTHS: [(usize, Blocks); 7] = [
    (0, Blocks::Plain),
    (1, Blocks::Plain),
    (2, Blocks::Plain),
    (1, Blocks::Residual),
    (2, Blocks::Residual),
    (1, Blocks::LayerNorm),
    (2, Blocks::LayerNorm),
];

/// Sums of up to 257 products in `f32`; 1 − y² loses digits where a tanh saturates, and the derivative of GELU where it
/// crosses zero.
fn tolerance(activation: Activation) -> f64 {
    if matches!(activation, Activation::Tanh | Activation::Gelu) { 1e-4 } else { 2e-5 }
}

fn network(shape: MlpShape) -> impl Fn(&[Tensor<2>]) -> Tensor<2> + Sync {
    move |t| mlp(t[0].clone(), t[1].clone().squeeze_dim::<1>(0), shape)
}

fn inputs(rows: usize, shape: MlpShape, layouts: [Layout; 2], rng: &mut ChaCha8Rng) -> [Input; 3] {
    let scale = 1.0 / (shape.inputs.max(shape.width) as f32).sqrt();
    [
        Input::normal([rows, shape.inputs], 1.0, layouts[0], rng),
        Input::normal([1, shape.parameters()], scale, layouts[1], rng),
        Input::normal([rows, shape.outputs], 1.0, Layout::Ordered, rng),
    ]
}

#[test]
fn networks_agree_with_the_reference_and_finite_differences() {
    let mut rng = random::stream(1, "test/mlp", 0);
    let mut case = 0;
    for activation in ACTIVATIONS {
        for (hidden, blocks) in DEPTHS {
            for [rows, inputs, width, outputs] in SHAPES {
                case += 1;
                let shape = MlpShape { inputs, outputs, width, hidden, blocks, activation };
                let layouts = [0, 1].map(|shift| LAYOUTS[(case + shift) % LAYOUTS.len()]);
                let [x, weights, upstream] = self::inputs(rows, shape, layouts, &mut rng);
                let name = format!("{rows} rows, {shape:?} {layouts:?}");
                check(&name, &network(shape), &[x, weights], &upstream, tolerance(activation), &mut rng);
            }
        }
    }
}

#[test]
fn activations_saturate_and_keep_nan() {
    let device = Device::flex();
    let identity = |activation| {
        let shape =
            MlpShape { inputs: 1, outputs: 1, width: 1, hidden: 1, blocks: Blocks::Plain, activation };
        let x = [[-1e30f32], [-200.0], [0.0], [200.0], [1e30], [f32::NAN]];
        // Both layers are the identity.
        let weights = Tensor::<1>::from_data([1.0f32, 0.0, 1.0, 0.0], &device);
        numbers(mlp(Tensor::from_data(x, &device), weights, shape))
    };
    let expected = |activation| match activation {
        Activation::LeakyRelu(slope) => {
            [-1e30 * f64::from(slope), -200.0 * f64::from(slope), 0.0, 200.0, 1e30]
        }
        Activation::Tanh => [-1.0, -1.0, 0.0, 1.0, 1.0],
        _ => [0.0, 0.0, 0.0, 200.0, 1e30],
    };
    for activation in ACTIVATIONS {
        let found = identity(activation);
        for (found, expected) in found.iter().zip(expected(activation)) {
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error < 1e-6, "{activation:?}: {found}, exactly {expected}");
        }
        assert!(found[5].is_nan(), "{activation:?} hides NaN");
    }
}

#[test]
fn networks_do_not_depend_on_threads() {
    let mut rng = random::stream(2, "test/mlp", 0);
    for activation in ACTIVATIONS {
        let shape =
            MlpShape { inputs: 19, outputs: 7, width: 33, hidden: 2, blocks: Blocks::Residual, activation };
        let [x, weights, upstream] = inputs(1000, shape, [Layout::Ordered; 2], &mut rng);
        let inputs = [x, weights];
        assert_same_on_any_threads(&format!("{activation:?}"), || {
            evaluate(&network(shape), &inputs, &upstream, DType::F32)
        });
    }
}
