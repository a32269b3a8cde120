//! Closure: a conditional density that is known, learnt by every kind of model from events drawn from it.
//!
//! c ~ U(−2, 2), y₀ | c ~ N(sin c, (0.5 + 0.15c)²), y₁ | y₀ ~ N((y₀² − 1)/2, 0.3²): a banana that moves, shrinks and bends
//! with the condition. The figure is the largest deviation of a decile of y₀ or of y₁'s residual at three conditions, in
//! units of the true width.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use simile_data::random;

use super::prediction::spread_times;
use super::*;
use crate::nn::parameters;
use crate::training::{Optimizer, TrainingConfig, matrix};

mod images;
mod vae;

const SPACE: GroupSpace = GroupSpace { conditions: 1, targets: 2, categories: Vec::new() };

fn draw(c: f32, rng: &mut ChaCha8Rng) -> [f32; 2] {
    let y0 = c.sin() + (0.5 + 0.15 * c) * rng.sample::<f32, _>(StandardNormal);
    [y0, 0.5 * y0 * y0 - 0.5 + 0.3 * rng.sample::<f32, _>(StandardNormal)]
}

fn batch(size: usize, device: &Device, rng: &mut ChaCha8Rng) -> Batch {
    let conditions: Vec<f32> = (0..size).map(|_| rng.gen_range(-2.0f32..2.0)).collect();
    let targets: Vec<f32> = conditions.iter().flat_map(|&c| draw(c, rng)).collect();
    Batch::new(
        Tensor::from_data(TensorData::new(targets, [size, 2]), device),
        Tensor::from_data(TensorData::new(conditions, [size, 1]), device),
    )
}

/// Trains on fresh events in every step; the averaged weights count.
fn train<M: Surrogate>(init: impl Fn(&Device) -> M, steps: u64, rate: f64) -> M {
    train_on(|device, rng| batch(256, device, rng), init, steps, rate)
}

fn train_on<M: Surrogate>(
    batch: impl Fn(&Device, &mut ChaCha8Rng) -> Batch,
    init: impl Fn(&Device) -> M,
    steps: u64,
    rate: f64,
) -> M {
    let device = Device::flex().autodiff();
    let mut model = init(&device);
    let mut optimizer = Optimizer::new(&model, &Device::flex()).with_moments(M::MOMENTS);
    let config = TrainingConfig { average_decay: 0.995, weight_decay: 0.0, ..TrainingConfig::default() };
    let mut rng = random::stream(1, "test/train", 0);
    for number in 0..steps {
        let events = batch(&device, &mut rng);
        let loss = model.loss(&events, Step { number, epoch: 1 }, &mut rng).value;
        let falling = 1.0 - number as f64 / steps as f64;
        let (next, norm) = optimizer.step(model, loss.backward(), rate * falling, &config);
        assert!(norm.is_finite(), "step {number}");
        model = next.after_step();
    }
    let weights = optimizer.averaged(&model);
    parameters::load(model.valid(), weights).unwrap()
}

/// The largest deviation of a decile of y₀ or y₁ − (y₀² − 1)/2, of an event drawn by the model at c, from the true one in
/// units of the true width.
fn deviation(model: &impl Surrogate, c: f32) -> f32 {
    const EVENTS: usize = 20_000;
    let condition = Tensor::full([EVENTS, 1], c, &Device::flex());
    let drawn = matrix(model.sample(condition, &mut random::stream(2, "test/sample", 0)));
    let mut rng = random::stream(3, "test/sample", 0);
    let truth =
        Array2::from_shape_vec([EVENTS, 2], (0..EVENTS).flat_map(|_| draw(c, &mut rng)).collect()).unwrap();
    let views: [fn(f32, f32) -> f32; 2] = [|y0, _| y0, |y0, y1| y1 - 0.5 * y0 * y0 + 0.5];
    let deviations = views.iter().zip([0.5 + 0.15 * c, 0.3]).flat_map(|(view, width)| {
        let sorted = |events: &Array2<f32>| {
            let mut values: Vec<f32> = events.outer_iter().map(|y| view(y[0], y[1])).collect();
            values.sort_unstable_by(f32::total_cmp);
            values
        };
        let (drawn, truth) = (sorted(&drawn), sorted(&truth));
        (1..10).map(move |decile| {
            let at = decile * EVENTS / 10;
            (drawn[at] - truth[at]).abs() / width
        })
    });
    deviations.fold(0.0, f32::max)
}

