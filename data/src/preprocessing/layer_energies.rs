//! Calorimeter showers in the coordinates of CaloFlow (arXiv:2106.05285) and CaloINN (arXiv:2312.09290).
//!
//! With v_k the energy of voxel k, E_i = Σ_{k∈i} v_k that of layer i of L and E_inc the incident energy:
//!
//! - u_0 = Σ_i E_i / (f E_inc), with f the largest response of the training sample times `headroom`;
//! - u_i = E_{i−1} / Σ_{j≥i−1} E_j for i = 1 … L−1: the part of what is left that stays in the next layer;
//! - x_k = v_k / Σ_{k'∈i} v_k' for the voxels of every layer that has more than one.
//!
//! All lie in (0, 1), many of them close to an end, where single precision resolves them only after a
//! `logit`. What is below the readout threshold t carries no information and is replaced by t·U(0, 1), drawn
//! afresh each time, so that the distribution has no atom at zero: voxels before the x_k are formed, layer
//! energies before the u_i are. The E_i themselves are sums of the voxels as read.
//!
//! The inverse gives each layer exactly its E_i. Of its voxels it keeps the most energetic ones, as many as
//! stay at or above t when they share E_i in proportion to their x_k, and sets the others to zero. For voxels
//! all zero or ≥ t this undoes the noise exactly: the voxels with energy, scaled to E_i, are what they were,
//! and the next largest would be noise below t. A layer with E_i < t is empty; its energy, less than t, is
//! the only one not conserved.

#[cfg(test)]
mod tests;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rand::distributions::Open01;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};
use simile_physics::Geometry;

use super::error::{Fault, StepError, ValueError};

/// A voxel right at threshold comes back from single precision a little below it; it is a voxel from this
/// part of the threshold on.
const KEPT_FROM: f64 = 1.0 - 2e-5;

/// Noise stops at this part of the threshold, so that rounding does not lift it over [`KEPT_FROM`].
const NOISE_CEILING: f64 = 1.0 - 4e-5;

/// Fitted form of the step; `[rows, voxels]` MeV ↔ `[rows, n_ratios + n_fractions]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LayerEnergies {
    incident: String,
    threshold_mev: f32,
    /// f: visible/incident energy at u_0 = 1.
    max_response: f32,
    /// Voxels of each layer that has any.
    layer_voxels: Vec<usize>,
}

impl LayerEnergies {
    /// Checks the parameters against `geometry` and the training sample `voxels` `[rows, voxels]`. The
    /// response limit is still to be fitted.
    pub(super) fn new(
        incident: &str,
        threshold_mev: f64,
        headroom: f64,
        geometry: &Geometry,
        voxels: ArrayView2<f32>,
    ) -> Result<Self, StepError> {
        if !(0.0..1e30).contains(&threshold_mev) {
            let allowed = "a finite energy in MeV, 0 or more";
            return Err(StepError::Parameter { name: "threshold_mev", value: threshold_mev, allowed });
        }
        if !(headroom > 1.0 && headroom <= 1e3) {
            return Err(StepError::Parameter {
                name: "headroom",
                value: headroom,
                allowed: "above 1, at most 1000",
            });
        }
        if geometry.n_voxels() != voxels.ncols() {
            return Err(StepError::Voxels { found: voxels.ncols(), expected: geometry.n_voxels() });
        }
        if voxels.iter().all(|&energy| energy == 0.0) {
            return Err(StepError::NoEnergy);
        }
        let layers = geometry.layers.iter().map(|layer| layer.n_voxels());
        Ok(Self {
            incident: incident.to_owned(),
            threshold_mev: threshold_mev as f32,
            max_response: headroom as f32,
            layer_voxels: layers.filter(|&voxels| voxels > 0).collect(),
        })
    }

    /// Fits the response limit: `headroom` × the largest response of the training sample.
    pub(super) fn fit_response(
        self,
        voxels: ArrayView2<f32>,
        incident_mev: ArrayView1<f32>,
    ) -> Result<Self, Fault> {
        let largest = self.largest_response(voxels, incident_mev)?;
        Ok(Self { max_response: (f64::from(self.max_response) * largest) as f32, ..self })
    }

    /// Name of the column of the incident energy.
    pub(super) fn incident(&self) -> &str {
        &self.incident
    }

    /// Columns of the ratios u_i: one for each layer.
    pub(super) fn n_ratios(&self) -> usize {
        self.layer_voxels.len()
    }

