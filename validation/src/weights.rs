//! Weights that make events of the candidate look like the reference.

use std::collections::HashMap;
use std::path::Path;

use ndarray::Array2;
use simile_data::{DataError, EventWriter, Events, WriterOptions, event_schema, events_to_batch};

/// Weights that make candidates look like the reference, as far as one classifier sees (Diefenbacher et al. 2020,
/// arXiv:2009.03796).
#[derive(Clone, Debug)]
pub struct EventWeights {
    /// View of the event.
    pub view: &'static str,
    /// One for every candidate event; NaN for those that no repetition of the test has tested.
    pub values: Vec<f32>,
}

/// Writes one row for every compared event of the candidate, in its order, with a column `weight_<view>` for every test.
/// Nothing without tests.
///
/// # Errors
/// When the file cannot be written.
pub fn write_weights(weights: &[EventWeights], path: &Path) -> Result<(), DataError> {
    let Some(first) = weights.first() else { return Ok(()) };
    let mut events = Events::new((0..first.values.len() as u64).collect());
    for EventWeights { view, values } in weights {
        let values = Array2::from_shape_vec((values.len(), 1), values.clone()).expect("one column");
        events.push(format!("weight_{view}"), values)?;
    }
    let columns: Vec<(String, usize)> = events.names().map(|name| (name.to_owned(), 1)).collect();
    let schema = event_schema(&columns, HashMap::new());
    let mut writer = EventWriter::create(path, schema.clone(), &WriterOptions::default())?;
    writer.write(&events_to_batch(&events, &schema)?)?;
    writer.finish()?;
    Ok(())
}
