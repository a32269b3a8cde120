//! Puts the parts of a sample together.

use std::path::{Path, PathBuf};

use simile_data::{DataError, Dataset, concatenate};
use thiserror::Error;

use super::provenance::{Making, PART_KEY};
use super::{Origin, Part, PartManifest, Provenance, Shard};
use crate::Warn;

/// Parts that are not those of one whole sample.
#[derive(Debug, Error)]
pub enum MergeError {
    /// A part cannot be read, or the merged file not be written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Another kind of file.
    #[error("{path} is no part of a sample: merge files that `simile sample` wrote")]
    NotAPart {
        /// The file
        path: PathBuf,
    },
    /// The merged file would replace one of its parts.
    #[error("{path} is one of the parts: choose another --output")]
    Output {
        /// The file
        path: PathBuf,
    },
    /// The manifest of a part is not there or not readable.
    #[error("{path} has no usable manifest ({reason}): copy it along with the file, or make this part again")]
    NoManifest {
        /// The file
        path: PathBuf,
        /// Why not
        reason: String,
    },
    /// A file is not the one that its manifest describes.
    #[error(
        "{path} is not as it was written: its SHA-256 differs from that of its manifest; make this part again"
    )]
    Changed {
        /// The file
        path: PathBuf,
    },
    /// A part of another sample.
    #[error(
        "{path} is of another sample than {first}: {key} {theirs} instead of {expected}; leave it out, or make it again"
    )]
    Foreign {
        /// The first file
        first: PathBuf,
        /// The file that differs
        path: PathBuf,
        /// What differs
        key: String,
        /// Value of the first file
        expected: String,
        /// Value of the other
        theirs: String,
    },
    /// Events that are in two parts.
    #[error("{path} and {other} overlap: both hold event {event}; leave one of them out")]
    Overlap {
        /// One file
        path: PathBuf,
        /// The other
        other: PathBuf,
        /// First event in both
        event: u64,
    },
    /// Events that are in no part.
    #[error("{}", missing(.events, .shards))]
    Missing {
        /// Ranges of events, first and last
        events: Vec<(u64, u64)>,
        /// Numbers of the shards, and how many there are, where all parts agree on that
        shards: Option<(Vec<u64>, u64)>,
    },
}

/// What was merged.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeSummary {
    /// Events of the sample
    pub events: u64,
    /// Parts it came in
    pub parts: usize,
    /// SHA-256 of the merged file
    pub sha256: String,
}

