//! Weighted mean and standard deviation with standard errors.
//!
//! `m = Σwx/Σw`, `s² = Σw(x−m)²/Σw`; the errors are those of linear error propagation for independent events,
//! `δm² = Σ_e (Σ_{i∈e} w(x−m))² / (Σw)²` and `δs² = Σ_e (Σ_{i∈e} w((x−m)²−s²))² / (2sΣw)²`, where the inner sums
//! run over the entries of event e. For unit weights and Gaussian x they are σ/√n and σ/√(2n).

use crate::metrics::Moments;
use crate::sample::FeatureColumn;

/// Moments of a column; all zero when its sum of weights is not positive.
pub fn moments(column: &FeatureColumn) -> Moments {
    let entries = || column.values.iter().enumerate().map(|(i, &x)| (i, column.weight(i), f64::from(x)));
    let total: f64 = entries().map(|(_, w, _)| w).sum();
    if total <= 0.0 {
        return Moments::default();
    }
    let mean = entries().map(|(_, w, x)| w * x).sum::<f64>() / total;
    let variance = (entries().map(|(_, w, x)| w * (x - mean).powi(2)).sum::<f64>() / total).max(0.0);
    let (mut of_mean, mut of_variance) = (EventSum::default(), EventSum::default());
    for (i, w, x) in entries() {
        of_mean.add(column.event(i), w * (x - mean));
        of_variance.add(column.event(i), w * ((x - mean).powi(2) - variance));
    }
    let std = variance.sqrt();
    let std_error = if std > 0.0 { of_variance.root_sum_of_squares() / (2.0 * std * total) } else { 0.0 };
    Moments { mean, mean_error: of_mean.root_sum_of_squares() / total, std, std_error }
}

/// Sums over the entries of each event, and the sum of their squares over events.
#[derive(Default)]
struct EventSum {
    event: usize,
    sum: f64,
    squares: f64,
}

impl EventSum {
    fn add(&mut self, event: usize, value: f64) {
        if event != self.event {
            self.squares += self.sum * self.sum;
            (self.event, self.sum) = (event, 0.0);
        }
        self.sum += value;
    }

    fn root_sum_of_squares(self) -> f64 {
        (self.squares + self.sum * self.sum).sqrt()
    }
}

/// Quantile of ascending values, linear between them (definition 7 of Hyndman and Fan 1996).
pub fn quantile(ascending: &[f64], share: f64) -> f64 {
    let position = share * (ascending.len() - 1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    ascending[below] + position.fract() * (ascending[above] - ascending[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{column, gaussian, weighted};

    #[test]
    fn by_hand_with_weights() {
        // Values 1, 4 with weights 2, 1: mean 2, variance (2·1 + 1·4)/3 = 2.
        let found = moments(&weighted(vec![1.0, 4.0], vec![2.0, 1.0]));
        assert!((found.mean - 2.0).abs() < 1e-12 && (found.std - 2.0_f64.sqrt()).abs() < 1e-12);
        // Σ (w(x−m))² = 4 + 4
        assert!((found.mean_error - 8.0_f64.sqrt() / 3.0).abs() < 1e-12);
    }

    #[test]
    fn gaussian_errors() {
        let n = 20_000;
        let found = moments(&column(gaussian(n, 3.0, 7)));
        assert!((found.mean_error * (n as f64).sqrt() - 1.0).abs() < 0.03);
        assert!((found.std_error * (2.0 * n as f64).sqrt() - 1.0).abs() < 0.05);
    }

    #[test]
    fn fully_correlated_entries_add_no_information() {
        let values = gaussian(500, 0.0, 3);
        let mut fourfold = column(values.iter().flat_map(|&x| [x; 4]).collect());
        fourfold.events = Some((0..500).flat_map(|event| [event; 4]).collect());
        let (once, four) = (moments(&column(values)), moments(&fourfold));
        assert!((once.mean_error / four.mean_error - 1.0).abs() < 1e-9);
        assert!((once.std_error / four.std_error - 1.0).abs() < 1e-9);
    }

    #[test]
    fn constant_and_empty_columns() {
        assert_eq!(moments(&column(vec![])), Moments::default());
        let constant = moments(&column(vec![2.0; 5]));
        assert_eq!((constant.mean, constant.std, constant.std_error), (2.0, 0.0, 0.0));
    }
}