/// Deciles of true samples of this size agree to 0.02.
#[track_caller]
fn check<M: Surrogate>(name: &str, model: &M, tolerance: f32) {
    let mut rng = random::stream(4, "test/density", 0);
    let Batch { target, condition, .. } = batch(10, &Device::flex(), &mut rng);
    assert_eq!(
        model.log_prob(target, condition, 1, &mut rng).is_some(),
        M::HAS_DENSITY,
        "{name} has a density"
    );
    for c in [-1.4, 0.0, 1.4] {
        let deviation = deviation(model, c);
        assert!(deviation < tolerance, "{name} at c = {c}: deciles deviate by {deviation} of the width");
    }
}

fn network(width: usize, hidden: usize) -> NetworkConfig {
    NetworkConfig { width, hidden, ..NetworkConfig::default() }
}

fn init_rng() -> ChaCha8Rng {
    random::stream(1, "test/init", 0)
}

#[test]
fn an_autoregressive_flow_recovers_a_known_density() {
    for transform in [TransformKind::Spline, TransformKind::Affine] {
        let config = MafConfig { transform, layers: 3, width: 32, hidden: 2, ..MafConfig::default() };
        let model = train(|device| config.init(SPACE, device, &mut init_rng()), 1200, 5e-3);
        check(&format!("MAF, {transform:?}"), &model, 0.2);
        let events = batch(500, &Device::flex(), &mut random::stream(4, "test/latent", 0));
        let latent = model.latent(events.target.clone(), events.condition.clone()).unwrap();
        let again = model.generate(latent, events.condition);
        let error = (again - events.target).abs().max().into_scalar::<f32>();
        assert!(error < 1e-3, "{transform:?}: targets come back with an error of {error}");
    }
}

/// Parameters of feature i change with the condition and with features before it alone: with all where there are as many
/// units as features, else with those that its unit of the largest degree sees.
#[test]
fn an_autoregressive_network_is_autoregressive() {
    let device = Device::flex().autodiff();
    for (features, width, hidden, degrees) in [(4, 9, 2, vec![0, 1, 2, 3]), (8, 4, 1, vec![0, 2, 4, 6])] {
        let config =
            crate::nn::MadeConfig { features, condition: 2, parameters: 3, width, hidden, output_gain: 1.0 };
        let made = config.init(&device, &mut init_rng());
        let mut rng = random::stream(9, "test/made", 0);
        let [x, c] = [features, 2].map(|width| normal_noise(200, width, &device, &mut rng).require_grad());
        for i in 0..features {
            let parameters = made.forward(x.clone(), c.clone()).narrow(1, 3 * i, 3);
            let gradients = parameters.sum().backward();
            let size = |t: &Tensor<2>| {
                matrix(t.grad(&gradients).unwrap()).map(|g| g.abs()).sum_axis(ndarray::Axis(0))
            };
            let seen: Vec<bool> = size(&x).iter().map(|&size| size > 0.0).collect();
            let degree = degrees.iter().filter(|&&degree| degree <= i).max().unwrap();
            let expected: Vec<bool> = (0..features).map(|j| j < *degree).collect();
            assert_eq!(seen, expected, "feature {i} of {features}");
            assert!(size(&c).iter().all(|&size| size > 0.0), "feature {i} does not see the condition");
        }
    }
}

#[test]
fn flow_matching_recovers_a_known_density() {
    let config = FlowMatchingConfig { network: network(64, 3), steps: 16, ..FlowMatchingConfig::default() };
    let model = train(|device| config.init(SPACE, device, &mut init_rng()), 4000, 4e-3);
    check("flow matching", &model, 0.15);
    // The way back from events leads to standard normal noise, and forward again to the events.
    let events = batch(2000, &Device::flex(), &mut random::stream(4, "test/latent", 0));
    let latent = model.latent(events.target.clone(), events.condition.clone()).unwrap();
    let again = model.generate(latent.clone(), events.condition);
    let error = (again - events.target).abs().mean().into_scalar::<f32>();
    let size = latent.square().mean().into_scalar::<f32>();
    assert!(error < 0.02 && (size - 1.0).abs() < 0.15, "error {error}, mean square of the noise {size}");
}