    /// Columns of the fractions x_k: one for each voxel that shares its layer.
    pub(super) fn n_fractions(&self) -> usize {
        self.layer_voxels.iter().filter(|&&voxels| voxels > 1).sum()
    }

    /// Width of model space; `None` if the parameters do not suit `input` voxels.
    pub(super) fn output_width(&self, input: usize) -> Option<usize> {
        let usable = self.layer_voxels.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)) == Some(input)
            && !self.layer_voxels.contains(&0)
            && self.threshold_mev.is_finite()
            && self.threshold_mev >= 0.0
            && self.max_response.is_normal()
            && self.max_response > 0.0;
        usable.then(|| self.n_ratios() + self.n_fractions())
    }

    /// Energies in MeV → ratios and fractions. Draws noise from `rng`, event by event.
    pub(super) fn forward(
        &self,
        voxels: ArrayView2<f32>,
        incident_mev: ArrayView1<f32>,
        rng: &mut dyn RngCore,
    ) -> Result<Array2<f64>, Fault> {
        let mut result = Array2::zeros((voxels.nrows(), self.n_ratios() + self.n_fractions()));
        let voxels = voxels.as_standard_layout();
        for (row, (shower, mut out)) in voxels.outer_iter().zip(result.outer_iter_mut()).enumerate() {
            let shower = shower.to_slice().expect("rows in standard layout are contiguous");
            let incident = self.check(row, shower, incident_mev[row])?;
            let out = out.as_slice_mut().expect("rows in standard layout are contiguous");
            let (ratios, fractions) = out.split_at_mut(self.n_ratios());
            self.normalise_layers(shower, ratios, fractions, rng);
            let visible = energies_to_splits(ratios);
            ratios[0] = visible / (f64::from(self.max_response) * incident);
            if ratios[0] >= 1.0 {
                let (response, limit) = (visible / incident, f64::from(self.max_response));
                return Err(Fault {
                    row,
                    component: 0,
                    error: ValueError::ResponseTooHigh { response, limit },
                });
            }
        }
        Ok(result)
    }

    /// Ratios and fractions → energies in MeV.
    pub(super) fn inverse(
        &self,
        z: ArrayView2<f64>,
        incident_mev: ArrayView1<f32>,
    ) -> Result<Array2<f32>, Fault> {
        let mut result = Array2::zeros((z.nrows(), self.layer_voxels.iter().sum()));
        let mut by_energy = Vec::with_capacity(self.layer_voxels.iter().copied().max().unwrap_or(0));
        let z = z.as_standard_layout();
        for (row, (z, mut shower)) in z.outer_iter().zip(result.outer_iter_mut()).enumerate() {
            let incident = self.check(row, &[], incident_mev[row])?;
            let z = z.to_slice().expect("rows in standard layout are contiguous");
            let (ratios, mut fractions) = z.split_at(self.n_ratios());
            let mut cells = shower.as_slice_mut().expect("rows in standard layout are contiguous");
            let mut left = ratios[0].max(0.0) * f64::from(self.max_response) * incident;
            for (layer, &n) in self.layer_voxels.iter().enumerate() {
                let split = ratios.get(layer + 1).map_or(1.0, |split| split.clamp(0.0, 1.0));
                let (of_layer, rest) = cells.split_at_mut(n);
                let (shares, rest_of_fractions) = fractions.split_at(if n > 1 { n } else { 0 });
                self.fill_layer(left * split, shares, of_layer, &mut by_energy);
                (cells, fractions) = (rest, rest_of_fractions);
                left *= 1.0 - split;
            }
        }
        Ok(result)
    }

    /// Checks an event, and gives its incident energy.
    fn check(&self, row: usize, shower: &[f32], incident_mev: f32) -> Result<f64, Fault> {
        if let Some(component) = shower.iter().position(|&energy| energy < 0.0) {
            let value = f64::from(shower[component]);
            return Err(Fault { row, component, error: ValueError::NegativeEnergy { value } });
        }
        let value = f64::from(incident_mev);
        if !(value > 0.0 && value.is_finite()) {
            let incident = self.incident.clone();
            return Err(Fault { row, component: 0, error: ValueError::IncidentEnergy { incident, value } });
        }
        Ok(value)
    }

    /// Largest Σ_i max(E_i, t) / E_inc: noise in an empty layer stays below t.
    fn largest_response(&self, voxels: ArrayView2<f32>, incident_mev: ArrayView1<f32>) -> Result<f64, Fault> {
        let voxels = voxels.as_standard_layout();
        let mut largest = 0.0f64;
        for (row, shower) in voxels.axis_iter(Axis(0)).enumerate() {
            let mut shower = shower.to_slice().expect("rows in standard layout are contiguous");
            let incident = self.check(row, shower, incident_mev[row])?;
            let mut visible = 0.0;
            for &n in &self.layer_voxels {
                let (of_layer, rest) = shower.split_at(n);
                visible += sum(of_layer).max(f64::from(self.threshold_mev));
                shower = rest;
            }
            largest = largest.max(visible / incident);
        }
        Ok(largest)
    }

    /// Energy in MeV from which on a voxel or a layer is taken to be above threshold.
    fn kept_from(&self) -> f64 {
        KEPT_FROM * f64::from(self.threshold_mev)
    }

    /// Writes the layer energies, noise in place of those below threshold, and the voxel fractions.
    fn normalise_layers(
        &self,
        mut shower: &[f32],
        energies: &mut [f64],
        mut fractions: &mut [f64],
        rng: &mut dyn RngCore,
    ) {
        let threshold = f64::from(self.threshold_mev);
        let mut noised = |energy: f64| match energy < threshold {
            true => NOISE_CEILING * threshold * rng.sample::<f64, _>(Open01),
            false => energy,
        };
        for (energy, &n) in energies.iter_mut().zip(&self.layer_voxels) {
            let (of_layer, rest) = shower.split_at(n);
            shower = rest;
            *energy = noised(sum(of_layer));
            if n == 1 {
                continue;
            }
            let (shares, rest) = fractions.split_at_mut(n);
            fractions = rest;
            let mut total = 0.0;
            for (share, &cell) in shares.iter_mut().zip(of_layer) {
                *share = noised(f64::from(cell));
                total += *share;
            }
            if total > 0.0 {
                shares.iter_mut().for_each(|share| *share /= total);
            }
        }
    }

    /// Shares `energy` among `cells` in proportion to `shares`, leaving none below threshold.
    fn fill_layer(&self, energy: f64, shares: &[f64], cells: &mut [f32], by_energy: &mut Vec<f64>) {
        if energy <= 0.0 || energy < self.kept_from() {
            return;
        }
        if shares.is_empty() {
            cells[0] = energy as f32;
            return;
        }
        by_energy.clear();
        by_energy.extend(shares.iter().map(|share| share.max(0.0)));
        by_energy.sort_unstable_by(|a, b| b.total_cmp(a));
        let Kept { number, total } = self.kept(energy, by_energy);
        if total <= 0.0 {
            cells.fill((energy / cells.len() as f64) as f32);
            return;
        }
        let smallest = by_energy[number - 1];
        // Of voxels that tie for the last place, as many as there are places.
        let mut ties = number - by_energy.partition_point(|&share| share > smallest);
        for (cell, &share) in cells.iter_mut().zip(shares) {
            let tie = share == smallest && ties > 0;
            ties -= usize::from(tie);
            if share > smallest || tie {
                *cell = (energy * share / total) as f32;
            }
        }
    }

    /// The largest number of leading shares that all stay at or above threshold when they share `energy`. The
    /// smallest of them decides, and shrinks with every one added.
    fn kept(&self, energy: f64, decreasing: &[f64]) -> Kept {
        let threshold = self.kept_from();
        let mut kept = Kept { number: 1, total: decreasing[0] };
        for &share in &decreasing[1..] {
            let total = kept.total + share;
            if share <= 0.0 || energy * share < threshold * total {
                break;
            }
            kept = Kept { number: kept.number + 1, total };
        }
        kept
    }
}

/// The leading voxels of a layer that keep energy, and the sum of their shares.
struct Kept {
    number: usize,
    total: f64,
}

fn sum(energies: &[f32]) -> f64 {
    energies.iter().map(|&energy| f64::from(energy)).sum()
}

/// Turns layer energies E_0 … E_{L−1} into the splits u_1 … u_{L−1}, which take places 1 … L−1. Returns Σ
/// E_i.
fn energies_to_splits(energies: &mut [f64]) -> f64 {
    let mut tail = energies[energies.len() - 1];
    for layer in (0..energies.len() - 1).rev() {
        tail += energies[layer];
        energies[layer + 1] = if tail > 0.0 { energies[layer] / tail } else { 0.0 };
    }
    tail
}
