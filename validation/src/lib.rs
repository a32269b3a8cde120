//! Two-sample validation: judges any two samples of events, full simulation or surrogate alike.
//!
//! [`validate`](validate()) extracts the same one-dimensional features from two data sets, compares them with
//! statistical tests and distances, trains a two-sample classifier, checks gates, and returns [`Metrics`], which is
//! everything that plots and report need. Every figure of merit stands next to its *floor*: the same figure for truth
//! against truth, from disjoint halves of the reference.
//!
//! Events may be weighted; entries of one event are treated as correlated.

pub mod binning;
pub mod c2st;
mod checks;
mod compare;
mod correlation;
mod error;
pub mod events;
mod features;
mod figures;
pub mod gates;
pub mod histogram;
pub mod images;
mod logistic;
pub mod metrics;
mod modes;
mod multivariate;
mod permutation;
mod plane;
pub mod plots;
mod profiles;
pub mod report;
mod response;
pub mod sample;
pub mod statistics;
mod table;
#[cfg(test)]
mod testing;
mod validate;
mod weights;

pub use binning::{Binning, BinningRule};
pub use c2st::{C2st, C2stError, C2stOptions, ClassifierError, Labelled, Scorer, TwoSampleClassifier, c2st};
pub use checks::check_events;
pub use error::ValidationError;
pub use events::{EventMetrics, EventOptions, compare_events};
pub use features::ObservableSet;
pub use figures::NamedFigure;
pub use gates::{GateError, GateRule, apply_gates, read_gates};
pub use histogram::Histogram;
pub use images::{ImageColumn, ImageMetrics};
pub use logistic::LogisticClassifier;
pub use metrics::{Metrics, MetricsError, Verdict};
pub use modes::{ModesError, ModesOptions};
pub use sample::{Feature, FeatureColumn, Sample};
pub use validate::{DEFAULT_PERMUTATIONS, DEFAULT_RESPONSE_BINS, ValidateOptions, Validation, validate};
pub use weights::{EventWeights, write_weights};
