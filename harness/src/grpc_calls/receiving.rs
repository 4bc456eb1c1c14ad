//! What a gRPC call receives.

use std::collections::VecDeque;
use std::time::Duration;

use crate::arrival::Piece;
use crate::calls::{CallEvent, CallId, CallKind};
use crate::clusters::Decides;
use crate::grpc_calls::frames;
use crate::grpc_calls::telling::Metadata;
use crate::grpc_reply::{GrpcEvent, GrpcReply};
use crate::headers::{Headers, Kind};
use crate::known_difference::KnownDifference;
use crate::local_reply::grpc_status_of;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::response::{Fault, Response};
use crate::router::{Timeouts, is_unreadable, refusal, status, timeout_details, unacceptable};
use crate::upstream_failure::UpstreamFailure;
use crate::vm::Deferred;

/// gRPC's UNKNOWN and INTERNAL.
const UNKNOWN: u32 = 2;
const INTERNAL: u32 = 13;

/// How far a gRPC call has come.
#[derive(Default)]
pub(crate) struct GrpcProgress {
    /// What the peer will send, and when.
    steps: VecDeque<(Duration, Step)>,
    /// When the last of these is.
    last_step: Duration,
    /// Whether the peer has decided on its headers, and whether they were received.
    headers_sent: bool,
    pub(crate) headers_received: bool,
    /// The beginning of a message.
    received: Vec<u8>,
    /// The last message of a call that has one answer.
    answer: Option<Vec<u8>>,
    /// Whether the guest ended the request, and when the peer was told.
    half_closed: bool,
    complete_at: Option<Duration>,
    closed_by_guest: bool,
    closed_by_peer: bool,
}

enum Step {
    Headers(Headers, bool),
    Data(Vec<u8>, bool),
    Trailers(Headers),
    Fail(UpstreamFailure),
}

impl GrpcProgress {
    pub(super) fn is_half_closed(&self) -> bool {
        self.half_closed
    }

    pub(super) fn half_close(&mut self) {
        self.half_closed = true;
    }

    /// `proxy_grpc_close`; true if that was the end.
    pub(super) fn close_by_guest(&mut self) -> bool {
        self.closed_by_guest = true;
        self.closed_by_peer
    }

    pub(crate) fn closed_by_guest(&self) -> bool {
        self.closed_by_guest
    }

    pub(super) fn is_closed_by_peer(&self) -> bool {
        self.closed_by_peer
    }

    /// Plans what a peer sends, behind what it sends already.
    fn plan(&mut self, response: Response, now: Duration) {
        let mut time = self.last_step.max(now).saturating_add(response.latency);
        let add = &mut self.steps;
        match response.fault {
            Some(Fault::Never) => return,
            Some(Fault::Failed(failure)) => add.push_back((time, Step::Fail(failure))),
            None => {
                let mut ended = response.pieces.is_empty() && response.trailers.is_none();
                match std::mem::replace(&mut self.headers_sent, true) {
                    false => add.push_back((time, Step::Headers(response.headers, ended))),
                    true if ended => {
                        let mut trailers = response.headers;
                        trailers.remove(b":status");
                        trailers.remove(b"content-type");
                        add.push_back((time, Step::Trailers(trailers)));
                    }
                    true => {}
                }
                for piece in response.pieces {
                    match piece {
                        Piece::Chunk(chunk) => add.push_back((time, Step::Data(chunk, false))),
                        Piece::Pause(pause) => time += pause,
                        Piece::Until(_) => {}
                        Piece::Stall => ended = true,
                        Piece::Cut(failure) => {
                            add.push_back((time, Step::Fail(failure)));
                            ended = true;
                        }
                    }
                    if ended {
                        break;
                    }
                }
                if !ended {
                    let last = match response.trailers {
                        Some(trailers) => Step::Trailers(trailers),
                        None => Step::Data(Vec::new(), true),
                    };
                    add.push_back((time, last));
                }
            }
        }
        self.last_step = time;
    }
}

