//! Medians, and how sure they are.

/// A median with the interval that holds it at 95 % confidence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Median {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Median {
    /// Of at least one number. The interval is that of order statistics: ranks n/2 -+ 0.98 sqrt(n).
    pub(crate) fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_unstable_by(f64::total_cmp);
        let count = numbers.len() as f64;
        let rank = |at: f64| numbers[(at.max(0.0) as usize).min(numbers.len() - 1)];
        let reach = 0.98 * count.sqrt();
        Self {
            value: rank(count / 2.0),
            low: rank((count / 2.0 - reach).floor()),
            high: rank((count / 2.0 + reach).ceil()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_hundred_numbers() {
        let median = Median::of((0..100).rev().map(f64::from).collect());
        assert_eq!((median.low, median.value, median.high), (40.0, 50.0, 60.0));
    }

    #[test]
    fn one_number_is_its_own_median() {
        let median = Median::of(vec![3.0]);
        assert_eq!((median.low, median.value, median.high), (3.0, 3.0, 3.0));
    }
}
