//! Every error says what is wrong, where, and how to mend it.

use ndarray::array;

use super::*;

#[test]
fn damaged_or_foreign_files_are_refused() {
    let (_, fitted) = fit_mixed();
    let json = serde_json::to_value(&fitted).unwrap();
    let load = |edit: &dyn Fn(&mut serde_json::Value)| {
        let mut edited = json.clone();
        edit(&mut edited);
        serde_json::from_value::<Preprocessing>(edited).unwrap_err().to_string()
    };
    let newer = load(&|json| json["format_version"] = 2.into());
    assert!(newer.contains("format 2 is not supported, this program reads format 1"), "{newer}");
    let damaged: [&dyn Fn(&mut serde_json::Value); 7] = [
        &|json| json["targets"][2]["width"] = 5.into(),
        &|json| json["targets"][4]["width"] = 0.into(),
        &|json| json["conditions"][0]["steps"][1]["std"][0] = 0.0.into(),
        &|json| json["conditions"][1]["steps"][0]["categories"] = serde_json::json!([]),
        &|json| json["targets"][2]["layer_energies"]["max_response"] = (-1.0).into(),
        &|json| json["targets"][0]["steps"][1]["maps"][0]["values"][3] = 1e9.into(),
        &|json| json["targets"][3]["steps"][0]["width"] = 0.0.into(),
    ];
    for (case, edit) in damaged.iter().enumerate() {
        assert!(load(edit).contains("is inconsistent; the file is damaged"), "case {case}");
    }
    assert!(load(&|json| json["targets"][1]["steps"][0]["kind"] = "spin".into()).contains("spin"));
}

