//! Settings of generation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Formatter};
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use crate::config::ConfigError;

/// The `[sampling]` table: generation of the events that are validated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingConfig {
    /// Number of events; by default one for every test event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}

impl SamplingConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.events {
            Some(0) => Err(ConfigError::value("sampling.events", 0, "at least 1")),
            _ => Ok(()),
        }
    }
}

/// What `sample` generates.
#[derive(Clone, Debug)]
pub struct SampleOptions {
    /// Number of events of the whole sample; by default one for every condition.
    pub events: Option<u64>,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Which part of the sample.
    pub shard: Shard,
    /// Refuse conditions outside the range of the training events rather than warn.
    pub strict: bool,
    /// Folder in which the file is written before it moves to its place; by default that place.
    pub scratch: Option<PathBuf>,
    /// When work began, for the record of how long it took.
    pub started: Instant,
}

/// Part I of N of a sample, written I/N and counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Default for Shard {
    /// All of it.
    fn default() -> Self {
        Self { index: 1, count: 1 }
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (index, count) = text.split_once('/')?;
            Some((index.parse::<u64>().ok()?, count.parse::<u64>().ok()?))
        };
        match parse() {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err(format!("`{text}` is no shard: write I/N with 1 ≤ I ≤ N, for example 3/8")),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl Display for Shard {
    fn fmt(&self, f: &mut Formatter) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl Shard {
    /// The events of this shard among `events`: whole groups of `group` rows, the last of which may be smaller.
    pub fn range(self, events: u64, group: u64) -> Range<u64> {
        let groups = events.div_ceil(group);
        let begin = |index: u64| {
            let first = u128::from(groups) * u128::from(index) / u128::from(self.count);
            (first as u64 * group).min(events)
        };
        begin(self.index - 1)..begin(self.index)
    }

    /// I of I/N.
    pub(super) fn index(self) -> u64 {
        self.index
    }

    /// N of I/N.
    pub(super) fn count(self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_every_event_once_in_whole_row_groups() {
        for (events, count, group) in
            [(1, 1, 1024), (10_000, 3, 1024), (5_000, 8, 1024), (1_000_000, 7, 3072)]
        {
            let mut next = 0;
            for index in 1..=count {
                let range = Shard { index, count }.range(events, group);
                assert_eq!(range.start, next);
                assert!(range.end == events || range.end.is_multiple_of(group));
                next = range.end;
            }
            assert_eq!(next, events);
        }
    }

    #[test]
    fn malformed_shards_are_refused() {
        for text in ["0/4", "5/4", "1", "a/b", "1/0", "-1/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, count: 4 }));
    }
}
