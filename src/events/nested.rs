//! A file of nested events with new columns of lists: what both the surrogate and the reconstruction of the full simulation
//! write, so that analyses read them alike.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, Int32Array, RecordBatch};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use simile_data::objects::{list_column, objects_kept};
use simile_data::{
    DataError, Dataset, EventWriter, Events, UNITS_KEY, WriterOptions, WrittenFile, matrix_to_array,
};
use simile_physics::reconstruction;

use super::{DirectionConfig, EventsConfig};

/// One new quantity of the objects that are kept.
#[derive(Clone, Debug)]
pub(super) struct Quantity {
    /// Column of the table of objects.
    pub(super) name: String,
    /// Type of its values.
    pub(super) data_type: DataType,
    pub(super) unit: Option<String>,
}

/// The file being written.
pub(super) struct NestedWriter<'a> {
    config: &'a EventsConfig,
    oversample: usize,
    quantities: &'a [Quantity],
    /// Columns that are passed on.
    pub(super) kept: Vec<String>,
    schema: SchemaRef,
    writer: EventWriter,
}

/// Coordinates made of barycentres and their units.
const COORDINATES: [Option<&str>; 3] = [Some("MeV"), None, Some("rad")];

impl<'a> NestedWriter<'a> {
    /// Starts the file; `generator` says in the schema metadata what made the new columns.
    pub(super) fn create(
        path: &Path,
        input: &Dataset,
        config: &'a EventsConfig,
        oversample: usize,
        quantities: &'a [Quantity],
        generator: &serde_json::Value,
    ) -> Result<Self, DataError> {
        if let (true, Ok(field)) = (oversample > 1, input.field(&config.weight))
            && !field.data_type().is_numeric()
        {
            let (column, found) = (config.weight.clone(), field.data_type().clone());
            return Err(DataError::NotNumeric { column, found });
        }
        // Repeated events need weights, of a type that has parts.
        let weighs = |field: &Field| oversample > 1 && *field.name() == config.weight;
        let kept: Vec<Field> = (input.schema().fields().iter())
            .filter(|field| config.keeps(field.name()) || weighs(field))
            .map(|field| match field.data_type().is_floating() {
                false if weighs(field) => field.as_ref().clone().with_data_type(DataType::Float64),
                _ => field.as_ref().clone(),
            })
            .collect();
        let names = kept.iter().map(|field| field.name().clone()).collect();
        let mut fields = kept;
        let mut units = input.units()?;
        let list = |item: DataType| DataType::List(Arc::new(Field::new("element", item, false)));
        let mut push = |name: String, data_type: DataType, unit: Option<&str>| {
            if fields.iter().any(|field| *field.name() == name) {
                let place = format!(
                    "the events with their new columns; set another `events.prefix`: {}",
                    path.display()
                );
                return Err(DataError::DuplicateColumn { column: name, place });
            }
            units.extend(unit.map(|unit| (name.clone(), unit.to_owned())));
            fields.push(Field::new(name, data_type, false));
            Ok(())
        };
        if oversample > 1 && input.field(&config.weight).is_err() {
            push(config.weight.clone(), DataType::Float64, None)?;
        }
        for quantity in quantities {
            push(
                config.list_name(&quantity.name),
                list(quantity.data_type.clone()),
                quantity.unit.as_deref(),
            )?;
        }
        for (name, unit) in
            config.direction.iter().flat_map(|direction| direction.names.iter().zip(COORDINATES))
        {
            push(config.list_name(name), list(DataType::Float32), unit)?;
        }
        push(config.index_name(), list(DataType::Int32), None)?;
        let mut metadata: HashMap<String, String> =
            input.schema().metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        metadata.insert("simile.reconstruction".to_owned(), generator.to_string());
        if !units.is_empty() {
            metadata.insert(UNITS_KEY.to_owned(), serde_json::to_string(&units).expect("a map of strings"));
        }
        let schema: SchemaRef = Schema::new_with_metadata(fields, metadata).into();
        let writer = EventWriter::create(
            path,
            schema.clone(),
            &WriterOptions { distinct: true, ..WriterOptions::default() },
        )?;
        Ok(Self { config, oversample, quantities, kept: names, schema, writer })
    }

