use std::fmt;

use crate::error::Error;
use crate::headers::Headers;
use crate::host::Direction;
use crate::response::LocalReply;
use crate::stream::Stream;

/// Changes a body while it passes, piece by piece.
///
/// Envoy cuts bodies where the network did: write transforms so that the cuts do not matter. What a
/// transform cannot decide yet, such as the first half of a word, it leaves in the piece: those bytes
/// come again, in front of the next ones.
///
/// While bytes are left, the body is held in Envoy, so that they can still be written when trailers
/// end it. Once more than [`hold_limit`](Self::hold_limit) bytes are held there, what is decided goes
/// on, and what is left waits in the module; trailers that come just then end the stream by a reset:
/// a body is never cut short.
///
/// ```
/// use attache::{BodyTransform, Error, Piece};
///
/// /// Blackens digits.
/// struct Blacken;
///
/// impl BodyTransform for Blacken {
///     fn body(&mut self, piece: &mut Piece<'_>) -> Result<(), Error> {
///         while let Some(at) = piece.rest().iter().position(u8::is_ascii_digit) {
///             piece.keep(at);
///             piece.skip(1);
///             piece.write(b"#");
///         }
///         piece.keep(usize::MAX);
///         Ok(())
///     }
/// }
/// ```
pub trait BodyTransform: 'static {
    /// Sees all that has come and not gone on. At the end of the body it is called once more, with
    /// [`Piece::is_last`], be there nothing left; what it then leaves goes on as it is.
    ///
    /// # Errors
    ///
    /// An [`Error`] for a fault of the filter, which meets its
    /// [`failure_mode`](crate::HttpFilter::failure_mode).
    fn body(&mut self, piece: &mut Piece<'_>) -> Result<(), Error>;

    /// Sees the trailers at the end, or none where there are none; what it adds then makes some.
    /// Over HTTP/1.1 trailers are sent behind bodies in chunks only.
    ///
    /// ```
    /// use attache::Headers;
    /// use attache::prelude::*;
    ///
    /// /// Says behind the body how long it was.
    /// struct Measured(u64);
    ///
    /// impl BodyTransform for Measured {
    ///     fn body(&mut self, piece: &mut Piece<'_>) -> Result<(), Error> {
    ///         self.0 += piece.rest().len() as u64;
    ///         piece.keep(usize::MAX);
    ///         Ok(())
    ///     }
    ///
    ///     fn trailers(&mut self, trailers: &mut Headers) -> Result<(), Error> {
    ///         trailers.insert("x-size", self.0);
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As in [`body`](Self::body).
    fn trailers(&mut self, _trailers: &mut Headers) -> Result<(), Error> {
        Ok(())
    }

    /// How many bytes may be left and wait. One that leaves more ends its stream, whatever the failure mode: how
    /// long a word or a line is, the peer chooses, which must not switch the transform off. A request is answered
    /// 413 and a response 502, where the client can still be answered as by [`Piece::refuse`]; else the stream is reset.
    /// Keep it below the listener's `per_connection_buffer_limit_bytes`.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// Turns bodies round, for which all of one has to be there.
    /// struct Reversed;
    ///
    /// impl BodyTransform for Reversed {
    ///     fn body(&mut self, piece: &mut Piece<'_>) -> Result<(), Error> {
    ///         if piece.is_last() {
    ///             let reversed: Vec<u8> = piece.rest().iter().rev().copied().collect();
    ///             piece.skip(usize::MAX);
    ///             piece.write(&reversed);
    ///         }
    ///         Ok(())
    ///     }
    ///
    ///     fn hold_limit(&self) -> usize {
    ///         512 * 1024
    ///     }
    /// }
    /// ```
    fn hold_limit(&self) -> usize {
        64 * 1024
    }
}

/// A closure that sees each piece is a transform.
impl<F: FnMut(&mut Piece<'_>) + 'static> BodyTransform for F {
    fn body(&mut self, piece: &mut Piece<'_>) -> Result<(), Error> {
        self(piece);
        Ok(())
    }
}

/// What has come of a body and not gone on, to be kept, skipped or left, from its front on.
///
/// ```
/// use attache::Piece;
///
/// /// Passes whole lines, numbered; the beginning of one waits for its end.
/// fn number(count: &mut u32, piece: &mut Piece<'_>) {
///     while let Some(end) = piece.rest().iter().position(|&byte| byte == b'\n') {
///         *count += 1;
///         piece.write(format!("{count} ").as_bytes());
///         piece.keep(end + 1);
///     }
///     if piece.is_last() {
///         piece.keep(usize::MAX);
///     }
/// }
/// ```
pub struct Piece<'a> {
    input: &'a [u8],
    /// How far `input` is decided.
    at: usize,
    /// How far it is in `output`.
    copied: usize,
    is_last: bool,
    output: &'a mut Vec<u8>,
    changed: &'a mut bool,
    ending: Option<Box<dyn Ending>>,
}

