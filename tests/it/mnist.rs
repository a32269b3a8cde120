//! Images: IDX files imported, every configuration of `configs/mnist` on tiny drawn digits, and likelihoods of known
//! densities.

use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, FixedSizeListArray};
use arrow::datatypes::UInt8Type;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use simile_data::random;
use simile_validation::Metrics;
use tempfile::TempDir;

use crate::program::{refuse, simile, succeed, text};
use crate::toy::write;

/// Pixels along the side of a drawn digit.
const SIDE: usize = 8;
/// Segments that are lit for each digit: top, upper left, upper right, middle, lower left, lower right, bottom.
const SEGMENTS: [&[usize]; 10] = [
    &[0, 1, 2, 4, 5, 6],
    &[2, 5],
    &[0, 2, 3, 4, 6],
    &[0, 2, 3, 5, 6],
    &[1, 2, 3, 5],
    &[0, 1, 3, 5, 6],
    &[0, 1, 3, 4, 5, 6],
    &[0, 2, 5],
    &[0, 1, 2, 3, 4, 5, 6],
    &[0, 1, 2, 3, 5, 6],
];

/// A digit of a seven-segment display, shifted and with grey levels.
fn draw(digit: usize, rng: &mut ChaCha8Rng) -> [u8; SIDE * SIDE] {
    let mut image = [0; SIDE * SIDE];
    let shift = rng.gen_range(0..3);
    for &segment in SEGMENTS[digit] {
        for step in 0..4 {
            let (row, column) = match segment {
                0 | 3 | 6 => (segment, step),
                1 | 2 => (step, 3 * (segment - 1)),
                _ => (3 + step, 3 * (segment - 4)),
            };
            image[row * SIDE + column + shift] = rng.gen_range(128..=255);
        }
    }
    image
}

fn idx(sizes: &[usize], numbers: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|&size| bytes.extend((size as u32).to_be_bytes()));
    bytes.extend(numbers);
    bytes
}

/// Writes IDX files of `n` digits, and returns the paths of images and labels.
fn write_idx(folder: &Path, name: &str, n: usize) -> [PathBuf; 2] {
    let mut rng = random::stream(1, name, 0);
    let digits: Vec<u8> = (0..n).map(|i| (i % 10) as u8).collect();
    let images: Vec<u8> = digits.iter().flat_map(|&digit| draw(digit.into(), &mut rng)).collect();
    let contents = [idx(&[n, SIDE, SIDE], &images), idx(&[n], &digits)];
    let paths = ["images", "labels"].map(|what| folder.join(format!("{name}-{what}")));
    paths.iter().zip(contents).for_each(|(path, content)| std::fs::write(path, content).unwrap());
    paths
}

/// A folder with the Parquet files of drawn digits, made by the program.
struct Digits(TempDir);

