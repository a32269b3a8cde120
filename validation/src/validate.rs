//! The whole comparison of two data sets.

use ndarray::{Array2, Axis};
use rand::Rng;
use rayon::prelude::*;
use simile_data::{Dataset, random};
use simile_physics::Geometry;

use crate::binning::BinningRule;
use crate::c2st::{C2stOptions, TwoSampleClassifier, c2st};
use crate::checks::{check_features, check_units, check_widths, shower};
use crate::compare::{Comparing, Side, adjust, compare};
use crate::correlation::Correlations;
use crate::error::ValidationError;
use crate::events::EventMetrics;
use crate::features::{Calorimeter, Extraction, ObservableSet, extract, pixel_inputs, voxel_inputs};
use crate::gates::{GateRule, apply_gates, check_gates};
use crate::images::{ImageColumn, ImageMetrics};
use crate::metrics::{
    C2stMetrics, FeatureMetrics, GlobalMetrics, KlMetrics, LikelihoodMetrics, Metrics, ModeMetrics,
    PlaneMetrics, Profiles, ResponseMetrics, SCHEMA_VERSION, SampleInfo, Verdict,
};
use crate::modes::{ModesOptions, Points, mode_metrics};
use crate::multivariate::{Distances, MIN_EVENTS, distances};
use crate::permutation::Permutations;
use crate::plane::plane;
use crate::profiles::{Showers, profiles};
use crate::response::{ResponseSample, quantile_edges, response_metrics};
use crate::statistics::Grouping;
use crate::table::Table;
use crate::weights::EventWeights;

/// Bins of incident energy if no edges are given: one per factor 2.5 between 0.5 and 50 GeV.
pub const DEFAULT_RESPONSE_BINS: usize = 5;

/// Permutations of events: p-values down to 0.001, each known to 0.007 at 0.05.
pub const DEFAULT_PERMUTATIONS: usize = 999;

/// What to compare and how.
#[derive(Clone, Debug)]
pub struct ValidateOptions {
    /// Scalar column of the incident energy (MeV), a condition.
    pub incident: Option<String>,
    /// Column of the voxel energies (MeV); needs `incident` and a geometry in the reference's metadata.
    pub voxels: Option<String>,
    /// Column of grey images, to be compared by simple observables, and by a classifier as a whole.
    pub image: Option<ImageColumn>,
    /// Other columns to compare, scalars or fixed-size lists.
    pub columns: Vec<String>,
    /// Columns both samples were made for. They are not compared, but given to the classifier on observables, which
    /// so sees whether the compared columns depend on them as they should.
    pub conditions: Vec<String>,
    /// Scalar column of the event weights, in both data sets.
    pub weight: Option<String>,
    /// The shower observables that classifiers and distances of whole events are given.
    pub observables: ObservableSet,
    /// Voxels below this energy (MeV) count as empty, in both data sets alike.
    pub threshold_mev: f32,
    /// Ascending edges of the bins of incident energy; `None` for [`DEFAULT_RESPONSE_BINS`] equally filled ones.
    pub response_edges: Option<Vec<f64>>,
    /// How the bins of histograms are chosen.
    pub binning: BinningRule,
    /// Permutations of events behind p-values of features; 0 for none. At most 100,000 events of each sample are permuted, and of
    /// features with several entries per event as many as have 1,000,000 entries.
    pub permutations: usize,
    /// Modes to be counted in both samples.
    pub modes: Option<ModesOptions>,
    /// Divergence of the densities, which the maker of the candidate alone can work out; passed on to the metrics.
    pub kl: Option<KlMetrics>,
    /// Likelihood of the reference, which the maker of the candidate alone can work out; passed on to the metrics.
    pub likelihood: Option<LikelihoodMetrics>,
    /// What was found about nested events, which are compared apart; passed on to the metrics.
    pub events: Option<EventMetrics>,
    /// What was found about images with a classifier and the training sample; passed on to the metrics.
    pub images: Option<ImageMetrics>,
    /// Protocol of the classifier tests.
    pub c2st: C2stOptions,
    /// Events read from each data set at most; `None` for all. They are held in memory.
    pub max_events: Option<usize>,
    /// Seed of all random choices.
    pub seed: u64,
    /// Name of the reference in legends.
    pub reference_label: String,
    /// Name of the candidate in legends.
    pub candidate_label: String,
    /// Limits that decide the verdict.
    pub gates: Vec<GateRule>,
}

