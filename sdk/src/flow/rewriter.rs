//! A transform at work on a body that comes in pieces. Knows no host.

use crate::body::{BodyTransform, Ending, Piece};
use crate::error::Error;

/// Drives a [`BodyTransform`] and remembers what has not gone on.
///
/// While it holds back, the host keeps the body as it came, so that it can be replaced when trailers
/// end it: what is made of it waits here.
pub(crate) struct Rewriter {
    transform: Box<dyn BodyTransform>,
    /// How many of the bytes in the host's buffer have been shown to the transform.
    seen: usize,
    /// What has been made and has not gone on.
    output: Vec<u8>,
    /// What has come and was neither kept nor skipped.
    tail: Vec<u8>,
    /// Whether output and tail are other bytes than those in the host's buffer.
    changed: bool,
    /// Whether bytes have been taken out of the host's buffer to wait here.
    drained: bool,
    /// Whether such bytes are in what goes on now, which may yet fail to be written.
    unwritten: bool,
    /// What the transform has ended the stream with.
    ending: Option<Box<dyn Ending>>,
    /// None for a transform that leaves nothing: its module lacks the code.
    too_much: Option<TooMuch>,
}

/// What a stream ends with whose transform would hold more than its limit.
pub(crate) type TooMuch = fn(usize) -> Box<dyn Ending>;

/// What is to be done with the host's buffer.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// It stays where it is.
    Wait,
    /// It goes on as it is.
    Pass,
    /// It goes on with these bytes in it.
    Replace(Vec<u8>),
    /// It goes nowhere: the transform has ended the stream.
    Refuse,
}

impl Rewriter {
    pub(crate) fn new(transform: Box<dyn BodyTransform>, too_much: Option<TooMuch>) -> Self {
        Self {
            transform,
            seen: 0,
            output: Vec::new(),
            tail: Vec::new(),
            changed: false,
            drained: false,
            unwritten: false,
            ending: None,
            too_much,
        }
    }

    pub(crate) fn transform(&mut self) -> &mut dyn BodyTransform {
        self.transform.as_mut()
    }

    /// From where on the transform has not seen the host's buffer.
    pub(crate) fn seen(&self) -> usize {
        self.seen
    }

    /// Says that the bytes that come next are not those of the host's buffer.
    pub(crate) fn replaced(&mut self) {
        self.changed = true;
    }

    /// Whether the host's buffer lacks bytes that came, so that without this they would be lost.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained || self.unwritten
    }

    /// What the transform has ended the stream with, if it has.
    pub(crate) fn take_ending(&mut self) -> Option<Box<dyn Ending>> {
        self.ending.take()
    }

    /// Says that what goes on is in the host's buffer.
    pub(crate) fn written(&mut self) {
        self.unwritten = false;
    }

    /// Shows the transform what has come; `size` is that of the host's buffer with it.
    pub(crate) fn step(
        &mut self,
        came: Vec<u8>,
        size: usize,
        is_last: bool,
    ) -> Result<Step, Error> {
        self.seen = size;
        let input = if self.tail.is_empty() {
            came
        } else {
            let mut input = std::mem::take(&mut self.tail);
            input.extend_from_slice(&came);
            input
        };
        let mut piece = Piece::new(&input, is_last, &mut self.output, &mut self.changed);
        let outcome = self.transform.body(&mut piece);
        self.ending = piece.take_ending();
        // The decision to end the stream stands, whatever fails behind it.
        if self.ending.is_some() {
            return Ok(Step::Refuse);
        }
        outcome?;
        if is_last {
            piece.keep(usize::MAX);
        }
        let held = piece.finish();
        if held == 0 {
            return Ok(self.go_on());
        }
        let limit = self.transform.hold_limit();
        if held > limit {
            self.ending = self.too_much.map(|end| end(limit));
            return Ok(Step::Refuse);
        }
        self.tail = input.get(input.len() - held..).unwrap_or_default().to_vec();
        if size <= limit {
            return Ok(Step::Wait);
        }
        // What is held back lives on here alone, and has to be written with what comes next.
        self.seen = 0;
        self.changed = true;
        self.drained = true;
        Ok(Step::Replace(std::mem::take(&mut self.output)))
    }

    fn go_on(&mut self) -> Step {
        self.seen = 0;
        self.unwritten = std::mem::take(&mut self.drained);
        let output = std::mem::take(&mut self.output);
        if std::mem::take(&mut self.changed) {
            Step::Replace(output)
        } else {
            Step::Pass
        }
    }
}

#[cfg(test)]
mod tests;
