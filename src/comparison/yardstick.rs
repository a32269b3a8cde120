//! What the figures of two runs must have in common to be compared: test events of one distribution, judged in one way.

use std::collections::BTreeMap;

use simile_validation::Metrics;

use crate::pipeline::{PipelineError, RunDirectory, Summary, read};

/// Digits of a hash that tell files apart in a message.
const HASH_DIGITS: usize = 12;
/// Keys of `[data]` that shape the test events. Which of the events are drawn for the test (`seed`, `split`,
/// `max_events`) does not change their distribution.
const DATA_KEYS: [&str; 2] = ["derived", "select"];
/// Keys of `[validation]` that change no figure.
const VERDICT_KEYS: [&str; 3] = ["gates", "thresholds", "time_column"];

/// How a run was judged.
pub(super) struct Yardstick {
    /// Path by SHA-256 of the files that hold the test events.
    test_files: BTreeMap<String, String>,
    /// Values of the configuration by key.
    settings: BTreeMap<String, toml::Value>,
}

impl Yardstick {
    pub(super) fn of(run: &RunDirectory) -> Result<Self, PipelineError> {
        let summary: Summary = read(&run.summary())?;
        let is_test = |path: &String| summary.test_files.is_empty() || summary.test_files.contains(path);
        let files = summary.files.iter().filter(|(path, _)| is_test(path));
        let test_files = files.map(|(path, sha256)| (sha256.clone(), path.clone())).collect();
        let config: toml::Table =
            toml::from_str(&run.config.to_toml()).expect("what was written as TOML can be read");
        let mut settings = BTreeMap::new();
        for (table, counts) in [
            ("data", (|key| DATA_KEYS.contains(&key)) as fn(&str) -> bool),
            ("validation", |key| !VERDICT_KEYS.contains(&key)),
            ("reconstruction", |_| true),
            ("efficiency", |key| key == "found"),
            ("events", |key| key != "oversample"),
        ] {
            let values = config.get(table).and_then(toml::Value::as_table).into_iter().flatten();
            let counted = values.filter(|(key, _)| counts(key));
            settings.extend(counted.map(|(key, value)| (format!("{table}.{key}"), value.clone())));
        }
        // The same path may have held another classifier.
        let classified = Metrics::read(&run.metrics())?.images.and_then(|images| images.classified);
        if let Some(images) = settings.get_mut("validation.images").and_then(toml::Value::as_table_mut) {
            images.remove("classifier");
        }
        settings.extend(classified.map(|found| ("image classifier".to_owned(), found.classifier.into())));
        Ok(Self { test_files, settings })
    }

    /// In what another run was judged otherwise: one phrase each, what holds for `self` first.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        if !self.test_files.keys().eq(other.test_files.keys()) {
            let [mine, theirs] = [(self, other), (other, self)].map(|(one, other)| one.files_beyond(other));
            differences.push(format!("test events from {mine} and from {theirs}"));
        }
        let mut keys: Vec<&String> = self.settings.keys().chain(other.settings.keys()).collect();
        keys.sort();
        keys.dedup();
        let text = |of: &Self, key: &str| of.settings.get(key).map_or("unset".into(), toml::Value::to_string);
        let changed = keys.into_iter().filter(|key| self.settings.get(*key) != other.settings.get(*key));
        differences.extend(changed.map(|key| format!("{key} {} and {}", text(self, key), text(other, key))));
        differences
    }

    /// Files that another run has not.
    fn files_beyond(&self, other: &Self) -> String {
        let files = self.test_files.iter().filter(|(sha256, _)| !other.test_files.contains_key(*sha256));
        let named = files.map(|(sha256, path)| {
            let digits: String = sha256.chars().take(HASH_DIGITS).collect();
            format!("{path} (SHA-256 {digits}…)")
        });
        let named: Vec<String> = named.collect();
        if named.is_empty() { "no other file".into() } else { named.join(", ") }
    }
}
