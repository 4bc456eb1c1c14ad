//! The wire format of protocol buffers, as far as the few messages need it that cross the ABI.
//!
//! Reference: <https://protobuf.dev/programming-guides/encoding/>.

/// Writes the fields of a message. Proto3's defaults are left out, as generated code does.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// A string, bytes or message, unless it is empty.
    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.present(field, value);
        }
    }

    /// A string, bytes or message, empty or not: a map's entry, a repeated field, one of `oneof`.
    pub(crate) fn present(&mut self, field: u32, value: &[u8]) {
        self.raw_varint(u64::from(field) << 3 | 2);
        self.raw_varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// A number or bool that is written even where it is 0.
    pub(crate) fn varint(&mut self, field: u32, value: u64) {
        self.raw_varint(u64::from(field) << 3);
        self.raw_varint(value);
    }

    /// A double that is written even where it is 0.
    pub(crate) fn double(&mut self, field: u32, value: f64) {
        self.raw_varint(u64::from(field) << 3 | 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.bytes.push(value.to_le_bytes()[0]);
    }
}

/// The value of a field as it stands in a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed64(u64),
    Fixed32(u32),
    /// A group, which nothing has that is read here.
    Skipped,
}

/// Protobuf's own limit for groups within each other.
const DEPTH: usize = 100;

/// Reads the fields of a message in order; none if it is not well formed. Unknown fields belong to a
/// message too, as protobuf wants it.
pub(crate) fn read(mut bytes: &[u8]) -> Option<Vec<(u32, Wire<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        fields.push(take_field(&mut bytes, 0)?);
    }
    Some(fields)
}

fn take_field<'a>(bytes: &mut &'a [u8], depth: usize) -> Option<(u32, Wire<'a>)> {
    let (number, kind) = take_tag(bytes)?;
    if depth > DEPTH {
        return None;
    }
    let wire = match kind {
        0 => Wire::Varint(take_varint(bytes)?),
        1 => Wire::Fixed64(u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?)),
        2 => {
            let size = usize::try_from(take_varint(bytes)?).ok()?;
            Wire::Bytes(take(bytes, size)?)
        }
        // A group ends where its number ends one.
        3 => loop {
            let mut ahead = *bytes;
            let (end, kind) = take_tag(&mut ahead)?;
            if kind == 4 {
                *bytes = ahead;
                break (end == number).then_some(Wire::Skipped)?;
            }
            take_field(bytes, depth + 1)?;
        },
        5 => Wire::Fixed32(u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?)),
        _ => return None,
    };
    Some((number, wire))
}

/// The number of a field, never 0, and its kind.
fn take_tag(bytes: &mut &[u8]) -> Option<(u32, u32)> {
    let tag = u32::try_from(take_varint(bytes)?).ok()?;
    Some((tag >> 3, tag & 7)).filter(|(number, _)| *number > 0)
}

/// The last value of a string or bytes field; empty where it is absent.
pub(crate) fn bytes_of<'a>(fields: &[(u32, Wire<'a>)], field: u32) -> &'a [u8] {
    fields
        .iter()
        .rev()
        .find_map(|(number, wire)| match wire {
            Wire::Bytes(bytes) if *number == field => Some(*bytes),
            _ => None,
        })
        .unwrap_or_default()
}

/// The last value of a number, bool or enum field; 0 where it is absent.
pub(crate) fn varint_of(fields: &[(u32, Wire<'_>)], field: u32) -> u64 {
    fields
        .iter()
        .rev()
        .find_map(|(number, wire)| match wire {
            Wire::Varint(value) if *number == field => Some(*value),
            _ => None,
        })
        .unwrap_or_default()
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(size)?;
    *bytes = tail;
    Some(head)
}

/// Where the types of messages are that Envoy may know.
pub(crate) const PACKAGES: [&str; 12] = [
    "cel",
    "envoy",
    "flyteidl",
    "google",
    "grpc",
    "io",
    "opencensus",
    "opentelemetry",
    "pb",
    "udpa",
    "validate",
    "xds",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_way_there_and_back() {
        let mut writer = Writer::default();
        writer.bytes(1, b"text");
        writer.bytes(2, b"");
        writer.present(3, b"");
        writer.varint(4, 300);
        writer.double(5, 1.5);
        let bytes = writer.finish();
        assert_eq!(
            bytes,
            b"\x0a\x04text\x1a\x00\x20\xac\x02\x29\x00\x00\x00\x00\x00\x00\xf8\x3f"
        );
        let fields = read(&bytes).expect("well formed");
        assert_eq!(bytes_of(&fields, 1), b"text");
        assert_eq!(varint_of(&fields, 4), 300);
        assert_eq!((bytes_of(&fields, 9), varint_of(&fields, 9)), (&b""[..], 0));
    }

    #[test]
    fn what_is_cut_short_is_no_message() {
        for bytes in [
            &b"\x0a"[..],
            b"\x0a\x05text",
            b"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x29\0",
            b"\x02\x00",
            b"\x0f\x00",
            b"\x00",
        ] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn groups_are_skipped_and_end_where_they_began() {
        assert_eq!(read(b"\x1b\x08\x01\x1c"), Some(vec![(3, Wire::Skipped)]));
        assert_eq!(read(b"\x1b\x08\x01\x24"), None);
        assert_eq!(read(b"\x1c"), None);
        assert_eq!(read(&[0x1b; 1000]), None);
    }
}
