//! The description of a scan.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use simile_data::random;
use toml::Value;

use crate::config::ConfigError;

/// More trials than this are a slip of the pen: nobody trains as many models.
const MOST_TRIALS: usize = 100_000;

/// What to vary, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepConfig {
    /// The configuration of a run that the trials change
    pub base: PathBuf,
    /// Number of trials of a random search; without it, every combination of values is a trial
    pub draws: Option<usize>,
    /// Seed of the random search
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Values by dotted key of the configuration
    pub parameters: BTreeMap<String, Values>,
}

fn default_seed() -> u64 {
    1
}

/// The values of one parameter.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// One of these
    Values(Vec<Value>),
    /// Evenly distributed in `[low, high)`; for random search
    Uniform([f64; 2]),
    /// With an evenly distributed logarithm in `[low, high)`; for random search
    LogUniform([f64; 2]),
    /// A whole number from `low` to `high`, both included; for random search
    Integers([i64; 2]),
}

impl SweepConfig {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// If the file cannot be read, is not understood, or holds a value out of range.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.to_path_buf(), message: error.to_string() })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.parameters.is_empty() {
            return Err(ConfigError::value("parameters", "{}", "a table with at least one key"));
        }
        for (key, values) in &self.parameters {
            if let Some((found, expected)) = values.mistake(self.draws.is_some()) {
                return Err(ConfigError::value(format!("parameters.{key:?}"), found, expected));
            }
        }
        let sizes = self.parameters.values().map(Values::len);
        let grid = sizes.fold(1_usize, |product, size| product.saturating_mul(size));
        let trials = self.draws.unwrap_or(grid);
        if !(1..=MOST_TRIALS).contains(&trials) {
            let key = if self.draws.is_some() { "draws" } else { "trials of the grid" };
            return Err(ConfigError::value(key, trials, format!("at least 1 and at most {MOST_TRIALS}")));
        }
        Ok(())
    }

    /// The values of every trial: of a grid with those of the last key changing fastest, of a random search as drawn.
    ///
    /// # Errors
    /// If the description is not valid.
    pub fn trials(&self) -> Result<Vec<BTreeMap<String, Value>>, ConfigError> {
        self.check()?;
        Ok(match self.draws {
            Some(draws) => (0..draws as u64).map(|trial| self.draw(trial)).collect(),
            None => self.grid(),
        })
    }

    /// Trial i does not depend on how many there are.
    fn draw(&self, trial: u64) -> BTreeMap<String, Value> {
        let mut rng = random::stream(self.seed, "sweep", trial);
        self.parameters.iter().map(|(key, values)| (key.clone(), values.draw(&mut rng))).collect()
    }

    fn grid(&self) -> Vec<BTreeMap<String, Value>> {
        self.parameters.iter().fold(vec![BTreeMap::new()], |trials, (key, values)| {
            let Values::Values(list) = values else { unreachable!("a grid was checked to have lists") };
            let with = |trial: &BTreeMap<String, Value>, value: &Value| {
                let mut trial = trial.clone();
                trial.insert(key.clone(), value.clone());
                trial
            };
            trials.iter().flat_map(|trial| list.iter().map(move |value| with(trial, value))).collect()
        })
    }
}

impl Values {
    /// What is wrong, and what is allowed.
    fn mistake(&self, random: bool) -> Option<(String, &'static str)> {
        let ordered = |low: f64, high: f64| low < high && (high - low).is_finite();
        match self {
            Self::Values(list) if list.is_empty() => Some(("[]".into(), "a list of at least one value")),
            Self::Values(_) => None,
            other if !random => {
                Some((format!("{other:?}"), "{ values = [ … ] } unless `draws` asks for a random search"))
            }
            Self::Uniform([low, high]) if !ordered(*low, *high) => {
                Some((format!("[{low}, {high}]"), "two finite numbers in ascending order"))
            }
            Self::LogUniform([low, high]) if !(*low > 0.0 && ordered(*low, *high)) => {
                Some((format!("[{low}, {high}]"), "two positive numbers in ascending order"))
            }
            Self::Integers([low, high]) if low > high => {
                Some((format!("[{low}, {high}]"), "two whole numbers in ascending order"))
            }
            _ => None,
        }
    }

