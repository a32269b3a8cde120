//! Nested events against nested events: invariant masses of pairs, efficiency, response, and single objects in bins of energy.
//!
//! Both samples hold the same generated objects, and lists of reconstructed ones with the position of the generated object
//! that each belongs to. Generated objects without a reconstructed one were lost.

mod peak;
mod read;

use serde::{Deserialize, Serialize};
use simile_data::{Dataset, ObjectsConfig};
use simile_physics::particles::Particle;

pub use peak::PeakFit;
use peak::fit_peak;

use crate::error::ValidationError;
use crate::histogram::Histogram;
use crate::metrics::{Estimate, HistogramPair, ResponseMetrics};
use crate::response::{ResponseSample, quantile_edges, response_metrics};
use crate::{Binning, BinningRule, Feature, FeatureColumn};
use read::{Objects, read};

/// Bins of energy for efficiency and response.
const ENERGY_BINS: usize = 12;
/// Bins of energy for distributions of single objects.
const WIDE_BINS: usize = 3;
/// A peak is shown over so many of its widths to either side.
const SHOWN_WIDTHS: f64 = 5.0;
const MASS_BINS: usize = 50;

/// Names of what is compared. Members of a collection are addressed by the names of their columns.
#[derive(Clone, Debug, PartialEq)]
pub struct EventOptions {
    /// The generated objects.
    pub generated: ObjectsConfig,
    /// Their column with the true energy.
    pub incident: String,
    /// Collection of the reconstructed objects.
    pub reconstructed: String,
    /// Its member with the position of the generated object.
    pub index: String,
    /// Its member with the energy.
    pub energy: Option<String>,
    /// Its members that are compared in bins of true energy.
    pub quantities: Vec<String>,
    /// Its transverse momentum, η and φ.
    pub direction: Option<[String; 3]>,
    /// Parents of the generated objects: the member with their position, their collection, and its member with the PDG
    /// number.
    pub parents: Option<[String; 3]>,
    /// Column of event weights, used where it exists.
    pub weight: String,
    /// Seed of the resampling behind the errors of peaks.
    pub seed: u64,
}

/// What is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventMetrics {
    /// Peaks of invariant mass, one for every kind of parent.
    pub masses: Vec<MassMetrics>,
    /// Efficiency in bins of true energy.
    pub efficiency: Vec<EfficiencyBin>,
    /// Reconstructed over true energy in bins of true energy.
    pub response: Option<ResponseMetrics>,
    /// Distributions of single objects in bins of true energy.
    pub objects: Vec<ObjectMetrics>,
    /// Objects of both samples.
    pub counts: [ObjectCounts; 2],
}

/// How many objects a sample has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectCounts {
    /// Events.
    pub events: u64,
    /// Generated objects.
    pub generated: u64,
    /// Reconstructed ones.
    pub reconstructed: u64,
}

/// One peak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MassMetrics {
    /// PDG number of the parent.
    pub pdg: i32,
    /// Symbol of the parent.
    pub symbol: String,
    /// Its true mass.
    pub true_mass_mev: f64,
    /// The reference.
    pub reference: PeakFit,
    /// The candidate.
    pub candidate: PeakFit,
    /// Candidate over reference position − 1.
    pub position_deviation: Estimate,
    /// Candidate over reference width − 1.
    pub width_deviation: Estimate,
    /// The spectra about the peak, in entries per pair.
    pub histogram: HistogramPair,
}

/// Efficiency in one bin of true energy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EfficiencyBin {
    /// Lower edge in MeV.
    pub energy_low: f64,
    /// Upper edge.
    pub energy_high: f64,
    /// Part of the generated objects that are found in the reference, with its binomial error.
    pub reference: Estimate,
    /// The same for the candidate.
    pub candidate: Estimate,
}

/// One quantity of single objects in one bin of true energy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectMetrics {
    /// The quantity, and how to draw it.
    pub feature: Feature,
    /// Edges of the bin in MeV.
    pub energy: [f64; 2],
    /// Contents in entries per object.
    pub histogram: HistogramPair,
}

