//! Input that cannot be used: one clear error, exit code 2, and nothing written.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, ListArray, StringArray};
use arrow::datatypes::Float32Type;

use crate::program::{refuse, text};
use crate::toy::{GEOMETRY, Showers, Toy, UNITS, shower_config, write, write_as};

/// A toy whose run must be refused with a message that holds all of `expected`.
#[track_caller]
fn refuse_run(toy: &Toy, expected: &[&str]) -> String {
    // The run directory would lie in a folder that does not exist either.
    let out = toy.path("runs/toy");
    refuse(toy.folder(), &["run", &toy.config(), "--out", &out], expected)
}

/// A toy with a changed configuration.
fn with_config(old: &str, new: &str) -> Toy {
    let toy = Toy::showers();
    let config = shower_config(&toy.data());
    assert!(config.contains(old));
    toy.configure(&config.replace(old, new));
    toy
}

/// A toy with changed showers.
fn with_showers(change: impl FnOnce(&mut Showers)) -> Toy {
    let toy = Toy::showers();
    let mut showers = Showers::new(600, 1);
    change(&mut showers);
    showers.write(&toy.data());
    toy
}

/// A toy with other voxels.
fn with_voxels(voxels: ArrayRef) -> Toy {
    let toy = Toy::showers();
    write(&toy.data(), vec![Showers::new(voxels.len(), 1).energy_column(), ("voxels", voxels)]);
    toy
}

#[test]
fn a_misspelt_column_is_answered_with_the_nearest() {
    let toy = with_config("incident_energy", "incident_enrgy");
    refuse_run(
        &toy,
        &["`incident_enrgy` does not exist in", "events.parquet; did you mean `incident_energy`?"],
    );
    let toy = with_config("voxels = [", "voxel = [");
    refuse_run(&toy, &["`preprocessing.voxel`", "did you mean `voxels`?"]);
}

#[test]
fn a_missing_column_is_answered_with_those_there_are() {
    let toy = with_config("target = [\"voxels\"]", "target = [\"hits\", \"voxels\"]");
    refuse_run(&toy, &["`hits` does not exist", "the columns are event_id, incident_energy, voxels"]);
}

#[test]
fn a_column_missing_in_the_test_files_is_found_before_training() {
    let toy = Toy::showers();
    let other = toy.path("test.parquet");
    write(Path::new(&other), vec![Showers::new(50, 2).energy_column()]);
    let config = shower_config(&toy.data());
    toy.configure(&config.replace("condition =", &format!("test_files = [\"{other}\"]\ncondition =")));
    refuse_run(&toy, &["`voxels` does not exist in", "test.parquet"]);
}

#[test]
fn test_files_of_other_units_or_another_calorimeter_are_refused() {
    let toy = Toy::showers();
    let other = toy.path("test.parquet");
    let config = shower_config(&toy.data());
    toy.configure(&config.replace("condition =", &format!("test_files = [\"{other}\"]\ncondition =")));
    let showers = Showers::new(50, 2);
    let columns = || vec![showers.energy_column(), showers.voxel_column()];
    let in_gev = UNITS.replace(r#""incident_energy":"MeV""#, r#""incident_energy":"GeV""#);
    write_as(Path::new(&other), columns(), [GEOMETRY, &in_gev]);
    refuse_run(&toy, &["events.parquet is in MeV, `incident_energy` of", "test.parquet in GeV: convert one"]);
    let narrower = GEOMETRY.replacen("[0", "[0.5", 1);
    assert_ne!(narrower, GEOMETRY);
    write_as(Path::new(&other), columns(), [&narrower, UNITS]);
    refuse_run(&toy, &["events.parquet and", "test.parquet are of different calorimeters"]);
}

#[test]
fn text_is_no_number() {
    let toy = with_voxels(Arc::new(StringArray::from_iter_values((0..600).map(|i| i.to_string()))));
    refuse_run(&toy, &["column `voxels` has type Utf8, but numbers are needed"]);
}

#[test]
fn a_ragged_list_is_no_vector() {
    let rows = (0..600).map(|i| Some(vec![Some(1.0); if i == 41 { 7 } else { 8 }]));
    let toy = with_voxels(Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows)));
    refuse_run(
        &toy,
        &["`voxels` is ragged: row 41", "events.parquet", "has 7 elements where 8 are expected"],
    );
}