impl Default for ValidateOptions {
    fn default() -> Self {
        Self {
            incident: None,
            voxels: None,
            image: None,
            columns: Vec::new(),
            conditions: Vec::new(),
            weight: None,
            observables: ObservableSet::default(),
            threshold_mev: 0.0,
            response_edges: None,
            binning: BinningRule::default(),
            permutations: DEFAULT_PERMUTATIONS,
            modes: None,
            kl: None,
            likelihood: None,
            events: None,
            images: None,
            c2st: C2stOptions::default(),
            max_events: None,
            seed: 0,
            reference_label: "reference".into(),
            candidate_label: "candidate".into(),
            gates: Vec::new(),
        }
    }
}

impl ValidateOptions {
    /// Checks what can be checked without the data.
    ///
    /// # Errors
    /// Names the option out of range.
    pub fn check(&self) -> Result<(), ValidationError> {
        if !(self.threshold_mev.is_finite() && self.threshold_mev >= 0.0) {
            return Err(ValidationError::Threshold { threshold_mev: self.threshold_mev });
        }
        let edges = self.response_edges.iter().find(|edges| {
            let ascending = edges.windows(2).all(|pair| pair[0] < pair[1]);
            edges.len() < 2 || !ascending || edges.iter().any(|edge| !edge.is_finite())
        });
        if let Some(edges) = edges {
            return Err(ValidationError::ResponseEdges { edges: edges.clone() });
        }
        if let Some(modes) = &self.modes {
            modes.check()?;
        }
        let mut columns = self.columns.iter().enumerate();
        if let Some((_, feature)) = columns.find(|(i, name)| self.columns[..*i].contains(name)) {
            return Err(ValidationError::DuplicateFeature { feature: feature.clone() });
        }
        Ok(self.c2st.check()?)
    }
}

/// What a comparison found.
#[derive(Clone, Debug)]
pub struct Validation {
    /// All that plots and report need.
    pub metrics: Metrics,
    /// Weights of the candidate's events, for every classifier test.
    pub weights: Vec<EventWeights>,
}

/// Compares `candidate` with `reference`. Without a classifier the classifier tests are left out. `progress` is told
/// what has been done.
///
/// # Errors
/// When an option is out of range, a data set cannot be read, has too few events or values out of range, when the calorimeters differ, when a
/// gate names no figure, or when the classifier fails.
pub fn validate(
    reference: &Dataset,
    candidate: &Dataset,
    options: &ValidateOptions,
    classifier: Option<&dyn TwoSampleClassifier>,
    progress: &dyn Fn(&str),
) -> Result<Validation, ValidationError> {
    options.check()?;
    let comparison = Comparison::read(reference, candidate, options)?;
    let [events, candidates] =
        [&comparison.reference, &comparison.candidate].map(|loaded| loaded.table.events);
    progress(&format!("{events} reference and {candidates} candidate events read"));
    let mut metrics = comparison.metrics()?;
    progress(&format!("{} features compared", metrics.features.len()));
    let mut weights = Vec::new();
    if let Some(classifier) = classifier {
        let views = comparison.views();
        check_gates(&options.gates, &figure_names(&metrics, &views))?;
        (metrics.global.c2st, weights) = comparison.c2st(views, classifier, progress)?;
    }
    apply_gates(&mut metrics, &options.gates)?;
    Ok(Validation { metrics, weights })
}

/// Inputs of a classifier test for both samples.
struct View {
    name: &'static str,
    reference: Array2<f32>,
    candidate: Array2<f32>,
}

