//! Parametrised electromagnetic showers in a sampling calorimeter, after Grindhammer and Peters (hep-ex/0001020), whose
//! constants are used throughout, with y = E/E_c, Z, X₀, R_M and E_c those of the mixture, F_S = X₀/(d_absorber + d_active)
//! and ê = 1/(1 + 0.007 (Z_absorber − Z_active)):
//!
//! - **longitudinal**: dE/dt = E (βt)^(α−1) β e^(−βt)/Γ(α) in radiation lengths t behind the place where the photon
//!   converts, itself exponential with mean 9/7 X₀. α and the maximum T = (α − 1)/β fluctuate from shower to shower:
//!   ln α and ln T are normal and correlated;
//! - **radial**: f(r) = p·2rR_C²/(r² + R_C²)² + (1 − p)·2rR_T²/(r² + R_T²)², core and tail, whose radii and weight follow
//!   the depth τ = t/T;
//! - **fluctuations**: energy in a slice of depth is a gamma variate of variance c²·E_slice, so that σ/E = c/√E over the
//!   shower; it lands in a finite number of spots, N = 10.3/c·E^0.959 in all.
//!
//! Noise is not part of a shower: see [`reconstruction`](crate::reconstruction).

use rand::Rng;
use rand_distr::{Distribution, Exp1, Gamma, Poisson, StandardNormal};
use statrs::function::gamma::gamma_lr;

use crate::units::GEV;
use crate::{Geometry, Layer};

/// Depth of the slices in which a shower is made, in radiation lengths.
const SLICE_X0: f64 = 0.5;
/// Where the logarithms of α and T fluctuate more, at energies near the critical one, the formulas have no meaning.
const LARGEST_SIGMA: f64 = 0.5;

/// A material.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Material {
    /// Atomic number.
    pub z: f64,
    /// Atomic weight in g/mol.
    pub a: f64,
    /// Density in g/cm³.
    pub density: f64,
    /// Radiation length in g/cm².
    pub x0: f64,
}

/// Lead (PDG, *Atomic and nuclear properties of materials*).
pub const LEAD: Material = Material { z: 82.0, a: 207.2, density: 11.35, x0: 6.37 };
/// Liquid argon (likewise).
pub const LIQUID_ARGON: Material = Material { z: 18.0, a: 39.948, density: 1.396, x0: 19.55 };

/// Multiple scattering's energy scale behind the Molière radius, in MeV.
const SCATTERING_MEV: f64 = 21.2;

impl Material {
    /// Critical energy in MeV: 2.66 (X₀ Z/A)^1.1.
    fn critical_mev(&self) -> f64 {
        2.66 * (self.x0 * self.z / self.a).powf(1.1)
    }
}

/// Plates of absorber and active material in turn, read out in the cells of a geometry.
#[derive(Clone, Debug)]
pub struct ParametrisedCalorimeter {
    geometry: Geometry,
    /// Atomic number, critical energy and Molière radius of the mixture.
    z: f64,
    critical_mev: f64,
    moliere_mm: f64,
    /// X₀ over the thickness of a pair of plates.
    sampling_frequency: f64,
    /// 1 − ê.
    suppression: f64,
    visible_fraction: f64,
    resolution: f64,
}

/// The course of one shower.
struct Course {
    energy_gev: f64,
    alpha: f64,
    beta: f64,
    maximum_x0: f64,
    /// Where it begins.
    start_x0: f64,
    spots: f64,
}

/// Radial profile at one depth, radii in mm.
struct Profile {
    core_mm: f64,
    tail_mm: f64,
    core_share: f64,
}

