//! The figures of one run.

use serde::{Deserialize, Serialize};
use simile_validation::metrics::{
    Bound, Estimate, Floored, LikelihoodMetrics, Metrics, ResponseBin, Verdict,
};

use crate::models::bundle::Manifest;
use crate::pipeline::{GenerationRecord, PipelineError, RunDirectory, Summary, read};
use crate::sampling::Rate;

/// What a comparison says about one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Name of the run directory
    pub name: String,
    /// Path of the run directory as given
    pub path: String,
    /// Kind of model
    pub model: String,
    /// Classifier tests, one per view of the event
    pub classifiers: Vec<ClassifierRecord>,
    /// Largest deviation of the mean response; for showers
    pub response: Option<DeviationRecord>,
    /// Largest deviation of the resolution σ/E; for showers
    pub resolution: Option<DeviationRecord>,
    /// What a classifier finds in images; where events are images
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageRecord>,
    /// Separation power, mean over all features
    pub separation_power: Floored,
    /// Mean log-likelihood of the test events in nats; where it was worked out
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<LikelihoodMetrics>,
    /// Number of trainable weights
    pub parameters: usize,
    /// Events trained on
    pub training_events: u64,
    /// Wall-clock time of training
    pub training_seconds: f64,
    /// Events per second on one thread, one by one
    pub single: Rate,
    /// Events per second on one thread, in chunks
    pub chunk: Rate,
    /// Mean time the reference simulation took for an event, where the input says
    pub reference_seconds: Option<f64>,
    /// How many events one thread generates in chunks in the time of one reference event; its error is from the spread
    /// of the rate
    pub speed_up: Option<Estimate>,
    /// Gates and how many of them passed
    pub gates: GateCount,
    /// Outcome of the gates
    pub verdict: Verdict,
}

/// A classifier test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierRecord {
    /// View of the event: `observables` or `voxels`
    pub view: String,
    /// Area under the ROC curve of reference against generated events
    pub auc: Estimate,
    /// The same for truth against truth
    pub floor: Estimate,
}

/// The bin of incident energy in which a quantity is farthest from the reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviationRecord {
    /// `generated / reference − 1`
    pub deviation: Estimate,
    /// Edges of the bin
    pub energy_mev: [f64; 2],
    /// Largest size that passes the gate, where there is one
    pub limit: Option<f64>,
}

/// What a classifier finds in images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecord {
    /// Fréchet distance of the features
    pub fid: Estimate,
    /// The same for truth against truth
    pub floor: Estimate,
    /// Part of the images in the class that was asked for; for conditional models
    pub accuracy: Option<Estimate>,
}

/// How many gates passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateCount {
    /// Gates that passed
    pub passed: usize,
    /// All gates
    pub all: usize,
}

impl RunRecord {
    /// Reads what a run with a finished validation has written.
    ///
    /// # Errors
    /// If a file is missing, damaged or of another version.
    pub(super) fn read(run: &RunDirectory, name: String) -> Result<Self, PipelineError> {
        let summary: Summary = read(&run.summary())?;
        let generation: GenerationRecord = read(&run.generation())?;
        let manifest = Manifest::load(&run.model())?;
        let metrics = Metrics::read(&run.metrics())?;
        let speed_up = summary.reference_seconds.map(|seconds| Estimate {
            value: generation.chunk.events_per_second * seconds,
            error: generation.chunk.spread * seconds,
        });
        let passed = metrics.gates.iter().filter(|gate| gate.passed).count();
        let gates = GateCount { passed, all: metrics.gates.len() };
        Ok(Self {
            name,
            path: run.path().display().to_string(),
            model: manifest.kind,
            classifiers: classifiers(&metrics),
            response: deviation(&metrics, "response.mean_deviation", |bin| bin.mean_deviation),
            resolution: deviation(&metrics, "response.resolution_deviation", |bin| bin.resolution_deviation),
            images: images(&metrics),
            separation_power: separation_power(&metrics),
            likelihood: metrics.global.likelihood,
            parameters: manifest.parameters,
            training_events: manifest.training.events,
            training_seconds: manifest.training.seconds,
            single: generation.single,
            chunk: generation.chunk,
            reference_seconds: summary.reference_seconds,
            speed_up,
            gates,
            verdict: metrics.verdict,
        })
    }

    /// The classifier test on a view.
    pub(super) fn classifier(&self, view: &str) -> Option<&ClassifierRecord> {
        self.classifiers.iter().find(|classifier| classifier.view == view)
    }
}

fn classifiers(metrics: &Metrics) -> Vec<ClassifierRecord> {
    let tests = metrics.global.c2st.iter().map(|test| ClassifierRecord {
        view: test.name.clone(),
        auc: Estimate { value: test.auc, error: test.error },
        floor: Estimate { value: test.floor, error: test.floor_error },
    });
    tests.collect()
}

/// The largest deviation over the bins, and the limit of the gate on it.
fn deviation(metrics: &Metrics, gate: &str, of: fn(&ResponseBin) -> Estimate) -> Option<DeviationRecord> {
    let bin = metrics.response.as_ref()?.worst(of)?;
    let limits = metrics.gates.iter().filter(|one| one.name == gate && one.bound == Bound::Max);
    Some(DeviationRecord {
        deviation: of(bin),
        energy_mev: [bin.energy_low, bin.energy_high],
        limit: limits.map(|one| one.limit).min_by(f64::total_cmp),
    })
}

fn images(metrics: &Metrics) -> Option<ImageRecord> {
    let found = metrics.images.as_ref()?.classified.as_ref()?;
    let fid = found.fid_lenet;
    Some(ImageRecord {
        fid: Estimate { value: fid.value, error: fid.error },
        floor: Estimate { value: fid.floor, error: fid.floor_error },
        accuracy: found.accuracy.map(|accuracy| Estimate { value: accuracy.value, error: accuracy.error }),
    })
}

/// Means over the features; their errors are not independent, and the mean of them is the largest that the error can be.
fn separation_power(metrics: &Metrics) -> Floored {
    let mean = |of: fn(&Floored) -> f64| {
        let values = metrics.features.iter().map(|feature| of(&feature.separation_power));
        values.sum::<f64>() / metrics.features.len().max(1) as f64
    };
    Floored {
        value: mean(|power| power.value),
        error: mean(|power| power.error),
        floor: mean(|power| power.floor),
    }
}
