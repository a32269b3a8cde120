//! A validation with realistic content.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::*;
use crate::histogram::Content;
use crate::metrics::*;
use crate::sample::Feature;
use crate::statistics::poisson_interval;

/// A normally distributed number (Box and Muller 1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (random.gen_range(f64::MIN_POSITIVE..1.0), random.r#gen());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn contents(values: &[f64], edges: &[f64], events: f64) -> HistogramContents {
    let inside = |low: f64, high: f64| values.iter().filter(|v| (low..high).contains(*v)).count() as f64;
    let counts: Vec<f64> = edges.windows(2).map(|pair| inside(pair[0], pair[1])).collect();
    HistogramContents {
        values: counts.iter().map(|count| count / events).collect(),
        errors: counts.iter().map(|count| count.sqrt() / events).collect(),
        intervals: counts
            .iter()
            .map(|&count| {
                poisson_interval(Content { sumw: count, sumw2: count }, 1.0).map(|end| end / events)
            })
            .collect(),
        underflow: inside(f64::NEG_INFINITY, edges[0]) / events,
        overflow: inside(edges[edges.len() - 1], f64::INFINITY) / events,
        entries: values.len() as u64,
    }
}

fn moments(values: &[f64]) -> Moments {
    let number = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / number;
    let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / number).sqrt();
    Moments { mean, mean_error: std / number.sqrt(), std, std_error: std / (2.0 * number).sqrt() }
}

/// A feature with `draw` as the reference and a slightly shifted and narrowed candidate.
fn feature(feature: Feature, range: (f64, f64), draw: impl Fn(f64) -> f64, events: usize) -> FeatureMetrics {
    let mut random = ChaCha8Rng::seed_from_u64(feature.name.len() as u64);
    let reference: Vec<f64> = (0..events).map(|_| draw(normal(&mut random))).collect();
    let candidate: Vec<f64> = (0..events).map(|_| draw(0.97 * normal(&mut random) + 0.02)).collect();
    let edges: Vec<f64> = (0..=45)
        .map(|edge| f64::from(edge) / 45.0)
        .map(|t| {
            if feature.log_x {
                range.0 * (range.1 / range.0).powf(t)
            } else {
                range.0 + t * (range.1 - range.0)
            }
        })
        .collect();
    let normalisation = if feature.per_event { events as f64 } else { events as f64 / 60.0 };
    let p_value = feature.per_event.then_some(0.034);
    FeatureMetrics {
        ks: KsMetrics { statistic: 0.0131, p_value, floor: 0.0112 },
        anderson_darling: TestMetrics { statistic: 2.9, p_value },
        cramer_von_mises: TestMetrics { statistic: 0.5, p_value },
        chi2: Chi2Metrics { statistic: 52.3, ndf: 44, p_value },
        permutation: Some(PermutationMetrics {
            permutations: 999,
            events: [12_500; 2],
            ks: 0.037,
            anderson_darling: 0.031,
            energy_distance: 0.028,
        }),
        adjusted: p_value.map(|p| AdjustedPValues { holm: 4.0 * p, benjamini_hochberg: 2.0 * p }),
        wasserstein: Floored { value: 0.00213, error: 0.00041, floor: 0.00198 },
        separation_power: Floored { value: 0.0021, error: 0.0002, floor: 0.0018 },
        energy_distance: Floored { value: 0.031, error: 0.002, floor: 0.029 },
        jensen_shannon: Floored { value: 0.0015, error: 0.0001, floor: 0.0013 },
        reference: moments(&reference),
        candidate: moments(&candidate),
        histogram: HistogramPair {
            reference: contents(&reference, &edges, normalisation),
            candidate: contents(&candidate, &edges, normalisation),
            edges,
        },
        feature,
    }
}

fn describe(
    name: &str,
    label: &str,
    unit: Option<&str>,
    log_x: bool,
    log_y: bool,
    per_event: bool,
) -> Feature {
    Feature { name: name.into(), label: label.into(), unit: unit.map(str::to_owned), log_x, log_y, per_event }
}

