//! Two-sample tests and distances of one-dimensional weighted samples.

mod auc;
mod bayesian_blocks;
mod chi2;
mod distances;
mod garwood;
#[cfg(test)]
mod golden;
mod kolmogorov;
mod moments;
mod multiple;
mod ordered;
mod quadratic;
mod separation;
mod smirnov;

pub use auc::{Auc, roc};
pub use bayesian_blocks::bayesian_blocks;
pub use chi2::{Chi2, chi2_homogeneity};
pub(crate) use distances::{jackknife_error, without_groups};
pub use distances::{kolmogorov_smirnov, wasserstein};
pub use garwood::poisson_interval;
pub use kolmogorov::{kolmogorov_sf, ks_p_value};
pub use moments::{moments, quantile};
pub use multiple::{benjamini_hochberg, holm};
pub use ordered::{Grouping, Ordered};
pub(crate) use ordered::{reduced_size, sort_key};
pub use quadratic::{
    Quadratic, anderson_darling_sf, cramer_von_mises_p_value, cramer_von_mises_sf, quadratic,
};
pub use separation::{jensen_shannon, separation_power};
pub use smirnov::{ks_exact_p_value, ks_test};
