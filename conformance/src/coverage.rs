//! What drawn cases have in their scripts: host call by callback by how the callback ends.
//!
//! A cell is one of all that the probe can do. Some are never drawn, each for a [`Reason`]; all others are
//! drawn within [`SEEDS`] seeds, because each seed plants one of them.

mod reasons;
mod script;
mod universe;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

pub(crate) use self::reasons::REASONS;
pub use self::reasons::Reason;
pub(crate) use self::script::is_reply;
use self::universe::{CALLBACKS, calls};
pub(crate) use self::universe::{ONLY_0_1_0, ONLY_0_2_1, ONLY_SINCE_0_2_0, is_flow, is_of_tcp};
use crate::generator::Scenario;

/// So many seeds in a row plant every cell that is drawn at all.
pub const SEEDS: u64 = 10_000;

/// A host call, the callback that makes it, and one way in which that callback ends.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Cell {
    /// Without `proxy_`.
    pub call: &'static str,
    /// Without `proxy_on_`; `access_log` is `log` of an access logger.
    pub callback: &'static str,
    /// `continue`, `stop` and the like.
    pub action: &'static str,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call,
            callback,
            action,
        } = self;
        write!(f, "{call} in {callback}, which ends with {action}")
    }
}

impl Cell {
    /// All there are.
    fn all() -> impl Iterator<Item = Self> {
        let callbacks = CALLBACKS.iter();
        let ends = callbacks.flat_map(|(callback, class)| {
            let actions = class.actions().iter();
            actions.map(|action| (*callback, *action))
        });
        ends.flat_map(|(callback, action)| {
            calls().map(move |call| Self {
                call,
                callback,
                action,
            })
        })
    }

    /// Why it is never drawn.
    fn reason(&self) -> Option<&'static Reason> {
        REASONS.iter().find(|reason| reason.covers(self))
    }

    /// The one that a seed plants: within [`SEEDS`] each of them, and neighbours are far apart.
    pub(crate) fn planted(seed: u64) -> Option<Self> {
        static DRAWN: LazyLock<Vec<Cell>> = LazyLock::new(|| {
            let drawn = Cell::all().filter(|cell| cell.reason().is_none());
            drawn.collect()
        });
        let count = u64::try_from(DRAWN.len()).ok()?;
        let place = (seed % count.max(1)).wrapping_mul(STRIDE) % count.max(1);
        DRAWN.get(usize::try_from(place).ok()?).copied()
    }
}

/// A prime that does not divide the number of cells.
const STRIDE: u64 = 4_001;

/// How often each cell was drawn.
#[derive(Clone, Debug, Default)]
pub struct Coverage(BTreeMap<Cell, u64>);

impl Coverage {
    /// What these seeds draw.
    #[must_use]
    pub fn of(seeds: impl IntoIterator<Item = u64>) -> Self {
        let mut coverage = Self::default();
        for seed in seeds {
            for cell in script::cells(&Scenario::draw(seed, 0).case) {
                *coverage.0.entry(cell).or_default() += 1;
            }
        }
        coverage
    }

    /// Cells that are empty without a reason.
    #[must_use]
    pub fn empty(&self) -> Vec<Cell> {
        Cell::all()
            .filter(|cell| !self.0.contains_key(cell) && cell.reason().is_none())
            .collect()
    }

    /// Reasons that no empty cell needs.
    #[must_use]
    pub fn needless(&self) -> Vec<&'static Reason> {
        let empty: Vec<Cell> = Cell::all()
            .filter(|cell| !self.0.contains_key(cell))
            .collect();
        let needed = |reason: &&Reason| empty.iter().any(|cell| reason.covers(cell));
        REASONS.iter().filter(|reason| !needed(reason)).collect()
    }

    fn count(&self, call: &str, callback: &str) -> u64 {
        let own = self.0.iter();
        let own = own.filter(|(cell, _)| cell.call == call && cell.callback == callback);
        own.map(|(_, count)| count).sum()
    }
}

/// A table of host calls and callbacks, then the reasons for what is empty.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| host call |")?;
        for (callback, _) in CALLBACKS {
            write!(f, " {callback} |")?;
        }
        writeln!(f, "\n|---|{}", "---|".repeat(CALLBACKS.len()))?;
        for call in calls() {
            write!(f, "| {call} |")?;
            for (callback, _) in CALLBACKS {
                write!(f, " {} |", self.count(call, callback))?;
            }
            writeln!(f)?;
        }
        let all: BTreeSet<Cell> = Cell::all().collect();
        let filled = all.iter().filter(|cell| self.0.contains_key(cell)).count();
        writeln!(f, "\n{filled} of {} cells are drawn.\n", all.len())?;
        for reason in REASONS {
            let covers = |cell: &&Cell| reason.covers(cell) && !self.0.contains_key(cell);
            let count = all.iter().filter(covers).count();
            writeln!(f, "{count} are empty: {}.", reason.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_cell_is_drawn() {
        for seed in 0..300 {
            let cells = script::cells(&Scenario::draw(seed, 0).case);
            let planted = Cell::planted(seed).unwrap();
            assert!(cells.contains(&planted), "seed {seed}: {planted}");
        }
    }

    #[test]
    fn each_seed_plants_another_cell() {
        let planted: BTreeSet<Cell> = (0..SEEDS).filter_map(Cell::planted).collect();
        let drawn = Cell::all().filter(|cell| cell.reason().is_none());
        assert_eq!(planted, drawn.collect());
    }
}