fn features() -> Vec<FeatureMetrics> {
    let mut features = vec![
        feature(
            describe("visible_over_incident", "Visible over incident energy", None, false, false, true),
            (0.15, 0.24),
            |z| 0.195 + 0.011 * z,
            12_500,
        ),
        feature(
            describe("total_energy", "Total visible energy", Some("MeV"), true, false, true),
            (50.0, 20_000.0),
            |z| (7.0 + z).exp(),
            12_500,
        ),
        feature(
            describe("depth", "Shower depth", Some("X0"), false, true, true),
            (2.0, 18.0),
            |z| 9.0 + 1.6 * z,
            12_500,
        ),
        feature(
            describe("cell_energy", "Energy per cell", Some("MeV"), true, true, false),
            (1e-2, 1e4),
            |z| (0.8 + 2.1 * z).exp(),
            400_000,
        ),
    ];
    for layer in 1..=3 {
        let (name, label) = (format!("layer_energy_{layer}"), format!("Energy in layer {layer}"));
        let scale = 400.0 * f64::from(layer);
        features.push(feature(
            describe(&name, &label, Some("MeV"), false, true, true),
            (0.0, 5.0 * scale),
            move |z| scale * (0.5 * z).exp(),
            12_500,
        ));
    }
    features
}

fn response() -> ResponseMetrics {
    let bins = (0..5)
        .map(|bin| {
            let (low, high) =
                (500.0 * 100f64.powf(f64::from(bin) / 5.0), 500.0 * 100f64.powf(f64::from(bin + 1) / 5.0));
            let energy = (low * high).sqrt();
            let resolution = (0.09f64.powi(2) * 1000.0 / energy + 0.007f64.powi(2)).sqrt();
            let point = |scale: f64, narrow: f64| ResponsePoint {
                events: 2500,
                mean: 0.195 * (1.0 - 0.03 * (1000.0 / energy).sqrt()) * scale,
                mean_error: 0.195 * resolution / 50.0,
                resolution: resolution * narrow,
                resolution_error: resolution / 70.0,
            };
            ResponseBin {
                energy_low: low,
                energy_high: high,
                energy_mean: energy,
                reference: point(1.0, 1.0),
                candidate: point(1.0007, if bin == 0 { 0.96 } else { 0.97 }),
                mean_deviation: Estimate { value: 0.0007, error: 1.41 * resolution / 50.0 },
                resolution_deviation: Estimate {
                    value: if bin == 0 { -0.04 } else { -0.03 },
                    error: 1.39 / 70.0,
                },
            }
        })
        .collect();
    ResponseMetrics {
        bins,
        mean_deviation: 0.0007,
        mean_deviation_error: 0.0024,
        resolution_deviation: 0.04,
        resolution_deviation_error: 0.020,
    }
}

fn classifier(name: &str, auc: f64) -> C2stMetrics {
    let curve =
        |auc: f64| (0..=50).map(|i| f64::from(i) / 50.0).map(|x: f64| [x, x.powf(1.0 / auc - 1.0)]).collect();
    C2stMetrics {
        name: name.into(),
        classifier: "MLP 3×256".into(),
        auc,
        error: 0.004,
        floor: 0.502,
        floor_error: 0.003,
        jensen_shannon: DistanceMetrics { value: 0.004, error: 0.001, floor: 0.0, floor_error: 0.001 },
        weights: WeightMetrics { histogram: weights(), effective: 0.94 },
        seeds: 3,
        events_per_class: 12_500,
        roc: curve(auc),
        floor_roc: curve(0.502),
    }
}

fn weights() -> HistogramPair {
    let edges: Vec<f64> = (-20..=20).map(|i| 10f64.powf(0.1 * f64::from(i))).collect();
    let bell = |center: f64| {
        let values: Vec<f64> =
            (-20..20).map(|i| 0.2 * (-0.1 * (f64::from(i) - center).powi(2)).exp()).collect();
        let errors: Vec<f64> = values.iter().map(|value| 0.01 * value.sqrt()).collect();
        let intervals =
            values.iter().zip(&errors).map(|(value, error)| [value - error, value + error]).collect();
        HistogramContents { values, errors, intervals, underflow: 0.0, overflow: 0.001, entries: 12_500 }
    };
    HistogramPair { edges, reference: bell(0.5), candidate: bell(-0.5) }
}

fn correlations() -> CorrelationMetrics {
    let features = 12;
    let matrix = |tilt: f64| -> Vec<Vec<f64>> {
        let value = |i: usize, j: usize| (0.6 * (i as f64 - j as f64)).cos() + tilt * (i * j) as f64;
        (0..features).map(|i| (0..features).map(|j| value(i, j).clamp(-1.0, 1.0)).collect()).collect()
    };
    CorrelationMetrics {
        features: (0..features).map(|i| format!("Feature {i}")).collect(),
        reference: matrix(0.0),
        candidate: matrix(0.001),
    }
}