impl Proxy {
    /// A gRPC call, or an event of a gRPC stream, is at its cluster.
    pub(crate) fn ask_grpc(
        &mut self,
        vm: usize,
        token: u32,
        id: CallId,
        event: &CallEvent,
    ) -> Moved {
        let now = self.world.clock.now();
        let Some(call) = self.vms[vm].state().call_mut(token, id) else {
            return Ok(());
        };
        if call.grpc.closed_by_peer {
            return Ok(());
        }
        let cluster = call.cluster;
        if matches!(event, CallEvent::Made) {
            let connects = !self.world.mutated(Rule::ConnectNeedsNoProtocol);
            let headers = call.request.headers();
            let taken = self.world.mutated(Rule::GrpcHeadersAreUnchecked);
            if let Some(why) = unacceptable(headers, connects).filter(|_| !taken) {
                let details = refusal(&why);
                return self.replied(vm, token, id, 503, &why, &details);
            }
            if is_unreadable(headers, self.world.clusters.codec(cluster)) {
                let slot = self.world.account_of(call.maker);
                self.world
                    .comes_to(slot, KnownDifference::UnreadableMessage);
            }
        }
        let clusters = &mut self.world.clusters;
        if call.kind == CallKind::Grpc || matches!(event, CallEvent::HalfClosed) {
            call.grpc.complete_at = Some(now);
        }
        let early = clusters.decides(cluster) == Decides::WithHeaders;
        let told = match event {
            _ if call.kind == CallKind::Grpc => None,
            CallEvent::Made => clusters.grpc_event(cluster, &GrpcEvent::Opened(&call.request)),
            CallEvent::Message(message) => {
                clusters.grpc_event(cluster, &GrpcEvent::Message(message))
            }
            CallEvent::HalfClosed => clusters.grpc_event(cluster, &GrpcEvent::HalfClosed),
            CallEvent::Cancelled { .. } => None,
        };
        let whole = match event {
            CallEvent::Made => call.kind == CallKind::Grpc || early,
            CallEvent::HalfClosed => !early,
            CallEvent::Message(_) | CallEvent::Cancelled { .. } => false,
        };
        let reply = match told {
            Some(reply) if reply.is_empty() => None,
            Some(reply) if call.grpc.headers_sent => Some(reply.without_initial().into()),
            Some(reply) => Some(reply.into()),
            None => whole.then(|| clusters.answer(cluster, &call.request)),
        };
        if let Some(reply) = reply {
            call.grpc.plan(reply, now);
        }
        let at_once = self.world.mutated(Rule::OpenGrpcStreamsHaveATimeout);
        let is_sent = match event {
            CallEvent::Made => call.kind == CallKind::Grpc || at_once,
            CallEvent::HalfClosed => !at_once,
            CallEvent::Message(_) | CallEvent::Cancelled { .. } => false,
        };
        if is_sent {
            call.sent_at = Some(now);
            let Timeouts { whole, of_try } = call.timeouts;
            for timeout in [of_try, whole] {
                if !timeout.is_zero() {
                    self.schedule_call(vm, token, id, now + timeout);
                }
            }
        }
        self.receive_grpc(vm, token, id)
    }

    /// Receives what is there, and looks whether a call has taken too long.
    pub(crate) fn receive_grpc(&mut self, vm: usize, token: u32, id: CallId) -> Moved {
        let now = self.world.clock.now();
        loop {
            let Some(call) = self.vms[vm].state().call_mut(token, id) else {
                return Ok(());
            };
            match call.grpc.steps.front() {
                Some((time, _)) if *time <= now => {}
                Some((time, _)) => {
                    let time = *time;
                    if !call.is_overdue(now) {
                        self.schedule_call(vm, token, id, time);
                        return Ok(());
                    }
                    break;
                }
                None => break,
            }
            if let Some((_, step)) = call.grpc.steps.pop_front() {
                self.take_step(vm, token, id, step)?;
            }
        }
        let Some(call) = self.vms[vm].state().call_mut(token, id) else {
            return Ok(());
        };
        if !call.is_overdue(now) || call.grpc.closed_by_peer {
            return Ok(());
        }
        call.grpc.steps.clear();
        if call.grpc.headers_received {
            return self.stream_error(vm, token, id, INTERNAL, "response_timeout");
        }
        let details = timeout_details(!call.timeouts.of_try.is_zero());
        self.replied(vm, token, id, 504, "upstream request timeout", details)
    }

