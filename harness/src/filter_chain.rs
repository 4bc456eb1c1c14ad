//! The way of a message through the filters: the rules of Envoy's `filter_manager.cc`.
//!
//! Both directions follow the same rules; the `step` of a filter counts in its direction, so that
//! the last filter of the chain is step 0 of the response.

mod passed_once;

use self::passed_once::Part;
use crate::abi::Direction;
use crate::error::HostError;
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::stream::Iteration;

/// How often a filter may resume a stream within its own resumption; more is a recursion without end.
const NESTED_RESUMES: u32 = 8;

/// What a headers callback, or its failure, means for the stream.
pub(crate) enum HeadersResult {
    Continue,
    Stop(Iteration),
}

/// What a body callback means.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum DataResult {
    Continue,
    StopAndBuffer,
    StopAndWatermark,
    StopNoBuffer,
}

/// What a trailers callback means.
pub(crate) enum TrailersResult {
    Continue,
    Stop,
}

/// The bytes that go through the filters.
pub(crate) enum Data {
    /// A piece that has just arrived.
    Fresh(Vec<u8>),
    /// What was held back, worked on in its place.
    Buffered,
}

impl Proxy {
    /// Sends headers through the filters behind `from`, or through all.
    pub(crate) fn headers(
        &mut self,
        slot: usize,
        direction: Direction,
        from: Option<usize>,
        mut end: bool,
    ) -> Moved {
        if from.is_none() && end {
            self.world.streams[slot].flow(direction).observed_end = true;
        }
        let mut body_behind = None;
        let mut lost = None;
        for step in from.map_or(0, |step| step + 1)..self.world.streams[slot].filters.len() {
            let filter = self.world.filter_at(slot, direction, step);
            if self.world.streams[slot].filters[filter].vm.is_none() {
                continue;
            }
            self.world.streams[slot].side(filter, direction).end_stream = end;
            self.world.streams[slot].flow(direction).in_callback = true;
            let result = self.headers_callback(slot, filter, direction, end)?;
            let went_on = matches!(result, HeadersResult::Continue);
            let at = (slot, step);
            if self.ends_here(at, direction, Part::Headers, went_on, &mut lost)? {
                return Ok(());
            }
            let side = self.world.streams[slot].side(filter, direction);
            match result {
                HeadersResult::Continue => {
                    side.headers_continued = true;
                    // A filter that holds the headers of a reply is not moved on by those of an answer.
                    if side.stopped_all() {
                        return Ok(());
                    }
                }
                HeadersResult::Stop(iteration) => {
                    side.iteration = iteration;
                    return Ok(());
                }
            }
            if end && self.world.streams[slot].flow(direction).buffered.is_some() {
                // The body of a reply that was held is what follows them.
                body_behind = Some(step);
                end = false;
            }
        }
        if let Some(error) = lost {
            return Err(error);
        }
        match direction {
            Direction::Request => self.route(slot, end)?,
            Direction::Response => self.send_headers(slot, end)?,
        }
        match body_behind {
            Some(step) => self.common_continue(slot, direction, step),
            None => Ok(()),
        }
    }

    /// Sends a piece of a body through the filters behind `from`, or through all. A filter that
    /// had stopped everything is the first to see it.
    pub(crate) fn data(
        &mut self,
        slot: usize,
        direction: Direction,
        from: Option<usize>,
        mut data: Data,
        mut end: bool,
    ) -> Moved {
        if self.is_closed(slot, direction) {
            return Ok(());
        }
        if from.is_none() && end {
            self.world.streams[slot].flow(direction).observed_end = true;
        }
        let had_trailers = self.world.streams[slot].flow(direction).trailers.is_some();
        let mut trailers_from = None;
        let mut passed = true;
        let mut lost = None;
        for step in self.first_step(slot, direction, from)..self.world.streams[slot].filters.len() {
            let filter = self.world.filter_at(slot, direction, step);
            if self.world.streams[slot].filters[filter].vm.is_none() {
                continue;
            }
            let stream = &mut self.world.streams[slot];
            let no_trailers = stream.flow(direction).trailers.is_none();
            let side = stream.side(filter, direction);
            let stopped = side.stopped_all();
            if stopped && !self.world.mutated(Rule::StoppedFiltersHearOfTheBody) {
                let stream = &mut self.world.streams[slot];
                let side = stream.side(filter, direction);
                let streaming = side.iteration == Iteration::StopAllWatermark;
                stream.flow(direction).streaming = streaming;
                return self.hold(slot, direction, data);
            }
            let side = self.world.streams[slot].side(filter, direction);
            if side.end_stream && !self.world.mutated(Rule::BodyGoesOnBehindTheEnd) {
                self.lint_lost_body(slot, direction, filter, &data);
                return Ok(());
            }
            let told = end && no_trailers;
            let side = self.world.streams[slot].side(filter, direction);
            side.end_stream = told;
            self.world.streams[slot].flow(direction).in_callback = true;
            let result = self.data_callback(slot, filter, direction, &mut data, told)?;
            let went_on = result == DataResult::Continue;
            let at = (slot, step);
            if self.ends_here(at, direction, Part::Body, went_on, &mut lost)? {
                return Ok(());
            }
            if !had_trailers
                && trailers_from.is_none()
                && self.world.streams[slot].flow(direction).trailers.is_some()
            {
                end = false;
                trailers_from = Some(step);
            }
            if result == DataResult::Continue {
                self.lint_released(slot, filter, direction, told);
            }
            let iteration = self.world.streams[slot].side(filter, direction).iteration;
            if result == DataResult::Continue && iteration != Iteration::StopSingle {
                continue;
            }
            passed = false;
            let data = std::mem::replace(&mut data, Data::Buffered);
            self.stop_data(slot, direction, step, result, data)?;
            if direction == Direction::Response {
                return Ok(());
            }
            // A request's new trailers go on all the same.
            break;
        }
        if let Some(error) = lost.filter(|_| passed) {
            return Err(error);
        }
        if passed {
            self.deliver(slot, direction, data, end)?;
        }
        match trailers_from {
            Some(step) => self.trailers(slot, direction, Some(step)),
            None => Ok(()),
        }
    }

