//! Nested events: `simile simulate diphotons`, `reconstruct`, `fill`, and a run with `[events]`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use simile_data::{Dataset, EventWriter, WriterOptions};
use simile_validation::Metrics;

use crate::program::{command, copy, read, refuse, succeed, text};

/// A finished run on photons and mesons of the built-in calorimeter.
struct Diphoton {
    folder: PathBuf,
}

impl Diphoton {
    fn path(&self, name: &str) -> String {
        text(self.folder.join(name))
    }

    fn model(&self) -> String {
        self.path("run/model")
    }

    fn mesons(&self) -> String {
        self.path("mesons.parquet")
    }
}

/// The shipped configuration with files, sizes and network of a test.
fn arguments(folder: &Path) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = |name: &str| text(folder.join(name));
    let sets = [
        format!("data.files=[\"{}\"]", file("gun.parquet")),
        format!("events.files=[\"{}\"]", file("mesons.parquet")),
        format!("validation.thresholds=\"{}\"", text(root.join("validation/thresholds/diphoton.toml"))),
        "model={kind=\"flow\",couplings=4,width=24,hidden=1,bins=8,tail_bound=6.0}".to_owned(),
        "training={epochs=12,batch_size=128,learning_rate=4e-3}".to_owned(),
        "events.oversample=2".to_owned(),
        "events.keep=[\"event_id\",\"weight\",\"meson_*\",\"photon_pt\",\"photon_eta\",\"photon_phi\",\"photon_energy\",\"photon_meson\"]"
            .to_owned(),
        "events.objects.columns={incident_energy=\"photon_energy\"}".to_owned(),
        "validation.c2st={seeds=1}".to_owned(),
        "validation.permutations=0".to_owned(),
        "validation.classifier={width=16,hidden=1,epochs=2}".to_owned(),
    ];
    let config = text(root.join("configs/diphoton.toml"));
    std::iter::once(config).chain(sets.into_iter().flat_map(|entry| ["--set".to_owned(), entry])).collect()
}

fn diphoton() -> &'static Diphoton {
    static RUN: OnceLock<Diphoton> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("diphoton");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let run = Diphoton { folder };
        succeed(&["simulate", "photons", "--events", "4000", "-o", &run.path("gun.parquet")]);
        succeed(&["simulate", "diphotons", "--events", "700", "--seed", "2", "-o", &run.mesons()]);
        let out = run.path("run");
        let fixed = arguments(&run.folder);
        let all: Vec<String> =
            ["run".to_owned()].into_iter().chain(fixed).chain(["--out".to_owned(), out]).collect();
        let ended = command(&all).output().unwrap();
        // A model this small need not pass the gates.
        assert!(matches!(ended.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&ended.stderr));
        run
    })
}

fn fill(events: &str, out: &str, more: &[&str]) -> Vec<String> {
    let model = diphoton().model();
    let fixed = ["fill", &model, "--events", events, "-o", out];
    fixed.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
}

