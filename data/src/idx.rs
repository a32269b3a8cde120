//! Images and labels in IDX files, the format of MNIST (<http://yann.lecun.com/exdb/mnist>, "The IDX file format") and of
//! data sets made like it, such as Fashion-MNIST.
//!
//! A file begins with two zero bytes, the type of its numbers (8 for unsigned bytes, the only one taken here), the number
//! of dimensions, and their sizes as big-endian `u32`; the numbers follow, the last dimension fastest. Images have the
//! dimensions `[images, height, width]`, labels `[labels]`. Files may be compressed with gzip, which their first bytes
//! tell. They become a Parquet file of rows (image, label), block by block.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, RecordBatch, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema};
use flate2::read::MultiGzDecoder;

use crate::{DataError, EventWriter, WriterOptions, WrittenFile};

/// Type code of unsigned bytes.
const UNSIGNED_BYTE: u8 = 8;
/// Pixels of an image at most: beyond, a header is not that of an image.
const MAX_PIXELS: u64 = 1 << 24;
/// Bytes read at a time.
const BLOCK_BYTES: usize = 8 << 20;
/// Name of the column of images.
pub const IMAGE_COLUMN: &str = "image";
/// Default name of the column of labels.
pub const LABEL_COLUMN: &str = "digit";

/// Why IDX files cannot be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The system, or the decompression, failed.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What was said.
        source: io::Error,
    },
    /// Another format.
    #[error(
        "{path} is not an IDX file: it begins with the bytes {found:02x?} instead of two zeros, type and dimensions"
    )]
    NotIdx {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: [u8; 4],
    },
    /// Another type of numbers.
    #[error("{path} has numbers of type 0x{found:02x}, only unsigned bytes (0x08) can be imported")]
    Type {
        /// The file.
        path: PathBuf,
        /// Code of the type.
        found: u8,
    },
    /// Images where labels should be, or the like.
    #[error("{path} has {found} dimensions, but {what} have {expected}; are images and labels exchanged?")]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// Number of dimensions.
        found: u8,
        /// `images` or `labels`.
        what: &'static str,
        /// Their number of dimensions.
        expected: u8,
    },
    /// Sizes that no images have.
    #[error("{path} says it has {} images of {} × {} pixels; there must be at least one, of 1 to {MAX_PIXELS} pixels",
        sizes[0], sizes[1], sizes[2])]
    Size {
        /// The file.
        path: PathBuf,
        /// Images, height, width.
        sizes: [u32; 3],
    },
    /// The file is shorter than its header says.
    #[error("{path} ends early: {found} of {expected} {what} are there; copy or download it again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// `images`, `labels`, or `bytes of the header`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// The file is longer than its header says.
    #[error(
        "{path} goes on after the {expected} {what} that its header announces: it is damaged, or not what it seems"
    )]
    Trailing {
        /// The file.
        path: PathBuf,
        /// `images` or `labels`.
        what: &'static str,
        /// How many there should be.
        expected: usize,
    },
    /// Images and labels are not of the same set.
    #[error("{} has {} images, {} has {} labels; give the two files of one set", paths[0].display(), counts[0],
        paths[1].display(), counts[1])]
    Count {
        /// Images and labels.
        paths: [PathBuf; 2],
        /// How many there are.
        counts: [usize; 2],
    },
    /// The name of the labels' column is taken.
    #[error("the labels cannot be called `{IMAGE_COLUMN}`, as the images are; choose another name")]
    Name,
    /// The Parquet file cannot be written.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Writes the images and labels of two IDX files to the Parquet file `out`: `image`, a fixed-size list of its pixels row by
/// row, and the label under the name `label`, all unsigned bytes. `generator`, which says where they came from, stands in
/// the schema metadata with the height and width of the images. `progress` is told how many were written, and of how many.
/// The file appears under its name only when it is complete.
///
/// # Errors
/// If a file is not IDX, damaged, or not of its kind, the two do not belong together, or `out` cannot be written.
pub fn import_idx(
    [images, labels]: [&Path; 2],
    label: &str,
    generator: &serde_json::Value,
    out: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<WrittenFile, IdxError> {
    if label == IMAGE_COLUMN {
        return Err(IdxError::Name);
    }
    let (mut images, mut labels) = (IdxReader::images(images)?, IdxReader::labels(labels)?);
    if images.count != labels.count {
        let paths = [images.path, labels.path];
        return Err(IdxError::Count { paths, counts: [images.count, labels.count] });
    }
    let schema = schema(&images, label, generator);
    let mut writer = EventWriter::create(out, schema.clone(), &WriterOptions::default())?;
    let block = (BLOCK_BYTES / images.width).max(1);
    for start in (0..images.count).step_by(block) {
        let rows = block.min(images.count - start);
        let pixels: ArrayRef = Arc::new(UInt8Array::from(images.read(rows)?));
        let width = i32::try_from(images.width).expect("images are smaller than MAX_PIXELS");
        let pixels = FixedSizeListArray::try_new(item(), width, pixels, None).map_err(DataError::from)?;
        let columns: Vec<ArrayRef> = vec![Arc::new(pixels), Arc::new(UInt8Array::from(labels.read(rows)?))];
        writer.write(&RecordBatch::try_new(schema.clone(), columns).map_err(DataError::from)?)?;
        progress((start + rows) as u64, images.count as u64);
    }
    images.end()?;
    labels.end()?;
    Ok(writer.finish()?)
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::UInt8, false))
}

