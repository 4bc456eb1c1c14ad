//! What the rules say of a name.

use std::fmt;

use crate::change::Item;
use crate::digest::Hasher;

/// What is said of a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict<'r> {
    /// Nothing.
    Unnamed,
    /// That it stays.
    Keeps,
    /// What is done to its value.
    Changes(&'r Item),
}

impl<'r> Verdict<'r> {
    /// This, or what another reading of the name makes of it. That something stays is said of the name
    /// that it was said of, and of no other reading.
    pub(crate) fn or(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Changes(_) => self,
            Self::Unnamed => other(),
            Self::Keeps => match other() {
                Self::Unnamed => self,
                said => said,
            },
        }
    }
}

/// Says of names of one kind what becomes of them.
pub(crate) struct Judge<'r> {
    find: &'r dyn Fn(&[u8]) -> Verdict<'r>,
    pub(crate) hasher: Option<&'r Hasher>,
}

impl<'r> Judge<'r> {
    pub(crate) fn new(find: &'r dyn Fn(&[u8]) -> Verdict<'r>, hasher: Option<&'r Hasher>) -> Self {
        Self { find, hasher }
    }

    pub(crate) fn of(&self, name: &[u8]) -> Verdict<'r> {
        (self.find)(name)
    }
}

impl fmt::Debug for Judge<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Judge").finish_non_exhaustive()
    }
}
