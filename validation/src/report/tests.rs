//! The report of a validation with every part present.

use std::sync::LazyLock;

use super::*;
use crate::metrics::Verdict;
use crate::plots::tests::{example, example_curves, example_images, example_latents};
use crate::plots::write_plots;

fn example_context() -> ReportContext {
    ReportContext {
        title: "Photon showers: <flow> & Geant4".into(),
        subtitle: "0.5–50 GeV photons".into(),
        facts: vec![("Model".into(), "spline coupling flow".into()), ("Seed".into(), "7".into())],
        config_toml: "[model]\nkind = \"flow\"  # 10 < 12\n".into(),
    }
}

/// The page and its figures, made once for all tests.
static REPORT: LazyLock<(String, Vec<Figure>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let figures = write_plots(
        &example(),
        Some(&example_curves()),
        Some(&example_latents()),
        Some(&example_images()),
        folder.path(),
    )
    .unwrap();
    let path = folder.path().join("report.html");
    write_report(&path, &example_context(), &example(), &figures, Some(&example_curves())).unwrap();
    (std::fs::read_to_string(&path).unwrap(), figures)
});

#[test]
fn the_font_of_the_figures_is_in_the_page() {
    let (page, _) = &*REPORT;
    assert!(page.contains(&format!("base64,{}", BASE64.encode(FONT))), "escaped, it could not be read");
}

#[test]
fn the_verdict_names_what_failed_before_anything_else() {
    let (page, _) = &*REPORT;
    let position = |text: &str| page.find(text).unwrap_or_else(|| panic!("the page lacks “{text}”"));
    let failure = position("c2st.observables.auc is 0.5520 ± 0.0040, above its upper limit 0.54.");
    assert!(position(">FAIL<") < failure && failure < position("id=\"gates\""));
    let rows = &page[position("<tbody>")..];
    assert!(rows.find("c2st.observables.auc") < rows.find("c2st.voxels.auc"), "failed gates stand first");
    for gate in &example().gates {
        assert!(rows.contains(&format!("<code>{}</code>", gate.name)), "{}", gate.name);
    }
}

#[test]
fn every_figure_is_inline_with_downloads() {
    let (page, figures) = &*REPORT;
    for figure in figures {
        let (name, anchor) = (&figure.name, format!("id=\"figure-{}\"", figure.name));
        let start = page.find(&anchor).unwrap_or_else(|| panic!("{name} is missing"));
        let end = start + page[start..].find("</figure>").unwrap();
        let block = &page[start..end];
        assert!(block.contains("<svg width=") && block.contains("</svg>"), "{name} is not inline");
        assert!(
            block.contains(&format!("download=\"{name}.png\" href=\"data:image/png;base64,iVBOR")),
            "{name}"
        );
        assert!(block.contains(&format!("data-name=\"{name}.svg\"")), "{name}");
    }
    assert!(page.contains("download=\"metrics.json\" href=\"data:application/json;base64,"));
}

#[test]
fn the_page_needs_nothing_from_outside_and_stays_small() {
    let (page, figures) = &*REPORT;
    for reference in ["http://", "https://", "src=\"//", "@import", "url(\"/"] {
        assert!(!page.contains(reference), "the page refers to {reference}");
    }
    assert!(page.len() < figures.len() * 200_000, "{} bytes for {} figures", page.len(), figures.len());
}

#[test]
fn text_of_the_run_is_escaped() {
    let (page, _) = &*REPORT;
    assert!(
        page.contains("<h1>Photon showers: &lt;flow&gt; &amp; Geant4</h1>") && page.contains("# 10 &lt; 12")
    );
    assert!(!page.contains("<flow>"));
}

#[test]
fn figures_of_merit_come_with_error_and_floor() {
    let (page, _) = &*REPORT;
    for text in ["0.5520 ± 0.0040", "floor 0.5020 ± 0.0030; MLP 3×256", "at 500–1256 MeV, of 5 bins"] {
        assert!(page.contains(text), "the page lacks “{text}”");
    }
}

#[test]
fn a_comparison_without_gates_or_curves_claims_no_success() {
    let mut metrics = example();
    metrics.gates.clear();
    metrics.verdict = Verdict::None;
    let page = render(&ReportContext::default(), &metrics, &[], None).unwrap();
    assert!(page.contains(">NO GATES<") && !page.contains(">PASS<"));
}

#[test]
fn numbers_that_are_missing_show_as_dashes() {
    let mut metrics = example();
    for feature in &mut metrics.features {
        feature.wasserstein.value = f64::NAN;
        feature.candidate.std = f64::INFINITY;
    }
    metrics.gates[1].value = f64::NAN;
    let page = render(&example_context(), &metrics, &[], None).unwrap();
    assert!(page.contains("c2st.observables.auc has no value"));
    assert!(!page.contains("NaN") && !page.contains(">inf"), "a number that is none reached the page");
}

#[test]
fn a_lost_figure_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let figures = write_plots(&example(), None, None, None, folder.path()).unwrap();
    std::fs::remove_file(&figures[0].png_path).unwrap();
    let error = write_report(&folder.path().join("r.html"), &example_context(), &example(), &figures, None)
        .unwrap_err();
    assert!(error.to_string().contains("mean_response.png"), "{error}");
    assert!(!folder.path().join("r.html").exists());
}
