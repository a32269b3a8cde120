//! Every kind of flow with random weights: inverse, log-determinant against autodiff, normalisation, and the condition.

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use simile_data::random;

use super::{Flow, FlowConfig, TransformKind};
use crate::models::{Grouped, Space, Surrogate};
use crate::nn::{PermutationConfig, parameters};

/// A flow and what it was made from.
struct Case {
    name: String,
    space: Space,
    flow: Grouped<Flow>,
}

/// Standard deviation of a weight: away from the identity a flow starts as, but no direction is squeezed so much that
/// `f32` cannot bring it back.
const SCALE: f32 = 0.1;

impl Case {
    fn new(config: FlowConfig, sizes: &[usize], conditions: usize, device: &Device) -> Self {
        let mut start = 0;
        let groups = sizes.iter().map(|size| {
            start += size;
            start - size..start
        });
        let space = Space { conditions, target_groups: groups.collect(), target_categories: Vec::new() };
        let name = format!(
            "{:?}, {:?}, residual {}, groups {sizes:?}, {conditions} conditions",
            config.transform, config.permutation, config.residual
        );
        let mut rng = random::stream(1, "test/flow", 0);
        let flow = Grouped::init(&space, |_, group| config.init(group, device, &mut rng));
        let flow = perturbed(flow, &mut rng);
        Self { name, space, flow }
    }

    fn latent(&self, target: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.flow.latent(target, condition).unwrap()
    }

    fn log_prob(&self, target: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.flow.log_prob(target, condition, 1, &mut random::stream(0, "test/unused", 0)).unwrap().value
    }

    /// Targets and conditions, some targets beyond the splines' bound.
    fn events(&self, rows: usize, device: &Device) -> [Tensor<2>; 2] {
        let mut rng = random::stream(2, "test/flow", 0);
        [
            normal([rows, self.space.targets()], 1.5, device, &mut rng),
            normal([rows, self.space.conditions], 1.0, device, &mut rng),
        ]
    }
}

/// All weights drawn anew.
fn perturbed(flow: Grouped<Flow>, rng: &mut ChaCha8Rng) -> Grouped<Flow> {
    let mut weights = parameters::collect(&flow);
    for (name, data) in weights.iter_mut().filter(|(_, data)| data.dtype().is_float()) {
        let shape = data.shape().to_vec();
        let scale = if name.ends_with("matrix.entries") { 0.15 } else { SCALE };
        let values: Vec<f32> =
            (0..data.num_elements()).map(|_| scale * rng.sample::<f32, _>(StandardNormal)).collect();
        *data = TensorData::new(values, shape);
    }
    parameters::load(flow, weights).unwrap()
}

