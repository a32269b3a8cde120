//! Gaussian mixture of latents and conditions, fitted after training ("ex-post density estimation", Ghosh et al. 2019,
//! arXiv:1903.12436), from which latents are drawn for a condition.
//!
//! With the Cholesky factor of a component's covariance in blocks, L = ((L_cc, 0), (L_zc, L_zz)), and y = L_cc⁻¹·(c − μ_c):
//! log N(c) = −½‖y‖² − Σ ln (L_cc)_ii + constant, and z given c is μ_z + L_zc·y + L_zz·n with standard normal n.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_clustering::GaussianMixtureModel;
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, Axis, concatenate, s};
use rand_chacha::ChaCha8Rng;
use statrs::function::erf::erfc;

use crate::training::{matrix, tensor};

/// See the module documentation. Components that are not used have weight zero.
#[derive(Module, Debug)]
pub(super) struct LatentMixture {
    /// `[components, 1]`
    weights: Param<Tensor<2>>,
    /// `[components, conditions + latents]`
    means: Param<Tensor<2>>,
    /// Cholesky factors, `[components, (conditions + latents)²]`
    factors: Param<Tensor<2>>,
    #[module(skip)]
    conditions: usize,
}

/// A component with positive weight.
struct Component<'a> {
    log_weight: f32,
    mean: ArrayView1<'a, f32>,
    factor: ArrayView2<'a, f32>,
}

/// Added to the variances: categories among the conditions have none in some directions.
const REGULARISATION: f64 = 1e-5;
/// Steps of expectation maximisation, and the gain in mean log-likelihood below which it stops.
const MAX_STEPS: u64 = 200;
const TOLERANCE: f64 = 1e-3;

