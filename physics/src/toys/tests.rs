use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

/// Cells of the grid over [−4, 4]² on which densities are integrated by the midpoint rule; 0.4 σ of the narrowest.
const CELLS: usize = 200;
const CELL: f64 = 8.0 / CELLS as f64;
/// Cells of a bin of the histograms in each direction; edges of the checkerboard are edges of bins.
const MERGED: usize = 5;
const BINS: usize = CELLS / MERGED;

/// Probability of each bin, y slowest.
fn probabilities(toy: Toy) -> Vec<f64> {
    let density = toy.density();
    let middle = |cell: usize| -4.0 + (cell as f64 + 0.5) * CELL;
    let mut bins = vec![0.0; BINS * BINS];
    for (row, column) in (0..CELLS).flat_map(|row| (0..CELLS).map(move |column| (row, column))) {
        let log_density = density.log_density([middle(column), middle(row)]);
        bins[row / MERGED * BINS + column / MERGED] += log_density.exp() * CELL * CELL;
    }
    bins
}

fn points(toy: Toy, number: usize) -> Vec<[f64; 2]> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..number).map(|_| toy.sample(&mut rng)).collect()
}

#[test]
fn densities_are_normalised_and_those_of_the_points_drawn() {
    const EVENTS: usize = 50_000;
    for toy in Toy::ALL {
        let probabilities = probabilities(toy);
        let integral: f64 = probabilities.iter().sum();
        assert!((integral - 1.0).abs() < 1e-6, "{toy:?}: {integral}");
        let mut counts = vec![0.0; BINS * BINS];
        for [x, y] in points(toy, EVENTS) {
            let bin = |value: f64| ((value + 4.0) / (CELL * MERGED as f64)) as usize;
            counts[bin(y) * BINS + bin(x)] += 1.0;
        }
        // Bins that expect fewer than 10 events are one, together.
        let (mut chi2, mut ndf, mut rest) = (0.0, 0.0, (0.0, 0.0));
        for (count, probability) in counts.into_iter().zip(probabilities) {
            let expected = EVENTS as f64 * probability;
            if expected < 10.0 {
                rest = (rest.0 + count, rest.1 + expected);
            } else {
                chi2 += (count - expected) * (count - expected) / expected;
                ndf += 1.0;
            }
        }
        chi2 += (rest.0 - rest.1) * (rest.0 - rest.1) / f64::max(rest.1, 1.0);
        assert!((chi2 - ndf).abs() < 4.0 * f64::sqrt(2.0 * ndf), "{toy:?}: χ² {chi2} for {ndf} bins");
    }
}

#[test]
fn densities_at_a_few_points() {
    // Python 3.11.7, midpoint rule with n = 200,000 steps dt of t from 0 to T and moon(u, t), arm(u, t) as above:
    //   log(fsum(w(t)*exp(-dist((x, y), curve(u, t))**2/2/s**2) for u in (0, 1) for t in ts)
    //       / fsum(w(t) for t in ts) / 2 / (2*pi*s**2))
    // with s = 0.1, and w = 1, T = π for moons, w = t, T = 3π for the spiral. For the ring, with s = 0.15:
    //   log(fsum(exp(-dist((x, y), (2*cos(pi*k/4), 2*sin(pi*k/4)))**2/2/s**2) for k in range(8)) / 8 / (2*pi*s*s))
    let golden = [
        (Toy::Moons, [-0.5, 0.75], -0.4529739040990342),
        (Toy::Moons, [-1.5, -0.25], -1.1461213710386122),
        (Toy::Moons, [0.0, 0.0], -9.191644195951056),
        (Toy::Moons, [1.0, 1.0], -43.9098782122),
        (Toy::Spiral, [0.0, 0.0], -2.5310242465527506),
        (Toy::Spiral, [-2.0, 0.0], -2.2513149999772337),
        (Toy::Spiral, [0.5, -1.0], -1.5975704860915594),
        (Toy::Spiral, [1.0, 1.0], -1.8930272101031114),
        (Toy::Ring, [2.0, 0.0], -0.12307863831741876),
        (Toy::Ring, [0.0, 0.0], -86.93252598552647),
        (Toy::Ring, [1.8, 0.7], -11.845446279439734),
    ];
    for &(toy, point, expected) in &golden {
        let found = toy.density().log_density(point);
        assert!(
            (found - expected).abs() < 1e-5 * expected.abs(),
            "{toy:?} at {point:?}: {found}, expected {expected}"
        );
    }
    let board = Toy::Checkerboard.density();
    assert_eq!(board.log_density([-2.0, -2.0]), -8f64.ln());
    for outside in [[-2.0, -0.5], [2.0, 2.0], [-2.1, -2.1], [0.5, -0.5]] {
        assert_eq!(board.log_density(outside), f64::NEG_INFINITY, "{outside:?}");
    }
}

#[test]
fn far_away_a_logarithm_is_left() {
    for toy in [Toy::Ring, Toy::Moons, Toy::Spiral] {
        assert!(toy.density().log_density([1e3, -1e3]).is_finite(), "{toy:?}");
    }
}

#[test]
fn every_point_keeps_its_density_in_single_precision() {
    for toy in Toy::ALL {
        let density = toy.density();
        for point in points(toy, 5_000) {
            let [exact, rounded] =
                [point, point.map(|value| f64::from(value as f32))].map(|point| density.log_density(point));
            assert!((exact - rounded).abs() < 1e-3, "{toy:?} at {point:?}: {exact} and {rounded}");
        }
    }
}

#[test]
fn modes_hold_the_points() {
    for (toy, radius) in [(Toy::Ring, 4.5 * RING_SIGMA), (Toy::Checkerboard, 0.5f64.sqrt())] {
        let modes = toy.modes();
        assert_eq!(modes.len(), 8);
        let mut held = [0; 8];
        for [x, y] in points(toy, 8_000) {
            let inside = modes.iter().position(|[a, b]| (x - a).hypot(y - b) <= radius);
            held[inside.unwrap_or_else(|| panic!("{toy:?}: ({x}, {y}) is in no mode"))] += 1;
        }
        assert!(held.iter().all(|count| (800..1200).contains(count)), "{toy:?}: {held:?}");
    }
}

#[test]
fn names_are_read_back() {
    for toy in Toy::ALL {
        assert_eq!(toy.name().parse(), Ok(toy));
        assert_eq!(serde_json::to_value(toy).unwrap(), toy.name());
    }
    assert!("circle".parse::<Toy>().unwrap_err().to_string().contains("ring, moons"));
}