fn neighbours() -> NeighbourMetrics {
    let figure = |value, floor| DistanceMetrics { value, error: 0.004, floor, floor_error: 0.003 };
    NeighbourMetrics {
        neighbours: 5,
        events: 1250,
        precision: figure(0.812, 0.831),
        recall: figure(0.806, 0.829),
        density: figure(0.951, 0.998),
        coverage: figure(0.940, 0.968),
    }
}

fn profiles() -> Profiles {
    let r_edges_mm = vec![0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0];
    let layers = (0..3)
        .map(|layer| {
            let energy = [350.0, 900.0, 240.0][layer];
            let voxels = |tilt: f64| -> Vec<f64> {
                (0..8 * 6)
                    .map(|voxel| (f64::from(voxel % 6), f64::from(voxel / 6)))
                    .map(|(ring, sector)| {
                        energy / 10.0
                            * (-1.3 * ring).exp()
                            * (1.0 + tilt * (ring - 1.0) + 0.3 * tilt * (sector - 3.5))
                    })
                    .collect()
            };
            let mean = |scale: f64, tilt: f64| LayerMean {
                energy_mev: energy * scale,
                energy_error_mev: 4.0,
                voxels_mev: voxels(tilt),
            };
            LayerProfile {
                x0: Some([6.0 * layer as f64, 6.0 * (layer as f64 + 1.0)]),
                r_edges_mm: r_edges_mm.clone(),
                n_alpha: 8,
                alpha_begin: None,
                reference: mean(1.0, 0.0),
                candidate: mean(1.006, 0.02),
            }
        })
        .collect();
    Profiles { layers }
}

/// Four modes, the last of which the candidate has lost.
fn modes() -> ModeMetrics {
    let share = |value: f64| Share { value, error: (value * (1.0 - value) / 12_500.0).sqrt() };
    let modes =
        [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]].iter().enumerate().map(|(index, centre)| {
            let candidate = share([0.32, 0.31, 0.29, 0.02][index]);
            ModeShares { centre: centre.to_vec(), reference: share(0.245), candidate, recovered: index < 3 }
        });
    ModeMetrics {
        columns: vec!["x".into(), "y".into()],
        radius: 0.6,
        modes: modes.collect(),
        recovered: 3,
        recovered_floor: 4.0,
        outside: share(0.06),
        outside_floor: share(0.02),
    }
}

/// Gaussians at the modes.
fn plane() -> PlaneMetrics {
    let edges: Vec<f64> = (0..=60).map(|edge| -2.0 + f64::from(edge) / 15.0).collect();
    let middles: Vec<f64> = edges.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])).collect();
    let contents = |sample: fn(&ModeShares) -> f64| {
        let modes = modes().modes;
        let density = |x: f64, y: f64| -> f64 {
            let peak = |mode: &ModeShares| {
                let squares = (x - mode.centre[0]).powi(2) + (y - mode.centre[1]).powi(2);
                sample(mode) * (-0.5 * squares / 0.04).exp() / (0.04 * std::f64::consts::TAU)
            };
            modes.iter().map(peak).sum()
        };
        let share = |x: &f64, y: &f64| (density(*x, *y) / 225.0 * 12_500.0).round() / 12_500.0;
        let shares = middles.iter().flat_map(|y| middles.iter().map(move |x| share(x, y)));
        PlaneContents { shares: shares.collect(), outside: 0.001 }
    };
    PlaneMetrics {
        x: describe("x", "x", Some("mm"), false, false, true),
        y: describe("y", "y", Some("mm"), false, false, true),
        reference: contents(|mode| mode.reference.value),
        candidate: contents(|mode| mode.candidate.value),
        x_edges: edges.clone(),
        y_edges: edges,
    }
}

/// Latents mapped to a bent plane.
pub(crate) fn example_latents() -> LatentMap {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let latents: Vec<[f32; 2]> = (0..500).map(|_| [0, 1].map(|_| normal(&mut random) as f32)).collect();
    LatentMap {
        targets: latents.iter().map(|[a, b]| [a + 0.5 * b, b - 0.3 * a * a]).collect(),
        latents,
        latent_labels: ["z₁", "z₂"].map(String::from),
        target_labels: ["x [mm]", "y [mm]"].map(String::from),
    }
}

