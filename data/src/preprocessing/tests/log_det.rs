//! Densities of columns from those of model space.

use super::*;

fn with_log_det(preprocessing: &Preprocessing, events: &Events) -> (Array2<f32>, Option<Array1<f64>>) {
    preprocessing.target_with_log_det(events, &mut random::stream(3, "test", 0)).unwrap()
}

/// Thirty values in (0, 2), and a condition.
fn train(shift: f32) -> Events {
    let x = column((0..30).map(|i| 0.11 + 0.06 * i as f32 + shift).collect());
    events(&[("x", x), ("scale", column((0..30).map(|i| 1.0 + 0.1 * i as f32).collect()))])
}

fn fit_scaled(steps: &str) -> Preprocessing {
    let config = config(&format!(r#"{{"x":{steps}}}"#));
    Preprocessing::fit(&config, &["scale".into()], &["x".into()], None, &train(0.0), 7).unwrap()
}

#[test]
fn log_determinants_are_those_of_finite_differences() {
    const H: f32 = 2e-3;
    for steps in [
        "[]",
        r#"[{"kind":"log","offset":0.5}]"#,
        r#"[{"kind":"logit","range":[-0.5,2.5],"alpha":0.05}]"#,
        r#"[{"kind":"standardize"}]"#,
        r#"[{"kind":"quantile","knots":9}]"#,
        r#"[{"kind":"relative","to":"scale","power":0.5}]"#,
        r#"[{"kind":"relative","to":"scale"},{"kind":"standardize"}]"#,
        r#"[{"kind":"whiten"}]"#,
        r#"[{"kind":"log"},{"kind":"standardize"},{"kind":"logit","range":[-9,9]},{"kind":"standardize"}]"#,
    ] {
        let preprocessing = fit_scaled(steps);
        let at = |shift| with_log_det(&preprocessing, &train(0.013 + shift));
        let ((below, _), (z, log_det), (above, _)) = (at(-H), at(0.0), at(H));
        let log_det = log_det.unwrap();
        assert_eq!(z, preprocessing.target(&train(0.013), &mut random::stream(3, "test", 0)).unwrap());
        let slope =
            |low: &Array2<f32>, high: &Array2<f32>, i| f64::from(high[[i, 0]] - low[[i, 0]]) / f64::from(H);
        // A line has a corner where both sides differ: no derivative there.
        let smooth = (0..30).filter(|&i| (slope(&below, &z, i) / slope(&z, &above, i) - 1.0).abs() < 1e-2);
        let mut compared = 0;
        for i in smooth {
            let expected = (0.5 * slope(&below, &above, i)).ln();
            assert!((log_det[i] - expected).abs() < 2e-3, "{steps}: {} instead of {expected}", log_det[i]);
            compared += 1;
        }
        assert!(compared >= 25, "{steps}: {compared} points");
    }
}

/// z = L⁻¹(x − μ) has the determinant 1/(L₁₁·L₂₂) = |Σ|^−½.
#[test]
fn whitened_components_have_the_determinant_of_their_covariance() {
    let mut x = Array2::<f32>::zeros((200, 2));
    for i in 0..200 {
        let angle = 0.7 * i as f32;
        x[[i, 0]] = 3.0 * angle.sin();
        x[[i, 1]] = 0.5 * angle.cos() + x[[i, 0]];
    }
    let train = events(&[("x", x.clone())]);
    let (_, log_det) = with_log_det(&fit_x(r#"[{"kind":"whiten"}]"#, &train).unwrap(), &train);
    let x = x.mapv(f64::from);
    let centred = &x - &x.mean_axis(Axis(0)).unwrap();
    let covariance = centred.t().dot(&centred) / 200.0;
    let determinant = covariance[[0, 0]] * covariance[[1, 1]] - covariance[[0, 1]].powi(2);
    let log_det = log_det.unwrap();
    assert!((log_det[0] + 0.5 * determinant.ln()).abs() < 1e-4 && log_det[0] == log_det[199], "{log_det}");
}

/// Levels 0 … 255, all alike: eight bits a pixel. The logit of a uniform number has a logistic distribution, cut off by α.
#[test]
fn uniform_images_have_eight_bits_a_pixel() {
    let (rows, pixels, alpha) = (500, 6, 0.01_f64);
    let image = Array2::from_shape_fn((rows, pixels), |(i, j)| ((i * 37 + j * 101) % 256) as f32);
    let train = events(&[("x", image)]);
    let steps =
        format!(r#"[{{"kind":"dequantize","width":1}},{{"kind":"logit","range":[0,256],"alpha":{alpha}}}]"#);
    let preprocessing = fit_x(&steps, &train).unwrap();
    assert!(preprocessing.is_dequantized() && !fit_scaled("[]").is_dequantized());
    let (z, log_det) = with_log_det(&preprocessing, &train);
    for (z, log_det) in z.rows().into_iter().zip(log_det.unwrap()) {
        let logistic = |z: f64| -z.abs() - 2.0 * (-z.abs()).exp().ln_1p() - (1.0 - 2.0 * alpha).ln();
        let log_prob: f64 = z.iter().map(|&z| logistic(f64::from(z))).sum::<f64>() + log_det;
        let bits = -log_prob / (pixels as f64 * std::f64::consts::LN_2);
        // Noise leaves out half of 10⁻⁴ of a cell at most.
        assert!((bits - 8.0).abs() < 2e-4, "{bits} instead of 8");
    }
    for (far, level) in [(-60.0, 0.0), (60.0, 255.0)] {
        let z = Array2::from_elem((rows, pixels), far);
        let back = preprocessing.target_inverse(z.view(), &train).unwrap().remove(0).1;
        assert!(back.iter().all(|&value| value == level), "no level beyond {level}: {}", back[[0, 0]]);
    }
}

#[test]
fn black_and_white_has_probabilities_and_codes_have_no_density() {
    let train = events(&[("x", Array2::from_shape_fn((20, 4), |(i, j)| ((i + j) % 3) as f32 / 2.0))]);
    let (z, log_det) = with_log_det(&fit_x(r#"[{"kind":"binarise"}]"#, &train).unwrap(), &train);
    assert!(z.iter().all(|&z| z == 0.0 || z == 1.0) && log_det.unwrap().iter().all(|&l| l == 0.0));
    let train = self::train(0.0);
    for steps in
        [r#"[{"kind":"angle"}]"#, r#"[{"kind":"one_hot"}]"#, r#"[{"kind":"angle"},{"kind":"standardize"}]"#]
    {
        assert!(with_log_det(&fit_x(steps, &train).unwrap(), &train).1.is_none(), "{steps}");
    }
}
