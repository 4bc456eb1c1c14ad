//! The callbacks of a stream and what their results mean: `proxy_on_request_headers` and kin.

mod end;

use crate::abi::{AbiVersion, Direction};
use crate::error::HostError;
use crate::filter_chain::{Data, DataResult, HeadersResult, TrailersResult};
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::plugin::FailurePolicy;
use crate::proxy::{Called, Moved, Proxy};
use crate::stream::{BodyView, Iteration, Reply};
use crate::vm::{Find, Phase, Three, Two};

/// What remains of a callback when failures are dealt with.
enum Verdict {
    /// It returned this; 0 where it is not exported.
    Result(u32),
    /// The VM has failed, and the plugin is set to let the stream pass.
    Open,
    /// The VM has failed, and the stream with it.
    Closed,
    /// It returned this in a stream that a reply had ended before: where it let the message go on, Envoy takes what it
    /// had in view for passed on, and goes no further.
    Ended(u32),
}

/// Stops everything in a headers callback, drops the piece in a body callback, holds trailers.
const STOPPED: u32 = 4;

impl Proxy {
    pub(crate) fn headers_callback(
        &mut self,
        slot: usize,
        filter: usize,
        direction: Direction,
        end: bool,
    ) -> Result<HeadersResult, HostError> {
        if direction == Direction::Request {
            self.create_stream_context(slot, filter)?;
        } else if self.is_deaf(slot, filter) {
            return Ok(HeadersResult::Continue);
        }
        let stream = &mut self.world.streams[slot];
        let replaced = stream.reply_replaced && direction == Direction::Response;
        let flow = stream.flow(direction);
        let headers = match replaced {
            true => &flow.overwritten,
            false => &flow.headers,
        };
        let count = headers.as_ref().map_or(0, |headers| number(headers.len()));
        let side = stream.side(filter, direction);
        side.headers_visible = true;
        side.sees_overwritten |= replaced;
        stream.filters[filter].end_of_stream = end;
        let plugin = stream.filters[filter].plugin;
        let count = count + self.off_by_one(Rule::HeadersAreMiscounted);
        let end = end
            != self.world.mutated(match direction {
                Direction::Request => Rule::RequestHeadersEndIsFlipped,
                Direction::Response => Rule::ResponseHeadersEndIsFlipped,
            });
        let verdict = self.guarded(slot, filter, direction, |proxy, vm, context| {
            let at = (Phase::Stream, context, Some(slot));
            let name = match direction {
                Direction::Request => "proxy_on_request_headers",
                Direction::Response => "proxy_on_response_headers",
            };
            if proxy.plugins[plugin].module.abi() == AbiVersion::V0_1_0 {
                let find: Find<Two<u32>> = match direction {
                    Direction::Request => |all| &all.request_headers_without_end,
                    Direction::Response => |all| &all.response_headers_without_end,
                };
                return proxy.call(vm, at, name, find, (context, count));
            }
            let find: Find<Three<u32>> = match direction {
                Direction::Request => |all| &all.request_headers,
                Direction::Response => |all| &all.response_headers,
            };
            proxy.call(vm, at, name, find, (context, count, u32::from(end)))
        })?;
        let single = self.plugins[plugin].allow_on_headers_stop_iteration;
        if let Verdict::Result(2) = verdict {
            let what = format!("the {direction} headers callback returned 2");
            self.world
                .lint(Some(slot), plugin, LintKind::EndStreamIgnored, what);
        }
        let mutated = |rule| self.world.mutated(rule);
        let iteration = match verdict {
            Verdict::Result(2) if mutated(Rule::Headers2Stops) => Iteration::StopAllWatermark,
            Verdict::Result(0 | 2) | Verdict::Open => Iteration::Continue,
            Verdict::Result(1) if single && !mutated(Rule::StopIterationIsNotAllowed) => {
                Iteration::StopSingle
            }
            Verdict::Result(1) if !single && mutated(Rule::StopIterationIsAllowed) => {
                Iteration::StopSingle
            }
            Verdict::Result(1) if mutated(Rule::Headers1Buffers) => Iteration::StopAllBuffer,
            Verdict::Result(3) if !mutated(Rule::Headers3Streams) => Iteration::StopAllBuffer,
            Verdict::Result(4..) if mutated(Rule::Headers4Buffers) => Iteration::StopAllBuffer,
            Verdict::Result(5..) if mutated(Rule::UnknownHeadersResultContinues) => {
                Iteration::Continue
            }
            Verdict::Result(_) | Verdict::Closed | Verdict::Ended(_) => Iteration::StopAllWatermark,
        };
        if iteration == Iteration::Continue || matches!(verdict, Verdict::Ended(0 | 2)) {
            let side = self.world.streams[slot].side(filter, direction);
            side.headers_visible = false;
        }
        Ok(match iteration {
            Iteration::Continue => HeadersResult::Continue,
            stop => HeadersResult::Stop(stop),
        })
    }

