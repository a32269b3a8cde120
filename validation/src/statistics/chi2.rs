//! χ² test that two histograms have one parent.
//!
//! With entry counts n, m and sums N, M: Pearson's `Σ (M n_i − N m_i)² / (N M (n_i + m_i))`. With weights
//! (Gagunashvili 2010, NIM A 614, 287): `Σ (W₂ w₁ᵢ − W₁ w₂ᵢ)² / (W₂² s₁ᵢ² + W₁² s₂ᵢ²)`. Both have bins − 1 degrees
//! of freedom.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::histogram::{Content, Histogram};

/// Expected effective entries that a bin needs in the smaller sample for the χ² distribution to hold.
const MIN_EXPECTED: f64 = 10.0;

/// Outcome of a χ² test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chi2 {
    /// χ².
    pub statistic: f64,
    /// Degrees of freedom.
    pub ndf: usize,
    /// Probability of a larger χ² for equal parents; 1 without degrees of freedom.
    pub p_value: f64,
}

/// Tests two histograms on the same bins, under- and overflow included. Neighbouring bins are merged until the
/// pooled sample predicts enough entries in each of them; deciding on the pool does not favour either sample.
///
/// # Panics
/// When the binnings differ.
pub fn chi2_homogeneity(a: &Histogram, b: &Histogram) -> Chi2 {
    assert_eq!(a.binning(), b.binning(), "χ² needs histograms on the same bins");
    let bins = merge(a.slots(), b.slots());
    let (total_a, total_b) = (a.total(), b.total());
    let counts = |contents: &[Content]| contents.iter().all(|bin| bin.sumw == bin.sumw2);
    let unweighted = counts(a.slots()) && counts(b.slots());
    let term = |&(a, b): &(Content, Content)| {
        let difference = total_b * a.sumw - total_a * b.sumw;
        let variance = if unweighted {
            total_a * total_b * (a.sumw + b.sumw)
        } else {
            total_b * total_b * a.sumw2 + total_a * total_a * b.sumw2
        };
        if variance > 0.0 { difference * difference / variance } else { 0.0 }
    };
    let statistic = bins.iter().map(term).sum();
    let ndf = bins.len().saturating_sub(1);
    let p_value = match ChiSquared::new(ndf as f64) {
        Ok(distribution) if ndf > 0 && statistic > 0.0 => distribution.sf(statistic),
        _ => 1.0,
    };
    Chi2 { statistic, ndf, p_value }
}

/// Pairs of bins with enough entries; a thin remainder joins the last pair.
fn merge(a: &[Content], b: &[Content]) -> Vec<(Content, Content)> {
    let effective = |slots: &[Content]| slots.iter().map(Content::effective_entries).sum::<f64>();
    let (size_a, size_b) = (effective(a), effective(b));
    let smaller_share = size_a.min(size_b) / (size_a + size_b).max(f64::MIN_POSITIVE);
    let mut merged: Vec<(Content, Content)> = Vec::new();
    let mut open = (Content::default(), Content::default());
    for (&in_a, &in_b) in a.iter().zip(b) {
        open = (open.0 + in_a, open.1 + in_b);
        let pooled = open.0.effective_entries() + open.1.effective_entries();
        if pooled * smaller_share >= MIN_EXPECTED {
            merged.push(std::mem::take(&mut open));
        }
    }
    match merged.last_mut() {
        Some(last) => *last = (last.0 + open.0, last.1 + open.1),
        None => merged.push(open),
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binning::Binning;

    fn histogram(contents: &[(f64, u32)]) -> Histogram {
        let mut histogram = Histogram::new(Binning::linear(0.0, 3.0, 3));
        for &(value, count) in contents {
            (0..count).for_each(|_| histogram.fill(value, 1.0));
        }
        histogram
    }

    #[test]
    fn identical_histograms_agree() {
        let a = histogram(&[(0.5, 20), (1.5, 30)]);
        assert_eq!(chi2_homogeneity(&a, &a), Chi2 { statistic: 0.0, ndf: 1, p_value: 1.0 });
    }

    #[test]
    fn empty_and_single_bin_histograms_have_no_freedom() {
        let one = histogram(&[(0.5, 20)]);
        assert_eq!(chi2_homogeneity(&one, &one).ndf, 0);
        let empty = histogram(&[]);
        assert_eq!(chi2_homogeneity(&empty, &one), Chi2 { statistic: 0.0, ndf: 0, p_value: 1.0 });
    }

    /// n = (20, 30), m = (30, 20): Σ (n−m)²/(n+m) = 100/50 + 100/50.
    #[test]
    fn pearson_by_hand() {
        let chi2 = chi2_homogeneity(&histogram(&[(0.5, 20), (1.5, 30)]), &histogram(&[(0.5, 30), (1.5, 20)]));
        assert!((chi2.statistic - 4.0).abs() < 1e-12);
        assert!((chi2.p_value - 0.0455).abs() < 1e-4);
    }

    #[test]
    fn thin_bins_are_merged_and_overflow_counts() {
        let a = histogram(&[(-1.0, 3), (0.5, 20), (1.5, 30), (9.0, 20)]);
        assert_eq!(chi2_homogeneity(&a, &a).ndf, 2);
    }
}
