//! Densities of toys: mixtures of round Gaussians of one width, and unit squares.
//!
//! A curve c(t) blurred by a Gaussian has the density ∫ w(t) N(x; c(t), σ²) dt. By Simpson's rule this is a mixture of
//! Gaussians on nodes along the curve. The steps are shorter than 0.4 σ, so that its logarithm is good to a relative
//! 10⁻⁵, many σ away from the curve too.

use std::f64::consts::TAU;

/// Steps of Simpson's rule along a curve; even.
const STEPS: usize = 512;

/// The normalised density of a [`Toy`](super::Toy).
#[derive(Clone, Debug)]
pub struct ToyDensity(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Mixture(Mixture),
    /// Lower left corners of unit squares with equal probability.
    Board(Vec<[f64; 2]>),
}

/// Round Gaussians of equal width.
#[derive(Clone, Debug)]
pub(super) struct Mixture {
    /// Centre of each Gaussian, and the logarithm of its probability.
    components: Vec<([f64; 2], f64)>,
    sigma: f64,
}

/// The parameter of a curve, and its density up to a factor.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) weight: fn(f64) -> f64,
}

impl From<Mixture> for ToyDensity {
    fn from(mixture: Mixture) -> Self {
        Self(Kind::Mixture(mixture))
    }
}

impl ToyDensity {
    pub(super) fn board(corners: Vec<[f64; 2]>) -> Self {
        Self(Kind::Board(corners))
    }

    /// log p(x, y) in nats; −∞ where there are no events.
    pub fn log_density(&self, point: [f64; 2]) -> f64 {
        match &self.0 {
            Kind::Mixture(mixture) => mixture.log_density(point),
            Kind::Board(corners) => {
                let inside =
                    |corner: &[f64; 2]| corner.iter().zip(point).all(|(low, value)| value.floor() == *low);
                if corners.iter().any(inside) { -(corners.len() as f64).ln() } else { f64::NEG_INFINITY }
            }
        }
    }
}

impl Mixture {
    /// Gaussians of equal probability.
    pub(super) fn of_points(centres: Vec<[f64; 2]>, sigma: f64) -> Self {
        Self::new(centres.into_iter().map(|centre| (centre, 1.0)).collect(), sigma)
    }

    /// Curves of equal probability.
    pub(super) fn along<const N: usize>(
        curves: [impl Fn(f64) -> [f64; 2]; N],
        stretch: Stretch,
        sigma: f64,
    ) -> Self {
        let nodes = (0..=STEPS).map(|step| {
            let at = stretch.low + (stretch.high - stretch.low) * step as f64 / STEPS as f64;
            let simpson = match step {
                0 | STEPS => 1.0,
                odd if odd % 2 == 1 => 4.0,
                _ => 2.0,
            };
            (at, simpson * (stretch.weight)(at))
        });
        let nodes: Vec<(f64, f64)> = nodes.filter(|(_, weight)| *weight > 0.0).collect();
        let components =
            curves.iter().flat_map(|curve| nodes.iter().map(move |(at, weight)| (curve(*at), *weight)));
        Self::new(components.collect(), sigma)
    }

    fn new(weighted: Vec<([f64; 2], f64)>, sigma: f64) -> Self {
        let sum: f64 = weighted.iter().map(|(_, weight)| weight).sum();
        let components = weighted.into_iter().map(|(centre, weight)| (centre, (weight / sum).ln())).collect();
        Self { components, sigma }
    }

    fn log_density(&self, [x, y]: [f64; 2]) -> f64 {
        let variance = self.sigma * self.sigma;
        let exponent = |([a, b], log_share): &([f64; 2], f64)| {
            log_share - 0.5 * ((x - a).powi(2) + (y - b).powi(2)) / variance
        };
        // Taken out of the sum, so that no point is too far away for a logarithm.
        let largest = self.components.iter().map(exponent).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.components.iter().map(|component| (exponent(component) - largest).exp()).sum();
        largest + sum.ln() - (TAU * variance).ln()
    }
}
