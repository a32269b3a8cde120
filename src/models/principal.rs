//! Principal components (Hotelling 1933): the eigenvectors of the covariance Σ(x − x̄)(x − x̄)ᵀ of events with the largest
//! eigenvalues, which are the directions in which events vary most.

use linfa_linalg::eigh::{EigSort, Eigh};
use ndarray::{Array1, Array2, Axis, s};

/// The time goes with their third power: some ten seconds for so many.
const MOST_FEATURES: usize = 2048;

/// The first principal components of a sample.
pub(crate) struct PrincipalComponents {
    mean: Array1<f64>,
    /// Unit vectors in columns, `[features, components]`.
    axes: Array2<f64>,
}

impl PrincipalComponents {
    /// The first `components`, at most as many as features, of events `[events, features]`; none of more than `MOST_FEATURES`,
    /// nor of values that are not finite. All eigenvectors are found: solvers for the first few, such as that of
    /// `linfa-reduction`, give up on images with pixels that never change.
    ///
    /// # Panics
    /// Without events.
    pub(crate) fn fit(events: &Array2<f32>, components: usize) -> Option<Self> {
        if events.ncols() > MOST_FEATURES || !events.iter().all(|value| value.is_finite()) {
            return None;
        }
        let mut centred = events.mapv(f64::from);
        let mean = centred.mean_axis(Axis(0)).expect("there are events");
        centred -= &mean;
        let (_, axes) = centred.t().dot(&centred).eigh().expect("a square matrix").sort_eig_desc();
        Some(Self { mean, axes: axes.slice(s![.., ..components]).to_owned() })
    }

    /// Places of events in the space of the components, `[events, components]`.
    pub(crate) fn project(&self, events: &Array2<f32>) -> Array2<f32> {
        self.places(events).mapv(|place| place as f32)
    }

    fn places(&self, events: &Array2<f32>) -> Array2<f64> {
        (events.mapv(f64::from) - &self.mean).dot(&self.axes)
    }

    /// Mean square error per feature of events that are reconstructed from the components alone.
    pub(crate) fn reconstruction_error(&self, events: &Array2<f32>) -> f64 {
        let restored = self.places(events).dot(&self.axes.t()) + &self.mean;
        let errors = restored - events.mapv(f64::from);
        errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_distr::StandardNormal;
    use simile_data::random;

    use super::*;

    /// Of images: as many features as MNIST has, most of which never change.
    #[test]
    fn components_are_the_directions_of_largest_variance() {
        let mut rng = random::stream(1, "test/principal", 0);
        let widths = |axis: usize| match axis {
            3 => 5.0,
            1 => 3.0,
            5..200 => 0.1,
            _ => 0.0f32,
        };
        let events = Array2::from_shape_fn([1000, 784], |(_, axis)| {
            7.0 + widths(axis) * rng.sample::<f32, _>(StandardNormal)
        });
        let components = PrincipalComponents::fit(&events, 2).unwrap();
        let points = components.project(&events);
        for (component, axis) in [(0, 3), (1, 1)] {
            let of_axis = events.column(axis).mapv(|value| value - 7.0);
            let along = points.column(component);
            let cosine = along.dot(&of_axis) / (along.dot(&along) * of_axis.dot(&of_axis)).sqrt();
            assert!(cosine.abs() > 0.99, "component {component}: {cosine}");
        }
        let mut broken = events.clone();
        broken[[3, 4]] = f32::NAN;
        assert!(PrincipalComponents::fit(&broken, 2).is_none());
        let error = components.reconstruction_error(&events) * 784.0;
        assert!((error / (195.0 * 0.01) - 1.0).abs() < 0.03, "error {error}");
    }
}
