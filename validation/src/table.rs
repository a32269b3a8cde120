//! The compared columns of one data set, read and checked.

use ndarray::{Array2, ArrayView2, Axis, s};
use simile_data::{DataError, Dataset, Events};

use crate::checks::check_events;
use crate::error::ValidationError;
use crate::images::{ImageColumn, side_lengths};
use crate::validate::ValidateOptions;

/// Events of one sample in memory.
pub(crate) struct Table {
    /// Name of the sample.
    pub(crate) label: String,
    /// Files read.
    pub(crate) files: Vec<String>,
    /// Number of events.
    pub(crate) events: usize,
    /// Event weights; `None` for unit weights.
    pub(crate) weights: Option<Vec<f32>>,
    /// Incident energies, all positive.
    pub(crate) incident: Option<Vec<f32>>,
    /// Voxel energies `[events, voxels]` with those below threshold set to zero.
    pub(crate) voxels: Option<Array2<f32>>,
    /// Grey images.
    pub(crate) image: Option<ImageTable>,
    /// Other columns `[events, width]`.
    pub(crate) columns: Vec<(String, Array2<f32>)>,
    /// Conditions other than the incident energy, `[events, width]`.
    pub(crate) conditions: Vec<Array2<f32>>,
    /// Events in the space of the modes, `[events, columns]`.
    pub(crate) mode_points: Option<Array2<f32>>,
}

/// Grey images of one sample.
pub(crate) struct ImageTable {
    /// Name of the column.
    pub(crate) name: String,
    /// Height and width.
    pub(crate) size: [usize; 2],
    /// `[events, height·width]`
    pub(crate) pixels: Array2<f32>,
}

impl Table {
    /// Reads the columns that `options` names. Memory: the compared events and one block.
    pub(crate) fn read(
        dataset: &Dataset,
        label: &str,
        options: &ValidateOptions,
    ) -> Result<Self, ValidationError> {
        let data_error = |source| ValidationError::Data { sample: label.to_owned(), source };
        let mut reader = Reader::new(dataset, label, options).map_err(data_error)?;
        let limit = reader.events as u64;
        let scan = dataset.scan().columns(&reader.names()).limit(Some(limit));
        for block in scan.events().map_err(data_error)? {
            reader.add(&block.map_err(data_error)?, options)?;
        }
        reader.finish(dataset, options)
    }

    /// Sum of the event weights.
    pub(crate) fn sum_of_weights(&self) -> f64 {
        match &self.weights {
            Some(weights) => weights.iter().map(|&weight| f64::from(weight)).sum(),
            None => self.events as f64,
        }
    }
}

/// Matrices being filled block by block.
struct Reader<'a> {
    label: &'a str,
    events: usize,
    filled: usize,
    columns: Vec<(String, Array2<f32>)>,
}

impl<'a> Reader<'a> {
    fn new(dataset: &Dataset, label: &'a str, options: &ValidateOptions) -> Result<Self, DataError> {
        let available = usize::try_from(dataset.num_rows()).unwrap_or(usize::MAX);
        let events = options.max_events.unwrap_or(available).min(available);
        let mut columns: Vec<(String, Array2<f32>)> = Vec::new();
        let image = options.image.as_ref().map(|image| image.name.clone());
        let roles = [&options.weight, &options.incident, &options.voxels, &image];
        let modes = options.modes.iter().flat_map(|modes| &modes.columns);
        let others = options.columns.iter().chain(&options.conditions).chain(modes);
        for name in roles.into_iter().flatten().chain(others) {
            if columns.iter().all(|(known, _)| known != name) {
                columns.push((name.clone(), Array2::zeros((events, dataset.column_width(name)?))));
            }
        }
        Ok(Self { label, events, filled: 0, columns })
    }

    fn names(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }

    fn add(&mut self, block: &Events, options: &ValidateOptions) -> Result<(), ValidationError> {
        let range = self.filled..self.filled + block.len();
        for (name, matrix) in &mut self.columns {
            let values = block
                .column(name)
                .map_err(|source| ValidationError::Data { sample: self.label.to_owned(), source })?;
            let requirement = |value: f32| {
                if options.incident.as_ref() == Some(name) && value <= 0.0 {
                    Some("a positive energy")
                } else if options.voxels.as_ref() == Some(name) && value < 0.0 {
                    Some("an energy of 0 or more")
                } else {
                    None
                }
            };
            check_values(self.label, name, block, values, requirement)?;
            matrix.slice_mut(s![range.clone(), ..]).assign(&values);
        }
        self.filled = range.end;
        Ok(())
    }

