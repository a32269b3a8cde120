use simile_data::random;

use super::super::{
    Activation, Blocks, Columns, CouplingShape, MlpShape, Spline, Transform, coupling, coupling_inverse,
};
use super::*;

const TRANSFORMS: [Transform; 3] = [
    Transform::Affine,
    Transform::Spline(Spline { bins: 5, bound: 3.0 }),
    // More parameters than fit into one group of outputs.
    Transform::Spline(Spline { bins: 64, bound: 4.0 }),
];

/// Rows, features and condition.
const SHAPES: [[usize; 3]; 8] =
    [[1, 1, 0], [3, 1, 2], [1, 2, 0], [65, 2, 3], [64, 5, 0], [67, 7, 2], [130, 3, 1], [300, 13, 4]];

fn shape([_, features, condition]: [usize; 3], transform: Transform, residual: bool) -> CouplingShape {
    let kept = features / 2;
    // Neighbours in order end up apart.
    let step = if features % 3 == 0 { 2 } else { 3 };
    let columns = Columns::new((0..features).map(|i| ((i * step + 1) % features) as u32).collect());
    let mlp = MlpShape {
        inputs: kept + condition,
        outputs: (features - kept) * transform.parameters(),
        width: 11,
        hidden: 2,
        blocks: if residual { Blocks::Residual } else { Blocks::Plain },
        activation: Activation::Relu,
    };
    CouplingShape { columns, transform, mlp }
}

/// State, condition, weights and upstream gradients.
fn inputs(size: [usize; 3], shape: &CouplingShape, layouts: [Layout; 3], rng: &mut ChaCha8Rng) -> [Input; 4] {
    let [rows, features, condition] = size;
    [
        Input::normal([rows, features + 1], 1.0, layouts[0], rng),
        Input::normal([rows, condition], 1.0, layouts[1], rng),
        Input::normal([1, shape.mlp.parameters()], 0.2, layouts[2], rng),
        Input::normal([rows, features + 1], 1.0, Layout::Ordered, rng),
    ]
}

/// A condition without columns has no gradient: it is left out of the inputs.
fn layer(shape: CouplingShape) -> impl Fn(&[Tensor<2>]) -> Tensor<2> + Sync {
    move |t| {
        let weights = t.last().unwrap().clone().squeeze_dim::<1>(0);
        let state = t[0].clone();
        let condition = match t.len() {
            3 => t[1].clone(),
            _ => Tensor::zeros([state.dims()[0], 0], (&state.device(), state.dtype())),
        };
        coupling(state, condition, weights, shape.clone())
    }
}

#[test]
fn layers_agree_with_the_reference_and_finite_differences() {
    let mut rng = random::stream(1, "test/coupling", 0);
    let mut case = 0;
    for transform in TRANSFORMS {
        for residual in [false, true] {
            for size in SHAPES {
                case += 1;
                let shape = shape(size, transform, residual);
                let layouts = [0, 1, 2].map(|shift| LAYOUTS[(case + shift) % LAYOUTS.len()]);
                let [state, condition, weights, upstream] = inputs(size, &shape, layouts, &mut rng);
                let inputs = match size[2] {
                    0 => vec![state, weights],
                    _ => vec![state, condition, weights],
                };
                let name = format!("{size:?}, residual {residual}, {transform:?} {layouts:?}");
                let tolerance = 4.0 * super::transform::tolerance(transform).max(2e-5);
                check(&name, &layer(shape), &inputs, &upstream, tolerance, &mut rng);
            }
        }
    }
}

#[test]
fn inverse_agrees_with_the_reference_and_undoes_the_layer() {
    let mut rng = random::stream(2, "test/coupling", 0);
    for transform in TRANSFORMS {
        for size in SHAPES {
            let shape = shape(size, transform, false);
            let [state, condition, weights, _] = inputs(size, &shape, [Layout::Ordered; 3], &mut rng);
            let run = |f: fn(Tensor<2>, Tensor<2>, Tensor<1>, CouplingShape) -> Tensor<2>, state, dtype| {
                f(state, condition.tensor(dtype), weights.tensor(dtype).squeeze_dim::<1>(0), shape.clone())
            };
            let [fused, exact] = [DType::F32, DType::F64]
                .map(|dtype| numbers(run(coupling_inverse, state.tensor(dtype), dtype)));
            let name = format!("{size:?} {transform:?}");
            assert_close(&name, &fused, &exact, 1e-3);
            let there = run(coupling, state.tensor(DType::F32), DType::F32);
            let back = numbers(run(coupling_inverse, there, DType::F32));
            assert_close(&name, &back, &numbers(state.tensor(DType::F32)), 2e-4);
        }
    }
}

#[test]
fn layers_do_not_depend_on_threads() {
    let mut rng = random::stream(3, "test/coupling", 0);
    for transform in TRANSFORMS {
        let size = [1000, 9, 2];
        let shape = shape(size, transform, false);
        let [state, condition, weights, upstream] = inputs(size, &shape, [Layout::Ordered; 3], &mut rng);
        let inputs = [state, condition, weights];
        assert_same_on_any_threads(&format!("{transform:?}"), || {
            evaluate(&layer(shape.clone()), &inputs, &upstream, DType::F32)
        });
    }
}

#[test]
#[should_panic(expected = "the inverse coupling has no gradient")]
fn inverse_on_the_autodiff_graph_is_refused_by_the_backend() {
    use super::super::Kernels;
    use burn::backend::Dispatch;
    let device = Device::flex().autodiff();
    let size = [1, 2, 0];
    let shape = shape(size, Transform::Affine, false);
    let weights = Tensor::<1>::zeros([shape.mlp.parameters()], &device).require_grad();
    let zeros = |columns| Tensor::<2>::zeros([1, columns], &device).into_dispatch();
    Dispatch::coupling(zeros(3), zeros(0), weights.into_dispatch(), shape, true);
}
