//! One or more Parquet files seen as one table of events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use simile_physics::Geometry;

use crate::schema::{GEOMETRY_KEY, UNITS_KEY, common_schema};
use crate::{DataError, Scan, damage, sha256};

/// One or more Parquet files of equal schema, seen as one table. Cheap to clone.
///
/// Only the footers are held in memory. Events are numbered over all files in order, from 0.
#[derive(Clone, Debug)]
pub struct Dataset {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    schema: SchemaRef,
    files: Vec<FileInfo>,
    footers: Vec<ArrowReaderMetadata>,
    rows: u64,
}

/// What the footer of one file says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileInfo {
    /// The file.
    pub path: PathBuf,
    /// Number of events.
    pub rows: u64,
    /// Number of row groups.
    pub row_groups: usize,
    /// Size of the file.
    pub bytes: u64,
}

impl Dataset {
    /// Opens all files that the paths and globs match: patterns in the order given, the files of a glob sorted.
    ///
    /// Columns must agree in name, type and order over all files, and so must geometry and units. Of the other
    /// schema metadata only what all files share is kept.
    ///
    /// # Errors
    /// If a pattern matches nothing, a file is not Parquet, truncated or unreadable, or the files do not agree.
    pub fn open<S: AsRef<str>>(patterns: &[S]) -> Result<Self, DataError> {
        let paths = expand(patterns)?;
        let mut files = Vec::with_capacity(paths.len());
        let mut footers = Vec::with_capacity(paths.len());
        for path in paths {
            let (info, footer) = read_footer(&path)?;
            files.push(info);
            footers.push(footer);
        }
        let schema = common_schema(&files, &footers)?;
        let rows = files.iter().map(|file| file.rows).sum();
        Ok(Self { inner: Arc::new(Inner { schema, files, footers, rows }) })
    }

    /// Columns and metadata common to all files.
    pub fn schema(&self) -> &SchemaRef {
        &self.inner.schema
    }

