//! Statistics of repeated measurements.

/// The median; the upper one of two.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The median of the ratios of figures that were measured at the same time. A machine that was slow was slow for both.
pub fn median_ratio(figures: &[f64], reference: &[f64]) -> f64 {
    median(
        figures
            .iter()
            .zip(reference)
            .map(|(one, other)| one / other)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::{median, median_ratio};

    #[test]
    fn an_outlier_does_not_change_the_median() {
        assert_eq!(median(vec![2.0, 900.0, 1.0]), 2.0);
    }

    #[test]
    fn a_ratio_compares_figures_that_were_measured_at_the_same_time() {
        assert_eq!(median_ratio(&[2.0, 20.0, 200.0], &[1.0, 10.0, 100.0]), 2.0);
    }
}
