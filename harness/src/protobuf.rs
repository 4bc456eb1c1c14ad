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
    /// 4 or 8 bytes, which no message of the ABI has.
    Fixed,
}

/// Reads the fields of a message in order; none if it is not well formed.
pub(crate) fn read(mut bytes: &[u8]) -> Option<Vec<(u32, Wire<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = take_varint(&mut bytes)?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
        let wire = match tag & 7 {
            0 => Wire::Varint(take_varint(&mut bytes)?),
            1 => take(&mut bytes, 8).map(|_| Wire::Fixed)?,
            2 => {
                let size = usize::try_from(take_varint(&mut bytes)?).ok()?;
                Wire::Bytes(take(&mut bytes, size)?)
            }
            5 => take(&mut bytes, 4).map(|_| Wire::Fixed)?,
            _ => return None,
        };
        fields.push((number, wire));
    }
    Some(fields)
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
        ] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }
}