impl<'a> Piece<'a> {
    pub(crate) fn new(
        input: &'a [u8],
        is_last: bool,
        output: &'a mut Vec<u8>,
        changed: &'a mut bool,
    ) -> Self {
        Self {
            input,
            at: 0,
            copied: 0,
            is_last,
            output,
            changed,
            ending: None,
        }
    }

    /// The bytes that are not decided yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// Whether nothing comes behind these bytes.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Lets the next `count` bytes go on, or all that are there. A body that is kept is not written
    /// back, which saves a host call.
    pub fn keep(&mut self, count: usize) {
        self.at += count.min(self.rest().len());
    }

    /// Takes the next `count` bytes out, or all that are there.
    ///
    /// ```
    /// use attache::Piece;
    ///
    /// /// Takes carriage returns out.
    /// fn unix_lines(piece: &mut Piece<'_>) {
    ///     while let Some(at) = piece.rest().iter().position(|&byte| byte == b'\r') {
    ///         piece.keep(at);
    ///         piece.skip(1);
    ///     }
    ///     piece.keep(usize::MAX);
    /// }
    /// ```
    pub fn skip(&mut self, count: usize) {
        let count = count.min(self.rest().len());
        if count > 0 {
            self.change();
            self.at += count;
            self.copied = self.at;
        }
    }

    /// Puts `bytes` in at this place.
    pub fn write(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.change();
            self.output.extend_from_slice(bytes);
        }
    }

    /// Ends the stream in the midst of this body: nothing of this piece goes on, nor what comes behind it. What has gone
    /// on before, the other side has seen.
    ///
    /// The client gets `reply`, as long as no response can be on its way to it: the request went on by
    /// [`Next::run`](crate::Next::run) or [`Next::send`](crate::Next::send), and the headers of a response have not gone on.
    /// Else the stream is reset, so that nobody takes the body for a whole one. This is the filter's decision and no fault:
    /// its [`failure_mode`](crate::HttpFilter::failure_mode) is not asked.
    ///
    /// The filter's future ends here, unless it waits for the [end of the stream](crate::Response::complete), which it then
    /// sees.
    ///
    /// ```
    /// use attache::Piece;
    /// use attache::prelude::*;
    ///
    /// /// Lets nothing through behind a NUL.
    /// fn text_only(piece: &mut Piece<'_>) {
    ///     if piece.rest().contains(&0) {
    ///         piece.refuse(LocalReply::new(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    ///     } else {
    ///         piece.keep(usize::MAX);
    ///     }
    /// }
    /// ```
    pub fn refuse(&mut self, reply: LocalReply) {
        self.ending = Some(Box::new(reply));
    }

    pub(crate) fn take_ending(&mut self) -> Option<Box<dyn Ending>> {
        self.ending.take()
    }

    fn change(&mut self) {
        self.copy_kept();
        *self.changed = true;
    }

    /// How many bytes were left.
    pub(crate) fn finish(mut self) -> usize {
        let left = self.rest().len();
        if left > 0 || *self.changed {
            self.copy_kept();
        }
        left
    }

    /// Copies what was kept, which is put off as long as nothing differs.
    fn copy_kept(&mut self) {
        let kept = self.input.get(self.copied..self.at).unwrap_or_default();
        self.output.extend_from_slice(kept);
        self.copied = self.at;
    }
}

/// How a transform has ended its stream. Without its type, so that a module whose transforms end none lacks the code.
pub(crate) trait Ending {
    fn end(self: Box<Self>, direction: Direction, stream: &Stream);
    #[cfg(not(target_arch = "wasm32"))]
    fn reply(&self) -> &LocalReply;
}

impl Ending for LocalReply {
    fn end(self: Box<Self>, direction: Direction, stream: &Stream) {
        stream.refuse(direction, *self);
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn reply(&self) -> &LocalReply {
        self
    }
}

/// Sizes only: bodies may be secrets.
impl fmt::Debug for Piece<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Piece")
            .field("size", &self.input.len())
            .field("decided", &self.at)
            .field("is_last", &self.is_last)
            .finish_non_exhaustive()
    }
}
