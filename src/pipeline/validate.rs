//! Stage 4: compares the generated events with the test events.

use burn::tensor::Device;
use simile_data::{Dataset, Split};
use simile_validation::c2st::{ClassifierError, Labelled, Scorer, TwoSampleClassifier};
use simile_validation::metrics::KlMetrics;
use simile_validation::{ValidateOptions, Validation, write_weights};

use super::images::{self, Images, Source};
use super::{
    Observer, PipelineError, RunDirectory, create_parent, divergence, gallery, latents, likelihood, nested,
    prepare,
};
use crate::models::MlpClassifier;
use crate::models::bundle::Bundle;

pub(super) fn validate(
    run: &RunDirectory,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<(), PipelineError> {
    let reference = prepare::open(&run.prepared(Split::Test))?;
    let candidate = prepare::open(&run.generated())?;
    let config = &run.config.validation;
    let bundle = Bundle::load(&run.model(), device)?;
    let mut options = options(run, ["reference", "surrogate"])?;
    options.kl = divergence::kl(run, &bundle, &reference, device)?;
    options.likelihood = likelihood::likelihood(run, &bundle, &reference, device)?;
    options.events = nested::compare(run)?;
    let images = read_images(run, &reference, &candidate, device)?;
    options.images = images.as_ref().map(|images| images.metrics(&options)).transpose()?;
    let classifier = MlpClassifier::new(config.classifier.clone(), device.clone());
    let classifier: &dyn TwoSampleClassifier = &classifier;
    let observer = std::cell::RefCell::new(observer);
    let progress = |message: &str| observer.borrow_mut().message(message);
    let Validation { metrics, weights } =
        simile_validation::validate(&reference, &candidate, &options, Some(classifier), &progress)?;
    if let Some(found) = metrics.images.as_ref().and_then(|images| images.classified.as_ref()) {
        progress(&images::summary(found));
    }
    create_parent(&run.metrics())?;
    write_weights(&weights, &run.weights())?;
    if let Some(images) = &images {
        let figures = gallery::figures(run, &bundle, images, &reference, device)?;
        let figures = serde_json::to_string(&figures).expect("images are representable in JSON");
        simile_data::write_file(run.images(), figures)?;
    }
    if let Some(map) = latents::latent_map(run, &bundle, &reference, device)? {
        let map = serde_json::to_string(&map).expect("numbers are representable in JSON");
        simile_data::write_file(run.latent_map(), map)?;
    }
    Ok(metrics.write(&run.metrics())?)
}

/// Compares the test events with themselves, but trains no classifier. What would stop the comparison (a column that is
/// not there, too few events, a gate on a figure that does not exist) is thus found before training.
pub(super) fn rehearse(run: &RunDirectory, observer: &mut dyn Observer) -> Result<(), PipelineError> {
    let test = prepare::open(&run.prepared(Split::Test))?;
    let mut options = options(run, ["the test split"; 2])?;
    options.c2st.seeds = 1;
    if run.config.validation.log_density.is_some() {
        if run.config.model.has_density() {
            options.kl = Some(KlMetrics::default());
        } else {
            observer.message(&format!(
                "a {} has no density: no divergence, and no gate on it",
                run.config.model.kind()
            ));
        }
    }
    options.likelihood = likelihood::rehearse(run, &test, observer)?;
    options.events = nested::rehearse(run)?;
    let images = read_images(run, &test, &test, &Device::flex())?;
    options.images = images.map(|images| images.metrics(&options)).transpose()?;
    simile_validation::validate(&test, &test, &options, Some(&Undecided), &|_| ())?;
    Ok(())
}

/// The images of both samples, where events are images.
fn read_images(
    run: &RunDirectory,
    reference: &Dataset,
    candidate: &Dataset,
    device: &Device,
) -> Result<Option<Images>, PipelineError> {
    let validation = &run.config.validation;
    let Some(config) = &validation.images else { return Ok(None) };
    let is_conditional = config.label.as_ref().is_some_and(|label| run.config.data.condition.contains(label));
    let samples = [reference, candidate];
    let mut images =
        Source { config, samples, is_conditional, max_events: validation.max_events }.read(device)?;
    images.search(&prepare::open(&run.prepared(Split::Train))?, run.config.seed)?;
    Ok(Some(images))
}

/// What the configuration asks for. Gates on densities hold for models that have a density, so that one configuration
/// serves all kinds.
fn options(run: &RunDirectory, labels: [&str; 2]) -> Result<ValidateOptions, PipelineError> {
    let config = &run.config;
    let mut options = config.validation.options(config.seed, labels)?;
    if !config.model.has_density() {
        let of_density = |metric: &str| match metric {
            "kl" => config.validation.log_density.is_some(),
            "log_likelihood" | "elbo" | "bits_per_dimension" => config.validation.likelihood.is_some(),
            _ => false,
        };
        options.gates.retain(|gate| !of_density(&gate.metric));
    }
    Ok(options)
}

/// Finds all events alike.
struct Undecided;

impl TwoSampleClassifier for Undecided {
    fn name(&self) -> &str {
        "undecided"
    }

    fn fit(&self, _: &Labelled<'_>, _: &Labelled<'_>, _: u64) -> Result<Box<Scorer<'_>>, ClassifierError> {
        Ok(Box::new(|x| vec![0.0; x.nrows()]))
    }
}