impl ParametrisedCalorimeter {
    /// A calorimeter of plates of these materials and thicknesses in mm. `visible_fraction` is the mean energy in the
    /// active material over the incident one, `resolution` the sampling term c in √GeV. The layers of the geometry must
    /// have depths; `None` otherwise.
    #[must_use]
    pub fn new(
        geometry: Geometry,
        [absorber, active]: [(Material, f64); 2],
        visible_fraction: f64,
        resolution: f64,
    ) -> Option<Self> {
        if geometry.layers.iter().any(|layer| layer.n_voxels() > 0 && layer.x0.is_none()) {
            return None;
        }
        let mass = |(material, mm): (Material, f64)| material.density * mm;
        let share = mass(absorber) / (mass(absorber) + mass(active));
        let mix = |of: fn(&Material) -> f64| share * of(&absorber.0) + (1.0 - share) * of(&active.0);
        let inverse_x0 = mix(|material| 1.0 / material.x0);
        let x0_mm = 10.0 * (absorber.1 + active.1) / (mass(absorber) + mass(active)) / inverse_x0;
        let critical_mev = mix(|material| material.critical_mev() / material.x0) / inverse_x0;
        Some(Self {
            geometry,
            z: mix(|material| material.z),
            critical_mev,
            moliere_mm: x0_mm * SCATTERING_MEV / critical_mev,
            sampling_frequency: x0_mm / (absorber.1 + active.1),
            suppression: 1.0 - 1.0 / (1.0 + 0.007 * (absorber.0.z - active.0.z)),
            visible_fraction,
            resolution,
        })
    }

    /// The calorimeter of the committed Geant4 showers: 66 times 2 mm of lead and 4 mm of liquid argon in four layers.
    /// Visible fraction and sampling term are those of Geant4.
    #[must_use]
    pub fn lead_argon() -> Self {
        let layer = |n_alpha, x0: [f64; 2]| Layer {
            r_edges_mm: vec![0.0, 5.0, 10.0, 20.0, 30.0, 50.0, 80.0, 120.0, 200.0],
            n_alpha,
            alpha_begin: None,
            x0: Some(x0),
        };
        let layers = [(1, [0.0, 1.155]), (8, [1.155, 5.774]), (8, [5.774, 17.323]), (1, [17.323, 25.407])];
        let geometry = Geometry::new(layers.map(|(n_alpha, x0)| layer(n_alpha, x0)).to_vec());
        let geometry = geometry.expect("a valid geometry");
        Self::new(geometry, [(LEAD, 2.0), (LIQUID_ARGON, 4.0)], 0.192, 0.0735).expect("layers with depths")
    }

    /// Its cells.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Energies in MeV in the active material of every voxel, for a photon along the axis.
    pub fn photon(&self, energy_mev: f64, rng: &mut impl Rng) -> Vec<f32> {
        let course = self.course(energy_mev, rng);
        let mut voxels = vec![0.0; self.geometry.n_voxels()];
        for (index, layer) in self.geometry.layers.iter().enumerate() {
            let Some([front, back]) = layer.x0.filter(|_| layer.n_voxels() > 0) else { continue };
            let slices = ((back - front) / SLICE_X0).ceil().max(1.0);
            let cells = &mut voxels[self.geometry.layer_voxels(index)];
            for slice in 0..slices as usize {
                let ends = [slice, slice + 1].map(|edge| front + (back - front) * edge as f64 / slices);
                self.deposit(&course, ends, layer, cells, rng);
            }
        }
        voxels
    }

    fn course(&self, energy_mev: f64, rng: &mut impl Rng) -> Course {
        let ln_y = (energy_mev / self.critical_mev).ln();
        let f = self.sampling_frequency;
        // The maximum of a shower is nowhere before 0.1 X₀, nor does it fall from the beginning.
        let maximum = ((ln_y - 0.812).max(0.1) - 0.55 / f - 0.69 * self.suppression).max(0.1);
        let alpha = (0.81 + (0.458 + 2.26 / self.z) * ln_y).max(0.1) - 0.476 / f;
        let sigma = |a: f64, b: f64| {
            let inverse = a + b * ln_y;
            if inverse > 1.0 / LARGEST_SIGMA { 1.0 / inverse } else { LARGEST_SIGMA }
        };
        let rho = (0.784 - 0.023 * ln_y).clamp(-1.0, 1.0);
        let [u, v]: [f64; 2] = std::array::from_fn(|_| rng.sample(StandardNormal));
        let (sum, difference) = ((0.5 * (1.0 + rho)).sqrt() * u, (0.5 * (1.0 - rho)).sqrt() * v);
        let maximum_x0 = (maximum.ln() + sigma(-2.5, 1.25) * (sum + difference)).exp();
        let alpha = (alpha.max(1.1).ln() + sigma(-0.82, 0.79) * (sum - difference)).exp().max(1.1);
        let energy_gev = energy_mev / GEV;
        Course {
            energy_gev,
            alpha,
            beta: (alpha - 1.0) / maximum_x0,
            maximum_x0,
            start_x0: 9.0 / 7.0 * rng.sample::<f64, _>(Exp1),
            spots: 10.3 / self.resolution * energy_gev.powf(0.959),
        }
    }

