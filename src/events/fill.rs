//! Filling nested events with reconstructed objects drawn from a model.
//!
//! The objects of a block of events are one table and one call of the sampler. Object i of the data set, counted over all
//! events and their repetitions in order, is generated as event i of a sample is: from the random numbers of its place on
//! the fixed grid of chunks. Results therefore depend on the file's events, the model and the seed, not on threads or on
//! how the file is cut into row groups.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use burn::tensor::Device;
use ndarray::{Array1, Axis};
use rand::Rng;
use simile_data::objects::repeat_rows;
use simile_data::{Block, DataError, Dataset, Events, ObjectReader, random};

use super::EventsConfig;
use super::nested::{NestedWriter, Quantity};
use crate::models::bundle::Bundle;
use crate::sampling::{Extrapolation, Observer, SamplingError, check_units, generate_block, generate_chunk};

/// How events are filled.
#[derive(Clone, Copy, Debug, Default)]
pub struct FillOptions {
    /// Seed of the random numbers.
    pub seed: u64,
    /// Refuse conditions outside the range of the training events rather than warn.
    pub strict: bool,
}

/// What was filled.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FillSummary {
    /// Events written, repetitions included.
    pub events: u64,
    /// Generated objects they have.
    pub objects: u64,
    /// Objects reconstructed; the others were lost.
    pub reconstructed: u64,
    /// Wall-clock time of generation without reading and writing.
    pub generation_seconds: f64,
    /// Wall-clock time in all.
    pub seconds: f64,
}

/// Column of the table of objects that says whether they are kept.
const KEPT: &str = "simile.kept";

