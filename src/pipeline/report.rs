//! Stage 5: draws the figures and writes the report.

use simile_validation::Metrics;
use simile_validation::plots::format::with_error;
use simile_validation::plots::{EpochPoint, ImageFigures, LatentMap, LearningCurves, write_plots};
use simile_validation::report::{ReportContext, write_report};

use super::{GenerationRecord, Observer, PipelineError, RunDirectory, Stage, Summary, read};
use crate::models::Judge;
use crate::models::bundle::Manifest;
use crate::sampling::Rate;
use crate::training::EpochRecord;

pub(super) fn report(run: &RunDirectory, observer: &mut dyn Observer) -> Result<(), PipelineError> {
    let metrics = Metrics::read(&run.metrics())?;
    let manifest = Manifest::load(&run.model())?;
    let curves = learning_curves(run)?;
    let latents: Option<LatentMap> =
        run.latent_map().exists().then(|| read(&run.latent_map())).transpose()?;
    let images: Option<ImageFigures> = run.images().exists().then(|| read(&run.images())).transpose()?;
    let figures = write_plots(&metrics, Some(&curves), latents.as_ref(), images.as_ref(), &run.plots())?;
    let context = ReportContext {
        title: run.config.title.clone(),
        subtitle: format!(
            "{} surrogate, {} generated events against {} of the reference",
            manifest.kind, metrics.candidate.events, metrics.reference.events
        ),
        facts: facts(run, &manifest)?,
        config_toml: run.config.to_toml(),
    };
    write_report(&run.report(), &context, &metrics, &figures, Some(&curves))?;
    observer.message(&format!("{} figures; report: {}", figures.len(), run.report().display()));
    Ok(())
}

fn learning_curves(run: &RunDirectory) -> Result<LearningCurves, PipelineError> {
    let path = run.log();
    let damaged = |reason: String| PipelineError::Damaged { path: path.clone(), reason };
    let text = std::fs::read_to_string(&path).map_err(|error| damaged(error.to_string()))?;
    let mut epochs = Vec::new();
    for line in text.lines() {
        let mut json: serde_json::Value =
            serde_json::from_str(line).map_err(|error| damaged(error.to_string()))?;
        if json["event"] != "epoch" {
            continue;
        }
        json.as_object_mut().map(|object| object.remove("event"));
        let record: EpochRecord = serde_json::from_value(json).map_err(|error| damaged(error.to_string()))?;
        epochs.push(EpochPoint {
            epoch: record.epoch,
            train_loss: record.train_loss,
            validation_loss: record.validation_loss.unwrap_or(f64::NAN),
            figures: record.figures,
            learning_rate: record.learning_rate,
            seconds: record.seconds,
        });
    }
    let model = &run.config.model;
    let judge_label = (model.judge() == Judge::Distance).then(|| "validation distance".to_string());
    Ok(LearningCurves { epochs, loss_label: model.loss_label().to_string(), judge_label })
}

/// What a reader wants to know about the run, in the order in which it is shown.
fn facts(run: &RunDirectory, manifest: &Manifest) -> Result<Vec<(String, String)>, PipelineError> {
    let summary: Summary = read(&run.summary())?;
    let generation: GenerationRecord = read(&run.generation())?;
    let training = &manifest.training;
    let mut facts = vec![
        ("Input".to_string(), summary.files.keys().cloned().collect::<Vec<_>>().join(", ")),
        (
            "Events".into(),
            format!("{} training, {} validation, {} test", summary.train, summary.validation, summary.test),
        ),
        ("Conditions".into(), run.config.data.condition.join(", ")),
        ("Targets".into(), run.config.data.target.join(", ")),
        ("Model".into(), format!("{}, {} parameters", manifest.kind, manifest.parameters)),
        (
            "Training".into(),
            format!(
                "{} epochs in {}, epoch {} kept",
                training.epochs,
                duration(training.seconds),
                training.best_epoch
            ),
        ),
        (
            "Generation".into(),
            format!(
                "on one thread {} events/s one by one, {} events/s in chunks of {}; median and spread of {} repetitions",
                rate(&generation.single),
                rate(&generation.chunk),
                generation.chunk.batch,
                generation.chunk.repetitions
            ),
        ),
    ];
    if let Some(seconds) = summary.reference_seconds {
        let speed = format!(
            "{:.0} times faster than the reference ({:.3} s an event on one core)",
            generation.chunk.events_per_second * seconds,
            seconds
        );
        facts.push(("Speed".into(), speed));
    }
    facts.extend(training.figures.iter().map(|(name, value)| (capitalised(name), plain(*value))));
    let stages: Vec<String> = Stage::ALL
        .into_iter()
        .filter_map(|stage| {
            run.seconds(stage).map(|seconds| format!("{} {}", stage.name(), duration(seconds)))
        })
        .collect();
    facts.extend([
        ("Stages".to_string(), stages.join(", ")),
        ("Seed".into(), run.config.seed.to_string()),
        ("simile".into(), env!("CARGO_PKG_VERSION").into()),
    ]);
    Ok(facts)
}

fn capitalised(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

/// A count as it is, another number with four decimals.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 { value.to_string() } else { format!("{value:.4}") }
}

fn rate(rate: &Rate) -> String {
    with_error(rate.events_per_second, rate.spread)
}

/// A time in seconds or minutes.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1} s") } else { format!("{:.1} min", seconds / 60.0) }
}
