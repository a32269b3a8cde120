//! Public data sets of images: downloaded, checked, and turned into Parquet files.
//!
//! What counts is the decompressed content: mirrors may have compressed it anew, but its size and SHA-256 are known. Mirrors
//! are tried in order. What a cut connection left behind (`NAME.part`) is continued with an HTTP range request. Files that
//! are already there, compressed or not, are used if their content is right, so that they can also be brought by hand.

mod download;

use std::io::Read;
use std::path::{Path, PathBuf};

use simile_data::idx::{IdxError, LABEL_COLUMN, decompressed, import_idx};

use download::{Client, DownloadError};

/// A data set that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No mirror has the file.
    #[error(
        "{file} cannot be downloaded:{}\nwithout a network, bring the file (as it is, or decompressed as {plain}) to {folder} and \
         say the same again; another place to download from can be given with --mirror",
        tried.iter().map(|(url, error)| format!("\n  {url}: {error}")).collect::<String>()
    )]
    Unreachable {
        /// Its name
        file: String,
        /// Its name when decompressed
        plain: String,
        /// Where it belongs
        folder: PathBuf,
        /// What was tried, and why it failed
        tried: Vec<(String, DownloadError)>,
    },
    /// The folder cannot be used.
    #[error("cannot {action} {path}: {source}")]
    Folder {
        /// `create` or `rename`
        action: &'static str,
        /// The folder or file
        path: PathBuf,
        /// What the system said
        source: std::io::Error,
    },
    /// The files cannot be converted.
    #[error(transparent)]
    Idx(#[from] IdxError),
}

/// A file of a data set.
#[derive(Clone, Debug)]
pub struct RemoteFile {
    /// Name at every mirror, with `.gz`
    pub name: String,
    /// Size of the content, decompressed
    pub bytes: u64,
    /// SHA-256 of the content, decompressed
    pub sha256: String,
}

/// Images with labels that are used together.
#[derive(Clone, Debug)]
pub struct ImageSplit {
    /// Name, such as `train`
    pub name: String,
    /// IDX file of the images
    pub images: RemoteFile,
    /// IDX file of the labels
    pub labels: RemoteFile,
}

/// A data set of images.
#[derive(Clone, Debug)]
pub struct ImageSet {
    /// What its Parquet files are called, before the name of the split
    pub name: String,
    /// Folders that have the files, with a slash at the end
    pub mirrors: Vec<String>,
    /// Parts of the set
    pub splits: Vec<ImageSplit>,
}

/// Told how downloads proceed.
pub trait Observer {
    /// A file is being downloaded; `done` bytes are there from before, and in all there will be `total`, if that is known.
    fn begin(&mut self, file: &str, done: u64, total: Option<u64>);
    /// So many bytes more are there.
    fn advance(&mut self, bytes: u64);
    /// Something worth a line.
    fn message(&mut self, message: &str);
}

impl ImageSet {
    /// The handwritten digits of LeCun, Cortes, Burges: 60,000 to train and 10,000 to test with, 28 × 28 pixels.
    pub fn mnist() -> Self {
        let file = |name: &str, bytes, sha256: &str| RemoteFile {
            name: format!("{name}-ubyte.gz"),
            bytes,
            sha256: sha256.to_owned(),
        };
        let split = |name: &str, images, labels| ImageSplit { name: name.to_owned(), images, labels };
        let train = split(
            "train",
            file(
                "train-images-idx3",
                47_040_016,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            file(
                "train-labels-idx1",
                60_008,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
        );
        let test = split(
            "test",
            file(
                "t10k-images-idx3",
                7_840_016,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            file(
                "t10k-labels-idx1",
                10_008,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        );
        let mirrors = [
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ];
        Self { name: "mnist".into(), mirrors: mirrors.map(str::to_owned).into(), splits: vec![train, test] }
    }

    /// Puts a mirror before the others.
    #[must_use]
    pub fn with_mirror(mut self, mirror: &str) -> Self {
        self.mirrors.insert(0, format!("{}/", mirror.trim_end_matches('/')));
        self
    }
}

/// Brings the files of a set to `folder`, and writes a Parquet file `NAME_SPLIT.parquet` for every split; returns their
/// paths.
///
/// # Errors
/// If a file is neither there nor to be had from a mirror, or the folder cannot be written.
pub fn fetch(set: &ImageSet, folder: &Path, observer: &mut dyn Observer) -> Result<Vec<PathBuf>, FetchError> {
    let create = |source| FetchError::Folder { action: "create", path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(create)?;
    let client = Client::new();
    let mut written = Vec::new();
    for split in &set.splits {
        let images = fetch_file(&client, set, &split.images, folder, observer)?;
        let labels = fetch_file(&client, set, &split.labels, folder, observer)?;
        let out = folder.join(format!("{}_{}.parquet", set.name, split.name));
        let generator = serde_json::json!({
            "code": format!("simile {}", env!("CARGO_PKG_VERSION")),
            "imported": [split.images.name, split.labels.name],
        });
        let file = import_idx([&images, &labels], LABEL_COLUMN, &generator, &out, &mut |_, _| ())?;
        observer.message(&format!("{}: {} images", out.display(), file.rows));
        written.push(out);
    }
    Ok(written)
}

/// The path of a file whose content is right: one that is there, or is there now.
fn fetch_file(
    client: &Client,
    set: &ImageSet,
    file: &RemoteFile,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<PathBuf, FetchError> {
    let plain = file.name.trim_end_matches(".gz");
    let path = folder.join(&file.name);
    for known in [path.clone(), folder.join(plain)] {
        match is_right(file, &known) {
            Ok(true) => return Ok(known),
            Ok(false) => observer.message(&format!("{} has another content: not used", known.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                observer.message(&format!("{} cannot be read ({error}): not used", known.display()))
            }
        }
    }
    let part = folder.join(format!("{}.part", file.name));
    let mut tried = Vec::new();
    for mirror in &set.mirrors {
        let url = format!("{mirror}{}", file.name);
        match client.download(&url, file, &part, observer) {
            Ok(()) => {
                let rename = |source| FetchError::Folder { action: "rename", path: part.clone(), source };
                std::fs::rename(&part, &path).map_err(rename)?;
                return Ok(path);
            }
            Err(error) => tried.push((url, error)),
        }
    }
    let (file, plain, folder) = (file.name.clone(), plain.to_owned(), folder.to_owned());
    Err(FetchError::Unreachable { file, plain, folder, tried })
}

/// Whether a file has, decompressed, the right content.
fn is_right(file: &RemoteFile, path: &Path) -> std::io::Result<bool> {
    // Not a byte more is decompressed than what shows that there are too many.
    let content = decompressed(path)?.take(file.bytes + 1);
    match simile_data::sha256(content) {
        Ok(found) => Ok(found == file.sha256),
        // Compressed data that end early, or are none.
        Err(error) if is_damage(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_damage(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

#[cfg(test)]
mod tests;
