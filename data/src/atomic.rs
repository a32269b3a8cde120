//! Files that appear under their final name only when they are complete.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::DataError;

/// A temporary file next to `path`, renamed to it by [`persist`](Self::persist); dropped before that, it is removed.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    path: PathBuf,
    temporary: NamedTempFile,
}

impl AtomicFile {
    /// Creates the temporary file in the folder of `path`, which must exist.
    pub(crate) fn create(path: &Path) -> Result<Self, DataError> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!(".{name}.");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        // tempfile makes files private by default; results are to be readable as the umask says.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary = builder.tempfile_in(folder).map_err(DataError::io("create", path))?;
        Ok(Self { path: path.to_owned(), temporary })
    }

    /// A second handle to the temporary file.
    pub(crate) fn handle(&self) -> Result<File, DataError> {
        self.temporary.as_file().try_clone().map_err(DataError::io("write", &self.path))
    }

    /// Final path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Flushes to disk and renames. Returns the size in bytes.
    pub(crate) fn persist(self) -> Result<u64, DataError> {
        let Self { path, temporary } = self;
        temporary.as_file().sync_all().map_err(DataError::io("write", &path))?;
        let bytes = temporary.as_file().metadata().map_err(DataError::io("write", &path))?.len();
        temporary.persist(&path).map_err(|error| DataError::io("create", &path)(error.error))?;
        Ok(bytes)
    }
}

/// Writes a whole file atomically: `path` holds either what it held before or all of `contents`.
///
/// # Errors
/// If the folder does not exist or cannot be written, or the disk is full; nothing is left behind then.
pub fn write_file(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> Result<(), DataError> {
    let path = path.as_ref();
    let mut file = AtomicFile::create(path)?;
    file.temporary.write_all(contents.as_ref()).map_err(DataError::io("write", path))?;
    file.persist().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_file(&path, "old").unwrap();
        drop(AtomicFile::create(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        write_file(&path, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = write_file(folder.path().join("no/a.json"), "x").unwrap_err().to_string();
        assert!(message.starts_with("cannot create") && message.contains("no/a.json"), "{message}");
    }
}
