//! Masses and charges of common particles, by Monte Carlo number.
//!
//! Numbers: PDG review *Monte Carlo particle numbering scheme*. Masses: S. Navas et al. (Particle Data Group), Phys. Rev.
//! D 110, 030001 (2024), rounded; those of quarks are the running masses listed there, that of the top quark from direct
//! measurements. An antiparticle has the negative number, the mass, and the opposite charge.

/// A kind of particle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Particle {
    /// Monte Carlo number, negative for antiparticles of those with a positive one.
    pub pdg: i32,
    /// Symbol; that of an antiparticle is its particle's.
    pub symbol: &'static str,
    /// Mass in MeV.
    pub mass_mev: f64,
    /// Electric charge in thirds of the elementary charge.
    pub charge_thirds: i8,
    /// Whether the particle is its own antiparticle.
    pub self_conjugate: bool,
}

impl Particle {
    /// The particle of a Monte Carlo number; `None` if it is not in the table.
    #[must_use]
    pub fn of(pdg: i32) -> Option<Self> {
        let row = TABLE.iter().find(|row| row.0.unsigned_abs() == pdg.unsigned_abs())?;
        let &(_, symbol, mass_mev, charge, self_conjugate) = row;
        if pdg < 0 && self_conjugate {
            return None;
        }
        let charge_thirds = if pdg < 0 { -charge } else { charge };
        Some(Self { pdg, symbol, mass_mev, charge_thirds, self_conjugate })
    }

    /// All particles of the table, without antiparticles.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().filter_map(|row| Self::of(row.0))
    }

    /// Electric charge in units of the elementary charge.
    #[must_use]
    pub fn charge(&self) -> f64 {
        f64::from(self.charge_thirds) / 3.0
    }
}

/// Number, symbol, mass in MeV, charge in thirds, whether its own antiparticle.
const TABLE: [(i32, &str, f64, i8, bool); 44] = [
    (1, "d", 4.70, -1, false),
    (2, "u", 2.16, 2, false),
    (3, "s", 93.5, -1, false),
    (4, "c", 1273.0, 2, false),
    (5, "b", 4183.0, -1, false),
    (6, "t", 172_570.0, 2, false),
    (11, "e", 0.510_998_95, -3, false),
    (12, "νe", 0.0, 0, false),
    (13, "μ", 105.658_375_5, -3, false),
    (14, "νμ", 0.0, 0, false),
    (15, "τ", 1776.93, -3, false),
    (16, "ντ", 0.0, 0, false),
    (21, "g", 0.0, 0, true),
    (22, "γ", 0.0, 0, true),
    (23, "Z", 91_188.0, 0, true),
    (24, "W", 80_369.2, 3, false),
    (25, "H", 125_200.0, 0, true),
    (111, "π⁰", 134.9768, 0, true),
    (211, "π", 139.570_39, 3, false),
    (113, "ρ⁰", 775.26, 0, true),
    (213, "ρ", 775.11, 3, false),
    (221, "η", 547.862, 0, true),
    (331, "η′", 957.78, 0, true),
    (223, "ω", 782.66, 0, true),
    (333, "φ", 1019.461, 0, true),
    (130, "K⁰L", 497.611, 0, true),
    (310, "K⁰S", 497.611, 0, true),
    (311, "K⁰", 497.611, 0, false),
    (321, "K", 493.677, 3, false),
    (411, "D⁺", 1869.66, 3, false),
    (421, "D⁰", 1864.84, 0, false),
    (431, "Ds", 1968.35, 3, false),
    (443, "J/ψ", 3096.900, 0, true),
    (511, "B⁰", 5279.72, 0, false),
    (521, "B⁺", 5279.41, 3, false),
    (531, "Bs", 5366.93, 0, false),
    (553, "Υ", 9460.40, 0, true),
    (2112, "n", 939.565_42, 0, false),
    (2212, "p", 938.272_09, 3, false),
    (3122, "Λ", 1115.683, 0, false),
    (3222, "Σ⁺", 1189.37, 3, false),
    (3112, "Σ⁻", 1197.449, -3, false),
    (3312, "Ξ⁻", 1321.71, -3, false),
    (3334, "Ω⁻", 1672.45, -3, false),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn antiparticles_have_the_mass_and_the_opposite_charge() {
        let (electron, positron) = (Particle::of(11).unwrap(), Particle::of(-11).unwrap());
        assert_eq!((electron.charge(), positron.charge()), (-1.0, 1.0));
        assert_eq!(electron.mass_mev, positron.mass_mev);
        assert_eq!(Particle::of(-22), None);
        assert_eq!(Particle::of(0), None);
        assert_eq!(Particle::of(i32::MIN), None);
    }

    #[test]
    fn numbers_are_distinct_and_follow_the_scheme() {
        let numbers: BTreeSet<i32> = Particle::all().map(|particle| particle.pdg).collect();
        assert_eq!(numbers.len(), TABLE.len());
        for particle in Particle::all() {
            // Mesons n_q2 n_q3 with spin digit 2J + 1 = 1, 3, … are bosons of charge 0 or ±1; neutral ones of equal quarks
            // are their own antiparticles. K⁰L and K⁰S (130, 310) are the scheme's exceptions.
            let [q2, q3] = [particle.pdg / 100 % 10, particle.pdg / 10 % 10];
            if (111..1000).contains(&particle.pdg) && ![130, 310].contains(&particle.pdg) {
                assert_eq!(particle.self_conjugate, q2 == q3, "{particle:?}");
                assert_eq!(particle.charge_thirds != 0, (q2 - q3) % 2 != 0, "{particle:?}");
            }
            assert!(particle.mass_mev >= 0.0 && particle.charge_thirds.abs() <= 3);
        }
    }

    #[test]
    fn charges_of_hadrons_are_those_of_their_quarks() {
        for baryon in Particle::all().filter(|particle| particle.pdg > 1000) {
            let digits = [baryon.pdg / 1000, baryon.pdg / 100 % 10, baryon.pdg / 10 % 10];
            let charge: i8 = digits.iter().map(|&quark| Particle::of(quark).unwrap().charge_thirds).sum();
            assert_eq!(charge, baryon.charge_thirds, "{baryon:?}");
        }
    }
}
