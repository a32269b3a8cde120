//! Variational autoencoders: the known density, likelihoods and priors.

use super::*;

#[test]
fn a_vae_recovers_a_known_density() {
    let config =
        VaeConfig { latents: 2, encoder: network(64, 2), decoder: network(64, 2), ..VaeConfig::default() };
    for variance in [Variance::PerTarget, Variance::PerEvent] {
        let config = VaeConfig { variance, ..config.clone() };
        let model = train(|device| config.init(SPACE, device, &mut init_rng()), 2500, 4e-3);
        check(&format!("VAE, {variance:?}"), &model, 0.2);
    }
}

#[test]
fn a_vae_with_a_flow_as_prior_recovers_a_known_density() {
    let prior = FlowConfig { couplings: 4, width: 32, bins: 8, ..FlowConfig::default() };
    let config = VaeConfig {
        latents: 2,
        encoder: network(64, 2),
        decoder: network(64, 2),
        prior: Some(prior),
        ..VaeConfig::default()
    };
    let model = train(|device| config.init(SPACE, device, &mut init_rng()), 2000, 4e-3);
    check("VAE with a flow", &model, 0.2);
}

/// A linear decoder makes p(x) normal: the importance-weighted estimate finds its density.
#[test]
fn the_importance_weighted_estimate_finds_the_density_of_a_linear_model() {
    let linear = NetworkConfig { activation: ActivationKind::LeakyRelu, ..network(8, 1) };
    let config = VaeConfig { latents: 1, encoder: linear.clone(), decoder: linear, ..VaeConfig::default() };
    let device = Device::flex();
    let model = config.init(SPACE, &device, &mut init_rng());
    // x = σ·ε with the decoder at zero, σ = 2 and 1/2; the code says nothing.
    let mut weights = parameters::collect(&model);
    for (name, data) in &mut weights {
        let shape = data.shape().to_vec();
        let values = match name.as_str() {
            "log_sigma" => vec![2.0f32.ln(), -(2.0f32.ln())],
            _ => vec![0.0; data.num_elements()],
        };
        *data = TensorData::new(values, shape);
    }
    let model = parameters::load(model, weights).unwrap();
    let target = Tensor::<2>::from_data([[1.0f32, -0.3], [-3.0, 0.9]], &device);
    let condition = Tensor::zeros([2, 1], &device);
    let mut rng = random::stream(6, "test/importance", 0);
    let LogProb { value, lower_bound } = model.log_prob(target, condition, 64, &mut rng).unwrap();
    let [found, bound] = [value, lower_bound.unwrap()].map(|t| t.into_data().iter().collect::<Vec<f64>>());
    let normal = |x: f64, sigma: f64| {
        -0.5 * (x / sigma).powi(2) - sigma.ln() - 0.5 * (2.0 * std::f64::consts::PI).ln()
    };
    for ((found, bound), [a, b]) in found.iter().zip(&bound).zip([[1.0, -0.3], [-3.0, 0.9]]) {
        let exact = normal(a, 2.0) + normal(b, 0.5);
        // A code that says nothing loses nothing: the bound is as good.
        assert!(
            (found - exact).abs() < 1e-5 && (bound - exact).abs() < 1e-5,
            "{found}, {bound}, exactly {exact}"
        );
    }
}

/// A code that says less than the free bits costs as much as they are, and what is watched is what it says.
#[test]
fn free_bits_are_a_floor_of_the_cost_but_not_of_the_divergence_shown() {
    let device = Device::flex();
    let batch = Batch::new(Tensor::ones([64, SPACE.targets], &device), Tensor::zeros([64, 1], &device));
    for prior in [None, Some(FlowConfig { couplings: 2, width: 8, bins: 4, ..FlowConfig::default() })] {
        let [plain, free] = [0.0, 5.0].map(|free_bits| {
            let config = VaeConfig { latents: 2, free_bits, prior: prior.clone(), ..VaeConfig::default() };
            let model = config.init(SPACE, &device, &mut init_rng());
            let rng = &mut random::stream(1, "test/free", 0);
            let loss = model.loss(&batch, Step { number: 0, epoch: usize::MAX }, rng);
            let [_, (_, divergence)] = &loss.figures[..] else { panic!("two figures") };
            [loss.value, divergence.clone()].map(|figure| figure.into_scalar::<f32>())
        });
        assert!(plain[1] == free[1] && plain[1] > 0.0 && plain[1] < 1.0, "{plain:?} {free:?}");
        let cost = free[0] - (plain[0] - plain[1]);
        assert!((cost - 10.0 / SPACE.targets as f32).abs() < 1e-5, "{plain:?} {free:?}");
    }
}