/// A validation of showers with every part present, one gate failed.
pub(crate) fn example() -> Metrics {
    let info = |label: &str, file: &str| SampleInfo {
        label: label.into(),
        events: 12_500,
        sum_of_weights: 12_500.0,
        files: vec![file.into()],
    };
    let gate = |name: &str, value, limit, passed| Gate {
        name: name.into(),
        bound: Bound::Max,
        value,
        error: name.starts_with("c2st").then_some(0.004),
        limit,
        passed,
    };
    Metrics {
        schema_version: SCHEMA_VERSION,
        reference: info("Geant4", "test.parquet"),
        candidate: info("surrogate", "generated.parquet"),
        features: features(),
        response: Some(response()),
        global: GlobalMetrics {
            c2st: vec![classifier("voxels", 0.523), classifier("observables", 0.552)],
            correlation_distance: Some(Floored { value: 0.013, error: 0.002, floor: 0.009 }),
            correlations: Some(correlations()),
            fpd: Some(DistanceMetrics { value: 0.0021, error: 0.0003, floor: 0.0004, floor_error: 0.0001 }),
            kpd: Some(DistanceMetrics { value: 3e-5, error: 4e-5, floor: -1e-6, floor_error: 3e-5 }),
            neighbours: Some(neighbours()),
            mmd: Some(DistanceMetrics { value: 4e-4, error: 2e-4, floor: 1e-5, floor_error: 2e-4 }),
            sliced_wasserstein: Some(DistanceMetrics {
                value: 0.011,
                error: 0.002,
                floor: 0.006,
                floor_error: 0.0003,
            }),
            modes: Some(modes()),
            kl: Some(KlMetrics { value: 0.021, error: 0.004 }),
            likelihood: None,
        },
        profiles: Some(profiles()),
        plane: Some(plane()),
        events: None,
        images: None,
        gates: vec![
            gate("c2st.voxels.auc", 0.523, 0.53, true),
            gate("c2st.observables.auc", 0.552, 0.54, false),
            gate("response.mean_deviation", 0.0007, 0.005, true),
        ],
        verdict: Verdict::Fail,
    }
}

/// A training of twelve epochs.
pub(crate) fn example_curves() -> LearningCurves {
    let epochs = (1..=12)
        .map(|epoch| {
            let (t, wave) = (epoch as f64 / 12.0, (epoch as f64 * 2.3).sin());
            EpochPoint {
                epoch,
                train_loss: -120.0 - 60.0 * (1.0 - (-5.0 * t).exp()),
                validation_loss: -118.0 - 58.0 * (1.0 - (-5.0 * t).exp()) + wave,
                figures: [("diversity".to_string(), 0.9 + 0.1 * t)].into(),
                learning_rate: 1e-3 * (std::f64::consts::PI * t).sin().max(1e-3),
                seconds: 23.0,
            }
        })
        .collect();
    LearningCurves { epochs, loss_label: "Negative log-likelihood per event".into(), judge_label: None }
}

pub(crate) fn example_images() -> ImageFigures {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut image = || (0..64).map(|_| random.r#gen()).collect::<Vec<u8>>();
    let mut row = |label: usize| ImageRow {
        label: label.to_string(),
        apart: label == 3,
        images: (0..8).map(|_| image()).collect(),
    };
    let mut block = |heading: &str| ImageBlock {
        heading: heading.into(),
        columns: (1..9).map(|column| column.to_string()).collect(),
        rows: (0..6).map(&mut row).collect(),
    };
    let sheet = ImageSheet {
        name: "samples".into(),
        title: "Images".into(),
        caption: "Images of both samples.".into(),
        section: "Images".into(),
        blocks: ["Reference", "Surrogate"].map(&mut block).into(),
    };
    let map = ClassMap {
        points: (0..300).map(|_| [normal(&mut random) as f32, normal(&mut random) as f32]).collect(),
        classes: (0..300).map(|point| point % 10).collect(),
        labels: (0..10).map(|class| class.to_string()).collect(),
        axes: ["z₁", "z₂"].map(String::from),
        caption: "Codes of test images.".into(),
    };
    ImageFigures { size: [8, 8], sheets: vec![sheet], map: Some(map) }
}
