//! From energy deposits to a cluster: what the electronics and the first steps of a reconstruction make of a shower.
//!
//! 1. **Noise**: every voxel gets Gaussian noise of width `noise_mev`.
//! 2. **Zero suppression**: cells above `suppression` · `noise_mev` are kept; sums below run over these cells i, with
//!    energies e_i and V = Σ e_i.
//! 3. **Calibration**: E = a·V + b. The two constants minimise Σ (E/E_true − 1)² over a sample of known energies
//!    ([`CalibrationFit`]); b makes up for what zero suppression takes away.
//! 4. **Barycentre** (x, y) over layers with several sectors, with logarithmic weights w_i = max(0, w₀ + ln(e_i/Σe))
//!    (Awes et al., Nucl. Instrum. Meth. A 311 (1992) 130), `log_weight` = w₀.
//! 5. **Depth** Σ e_i d_i / V, d_i the middle of the layer in X₀; **width** √(Σ e_i |r_i − (x, y)|² / Σ e_i) over layers
//!    with several sectors; **cells**, the number of i.
//! 6. **Quality**: 2 where the last layer holds more than `late` of V (leakage behind is likely), else 1 where the first
//!    holds more than `early` (showers that began before the calorimeter), else 0.
//! 7. **Found**: E ≥ `threshold_mev`, and a cell at all.

use rand::Rng;
use rand_distr::StandardNormal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Geometry;

/// How clusters are made; see the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReconstructionConfig {
    /// Width of the electronic noise of a cell in MeV, in the unit of the deposits.
    pub noise_mev: f64,
    /// Cells below so many widths of the noise are suppressed.
    pub suppression: f64,
    /// Clusters below this calibrated energy in MeV are not found.
    pub threshold_mev: f64,
    /// w₀ of the barycentre.
    pub log_weight: f64,
    /// Share of the energy in the first layer above which a cluster is early.
    pub early: f64,
    /// Share of the energy in the last layer above which a cluster is late.
    pub late: f64,
    /// Distance in mm of the calorimeter's face from the vertex, where positions become directions.
    pub distance_mm: f64,
    /// The calibration, if it is known; without it, it is fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

impl Default for ReconstructionConfig {
    /// A liquid-argon calorimeter at 1.5 m, whose noise is 2.6 MeV of calibrated energy a cell.
    fn default() -> Self {
        Self {
            noise_mev: 0.5,
            suppression: 3.0,
            threshold_mev: 450.0,
            log_weight: 4.0,
            early: 0.1,
            late: 0.05,
            distance_mm: 1500.0,
            calibration: None,
        }
    }
}

/// E = `scale` · V + `offset_mev`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Calibrated over visible energy.
    pub scale: f64,
    /// What is added, in MeV.
    pub offset_mev: f64,
}

/// Why showers cannot be reconstructed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReconstructionError {
    /// A setting is out of range.
    #[error("`reconstruction.{key}` = {value}: must be {allowed}")]
    Setting {
        /// The key.
        key: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The geometry lacks something.
    #[error("the calorimeter cannot be reconstructed: {0}")]
    Geometry(&'static str),
    /// Nothing to calibrate with.
    #[error(
        "the calibration cannot be fitted to {showers} showers: it needs two of different visible energy and positive \
         incident energy; give `reconstruction.calibration`"
    )]
    Calibration {
        /// Showers seen.
        showers: u64,
    },
}

impl ReconstructionConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`ReconstructionError::Setting`] naming the key.
    pub fn check(&self) -> Result<(), ReconstructionError> {
        let from_zero = [
            ("noise_mev", self.noise_mev),
            ("suppression", self.suppression),
            ("threshold_mev", self.threshold_mev),
            ("early", self.early),
            ("late", self.late),
        ];
        let positive = [("log_weight", self.log_weight), ("distance_mm", self.distance_mm)];
        let scale = self.calibration.map(|calibration| ("calibration.scale", calibration.scale));
        let fault = |(key, value), allowed| Err(ReconstructionError::Setting { key, value, allowed });
        if let Some(found) = from_zero.into_iter().find(|(_, value)| !(0.0..f64::INFINITY).contains(value)) {
            return fault(found, "0 or more, and finite");
        }
        match positive.into_iter().chain(scale).find(|(_, v)| !(v.is_finite() && *v > 0.0)) {
            Some(found) => fault(found, "positive and finite"),
            None => Ok(()),
        }
    }
}

