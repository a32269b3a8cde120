//! Figures come out whole.

mod example;

use super::scene::{Scene, Shape};
use super::*;
use crate::metrics::*;

pub(crate) use example::{example, example_curves, example_images, example_latents};

#[test]
fn every_feature_and_part_has_a_figure_in_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = example();
    let figures = write_plots(
        &metrics,
        Some(&example_curves()),
        Some(&example_latents()),
        Some(&example_images()),
        &folder.path().join("plots"),
    )
    .unwrap();
    let names: Vec<&str> = figures.iter().map(|figure| figure.name.as_str()).collect();
    let fixed = [
        "mean_response",
        "resolution",
        "roc_voxels",
        "roc_observables",
        "longitudinal_profile",
        "average_shower_layer_0",
        "learning_curves",
        "plane",
        "latent_map",
        "samples",
        "latent_classes",
    ];
    for name in metrics.features.iter().map(|feature| feature.feature.name.as_str()).chain(fixed) {
        assert!(names.contains(&name), "no figure {name} among {names:?}");
    }
    for figure in &figures {
        assert_eq!(std::fs::read_to_string(&figure.svg_path).unwrap(), figure.svg);
        assert!(std::fs::read(&figure.png_path).unwrap().starts_with(b"\x89PNG"), "{}", figure.name);
        assert!(!figure.title.is_empty() && !figure.caption.is_empty() && !figure.section.is_empty());
    }
    let files = std::fs::read_dir(folder.path().join("plots")).unwrap().count();
    assert_eq!(files, 2 * figures.len(), "a temporary file was left behind, or two figures share a name");
}

#[test]
fn figures_of_one_section_follow_each_other() {
    let drafts =
        drafts(&example(), Some(&example_curves()), Some(&example_latents()), Some(&example_images()));
    let mut sections: Vec<&str> = drafts.iter().map(|draft| draft.section.as_str()).collect();
    sections.dedup();
    let distinct: BTreeSet<&str> = sections.iter().copied().collect();
    assert_eq!(sections.len(), distinct.len(), "{sections:?}");
    assert!(distinct.contains("Layer by layer"), "{sections:?}");
}

#[test]
fn names_are_safe_for_files_and_distinct() {
    let mut metrics = example();
    metrics.features.truncate(3);
    for (feature, name) in metrics.features.iter_mut().zip(["a/b", "a b", "../A_B"]) {
        feature.feature.name = name.into();
    }
    let folder = tempfile::tempdir().unwrap();
    let figures = write_plots(&metrics, None, None, None, folder.path()).unwrap();
    let names: BTreeSet<&str> = figures.iter().map(|figure| figure.name.as_str()).collect();
    assert!(names.contains("a_b") && names.contains("a_b_2"), "{names:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2 * figures.len());
}

#[test]
fn an_unwritable_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plots");
    std::fs::write(&file, "in the way").unwrap();
    let error = write_plots(&example(), None, None, None, &file).unwrap_err().to_string();
    assert!(error.contains("plots"), "{error}");
}

/// Histograms without content, contents that are not numbers, and a sample without events.
fn broken() -> Vec<Metrics> {
    let set = |value: f64| {
        let mut metrics = example();
        for feature in &mut metrics.features {
            for contents in [&mut feature.histogram.reference, &mut feature.histogram.candidate] {
                contents.values.fill(value);
                contents.errors.fill(value);
                (contents.underflow, contents.overflow) = (value, value);
            }
            feature.wasserstein = Floored { value, error: value, floor: value };
        }
        for bin in &mut metrics.response.as_mut().unwrap().bins {
            bin.candidate = ResponsePoint {
                events: 0,
                mean: value,
                mean_error: value,
                resolution: value,
                resolution_error: value,
            };
            bin.reference = bin.candidate;
        }
        for layer in &mut metrics.profiles.as_mut().unwrap().layers {
            layer.reference.voxels_mev.fill(value);
            layer.candidate.voxels_mev.fill(value);
        }
        let plane = metrics.plane.as_mut().unwrap();
        for contents in [&mut plane.reference, &mut plane.candidate] {
            contents.shares.fill(value);
            contents.outside = value;
        }
        metrics.global.modes.as_mut().unwrap().modes[0].centre = vec![value; 2];
        metrics.global.c2st[0].roc.clear();
        metrics.global.c2st[1].roc = vec![[value, value]; 3];
        metrics
    };
    vec![set(0.0), set(f64::NAN), set(f64::INFINITY), set(-1.0), set(1e300)]
}

