//! Configurations, their schema, and the help of the program.

use std::path::{Path, PathBuf};

use crate::program::{command, simile, succeed, text};
use crate::toy::trained_showers;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn committed_configurations() -> Vec<PathBuf> {
    let folders = ["configs", "configs/toys", "configs/mnist"].map(|folder| Path::new(ROOT).join(folder));
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut configurations: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    configurations.sort();
    configurations
}

#[test]
fn the_committed_schema_is_that_of_the_program() {
    let printed = succeed(&["config", "schema"]).stdout;
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    for table in ["data", "preprocessing", "model", "training", "sampling", "validation"] {
        assert!(schema["properties"][table].is_object(), "the schema has no `{table}`");
    }
    assert!(
        std::fs::read_to_string(Path::new(ROOT).join("configs/schema.json")).unwrap() == printed,
        "configs/schema.json is out of date: cargo run --release -- config schema > configs/schema.json"
    );
}

#[test]
fn committed_configurations_are_valid_and_complete_when_printed() {
    let configurations = committed_configurations();
    for name in ["quickstart.toml", "toys/ring.toml", "mnist/vae.toml"] {
        assert!(configurations.iter().any(|path| path.ends_with(name)), "{name}");
    }
    for path in configurations {
        let check = command(&["config", "check", &text(&path)]).current_dir(ROOT).output().unwrap();
        let message = String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success(), "{}: {message}", path.display());
        // What is printed is a configuration again, and its own complete form.
        let folder = tempfile::tempdir().unwrap();
        let printed = folder.path().join("printed.toml");
        std::fs::write(&printed, &check.stdout).unwrap();
        assert_eq!(succeed(&["config", "check", &text(printed)]).stdout.as_bytes(), check.stdout);
    }
}

#[test]
fn the_data_of_the_quick_start_are_in_the_repository() {
    let quickstart: toml::Table =
        toml::from_str(&std::fs::read_to_string(Path::new(ROOT).join("configs/quickstart.toml")).unwrap())
            .unwrap();
    for key in ["files", "test_files"] {
        for file in quickstart["data"][key].as_array().unwrap() {
            assert!(Path::new(ROOT).join(file.as_str().unwrap()).exists(), "{file} is missing");
        }
    }
}

#[test]
fn every_command_shows_an_example() {
    let help = succeed(&["--help"]).stdout;
    assert!(help.contains("simile run configs/quickstart.toml") && help.contains("Exit codes"));
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    // Descriptions continue on lines that are indented further.
    let commands = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let commands: Vec<&str> =
        commands.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(commands.len() >= 12, "{commands:?}");
    for name in commands {
        let help = succeed(&[name, "--help"]).stdout;
        let examples = help.split("Example").nth(1).unwrap_or_default();
        assert!(examples.contains(&format!("simile {name} ")), "`simile {name} --help` has no example");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeed(&["completions", shell]).stdout;
        for word in ["sample", "validate", "conditions"] {
            assert!(script.contains(word), "no `{word}` for {shell}");
        }
    }
    assert_eq!(simile(&["completions", "tcsh"]).code, Some(2));
}

#[test]
fn inspect_describes_files_and_models() {
    let toy = trained_showers();
    let file = succeed(&["inspect", &text(toy.data())]).stdout;
    for part in ["600", "incident_energy", "voxels", "MeV"] {
        assert!(file.contains(part), "no {part} in {file}");
    }
    let model = succeed(&["inspect", &text(toy.model())]).stdout;
    for part in
        ["flow of", "incident_energy (MeV)", "voxels[8] (MeV)", "3 layers, 8 voxels", "2 epochs", "sha256"]
    {
        assert!(model.contains(part), "no {part} in {model}");
    }
    for path in [toy.data(), toy.model()] {
        let json = succeed(&["inspect", &text(path), "--json"]).stdout;
        assert!(serde_json::from_str::<serde_json::Value>(&json).unwrap().is_object());
    }
}

#[test]
fn bench_measures_every_batch_size() {
    let toy = trained_showers();
    let arguments = [
        "bench",
        &text(toy.model()),
        "--conditions",
        &text(toy.data()),
        "--batch",
        "1,64",
        "--seconds",
        "0.05",
    ];
    let table = succeed(&arguments).stdout;
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), ["1", "64"]);
    assert!(rows.iter().all(|row| row[1].parse::<f64>().unwrap() > 0.0), "{table}");
}

/// `simile config schema | head -1` ends as other programs do, by the signal, and without a word.
#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    use std::os::unix::process::ExitStatusExt;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command(&["config", "schema"]).stdout(writer).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.signal(), Some(13));
}
