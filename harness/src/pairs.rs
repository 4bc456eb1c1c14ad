//! Lists of names and values as bytes: how header maps cross the border.

/// A name and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// What Envoy parses at most.
const MAX_BYTES: usize = 1 << 20;
const MAX_PAIRS: usize = 1024;

/// Writes a list: count, sizes, then names and values, each with a NUL behind it.
pub(crate) fn serialize<'a>(
    pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_length(&mut bytes, pairs.len());
    for (name, value) in pairs.clone() {
        push_length(&mut bytes, name.len());
        push_length(&mut bytes, value.len());
    }
    for (name, value) in pairs {
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.push(0);
    }
    bytes
}

/// Reads a list. What cannot be read, is too long, or has bytes left over is an empty list: so does
/// Envoy (`pairs_util.cc`), and wipes the map that it was to fill.
pub(crate) fn parse(bytes: &[u8]) -> Vec<Pair> {
    read(bytes).unwrap_or_default()
}

/// As [`parse`], for those who care; nothing at all is an empty list.
pub(crate) fn read(mut bytes: &[u8]) -> Option<Vec<Pair>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    if bytes.len() > MAX_BYTES {
        return None;
    }
    let count = take_length(&mut bytes)?;
    if count > MAX_PAIRS {
        return None;
    }
    let mut sizes = Vec::with_capacity(count);
    for _ in 0..count {
        sizes.push((take_length(&mut bytes)?, take_length(&mut bytes)?));
    }
    let pairs = sizes
        .into_iter()
        .map(|(name, value)| Some((take_text(&mut bytes, name)?, take_text(&mut bytes, value)?)))
        .collect::<Option<Vec<Pair>>>()?;
    bytes.is_empty().then_some(pairs)
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    usize::try_from(u32::from_le_bytes(*head)).ok()
}

fn take_text(bytes: &mut &[u8], size: usize) -> Option<Vec<u8>> {
    let (text, tail) = bytes.split_at_checked(size)?;
    *bytes = tail.strip_prefix(&[0])?;
    Some(text.to_vec())
}

fn push_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        serialize([(&b"a"[..], &b"\xff\0"[..]), (b"", b"")].into_iter())
    }

    #[test]
    fn a_list_survives_the_way_there_and_back() {
        assert_eq!(
            parse(&sample()),
            [
                (b"a".to_vec(), b"\xff\0".to_vec()),
                (Vec::new(), Vec::new())
            ]
        );
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_an_empty_list() {
        let whole = sample();
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), [], "cut at {end}");
        }
        assert_eq!(parse(&[&whole[..], b"x"].concat()), []);
        assert_eq!(parse(&1025u32.to_le_bytes()), []);
        assert_eq!(parse(&vec![0; MAX_BYTES + 1]), []);
    }

    #[test]
    fn a_missing_nul_spoils_the_list() {
        let mut bytes = sample();
        let last = bytes.len() - 1;
        bytes[last] = b'x';
        assert_eq!(parse(&bytes), []);
    }
}