    /// Schema metadata under `key`.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.schema().metadata.get(key).map(String::as_str)
    }

    /// Metadata of one file under `key`, whether or not the other files have the same.
    pub fn file_metadata(&self, file: usize, key: &str) -> Option<&str> {
        self.footers()[file].schema().metadata().get(key).map(String::as_str)
    }

    /// Number of events over all files.
    pub fn num_rows(&self) -> u64 {
        self.inner.rows
    }

    /// The files in the order their events are numbered.
    pub fn files(&self) -> &[FileInfo] {
        &self.inner.files
    }

    pub(crate) fn footers(&self) -> &[ArrowReaderMetadata] {
        &self.inner.footers
    }

    /// The calorimeter geometry of the schema metadata, if there is one.
    ///
    /// # Errors
    /// If the metadata is not a valid geometry.
    pub fn geometry(&self) -> Result<Option<Geometry>, DataError> {
        self.json(GEOMETRY_KEY)
    }

    /// Units by column name, from the schema metadata; empty if the files state none.
    ///
    /// # Errors
    /// If the metadata is not a JSON object of strings.
    pub fn units(&self) -> Result<BTreeMap<String, String>, DataError> {
        Ok(self.json(UNITS_KEY)?.unwrap_or_default())
    }

    /// Checks that the numbers of another data set mean the same: what both give a unit has the same one, and both are of
    /// one calorimeter if both say of which. `name` is what a column of this one is called in the other.
    ///
    /// # Errors
    /// If they do not, or the metadata is invalid.
    pub fn check_alike<'a>(
        &'a self,
        other: &Dataset,
        name: impl Fn(&'a str) -> &'a str,
    ) -> Result<(), DataError> {
        let places = || Box::new([self.place(), other.place()]);
        if self.geometry()?.zip(other.geometry()?).is_some_and(|(own, others)| own != others) {
            return Err(DataError::OtherCalorimeter { places: places() });
        }
        let (units, others) = (self.units()?, other.units()?);
        for column in self.schema().fields().iter().map(|field| field.name()) {
            let both = units.get(column).zip(others.get(name(column)));
            if let Some((unit, found)) = both.filter(|(unit, found)| unit != found) {
                let columns = Box::new([column.clone(), name(column).to_owned()]);
                let units = Box::new([unit.clone(), found.clone()]);
                return Err(DataError::OtherUnit { columns, units, places: places() });
            }
        }
        Ok(())
    }

    fn json<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, DataError> {
        let Some(text) = self.metadata(key) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| DataError::Metadata {
            key: key.to_owned(),
            path: self.files()[0].path.clone(),
            reason: error.to_string(),
        })
    }

    /// SHA-256 of each file in hexadecimal, in the order of [`files`](Self::files).
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn sha256(&self) -> Result<Vec<String>, DataError> {
        self.files().iter().map(|file| file_sha256(&file.path)).collect()
    }

    /// SHA-256 over the sizes and the footers of all files. A footer holds place, size and statistics of every column
    /// chunk, so this tells data sets apart without reading them.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn fingerprint(&self) -> Result<String, DataError> {
        let mut text = String::new();
        for file in self.files() {
            let footer = footer_bytes(&file.path, file.bytes).map_err(DataError::io("read", &file.path))?;
            let digest = sha256(footer.as_slice()).map_err(DataError::io("read", &file.path))?;
            text += &format!("{} {digest}\n", file.bytes);
        }
        Ok(sha256(text.as_bytes()).expect("memory can be read"))
    }

    /// Numbers per event of a column: 1 for scalars, the product of the lengths for (nested) fixed-size lists.
    /// For a column of variable lists, the length of its first row, which [`Scan::events`] holds all rows to.
    ///
    /// # Errors
    /// If the column does not exist, is not numeric, or is a list that is empty in the first row.
    pub fn column_width(&self, name: &str) -> Result<usize, DataError> {
        let mut width = fixed_width(self.field(name)?.data_type());
        if width.is_none() {
            let first = self.scan().columns(&[name]).rows(0..1).events()?.next();
            width = first
                .transpose()?
                .map(|events| events.column(name).map(|values| values.ncols()))
                .transpose()?;
        }
        width.ok_or_else(|| DataError::NoRows { place: self.place() })
    }

    /// Names and widths of the columns of numbers and of fixed-size lists of numbers.
    pub fn numeric_columns(&self) -> Vec<(String, usize)> {
        let fields = self.schema().fields().iter();
        fields.filter_map(|field| Some((field.name().clone(), fixed_width(field.data_type())?))).collect()
    }

    /// The field of a column.
    ///
    /// # Errors
    /// If the column does not exist; the message offers the nearest name.
    pub fn field(&self, name: &str) -> Result<&Field, DataError> {
        self.schema().field_with_name(name).map_err(|_| self.unknown_column(name))
    }

    /// Reads events: choose columns, selection and rows on the returned [`Scan`], then iterate.
    pub fn scan(&self) -> Scan {
        Scan::new(self.clone())
    }

    pub(crate) fn unknown_column(&self, name: &str) -> DataError {
        DataError::unknown_column(
            name,
            self.place(),
            self.schema().fields().iter().map(|field| field.name().as_str()),
        )
    }

    /// The data set in a message: its file, or its first file and how many more.
    pub(crate) fn place(&self) -> String {
        let first = self.files()[0].path.display();
        match self.files().len() {
            1 => first.to_string(),
            n => format!("{first} and {} more files", n - 1),
        }
    }
}

/// Numbers per event where the type alone decides it.
fn fixed_width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeList(item, length) => {
            Some(fixed_width(item.data_type())? * usize::try_from(*length).ok()?)
        }
        scalar if crate::numeric::is_number(scalar) => Some(1),
        _ => None,
    }
}

