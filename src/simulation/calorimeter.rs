//! Photons in the built-in parametrised calorimeter: a gun, and nested events of π⁰ and η → γγ.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use ndarray::Array2;
use rand::Rng;
use rand_distr::{Distribution, Exp1, Poisson};
use rayon::prelude::*;
use simile_data::objects::list_column;
use simile_data::{
    DataError, EventWriter, Events, GEOMETRY_KEY, UNITS_KEY, WriterOptions, WrittenFile, matrix_to_array,
    numbered_batch, numbered_schema, random,
};
use simile_physics::FourVector;
use simile_physics::parametrised::ParametrisedCalorimeter;
use simile_physics::particles::Particle;
use simile_physics::units::GEV;

use super::ranges;
use crate::sampling::Observer;

/// Events that share a random stream; part of the definition of a sample, so it never changes.
const CHUNK: u64 = 64;
/// Chunks held in memory between writes.
const CHUNKS_PER_BLOCK: u64 = 128;

fn metadata(
    what: &str,
    seed: u64,
    units: &serde_json::Value,
    geometry: Option<String>,
) -> HashMap<String, String> {
    let generator = serde_json::json!({
        "code": format!("simile {}", env!("CARGO_PKG_VERSION")),
        "sample": what,
        "seed": seed,
    });
    let mut metadata = HashMap::from([
        ("generator".to_owned(), generator.to_string()),
        (UNITS_KEY.to_owned(), units.to_string()),
    ]);
    metadata.extend(geometry.map(|geometry| (GEOMETRY_KEY.to_owned(), geometry)));
    metadata
}