impl LatentMixture {
    /// One standard normal component.
    pub(super) fn new(components: usize, latents: usize, conditions: usize, device: &Device) -> Self {
        let device = device.clone().without_autodiff();
        let size = conditions + latents;
        let mut weights = vec![0.0f32; components];
        weights[0] = 1.0;
        let unit = Array2::<f32>::eye(size).into_raw_vec_and_offset().0;
        let parameter = |values: Vec<f32>, shape: [usize; 2]| {
            Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &device))
                .set_require_grad(false)
        };
        Self {
            weights: parameter(weights, [components, 1]),
            means: parameter(vec![0.0; components * size], [components, size]),
            factors: parameter(unit.repeat(components), [components, size * size]),
            conditions,
        }
    }

    /// The mixture of 1, 2, 4, … components that gives held-out latents the largest likelihood p(z|c); rows are
    /// `[events, conditions + latents]`.
    pub(super) fn fit(self, train: &Array2<f32>, held_out: &Array2<f32>, rng: &ChaCha8Rng) -> Self {
        let components = self.weights.dims()[0];
        let train = train.mapv(f64::from);
        let single = self.single(&train);
        let train = DatasetBase::from(train);
        let counts =
            std::iter::successors(Some(2), |&count| Some(2 * count)).take_while(|&c| c <= components);
        let fits = counts.filter_map(|count| {
            let mixture = GaussianMixtureModel::params_with_rng(count, rng.clone())
                .max_n_iterations(MAX_STEPS)
                .tolerance(TOLERANCE)
                .reg_covariance(REGULARISATION)
                .n_runs(1)
                .fit(&train)
                // A component without events, or densities too small for a number: fewer will do.
                .ok()?;
            self.with(mixture.weights(), mixture.means(), mixture.covariances())
        });
        let scored =
            single.into_iter().chain(fits).map(|mixture| (mixture.log_likelihood(held_out), mixture));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, mixture)| mixture);
        best.unwrap_or(self)
    }

    /// One component, with mean and covariance of the rows.
    fn single(&self, rows: &Array2<f64>) -> Option<Self> {
        let mean = rows.mean_axis(Axis(0))?.insert_axis(Axis(0));
        let centred = rows - &mean;
        let unit = Array2::<f64>::eye(rows.ncols());
        let covariance = centred.t().dot(&centred) / rows.nrows() as f64 + REGULARISATION * unit;
        self.with(&Array1::ones(1), &mean, &covariance.insert_axis(Axis(0)))
    }

    /// These weights, means and covariances; none where a covariance is not positive definite.
    fn with(&self, of: &Array1<f64>, at: &Array2<f64>, covariances: &Array3<f64>) -> Option<Self> {
        let mut result = self.clone();
        let device = self.weights.val().device();
        let [components, size] = self.means.dims();
        let (mut weights, mut means) = (Array2::zeros([components, 1]), Array2::zeros([components, size]));
        let mut factors = Array2::zeros([components, size * size]);
        for (k, covariance) in covariances.outer_iter().enumerate() {
            weights[[k, 0]] = of[k] as f32;
            means.row_mut(k).assign(&at.row(k).mapv(|m| m as f32));
            let factor = cholesky(covariance)?;
            factors.row_mut(k).assign(&Array1::from_iter(factor.iter().map(|&f| f as f32)));
        }
        let set = |param: Param<Tensor<2>>, values: &Array2<f32>| param.map(|_| tensor(values, &device));
        result.weights = set(result.weights, &weights);
        result.means = set(result.means, &means);
        result.factors = set(result.factors, &factors);
        Some(result)
    }

    /// Number of components in use.
    pub(super) fn components(&self) -> usize {
        matrix(self.weights.val()).iter().filter(|&&weight| weight > 0.0).count()
    }

    /// Standard normal numbers that a latent is made of: one decides the component.
    pub(super) fn noise_width(&self) -> usize {
        1 + self.means.dims()[1] - self.conditions
    }

    /// Latents `[batch, latents]` for noise `[batch, noise_width]` and conditions.
    pub(super) fn draw(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let device = noise.device();
        let (noise, condition) = (matrix(noise), matrix(condition));
        let [weights, means, factors] = [&self.weights, &self.means, &self.factors].map(|p| matrix(p.val()));
        let components = self.components_of(&weights, &means, &factors);
        let mut latents = Array2::zeros([noise.nrows(), noise.ncols() - 1]);
        for ((noise, condition), mut latent) in
            noise.outer_iter().zip(condition.outer_iter()).zip(latents.outer_iter_mut())
        {
            let given: Vec<(f32, Array1<f32>)> =
                components.iter().map(|component| component.given(condition, self.conditions)).collect();
            let uniform = 0.5 * erfc(-f64::from(noise[0]) / std::f64::consts::SQRT_2);
            let chosen = choose(given.iter().map(|(log, _)| f64::from(*log)), uniform);
            let Component { mean, factor, .. } = &components[chosen];
            let n = self.conditions;
            let centred = factor.slice(s![n.., ..n]).dot(&given[chosen].1)
                + factor.slice(s![n.., n..]).dot(&noise.slice(s![1..]));
            latent.assign(&(&mean.slice(s![n..]) + &centred));
        }
        tensor(&latents, &device)
    }

    /// Mean of log p(z|c) over rows `[events, conditions + latents]`, but for a constant.
    fn log_likelihood(&self, rows: &Array2<f32>) -> f64 {
        let [weights, means, factors] = [&self.weights, &self.means, &self.factors].map(|p| matrix(p.val()));
        let components = self.components_of(&weights, &means, &factors);
        let log_prob = |x: ArrayView1<f32>, size: usize| {
            let logs = components.iter().map(|c| f64::from(c.given(x.slice(s![..size]), size).0));
            log_sum_exp(&logs.collect::<Vec<_>>())
        };
        let sum: f64 =
            rows.outer_iter().map(|row| log_prob(row, row.len()) - log_prob(row, self.conditions)).sum();
        sum / rows.nrows() as f64
    }

    fn components_of<'a>(
        &self,
        weights: &Array2<f32>,
        means: &'a Array2<f32>,
        factors: &'a Array2<f32>,
    ) -> Vec<Component<'a>> {
        let size = means.ncols();
        let used =
            weights.iter().zip(means.outer_iter()).zip(factors.outer_iter()).filter(|((w, _), _)| **w > 0.0);
        let component =
            |((weight, mean), factor): ((&f32, ArrayView1<'a, f32>), ArrayView1<'a, f32>)| Component {
                log_weight: weight.ln(),
                mean,
                factor: factor.into_shape_with_order([size, size]).expect("rows of contiguous squares"),
            };
        used.map(component).collect()
    }
}

impl Component<'_> {
    /// ln w + log N of the first `n` numbers, but for a constant, and y.
    fn given(&self, x: ArrayView1<f32>, n: usize) -> (f32, Array1<f32>) {
        let mut y = Array1::<f32>::zeros(n);
        let mut log = self.log_weight;
        for i in 0..n {
            let before: f32 = (0..i).map(|j| self.factor[[i, j]] * y[j]).sum();
            y[i] = (x[i] - self.mean[i] - before) / self.factor[[i, i]];
            log -= 0.5 * y[i] * y[i] + self.factor[[i, i]].ln();
        }
        (log, y)
    }
}

fn log_sum_exp(logs: &[f64]) -> f64 {
    let max = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + logs.iter().map(|log| (log - max).exp()).sum::<f64>().ln()
}