#[test]
fn diffusion_recovers_a_known_density() {
    let config = DiffusionConfig { network: network(64, 3), steps: 100, ..DiffusionConfig::default() };
    let model = train(|device| config.init(SPACE, device, &mut init_rng()), 3000, 4e-3);
    check("diffusion", &model, 0.3);
}

/// Its loss counts the details, under little noise, less than that of the velocity, and so learns them later.
#[test]
fn expected_data_lead_to_a_known_density() {
    let prediction = Prediction::Data;
    let config = FlowMatchingConfig { network: network(64, 3), prediction, steps: 16 };
    let model = train(|device| config.init(SPACE, device, &mut init_rng()), 16000, 4e-3);
    check("flow matching of expected data", &model, 0.2);
    let config = DiffusionConfig { network: network(64, 3), prediction, ..DiffusionConfig::default() };
    let model = train(|device| config.init(SPACE, device, &mut init_rng()), 8000, 4e-3);
    check("diffusion of expected data", &model, 0.3);
}

/// Root of the loss of the noise over that of the velocity, both of the same network, event and time.
fn noise_over_velocity<M: Surrogate>(event: &Batch, seed: u64, init: impl Fn(Prediction) -> M) -> f32 {
    let [noise, velocity] = [Prediction::Noise, Prediction::Velocity].map(|prediction| {
        let step = Step { number: 0, epoch: 1 };
        let loss = init(prediction).loss(event, step, &mut random::stream(seed, "test/loss", 0));
        loss.value.into_scalar::<f32>()
    });
    (noise / velocity).sqrt()
}

/// At a time t the loss of the noise is that of the velocity times the square of α: cos(π/2·t) but for an offset in
/// diffusion, t in flow matching.
#[test]
fn the_loss_of_the_noise_counts_times_by_the_signal() {
    let device = Device::flex();
    for seed in 0..5 {
        let event = batch(1, &device, &mut random::stream(seed, "test/event", 0));
        let stream = || random::stream(seed, "test/loss", 0);

        let time = spread_times(&event, &mut stream()).into_scalar::<f32>();
        let ratio = noise_over_velocity(&event, seed, |prediction| {
            DiffusionConfig { network: network(16, 1), prediction, ..DiffusionConfig::default() }.init(
                SPACE,
                &device,
                &mut init_rng(),
            )
        });
        let signal = (std::f32::consts::FRAC_PI_2 * time).cos();
        assert!((ratio - signal).abs() < 0.02, "diffusion at t = {time}: {ratio}, not {signal}");

        let mut rng = stream();
        event.normal_noise(SPACE.targets, &mut rng);
        let time = spread_times(&event, &mut rng).into_scalar::<f32>();
        let ratio =
            noise_over_velocity(&event, seed, |prediction| {
                FlowMatchingConfig { network: network(16, 1), prediction, ..FlowMatchingConfig::default() }
                    .init(SPACE, &device, &mut init_rng())
            });
        assert!((ratio - time).abs() < 1e-3, "flow matching at t = {time}: {ratio}");
    }
}

#[test]
fn autoencoders_generate_from_the_density_of_their_codes() {
    let config =
        AutoencoderConfig { latents: 2, encoder: network(64, 2), decoder: network(64, 2), components: 16 };
    let AutoencoderConfig { latents, encoder, decoder, components } = config.clone();
    let corruption = Corruption::Masking { probability: 0.02 };
    let denoising = DenoisingConfig { latents, encoder, decoder, components, corruption };
    let mut rng = random::stream(10, "test/latent", 0);
    let [train_events, held_out] = [5000, 2000].map(|size| batch(size, &Device::flex(), &mut rng));
    let fitted = |model: Autoencoder| {
        model.fit_latent(&train_events, &held_out, &mut random::stream(11, "test/fit", 0))
    };
    let (model, figures) = fitted(train(|device| config.init(SPACE, device, &mut init_rng()), 2000, 4e-3));
    assert!(figures["reconstruction error"] < 1e-3, "{figures:?}");
    check("autoencoder", &model, 0.4);
    let (model, figures) = fitted(train(|device| denoising.init(SPACE, device, &mut init_rng()), 2000, 4e-3));
    assert!(figures["reconstruction error"] < 0.02, "{figures:?}");
    check("denoising autoencoder", &model, 0.4);
}

