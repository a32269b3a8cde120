//! Two-dimensional toy densities: a truth in closed form, to see whether a model finds it again.
//!
//! | toy | density | source |
//! |---|---|---|
//! | `ring` | 8 Gaussians of σ = 0.15 at even angles on a circle of radius 2 | Metz et al. 2017, arXiv:1611.02163 |
//! | `moons` | two interleaved half circles of radius 1, blurred by σ = 0.1 | scikit-learn, `make_moons` |
//! | `checkerboard` | uniform on every second unit square of [−2, 2]² | Grathwohl et al. 2019, arXiv:1810.01367 |
//! | `spiral` | two arms r = 2θ/3π, θ from 0 to 3π, blurred by σ = 0.1 | like the 2 spirals of arXiv:1810.01367 |
//!
//! Coordinates are pure numbers of order one, centred on 0.

mod density;
#[cfg(test)]
mod tests;

use std::f64::consts::{PI, TAU};
use std::str::FromStr;

use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

pub use density::ToyDensity;
use density::{Mixture, Stretch};

const RING_RADIUS: f64 = 2.0;
const RING_MODES: usize = 8;
const RING_SIGMA: f64 = 0.15;
const MOON_SIGMA: f64 = 0.1;
const SPIRAL_SIGMA: f64 = 0.1;
/// Largest angle of an arm: one and a half turns.
const SPIRAL_TURN: f64 = 3.0 * PI;
const SPIRAL_RADIUS: f64 = 2.0;
/// Half the side of the checkerboard, in squares of side 1.
const BOARD: i32 = 2;
/// Positions within a square of the checkerboard: middles of so many steps, numbers that `f32` holds exactly, so that
/// no event moves to a square next door when it is written.
const BOARD_STEPS: u32 = 1 << 20;

/// A two-dimensional density known in closed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Toy {
    /// Eight Gaussians on a circle.
    Ring,
    /// Two interleaved half circles.
    Moons,
    /// Every second square of a board of 4 × 4.
    Checkerboard,
    /// Two arms around each other.
    Spiral,
}

/// A name that is no toy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no toy `{name}`: choose ring, moons, checkerboard or spiral")]
pub struct UnknownToy {
    /// The name given.
    pub name: String,
}

impl FromStr for Toy {
    type Err = UnknownToy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|toy| toy.name() == name);
        found.ok_or_else(|| UnknownToy { name: name.to_owned() })
    }
}

impl Toy {
    /// All toys.
    pub const ALL: [Self; 4] = [Self::Ring, Self::Moons, Self::Checkerboard, Self::Spiral];

    /// The name, as in configurations and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Moons => "moons",
            Self::Checkerboard => "checkerboard",
            Self::Spiral => "spiral",
        }
    }

    /// Draws a point (x, y).
    pub fn sample(self, rng: &mut impl Rng) -> [f64; 2] {
        match self {
            Self::Ring => {
                let mode = rng.gen_range(0..RING_MODES);
                blurred(ring_mode(mode), RING_SIGMA, rng)
            }
            Self::Moons => {
                let upper = rng.r#gen();
                blurred(moon(upper, rng.gen_range(0.0..PI)), MOON_SIGMA, rng)
            }
            Self::Checkerboard => {
                let squares = board();
                let corner = squares[rng.gen_range(0..squares.len())];
                corner.map(|low| {
                    low + (f64::from(rng.gen_range(0..BOARD_STEPS)) + 0.5) / f64::from(BOARD_STEPS)
                })
            }
            Self::Spiral => {
                let (turned, share): (bool, f64) = (rng.r#gen(), rng.r#gen());
                blurred(arm(turned, SPIRAL_TURN * share.sqrt()), SPIRAL_SIGMA, rng)
            }
        }
    }

    /// The density, worked out once for any number of points.
    pub fn density(self) -> ToyDensity {
        let both = [true, false];
        match self {
            Self::Ring => Mixture::of_points((0..RING_MODES).map(ring_mode).collect(), RING_SIGMA).into(),
            Self::Moons => {
                let stretch = Stretch { low: 0.0, high: PI, weight: |_| 1.0 };
                Mixture::along(both.map(|upper| move |angle| moon(upper, angle)), stretch, MOON_SIGMA).into()
            }
            Self::Checkerboard => ToyDensity::board(board()),
            Self::Spiral => {
                // The angle is distributed as the length of the arm, dθ·θ.
                let stretch = Stretch { low: 0.0, high: SPIRAL_TURN, weight: |angle| angle };
                Mixture::along(both.map(|turned| move |angle| arm(turned, angle)), stretch, SPIRAL_SIGMA)
                    .into()
            }
        }
    }

    /// Centres of the modes: the Gaussians of the ring, the squares of the board; none where the density follows a
    /// curve.
    pub fn modes(self) -> Vec<[f64; 2]> {
        match self {
            Self::Ring => (0..RING_MODES).map(ring_mode).collect(),
            Self::Checkerboard => board().into_iter().map(|corner| corner.map(|low| low + 0.5)).collect(),
            Self::Moons | Self::Spiral => Vec::new(),
        }
    }
}

/// A point moved by a Gaussian in both coordinates.
fn blurred(centre: [f64; 2], sigma: f64, rng: &mut impl Rng) -> [f64; 2] {
    centre.map(|value| value + sigma * rng.sample::<f64, _>(StandardNormal))
}

fn ring_mode(mode: usize) -> [f64; 2] {
    let (sin, cos) = (TAU * mode as f64 / RING_MODES as f64).sin_cos();
    [RING_RADIUS * cos, RING_RADIUS * sin]
}

/// A point of the upper or the lower half circle, `angle` from 0 to π.
fn moon(upper: bool, angle: f64) -> [f64; 2] {
    let (sin, cos) = angle.sin_cos();
    if upper { [cos - 0.5, sin - 0.25] } else { [0.5 - cos, 0.25 - sin] }
}

/// A point of one of the arms, `angle` from 0 to [`SPIRAL_TURN`].
fn arm(turned: bool, angle: f64) -> [f64; 2] {
    let radius = SPIRAL_RADIUS * angle / SPIRAL_TURN * if turned { -1.0 } else { 1.0 };
    [radius * angle.cos(), radius * angle.sin()]
}

/// Lower left corners of the squares that have events.
fn board() -> Vec<[f64; 2]> {
    let side = || -BOARD..BOARD;
    let squares = side().flat_map(|i| side().map(move |j| (i, j))).filter(|(i, j)| (i + j) % 2 == 0);
    squares.map(|(i, j)| [f64::from(i), f64::from(j)]).collect()
}