    /// Envoy shows a filter nothing after the end, be it bytes that were held back before.
    fn lint_lost_body(&mut self, slot: usize, direction: Direction, filter: usize, data: &Data) {
        let stream = &mut self.world.streams[slot];
        let plugin = stream.filters[filter].plugin;
        let lost = match data {
            Data::Fresh(bytes) => bytes.len(),
            Data::Buffered => stream
                .flow(direction)
                .buffered
                .as_ref()
                .map_or(0, |held| held.len()),
        };
        if lost > 0 {
            let what = format!("{lost} bytes of the {direction} are dropped");
            self.world
                .lint(Some(slot), plugin, LintKind::HeldBodyLost, what);
        }
    }

    /// A filter holds a piece back, or lets go of everything with it.
    fn stop_data(
        &mut self,
        slot: usize,
        direction: Direction,
        step: usize,
        result: DataResult,
        data: Data,
    ) -> Moved {
        let filter = self.world.filter_at(slot, direction, step);
        let stream = &mut self.world.streams[slot];
        if result == DataResult::Continue {
            self.hold(slot, direction, data)?;
            if self.world.mutated(Rule::BodyDoesNotReleaseHeaders) {
                return Ok(());
            }
            return self.common_continue(slot, direction, step);
        }
        stream.side(filter, direction).iteration = Iteration::StopSingle;
        let keeps = self.world.mutated(Rule::DroppedBodyIsKept);
        let flow = self.world.streams[slot].flow(direction);
        if result == DataResult::StopNoBuffer && !keeps {
            if flow.observed_end && flow.trailers.is_none() {
                // So that a resume still brings the end of the message.
                flow.buffered.get_or_insert_default();
            }
            return Ok(());
        }
        flow.streaming = result == DataResult::StopAndWatermark;
        self.hold(slot, direction, data)
    }

    /// Sends trailers through the filters behind `from`, or through all.
    pub(crate) fn trailers(
        &mut self,
        slot: usize,
        direction: Direction,
        from: Option<usize>,
    ) -> Moved {
        if self.is_closed(slot, direction) {
            return Ok(());
        }
        let mut lost = None;
        for step in self.first_step(slot, direction, from)..self.world.streams[slot].filters.len() {
            let filter = self.world.filter_at(slot, direction, step);
            if self.world.streams[slot].filters[filter].vm.is_none() {
                continue;
            }
            if self.world.streams[slot]
                .side(filter, direction)
                .stopped_all()
            {
                return Ok(());
            }
            self.world.streams[slot].flow(direction).in_callback = true;
            let result = self.trailers_callback(slot, filter, direction)?;
            let went_on = matches!(result, TrailersResult::Continue);
            let at = (slot, step);
            if self.ends_here(at, direction, Part::Trailers, went_on, &mut lost)? {
                return Ok(());
            }
            let side = self.world.streams[slot].side(filter, direction);
            side.end_stream = true;
            match result {
                TrailersResult::Continue if side.iteration == Iteration::StopSingle => {
                    if self.world.mutated(Rule::TrailersDoNotRelease) {
                        return Ok(());
                    }
                    return self.common_continue(slot, direction, step);
                }
                TrailersResult::Continue => {}
                TrailersResult::Stop => {
                    side.iteration = Iteration::StopSingle;
                    return Ok(());
                }
            }
        }
        if let Some(error) = lost {
            return Err(error);
        }
        match direction {
            Direction::Request => self.ask_with_trailers(slot),
            Direction::Response => self.send_trailers(slot),
        }
    }

