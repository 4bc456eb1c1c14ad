//! Medians, and how sure they are.

/// How often numbers are drawn again to see how much depends on which ones there are.
const DRAWS: usize = 2_000;

/// A median with the interval that holds it at 95 % confidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Median {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Median {
    /// Of at least one number. The interval is that of order statistics: ranks n/2 -+ 0.98 sqrt(n).
    pub(super) fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_unstable_by(f64::total_cmp);
        let count = numbers.len();
        // 0.98 squared is 0.96.
        let reach = (count * 96 / 100).isqrt() + 1;
        let last = count.saturating_sub(1);
        let rank = |at: usize| numbers.get(at.min(last)).copied().unwrap_or(f64::NAN);
        Self {
            value: rank(count / 2),
            low: rank((count / 2).saturating_sub(reach)),
            high: rank(count / 2 + reach),
        }
    }
}

impl Median {
    /// Of one median to another, of as many numbers that belong together in pairs. The interval is that
    /// of pairs drawn again and again (bootstrap): a ratio of single numbers would be mostly the noise of
    /// the lower one.
    pub(super) fn of_ratio(numbers: &[f64], to: &[f64]) -> Self {
        let median = |numbers: &[f64], pairs: &[usize]| {
            Self::of(pairs.iter().map(|&pair| numbers[pair]).collect()).value
        };
        let ratio = |pairs: &[usize]| median(numbers, pairs) / median(to, pairs);
        let all: Vec<usize> = (0..numbers.len()).collect();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = |_: &usize| {
            // xorshift64
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % all.len() as u64).unwrap_or_default()
        };
        let mut ratios: Vec<f64> = (0..DRAWS)
            .map(|_| ratio(&all.iter().map(&mut draw).collect::<Vec<_>>()))
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        Self {
            value: ratio(&all),
            low: ratios[DRAWS / 40],
            high: ratios[DRAWS - 1 - DRAWS / 40],
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
    fn a_ratio_of_what_varies_alike_is_sure() {
        let low: Vec<f64> = (1..=40).map(f64::from).collect();
        let high: Vec<f64> = low.iter().map(|number| number * 3.0).collect();
        let ratio = Median::of_ratio(&high, &low);
        assert_eq!((ratio.low, ratio.value, ratio.high), (3.0, 3.0, 3.0));
    }

    #[test]
    fn one_number_is_its_own_median() {
        let median = Median::of(vec![3.0]);
        assert_eq!((median.low, median.value, median.high), (3.0, 3.0, 3.0));
    }
}
