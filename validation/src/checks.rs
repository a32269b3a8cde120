//! What two samples must have in common to be compared.

use std::collections::BTreeMap;

use simile_data::Dataset;
use simile_physics::Geometry;

use crate::error::ValidationError;
use crate::features::{Calorimeter, Extraction};
use crate::statistics::Grouping;
use crate::table::Table;
use crate::validate::ValidateOptions;

/// The calorimeter of the reference, which the voxels of both samples must fit.
pub(crate) fn shower(
    reference: &Dataset,
    candidate: &Dataset,
    options: &ValidateOptions,
) -> Result<Option<(Geometry, Calorimeter)>, ValidationError> {
    let Some(voxels) = &options.voxels else {
        return Ok(None);
    };
    if options.incident.is_none() {
        return Err(ValidationError::NoIncident { voxels: voxels.clone() });
    }
    let labelled = [(reference, &options.reference_label), (candidate, &options.candidate_label)];
    let [geometry, other] = labelled.map(|(dataset, sample)| {
        dataset.geometry().map_err(|source| ValidationError::Data { sample: sample.clone(), source })
    });
    let Some(geometry) = geometry? else {
        let (sample, voxels) = (options.reference_label.clone(), voxels.clone());
        return Err(ValidationError::NoGeometry { sample, key: Geometry::METADATA_KEY, voxels });
    };
    if other?.is_some_and(|other| other != geometry) {
        let (reference, candidate) = (options.reference_label.clone(), options.candidate_label.clone());
        return Err(ValidationError::GeometryMismatch { reference, candidate });
    }
    for (dataset, sample) in labelled {
        let width = dataset.column_width(voxels);
        let found = width.map_err(|source| ValidationError::Data { sample: sample.clone(), source })?;
        let expected = geometry.n_voxels();
        if found != expected {
            let source_of_width = "the geometry".to_owned();
            let (sample, column) = (sample.clone(), voxels.clone());
            return Err(ValidationError::Width { sample, column, found, expected, source_of_width });
        }
    }
    let calorimeter = Calorimeter::new(&geometry, options.observables, options.threshold_mev);
    Ok(Some((geometry, calorimeter)))
}

/// Events below which the groups behind errors and floors are empty.
const MIN_EVENTS: usize = 2 * Grouping::GROUPS;

/// Checks that a sample of so many events can be compared.
///
/// # Errors
/// If they are too few for errors and floors.
pub fn check_events(sample: &str, events: usize) -> Result<(), ValidationError> {
    if events >= MIN_EVENTS {
        return Ok(());
    }
    Err(ValidationError::TooFewEvents { sample: sample.to_owned(), events, needed: MIN_EVENTS })
}

/// What both samples give a unit must have the same one.
pub(crate) fn check_units(
    units: &BTreeMap<String, String>,
    candidate: &Dataset,
    options: &ValidateOptions,
) -> Result<(), ValidationError> {
    let label = options.candidate_label.clone();
    let others =
        candidate.units().map_err(|source| ValidationError::Data { sample: label.clone(), source })?;
    let image = options.image.as_ref().map(|image| &image.name);
    let compared = options.columns.iter().chain(&options.incident).chain(&options.voxels).chain(image);
    for column in compared {
        let both = units.get(column).zip(others.get(column));
        if let Some((unit, other)) = both.filter(|(unit, other)| unit != other) {
            return Err(ValidationError::Units {
                column: column.clone(),
                reference: options.reference_label.clone(),
                units: unit.clone(),
                candidate: label,
                other: other.clone(),
            });
        }
    }
    Ok(())
}

/// Other columns must have the same number of elements in both samples.
pub(crate) fn check_widths(reference: &Table, candidate: &Table) -> Result<(), ValidationError> {
    let widths = |table: &Table| -> Vec<(String, usize)> {
        let image = table.image.iter().map(|image| (image.name.clone(), image.pixels.ncols()));
        image.chain(table.columns.iter().map(|(name, matrix)| (name.clone(), matrix.ncols()))).collect()
    };
    for ((column, expected), (_, found)) in widths(reference).into_iter().zip(widths(candidate)) {
        if expected != found {
            let (sample, source_of_width) = (candidate.label.clone(), reference.label.clone());
            return Err(ValidationError::Width { sample, column, found, expected, source_of_width });
        }
    }
    Ok(())
}

/// There must be features, each with a name of its own.
pub(crate) fn check_features(extraction: &Extraction) -> Result<(), ValidationError> {
    let mut names: Vec<&str> =
        extraction.sample.columns.iter().map(|column| column.feature.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ValidationError::DuplicateFeature { feature: pair[0].to_owned() }),
        None => Ok(()),
    }
}