fn expand<S: AsRef<str>>(patterns: &[S]) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    let mut seen = BTreeSet::new();
    for pattern in patterns {
        for path in matches(pattern.as_ref())? {
            let identity = path.canonicalize().map_err(DataError::io("read", &path))?;
            if !seen.insert(identity) {
                return Err(DataError::DuplicateFile { path });
            }
            paths.push(path);
        }
    }
    if paths.is_empty() { Err(DataError::NoFiles) } else { Ok(paths) }
}

/// The files one pattern matches. A path that exists is itself, even when it contains `[` or `*`.
fn matches(pattern: &str) -> Result<Vec<PathBuf>, DataError> {
    if Path::new(pattern).exists() {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let invalid = |error: glob::PatternError| DataError::Pattern {
        pattern: pattern.to_owned(),
        reason: error.to_string(),
    };
    let mut paths = Vec::new();
    for entry in glob::glob(pattern).map_err(invalid)? {
        let path = entry.map_err(|error| {
            let path = error.path().to_owned();
            DataError::io("read", &path)(error.into())
        })?;
        paths.push(path);
    }
    paths.sort();
    if paths.is_empty() {
        let directory =
            std::env::current_dir().map_or_else(|_| ".".to_owned(), |path| path.display().to_string());
        return Err(DataError::NoMatch { pattern: pattern.to_owned(), directory });
    }
    Ok(paths)
}

fn read_footer(path: &Path) -> Result<(FileInfo, ArrowReaderMetadata), DataError> {
    let mut file = File::open(path).map_err(DataError::io("read", path))?;
    check_magic(&mut file, path)?;
    let bytes = file.metadata().map_err(DataError::io("read", path))?.len();
    let footer = damage::decode(path, || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))?;
    let rows = damage::check_footer(path, footer.metadata(), bytes)?;
    let info =
        FileInfo { path: path.to_owned(), rows, row_groups: footer.metadata().num_row_groups(), bytes };
    Ok((info, footer))
}

const MAGIC: [u8; 4] = *b"PAR1";
/// Magic at both ends, and the length of the footer.
const SMALLEST_FILE: u64 = 12;

/// Tells files that are not Parquet from those that are cut short: the decoder's message is the same for both.
fn check_magic(file: &mut File, path: &Path) -> Result<(), DataError> {
    let not_parquet =
        |reason: &str| Err(DataError::NotParquet { path: path.to_owned(), reason: reason.to_owned() });
    let metadata = file.metadata().map_err(DataError::io("read", path))?;
    if metadata.is_dir() {
        return not_parquet("it is a folder; name its files, for example with a glob ending in /*.parquet");
    }
    if metadata.len() == 0 {
        return not_parquet("it is empty (0 bytes)");
    }
    let (mut head, mut tail) = ([0; 4], [0; 4]);
    if metadata.len() >= SMALLEST_FILE {
        file.read_exact(&mut head).map_err(DataError::io("read", path))?;
        file.seek(SeekFrom::End(-4)).map_err(DataError::io("read", path))?;
        file.read_exact(&mut tail).map_err(DataError::io("read", path))?;
    }
    match (head == MAGIC, tail == MAGIC) {
        (true, true) => Ok(()),
        (true, false) => {
            not_parquet("it begins like one but has no footer, so it was cut short or is still being written")
        }
        (false, _) => not_parquet("it does not begin with the bytes PAR1"),
    }
}

fn file_sha256(path: &Path) -> Result<String, DataError> {
    let file = File::open(path).map_err(DataError::io("read", path))?;
    sha256(file).map_err(DataError::io("read", path))
}

/// The end of a Parquet file: footer, its length in four bytes (little endian), magic.
fn footer_bytes(path: &Path, bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-8))?;
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    let length = (u64::from(u32::from_le_bytes(length)) + 8).min(bytes);
    file.seek(SeekFrom::Start(bytes - length))?;
    let mut footer = Vec::new();
    file.take(length).read_to_end(&mut footer)?;
    Ok(footer)
}
