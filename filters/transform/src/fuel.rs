use std::cell::Cell;

use crate::failure::Failure;

/// How much work a message may still cause. A unit is about a value looked at or a byte made.
#[derive(Debug)]
pub struct Fuel(Cell<u64>);

impl Fuel {
    /// What a message may cost: enough to look at each value of the largest body several times.
    pub const MESSAGE: u64 = 4_000_000;

    /// This many units.
    #[must_use]
    pub fn new(units: u64) -> Self {
        Self(Cell::new(units))
    }

    /// Uses some up.
    ///
    /// # Errors
    ///
    /// [`Failure::Work`] where there is less.
    pub fn spend(&self, units: usize) -> Result<(), Failure> {
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        let left = self.0.get().checked_sub(units).ok_or(Failure::Work)?;
        self.0.set(left);
        Ok(())
    }

    /// What is left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.0.get()
    }
}
