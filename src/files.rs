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

/// Whether something is in the way of a new folder: anything but an empty folder, which batch systems like to make.
pub(crate) fn is_occupied(path: &Path) -> bool {
    let is_empty = |path| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    path.exists() && !is_empty(path)
}

/// A folder that is filled under a temporary name beside `path` and renamed by [`PendingFolder::commit`]; dropped
/// before that, it is removed.
pub(crate) struct PendingFolder {
    // Dropped in this order: the parents can go once they are empty.
    folder: TempDir,
    parents: Parents,
    path: PathBuf,
}

/// Folders that did not exist, innermost first; dropped, they are removed if they are empty.
struct Parents(Vec<PathBuf>);

impl Parents {
    fn create(folder: &Path) -> std::io::Result<Self> {
        let missing = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
        let parents = Self(missing.map(Path::to_path_buf).collect());
        std::fs::create_dir_all(folder)?;
        Ok(parents)
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        // Somebody else may have put something there meanwhile: then it stays.
        let _ = self.0.iter().try_for_each(std::fs::remove_dir);
    }
}

impl PendingFolder {
    /// Creates the temporary folder, and the parents of `path` if need be.
    pub(crate) fn create(path: &Path) -> Result<Self, DataError> {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let io = |source| DataError::Io { action: "create", path: path.to_path_buf(), source };
        let parents = Parents::create(parent).map_err(io)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".simile-");
        // tempfile makes folders private by default; results are to be readable as the umask says.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        Ok(Self { folder: builder.tempdir_in(parent).map_err(io)?, parents, path: path.to_path_buf() })
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the folder its name, replacing a folder of that name: it holds either what it held before or all that is
    /// new.
    pub(crate) fn replace(self) -> Result<(), DataError> {
        if !self.path.exists() {
            return self.commit();
        }
        let old = Self::create(&self.path)?;
        let io = |source| DataError::Io { action: "replace", path: self.path.clone(), source };
        std::fs::rename(&self.path, old.path().join("old")).map_err(io)?;
        self.commit()
    }

    /// Gives the folder its name. A folder of that name that holds anything is an error.
    pub(crate) fn commit(self) -> Result<(), DataError> {
        let Self { folder, mut parents, path } = self;
        let io = |source| DataError::Io { action: "create", path: path.clone(), source };
        let temporary = folder.keep();
        std::fs::rename(&temporary, &path).map_err(|source| {
            // The rename failed: leave nothing behind.
            let _ = std::fs::remove_dir_all(&temporary);
            io(source)
        })?;
        parents.0.clear();
        Ok(())
    }
}
