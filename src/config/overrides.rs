//! `--set key=value`: changes single values of a configuration.

use toml::{Table, Value};

use super::ConfigError;

/// Sets one `dotted.key=value`. The value is TOML; what is not TOML is taken as a string.
pub(super) fn apply(table: &mut Table, entry: &str) -> Result<(), ConfigError> {
    let error = || ConfigError::Override(entry.to_string());
    let (key, value) = entry.split_once('=').ok_or_else(error)?;
    let keys: Vec<&str> = key.trim().split('.').collect();
    let (last, parents) =
        keys.split_last().filter(|_| keys.iter().all(|k| !k.is_empty())).ok_or_else(error)?;
    let mut table = table;
    for parent in parents {
        let entry = table.entry(*parent).or_insert_with(|| Value::Table(Table::new()));
        table = entry.as_table_mut().ok_or_else(error)?;
    }
    table.insert((*last).to_string(), parse(value.trim()));
    Ok(())
}

fn parse(value: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_toml_or_strings() {
        let mut table: Table = toml::from_str("[training]\nepochs = 3").unwrap();
        for entry in ["training.epochs=5", "seed = 7", "model.kind=flow", "data.files=[\"a\", \"b\"]"] {
            apply(&mut table, entry).unwrap();
        }
        let expected =
            "seed = 7\ntraining = {epochs = 5}\nmodel = {kind = \"flow\"}\ndata = {files = [\"a\", \"b\"]}";
        assert_eq!(table, toml::from_str(expected).unwrap());
    }

    #[test]
    fn malformed_entries_are_refused() {
        for entry in ["training.epochs", "=3", "a..b=1"] {
            assert!(apply(&mut Table::new(), entry).is_err(), "{entry}");
        }
    }
}
