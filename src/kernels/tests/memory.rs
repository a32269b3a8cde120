//! The kernels that move, add or update numbers: permutation, sums and AdamW.

use rand::seq::SliceRandom;
use simile_data::random;

use super::super::{AdamWStep, Columns, adamw, log_sum_exp, permute_columns};
use super::*;

#[test]
fn permutation_moves_columns_and_gradients_exactly() {
    let mut rng = random::stream(1, "test/permute", 0);
    for (width, rows) in [(1, 1), (2, 65), (7, 1), (33, 130)] {
        let mut order: Vec<u32> = (0..width as u32).collect();
        order.shuffle(&mut rng);
        let columns = Columns::new(order);
        let f = |t: &[Tensor<2>]| permute_columns(t[0].clone(), &columns);
        for layout in LAYOUTS {
            let x = Input::normal([rows, width], 1.0, layout, &mut rng);
            let upstream = Input::normal([rows, width], 1.0, Layout::Ordered, &mut rng);
            let inputs = [x];
            let [fused, exact] =
                [DType::F32, DType::F64].map(|dtype| evaluate(&f, &inputs, &upstream, dtype));
            assert_eq!(fused, exact, "{width} columns, {rows} rows, {layout:?}");
            let back = permute_columns(f(&[inputs[0].tensor(DType::F32)]), &columns.inverse());
            assert_eq!(
                numbers(back),
                numbers(inputs[0].tensor(DType::F32)),
                "the inverse undoes {columns:?}"
            );
        }
    }
}

#[test]
#[should_panic(expected = "column 1 occurs twice")]
fn a_permutation_names_every_column_once() {
    Columns::new(vec![0, 1, 1]);
}

#[test]
fn log_sum_exp_agrees_with_the_reference_and_finite_differences() {
    let mut rng = random::stream(1, "test/sum", 0);
    for shape in [[1, 1], [3, 7], [1, 16], [65, 17], [9000, 3]] {
        for layout in LAYOUTS {
            let x = Input::normal(shape, 3.0, layout, &mut rng);
            let upstream = Input::normal([shape[0], 1], 1.0, Layout::Ordered, &mut rng);
            let f = |t: &[Tensor<2>]| log_sum_exp(t[0].clone());
            check(&format!("{shape:?} {layout:?}"), &f, &[x], &upstream, 1e-5, &mut rng);
        }
    }
}

#[test]
fn log_sum_exp_takes_any_size() {
    let device = Device::flex();
    let low = f32::NEG_INFINITY;
    let x = [[1e30f32, -1e30], [-200.0, -200.0], [low, low], [low, 3.0], [f32::NAN, 0.0]];
    let y = numbers(log_sum_exp(Tensor::from_data(x, &device)));
    assert_close("finite", &[y[0], y[1], y[3]], &[1e30, -200.0 + 2f64.ln(), 3.0], 1e-6);
    assert!(y[2] == f64::NEG_INFINITY && y[4].is_nan(), "{y:?}");
}

fn step(t: i32) -> AdamWStep {
    let (beta_1, beta_2) = (0.9f32, 0.999f32);
    AdamWStep {
        learning_rate: 1e-2,
        beta_1,
        beta_2,
        epsilon: 1e-8,
        weight_decay: 0.1,
        correction_1: 1.0 - beta_1.powi(t),
        correction_2: 1.0 - beta_2.powi(t),
        gradient_scale: 0.7,
        average_decay: 0.95,
    }
}

/// θ, θ̄ and gradients of three steps, m and v starting at zero.
fn descend(inputs: &[Input], dtype: DType) -> [Vec<f64>; 4] {
    let tensor = |i: usize| inputs[i].tensor(dtype);
    let zeros = || Tensor::zeros_like(&tensor(0));
    let mut state = [tensor(0), zeros(), zeros(), tensor(1)];
    for t in 1..=3 {
        state = adamw(state, tensor(1 + t as usize), step(t));
    }
    state.map(numbers)
}

fn parameters(shape: [usize; 2], layout: Layout, rng: &mut ChaCha8Rng) -> Vec<Input> {
    (0..5).map(|_| Input::normal(shape, 1.0, layout, rng)).collect()
}

#[test]
fn adamw_agrees_with_the_reference() {
    let mut rng = random::stream(1, "test/adamw", 0);
    // The last shape is more than one task works on.
    for shape in [[1, 1], [1, 17], [5, 13], [65, 257]] {
        for layout in LAYOUTS {
            let inputs = parameters(shape, layout, &mut rng);
            let [fused, exact] = [DType::F32, DType::F64].map(|dtype| descend(&inputs, dtype));
            for (name, (fused, exact)) in ["θ", "m", "v", "average"].iter().zip(fused.iter().zip(&exact)) {
                assert_close(&format!("{name} {shape:?} {layout:?}"), fused, exact, 1e-6);
            }
        }
    }
}

#[test]
fn adamw_does_not_depend_on_threads() {
    let inputs = parameters([257, 257], Layout::Ordered, &mut random::stream(2, "test/adamw", 0));
    assert_same_on_any_threads("AdamW", || descend(&inputs, DType::F32));
}

/// The update is in place: tensors that share the memory must keep their values.
#[test]
fn adamw_leaves_other_holders_of_a_tensor_alone() {
    let mut rng = random::stream(3, "test/adamw", 0);
    let state =
        [(); 4].map(|()| Input::normal([9, 11], 1.0, Layout::Ordered, &mut rng).tensor(DType::F32).abs());
    let held = state.clone();
    let before = held.clone().map(numbers);
    let grad = Input::normal([9, 11], 1.0, Layout::Ordered, &mut rng).tensor(DType::F32);
    let after = adamw(state, grad, step(1)).map(numbers);
    assert_eq!(held.map(numbers), before);
    assert!(after.iter().zip(&before).all(|(after, before)| after != before), "a step changes every tensor");
}
