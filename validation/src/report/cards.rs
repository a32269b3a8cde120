//! The figures of the report that are worth quoting, each with its uncertainty and its floor as far as it has them.

use serde::Serialize;

use super::view::share;
use crate::events::MassMetrics;
use crate::figures::OF_EVENTS;
use crate::images::ImageMetrics;
use crate::metrics::{
    DistanceMetrics, Estimate, FeatureMetrics, LikelihoodMetrics, Metrics, ModeMetrics, NeighbourMetrics,
    ResponseBin, ResponseMetrics, Share,
};
use crate::plots::format::{probability, significant, with_error};

#[derive(Serialize)]
pub(super) struct CardView {
    name: String,
    value: String,
    note: String,
}

/// How probable the candidate's density finds the reference.
fn likelihood_cards(likelihood: &LikelihoodMetrics) -> Vec<CardView> {
    let LikelihoodMetrics { log_likelihood, elbo, importance_samples, bits_per_dimension, events } =
        *likelihood;
    let nats = |estimate: Estimate| format!("{} nat", with_error(estimate.value, estimate.error));
    let of = match importance_samples {
        Some(samples) => format!("{samples} importance weights for each of {events} events of the reference"),
        None => format!("mean over {events} events of the reference"),
    };
    let mut cards = vec![CardView { name: "Log-likelihood".into(), value: nats(log_likelihood), note: of }];
    cards.extend(elbo.map(|elbo| CardView {
        name: "Evidence lower bound".into(),
        value: nats(elbo),
        note: "of the log-likelihood, with one draw of the encoder at a time".into(),
    }));
    cards.extend(bits_per_dimension.map(|bits| CardView {
        name: "Bits per dimension".into(),
        value: with_error(bits.value, bits.error),
        note: "−log₂ p for each number of an event, a bound from uniform dequantisation".into(),
    }));
    cards
}

/// The figures to quote, each with its uncertainty and its floor as far as they have them.
pub(super) fn cards(metrics: &Metrics) -> Vec<CardView> {
    let mut cards: Vec<CardView> = metrics
        .global
        .c2st
        .iter()
        .map(|c2st| CardView {
            name: format!("Classifier AUC, {}", c2st.name),
            value: with_error(c2st.auc, c2st.error),
            note: format!(
                "floor {}; {}; Jensen–Shannon {} bit, floor {}",
                with_error(c2st.floor, c2st.floor_error),
                c2st.classifier,
                with_error(c2st.jensen_shannon.value, c2st.jensen_shannon.error),
                with_error(c2st.jensen_shannon.floor, c2st.jensen_shannon.floor_error)
            ),
        })
        .collect();
    if let Some(response) = &metrics.response {
        cards.extend(deviation("Mean response", response, |bin| bin.mean_deviation));
        cards.extend(deviation("Energy resolution", response, |bin| bin.resolution_deviation));
    }
    cards.extend(metrics.global.modes.iter().flat_map(mode_cards));
    cards.extend(metrics.events.iter().flat_map(|events| &events.masses).flat_map(mass_cards));
    cards.extend(metrics.images.iter().flat_map(image_cards));
    cards.extend(metrics.global.kl.map(|kl| CardView {
        name: "KL divergence from the truth".into(),
        value: format!("{} nat", with_error(kl.value, kl.error)),
        note: "0 for the true density; mean of log p − log q over the reference".into(),
    }));
    cards.extend(metrics.global.likelihood.iter().flat_map(likelihood_cards));
    cards.extend(metrics.global.correlation_distance.map(|distance| CardView {
        name: "Distance of correlations".into(),
        value: with_error(distance.value, distance.error),
        note: format!("floor {}; root mean square over pairs of features", significant(distance.floor, 2)),
    }));
    cards.extend(OF_EVENTS.iter().filter_map(|(_, title, figure)| {
        let distance = figure(&metrics.global)?;
        Some(CardView {
            name: (*title).into(),
            value: with_error(distance.value, distance.error),
            note: format!("floor {}; of the observables", with_error(distance.floor, distance.floor_error)),
        })
    }));
    cards.extend(worst(metrics, "Largest KS", |feature| (feature.ks.statistic, feature.ks.floor)));
    cards.extend(smallest_p_value(metrics));
    cards.extend(worst(metrics, "Largest separation power", |feature| {
        (feature.separation_power.value, feature.separation_power.floor)
    }));
    cards
}

