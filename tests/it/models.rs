//! Every kind of model through the whole program.

use simile::models::bundle::Manifest;
use simile_validation::Metrics;

use crate::program::{simile, succeed, text};
use crate::toy::Toy;

const NETWORK: &str = "{ width = 16, hidden = 1 }";

/// `model` tables.
fn kinds() -> Vec<(&'static str, String)> {
    let coder = format!("encoder = {NETWORK}, decoder = {NETWORK}, latents = 2");
    let critic = "{ width = 16, hidden = 1, activation = \"leaky_relu\" }";
    let players = format!("generator = {NETWORK}, critic = {critic}, latents = 2, critic_steps = 2");
    vec![
        ("maf", "layers = 2, width = 16, bins = 4".into()),
        ("cvae", format!("{coder}, prior = {{ couplings = 2, width = 8 }}, warm_up = 1, free_bits = 0.1")),
        ("vae", format!("{coder}, variance = \"per_event\"")),
        ("autoencoder", format!("{coder}, components = 4")),
        (
            "denoising-autoencoder",
            format!("{coder}, corruption = {{ kind = \"masking\", probability = 0.1 }}"),
        ),
        ("gan", players.clone()),
        ("wgan", format!("{players}, sum_constraint = 0.1")),
        ("wgan", format!("{players}, constraint = {{ kind = \"clipping\", limit = 0.1 }}")),
        ("diffusion", format!("network = {NETWORK}, steps = 5")),
        ("flow-matching", "network = { width = 16, hidden = 1, blocks = \"layer_norm\" }, steps = 3".into()),
    ]
}

/// Trained, generated, compared and reported; the bundle generates the same bytes on any number of threads.
#[test]
fn every_kind_runs() {
    let toy = Toy::tracks();
    for (i, (kind, model)) in kinds().into_iter().enumerate() {
        let run = toy.folder().join(format!("run{i}"));
        let model = format!("model={{ kind = \"{kind}\", {model} }}");
        succeed(&["run", &toy.config(), "--set", &model, "--out", &text(&run)]);
        let manifest = Manifest::load(&run.join("model")).unwrap();
        assert_eq!(manifest.kind, if kind == "vae" { "cvae" } else { kind });
        let metrics = Metrics::read(&run.join("validation/metrics.json")).unwrap();
        assert!(metrics.features.iter().all(|f| f.wasserstein.value.is_finite()), "{model}");
        assert!(run.join("report.html").is_file());
        let generate = |threads: &str| {
            let out = text(run.join(format!("{threads}.parquet")));
            let model = text(run.join("model"));
            let conditions = text(toy.data());
            let arguments = [
                "sample",
                &model,
                "--conditions",
                &conditions,
                "-o",
                &out,
                "-n",
                "3000",
                "--threads",
                threads,
            ];
            succeed(&arguments);
            std::fs::read(out).unwrap()
        };
        assert!(generate("1") == generate("3"), "{model}: one and three threads give other events");
    }
}

/// Epochs of one step each: in the second the critic has no turn, and no loss.
#[test]
fn an_epoch_may_pass_without_a_turn() {
    let toy = Toy::tracks();
    let run = text(toy.run());
    let model = "model={ kind = \"gan\", critic_steps = 1 }";
    let training = "training={ epochs = 3, batch_size = 2000 }";
    succeed(&["run", &toy.config(), "--set", model, "--set", training, "--out", &run]);
    let log = std::fs::read_to_string(toy.run().join("log.jsonl")).unwrap();
    let losses: Vec<bool> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["train_loss"].is_number())
        .collect();
    assert_eq!(losses, [true, false, true]);
}

/// A generator that has hardly learnt has found none of the modes; that it has no density is said, and no gate.
#[test]
fn a_generator_without_modes_fails_its_gate() {
    let folder = tempfile::tempdir().unwrap();
    let out = text(folder.path().join("run"));
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/toys/ring.toml");
    let data = concat!("data.files=[\"", env!("CARGO_MANIFEST_DIR"), "/data/samples/toys/ring.parquet\"]");
    let gates = "validation.gates=[{ metric = \"modes.recovered\", min = 8 }]";
    let mut arguments = vec!["run", config, "--out", &out, "--set", data, "--set", gates];
    let settings = [
        "model={ kind = \"gan\", generator_loss = \"minimax\", critic_steps = 20 }",
        "training={ epochs = 1 }",
        "validation.classifier={ width = 16, hidden = 1, epochs = 1 }",
        "validation.c2st={ seeds = 1 }",
    ];
    settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
    let ended = simile(&arguments);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("FAILED   modes.recovered"), "{}", ended.stdout);
    assert!(
        !ended.stdout.contains("kl") && ended.stderr.contains("a gan has no density"),
        "{}",
        ended.stderr
    );
}
