//! Shower observables: what a calorimeter physicist looks at in an energy deposit.
//!
//! With v_k the energy of voxel k, E_i = Σ_{k∈i} v_k that of layer i and ⟨q⟩_i = Σ_{k∈i} v_k q_k / E_i the
//! energy-weighted mean over the voxel centres of a layer:
//!
//! | observable | formula | unit | given for |
//! |---|---|---|---|
//! | `visible_energy` | E = Σ_i E_i | MeV | |
//! | `energy_layer_i` | E_i | MeV | layers with voxels, if several |
//! | `response` | E / E_incident | | |
//! | `depth` | d̄ = Σ_i E_i d_i / E, d_i the middle of layer i | X₀ | several layers of known depth |
//! | `depth_width` | √(Σ_i E_i (d_i − d̄)² / E) | X₀ | several layers of known depth |
//! | `radius_layer_i` | ⟨r⟩_i | mm | layers with several rings |
//! | `radial_width_layer_i` | √(⟨r²⟩_i − ⟨r⟩_i²) | mm | layers with several rings |
//! | `x_layer_i`, `y_layer_i` | ⟨r cos α⟩_i, ⟨r sin α⟩_i | mm | layers with several sectors |
//! | `x_width_layer_i`, `y_width_layer_i` | √(⟨x²⟩_i − ⟨x⟩_i²), … | mm | layers with several sectors |
//! | `active_voxels_layer_i` | number of v_k > threshold | | layers with voxels |
//! | `sparsity_layer_i` | 1 − `active_voxels_layer_i` / number of voxels | | layers with voxels |
//!
//! Sums run in `f64`. An observable whose weights sum to zero or less (a layer without energy) is 0; the sparsity of
//! such a layer is 1.
//!
//! # The observables of the CaloChallenge
//!
//! [`ShowerObservables::calo_challenge`] picks those of the CaloChallenge (arXiv:2410.21611; HighLevelFeatures.py and
//! evaluate.py in github.com/CaloChallenge/homepage): x and y are its η and φ extensions in mm. With the incident
//! energy there are 2 + L + 4·L_α + 3·L of them for L layers with voxels, L_α of which have several sectors: 30 for
//! photons and 46 for pions of data set 1, 362 for data sets 2 and 3. What that code gives is reproduced, except that
//!
//! - η and φ need a geometry whose sectors begin at α = −π, as those from binning files do. Under another
//!   `alpha_begin`, x and y are turned against η and φ;
//! - evaluate.py sets voxels below the readout threshold (1 MeV for data set 1, 0.5 keV / 0.033 for 2 and 3) to zero
//!   before anything is computed. Here showers are taken as they are, so that the caller has to do this;
//! - the width of a layer with energy in one voxel is 0, where rounding leaves the other code up to 10⁻⁸ of the radius;
//! - layers with one ring have neither radius nor radial width (constants there), and a calorimeter with one layer has
//!   no layer energy beside the visible one. Neither occurs in the four data sets.

#[cfg(test)]
mod tests;

use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use crate::{Geometry, Layer};

/// One column of [`ShowerObservables::compute`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observable {
    /// Identifier for files and configurations, such as `energy_layer_1`.
    pub name: String,
    /// Axis title without unit, such as `Energy in layer 1`.
    pub label: String,
    /// Unit, `None` for a pure number.
    pub unit: Option<&'static str>,
    /// Whether the distribution spans decades and reads best on a logarithmic axis.
    pub log: bool,
    /// Whether it says in other words what another column says (sparsity: active voxels), so that a report can do
    /// without.
    pub restates: bool,
}

/// Computes the observables of this [module](self) for one geometry.
#[derive(Debug, Clone)]
pub struct ShowerObservables {
    n_voxels: usize,
    threshold_mev: f32,
    /// Layers with voxels only.
    layers: Vec<LayerTable>,
    observables: Vec<Observable>,
    core: Vec<usize>,
    calo_challenge: Vec<usize>,
}

/// What is known of a layer before any shower is seen.
#[derive(Debug, Clone)]
struct LayerTable {
    index: usize,
    voxels: Range<usize>,
    depth_x0: Option<f64>,
    n_r: usize,
    r_mm: Vec<f64>,
    /// (cos α, sin α) of the sectors; empty for a layer with one.
    directions: Vec<(f64, f64)>,
}

/// Energy-weighted sums over one layer.
#[derive(Default)]
struct Moments {
    energy: f64,
    r: f64,
    r2: f64,
    x: f64,
    y: f64,
    x2: f64,
    y2: f64,
}

impl ShowerObservables {
    /// Observables for `geometry`, counting as active every voxel with energy.
    #[must_use]
    pub fn new(geometry: &Geometry) -> Self {
        let layers: Vec<_> = (geometry.layers.iter().enumerate())
            .filter(|(_, layer)| layer.n_voxels() > 0)
            .map(|(index, layer)| LayerTable::new(index, layer, geometry.layer_voxels(index)))
            .collect();
        let (observables, core) = describe(&layers);
        let calo_challenge = calo_challenge(&layers, &observables);
        Self { n_voxels: geometry.n_voxels(), threshold_mev: 0.0, layers, observables, core, calo_challenge }
    }

