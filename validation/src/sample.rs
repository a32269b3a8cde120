//! One-dimensional features of a sample of events, the input of every one-dimensional comparison.

use serde::{Deserialize, Serialize};

/// What a feature is and how to draw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Identifier used in `metrics.json`, gates and file names, such as `layer_energy_1`.
    pub name: String,
    /// Axis title without unit, such as `Energy in layer 1`.
    pub label: String,
    /// Unit as text, such as `MeV`; `None` for a pure number.
    pub unit: Option<String>,
    /// Logarithmic bins and abscissa.
    pub log_x: bool,
    /// Logarithmic ordinate.
    pub log_y: bool,
    /// `true`: one entry per event. `false`: several, as in the spectrum of cell energies.
    pub per_event: bool,
}

/// The values of one feature in one sample.
#[derive(Clone, Debug)]
pub struct FeatureColumn {
    /// What the values are.
    pub feature: Feature,
    /// One value per entry.
    pub values: Vec<f32>,
    /// One weight per entry; `None` stands for unit weights.
    pub weights: Option<Vec<f32>>,
    /// Index of the event each entry belongs to, ascending; `None` where entry `i` is event `i`.
    ///
    /// Entries of one event are correlated, so errors and floors are made from whole events.
    pub events: Option<Vec<u32>>,
}

impl FeatureColumn {
    /// One value for each event, of something that needs no name because it is not shown.
    pub fn unnamed(values: Vec<f32>, weights: Option<Vec<f32>>) -> Self {
        let feature = Feature {
            name: String::new(),
            label: String::new(),
            unit: None,
            log_x: false,
            log_y: false,
            per_event: true,
        };
        Self { feature, values, weights, events: None }
    }

    /// Weight of entry `i`.
    pub fn weight(&self, i: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| f64::from(weights[i]))
    }

    /// Event that entry `i` belongs to.
    pub fn event(&self, i: usize) -> usize {
        self.events.as_ref().map_or(i, |events| events[i] as usize)
    }
}

/// The features of one data set.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Name in legends, such as `Geant4`.
    pub label: String,
    /// One column per feature.
    pub columns: Vec<FeatureColumn>,
    /// Number of events.
    pub events: usize,
    /// Sum of the event weights; equals `events` without weights.
    pub sum_of_weights: f64,
}
