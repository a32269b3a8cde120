//! p-values of many tests at once.

/// Holm 1979 (Scand. J. Stat. 6, 65): the probability that any of the tests comes out as extreme as this, for equal parents
/// and whatever the tests' correlation. In the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let m = p_values.len();
    let mut largest = 0.0f64;
    let mut adjusted = vec![0.0; m];
    for (rank, test) in ascending(p_values).into_iter().enumerate() {
        largest = largest.max((m - rank) as f64 * p_values[test]).min(1.0);
        adjusted[test] = largest;
    }
    adjusted
}

/// Benjamini & Hochberg 1995 (JRSS B 57, 289): the share of false alarms among all tests with a p-value up to this one. In
/// the order given.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let m = p_values.len();
    let mut smallest = 1.0f64;
    let mut adjusted = vec![0.0; m];
    for (rank, test) in ascending(p_values).into_iter().enumerate().rev() {
        smallest = smallest.min(m as f64 / (rank + 1) as f64 * p_values[test]);
        adjusted[test] = smallest;
    }
    adjusted
}

/// Tests from the smallest p-value on.
fn ascending(p_values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Benjamini & Hochberg 1995, section 3.2: fifteen p-values, of which four are found at 5%, and three by Bonferroni's
    /// and Holm's rule.
    #[test]
    fn the_example_of_the_paper() {
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
            0.6528, 0.7590, 1.0000,
        ];
        let found = |adjusted: Vec<f64>| adjusted.iter().filter(|p| **p <= 0.05).count();
        assert_eq!((found(benjamini_hochberg(&p)), found(holm(&p))), (4, 3));
        assert!((benjamini_hochberg(&p)[3] - 0.0095 * 15.0 / 4.0).abs() < 1e-15);
        assert!((holm(&p)[1] - 14.0 * 0.0004).abs() < 1e-15);
    }

    #[test]
    fn order_and_bounds() {
        let p = [0.5, 0.01, 0.9];
        assert_eq!(holm(&p), [1.0, 0.03, 1.0]);
        assert_eq!(benjamini_hochberg(&p), [0.75, 0.03, 0.9]);
        assert!(holm(&[]).is_empty() && benjamini_hochberg(&[]).is_empty());
    }
}