/// A cluster before calibration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RawCluster {
    /// Visible energy above noise V in MeV.
    pub visible_mev: f64,
    /// Barycentre in mm.
    pub x_mm: f64,
    /// Barycentre in mm.
    pub y_mm: f64,
    /// Depth in X₀.
    pub depth_x0: f64,
    /// Transverse width in mm.
    pub width_mm: f64,
    /// Cells above noise.
    pub cells: u32,
    /// 0 good, 1 early, 2 late.
    pub quality: u8,
}

/// Reconstructs the showers of one calorimeter.
#[derive(Clone, Debug)]
pub struct Reconstruction {
    config: ReconstructionConfig,
    cells: Vec<Cell>,
    last_layer: usize,
}

/// Where a voxel is.
#[derive(Clone, Copy, Debug)]
struct Cell {
    layer: usize,
    depth_x0: f64,
    /// Transverse position; `None` in layers that cannot tell it.
    position_mm: Option<[f64; 2]>,
}

impl Reconstruction {
    /// For a geometry whose layers have depths, one of them several sectors.
    ///
    /// # Errors
    /// A setting out of range, or a geometry that lacks these.
    pub fn new(geometry: &Geometry, config: &ReconstructionConfig) -> Result<Self, ReconstructionError> {
        config.check()?;
        let mut cells = Vec::with_capacity(geometry.n_voxels());
        let layers = geometry.layers.iter().filter(|layer| layer.n_voxels() > 0);
        for (index, layer) in layers.enumerate() {
            let depth_x0 = layer
                .mid_depth_x0()
                .ok_or(ReconstructionError::Geometry("a layer has no depth `x0`, which the depth needs"))?;
            cells.extend(layer.voxel_centres().map(|(r, alpha)| Cell {
                layer: index,
                depth_x0,
                position_mm: (layer.n_alpha > 1).then(|| [r * alpha.cos(), r * alpha.sin()]),
            }));
        }
        if cells.iter().all(|cell| cell.position_mm.is_none()) {
            let reason = "no layer has several sectors `n_alpha`, which the barycentre needs";
            return Err(ReconstructionError::Geometry(reason));
        }
        let last_layer = cells.last().map_or(0, |cell| cell.layer);
        Ok(Self { config: config.clone(), cells, last_layer })
    }

    /// Number of voxels of a shower.
    #[must_use]
    pub fn n_voxels(&self) -> usize {
        self.cells.len()
    }

    /// The cluster of a shower of voxel energies in MeV, with noise from `rng`: one normal number a voxel.
    ///
    /// # Panics
    /// If the shower has another number of voxels.
    pub fn cluster(&self, shower: &[f32], rng: &mut impl Rng) -> RawCluster {
        assert_eq!(shower.len(), self.cells.len(), "showers must have the voxels of the geometry");
        let noise = self.config.noise_mev;
        let measured =
            shower.iter().map(|&energy| f64::from(energy) + noise * rng.sample::<f64, _>(StandardNormal));
        let kept: Vec<(Cell, f64)> = self
            .cells
            .iter()
            .copied()
            .zip(measured)
            .filter(|(_, energy)| *energy > self.config.suppression * noise)
            .collect();
        self.summarise(&kept)
    }

    fn summarise(&self, kept: &[(Cell, f64)]) -> RawCluster {
        let visible_mev: f64 = kept.iter().map(|(_, energy)| energy).sum();
        if visible_mev <= 0.0 {
            return RawCluster::default();
        }
        let share = |layer: usize| {
            let of_layer = kept.iter().filter(|(cell, _)| cell.layer == layer);
            of_layer.map(|(_, energy)| energy).sum::<f64>() / visible_mev
        };
        let depth = kept.iter().map(|(cell, energy)| energy * cell.depth_x0).sum::<f64>() / visible_mev;
        let ([x_mm, y_mm], width_mm) = self.transverse(kept);
        RawCluster {
            visible_mev,
            x_mm,
            y_mm,
            depth_x0: depth,
            width_mm,
            cells: u32::try_from(kept.len()).expect("a geometry has fewer than 2³² voxels"),
            quality: match () {
                () if share(self.last_layer) > self.config.late => 2,
                () if share(0) > self.config.early => 1,
                () => 0,
            },
        }
    }

