use simile_data::random;

use super::super::{Spline, Transform, transform, transform_inverse};
use super::*;

const TRANSFORMS: [Transform; 6] =
    [Transform::Affine, spline(2), spline(7), spline(10), spline(16), spline(64)];
/// Rows and features.
const SHAPES: [[usize; 2]; 4] = [[1, 1], [1, 5], [65, 1], [67, 3]];

const fn spline(bins: usize) -> Transform {
    Transform::Spline(Spline { bins, bound: 3.0 })
}

/// Parameters, values (one in eight outside the bound), and upstream gradients.
fn inputs(
    transform: Transform,
    [rows, features]: [usize; 2],
    layout: Layout,
    rng: &mut ChaCha8Rng,
) -> [Input; 3] {
    [
        Input::normal([rows, features * transform.parameters()], 1.0, layout, rng),
        Input::normal([rows, features], 2.0, layout, rng),
        Input::normal([rows, features + 1], 1.0, Layout::Ordered, rng),
    ]
}

/// Values and log-determinant side by side.
fn forward(kind: Transform) -> impl Fn(&[Tensor<2>]) -> Tensor<2> + Sync {
    move |t| {
        let (y, log_determinant) = transform(t[0].clone(), t[1].clone(), kind);
        Tensor::cat(vec![y, log_determinant], 1)
    }
}

#[test]
fn transforms_agree_with_the_reference_and_finite_differences() {
    let mut rng = random::stream(1, "test/spline", 0);
    for kind in TRANSFORMS {
        for size in SHAPES {
            for layout in LAYOUTS {
                let [parameters, x, upstream] = inputs(kind, size, layout, &mut rng);
                let name = format!("{kind:?} {size:?} {layout:?}");
                check(&name, &forward(kind), &[parameters, x], &upstream, tolerance(kind), &mut rng);
            }
        }
    }
}

/// Of gradients and log-determinants: the more bins, the narrower they are, and the fewer digits of a value's place in
/// its bin are known.
pub(super) fn tolerance(kind: Transform) -> f64 {
    match kind {
        Transform::Affine => 2e-6,
        Transform::Spline(Spline { bins, .. }) => 3e-5 * bins as f64,
    }
}

#[test]
fn inverse_agrees_with_the_reference() {
    let mut rng = random::stream(2, "test/spline", 0);
    for kind in TRANSFORMS {
        for size in SHAPES {
            for layout in LAYOUTS {
                let [parameters, y, _] = inputs(kind, size, layout, &mut rng);
                let invert = |dtype| transform_inverse(parameters.tensor(dtype), y.tensor(dtype), kind);
                let (fused, exact) = (invert(DType::F32), invert(DType::F64));
                let name = format!("{kind:?} {size:?} {layout:?}");
                assert_close(&name, &numbers(fused.0), &numbers(exact.0), 3e-5);
                assert_close(&name, &numbers(fused.1), &numbers(exact.1), tolerance(kind));
            }
        }
    }
}

#[test]
fn transforms_do_not_depend_on_threads() {
    let mut rng = random::stream(3, "test/spline", 0);
    for kind in TRANSFORMS {
        let [parameters, x, upstream] = inputs(kind, [300, 3], Layout::Ordered, &mut rng);
        let inputs = [parameters, x];
        assert_same_on_any_threads(&format!("{kind:?}"), || {
            let inverse = transform_inverse(inputs[0].tensor(DType::F32), inputs[1].tensor(DType::F32), kind);
            (evaluate(&forward(kind), &inputs, &upstream, DType::F32), numbers(inverse.0), numbers(inverse.1))
        });
    }
}

#[test]
#[should_panic(expected = "the inverse transform has no gradient")]
fn inverse_on_the_autodiff_graph_is_refused_by_the_backend() {
    use super::super::Kernels;
    use burn::backend::Dispatch;
    let device = Device::flex().autodiff();
    let parameters = Tensor::<2>::zeros([1, 5], &device).require_grad();
    let y = Tensor::<2>::zeros([1, 1], &device);
    Dispatch::transform(parameters.into_dispatch(), y.into_dispatch(), spline(2), true);
}
