//! Area under the ROC curve from ranks, with DeLong's error, and the curve itself.
//!
//! `AUC = P(s_cand > s_ref) + ½ P(s_cand = s_ref)`, the Mann–Whitney statistic divided by `n m`; its variance is
//! that of DeLong, DeLong & Clarke-Pearson 1988 (Biometrics 44, 837) in the rank form of Sun & Xu 2014
//! (IEEE SPL 21, 1389).

/// Area under a ROC curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auc {
    /// Area; 0.5 for scores that do not tell the classes apart.
    pub value: f64,
    /// Variance of the area over test samples, for a given classifier.
    pub variance: f64,
}

impl Auc {
    /// Area for the scores of the negative (reference) and positive (candidate) class. Both need two entries.
    pub fn of(negative: &[f64], positive: &[f64]) -> Self {
        let (n, m) = (negative.len() as f64, positive.len() as f64);
        let pooled: Vec<f64> = negative.iter().chain(positive).copied().collect();
        let pooled_ranks = midranks(&pooled);
        let (of_negative, of_positive) = pooled_ranks.split_at(negative.len());
        // Share of the other class that each entry is placed on the right side of.
        let placements = |pooled: &[f64], own: &[f64], others: f64| -> Vec<f64> {
            pooled.iter().zip(midranks(own)).map(|(rank, own_rank)| (rank - own_rank) / others).collect()
        };
        let v10 = placements(of_positive, positive, n);
        let v01 = placements(of_negative, negative, m);
        Self {
            value: v10.iter().sum::<f64>() / m,
            variance: sample_variance(&v10) / m + sample_variance(&v01) / n,
        }
    }
}

/// Ranks from 1, ties sharing their mean rank.
fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tied in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let rank = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&i| ranks[i] = rank);
        start += tied.len();
    }
    ranks
}

fn sample_variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)
}

/// True positive rate at each of the ascending false positive rates `i/(points−1)`, linear between the steps.
pub fn roc(negative: &[f64], positive: &[f64], points: usize) -> Vec<f64> {
    let mut scored: Vec<(f64, bool)> =
        negative.iter().map(|&s| (s, false)).chain(positive.iter().map(|&s| (s, true))).collect();
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let mut corners = vec![(0.0, 0.0)];
    let (mut false_positives, mut true_positives) = (0, 0);
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let positives = tied.iter().filter(|(_, positive)| *positive).count();
        true_positives += positives;
        false_positives += tied.len() - positives;
        let rate = |count: usize, of: &[f64]| count as f64 / of.len() as f64;
        corners.push((rate(false_positives, negative), rate(true_positives, positive)));
    }
    (0..points).map(|i| interpolate(&corners, i as f64 / (points - 1) as f64)).collect()
}

/// Height of the ROC polygon at `x`; at a vertical step its upper end.
fn interpolate(corners: &[(f64, f64)], x: f64) -> f64 {
    let next = corners.partition_point(|corner| corner.0 <= x);
    let (x0, y0) = corners[next - 1];
    match corners.get(next) {
        Some(&(x1, y1)) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        None => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separated_reversed_and_tied() {
        assert_eq!(Auc::of(&[0.0, 1.0], &[2.0, 3.0]), Auc { value: 1.0, variance: 0.0 });
        assert_eq!(Auc::of(&[2.0, 3.0], &[0.0, 1.0]).value, 0.0);
        assert_eq!(Auc::of(&[1.0, 1.0], &[1.0, 1.0]), Auc { value: 0.5, variance: 0.0 });
        // Pairs (0,0) ½, (0,2) 1, (1,0) 0, (1,2) 1: 2.5 of 4.
        assert_eq!(Auc::of(&[0.0, 1.0], &[0.0, 2.0]).value, 0.625);
    }

    #[test]
    fn area_under_the_curve_is_the_area() {
        let negative: Vec<f64> = (0..200).map(|i| (f64::from(i) * 0.37).sin()).collect();
        let positive: Vec<f64> = (0..300).map(|i| (f64::from(i) * 0.73).sin() + 0.4).collect();
        let curve = roc(&negative, &positive, 2001);
        let area: f64 = curve.windows(2).map(|pair| 0.5 * (pair[0] + pair[1]) / 2000.0).sum();
        assert!((area - Auc::of(&negative, &positive).value).abs() < 3e-3);
        assert_eq!(curve[2000], 1.0);
    }
}
