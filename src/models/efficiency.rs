//! Which objects are found: the probability p(found | condition) of a multilayer perceptron, trained on binary cross-entropy
//! like the two-sample [classifier](super::MlpClassifier). The surrogate itself knows found objects only.

use burn::module::Module;
use burn::tensor::Device;
use ndarray::{Array1, Array2, Axis, s};
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use simile_data::random;
use simile_validation::c2st::{ClassifierError, Labelled};

use super::classifier::{ClassifierConfig, MlpClassifier, scores};
use crate::config::{ConfigError, over};
use crate::nn::Mlp;
use crate::nn::parameters::{self, ParameterError, Parameters};

/// The `[efficiency]` table: objects that are not found are left out of the surrogate's training; a classifier learns how
/// probable it is that they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EfficiencyConfig {
    /// Column that is true for objects that are found.
    pub found: String,
    /// The classifier.
    #[serde(default = "default_classifier", deserialize_with = "classifier")]
    pub classifier: ClassifierConfig,
}

/// Conditions are few and efficiencies smooth: a small network has learnt them in seconds.
fn default_classifier() -> ClassifierConfig {
    ClassifierConfig { width: 48, hidden: 2, epochs: 20, patience: 5, batch_size: 256, learning_rate: 2e-3 }
}

/// The table of the classifier, with the default's values of keys that are not given.
fn classifier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClassifierConfig, D::Error> {
    over(deserializer, default_classifier())
}

impl EfficiencyConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.classifier.check().map_err(|error| error.moved("validation.classifier", "efficiency.classifier"))
    }
}

/// Part of the objects by which epochs are compared.
const HELD_OUT: f64 = 0.15;

/// See the module documentation.
#[derive(Clone, Debug)]
pub struct Efficiency {
    network: Mlp,
}

impl Efficiency {
    /// Learns from conditions `[objects, conditions]` in model space and whether each was found (1 or 0).
    ///
    /// # Errors
    /// If the training diverges.
    pub fn fit(
        config: &EfficiencyConfig,
        condition: &Array2<f32>,
        found: &Array1<f32>,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ClassifierError> {
        let mut order: Vec<usize> = (0..condition.nrows()).collect();
        order.shuffle(&mut random::stream(seed, "efficiency/split", 0));
        let (condition, found) = (condition.select(Axis(0), &order), found.select(Axis(0), &order));
        let held_out = (HELD_OUT * order.len() as f64).ceil() as usize;
        let train = Labelled { x: condition.slice(s![held_out.., ..]), y: found.slice(s![held_out..]) };
        let validation = Labelled { x: condition.slice(s![..held_out, ..]), y: found.slice(s![..held_out]) };
        let classifier = MlpClassifier::new(config.classifier.clone(), device.clone());
        Ok(Self { network: classifier.train(&train, &validation, seed)? })
    }

    /// The weights, to be stored.
    #[must_use]
    pub fn weights(&self) -> Parameters {
        parameters::collect(&self.network)
    }

    /// Restores what [`weights`](Self::weights) gave.
    ///
    /// # Errors
    /// If the weights belong to another network.
    pub fn load(
        config: &EfficiencyConfig,
        conditions: usize,
        weights: Parameters,
        device: &Device,
    ) -> Result<Self, ParameterError> {
        let classifier = MlpClassifier::new(config.classifier.clone(), device.clone());
        // Weights drawn here are replaced.
        let mut rng = random::stream(0, "efficiency/load", 0);
        let network = classifier.network(conditions).init(device, &mut rng);
        Ok(Self { network: parameters::load(network, weights)?.valid() })
    }

    /// p(found) of every row of conditions in model space.
    #[must_use]
    pub fn probability(&self, condition: &Array2<f32>, device: &Device) -> Vec<f64> {
        let logits = scores(&self.network, condition.view(), device);
        logits.into_iter().map(|score| 1.0 / (1.0 + (-score).exp())).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn a_known_efficiency_is_learnt_and_restored() {
        let (device, mut rng) = (Device::flex(), random::stream(1, "test/efficiency", 0));
        let truth = |x: f32| 1.0 / (1.0 + f64::exp(-4.0 * f64::from(x)));
        let n = 20_000;
        let x = Array2::from_shape_fn((n, 1), |_| rng.gen_range(-2.0..2.0f32));
        let y: Array1<f32> = x.column(0).mapv(|x| f32::from(u8::from(rng.gen_bool(truth(x)))));
        let config: EfficiencyConfig = serde_json::from_str(r#"{"found": "found"}"#).unwrap();
        let efficiency = Efficiency::fit(&config, &x, &y, 1, &device).unwrap();
        let restored = Efficiency::load(&config, 1, efficiency.weights(), &device).unwrap();
        let probes = Array2::from_shape_fn((9, 1), |(i, _)| -1.6 + 0.4 * i as f32);
        let found = restored.probability(&probes, &device);
        assert_eq!(found, efficiency.probability(&probes, &device));
        for (probe, found) in probes.iter().zip(found) {
            // Bins of 0.4 hold 2,000 objects.
            assert!((found - truth(*probe)).abs() < 0.04, "{probe}: {found}, {}", truth(*probe));
        }
        assert!(Efficiency::load(&config, 2, efficiency.weights(), &device).is_err());
    }
}