/// Lists of a column.
fn lists<T: ArrowPrimitiveType>(batch: &RecordBatch, column: &str) -> Vec<Vec<T::Native>> {
    let list = batch[column].as_list::<i32>();
    list.iter()
        .map(|items| items.map_or(Vec::new(), |items| items.as_primitive::<T>().values().to_vec()))
        .collect()
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) -> String {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut writer = EventWriter::create(path, batch.schema(), &WriterOptions::default()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    text(path)
}

fn floats(rows: &[Option<&[f32]>]) -> ArrayRef {
    let rows = rows.iter().map(|row| row.map(|row| row.iter().copied().map(Some).collect::<Vec<_>>()));
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
}

/// Photons of the given energies.
fn photons(rows: &[Option<&[f32]>]) -> Vec<(&'static str, ArrayRef)> {
    let zeros: Vec<Option<Vec<f32>>> = rows.iter().map(|row| row.map(|row| vec![0.1; row.len()])).collect();
    let zeros: Vec<Option<&[f32]>> = zeros.iter().map(Option::as_deref).collect();
    vec![("photon_energy", floats(rows)), ("photon_eta", floats(&zeros)), ("photon_phi", floats(&zeros))]
}

#[test]
fn a_run_fills_events_and_compares_mass_peaks() {
    let run = diphoton();
    let metrics = Metrics::read(&run.folder.join("run/validation/metrics.json")).unwrap();
    let events = metrics.events.expect("nested events are compared");
    assert_eq!(events.masses.iter().map(|mass| mass.pdg).collect::<Vec<_>>(), [111, 221]);
    for mass in &events.masses {
        assert!((mass.reference.mean_mev / mass.true_mass_mev - 1.0).abs() < 0.05, "{mass:?}");
        // Little was learnt from 4,000 photons: a peak where it belongs, about as wide.
        assert!(
            mass.position_deviation.value.abs() < 0.04 && mass.width_deviation.value.abs() < 0.5,
            "{mass:?}"
        );
    }
    let [reference, filled] = events.counts;
    assert_eq!((reference.events, filled.events), (700, 1400));
    assert_eq!(filled.generated, 2 * reference.generated);
    let lost = |counts: simile_validation::events::ObjectCounts| {
        1.0 - counts.reconstructed as f64 / counts.generated as f64
    };
    assert!(
        lost(reference) > 0.005 && (lost(filled) / lost(reference) - 1.0).abs() < 0.6,
        "{:?}",
        events.counts
    );
    assert!(events.efficiency.len() > 5 && events.efficiency.last().unwrap().reference.value > 0.99);
    assert!(metrics.response.is_some() && events.objects.len() == 7 * 3);
    for figure in ["mass_111", "mass_221", "efficiency", "resolution"] {
        assert!(run.folder.join(format!("run/validation/plots/{figure}.svg")).exists(), "{figure}");
    }
    let report = std::fs::read_to_string(run.folder.join("run/report.html")).unwrap();
    assert!(report.contains("Mass peaks") && report.contains("Invariant mass of η"));
}

#[test]
fn order_multiplicity_columns_and_metadata_stay() {
    let run = diphoton();
    let folder = tempfile::tempdir().unwrap();
    let out = text(folder.path().join("filled.parquet"));
    let printed = succeed(&fill(&run.mesons(), &out, &["--oversample", "1"])).stdout;
    assert!(printed.contains("700 events"), "{printed}");
    let (before, after) = (read(&[run.mesons()]), read(&[&out]));
    for column in ["event_id", "weight", "meson_pdg", "photon_energy", "photon_meson"] {
        assert_eq!(&before[column], &after[column], "{column}");
    }
    assert!(after.column_by_name("photon_voxels").is_none(), "not among events.keep");
    let [input, output] = [run.mesons(), out].map(|file| Dataset::open(&[file]).unwrap());
    assert_eq!(input.geometry().unwrap(), output.geometry().unwrap());
    let units = output.units().unwrap();
    assert_eq!((&units["photon_energy"][..], &units["cluster_width"][..]), ("MeV", "mm"));
    assert_eq!(input.metadata("generator"), output.metadata("generator"));
    let photons = lists::<Float32Type>(&after, "photon_energy");
    let places = lists::<Int32Type>(&after, "cluster_photon");
    let energies = lists::<Float32Type>(&after, "cluster_energy");
    let quality = lists::<Int32Type>(&after, "cluster_quality");
    for event in 0..photons.len() {
        assert!(places[event].windows(2).all(|pair| pair[0] < pair[1]), "order is kept");
        assert_eq!(places[event].len(), energies[event].len());
        for (place, energy) in places[event].iter().zip(&energies[event]) {
            let ratio = energy / photons[event][*place as usize];
            assert!((0.3..2.0).contains(&ratio), "event {event}: {ratio}");
        }
        assert!(quality[event].iter().all(|quality| (0..=2).contains(quality)));
    }
    assert!(places.iter().zip(&photons).any(|(found, all)| found.len() < all.len()), "some are lost");
    assert!(photons.iter().any(Vec::is_empty), "some events have none");
}

#[test]
fn neither_threads_nor_row_groups_matter() {
    let run = diphoton();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| text(folder.path().join(name));
    let [one, two] = ["1", "2"].map(|threads| {
        let out = file(threads);
        succeed(&fill(&run.mesons(), &out, &["--threads", threads]));
        std::fs::read(&out).unwrap()
    });
    assert!(one == two, "the files differ");
    // The same events in row groups of 100, and in two files.
    let whole = read(&[run.mesons()]);
    let rewrite = |name: &str, part: RecordBatch| {
        let options = WriterOptions { row_group_rows: 100, ..WriterOptions::default() };
        let mut writer = EventWriter::create(file(name), part.schema(), &options).unwrap();
        writer.write(&part).unwrap();
        writer.finish().unwrap();
        file(name)
    };
    let parts = [rewrite("a.parquet", whole.slice(0, 333)), rewrite("b.parquet", whole.slice(333, 367))];
    let mut arguments = fill(&parts[0], &file("parts"), &[]);
    arguments.extend(["--events".to_owned(), parts[1].clone()]);
    succeed(&arguments);
    assert!(read(&[file("1")]) == read(&[file("parts")]), "results depend on how the file is cut");
    succeed(&fill(&run.mesons(), &file("seed"), &["--seed", "2"]));
    assert!(read(&[file("1")]) != read(&[file("seed")]));
}

#[test]
fn repeated_events_share_their_weight() {
    let run = diphoton();
    let folder = tempfile::tempdir().unwrap();
    let out = text(folder.path().join("three.parquet"));
    succeed(&fill(&run.mesons(), &out, &["--oversample", "3"]));
    let (before, after) = (read(&[run.mesons()]), read(&[&out]));
    assert_eq!(after.num_rows(), 3 * before.num_rows());
    let ids = after["event_id"].as_primitive::<Int64Type>().values();
    assert_eq!(ids[..7], [0, 0, 0, 1, 1, 1, 2]);
    let weights = after["weight"].as_primitive::<Float64Type>().values();
    assert!((weights.iter().sum::<f64>() - before.num_rows() as f64).abs() < 1e-9);
    let energies = lists::<Float32Type>(&after, "cluster_energy");
    let with_photons = (0..before.num_rows()).find(|event| energies[3 * event].len() > 1).unwrap();
    assert_ne!(
        energies[3 * with_photons],
        energies[3 * with_photons + 1],
        "every repetition is drawn afresh"
    );
    // Weights that are whole numbers, and not among the columns passed on.
    let mut columns = photons(&[Some(&[2e3, 3e3]), Some(&[9e3])]);
    columns.push(("weight", Arc::new(Int32Array::from(vec![1, 3]))));
    let whole = write(&folder.path().join("whole.parquet"), columns);
    let config = no_keep(folder.path());
    let table = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, table.replace("prefix", "keep = [\"photon_*\"]\nprefix")).unwrap();
    let out = text(folder.path().join("parts.parquet"));
    succeed(&fill(&whole, &out, &["--oversample", "2", "--config", &config]));
    let parts = read(&[&out]);
    assert_eq!(parts["weight"].as_primitive::<Float64Type>().values().to_vec(), [0.5, 0.5, 1.5, 1.5]);
    let places = lists::<Int32Type>(&parts, "reco_photon_index");
    assert_eq!(places, [vec![0, 1], vec![0, 1], vec![0], vec![0]]);
    let bare = write(&folder.path().join("bare.parquet"), photons(&[Some(&[2e3, 3e3]), Some(&[])]));
    let twice = text(folder.path().join("twice.parquet"));
    succeed(&fill(&bare, &twice, &["--oversample", "2", "--config", &no_keep(folder.path())]));
    let made = read(&[twice]);
    assert_eq!(made["weight"].as_primitive::<Float64Type>().values().to_vec(), [0.5; 4]);
}

