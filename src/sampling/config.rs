//! Settings of generation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::str::FromStr;

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
#[derive(Clone, Debug, Default)]
pub struct SampleOptions {
    /// Number of events of the whole sample; by default one for every condition.
    pub events: Option<u64>,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Which part of the sample.
    pub shard: Shard,
    /// Refuse conditions outside the range of the training events rather than warn.
    pub strict: bool,
}

/// Part I of N of a sample, written I/N and counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Shard {
    /// The events of this shard among `events`: whole chunks, so that shards together equal one process.
    pub fn range(self, events: u64) -> Range<u64> {
        let chunks = events.div_ceil(super::CHUNK);
        let begin = |index: u64| {
            let chunk = u128::from(chunks) * u128::from(index) / u128::from(self.count);
            (chunk as u64 * super::CHUNK).min(events)
        };
        begin(self.index - 1)..begin(self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_every_event_once_in_whole_chunks() {
        for (events, count) in [(1, 1), (10_000, 3), (5_000, 8), (1_000_000, 7)] {
            let mut next = 0;
            for index in 1..=count {
                let range = Shard { index, count }.range(events);
                assert_eq!(range.start, next);
                assert!(range.end == events || range.end.is_multiple_of(super::super::CHUNK));
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