    pub(crate) fn data_callback(
        &mut self,
        slot: usize,
        filter: usize,
        direction: Direction,
        data: &mut Data,
        end: bool,
    ) -> Result<DataResult, HostError> {
        if self.is_deaf(slot, filter) {
            return Ok(DataResult::Continue);
        }
        if self.world.streams[slot].side(filter, direction).buffering {
            let fresh = std::mem::replace(data, Data::Buffered);
            self.hold(slot, direction, fresh)?;
            if self.world.streams[slot].finished {
                return Ok(DataResult::StopAndBuffer);
            }
        }
        let flow = self.world.streams[slot].flow(direction);
        let (view, size) = match data {
            Data::Fresh(bytes) => (BodyView::Chunk, bytes.len()),
            Data::Buffered => (
                BodyView::Buffered,
                flow.buffered.as_ref().map_or(0, |held| held.len()),
            ),
        };
        let side = self.world.streams[slot].side(filter, direction);
        (side.body, side.body_forgotten) = (view, false);
        self.world.streams[slot].filters[filter].end_of_stream = end;
        let verdict = self.guarded(slot, filter, direction, |proxy, vm, context| {
            let at = (Phase::Stream, context, Some(slot));
            let (size_off, end_flipped) = match direction {
                Direction::Request => {
                    (Rule::RequestBodyIsMiscounted, Rule::RequestBodyEndIsFlipped)
                }
                Direction::Response => (
                    Rule::ResponseBodyIsMiscounted,
                    Rule::ResponseBodyEndIsFlipped,
                ),
            };
            let size = number(size) + proxy.off_by_one(size_off);
            let end = end != proxy.world.mutated(end_flipped);
            let arguments = (context, size, u32::from(end));
            if let Data::Fresh(bytes) = data {
                proxy.world.streams[slot].flow(direction).chunk = std::mem::take(bytes).into();
            }
            proxy.vms[vm].state().show_first(context, direction);
            let called = match direction {
                Direction::Request => proxy.call(
                    vm,
                    at,
                    "proxy_on_request_body",
                    |all| &all.request_body,
                    arguments,
                ),
                Direction::Response => proxy.call(
                    vm,
                    at,
                    "proxy_on_response_body",
                    |all| &all.response_body,
                    arguments,
                ),
            };
            // What follows may send other bytes this way, or end the stream, which then still shows them.
            if let Data::Fresh(bytes) = data {
                let ends = !proxy.vms[vm].state().deferred.is_empty();
                let chunk = &mut proxy.world.streams[slot].flow(direction).chunk;
                *bytes = std::mem::take(chunk).into_bytes();
                if ends {
                    *chunk = bytes.clone().into();
                }
            }
            called
        })?;
        if let Verdict::Result(3..) = verdict
            && size > 0
        {
            let plugin = self.world.streams[slot].filters[filter].plugin;
            let what = format!("{size} bytes of the {direction}");
            self.world
                .lint(Some(slot), plugin, LintKind::BodyDropped, what);
        }
        let result = match verdict {
            Verdict::Result(0) | Verdict::Open => DataResult::Continue,
            Verdict::Result(1) if self.world.mutated(Rule::Body1Streams) => {
                DataResult::StopAndWatermark
            }
            Verdict::Result(1) => DataResult::StopAndBuffer,
            Verdict::Result(2) if self.world.mutated(Rule::Body2Buffers) => {
                DataResult::StopAndBuffer
            }
            Verdict::Result(2) => DataResult::StopAndWatermark,
            Verdict::Result(3) if self.world.mutated(Rule::Body3Buffers) => {
                DataResult::StopAndBuffer
            }
            Verdict::Result(4..) if self.world.mutated(Rule::UnknownBodyResultContinues) => {
                DataResult::Continue
            }
            Verdict::Result(_) | Verdict::Closed | Verdict::Ended(_) => DataResult::StopNoBuffer,
        };
        let forgets = self.world.mutated(Rule::BufferedBodyIsNotShownAgain);
        let hides = self.world.mutated(Rule::PausedBodyIsHidden);
        let passes = matches!(verdict, Verdict::Ended(0));
        let stream = &mut self.world.streams[slot];
        let side = stream.side(filter, direction);
        side.buffering = result == DataResult::StopAndBuffer && !forgets;
        side.body = match (result, &*data) {
            (DataResult::Continue, _) => BodyView::None,
            _ if passes => BodyView::None,
            _ if hides => BodyView::None,
            (DataResult::StopAndBuffer, _) | (_, Data::Buffered) => BodyView::Buffered,
            (_, Data::Fresh(_)) => BodyView::Moved,
        };
        if let Data::Fresh(bytes) = data
            && stream.flow(direction).aborted
        {
            // The callbacks on the reply still see the piece that was being looked at.
            stream.flow(direction).chunk = bytes.clone().into();
        }
        Ok(result)
    }