    /// Adds what a shower leaves between two depths to the voxels of a layer.
    fn deposit(&self, course: &Course, ends: [f64; 2], layer: &Layer, cells: &mut [f32], rng: &mut impl Rng) {
        let depths = ends.map(|depth| (depth - course.start_x0).max(0.0));
        let share = share_between(course.alpha, course.beta, depths);
        let energy_mev = share * course.energy_gev * GEV;
        let variance_mev = self.resolution * self.resolution * GEV;
        let Ok(fluctuation) = Gamma::new(energy_mev / variance_mev, variance_mev) else { return };
        let visible = self.visible_fraction * fluctuation.sample(rng);
        // Spots come earlier in the shower than the energy: their own α and T.
        let alpha = (course.alpha * (0.844 + 0.0026 * self.z)).max(1.1);
        let maximum = course.maximum_x0 * (0.813 + 0.0019 * self.z);
        let expected = course.spots * share_between(alpha, (alpha - 1.0) / maximum, depths);
        let spots = Poisson::new(expected).map_or(0.0, |poisson| poisson.sample(rng)).max(1.0) as usize;
        let profile = self.profile(course, 0.5 * (depths[0] + depths[1]));
        for _ in 0..spots {
            if let Some(voxel) = profile.voxel(layer, rng) {
                cells[voxel] += (visible / spots as f64) as f32;
            }
        }
    }

    fn profile(&self, course: &Course, depth_x0: f64) -> Profile {
        let (tau, ln_e, f) = (depth_x0 / course.maximum_x0, course.energy_gev.ln(), self.sampling_frequency);
        let core = 0.0251 + 0.00319 * ln_e + (0.1162 - 0.000_381 * self.z) * tau;
        let tail = (0.659 - 0.00309 * self.z)
            * ((-2.59 * (tau - 0.645)).exp() + ((0.3585 + 0.0421 * ln_e) * (tau - 0.645)).exp());
        let x = (0.401 + 0.00187 * self.z - tau) / (1.313 - 0.0686 * ln_e);
        let weight = (2.632 - 0.00094 * self.z) * (x - x.exp()).exp();
        let core = core - 0.0203 * self.suppression + 0.0397 / f * (-tau).exp();
        let tail = tail - 0.14 * self.suppression - 0.495 / f * (-tau).exp();
        let weight = weight + self.suppression * (0.348 - 0.642 / f * (-(tau - 1.0).powi(2)).exp());
        Profile {
            core_mm: self.moliere_mm * core.max(0.005),
            tail_mm: self.moliere_mm * tail.max(0.05),
            core_share: weight.clamp(0.0, 1.0),
        }
    }
}

/// Share of a gamma profile between two depths.
fn share_between(alpha: f64, beta: f64, [from, to]: [f64; 2]) -> f64 {
    let below = |depth: f64| if depth > 0.0 { gamma_lr(alpha, beta * depth) } else { 0.0 };
    below(to) - below(from)
}

