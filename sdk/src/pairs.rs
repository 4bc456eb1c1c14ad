//! The host's serialized list of pairs (`proxy-wasm-cpp-host`, `src/pairs_util.cc`): a count, the
//! lengths of each name and value, then names and values, each closed by a NUL; numbers are 32-bit
//! little endian.

use std::ops::Range;

/// Where one pair stands in the bytes it was read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PairRange {
    pub(crate) name: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// Finds the pairs in `bytes`; `None` when they are not such a list. No bytes at all is the empty
/// list.
pub(crate) fn ranges(bytes: &[u8]) -> Option<Vec<PairRange>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let count = number_at(bytes, 0)?;
    let mut data = count.checked_mul(8)?.checked_add(4)?;
    // A lying count is caught before anything is reserved for it.
    if data > bytes.len() {
        return None;
    }
    let mut pairs = Vec::with_capacity(count);
    for index in 0..count {
        let name = closed_by_nul(bytes, data, number_at(bytes, 4 + index * 8)?)?;
        let value = closed_by_nul(bytes, name.end + 1, number_at(bytes, 8 + index * 8)?)?;
        data = value.end + 1;
        pairs.push(PairRange { name, value });
    }
    (data == bytes.len()).then_some(pairs)
}

/// Writes pairs as the host reads them.
pub(crate) fn serialize(pairs: &[(&[u8], &[u8])]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.extend(u32::try_from(pairs.len()).ok()?.to_le_bytes());
    for (name, value) in pairs {
        for part in [name, value] {
            bytes.extend(u32::try_from(part.len()).ok()?.to_le_bytes());
        }
    }
    for (name, value) in pairs {
        for part in [name, value] {
            bytes.extend_from_slice(part);
            bytes.push(0);
        }
    }
    Some(bytes)
}

fn number_at(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(number.try_into().ok()?)).ok()
}

fn closed_by_nul(bytes: &[u8], start: usize, length: usize) -> Option<Range<usize>> {
    let end = start.checked_add(length)?;
    (*bytes.get(end)? == 0).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
        let pairs = ranges(bytes)?;
        Some(
            pairs
                .into_iter()
                .map(|pair| (&bytes[pair.name], &bytes[pair.value]))
                .collect(),
        )
    }

    #[test]
    fn what_is_written_is_read_back() {
        let pairs: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"", b""), (b"x-\xff", b"\0")];
        let bytes = serialize(&pairs).unwrap();
        assert_eq!(read(&bytes).unwrap(), pairs);
    }

    #[test]
    fn no_bytes_are_an_empty_list() {
        assert_eq!(ranges(b""), Some(Vec::new()));
        assert_eq!(ranges(&[0; 4]), Some(Vec::new()));
    }

    #[test]
    fn lists_that_lie_are_refused() {
        let good = serialize(&[(&b"ab"[..], &b"cd"[..])]).unwrap();
        for cut in 1..good.len() {
            assert_eq!(ranges(&good[..cut]), None, "cut at {cut}");
        }
        for at in 0..12 {
            let mut lying = good.clone();
            lying[at] = 0xff;
            assert_eq!(ranges(&lying), None, "byte {at}");
        }
        let longer = [&good[..], b"x"].concat();
        assert_eq!(ranges(&longer), None);
    }
}