/// Figures that there will be once the classifiers have run, so that a misspelt gate is found before them.
fn figure_names(metrics: &Metrics, views: &[View]) -> Vec<String> {
    let tests = views.iter().flat_map(|view| C2stMetrics::figure_names(view.name));
    tests.chain(metrics.figures().into_iter().map(|figure| figure.name)).collect()
}

/// One data set, read and reduced to features.
struct Loaded {
    table: Table,
    extraction: Extraction,
    grouping: Grouping,
}

impl Loaded {
    fn new(table: Table, extraction: Extraction, seed: u64) -> Self {
        let grouping = Grouping::new(table.events, seed);
        Self { table, extraction, grouping }
    }

    fn info(&self) -> SampleInfo {
        let Table { label, files, events, .. } = &self.table;
        let sum_of_weights = self.table.sum_of_weights();
        SampleInfo { label: label.clone(), events: *events, sum_of_weights, files: files.clone() }
    }

    fn side(&self, column: usize) -> Result<Side<'_>, ValidationError> {
        let column = &self.extraction.sample.columns[column];
        let sum: f64 = (0..column.values.len()).map(|i| column.weight(i)).sum();
        if sum > 0.0 {
            let sum_of_weights = self.extraction.sample.sum_of_weights;
            return Ok(Side { column, grouping: &self.grouping, sum_of_weights });
        }
        Err(ValidationError::EmptyFeature {
            sample: self.table.label.clone(),
            feature: column.feature.name.clone(),
            label: column.feature.label.clone(),
        })
    }
}

/// Both samples, ready to be compared.
struct Comparison<'a> {
    options: &'a ValidateOptions,
    shower: Option<(Geometry, Calorimeter)>,
    reference: Loaded,
    candidate: Loaded,
}

impl<'a> Comparison<'a> {
    fn read(
        reference: &Dataset,
        candidate: &Dataset,
        options: &'a ValidateOptions,
    ) -> Result<Self, ValidationError> {
        let (reference_label, candidate_label) = (&options.reference_label, &options.candidate_label);
        let of_reference = |source| ValidationError::Data { sample: reference_label.clone(), source };
        let shower = shower(reference, candidate, options)?;
        let units = reference.units().map_err(of_reference)?;
        check_units(&units, candidate, options)?;
        let mut tables = (
            Table::read(reference, reference_label, options)?,
            Table::read(candidate, candidate_label, options)?,
        );
        check_widths(&tables.0, &tables.1)?;
        let calorimeter = shower.as_ref().map(|(_, calorimeter)| calorimeter);
        let extracted = |table: &mut Table| extract(table, calorimeter, options.incident.as_ref(), &units);
        let extractions = (extracted(&mut tables.0), extracted(&mut tables.1));
        if extractions.0.numbers == 0 && extractions.0.sample.columns.is_empty() {
            return Err(ValidationError::NoFeatures);
        }
        check_features(&extractions.0)?;
        Ok(Self {
            options,
            shower,
            reference: Loaded::new(tables.0, extractions.0, options.seed),
            candidate: Loaded::new(tables.1, extractions.1, options.seed),
        })
    }

    /// Everything but classifier tests and gates.
    fn metrics(&self) -> Result<Metrics, ValidationError> {
        let (reference, candidate) = (&self.reference, &self.candidate);
        let samples = (&reference.extraction.sample, &candidate.extraction.sample);
        let seed = self.options.seed;
        let correlations = Correlations::of(samples.0, &reference.grouping)
            .zip(Correlations::of(samples.1, &candidate.grouping));
        let distances = self.distances()?;
        Ok(Metrics {
            schema_version: SCHEMA_VERSION,
            reference: reference.info(),
            candidate: candidate.info(),
            features: self.features()?,
            response: self.response().or_else(|| self.options.events.as_ref()?.response.clone()),
            global: GlobalMetrics {
                c2st: Vec::new(),
                correlation_distance: correlations.as_ref().map(|(a, b)| a.distance(b, seed)),
                correlations: correlations.as_ref().and_then(|(a, b)| a.shown(b)),
                fpd: distances.as_ref().map(|distances| distances.fpd),
                kpd: distances.as_ref().map(|distances| distances.kpd),
                neighbours: distances.as_ref().and_then(|distances| distances.neighbours),
                mmd: distances.as_ref().and_then(|distances| distances.mmd),
                sliced_wasserstein: distances.as_ref().and_then(|distances| distances.sliced_wasserstein),
                modes: self.modes()?,
                kl: self.options.kl,
                likelihood: self.options.likelihood,
            },
            profiles: self.profiles(),
            plane: self.plane(),
            events: self.options.events.clone(),
            images: self.options.images.clone(),
            gates: Vec::new(),
            verdict: Verdict::None,
        })
    }