/// An `[events]` table that passes everything on.
fn no_keep(folder: &Path) -> String {
    let path = folder.join("events.toml");
    let config = "[events]\nprefix = \"reco_\"\nobjects = { collection = \"photon\", columns = { incident_energy = \"photon_energy\" } }\n";
    std::fs::write(&path, config).unwrap();
    text(path)
}

#[test]
fn empty_events_and_null_lists_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let input =
        write(&folder.path().join("in.parquet"), photons(&[None, Some(&[2e3, 9e3]), Some(&[]), None]));
    let out = text(folder.path().join("out.parquet"));
    succeed(&fill(&input, &out, &["--config", &no_keep(folder.path())]));
    let batch = read(&[&out]);
    assert_eq!(&batch["photon_energy"], &read(&[&input])["photon_energy"], "nulls are passed on");
    let places = lists::<Int32Type>(&batch, "reco_photon_index");
    assert_eq!(places, [vec![], vec![0, 1], vec![], vec![]]);
    // A file without any object.
    let input = write(&folder.path().join("none.parquet"), photons(&[Some(&[]), Some(&[])]));
    let out = text(folder.path().join("none-out.parquet"));
    succeed(&fill(&input, &out, &["--config", &no_keep(folder.path())]));
    assert_eq!(lists::<Float32Type>(&read(&[out]), "reco_cluster_energy"), [vec![0.0; 0], vec![]]);
}

