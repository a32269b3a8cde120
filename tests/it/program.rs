//! Running the program and looking at what it says and writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use simile_data::Dataset;

/// The program with its arguments, ready to run.
pub(crate) fn command<S: AsRef<str>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simile"));
    command.args(arguments.iter().map(AsRef::as_ref));
    // Batch jobs set these.
    for variable in ["TMPDIR", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"] {
        command.env_remove(variable);
    }
    command
}

/// How a run of the program ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the program.
pub(crate) fn simile<S: AsRef<str>>(arguments: &[S]) -> Ended {
    Ended::new(command(arguments).output().unwrap())
}

/// Runs the program, which must succeed.
pub(crate) fn succeed<S: AsRef<str>>(arguments: &[S]) -> Ended {
    let ended = simile(arguments);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ended
}

/// Runs the program, which must refuse: exit code 2, one error on standard error that holds all of `expected`, no
/// panic, no output, and nothing written or changed in `folder`. Returns the message.
#[track_caller]
pub(crate) fn refuse<S: AsRef<str>>(folder: &Path, arguments: &[S], expected: &[&str]) -> String {
    let before = contents(folder);
    let ended = simile(arguments);
    let stderr = &ended.stderr;
    assert_eq!(ended.code, Some(2), "{stderr}");
    let errors = stderr.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    for part in expected {
        assert!(stderr.contains(part), "no `{part}` in: {stderr}");
    }
    assert_eq!(ended.stdout, "");
    assert_eq!(contents(folder), before, "the failed command wrote something: {stderr}");
    ended.stderr
}

/// All files and folders below `folder` with the files' bytes; folders have none.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let bytes = (!path.is_dir()).then(|| std::fs::read(&path).unwrap());
            if bytes.is_none() {
                folders.push(path.clone());
            }
            found.insert(path, bytes);
        }
    }
    found
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for (path, bytes) in contents(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        match bytes {
            None => std::fs::create_dir_all(&target).unwrap(),
            Some(bytes) => {
                std::fs::create_dir_all(target.parent().unwrap()).unwrap();
                std::fs::write(&target, bytes).unwrap();
            }
        }
    }
}

/// The events of Parquet files as one batch.
pub(crate) fn read<S: AsRef<str>>(files: &[S]) -> RecordBatch {
    let dataset = Dataset::open(files).unwrap();
    let batches: Vec<RecordBatch> = dataset.scan().batches().unwrap().map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// A path as a string.
pub(crate) fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}
