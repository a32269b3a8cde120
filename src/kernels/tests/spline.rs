use simile_data::random;

use super::super::{Spline, spline, spline_inverse};
use super::*;

/// Every padded size, full and partly used.
const BINS: [usize; 7] = [2, 7, 8, 10, 16, 33, 64];
/// Rows and features.
const SHAPES: [[usize; 2]; 4] = [[1, 1], [1, 5], [65, 1], [67, 3]];
const BOUND: f32 = 3.0;

/// Parameters, values (one in eight outside the bound), and upstream gradients.
fn inputs(bins: usize, [rows, features]: [usize; 2], layout: Layout, rng: &mut ChaCha8Rng) -> [Input; 3] {
    [
        Input::normal([rows, features * (3 * bins - 1)], 1.0, layout, rng),
        Input::normal([rows, features], 2.0, layout, rng),
        Input::normal([rows, features + 1], 1.0, Layout::Ordered, rng),
    ]
}

/// Values and log-determinant side by side.
fn forward(shape: Spline) -> impl Fn(&[Tensor<2>]) -> Tensor<2> + Sync {
    move |t| {
        let (y, log_determinant) = spline(t[0].clone(), t[1].clone(), shape);
        Tensor::cat(vec![y, log_determinant], 1)
    }
}

#[test]
fn spline_agrees_with_the_reference_and_finite_differences() {
    let mut rng = random::stream(1, "test/spline", 0);
    for bins in BINS {
        let shape = Spline { bins, bound: BOUND };
        for size in SHAPES {
            for layout in LAYOUTS {
                let [parameters, x, upstream] = inputs(bins, size, layout, &mut rng);
                let name = format!("{bins} bins {size:?} {layout:?}");
                check(&name, &forward(shape), &[parameters, x], &upstream, TOLERANCE, &mut rng);
            }
        }
    }
}

/// Of gradients and log-determinants: the place of a value in a narrow bin is known to that many digits.
const TOLERANCE: f64 = 1e-3;

#[test]
fn inverse_agrees_with_the_reference() {
    let mut rng = random::stream(2, "test/spline", 0);
    for bins in BINS {
        let shape = Spline { bins, bound: BOUND };
        for size in SHAPES {
            for layout in LAYOUTS {
                let [parameters, y, _] = inputs(bins, size, layout, &mut rng);
                let invert = |dtype| spline_inverse(parameters.tensor(dtype), y.tensor(dtype), shape);
                let (fused, exact) = (invert(DType::F32), invert(DType::F64));
                let name = format!("{bins} bins {size:?} {layout:?}");
                assert_close(&name, &numbers(fused.0), &numbers(exact.0), 3e-5);
                assert_close(&name, &numbers(fused.1), &numbers(exact.1), TOLERANCE);
            }
        }
    }
}

#[test]
fn spline_does_not_depend_on_threads() {
    let mut rng = random::stream(3, "test/spline", 0);
    for bins in BINS {
        let shape = Spline { bins, bound: BOUND };
        let [parameters, x, upstream] = inputs(bins, [300, 3], Layout::Ordered, &mut rng);
        let inputs = [parameters, x];
        assert_same_on_any_threads(&format!("{bins} bins"), || {
            let inverse = spline_inverse(inputs[0].tensor(DType::F32), inputs[1].tensor(DType::F32), shape);
            (
                evaluate(&forward(shape), &inputs, &upstream, DType::F32),
                numbers(inverse.0),
                numbers(inverse.1),
            )
        });
    }
}

#[test]
#[should_panic(expected = "the inverse spline has no gradient")]
fn inverse_on_the_autodiff_graph_is_refused_by_the_backend() {
    use super::super::Kernels;
    use burn::backend::Dispatch;
    let device = Device::flex().autodiff();
    let parameters = Tensor::<2>::zeros([1, 5], &device).require_grad();
    let y = Tensor::<2>::zeros([1, 1], &device);
    Dispatch::spline(parameters.into_dispatch(), y.into_dispatch(), Spline { bins: 2, bound: 1.0 }, true);
}