    fn take_step(&mut self, vm: usize, token: u32, id: CallId, step: Step) -> Moved {
        let call = self.vms[vm].state().call_mut(token, id);
        self.world.reading_from = call.map(|call| call.cluster);
        let moved = self.receive_step(vm, token, id, step);
        self.world.reading_from = None;
        moved
    }

    fn receive_step(&mut self, vm: usize, token: u32, id: CallId, step: Step) -> Moved {
        match step {
            Step::Headers(headers, end) => self.take_headers(vm, token, id, headers, end),
            Step::Data(bytes, end) => self.take_data(vm, token, id, bytes, end),
            Step::Trailers(trailers) => self.take_trailers(vm, token, id, trailers, "via_upstream"),
            Step::Fail(failure) => {
                let envoy = self.world.version;
                let thread = self.vms[vm].thread();
                let Some(call) = self.vms[vm].state().call_mut(token, id) else {
                    return Ok(());
                };
                if failure != UpstreamFailure::Reset {
                    let connection = (thread, call.cluster);
                    self.world.grpc_connections.remove(&connection);
                }
                if call.grpc.headers_received {
                    let details = failure.details_after();
                    return self.stream_error(vm, token, id, INTERNAL, &details);
                }
                let (body, details) = (failure.body(envoy, false), failure.details_before());
                self.replied(vm, token, id, failure.status(), &body, &details)
            }
        }
    }

    fn take_headers(
        &mut self,
        vm: usize,
        token: u32,
        id: CallId,
        mut headers: Headers,
        end: bool,
    ) -> Moved {
        let now = self.world.clock.now();
        let timed = !self.world.mutated(Rule::GrpcMetadataTellsNoServiceTime);
        let Some(call) = self.vms[vm].state().call_mut(token, id) else {
            return Ok(());
        };
        call.grpc.headers_received = true;
        // What the guest ended in one callback is complete before any of the answer comes back.
        let ended = call.grpc.half_closed.then_some(now);
        if let Some(complete_at) = call.grpc.complete_at.or(ended).filter(|_| timed) {
            let latency = (now - complete_at).as_millis().to_string();
            headers.replace(b"x-envoy-upstream-service-time", latency.as_bytes());
        }
        let code = status(&headers).unwrap_or(0);
        let trailers_only = end && (code == 200 || headers.contains_key("grpc-status"));
        let shown = trailers_only && self.world.mutated(Rule::GrpcTrailersAreInitialMetadata);
        let initial = if (end || code != 200) && !shown {
            Headers::new(Kind::Response)
        } else {
            headers.clone()
        };
        self.tell_metadata(vm, token, id, initial, Metadata::Initial)?;
        if trailers_only {
            return self.take_trailers(vm, token, id, headers, "via_upstream");
        }
        if code != 200 {
            let code = match self.world.mutated(Rule::GrpcStatusOfHttpIsUnknown) {
                true => UNKNOWN + 1,
                false => grpc_status_of(code),
            };
            return self.stream_error(vm, token, id, code, "via_upstream");
        }
        Ok(())
    }

    fn take_data(&mut self, vm: usize, token: u32, id: CallId, bytes: Vec<u8>, end: bool) -> Moved {
        let mut bytes = Some(bytes);
        loop {
            let Some(call) = self.vms[vm].state().call_mut(token, id) else {
                return Ok(());
            };
            call.grpc.received.extend(bytes.take().unwrap_or_default());
            match frames::take(&mut call.grpc.received) {
                Ok(Some(message)) if call.kind == CallKind::Grpc => {
                    call.grpc.answer = Some(message);
                }
                Ok(Some(message)) => self.tell_message(vm, token, id, message)?,
                Ok(None) if end => {
                    return self.stream_error(vm, token, id, UNKNOWN, "via_upstream");
                }
                Ok(None) => return Ok(()),
                Err(()) => return self.stream_error(vm, token, id, INTERNAL, "via_upstream"),
            }
        }
    }