#[test]
fn a_wasserstein_gan_recovers_a_known_density() {
    let critic = NetworkConfig { activation: ActivationKind::LeakyRelu, ..network(64, 3) };
    let constraint = Constraint::GradientPenalty { weight: 0.1 };
    let config =
        WganConfig { latents: 4, generator: network(64, 3), critic, constraint, ..WganConfig::default() };
    let model = train(|device| config.init(SPACE, device, &mut init_rng()), 9000, 1e-3);
    check("WGAN", &model, 0.4);
}

/// After every step.
#[test]
fn a_gan_with_gradient_penalty_recovers_a_known_density() {
    let leaky = || NetworkConfig { activation: ActivationKind::LeakyRelu, ..network(64, 3) };
    let config = GanConfig {
        latents: 4,
        generator: leaky(),
        critic: leaky(),
        gradient_penalty: 0.3,
        ..GanConfig::default()
    };
    let model = train(|device| config.init(SPACE, device, &mut init_rng()), 6000, 1e-3);
    check("GAN", &model, 0.5);
}

#[test]
fn clipping_bounds_the_weights_of_the_critic_alone() {
    let constraint = Constraint::Clipping { limit: 0.05 };
    let config = WganConfig { constraint, generator: network(16, 1), ..WganConfig::default() };
    let (device, mut rng) = (Device::flex().autodiff(), random::stream(8, "test/clipping", 0));
    let mut model = config.init(SPACE, &device, &mut init_rng());
    let mut optimizer = Optimizer::new(&model, &Device::flex());
    for number in 0..12 {
        for (name, weights) in parameters::collect(&model) {
            let largest = weights.iter::<f32>().fold(0.0f32, |largest, w| largest.max(w.abs()));
            assert_eq!(largest <= 0.05, name.contains("critic"), "step {number}, {name}: {largest}");
        }
        let loss = model.loss(&batch(32, &device, &mut rng), Step { number, epoch: 1 }, &mut rng);
        model = optimizer.step(model, loss.value.backward(), 1e-2, &TrainingConfig::default()).0.after_step();
    }
}

/// Critic and generator take turns, and only the one whose turn it is has gradients.
#[test]
fn players_learn_in_turn() {
    let device = Device::flex().autodiff();
    let mut rng = random::stream(5, "test/turns", 0);
    let events = batch(32, &device, &mut rng);
    let model = GanConfig { critic_steps: 2, ..GanConfig::default() }.init(SPACE, &device, &mut init_rng());
    let mut before = parameters::collect(&model);
    let mut optimizer = Optimizer::new(&model, &Device::flex());
    let mut model = Some(model);
    let mut moved = Vec::new();
    for number in 0..6 {
        let current = model.take().unwrap();
        let loss = current.loss(&events, Step { number, epoch: 1 }, &mut rng);
        let config = TrainingConfig { weight_decay: 0.0, ..TrainingConfig::default() };
        let next = optimizer.step(current, loss.value.backward(), 1e-3, &config).0;
        let after = parameters::collect(&next);
        let changed = after.iter().filter(|(name, data)| data.as_bytes() != before[*name].as_bytes());
        let names: Vec<&str> = changed.map(|(name, _)| name.split('.').nth(1).unwrap()).collect();
        moved.push((loss.turn, names.join(" ")));
        (before, model) = (after.clone(), Some(next));
    }
    let critic = (Turn::Main, "critic".to_string());
    let generator = (Turn::Generator, "generator".to_string());
    assert_eq!(moved, [critic.clone(), critic.clone(), generator.clone(), critic.clone(), critic, generator]);
}