/// Writes photons along the axis of the calorimeter, with energies between `energies_mev`, their logarithm uniform:
/// `event_id`, `incident_energy` and `voxels` in MeV. The file appears under its name only when it is complete.
///
/// # Errors
/// If the file cannot be written.
pub fn simulate_photons(
    events: u64,
    energies_mev: [f64; 2],
    seed: u64,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<WrittenFile, DataError> {
    let calorimeter = ParametrisedCalorimeter::lead_argon();
    let units = serde_json::json!({ "incident_energy": "MeV", "voxels": "MeV" });
    let metadata = metadata("photons", seed, &units, Some(calorimeter.geometry().to_json()));
    let columns =
        [("incident_energy".to_owned(), 1), ("voxels".to_owned(), calorimeter.geometry().n_voxels())];
    let schema = numbered_schema("event_id", &columns, metadata);
    let mut writer = EventWriter::create(out, schema.clone(), &WriterOptions::default())?;
    observer.begin(events);
    for block in ranges(0..events, CHUNK * CHUNKS_PER_BLOCK) {
        let chunks: Vec<Range<u64>> = ranges(block, CHUNK).collect();
        let drawn: Result<Vec<Events>, DataError> =
            chunks.into_par_iter().map(|rows| photons(&calorimeter, rows, energies_mev, seed)).collect();
        let drawn = Events::concat(&drawn?)?;
        writer.write(&numbered_batch(&drawn, &schema)?)?;
        observer.advance(drawn.len() as u64);
    }
    writer.finish()
}

fn photons(
    calorimeter: &ParametrisedCalorimeter,
    rows: Range<u64>,
    [low, high]: [f64; 2],
    seed: u64,
) -> Result<Events, DataError> {
    let mut rng = random::stream(seed, "simulate/photons", rows.start / CHUNK);
    let n = (rows.end - rows.start) as usize;
    let (mut energies, mut voxels) = (Vec::with_capacity(n), Vec::new());
    for _ in 0..n {
        let energy = low * (high / low).powf(rng.r#gen());
        energies.push(energy as f32);
        voxels.extend(calorimeter.photon(energy, &mut rng));
    }
    let mut events = Events::new(rows.collect());
    let matrix = |values: Vec<f32>| {
        let width = values.len() / n;
        Array2::from_shape_vec((n, width), values).expect("as many values for each event")
    };
    events.push("incident_energy", matrix(energies))?;
    events.push("voxels", matrix(voxels))?;
    Ok(events)
}

/// Mean number of mesons in an event.
const MESONS: f64 = 1.2;
/// Part of them that are π⁰; the others are η.
const PIONS: f64 = 0.8;
/// Transverse momenta: p_t = 2 GeV + exponential of this mean.
const MEAN_PT_MEV: f64 = 1.5 * GEV;
const LOWEST_PT_MEV: f64 = 2.0 * GEV;
const LARGEST_ETA: f64 = 1.2;
/// Mesons are kept if both photons have energies between these.
const PHOTON_MEV: [f64; 2] = [0.5 * GEV, 50.0 * GEV];

/// Columns of mesons and photons of some events.
#[derive(Default)]
struct Diphotons {
    meson_offsets: Vec<usize>,
    photon_offsets: Vec<usize>,
    pdg: Vec<i32>,
    /// p_t, η, φ, mass
    mesons: [Vec<f32>; 4],
    /// p_t, η, φ, energy
    photons: [Vec<f32>; 4],
    parent: Vec<i32>,
    voxels: Vec<f32>,
}

/// Writes nested events with π⁰ and η that decay into photons isotropically in their rest frames: lists `meson_pdg`, `_pt`,
/// `_eta`, `_phi`, `_mass` and `photon_pt`, `_eta`, `_phi`, `_energy`, `_meson` (position of the parent), and, with
/// `voxels`, `photon_voxels`, for every photon its shower along the axis of the calorimeter. Some events have no meson.
///
/// # Errors
/// If the file cannot be written.
pub fn simulate_diphotons(
    events: u64,
    voxels: bool,
    seed: u64,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<WrittenFile, DataError> {
    let calorimeter = voxels.then(ParametrisedCalorimeter::lead_argon);
    let geometry = calorimeter.as_ref().map(|calorimeter| calorimeter.geometry());
    let units = serde_json::json!({
        "meson_pt": "MeV", "meson_phi": "rad", "meson_mass": "MeV",
        "photon_pt": "MeV", "photon_phi": "rad", "photon_energy": "MeV", "photon_voxels": "MeV",
    });
    let metadata = metadata("diphotons", seed, &units, geometry.map(simile_physics::Geometry::to_json));
    let width = geometry.map(simile_physics::Geometry::n_voxels);
    let empty = Diphotons::default().batch(0..0, width)?;
    let schema = Arc::new(Schema::new_with_metadata(empty.schema().fields().clone(), metadata));
    let mut writer = EventWriter::create(out, schema.clone(), &WriterOptions::default())?;
    observer.begin(events);
    for block in ranges(0..events, CHUNK * CHUNKS_PER_BLOCK) {
        let chunks: Vec<Range<u64>> = ranges(block, CHUNK).collect();
        let batches: Result<Vec<RecordBatch>, DataError> = chunks
            .into_par_iter()
            .map(|rows| Diphotons::draw(rows.clone(), calorimeter.as_ref(), seed).batch(rows, width))
            .collect();
        for batch in batches? {
            let rows = batch.num_rows() as u64;
            writer.write(&batch.with_schema(schema.clone())?)?;
            observer.advance(rows);
        }
    }
    writer.finish()
}

impl Diphotons {
    fn draw(rows: Range<u64>, calorimeter: Option<&ParametrisedCalorimeter>, seed: u64) -> Self {
        let mut rng = random::stream(seed, "simulate/diphotons", rows.start / CHUNK);
        // Showers have a stream of their own, so that events are the same with and without them.
        let mut showers = random::stream(seed, "simulate/diphotons/showers", rows.start / CHUNK);
        let multiplicity = Poisson::new(MESONS).expect("a positive mean");
        let mut drawn = Self::default();
        for _ in rows {
            drawn.meson_offsets.push(drawn.pdg.len());
            drawn.photon_offsets.push(drawn.parent.len());
            for _ in 0..multiplicity.sample(&mut rng) as usize {
                drawn.meson(&mut rng);
            }
        }
        drawn.meson_offsets.push(drawn.pdg.len());
        drawn.photon_offsets.push(drawn.parent.len());
        if let Some(calorimeter) = calorimeter {
            let energies = &drawn.photons[3];
            drawn.voxels = energies
                .iter()
                .flat_map(|&energy| calorimeter.photon(f64::from(energy), &mut showers))
                .collect();
        }
        drawn
    }

    /// Adds a meson with its photons, unless one of these is too soft or too hard.
    fn meson(&mut self, rng: &mut impl Rng) {
        let pdg = if rng.gen_bool(PIONS) { 111 } else { 221 };
        let mass = Particle::of(pdg).expect("both mesons are in the table").mass_mev;
        let pt = LOWEST_PT_MEV + MEAN_PT_MEV * rng.sample::<f64, _>(Exp1);
        let (eta, phi) = (
            rng.gen_range(-LARGEST_ETA..LARGEST_ETA),
            rng.gen_range(-std::f64::consts::PI..std::f64::consts::PI),
        );
        let meson = FourVector::from_pt_eta_phi_m(pt, eta, phi, mass);
        let (cos, angle) = (rng.gen_range(-1.0..1.0f64), rng.gen_range(0.0..std::f64::consts::TAU));
        let sin = (1.0 - cos * cos).sqrt();
        let half = 0.5 * mass;
        let decay = |sign: f64| {
            let [x, y, z] =
                [sin * angle.cos(), sin * angle.sin(), cos].map(|component| sign * half * component);
            FourVector::new(half, x, y, z).boosted(meson.beta())
        };
        let photons = [decay(1.0), decay(-1.0)];
        let event = *self.meson_offsets.last().expect("an event has begun");
        if photons.iter().all(|photon| (PHOTON_MEV[0]..PHOTON_MEV[1]).contains(&photon.e)) {
            let parent = (self.pdg.len() - event) as i32;
            self.pdg.push(pdg);
            push(&mut self.mesons, [pt, eta, phi, mass]);
            for photon in photons {
                push(&mut self.photons, [photon.pt(), photon.eta(), photon.phi(), photon.e]);
                self.parent.push(parent);
            }
        }
    }

    /// The events as a batch, with voxels of a width.
    fn batch(self, rows: Range<u64>, width: Option<usize>) -> Result<RecordBatch, DataError> {
        let n = (rows.end - rows.start) as usize;
        let offsets = |offsets: Vec<usize>| if offsets.is_empty() { vec![0] } else { offsets };
        let (meson_offsets, photon_offsets) = (offsets(self.meson_offsets), offsets(self.photon_offsets));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.map(|row| row as i64)));
        let mut columns: Vec<(String, ArrayRef)> =
            vec![("event_id".into(), numbers), ("weight".into(), Arc::new(Float64Array::from(vec![1.0; n])))];
        let mut list = |name: &str, values: ArrayRef, offsets: &[usize]| {
            columns.push((name.to_owned(), list_column(values, offsets)?));
            Ok::<(), DataError>(())
        };
        list("meson_pdg", Arc::new(Int32Array::from(self.pdg)), &meson_offsets)?;
        for (name, values) in
            ["meson_pt", "meson_eta", "meson_phi", "meson_mass"].into_iter().zip(self.mesons)
        {
            list(name, Arc::new(Float32Array::from(values)), &meson_offsets)?;
        }
        for (name, values) in
            ["photon_pt", "photon_eta", "photon_phi", "photon_energy"].into_iter().zip(self.photons)
        {
            list(name, Arc::new(Float32Array::from(values)), &photon_offsets)?;
        }
        list("photon_meson", Arc::new(Int32Array::from(self.parent)), &photon_offsets)?;
        if let Some(width) = width {
            let photons = photon_offsets[photon_offsets.len() - 1];
            let voxels =
                Array2::from_shape_vec((photons, width), self.voxels).expect("a shower for every photon");
            let item = Arc::new(Field::new("element", DataType::Float32, false));
            let data_type = DataType::FixedSizeList(item, width as i32);
            list(
                "photon_voxels",
                matrix_to_array("photon_voxels", voxels.view(), &data_type)?,
                &photon_offsets,
            )?;
        }
        let fields: Vec<Field> =
            columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), false)).collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        Ok(RecordBatch::try_new(Schema::new(fields).into(), arrays)?)
    }
}

fn push(columns: &mut [Vec<f32>; 4], values: [f64; 4]) {
    columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value as f32));
}
