//! The `[validation]` table, and what it means for [`simile_validation::validate`].

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simile_data::DataConfig;
use simile_data::preprocessing::{PreprocessingConfig, Step};
use simile_validation::c2st::C2stOptions;
use simile_validation::{
    BinningRule, DEFAULT_PERMUTATIONS, GateError, GateRule, ImageColumn, ModesOptions, ObservableSet,
    ValidateOptions, read_gates,
};

use crate::config::ConfigError;
use crate::models::ClassifierConfig;

/// The `[validation.images]` table: events are grey images. They count alike, whatever their weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImagesConfig {
    /// Column of the images, lists of pixels row by row; in a run the first target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Height and width; by default images are square.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Column of the labels. Where it is a condition, images should be of the class that was asked for: gate
    /// `images.accuracy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Folder of a classifier made by `simile classify`, for the gates `images.accuracy`, `images.smallest_share`,
    /// `images.fid_lenet` and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classifier: Option<PathBuf>,
}

/// How probable the model finds the test events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LikelihoodConfig {
    /// Draws for every event, where the model has latents and its density is estimated.
    pub importance_samples: usize,
    /// Test events that are used, the first ones; by default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}

impl Default for LikelihoodConfig {
    fn default() -> Self {
        Self { importance_samples: DEFAULT_IMPORTANCE_SAMPLES, events: None }
    }
}

/// With a thousand draws the estimate for a VAE of MNIST is within 0.1 nats of what more would give.
const DEFAULT_IMPORTANCE_SAMPLES: usize = 1000;

/// How generated events are compared with the reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValidationConfig {
    /// File of gates: `[[gate]]` tables with `metric` and `max` or `min`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<PathBuf>,
    /// Gates in addition to those of `thresholds`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateRule>,
    /// Column of the incident energy in MeV, for response and resolution; in a run that of the `layer_energies` step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Column of the voxel energies in MeV, for shower observables; in a run that of the `layer_energies` step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voxels: Option<String>,
    /// Other columns to compare; in a run the targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Columns both samples were made for, given to the classifier beside the compared ones; in a run the conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
    /// Column of event weights; in a run `data.weight`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Voxels below this energy count as empty, in both samples; in a run that of the `layer_energies` step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_mev: Option<f64>,
    /// The shower observables that the classifier, FPD, KPD and the other distances of whole events are given.
    pub observables: ObservableSet,
    /// Edges of the bins of incident energy for response and resolution; by default 5 equally filled bins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_edges: Option<Vec<f64>>,
    /// How the bins of histograms are chosen; the χ² test, separation power and Jensen–Shannon divergence follow them.
    pub binning: BinningRule,
    /// Permutations of events behind the p-values of features that are found so, 0 for none: gates such as
    /// `features.cell_energy.ks.permutation_p_value`. At most 100,000 events of each sample are permuted.
    pub permutations: usize,
    /// Modes of the reference to be looked for in the candidate: gates `modes.recovered` and `modes.outside`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modes: Option<ModesOptions>,
    /// Images among the compared columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<ImagesConfig>,
    /// Events read from each sample at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_events: Option<usize>,
    /// Column of the true log density of each event, in nats, for the KL divergence of the model: gate `kl`. In a run
    /// only, for models with a density, and without preprocessing of the targets (`x = []`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_density: Option<String>,
    /// Mean log-likelihood of the test events, for models with a density: gates `log_likelihood`, `elbo`, and, where the
    /// targets are dequantised, `bits_per_dimension`. In a run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<LikelihoodConfig>,
    /// Column of the time the reference simulation took for an event, in seconds; used where it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_column: Option<String>,
    /// Splits and repetitions of the classifier test.
    pub c2st: C2stOptions,
    /// The neural two-sample classifier.
    pub classifier: ClassifierConfig,
}

impl ImagesConfig {
    fn image_column(&self) -> Option<ImageColumn> {
        Some(ImageColumn { name: self.column.clone()?, size: self.size })
    }

    /// Checks ranges.
    fn check(&self) -> Result<(), ConfigError> {
        match self.size {
            Some(size) if size.contains(&0) => Err(ConfigError::value(
                "validation.images.size",
                format!("{size:?}"),
                "height and width in pixels",
            )),
            _ => Ok(()),
        }
    }
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            thresholds: None,
            gates: Vec::new(),
            incident: None,
            voxels: None,
            columns: Vec::new(),
            conditions: Vec::new(),
            weight: None,
            threshold_mev: None,
            observables: ObservableSet::default(),
            response_edges: None,
            binning: BinningRule::default(),
            permutations: DEFAULT_PERMUTATIONS,
            modes: None,
            images: None,
            max_events: None,
            log_density: None,
            likelihood: None,
            time_column: Some("sim_seconds".into()),
            c2st: C2stOptions::default(),
            classifier: ClassifierConfig::default(),
        }
    }
}

