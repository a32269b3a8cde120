//! Sheets and maps of the latent space.

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array1, Array2, Axis};
use simile_data::Events;
use simile_validation::plots::{ClassMap, ImageBlock, ImageRow, ImageSheet};
use statrs::function::erf::erfc_inv;

use super::{Gallery, PipelineError};
use crate::models::{PrincipalComponents, normal_noise};
use crate::training::{matrix, tensor};

/// Heading of the figures.
pub(super) const SECTION: &str = "Latent space";
/// Rows of interpolations.
const INTERPOLATIONS: usize = 6;
/// Steps from one end to the other.
const STEPS: usize = 10;
/// Rows and columns of a traversal.
const TRAVERSAL: usize = 9;
/// Quantiles at its ends.
const QUANTILES: [f64; 2] = [0.05, 0.95];
/// Latent spaces with more dimensions have none that matters much.
const MOST_LATENTS: usize = 128;
/// Fewer events of one condition tell too little about its latents.
const FEWEST: usize = 20;
/// Latents at which the use of every dimension is measured.
const PROBES: usize = 16;

impl Gallery<'_> {
    /// Latents of test events, `[events, latents]`; none where the model knows no way back.
    fn latents(&self, events: &Events, stream: u64) -> Result<Option<Tensor<2>>, PipelineError> {
        let target = self.target(events, &mut self.rng(stream))?;
        Ok(self.bundle.generator.latent(target, self.condition(events)?))
    }

    fn noise(&self, rows: usize, stream: u64) -> Tensor<2> {
        normal_noise(rows, self.bundle.generator.latent_width(), self.device, &mut self.rng(stream))
    }

    /// Between two test images with the same condition, if there are such, or between two points of noise.
    pub(super) fn interpolations(&self) -> Result<ImageSheet, PipelineError> {
        let starts: Vec<usize> = (0..INTERPOLATIONS.min(self.test.len())).collect();
        let conditions = self.bundle.preprocessing.condition(&self.test)?;
        let partner = |&start: &usize| {
            let later = (start + 1..self.test.len()).chain(0..start);
            let alike = |&end: &usize| end >= INTERPOLATIONS && conditions.row(end) == conditions.row(start);
            later.clone().find(alike).or(later.clone().next()).unwrap_or(start)
        };
        let ends: Vec<usize> = starts.iter().map(partner).collect();
        let [from, to] = [&starts, &ends].map(|events| self.events(events.iter().copied()));
        let encoded = self.latents(&from, 2)?.zip(self.latents(&to, 3)?);
        let is_encoded = encoded.is_some();
        let (a, b) = encoded.unwrap_or_else(|| (self.noise(from.len(), 2), self.noise(from.len(), 3)));
        let (a, b) = (matrix(a), matrix(b));
        let is_noise = self.bundle.generator.is_latent_noise();
        let mut columns: Vec<Array2<f32>> = Vec::new();
        for step in 0..=STEPS {
            let t = step as f32 / STEPS as f32;
            let latent = if is_noise { on_sphere(&a, &b, t) } else { &a * (1.0 - t) + &b * t };
            let condition = self.condition(&from)? * (1.0 - t) + self.condition(&to)? * t;
            let target = self.bundle.generator.decode(tensor(&latent, self.device), condition);
            columns.push(self.pixels(target, &from)?);
        }
        let mut labels: Vec<String> =
            (0..=STEPS).map(|step| (step as f32 / STEPS as f32).to_string()).collect();
        if is_encoded {
            columns.insert(0, self.pixels_of(&from)?.to_owned());
            columns.push(self.pixels_of(&to)?.to_owned());
            labels.insert(0, "image".into());
            labels.push("image".into());
        }
        let rows = starts.iter().enumerate().map(|(row, &event)| ImageRow {
            label: self.class(event),
            apart: false,
            images: columns.iter().map(|column| self.shades(column.row(row))).collect(),
        });
        let between = if is_encoded {
            "the latents of two test images, which stand at the ends,"
        } else {
            "two points of noise"
        };
        let line = if is_noise { "spherical" } else { "straight" };
        Ok(ImageSheet {
            name: "images_interpolation".into(),
            title: "Between two images".into(),
            caption: format!("Images on the {line} line between {between} for conditions that go along."),
            section: SECTION.into(),
            blocks: vec![ImageBlock { heading: String::new(), columns: labels, rows: rows.collect() }],
        })
    }

    /// Along the two latent dimensions that change images most; none in spaces of many dimensions.
    pub(super) fn traversal(&self) -> Result<Option<ImageSheet>, PipelineError> {
        let width = self.bundle.generator.latent_width();
        if !(2..=MOST_LATENTS).contains(&width) {
            return Ok(None);
        }
        let [first, second] = self.most_used(&self.latent_moments(&self.test)?.1)?;
        let blocks = self.different_conditions()?.into_iter().map(|alike| {
            let event = alike[0];
            let (mean, spread) = self.latent_moments(&self.events(alike))?;
            let events = self.events(std::iter::repeat_n(event, TRAVERSAL * TRAVERSAL));
            let latents = Array2::from_shape_fn((TRAVERSAL * TRAVERSAL, width), |(place, latent)| {
                let scale = match latent {
                    _ if latent == first => normal_quantile(quantile(place % TRAVERSAL)),
                    _ if latent == second => normal_quantile(quantile(TRAVERSAL - 1 - place / TRAVERSAL)),
                    _ => 0.0,
                };
                mean[latent] + spread[latent] * scale as f32
            });
            let condition = self.condition(&events)?;
            let target = self.bundle.generator.decode(tensor(&latents, self.device), condition);
            let pixels = self.pixels(target, &events)?;
            let rows = pixels
                .axis_chunks_iter(Axis(0), TRAVERSAL)
                .enumerate()
                .map(|(row, images)| self.row(format!("{:.2}", quantile(TRAVERSAL - 1 - row)), images));
            let heading = match self.class(event) {
                class if class.is_empty() || self.images.labelled[1].is_none() => String::new(),
                class => format!("Class {class}"),
            };
            let columns = (0..TRAVERSAL).map(|column| format!("{:.2}", quantile(column))).collect();
            Ok(ImageBlock { heading, columns, rows: rows.collect() })
        });
        let blocks: Result<Vec<_>, PipelineError> = blocks.collect();
        Ok(Some(ImageSheet {
            name: "images_traversal".into(),
            title: "Two latent dimensions".into(),
            caption: format!(
                "Images for quantiles of latent dimensions {} (to the right) and {} (upwards), which of {width} change images most, \
                 with all others at their mean, of test images \
                 with the same condition where there are such.",
                first + 1,
                second + 1
            ),
            section: SECTION.into(),
            blocks: blocks?,
        }))
    }

    /// Mean and standard deviation of every latent dimension: those of events, or of the noise.
    fn latent_moments(&self, events: &Events) -> Result<(Array1<f32>, Array1<f32>), PipelineError> {
        let width = self.bundle.generator.latent_width();
        Ok(match self.latents(events, 4)? {
            Some(latents) => {
                let latents = matrix(latents);
                (latents.mean_axis(Axis(0)).expect("there are test events"), latents.std_axis(Axis(0), 0.0))
            }
            None => (Array1::zeros(width), Array1::ones(width)),
        })
    }

    /// The two dimensions in which a step of one standard deviation to either side changes targets most, mean over some latents.
    fn most_used(&self, spread: &Array1<f32>) -> Result<[usize; 2], PipelineError> {
        let events = self.events((0..PROBES).map(|probe| probe % self.test.len()));
        let condition = self.condition(&events)?;
        let probes = self.latents(&events, 5)?.unwrap_or_else(|| self.noise(PROBES, 5));
        let width = spread.len();
        let change = |latent: usize| {
            let mut step = vec![0.0; width];
            step[latent] = spread[latent];
            let step = Tensor::<2>::from_data(TensorData::new(step, [1, width]), self.device);
            let [up, down] = [1.0, -1.0].map(|sign| {
                self.bundle.generator.decode(probes.clone() + step.clone() * sign, condition.clone())
            });
            (up - down).square().mean().into_scalar::<f64>()
        };
        let changes: Vec<f64> = (0..width).map(change).collect();
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|&a, &b| changes[b].total_cmp(&changes[a]));
        Ok([order[0], order[1]])
    }

    /// Test events with the condition of the first, and those with the first other condition, if there is one. Where conditions
    /// seldom repeat, both are followed by all events.
    fn different_conditions(&self) -> Result<Vec<Vec<usize>>, PipelineError> {
        let conditions = self.bundle.preprocessing.condition(&self.test)?;
        let all = 0..self.test.len();
        let other = all.clone().find(|&event| conditions.row(event) != conditions.row(0));
        let alike = |event: usize| {
            let alike = all.clone().filter(|&other| conditions.row(other) == conditions.row(event));
            let alike: Vec<usize> = alike.collect();
            if alike.len() < FEWEST { std::iter::once(event).chain(all.clone()).collect() } else { alike }
        };
        Ok(std::iter::once(0).chain(other).map(alike).collect())
    }

    /// Latents of test images in a plane, coloured by class; none without classes or a way back to the latent space.
    pub(super) fn map(&self) -> Result<Option<ClassMap>, PipelineError> {
        let Some(classes) = self.images.classes_of(0) else { return Ok(None) };
        let Some(latents) = self.latents(&self.test, 4)?.map(matrix) else { return Ok(None) };
        let (points, axes, plane) = match latents.ncols() {
            0 | 1 => return Ok(None),
            2 => (latents, ["z₁", "z₂"], String::new()),
            width => {
                let Some(plane) = PrincipalComponents::fit(&latents, 2) else { return Ok(None) };
                let points = plane.project(&latents);
                let axes = ["First principal component", "Second principal component"];
                (
                    points,
                    axes,
                    format!(", in the plane of the first two principal components of {width} dimensions"),
                )
            }
        };
        let conditional = if self.images.labelled[1].is_some() {
            " The model is told the class, so that its latents need not hold it."
        } else {
            ""
        };
        Ok(Some(ClassMap {
            classes: classes[..points.nrows()].to_vec(),
            points: points.rows().into_iter().map(|point| [point[0], point[1]]).collect(),
            labels: self.images.classes.clone(),
            axes: axes.map(String::from),
            caption: format!("Latents of test images{plane}, coloured by class.{conditional}"),
        }))
    }
}

