//! `simile import`: files of h5py, and files that are no showers.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use arrow::array::AsArray;
use arrow::datatypes::Float32Type;
use hdf5::File;
use simile_data::{Dataset, GEOMETRY_KEY, UNITS_KEY};
use simile_physics::Geometry;
use tempfile::TempDir;

use crate::program::{command, read, refuse, succeed, text};

/// The binning of `tests/fixtures/calo_challenge/*.hdf5` with its particle, and the number of its voxels.
const BINNING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/physics/golden/binning.xml");
const VOXELS: usize = 29;

/// A file that h5py wrote; `make.py` beside it says how.
fn fixture(name: &str) -> String {
    text(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/calo_challenge").join(name))
}

fn arguments<'a>(input: &'a str, out: &'a str) -> Vec<&'a str> {
    vec!["import", input, "--binning", BINNING, "--particle", "photon", "-o", out]
}

#[test]
fn files_of_h5py_become_parquet() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["gzip.hdf5", "plain.hdf5"] {
        let out = text(folder.path().join(name).with_extension("parquet"));
        let printed = succeed(&arguments(&fixture(name), &out)).stdout;
        assert!(printed.contains("40 events"), "{printed}");
        let batch = read(&[&out]);
        assert_eq!(batch.num_columns(), 2);
        let incident = batch["incident_energy"].as_primitive::<Float32Type>().values();
        let voxels = batch["voxels"].as_fixed_size_list();
        assert_eq!((batch.num_rows(), voxels.value_length()), (40, VOXELS as i32));
        let voxels = voxels.values().as_primitive::<Float32Type>().values();
        for event in 0..40 {
            assert_eq!(incident[event], 256.0 * f32::powi(2.0, event as i32 % 15));
            for voxel in 0..VOXELS {
                let empty = (event + voxel) % 3 == 0;
                let expected = if empty { 0.0 } else { (event + 1) as f32 * voxel as f32 / 8.0 };
                assert_eq!(voxels[event * VOXELS + voxel], expected, "{name}, event {event}, voxel {voxel}");
            }
        }
        let metadata = Dataset::open(&[&out]).unwrap().schema().metadata().clone();
        let xml = std::fs::read_to_string(BINNING).unwrap();
        let geometry = Geometry::from_binning_xml(&xml, Some("photon")).unwrap();
        assert_eq!(Geometry::from_json(&metadata[GEOMETRY_KEY]).unwrap(), geometry);
        let json = |key: &str| serde_json::from_str::<serde_json::Value>(&metadata[key]).unwrap();
        assert_eq!(json(UNITS_KEY), serde_json::json!({"incident_energy": "MeV", "voxels": "MeV"}));
        assert_eq!(
            (&json("generator")["imported"], &json("generator")["particle"]),
            (&name.into(), &"photon".into())
        );
    }
}

#[test]
fn an_existing_file_is_kept_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (fixture("gzip.hdf5"), text(folder.path().join("out.parquet")));
    std::fs::write(&out, "in the way").unwrap();
    refuse(folder.path(), &arguments(&input, &out), &["exists", "--overwrite"]);
    succeed(&[&arguments(&input, &out)[..], &["--overwrite"]].concat());
    assert_eq!(read(&[&out]).num_rows(), 40);
    let nowhere = text(folder.path().join("none/out.parquet"));
    refuse(folder.path(), &arguments(&input, &nowhere), &["cannot create", "none/out.parquet"]);
}