fn schema(images: &IdxReader, label: &str, generator: &serde_json::Value) -> Arc<Schema> {
    let width = i32::try_from(images.width).expect("images are smaller than MAX_PIXELS");
    let fields = vec![
        Field::new(IMAGE_COLUMN, DataType::FixedSizeList(item(), width), false),
        Field::new(label, DataType::UInt8, false),
    ];
    let mut generator = generator.clone();
    generator["image"] = serde_json::json!({ "height": images.sizes[0], "width": images.sizes[1] });
    Arc::new(Schema::new_with_metadata(
        fields,
        HashMap::from([("generator".to_owned(), generator.to_string())]),
    ))
}

/// An IDX file whose header has been read.
struct IdxReader {
    path: PathBuf,
    what: &'static str,
    count: usize,
    /// Height and width; of labels 1.
    sizes: [u32; 2],
    /// Bytes of an image or label.
    width: usize,
    /// How many were read.
    done: usize,
    content: Box<dyn Read>,
}

impl IdxReader {
    fn images(path: &Path) -> Result<Self, IdxError> {
        let (content, header) = open(path, "images", 3)?;
        let sizes = [header[0], header[1], header[2]];
        let pixels = u64::from(sizes[1]) * u64::from(sizes[2]);
        if sizes[0] == 0 || !(1..=MAX_PIXELS).contains(&pixels) {
            return Err(IdxError::Size { path: path.to_owned(), sizes });
        }
        let (count, width) = (sizes[0] as usize, pixels as usize);
        let sizes = [sizes[1], sizes[2]];
        Ok(Self { path: path.to_owned(), what: "images", count, sizes, width, done: 0, content })
    }

    fn labels(path: &Path) -> Result<Self, IdxError> {
        let (content, header) = open(path, "labels", 1)?;
        let count = header[0] as usize;
        Ok(Self { path: path.to_owned(), what: "labels", count, sizes: [1; 2], width: 1, done: 0, content })
    }

    /// The bytes of the next `rows` images or labels.
    fn read(&mut self, rows: usize) -> Result<Vec<u8>, IdxError> {
        let mut bytes = vec![0; rows * self.width];
        let found = fill(&mut self.content, &mut bytes).map_err(|source| self.failed(source))?;
        if found < bytes.len() {
            let found = self.done + found / self.width;
            let (path, what) = (self.path.clone(), self.what);
            return Err(IdxError::Truncated { path, what, found, expected: self.count });
        }
        self.done += rows;
        Ok(bytes)
    }

    /// Checks that nothing follows.
    fn end(&mut self) -> Result<(), IdxError> {
        let (path, what, expected) = (self.path.clone(), self.what, self.count);
        match self.content.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(IdxError::Trailing { path, what, expected }),
            // The checksum of the compression is missing.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(IdxError::Truncated { path, what, found: expected, expected })
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, source: io::Error) -> IdxError {
        IdxError::Read { path: self.path.clone(), source }
    }
}

/// The content after the header, and the sizes it gives.
fn open(path: &Path, what: &'static str, expected: u8) -> Result<(Box<dyn Read>, Vec<u32>), IdxError> {
    let failed = |source| IdxError::Read { path: path.to_owned(), source };
    let mut content = decompressed(path).map_err(failed)?;
    let mut header = |bytes: &mut [u8]| match fill(&mut content, bytes).map_err(failed)? {
        found if found == bytes.len() => Ok(()),
        found => {
            let (path, what) = (path.to_owned(), "bytes of the header");
            Err(IdxError::Truncated { path, what, found, expected: bytes.len() })
        }
    };
    let mut magic = [0; 4];
    header(&mut magic)?;
    let path = || path.to_owned();
    match magic {
        [0, 0, UNSIGNED_BYTE, found] if found == expected => {}
        [0, 0, UNSIGNED_BYTE, found] => {
            return Err(IdxError::Dimensions { path: path(), found, what, expected });
        }
        [0, 0, found @ (9 | 11..=14), _] => return Err(IdxError::Type { path: path(), found }),
        found => return Err(IdxError::NotIdx { path: path(), found }),
    }
    let mut sizes = vec![0; 4 * usize::from(expected)];
    header(&mut sizes)?;
    let size = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("four bytes"));
    Ok((content, sizes.chunks_exact(4).map(size).collect()))
}

/// Bytes of a file, decompressed if its first bytes are those of gzip.
///
/// # Errors
/// If it cannot be opened.
pub fn decompressed(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = File::open(path)?;
    let mut magic = [0; 2];
    let is_gzip = fill(&mut file, &mut magic)? == 2 && magic == [0x1f, 0x8b];
    file.seek(SeekFrom::Start(0))?;
    let file = BufReader::new(file);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Reads until `bytes` are full or the content ends, in the middle of the compressed data too; returns how many were read.
fn fill(content: &mut dyn Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match content.read(&mut bytes[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests;
