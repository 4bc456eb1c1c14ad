use std::fmt;
use std::ops::Range;
use std::rc::Rc;

/// Header fields, in their order.
///
/// A message is copied before each part of its way, in case a step fails. So a copy shares what there is,
/// and only a change makes entries of its own; the bytes of what came are shared even then.
#[derive(Clone, Default)]
pub struct Fields {
    /// Names and values of what came.
    block: Rc<Vec<u8>>,
    entries: Rc<Vec<Entry>>,
}

#[derive(Clone)]
struct Entry {
    name: Text,
    value: Text,
}

#[derive(Clone)]
enum Text {
    /// A part of the block.
    Came(Range<usize>),
    Own(Rc<[u8]>),
}

impl Text {
    fn bytes<'f>(&'f self, block: &'f [u8]) -> &'f [u8] {
        match self {
            Self::Came(range) => block.get(range.clone()).unwrap_or_default(),
            Self::Own(bytes) => bytes,
        }
    }
}

impl Fields {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let block = &**self.block;
        let entries = self.entries.iter();
        entries.map(move |entry| (entry.name.bytes(block), entry.value.bytes(block)))
    }

    /// Adds one behind all others.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        Rc::make_mut(&mut self.entries).push(Entry {
            name: Text::Own(name.into()),
            value: Text::Own(value.into()),
        });
    }

    /// Takes out all of this name.
    pub fn remove(&mut self, name: &[u8]) {
        if self.has(name) {
            let block = &*self.block;
            Rc::make_mut(&mut self.entries).retain(|entry| entry.name.bytes(block) != name);
        }
    }

    /// Gives all of one name another one, where they stand.
    pub fn rename(&mut self, name: &[u8], to: &[u8]) {
        if !self.has(name) {
            return;
        }
        let to = Text::Own(to.into());
        for entry in Rc::make_mut(&mut self.entries) {
            if entry.name.bytes(&self.block) == name {
                entry.name = to.clone();
            }
        }
    }

    fn has(&self, name: &[u8]) -> bool {
        self.iter().any(|(found, _)| found == name)
    }

    /// Whether nothing has changed in either since one was copied from the other.
    pub(super) fn shares(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.entries, &other.entries) && Rc::ptr_eq(&self.block, &other.block)
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut block = Vec::new();
        let mut text = |bytes: &[u8]| {
            let start = block.len();
            block.extend_from_slice(bytes);
            Text::Came(start..block.len())
        };
        let entries = fields.into_iter().map(|(name, value)| Entry {
            name: text(name.as_ref()),
            value: text(value.as_ref()),
        });
        let entries = Rc::new(entries.collect());
        Self {
            block: Rc::new(block),
            entries,
        }
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.shares(other) || self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

impl fmt::Debug for Fields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(fields: &Fields) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        let pairs = fields.iter();
        pairs
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn a_copy_changes_alone() {
        let came: Fields = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        let mut copy = came.clone();
        assert!(copy.shares(&came));
        copy.remove(b"c");
        copy.rename(b"c", b"d");
        assert!(copy.shares(&came), "nothing has changed");
        copy.rename(b"a", b"c");
        copy.push(b"e", b"");
        assert!(!copy.shares(&came));
        assert_eq!(
            listed(&copy),
            [("c", "1"), ("b", "2"), ("c", "3"), ("e", "")]
        );
        copy.remove(b"c");
        assert_eq!(listed(&copy), [("b", "2"), ("e", "")]);
        assert_eq!(listed(&came), [("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(copy, [("b", "2"), ("e", "")].into_iter().collect());
        assert_ne!(copy, came);
    }
}