/// The way from noise to target ends where generation does; without mixing of features it begins at the noise.
#[test]
fn ways_from_noise_end_at_the_target() {
    fn check<M: Surrogate>(init: impl FnOnce(&Device, &mut ChaCha8Rng) -> M, states: usize, begins: bool) {
        let (device, mut rng) = (Device::flex(), init_rng());
        let model = init(&device, &mut rng);
        let noise = normal_noise(50, 6, &device, &mut rng);
        let condition = normal_noise(50, 1, &device, &mut rng);
        let path = model.trajectory(noise.clone(), condition.clone()).expect("there are states");
        let difference =
            |a: &Tensor<2>, b: &Tensor<2>| (a.clone() - b.clone()).abs().max().into_scalar::<f32>();
        assert_eq!(path.len(), states);
        assert_eq!(difference(&path[states - 1], &model.generate(noise.clone(), condition)), 0.0);
        assert_eq!(difference(&path[0], &noise) == 0.0, begins);
        assert!(path.windows(2).all(|pair| difference(&pair[0], &pair[1]) > 0.0), "states repeat");
    }
    let space = || GroupSpace { conditions: 1, targets: 6, categories: Vec::new() };
    let flow = FlowConfig { couplings: 3, width: 8, ..FlowConfig::default() };
    check(|device, rng| flow.init(space(), device, rng), 4, false);
    check(
        |device, rng| MafConfig { layers: 2, width: 8, ..MafConfig::default() }.init(space(), device, rng),
        3,
        true,
    );
    let network = || network(8, 1);
    let diffusion = DiffusionConfig { network: network(), steps: 4, ..DiffusionConfig::default() };
    check(|device, rng| diffusion.init(space(), device, rng), 5, true);
    let matching = FlowMatchingConfig { network: network(), steps: 3, ..FlowMatchingConfig::default() };
    check(|device, rng| matching.init(space(), device, rng), 4, true);
}

/// The order of features is undone: a flow without conditioner leaves every feature in its place all the way.
#[test]
fn features_keep_their_place_on_the_way_of_a_flow() {
    let (device, mut rng) = (Device::flex(), init_rng());
    let config = FlowConfig { couplings: 4, width: 4, tail_bound: 1e-6, ..FlowConfig::default() };
    let model =
        config.init(GroupSpace { conditions: 1, targets: 6, categories: Vec::new() }, &device, &mut rng);
    let noise = normal_noise(20, 6, &device, &mut rng);
    let path = model.trajectory(noise, Tensor::zeros([20, 1], &device)).expect("there are states");
    // Beyond the tail bound splines are the identity.
    for state in &path {
        let moved = (state.clone() - path[4].clone()).abs().max().into_scalar::<f32>();
        assert!(moved < 1e-5, "{moved}");
    }
}

/// Autoencoders give back what they encode; the codes of flows are the noise that gives the target.
#[test]
fn decoding_undoes_encoding() {
    let (device, mut rng) = (Device::flex(), init_rng());
    let space = || GroupSpace { conditions: 1, targets: 6, categories: Vec::new() };
    let target = normal_noise(50, 6, &device, &mut rng);
    let condition = normal_noise(50, 1, &device, &mut rng);
    let flow =
        FlowConfig { couplings: 3, width: 8, ..FlowConfig::default() }.init(space(), &device, &mut rng);
    let latent = Surrogate::latent(&flow, target.clone(), condition.clone()).expect("a flow is invertible");
    let back = flow.decode(latent, condition.clone());
    assert!((back - target.clone()).abs().max().into_scalar::<f32>() < 1e-3);
    assert!(flow.reconstruct(target.clone(), condition.clone(), &mut rng).is_none());

    let vae = VaeConfig { latents: 3, ..VaeConfig::default() }.init(space(), &device, &mut rng);
    let [input, output] =
        vae.reconstruct(target.clone(), condition.clone(), &mut rng).expect("there is an encoder");
    assert_eq!((matrix(input), vae.latent_width()), (matrix(target.clone()), 3));
    let code = Surrogate::latent(&vae, target.clone(), condition.clone()).expect("there is an encoder");
    assert_eq!(matrix(output), matrix(Surrogate::decode(&vae, code, condition.clone())));

    let corruption = Corruption::Masking { probability: 0.5 };
    let denoising = DenoisingConfig { latents: 3, corruption, ..DenoisingConfig::default() };
    let denoising = denoising.init(space(), &device, &mut rng);
    let [input, output] =
        denoising.reconstruct(target.clone(), condition, &mut rng).expect("there is an encoder");
    let kept = matrix(input).iter().zip(&matrix(target)).filter(|(seen, truth)| seen == truth).count();
    assert!((100..200).contains(&kept), "{kept} of 300 numbers were kept");
    assert_eq!((output.dims(), denoising.latent_width()), ([50, 6], 3));
}
