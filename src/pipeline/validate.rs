//! Stage 4: compares the generated events with the test events.

use burn::tensor::Device;
use simile_data::Split;
use simile_validation::c2st::TwoSampleClassifier;

use super::{Observer, PipelineError, RunDirectory, create_parent, prepare};
use crate::models::MlpClassifier;

pub(super) fn validate(
    run: &RunDirectory,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<(), PipelineError> {
    let reference = prepare::open(&run.prepared(Split::Test))?;
    let candidate = prepare::open(&run.generated())?;
    let config = &run.config.validation;
    let options = config.options(run.config.seed, ["reference", "surrogate"])?;
    let classifier = MlpClassifier::new(config.classifier.clone(), device.clone());
    let classifier: &dyn TwoSampleClassifier = &classifier;
    let observer = std::cell::RefCell::new(observer);
    let progress = |message: &str| observer.borrow_mut().message(message);
    let metrics = simile_validation::validate(&reference, &candidate, &options, Some(classifier), &progress)?;
    create_parent(&run.metrics())?;
    Ok(metrics.write(&run.metrics())?)
}