    /// Barycentre with logarithmic weights, and energy-weighted width about it.
    fn transverse(&self, kept: &[(Cell, f64)]) -> ([f64; 2], f64) {
        let located: Vec<([f64; 2], f64)> =
            kept.iter().filter_map(|(cell, energy)| Some((cell.position_mm?, *energy))).collect();
        let total: f64 = located.iter().map(|(_, energy)| energy).sum();
        if total <= 0.0 {
            return ([0.0; 2], 0.0);
        }
        let mut sums = [0.0; 3];
        for ([x, y], energy) in &located {
            let weight = (self.config.log_weight + (energy / total).ln()).max(0.0);
            sums = [sums[0] + weight, sums[1] + weight * x, sums[2] + weight * y];
        }
        // With a small w₀ no cell may have a weight.
        let centre = if sums[0] > 0.0 { [sums[1] / sums[0], sums[2] / sums[0]] } else { [0.0; 2] };
        let squares = located
            .iter()
            .map(|([x, y], energy)| energy * ((x - centre[0]).powi(2) + (y - centre[1]).powi(2)));
        (centre, (squares.sum::<f64>() / total).sqrt())
    }
}

impl Calibration {
    /// Calibrated energy in MeV.
    #[must_use]
    pub fn energy_mev(&self, cluster: &RawCluster) -> f64 {
        self.scale * cluster.visible_mev + self.offset_mev
    }

    /// Whether a cluster is found.
    #[must_use]
    pub fn finds(&self, cluster: &RawCluster, config: &ReconstructionConfig) -> bool {
        cluster.cells > 0 && self.energy_mev(cluster) >= config.threshold_mev
    }
}

/// Sums behind the least-squares fit of a [`Calibration`]: with u = V/E and w = 1/E it minimises Σ (a·u + b·w − 1)².
#[derive(Clone, Copy, Debug, Default)]
pub struct CalibrationFit {
    showers: u64,
    /// Σu², Σuw, Σw², Σu, Σw
    sums: [f64; 5],
}

impl CalibrationFit {
    /// Adds a shower; those without incident or visible energy do not count.
    pub fn add(&mut self, visible_mev: f64, incident_mev: f64) {
        if !(visible_mev > 0.0 && incident_mev > 0.0) {
            return;
        }
        let (u, w) = (visible_mev / incident_mev, 1.0 / incident_mev);
        self.showers += 1;
        for (sum, term) in self.sums.iter_mut().zip([u * u, u * w, w * w, u, w]) {
            *sum += term;
        }
    }

    /// The calibration.
    ///
    /// # Errors
    /// If the showers do not determine it.
    pub fn solve(&self) -> Result<Calibration, ReconstructionError> {
        let [uu, uw, ww, u, w] = self.sums;
        let determinant = uu * ww - uw * uw;
        let scale = (u * ww - w * uw) / determinant;
        if determinant > 1e-12 * uu * ww && scale > 0.0 {
            Ok(Calibration { scale, offset_mev: (uu * w - uw * u) / determinant })
        } else {
            Err(ReconstructionError::Calibration { showers: self.showers })
        }
    }
}