fn points_of(shape: &Shape) -> Vec<(f64, f64)> {
    match shape {
        Shape::Line { points, .. } | Shape::Polygon { points, .. } => points.clone(),
        Shape::Boxes { boxes, .. } => boxes.iter().flat_map(|b| [(b[0], b[1]), (b[2], b[3])]).collect(),
        Shape::Disc { center, .. } => vec![*center],
        Shape::Image { at: (x, y), pixel, width, levels } => {
            vec![(*x, *y), (x + pixel * *width as f64, y + pixel * (levels.len() / width) as f64)]
        }
        Shape::Text(text) => vec![text.at],
    }
}

#[test]
fn broken_numbers_never_reach_a_figure() {
    for metrics in broken() {
        for draft in drafts(&metrics, None, None, None) {
            let Scene { width, height, shapes } = &draft.scene;
            for point in shapes.iter().flat_map(points_of) {
                let inside = (0.0..=*width).contains(&point.0) && (0.0..=*height).contains(&point.1);
                assert!(inside, "{}: {point:?} is outside the figure", draft.name);
            }
            let svg = render::svg(&draft.scene);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", draft.name);
        }
    }
}

/// Whether tags nest and close, attributes are quoted, and no bare `<` or `&` stands in text.
fn well_formed(svg: &str) -> Result<(), String> {
    let mut open = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').ok_or_else(|| format!("unclosed tag <{part}"))?;
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> closes nothing"));
            }
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap_or(""));
        }
        let bare = text
            .split('&')
            .skip(1)
            .find(|entity| !["lt;", "gt;", "amp;", "quot;", "apos;"].iter().any(|e| entity.starts_with(e)));
        if tag.matches('"').count() % 2 != 0 || bare.is_some() {
            return Err(format!("<{tag}>{text}"));
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("never closed: {open:?}")) }
}

#[test]
fn svg_is_well_formed_whatever_the_labels_say() {
    let mut metrics = example();
    metrics.reference.label = "<Geant4> & \"friends\"".into();
    metrics.features[0].feature.label = "p < 0 && 'q' > 1".into();
    for draft in drafts(&metrics, Some(&example_curves()), Some(&example_latents()), Some(&example_images()))
    {
        well_formed(&render::svg(&draft.scene)).unwrap_or_else(|fault| panic!("{}: {fault}", draft.name));
    }
    assert!(well_formed("<svg><text>a</svg>").is_err() && well_formed("<svg>a & b</svg>").is_err());
}

/// Texts of a figure as boxes `[left, top, right, bottom]`, capital height above the baseline.
fn text_boxes(scene: &Scene) -> Vec<(String, [f64; 4])> {
    let texts = scene.shapes.iter().filter_map(|shape| match shape {
        Shape::Text(text) if !text.text.is_empty() => Some(text),
        _ => None,
    });
    texts
        .map(|text| {
            let ((x, y), width) = (text.origin(), font::width(&text.text, text.size, text.bold));
            let area = if text.vertical {
                [x - 0.75 * text.size, y - width, x, y]
            } else {
                [x, y - 0.75 * text.size, x + width, y]
            };
            (text.text.clone(), area)
        })
        .collect()
}

#[test]
fn no_text_overlaps_another_or_leaves_the_figure() {
    let mut long = example();
    long.reference.label = "Geant4 11.4, FTFP_BERT".into();
    long.candidate.label = "spline flow, 10 couplings".into();
    long.features[0].feature.label = "Energy-weighted radial width of the shower over all layers".into();
    for metrics in [example(), long] {
        for draft in
            drafts(&metrics, Some(&example_curves()), Some(&example_latents()), Some(&example_images()))
        {
            assert_no_text_overlaps(&draft.name, &draft.scene);
        }
    }
}

pub(super) fn assert_no_text_overlaps(name: &str, scene: &Scene) {
    let boxes = text_boxes(scene);
    for (index, (text, [left, top, right, bottom])) in boxes.iter().enumerate() {
        let inside = *left >= 0.0 && *top >= 0.0 && *right <= scene.width && *bottom <= scene.height;
        assert!(inside, "{name}: “{text}” leaves the figure");
        for (other, [l, t, r, b]) in &boxes[index + 1..] {
            let apart = right <= l || r <= left || bottom <= t || b <= top;
            assert!(apart, "{name}: “{text}” overlaps “{other}”");
        }
    }
}