#[test]
fn voxels_of_another_calorimeter_do_not_fit_the_geometry() {
    let rows = (0..600).map(|_| Some(vec![Some(1.0); 9]));
    let voxels = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, 9);
    refuse_run(&with_voxels(Arc::new(voxels)), &["`preprocessing.voxels`", "has 9 values", "has 8 voxels"]);
}

/// Standardised numbers are no probabilities.
#[test]
fn bernoulli_targets_lie_between_0_and_1() {
    let toy = Toy::showers();
    toy.configure(&format!(
        "[data]\nfiles = [\"{}\"]\ntarget = [\"voxels\"]\n\n[model]\nkind = \"vae\"\nlikelihood = \"bernoulli\"\n",
        toy.data().display()
    ));
    refuse_run(
        &toy,
        &["`model.likelihood` = \"bernoulli\"", "between 0 and 1", "`binarise`", "\"gaussian\""],
    );
}

#[test]
fn impossible_values_are_named_with_their_row() {
    let toy = with_showers(|showers| showers.voxels[17][3] = f32::NAN);
    refuse_run(&toy, &["`voxels` is NaN in row 17", "events.parquet", "`data.select`"]);
    let toy = with_showers(|showers| showers.energy[599] = f32::INFINITY);
    refuse_run(&toy, &["`incident_energy` is inf in row 599", "events.parquet"]);
    // Rows of every split, whether or not the preprocessing is fitted on them.
    for row in [0, 1, 2, 3, 4, 5, 6, 7] {
        let toy = with_showers(|showers| showers.voxels[row][3] = -2.5);
        let row = format!("`voxels`[3], row {row}: energy -2.5 MeV is negative");
        refuse_run(&toy, &["events.parquet", &row, "`data.select`"]);
    }
    let toy = with_showers(|showers| showers.energy[5] = -1000.0);
    refuse_run(&toy, &["`incident_energy`, row 5: -1000 has no logarithm"]);
}

#[test]
fn a_selection_that_keeps_nothing_is_told_with_the_counts() {
    let toy = with_config("condition =", "select = \"incident_energy > 1000000\"\ncondition =");
    refuse_run(&toy, &["none of the 600 events passes select = \"incident_energy > 1000000\""]);
    let toy = with_config("condition =", "select = \"incident_enrgy > 1\"\ncondition =");
    refuse_run(&toy, &["select = \"incident_enrgy > 1\"", "did you mean `incident_energy`?"]);
    let toy = with_config("test = 0.4", "test = 0.0");
    let toy_config = std::fs::read_to_string(toy.config()).unwrap().replace("train = 0.5", "train = 0.9");
    toy.configure(&toy_config);
    refuse_run(&toy, &["no events for test", "0 test"]);
}

#[test]
fn broken_and_empty_files_are_told_apart() {
    let toy = Toy::showers();
    let whole = std::fs::read(toy.data()).unwrap();
    let name = "events.parquet";
    std::fs::write(toy.data(), b"").unwrap();
    refuse_run(&toy, &[name, "is not a Parquet file: it is empty (0 bytes)"]);
    std::fs::write(toy.data(), b"energy,voxels\n1000,12\n").unwrap();
    refuse_run(&toy, &[name, "is not a Parquet file", "does not begin with the bytes PAR1"]);
    std::fs::write(toy.data(), &whole[..whole.len() / 2]).unwrap();
    refuse_run(&toy, &[name, "it was cut short"]);
    let mut damaged = whole.clone();
    let middle = whole.len() / 2;
    damaged[middle - 200..middle + 200].fill(0xa5);
    std::fs::write(toy.data(), damaged).unwrap();
    refuse_run(&toy, &[name, "damaged"]);
    write(&toy.data(), vec![Showers::new(0, 1).energy_column(), Showers::new(0, 1).voxel_column()]);
    refuse_run(&toy, &[name, "has no events (0 rows)"]);
    std::fs::remove_file(toy.data()).unwrap();
    refuse_run(&toy, &["no file matches", name]);
}