impl ValidationConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.c2st.check().map_err(|error| ConfigError::value("validation.c2st", error, "possible shares"))?;
        if let Some(modes) = &self.modes {
            modes.check().map_err(|error| {
                let expected = "centres with one coordinate for every column, and a positive radius";
                ConfigError::value("validation.modes", error, expected)
            })?;
        }
        if let Some(images) = &self.images {
            images.check()?;
        }
        if let Some(LikelihoodConfig { importance_samples, events }) = self.likelihood {
            let counts = [("importance_samples", Some(importance_samples as u64)), ("events", events)];
            if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == Some(0)) {
                return Err(ConfigError::value(format!("validation.likelihood.{key}"), 0, "at least 1"));
            }
        }
        self.classifier.check()
    }

    /// All gates: those of the thresholds file, then those of the configuration.
    ///
    /// # Errors
    /// If the file cannot be read or understood.
    pub fn gates(&self) -> Result<Vec<GateRule>, GateError> {
        let mut gates = match &self.thresholds {
            Some(path) => read_gates(path)?,
            None => Vec::new(),
        };
        gates.extend(self.gates.iter().cloned());
        Ok(gates)
    }

    /// Fills in what a run knows: the calorimeter columns of the `layer_energies` step, the targets, the weight; and
    /// copies the gates out of their file, so that the run stands on its own.
    ///
    /// # Errors
    /// If the thresholds file cannot be read or understood, or a column is named that generated events do not have.
    pub(crate) fn resolve(
        &mut self,
        data: &DataConfig,
        preprocessing: &PreprocessingConfig,
    ) -> Result<(), ConfigError> {
        self.gates = self.gates()?;
        self.thresholds = None;
        for column in &data.target {
            if let Some(Step::LayerEnergies { incident, threshold_mev, .. }) =
                preprocessing.steps(column).first()
            {
                self.incident.get_or_insert_with(|| incident.clone());
                self.voxels.get_or_insert_with(|| column.clone());
                self.threshold_mev.get_or_insert(*threshold_mev);
            }
        }
        if let Some(images) = &mut self.images {
            images.column.get_or_insert_with(|| data.target.first().cloned().unwrap_or_default());
        }
        if self.columns.is_empty() {
            let image = self.images.as_ref().and_then(|images| images.column.as_ref());
            let is_apart = |column: &&String| [&self.voxels.as_ref(), &image].contains(&&Some(*column));
            self.columns = data.target.iter().filter(|column| !is_apart(column)).cloned().collect();
        }
        if self.conditions.is_empty() {
            self.conditions.clone_from(&data.condition);
        }
        if self.weight.is_none() {
            self.weight.clone_from(&data.weight);
        }
        self.check_log_density(data, preprocessing)?;
        self.check_columns(data)
    }

    fn check_log_density(
        &self,
        data: &DataConfig,
        preprocessing: &PreprocessingConfig,
    ) -> Result<(), ConfigError> {
        let Some(log_density) = &self.log_density else { return Ok(()) };
        if data.numeric_columns().contains(log_density) {
            let expected = "a column that has no role in [data]";
            return Err(ConfigError::value("validation.log_density", log_density, expected));
        }
        match data.target.iter().find(|column| !preprocessing.steps(column).is_empty()) {
            Some(column) => Err(ConfigError::value(
                "validation.log_density",
                log_density,
                format!(
                    "left out, or target `{column}` be without preprocessing (`{column} = []`): the density of a model \
                     is that of preprocessed targets"
                ),
            )),
            None => Ok(()),
        }
    }

    fn check_columns(&self, data: &DataConfig) -> Result<(), ConfigError> {
        let generated: Vec<&String> = data.condition.iter().chain(&data.target).collect();
        let compared = self.columns.iter().map(|column| ("columns", column));
        let compared = compared.chain(self.incident.iter().map(|column| ("incident", column)));
        let modes = self.modes.iter().flat_map(|modes| &modes.columns);
        let compared = compared.chain(modes.map(|column| ("modes.columns", column)));
        let image = self.images.iter().filter_map(|images| images.column.as_ref());
        let compared = compared.chain(image.map(|column| ("images.column", column)));
        let mut compared = compared.chain(self.voxels.iter().map(|column| ("voxels", column)));
        if let Some((key, column)) = compared.find(|(_, column)| !generated.contains(column)) {
            let names: Vec<&str> = generated.iter().map(|name| name.as_str()).collect();
            let expected = format!("a condition or target of the run ({})", names.join(", "));
            return Err(ConfigError::value(format!("validation.{key}"), column, expected));
        }
        match &self.weight {
            Some(weight) if data.weight.as_ref() != Some(weight) => Err(ConfigError::value(
                "validation.weight",
                weight,
                "the column of `data.weight`, or left out",
            )),
            _ => Ok(()),
        }
    }

    /// Options of the comparison.
    ///
    /// # Errors
    /// If the thresholds file cannot be read or understood.
    pub fn options(&self, seed: u64, labels: [&str; 2]) -> Result<ValidateOptions, GateError> {
        Ok(ValidateOptions {
            incident: self.incident.clone(),
            voxels: self.voxels.clone(),
            image: self.images.as_ref().and_then(ImagesConfig::image_column),
            columns: self.columns.clone(),
            conditions: self.conditions.clone(),
            weight: self.weight.clone(),
            threshold_mev: self.threshold_mev.unwrap_or(0.0) as f32,
            observables: self.observables,
            response_edges: self.response_edges.clone(),
            binning: self.binning,
            permutations: self.permutations,
            modes: self.modes.clone(),
            kl: None,
            likelihood: None,
            events: None,
            images: None,
            c2st: self.c2st,
            max_events: self.max_events,
            seed,
            reference_label: labels[0].to_string(),
            candidate_label: labels[1].to_string(),
            gates: self.gates()?,
        })
    }
}
