//! Of repeated measurements.

/// The middle one; of an even number, the upper of the two.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The median of what each is of the other that was measured beside it: a machine that was slow was slow for both.
pub fn median_ratio(figures: &[f64], beside: &[f64]) -> f64 {
    median(
        figures
            .iter()
            .zip(beside)
            .map(|(one, other)| one / other)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::{median, median_ratio};

    #[test]
    fn the_median_is_what_most_measurements_are_near() {
        assert_eq!(median(vec![2.0, 900.0, 1.0]), 2.0);
    }

    #[test]
    fn a_ratio_is_of_what_was_measured_at_the_same_time() {
        assert_eq!(median_ratio(&[2.0, 20.0, 200.0], &[1.0, 10.0, 100.0]), 2.0);
    }
}