    fn features(&self) -> Result<Vec<FeatureMetrics>, ValidationError> {
        let columns = 0..self.reference.extraction.sample.columns.len();
        let sides: Vec<_> = columns
            .map(|column| Ok((self.reference.side(column)?, self.candidate.side(column)?)))
            .collect::<Result<_, ValidationError>>()?;
        let ValidateOptions { binning, permutations, seed, .. } = *self.options;
        let events = [&self.reference, &self.candidate].map(|loaded| loaded.table.events);
        let permutations = Permutations::new(events, permutations, seed);
        let how = Comparing { binning, permutations: permutations.as_ref(), seed };
        let mut features: Vec<_> = sides.into_par_iter().map(|(a, b)| compare(a, b, how)).collect();
        adjust(&mut features);
        Ok(features)
    }

    fn response(&self) -> Option<ResponseMetrics> {
        let (_, calorimeter) = self.shower.as_ref()?;
        let reference = self.reference.extraction.response(calorimeter)?;
        let candidate = self.candidate.extraction.response(calorimeter)?;
        let incident = self.reference.table.incident.as_ref()?;
        let quantiles = || quantile_edges(incident, DEFAULT_RESPONSE_BINS);
        let edges = self.options.response_edges.clone().unwrap_or_else(quantiles);
        response_metrics(
            response_sample(&self.reference.table, &reference)?,
            response_sample(&self.candidate.table, &candidate)?,
            &edges,
        )
    }

    /// Distances of whole events in the observables; `None` with too few events, or with negative weights, by which no events can be
    /// drawn.
    fn distances(&self) -> Result<Option<Distances>, ValidationError> {
        let negative = |loaded: &Loaded| loaded.table.weights.iter().flatten().any(|&weight| weight < 0.0);
        if negative(&self.reference) || negative(&self.candidate) {
            return Ok(None);
        }
        let Some(view) = self.observables() else { return Ok(None) };
        let reference = unweight(view.reference, &self.reference.table, self.options)?.inputs;
        let candidate = unweight(view.candidate, &self.candidate.table, self.options)?.inputs;
        if reference.nrows().min(candidate.nrows()) < MIN_EVENTS {
            return Ok(None);
        }
        Ok(Some(distances(&reference, &candidate, self.options.seed)?))
    }

    fn profiles(&self) -> Option<Profiles> {
        let (geometry, _) = self.shower.as_ref()?;
        Some(profiles(geometry, showers_of(&self.reference.table)?, showers_of(&self.candidate.table)?))
    }

    fn modes(&self) -> Result<Option<ModeMetrics>, ValidationError> {
        let (Some(options), Some(reference), Some(candidate)) =
            (&self.options.modes, mode_points(&self.reference), mode_points(&self.candidate))
        else {
            return Ok(None);
        };
        Ok(Some(mode_metrics(options, reference, candidate, &self.reference.grouping, self.options.seed)?))
    }

    /// The map of two compared numbers; none with more or fewer, or with showers.
    fn plane(&self) -> Option<PlaneMetrics> {
        let extraction = &self.reference.extraction;
        if extraction.numbers != 2 || self.shower.is_some() {
            return None;
        }
        // Features of the other columns stand behind the incident energy.
        let [reference, candidate] =
            [&self.reference, &self.candidate].map(|loaded| &loaded.extraction.sample.columns);
        Some(plane(reference.last_chunk()?, candidate.last_chunk()?))
    }

