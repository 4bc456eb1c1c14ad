use std::ops::Range;

use super::Fate;
use crate::error::Error;
use crate::host::{self, Map};
use crate::pairs;
use crate::status::HostError;

/// The name under which Envoy keeps `host`.
pub(super) const AUTHORITY: &[u8] = b":authority";

/// A header map in the guest: what was read, less what was removed, and what was added.
///
/// Nothing is copied to remember what was: entries that were read stay, with a mark.
#[derive(Default)]
pub(super) struct List {
    /// The host's bytes, as read; the names and values of the entries that were read point into it.
    block: Vec<u8>,
    entries: Vec<Entry>,
    /// Why it cannot be written.
    fault: Option<Error>,
}

struct Entry {
    name: Text,
    value: Text,
    removed: bool,
}

enum Text {
    Read(Range<usize>),
    Own(Vec<u8>),
}

/// One host call that carries a change over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Write<'a> {
    Remove(&'a [u8]),
    Add(&'a [u8], &'a [u8]),
    Replace(&'a [u8], &'a [u8]),
}

impl<'a> Write<'a> {
    pub(super) fn name(&self) -> &'a [u8] {
        match self {
            Self::Remove(name) | Self::Add(name, _) | Self::Replace(name, _) => name,
        }
    }

    /// Makes the host call.
    pub(super) fn make(&self, map: Map) -> Result<(), HostError> {
        match self {
            Self::Remove(name) => host::remove_header(map, name),
            Self::Add(name, value) => host::add_header(map, name, value),
            Self::Replace(name, value) => host::replace_header(map, name, value),
        }
    }
}

impl Text {
    fn bytes<'a>(&'a self, block: &'a [u8]) -> &'a [u8] {
        match self {
            // The ranges were found in this block.
            Self::Read(range) => block.get(range.clone()).unwrap_or_default(),
            Self::Own(bytes) => bytes,
        }
    }
}

impl Entry {
    fn was_read(&self) -> bool {
        matches!(self.name, Text::Read(_))
    }

    /// Whether the host does not know what became of it.
    fn is_news(&self) -> bool {
        self.was_read() == self.removed
    }
}

impl List {
    pub(super) fn parse(block: Vec<u8>) -> Option<Self> {
        let entries = pairs::ranges(&block)?
            .into_iter()
            .map(|pair| Entry {
                name: Text::Read(pair.name),
                value: Text::Read(pair.value),
                removed: false,
            })
            .collect();
        Some(Self {
            block,
            entries,
            fault: None,
        })
    }

    /// What stands for a map that cannot be read.
    pub(super) fn unread(fault: Error) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    /// Says that it cannot be written.
    pub(super) fn fail(&mut self, fault: Error) {
        self.fault = Some(fault);
    }

    pub(super) fn take_fault(&mut self) -> Option<Error> {
        self.fault.take()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries
            .iter()
            .filter(|entry| !entry.removed)
            .map(|entry| self.pair(entry))
    }