/// A program that another test starts meanwhile inherits an open file and holds its lock for as long as it runs. A copy
/// of the file has none.
fn unlock(file: &Path) {
    if let Ok(bytes) = std::fs::read(file) {
        std::fs::remove_file(file).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

/// A folder with an HDF5 file of our making.
struct Made {
    folder: TempDir,
}

impl Made {
    /// Datasets with their shapes and numbers.
    fn new(datasets: &[(&str, &[usize], &[f64])]) -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        let file = File::create(made.input()).unwrap();
        for (name, shape, values) in datasets {
            let dataset = file.new_dataset::<f64>().shape(shape.to_vec()).create(*name).unwrap();
            dataset.write_raw(values).unwrap();
        }
        drop(file);
        unlock(&made.input());
        made
    }

    /// Showers of three events in which one energy is `value`: that of voxel `at` of the last event, or its incident
    /// energy.
    fn spoilt(at: Option<usize>, value: f64) -> Self {
        let (mut incident, mut showers) = ([1e3; 3], [1.0; 3 * VOXELS]);
        match at {
            Some(voxel) => showers[2 * VOXELS + voxel] = value,
            None => incident[2] = value,
        }
        Self::new(&[("incident_energies", &[3, 1], &incident), ("showers", &[3, VOXELS], &showers)])
    }

    fn input(&self) -> PathBuf {
        self.folder.path().join("made.hdf5")
    }

    #[track_caller]
    fn refuse(&self, expected: &[&str]) {
        unlock(&self.input());
        let (input, out) = (text(self.input()), text(self.folder.path().join("out.parquet")));
        let message = refuse(self.folder.path(), &arguments(&input, &out), expected);
        assert!(message.contains("made.hdf5"), "{message}");
    }
}

#[test]
fn files_without_showers_are_refused() {
    let (one, voxels) = (("incident_energies", &[1, 1][..], &[1e3][..]), [1.0; VOXELS]);
    Made::new(&[]).refuse(&["no dataset `incident_energies`, only nothing"]);
    Made::new(&[one]).refuse(&["no dataset `showers`, only `incident_energies`"]);
    let misspelt = Made::new(&[one, ("shower", &[1, VOXELS], &voxels)]);
    misspelt.refuse(&["no dataset `showers`, only `incident_energies`, `shower`"]);
    let group = Made::new(&[one]);
    File::append(group.input()).unwrap().create_group("showers").unwrap();
    group.refuse(&["no dataset `showers`"]);

    let made = Made::new(&[]);
    std::fs::write(made.input(), "incident_energies, showers").unwrap();
    made.refuse(&["cannot be opened as an HDF5 file"]);
    std::fs::remove_file(made.input()).unwrap();
    made.refuse(&["cannot be opened as an HDF5 file", "No such file"]);
    let whole = std::fs::read(fixture("plain.hdf5")).unwrap();
    for part in [whole.len() / 2, whole.len() - 1, 600, 0] {
        std::fs::write(made.input(), &whole[..part]).unwrap();
        made.refuse(&["cannot be opened as an HDF5 file"]);
    }
}

#[test]
fn other_shapes_than_those_of_the_binning_are_refused() {
    let energies = ("incident_energies", &[2, 1][..], &[1e3, 2e3][..]);
    let showers = |shape: &[usize]| {
        let numbers = vec![1.0; shape.iter().product()];
        Made::new(&[energies, ("showers", shape, &numbers)])
    };
    showers(&[2, VOXELS + 1]).refuse(&["`showers`", "[2, 30]", "the 29 voxels of the binning"]);
    showers(&[2, 1, VOXELS]).refuse(&["`showers`", "[2, 1, 29]"]);
    showers(&[2 * VOXELS]).refuse(&["`showers`", "[58]"]);
    showers(&[0, VOXELS]).refuse(&["`showers`", "[0, 29]", "one row per event"]);
    showers(&[3, VOXELS]).refuse(&["`incident_energies`", "[2, 1]", "3 rows as `showers` has"]);
    let numbers = [1.0; 2 * VOXELS];
    let made = Made::new(&[("incident_energies", &[1, 2], &[1e3; 2]), ("showers", &[2, VOXELS], &numbers)]);
    made.refuse(&["`incident_energies`", "[1, 2]", "one energy in each"]);
}

#[test]
fn energies_that_are_none_are_refused() {
    Made::spoilt(Some(28), f64::NAN).refuse(&["event 2 of `showers`", "NaN in voxel 28", "0 or more"]);
    Made::spoilt(Some(0), -1e-3).refuse(&["event 2 of `showers`", "-0.001 in voxel 0"]);
    Made::spoilt(Some(7), 1e39).refuse(&["event 2 of `showers`", "inf in voxel 7"]);
    Made::spoilt(None, 0.0).refuse(&[
        "event 2 of `incident_energies`",
        "the value 0,",
        "a positive energy in MeV",
    ]);
    Made::spoilt(None, f64::NAN).refuse(&["event 2 of `incident_energies`", "NaN"]);
    let made = Made::new(&[("incident_energies", &[1, 1], &[1e3])]);
    let words = vec![hdf5::types::FixedAscii::<4>::from_ascii("many").unwrap(); VOXELS];
    let file = File::append(made.input()).unwrap();
    file.new_dataset::<hdf5::types::FixedAscii<4>>()
        .shape([1, VOXELS])
        .create("showers")
        .unwrap()
        .write_raw(&words)
        .unwrap();
    drop(file);
    made.refuse(&["events 0 to 1 of `showers`", "cannot be read"]);
}

#[test]
fn binnings_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (fixture("gzip.hdf5"), text(folder.path().join("out.parquet")));
    let with = |binning: &str, more: &[&str], expected: &[&str]| {
        let arguments = [&["import", &input, "--binning", binning, "-o", &out], more].concat();
        refuse(folder.path(), &arguments, expected);
    };
    with(BINNING, &[], &["binning.xml", "for several particles", "photon (pid 22), pion (pid 211)"]);
    with(BINNING, &["--particle", "electron"], &["has 0 particles `electron`", "photon (pid 22)"]);
    with(BINNING, &["--particle", "pion"], &["gzip.hdf5", "[40, 29]", "the 4 voxels of the binning"]);
    with(&text(folder.path().join("none.xml")), &[], &["cannot read", "none.xml"]);
    with(&input, &[], &["cannot read", "gzip.hdf5", "UTF-8"]);
}

