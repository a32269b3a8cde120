//! `simile simulate`.

use std::path::PathBuf;

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use simile_data::{DataError, WrittenFile};
use simile_physics::toys::Toy;

use super::Outcome;
use super::options::{Common, check_output};
use crate::simulation::{simulate_diphotons, simulate_photons, simulate_toy};

/// Draw events from a known truth
#[derive(Args)]
#[command(after_help = "Example:\n  simile simulate toy ring --events 20000 -o ring.parquet")]
pub(super) struct Simulate {
    #[command(subcommand)]
    truth: Truth,
}

#[derive(Subcommand)]
enum Truth {
    /// Draw points of a two-dimensional toy density, with their true log density
    #[command(after_help = "Examples:\n  \
        simile simulate toy ring --events 20000 -o ring.parquet\n  \
        simile simulate toy checkerboard --events 1000000 --seed 7 -o board.parquet\n\n\
        The file has the columns event_id, x, y and log_density: log p(x, y) in nats.\n\
        A sample begins with the events of any smaller one of the same toy and seed.")]
    Toy(ToyArguments),
    /// Simulate photons in a parametrised lead/liquid-argon calorimeter
    #[command(after_help = "Example:\n  \
        simile simulate photons --events 20000 -o gun.parquet\n\n\
        The file has the columns event_id, incident_energy and voxels (MeV), and the geometry in its schema metadata. Showers\n\
        follow Grindhammer and Peters, hep-ex/0001020.")]
    Photons(PhotonArguments),
    /// Simulate nested events of π⁰ and η → γγ in the same calorimeter
    #[command(after_help = "Examples:\n  \
        simile simulate diphotons --events 10000 -o mesons.parquet\n  \
        simile simulate diphotons --events 10000000 --no-voxels -o generated.parquet\n\n\
        Lists meson_… and photon_…, some of them empty; photon_voxels holds the shower of every photon.")]
    Diphotons(DiphotonArguments),
}

#[derive(Args)]
struct ToyArguments {
    /// The density
    #[arg(value_parser = PossibleValuesParser::new(Toy::ALL.map(Toy::name)).try_map(|name| name.parse::<Toy>()))]
    toy: Toy,
    #[command(flatten)]
    sample: Sample,
}

#[derive(Args)]
struct PhotonArguments {
    /// Lowest energy in MeV
    #[arg(long, default_value_t = 500.0, value_name = "MEV")]
    lowest: f64,
    /// Highest energy in MeV
    #[arg(long, default_value_t = 50_000.0, value_name = "MEV")]
    highest: f64,
    #[command(flatten)]
    sample: Sample,
}

#[derive(Args)]
struct DiphotonArguments {
    /// Leave out the showers
    #[arg(long)]
    no_voxels: bool,
    #[command(flatten)]
    sample: Sample,
}

/// What all samples have.
#[derive(Args)]
struct Sample {
    /// Number of events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the output file if it exists
    #[arg(long)]
    overwrite: bool,
}

impl Sample {
    /// Writes the file with `write` and says how large it is.
    fn write(&self, write: impl FnOnce(&Self) -> Result<WrittenFile, DataError>) -> anyhow::Result<Outcome> {
        let output = self.output.display();
        check_output(&self.output, self.overwrite)?;
        let written = write(self)?;
        println!("{output}: {} events, {} bytes", written.rows, written.bytes);
        Ok(Outcome::Success)
    }
}

impl Simulate {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        match self.truth {
            Truth::Toy(arguments) => arguments.run(common),
            Truth::Photons(arguments) => arguments.run(common),
            Truth::Diphotons(arguments) => arguments.run(common),
        }
    }
}

impl ToyArguments {
    fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        self.sample.write(|sample| {
            simulate_toy(self.toy, sample.events, sample.seed, &sample.output, &mut common.terminal())
        })
    }
}

impl PhotonArguments {
    fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        let energies = [self.lowest, self.highest];
        if !(self.lowest > 0.0 && self.lowest < self.highest && self.highest.is_finite()) {
            bail!(
                "energies from {} to {} MeV: give --lowest above 0 and below --highest",
                self.lowest,
                self.highest
            );
        }
        self.sample.write(|sample| {
            simulate_photons(sample.events, energies, sample.seed, &sample.output, &mut common.terminal())
        })
    }
}

impl DiphotonArguments {
    fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        self.sample.write(|sample| {
            simulate_diphotons(
                sample.events,
                !self.no_voxels,
                sample.seed,
                &sample.output,
                &mut common.terminal(),
            )
        })
    }
}
