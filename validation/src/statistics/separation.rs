//! Divergences of two normalised histograms, 0 for equal and 1 for disjoint ones: separation power `½ Σ (h₁−h₂)²/(h₁+h₂)`
//! (Diefenbacher et al. 2020, arXiv:2009.03796) and Jensen–Shannon divergence `½ Σ h₁ log₂(2h₁/(h₁+h₂)) + h₂ log₂(2h₂/(h₁+h₂))`
//! (Lin 1991, IEEE Trans. Inf. Theory 37, 145).

use crate::histogram::Histogram;

/// Separation power of two histograms on the same bins, under- and overflow included. Both need a positive sum of
/// weights; bins whose summed content is not positive count nothing.
pub fn separation_power(a: &Histogram, b: &Histogram) -> f64 {
    let term = |(a, b): (f64, f64)| if a + b > 0.0 { (a - b).powi(2) / (a + b) } else { 0.0 };
    0.5 * fractions(a, b).map(term).sum::<f64>()
}

/// Jensen–Shannon divergence in bits of two histograms on the same bins, under- and overflow included. Both need a
/// positive sum of weights; bins whose content is not positive count nothing.
pub fn jensen_shannon(a: &Histogram, b: &Histogram) -> f64 {
    let half = |own: f64, other: f64| {
        if own > 0.0 { own * (2.0 * own / (own + other.max(0.0))).log2() } else { 0.0 }
    };
    0.5 * fractions(a, b).map(|(a, b)| half(a, b) + half(b, a)).sum::<f64>()
}

fn fractions(a: &Histogram, b: &Histogram) -> impl Iterator<Item = (f64, f64)> {
    let (total_a, total_b) = (a.total(), b.total());
    a.slots().iter().zip(b.slots()).map(move |(a, b)| (a.sumw / total_a, b.sumw / total_b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binning::Binning;
    use crate::testing::{column, weighted};

    #[test]
    fn equal_disjoint_and_half_overlapping() {
        let bins = Binning::linear(0.0, 2.0, 2);
        let of = |values: &[f32]| Histogram::of(&bins, &column(values.to_vec()));
        assert_eq!(separation_power(&of(&[0.5, 1.5]), &of(&[0.5, 1.5])), 0.0);
        assert_eq!(separation_power(&of(&[0.5]), &of(&[1.5])), 1.0);
        assert_eq!(jensen_shannon(&of(&[0.5, 1.5]), &of(&[0.5, 1.5])), 0.0);
        assert_eq!(jensen_shannon(&of(&[0.5]), &of(&[1.5])), 1.0);
        // scipy 1.17: jensenshannon([0.5, 0.5], [1, 0], base=2)**2
        assert!((jensen_shannon(&of(&[0.5, 1.5]), &of(&[0.5])) - 0.311_278_124_459_132_8).abs() < 1e-15);
        // h₁ = (½, ½), h₂ = (1, 0): ½ (¼/1.5 + ¼/½) = 1/3
        assert!((separation_power(&of(&[0.5, 1.5]), &of(&[0.5])) - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn weight_two_is_a_doubled_row() {
        let bins = Binning::linear(0.0, 2.0, 2);
        let doubled = Histogram::of(&bins, &column(vec![0.5, 0.5, 1.5]));
        let weight_two = Histogram::of(&bins, &weighted(vec![0.5, 1.5], vec![2.0, 1.0]));
        assert_eq!(separation_power(&doubled, &weight_two), 0.0);
    }
}
