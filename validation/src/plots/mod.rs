//! Figures of a validation as SVG and PNG, in the style in which the field prints them.
//!
//! The reference is a grey histogram, the candidate coloured points; under every comparison stands their ratio
//! with the statistical error of both. Samples differ by mark and line style as well as by colour.

mod axis;
mod color_bar;
mod correlation;
mod curves;
mod events;
mod font;
pub mod format;
mod images;
mod indexed;
mod labels;
mod latent;
mod latent_classes;
mod legend;
mod overlay;
mod palette;
mod panel;
mod plane;
mod profile;
mod render;
mod response;
mod roc;
mod scene;
mod sections;
mod shower;
mod spectrum;
mod trade_off;
mod weights;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use simile_data::DataError;

pub use curves::{EpochPoint, LearningCurves};
pub(crate) use font::REGULAR as FONT;
pub use images::{ImageBlock, ImageFigures, ImageRow, ImageSheet};
pub use latent::LatentMap;
pub use latent_classes::ClassMap;
pub use trade_off::{Contender, Limited, TradeOff, write_trade_off};

use crate::metrics::{Metrics, SampleInfo};
use scene::Scene;

/// A figure as written to disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Identifier, unique among the figures of one run, and name of its files without extension.
    pub name: String,
    /// Title, as printed above the figure.
    pub title: String,
    /// What it shows, in a sentence or two.
    pub caption: String,
    /// Heading of the gallery under which it belongs; figures of one section follow each other.
    pub section: String,
    /// The vector file.
    pub svg_path: PathBuf,
    /// The bitmap file, twice the nominal size.
    pub png_path: PathBuf,
    /// Contents of the vector file.
    pub svg: String,
}

/// Why figures could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The folder of the figures could not be made.
    #[error("cannot create the folder {path}: {source}; choose one that can be written")]
    Folder {
        /// Folder.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// A figure could not be written.
    #[error(transparent)]
    Write(#[from] DataError),
    /// The bitmap could not be encoded.
    #[error("cannot encode the figure {path} as PNG: {source}")]
    Png {
        /// File.
        path: PathBuf,
        /// Reason.
        source: png::EncodingError,
    },
}

/// Heading of the figures that compare generated with training events.
pub const MEMORISATION: &str = "Memorisation";

/// A figure before it is written.
struct Draft {
    name: String,
    title: String,
    caption: String,
    section: String,
    scene: Scene,
}

/// Draws every figure that `metrics`, `curves`, `latents` and `images` have data for, and writes each to `directory` as SVG and PNG.
///
/// The folder is created if need be. Files appear complete or not at all; files of the same names are replaced.
/// Figures come in the order in which a report shows them.
///
/// # Errors
/// When a file cannot be written, with its path.
pub fn write_plots(
    metrics: &Metrics,
    curves: Option<&LearningCurves>,
    latents: Option<&LatentMap>,
    images: Option<&ImageFigures>,
    directory: &Path,
) -> Result<Vec<Figure>, PlotError> {
    std::fs::create_dir_all(directory)
        .map_err(|source| PlotError::Folder { path: directory.into(), source })?;
    drafts(metrics, curves, latents, images).into_par_iter().map(|draft| write(draft, directory)).collect()
}

fn drafts(
    metrics: &Metrics,
    curves: Option<&LearningCurves>,
    latents: Option<&LatentMap>,
    images: Option<&ImageFigures>,
) -> Vec<Draft> {
    let samples = [&metrics.reference, &metrics.candidate];
    let mut drafts = Vec::new();
    drafts.extend(images.into_iter().flat_map(images::drafts));
    let nearest = metrics.images.as_ref().and_then(|images| images.nearest.as_ref());
    drafts.extend(nearest.map(|found| {
        let [reference, candidate] =
            [0, 1].map(|i| SampleInfo { events: found.images[i], ..samples[i].clone() });
        spectrum::draft(&found.distance, [&reference, &candidate], MEMORISATION.into())
    }));
    drafts.extend(metrics.response.iter().flat_map(|response| response::drafts(response, samples)));
    drafts.extend(metrics.events.iter().flat_map(|found| events::drafts(found, samples)));
    let modes = metrics.global.modes.as_ref();
    drafts.extend(metrics.plane.iter().map(|plane| plane::draft(plane, modes, samples)));
    drafts.extend(metrics.global.c2st.iter().map(|c2st| roc::draft(c2st, samples)));
    drafts.extend(metrics.global.c2st.iter().map(|c2st| weights::draft(c2st, samples)));
    for (feature, section) in metrics.features.iter().zip(sections::of(&metrics.features)) {
        drafts.push(spectrum::draft(feature, samples, section));
    }
    drafts.extend(metrics.global.correlations.iter().map(|found| correlation::draft(found, samples)));
    if let Some(profiles) = &metrics.profiles {
        drafts.extend(profile::draft(profiles, samples));
        drafts.extend(shower::drafts(profiles, samples));
    }
    drafts.extend(latents.and_then(latent::draft));
    drafts.extend(curves.map(curves::drafts).unwrap_or_default());
    sections::gather(&mut drafts);
    name_apart(&mut drafts);
    drafts
}

/// Makes names fit for files of any system, and different from each other.
fn name_apart(drafts: &mut [Draft]) {
    let mut taken = BTreeSet::new();
    for draft in drafts {
        let safe: String = draft
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' })
            .collect();
        let numbered = std::iter::once(safe.clone()).chain((2..).map(|number| format!("{safe}_{number}")));
        draft.name = numbered.into_iter().find(|name| taken.insert(name.to_lowercase())).unwrap_or(safe);
    }
}

fn write(draft: Draft, directory: &Path) -> Result<Figure, PlotError> {
    let path = |extension: &str| directory.join(format!("{}.{extension}", draft.name));
    let (svg_path, png_path) = (path("svg"), path("png"));
    let svg = render::svg(&draft.scene);
    let png =
        render::png(&draft.scene).map_err(|source| PlotError::Png { path: png_path.clone(), source })?;
    simile_data::write_file(&svg_path, &svg)?;
    simile_data::write_file(&png_path, png)?;
    let Draft { name, title, caption, section, .. } = draft;
    Ok(Figure { name, title, caption, section, svg_path, png_path, svg })
}

#[cfg(test)]
pub(crate) mod tests;
