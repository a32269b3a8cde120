//! What can go wrong with data: each variant says what is wrong, where, and how to mend it.

use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;

/// An error of reading, selecting, splitting or writing events.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No file was named at all.
    #[error("no input file is given; name at least one Parquet file or glob under `files`")]
    NoFiles,
    /// A path or glob matches nothing.
    #[error("no file matches `{pattern}`; check the path (relative paths start from {directory})")]
    NoMatch {
        /// The path or glob as given.
        pattern: String,
        /// Folder from which relative paths are resolved.
        directory: String,
    },
    /// A glob pattern is malformed.
    #[error("`{pattern}` is not a valid file pattern: {reason}")]
    Pattern {
        /// The glob as given.
        pattern: String,
        /// What the glob parser says.
        reason: String,
    },
    /// The same file is matched by two patterns, so that its events would be counted twice.
    #[error(
        "{path} is named twice by the file patterns; its events would be counted twice: remove one of the two"
    )]
    DuplicateFile {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused a read or write.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// `read`, `create`, `write`, …
        action: &'static str,
        /// File concerned.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The folder for unfinished files cannot be used.
    #[error(
        "cannot write in the scratch folder {path}: {source}; set TMPDIR or --scratch to a folder of this machine \
         that can be written, or unset TMPDIR to write beside the output"
    )]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is not Parquet.
    #[error("{path} is not a Parquet file: {reason}")]
    NotParquet {
        /// The file.
        path: PathBuf,
        /// How it was recognised.
        reason: String,
    },
    /// The file is Parquet, but its content is damaged or of an unsupported kind.
    #[error("{path} cannot be decoded, it is damaged or uses an unsupported feature: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        reason: String,
    },
    /// Two files of one data set differ in their columns.
    #[error("{path} and {first} cannot be read as one data set: {difference}")]
    SchemaMismatch {
        /// First file of the data set, the reference.
        first: PathBuf,
        /// The file that differs.
        path: PathBuf,
        /// The first difference found.
        difference: String,
    },
    /// A quantity has another unit in another data set.
    #[error(
        "column `{}` of {} is in {}, `{}` of {} in {}: convert one of them, or correct its metadata",
        columns[0], places[0], units[0], columns[1], places[1], units[1]
    )]
    OtherUnit {
        /// The column in both; boxed, so that errors stay small.
        columns: Box<[String; 2]>,
        /// Its units.
        units: Box<[String; 2]>,
        /// The files.
        places: Box<[String; 2]>,
    },
    /// Two data sets are of different calorimeters.
    #[error(
        "{} and {} are of different calorimeters: the geometries in their schema metadata (`simile.geometry`) differ",
        places[0], places[1]
    )]
    OtherCalorimeter {
        /// The files.
        places: Box<[String; 2]>,
    },
    /// A value of the schema metadata is not what its key promises.
    #[error("schema metadata `{key}` of {path} is invalid: {reason}")]
    Metadata {
        /// Metadata key.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A column is named that does not exist.
    #[error("column `{column}` does not exist in {place}{hint}")]
    UnknownColumn {
        /// Name asked for.
        column: String,
        /// File or object searched.
        place: String,
        /// `; did you mean …` or the list of columns.
        hint: String,
    },
    /// A collection is named that no column holds.
    #[error(
        "collection `{collection}` does not exist in {place}: no column of lists is called `{collection}_…`, none of lists \
         of structs `{collection}`{hint}"
    )]
    UnknownCollection {
        /// Name asked for.
        collection: String,
        /// File searched.
        place: String,
        /// `; did you mean …` or the list of collections.
        hint: String,
    },
    /// Two members of a collection have lists of different lengths.
    #[error(
        "row {row} of {place}: `{}` has {} objects, `{}` has {}; the lists of a collection must be of one length",
        columns[0], lengths[0], columns[1], lengths[1]
    )]
    UnequalLists {
        /// The two columns; boxed, so that errors stay small.
        columns: Box<[String; 2]>,
        /// Their lengths.
        lengths: [usize; 2],
        /// Global row number.
        row: u64,
        /// File or data set.
        place: String,
    },
    /// A list of structs has a null in place of an object.
    #[error("an object of `{column}` in {place} is null; leave it out of the list, or give it values")]
    NullObject {
        /// Member asked for.
        column: String,
        /// File or data set.
        place: String,
    },
    /// A column name is used twice.
    #[error("column `{column}` exists twice in {place}; rename one of the two")]
    DuplicateColumn {
        /// The name.
        column: String,
        /// Where.
        place: String,
    },
    /// Columns of one block differ in length.
    #[error("column `{column}` has {found} rows where the block has {expected} events")]
    Length {
        /// The column.
        column: String,
        /// Its rows.
        found: usize,
        /// Events of the block.
        expected: usize,
    },
    /// A column cannot serve as numbers.
    #[error(
        "column `{column}` has type {found}, but numbers are needed (scalars or lists of one fixed length)"
    )]
    NotNumeric {
        /// The column.
        column: String,
        /// Its Arrow type.
        found: DataType,
    },
    /// A used column has a null.
    #[error(
        "column `{column}` is null in row {row} (file {path}); nulls are never filled silently: \
         in a configuration, leave such rows out with data.select = \"{column} IS NOT NULL\", or fill them in a derived column with COALESCE"
    )]
    Null {
        /// The column.
        column: String,
        /// Global row number.
        row: u64,
        /// The file.
        path: PathBuf,
    },
    /// A used column has a NaN, an infinity, or a number too large for `f32`.
    #[error(
        "column `{column}` is {value} in row {row} (file {path}), which is not a finite 32-bit number; \
         correct the file or leave such rows out (`data.select` in a configuration)"
    )]
    NotFinite {
        /// The column.
        column: String,
        /// Global row number.
        row: u64,
        /// The file.
        path: PathBuf,
        /// The value as stored.
        value: f64,
    },
    /// A list column used as a vector of fixed length has a row of another length.
    #[error(
        "column `{column}` is ragged: row {row} (file {path}) has {found} elements where {expected} are expected; \
         only lists of one fixed length can be used as condition or target"
    )]
    Ragged {
        /// The column.
        column: String,
        /// Global row number.
        row: u64,
        /// The file.
        path: PathBuf,
        /// Elements in this row.
        found: usize,
        /// Elements in the rows before; at least 1.
        expected: usize,
    },
    /// A `select` or derived-column expression is not usable.
    #[error("{place} = \"{expression}\": {reason}")]
    Expression {
        /// `select` or `derived.NAME`.
        place: String,
        /// The SQL text.
        expression: String,
        /// What is wrong.
        reason: String,
    },
    /// The files have no events at all.
    #[error("{place} has no events (0 rows)")]
    NoRows {
        /// The files.
        place: String,
    },
    /// No event passes `select`.
    #[error("none of the {total} events passes select = \"{select}\"; loosen the selection")]
    EmptySelection {
        /// Events examined.
        total: u64,
        /// The SQL text.
        select: String,
    },
    /// A configuration value is out of range or contradicts another.
    #[error("`{key}` is invalid: {reason}")]
    Config {
        /// Key in the `[data]` table.
        key: String,
        /// What is wrong and what is accepted.
        reason: String,
    },
    /// A block of events does not fit the schema it is written with.
    #[error("column `{column}` cannot be written as {wanted}: it is {width} numbers per event")]
    Shape {
        /// The column.
        column: String,
        /// Arrow type of the schema.
        wanted: DataType,
        /// Numbers per event at hand.
        width: usize,
    },
    /// A block of events has other columns than the file it is written to.
    #[error("events cannot be appended to {path}: {difference}")]
    Misfit {
        /// The file being written.
        path: PathBuf,
        /// What is wrong with the events.
        difference: String,
    },
    /// Arrow refused a conversion that the variants above do not describe.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl DataError {
    /// Closure for `map_err` that says what was done to which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// A missing column, with the nearest existing name or, where none is near, what there is.
    pub(crate) fn unknown_column<'a>(
        column: &str,
        place: impl Into<String>,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::UnknownColumn {
            column: column.to_owned(),
            place: place.into(),
            hint: name_hint("columns", column, names),
        }
    }
}

