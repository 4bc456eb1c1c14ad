//! Names that are looked for, and what counts as the same name.

/// What counts as the same byte of a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fold {
    /// Headers: case never counts; all signs are `-` where that is so. CGI servers make `_` of `-`, and
    /// some of them (lighttpd) of each sign.
    Header { hyphens: bool },
    /// Cookies and parameters: their readers hand names over with `.` and blank as `_`.
    Parameter { case: bool },
}

impl Fold {
    pub(crate) fn byte(self, byte: u8) -> u8 {
        match (self, byte) {
            (Self::Header { hyphens: true }, byte) if !byte.is_ascii_alphanumeric() => b'-',
            (Self::Parameter { .. }, b'.' | b' ') => b'_',
            (Self::Parameter { case: true }, byte) => byte,
            (_, byte) => byte.to_ascii_lowercase(),
        }
    }

    pub(crate) fn name(self, name: &[u8]) -> Vec<u8> {
        name.iter().map(|&byte| self.byte(byte)).collect()
    }

    /// Whether `name`, folded, begins with `own`, which already is.
    pub(crate) fn begins(self, own: &[u8], name: &[u8]) -> bool {
        own.len() <= name.len()
            && own
                .iter()
                .zip(name)
                .all(|(&own, &byte)| own == self.byte(byte))
    }
}

/// Names and beginnings of names, with a number for each.
#[derive(Debug)]
pub(crate) struct Names {
    fold: Fold,
    exact: Vec<(Vec<u8>, usize)>,
    /// The longest first.
    prefixes: Vec<(Vec<u8>, usize)>,
    /// A bit for each length that occurs, the last one for all from 63 on. Most headers differ from
    /// all names in length already, and each of them asks.
    lengths: u64,
}

impl Names {
    pub(crate) fn new(fold: Fold) -> Self {
        Self {
            fold,
            exact: Vec::new(),
            prefixes: Vec::new(),
            lengths: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    /// Adds a whole name. What is there twice has the first number.
    pub(crate) fn add(&mut self, name: &str, number: usize) {
        let name = self.fold.name(name.as_bytes());
        self.lengths |= length_bit(&name);
        self.exact.push((name, number));
    }

    /// Adds the beginning of names.
    pub(crate) fn add_prefix(&mut self, prefix: &str, number: usize) {
        let prefix = self.fold.name(prefix.as_bytes());
        let longer = |other: &(Vec<u8>, usize)| other.0.len() >= prefix.len();
        let place = self
            .prefixes
            .iter()
            .take_while(|other| longer(other))
            .count();
        self.prefixes.insert(place, (prefix, number));
    }

    /// The number of the name, or of the longest beginning that it has.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        let same =
            |own: &&(Vec<u8>, usize)| own.0.len() == name.len() && self.fold.begins(&own.0, name);
        let exact = match self.lengths & length_bit(name) {
            0 => None,
            _ => self.exact.iter().find(same),
        };
        let begins = |own: &&(Vec<u8>, usize)| self.fold.begins(&own.0, name);
        let found = exact.or_else(|| self.prefixes.iter().find(begins));
        found.map(|&(_, number)| number)
    }
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_comes_before_a_longer_and_a_shorter_beginning() {
        let mut names = Names::new(Fold::Header { hyphens: true });
        names.add_prefix("x-", 1);
        names.add_prefix("x-internal-", 2);
        names.add("x-internal-id", 3);
        for (name, number) in [
            (&b"X-Internal-Id"[..], Some(3)),
            (b"x_internal_name", Some(2)),
            (b"x.other", Some(1)),
            (b"x~internal!name", Some(2)),
            (b"x-", Some(1)),
            (b"x", None),
        ] {
            assert_eq!(names.find(name), number);
        }
    }

    #[test]
    fn folding_is_as_was_asked_for() {
        let mut strict = Names::new(Fold::Header { hyphens: false });
        strict.add("x-api-key", 0);
        assert!(strict.find(b"X-API-KEY").is_some());
        assert!(strict.find(b"x_api_key").is_none());
        let mut parameters = Names::new(Fold::Parameter { case: true });
        parameters.add("access.token", 0);
        assert!(parameters.find(b"access_token").is_some());
        assert!(parameters.find(b"Access_token").is_none());
    }
}