    pub(crate) fn trailers_callback(
        &mut self,
        slot: usize,
        filter: usize,
        direction: Direction,
    ) -> Result<TrailersResult, HostError> {
        if self.is_deaf(slot, filter) {
            return Ok(TrailersResult::Continue);
        }
        let stream = &mut self.world.streams[slot];
        let count = stream
            .flow(direction)
            .trailers
            .as_ref()
            .map_or(0, |trailers| number(trailers.len()));
        stream.side(filter, direction).trailers_visible = true;
        let count = count + self.off_by_one(Rule::TrailersAreMiscounted);
        let verdict = self.guarded(slot, filter, direction, |proxy, vm, context| {
            let at = (Phase::Stream, context, Some(slot));
            match direction {
                Direction::Request => proxy.call(
                    vm,
                    at,
                    "proxy_on_request_trailers",
                    |all| &all.request_trailers,
                    (context, count),
                ),
                Direction::Response => proxy.call(
                    vm,
                    at,
                    "proxy_on_response_trailers",
                    |all| &all.response_trailers,
                    (context, count),
                ),
            }
        })?;
        if matches!(
            verdict,
            Verdict::Result(0) | Verdict::Open | Verdict::Ended(0)
        ) {
            let side = self.world.streams[slot].side(filter, direction);
            side.trailers_visible = false;
        }
        Ok(match verdict {
            Verdict::Result(0) | Verdict::Open => TrailersResult::Continue,
            Verdict::Result(1) if self.world.mutated(Rule::Trailers1Continues) => {
                TrailersResult::Continue
            }
            Verdict::Result(2..) if self.world.mutated(Rule::UnknownTrailersResultContinues) => {
                TrailersResult::Continue
            }
            Verdict::Result(_) | Verdict::Closed | Verdict::Ended(_) => TrailersResult::Stop,
        })
    }

    /// Tells the guest of the stream, once.
    pub(crate) fn create_stream_context(&mut self, slot: usize, filter: usize) -> Moved {
        let at = &self.world.streams[slot].filters[filter];
        let (Some(vm), false) = (at.vm, at.created) else {
            return Ok(());
        };
        let (context, root) = (at.context, at.root);
        let once = self.world.mutated(Rule::ClosedContextsAreCreatedOnce);
        self.world.streams[slot].filters[filter].created = once;
        if !self.vms[vm].failed {
            let at = (Phase::ContextCreate, context, Some(slot));
            self.call(
                vm,
                at,
                "proxy_on_context_create",
                |all| &all.context_create,
                (context, root),
            )?;
            // A log that follows from what it asked for does not find it created.
            self.run_deferred(vm)?;
        }
        self.world.streams[slot].filters[filter].created = true;
        Ok(())
    }

    fn off_by_one(&self, rule: Rule) -> u32 {
        u32::from(self.world.mutated(rule))
    }