/// Bernoulli targets come out as 0 and 1, as often as the decoder says.
#[test]
fn bernoulli_targets_are_drawn_with_their_probability() {
    let config = VaeConfig { likelihood: Likelihood::Bernoulli, latents: 2, ..VaeConfig::default() };
    let means = VaeConfig { observation_noise: false, ..config.clone() };
    let device = Device::flex();
    let init = |config: &VaeConfig| config.init(SPACE, &device, &mut init_rng());
    let condition = Tensor::zeros([40_000, 1], &device);
    let [drawn, mean] = [init(&config), init(&means)]
        .map(|model| matrix(model.sample(condition.clone(), &mut random::stream(7, "test/bernoulli", 0))));
    assert!(drawn.iter().all(|&v| v == 0.0 || v == 1.0));
    let [drawn, mean] = [drawn, mean].map(|m| m.column(0).mean().unwrap());
    assert!((drawn - mean).abs() < 0.01, "drawn {drawn}, expected {mean}");
}

/// Two categories, the second with a probability of σ(2c), beside a number that goes with it.
#[test]
fn a_vae_draws_categories_with_their_probability() {
    let space = GroupSpace { conditions: 1, targets: 3, categories: std::iter::once(0..2).collect() };
    let config =
        VaeConfig { latents: 2, encoder: network(32, 2), decoder: network(32, 2), ..VaeConfig::default() };
    let (device, mut rng) = (Device::flex().autodiff(), random::stream(12, "test/categories", 0));
    let mut model = config.init(space, &device, &mut init_rng());
    let mut optimizer = Optimizer::new(&model, &Device::flex());
    for number in 0..1200 {
        let condition: Vec<f32> = (0..256).map(|_| rng.gen_range(-1.0f32..1.0)).collect();
        let target = condition.iter().flat_map(|c| {
            let second = rng.gen_bool(f64::from(1.0 / (1.0 + (-2.0 * c).exp())));
            let number = f32::from(second) + 0.1 * rng.sample::<f32, _>(StandardNormal);
            [f32::from(!second), f32::from(second), number]
        });
        let target = target.collect::<Vec<f32>>();
        let batch = Batch::new(
            Tensor::from_data(TensorData::new(target, [256, 3]), &device),
            Tensor::from_data(TensorData::new(condition, [256, 1]), &device),
        );
        let loss = model.loss(&batch, Step { number, epoch: 1 }, &mut rng).value;
        model = optimizer.step(model, loss.backward(), 4e-3, &TrainingConfig::default()).0;
    }
    let model = model.valid();
    for c in [-0.8f32, 0.0, 0.8] {
        let condition = Tensor::full([20_000, 1], c, &Device::flex());
        let drawn = matrix(model.sample(condition, &mut rng));
        assert!(
            drawn.outer_iter().all(|y| y[0] + y[1] == 1.0 && y[0] * y[1] == 0.0),
            "one category an event"
        );
        let share = drawn.column(1).mean().unwrap();
        let exact = 1.0 / (1.0 + (-2.0 * c).exp());
        assert!((share - exact).abs() < 0.06, "c = {c}: share {share}, exactly {exact}");
        let apart = drawn.outer_iter().filter(|y| (y[2] > 0.5) != (y[1] == 1.0)).count();
        assert!(apart < 1000, "c = {c}: the number does not go with the category in {apart} of 20000 events");
    }
}
