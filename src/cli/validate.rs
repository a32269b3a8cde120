//! `simile validate`: the events of a run again, or any two files.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use simile_data::Dataset;
use simile_validation::c2st::TwoSampleClassifier;
use simile_validation::plots::write_plots;
use simile_validation::report::{ReportContext, write_report};
use simile_validation::{Validation, write_weights};

use super::Outcome;
use super::options::Common;
use super::stage::{print_gates, run_stage};
use crate::files::PendingFolder;
use crate::models::MlpClassifier;
use crate::pipeline::Stage;
use crate::pipeline::images::Source;
use crate::validation::ValidationConfig;

/// Compare generated events with the reference: those of a run, or any two samples
#[derive(Args)]
#[command(override_usage = "simile validate [OPTIONS] RUN\n       \
    simile validate [OPTIONS] --reference FILE --candidate FILE --output DIR")]
#[command(after_help = "Examples:\n  \
    simile validate runs/quickstart\n  \
    simile validate --reference full.parquet --candidate fast.parquet -o check\n  \
    simile validate --reference full.parquet --candidate fast.parquet --columns pt,eta,mass -o check\n  \
    simile validate --reference full.parquet --candidate fast.parquet --incident incident_energy --voxels voxels -o check")]
pub(super) struct Validate {
    /// Run directory whose generated events are compared again, as its configuration says
    #[arg(conflicts_with = "Samples")]
    run: Option<PathBuf>,
    #[command(flatten)]
    samples: Samples,
}

/// Two samples and how to compare them.
#[derive(Args)]
struct Samples {
    /// Parquet file or glob taken as truth; may be repeated
    #[arg(long, value_name = "FILE")]
    reference: Vec<String>,
    /// Parquet file or glob to judge; may be repeated
    #[arg(long, value_name = "FILE")]
    candidate: Vec<String>,
    /// TOML file with the keys of the [validation] table of a run
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for metrics.json, plots, report.html and weights.parquet
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Columns to compare; by default showers if the files have a calorimeter, else all common columns of numbers
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    columns: Vec<String>,
    /// Column of the incident energy in MeV
    #[arg(long, value_name = "NAME")]
    incident: Option<String>,
    /// Column of the voxel energies in MeV
    #[arg(long, value_name = "NAME")]
    voxels: Option<String>,
    /// Voxels below this energy in MeV count as empty in both samples
    #[arg(long, value_name = "MEV")]
    threshold: Option<f64>,
    /// Column of event weights, in both samples
    #[arg(long, value_name = "NAME")]
    weight: Option<String>,
    /// File of gates: [[gate]] tables with metric and max or min
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
    /// Leave out the neural two-sample classifier
    #[arg(long)]
    no_classifier: bool,
    /// Seed of splits and classifiers
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

impl Validate {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        match &self.run {
            Some(run) => run_stage(run, Stage::Validate, common),
            None => self.samples.run(common),
        }
    }
}

impl Samples {
    fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        let output = match &self.output {
            Some(output) if !self.reference.is_empty() && !self.candidate.is_empty() => output,
            _ => bail!(
                "name a run directory, or two samples and a folder for the results: \
                 simile validate RUN, or simile validate --reference FILE --candidate FILE --output DIR"
            ),
        };
        if output.exists() {
            bail!("{} exists: choose another --output", output.display());
        }
        let mut config = self.config()?;
        let reference = Dataset::open(&self.reference)?;
        let candidate = Dataset::open(&self.candidate)?;
        if config.columns.is_empty() && config.voxels.is_none() && config.images.is_none() {
            let chosen = choose_columns(&mut config, [&reference, &candidate])?;
            common.terminal().message(&chosen);
        }
        let mut options = config.options(self.seed, ["reference", "candidate"])?;
        let device = common.device()?;
        if let Some(images) = config.images.as_ref().filter(|images| images.column.is_some()) {
            let is_conditional = images.label.as_ref().is_some_and(|label| candidate.field(label).is_ok());
            let samples = [&reference, &candidate];
            let source = Source { config: images, samples, is_conditional, max_events: config.max_events };
            options.images = Some(source.read(&device)?.metrics(&options)?);
        }
        let classifier = MlpClassifier::new(config.classifier.clone(), device);
        let classifier: Option<&dyn TwoSampleClassifier> =
            if self.no_classifier { None } else { Some(&classifier) };
        let terminal = RefCell::new(common.terminal());
        let progress = |message: &str| terminal.borrow_mut().message(message);
        let Validation { metrics, weights } =
            simile_validation::validate(&reference, &candidate, &options, classifier, &progress)?;