impl Digits {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, n) in [("train", 400), ("test", 300)] {
            let [images, labels] = write_idx(folder.path(), name, n).map(text);
            let out = text(folder.path().join(format!("{name}.parquet")));
            let ended = succeed(&["import", &images, "--labels", &labels, "-o", &out]);
            assert!(ended.stdout.contains(&format!("{n} events")), "{}", ended.stdout);
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// What makes a model small; what has no key there stays as configured.
fn tiny(name: &str) -> Vec<String> {
    let network = |more: &str| format!("{{ width = 16, hidden = 1{more} }}");
    let players = |more: &str| {
        let network = network(&format!(", activation = \"leaky_relu\"{more}"));
        vec![
            format!("model.generator={network}"),
            format!("model.critic={network}"),
            "model.latents=4".into(),
        ]
    };
    let coder = || vec![format!("model.encoder={}", network("")), format!("model.decoder={}", network(""))];
    let prior = "model.prior={ couplings = 2, width = 8, bins = 4 }".to_owned();
    match name {
        "vae" | "cvae" => {
            [coder(), vec![prior, "validation.gates=[]".into(), "model.latents=4".into()]].concat()
        }
        "autoencoder" | "denoising_autoencoder" => {
            [coder(), vec!["model.latents=2".into(), "model.components=4".into()]].concat()
        }
        "flow" | "realnvp" => {
            ["model.couplings=2", "model.width=16", "model.hidden=1", "validation.gates=[]"]
                .map(str::to_owned)
                .into()
        }
        "gan" | "wgan" => players(""),
        "dcgan" => players(", convolutions = { image = [1, 8, 8], channels = [2, 4] }"),
        "diffusion" | "flow_matching" => {
            vec![format!("model.network={}", network(", blocks = \"layer_norm\"")), "model.steps=4".into()]
        }
        other => panic!("what makes {other} small?"),
    }
}

/// Runs a committed configuration on drawn digits; returns its metrics.
fn run(digits: &Digits, name: &str) -> Metrics {
    let config = format!("{}/configs/mnist/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let [train, test] = ["train", "test"].map(|name| text(digits.path(&format!("{name}.parquet"))));
    let mut settings = vec![
        format!("data.files=[\"{train}\"]"),
        format!("data.test_files=[\"{test}\"]"),
        "training.epochs=2".into(),
        "training.batch_size=64".into(),
        "validation.classifier={ width = 16, hidden = 1, epochs = 1 }".into(),
        "validation.c2st={ seeds = 1 }".into(),
        "validation.permutations=0".into(),
        "validation.likelihood.importance_samples=10".into(),
    ];
    settings.extend(tiny(name));
    let out = text(digits.path(name));
    let mut arguments = vec!["run".to_owned(), config, "--out".into(), out];
    settings.into_iter().for_each(|setting| arguments.extend(["--set".into(), setting]));
    succeed(&arguments);
    for file in
        ["manifest.json", "model/weights.safetensors", "generated/summary.json", "report.html", "log.jsonl"]
    {
        assert!(digits.path(name).join(file).is_file(), "{name}: no {file}");
    }
    Metrics::read(&digits.path(name).join("validation/metrics.json")).unwrap()
}

/// All of them, and the comparison of the lot; the VAE is not told the digit, and so not judged quite alike.
#[test]
fn every_configuration_runs_on_drawn_digits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/mnist");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 11, "{names:?}");
    let digits = Digits::new();
    for name in &names {
        let metrics = run(&digits, name);
        let figures = metrics.figures();
        assert!(figures.iter().any(|figure| figure.name == "c2st.observables.auc"), "{name}");
        for figure in figures {
            let finite = figure.value.is_finite() && figure.error.is_none_or(f64::is_finite);
            assert!(finite, "{name}: {figure:?}");
        }
        let likelihood = metrics.global.likelihood;
        match name.as_str() {
            "vae" | "cvae" => {
                let likelihood = likelihood.unwrap();
                let elbo = likelihood.elbo.unwrap();
                assert!(likelihood.log_likelihood.value > elbo.value && elbo.error > 0.0, "{likelihood:?}");
                assert_eq!((likelihood.importance_samples, likelihood.bits_per_dimension), (Some(10), None));
            }
            "flow" | "realnvp" => {
                let bits = likelihood.unwrap().bits_per_dimension.unwrap();
                assert!((0.0..20.0).contains(&bits.value) && bits.error > 0.0, "{bits:?}");
            }
            _ => assert!(likelihood.is_none()),
        }
    }
    let runs = names.iter().map(|name| text(digits.path(name)));
    let arguments: Vec<String> = std::iter::once("compare".to_owned())
        .chain(runs)
        .chain(["-o".to_owned(), text(digits.path("comparison")), "--force".to_owned()])
        .collect();
    succeed(&arguments);
    let table = std::fs::read_to_string(digits.path("comparison/comparison.md")).unwrap();
    for part in ["bits/dim", "log p nats"].into_iter().chain(names.iter().map(String::as_str)) {
        assert!(table.contains(part), "no {part} in\n{table}");
    }
}

/// Two pixels, each uniform over 64 levels given the one before: six bits a pixel. The figure is a bound, so no model
/// comes below; a flow comes near.
#[test]
fn bits_per_dimension_of_a_known_image() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = random::stream(1, "test/pixels", 0);
    let pixels: Vec<[u8; 2]> = (0..12_000)
        .map(|_| {
            let first = rng.gen_range(0..64);
            [first, first + rng.gen_range(0..64)]
        })
        .collect();
    let rows = pixels.iter().map(|image| Some(image.map(Some)));
    let image: ArrayRef =
        std::sync::Arc::new(FixedSizeListArray::from_iter_primitive::<UInt8Type, _, _>(rows, 2));
    let data = folder.path().join("pixels.parquet");
    write(&data, vec![("image", image)]);
    let out = folder.path().join("run");
    let config = format!("{}/configs/mnist/flow.toml", env!("CARGO_MANIFEST_DIR"));
    let settings = [
        format!("data={{ files = [\"{}\"], target = [\"image\"], split = {{ train = 0.7, validation = 0.1, test = 0.2 }} }}", text(&data)),
        "preprocessing={ image = [{ kind = \"dequantize\", width = 1.0 }, { kind = \"logit\", range = [0.0, 128.0], alpha = 0.05 }, { kind = \"standardize\" }] }".into(),
        "model={ kind = \"flow\", couplings = 4, width = 32, bins = 16, tail_bound = 4.0 }".into(),
        "training={ epochs = 30, batch_size = 128, learning_rate = 4e-3 }".into(),
        "validation={ likelihood = {}, permutations = 0, classifier = { width = 16, hidden = 1, epochs = 1 }, c2st = { seeds = 1 }, gates = [{ metric = \"bits_per_dimension\", max = 6.15 }] }".into(),
    ];
    let mut arguments = vec!["run".to_owned(), config, "--out".into(), text(&out)];
    settings.into_iter().for_each(|setting| arguments.extend(["--set".into(), setting]));
    let ended = succeed(&arguments);
    let metrics = Metrics::read(&out.join("validation/metrics.json")).unwrap();
    let bits = metrics.global.likelihood.unwrap().bits_per_dimension.unwrap();
    assert!(bits.value > 6.0 - 4.0 * bits.error && bits.error < 0.02, "{bits:?}");
    assert!(ended.stdout.contains("bits_per_dimension"), "{}", ended.stdout);
}

