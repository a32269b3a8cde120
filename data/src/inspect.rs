//! A summary of what Parquet files hold, in one pass and bounded memory.

use std::collections::BTreeSet;
use std::fmt;

use arrow::datatypes::DataType;
use glob::Pattern;
use serde::Serialize;

use crate::moments::Leaf;
use crate::{DataError, Dataset, FileInfo};

pub use crate::moments::Statistics;

/// What to inspect.
#[derive(Clone, Debug)]
pub struct InspectOptions {
    /// Columns to show: names or globs such as `Muon_*`; empty for all.
    pub columns: Vec<String>,
    /// Whether to read the events for the statistics, or the footers only.
    pub statistics: bool,
}

impl Default for InspectOptions {
    fn default() -> Self {
        Self { columns: Vec::new(), statistics: true }
    }
}

/// What the files hold. `Display` gives an aligned table.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The files.
    pub files: Vec<FileInfo>,
    /// Events over all files.
    pub rows: u64,
    /// Row groups over all files.
    pub row_groups: usize,
    /// Compression codecs used, sorted.
    pub codecs: Vec<String>,
    /// Columns in file order. Every member of a structure has a line of its own, named by its path.
    pub columns: Vec<ColumnSummary>,
    /// Columns of the files before the filter of [`InspectOptions::columns`].
    pub columns_in_files: usize,
    /// Calorimeter geometry in short.
    pub geometry: Option<String>,
    /// Keys of the schema metadata, sorted.
    pub metadata: Vec<String>,
    /// What is wrong with the metadata.
    pub problems: Vec<String>,
}

/// One column, or one member of a structured column.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnSummary {
    /// Name; for members of structures `column.member`.
    pub name: String,
    /// Type, for example `f32`, `f32[144]` (fixed-size list) or `list<f32>`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Unit from the schema metadata.
    pub unit: Option<String>,
    /// Null events, lists or elements.
    pub nulls: Option<u64>,
    /// Over all elements of all events; none for text and for files without events.
    pub values: Option<Statistics>,
    /// Elements per event, for variable lists.
    pub multiplicity: Option<Statistics>,
}

/// Summarises a data set.
///
/// # Errors
/// If a column filter matches nothing, or a file is damaged.
pub fn inspect(dataset: &Dataset, options: &InspectOptions) -> Result<Inspection, DataError> {
    let columns = choose(dataset, &options.columns)?;
    let mut leaves = Vec::new();
    for name in &columns {
        leaves.extend(Leaf::of(name, dataset.field(name)?.data_type()));
    }
    if options.statistics {
        for block in dataset.scan().columns(&columns).blocks()? {
            let batch = block?.batch;
            let mut targets = leaves.iter_mut();
            batch.columns().iter().for_each(|array| Leaf::feed(array, &mut targets));
        }
    }
    let mut problems = Vec::new();
    let geometry = dataset.geometry().unwrap_or_else(|error| {
        problems.push(error.to_string());
        None
    });
    let units = dataset.units().unwrap_or_else(|error| {
        problems.push(error.to_string());
        Default::default()
    });
    let summary = |leaf: Leaf| {
        let column = leaf.path.split('.').next().unwrap_or_default();
        let unit = units.get(&leaf.path).or_else(|| units.get(column)).cloned();
        leaf.summary(unit, options.statistics)
    };
    let mut metadata: Vec<String> = dataset.schema().metadata().keys().cloned().collect();
    metadata.sort_unstable();
    Ok(Inspection {
        files: dataset.files().to_vec(),
        rows: dataset.num_rows(),
        row_groups: dataset.files().iter().map(|file| file.row_groups).sum(),
        codecs: codecs(dataset),
        columns: leaves.into_iter().map(summary).collect(),
        columns_in_files: dataset.schema().fields().len(),
        geometry: geometry.map(|g| format!("{} layers, {} voxels", g.n_layers(), g.n_voxels())),
        metadata,
        problems,
    })
}

/// Names of the columns that match any of the filters, in file order.
fn choose(dataset: &Dataset, filters: &[String]) -> Result<Vec<String>, DataError> {
    let names = || dataset.schema().fields().iter().map(|field| field.name());
    if filters.is_empty() {
        return Ok(names().cloned().collect());
    }
    let mut chosen = BTreeSet::new();
    for filter in filters {
        let invalid = |error: glob::PatternError| DataError::Pattern {
            pattern: filter.clone(),
            reason: error.to_string(),
        };
        let pattern = Pattern::new(filter).map_err(invalid)?;
        let before = chosen.len();
        chosen.extend(names().filter(|name| *name == filter || pattern.matches(name)));
        if chosen.len() == before && !names().any(|name| pattern.matches(name)) {
            return Err(dataset.unknown_column(filter));
        }
    }
    Ok(names().filter(|name| chosen.contains(name)).cloned().collect())
}