    /// Makes a callback unless the VM has failed, before or in it, and then does what was deferred.
    fn guarded(
        &mut self,
        slot: usize,
        filter: usize,
        direction: Direction,
        call: impl FnOnce(&mut Self, usize, u32) -> Result<Called<u32>, HostError>,
    ) -> Result<Verdict, HostError> {
        let at = &self.world.streams[slot].filters[filter];
        let (Some(vm), context) = (at.vm, at.context) else {
            return Ok(Verdict::Result(0));
        };
        if self.vms[vm].failed {
            return self.fail(slot, filter);
        }
        self.world.streams[slot].side(filter, direction).in_callback = true;
        self.vms[vm].state().stops = false;
        let verdict = match call(self, vm, context)? {
            Called::Missing => Verdict::Result(0),
            Called::Returned(result) if !self.vms[vm].failed => Verdict::Result(result),
            Called::Returned(_) | Called::Trapped(_) => self.fail(slot, filter)?,
        };
        let stops = std::mem::take(&mut self.vms[vm].state().stops);
        self.run_deferred(vm)?;
        let stream = &mut self.world.streams[slot];
        stream.side(filter, direction).in_callback = false;
        let aborted = stream.flow(direction).aborted
            && !stream.flow(direction).closed
            && !self.world.mutated(Rule::ReplyDoesNotStopTheCallback);
        let kept = self.world.mutated(Rule::PassedHeadersStayInView);
        // Envoy forces a stop behind a local reply, whatever the callback returned.
        Ok(match verdict {
            Verdict::Result(code) if aborted && !stops && !kept => Verdict::Ended(code),
            Verdict::Result(_) if aborted => Verdict::Closed,
            Verdict::Result(_)
                if stops && !self.world.mutated(Rule::ReplyDoesNotStopTheCallback) =>
            {
                Verdict::Result(STOPPED)
            }
            verdict => verdict,
        })
    }

    /// What a failed VM means for a stream.
    fn fail(&mut self, slot: usize, filter: usize) -> Result<Verdict, HostError> {
        let at = &mut self.world.streams[slot].filters[filter];
        let plugin = at.plugin;
        let policy = self.plugins[plugin].policy;
        if policy == FailurePolicy::DeprecatedFailOpen
            || policy == FailurePolicy::FailOpen && self.world.mutated(Rule::FailOpenSavesTheStream)
        {
            return Ok(Verdict::Open);
        }
        let at = &mut self.world.streams[slot].filters[filter];
        if !std::mem::replace(&mut at.failure_replied, true) {
            if self.plugins[plugin].policy == FailurePolicy::FailOpen {
                let what = "the VM failed in this stream or while it was under way";
                self.world
                    .lint(Some(slot), plugin, LintKind::FailOpenGap, what);
            }
            let mut reply = Reply::own(503, "", "wasm_fail_stream");
            // UNAVAILABLE
            reply.grpc_status = Some(14 - self.off_by_one(Rule::FailureHasAnotherGrpcStatus));
            if self.world.mutated(Rule::FailureHasAnotherStatus) {
                reply.status = 500;
            }
            if self.world.mutated(Rule::FailureHasNoDetails) {
                reply.details = String::new();
            }
            if self.world.mutated(Rule::FailureHasABody) {
                reply.body = b"wasm_fail_stream".to_vec();
            }
            self.send_local_reply(slot, reply)?;
        }
        Ok(Verdict::Closed)
    }

    /// Whether a filter hears nothing of the response or of bodies: it was never reached, or its
    /// failure ended the stream.
    fn is_deaf(&self, slot: usize, filter: usize) -> bool {
        let filter = &self.world.streams[slot].filters[filter];
        !filter.created && !self.world.mutated(Rule::UnreachedFiltersHearOfTheResponse)
            || filter.failure_replied && !self.world.mutated(Rule::FailedFiltersHearOfTheResponse)
    }

    /// VM and context of a filter whose VM has not failed.
    fn sound(&self, slot: usize, filter: usize) -> Option<(usize, u32)> {
        let filter = &self.world.streams[slot].filters[filter];
        filter
            .vm
            .filter(|vm| !self.vms[*vm].failed)
            .map(|vm| (vm, filter.context))
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
