use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_distr::StandardNormal;
use simile_data::random;

use super::parameters::{self, ParameterError, Parameters};
use super::{
    Convolution, Coupling, CouplingConfig, ImageConfig, Mlp, MlpConfig, Network, Permutation,
    PermutationConfig,
};
use crate::kernels::{Activation, Blocks, ConvolutionShape, MlpShape, Spline, Transform};

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

const SLOPE: f32 = 0.1;

fn mlp_config(blocks: Blocks) -> MlpConfig {
    let activation = Activation::LeakyRelu(SLOPE);
    let shape = MlpShape { inputs: 3, outputs: 2, width: 5, hidden: 2, blocks, activation };
    MlpConfig { shape, output_gain: 1.0 }
}

fn mlp(blocks: Blocks) -> Mlp {
    let config = mlp_config(blocks);
    perturbed(config.init(&Device::flex(), &mut random::stream(1, "test/init", 0)), 0.7)
}

/// Takes the next layer off packed weights and applies it to x.
fn affine(packed: &mut &[f64], x: &[f64], outputs: usize) -> Vec<f64> {
    let (weights, rest) = packed.split_at(x.len() * outputs);
    let (biases, rest) = rest.split_at(outputs);
    *packed = rest;
    let rows = weights.chunks_exact(x.len()).zip(biases);
    rows.map(|(row, bias)| bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()).collect()
}

fn leaky(x: &[f64]) -> Vec<f64> {
    x.iter().map(|&x| if x > 0.0 { x } else { f64::from(SLOPE) * x }).collect()
}

/// The outputs of `mlp` on 7 rows, and those of `formula` with its packed weights.
fn check_formula(mlp: &Mlp, formula: impl Fn(&mut &[f64], &[f64]) -> Vec<f64>) {
    let packed: Vec<f64> = parameters::collect(mlp)["weights"].iter::<f64>().collect();
    let x = normal([7, 3], 1.0, 1);
    let expected = numbers(x.clone())
        .chunks_exact(3)
        .flat_map(|x| {
            let mut rest = packed.as_slice();
            let y = formula(&mut rest, x);
            assert!(rest.is_empty(), "{} weights are left over", rest.len());
            y
        })
        .collect::<Vec<_>>();
    assert_close(&numbers(mlp.forward(x)), &expected, 1e-6);
}

#[test]
fn plain_mlp_follows_its_formula() {
    assert_eq!(parameters::count(&mlp(Blocks::Plain)), 3 * 5 + 5 + 5 * 5 + 5 + 5 * 2 + 2);
    check_formula(&mlp(Blocks::Plain), |packed, x| {
        let h = leaky(&affine(packed, x, 5));
        let h = leaky(&affine(packed, &h, 5));
        affine(packed, &h, 2)
    });
}

#[test]
fn residual_mlp_follows_its_formula() {
    check_formula(&mlp(Blocks::Residual), |packed, x| {
        let mut h = affine(packed, x, 5);
        for _ in 0..2 {
            let inner = leaky(&affine(packed, &leaky(&h), 5));
            let step = affine(packed, &inner, 5);
            h.iter_mut().zip(step).for_each(|(h, step)| *h += step);
        }
        affine(packed, &leaky(&h), 2)
    });
}

/// A gain of 1 keeps the variance of the input; in front of a ReLU, hidden layers keep its mean square (He et al. 2015).
#[test]
fn initial_weights_keep_the_size_of_activations() {
    let x = normal([4000, 300], 1.0, 3);
    for hidden in [0, 1, 3] {
        let activation = Activation::Relu;
        let shape =
            MlpShape { inputs: 300, outputs: 200, width: 400, hidden, blocks: Blocks::Plain, activation };
        let mlp = MlpConfig { shape, output_gain: 1.0 };
        let mlp = mlp.init(&Device::flex(), &mut random::stream(1, "test/init", 0));
        let size = mlp.forward(x.clone()).square().mean().into_scalar::<f64>();
        assert!((size - 1.0).abs() < 0.15, "{hidden} hidden layers: mean square {size}");
    }
}

