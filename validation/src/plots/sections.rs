//! Headings of the gallery.

use super::Draft;
use crate::metrics::FeatureMetrics;

/// Where features stand that belong to no family.
const GENERAL: &str = "Distributions";
/// Where features of single calorimeter layers stand.
const LAYERS: &str = "Layer by layer";
/// So many features that differ by a number only, such as muon 1, 2 and 3, get a section of their own.
const FAMILY: usize = 3;

/// The section of each feature.
pub(super) fn of(features: &[FeatureMetrics]) -> Vec<String> {
    let stems: Vec<&str> = features.iter().map(|feature| stem(&feature.feature.name)).collect();
    let family = |own: &str| stems.iter().filter(|stem| **stem == own).count();
    let sections = features.iter().zip(&stems).map(|(feature, own)| {
        let numbered = *own != feature.feature.name;
        match stem(&feature.feature.label).trim_end() {
            heading if numbered && heading.ends_with("layer") => LAYERS,
            heading if numbered && !heading.is_empty() && family(own) >= FAMILY => heading,
            _ => GENERAL,
        }
    });
    sections.map(str::to_owned).collect()
}

/// Brings the figures of one section together, sections in the order of their first figure.
pub(super) fn gather(drafts: &mut [Draft]) {
    let mut order: Vec<String> = Vec::new();
    for draft in drafts.iter() {
        if !order.contains(&draft.section) {
            order.push(draft.section.clone());
        }
    }
    drafts.sort_by_key(|draft| order.iter().position(|section| *section == draft.section));
}

/// A text without the number at its end: `energy_layer_` for `energy_layer_12`.
fn stem(text: &str) -> &str {
    text.trim_end_matches(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::tests::example;

    #[test]
    fn numbered_features_stand_with_their_kin() {
        let mut features = example().features;
        for (number, feature) in features.iter_mut().take(3).enumerate() {
            (feature.feature.name, feature.feature.label) =
                (format!("muon_pt_{number}"), format!("Muon pT {number}"));
        }
        let mut expected = vec!["Muon pT"; 3];
        expected.extend(["Distributions", "Layer by layer", "Layer by layer", "Layer by layer"]);
        assert_eq!(of(&features), expected);
        features[0].feature.name = "response".into();
        assert_eq!(of(&features)[..3], ["Distributions"; 3], "two muons are no family");
    }
}
