//! What a filter changes behind the headers of a message.

use crate::body::BodyTransform;
use crate::error::Error;
use crate::headers::Headers;
use crate::host::{self, Direction, Map};
use crate::stream::Stream;

use super::rewriter::{Rewriter, Step, TooMuch};
use super::{Flow, Stage, Verdict};

/// An [`Editor`], for who does not know that there is such a type.
pub(crate) trait Edit {
    fn editor(&mut self) -> &mut Editor;
    /// Makes the headers say what the body will be.
    fn prepare(&mut self, headers: &mut Headers) -> Result<(), Error>;
    /// Brings the changes into what has come. Acts on the effective context.
    fn flush(&mut self, flow: &Flow, stream: u32) -> Result<Verdict, Error>;
    /// Whether what the host has cannot go on alone: bytes of the body are in here, or the headers
    /// tell the length of another one.
    fn is_needed(&self) -> bool;
    /// Ends the stream that its transform has ended.
    fn end(self: Box<Self>, direction: Direction, stream: &Stream);
}

/// A [`Rewriter`], for an editor that does not know that there is such a type: one that changes trailers
/// only lacks the code.
trait Rewrite {
    fn transform(&mut self) -> &mut dyn BodyTransform;
    fn is_drained(&self) -> bool;
    /// Shows what has come, or `replacement` in its place, and writes what is made of it.
    fn flush(
        &mut self,
        flow: &Flow,
        replacement: Option<Vec<u8>>,
        is_last: bool,
    ) -> Result<Verdict, Error>;
    /// Ends the stream that the transform has ended.
    fn end(self: Box<Self>, direction: Direction, stream: &Stream);
}

/// What is done to trailers.
type TrailersHook = Box<dyn FnOnce(&mut Headers)>;

/// All changes of one direction.
#[derive(Default)]
pub(crate) struct Editor {
    rewriter: Option<Box<dyn Rewrite>>,
    /// A body in place of the one that came.
    replacement: Option<Vec<u8>>,
    /// Whether the headers tell the length of that, and it is not written yet.
    promised: bool,
    /// The trailers, once they have been looked at.
    trailers: Option<Headers>,
    trailers_hook: Option<TrailersHook>,
    fault: Option<&'static str>,
}

impl Editor {
    pub(crate) fn map_body(
        &mut self,
        transform: Box<dyn BodyTransform>,
        too_much: Option<TooMuch>,
    ) {
        let rewriter = Box::new(Rewriter::new(transform, too_much));
        if self.rewriter.replace(rewriter).is_some() {
            self.fault = Some("the filter maps the body of one message twice");
        }
    }

    pub(crate) fn map_trailers(&mut self, hook: TrailersHook) {
        if self.trailers_hook.replace(hook).is_some() {
            self.fault = Some("the filter maps the trailers of one message twice");
        }
    }

    /// Says that the filter may not have what it asked for.
    pub(crate) fn refuse(&mut self, why: &'static str) {
        self.fault = Some(why);
    }

    pub(crate) fn replace(&mut self, body: Vec<u8>) {
        self.replacement = Some(body);
    }

    /// The trailers that came, to read and to change.
    pub(crate) fn trailers(&mut self, direction: Direction, stream: u32) -> &mut Headers {
        self.trailers
            .get_or_insert_with(|| Headers::new(map(direction), stream))
    }

    fn flush_body(&mut self, flow: &Flow, is_last: bool) -> Result<Verdict, Error> {
        let replacement = self.replacement.take();
        if let Some(rewriter) = &mut self.rewriter {
            return rewriter.flush(flow, replacement, is_last);
        }
        if let Some(body) = replacement {
            host::set_body(flow.direction, &body)?;
            self.promised = false;
        }
        Ok(Verdict::Continue)
    }

    fn flush_trailers(&mut self, flow: &Flow, stream: u32) -> Result<(), Error> {
        let map = map(flow.direction);
        let came = flow.stage.get() == Stage::Trailers;
        let mut trailers = match self.trailers.take() {
            Some(trailers) => trailers,
            None if came => Headers::new(map, stream),
            None => Headers::absent(map, stream),
        };
        if let Some(rewriter) = &mut self.rewriter {
            rewriter.transform().trailers(&mut trailers)?;
        }
        if came && let Some(hook) = self.trailers_hook.take() {
            hook(&mut trailers);
        }
        flow.commit(&mut trailers)
    }
}

impl Rewrite for Rewriter {
    fn transform(&mut self) -> &mut dyn BodyTransform {
        self.transform()
    }

    fn is_drained(&self) -> bool {
        self.is_drained()
    }

    fn flush(
        &mut self,
        flow: &Flow,
        replacement: Option<Vec<u8>>,
        is_last: bool,
    ) -> Result<Verdict, Error> {
        let size = flow.size.get();
        let seen = self.seen();
        let news = match replacement {
            Some(body) => {
                self.replaced();
                body
            }
            None if seen < size => host::body(flow.direction, seen, size - seen)?,
            None => Vec::new(),
        };
        // Behind trailers only what was held can still be written.
        let is_late = flow.stage.get() == Stage::Trailers && size == 0;
        match self.step(news, size, is_last)? {
            Step::Wait => return Ok(Verdict::Pause),
            Step::Refuse => return Ok(Verdict::Refused),
            Step::Replace(body) if is_late && !body.is_empty() => return Ok(Verdict::Cut),
            Step::Replace(body) if !is_late => host::set_body(flow.direction, &body)?,
            Step::Replace(_) | Step::Pass => {}
        }
        self.written();
        Ok(Verdict::Continue)
    }

    fn end(mut self: Box<Self>, direction: Direction, stream: &Stream) {
        if let Some(ending) = self.take_ending() {
            ending.end(direction, stream);
        }
    }
}

impl Edit for Editor {
    fn editor(&mut self) -> &mut Editor {
        self
    }

    fn prepare(&mut self, headers: &mut Headers) -> Result<(), Error> {
        if let Some(fault) = self.fault.take() {
            return Err(Error::misuse(fault));
        }
        if self.rewriter.is_none()
            && let Some(body) = &self.replacement
        {
            self.promised = headers.set_length(body.len());
        }
        Ok(())
    }

    fn flush(&mut self, flow: &Flow, stream: u32) -> Result<Verdict, Error> {
        let stage = flow.stage.get();
        if stage == Stage::Headers {
            return Ok(Verdict::Continue);
        }
        let is_last = stage != Stage::Body;
        let verdict = self.flush_body(flow, is_last)?;
        if is_last && verdict == Verdict::Continue {
            self.flush_trailers(flow, stream)?;
        }
        Ok(verdict)
    }

    fn is_needed(&self) -> bool {
        self.promised || self.rewriter.as_ref().is_some_and(|it| it.is_drained())
    }

    fn end(self: Box<Self>, direction: Direction, stream: &Stream) {
        if let Some(rewriter) = self.rewriter {
            rewriter.end(direction, stream);
        }
    }
}

fn map(direction: Direction) -> Map {
    match direction {
        Direction::Request => Map::RequestTrailers,
        Direction::Response => Map::ResponseTrailers,
    }
}
