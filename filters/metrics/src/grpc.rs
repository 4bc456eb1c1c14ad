//! gRPC messages, counted by their frames.

use std::cell::Cell;

/// Whether a `content-type` is that of gRPC: `application/grpc`, with whatever codec or parameters.
#[must_use]
pub fn is_grpc(content_type: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    content_type
        .split_at_checked(GRPC.len())
        .is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(GRPC)
                && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
        })
}

/// Counts the messages of a gRPC body, however it is cut.
///
/// A frame is one byte of flags, four of length, and that many of the message. A frame counts when its
/// header is complete; a body that is no gRPC gives some number, and never more than a fifth of its
/// bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frames {
    /// How much of a frame's header has come.
    header: usize,
    length: u32,
    /// How many bytes of the message are still to come.
    rest: u32,
    count: u64,
}

/// How long a frame's header is.
const HEADER: usize = 5;

impl Frames {
    /// Reads what has come next.
    pub fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let skipped = usize::try_from(self.rest)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                bytes = bytes.get(skipped..).unwrap_or_default();
                self.rest -= u32::try_from(skipped).unwrap_or(self.rest);
            } else if let [byte, after @ ..] = bytes {
                bytes = after;
                if self.header > 0 {
                    self.length = self.length << 8 | u32::from(*byte);
                }
                self.header += 1;
                if self.header == HEADER {
                    self.rest = self.length;
                    self.header = 0;
                    self.length = 0;
                    self.count += 1;
                }
            }
        }
    }

    /// How many messages have begun so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Messages in one direction.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    count: Cell<u64>,
    counted: Cell<u64>,
}

impl Messages {
    /// So many have come by now; whether these are more than before.
    pub(crate) fn are(&self, count: u64) -> bool {
        self.count.replace(count) < count
    }

    /// How many have come since this was asked last.
    pub(crate) fn take(&self) -> u64 {
        self.count.get() - self.counted.replace(self.count.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> u64 {
        let mut frames = Frames::default();
        for piece in pieces {
            frames.read(piece);
        }
        frames.count()
    }

    const THREE: &[u8] = b"\0\0\0\0\x03abc\x01\0\0\0\0\0\0\0\x01\x01";

    fn body() -> Vec<u8> {
        let mut body = THREE.to_vec();
        body.extend([b'x'; 257]);
        body
    }

    #[test]
    fn messages_are_counted_by_their_frames() {
        assert_eq!(counted([&body()[..]]), 3);
        assert_eq!(counted([&b""[..]]), 0);
        assert_eq!(counted([&b"\0\0\0\0"[..]]), 0);
        assert_eq!(counted([&b"\0\0\0\0\0\0\0\0\0\0"[..]]), 2);
    }

    #[test]
    fn cuts_do_not_matter() {
        let body = body();
        for size in 1..body.len() {
            assert_eq!(counted(body.chunks(size)), 3, "{size}");
        }
        for at in 0..body.len() {
            let (front, back) = body.split_at(at);
            assert_eq!(counted([front, b"", back]), 3, "{at}");
        }
    }

    #[test]
    fn the_longest_length_is_believed() {
        assert_eq!(counted([&b"\0\xff\xff\xff\xff"[..], &[0; 4096]]), 1);
    }

    #[test]
    fn content_types_of_grpc_are_known() {
        for yes in [
            "application/grpc",
            "application/grpc+proto",
            "Application/GRPC; a=b",
        ] {
            assert!(is_grpc(yes.as_bytes()), "{yes}");
        }
        for no in [
            "application/grpc-web",
            "application/grpcx",
            "application/json",
            "",
        ] {
            assert!(!is_grpc(no.as_bytes()), "{no}");
        }
    }
}
