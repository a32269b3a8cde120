//! Deterministic generation of events from a model bundle.
//!
//! Event i of a sample is generated for row i of the conditions, which are read in turn from the beginning when there
//! are fewer of them. Events are generated in chunks of [`CHUNK`]; chunk c draws its random numbers from
//! `random::stream(seed, "sample", c)`, so an event depends on seed, model and condition alone: not on the number of
//! threads, of shards, or of events.

mod conditions;
mod config;
mod rate;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use ndarray::ArrayView2;
use rayon::prelude::*;
use simile_data::preprocessing::PreprocessingError;
use simile_data::{
    DataError, Dataset, EventWriter, Events, GEOMETRY_KEY, SchemaRef, UNITS_KEY, WriterOptions, random,
};
use simile_data::{numbered_batch, numbered_schema};
use thiserror::Error;

pub use conditions::scan_conditions;
pub use config::{SampleOptions, SamplingConfig, Shard};
pub use rate::{Rate, measure_rates};

use crate::Warn;
use crate::models::bundle::Bundle;
use crate::training::tensor;
pub(crate) use conditions::Extrapolation;
use conditions::{Conditions, weight_column};

/// Events generated together; part of the definition of a sample, so it never changes.
pub const CHUNK: u64 = 1024;
/// Chunks generated between writes: enough to keep many cores busy, few enough to need little memory.
const CHUNKS_PER_BLOCK: u64 = 32;
/// Column of the event number where the training events had none.
const DEFAULT_ID: &str = "event_id";

/// Generation that cannot start or go on.
#[derive(Debug, Error)]
pub enum SamplingError {
    /// Conditions cannot be read or events not written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The conditions do not fit the model, or the model gave NaN.
    #[error(transparent)]
    Preprocessing(#[from] PreprocessingError),
    /// The conditions file is not one for this model.
    #[error(
        "the model needs condition `{column}` with {expected} values a row, the file has {found}: use conditions of the schema it was trained on"
    )]
    Width {
        /// The column
        column: String,
        /// Width in the file
        found: usize,
        /// Width in training
        expected: usize,
    },
    /// Conditions outside the range of the training events.
    #[error(
        "`{column}` reaches from {found_min} to {found_max}, the model was trained on {min} to {max}: it would extrapolate. Select conditions inside, or leave out --strict"
    )]
    Extrapolation {
        /// The column
        column: String,
        /// Smallest value found
        found_min: f32,
        /// Largest value found
        found_max: f32,
        /// Smallest value trained on
        min: f32,
        /// Largest value trained on
        max: f32,
    },
}

/// What was generated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleSummary {
    /// Events written.
    pub events: u64,
    /// Wall-clock time of generation without reading and writing.
    pub generation_seconds: f64,
    /// Wall-clock time in all.
    pub seconds: f64,
}

/// Told about generation.
pub trait Observer: Warn {
    /// Generation of `events` begins.
    fn begin(&mut self, events: u64);
    /// `events` more are written.
    fn advance(&mut self, events: u64);
}

/// Generates events for `conditions` into the Parquet file `out`.
///
/// The file holds the event number, the model's conditions and targets in `f32`, the weights of the conditions where both
/// they and the training events have some, and the training events' geometry and units. It appears under its name only when it is complete.
///
/// # Errors
/// If the conditions do not fit the model, cannot be read, or the file cannot be written.
pub fn sample(
    bundle: &Bundle,
    conditions: &Dataset,
    options: &SampleOptions,
    device: &Device,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<SampleSummary, SamplingError> {
    let start = Instant::now();
    let schema = schema(bundle, weight_column(bundle, conditions), options);
    let mut conditions = Conditions::open(conditions, bundle)?;
    conditions.check_ranges(options.strict, observer)?;
    let total = options.events.unwrap_or(conditions.len());
    let range = options.shard.range(total);
    observer.begin(range.end - range.start);

    let mut writer = EventWriter::create(out, schema.clone(), &WriterOptions::default())?;
    let mut generation_seconds = 0.0;
    for block in blocks(range.clone()) {
        let events = conditions.read(block.clone())?;
        let generation = Instant::now();
        let generate = |events, chunk| generate_chunk(bundle, events, chunk, options.seed, device);
        let generated = generate_block(&events, block.start, generate)?;
        generation_seconds += generation.elapsed().as_secs_f64();
        writer.write(&numbered_batch(&generated, &schema)?)?;
        observer.advance(block.end - block.start);
    }
    let written = writer.finish()?;
    Ok(SampleSummary { events: written.rows, generation_seconds, seconds: start.elapsed().as_secs_f64() })
}

/// Consecutive ranges that begin at multiples of a block, except the first.
fn blocks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let size = CHUNK * CHUNKS_PER_BLOCK;
    let mut next = range.start;
    std::iter::from_fn(move || {
        (next < range.end).then(|| {
            let block = next..((next / size + 1) * size).min(range.end);
            next = block.end;
            block
        })
    })
}

