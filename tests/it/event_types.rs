//! Flags, counts and kinds of objects: conditions and targets that are no floating-point numbers.

use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::*;
use rand::Rng;
use rand_distr::StandardNormal;
use simile_data::{EventWriter, WriterOptions, random};

use crate::program::{read, refuse, succeed, text};

/// PDG numbers of electrons and photons.
const SPECIES: [i32; 2] = [11, 22];

/// Particles one by one: electrons are good nine times of ten and hit two or three cells, photons are good once in five
/// times and hit seven or eight; each is taken for the other once in ten times.
fn write_gun(path: &Path, n: usize) {
    let mut rng = random::stream(1, "test/types", 0);
    let kinds: Vec<usize> = (0..n).map(|_| rng.gen_range(0..2)).collect();
    let species = Int32Array::from_iter_values(kinds.iter().map(|&kind| SPECIES[kind]));
    let energy = Float32Array::from_iter_values(kinds.iter().map(|_| rng.gen_range(1.0..10.0)));
    let response: Float32Array =
        kinds.iter().map(|_| Some(1.0 + 0.1 * rng.sample::<f32, _>(StandardNormal))).collect();
    let good: BooleanArray = kinds.iter().map(|&kind| Some(rng.gen_bool([0.9, 0.2][kind]))).collect();
    let cells = UInt8Array::from_iter_values(kinds.iter().map(|&kind| [2, 7][kind] + rng.gen_range(0..2)));
    let taken = Int32Array::from_iter_values(
        kinds.iter().map(|&kind| SPECIES[kind ^ usize::from(rng.gen_bool(0.1))]),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("species", Arc::new(species)),
        ("energy", Arc::new(energy)),
        ("response", Arc::new(response)),
        ("good", Arc::new(good)),
        ("cells", Arc::new(cells)),
        ("taken", Arc::new(taken)),
    ];
    write(path, RecordBatch::try_from_iter(columns).unwrap());
}

fn write(path: &Path, batch: RecordBatch) {
    let mut writer = EventWriter::create(path, batch.schema(), &WriterOptions::default()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}

/// Events of one, two and no particles in turn, as a column of lists of structs.
fn write_events(path: &Path, events: usize, species: [i32; 2]) {
    let lengths: Vec<usize> = (0..events).map(|event| [1, 2, 0][event % 3]).collect();
    let total: usize = lengths.iter().sum();
    let members: Vec<(FieldRef, ArrayRef)> = vec![
        (
            Arc::new(Field::new("pdg", DataType::Int32, false)),
            Arc::new(Int32Array::from_iter_values((0..total).map(|i| species[i % 2]))),
        ),
        (
            Arc::new(Field::new("energy", DataType::Float32, false)),
            Arc::new(Float32Array::from_iter_values((0..total).map(|i| 1.5 + (i % 8) as f32))),
        ),
    ];
    let members = StructArray::from(members);
    let item = Arc::new(Field::new("item", members.data_type().clone(), false));
    let lists = ListArray::new(item, OffsetBuffer::from_lengths(lengths), Arc::new(members), None);
    write(path, RecordBatch::try_from_iter([("particle", Arc::new(lists) as ArrayRef)]).unwrap());
}

fn config(gun: &Path) -> String {
    format!(
        r#"title = "Flags, counts and kinds"

[data]
files = ["{}"]
condition = ["species", "energy"]
target = ["response", "good", "cells", "taken"]
split = {{ train = 0.8, validation = 0.1, test = 0.1 }}

[preprocessing]
species = [{{ kind = "one_hot" }}]
good = [{{ kind = "one_hot" }}]
cells = [{{ kind = "dequantize", width = 1 }}, {{ kind = "quantile" }}]
taken = [{{ kind = "one_hot" }}]

[model]
kind = "cvae"
latents = 4
encoder = {{ width = 32, hidden = 1 }}
decoder = {{ width = 32, hidden = 1 }}

[training]
epochs = 20
batch_size = 64
learning_rate = 4e-3

[events.objects]
collection = "particle"
columns = {{ species = "particle_pdg", energy = "particle_energy" }}
"#,
        text(gun)
    )
}

#[test]
fn flags_counts_and_kinds_are_drawn_by_kind_and_keep_their_types() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    write_gun(&file("gun.parquet"), 6000);
    write_events(&file("events.parquet"), 3000, SPECIES);
    std::fs::write(file("types.toml"), config(&file("gun.parquet"))).unwrap();
    let [run, events, out] = ["run", "events.parquet", "out.parquet"].map(|name| text(file(name)));
    succeed(&["prepare", &text(file("types.toml")), "--out", &run]);
    succeed(&["train", &run]);
    let model = format!("{run}/model");
    succeed(&["fill", &model, "--events", &events, "-o", &out]);

    let batch = read(&[&out]);
    assert_eq!(&batch["particle"], &read(&[&events])["particle"]);
    let values = |column: &str| batch[column].as_list::<i32>().values().clone();
    let of = |column: &str, kind: usize| -> Vec<f64> {
        let numbers = arrow::compute::cast(&values(column), &DataType::Float64).unwrap();
        numbers.as_primitive::<Float64Type>().values().iter().skip(kind).step_by(2).copied().collect()
    };
    let types = ["response", "good", "cells", "taken"].map(|column| values(column).data_type().clone());
    assert_eq!(types, [DataType::Float32, DataType::Boolean, DataType::UInt8, DataType::Int32]);
    // 1500 of each kind: three standard deviations are 0.031 or less, the rest is the model's own.
    for (kind, good, cells) in [(0, 0.9, [2.0, 3.0]), (1, 0.2, [7.0, 8.0])] {
        let share = |column: &str, wanted: &dyn Fn(f64) -> bool| {
            let values = of(column, kind);
            values.iter().filter(|&&value| wanted(value)).count() as f64 / values.len() as f64
        };
        assert_eq!(of("good", kind).len(), 1500);
        let found = share("good", &|flag| flag == 1.0);
        assert!((found - good).abs() < 0.08, "{found} of kind {kind} are good, should be {good}");
        let found = share("taken", &|pdg| pdg == f64::from(SPECIES[kind]));
        assert!((found - 0.9).abs() < 0.08, "{found} of kind {kind} are identified, should be 0.9");
        let found = share("cells", &|number| cells.contains(&number));
        assert!(found > 0.85, "{found} of kind {kind} have {cells:?} cells");
        assert!(of("taken", kind).iter().all(|&pdg| SPECIES.map(f64::from).contains(&pdg)));
    }

    // A kind of particle that the model has never seen.
    write_events(&file("muons.parquet"), 30, [11, 13]);
    let [muons, refused] = ["muons.parquet", "refused.parquet"].map(|name| text(file(name)));
    refuse(
        folder.path(),
        &["fill", &model, "--events", &muons, "-o", &refused],
        &["`species`", "13 is none of the categories seen in training", "[11.0, 22.0]"],
    );
}