    /// Counts as active the voxels above `threshold_mev` only.
    #[must_use]
    pub fn with_threshold_mev(self, threshold_mev: f32) -> Self {
        Self { threshold_mev, ..self }
    }

    /// The columns of [`compute`](Self::compute), in order.
    #[must_use]
    pub fn observables(&self) -> &[Observable] {
        &self.observables
    }

    /// Columns of the few observables that describe a shower without regard to its transverse direction:
    /// total and layer energies, response, depth, mean radius and radial width. Classifier tests use these.
    #[must_use]
    pub fn core(&self) -> &[usize] {
        &self.core
    }

    /// Names of the [`core`](Self::core) observables.
    #[must_use]
    pub fn core_names(&self) -> Vec<&str> {
        self.names(&self.core)
    }

    fn names(&self, columns: &[usize]) -> Vec<&str> {
        columns.iter().map(|&column| self.observables[column].name.as_str()).collect()
    }

    /// Columns of the observables of the CaloChallenge, in the order in which its evaluate.py hands them to classifiers,
    /// FPD and KPD: layer energies, centres in x and in y, widths in x and in y, visible energy, sparsities, mean radii,
    /// radial widths. The incident energy, which comes first there, is not a column of ours.
    ///
    /// FPD and KPD depend on the scale of what they are given: evaluate.py takes lg E_incident and lg(E + 10⁻⁸) of
    /// energies in MeV, and lengths in units of 100 mm. See the [module](self) for the conventions.
    #[must_use]
    pub fn calo_challenge(&self) -> &[usize] {
        &self.calo_challenge
    }

    /// Names of the [`calo_challenge`](Self::calo_challenge) observables.
    #[must_use]
    pub fn calo_challenge_names(&self) -> Vec<&str> {
        self.names(&self.calo_challenge)
    }

    /// Observables `[events, observables]` of showers `[events, voxels]` in MeV whose incident particles had
    /// the energies `incident` `[events]` in MeV.
    ///
    /// # Panics
    /// If the voxel columns are not those of the geometry, or the two arguments differ in length.
    #[must_use]
    pub fn compute(&self, voxels: ArrayView2<f32>, incident: ArrayView1<f32>) -> Array2<f32> {
        assert_eq!(voxels.ncols(), self.n_voxels, "showers must have the voxels of the geometry");
        assert_eq!(voxels.nrows(), incident.len(), "every shower needs one incident energy");
        let voxels = voxels.as_standard_layout();
        let mut result = Array2::zeros((voxels.nrows(), self.observables.len()));
        let mut moments = Vec::with_capacity(self.layers.len());
        for ((shower, &incident), mut row) in
            voxels.axis_iter(Axis(0)).zip(incident).zip(result.axis_iter_mut(Axis(0)))
        {
            let shower = shower.to_slice().expect("rows of an array in standard layout are contiguous");
            moments.clear();
            moments.extend(self.layers.iter().map(|layer| layer.moments(&shower[layer.voxels.clone()])));
            let mut column = 0;
            self.emit(shower, f64::from(incident), &moments, |value| {
                row[column] = value as f32;
                column += 1;
            });
        }
        result
    }

    /// Hands the observables of one shower to `put`, in the order of [`describe`].
    fn emit(&self, shower: &[f32], incident: f64, moments: &[Moments], mut put: impl FnMut(f64)) {
        let visible: f64 = moments.iter().map(|layer| layer.energy).sum();
        put(visible);
        put(ratio(visible, incident));
        if self.layers.len() > 1 {
            moments.iter().for_each(|layer| put(layer.energy));
        }
        if has_depth(&self.layers) {
            let mean_depth = |power: i32, origin: f64| {
                let depths = self.layers.iter().filter_map(|layer| layer.depth_x0);
                let weighted = |(depth, sums): (f64, &Moments)| sums.energy * (depth - origin).powi(power);
                ratio(depths.zip(moments).map(weighted).sum(), visible)
            };
            let depth = mean_depth(1, 0.0);
            put(depth);
            put(mean_depth(2, depth).max(0.0).sqrt());
        }
        for (layer, sums) in self.layers.iter().zip(moments) {
            if layer.n_r > 1 {
                put(sums.mean(sums.r));
                put(sums.width(sums.r, sums.r2));
            }
            if !layer.directions.is_empty() {
                put(sums.mean(sums.x));
                put(sums.mean(sums.y));
                put(sums.width(sums.x, sums.x2));
                put(sums.width(sums.y, sums.y2));
            }
            let active = cell_energies(&shower[layer.voxels.clone()], self.threshold_mev).count() as f64;
            put(active);
            put(1.0 - active / layer.voxels.len() as f64);
        }
    }
}

impl LayerTable {
    fn new(index: usize, layer: &Layer, voxels: Range<usize>) -> Self {
        let directions = match layer.n_alpha {
            1 => Vec::new(),
            _ => layer.alpha_centres().map(|alpha| (alpha.cos(), alpha.sin())).collect(),
        };
        let r_mm = layer.r_centres_mm().collect();
        Self { index, voxels, depth_x0: layer.mid_depth_x0(), n_r: layer.n_r(), r_mm, directions }
    }