    pub(super) fn values<'list>(&'list self, name: &[u8]) -> impl Iterator<Item = &'list [u8]> {
        let name = canonical(name);
        self.iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        let name = canonical(name);
        self.retain(|own, _| !own.eq_ignore_ascii_case(name));
    }

    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.append(name, value);
    }

    pub(super) fn append(&mut self, name: &[u8], value: &[u8]) {
        self.entries.push(Entry {
            name: Text::Own(canonical(name).to_vec()),
            value: Text::Own(value.to_vec()),
            removed: false,
        });
    }

    pub(super) fn apply(&mut self, change: Write<'_>) {
        match change {
            Write::Remove(name) => self.remove(name),
            Write::Add(name, value) => self.append(name, value),
            Write::Replace(name, value) => self.set(name, value),
        }
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> usize {
        let mut count = 0;
        for entry in self.entries.iter_mut().filter(|entry| !entry.removed) {
            let (name, value) = (
                entry.name.bytes(&self.block),
                entry.value.bytes(&self.block),
            );
            if !keep(name, value) {
                entry.removed = true;
                count += 1;
            }
        }
        count
    }

    pub(super) fn rewrite(&mut self, change: &mut dyn FnMut(&[u8], &[u8]) -> Fate) -> usize {
        let mut count = 0;
        let mut news = Vec::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if entry.removed {
                continue;
            }
            let (name, value) = (
                entry.name.bytes(&self.block),
                entry.value.bytes(&self.block),
            );
            match change(name, value) {
                Fate::Stays => continue,
                Fate::Goes => {}
                Fate::Becomes(other) => news.push((
                    index,
                    Entry {
                        name: Text::Own(name.to_vec()),
                        value: Text::Own(other.as_bytes().to_vec()),
                        removed: false,
                    },
                )),
            }
            entry.removed = true;
            count += 1;
        }
        if news.is_empty() {
            return count;
        }
        // Each behind the one whose place it takes.
        let mut news = news.into_iter().peekable();
        let entries = std::mem::take(&mut self.entries);
        for (index, entry) in entries.into_iter().enumerate() {
            self.entries.push(entry);
            if let Some((_, new)) = news.next_if(|(place, _)| *place == index) {
                self.entries.push(new);
            }
        }
        count
    }

    /// The host calls that make the host's map what this one is: only for names whose values
    /// differ, and the fewest for each that are right whatever the host makes of repeated names.
    pub(super) fn writes(&self) -> Vec<Write<'_>> {
        let mut writes = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if !entry.is_news() {
                continue;
            }
            let name = entry.name.bytes(&self.block);
            let mut earlier = self.entries.iter().take(index);
            if !earlier.any(|earlier| earlier.is_news() && self.is_named(earlier, name)) {
                self.write(name, &mut writes);
            }
        }
        writes
    }

    fn write<'a>(&'a self, name: &'a [u8], writes: &mut Vec<Write<'a>>) {
        let before = self.values_of(name, Entry::was_read);
        let after = self.values_of(name, |entry| !entry.removed);
        match *after {
            _ if before == after => {}
            [only] if before.len() <= 1 => writes.push(Write::Replace(name, only)),
            _ => {
                let more = after.strip_prefix(before.as_slice());
                if more.is_none() {
                    writes.push(Write::Remove(name));
                }
                add(name, more.unwrap_or(&after), writes);
            }
        }
    }

    /// The host calls that give `name` the values again that were read.
    pub(super) fn undo<'a>(&'a self, name: &'a [u8]) -> Vec<Write<'a>> {
        let values = self.values_of(name, Entry::was_read);
        if let [only] = *values {
            return vec![Write::Replace(name, only)];
        }
        let mut writes = vec![Write::Remove(name)];
        add(name, &values, &mut writes);
        writes
    }

    /// The values of those entries of a name that are `wanted`.
    fn values_of(&self, name: &[u8], wanted: fn(&Entry) -> bool) -> Vec<&[u8]> {
        let mut values = Vec::new();
        for entry in &self.entries {
            if wanted(entry) && self.is_named(entry, name) {
                values.push(entry.value.bytes(&self.block));
            }
        }
        values
    }

    fn is_named(&self, entry: &Entry, name: &[u8]) -> bool {
        entry.name.bytes(&self.block).eq_ignore_ascii_case(name)
    }

    fn pair<'a>(&'a self, entry: &'a Entry) -> (&'a [u8], &'a [u8]) {
        (
            entry.name.bytes(&self.block),
            entry.value.bytes(&self.block),
        )
    }
}

fn add<'a>(name: &'a [u8], values: &[&'a [u8]], writes: &mut Vec<Write<'a>>) {
    for value in values {
        writes.push(Write::Add(name, value));
    }
}

