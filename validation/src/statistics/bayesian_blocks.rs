//! Bayesian blocks: the piecewise constant density that fits values best, with a prior that keeps blocks few (Scargle et al. 2013,
//! arXiv:1207.5578, as `astropy.stats.bayesian_blocks` with `fitness="events"`).
//!
//! A block of N values over a length T has the fitness N·ln(N/T). Dynamic programming finds the blocks with the largest sum of
//! fitness − prior, where prior = 4 − ln(73.53·p₀·n^−0.478) makes false blocks appear with a probability of about p₀ (eq. 21).

/// Edges of the blocks of ascending values, from the smallest value to the largest; none with fewer than two different values. Takes
/// time ∝ the square of their number.
pub fn bayesian_blocks(ascending: &[f64], false_positive: f64) -> Vec<f64> {
    let cells = Cells::of(ascending);
    let n = cells.sums.len() - 1;
    if n < 2 {
        return Vec::new();
    }
    let prior = 4.0 - (73.53 * false_positive * (n as f64).powf(-0.478)).ln();
    // Of the first cells, the best sum and where the last block begins.
    let mut best = vec![0.0; n + 1];
    let mut begin = vec![0; n + 1];
    for end in 1..=n {
        let of_block = |first: usize| best[first] + cells.fitness(first, end) - prior;
        let (mut first, mut largest) = (0, of_block(0));
        for candidate in 1..end {
            let sum = of_block(candidate);
            if sum > largest {
                (first, largest) = (candidate, sum);
            }
        }
        (begin[end], best[end]) = (first, largest);
    }
    let mut edges = vec![cells.edges[n]];
    let mut end = n;
    while end > 0 {
        end = begin[end];
        edges.push(cells.edges[end]);
    }
    edges.reverse();
    edges
}

/// The cell round every different value, which ends half-way to its neighbours.
struct Cells {
    edges: Vec<f64>,
    /// Number of values before each edge.
    sums: Vec<f64>,
}

impl Cells {
    fn of(ascending: &[f64]) -> Self {
        let (mut edges, mut sums) = (Vec::new(), vec![0.0]);
        let mut previous = None;
        for equal in ascending.chunk_by(|a, b| a == b) {
            let value = equal[0];
            edges.push(previous.map_or(value, |previous: f64| 0.5 * (previous + value)));
            sums.push(sums[sums.len() - 1] + equal.len() as f64);
            previous = Some(value);
        }
        edges.extend(previous);
        Self { edges, sums }
    }

    fn fitness(&self, first: usize, end: usize) -> f64 {
        let number = self.sums[end] - self.sums[first];
        number * (number / (self.edges[end] - self.edges[first])).ln()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// What `validation/golden/binning.py` found with astropy.
    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        values: Vec<f64>,
        false_positive: f64,
        edges: Vec<f64>,
    }

    #[test]
    fn blocks_are_astropys() {
        let golden: Golden = serde_json::from_str(include_str!("../../golden/binning.json"))
            .expect("binning.py writes this form");
        for case in golden.cases {
            let found = bayesian_blocks(&case.values, case.false_positive);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * b.abs();
            let equal = found.len() == case.edges.len() && found.iter().zip(&case.edges).all(close);
            assert!(equal, "{}: {found:?} instead of {:?}", case.name, case.edges);
        }
    }

    #[test]
    fn a_density_without_steps_is_one_block() {
        let even: Vec<f64> = (0..500).map(f64::from).collect();
        assert_eq!(bayesian_blocks(&even, 0.05), [0.0, 499.0]);
        assert!(bayesian_blocks(&[1.0; 5], 0.05).is_empty() && bayesian_blocks(&[], 0.05).is_empty());
    }
}