#[test]
fn likelihoods_that_cannot_be_are_refused_before_training() {
    let digits = Digits::new();
    let config = |name: &str| format!("{}/configs/mnist/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let [train, test] = ["train", "test"].map(|name| text(digits.path(&format!("{name}.parquet"))));
    let [files, test_files] = [format!("data.files=[\"{train}\"]"), format!("data.test_files=[\"{test}\"]")];
    let out = text(digits.path("run"));
    let arguments = |name: &str, more: &[&str]| {
        let mut arguments = vec!["run".to_owned(), config(name), "--out".into(), out.clone()];
        for setting in [files.as_str(), &test_files].iter().chain(more) {
            arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
        }
        arguments
    };
    let of_angles = "preprocessing.image=[{ kind = \"angle\" }]";
    refuse(
        digits.0.path(),
        &arguments("flow", &[of_angles]),
        &["`validation.likelihood`: the preprocessing"],
    );
    let nothing = "validation.likelihood.importance_samples=0";
    refuse(digits.0.path(), &arguments("vae", &[nothing]), &["validation.likelihood.importance_samples = 0"]);
    let of_bits = "validation.gates=[{ metric = \"bits_per_dimension\", max = 2 }]";
    refuse(digits.0.path(), &arguments("vae", &[of_bits]), &["bits_per_dimension"]);
    // A model without a density has no likelihood, and no gate on it.
    let mut settings = vec!["validation.likelihood={}", of_bits, "training.epochs=1"];
    let tiny = tiny("gan");
    settings.extend(tiny.iter().map(String::as_str));
    settings.extend([
        "validation.classifier={ width = 16, hidden = 1, epochs = 1 }",
        "validation.c2st={ seeds = 1 }",
    ]);
    let ended = simile(&arguments("gan", &settings));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("a gan has no density: no likelihood, and no gate on it"),
        "{}",
        ended.stderr
    );
}

#[test]
fn images_need_their_labels_and_another_output() {
    let digits = Digits::new();
    let [images, labels, out] =
        ["train-images", "train-labels", "train.parquet"].map(|name| text(digits.path(name)));
    let import = |more: &[&str]| {
        [&["import", &images], more].concat().into_iter().map(String::from).collect::<Vec<_>>()
    };
    refuse(digits.0.path(), &import(&["--labels", &labels, "-o", &out]), &["exists", "--overwrite"]);
    refuse(
        digits.0.path(),
        &import(&["--labels", &images, "-o", "x.parquet"]),
        &["has 3 dimensions, but labels have 1"],
    );
    let ended = simile(&import(&["-o", "x.parquet"]));
    assert!(ended.code == Some(2) && ended.stderr.contains("--labels"), "{}", ended.stderr);
    let named = import(&["--labels", &labels, "--label-column", "class", "-o", &out, "--overwrite"]);
    succeed(&named);
    assert!(succeed(&["inspect", &out]).stdout.contains("class"));
}

#[cfg(not(feature = "hdf5"))]
#[test]
fn showers_need_a_program_with_hdf5() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["import", "showers.hdf5", "--binning", "binning.xml", "-o", "showers.parquet"];
    refuse(folder.path(), &arguments, &["showers.hdf5", "--features hdf5"]);
}

/// Offline, the files may be brought by hand; here the server is one that is not there.
#[test]
fn without_a_network_fetching_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let dir = text(folder.path());
    let arguments = ["fetch", "mnist", "--dir", &dir, "--mirror", "http://127.0.0.1:9/mnist"];
    // Mirrors on the web are out of reach too.
    let mut command = crate::program::command(&arguments);
    command.env("ALL_PROXY", "http://127.0.0.1:9").env("HTTPS_PROXY", "http://127.0.0.1:9");
    let ended = command.output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{stderr}");
    for part in [
        "train-images-idx3-ubyte.gz cannot be downloaded",
        "http://127.0.0.1:9/mnist/train-images",
        &dir,
        "--mirror",
    ] {
        assert!(stderr.contains(part), "no {part} in {stderr}");
    }
}