fn message(result: Result<impl std::fmt::Debug, PreprocessingError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn configuration_errors_name_column_and_step() {
    let (sample, config, condition, target) = mixed();
    let fit = |name: &str, json: &str, geometry: Option<&Geometry>| {
        let mut changed = config.clone();
        changed.0.insert(name.to_owned(), serde_json::from_str(json).unwrap());
        message(Preprocessing::fit(&changed, &condition, &target, geometry, &sample, 7))
    };
    let with = Some(&geometry());
    let layers =
        |key: &str| format!(r#"[{{"kind":"layer_energies","incident":"energy","threshold_mev":0.5{key}}}]"#);
    for (name, json, geometry, expected) in [
        (
            "voxel",
            "[]",
            with,
            "`preprocessing.voxel` names a column that is neither condition nor target; did you mean `voxels`",
        ),
        (
            "voxels",
            &layers("")[..],
            None,
            "`preprocessing.voxels`, step 1: `layer_energies` needs the calorimeter's layers",
        ),
        ("voxels", &layers(r#","headroom":1"#), with, "`headroom` = 1 must be above 1"),
        ("voxels", &layers("").replace("0.5", "-1"), with, "`threshold_mev` = -1 must be"),
        (
            "voxels",
            &layers("").replace("energy\"", "mass\""),
            with,
            "`incident` = \"mass\" is not among the conditions (energy, pdg)",
        ),
        (
            "voxels",
            &format!("[{{\"kind\":\"log\",\"offset\":1}},{}", &layers("")[1..]),
            with,
            "step 2: `layer_energies` works on values as read and must be the first",
        ),
        (
            "energy",
            &layers(""),
            with,
            "`preprocessing.energy`, step 1: `layer_energies` draws noise and suits targets only",
        ),
        (
            "energy",
            r#"[{"kind":"dequantize","width":1}]"#,
            with,
            "`dequantize` draws noise and suits targets only",
        ),
        (
            "mass",
            r#"[{"kind":"relative","to":"count"}]"#,
            with,
            "`to` = \"count\" is not among the conditions (energy, pdg)",
        ),
        (
            "mass",
            r#"[{"kind":"log"},{"kind":"relative","to":"energy"}]"#,
            with,
            "step 2: `relative` works on values as read and must be the first",
        ),
        ("mass", r#"[{"kind":"relative","to":"energy","power":9}]"#, with, "`power` = 9 must be from 0 to 4"),
        (
            "mass",
            r#"[{"kind":"relative","to":"pdg"}]"#,
            with,
            "relative to `pdg`, which is -11 and must be positive",
        ),
        ("vertex", &layers(""), with, "the column has 3 values a row, the geometry has 4 voxels"),
        ("vertex", r#"[{"kind":"one_hot"}]"#, with, "`one_hot` needs a scalar column, this one has 3"),
        ("mass", r#"[{"kind":"quantile","knots":1}]"#, with, "`knots` = 1 must be from 2 to 10000"),
        ("mass", r#"[{"kind":"logit","alpha":0.5}]"#, with, "`alpha` = 0.5 must be at least 0 and below 0.5"),
        (
            "mass",
            r#"[{"kind":"logit","range":[3,3]}]"#,
            with,
            "`range` = [3, 3] must be finite and increasing",
        ),
        ("count", r#"[{"kind":"dequantize","width":0}]"#, with, "`width` = 0 must be positive"),
        ("mass", r#"[{"kind":"log","offset":1e300}]"#, with, "must be finite"),
    ] {
        let found = fit(name, json, geometry);
        assert!(found.contains(expected), "{found}\nexpected {expected}");
    }
    let missing =
        Preprocessing::fit(&PreprocessingConfig::default(), &["enrgy".into()], &target, None, &sample, 7);
    assert!(message(missing).contains("`enrgy`"));
    let twice =
        Preprocessing::fit(&PreprocessingConfig::default(), &condition, &["energy".into()], None, &sample, 7);
    assert!(message(twice).contains("`energy` is listed twice"));
    let none = Preprocessing::fit(&config, &condition, &target, with, &sample.select_rows(&[]), 7);
    assert!(matches!(none, Err(PreprocessingError::NoEvents)));
    let continuous = events(&[("x", column((0..300).map(|i| i as f32).collect()))]);
    assert!(
        message(fit_x(r#"[{"kind":"one_hot"}]"#, &continuous)).contains("more than 256 different values")
    );
}

#[test]
fn bad_values_name_column_row_and_mending() {
    let (sample, fitted) = fit_mixed();
    let with = |name: &str, component: usize, value: f32| {
        let mut changed = Events::new(sample.rows.clone());
        for column in sample.names() {
            let mut values = sample.column(column).unwrap().to_owned();
            if column == name {
                values[[17, component]] = value;
            }
            changed.push(column, values).unwrap();
        }
        let condition = fitted.condition(&changed).err().map(|error| error.to_string());
        condition.unwrap_or_else(|| message(fitted.target(&changed, &mut random::stream(1, "test", 0))))
    };
    for (name, component, value, expected) in [
        (
            "energy",
            0,
            f32::NAN,
            "column `energy`, row 117: NaN is not a finite number; leave such events out",
        ),
        ("energy", 0, -2.0, "column `energy`, row 117: -2 has no logarithm (offset 1.5)"),
        (
            "energy",
            0,
            -1.0,
            "column `voxels`, row 117: the incident energy in `energy` is -1 MeV, it must be positive",
        ),
        (
            "pdg",
            0,
            13.0,
            "column `pdg`, row 117: 13 is none of the categories seen in training ([-11.0, 11.0, 22.0])",
        ),
        ("mass", 0, 10.5, "column `mass`, row 117: 10.5 lies outside [0, 10]; widen `range`"),
        ("voxels", 2, -0.25, "column `voxels`[2], row 117: energy -0.25 MeV is negative"),
        ("voxels", 3, f32::INFINITY, "column `voxels`[3], row 117: inf is not a finite number"),
        ("voxels", 0, 1e6, "column `voxels`, row 117: visible / incident energy is 555.5"),
        ("count", 0, 2.5, "column `count`, row 117: 2.5 is not on the grid 0 + k·1"),
    ] {
        let found = with(name, component, value);
        assert!(found.contains(expected), "{found}\nexpected {expected}");
    }
}

#[test]
fn wrong_shapes_and_bad_model_output_are_refused() {
    let (sample, fitted) = fit_mixed();
    let mut z = fitted.target(&sample, &mut random::stream(1, "test", 0)).unwrap();
    let short = message(fitted.target_inverse(z.slice(s![..3, ..]), &sample));
    assert!(short.contains("shape [3, 12], expected [40, 12]"), "{short}");
    z[[5, 4]] = f32::NAN;
    let nan = message(fitted.target_inverse(z.view(), &sample));
    assert!(nan.contains("the model produced NaN for column `voxels`, row 105"), "{nan}");
    let narrow = events(&[("energy", array![[1.0, 2.0]]), ("pdg", array![[11.0]])]);
    assert!(
        message(fitted.condition(&narrow))
            .contains("`energy` has 2 values a row, the model was trained on 1")
    );
}