#[test]
fn broken_files_of_another_experiment_are_refused() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/nanoaod");
    for (file, expected) in
        [("nano_dy_malformed.parquet", "nano_dy_malformed.parquet"), ("nano_dy_empty.parquet", "(0 rows)")]
    {
        let path = shared.join(file);
        if !path.exists() {
            println!("SKIPPED: {file}: there is no ../shared/data/nanoaod");
            continue;
        }
        let toy = Toy::showers();
        let config = shower_config(&path).replace("incident_energy", "MET_pt");
        toy.configure(&config.replace("voxels", "MET_phi").replace("{ kind = \"layer_energies\"", "# {"));
        refuse_run(&toy, &[expected]);
    }
}

#[test]
fn an_unknown_key_of_the_configuration_is_named() {
    let toy = with_config("epochs = 2", "epoch = 2");
    refuse_run(&toy, &["toy.toml", "unknown field `epoch`", "`epochs`"]);
    let toy = Toy::showers();
    let arguments = ["run", &toy.config(), "--out", &toy.path("run"), "--set"].map(str::to_owned);
    let with = |set: &str| arguments.iter().cloned().chain([set.to_owned()]).collect::<Vec<_>>();
    refuse(toy.folder(), &with("trainig.epochs=2"), &["toy.toml", "unknown field `trainig`"]);
    refuse(toy.folder(), &with("training.epochs"), &["--set `training.epochs`", "key=value"]);
    refuse(toy.folder(), &with("training.epochs=0"), &["`training.epochs = 0`", "at least 1"]);
    refuse(toy.folder(), &with("model.kind=\"glow\""), &["toy.toml", "unknown variant `glow`"]);
    refuse(toy.folder(), &["run", &toy.path("none.toml")], &["cannot read configuration", "none.toml"]);
}

#[test]
fn a_run_directory_that_cannot_be_made_is_named() {
    let toy = Toy::showers();
    let out = text(toy.data().join("run"));
    refuse(toy.folder(), &["run", &toy.config(), "--out", &out], &["cannot create", &out]);
    refuse(toy.folder(), &["run", &toy.config(), "--out", &text(toy.data())], &["events.parquet exists"]);
}

#[test]
fn what_would_fail_in_the_comparison_fails_before_training() {
    let gate =
        |metric: &str| format!("gates = [{{ metric = \"{metric}\", max = 0.5 }}]\nc2st = {{ seeds = 1 }}");
    let toy = with_config("c2st = { seeds = 1 }", &gate("c2st.voxel.auc"));
    let message = refuse_run(&toy, &["gate `c2st.voxel.auc`: there is no such figure", "c2st.voxels.auc"]);
    assert!(!message.contains("train"), "{message}");
    let toy = with_config("c2st = { seeds = 1 }", "gates = [{ metric = \"c2st.voxels.auc\" }]");
    refuse_run(&toy, &["gate `c2st.voxels.auc` has no finite limit"]);
    let toy = with_config("c2st = { seeds = 1 }", "thresholds = \"no/such/file.toml\"");
    refuse_run(&toy, &["no/such/file.toml"]);
    let toy = with_config("c2st = { seeds = 1 }", "columns = [\"hits\"]");
    refuse_run(
        &toy,
        &["`validation.columns = hits`", "a condition or target of the run (incident_energy, voxels)"],
    );
    let toy = with_config("c2st = { seeds = 1 }", "weight = \"event_id\"");
    refuse_run(&toy, &["`validation.weight = event_id`", "`data.weight`"]);
    let toy = with_config(
        "train = 0.5, validation = 0.1, test = 0.4",
        "train = 0.9, validation = 0.09, test = 0.01",
    );
    refuse_run(&toy, &["the test split has", "events, a comparison needs 40 or more"]);
}