/// The quantile of a row or column of a traversal.
fn quantile(place: usize) -> f64 {
    let [low, high] = QUANTILES;
    low + (high - low) * place as f64 / (TRAVERSAL - 1) as f64
}

/// Φ⁻¹(p)
fn normal_quantile(p: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * p)
}

/// sin((1 − t)Ω)/sin Ω · a + sin(tΩ)/sin Ω · b for every row, Ω the angle between the two; a straight line where it vanishes.
fn on_sphere(a: &Array2<f32>, b: &Array2<f32>, t: f32) -> Array2<f32> {
    let mut result = Array2::zeros(a.raw_dim());
    for ((mut row, a), b) in result.rows_mut().into_iter().zip(a.rows()).zip(b.rows()) {
        let lengths = (a.dot(&a) * b.dot(&b)).sqrt();
        let angle = (a.dot(&b) / lengths.max(f32::MIN_POSITIVE)).clamp(-1.0, 1.0).acos();
        let weights = match angle.sin() {
            sine if sine > 1e-3 => [((1.0 - t) * angle).sin() / sine, (t * angle).sin() / sine],
            _ => [1.0 - t, t],
        };
        row.assign(&(&a * weights[0] + &b * weights[1]));
    }
    result
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_way_on_the_sphere_keeps_the_length_and_its_ends() {
        let (a, b) = (array![[3.0, 0.0], [1.0, 1.0]], array![[0.0, 3.0], [1.0, 1.0]]);
        let middle = on_sphere(&a, &b, 0.5);
        let half = 3.0 / 2.0f32.sqrt();
        assert!((&middle - &array![[half, half], [1.0, 1.0]]).iter().all(|d| d.abs() < 1e-6), "{middle}");
        assert!((&on_sphere(&a, &b, 0.0) - &a).iter().all(|d| d.abs() < 1e-6));
        assert!((&on_sphere(&a, &b, 1.0) - &b).iter().all(|d| d.abs() < 1e-6));
    }

    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        for (place, expected) in [(0, 0.05), (4, 0.5), (8, 0.95)] {
            assert!((quantile(place) - expected).abs() < 1e-12, "place {place}");
        }
        // scipy 1.17.1: stats.norm.ppf(0.95)
        assert!((normal_quantile(0.95) - 1.6448536269514722).abs() < 1e-6);
    }
}