fn schema(bundle: &Bundle, weight: Option<&str>, options: &SampleOptions) -> SchemaRef {
    let manifest = &bundle.manifest;
    let mut columns = manifest.condition_columns.clone();
    columns.extend(weight.map(|column| (column.to_string(), 1)));
    columns.extend(manifest.target_columns.iter().cloned());
    let generator = serde_json::json!({
        "code": format!("simile {}", env!("CARGO_PKG_VERSION")),
        "model": manifest.kind,
        "weights_sha256": bundle.weights_sha256,
        "seed": options.seed,
    });
    let mut metadata = HashMap::from([
        ("generator".to_string(), generator.to_string()),
        (UNITS_KEY.to_string(), serde_json::to_string(&manifest.units).expect("a map of strings")),
    ]);
    if let Some(geometry) = &manifest.geometry {
        metadata.insert(GEOMETRY_KEY.to_string(), geometry.to_json());
    }
    numbered_schema(manifest.config.data.id.as_deref().unwrap_or(DEFAULT_ID), &columns, metadata)
}

/// Generates the events of a block chunk by chunk; `events` holds their conditions, at least one, the first has number
/// `first`. Chunks at the ends of the block that belong to it only in part are generated whole, the nearest condition taking
/// the place of those that are not known: an event must not depend on how many others are asked for, and a product of one
/// row with a matrix may be rounded in another way than one of many.
pub(crate) fn generate_block(
    events: &Events,
    first: u64,
    generate: impl Fn(Events, u64) -> Result<Events, SamplingError> + Sync,
) -> Result<Events, SamplingError> {
    let last = first + events.len() as u64 - 1;
    let chunks: Vec<u64> = (first / CHUNK..=last / CHUNK).collect();
    let parts: Result<Vec<Events>, SamplingError> = chunks
        .into_par_iter()
        .map(|chunk| {
            let numbers = chunk * CHUNK..(chunk + 1) * CHUNK;
            let whole: Vec<usize> =
                numbers.clone().map(|number| (number.clamp(first, last) - first) as usize).collect();
            let generated = generate(events.select_rows(&whole), chunk)?;
            let known = first.max(numbers.start)..numbers.end.min(last + 1);
            if known == numbers {
                return Ok(generated);
            }
            let known: Vec<usize> = known.map(|number| (number - numbers.start) as usize).collect();
            Ok(generated.select_rows(&known))
        })
        .collect();
    Ok(Events::concat(&parts?)?)
}

pub(crate) fn generate_chunk(
    bundle: &Bundle,
    mut events: Events,
    chunk: u64,
    seed: u64,
    device: &Device,
) -> Result<Events, SamplingError> {
    let mut rng = random::stream(seed, "sample", chunk);
    let condition = bundle.preprocessing.condition(&events)?;
    let target = bundle.generator.sample(tensor(&condition, device), &mut rng);
    let [rows, columns] = target.dims();
    let data = target.into_data();
    let values = data.as_slice::<f32>().expect("models generate f32");
    let target =
        ArrayView2::from_shape((rows, columns), values).expect("a matrix has rows times columns values");
    for (name, values) in bundle.preprocessing.target_inverse(target, &events)? {
        events.push(name, values)?;
    }
    Ok(events)
}

/// Names of columns as slices, for scans.
fn names(columns: &[(String, usize)]) -> Vec<&str> {
    columns.iter().map(|(name, _)| name.as_str()).collect()
}
