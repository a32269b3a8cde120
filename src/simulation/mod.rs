//! Events from known truths: toy densities, and photons in a parametrised calorimeter. They are drawn in chunks with a random
//! stream each: event i of a sample depends on what is drawn, the seed and i alone, not on the number of threads or of events.

mod calorimeter;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use ndarray::{Array2, Axis};
use rayon::prelude::*;
use simile_data::{
    DataError, EventWriter, Events, UNITS_KEY, WriterOptions, WrittenFile, numbered_batch, numbered_schema,
    random,
};
use simile_physics::toys::{Toy, ToyDensity};

use crate::sampling::Observer;

pub use calorimeter::{simulate_diphotons, simulate_photons};

/// Events that share a random stream; part of the definition of a sample, so it never changes.
pub const CHUNK: u64 = 4096;
/// Chunks held in memory between writes: enough to keep many cores busy.
const CHUNKS_PER_BLOCK: u64 = 32;
/// Columns behind the event number.
const COLUMNS: [&str; 3] = ["x", "y", "log_density"];

/// Writes `events` events of a toy to the Parquet file `out`: `event_id`, the coordinates `x` and `y`, and
/// `log_density`, the logarithm in nats of the density at (x, y) as they stand in the file. It appears under its name
/// only when it is complete.
///
/// # Errors
/// If the file cannot be written.
pub fn simulate_toy(
    toy: Toy,
    events: u64,
    seed: u64,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<WrittenFile, DataError> {
    let generator = serde_json::json!({
        "code": format!("simile {}", env!("CARGO_PKG_VERSION")),
        "toy": toy,
        "seed": seed,
    });
    let metadata = HashMap::from([
        ("generator".to_owned(), generator.to_string()),
        (UNITS_KEY.to_owned(), serde_json::json!({ "log_density": "nat" }).to_string()),
    ]);
    let schema = numbered_schema("event_id", &COLUMNS.map(|column| (column.to_owned(), 1)), metadata);
    let density = toy.density();
    let options = WriterOptions { distinct: true, ..WriterOptions::default() };
    let mut writer = EventWriter::create(out, schema.clone(), &options)?;
    observer.begin(events);
    for block in ranges(0..events, CHUNK * CHUNKS_PER_BLOCK) {
        let chunks: Vec<Range<u64>> = ranges(block, CHUNK).collect();
        let drawn: Result<Vec<Events>, DataError> =
            chunks.into_par_iter().map(|rows| draw(toy, &density, rows, seed)).collect();
        let drawn = Events::concat(&drawn?)?;
        writer.write(&numbered_batch(&drawn, &schema)?)?;
        observer.advance(drawn.len() as u64);
    }
    writer.finish()
}

/// The events of one chunk.
fn draw(toy: Toy, density: &ToyDensity, rows: Range<u64>, seed: u64) -> Result<Events, DataError> {
    let mut rng = random::stream(seed, &format!("simulate/{}", toy.name()), rows.start / CHUNK);
    let mut values = Array2::zeros((COLUMNS.len(), (rows.end - rows.start) as usize));
    for mut event in values.columns_mut() {
        let [x, y] = toy.sample(&mut rng).map(|value| value as f32);
        event[0] = x;
        event[1] = y;
        event[2] = density.log_density([x, y].map(f64::from)) as f32;
    }
    let mut events = Events::new(rows.collect());
    for (name, column) in COLUMNS.into_iter().zip(values.rows()) {
        events.push(name, column.to_owned().insert_axis(Axis(1)))?;
    }
    Ok(events)
}

/// `range` cut into pieces of `size`.
fn ranges(range: Range<u64>, size: u64) -> impl Iterator<Item = Range<u64>> {
    range.clone().step_by(size as usize).map(move |begin| begin..(begin + size).min(range.end))
}