#[test]
fn events_in_other_units_than_the_model_are_refused() {
    let run = diphoton();
    let folder = tempfile::tempdir().unwrap();
    let [model, out] = ["model", "out.parquet"].map(|name| folder.path().join(name));
    copy(&PathBuf::from(run.model()), &model);
    let manifest = std::fs::read_to_string(model.join("manifest.json")).unwrap();
    let in_gev = manifest.replace(r#""incident_energy": "MeV""#, r#""incident_energy": "GeV""#);
    assert_ne!(manifest, in_gev);
    std::fs::write(model.join("manifest.json"), in_gev).unwrap();
    let fill = ["fill", &text(&model), "--events", &run.mesons(), "-o", &text(&out)].map(str::to_owned);
    refuse(
        folder.path(),
        &fill,
        &["condition `incident_energy` is in MeV here, the model was trained on GeV"],
    );
}

#[test]
fn what_cannot_be_filled_is_refused_and_nothing_written() {
    let run = diphoton();
    let folder = tempfile::tempdir().unwrap();
    let out = text(folder.path().join("out.parquet"));
    let file = |name: &str| folder.path().join(name);
    let mut columns = photons(&[Some(&[2e3]), Some(&[2e3, 3e3])]);
    columns[1].1 = floats(&[Some(&[0.1]), Some(&[0.1])]);
    let unequal = write(&file("unequal.parquet"), columns);
    refuse(folder.path(), &fill(&unequal, &out, &[]), &["row 1 of", "`photon_eta` has 1", "one length"]);
    let other = write(&file("other.parquet"), vec![("jet_pt", floats(&[Some(&[1.0])]))]);
    refuse(
        folder.path(),
        &fill(&other, &out, &[]),
        &["collection `photon` does not exist", "the collections are jet"],
    );
    let lacking = write(&file("lacking.parquet"), vec![("photon_pt", floats(&[Some(&[1.0])]))]);
    refuse(
        folder.path(),
        &fill(&lacking, &out, &[]),
        &["`photon_energy` does not exist in the objects `photon`"],
    );
    let mut columns = photons(&[Some(&[2e3])]);
    columns.push(("weight", Arc::new(StringArray::from(vec!["one"]))));
    let text_weight = write(&file("text_weight.parquet"), columns);
    refuse(folder.path(), &fill(&text_weight, &out, &[]), &["`weight`", "Utf8", "numbers are needed"]);
    let nan = write(&file("nan.parquet"), photons(&[Some(&[2e3]), Some(&[f32::NAN])]));
    refuse(folder.path(), &fill(&nan, &out, &[]), &["NaN", "row 1"]);
    let negative = write(&file("negative.parquet"), photons(&[Some(&[-1.0])]));
    refuse(folder.path(), &fill(&negative, &out, &[]), &["incident_energy", "-1"]);
    let hard = write(&file("hard.parquet"), photons(&[Some(&[9e6])]));
    refuse(folder.path(), &fill(&hard, &out, &["--strict"]), &["`incident_energy` reaches from", "9000000"]);
    assert!(succeed(&fill(&hard, &out, &[])).stderr.contains("it extrapolates"));
    refuse(folder.path(), &fill(&hard, &out, &[]), &["exists", "--overwrite"]);
    let named = text(file("filled.parquet"));
    succeed(&fill(&run.mesons(), &named, &[]));
    let again = text(file("again.parquet"));
    let config = text(file("keep.toml"));
    std::fs::write(&config, "[events]\nindex = \"cluster_photon\"\nobjects = { collection = \"photon\", columns = { incident_energy = \"photon_energy\" } }\n").unwrap();
    refuse(
        folder.path(),
        &fill(&named, &again, &["--config", &config]),
        &["column `cluster_energy` exists twice", "events.prefix"],
    );
    // A model of showers has no events.
    let showers = text(crate::toy::trained_showers().model());
    let arguments = ["fill", &showers, "--events", &hard, "-o", &again];
    refuse(folder.path(), &arguments, &["without an [events] table", "--config"]);
}

#[test]
fn simulated_events_do_not_depend_on_threads_and_have_the_right_masses() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| text(folder.path().join(name));
    for threads in ["1", "3"] {
        succeed(&[
            "simulate",
            "diphotons",
            "--events",
            "300",
            "--no-voxels",
            "--threads",
            threads,
            "-o",
            &file(threads),
        ]);
        succeed(&[
            "simulate",
            "photons",
            "--events",
            "150",
            "--threads",
            threads,
            "-o",
            &file(&format!("gun{threads}")),
        ]);
    }
    assert!(std::fs::read(file("1")).unwrap() == std::fs::read(file("3")).unwrap());
    assert!(std::fs::read(file("gun1")).unwrap() == std::fs::read(file("gun3")).unwrap());
    let batch = read(&[file("1")]);
    let columns =
        ["photon_energy", "photon_eta", "photon_phi"].map(|name| lists::<Float32Type>(&batch, name));
    let masses = lists::<Float32Type>(&batch, "meson_mass");
    let parents = lists::<Int32Type>(&batch, "photon_meson");
    for (event, parents) in parents.iter().enumerate() {
        for (meson, mass) in masses[event].iter().enumerate() {
            let of_meson = (0..parents.len()).filter(|&photon| parents[photon] as usize == meson);
            let sum: simile_physics::FourVector = of_meson
                .map(|photon| {
                    let [e, eta, phi] = columns.each_ref().map(|column| f64::from(column[event][photon]));
                    simile_physics::FourVector::massless(e, eta, phi)
                })
                .sum();
            assert!((sum.mass() / f64::from(*mass) - 1.0).abs() < 1e-4);
        }
    }
    let gun = ["simulate", "photons", "--events", "10", "--lowest", "5", "--highest", "2", "-o", &file("x")];
    refuse(folder.path(), &gun, &["--lowest above 0 and below --highest"]);
}

