//! Calorimeter showers as energies shared between layers (CaloFlow, arXiv:2106.05285; CaloINN, arXiv:2312.09290)
//! and voxels on a logarithmic scale.
//!
//! With v_k the energy of voxel k, E_i = Σ_{k∈i} v_k that of layer i of L, E_inc the incident energy and t the readout
//! threshold:
//!
//! - u_0 = Σ_i E_i / (f E_inc), with f the largest response of the training sample times `headroom`;
//! - u_i = E_{i−1} / Σ_{j≥i−1} E_j for i = 1 … L−1: the part of what is left that stays in the next layer;
//! - x_k = ln(v_k / t) for the voxels of every layer that has more than one.
//!
//! The u_i lie in (0, 1) and are given as logit u_i = ln(u_i / (1 − u_i)). What is below threshold carries no
//! information and is replaced by t·U(0, 1), drawn afresh each time, so that the distribution has no atom at zero:
//! voxels before the x_k are formed, layer energies before the u_i are. The E_i themselves are sums of the voxels as
//! read. CaloFlow divides voxels by the energy of their layer; then the value that separates noise from energy differs
//! from shower to shower, and a flow lets voxels leak across it. Here it is x_k = 0 for every shower.
//!
//! The voxels of a layer sum to the E_i that the u_i give already: one direction too many, in which the density would be
//! a ridge without width, and a flow would spend itself on making it sharper. The x_k of voxels above threshold are
//! therefore shifted together by G·U(0, 1), G = [`LARGEST_SHIFT`], drawn afresh for each layer of each shower; the
//! inverse uses ratios of voxels only.
//!
//! With `rotate`, every shower is turned by a random multiple of the angle between α sectors and mirrored at random,
//! afresh each time, which multiplies the training sample where the distribution has this symmetry.
//!
//! The inverse gives each layer exactly its E_i: voxels below t are set to zero and the others scaled to sum to E_i,
//! of which the smallest are left out where scaling takes them below t. For voxels all zero or ≥ t this undoes the
//! noise exactly. A layer with E_i < t is empty; its energy, less than t, is the only one not conserved.

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

/// See the module documentation.
const LARGEST_SHIFT: f64 = 0.2;

/// Voxels e^±80 times the threshold are none that a calorimeter measures; beyond, shares would not be finite or vanish.
const LARGEST_LOG: f64 = 80.0;

/// Fitted form of the step; `[rows, voxels]` MeV ↔ `[rows, n_ratios + n_shared]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LayerEnergies {
    incident: String,
    threshold_mev: f32,
    /// f: visible/incident energy at u_0 = 1.
    max_response: f32,
    /// Voxels of each layer that has any.
    layer_voxels: Vec<usize>,
    /// α sectors of each of these layers.
    layer_sectors: Vec<usize>,
    /// Turn and mirror showers at random.
    rotate: bool,
}

