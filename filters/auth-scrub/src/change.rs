//! What is done to one value.

use crate::credentials;
use crate::digest::Hasher;

/// What becomes of a value, or of the line that it stands in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It stays, byte by byte.
    Stays,
    /// It goes.
    Goes,
    /// It is another one.
    Becomes(Vec<u8>),
}

/// An action with what it needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    Remove,
    Keep,
    Replace(Vec<u8>),
    Mask {
        first: usize,
        last: usize,
        letter: u8,
    },
    Hash,
    Truncate(usize),
}

/// A change, and which values of a header it is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Item {
    pub(crate) change: Change,
    pub(crate) schemes: Vec<Vec<u8>>,
    pub(crate) keep_scheme: bool,
}

impl Item {
    /// One that removes.
    pub(crate) const REMOVE: Self = Self {
        change: Change::Remove,
        schemes: Vec::new(),
        keep_scheme: false,
    };

    /// Whether it keeps what it names.
    pub(crate) fn keeps(&self) -> bool {
        matches!(self.change, Change::Keep)
    }

    /// Whether it is for this value of a header.
    pub(crate) fn concerns(&self, value: &[u8]) -> bool {
        self.schemes.is_empty() || credentials::has_scheme(value, &self.schemes)
    }

    /// What becomes of a value. An empty one has nothing to hide, so only removal concerns it.
    pub(crate) fn apply(&self, value: &[u8], hasher: Option<&Hasher>) -> Outcome {
        if matches!(self.change, Change::Remove) {
            return Outcome::Goes;
        }
        let kept = match self.keep_scheme {
            true => credentials::scheme_length(value),
            false => 0,
        };
        let (scheme, secret) = value.split_at_checked(kept).unwrap_or((b"", value));
        if secret.is_empty() {
            return Outcome::Stays;
        }
        let changed = match &self.change {
            Change::Remove => return Outcome::Goes,
            Change::Keep => return Outcome::Stays,
            Change::Replace(other) => other.clone(),
            Change::Mask {
                first,
                last,
                letter,
            } => masked(secret, *first, *last, *letter),
            Change::Hash => match hasher {
                Some(hasher) => hasher.digest(secret),
                // The configuration was refused.
                None => return Outcome::Goes,
            },
            Change::Truncate(length) => secret.get(..*length).unwrap_or(secret).to_vec(),
        };
        if changed == secret {
            Outcome::Stays
        } else {
            Outcome::Becomes([scheme, &changed].concat())
        }
    }
}

/// Never shows a value that is too short for a part of it to stay hidden.
fn masked(value: &[u8], first: usize, last: usize, letter: u8) -> Vec<u8> {
    let hides = first
        .checked_add(last)
        .is_some_and(|kept| kept < value.len());
    let (first, last) = if hides { (first, last) } else { (0, 0) };
    let end = value.len() - last;
    let hidden = |(index, &byte): (usize, &u8)| {
        if (first..end).contains(&index) {
            letter
        } else {
            byte
        }
    };
    value.iter().enumerate().map(hidden).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(change: Change) -> Item {
        Item {
            change,
            ..Item::REMOVE
        }
    }

    fn mask(first: usize, last: usize) -> Item {
        item(Change::Mask {
            first,
            last,
            letter: b'#',
        })
    }

    fn becomes(value: &[u8]) -> Outcome {
        Outcome::Becomes(value.to_vec())
    }

    #[test]
    fn a_mask_keeps_the_ends_and_never_a_whole_value() {
        assert_eq!(mask(1, 2).apply(b"abcdef", None), becomes(b"a###ef"));
        assert_eq!(mask(1, 2).apply(b"abc", None), becomes(b"###"));
        assert_eq!(mask(0, 9).apply(b"abc", None), becomes(b"###"));
        assert_eq!(mask(usize::MAX, 1).apply(b"abc", None), becomes(b"###"));
        assert_eq!(mask(0, 0).apply(b"###", None), Outcome::Stays);
    }

    #[test]
    fn what_would_be_the_same_is_not_written() {
        let same = item(Change::Replace(b"x".to_vec()));
        assert_eq!(same.apply(b"x", None), Outcome::Stays);
        assert_eq!(
            item(Change::Truncate(3)).apply(b"abc", None),
            Outcome::Stays
        );
        assert_eq!(
            item(Change::Truncate(2)).apply(b"abc", None),
            becomes(b"ab")
        );
        assert_eq!(item(Change::Keep).apply(b"abc", None), Outcome::Stays);
    }

    #[test]
    fn an_empty_value_can_only_go() {
        assert_eq!(mask(0, 0).apply(b"", None), Outcome::Stays);
        assert_eq!(Item::REMOVE.apply(b"", None), Outcome::Goes);
    }

    #[test]
    fn a_scheme_can_stay() {
        let item = Item {
            keep_scheme: true,
            ..mask(0, 1)
        };
        assert_eq!(item.apply(b"Bearer abc", None), becomes(b"Bearer ##c"));
        assert_eq!(item.apply(b"abc", None), becomes(b"##c"));
        assert_eq!(item.apply(b"Bearer ", None), Outcome::Stays);
    }
}
