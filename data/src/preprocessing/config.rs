//! Configuration: for every column the steps that lead to model space.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keeps `logit` finite at 0 and 1; the value used by CaloFlow and CaloINN.
const DEFAULT_ALPHA: f64 = 1e-6;

/// Enough to follow the bulk of a distribution closely, few enough that a knot averages over many events.
const DEFAULT_KNOTS: usize = 200;

/// Events outside the training sample fluctuate upwards a little further than those inside.
const DEFAULT_HEADROOM: f64 = 1.2;

/// Steps by column name. A condition or target that is not listed is standardised.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PreprocessingConfig(pub BTreeMap<String, Vec<Step>>);

impl PreprocessingConfig {
    /// The steps of `column`, in order of application.
    #[must_use]
    pub fn steps(&self, column: &str) -> &[Step] {
        const DEFAULT: &[Step] = &[Step::Standardize {}];
        self.0.get(column).map_or(DEFAULT, Vec::as_slice)
    }
}

/// One invertible transform of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// x → ln(x + offset), for positive quantities that span decades.
    Log {
        /// Added before the logarithm, in the unit of the column.
        #[serde(default)]
        offset: f64,
    },
    /// x → logit(α + (1 − 2α) y) with y = (x − a)/(b − a), for quantities confined to an interval [a, b].
    Logit {
        /// Pulls y off the ends of the interval. The round trip is exact to 1e-5 of y where y ≥ α, and to
        /// 1e-5 of α below. With 0, y within 1e-12 of an end is moved there.
        #[serde(default = "default_alpha")]
        alpha: f64,
        /// The interval [a, b].
        #[serde(default = "unit_interval")]
        range: [f64; 2],
    },
    /// x → (x − mean)/σ, each component of a list column by itself. A constant component is only shifted.
    Standardize {},
    /// x → normal score of its rank in the training sample (rank-Gauss): a monotone piecewise-linear map.
    Quantile {
        /// Number of knots of the map.
        #[serde(default = "default_knots")]
        knots: usize,
    },
    /// Components of a list column → numbers without linear correlations, each of mean 0 and width 1.
    Whiten {},
    /// φ → (sin φ, cos φ), for angles in rad. The inverse lies in (−π, π].
    Angle {},
    /// Category → one column for each category of the training sample; the inverse takes the largest.
    OneHot {},
    /// x → x + width · U(0, 1), for values on a grid such as integers; drawn afresh every time. Targets only.
    Dequantize {
        /// Spacing of the grid.
        width: f64,
    },
    /// x → 1 with probability (x − a)/(b − a), else 0, for grey images to be learnt as black-and-white ones; drawn afresh
    /// every time. Targets only. What is generated is the interval's length times the probability, or 0 or 1.
    Binarise {
        /// The interval [a, b].
        #[serde(default = "unit_interval")]
        range: [f64; 2],
    },
    /// x → (x − c)/c^p for a condition c, as the first step: a measurement relative to the truth.
    Relative {
        /// Scalar condition column, positive.
        to: String,
        /// p: 1 for a relative error, ½ for energies in a calorimeter, whose resolution is ∝ 1/√E.
        #[serde(default = "default_power")]
        power: f64,
    },
    /// Shower voxels in MeV → parts of wholes, each a number of width 1 whose distribution does not depend on the whole: the visible energy,
    /// the layers, the voxels of every layer. Targets only, as the first step.
    LayerEnergies {
        /// Scalar condition column with the incident energy in MeV.
        incident: String,
        /// Readout threshold in MeV: smaller voxels count as empty.
        threshold_mev: f64,
        /// Largest visible/incident energy that can be represented, in units of the largest in the training
        /// sample.
        #[serde(default = "default_headroom")]
        headroom: f64,
        /// Turn showers by random multiples of the angle between α sectors and mirror them at random, in training:
        /// for showers whose distribution is symmetric about the calorimeter's axis, as at normal incidence.
        #[serde(default)]
        rotate: bool,
        /// Generate the voxels layer by layer, front to back, each with a model of its own that knows the layers before it,
        /// instead of all at once. `[[model]]` then needs tables for the energies and for every layer.
        #[serde(default)]
        by_layer: bool,
    },
}

fn default_power() -> f64 {
    1.0
}

fn default_alpha() -> f64 {
    DEFAULT_ALPHA
}

fn unit_interval() -> [f64; 2] {
    [0.0, 1.0]
}

fn default_knots() -> usize {
    DEFAULT_KNOTS
}

fn default_headroom() -> f64 {
    DEFAULT_HEADROOM
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<PreprocessingConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn defaults_are_filled_in() {
        let config = parse(
            r#"{"voxels":[{"kind":"layer_energies","incident":"e","threshold_mev":1},{"kind":"logit"}],
                "e":[{"kind":"log"},{"kind":"quantile"}],"raw":[]}"#,
        )
        .unwrap();
        let expected = [
            Step::LayerEnergies {
                incident: "e".to_owned(),
                threshold_mev: 1.0,
                headroom: 1.2,
                rotate: false,
                by_layer: false,
            },
            Step::Logit { alpha: 1e-6, range: [0.0, 1.0] },
        ];
        assert_eq!(config.steps("voxels"), expected);
        assert_eq!(config.steps("e"), [Step::Log { offset: 0.0 }, Step::Quantile { knots: 200 }]);
        assert_eq!(config.steps("raw"), []);
        assert_eq!(config.steps("unlisted"), [Step::Standardize {}]);
        assert_eq!(parse(&serde_json::to_string(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn unknown_kinds_and_keys_are_refused() {
        for steps in [
            r#"{"kind":"logarithm"}"#,
            r#"{"kind":"log","offset":1,"base":10}"#,
            r#"{"kind":"standardize","mean":0}"#,
            r#"{"kind":"one_hot","k":3}"#,
            r#"{"kind":"dequantize"}"#,
            r#"{"offset":1}"#,
        ] {
            assert!(parse(&format!(r#"{{"x":[{steps}]}}"#)).is_err(), "{steps}");
        }
    }

    #[test]
    fn schema_lists_every_kind() {
        let schema = serde_json::to_string(&schemars::schema_for!(PreprocessingConfig)).unwrap();
        for kind in [
            "log",
            "logit",
            "standardize",
            "quantile",
            "angle",
            "one_hot",
            "dequantize",
            "binarise",
            "relative",
            "layer_energies",
        ] {
            assert!(schema.contains(&format!("\"{kind}\"")), "{kind}");
        }
    }
}
