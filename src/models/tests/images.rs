//! Models of images: spots whose place is known.

use super::*;

const SIDE: usize = 8;
/// Width of a spot in pixels.
const SPOT: f32 = 1.2;

/// Images of a spot at x = c and y ~ N(0, 1), in pixels from the middle, with noise.
fn spots(size: usize, device: &Device, rng: &mut ChaCha8Rng) -> Batch {
    let conditions: Vec<f32> = (0..size).map(|_| rng.gen_range(-1.5f32..1.5)).collect();
    let mut images = Vec::with_capacity(size * SIDE * SIDE);
    for &c in &conditions {
        let y = rng.sample::<f32, _>(StandardNormal);
        for pixel in 0..SIDE * SIDE {
            let [row, column] = [pixel / SIDE, pixel % SIDE].map(|i| i as f32 - 0.5 * (SIDE - 1) as f32);
            let r2 = (row - y).powi(2) + (column - c).powi(2);
            let noise: f32 = rng.sample(StandardNormal);
            images.push(4.0 * (-0.5 * r2 / (SPOT * SPOT)).exp() + 0.3 * noise);
        }
    }
    Batch::new(
        Tensor::from_data(TensorData::new(images, [size, SIDE * SIDE]), device),
        Tensor::from_data(TensorData::new(conditions, [size, 1]), device),
    )
}

/// Where the light of every image is, `[x, y]`.
fn centres(images: &Array2<f32>) -> Vec<[f32; 2]> {
    let of = |image: ndarray::ArrayView1<f32>| {
        let mut sums = [0.0; 3];
        for (pixel, &light) in image.iter().enumerate().filter(|(_, light)| **light > 0.2) {
            let [row, column] = [pixel / SIDE, pixel % SIDE].map(|i| i as f32 - 0.5 * (SIDE - 1) as f32);
            sums = [sums[0] + light, sums[1] + light * column, sums[2] + light * row];
        }
        [sums[1] / sums[0], sums[2] / sums[0]]
    };
    images.outer_iter().map(of).collect()
}

/// Spots lie where their condition says, and as wide along the other axis as true ones. Spots in the middle, whatever the
/// condition, would be 0.87 pixels beside their place.
fn check_spots<M: Surrogate>(name: &str, model: &M, tolerance: f32) {
    let mut rng = random::stream(4, "test/spots", 0);
    let truth = spots(1000, &Device::flex(), &mut rng);
    let drawn = matrix(model.sample(truth.condition.clone(), &mut rng));
    let condition: Vec<f32> = truth.condition.into_data().iter::<f32>().collect();
    let [truth, drawn] = [&matrix(truth.target), &drawn].map(centres);
    let rms = |values: &mut dyn Iterator<Item = f32>| {
        (values.map(|value| value * value).sum::<f32>() / truth.len() as f32).sqrt()
    };
    let [floor, miss] =
        [&truth, &drawn].map(|spots| rms(&mut spots.iter().zip(&condition).map(|(spot, c)| spot[0] - c)));
    let [true_width, width] = [&truth, &drawn].map(|spots| rms(&mut spots.iter().map(|spot| spot[1])));
    let excess = (miss * miss - floor * floor).max(0.0).sqrt();
    assert!(excess < tolerance, "{name}: spots are {miss} pixels beside their place, true ones {floor}");
    assert!((width / true_width - 1.0).abs() < tolerance, "{name}: width {width}, of true ones {true_width}");
}

const SPOTS: GroupSpace = GroupSpace { conditions: 1, targets: SIDE * SIDE, categories: Vec::new() };

/// Trains on so many images at a time for so many steps.
fn train_on_spots<M: Surrogate>([images, steps]: [usize; 2], rate: f64, init: impl Fn(&Device) -> M) -> M {
    train_on(|device, rng| spots(images, device, rng), init, steps as u64, rate)
}

fn convolutional(activation: ActivationKind) -> NetworkConfig {
    let convolutions = Some(ConvolutionsConfig { image: [1, SIDE, SIDE], channels: vec![8, 16] });
    NetworkConfig { activation, convolutions, ..network(64, 2) }
}

#[test]
fn a_convolutional_vae_draws_images() {
    let network = || convolutional(ActivationKind::Silu);
    let config = VaeConfig { latents: 2, encoder: network(), decoder: network(), ..VaeConfig::default() };
    let model = train_on_spots([64, 600], 3e-3, |device| config.init(SPOTS, device, &mut init_rng()));
    check_spots("vae", &model, 0.3);
}

#[test]
fn a_convolutional_wasserstein_gan_draws_images() {
    let network = || convolutional(ActivationKind::LeakyRelu);
    let constraint = Constraint::GradientPenalty { weight: 1.0 };
    let config = WganConfig {
        latents: 4,
        generator: network(),
        critic: network(),
        constraint,
        ..WganConfig::default()
    };
    let model = train_on_spots([64, 1200], 1e-3, |device| config.init(SPOTS, device, &mut init_rng()));
    check_spots("wgan", &model, 0.7);
}

#[test]
fn convolutional_flow_matching_draws_images() {
    let config =
        FlowMatchingConfig { network: convolutional(ActivationKind::Silu), ..FlowMatchingConfig::default() };
    let model = train_on_spots([64, 400], 3e-3, |device| config.init(SPOTS, device, &mut init_rng()));
    check_spots("flow matching", &model, 0.3);
}

/// Fewer units than pixels suffice where the network gives the expected data.
#[test]
fn narrow_networks_of_expected_data_draw_images() {
    let prediction = Prediction::Data;
    let config = FlowMatchingConfig { network: network(40, 3), prediction, ..FlowMatchingConfig::default() };
    let model = train_on_spots([128, 1500], 3e-3, |device| config.init(SPOTS, device, &mut init_rng()));
    check_spots("flow matching", &model, 0.3);
}
