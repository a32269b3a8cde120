//! `--set key=value`: changes single values of a configuration.

use toml::{Table, Value};

use super::ConfigError;

/// Sets one `dotted.key=value`; an entry of a list is named by its number, from 0. The value is TOML; what is not TOML
/// is taken as a string.
pub(super) fn apply(table: &mut Table, entry: &str) -> Result<(), ConfigError> {
    let error = || ConfigError::Override(entry.to_string());
    let (key, value) = entry.split_once('=').ok_or_else(error)?;
    let keys: Vec<&str> = key.trim().split('.').collect();
    let (first, rest) =
        keys.split_first().filter(|_| keys.iter().all(|k| !k.is_empty())).ok_or_else(error)?;
    let mut place = table.entry(*first).or_insert_with(|| Value::Table(Table::new()));
    for key in rest {
        place = match place {
            Value::Table(table) => table.entry(*key).or_insert_with(|| Value::Table(Table::new())),
            Value::Array(list) => key.parse().ok().and_then(|i: usize| list.get_mut(i)).ok_or_else(error)?,
            _ => return Err(error()),
        };
    }
    *place = parse(value.trim());
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
        let mut table: Table = toml::from_str("model = [{ latents = 1 }, { latents = 2 }]").unwrap();
        apply(&mut table, "model.1.latents=3").unwrap();
        assert_eq!(table, toml::from_str("model = [{ latents = 1 }, { latents = 3 }]").unwrap());
        assert!(apply(&mut table, "model.2.latents=3").is_err());
        assert!(apply(&mut table, "model.latents=3").is_err());
    }

    #[test]
    fn malformed_entries_are_refused() {
        for entry in ["training.epochs", "=3", "a..b=1"] {
            assert!(apply(&mut Table::new(), entry).is_err(), "{entry}");
        }
    }
}
