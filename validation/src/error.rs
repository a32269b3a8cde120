//! Why two samples could not be compared.

use simile_data::DataError;

use crate::c2st::C2stError;
use crate::gates::GateError;
use crate::modes::ModesError;

/// Errors of [`crate::validate`]. `sample` is the label of the sample at fault.
#[derive(Debug, thiserror::Error)]
pub enum ValidationError {
    /// A file could not be read, or lacks a column.
    #[error("{sample}: {source}")]
    Data {
        /// Sample at fault.
        sample: String,
        /// Reason.
        source: DataError,
    },
    /// A gate is malformed or names no figure.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Modes are malformed, or not there.
    #[error(transparent)]
    Modes(#[from] ModesError),
    /// The classifier test failed.
    #[error(transparent)]
    C2st(#[from] C2stError),
    /// Nothing to compare.
    #[error("there is nothing to compare: name a voxel column, the incident energy, or other columns")]
    NoFeatures,
    /// A column of images of another size.
    #[error(
        "{sample}: column `{column}` has {found} values, which make no {}; give height and width of the images as `size`",
        size.map_or("square image".to_owned(), |[height, width]| format!("image of {height} × {width} pixels"))
    )]
    ImageSize {
        /// Sample at fault.
        sample: String,
        /// Column of images.
        column: String,
        /// Its values in a row.
        found: usize,
        /// Height and width given.
        size: Option<[usize; 2]>,
    },
    /// Edges that bound no bins.
    #[error("response edges {edges:?} are not two or more finite energies in ascending order")]
    ResponseEdges {
        /// Edges given.
        edges: Vec<f64>,
    },
    /// A threshold that is no energy.
    #[error("threshold {threshold_mev} MeV is not a finite energy of 0 or more")]
    Threshold {
        /// Threshold given.
        threshold_mev: f32,
    },
    /// Too few events for errors and floors.
    #[error("{sample} has {events} events, a comparison needs {needed} or more")]
    TooFewEvents {
        /// Sample at fault.
        sample: String,
        /// Events found.
        events: usize,
        /// Events needed.
        needed: usize,
    },
    /// Voxels were named without incident energy.
    #[error(
        "voxel column `{voxels}` needs the column of the incident energy beside it; name it as `incident`"
    )]
    NoIncident {
        /// Voxel column.
        voxels: String,
    },
    /// The reference carries no geometry.
    #[error(
        "{sample} has no calorimeter geometry in its Parquet metadata (key `{key}`), which voxel column `{voxels}` \
         needs; write it there, or compare `{voxels}` as an ordinary column"
    )]
    NoGeometry {
        /// Sample at fault.
        sample: String,
        /// Metadata key.
        key: &'static str,
        /// Voxel column.
        voxels: String,
    },
    /// Reference and candidate come from different calorimeters.
    #[error(
        "{reference} and {candidate} have different geometries in their Parquet metadata; only showers of one calorimeter can be compared"
    )]
    GeometryMismatch {
        /// Label of the reference.
        reference: String,
        /// Label of the candidate.
        candidate: String,
    },
    /// The samples say that a column has different units.
    #[error(
        "column `{column}` is in {units} in {reference} and in {other} in {candidate}; convert one of them, or correct its metadata"
    )]
    Units {
        /// The column.
        column: String,
        /// Label of the reference.
        reference: String,
        /// Its unit.
        units: String,
        /// Label of the candidate.
        candidate: String,
        /// Its unit.
        other: String,
    },
    /// A column has the wrong number of elements.
    #[error(
        "{sample}, column `{column}`: {found} elements per event, expected {expected} as in {source_of_width}"
    )]
    Width {
        /// Sample at fault.
        sample: String,
        /// Column.
        column: String,
        /// Elements found.
        found: usize,
        /// Elements expected.
        expected: usize,
        /// What sets the expectation.
        source_of_width: String,
    },
    /// A scalar was expected.
    #[error("{sample}, column `{column}`: {found} elements per event, but a scalar is needed here")]
    NotScalar {
        /// Sample at fault.
        sample: String,
        /// Column.
        column: String,
        /// Elements found.
        found: usize,
    },
    /// A value that physics does not allow.
    #[error(
        "{sample}, column `{column}`, row {row}: {value} is not {requirement}; select such events away or mend the file"
    )]
    Value {
        /// Sample at fault.
        sample: String,
        /// Column.
        column: String,
        /// Global row.
        row: u64,
        /// Value found.
        value: f32,
        /// What it should be.
        requirement: &'static str,
    },
    /// Weights that sum to nothing.
    #[error("{sample}, weight column `{column}`: the weights sum to {sum}, which is not positive")]
    Weights {
        /// Sample at fault.
        sample: String,
        /// Column.
        column: String,
        /// Sum of weights.
        sum: f64,
    },
    /// Negative weights where events must be drawn in proportion to them.
    #[error(
        "{sample}, weight column `{column}`: weight {value} of compared event {event} is negative; the classifier test \
         draws events in proportion to their weights: leave the classifier out"
    )]
    NegativeWeight {
        /// Sample at fault.
        sample: String,
        /// Column.
        column: String,
        /// Index among the compared events.
        event: usize,
        /// Weight.
        value: f32,
    },
    /// A feature without entries in one sample.
    #[error("{sample} has no entries of feature `{feature}` ({label}), nothing can be compared")]
    EmptyFeature {
        /// Sample at fault.
        sample: String,
        /// Feature.
        feature: String,
        /// Its label.
        label: String,
    },
    /// Two features of one name.
    #[error(
        "feature `{feature}` exists twice; do not list a column that is compared already or is named as a shower observable"
    )]
    DuplicateFeature {
        /// Feature.
        feature: String,
    },
    /// The Fréchet distance cannot be worked out.
    #[error("the covariances of observables or features have no eigenvalues: {0}")]
    Distances(#[from] linfa_linalg::LinalgError),
}