        let folder = PendingFolder::create(output)?;
        metrics.write(&folder.path().join("metrics.json"))?;
        write_weights(&weights, &folder.path().join("weights.parquet"))?;
        let figures = write_plots(&metrics, None, None, None, &folder.path().join("plots"))?;
        let context = ReportContext {
            title: "Comparison of two samples".into(),
            subtitle: format!("{} against {}", self.candidate.join(", "), self.reference.join(", ")),
            facts: vec![
                (
                    "Reference".into(),
                    format!("{} ({} events)", self.reference.join(", "), metrics.reference.events),
                ),
                (
                    "Candidate".into(),
                    format!("{} ({} events)", self.candidate.join(", "), metrics.candidate.events),
                ),
                ("Seed".into(), self.seed.to_string()),
                ("simile".into(), env!("CARGO_PKG_VERSION").into()),
            ],
            config_toml: toml::to_string(&config).expect("a configuration is representable in TOML"),
        };
        write_report(&folder.path().join("report.html"), &context, &metrics, &figures, None)?;
        folder.commit()?;
        let outcome = print_gates(&metrics);
        println!("report   {}", output.join("report.html").display());
        Ok(outcome)
    }

    fn config(&self) -> anyhow::Result<ValidationConfig> {
        let mut config = match &self.config {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                toml::from_str(&text).with_context(|| format!("in {}", path.display()))?
            }
            None => ValidationConfig::default(),
        };
        if !self.columns.is_empty() {
            config.columns.clone_from(&self.columns);
        }
        let override_with = |old: &mut Option<String>, new: &Option<String>| {
            if new.is_some() {
                old.clone_from(new);
            }
        };
        override_with(&mut config.incident, &self.incident);
        override_with(&mut config.voxels, &self.voxels);
        override_with(&mut config.weight, &self.weight);
        config.threshold_mev = self.threshold.or(config.threshold_mev);
        config.thresholds = self.thresholds.clone().or(config.thresholds);
        config.check()?;
        Ok(config)
    }
}

/// Column that simile and Geant4 samples number events in.
const EVENT_ID: &str = "event_id";
/// Column of the incident energy of shower files.
const INCIDENT: &str = "incident_energy";

/// Compares what both samples have: showers if they have a calorimeter, else all columns of numbers. Says what was chosen.
fn choose_columns(config: &mut ValidationConfig, samples: [&Dataset; 2]) -> anyhow::Result<String> {
    let [reference, candidate] = samples.map(Dataset::numeric_columns);
    let mut common: Vec<_> = reference.into_iter().filter(|column| candidate.contains(column)).collect();
    let incident = config.incident.clone().unwrap_or_else(|| INCIDENT.to_owned());
    if let Some(geometry) = samples[0].geometry()? {
        let voxels = common.iter().find(|(_, width)| *width > 1 && *width == geometry.n_voxels());
        if let (Some((voxels, _)), true) = (voxels, common.contains(&(incident.clone(), 1))) {
            let message = format!("comparing showers: `{voxels}` for `{incident}`");
            (config.voxels, config.incident) = (Some(voxels.clone()), Some(incident));
            return Ok(message);
        }
    }
    let roles = [&config.weight, &config.time_column, &config.incident].map(|role| role.as_deref());
    let roles = [roles.as_slice(), &[Some(EVENT_ID)]].concat();
    common.retain(|(name, _)| !roles.contains(&Some(name)) && !config.conditions.contains(name));
    if common.is_empty() {
        bail!(
            "nothing to compare: the samples have no column of numbers in common; name --columns, or --incident and --voxels \
             of a calorimeter"
        );
    }
    config.columns = common.into_iter().map(|(name, _)| name).collect();
    let mut message =
        format!("comparing all common columns: {} (--columns chooses)", config.columns.join(", "));
    let is_known = |name: &String| {
        config.columns.contains(name) || config.conditions.contains(name) || roles.contains(&Some(name))
    };
    let names = samples.iter().flat_map(|sample| sample.schema().fields()).map(|field| field.name());
    let left_out: BTreeSet<&str> = names.filter(|name| !is_known(name)).map(String::as_str).collect();
    if !left_out.is_empty() {
        let names = left_out.into_iter().collect::<Vec<_>>().join(", ");
        write!(message, "; left out, being in one sample alone or not numbers of one width: {names}")?;
    }
    Ok(message)
}
