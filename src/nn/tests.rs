use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_distr::StandardNormal;
use simile_data::random;

use super::parameters::{self, ParameterError, Parameters};
use super::{
    Coupling, CouplingConfig, LinearConfig, Mlp, MlpConfig, Permutation, PermutationConfig, Transform,
};
use crate::kernels::{Activation, Spline};

fn normal(shape: [usize; 2], scale: f32, stage: u64) -> Tensor<2> {
    let mut rng = random::stream(1, "test/nn", stage);
    let values: Vec<f32> =
        (0..shape[0] * shape[1]).map(|_| scale * rng.sample::<f32, _>(StandardNormal)).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

#[track_caller]
fn assert_close(found: &[f64], exact: &[f64], tolerance: f64) {
    assert_eq!(found.len(), exact.len());
    for (i, (found, exact)) in found.iter().zip(exact).enumerate() {
        assert!(
            (found - exact).abs() <= tolerance * (1.0 + exact.abs()),
            "value {i}: {found}, exactly {exact}"
        );
    }
}

/// The module with all its weights, biases too, drawn anew.
fn perturbed<M: Module>(module: M, scale: f32) -> M {
    let mut rng = random::stream(2, "test/nn", 0);
    let mut weights = parameters::collect(&module);
    for data in weights.values_mut().filter(|data| data.dtype().is_float()) {
        let values: Vec<f32> =
            (0..data.num_elements()).map(|_| scale * rng.sample::<f32, _>(StandardNormal)).collect();
        *data = TensorData::new(values, data.shape().to_vec());
    }
    parameters::load(module, weights).unwrap()
}

const SHAPE: MlpConfig = MlpConfig {
    inputs: 3,
    outputs: 2,
    width: 5,
    hidden: 2,
    residual: false,
    negative_slope: 0.1,
    output_gain: 1.0,
};

fn mlp(residual: bool) -> Mlp {
    let config = MlpConfig { residual, ..SHAPE };
    perturbed(config.init(&Device::flex(), &mut random::stream(1, "test/init", 0)), 0.7)
}

/// Row vector times the named weight plus its bias.
fn affine(weights: &Parameters, name: &str, x: &[f64]) -> Vec<f64> {
    let weight: Vec<f64> = weights[&format!("{name}.weight")].iter::<f64>().collect();
    let bias: Vec<f64> = weights[&format!("{name}.bias")].iter::<f64>().collect();
    let n = bias.len();
    (0..n).map(|j| bias[j] + x.iter().enumerate().map(|(i, x)| x * weight[i * n + j]).sum::<f64>()).collect()
}

fn leaky(x: &[f64]) -> Vec<f64> {
    x.iter().map(|&x| if x > 0.0 { x } else { f64::from(SHAPE.negative_slope) * x }).collect()
}

#[test]
fn plain_mlp_follows_its_formula() {
    let mlp = mlp(false);
    let weights = parameters::collect(&mlp);
    assert_eq!(parameters::count(&mlp), 3 * 5 + 5 + 5 * 5 + 5 + 5 * 2 + 2);
    let x = normal([7, 3], 1.0, 1);
    let expected: Vec<f64> = numbers(x.clone())
        .chunks_exact(3)
        .flat_map(|x| {
            let h = leaky(&affine(&weights, "input", x));
            let h = leaky(&affine(&weights, "hidden.0", &h));
            affine(&weights, "output", &h)
        })
        .collect();
    assert_close(&numbers(mlp.forward(x)), &expected, 1e-6);
}

#[test]
fn residual_mlp_follows_its_formula() {
    let mlp = mlp(true);
    let weights = parameters::collect(&mlp);
    let x = normal([7, 3], 1.0, 1);
    let expected: Vec<f64> = numbers(x.clone())
        .chunks_exact(3)
        .flat_map(|x| {
            let mut h = affine(&weights, "input", x);
            for block in 0..2 {
                let inner = leaky(&affine(&weights, &format!("hidden.{}", 2 * block), &leaky(&h)));
                let step = affine(&weights, &format!("hidden.{}", 2 * block + 1), &inner);
                h.iter_mut().zip(step).for_each(|(h, step)| *h += step);
            }
            affine(&weights, "output", &leaky(&h))
        })
        .collect();
    assert_close(&numbers(mlp.forward(x)), &expected, 1e-6);
}

/// A gain of 1 keeps the variance of the input, √2 with a ReLU its mean square (He et al. 2015).
#[test]
fn initial_weights_keep_the_size_of_activations() {
    let x = normal([4000, 300], 1.0, 3);
    for (gain, activation) in [(1.0, Activation::Identity), (2.0f32.sqrt(), Activation::Relu)] {
        let layer = LinearConfig { inputs: 300, outputs: 100, gain };
        let layer = layer.init(&Device::flex(), &mut random::stream(1, "test/init", 0));
        let size = layer.forward(x.clone(), activation).square().mean().into_scalar::<f64>();
        assert!((size - 1.0).abs() < 0.05, "{activation:?}: mean square {size}");
    }
}

#[test]
fn weights_survive_the_way_out_and_in() {
    let (from, to) = (mlp(true), MlpConfig { residual: true, ..SHAPE });
    let to = to.init(&Device::flex(), &mut random::stream(9, "test/init", 0));
    let weights = parameters::collect(&from);
    let x = normal([5, 3], 1.0, 1);
    assert_ne!(numbers(to.forward(x.clone())), numbers(from.forward(x.clone())));
    let to = parameters::load(to, weights).unwrap();
    assert_eq!(numbers(to.forward(x.clone())), numbers(from.forward(x)));
}

#[test]
fn weights_that_do_not_fit_are_refused_by_name() {
    let weights = parameters::collect(&mlp(false));
    let change = |edit: &dyn Fn(&mut Parameters)| {
        let mut weights = weights.clone();
        edit(&mut weights);
        parameters::load(mlp(false), weights).expect_err("the weights are refused")
    };
    let error = change(&|w| drop(w.remove("hidden.0.bias")));
    assert!(matches!(&error, ParameterError::Missing(name) if name == "hidden.0.bias"), "{error}");
    let error = change(&|w| drop(w.insert("hidden.1.bias".into(), w["hidden.0.bias"].clone())));
    assert!(matches!(&error, ParameterError::Unknown(name) if name == "hidden.1.bias"), "{error}");
    let error = change(&|w| drop(w.insert("input.weight".into(), w["output.weight"].clone())));
    assert_eq!(error.to_string(), "weight `input.weight` has shape [5, 2], the model needs [3, 5]");
}

fn permutation(kind: PermutationConfig, features: usize) -> Permutation {
    perturbed(kind.init(features, &Device::flex(), &mut random::stream(1, "test/init", 0)), 0.4)
}

#[test]
fn permutations_are_undone() {
    for kind in [PermutationConfig::Swap, PermutationConfig::Random, PermutationConfig::Lu] {
        for features in [1, 2, 7] {
            let permutation = permutation(kind, features);
            let x = normal([70, features], 1.0, 1);
            let (y, _) = permutation.forward(x.clone());
            assert!(features == 1 || numbers(y.clone()) != numbers(x.clone()), "{kind:?} moves something");
            assert_close(&numbers(permutation.inverse(y)), &numbers(x), 1e-5);
        }
    }
}

/// A coupling keeps the first half of its features: with few of them, chance alone would leave some untransformed.
#[test]
fn random_orders_bring_other_features_to_the_first_half() {
    let mut rng = random::stream(3, "test/init", 0);
    for kind in [PermutationConfig::Random, PermutationConfig::Lu] {
        for features in [2, 3, 4, 5] {
            for _ in 0..50 {
                let permutation = kind.init(features, &Device::flex(), &mut rng);
                let positions = (1..=features).map(|i| i as f32).collect::<Vec<_>>();
                let x = Tensor::from_data(TensorData::new(positions, [1, features]), &Device::flex());
                let kept = features / 2;
                let first_half = numbers(permutation.forward(x).0.narrow(1, 0, kept));
                assert!(first_half.iter().any(|&v| v > kept as f64), "{kind:?}: {first_half:?} stay");
            }
        }
    }
}

#[test]
fn swap_reverses_the_order() {
    let x = Tensor::<2>::from_data([[1.0f32, 2.0, 3.0]], &Device::flex());
    let (y, log_det) = permutation(PermutationConfig::Swap, 3).forward(x);
    assert_eq!(numbers(y), [3.0, 2.0, 1.0]);
    assert!(log_det.is_none());
}

/// The matrix of a permutation: its effect on unit vectors. |det| of 2 × 2 by hand.
#[test]
fn learned_matrix_has_the_log_determinant_it_says() {
    let permutation = permutation(PermutationConfig::Lu, 2);
    let (matrix, log_det) = permutation.forward(Tensor::eye(2, &Device::flex()));
    let m = numbers(matrix);
    let determinant = (m[0] * m[3] - m[1] * m[2]).abs();
    assert!((determinant - 1.0).abs() > 0.05, "{determinant} is too close to 1 to test anything");
    assert_close(&numbers(log_det.unwrap()), &[determinant.ln()], 1e-5);
}

#[test]
fn a_learned_matrix_starts_as_a_permutation() {
    let permutation = PermutationConfig::Lu.init(5, &Device::flex(), &mut random::stream(1, "test/init", 0));
    let (matrix, log_det) = permutation.forward(Tensor::eye(5, &Device::flex()));
    let ones = numbers(matrix).into_iter().filter(|&v| v == 1.0).count();
    assert_eq!((ones, numbers(log_det.unwrap())), (5, vec![0.0]));
}

fn coupling(transform: Transform, features: usize, condition: usize, weights: f32) -> Coupling {
    let config = CouplingConfig { features, condition, transform, width: 8, hidden: 1, residual: false };
    perturbed(config.init(&Device::flex(), &mut random::stream(1, "test/init", 0)), weights)
}

const TRANSFORMS: [Transform; 2] = [Transform::Affine, Transform::Spline(Spline { bins: 5, bound: 3.0 })];

#[test]
fn couplings_keep_the_first_half_and_are_undone() {
    for transform in TRANSFORMS {
        for (features, condition) in [(1, 0), (1, 2), (2, 0), (5, 2)] {
            let coupling = coupling(transform, features, condition, 0.25);
            let (x, c) = (normal([70, features], 1.0, 1), normal([70, condition], 1.0, 2));
            let (y, log_det) = coupling.forward(x.clone(), &c);
            assert_eq!(log_det.dims(), [70, 1]);
            let kept = features / 2;
            if kept > 0 {
                let half = |t: &Tensor<2>| numbers(t.clone().narrow(1, 0, kept));
                assert_eq!(half(&y), half(&x), "{transform:?}");
            }
            assert_ne!(numbers(y.clone()), numbers(x.clone()), "{transform:?} moves the other half");
            assert_close(&numbers(coupling.inverse(y, &c)), &numbers(x), 2e-5);
        }
    }
}

/// However large the weights, a scale stays within e^±3: the inverse remains possible.
#[test]
fn affine_scales_are_bounded() {
    let coupling = coupling(Transform::Affine, 2, 0, 100.0);
    let (_, log_det) = coupling.forward(normal([500, 2], 1.0, 1), &Tensor::zeros([500, 0], &Device::flex()));
    let log_det = numbers(log_det);
    let largest = log_det.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    assert!((2.9..=3.0 + 1e-5).contains(&largest), "largest log-scale {largest}");
}