    /// Appends events, already repeated, whose objects `offsets` belong to have the columns of `table`.
    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        offsets: &[usize],
        table: &Events,
        kept: &[bool],
    ) -> Result<usize, DataError> {
        let (ends, positions) = objects_kept(offsets, kept);
        let table = table.select_rows(&positions);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for name in &self.kept {
            let column = batch.column_by_name(name).expect("the columns passed on are read").clone();
            let divide = self.oversample > 1 && *name == self.config.weight;
            arrays.push(if divide { self.divided(&column)? } else { column });
        }
        if self.oversample > 1 && !self.kept.contains(&self.config.weight) {
            arrays.push(Arc::new(Float64Array::from(vec![1.0 / self.oversample as f64; batch.num_rows()])));
        }
        for quantity in self.quantities {
            let values = matrix_to_array(&quantity.name, table.column(&quantity.name)?, &quantity.data_type)?;
            arrays.push(list_column(values, &ends)?);
        }
        if let Some(direction) = &self.config.direction {
            for values in coordinates(direction, &table)? {
                arrays.push(list_column(Arc::new(Float32Array::from(values)), &ends)?);
            }
        }
        arrays.push(list_column(indices(offsets, &positions), &ends)?);
        assert_eq!(arrays.len(), self.schema.fields().len(), "an array for every column");
        // What is passed on may be named or marked otherwise in single files of a data set.
        let arrays: Result<Vec<ArrayRef>, _> = (arrays.into_iter().zip(self.schema.fields()))
            .map(|(array, field)| {
                if array.data_type() == field.data_type() {
                    Ok(array)
                } else {
                    cast(&array, field.data_type())
                }
            })
            .collect();
        self.writer.write(&RecordBatch::try_new(self.schema.clone(), arrays?)?)?;
        Ok(positions.len())
    }

    /// Weights of repeated events.
    fn divided(&self, weights: &ArrayRef) -> Result<ArrayRef, DataError> {
        let values = cast(weights, &DataType::Float64)?;
        let part = |weight| weight / self.oversample as f64;
        Ok(Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(part)))
    }

    pub(super) fn finish(self) -> Result<WrittenFile, DataError> {
        self.writer.finish()
    }
}

/// Position of every kept object in its list.
fn indices(offsets: &[usize], positions: &[usize]) -> ArrayRef {
    let all: Int32Array = offsets.windows(2).flat_map(|pair| 0..(pair[1] - pair[0]) as i32).collect();
    let wanted =
        arrow::array::UInt64Array::from_iter_values(positions.iter().map(|&position| position as u64));
    take(&all, &wanted, None).expect("positions are those of objects")
}

/// Transverse energy, η and φ of clusters.
fn coordinates(config: &DirectionConfig, table: &Events) -> Result<[Vec<f32>; 3], DataError> {
    let [eta, phi] = [table.column(&config.axis[0])?, table.column(&config.axis[1])?];
    let [x, y] = [table.column(&config.barycentre[0])?, table.column(&config.barycentre[1])?];
    let energy = table.column(&config.energy)?;
    let mut columns = [(); 3].map(|()| Vec::with_capacity(table.len()));
    for object in 0..table.len() {
        let value = |column: &ndarray::ArrayView2<f32>| f64::from(column[[object, 0]]);
        let barycentre = [value(&x), value(&y)];
        let [eta, phi] = reconstruction::direction(value(&eta), value(&phi), barycentre, config.distance_mm);
        let found = [value(&energy) / eta.cosh(), eta, phi];
        columns.iter_mut().zip(found).for_each(|(column, value)| column.push(value as f32));
    }
    Ok(columns)
}