/// The component whose share of the probability holds `uniform`.
fn choose(logs: impl Iterator<Item = f64> + Clone, uniform: f64) -> usize {
    let total = log_sum_exp(&logs.clone().collect::<Vec<_>>());
    let mut rest = uniform;
    let last = logs.clone().count() - 1;
    logs.take(last)
        .position(|log| {
            rest -= (log - total).exp();
            rest < 0.0
        })
        .unwrap_or(last)
}

/// L with L·Lᵀ = a; none unless a is positive definite.
fn cholesky(a: ArrayView2<f64>) -> Option<Array2<f64>> {
    let mut l = Array2::<f64>::zeros(a.raw_dim());
    for i in 0..a.nrows() {
        for j in 0..=i {
            let rest = a[[i, j]] - l.slice(s![i, ..j]).dot(&l.slice(s![j, ..j]));
            l[[i, j]] = if i == j { Some(rest).filter(|&d| d > 0.0)?.sqrt() } else { rest / l[[j, j]] };
        }
    }
    Some(l)
}

/// Conditions and latents side by side.
pub(super) fn joined(condition: &Array2<f32>, latent: &Array2<f32>) -> Array2<f32> {
    concatenate(Axis(1), &[condition.view(), latent.view()]).expect("a latent for every condition")
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_distr::StandardNormal;
    use simile_data::random;

    use super::*;

    /// c ~ N(0, 1), z | c ~ ½·N(2 + c, 0.3²) + ½·N(−2 − c, 0.3²).
    fn rows(events: usize, stage: u64) -> Array2<f32> {
        let mut rng = random::stream(1, "test/mixture", stage);
        let mut row = || {
            let c: f32 = rng.sample(StandardNormal);
            let sign = if rng.r#gen::<bool>() { 1.0 } else { -1.0 };
            [c, sign * (2.0 + c) + 0.3 * rng.sample::<f32, _>(StandardNormal)]
        };
        Array2::from_shape_vec([events, 2], (0..events).flat_map(|_| row()).collect()).unwrap()
    }

    #[test]
    fn latents_follow_their_condition() {
        let device = Device::flex();
        let rng = random::stream(2, "test/mixture", 0);
        let mixture = LatentMixture::new(8, 1, 1, &device).fit(&rows(6000, 0), &rows(2000, 1), &rng);
        assert!(mixture.components() >= 2, "{} components", mixture.components());
        const EVENTS: usize = 20_000;
        for c in [-0.7f32, 0.0, 1.0] {
            let noise =
                super::super::normal_noise(EVENTS, 2, &device, &mut random::stream(3, "test/mixture", 0));
            let z = matrix(mixture.draw(noise, Tensor::full([EVENTS, 1], c, &device)));
            let upper: Vec<f32> = z.iter().copied().filter(|&z| z > 0.0).collect();
            let mean = upper.iter().sum::<f32>() / upper.len() as f32;
            let width = (upper.iter().map(|z| (z - mean).powi(2)).sum::<f32>() / upper.len() as f32).sqrt();
            let share = upper.len() as f32 / EVENTS as f32;
            assert!((mean - 2.0 - c).abs() < 0.1, "c = {c}: mean {mean}");
            assert!((width - 0.3).abs() < 0.06, "c = {c}: width {width}");
            assert!((share - 0.5).abs() < 0.06, "c = {c}: share {share}");
        }
    }

    /// With many dimensions the densities of all components underflow in the library's expectation maximisation.
    #[test]
    fn many_dimensions_have_one_component() {
        const SIZE: usize = 600;
        let mut rng = random::stream(4, "test/mixture", 0);
        let rows = Array2::from_shape_fn([700, SIZE], |_| 3.0 + 0.5 * rng.sample::<f32, _>(StandardNormal));
        let mixture = LatentMixture::new(2, SIZE, 0, &Device::flex()).fit(&rows, &rows, &rng);
        let means = matrix(mixture.means.val());
        assert!((means.row(0).mean().unwrap() - 3.0).abs() < 0.01, "mean {}", means.row(0).mean().unwrap());
    }

    /// numpy 2.1: np.linalg.cholesky([[4, 2, 1], [2, 3, 0.5], [1, 0.5, 2]])
    #[test]
    fn a_covariance_is_factorised() {
        let a = ndarray::array![[4.0, 2.0, 1.0], [2.0, 3.0, 0.5], [1.0, 0.5, 2.0]];
        let l = cholesky(a.view()).unwrap();
        let expected = [[2.0, 0.0, 0.0], [1.0, std::f64::consts::SQRT_2, 0.0], [0.5, 0.0, 1.322_875_66]];
        assert!(l.iter().zip(expected.concat()).all(|(found, exact)| (found - exact).abs() < 1e-8), "{l}");
        assert!(cholesky(ndarray::array![[1.0, 2.0], [2.0, 1.0]].view()).is_none());
    }
}