/// Writes the parts of one sample, given in any order, into the file that one process would have written. Row groups are
/// copied without decoding them; every file is compared with the hash in its manifest before.
///
/// # Errors
/// If parts are missing, overlap, belong to different samples or were changed, `out` is one of them, or a file cannot be
/// read or written.
pub fn merge<S: AsRef<str>>(
    patterns: &[S],
    out: &Path,
    scratch: Option<&Path>,
    observer: &mut dyn Warn,
) -> Result<MergeSummary, MergeError> {
    let dataset = Dataset::open(patterns)?;
    let mut parts = read_parts(&dataset)?;
    if let Some(part) = parts.iter().find(|part| is_same_file(&part.path, out)) {
        return Err(MergeError::Output { path: part.path.clone() });
    }
    let origin = common_origin(&parts)?;
    parts.sort_by_key(|part| (part.provenance.part.first, part.provenance.part.end));
    check_cover(&origin, &parts)?;
    let mut making = Vec::new();
    for part in &parts {
        making.extend(part.verify()?);
    }
    warn_of_processors(&making, observer);

    let whole = Part { shard: Shard::default(), first: 0, end: origin.events };
    let annotation = serde_json::to_string(&whole).expect("plain data are representable in JSON");
    let paths: Vec<&Path> = parts.iter().map(|part| part.path.as_path()).collect();
    let file = concatenate(&paths, out, (PART_KEY, annotation), scratch)?;
    let manifest = PartManifest::new(out, &file, Provenance { origin, part: whole }, making)?;
    manifest.write(out)?;
    let events = file.persist()?.rows;
    Ok(MergeSummary { events, parts: parts.len(), sha256: manifest.sha256 })
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// One file.
struct PartFile {
    path: PathBuf,
    rows: u64,
    provenance: Provenance,
}

impl PartFile {
    /// Compares the file with its manifest and returns how it was made.
    fn verify(&self) -> Result<Vec<Making>, MergeError> {
        let path = || self.path.clone();
        let manifest = PartManifest::read(&self.path)
            .map_err(|reason| MergeError::NoManifest { path: path(), reason })?;
        let read = |source| DataError::Io { action: "read", path: path(), source };
        let sha256 = std::fs::File::open(&self.path).and_then(simile_data::sha256).map_err(read)?;
        let part = &self.provenance.part;
        if manifest.sha256 != sha256 || manifest.provenance != self.provenance || self.rows != part.events() {
            return Err(MergeError::Changed { path: path() });
        }
        Ok(manifest.making)
    }
}

fn read_parts(dataset: &Dataset) -> Result<Vec<PartFile>, MergeError> {
    let files = dataset.files().iter().enumerate();
    let parts = files.map(|(index, file)| {
        let path = file.path.clone();
        let provenance =
            Provenance::of_file(dataset, index).ok_or_else(|| MergeError::NotAPart { path: path.clone() })?;
        Ok(PartFile { path, rows: file.rows, provenance })
    });
    parts.collect()
}

fn common_origin(parts: &[PartFile]) -> Result<Origin, MergeError> {
    let first = &parts[0];
    for part in parts {
        let difference = first.provenance.origin.difference(&part.provenance.origin);
        if let Some((key, expected, theirs)) = difference {
            let (first, path) = (first.path.clone(), part.path.clone());
            return Err(MergeError::Foreign { first, path, key, expected, theirs });
        }
    }
    Ok(first.provenance.origin.clone())
}

/// Checks that sorted parts hold every event once.
fn check_cover(origin: &Origin, parts: &[PartFile]) -> Result<(), MergeError> {
    let mut gaps = Vec::new();
    let (mut next, mut last) = (0, None::<&PartFile>);
    for file in parts.iter().filter(|file| file.provenance.part.events() > 0) {
        let part = file.provenance.part;
        if let Some(last) = last.filter(|_| part.first < next) {
            let (path, other) = (last.path.clone(), file.path.clone());
            return Err(MergeError::Overlap { path, other, event: part.first });
        }
        if part.first > next {
            gaps.push((next, part.first - 1));
        }
        (next, last) = (part.end, Some(file));
    }
    if next < origin.events {
        gaps.push((next, origin.events - 1));
    }
    match gaps.is_empty() {
        true => Ok(()),
        false => Err(MergeError::Missing { events: gaps, shards: missing_shards(parts) }),
    }
}

/// Shards that are not there, where all parts are of the same number of shards.
fn missing_shards(parts: &[PartFile]) -> Option<(Vec<u64>, u64)> {
    let shards: Vec<Shard> = parts.iter().map(|file| file.provenance.part.shard).collect();
    let count = shards[0].count();
    let missing = (1..=count).filter(|&index| shards.iter().all(|shard| shard.index() != index));
    shards.iter().all(|shard| shard.count() == count).then(|| (missing.collect(), count))
}

/// Gaps named in an error.
const GAPS_SHOWN: usize = 5;

fn missing(events: &[(u64, u64)], shards: &Option<(Vec<u64>, u64)>) -> String {
    let mut gaps: Vec<String> =
        events.iter().take(GAPS_SHOWN).map(|(first, last)| format!("{first} to {last}")).collect();
    if events.len() > GAPS_SHOWN {
        gaps.push("…".to_owned());
    }
    let events = format!("events {} are in no part", gaps.join(", "));
    match shards {
        Some((missing, count)) => {
            format!("{events}: make shards {} of {count} first", runs(missing))
        }
        None => format!("{events}: name all parts, or make those that are missing"),
    }
}

/// Sorted numbers as `1-3,7`, as Slurm takes them for `--array`.
fn runs(numbers: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let text = |(first, last): (u64, u64)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    runs.into_iter().map(text).collect::<Vec<_>>().join(",")
}

/// Bits are those of one process only if that process could have made all parts.
fn warn_of_processors(making: &[Making], observer: &mut dyn Warn) {
    let mut kinds: Vec<&str> = making.iter().map(|making| making.instructions.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > 1 {
        observer.warn(&format!(
            "the parts were made with different vector instructions ({}): the sample is sound, but another machine will \
             not give the same bits again; keep the jobs to one kind of node for that",
            kinds.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_shards_read_like_an_array_of_jobs() {
        assert_eq!(runs(&[1, 2, 3, 7, 9, 10]), "1-3,7,9-10");
        let message = missing(&[(1024, 2047)], &Some((vec![2], 4)));
        assert_eq!(message, "events 1024 to 2047 are in no part: make shards 2 of 4 first");
        let many: Vec<(u64, u64)> = (0..9).map(|i| (10 * i, 10 * i + 1)).collect();
        assert!(
            missing(&many, &None).starts_with("events 0 to 1, 10 to 11, 20 to 21, 30 to 31, 40 to 41, … are")
        );
    }
}
