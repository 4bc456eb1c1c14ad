//! Header blocks that go out as they are, also those that a client of HTTP/2 should not send.
//!
//! The crate `h2` checks what it sends. Here it writes stand-ins, and each block of headers is replaced
//! on its way by one of literals, which no table of compression knows ([RFC 7541, 6.2.2]).
//!
//! [RFC 7541, 6.2.2]: https://www.rfc-editor.org/rfc/rfc7541#section-6.2.2

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What a client sends before its first frame.
const PREFACE: usize = 24;
/// The length of a frame's head.
const HEAD: usize = 9;
/// The types of frames with headers.
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// Flags of theirs.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// No frame may be longer unless its receiver says so.
pub(super) const LONGEST: usize = 16_384;

/// A block of headers.
pub(super) fn block<'a>(lines: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in lines {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(text);
        }
    }
    block
}

/// A length of 7 bits, and what is more in the bytes behind.
fn length(block: &mut Vec<u8>, length: usize) {
    let low = |number: usize| u8::try_from(number & 0x7f).unwrap_or_default();
    if length < 0x7f {
        block.push(low(length));
        return;
    }
    block.push(0x7f);
    let mut rest = length - 0x7f;
    while rest > 0x7f {
        block.push(0x80 | low(rest));
        rest >>= 7;
    }
    block.push(low(rest));
}

/// A connection on which blocks of headers are replaced in their order.
pub(super) struct Verbatim {
    stream: TcpStream,
    blocks: VecDeque<Vec<u8>>,
    /// What was written and is no whole frame yet.
    partial: Vec<u8>,
    /// Whether the preface is out.
    begun: bool,
    ready: Vec<u8>,
}

impl Verbatim {
    pub(super) fn new(stream: TcpStream, blocks: VecDeque<Vec<u8>>) -> Self {
        Self {
            stream,
            blocks,
            partial: Vec::new(),
            begun: false,
            ready: Vec::new(),
        }
    }

    /// Takes the whole frames out of what was written.
    fn convert(&mut self) {
        if !self.begun {
            if self.partial.len() < PREFACE {
                return;
            }
            self.begun = true;
            self.ready.extend(self.partial.drain(..PREFACE));
        }
        while let Some(&[a, b, c, kind, flags, ref stream @ ..]) = self.partial.get(..HEAD) {
            let size = HEAD + u32::from_be_bytes([0, a, b, c]) as usize;
            let stream = stream.to_vec();
            if self.partial.len() < size {
                return;
            }
            let frame: Vec<u8> = self.partial.drain(..size).collect();
            match (kind, self.blocks.is_empty()) {
                (HEADERS, false) => {
                    let block = self.blocks.pop_front().unwrap_or_default();
                    let [_, size @ ..] =
                        u32::try_from(block.len()).unwrap_or_default().to_be_bytes();
                    self.ready.extend(size);
                    self.ready
                        .extend([HEADERS, flags & END_STREAM | END_HEADERS]);
                    self.ready.extend(stream);
                    self.ready.extend(block);
                }
                // It belongs to a block that was replaced.
                (CONTINUATION, _) => {}
                _ => self.ready.extend(frame),
            }
        }
    }
}

impl AsyncRead for Verbatim {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Verbatim {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.partial.extend(bytes);
        self.convert();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = &mut *self;
        while !own.ready.is_empty() {
            let written = ready!(Pin::new(&mut own.stream).poll_write(context, &own.ready))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            own.ready.drain(..written);
        }
        Pin::new(&mut own.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_takes_as_many_bytes_as_it_needs() {
        for (number, bytes) in [
            (0, &[0][..]),
            (126, &[126]),
            (127, &[127, 0]),
            (254, &[127, 127]),
            (255, &[127, 0x80, 1]),
            (1_337, &[127, 0xba, 9]),
        ] {
            let mut block = Vec::new();
            length(&mut block, number);
            assert_eq!(block, bytes, "{number}");
        }
    }
}