/// Compares two samples of nested events.
///
/// # Errors
/// If a column is missing or a value no number, naming the sample.
pub fn compare_events(
    reference: &Dataset,
    candidate: &Dataset,
    options: &EventOptions,
) -> Result<EventMetrics, ValidationError> {
    let of = |sample: &str, dataset| {
        read(dataset, options).map_err(|source| ValidationError::Data { sample: sample.to_owned(), source })
    };
    let samples = [of("reference events", reference)?, of("filled events", candidate)?];
    let edges = energy_edges(&samples[0], ENERGY_BINS);
    let wide = energy_edges(&samples[0], WIDE_BINS);
    let mut kinds: Vec<i32> = samples[0].masses.iter().map(|pair| pair.pdg).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let masses = kinds.into_iter().filter_map(|pdg| mass(pdg, &samples, options.seed));
    Ok(EventMetrics {
        masses: masses.collect(),
        efficiency: efficiency(&samples, &edges),
        response: options.energy.as_ref().and_then(|_| response(&samples, &edges)),
        objects: (options.quantities.iter().enumerate())
            .flat_map(|(quantity, name)| objects(&samples, quantity, name, &wide))
            .collect(),
        counts: samples.each_ref().map(|sample| sample.counts),
    })
}

/// Edges of bins that hold equal numbers of the reference's objects, ascending.
fn energy_edges(reference: &Objects, bins: usize) -> Vec<f64> {
    if reference.energies.is_empty() { Vec::new() } else { quantile_edges(&reference.energies, bins) }
}

fn mass(pdg: i32, samples: &[Objects; 2], seed: u64) -> Option<MassMetrics> {
    let pairs = samples.each_ref().map(|sample| sample.masses_of(pdg));
    let [reference, candidate] = [0, 1].map(|i| fit_peak(&pairs[i], seed, i as u64));
    // A candidate that lost them is shown, and keeps no limit.
    if reference.mean_mev.is_nan() {
        return None;
    }
    let range = SHOWN_WIDTHS * reference.width_mev;
    let binning =
        Binning::linear((reference.mean_mev - range).max(0.0), reference.mean_mev + range, MASS_BINS);
    let contents = pairs.each_ref().map(|pairs| {
        let mut histogram = Histogram::new(binning.clone());
        pairs.iter().for_each(|pair| histogram.fill(pair.mass_mev, pair.weight));
        histogram.contents(pairs.iter().map(|pair| pair.weight).sum())
    });
    let [in_reference, in_candidate] = contents;
    let particle = Particle::of(pdg);
    Some(MassMetrics {
        pdg,
        symbol: particle.map_or_else(|| pdg.to_string(), |particle| particle.symbol.to_owned()),
        true_mass_mev: particle.map_or(0.0, |particle| particle.mass_mev),
        position_deviation: ratio(
            [candidate.mean_mev, candidate.mean_error_mev],
            [reference.mean_mev, reference.mean_error_mev],
        ),
        width_deviation: ratio(
            [candidate.width_mev, candidate.width_error_mev],
            [reference.width_mev, reference.width_error_mev],
        ),
        reference,
        candidate,
        histogram: HistogramPair {
            edges: binning.edges().to_vec(),
            reference: in_reference,
            candidate: in_candidate,
        },
    })
}

/// Ratio of two values with independent errors, less 1.
fn ratio([value, error]: [f64; 2], [reference, reference_error]: [f64; 2]) -> Estimate {
    let ratio = value / reference;
    Estimate { value: ratio - 1.0, error: (error / reference).hypot(ratio * reference_error / reference) }
}

fn efficiency(samples: &[Objects; 2], edges: &[f64]) -> Vec<EfficiencyBin> {
    let found = |sample: &Objects, bin: usize| {
        let (mut weight, mut squares, mut found) = (0.0, 0.0, 0.0);
        for object in sample.within(edges, bin) {
            let w = sample.weights[object];
            (weight, squares) = (weight + w, squares + w * w);
            found += if sample.reconstructed[object].is_some() { w } else { 0.0 };
        }
        let value = if weight > 0.0 { found / weight } else { 0.0 };
        let entries = if squares > 0.0 { weight * weight / squares } else { 1.0 };
        Estimate { value, error: (value * (1.0 - value) / entries).sqrt() }
    };
    let bins = edges.windows(2).enumerate().map(|(bin, ends)| EfficiencyBin {
        energy_low: ends[0],
        energy_high: ends[1],
        reference: found(&samples[0], bin),
        candidate: found(&samples[1], bin),
    });
    bins.collect()
}