/// Similarity (normalised Damerau–Levenshtein) above which a name is offered as the one meant.
const NEAR: f64 = 0.6;
/// At most so many names are listed when none is near; NanoAOD has 1,500.
const LISTED: usize = 12;

/// What to say of a name that does not exist: the one of `names` that is most like it, or some of them; begins with a
/// semicolon. `kind` is what they name, in the plural.
pub fn name_hint<'a>(kind: &str, wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let lower = wanted.to_lowercase();
    let nearest = names
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&lower, &name.to_lowercase()), *name))
        .filter(|(similarity, _)| *similarity >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, name)) => format!("; did you mean `{name}`?"),
        None if names.is_empty() => format!("; there are no {kind}"),
        None if names.len() <= LISTED => format!("; the {kind} are {}", names.join(", ")),
        None => format!("; the {kind} are {}, … ({} in all)", names[..LISTED].join(", "), names.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_offered() {
        let names = ["event_id", "incident_energy", "voxels"];
        let error = DataError::unknown_column("incident_enrgy", "a.parquet", names);
        assert_eq!(
            error.to_string(),
            "column `incident_enrgy` does not exist in a.parquet; did you mean `incident_energy`?"
        );
        let error = DataError::unknown_column("Voxels", "a.parquet", names);
        assert!(error.to_string().ends_with("did you mean `voxels`?"));
    }

    #[test]
    fn without_a_near_name_the_columns_are_listed_in_bounds() {
        let error = DataError::unknown_column("mass", "a.parquet", ["event_id", "voxels"]);
        assert!(error.to_string().ends_with("; the columns are event_id, voxels"), "{error}");
        let many: Vec<String> = (0..1500).map(|i| format!("branch_{i:04}")).collect();
        let error = DataError::unknown_column("mass", "a.parquet", many.iter().map(String::as_str));
        assert!(error.to_string().ends_with("branch_0011, … (1500 in all)"), "{error}");
    }
}
