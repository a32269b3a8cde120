//! The average shower: mean energy of every layer and voxel.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;
use simile_physics::Geometry;

use crate::metrics::{LayerMean, LayerProfile, Profiles};

/// Showers per task.
const CHUNK: usize = 1024;

/// Voxel energies `[events, voxels]` in MeV and event weights of one sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Showers<'a> {
    /// Voxel energies.
    pub(crate) voxels: ArrayView2<'a, f32>,
    /// Event weights; `None` for unit weights.
    pub(crate) weights: Option<&'a [f32]>,
}

/// Average showers of both samples. Both need a positive sum of weights and the voxels of the geometry.
pub(crate) fn profiles(geometry: &Geometry, reference: Showers<'_>, candidate: Showers<'_>) -> Profiles {
    let (reference, candidate) = (layer_means(geometry, reference), layer_means(geometry, candidate));
    let layers = geometry.layers.iter().zip(reference.into_iter().zip(candidate));
    let layers = layers.map(|(layer, (reference, candidate))| LayerProfile {
        x0: layer.x0,
        r_edges_mm: layer.r_edges_mm.clone(),
        n_alpha: layer.n_alpha,
        alpha_begin: layer.alpha_begin,
        reference,
        candidate,
    });
    Profiles { layers: layers.collect() }
}

/// Weighted sums over events.
#[derive(Clone)]
struct Sums {
    weight: f64,
    weight2: f64,
    voxels: Vec<f64>,
    /// Σ w² E and Σ w² E² of each layer's energy E.
    layers: Vec<(f64, f64)>,
}

impl Sums {
    fn new(geometry: &Geometry) -> Self {
        Self {
            weight: 0.0,
            weight2: 0.0,
            voxels: vec![0.0; geometry.n_voxels()],
            layers: vec![(0.0, 0.0); geometry.n_layers()],
        }
    }

    fn add(&mut self, geometry: &Geometry, shower: ndarray::ArrayView1<'_, f32>, weight: f64) {
        self.weight += weight;
        self.weight2 += weight * weight;
        for (layer, sums) in self.layers.iter_mut().enumerate() {
            let mut energy = 0.0;
            for voxel in geometry.layer_voxels(layer) {
                let value = f64::from(shower[voxel]);
                energy += value;
                self.voxels[voxel] += weight * value;
            }
            sums.0 += weight * weight * energy;
            sums.1 += weight * weight * energy * energy;
        }
    }

    fn merge(mut self, other: &Self) -> Self {
        self.weight += other.weight;
        self.weight2 += other.weight2;
        self.voxels.iter_mut().zip(&other.voxels).for_each(|(sum, more)| *sum += more);
        for (sum, more) in self.layers.iter_mut().zip(&other.layers) {
            *sum = (sum.0 + more.0, sum.1 + more.1);
        }
        self
    }

    /// Mean energy of a layer, its error `√Σw²(E−Ē)²/Σw`, and the mean voxels.
    fn layer(&self, geometry: &Geometry, layer: usize) -> LayerMean {
        let voxels_mev: Vec<f64> =
            geometry.layer_voxels(layer).map(|voxel| self.voxels[voxel] / self.weight).collect();
        let mean: f64 = voxels_mev.iter().sum();
        let (first, second) = self.layers[layer];
        let squares = (second - 2.0 * mean * first + mean * mean * self.weight2).max(0.0);
        LayerMean { energy_mev: mean, energy_error_mev: squares.sqrt() / self.weight, voxels_mev }
    }
}

fn layer_means(geometry: &Geometry, showers: Showers<'_>) -> Vec<LayerMean> {
    let chunks: Vec<(usize, ArrayView2<'_, f32>)> =
        showers.voxels.axis_chunks_iter(Axis(0), CHUNK).enumerate().collect();
    // Chunks are summed in their order, so that the result does not depend on threads.
    let partial: Vec<Sums> = chunks
        .into_par_iter()
        .map(|(chunk, voxels)| {
            let mut sums = Sums::new(geometry);
            for (i, shower) in voxels.rows().into_iter().enumerate() {
                sums.add(geometry, shower, showers.weights.map_or(1.0, |w| f64::from(w[chunk * CHUNK + i])));
            }
            sums
        })
        .collect();
    let total = partial.iter().fold(Sums::new(geometry), Sums::merge);
    (0..geometry.n_layers()).map(|layer| total.layer(geometry, layer)).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use simile_physics::Layer;

    use super::*;

    #[test]
    fn means_and_errors_by_hand() {
        let layer =
            |r_edges_mm: Vec<f64>, x0| Layer { r_edges_mm, n_alpha: 1, alpha_begin: None, x0: Some(x0) };
        let geometry = Geometry::new(vec![
            layer(vec![0.0, 1.0, 2.0], [0.0, 1.0]),
            layer(vec![], [1.0, 2.0]),
            layer(vec![0.0, 1.0], [2.0, 3.0]),
        ])
        .expect("a valid geometry");
        let voxels = array![[1.0_f32, 2.0, 0.0], [3.0, 4.0, 6.0]];
        let plain = Showers { voxels: voxels.view(), weights: None };
        let weighted = Showers { voxels: voxels.view(), weights: Some(&[1.0, 3.0]) };
        let found = profiles(&geometry, plain, weighted);
        assert_eq!(found.layers.len(), 3);
        assert_eq!(found.layers[0].reference.voxels_mev, [2.0, 3.0]);
        assert_eq!(found.layers[0].reference.energy_mev, 5.0);
        // Energies 3 and 7: √(4+4)/2.
        assert!((found.layers[0].reference.energy_error_mev - 2.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(found.layers[1].reference.voxels_mev, [0.0; 0]);
        // (0·1 + 6·3)/4 = 4.5, error √(1·4.5² + 9·1.5²)/4.
        assert_eq!(found.layers[2].candidate.energy_mev, 4.5);
        assert!((found.layers[2].candidate.energy_error_mev - 40.5_f64.sqrt() / 4.0).abs() < 1e-12);
    }
}