impl Profile {
    /// The voxel of a layer that a spot falls into; `None` outside.
    fn voxel(&self, layer: &Layer, rng: &mut impl Rng) -> Option<usize> {
        let scale = if rng.gen_bool(self.core_share) { self.core_mm } else { self.tail_mm };
        // ∫₀ʳ 2r'R²/(r'² + R²)² dr' = r²/(r² + R²).
        let u: f64 = rng.r#gen();
        let r = scale * (u / (1.0 - u)).sqrt();
        let ring = layer.r_edges_mm.partition_point(|edge| *edge <= r).checked_sub(1)?;
        let sector = rng.gen_range(0..layer.n_alpha);
        (ring < layer.n_r()).then(|| sector * layer.n_r() + ring)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::shower::ShowerObservables;

    fn showers(energy_mev: f64, n: usize) -> Vec<Vec<f32>> {
        let calorimeter = ParametrisedCalorimeter::lead_argon();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        (0..n).map(|_| calorimeter.photon(energy_mev, &mut rng)).collect()
    }

    /// Mean and standard deviation of an observable.
    fn observable(name: &str, energy_mev: f64, n: usize) -> (f64, f64) {
        let geometry = ParametrisedCalorimeter::lead_argon().geometry().clone();
        let observables = ShowerObservables::new(&geometry);
        let flat: Vec<f32> = showers(energy_mev, n).concat();
        let voxels = ndarray::Array2::from_shape_vec((n, geometry.n_voxels()), flat).unwrap();
        let incident = ndarray::Array1::from_elem(n, energy_mev as f32);
        let table = observables.compute(voxels.view(), incident.view());
        let column = observables.observables().iter().position(|found| found.name == name).unwrap();
        let values: Vec<f64> = table.column(column).iter().map(|&value| f64::from(value)).collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n as f64).sqrt())
    }

    #[test]
    fn the_mixture_is_that_of_the_plates() {
        let calorimeter = ParametrisedCalorimeter::lead_argon();
        // 66·(2/5.612 + 4/140.0) X₀ = 25.4 X₀, the depth of the geometry.
        assert!((66.0 / calorimeter.sampling_frequency - 25.407).abs() < 0.03);
        // R_M of lead is 16 mm, of liquid argon 90 mm (PDG).
        assert!((20.0..50.0).contains(&calorimeter.moliere_mm), "{}", calorimeter.moliere_mm);
    }

    #[test]
    fn response_and_resolution_are_those_asked_for() {
        for (energy_gev, n) in [(2.0, 3000), (20.0, 1000)] {
            let (mean, sigma) = observable("response", energy_gev * GEV, n);
            // A few per cent leave through the sides and the back.
            assert!((0.17..0.192).contains(&mean), "{mean}");
            let sampling = 0.0735 / f64::sqrt(energy_gev);
            assert!((sampling..1.4 * sampling + 0.01).contains(&(sigma / mean)), "{}", sigma / mean);
        }
    }

    #[test]
    fn showers_grow_deeper_with_the_logarithm_of_the_energy() {
        let depths = [1.0, 8.0, 64.0].map(|energy| observable("depth", energy * GEV, 800).0);
        let steps = [depths[1] - depths[0], depths[2] - depths[1]];
        // A factor of 8 is ln 8 = 2.1 X₀, less what the layers' middles and the leakage hide.
        assert!(steps.iter().all(|step| (1.2..2.4).contains(step)), "{depths:?}");
    }

    #[test]
    fn nine_tenths_lie_within_a_moliere_radius_and_all_sectors_are_alike() {
        let calorimeter = ParametrisedCalorimeter::lead_argon();
        let (mut inside, mut all, mut sectors) = (0.0, 0.0, [0.0; 8]);
        for shower in showers(10.0 * GEV, 400) {
            for layer in 0..4 {
                let voxels = calorimeter.geometry().layer_voxels(layer);
                for (index, energy) in shower[voxels].iter().enumerate() {
                    // Rings end at 30 and 50 mm; R_M lies between.
                    inside += if index % 8 < 4 { f64::from(*energy) } else { 0.0 };
                    all += f64::from(*energy);
                    if layer == 1 || layer == 2 {
                        sectors[index / 8] += f64::from(*energy);
                    }
                }
            }
        }
        assert!((0.75..0.97).contains(&(inside / all)), "{}", inside / all);
        let mean = sectors.iter().sum::<f64>() / 8.0;
        assert!(sectors.iter().all(|energy| (energy / mean - 1.0).abs() < 0.02), "{sectors:?}");
    }

    #[test]
    fn low_energies_still_make_showers() {
        for energy in [5.0, 50.0, 500.0] {
            let showers = showers(energy, 200);
            assert!(showers.iter().flatten().all(|energy| energy.is_finite() && *energy >= 0.0));
            assert!(showers.iter().flatten().sum::<f32>() > 0.0);
        }
    }
}