/// What a classifier and the training sample tell about images.
fn image_cards(images: &ImageMetrics) -> Vec<CardView> {
    let card = |name: &str, found: DistanceMetrics, note: &str| CardView {
        name: name.into(),
        value: with_error(found.value, found.error),
        note: format!("floor {}; {note}", with_error(found.floor, found.floor_error)),
    };
    let mut cards = Vec::new();
    if let Some(found) = &images.classified {
        cards.extend(found.accuracy.map(|accuracy| {
            let [value, floor] = [(accuracy.value, accuracy.error), (accuracy.floor, accuracy.floor_error)]
                .map(|(value, error)| share(Share { value, error }));
            let note = format!("reference {floor}; images in the class that was asked for");
            CardView { name: "Class accuracy".into(), value, note }
        }));
        cards.push(card("Fréchet distance of images", found.fid_lenet, &found.classifier));
        cards.push(card("Balance of classes", found.balance, "entropy of the classes, 1 for equal shares"));
        cards.push(card("Smallest share of a class", found.smallest_share, "over the reference's share"));
        for (name, figure) in found.neighbours.iter().flat_map(NeighbourMetrics::named) {
            cards.push(card(
                &format!("{name} of images"),
                figure,
                "in the space of the classifier's features",
            ));
        }
    }
    if let Some(nearest) = &images.nearest {
        cards.push(card("Distance to training images", nearest.ratio, "median over that of test images"));
        cards.push(CardView {
            name: "Near copies of training images".into(),
            value: share(nearest.near_copies),
            note: "5 % for new images: nearer than a twentieth of the test images".into(),
        });
    }
    cards
}

fn mode_cards(modes: &ModeMetrics) -> [CardView; 2] {
    [
        CardView {
            name: "Modes recovered".into(),
            value: format!("{} of {}", modes.recovered, modes.modes.len()),
            note: format!(
                "floor {}; a third of the reference's events within {} of the centre",
                significant(modes.recovered_floor, 2),
                modes.radius
            ),
        },
        CardView {
            name: "Events outside all modes".into(),
            value: share(modes.outside),
            note: format!("floor {}", share(modes.outside_floor)),
        },
    ]
}

/// Position and width of a mass peak, beside the reference's.
fn mass_cards(mass: &MassMetrics) -> [CardView; 2] {
    let percent = |deviation: Estimate| with_error(100.0 * deviation.value, 100.0 * deviation.error);
    let beside = |value: f64, error: f64| format!("reference {} MeV", with_error(value, error));
    [
        CardView {
            name: format!("Mass of {} → γγ, position", mass.symbol),
            value: format!("{} %", percent(mass.position_deviation)),
            note: format!("difference; {}", beside(mass.reference.mean_mev, mass.reference.mean_error_mev)),
        },
        CardView {
            name: format!("Mass of {} → γγ, width", mass.symbol),
            value: format!("{} %", percent(mass.width_deviation)),
            note: format!("difference; {}", beside(mass.reference.width_mev, mass.reference.width_error_mev)),
        },
    ]
}

/// The largest relative deviation over the bins of incident energy, with its statistical error.
fn deviation(
    name: &str,
    response: &ResponseMetrics,
    quantity: fn(&ResponseBin) -> Estimate,
) -> Option<CardView> {
    let bin = response.worst(quantity)?;
    let Estimate { value, error } = quantity(bin);
    Some(CardView {
        name: format!("{name}, largest deviation"),
        value: format!("({}) %", with_error(100.0 * value, 100.0 * error)),
        note: format!(
            "at {}–{} MeV, of {} bins; the error is that of both samples",
            significant(bin.energy_low, 3),
            significant(bin.energy_high, 3),
            response.bins.len()
        ),
    })
}

/// The feature with the largest value of a figure.
fn worst(metrics: &Metrics, name: &str, figure: fn(&FeatureMetrics) -> (f64, f64)) -> Option<CardView> {
    let values = metrics.features.iter().map(|feature| (feature, figure(feature)));
    let (feature, (value, floor)) =
        values.filter(|(_, (value, _))| value.is_finite()).max_by(|a, b| a.1.0.total_cmp(&b.1.0))?;
    Some(CardView {
        name: name.into(),
        value: significant(value, 2),
        note: format!("floor {}; {}", significant(floor, 2), feature.feature.label),
    })
}

/// The feature that is the least probable for equal parents.
fn smallest_p_value(metrics: &Metrics) -> Option<CardView> {
    let adjusted = metrics.features.iter().filter_map(|feature| Some((feature, feature.adjusted?.holm)));
    let tests = adjusted.clone().count();
    let (feature, p_value) = adjusted.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(CardView {
        name: "Smallest p-value, KS".into(),
        value: probability(p_value),
        note: format!("adjusted for {tests} features (Holm); {}", feature.feature.label),
    })
}