#[test]
fn weights_survive_the_way_out_and_in() {
    let from = mlp(Blocks::Residual);
    let to = mlp_config(Blocks::Residual).init(&Device::flex(), &mut random::stream(9, "test/init", 0));
    let weights = parameters::collect(&from);
    let x = normal([5, 3], 1.0, 1);
    assert_ne!(numbers(to.forward(x.clone())), numbers(from.forward(x.clone())));
    let to = parameters::load(to, weights).unwrap();
    assert_eq!(numbers(to.forward(x.clone())), numbers(from.forward(x)));
}

#[test]
fn weights_that_do_not_fit_are_refused_by_name() {
    let weights = parameters::collect(&mlp(Blocks::Plain));
    let change = |edit: &dyn Fn(&mut Parameters)| {
        let mut weights = weights.clone();
        edit(&mut weights);
        parameters::load(mlp(Blocks::Plain), weights).expect_err("the weights are refused")
    };
    let error = change(&|w| drop(w.remove("weights")));
    assert!(matches!(&error, ParameterError::Missing(name) if name == "weights"), "{error}");
    let error = change(&|w| drop(w.insert("bias".into(), w["weights"].clone())));
    assert!(matches!(&error, ParameterError::Unknown(name) if name == "bias"), "{error}");
    let error = change(&|w| drop(w.insert("weights".into(), TensorData::zeros::<f32, _>([61]))));
    assert_eq!(error.to_string(), "weight `weights` has shape [61], the model needs [62]");
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
            assert_close(&numbers(permutation.inverse(y).0), &numbers(x), 1e-5);
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

fn coupling(
    kind: PermutationConfig,
    transform: Transform,
    [features, condition]: [usize; 2],
    weights: f32,
) -> Coupling {
    let config = CouplingConfig {
        features,
        condition,
        permutation: kind,
        transform,
        width: 8,
        hidden: 1,
        residual: false,
    };
    perturbed(config.init(&Device::flex(), &mut random::stream(1, "test/init", 0)), weights)
}

const TRANSFORMS: [Transform; 2] = [Transform::Affine, Transform::Spline(Spline { bins: 5, bound: 3.0 })];

#[test]
fn couplings_move_one_half_and_are_undone() {
    for kind in [PermutationConfig::Swap, PermutationConfig::Random, PermutationConfig::Lu] {
        for transform in TRANSFORMS {
            for [features, condition] in [[1, 0], [1, 2], [2, 0], [5, 2]] {
                let coupling = coupling(kind, transform, [features, condition], 0.25);
                let (state, c) = (normal([70, features + 1], 1.0, 1), normal([70, condition], 1.0, 2));
                let moved = coupling.forward(state.clone(), c.clone());
                let log = |state: &Tensor<2>| numbers(state.clone().narrow(1, features, 1));
                assert_ne!(log(&moved), log(&state), "{kind:?} {transform:?}: something moves");
                let fixed = features / 2;
                if kind == PermutationConfig::Swap && fixed > 0 {
                    let before = numbers(state.clone().narrow(1, features - fixed, fixed).flip([1]));
                    let after = numbers(moved.clone().narrow(1, 0, fixed));
                    assert_eq!(after, before, "{transform:?}: one half stays");
                }
                let back = coupling.inverse(moved, c);
                assert_close(&numbers(back), &numbers(state), 5e-5);
            }
        }
    }
}

/// However large the weights, a scale stays within e^±3: the inverse remains possible.
#[test]
fn affine_scales_are_bounded() {
    let coupling = coupling(PermutationConfig::Swap, Transform::Affine, [2, 0], 100.0);
    let state = normal([500, 2], 1.0, 1);
    let state = Tensor::cat(vec![state, Tensor::zeros([500, 1], &Device::flex())], 1);
    let log_det = coupling.forward(state, Tensor::zeros([500, 0], &Device::flex())).narrow(1, 2, 1);
    let largest = numbers(log_det).iter().fold(0.0f64, |a, b| a.max(b.abs()));
    assert!((2.9..=3.0 + 1e-5).contains(&largest), "largest log-scale {largest}");
}

/// The gradient of the output with respect to x written out, against that of autodiff.
#[test]
fn the_written_out_gradient_is_that_of_autodiff() {
    let device = Device::flex().autodiff();
    for hidden in [1, 3] {
        let activation = Activation::LeakyRelu(SLOPE);
        let shape = MlpShape { inputs: 3, outputs: 1, width: 7, hidden, blocks: Blocks::Plain, activation };
        let config = MlpConfig { shape, output_gain: 1.0 };
        let mlp = perturbed(config.init(&device, &mut random::stream(1, "test/init", 0)), 0.7);
        let x = Tensor::from_data(normal([9, 3], 1.0, 4).into_data(), &device).require_grad();
        let gradients = mlp.forward(x.clone()).sum().backward();
        let expected = numbers(x.grad(&gradients).unwrap());
        assert_close(&numbers(mlp.input_gradient(x)), &expected, 1e-6);
    }
}

const IMAGE: [usize; 3] = [2, 7, 6];
const PIXELS: usize = 2 * 7 * 6;

fn image_config(inputs: usize, outputs: usize) -> ImageConfig {
    let activation = Activation::LeakyRelu(SLOPE);
    let mlp = MlpShape { inputs, outputs, width: 8, hidden: 1, blocks: Blocks::Plain, activation };
    ImageConfig { image: IMAGE, channels: vec![3, 4], mlp }
}

/// Gradient of the sum of a network's outputs with respect to x `[5, columns]`.
fn gradient(network: &Network, columns: usize, device: &Device) -> Tensor<2> {
    let x = Tensor::from_data(normal([5, columns], 1.0, 4).into_data(), device).require_grad();
    let gradients = network.forward(x.clone()).sum().backward();
    x.grad(&gradients).unwrap()
}

/// Sides that are odd, or no power of two, come back, and every input matters, with and without a rest beside the image.
#[test]
fn images_keep_their_shape_and_every_input_matters() {
    let device = Device::flex().autodiff();
    let mut rng = random::stream(1, "test/init", 0);
    for rest in [0, 3] {
        let networks = [
            (
                Network::ImageEncoder(image_config(PIXELS + rest, 5).encoder(&device, &mut rng)),
                PIXELS + rest,
                5,
            ),
            (
                Network::ImageDecoder(image_config(4 + rest, PIXELS).decoder(&device, &mut rng)),
                4 + rest,
                PIXELS,
            ),
            (Network::ImageDecoder(image_config(4, 2 * PIXELS).decoder(&device, &mut rng)), 4, 2 * PIXELS),
            (
                Network::ImageField(image_config(PIXELS + 3, PIXELS).field(&device, &mut rng)),
                PIXELS + 3,
                PIXELS,
            ),
        ];
        for (network, inputs, outputs) in networks {
            let network = perturbed(network, 0.3);
            let x = Tensor::from_data(normal([5, inputs], 1.0, 3).into_data(), &device);
            assert_eq!(network.forward(x).dims(), [5, outputs]);
            let gradient = gradient(&network, inputs, &device).abs().sum_dim(0);
            assert!(gradient.min().into_scalar::<f32>() > 0.0, "an input of {network} does nothing");
        }
    }
}

/// What goes in shifted by a stride comes out shifted by a pixel.
#[test]
fn a_shifted_image_has_shifted_features() {
    let device = Device::flex();
    let shape = ConvolutionShape {
        large: [1, 8, 8],
        small: [2, 4, 4],
        kernel: 4,
        stride: 2,
        padding: 1,
        transposed: false,
    };
    let layer = Convolution::init(shape, 1.0, &device, &mut random::stream(1, "test/init", 0));
    let image = |y: usize, x: usize| {
        let mut pixels = vec![0.0f32; 64];
        pixels[8 * y + x] = 1.0;
        Tensor::<4>::from_data(TensorData::new(pixels, [1, 1, 8, 8]), &device)
    };
    let [one, other] = [image(2, 2), image(4, 2)].map(|image| layer.forward(image));
    let expected = numbers(one.narrow(2, 0, 3));
    assert!(expected.iter().any(|&value| value != 0.0));
    assert_close(&numbers(other.narrow(2, 1, 3)), &expected, 1e-6);
}

#[test]
fn the_written_out_gradient_of_convolutions_is_that_of_autodiff() {
    let device = Device::flex().autodiff();
    for rest in [0, 2] {
        let config = image_config(PIXELS + rest, 1);
        let network = config.encoder(&device, &mut random::stream(1, "test/init", 0));
        let network = perturbed(Network::ImageEncoder(network), 0.3);
        let expected = numbers(gradient(&network, PIXELS + rest, &device));
        let x = Tensor::from_data(normal([5, PIXELS + rest], 1.0, 4).into_data(), &device);
        assert_close(&numbers(network.input_gradient(x)), &expected, 1e-5);
    }
}