    fn take_trailers(
        &mut self,
        vm: usize,
        token: u32,
        id: CallId,
        trailers: Headers,
        details: &str,
    ) -> Moved {
        let missing = match self.world.mutated(Rule::NoGrpcStatusIsOk) {
            true => 0,
            false => UNKNOWN,
        };
        let strange = match self.world.mutated(Rule::StrangeGrpcStatusIsUnknown) {
            true => UNKNOWN,
            false => u32::MAX,
        };
        let code = trailers.get("grpc-status").map_or(missing, |value| {
            let code = str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok());
            // Envoy's `InvalidCode`, -1, for what is no status.
            code.filter(|code| *code <= 16).unwrap_or(strange)
        });
        let message = trailers.get("grpc-message").unwrap_or_default().to_vec();
        self.tell_metadata(vm, token, id, trailers, Metadata::Trailing)?;
        self.close_grpc(vm, token, id, code, message, details)
    }

    /// The reply of Envoy's own router: headers only, for a gRPC request.
    fn replied(
        &mut self,
        vm: usize,
        token: u32,
        id: CallId,
        status: u16,
        body: &str,
        details: &str,
    ) -> Moved {
        let mut headers = Headers::new(Kind::Response);
        let code = match self.world.mutated(Rule::GrpcFailureHasAnotherStatus) {
            true => "4".to_owned(),
            false => grpc_status_of(status.into()).to_string(),
        };
        headers.add(b":status", b"200");
        headers.add(b"content-type", b"application/grpc");
        headers.add(b"grpc-status", code.as_bytes());
        headers.add(b"grpc-message", body.as_bytes());
        let none = Headers::new(Kind::Response);
        self.tell_metadata(vm, token, id, none, Metadata::Initial)?;
        self.take_trailers(vm, token, id, headers, details)
    }

    /// Envoy gives up on a response that is none.
    fn stream_error(
        &mut self,
        vm: usize,
        token: u32,
        id: CallId,
        code: u32,
        details: &str,
    ) -> Moved {
        let none = Headers::new(Kind::Trailers);
        self.tell_metadata(vm, token, id, none, Metadata::Trailing)?;
        self.close_grpc(vm, token, id, code, Vec::new(), details)
    }

    /// The call is over for the peer.
    fn close_grpc(
        &mut self,
        vm: usize,
        token: u32,
        id: CallId,
        code: u32,
        message: Vec<u8>,
        details: &str,
    ) -> Moved {
        let bare = self.world.mutated(Rule::GrpcMessagesHaveNoDetails);
        let state = self.vms[vm].state();
        let Some(call) = state.call_mut(token, id) else {
            return Ok(());
        };
        let text = if bare {
            message
        } else if message.is_empty() {
            details.as_bytes().to_vec()
        } else {
            [&message[..], b"{", details.as_bytes(), b"}"].concat()
        };
        let note = format!(
            "`{}` ends {} {token} with status {code}: {}",
            self.world.clusters.name(call.cluster),
            call.kind,
            text.escape_ascii()
        );
        let (root, maker, kind) = (call.root, call.maker, call.kind);
        let answer = call.grpc.answer.take();
        call.grpc.closed_by_peer = true;
        call.grpc.steps.clear();
        let at_once = self.world.mutated(match kind {
            CallKind::Grpc => Rule::GrpcCallsEndBeforeTheirAnswer,
            _ => Rule::GrpcStreamsEndBeforeTheirClose,
        });
        if at_once {
            self.vms[vm].state().calls.pending.remove(&token);
        }
        self.world.note_call(maker, note);
        let slot = self.world.account_of(maker);
        let deferred = &mut self.vms[vm].state().deferred;
        deferred.push_back(Deferred::ForgetToken(token, id));
        match (kind, code, answer) {
            (CallKind::Grpc, 0, Some(answer)) => {
                self.tell_root_message(vm, (root, token, slot), answer)?;
                if self.world.mutated(Rule::AnsweredGrpcCallsAreClosed) {
                    self.tell_close(vm, (root, token, slot), code, text)?;
                }
            }
            (CallKind::Grpc, 0, None) => {
                self.tell_close(vm, (root, token, slot), INTERNAL, Vec::new())?;
            }
            _ => self.tell_close(vm, (root, token, slot), code, text)?,
        }
        // A guest that has no callback for it was not told.
        self.vms[vm].state().forget_token(token, id);
        Ok(())
    }

    /// The guest cancelled a call.
    pub(crate) fn cancel_at_cluster(&mut self, cluster: usize) {
        let _: Option<GrpcReply> = self
            .world
            .clusters
            .grpc_event(cluster, &GrpcEvent::Cancelled);
    }
}