#[test]
fn large_files_need_no_more_memory_than_small_ones() {
    // The segmentation of data set 2: 1,294 events fit into a block.
    const LAYERS: usize = 45;
    const VOXELS: usize = LAYERS * 9 * 16;
    let folder = tempfile::tempdir().unwrap();
    let layer = |id| format!("<Layer id=\"{id}\" r_edges=\"0,1,2,3,4,5,6,7,8,9\" n_bin_alpha=\"16\"/>");
    let layers: String = (0..LAYERS).map(layer).collect();
    let binning = text(folder.path().join("binning.xml"));
    std::fs::write(&binning, format!("<Bins><Bin name=\"electron\">{layers}</Bin></Bins>")).unwrap();
    let import = |events: usize| {
        let [input, out] = ["hdf5", "parquet"].map(|end| text(folder.path().join(format!("{events}.{end}"))));
        let file = File::create(&input).unwrap();
        let showers =
            file.new_dataset::<f32>().shape([events, VOXELS]).chunk([100, 720]).create("showers").unwrap();
        let energy = |event: usize| 1e3 + event as f32;
        for begin in (0..events).step_by(100) {
            // One voxel per event, another in each.
            let mut rows = ndarray::Array2::<f32>::zeros((100, VOXELS));
            (0..100).for_each(|row| rows[[row, (begin + row) % VOXELS]] = 1.0);
            showers.write_slice(&rows, (begin..begin + 100, ..)).unwrap();
        }
        let incident = file.new_dataset::<f32>().shape([events, 1]).create("incident_energies").unwrap();
        incident.write_raw(&(0..events).map(energy).collect::<Vec<_>>()).unwrap();
        drop((file, showers, incident));
        unlock(Path::new(&input));
        let arguments = ["import", &input, "--binning", &binning, "-o", &out, "--quiet"];
        let peak = crate::memory::peak(command(&arguments).stdout(Stdio::null()).spawn().unwrap());
        let batch = read(&[&out]);
        assert_eq!(batch.num_rows(), events);
        let incident = batch["incident_energy"].as_primitive::<Float32Type>().values();
        assert!(incident.iter().enumerate().all(|(event, found)| *found == energy(event)));
        let voxels = batch["voxels"].as_fixed_size_list().values().as_primitive::<Float32Type>().values();
        let filled = voxels.iter().enumerate().filter(|(_, voxel)| **voxel != 0.0).map(|(index, _)| index);
        assert!(filled.eq((0..events).map(|event| event * VOXELS + event % VOXELS)));
        peak
    };
    let (fewer, more) = (import(1_400), import(4_000));
    // The additional showers alone are 67 MB.
    assert!(fewer > 1000 && more < fewer + 30_000, "{fewer} kB for 1,400 events, {more} kB for 4,000");
}

#[test]
fn imported_showers_can_be_validated_without_depths() {
    let made = {
        let events = 400;
        let incident: Vec<f64> = (0..events).map(|event| 1e3 + event as f64).collect();
        let voxel = |index: usize| ((index * 2_654_435_761) % 1000) as f64;
        let showers: Vec<f64> = (0..events * VOXELS).map(voxel).collect();
        Made::new(&[("incident_energies", &[events, 1], &incident), ("showers", &[events, VOXELS], &showers)])
    };
    let path = |name: &str| text(made.folder.path().join(name));
    succeed(&arguments(&text(made.input()), &path("out.parquet")));
    let quick = "c2st = { seeds = 1 }\nclassifier = { width = 16, hidden = 1, epochs = 2 }\n";
    std::fs::write(path("quick.toml"), quick).unwrap();
    let (events, quick, out) = (path("out.parquet"), path("quick.toml"), path("check"));
    let files = ["validate", "--reference", &events, "--candidate", &events, "--config", &quick, "-o", &out];
    succeed(&[&files[..], &["--incident", "incident_energy", "--voxels", "voxels"]].concat());
    let metrics = std::fs::read_to_string(path("check/metrics.json")).unwrap();
    assert!(metrics.contains("\"active_voxels_layer_3\"") && metrics.contains("\"alpha_begin\""));
    // No depth is made up, and no column says the same as another.
    assert!(!metrics.contains("depth") && !metrics.contains("\"x0\"") && !metrics.contains("sparsity"));
    assert!(!std::fs::read_to_string(path("check/report.html")).unwrap().contains("X₀"));
}