impl LayerEnergies {
    /// Checks the parameters against `geometry` and the training sample `voxels` `[rows, voxels]`. The
    /// response limit is still to be fitted.
    pub(super) fn new(
        incident: &str,
        threshold_mev: f64,
        headroom: f64,
        rotate: bool,
        geometry: &Geometry,
        voxels: ArrayView2<f32>,
    ) -> Result<Self, StepError> {
        if !(1e-30..1e30).contains(&threshold_mev) {
            let allowed = "an energy in MeV above 0";
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
        let layers = || geometry.layers.iter().filter(|layer| layer.n_voxels() > 0);
        Ok(Self {
            incident: incident.to_owned(),
            threshold_mev: threshold_mev as f32,
            max_response: headroom as f32,
            layer_voxels: layers().map(|layer| layer.n_voxels()).collect(),
            layer_sectors: layers().map(|layer| layer.n_alpha).collect(),
            rotate,
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

    /// Columns of the x_k: one for each voxel that shares its layer.
    pub(super) fn n_shared(&self) -> usize {
        self.layer_voxels.iter().filter(|&&voxels| voxels > 1).sum()
    }

    /// Width of model space; `None` if the parameters do not suit `input` voxels.
    pub(super) fn output_width(&self, input: usize) -> Option<usize> {
        let usable = self.layer_voxels.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)) == Some(input)
            && !self.layer_voxels.contains(&0)
            && self.layer_sectors.len() == self.layer_voxels.len()
            && self
                .layer_voxels
                .iter()
                .zip(&self.layer_sectors)
                .all(|(&n, &sectors)| sectors > 0 && n % sectors == 0)
            && self.threshold_mev.is_finite()
            && self.threshold_mev > 0.0
            && self.max_response.is_normal()
            && self.max_response > 0.0;
        usable.then(|| self.n_ratios() + self.n_shared())
    }

    /// Energies in MeV → model space. Draws symmetry and noise from `rng`, event by event.
    pub(super) fn forward(
        &self,
        voxels: ArrayView2<f32>,
        incident_mev: ArrayView1<f32>,
        rng: &mut dyn RngCore,
    ) -> Result<Array2<f64>, Fault> {
        let mut result = Array2::zeros((voxels.nrows(), self.n_ratios() + self.n_shared()));
        let voxels = voxels.as_standard_layout();
        let mut turned = vec![0.0; voxels.ncols()];
        for (row, (shower, mut out)) in voxels.outer_iter().zip(result.outer_iter_mut()).enumerate() {
            let mut shower = shower.to_slice().expect("rows in standard layout are contiguous");
            let incident = self.check(row, shower, incident_mev[row])?;
            if self.rotate {
                self.turn(shower, &mut turned, rng);
                shower = &turned;
            }
            let out = out.as_slice_mut().expect("rows in standard layout are contiguous");
            let (ratios, shared) = out.split_at_mut(self.n_ratios());
            self.fill_model_space(shower, ratios, shared, rng);
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
            ratios.iter_mut().for_each(|ratio| *ratio = logit(*ratio));
        }
        Ok(result)
    }

    /// Model space → energies in MeV.
    pub(super) fn inverse(
        &self,
        z: ArrayView2<f64>,
        incident_mev: ArrayView1<f32>,
    ) -> Result<Array2<f32>, Fault> {
        let mut result = Array2::zeros((z.nrows(), self.layer_voxels.iter().sum()));
        let mut above = Vec::with_capacity(self.layer_voxels.iter().copied().max().unwrap_or(0));
        let z = z.as_standard_layout();
        for (row, (z, mut shower)) in z.outer_iter().zip(result.outer_iter_mut()).enumerate() {
            let incident = self.check(row, &[], incident_mev[row])?;
            let z = z.to_slice().expect("rows in standard layout are contiguous");
            let (ratios, mut shared) = z.split_at(self.n_ratios());
            let mut cells = shower.as_slice_mut().expect("rows in standard layout are contiguous");
            let mut left = sigmoid(ratios[0]) * f64::from(self.max_response) * incident;
            for (layer, &n) in self.layer_voxels.iter().enumerate() {
                // 1 − sigmoid(x) = sigmoid(−x) without cancellation.
                let (kept, passed) = ratios.get(layer + 1).map_or((1.0, 0.0), |&x| (sigmoid(x), sigmoid(-x)));
                let (of_layer, rest) = cells.split_at_mut(n);
                let (logs, rest_of_shared) = shared.split_at(if n > 1 { n } else { 0 });
                self.fill_layer(left * kept, logs, of_layer, &mut above);
                (cells, shared) = (rest, rest_of_shared);
                left *= passed;
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

    /// Turns `shower` by a random number of sectors and mirrors it at random.
    fn turn(&self, shower: &[f32], turned: &mut [f32], rng: &mut dyn RngCore) {
        // Layers may differ in their number of sectors; all share the turns by this part of a circle.
        let steps = self.layer_sectors.iter().filter(|&&n| n > 1).copied().reduce(gcd).unwrap_or(1);
        let (step, mirror) = (rng.gen_range(0..steps), rng.gen_bool(0.5));
        let mut begin = 0;
        for (&n, &sectors) in self.layer_voxels.iter().zip(&self.layer_sectors) {
            let n_r = n / sectors;
            for sector in 0..sectors {
                let mirrored = if mirror { (sectors - sector) % sectors } else { sector };
                let to = (mirrored + step * (sectors / steps.min(sectors))) % sectors;
                let (from, to) = (begin + sector * n_r, begin + to * n_r);
                turned[to..to + n_r].copy_from_slice(&shower[from..from + n_r]);
            }
            begin += n;
        }
    }

    /// Writes the layer energies, noise in place of those below threshold, and the x_k.
    fn fill_model_space(
        &self,
        mut shower: &[f32],
        energies: &mut [f64],
        mut shared: &mut [f64],
        rng: &mut dyn RngCore,
    ) {
        let threshold = f64::from(self.threshold_mev);
        let noise = |rng: &mut dyn RngCore| NOISE_CEILING * threshold * rng.sample::<f64, _>(Open01);
        for (energy, &n) in energies.iter_mut().zip(&self.layer_voxels) {
            let (of_layer, rest) = shower.split_at(n);
            shower = rest;
            *energy = sum(of_layer);
            if *energy < threshold {
                *energy = noise(rng);
            }
            if n > 1 {
                let (logs, rest) = shared.split_at_mut(n);
                shared = rest;
                let shift = LARGEST_SHIFT * rng.r#gen::<f64>();
                for (log, &cell) in logs.iter_mut().zip(of_layer) {
                    *log = match f64::from(cell) {
                        energy if energy < threshold => (noise(rng) / threshold).ln(),
                        energy => (energy / threshold).ln() + shift,
                    };
                }
            }
        }
    }

    /// Shares `energy` among `cells` in proportion to e^`logs`, leaving none below threshold.
    fn fill_layer(&self, energy: f64, logs: &[f64], cells: &mut [f32], above: &mut Vec<Share>) {
        if energy < self.kept_from() {
            return;
        }
        if logs.is_empty() {
            cells[0] = energy as f32;
            return;
        }
        let threshold = f64::from(self.threshold_mev);
        let share = |&log: &f64| threshold * log.clamp(-LARGEST_LOG, LARGEST_LOG).exp();
        let lowest = KEPT_FROM.ln();
        above.clear();
        above.extend(
            logs.iter().enumerate().filter(|(_, log)| **log >= lowest).map(|(cell, log)| (cell, share(log))),
        );
        let total = match above.as_slice() {
            [] => {
                let largest = (0..logs.len()).max_by(|&a, &b| logs[a].total_cmp(&logs[b]));
                cells[largest.expect("a layer has voxels")] = energy as f32;
                return;
            }
            [(_, first), others @ ..] => {
                let total = others.iter().fold(*first, |sum, (_, share)| sum + share);
                let smallest = others.iter().fold(*first, |min, (_, share)| min.min(*share));
                if energy * smallest >= self.kept_from() * total {
                    total
                } else {
                    self.keep_largest(energy, above)
                }
            }
        };
        for &(cell, share) in &*above {
            cells[cell] = (energy * share / total) as f32;
        }
    }

    /// Keeps the largest number of leading shares that are all at or above threshold when they share `energy`; the
    /// largest share in any case. The smallest of them decides, and shrinks with every one added. Returns their sum.
    fn keep_largest(&self, energy: f64, above: &mut Vec<Share>) -> f64 {
        above.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let (mut number, mut total) = (1, above[0].1);
        for (_, share) in &above[1..] {
            if energy * share < self.kept_from() * (total + share) {
                break;
            }
            (number, total) = (number + 1, total + share);
        }
        above.truncate(number);
        total
    }
}

/// A voxel of a layer, and its energy before the layer's is shared.
type Share = (usize, f64);

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// ln(u / (1 − u)), kept finite at the ends, which rounding may reach.
fn logit(u: f64) -> f64 {
    let u = u.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON);
    u.ln() - (-u).ln_1p()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
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