    fn finish(mut self, dataset: &Dataset, options: &ValidateOptions) -> Result<Table, ValidationError> {
        let sample = self.label.to_owned();
        check_events(&sample, self.filled)?;
        let weights = self.scalar(options.weight.as_ref())?;
        let incident = self.scalar(options.incident.as_ref())?;
        let threshold = options.threshold_mev;
        let voxels = options
            .voxels
            .as_ref()
            .and_then(|name| self.get(name))
            .map(|energies| energies.mapv(|energy| if energy < threshold { 0.0 } else { energy }));
        let image = options.image.as_ref().map(|image| self.image(image)).transpose()?;
        let is_new =
            |name: &&String| !options.columns.contains(name) && options.incident.as_ref() != Some(*name);
        let conditions =
            options.conditions.iter().filter(is_new).filter_map(|name| Some(self.get(name)?.to_owned()));
        let conditions = conditions.collect();
        let mode_points = options.modes.as_ref().map(|modes| self.scalars(&modes.columns)).transpose()?;
        let columns = self.take(&options.columns);
        let files = dataset.files().iter().map(|file| file.path.display().to_string()).collect();
        let table = Table {
            label: sample,
            files,
            events: self.filled,
            weights,
            incident,
            voxels,
            image,
            columns,
            conditions,
            mode_points,
        };
        let sum = table.sum_of_weights();
        match &options.weight {
            Some(column) if sum <= 0.0 => {
                Err(ValidationError::Weights { sample: table.label, column: column.clone(), sum })
            }
            _ => Ok(table),
        }
    }

    fn get(&self, name: &str) -> Option<ArrayView2<'_, f32>> {
        let column = self.columns.iter().find(|(known, _)| known == name)?;
        Some(column.1.slice(s![..self.filled, ..]))
    }

    /// Columns of these names; the others are freed.
    fn take(&mut self, names: &[String]) -> Vec<(String, Array2<f32>)> {
        let mut read = std::mem::take(&mut self.columns);
        let mut taken = Vec::new();
        for name in names {
            if let Some(place) = read.iter().position(|(known, _)| known == name) {
                let (name, mut matrix) = read.swap_remove(place);
                matrix.slice_axis_inplace(Axis(0), (..self.filled).into());
                taken.push((name, matrix));
            }
        }
        taken
    }

    /// The images, if their size is that of the column.
    fn image(&self, image: &ImageColumn) -> Result<ImageTable, ValidationError> {
        let name = image.name.clone();
        let pixels = self.get(&name).expect("the column was read").to_owned();
        match side_lengths(image.size, pixels.ncols()) {
            Some(size) if size[0] * size[1] == pixels.ncols() => Ok(ImageTable { name, size, pixels }),
            _ => {
                let (sample, found) = (self.label.to_owned(), pixels.ncols());
                Err(ValidationError::ImageSize { sample, column: name, found, size: image.size })
            }
        }
    }

    /// Scalar columns side by side.
    fn scalars(&self, names: &[String]) -> Result<Array2<f32>, ValidationError> {
        let columns: Result<Vec<_>, _> = names.iter().map(|name| self.scalar(Some(name))).collect();
        let columns: Vec<Vec<f32>> = columns?.into_iter().flatten().collect();
        Ok(Array2::from_shape_fn((self.filled, columns.len()), |(event, column)| columns[column][event]))
    }

    fn scalar(&self, name: Option<&String>) -> Result<Option<Vec<f32>>, ValidationError> {
        let Some((name, values)) = name.and_then(|name| Some((name, self.get(name)?))) else {
            return Ok(None);
        };
        match values.ncols() {
            1 => Ok(Some(values.index_axis(Axis(1), 0).to_vec())),
            found => {
                let sample = self.label.to_owned();
                Err(ValidationError::NotScalar { sample, column: name.clone(), found })
            }
        }
    }
}

/// Reports the first value of a block for which `requirement` names what it should have been.
fn check_values(
    sample: &str,
    column: &str,
    block: &Events,
    values: ArrayView2<'_, f32>,
    requirement: impl Fn(f32) -> Option<&'static str>,
) -> Result<(), ValidationError> {
    for (row, values) in block.rows.iter().zip(values.rows()) {
        for &value in values {
            if let Some(requirement) = requirement(value) {
                let (sample, column) = (sample.to_owned(), column.to_owned());
                return Err(ValidationError::Value { sample, column, row: *row, value, requirement });
            }
        }
    }
    Ok(())
}