    /// Goes on behind a filter that had stopped: headers, then what was held back, then trailers.
    pub(crate) fn common_continue(
        &mut self,
        slot: usize,
        direction: Direction,
        step: usize,
    ) -> Moved {
        if self.is_closed(slot, direction) {
            return Ok(());
        }
        let filter = self.world.filter_at(slot, direction, step);
        let stream = &mut self.world.streams[slot];
        let side = stream.side(filter, direction);
        side.iterate_from_current |= side.stopped_all();
        side.iteration = Iteration::Continue;
        side.resumes += 1;
        if side.resumes > NESTED_RESUMES {
            return Err(HostError::Misuse {
                call: "proxy_continue_stream".to_owned(),
                why: "resumes the stream in a callback that the resumed stream makes, without end: Envoy does \
                      so until the stack is full, and the VM fails, with others; just return Continue there"
                    .to_owned(),
                timeline: self.timeline(Some(slot)),
            });
        }
        let headers_wait = !std::mem::replace(&mut side.headers_continued, true);
        if headers_wait && self.world.mutated(Rule::ResumePassesOwnBody) {
            self.world.streams[slot]
                .side(filter, direction)
                .iterate_from_current = false;
        }
        if headers_wait && !self.world.mutated(Rule::ResumeForgetsHeaders) {
            let stream = &mut self.world.streams[slot];
            let flow = stream.flow(direction);
            let end = flow.observed_end && flow.buffered.is_none() && flow.trailers.is_none();
            self.headers(slot, direction, Some(step), end)?;
        }
        let flow = self.world.streams[slot].flow(direction);
        // Trailers that a body callback adds are sent on by `data` itself.
        let had_trailers = flow.trailers.is_some();
        let end = flow.observed_end && !had_trailers;
        if flow.buffered.is_some() && !self.world.mutated(Rule::ResumeForgetsTheBody) {
            self.data(slot, direction, Some(step), Data::Buffered, end)?;
        }
        if had_trailers && !self.world.mutated(Rule::ResumeForgetsTrailers) {
            self.trailers(slot, direction, Some(step))?;
        }
        let side = self.world.streams[slot].side(filter, direction);
        side.iterate_from_current = false;
        side.resumes -= 1;
        Ok(())
    }

    /// Keeps bytes in the stream's buffer, and replies where it grows over its limit.
    pub(crate) fn hold(&mut self, slot: usize, direction: Direction, data: Data) -> Moved {
        let mut limit = self.world.buffer_limit_of(slot);
        let Data::Fresh(bytes) = data else {
            return Ok(());
        };
        let held = self.world.streams[slot].flow(direction).buffered.as_ref();
        let grown = held.map_or(0, |held| held.len()) + bytes.len();
        if grown == limit && self.world.mutated(Rule::LimitIsOneLess) {
            limit -= 1;
        } else if limit.checked_add(1) == Some(grown) && self.world.mutated(Rule::LimitIsOneMore) {
            limit += 1;
        } else if grown > limit && self.world.mutated(Rule::NoLimit) {
            limit = usize::MAX;
        }
        let streamed_counts = grown > limit && self.world.mutated(Rule::StreamedBodyOverflows);
        let flow = self.world.streams[slot].flow(direction);
        let buffered = flow.buffered.get_or_insert_default();
        let fitted = buffered.len() <= limit;
        buffered.extend(&bytes);
        if fitted && buffered.len() > limit && (!flow.streaming || streamed_counts) {
            return self.buffer_overflow(slot, direction);
        }
        Ok(())
    }

    /// Bytes have passed every filter.
    fn deliver(&mut self, slot: usize, direction: Direction, data: Data, end: bool) -> Moved {
        let bytes = match data {
            Data::Fresh(bytes) => bytes,
            Data::Buffered => {
                let held = self.world.streams[slot].flow(direction).buffered.as_mut();
                held.map(std::mem::take).unwrap_or_default().into_bytes()
            }
        };
        match direction {
            Direction::Request => self.send_upstream(slot, bytes, end),
            Direction::Response => self.send_data(slot, bytes, end),
        }
    }

    /// After a callback: whether a local reply or a reset took the stream off this way.
    fn left(&mut self, slot: usize, direction: Direction) -> Result<bool, crate::HostError> {
        let stream = &mut self.world.streams[slot];
        stream.flow(direction).in_callback = false;
        if stream.finished && !stream.flow(direction).open_behind_the_end {
            if let Some(reply) = stream.prepared.take() {
                self.world.streams[slot].closed_below = true;
                self.answer_behind_a_reset(slot, &reply)?;
                self.world.streams[slot].response.open_behind_the_end = false;
            }
            return Ok(true);
        }
        if !stream.flow(direction).aborted {
            return Ok(false);
        }
        if let Some(reply) = stream.prepared.take() {
            self.reply_through_chain(slot, reply)?;
        }
        Ok(true)
    }

    fn is_closed(&self, slot: usize, direction: Direction) -> bool {
        let stream = &self.world.streams[slot];
        match direction {
            Direction::Request => {
                let over = stream.finished || stream.response.observed_end;
                stream.request.aborted || over && !stream.request.open_behind_the_end
            }
            Direction::Response => {
                let over = stream.finished && !stream.response.open_behind_the_end;
                stream.response.aborted && !stream.overtaken || over
            }
        }
    }

    fn first_step(&mut self, slot: usize, direction: Direction, from: Option<usize>) -> usize {
        let Some(step) = from else { return 0 };
        let filter = self.world.filter_at(slot, direction, step);
        let stream = &mut self.world.streams[slot];
        if stream.side(filter, direction).iterate_from_current {
            step
        } else {
            step + 1
        }
    }
}
