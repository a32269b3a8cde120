//! Four-momenta (E, p) with c = 1, the metric (+, −, −, −), and the beam along z.
//!
//! p_t = √(p_x² + p_y²), η = asinh(p_z / p_t), φ = atan2(p_y, p_x) in (−π, π], m² = E² − |p|²
//! (PDG review *Kinematics*). ΔR² = Δη² + Δφ².

use std::f64::consts::{PI, TAU};
use std::iter::Sum;
use std::ops::{Add, Mul, Neg, Sub};

/// A four-momentum; all components in one unit of energy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FourVector {
    /// Energy.
    pub e: f64,
    /// Momentum along x.
    pub px: f64,
    /// Momentum along y.
    pub py: f64,
    /// Momentum along z, the beam.
    pub pz: f64,
}

impl FourVector {
    /// From Cartesian components.
    #[must_use]
    pub fn new(e: f64, px: f64, py: f64, pz: f64) -> Self {
        Self { e, px, py, pz }
    }

    /// From transverse momentum, pseudorapidity, azimuth in rad and mass.
    #[must_use]
    pub fn from_pt_eta_phi_m(pt: f64, eta: f64, phi: f64, mass: f64) -> Self {
        let (px, py, pz) = (pt * phi.cos(), pt * phi.sin(), pt * eta.sinh());
        Self { e: (pt * eta.cosh()).hypot(mass), px, py, pz }
    }

    /// A massless particle of energy `e` in the direction (η, φ), such as a photon.
    #[must_use]
    pub fn massless(e: f64, eta: f64, phi: f64) -> Self {
        let pt = e / eta.cosh();
        Self { e, px: pt * phi.cos(), py: pt * phi.sin(), pz: e * eta.tanh() }
    }

    /// Transverse momentum.
    #[must_use]
    pub fn pt(&self) -> f64 {
        self.px.hypot(self.py)
    }

    /// Momentum |p|.
    #[must_use]
    pub fn p(&self) -> f64 {
        self.pt().hypot(self.pz)
    }

    /// Pseudorapidity; ±∞ along the beam, 0 for a particle at rest.
    #[must_use]
    pub fn eta(&self) -> f64 {
        match self.pt() {
            0.0 if self.pz == 0.0 => 0.0,
            0.0 => f64::INFINITY.copysign(self.pz),
            pt => (self.pz / pt).asinh(),
        }
    }

    /// Azimuth in rad, in (−π, π].
    #[must_use]
    pub fn phi(&self) -> f64 {
        wrap(self.py.atan2(self.px))
    }

    /// Rapidity ½ ln((E + p_z)/(E − p_z)).
    #[must_use]
    pub fn rapidity(&self) -> f64 {
        (self.pz / self.e).atanh()
    }

    /// m² = E² − |p|²; below zero for a space-like vector.
    #[must_use]
    pub fn mass_squared(&self) -> f64 {
        let p = self.p();
        (self.e - p) * (self.e + p)
    }

    /// √m², or −√(−m²) for a space-like vector: rounding must not turn a massless particle into NaN.
    #[must_use]
    pub fn mass(&self) -> f64 {
        let m2 = self.mass_squared();
        m2.abs().sqrt().copysign(m2)
    }

    /// Distance ΔR in pseudorapidity and azimuth.
    #[must_use]
    pub fn delta_r(&self, other: &Self) -> f64 {
        delta_r(self.eta(), self.phi(), other.eta(), other.phi())
    }

    /// The Minkowski product E₁E₂ − p₁·p₂.
    #[must_use]
    pub fn dot(&self, other: &Self) -> f64 {
        self.e * other.e - (self.px * other.px + self.py * other.py + self.pz * other.pz)
    }

    /// The vector as seen from a frame in which this frame moves with the velocity `beta` (in units of c, below 1):
    /// p → p + [(γ − 1) (β·p)/β² + γ E] β, E → γ (E + β·p).
    #[must_use]
    pub fn boosted(&self, beta: [f64; 3]) -> Self {
        let [bx, by, bz] = beta;
        let b2 = bx * bx + by * by + bz * bz;
        if b2 == 0.0 {
            return *self;
        }
        let gamma = (1.0 - b2).sqrt().recip();
        let along = bx * self.px + by * self.py + bz * self.pz;
        let factor = (gamma - 1.0) * along / b2 + gamma * self.e;
        Self {
            e: gamma * (self.e + along),
            px: self.px + factor * bx,
            py: self.py + factor * by,
            pz: self.pz + factor * bz,
        }
    }

    /// Velocity p/E of the particle.
    #[must_use]
    pub fn beta(&self) -> [f64; 3] {
        [self.px / self.e, self.py / self.e, self.pz / self.e]
    }
}

/// An angle brought into (−π, π].
#[must_use]
pub fn wrap(angle: f64) -> f64 {
    let wrapped = angle - TAU * (angle / TAU).round();
    if wrapped <= -PI { wrapped + TAU } else { wrapped }
}

/// ΔR between two directions.
#[must_use]
pub fn delta_r(eta_1: f64, phi_1: f64, eta_2: f64, phi_2: f64) -> f64 {
    (eta_1 - eta_2).hypot(wrap(phi_1 - phi_2))
}

impl Add for FourVector {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.e + other.e, self.px + other.px, self.py + other.py, self.pz + other.pz)
    }
}

impl Sub for FourVector {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Neg for FourVector {
    type Output = Self;