fn response(samples: &[Objects; 2], edges: &[f64]) -> Option<ResponseMetrics> {
    let of = |sample: &Objects| -> [Vec<f32>; 3] {
        let mut columns = [(); 3].map(|()| Vec::new());
        for object in 0..sample.energies.len() {
            let Some(cluster) = sample.reconstructed[object] else { continue };
            let incident = sample.energies[object];
            let values = [incident, sample.measured[cluster] / incident, sample.weights[object] as f32];
            columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        }
        columns
    };
    let columns = samples.each_ref().map(of);
    let [reference, candidate] = columns.each_ref().map(|[incident, response, weights]| ResponseSample {
        incident,
        response,
        weights: Some(weights),
    });
    response_metrics(reference, candidate, edges)
}

fn objects(samples: &[Objects; 2], quantity: usize, name: &str, edges: &[f64]) -> Vec<ObjectMetrics> {
    let bins = edges.windows(2).enumerate().filter_map(|(bin, ends)| {
        let columns = samples.each_ref().map(|sample| {
            let found =
                sample.within(edges, bin).filter_map(|object| Some((object, sample.reconstructed[object]?)));
            let (values, weights): (Vec<f32>, Vec<f32>) = found
                .map(|(object, cluster)| {
                    (sample.quantities[quantity][cluster], sample.weights[object] as f32)
                })
                .unzip();
            FeatureColumn::unnamed(values, Some(weights))
        });
        let feature = Feature {
            name: format!("{name}_{:.0}_{:.0}", ends[0], ends[1]),
            label: format!("{}, {:.0}–{:.0} MeV", samples[0].labels[quantity], ends[0], ends[1]),
            unit: samples[0].units[quantity].clone(),
            log_x: false,
            log_y: false,
            per_event: true,
        };
        let mut ascending = columns[0].values.clone();
        ascending.sort_by(f32::total_cmp);
        if ascending.is_empty() {
            return None;
        }
        let binning = Binning::for_reference(&feature, &ascending, BinningRule::Uniform);
        let contents = columns.each_ref().map(|column| {
            let sum = (0..column.values.len()).map(|entry| column.weight(entry)).sum();
            Histogram::of(&binning, column).contents(sum)
        });
        let [reference, candidate] = contents;
        let histogram = HistogramPair { edges: binning.edges().to_vec(), reference, candidate };
        Some(ObjectMetrics { feature, energy: [ends[0], ends[1]], histogram })
    });
    bins.collect()
}

#[cfg(test)]
mod tests {
    use super::peak::Pair;
    use super::*;
    use crate::gates::{GateRule, apply_gates};
    use crate::metrics::Metrics;
    use crate::plots::tests::example;

    fn pairs_of_pions(n: usize) -> Objects {
        let pair = |i| Pair { pdg: 111, mass_mev: 130.0 + (i % 11) as f64, weight: 1.0 };
        Objects { masses: (0..n).map(pair).collect(), ..Objects::default() }
    }

    #[test]
    fn a_candidate_that_lost_its_pairs_fails_the_gate() {
        for lost in [0, 50] {
            let mass = mass(111, &[pairs_of_pions(1000), pairs_of_pions(lost)], 1)
                .expect("the reference has a peak");
            assert!(mass.histogram.candidate.values.iter().all(|content| content.is_finite()));
            let events = EventMetrics { masses: vec![mass], ..EventMetrics::default() };
            let mut metrics = Metrics { events: Some(events), ..example() };
            let metric = "events.mass_111.position_deviation".to_owned();
            apply_gates(&mut metrics, &[GateRule { metric, max: Some(0.01), min: None }]).unwrap();
            assert!(!metrics.gates[0].passed, "{lost}");
        }
        assert!(mass(111, &[pairs_of_pions(50), pairs_of_pions(1000)], 1).is_none());
    }
}