    /// Sums over one layer. Sums over the rings of a sector come first: the direction is common to a sector.
    fn moments(&self, voxels: &[f32]) -> Moments {
        let mut sums = Moments::default();
        for (sector, ring) in voxels.chunks_exact(self.n_r).enumerate() {
            let (mut energy, mut r, mut r2) = (0.0, 0.0, 0.0);
            for (&voxel, &radius) in ring.iter().zip(&self.r_mm) {
                let voxel = f64::from(voxel);
                energy += voxel;
                r += voxel * radius;
                r2 += voxel * radius * radius;
            }
            sums.energy += energy;
            sums.r += r;
            sums.r2 += r2;
            if let Some(&(cos, sin)) = self.directions.get(sector) {
                sums.x += r * cos;
                sums.y += r * sin;
                sums.x2 += r2 * cos * cos;
                sums.y2 += r2 * sin * sin;
            }
        }
        sums
    }
}

impl Moments {
    fn mean(&self, sum: f64) -> f64 {
        ratio(sum, self.energy)
    }

    /// √(⟨q²⟩ − ⟨q⟩²). The difference of two nearly equal means is rounding noise when all energy sits in one
    /// voxel; what lies below the noise counts as no width.
    fn width(&self, sum: f64, sum_of_squares: f64) -> f64 {
        let (mean, mean_square) = (self.mean(sum), self.mean(sum_of_squares));
        let variance = mean_square - mean * mean;
        if variance > 1e-12 * mean_square { variance.sqrt() } else { 0.0 }
    }
}

fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator > 0.0 { numerator / denominator } else { 0.0 }
}

/// Energies in MeV of the voxels above `threshold_mev`, of one shower or of many: the cell-energy spectrum.
pub fn cell_energies<'a>(
    voxels: impl IntoIterator<Item = &'a f32>,
    threshold_mev: f32,
) -> impl Iterator<Item = f32> {
    voxels.into_iter().copied().filter(move |&energy| energy > threshold_mev)
}

/// The columns, in the order in which [`ShowerObservables::emit`] fills them, and which of them are core.
fn describe(layers: &[LayerTable]) -> (Vec<Observable>, Vec<usize>) {
    let mut columns = Columns::default();
    columns.push(true, "visible_energy", "Visible energy", Some("MeV"), true);
    columns.push(true, "response", "Visible / incident energy", None, false);
    if layers.len() > 1 {
        for LayerTable { index, .. } in layers {
            let label = format!("Energy in layer {index}");
            columns.push(true, &format!("energy_layer_{index}"), &label, Some("MeV"), true);
        }
    }
    if has_depth(layers) {
        columns.push(true, "depth", "Mean shower depth", Some("X0"), false);
        columns.push(false, "depth_width", "Longitudinal width", Some("X0"), false);
    }
    for LayerTable { index, n_r, directions, .. } in layers {
        let mut push = |core, name: &str, label: &str, unit| {
            columns.push(
                core,
                &format!("{name}_layer_{index}"),
                &format!("{label} in layer {index}"),
                unit,
                false,
            );
        };
        if *n_r > 1 {
            push(true, "radius", "Mean radius", Some("mm"));
            push(true, "radial_width", "Radial width", Some("mm"));
        }
        if !directions.is_empty() {
            push(false, "x", "Centre in x", Some("mm"));
            push(false, "y", "Centre in y", Some("mm"));
            push(false, "x_width", "Width in x", Some("mm"));
            push(false, "y_width", "Width in y", Some("mm"));
        }
        push(false, "active_voxels", "Active voxels", None);
        push(false, "sparsity", "Sparsity", None);
        columns.observables.last_mut().expect("the sparsity").restates = true;
    }
    (columns.observables, columns.core)
}

/// A mean depth needs several layers, all of known depth.
fn has_depth(layers: &[LayerTable]) -> bool {
    layers.len() > 1 && layers.iter().all(|layer| layer.depth_x0.is_some())
}

/// The columns of [`ShowerObservables::calo_challenge`].
fn calo_challenge(layers: &[LayerTable], observables: &[Observable]) -> Vec<usize> {
    let column = |name: &str| observables.iter().position(|observable| observable.name == name);
    let in_layers = |name: &'static str| {
        layers.iter().filter_map(move |layer| column(&format!("{name}_layer_{}", layer.index)))
    };
    let before = ["energy", "x", "y", "x_width", "y_width"].into_iter().flat_map(in_layers);
    let after = ["sparsity", "radius", "radial_width"].into_iter().flat_map(in_layers);
    before.chain(column("visible_energy")).chain(after).collect()
}

#[derive(Default)]
struct Columns {
    observables: Vec<Observable>,
    core: Vec<usize>,
}

impl Columns {
    fn push(&mut self, core: bool, name: &str, label: &str, unit: Option<&'static str>, log: bool) {
        if core {
            self.core.push(self.observables.len());
        }
        self.observables.push(Observable {
            name: name.to_owned(),
            label: label.to_owned(),
            unit,
            log,
            restates: false,
        });
    }
}
