//! The part of nested events in the stages of a run: filled by `sample`, compared by `validate`.

use simile_data::Dataset;
use simile_validation::{EventMetrics, EventOptions, compare_events};

use super::{Observer, PipelineError, RunDirectory, prepare};
use crate::events::{self, EventsConfig, FillOptions};
use crate::files;
use crate::models::bundle::Bundle;

/// Fills the nested events of the run, if there are any.
pub(super) fn fill(
    run: &RunDirectory,
    bundle: &Bundle,
    device: &burn::tensor::Device,
    observer: &mut dyn Observer,
) -> Result<(), PipelineError> {
    let Some(config) = run.config.events.as_ref().filter(|events| !events.files.is_empty()) else {
        return Ok(());
    };
    let mut config = config.clone();
    let input = match run.reference_events().exists() {
        true => {
            let reference = prepare::open(&run.reference_events())?;
            config.keep = without_clusters(&reference, &config, bundle);
            reference
        }
        false => Dataset::open(&config.files)?,
    };
    let options = FillOptions { seed: run.config.seed, strict: false };
    let summary = events::fill(bundle, &input, &config, options, device, &run.filled(), observer)?;
    observer.message(&format!(
        "{} of {} objects in {} events reconstructed, {:.0} objects/s",
        summary.reconstructed,
        summary.objects,
        summary.events,
        summary.objects as f64 / summary.seconds
    ));
    Ok(files::write_json(&run.filling(), &summary)?)
}

/// Columns of the reference that do not come from its reconstruction.
fn without_clusters(reference: &Dataset, config: &EventsConfig, bundle: &Bundle) -> Vec<String> {
    let own = [config.index_name(), config.list_name("cluster_found")];
    let targets = events::CLUSTER_COLUMNS.iter().map(|(name, ..)| config.list_name(name));
    let model = bundle.manifest.target_columns.iter().map(|(name, _)| config.list_name(name));
    let direction = config.direction.iter().flat_map(|direction| &direction.names);
    let direction = direction.map(|name| config.list_name(name));
    let made: Vec<String> = own.into_iter().chain(targets).chain(model).chain(direction).collect();
    let names = reference.schema().fields().iter().map(|field| field.name().clone());
    names.filter(|name| !made.contains(name)).collect()
}

/// Compares the filled events with the reference, where there is one.
pub(super) fn compare(run: &RunDirectory) -> Result<Option<EventMetrics>, PipelineError> {
    let Some(options) = options(run) else { return Ok(None) };
    let (reference, candidate) = (prepare::open(&run.reference_events())?, prepare::open(&run.filled())?);
    Ok(Some(compare_events(&reference, &candidate, &options)?))
}

/// Compares the reference with itself, so that what is missing shows before training.
pub(super) fn rehearse(run: &RunDirectory) -> Result<Option<EventMetrics>, PipelineError> {
    let Some(options) = options(run) else { return Ok(None) };
    let reference = prepare::open(&run.reference_events())?;
    Ok(Some(compare_events(&reference, &reference, &options)?))
}

/// What is compared; `None` without a reference.
fn options(run: &RunDirectory) -> Option<EventOptions> {
    let config = run.config.events.as_ref().filter(|_| run.reference_events().exists())?;
    let targets = &run.config.data.target;
    let listed = |name: &String| config.list_name(name);
    let index = config.index_name();
    // Without a reconstruction, which is calibrated to it, the energy is the first of the conditions.
    let conditions = &run.config.data.condition;
    let calibrated = run.config.reconstruction.as_ref().map(|reconstruction| &reconstruction.incident);
    let incident = calibrated.filter(|incident| conditions.contains(incident)).or(conditions.first())?;
    let collection = |member: &str| member.split('_').next().unwrap_or(member).to_owned();
    Some(EventOptions {
        generated: config.objects.clone(),
        incident: incident.clone(),
        reconstructed: collection(&index),
        energy: config.direction.as_ref().map(|direction| listed(&direction.energy)),
        quantities: targets.iter().map(listed).collect(),
        direction: config.direction.as_ref().map(|direction| direction.names.each_ref().map(listed)),
        parents: config
            .masses
            .as_ref()
            .map(|masses| [masses.parent.clone(), collection(&masses.species), masses.species.clone()]),
        weight: config.weight.clone(),
        index,
        seed: run.config.seed,
    })
}
