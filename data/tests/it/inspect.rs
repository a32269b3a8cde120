//! `inspect` against values known from how the events are made.

use parquet::basic::Compression;
use simile_data::{DataError, InspectOptions, inspect};

use crate::support::*;

#[test]
fn figures_are_those_of_the_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let metadata = [
        ("simile.units", r#"{"incident_energy": "MeV", "voxels": "MeV"}"#),
        ("simile.geometry", r#"{"layers":[{"r_edges_mm":[0.0,5.0,10.0],"n_alpha":2,"x0":[0.0,4.0]}]}"#),
    ];
    write(&path, &with_metadata(&showers(0, 1000), &metadata), &options(Compression::SNAPPY, 300));
    let summary = inspect(&open(&path), &InspectOptions::default()).unwrap();
    assert_eq!(
        (summary.rows, summary.row_groups, summary.codecs.as_slice()),
        (1000, 4, &["snappy".to_owned()][..])
    );
    assert_eq!(summary.geometry.as_deref(), Some("1 layers, 4 voxels"));
    let column = |name: &str| summary.columns.iter().find(|column| column.name == name).unwrap();

    let energy = column("incident_energy").values.clone().unwrap();
    assert_eq!((energy.count, energy.min, energy.max, energy.mean), (1000, 500.0, 10490.0, 5495.0));
    // Variance of 0 … n−1 in steps of 10, with n − 1: 100 n (n + 1) / 12.
    assert!((energy.std - (100.0 * 1000.0 * 1001.0 / 12.0f64).sqrt()).abs() < 1e-6);
    assert_eq!(column("incident_energy").unit.as_deref(), Some("MeV"));

    let voxels = column("voxels");
    assert_eq!((voxels.type_name.as_str(), voxels.values.as_ref().unwrap().count), ("f32[4]", 4000));
    assert!(voxels.multiplicity.is_none());
    let hits = column("hits").multiplicity.clone().unwrap();
    assert_eq!((hits.min, hits.mean, hits.max), (0.0, 2.0, 4.0));
    assert_eq!(column("quality").nulls, Some(143));
    assert_eq!(column("quality").values.as_ref().unwrap().count, 857);
    assert!(column("particle").values.is_none());

    let text = summary.to_string();
    let line = text.lines().find(|line| line.starts_with("incident_energy")).unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(cells, ["incident_energy", "f32", "MeV", "0", "500", "5495", "10490", "2888.2"]);
    assert!(text.contains("codec: snappy\n") && text.contains("1000 events, 4 row groups"), "{text}");
    serde_json::to_string(&summary).unwrap();
}

#[test]
fn filters_choose_columns_and_must_match() {
    let (_folder, path) = shower_file();
    let dataset = open(&path);
    let names = |filters: &[&str]| {
        let columns = filters.iter().map(|filter| filter.to_string()).collect();
        inspect(&dataset, &InspectOptions { columns, statistics: false }).map(|summary| {
            assert!(summary.columns.iter().all(|column| column.values.is_none() && column.nulls.is_none()));
            assert!(summary.to_string().contains("more columns not shown"));
            summary.columns.into_iter().map(|column| column.name).collect::<Vec<_>>()
        })
    };
    assert_eq!(names(&["*_energy", "hits"]).unwrap(), ["incident_energy", "hits"]);
    let message = names(&["hit"]).unwrap_err().to_string();
    assert!(message.contains("did you mean `hits`?"), "{message}");
    assert!(matches!(names(&["a[*"]), Err(DataError::Pattern { .. })));
}