fn normal(shape: [usize; 2], scale: f32, device: &Device, rng: &mut ChaCha8Rng) -> Tensor<2> {
    let values: Vec<f32> =
        (0..shape[0] * shape[1]).map(|_| scale * rng.sample::<f32, _>(StandardNormal)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn config(transform: TransformKind, permutation: PermutationConfig, residual: bool) -> FlowConfig {
    FlowConfig {
        transform,
        permutation,
        residual,
        couplings: 3,
        width: 16,
        hidden: 2,
        bins: 6,
        tail_bound: 4.0,
    }
}

fn for_every_case(device: &Device, mut check: impl FnMut(&Case)) {
    for transform in [TransformKind::Spline, TransformKind::Affine] {
        for permutation in [PermutationConfig::Swap, PermutationConfig::Random, PermutationConfig::Lu] {
            for residual in [false, true] {
                for sizes in [&[1][..], &[2], &[5], &[1, 1], &[2, 3]] {
                    for conditions in [0, 3] {
                        let config = config(transform, permutation, residual);
                        check(&Case::new(config, sizes, conditions, device));
                    }
                }
            }
        }
    }
}

#[test]
fn generate_undoes_latent() {
    let device = Device::flex();
    for_every_case(&device, |case| {
        let [target, condition] = case.events(130, &device);
        let latent = case.latent(target.clone(), condition.clone());
        let back = numbers(case.flow.generate(latent.clone(), condition));
        let moved = (latent - target.clone()).abs().mean().into_scalar::<f64>();
        assert!(moved > 0.02, "{}: too close to the identity to test anything", case.name);
        for (back, target) in back.iter().zip(numbers(target)) {
            let error = (back - target).abs() / (1.0 + target.abs());
            assert!(error < 1e-5, "{}: {target} comes back as {back}", case.name);
        }
    });
}

/// log|det| of a square matrix by Gaussian elimination with pivots.
fn log_determinant(mut a: Vec<Vec<f64>>) -> f64 {
    let n = a.len();
    let mut sum = 0.0;
    for i in 0..n {
        let pivot = (i..n).max_by(|&p, &q| a[p][i].abs().total_cmp(&a[q][i].abs())).unwrap();
        a.swap(i, pivot);
        let (above, below) = a.split_at_mut(i + 1);
        let row = &above[i];
        sum += row[i].abs().ln();
        for other in below {
            let factor = other[i] / row[i];
            other.iter_mut().zip(row).for_each(|(o, r)| *o -= factor * r);
        }
    }
    sum
}

/// The Jacobians ∂z/∂y of every row. Rows do not know each other, so one backward pass gives a line of all of them.
fn jacobians(case: &Case, target: &Tensor<2>, condition: &Tensor<2>) -> Vec<Vec<Vec<f64>>> {
    let [rows, features] = target.dims();
    let mut jacobians = vec![Vec::new(); rows];
    for j in 0..features {
        let y = target.clone().detach().require_grad();
        let gradients = case.latent(y.clone(), condition.clone()).narrow(1, j, 1).sum().backward();
        let lines = y.grad(&gradients).map(numbers).unwrap();
        for (jacobian, line) in jacobians.iter_mut().zip(lines.chunks_exact(features)) {
            jacobian.push(line.to_vec());
        }
    }
    jacobians
}

#[test]
fn log_prob_has_the_log_determinant_of_the_jacobian() {
    let device = Device::flex().autodiff();
    for_every_case(&device, |case| {
        let [target, condition] = case.events(16, &device);
        let features = target.dims()[1];
        let latent = numbers(case.latent(target.clone(), condition.clone()));
        let log_prob = numbers(case.log_prob(target.clone(), condition.clone()));
        let jacobians = jacobians(case, &target, &condition);
        for ((z, found), jacobian) in latent.chunks_exact(features).zip(log_prob).zip(jacobians) {
            let base: f64 = z.iter().map(|z| -0.5 * (z * z + (2.0 * std::f64::consts::PI).ln())).sum();
            let log_determinant = log_determinant(jacobian);
            let error = (found - base - log_determinant).abs() / (1.0 + base.abs() + log_determinant.abs());
            assert!(error < 1e-5, "{}: log_prob {found}, by autodiff {base} + {log_determinant}", case.name);
        }
    });
}

#[test]
fn every_row_has_its_own_condition() {
    let device = Device::flex();
    for_every_case(&device, |case| {
        if case.space.conditions == 0 {
            return;
        }
        let [target, condition] = case.events(70, &device);
        let together = numbers(case.log_prob(target.clone(), condition.clone()));
        let row = |t: &Tensor<2>, i| t.clone().narrow(0, i, 1);
        for i in [0, 1, 63, 64, 69] {
            let alone = numbers(case.log_prob(row(&target, i), row(&condition, i)))[0];
            let error = (alone - together[i]).abs() / (1.0 + alone.abs());
            assert!(error < 1e-5, "{}: row {i} alone {alone}, in the batch {}", case.name, together[i]);
        }
        let shifted = numbers(case.log_prob(target, condition.flip([0])));
        let changed = together.iter().zip(&shifted).filter(|(a, b)| (*a - *b).abs() > 1e-3).count();
        assert!(changed > 60, "{}: conditions of other rows change {changed} of 70 densities", case.name);
    });
}

/// Midpoints of equal cells of [−half, half] and the size of a cell.
fn grid(cells: usize, half: f32) -> (Vec<f32>, f64) {
    let size = 2.0 * half / cells as f32;
    ((0..cells).map(|i| (i as f32 + 0.5) * size - half).collect(), f64::from(size))
}

/// ∫ p(y|c) dy by the midpoint rule.
fn integral(case: &Case, points: Vec<f32>, volume: f64, device: &Device) -> f64 {
    let features = case.space.targets();
    let rows = points.len() / features;
    let target = Tensor::from_data(TensorData::new(points, [rows, features]), device);
    let one = normal([1, case.space.conditions], 1.0, device, &mut random::stream(3, "test/flow", 0));
    let condition = one.repeat_dim(0, rows);
    numbers(case.log_prob(target, condition)).iter().map(|log| log.exp()).sum::<f64>() * volume
}

#[test]
fn densities_are_normalised() {
    let device = Device::flex();
    for_every_case(&device, |case| {
        let (points, volume) = match case.space.targets() {
            1 => grid(4_000, 20.0),
            2 => {
                let (line, size) = grid(500, 10.0);
                let pairs = line.iter().flat_map(|&a| line.iter().flat_map(move |&b| [a, b]));
                (pairs.collect(), size * size)
            }
            _ => return,
        };
        let integral = integral(case, points, volume, &device);
        assert!((integral - 1.0).abs() < 5e-3, "{}: the density integrates to {integral}", case.name);
    });
}

#[test]
fn sample_draws_from_the_density() {
    let device = Device::flex();
    let case = Case::new(config(TransformKind::Spline, PermutationConfig::Lu, false), &[1], 2, &device);
    let rows = 100_000;
    let condition = normal([1, 2], 1.0, &device, &mut random::stream(4, "test/flow", 0)).repeat_dim(0, rows);
    let mut drawn = numbers(case.flow.sample(condition.clone(), &mut random::stream(5, "test/flow", 0)));
    drawn.sort_unstable_by(f64::total_cmp);
    let (points, size) = grid(20_000, 40.0);
    let target = Tensor::from_data(TensorData::new(points.clone(), [points.len(), 1]), &device);
    let density = numbers(case.log_prob(target, condition.narrow(0, 0, points.len())));
    let (mut cumulative, mut distance) = (0.0, 0.0f64);
    for (point, log) in points.iter().zip(density) {
        cumulative += log.exp() * size;
        let edge = f64::from(*point) + 0.5 * size;
        let below = drawn.partition_point(|&v| v < edge) as f64 / rows as f64;
        distance = distance.max((cumulative - below).abs());
    }
    // Kolmogorov–Smirnov: exceeded with a probability of 1e-4 at 2.2/√n.
    assert!(distance < 2.2 / (rows as f64).sqrt(), "largest distance between the distributions {distance}");
}
