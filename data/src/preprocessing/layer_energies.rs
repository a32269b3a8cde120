//! Calorimeter showers as energies shared between layers, and within layers between voxels.
//!
//! With v_k the energy of voxel k, E_i = Σ_{k∈i} v_k that of layer i, E_inc the incident energy and t the readout
//! threshold, parts are taken of wholes:
//!
//! - the visible energy Σ_i E_i of E_inc, y = logit(Σ_i E_i / (f E_inc)), f the largest response of the training sample times `headroom`;
//! - the layers, those with the smallest mean energy first, of what is left by the layers before, y = logit(E_i / rest), logit u = ln(u / (1 − u));
//!   the last takes the rest (CaloFlow, arXiv:2106.05285, goes from front to back);
//! - the voxels of every layer that has more than one, y = ln(v_k / t).
//!
//! Layers and voxels below threshold are not there. [`part`] turns every part, given its whole, into one number with a logistic
//! distribution, so that neither the size of the shower nor the threshold leaves steps in the density of model space.
//! CaloFlow divides voxels by the energy of their layer and gives empty ones noise; the value that separates noise from energy then differs
//! from shower to shower, and models let voxels leak across it.
//!
//! The voxels of a layer sum to the E_i that is known already: one direction too many, in which the density would be
//! a ridge without width. The y of the voxels of a layer are therefore shifted together by a small random number, of width [`SHIFT_WIDTH`], drawn afresh for
//! each layer of each shower; the inverse uses ratios of voxels only.
//!
//! With `rotate`, every shower is turned by a random multiple of the angle between α sectors and mirrored at random if the
//! sectors of all layers have a mirror in common, afresh each time, which multiplies the training sample where the
//! distribution has this symmetry.
//!
//! The inverse gives each layer exactly its E_i: its voxels are scaled to it, and those that this takes below t stay at t. For voxels all
//! zero or ≥ t it undoes the forward map. A layer with E_i < t is empty; its energy, less than t, is the only one not conserved.

mod part;
#[cfg(test)]
mod tests;

use ndarray::{Array2, ArrayView1, ArrayView2};
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};
use simile_physics::Geometry;

use self::part::{Observed, Part};
use super::error::{Fault, StepError, ValueError};

/// A voxel right at threshold comes back from single precision a little below it; it is a voxel from this
/// part of the threshold on.
const KEPT_FROM: f64 = 1.0 - 2e-5;

/// See the module documentation.
const SHIFT_WIDTH: f64 = 0.05;

/// Showers that the voxels are learnt from; more would change nothing.
const MOST_FITTED: usize = 10_000;

/// Largest part of a layer: what is beyond has no digits in single precision.
const LARGEST_PART: f64 = 1.0 - 1e-7;

/// Voxels e^±80 times the threshold are none that a calorimeter measures; beyond, shares would not be finite or vanish.
const LARGEST_LOG: f64 = 80.0;

/// Fitted form of the step; `[rows, voxels]` MeV ↔ `[rows, n_ratios + n_shared]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LayerEnergies {
    incident: String,
    threshold_mev: f32,
    /// f
    max_response: f32,
    /// Voxels of each layer that has any.
    layer_voxels: Vec<usize>,
    /// α sectors of each of these layers.
    layer_sectors: Vec<usize>,
    /// Where mirroring lays the first sector of each of these layers, if a mirror lays sectors on sectors in all.
    #[serde(default)]
    mirrored_first: Option<Vec<usize>>,
    /// Turn and mirror showers at random.
    rotate: bool,
    /// The voxels of every layer are a group.
    #[serde(default)]
    by_layer: bool,
    /// Layers as they take their parts.
    order: Vec<usize>,
    /// The visible part of the incident energy, then those of all layers in `order` but the last.
    shares: Vec<Part>,
    /// The voxels.
    voxels: Vec<Part>,
}

