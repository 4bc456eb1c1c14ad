use std::cell::Cell;
use std::mem::ManuallyDrop;

use super::list::Write;

/// What stands before name and value of a change.
const HEAD: usize = 1 + 2 * size_of::<u32>();

/// The largest buffer that is kept for the next changes.
const SPARE_SIZE: usize = 512;

thread_local! {
    /// A buffer that nobody uses now. It is never freed, so that no destructor has to be thought of.
    static SPARE: Cell<ManuallyDrop<Option<Box<Buffer>>>> = const { Cell::new(ManuallyDrop::new(None)) };
}

/// Changes of a map that was not read, in order: of each its kind, the lengths of name and value, and
/// the two. In one buffer, because allocations are most of what a small change costs; behind a pointer,
/// because headers are moved about more often than changed.
#[derive(Default)]
pub(super) struct Writes(Option<Box<Buffer>>);

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// How many values are set.
    replacements: usize,
}

impl Writes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many of them set a value in the place of whatever there is: [`set`](Self::set).
    pub(super) fn replacements(&self) -> usize {
        self.0.as_deref().map_or(0, |buffer| buffer.replacements)
    }

    /// Makes `value` the only value of `name`, whatever there is: removes before it adds.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) {
        self.push(Write::Remove(name));
        self.push(Write::Add(name, value));
        if let Some(buffer) = &mut self.0 {
            buffer.replacements += 1;
        }
    }

    pub(super) fn push(&mut self, write: Write<'_>) {
        let (kind, name, value) = match write {
            Write::Remove(name) => (0, name, &b""[..]),
            Write::Add(name, value) => (1, name, value),
            Write::Replace(name, value) => (2, name, value),
        };
        let spare = || ManuallyDrop::into_inner(SPARE.take()).unwrap_or_default();
        let bytes = &mut self.0.get_or_insert_with(spare).bytes;
        bytes.reserve(HEAD + name.len() + value.len());
        let [a, b, c, d] = length_of(name);
        let [e, f, g, h] = length_of(value);
        bytes.extend([kind, a, b, c, d, e, f, g, h]);
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(value);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Write<'_>> {
        let mut rest = self.0.as_deref().map_or(&b""[..], |buffer| &buffer.bytes);
        std::iter::from_fn(move || {
            let kind = *rest.split_off_first()?;
            let (name, value) = (length(&mut rest)?, length(&mut rest)?);
            let name = rest.split_off(..name)?;
            let value = rest.split_off(..value)?;
            Some(match kind {
                0 => Write::Remove(name),
                1 => Write::Add(name, value),
                _ => Write::Replace(name, value),
            })
        })
    }
}

impl Drop for Writes {
    fn drop(&mut self) {
        if let Some(mut spare) = self.0.take()
            && spare.bytes.capacity() <= SPARE_SIZE
        {
            spare.bytes.clear();
            spare.replacements = 0;
            let spare = ManuallyDrop::new(Some(spare));
            drop(ManuallyDrop::into_inner(SPARE.replace(spare)));
        }
    }
}

/// No header has 4 GiB; one that had would be the last.
fn length_of(text: &[u8]) -> [u8; 4] {
    u32::try_from(text.len()).unwrap_or(u32::MAX).to_ne_bytes()
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    let bytes = rest.split_off(..size_of::<u32>())?;
    usize::try_from(u32::from_ne_bytes(bytes.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_come_back_in_their_order() {
        let pushed = [
            Write::Remove(b"x-\xff"),
            Write::Add(b"x-a", b""),
            Write::Replace(b"", b"\0"),
            Write::Add(b"x-a", &[7; 300]),
        ];
        let mut writes = Writes::default();
        assert!(writes.is_empty());
        for write in pushed {
            writes.push(write);
        }
        assert!(!writes.is_empty());
        assert_eq!(writes.iter().collect::<Vec<_>>(), pushed);
        assert_eq!(writes.replacements(), 0);
        for name in [b"x-a", b"x-b"] {
            writes.set(name, b"1");
        }
        assert_eq!(writes.replacements(), 2);
        let last = writes.iter().skip(pushed.len() + 2).collect::<Vec<_>>();
        assert_eq!(last, [Write::Remove(b"x-b"), Write::Add(b"x-b", b"1")]);
        // The next one may have the buffer of this one.
        drop(writes);
        let mut writes = Writes::default();
        writes.push(Write::Remove(b"x-a"));
        assert_eq!(writes.replacements(), 0);
        assert_eq!(writes.iter().count(), 1);
    }
}