/// The parametrised calorimeter is one like that of the committed Geant4 sample.
#[test]
fn parametrised_showers_resemble_those_of_geant4() {
    let folder = tempfile::tempdir().unwrap();
    let gun = text(folder.path().join("gun.parquet"));
    succeed(&["simulate", "photons", "--events", "3000", "-o", &gun]);
    let sample =
        text(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/samples/photons_compact_test.parquet"));
    let [ours, geant4] = [gun, sample].map(|file| {
        let dataset = Dataset::open(&[file]).unwrap();
        let geometry = dataset.geometry().unwrap().unwrap();
        let events: Vec<_> = dataset
            .scan()
            .columns(&["incident_energy", "voxels"])
            .events()
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let events = simile_data::Events::concat(&events).unwrap();
        let (voxels, energy) = (events.column("voxels").unwrap(), events.column("incident_energy").unwrap());
        let observables = simile_physics::shower::ShowerObservables::new(&geometry).with_threshold_mev(0.05);
        let table = observables.compute(voxels, energy.column(0));
        let mean = |name: &str| {
            let column = observables.observables().iter().position(|found| found.name == name).unwrap();
            f64::from(table.column(column).mean().unwrap())
        };
        ["response", "depth", "depth_width", "radius_layer_1", "radius_layer_2"].map(mean)
    });
    for ((ours, geant4), tolerance) in ours.into_iter().zip(geant4).zip([0.05, 0.1, 0.2, 0.35, 0.35]) {
        assert!((ours / geant4 - 1.0).abs() < tolerance, "{ours} against {geant4}");
    }
}

#[test]
fn reconstruction_is_a_step_of_its_own() {
    let run = diphoton();
    let folder = tempfile::tempdir().unwrap();
    let out = text(folder.path().join("clusters"));
    let mut command = vec!["reconstruct".to_owned()];
    command.extend(arguments(&run.folder));
    command.extend(["--output".to_owned(), out.clone()]);
    assert!(succeed(&command).stdout.contains("4000 showers"));
    for (file, of_run) in [("clusters", "clusters"), ("events", "events"), ("objects", "objects")] {
        let [ours, theirs] =
            [format!("{out}/{file}.parquet"), run.path(&format!("run/prepared/{of_run}.parquet"))]
                .map(|file| read(&[file]));
        assert!(ours == theirs, "{file}");
    }
    let table = read(&[format!("{out}/clusters.parquet")]);
    let energy = table["cluster_energy"].as_primitive::<Float32Type>();
    let truth = table["incident_energy"].as_primitive::<Float32Type>();
    let ratio =
        energy.values().iter().zip(truth.values()).map(|(a, b)| a / b).sum::<f32>() / energy.len() as f32;
    assert!((ratio - 1.0).abs() < 0.02, "calibrated to {ratio}");
    let found = table["cluster_found"].as_boolean();
    assert!((0..table.num_rows()).all(|row| found.value(row) == (energy.value(row) >= 550.0)));
    refuse(folder.path(), &command, &["exists"]);
    let without = crate::toy::trained_showers().config();
    let other = text(folder.path().join("other"));
    refuse(folder.path(), &["reconstruct", &without, "-o", &other], &["no [reconstruction] table"]);
}

/// CMS NanoAOD: 1,500 columns, of which a handful are read.
#[test]
fn nanoaod_is_filled_without_its_other_columns() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/nanoaod");
    let folder = tempfile::tempdir().unwrap();
    let config = text(folder.path().join("events.toml"));
    let table = "[events]\nprefix = \"FastJet_\"\nkeep = [\"run\", \"event\", \"GenJet_*\", \"nGenJet\"]\n[events.objects]\ncollection = \"GenJet\"\n\
        columns = { incident_energy = \"500 + 100 * GenJet_pt\" }\nnearest = { isolation = \"GenJet\" }\n";
    std::fs::write(&config, table).unwrap();
    for name in ["nano_dy.parquet", "nano_dimuon.parquet"] {
        let input = shared.join(name);
        if !input.exists() {
            println!("SKIPPED: {name}: ../shared is not there");
            continue;
        }
        let input = text(input);
        let out = text(folder.path().join(name));
        let dataset = Dataset::open(&[&input]).unwrap();
        if dataset.field("GenJet_pt").is_err() {
            // Data have no generated jets.
            refuse(
                folder.path(),
                &fill(&input, &out, &["--config", &config]),
                &["collection `GenJet` does not exist"],
            );
            continue;
        }
        succeed(&fill(&input, &out, &["--config", &config]));
        let filled = Dataset::open(&[&out]).unwrap();
        assert!(filled.schema().fields().len() < 30 && filled.num_rows() == dataset.num_rows());
        assert_eq!(filled.metadata("ak:parameters"), dataset.metadata("ak:parameters"));
        let batch = read(&[&out]);
        let jets: usize = batch["GenJet_pt"].as_list::<i64>().iter().map(|jets| jets.unwrap().len()).sum();
        let found: usize = lists::<Int32Type>(&batch, "FastJet_GenJet_index").iter().map(Vec::len).sum();
        assert!(jets > 0 && found <= jets && found > 0);
        // Everything passed on, all 1,500 columns.
        let everything = text(folder.path().join("all.parquet"));
        std::fs::write(
            &config,
            table.replace("keep = [\"run\", \"event\", \"GenJet_*\", \"nGenJet\"]\n", ""),
        )
        .unwrap();
        succeed(&fill(&input, &everything, &["--config", &config]));
        let all = Dataset::open(&[&everything]).unwrap();
        assert!(all.schema().fields().len() > dataset.schema().fields().len());
        let [before, after] = [&input, &everything].map(|file| read(&[file]));
        for field in before.schema().fields() {
            assert_eq!(&before[field.name()], &after[field.name()], "{}", field.name());
        }
        std::fs::write(&config, table).unwrap();
    }
}

#[test]
fn batches_of_both_kinds_of_files_can_be_joined() {
    // What the reconstruction writes and what the surrogate writes have the same lists.
    let run = diphoton();
    let reference = read(&[run.path("run/prepared/events.parquet")]);
    let filled = read(&[run.path("run/generated/filled.parquet")]);
    let names: Vec<String> = reference.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, filled.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>());
    let plain = |batch: &RecordBatch| {
        let schema = Arc::new(Schema::new(reference.schema().fields().clone()));
        RecordBatch::try_new(schema, batch.columns().to_vec()).unwrap()
    };
    let joined = concat_batches(&plain(&reference).schema(), &[plain(&reference), plain(&filled)]).unwrap();
    assert_eq!(joined.num_rows(), 700 + 1400);
}