    fn neg(self) -> Self {
        self * -1.0
    }
}

impl Mul<f64> for FourVector {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self::new(self.e * factor, self.px * factor, self.py * factor, self.pz * factor)
    }
}

impl Sum for FourVector {
    fn sum<I: Iterator<Item = Self>>(vectors: I) -> Self {
        vectors.fold(Self::default(), Self::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::particles::Particle;

    fn particle() -> impl Strategy<Value = FourVector> {
        (0.01..1e5, -4.0..4.0, -PI..PI, 0.0..1e4)
            .prop_map(|(pt, eta, phi, m)| FourVector::from_pt_eta_phi_m(pt, eta, phi, m))
    }

    fn velocity() -> impl Strategy<Value = [f64; 3]> {
        (0.0..0.99, -1.0..1.0, -PI..PI).prop_map(|(beta, cos, phi): (f64, f64, f64)| {
            let sin = (1.0 - cos * cos).sqrt();
            [beta * sin * phi.cos(), beta * sin * phi.sin(), beta * cos]
        })
    }

    fn near(a: f64, b: f64, scale: f64) -> bool {
        (a - b).abs() <= 1e-9 * scale
    }

    proptest! {
        #[test]
        fn coordinates_are_recovered(
            pt in 0.01..1e5, eta in -4.0..4.0, phi in -3.1..3.1, mass in 0.0..1e4,
        ) {
            let v = FourVector::from_pt_eta_phi_m(pt, eta, phi, mass);
            prop_assert!(near(v.pt(), pt, pt) && near(v.eta(), eta, 1.0) && near(v.phi(), phi, 1.0));
            // m² is a difference of squares of the energy.
            prop_assert!((v.mass_squared() - mass * mass).abs() < 1e-12 * v.e * v.e);
        }

        #[test]
        fn products_do_not_depend_on_the_frame(a in particle(), b in particle(), beta in velocity()) {
            let (a2, b2) = (a.boosted(beta), b.boosted(beta));
            let scale = a2.e * b2.e + a.e * b.e;
            prop_assert!(near(a.dot(&b), a2.dot(&b2), scale));
            let back = a2.boosted(beta.map(|component| -component));
            prop_assert!((back - a).e.abs() <= 1e-9 * a2.e && (back - a).px.abs() <= 1e-9 * a2.e);
        }

        #[test]
        fn a_massive_particle_can_be_put_to_rest(
            pt in 0.1..1e3, eta in -2.0..2.0, phi in -PI..PI, mass in 1.0..1e3,
        ) {
            let v = FourVector::from_pt_eta_phi_m(pt, eta, phi, mass);
            let rest = v.boosted(v.beta().map(|component| -component));
            prop_assert!(rest.p() < 1e-7 * v.e && (rest.e / mass - 1.0).abs() < 1e-6);
        }

        #[test]
        fn two_photons_have_the_mass_of_their_parent(
            energy in 1.0..1e5f64, cos in -1.0..1.0f64, phi in -PI..PI, beta in velocity(),
        ) {
            // A pion at rest decays back to back; then everything is boosted.
            let (half, eta) = (0.5 * energy, f64::atanh(0.999_999 * cos));
            let photons = [FourVector::massless(half, eta, phi), FourVector::massless(half, -eta, phi + PI)];
            let boosted: FourVector = photons.iter().map(|photon| photon.boosted(beta)).sum();
            prop_assert!((boosted.mass() / energy - 1.0).abs() < 1e-6);
            // m² = 2 E₁ E₂ (1 − cos θ) of massless particles.
            let [a, b] = photons.map(|photon| photon.boosted(beta));
            let cosine = (a.px * b.px + a.py * b.py + a.pz * b.pz) / (a.p() * b.p());
            prop_assert!((2.0 * a.e * b.e * (1.0 - cosine) / (energy * energy) - 1.0).abs() < 1e-6);
        }

        #[test]
        fn distances_are_symmetric_and_wrap(eta in -4.0..4.0, phi in -PI..PI, d in -3.0..3.0) {
            let (a, b) = (FourVector::massless(1.0, eta, phi), FourVector::massless(2.0, eta, phi + d));
            prop_assert!(near(a.delta_r(&b), f64::abs(d), 1.0) && a.delta_r(&b) == b.delta_r(&a));
        }

        #[test]
        fn angles_lie_in_one_turn(angle in -100.0..100.0f64) {
            let wrapped = wrap(angle);
            prop_assert!(wrapped > -PI && wrapped <= PI);
            prop_assert!((wrapped - angle).rem_euclid(TAU).min(TAU - (wrapped - angle).rem_euclid(TAU)) < 1e-9);
        }
    }

    #[test]
    fn limits() {
        assert_eq!(wrap(-PI), PI);
        assert_eq!(FourVector::new(5.0, 0.0, 0.0, -3.0).eta(), f64::NEG_INFINITY);
        assert_eq!(FourVector::new(5.0, 0.0, 0.0, 0.0).eta(), 0.0);
        assert_eq!(FourVector::new(3.0, 5.0, 0.0, 0.0).mass(), -4.0);
        let pion = Particle::of(111).expect("π⁰ is in the table");
        assert!(
            (FourVector::from_pt_eta_phi_m(2e3, 0.5, 1.0, pion.mass_mev).mass() - pion.mass_mev).abs() < 1e-6
        );
    }
}
