//! Files that appear under their final name only when they are complete.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{DataError, sha256};

/// A temporary file next to `path`, or in a scratch folder, renamed to it by [`persist`](Self::persist); dropped before
/// that, it is removed.
///
/// It is locked while it is open. Those that a killed process left behind are not, so the next writer of the same file
/// removes them.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    path: PathBuf,
    temporary: NamedTempFile,
    /// Where the bytes go until the file is complete, as messages name it.
    place: PathBuf,
}

impl AtomicFile {
    /// Creates the temporary file, in the folder of `path` unless there is a scratch folder. Both must exist and be
    /// writable.
    pub(crate) fn create(path: &Path, scratch: Option<&Path>) -> Result<Self, DataError> {
        let beside = temporary_file(folder_of(path), path).map_err(DataError::io("create", path))?;
        let Some(scratch) = scratch else {
            return Ok(Self { path: path.to_owned(), temporary: beside, place: path.to_owned() });
        };
        let temporary = temporary_file(scratch, path)
            .map_err(|source| DataError::Scratch { path: scratch.to_owned(), source })?;
        let place = temporary.path().to_owned();
        Ok(Self { path: path.to_owned(), temporary, place })
    }

    /// A second handle to the temporary file.
    pub(crate) fn handle(&self) -> Result<File, DataError> {
        self.temporary.as_file().try_clone().map_err(DataError::io("write", &self.path))
    }

    /// Final path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the bytes go until the file is complete.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// SHA-256 of what was written.
    pub(crate) fn sha256(&self) -> Result<String, DataError> {
        self.temporary.reopen().and_then(sha256).map_err(DataError::io("read", &self.place))
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> Result<u64, DataError> {
        Ok(self.temporary.as_file().metadata().map_err(DataError::io("write", &self.place))?.len())
    }

    /// Copies a file that is complete, but lies in another file system, next to its final path, so that nothing but a
    /// new name is left to be done.
    pub(crate) fn arrive(self) -> Result<Self, DataError> {
        if self.place == self.path || same_file_system(&self.place, folder_of(&self.path)) {
            return Ok(self);
        }
        let Self { path, temporary, place } = self;
        let mut beside = temporary_file(folder_of(&path), &path).map_err(DataError::io("create", &path))?;
        let mut source = temporary.reopen().map_err(DataError::io("read", &place))?;
        io::copy(&mut source, beside.as_file_mut()).map_err(DataError::io("write", &path))?;
        Ok(Self { place: path.clone(), path, temporary: beside })
    }

    /// Flushes to disk and renames. Returns the size in bytes.
    pub(crate) fn persist(self) -> Result<u64, DataError> {
        let bytes = self.bytes()?;
        let Self { path, temporary, place } = self;
        temporary.as_file().sync_all().map_err(DataError::io("write", &place))?;
        temporary.persist(&path).map_err(|error| DataError::io("create", &path)(error.error))?;
        Ok(bytes)
    }
}

#[cfg(unix)]
fn same_file_system(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    matches!((a.metadata(), b.metadata()), (Ok(a), Ok(b)) if a.dev() == b.dev())
}

#[cfg(not(unix))]
fn same_file_system(_: &Path, _: &Path) -> bool {
    false
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A locked file in `folder` that will become `path`.
fn temporary_file(folder: &Path, path: &Path) -> io::Result<NamedTempFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    remove_leftovers(folder, &prefix);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX);
    // tempfile makes files private by default; results are to be readable as the umask says.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder)?;
    // Some network file systems have no locks: leftovers stay there.
    let _ = file.as_file().try_lock();
    Ok(file)
}

const SUFFIX: &str = ".tmp";

/// Removes temporary files of killed processes, where that is possible.
fn remove_leftovers(folder: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(SUFFIX));
        if ours && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes a whole file atomically: `path` holds either what it held before or all of `contents`.
///
/// # Errors
/// If the folder does not exist or cannot be written, or the disk is full; nothing is left behind then.
pub fn write_file(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> Result<(), DataError> {
    let path = path.as_ref();
    let mut file = AtomicFile::create(path, None)?;
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
        drop(AtomicFile::create(&path, None).unwrap());
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

    #[test]
    fn leftovers_of_killed_processes_go_and_files_being_written_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let leftover = folder.path().join(".a.json.killed.tmp");
        std::fs::write(&leftover, "half").unwrap();
        let other = folder.path().join(".b.json.other.tmp");
        std::fs::write(&other, "of another file").unwrap();
        let alive = AtomicFile::create(&path, None).unwrap();
        assert!(!leftover.exists() && other.exists());
        write_file(&path, "new").unwrap();
        assert!(alive.temporary.path().exists());
        alive.persist().unwrap();
    }

    #[test]
    fn a_file_from_another_file_system_arrives_whole() {
        let memory = Path::new("/dev/shm");
        let folder = tempfile::tempdir().unwrap();
        let scratch = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        let path = folder.path().join("a.bin");
        let file = AtomicFile::create(&path, Some(scratch.path())).unwrap();
        file.handle().unwrap().write_all(b"events").unwrap();
        assert!(file.place().starts_with(scratch.path()) && !path.exists());
        let file = file.arrive().unwrap();
        assert!(file.place() == path || !memory.is_dir());
        assert_eq!(file.sha256().unwrap(), sha256(&b"events"[..]).unwrap());
        assert_eq!(file.persist().unwrap(), 6);
        assert_eq!(std::fs::read(&path).unwrap(), b"events");
        let left = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
        assert_eq!((left(folder.path()), left(scratch.path())), (1, 0));
    }

    #[test]
    fn a_scratch_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = AtomicFile::create(&folder.path().join("a"), Some(Path::new("/no/such"))).unwrap_err();
        assert!(error.to_string().contains("/no/such") && error.to_string().contains("TMPDIR"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
