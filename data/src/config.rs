//! The `[data]` table of a run configuration: which files, which events, and the role of each column.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DataError, SplitConfig};

/// Which files are read, which events are kept, and what their columns are used for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Parquet files or globs, read as one table in the order given (globs sorted by name).
    pub files: Vec<String>,
    /// Parquet files or globs used as the test split. When given, `split.test` is not taken from `files`, and
    /// its share goes to training and validation in their proportion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test_files: Vec<String>,
    /// SQL condition an event must meet, for example `"incident_energy > 1000 AND ARRAY_SUM(voxels) > 0"`.
    /// Events for which it is NULL are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<String>,
    /// New columns as SQL expressions of the others, for example `log_energy = "ln(incident_energy)"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub derived: BTreeMap<String, String>,
    /// Columns known before the simulation, such as the incident energy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub condition: Vec<String>,
    /// Columns the surrogate generates.
    pub target: Vec<String>,
    /// Column of event weights; without it every event counts 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Name of the column of event numbers in generated files; by default `event_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Fractions of events for training, validation and test.
    #[serde(default)]
    pub split: SplitConfig,
    /// Use at most so many events, the first that pass `select`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_events: Option<u64>,
}

impl DataConfig {
    /// Checks what can be checked without opening a file.
    ///
    /// # Errors
    /// [`DataError::NoFiles`], or [`DataError::Config`] naming the key at fault.
    pub fn check(&self) -> Result<(), DataError> {
        let invalid = |key: &str, reason: String| Err(DataError::Config { key: key.to_owned(), reason });
        if self.files.is_empty() {
            return Err(DataError::NoFiles);
        }
        if self.target.is_empty() {
            return invalid("target", "name at least one column the surrogate shall generate".to_owned());
        }
        if self.max_events == Some(0) {
            return invalid(
                "max_events",
                "0 events leave nothing to train on; omit the key to use all".to_owned(),
            );
        }
        let roles = self.roles();
        for (index, (role, column)) in roles.iter().enumerate() {
            if let Some((other, _)) = roles[..index].iter().find(|(_, earlier)| earlier == column) {
                return invalid(role, format!("column `{column}` already has the role `{other}`"));
            }
        }
        self.split_of_files().check()
    }

    /// Condition, target and weight columns in this order: those whose numbers are needed for training.
    pub fn numeric_columns(&self) -> Vec<String> {
        self.condition.iter().chain(&self.target).chain(&self.weight).cloned().collect()
    }

    /// The split of `files`: [`split`](Self::split), less its test part when `test_files` are given.
    pub fn split_of_files(&self) -> SplitConfig {
        if self.test_files.is_empty() || self.split.check().is_err() {
            self.split
        } else {
            self.split.without_test()
        }
    }

    fn roles(&self) -> Vec<(&'static str, &str)> {
        let condition = self.condition.iter().map(|column| ("condition", column.as_str()));
        let target = self.target.iter().map(|column| ("target", column.as_str()));
        let weight = self.weight.iter().map(|column| ("weight", column.as_str()));
        let id = self.id.iter().map(|column| ("id", column.as_str()));
        condition.chain(target).chain(weight).chain(id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> DataConfig {
        DataConfig {
            files: vec!["a.parquet".into()],
            condition: vec!["incident_energy".into()],
            target: vec!["voxels".into()],
            ..DataConfig::default()
        }
    }

    #[test]
    fn roles_must_be_distinct_and_filled() {
        config().check().unwrap();
        let message = |config: DataConfig| config.check().unwrap_err().to_string();
        let twice = DataConfig { weight: Some("voxels".into()), ..config() };
        assert_eq!(message(twice), "`weight` is invalid: column `voxels` already has the role `target`");
        assert!(message(DataConfig { target: vec![], ..config() }).starts_with("`target`"));
        assert!(message(DataConfig { files: vec![], ..config() }).contains("no input file"));
        assert!(message(DataConfig { max_events: Some(0), ..config() }).starts_with("`max_events`"));
    }

    #[test]
    fn test_files_replace_the_test_fraction() {
        let given = DataConfig { test_files: vec!["b.parquet".into()], ..config() };
        assert_eq!(given.split_of_files().test, 0.0);
        assert!((given.split_of_files().train - 8.0 / 9.0).abs() < 1e-12);
        assert_eq!(config().split_of_files(), SplitConfig::default());
    }

    #[test]
    fn unknown_keys_are_refused_and_defaults_filled() {
        let minimal = r#"{"files": ["a.parquet"], "target": ["voxels"], "condition": ["incident_energy"]}"#;
        assert_eq!(serde_json::from_str::<DataConfig>(minimal).unwrap(), config());
        let misspelt = minimal.replace("condition", "conditions");
        let message = serde_json::from_str::<DataConfig>(&misspelt).unwrap_err().to_string();
        assert!(message.contains("unknown field `conditions`"), "{message}");
        let partial = r#"{"files": ["a.parquet"], "target": ["x"], "split": {"train": 0.9, "test": 0.0}}"#;
        let split = serde_json::from_str::<DataConfig>(partial).unwrap().split;
        assert_eq!(split, SplitConfig { train: 0.9, validation: 0.1, test: 0.0 });
    }
}