fn codecs(dataset: &Dataset) -> Vec<String> {
    let groups = dataset.footers().iter().flat_map(|footer| footer.metadata().row_groups());
    let names = groups.flat_map(|group| group.columns()).map(|column| {
        let codec = column.compression().to_string();
        codec.split('(').next().unwrap_or_default().to_lowercase()
    });
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Short name of a type: `f32`, `f32[144]`, `list<i64>`.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::FixedSizeList(item, length) => format!("{}[{length}]", type_name(item.data_type())),
        DataType::List(item) | DataType::LargeList(item) => format!("list<{}>", type_name(item.data_type())),
        DataType::Dictionary(_, values) => type_name(values),
        DataType::Boolean => "bool".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        other => {
            let name = other.to_string().to_lowercase();
            let short = [("uint", "u"), ("int", "i"), ("float", "f")];
            let short =
                short.iter().find_map(|(long, short)| Some(format!("{short}{}", name.strip_prefix(long)?)));
            short.unwrap_or(name)
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            let (path, mb) = (file.path.display(), file.bytes as f64 / 1e6);
            writeln!(f, "{path}: {} events, {} row groups, {mb:.2} MB", file.rows, file.row_groups)?;
        }
        if self.files.len() > 1 {
            writeln!(f, "in all: {} events, {} row groups", self.rows, self.row_groups)?;
        }
        writeln!(f, "codec: {}", self.codecs.join(", "))?;
        writeln!(f, "geometry: {}", self.geometry.as_deref().unwrap_or("none"))?;
        writeln!(
            f,
            "metadata: {}",
            if self.metadata.is_empty() { "none".into() } else { self.metadata.join(", ") }
        )?;
        for problem in &self.problems {
            writeln!(f, "problem: {problem}")?;
        }
        writeln!(f)?;
        write_table(f, &self.table())?;
        let hidden = self.columns_in_files - self.columns_shown();
        if hidden > 0 { writeln!(f, "({hidden} more columns not shown)") } else { Ok(()) }
    }
}

impl Inspection {
    fn columns_shown(&self) -> usize {
        self.columns.iter().map(|column| column.name.split('.').next()).collect::<BTreeSet<_>>().len()
    }

    fn table(&self) -> Vec<[String; 9]> {
        let header = ["column", "type", "unit", "nulls", "min", "mean", "max", "std", "per event"];
        let mut table = vec![header.map(str::to_owned)];
        for column in &self.columns {
            let value = |pick: fn(&Statistics) -> f64| {
                column.values.as_ref().map_or(String::new(), |s| short(pick(s)))
            };
            let multiplicity = column.multiplicity.as_ref();
            table.push([
                column.name.clone(),
                column.type_name.clone(),
                column.unit.clone().unwrap_or_default(),
                column.nulls.map_or(String::new(), |nulls| nulls.to_string()),
                value(|s| s.min),
                value(|s| s.mean),
                value(|s| s.max),
                value(|s| s.std),
                multiplicity
                    .map_or(String::new(), |m| format!("{}–{}, mean {}", m.min, m.max, short(m.mean))),
            ]);
        }
        table
    }
}

/// Columns padded to their widest cell: names to the left, numbers to the right.
fn write_table(f: &mut fmt::Formatter<'_>, table: &[[String; 9]]) -> fmt::Result {
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 9] = std::array::from_fn(width);
    for row in table {
        let cells = row.iter().zip(widths).enumerate().map(|(index, (cell, width))| match index {
            0..3 => format!("{cell:<width$}"),
            3..8 => format!("{cell:>width$}"),
            _ => cell.clone(),
        });
        writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Five significant digits, in scientific notation outside 10⁻³ … 10⁶.
fn short(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-3..1e6).contains(&magnitude) {
        return format!("{value:.4e}");
    }
    let decimals = (4 - magnitude.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Field;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (1234.5678, "1234.6"),
            (123456.0, "123456"),
            (0.001234567, "0.0012346"),
            (-2.5, "-2.5"),
            (1e6, "1.0000e6"),
            (3.2e-7, "3.2000e-7"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn types_are_named_briefly() {
        let item = |data_type| Field::new("element", data_type, true).into();
        let fixed = DataType::FixedSizeList(item(DataType::Float32), 144);
        assert_eq!(type_name(&DataType::LargeList(item(fixed))), "list<f32[144]>");
        let names =
            [DataType::UInt8, DataType::Int64, DataType::Float16, DataType::Utf8].map(|t| type_name(&t));
        assert_eq!(names, ["u8", "i64", "f16", "text"]);
    }
}