    /// Inputs of the classifier tests.
    fn views(&self) -> Vec<View> {
        let voxels = self.view("voxels", &|loaded| voxel_inputs(&loaded.table));
        let pixels = self.view("pixels", &|loaded| pixel_inputs(&loaded.table));
        voxels.into_iter().chain(pixels).chain(self.observables()).collect()
    }

    fn observables(&self) -> Option<View> {
        let calorimeter = self.shower.as_ref().map(|(_, calorimeter)| calorimeter);
        self.view("observables", &|loaded| loaded.extraction.observable_inputs(&loaded.table, calorimeter))
    }

    fn view(&self, name: &'static str, inputs: &dyn Fn(&Loaded) -> Option<Array2<f32>>) -> Option<View> {
        Some(View { name, reference: inputs(&self.reference)?, candidate: inputs(&self.candidate)? })
    }

    fn c2st(
        &self,
        views: Vec<View>,
        classifier: &dyn TwoSampleClassifier,
        progress: &dyn Fn(&str),
    ) -> Result<(Vec<C2stMetrics>, Vec<EventWeights>), ValidationError> {
        let Self { options, reference, candidate, .. } = self;
        let tests = views.into_iter().map(|View { name, reference: truth, candidate: fake }| {
            let truth = unweight(truth, &reference.table, options)?.inputs;
            let fake = unweight(fake, &candidate.table, options)?;
            let found = c2st(
                name,
                truth.view(),
                fake.inputs.view(),
                classifier,
                &options.c2st,
                options.seed,
                progress,
            )?;
            let weights =
                EventWeights { view: name, values: fake.spread(found.weights, candidate.table.events) };
            Ok((found.metrics, weights))
        });
        tests.collect::<Result<Vec<_>, ValidationError>>().map(|tests| tests.into_iter().unzip())
    }
}

fn response_sample<'a>(table: &'a Table, response: &'a [f32]) -> Option<ResponseSample<'a>> {
    Some(ResponseSample { incident: table.incident.as_ref()?, response, weights: table.weights.as_deref() })
}

fn mode_points(loaded: &Loaded) -> Option<Points<'_>> {
    let Table { label, weights, mode_points, .. } = &loaded.table;
    Some(Points { label, values: mode_points.as_ref()?.view(), weights: weights.as_deref() })
}

fn showers_of(table: &Table) -> Option<Showers<'_>> {
    Some(Showers { voxels: table.voxels.as_ref()?.view(), weights: table.weights.as_deref() })
}

/// Events without weights.
struct Unweighted {
    inputs: Array2<f32>,
    /// Their numbers in the sample; all without.
    events: Option<Vec<usize>>,
}

impl Unweighted {
    /// What was found for these events, for `all` of the sample; NaN for the others.
    fn spread(&self, values: Vec<f32>, all: usize) -> Vec<f32> {
        let Some(events) = &self.events else { return values };
        let mut spread = vec![f32::NAN; all];
        events.iter().zip(values).for_each(|(&event, value)| spread[event] = value);
        spread
    }
}

/// Events drawn with probability weight / largest weight: a sample of unit weights with the same distribution, which
/// every classifier can use.
fn unweight(
    inputs: Array2<f32>,
    table: &Table,
    options: &ValidateOptions,
) -> Result<Unweighted, ValidationError> {
    let (Some(weights), Some(column)) = (&table.weights, &options.weight) else {
        return Ok(Unweighted { inputs, events: None });
    };
    if let Some(event) = weights.iter().position(|&weight| weight < 0.0) {
        let (sample, column, value) = (table.label.clone(), column.clone(), weights[event]);
        return Err(ValidationError::NegativeWeight { sample, column, event, value });
    }
    let largest = weights.iter().copied().fold(0.0, f32::max);
    let mut rng = random::stream(options.seed, "validation/unweight", 0);
    let kept: Vec<usize> = (0..weights.len()).filter(|&i| rng.gen_range(0.0..largest) < weights[i]).collect();
    Ok(Unweighted { inputs: inputs.select(Axis(0), &kept), events: Some(kept) })
}
