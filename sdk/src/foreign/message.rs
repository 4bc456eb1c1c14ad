/// A Protobuf message as it is written, field by field.
#[derive(Debug, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// Appends a field of text or bytes; nothing for an empty one, which is the default.
    pub(crate) fn bytes(mut self, field: u8, bytes: &[u8]) -> Self {
        if !bytes.is_empty() {
            self.0.push(field << 3 | 2);
            self.number(bytes.len() as u64);
            self.0.extend_from_slice(bytes);
        }
        self
    }

    /// Appends a field of a number, an enum or a truth; nothing for 0, which is the default.
    pub(crate) fn varint(mut self, field: u8, number: u64) -> Self {
        if number != 0 {
            self.0.push(field << 3);
            self.number(number);
        }
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn number(&mut self, mut number: u64) {
        loop {
            let low = (number & 0x7f) as u8;
            number >>= 7;
            if number == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }
}

/// A field of a message that was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    /// Eight bytes, as of a `double`.
    Fixed(u64),
    Bytes(&'a [u8]),
}

/// Reads a message whose fields are numbers, texts and messages; `None` for bytes that are none.
pub(crate) fn read(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let field = match tag & 7 {
            0 => Field::Varint(varint(&mut bytes)?),
            1 => {
                let (number, rest) = bytes.split_first_chunk()?;
                bytes = rest;
                Field::Fixed(u64::from_le_bytes(*number))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (content, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(content)
            }
            _ => return None,
        };
        fields.push((tag >> 3, field));
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let long = vec![b'x'; 300];
        let message = Message::default()
            .bytes(1, b"name")
            .varint(2, 0)
            .varint(5, 300)
            .bytes(3, &long)
            .finish();
        assert_eq!(
            read(&message).unwrap(),
            [
                (1, Field::Bytes(b"name")),
                (5, Field::Varint(300)),
                (3, Field::Bytes(&long))
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        for bytes in [
            &[0x08][..],
            &[0x0a, 5, 1],
            &[0x0b],
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
        ] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }
}