fn canonical(name: &[u8]) -> &[u8] {
    if name.eq_ignore_ascii_case(b"host") {
        AUTHORITY
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> List {
        let pairs: [(&[u8], &[u8]); 5] = [
            (b":authority", b"example.com"),
            (b"x-a", b"1"),
            (b"x-b", b""),
            (b"x-a", b"\xff"),
            (b"x-c", b"3"),
        ];
        List::parse(pairs::serialize(&pairs).unwrap()).unwrap()
    }

    fn remove(name: &[u8]) -> Write<'_> {
        Write::Remove(name)
    }

    fn add<'a>(name: &'a [u8], value: &'a [u8]) -> Write<'a> {
        Write::Add(name, value)
    }

    fn replace<'a>(name: &'a [u8], value: &'a [u8]) -> Write<'a> {
        Write::Replace(name, value)
    }

    #[test]
    fn every_value_is_found_in_any_case() {
        let list = list();
        assert_eq!(
            list.values(b"X-A").collect::<Vec<_>>(),
            [&b"1"[..], b"\xff"]
        );
        assert_eq!(list.values(b"x-b").collect::<Vec<_>>(), [b""]);
        assert_eq!(list.values(b"x-d").count(), 0);
    }

    #[test]
    fn host_is_the_authority() {
        let mut list = list();
        assert_eq!(list.values(b"Host").collect::<Vec<_>>(), [b"example.com"]);
        list.set(b"host", b"other");
        assert_eq!(list.writes(), [replace(b":authority", b"other")]);
    }

    #[test]
    fn reading_writes_nothing() {
        assert_eq!(list().writes(), []);
    }

    #[test]
    fn a_repeated_header_goes_in_one_call() {
        let mut list = list();
        list.remove(b"X-A");
        assert_eq!(list.writes(), [remove(b"x-a")]);
    }

    #[test]
    fn removing_what_is_absent_costs_no_call() {
        let mut list = list();
        list.remove(b"x-none");
        assert_eq!(list.writes(), []);
    }

    #[test]
    fn a_repeated_header_is_removed_before_it_is_set() {
        let mut list = list();
        list.set(b"x-a", b"new");
        assert_eq!(list.writes(), [remove(b"x-a"), add(b"x-a", b"new")]);
    }

    #[test]
    fn a_single_value_is_replaced_in_one_call() {
        let mut list = list();
        list.set(b"x-c", b"new");
        list.set(b"x-d", b"made");
        assert_eq!(
            list.writes(),
            [replace(b"x-c", b"new"), replace(b"x-d", b"made")]
        );
    }

    #[test]
    fn appending_keeps_what_is_there() {
        let mut list = list();
        list.append(b"x-a", b"2");
        assert_eq!(list.writes(), [add(b"x-a", b"2")]);
    }

    #[test]
    fn a_change_taken_back_costs_no_call() {
        let mut list = list();
        list.set(b"x-c", b"other");
        list.set(b"x-c", b"3");
        assert_eq!(list.writes(), []);
    }

    #[test]
    fn values_change_in_their_places() {
        let mut list = list();
        let count = list.rewrite(&mut |name, value| match (name, value) {
            (b"x-a", b"1") => Fate::Becomes("0".parse().unwrap()),
            (b"x-c", _) => Fate::Becomes("4".parse().unwrap()),
            (b"x-b", _) => Fate::Goes,
            _ => Fate::Stays,
        });
        assert_eq!(count, 3);
        assert_eq!(
            list.writes(),
            [
                remove(b"x-a"),
                add(b"x-a", b"0"),
                add(b"x-a", b"\xff"),
                remove(b"x-b"),
                replace(b"x-c", b"4"),
            ]
        );
    }

    #[test]
    fn a_value_that_becomes_itself_is_not_written() {
        let mut list = list();
        list.rewrite(&mut |name, _| match name {
            b"x-c" => Fate::Becomes("3".parse().unwrap()),
            _ => Fate::Stays,
        });
        assert_eq!(list.writes(), []);
    }

    #[test]
    fn one_of_several_values_can_go() {
        let mut list = list();
        assert_eq!(list.retain(|_, value| value != b"1"), 1);
        assert_eq!(list.writes(), [remove(b"x-a"), add(b"x-a", b"\xff")]);
    }
}