impl LayerEnergies {
    /// Checks the parameters against `geometry` and the training sample `voxels` `[rows, voxels]`. What is
    /// learnt from the sample is still to be [fitted](Self::fit).
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
        let mirrored_first = geometry.mirrored_first_sectors().map(|firsts| {
            let with_voxels = geometry.layers.iter().zip(firsts).filter(|(layer, _)| layer.n_voxels() > 0);
            with_voxels.map(|(_, first)| first).collect()
        });
        Ok(Self {
            incident: incident.to_owned(),
            threshold_mev: threshold_mev as f32,
            max_response: headroom as f32,
            layer_voxels: layers().map(|layer| layer.n_voxels()).collect(),
            layer_sectors: layers().map(|layer| layer.n_alpha).collect(),
            mirrored_first,
            rotate,
            by_layer: false,
            order: Vec::new(),
            shares: Vec::new(),
            voxels: Vec::new(),
        })
    }

    /// Whether the voxels of every layer are a group of targets, or all of them.
    pub(super) fn by_layer(self, by_layer: bool) -> Self {
        Self { by_layer, ..self }
    }

    /// Fits the response limit, `headroom` × the largest response of the training sample, and the distributions of all parts.
    pub(super) fn fit(self, voxels: ArrayView2<f32>, incident_mev: ArrayView1<f32>) -> Result<Self, Fault> {
        let showers = self.energies(voxels, incident_mev)?;
        let threshold = f64::from(self.threshold_mev);
        let response = |(energies, &incident): (&Vec<f64>, &f32)| {
            energies.iter().sum::<f64>().max(threshold) / f64::from(incident)
        };
        let largest = showers.iter().zip(incident_mev).map(response).fold(0.0, f64::max);
        let max_response = (f64::from(self.max_response) * largest) as f32;
        let total = |layer: usize| showers.iter().map(|energies| energies[layer]).sum::<f64>();
        let mut order: Vec<usize> = (0..self.layer_voxels.len()).collect();
        order.sort_by(|&a, &b| total(a).total_cmp(&total(b)));
        let mut fitted = Self { max_response, order, ..self };
        let mut observed: Vec<Vec<Observed>> = vec![Vec::with_capacity(showers.len()); fitted.n_ratios()];
        for (energies, &incident) in showers.iter().zip(incident_mev) {
            let parts = fitted.parts(energies, f64::from(incident));
            observed.iter_mut().zip(parts).for_each(|(observed, part)| observed.push(part));
        }
        fitted.shares = observed.iter().map(|events| Part::fit(events)).collect();
        fitted.voxels = fitted.fit_voxels(voxels, &showers);
        Ok(fitted)
    }

    /// Energies of all layers of all showers; 0 of layers below threshold.
    fn energies(
        &self,
        voxels: ArrayView2<f32>,
        incident_mev: ArrayView1<f32>,
    ) -> Result<Vec<Vec<f64>>, Fault> {
        let voxels = voxels.as_standard_layout();
        let showers = voxels.outer_iter().zip(incident_mev).enumerate();
        let energies = showers.map(|(row, (shower, &incident))| {
            let shower = shower.to_slice().expect("rows in standard layout are contiguous");
            self.check(row, shower, incident)?;
            Ok(self.layer_energies(shower).collect())
        });
        energies.collect()
    }

    /// Energies of the layers of a shower; 0 of layers below threshold.
    fn layer_energies(&self, mut shower: &[f32]) -> impl Iterator<Item = f64> {
        self.layer_voxels.iter().map(move |&n| {
            let (of_layer, rest) = shower.split_at(n);
            shower = rest;
            let energy = sum(of_layer);
            if energy < self.kept_from() { 0.0 } else { energy }
        })
    }

    fn fit_voxels(&self, voxels: ArrayView2<f32>, showers: &[Vec<f64>]) -> Vec<Part> {
        let stride = voxels.nrows().div_ceil(MOST_FITTED);
        let layers =
            self.layer_voxels.iter().enumerate().flat_map(|(layer, &n)| std::iter::repeat_n(layer, n));
        let fit = |(voxel, layer): (usize, usize)| {
            let events = showers.iter().enumerate().step_by(stride).map(|(row, energies)| {
                let y = self.log(f64::from(voxels[(row, voxel)]));
                // The shift, evenly instead of at random (golden ratio).
                let shift = SHIFT_WIDTH * 3f64.sqrt() * (2.0 * (row as f64 * 0.618_033_988_75).fract() - 1.0);
                (self.log(energies[layer]).max(0.0), (y >= 0.0).then_some(y + shift))
            });
            Part::fit(&events.collect::<Vec<_>>())
        };
        layers.enumerate().map(fit).collect()
    }

    /// ln(E/t)
    fn log(&self, energy: f64) -> f64 {
        (energy / f64::from(self.threshold_mev)).ln()
    }

    /// The parts whose distributions are `shares`, given the energies of the layers.
    fn parts(&self, energies: &[f64], incident: f64) -> impl Iterator<Item = Observed> {
        let mut rest: f64 = energies.iter().sum();
        let visible = rest / (f64::from(self.max_response) * incident);
        let response = (self.log(incident), (rest > 0.0).then(|| logit(visible)));
        let taking = &self.order[..self.order.len() - 1];
        let layers = taking.iter().enumerate().map(move |(taken, &layer)| {
            let (whole, energy) = (rest, energies[layer]);
            // Summed up again: differences would lose digits.
            rest = self.order[taken + 1..].iter().map(|&layer| energies[layer]).sum();
            let y = (energy > 0.0).then(|| logit((energy / whole).min(LARGEST_PART)));
            (self.log(whole).max(0.0), y)
        });
        std::iter::once(response).chain(layers)
    }

    /// Name of the column of the incident energy.
    pub(super) fn incident(&self) -> &str {
        &self.incident
    }

    /// Columns of the visible energy and the layers' parts: one for each layer.
    fn n_ratios(&self) -> usize {
        self.layer_voxels.len()
    }

    /// Columns of the voxels: one for each that shares its layer.
    fn n_shared(&self) -> usize {
        self.layer_voxels.iter().filter(|&&voxels| voxels > 1).sum()
    }

    /// Columns of every group of targets: energies, then voxels.
    pub(super) fn groups(&self) -> Vec<usize> {
        let shared = self.layer_voxels.iter().copied().filter(|&voxels| voxels > 1);
        let voxels = if self.by_layer { shared.collect() } else { vec![shared.sum()] };
        std::iter::once(self.n_ratios()).chain(voxels).filter(|&width| width > 0).collect()
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
            && self.max_response > 0.0
            && self.is_fitted();
        usable.then(|| self.n_ratios() + self.n_shared())
    }

    /// Whether there is a distribution for every part.
    fn is_fitted(&self) -> bool {
        let mut layers = self.order.clone();
        layers.sort_unstable();
        layers.iter().copied().eq(0..self.layer_voxels.len())
            && self.shares.len() == self.n_ratios()
            && self.voxels.len() == self.layer_voxels.iter().sum::<usize>()
            && self.shares.iter().chain(&self.voxels).all(Part::is_valid)
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
        let mut energies = Vec::with_capacity(self.layer_voxels.len());
        for (row, (shower, mut out)) in voxels.outer_iter().zip(result.outer_iter_mut()).enumerate() {
            let mut shower = shower.to_slice().expect("rows in standard layout are contiguous");
            let incident = self.check(row, shower, incident_mev[row])?;
            if self.rotate {
                self.turn(shower, &mut turned, rng);
                shower = &turned;
            }
            energies.clear();
            energies.extend(self.layer_energies(shower));
            let visible: f64 = energies.iter().sum();
            let (response, limit) = (visible / incident, f64::from(self.max_response));
            if response >= limit {
                let error = ValueError::ResponseTooHigh { response, limit };
                return Err(Fault { row, component: 0, error });
            }
            let out = out.as_slice_mut().expect("rows in standard layout are contiguous");
            let (shares, shared) = out.split_at_mut(self.n_ratios());
            let parts = shares.iter_mut().zip(&self.shares).zip(self.parts(&energies, incident));
            parts.for_each(|((x, share), part)| *x = share.place(part, rng));
            self.place_voxels(shower, &energies, shared, rng);
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
        let mut energies = vec![0.0; self.layer_voxels.len()];
        let z = z.as_standard_layout();
        for (row, (z, mut shower)) in z.outer_iter().zip(result.outer_iter_mut()).enumerate() {
            let incident = self.check(row, &[], incident_mev[row])?;
            let z = z.to_slice().expect("rows in standard layout are contiguous");
            let (shares, mut shared) = z.split_at(self.n_ratios());
            self.fill_energies(shares, incident, &mut energies);
            let mut cells = shower.as_slice_mut().expect("rows in standard layout are contiguous");
            let mut voxels = self.voxels.as_slice();
            for (&n, &energy) in self.layer_voxels.iter().zip(&energies) {
                let (of_layer, rest) = cells.split_at_mut(n);
                let (x, rest_of_shared) = shared.split_at(if n > 1 { n } else { 0 });
                let (own, rest_of_voxels) = voxels.split_at(n);
                self.fill_layer(energy, x, own, of_layer, &mut above);
                (cells, shared, voxels) = (rest, rest_of_shared, rest_of_voxels);
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

    /// Energy in MeV from which on a voxel or a layer is taken to be above threshold.
    fn kept_from(&self) -> f64 {
        KEPT_FROM * f64::from(self.threshold_mev)
    }

    /// Turns `shower` by a random number of sectors and, where that is possible, mirrors it at random.
    fn turn(&self, shower: &[f32], turned: &mut [f32], rng: &mut dyn RngCore) {
        // Layers may differ in their number of sectors; all share the turns by this part of a circle.
        let steps = self.layer_sectors.iter().filter(|&&n| n > 1).copied().reduce(gcd).unwrap_or(1);
        let (step, mirror) = (rng.gen_range(0..steps), rng.gen_bool(0.5));
        let mut begin = 0;
        for (layer, (&n, &sectors)) in self.layer_voxels.iter().zip(&self.layer_sectors).enumerate() {
            let n_r = n / sectors;
            let first = self.mirrored_first.as_ref().filter(|_| mirror).map(|firsts| firsts[layer]);
            for sector in 0..sectors {
                let mirrored = first.map_or(sector, |first| (first + sectors - sector) % sectors);
                let to = (mirrored + step * (sectors / steps.min(sectors))) % sectors;
                let (from, to) = (begin + sector * n_r, begin + to * n_r);
                turned[to..to + n_r].copy_from_slice(&shower[from..from + n_r]);
            }
            begin += n;
        }
    }

    /// Writes the voxels of the layers that have several.
    fn place_voxels(
        &self,
        mut shower: &[f32],
        energies: &[f64],
        mut shared: &mut [f64],
        rng: &mut dyn RngCore,
    ) {
        let mut voxels = self.voxels.as_slice();
        for (&energy, &n) in energies.iter().zip(&self.layer_voxels) {
            let (of_layer, rest) = shower.split_at(n);
            let (own, rest_of_voxels) = voxels.split_at(n);
            (shower, voxels) = (rest, rest_of_voxels);
            if n > 1 {
                let (x, rest) = shared.split_at_mut(n);
                shared = rest;
                let whole = self.log(energy).max(0.0);
                // The sum of three has width 1.
                let shift = SHIFT_WIDTH * (0..3).map(|_| rng.gen_range(-1.0..1.0)).sum::<f64>();
                for ((x, &cell), voxel) in x.iter_mut().zip(of_layer).zip(own) {
                    let y = self.log(f64::from(cell));
                    *x = voxel.place((whole, (y >= 0.0).then_some(y + shift)), rng);
                }
            }
        }
    }

    /// Shares the incident energy among the layers.
    fn fill_energies(&self, shares: &[f64], incident: f64, energies: &mut [f64]) {
        let visible = self.shares[0].size(self.log(incident), shares[0]);
        let mut rest = visible.map_or(0.0, |y| sigmoid(y) * f64::from(self.max_response) * incident);
        let (&last, taking) = self.order.split_last().expect("a calorimeter has layers");
        for ((&layer, share), &x) in taking.iter().zip(&self.shares[1..]).zip(&shares[1..]) {
            let y = share.size(self.log(rest).max(0.0), x);
            let energy = y.map_or(0.0, |y| rest * sigmoid(y));
            energies[layer] = 0.0;
            if energy >= self.kept_from() {
                energies[layer] = energy;
                // 1 − sigmoid(y) = sigmoid(−y) without cancellation.
                rest *= y.map_or(1.0, |y| sigmoid(-y));
            }
        }
        energies[last] = rest;
    }

    /// Shares `energy` among `cells` as their places in model space say.
    fn fill_layer(&self, energy: f64, x: &[f64], own: &[Part], cells: &mut [f32], above: &mut Vec<Share>) {
        if energy < self.kept_from() {
            return;
        }
        if x.is_empty() {
            cells[0] = energy as f32;
            return;
        }
        let whole = self.log(energy).max(0.0);
        above.clear();
        above.extend(x.iter().zip(own).enumerate().filter_map(|(cell, (&x, voxel))| {
            let log = voxel.size(whole, x)?.clamp(-LARGEST_LOG, LARGEST_LOG);
            // Single precision, which is what voxels have, at half the cost.
            Some((cell, f64::from((log as f32).exp())))
        }));
        if above.is_empty() {
            // The voxel that is nearest to being there.
            let missing = |cell: usize| own[cell].missing(whole, x[cell]);
            let nearest = (0..x.len()).min_by(|&a, &b| missing(a).total_cmp(&missing(b)));
            cells[nearest.expect("a layer has voxels")] = energy as f32;
            return;
        }
        self.share(energy, above, cells);
    }

    /// Shares `energy`, at least the threshold, among the cells of `above` in proportion, none below threshold.
    fn share(&self, energy: f64, above: &mut Vec<Share>, cells: &mut [f32]) {
        let most = ((energy / self.kept_from()) as usize).max(1);
        if above.len() > most {
            above.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            above.truncate(most);
        }
        let scale = self.scale(energy, above);
        for &(cell, share) in &*above {
            let scaled = share * scale;
            cells[cell] = if scaled < self.kept_from() { self.threshold_mev } else { scaled as f32 };
        }
    }

    /// Factor of the shares with which they sum to `energy`, those that it takes below threshold counted as at threshold.
    fn scale(&self, energy: f64, shares: &[Share]) -> f64 {
        let mut scale = f64::INFINITY;
        loop {
            let (mut free, mut total) = (energy, 0.0);
            for &(_, share) in shares {
                if share * scale < self.kept_from() {
                    free -= f64::from(self.threshold_mev);
                } else {
                    total += share;
                }
            }
            let next = free / total;
            if next >= scale || total == 0.0 {
                return scale;
            }
            scale = next;
        }
    }
}

/// A voxel of a layer, and its energy but for a common factor.
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