/// The direction (η, φ) in which a cluster is seen: the calorimeter's face, `distance_mm` from the vertex, stands at right
/// angles to the particle's direction (η, φ); x points towards growing φ, y towards growing η.
#[must_use]
pub fn direction(eta: f64, phi: f64, [x_mm, y_mm]: [f64; 2], distance_mm: f64) -> [f64; 2] {
    // In the frame turned by φ: along n, ê_φ and ê_η.
    let (sech, tanh) = (eta.cosh().recip(), eta.tanh());
    let radial = distance_mm * sech - y_mm * tanh;
    let z = distance_mm * tanh + y_mm * sech;
    let turn = x_mm.atan2(radial);
    [(z / radial.hypot(x_mm)).asinh(), crate::four_vector::wrap(phi + turn)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::FourVector;

    fn geometry() -> Geometry {
        let layer = |n_alpha, x0: [f64; 2]| crate::Layer {
            r_edges_mm: vec![0.0, 10.0, 30.0],
            n_alpha,
            alpha_begin: None,
            x0: Some(x0),
        };
        Geometry::new(vec![layer(1, [0.0, 2.0]), layer(4, [2.0, 12.0]), layer(1, [12.0, 20.0])]).unwrap()
    }

    fn rng(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    fn quiet() -> ReconstructionConfig {
        ReconstructionConfig { noise_mev: 0.0, ..ReconstructionConfig::default() }
    }

    /// Voxels: 0–1 first layer, 2–9 middle (r fastest, α = 0, 90, 180, 270°), 10–11 last.
    fn cluster(shower: [f32; 12], config: &ReconstructionConfig) -> RawCluster {
        Reconstruction::new(&geometry(), config).unwrap().cluster(&shower, &mut rng(1))
    }

    #[test]
    fn a_cluster_by_hand() {
        let mut shower = [0.0; 12];
        (shower[0], shower[2], shower[3], shower[10]) = (5.0, 60.0, 30.0, 5.0);
        let found = cluster(shower, &quiet());
        assert_eq!((found.visible_mev, found.cells, found.quality), (100.0, 4, 0));
        // Depths 1, 7 and 16 X₀.
        assert!((found.depth_x0 - (5.0 + 90.0 * 7.0 + 5.0 * 16.0) / 100.0).abs() < 1e-12);
        // Cells at x = 5 and 20 mm with weights 4 + ln(2/3) and 4 + ln(1/3).
        let (near, far) = (4.0 + (2.0f64 / 3.0).ln(), 4.0 + (1.0f64 / 3.0).ln());
        let x = (near * 5.0 + far * 20.0) / (near + far);
        assert!((found.x_mm - x).abs() < 1e-9 && found.y_mm.abs() < 1e-9);
        let width = ((60.0 * (5.0 - x).powi(2) + 30.0 * (20.0 - x).powi(2)) / 90.0).sqrt();
        assert!((found.width_mm - width).abs() < 1e-9);
    }

    #[test]
    fn shares_of_the_outer_layers_make_the_quality() {
        let of = |first: f32, last: f32| {
            let mut shower = [0.0; 12];
            (shower[0], shower[2], shower[10]) = (first, 100.0 - first - last, last);
            cluster(shower, &quiet()).quality
        };
        assert_eq!([of(5.0, 4.0), of(11.0, 4.0), of(5.0, 6.0), of(11.0, 6.0)], [0, 1, 2, 2]);
    }

    #[test]
    fn noise_alone_makes_few_cells_and_no_energy_no_cluster() {
        assert_eq!(cluster([0.0; 12], &quiet()), RawCluster::default());
        let reconstruction =
            Reconstruction::new(&geometry(), &ReconstructionConfig { noise_mev: 2.0, ..quiet() }).unwrap();
        let mut rng = rng(3);
        let n = 20_000;
        let cells: u32 = (0..n).map(|_| reconstruction.cluster(&[0.0; 12], &mut rng).cells).sum();
        // scipy 1.17.1: stats.norm.sf(3) = 0.0013499
        let expected = 0.001_349_9 * 12.0 * f64::from(n);
        assert!((f64::from(cells) - expected).abs() < 5.0 * expected.sqrt(), "{cells}, expected {expected}");
    }

    #[test]
    fn the_calibration_is_the_least_squares_solution() {
        let mut fit = CalibrationFit::default();
        assert_eq!(fit.solve(), Err(ReconstructionError::Calibration { showers: 0 }));
        // numpy 2.4.6: linalg.lstsq([[v/e, 1/e] …], ones)[0] for v = 15, 40, 95, 390 and e = 100, 200, 500, 2000
        for (visible, incident) in [(15.0, 100.0), (40.0, 200.0), (95.0, 500.0), (390.0, 2000.0)] {
            fit.add(visible, incident);
        }
        fit.add(0.0, 100.0);
        let Calibration { scale, offset_mev } = fit.solve().unwrap();
        assert!(
            (scale - GOLDEN[0]).abs() < 1e-9 && (offset_mev - GOLDEN[1]).abs() < 1e-7,
            "{scale} {offset_mev}"
        );
        let exact = [(20.0, 130.0), (60.0, 330.0)];
        let mut fit = CalibrationFit::default();
        exact.iter().for_each(|(visible, incident)| fit.add(*visible, *incident));
        let calibration = fit.solve().unwrap();
        assert!((calibration.scale - 5.0).abs() < 1e-9 && (calibration.offset_mev - 30.0).abs() < 1e-7);
        let cluster = RawCluster { visible_mev: 84.001, cells: 1, ..RawCluster::default() };
        let config = ReconstructionConfig::default();
        assert!(calibration.finds(&cluster, &config));
        assert!(!calibration.finds(&RawCluster { visible_mev: 83.9, ..cluster }, &config));
    }

    const GOLDEN: [f64; 2] = [4.877_875_421_842_258, 23.026_119_392_376_557];

    #[test]
    fn settings_and_geometries_that_make_no_sense_are_named() {
        let fault = |config| Reconstruction::new(&geometry(), &config).unwrap_err().to_string();
        assert!(fault(ReconstructionConfig { noise_mev: -1.0, ..quiet() }).contains("noise_mev` = -1"));
        assert!(fault(ReconstructionConfig { distance_mm: 0.0, ..quiet() }).contains("distance_mm` = 0"));
        assert!(fault(ReconstructionConfig { late: f64::NAN, ..quiet() }).contains("late` = NaN"));
        let mut flat = geometry();
        flat.layers[1].n_alpha = 1;
        assert!(Reconstruction::new(&flat, &quiet()).unwrap_err().to_string().contains("n_alpha"));
        let mut deep = geometry();
        deep.layers[2].x0 = None;
        assert!(Reconstruction::new(&deep, &quiet()).unwrap_err().to_string().contains("x0"));
    }

    proptest! {
        /// The barycentre turns with the shower, all else stays.
        #[test]
        fn a_quarter_turn(voxels in prop::array::uniform12(0.0f32..100.0)) {
            let mut turned = voxels;
            turned[2..10].rotate_right(2);
            let (a, b) = (cluster(voxels, &quiet()), cluster(turned, &quiet()));
            prop_assert!((a.x_mm - b.y_mm).abs() < 1e-9 && (a.y_mm + b.x_mm).abs() < 1e-9);
            prop_assert!((a.width_mm - b.width_mm).abs() < 1e-9 && (a.depth_x0 - b.depth_x0).abs() < 1e-9);
            prop_assert!((a.quality, a.cells) == (b.quality, b.cells));
        }

        /// The shift of the direction is the angle under which the shift of the barycentre is seen.
        #[test]
        fn positions_become_directions(
            eta in -2.0..2.0, phi in -3.1..3.1, x in -50.0..50.0, y in -50.0..50.0,
        ) {
            prop_assert!(direction(eta, phi, [0.0; 2], 1500.0).iter().zip([eta, phi]).all(|(a, b)| (a - b).abs() < 1e-12));
            let [eta_2, phi_2] = direction(eta, phi, [x, y], 1500.0);
            let (a, b) = (FourVector::massless(1.0, eta, phi), FourVector::massless(1.0, eta_2, phi_2));
            let angle = f64::hypot(x, y) / 1500.0;
            // E² (1 − cos θ) = p₁·p₂ with tan θ = |(x, y)|/R.
            prop_assert!((a.dot(&b) - (1.0 - angle.atan().cos())).abs() < 1e-12);
            prop_assert!(x == 0.0 || (crate::four_vector::wrap(phi_2 - phi) > 0.0) == (x > 0.0));
            let [eta_up, _] = direction(eta, phi, [0.0, y.abs()], 1500.0);
            prop_assert!(eta_up >= eta);
        }
    }
}
