//! Choosing by lot.

use fastrand::Rng;

/// A source of choices that a seed determines.
pub(super) struct Draw(Rng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// Another source for the same seed; the first of them is [`new`](Self::new).
    pub(super) fn again(seed: u64, number: u64) -> Self {
        Self::new(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// True so many times of a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.0.u32(0..100) < percent
    }

    /// A number from `low` to `high`.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        self.0.u32(low..=high)
    }

    /// One of these, each as likely as the others. None of nothing is a mistake of the caller's, and
    /// gives the default.
    pub(super) fn one_of<T: Clone + Default>(&mut self, choices: &[T]) -> T {
        let index = self.0.usize(0..choices.len().max(1));
        choices.get(index).cloned().unwrap_or_default()
    }

    /// One of these, each so likely as its weight says.
    pub(super) fn weighted<T: Clone + Default>(&mut self, choices: &[(u32, T)]) -> T {
        let sum: u32 = choices.iter().map(|(weight, _)| weight).sum();
        let mut left = self.0.u32(0..sum.max(1));
        for (weight, choice) in choices {
            if left < *weight {
                return choice.clone();
            }
            left -= weight;
        }
        T::default()
    }
}