/// Writes the events of a data set with the reconstructed objects added, into the Parquet file `out`. Order, other columns
/// and schema metadata stay. The file appears under its name only when it is complete.
///
/// # Errors
/// If the conditions of the model cannot be made of what the file has, events cannot be read, or the file not written.
pub fn fill(
    bundle: &Bundle,
    input: &Dataset,
    config: &EventsConfig,
    options: FillOptions,
    device: &Device,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<FillSummary, SamplingError> {
    let start = Instant::now();
    // What is worked out of a column, such as `energy * 1000`, may have another unit.
    check_units(bundle, input, |condition| {
        config.objects.columns.get(condition).map_or(condition, String::as_str)
    })?;
    let targets = quantities(bundle);
    let reader = ObjectReader::new(input, &config.objects, &wanted(bundle, config))?;
    let writer = NestedWriter::create(
        out,
        input,
        config,
        config.oversample,
        &targets,
        &generator(bundle, options.seed),
    )?;
    let mut columns: Vec<String> = writer.kept.clone();
    columns.extend(reader.columns().into_iter().filter(|column| !writer.kept.contains(column)));
    let mut extrapolation = Extrapolation::new(&bundle.preprocessing);
    let mut summary =
        FillSummary { events: 0, objects: 0, reconstructed: 0, generation_seconds: 0.0, seconds: 0.0 };
    observer.begin(input.num_rows() * config.oversample as u64);
    let (blocks, filled) = sync_channel(1);
    let written = std::thread::scope(|scope| {
        let writing = scope.spawn(move || write(writer, filled));
        for block in input.scan().columns(&columns).blocks()? {
            let block = repeated(block?, config.oversample)?;
            let objects = reader.read(&block)?;
            extrapolation.see(&objects.table)?;
            if options.strict {
                extrapolation.check()?;
            }
            let generation = Instant::now();
            let table = generate(bundle, &objects.table, summary.objects, options.seed, device)?;
            summary.generation_seconds += generation.elapsed().as_secs_f64();
            summary.objects += objects.len() as u64;
            let rows = block.rows.len() as u64;
            // Fails when writing has: its error is found below.
            if blocks.send(Some(Filled { batch: block.batch, offsets: objects.offsets, table })).is_err() {
                break;
            }
            observer.advance(rows);
        }
        let _ = blocks.send(None);
        drop(blocks);
        writing.join().expect("writing does not panic").map_err(SamplingError::from)
    })?;
    extrapolation.warn(observer);
    (summary.events, summary.reconstructed) = written;
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

/// A block on its way to the file.
struct Filled {
    batch: RecordBatch,
    offsets: Vec<usize>,
    table: Events,
}

/// Writes blocks while others are generated, until the `None` that ends them: without it the file is given up. Returns the
/// numbers of events and of reconstructed objects.
fn write(mut writer: NestedWriter<'_>, blocks: Receiver<Option<Filled>>) -> Result<(u64, u64), DataError> {
    let mut reconstructed = 0;
    for block in blocks {
        let Some(Filled { batch, offsets, table }) = block else {
            return Ok((writer.finish()?.rows, reconstructed));
        };
        let kept: Vec<bool> = table.column(KEPT)?.iter().map(|&kept| kept > 0.5).collect();
        reconstructed += writer.write(&batch, &offsets, &table, &kept)? as u64;
    }
    Ok((0, 0))
}

/// Conditions of the model, and what directions need.
fn wanted(bundle: &Bundle, config: &EventsConfig) -> Vec<String> {
    let mut wanted: Vec<String> =
        bundle.manifest.condition_columns.iter().map(|(column, _)| column.clone()).collect();
    for axis in config.direction.iter().flat_map(|direction| &direction.axis) {
        if !wanted.contains(axis) {
            wanted.push(axis.clone());
        }
    }
    wanted
}

/// The targets: numbers with the types that they had in training, lists of `f32`.
fn quantities(bundle: &Bundle) -> Vec<Quantity> {
    let manifest = &bundle.manifest;
    let quantity = |(name, width): &(String, usize)| {
        let stored = manifest.target_types.get(name).and_then(|text| text.parse::<DataType>().ok());
        let item = || std::sync::Arc::new(arrow::datatypes::Field::new("element", DataType::Float32, false));
        let data_type = match width {
            1 => stored.unwrap_or(DataType::Float32),
            _ => DataType::FixedSizeList(item(), *width as i32),
        };
        Quantity { name: name.clone(), data_type, unit: manifest.units.get(name).cloned() }
    };
    manifest.target_columns.iter().map(quantity).collect()
}

fn generator(bundle: &Bundle, seed: u64) -> serde_json::Value {
    serde_json::json!({
        "code": format!("simile {}", env!("CARGO_PKG_VERSION")),
        "model": bundle.manifest.kind,
        "weights_sha256": bundle.weights_sha256,
        "seed": seed,
    })
}

fn repeated(block: Block, times: usize) -> Result<Block, DataError> {
    let batch = repeat_rows(&block.batch, times)?;
    let rows = block.rows.into_iter().flat_map(|row| std::iter::repeat_n(row, times)).collect();
    Ok(Block { rows, batch, file: block.file })
}

/// The objects with their targets, and [`KEPT`]; the first has number `first`.
fn generate(
    bundle: &Bundle,
    objects: &Events,
    first: u64,
    seed: u64,
    device: &Device,
) -> Result<Events, SamplingError> {
    if objects.is_empty() {
        let mut table = objects.clone();
        for (column, width) in &bundle.manifest.target_columns {
            table.push(column.clone(), ndarray::Array2::zeros((0, *width)))?;
        }
        table.push(KEPT, ndarray::Array2::zeros((0, 1)))?;
        return Ok(table);
    }
    let chunks = generate_block(objects, first, |events, chunk| {
        let kept = kept(bundle, &events, chunk, seed, device)?;
        let mut table = generate_chunk(bundle, events, chunk, seed, device)?;
        table.push(KEPT, kept.insert_axis(Axis(1)))?;
        Ok(table)
    })?;
    Ok(Events::concat(&chunks)?)
}

/// 1 for objects that are found, 0 for the others.
fn kept(
    bundle: &Bundle,
    objects: &Events,
    chunk: u64,
    seed: u64,
    device: &Device,
) -> Result<Array1<f32>, SamplingError> {
    let Some(efficiency) = &bundle.efficiency else { return Ok(Array1::ones(objects.len())) };
    let probability = efficiency.probability(&bundle.preprocessing.condition(objects)?, device);
    let mut rng = random::stream(seed, "fill/found", chunk);
    Ok(probability.iter().map(|&p| f32::from(u8::from(rng.r#gen::<f64>() < p))).collect())
}
