//! A callback that moved its stream on and then lets it go on a second time.
//!
//! Envoy resumes a stream when the callback has returned and before it looks at what was returned:
//! `proxy_continue_stream` sends on what the callback was about, and a result of Continue does so
//! again.

use crate::abi::Direction;
use crate::codec::Codec;
use crate::error::HostError;
use crate::mutation::Rule;
use crate::proxy::Proxy;
use crate::stream::Iteration;

/// What a callback is about.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Part {
    Headers,
    Body,
    Trailers,
}

impl Proxy {
    /// After a callback: whether its filter is where this way ends. What crashes Envoy at the end of the way is `lost`:
    /// it goes on behind the end of the stream, to filters whose contexts are deleted, and one of them may stop it.
    pub(super) fn ends_here(
        &mut self,
        (slot, step): (usize, usize),
        direction: Direction,
        part: Part,
        went_on: bool,
        lost: &mut Option<HostError>,
    ) -> Result<bool, HostError> {
        let crash = self.check_passed_once(slot, step, direction, part, went_on)?;
        if self.world.mutated(Rule::FiltersBehindTheEndStopNothing)
            && let Some(error) = crash
        {
            return Err(error);
        }
        *lost = lost.take().or(crash);
        Ok(self.left(slot, direction)? && lost.is_none())
    }

    /// Refuses what corrupts what Envoy sends, and hands back what crashes it if no filter behind stops there.
    fn check_passed_once(
        &mut self,
        slot: usize,
        step: usize,
        direction: Direction,
        part: Part,
        went_on: bool,
    ) -> Result<Option<HostError>, HostError> {
        let filter = self.world.filter_at(slot, direction, step);
        let stream = &mut self.world.streams[slot];
        let side = stream.side(filter, direction);
        let continued = std::mem::take(&mut side.continued_inside);
        let closed = std::mem::take(&mut side.closed_inside);
        if !went_on {
            return Ok(None);
        }
        let number = match direction {
            Direction::Request => 0,
            Direction::Response => 1,
        };
        // What held the body is to be resumed by the trailers, and resuming does look whether the stream is over.
        let held = side.iteration == Iteration::StopSingle;
        let over = stream.finished && direction == Direction::Response;
        if over && part == Part::Headers && stream.reply_replaced {
            return Ok(Some(self.replaced_goes_on(slot)));
        }
        if over && closed && !held && part == Part::Trailers {
            return Ok(Some(HostError::EnvoyWouldCrash {
                call: "proxy_close_stream".to_owned(),
                why:
                    "may not be followed by Continue in `proxy_on_response_trailers`: Envoy sends \
                      the trailers on a connection that is gone; return Pause"
                        .to_owned(),
                timeline: self.timeline(Some(slot)),
            }));
        }
        if !continued || (part == Part::Body && !over) {
            return Ok(None);
        }
        if self.world.mutated(Rule::PassingTwiceIsTaken) {
            return Ok(None);
        }
        let crashes = over
            && match part {
                Part::Headers => self.headers_end(slot, step, direction),
                Part::Body => !self.has_one_that_ended(slot, step, direction),
                Part::Trailers => true,
            };
        if part == Part::Body && !crashes {
            return Ok(None);
        }
        let call = format!("proxy_continue_stream({number})");
        let timeline = self.timeline(Some(slot));
        if crashes {
            return Ok(Some(HostError::EnvoyWouldCrash {
                call,
                why:
                    "may not be followed by Continue in the same callback: it sent the end of the \
                      response, and Envoy goes on with a stream that is gone; just return Continue"
                        .to_owned(),
                timeline,
            }));
        }
        Err(HostError::Misuse {
            call,
            why: format!(
                "is followed by Continue in the same callback: Envoy sends the {direction}'s {} \
                     on twice, and the stream hangs or is garbled; just return Continue",
                match part {
                    Part::Headers => "headers",
                    Part::Body => "body",
                    Part::Trailers => "trailers",
                }
            ),
            timeline,
        })
    }

    /// Whether headers that are sent again reach an encoder that is gone, or end the stream a second time. An encoder
    /// of HTTP/1.1 lives until the turn is over: it writes the headers behind the whole response.
    fn headers_end(&mut self, slot: usize, step: usize, direction: Direction) -> bool {
        let filter = self.world.filter_at(slot, direction, step);
        let stream = &mut self.world.streams[slot];
        stream.side(filter, direction).end_stream || stream.codec == Codec::Http2
    }

    /// Whether a filter behind had the end: what comes again stops there.
    fn has_one_that_ended(&mut self, slot: usize, step: usize, direction: Direction) -> bool {
        let mut behind = step + 1..self.world.streams[slot].filters.len();
        behind.any(|step| {
            let filter = self.world.filter_at(slot, direction, step);
            let stream = &mut self.world.streams[slot];
            stream.filters[filter].vm.is_some() && stream.side(filter, direction).end_stream
        })
    }

    /// The headers of a reply go on behind the one that the router made in its place.
    fn replaced_goes_on(&mut self, slot: usize) -> HostError {
        let call = "proxy_continue_stream(0)".to_owned();
        let timeline = self.timeline(Some(slot));
        match self.world.streams[slot].codec {
            Codec::Http2 => HostError::EnvoyWouldCrash {
                call,
                why: "may not let a body go whose upstream a reply has left, and the reply's headers with \
                      it: Envoy has answered 503 for the body, and goes on with a stream that is gone; do \
                      not resume what was replied to"
                    .to_owned(),
                timeline,
            },
            Codec::Http1 => HostError::Misuse {
                call,
                why: "lets a body go whose upstream a reply has left, and the reply's headers continue: \
                      Envoy has answered 503 for the body, and writes a second response behind it; do not \
                      resume what was replied to"
                    .to_owned(),
                timeline,
            },
        }
    }
}
