//! Files and folders of a run that appear under their final name only when complete.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use simile_data::DataError;
use tempfile::TempDir;

/// Writes pretty-printed JSON atomically.
///
/// # Errors
/// If the folder cannot be written or the disk is full.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), DataError> {
    let mut text = serde_json::to_string_pretty(value).expect("plain data are representable in JSON");
    text.push('\n');
    simile_data::write_file(path, text)
}

/// Why a JSON file could not be read.
pub(crate) enum ReadError {
    /// No such file, or not readable.
    Io(std::io::Error),
    /// Not the JSON expected.
    Json(serde_json::Error),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Json(error) => error.fmt(f),
        }
    }
}

/// Reads JSON.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ReadError> {
    let text = std::fs::read_to_string(path).map_err(ReadError::Io)?;
    serde_json::from_str(&text).map_err(ReadError::Json)
}

/// A folder that is filled under a temporary name beside `path` and renamed by [`PendingFolder::commit`]; dropped
/// before that, it is removed.
pub(crate) struct PendingFolder {
    folder: TempDir,
    path: PathBuf,
}

impl PendingFolder {
    /// Creates the temporary folder, and the parents of `path` if need be.
    pub(crate) fn create(path: &Path) -> Result<Self, DataError> {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let io = |source| DataError::Io { action: "create", path: path.to_path_buf(), source };
        std::fs::create_dir_all(parent).map_err(io)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".simile-");
        // tempfile makes folders private by default; results are to be readable as the umask says.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        Ok(Self { folder: builder.tempdir_in(parent).map_err(io)?, path: path.to_path_buf() })
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the folder its name, replacing a folder of that name.
    pub(crate) fn commit(self) -> Result<(), DataError> {
        let Self { folder, path } = self;
        let io = |source| DataError::Io { action: "create", path: path.clone(), source };
        if path.exists() {
            std::fs::remove_dir_all(&path).map_err(io)?;
        }
        let temporary = folder.keep();
        std::fs::rename(&temporary, &path).map_err(|source| {
            // The rename failed: leave nothing behind.
            let _ = std::fs::remove_dir_all(&temporary);
            io(source)
        })
    }
}