    /// Number of values in a grid.
    fn len(&self) -> usize {
        if let Self::Values(list) = self { list.len() } else { 1 }
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Value {
        match self {
            Self::Values(list) => list.choose(rng).expect("checked not to be empty").clone(),
            Self::Uniform([low, high]) => Value::Float(rng.gen_range(*low..*high)),
            Self::LogUniform([low, high]) => Value::Float(rng.gen_range(low.ln()..high.ln()).exp()),
            Self::Integers([low, high]) => Value::Integer(rng.gen_range(*low..=*high)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(text: &str) -> Result<Vec<BTreeMap<String, Value>>, String> {
        let config: SweepConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.trials().map_err(|error| error.to_string())
    }

    #[test]
    fn a_grid_has_every_combination_once_in_order() {
        let grid = sweep(
            "base = 'b'\n[parameters]\n'a.x' = { values = [1, 2] }\n'a.y' = { values = ['p', 'q', 'r'] }",
        );
        let grid = grid.unwrap();
        let text = |i: usize| (grid[i]["a.x"].to_string(), grid[i]["a.y"].to_string());
        assert_eq!(grid.len(), 6);
        assert_eq!(
            [text(0), text(1), text(5)],
            [("1", "\"p\""), ("1", "\"q\""), ("2", "\"r\"")].map(|(x, y)| (x.into(), y.into()))
        );
    }

    #[test]
    fn draws_lie_in_their_ranges_and_do_not_depend_on_their_number() {
        let text = |draws: usize| {
            format!(
                "base = 'b'\ndraws = {draws}\n[parameters]\na = {{ log_uniform = [1e-4, 1e-2] }}\n\
                 b = {{ integers = [2, 4] }}\nc = {{ uniform = [-1, 1] }}\nd = {{ values = [true] }}"
            )
        };
        let many = sweep(&text(2000)).unwrap();
        assert_eq!(many[..5], sweep(&text(5)).unwrap()[..]);
        let column = |key: &str| many.iter().map(|trial| trial[key].clone()).collect::<Vec<_>>();
        let logs: Vec<f64> = column("a").iter().map(|value| value.as_float().unwrap().log10()).collect();
        assert!(logs.iter().all(|log| (-4.0..-2.0).contains(log)));
        // Half of the draws are below the middle of the logarithms, within five standard errors.
        let below = logs.iter().filter(|log| **log < -3.0).count() as f64 / 2000.0;
        assert!((below - 0.5).abs() < 5.0 * 0.5 / 2000_f64.sqrt(), "{below}");
        let mut integers: Vec<i64> = column("b").iter().map(|value| value.as_integer().unwrap()).collect();
        integers.sort_unstable();
        integers.dedup();
        assert_eq!(integers, [2, 3, 4]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("base = 'b'\n[parameters]", "at least one key"),
            ("base = 'b'\n[parameters]\na = { values = [] }", "at least one value"),
            ("base = 'b'\n[parameters]\na = { uniform = [0, 1] }", "unless `draws`"),
            ("base = 'b'\ndraws = 0\n[parameters]\na = { uniform = [0, 1] }", "draws = 0"),
            ("base = 'b'\ndraws = 2\n[parameters]\na = { uniform = [1, 0] }", "ascending"),
            ("base = 'b'\ndraws = 2\n[parameters]\na = { log_uniform = [0, 1] }", "positive"),
            ("base = 'b'\ndraws = 2\n[parameters]\na = { normal = [0, 1] }", "unknown variant"),
            ("base = 'b'\nsteps = 2\n[parameters]\na = { values = [0] }", "unknown field"),
        ] {
            let message = sweep(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
