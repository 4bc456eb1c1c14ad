//! What all call-outs have in common: who made them, whom they ask, what is recorded of them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::abi::CallMap;
use crate::agenda::Event;
use crate::body::Body;
use crate::exchange::{StreamId, UpstreamRequest};
use crate::grpc_calls::{GrpcProgress, frames};
use crate::headers::Headers;
use crate::host::Host;
use crate::http_calls::{HttpEnd, HttpResponse};
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::router::{Asked, Retries, Timeouts, unacceptable};
use crate::vm::{Vm, VmState};
use crate::world::World;

/// The kinds of call-outs, by the remainder of their tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CallKind {
    /// `proxy_http_call`.
    Http,
    /// `proxy_grpc_call`.
    Grpc,
    /// `proxy_grpc_stream`.
    GrpcStream,
}

impl CallKind {
    /// The kind that a token tells.
    pub(crate) fn of(token: u32) -> Option<Self> {
        [Self::Http, Self::Grpc, Self::GrpcStream]
            .into_iter()
            .find(|kind| *kind as u32 == token % 4)
    }
}

/// What a cluster learns of a call-out.
#[derive(Debug)]
pub(crate) enum CallEvent {
    Made,
    /// A message of a gRPC stream.
    Message(Vec<u8>),
    /// The guest sends no more in a gRPC stream.
    HalfClosed,
    /// The guest gave up.
    Cancelled {
        /// The call is forgotten.
        cluster: usize,
        /// Whether it was not sent so far.
        unsent: bool,
    },
}

/// A call-out as its cluster got it.
#[derive(Clone, Debug)]
pub struct CallOut {
    pub(crate) id: CallId,
    pub(crate) kind: CallKind,
    pub(crate) plugin: String,
    pub(crate) cluster: String,
    pub(crate) token: u32,
    pub(crate) request: UpstreamRequest,
}

impl CallOut {
    /// Which host call made it.
    #[must_use]
    pub fn kind(&self) -> CallKind {
        self.kind
    }

    /// The plugin that made it.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// The cluster that was asked.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The number by which the guest knows it; each copy of a VM counts on its own.
    #[must_use]
    pub fn token(&self) -> u32 {
        self.token
    }

    /// The request as the cluster received it.
    #[must_use]
    pub fn request(&self) -> &UpstreamRequest {
        &self.request
    }

    /// The messages of a gRPC call or stream, in the order in which they were sent.
    #[must_use]
    pub fn messages(&self) -> Vec<Vec<u8>> {
        frames::messages(&self.request)
    }
}

/// Numbers the call-outs of a host, in all its VMs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CallId(u64);

/// The call-outs of a VM that wait for an answer.
#[derive(Default)]
pub(crate) struct Calls {
    made: [u32; 3],
    pub(crate) pending: BTreeMap<u32, Pending>,
}

/// A call-out that waits.
pub(crate) struct Pending {
    pub(crate) id: CallId,
    pub(crate) kind: CallKind,
    pub(crate) root: u32,
    pub(crate) cluster: usize,
    pub(crate) request: UpstreamRequest,
    /// How long it may take.
    pub(crate) timeouts: Timeouts,
    /// When it is made again.
    pub(crate) retries: Option<Retries>,
    /// The stream in whose callback it was made.
    pub(crate) maker: Option<(usize, StreamId)>,
    /// The stream whose exchange tells of it: its maker, or the one that was effective in a callback of the
    /// root.
    pub(crate) shown_by: Option<(usize, StreamId)>,
    /// What its answer will come to, once the cluster was asked.
    pub(crate) end: Option<HttpEnd>,
    /// When all of it was sent, from which on its timeouts count; a gRPC stream sends on until it is closed here.
    pub(crate) sent_at: Option<Duration>,
    pub(crate) grpc: GrpcProgress,
}

impl Pending {
    /// Whether it has taken as long as it may; a gRPC call whose response has begun is no try any more.
    pub(crate) fn is_overdue(&self, now: Duration) -> bool {
        let timeout = match self.grpc.headers_received {
            true => self.timeouts.whole,
            false => self.timeouts.first(),
        };
        let is_over = |sent_at: Duration| now >= sent_at.saturating_add(timeout);
        !timeout.is_zero() && self.sent_at.is_some_and(is_over)
    }
}

impl Calls {
    /// The next token of a kind: 4, 8, 12 for HTTP calls, 5, 9 for gRPC calls, 6, 10 for gRPC
    /// streams.
    pub(crate) fn next_token(&mut self, kind: CallKind, step: u32) -> u32 {
        let made = &mut self.made[kind as usize];
        *made += step;
        *made * 4 + kind as u32
    }
}

/// What a root context may read in a callback about a call-out.
#[derive(Default)]
pub(crate) struct CallState {
    /// The sticky code of `proxy_get_status`, and its message.
    pub(crate) status: u32,
    pub(crate) message: Vec<u8>,
    pub(crate) http_response: Option<Box<HttpResponse>>,
    pub(crate) grpc_initial_metadata: Option<Headers>,
    pub(crate) grpc_trailing_metadata: Option<Headers>,
    pub(crate) grpc_message: Option<Body>,
}

impl CallState {
    pub(crate) fn map(&self, map: CallMap) -> Option<&Headers> {
        let response = self.http_response.as_ref();
        match map {
            CallMap::GrpcInitialMetadata => self.grpc_initial_metadata.as_ref(),
            CallMap::GrpcTrailingMetadata => self.grpc_trailing_metadata.as_ref(),
            CallMap::HttpHeaders => response.map(|response| &response.headers),
            CallMap::HttpTrailers => response.and_then(|response| response.trailers.as_ref()),
        }
    }

    /// The callback is over; the code stays.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            status: self.status,
            ..Self::default()
        };
    }
}

impl VmState {
    /// What the root of the effective context was told of a call-out.
    pub(crate) fn call_state(&self) -> Option<&CallState> {
        let root = self.context()?.root;
        self.roots.get(&root).map(|root| &root.call)
    }

    /// Puts a call-out on its way.
    pub(crate) fn place_call(
        &mut self,
        token: u32,
        (kind, cluster): (CallKind, usize),
        request: UpstreamRequest,
        timeouts: Timeouts,
    ) {
        let id = CallId(self.world.number());
        let maker = self
            .slot
            .map(|slot| (slot, self.world.streams[slot].exchange.id));
        let root = self.context().map_or(0, |context| context.root);
        let effective = self.context().and_then(|context| context.stream);
        let effective =
            effective.map(|place| (place.slot, self.world.streams[place.slot].exchange.id));
        let call = Pending {
            id,
            kind,
            root,
            cluster,
            request,
            timeouts,
            retries: None,
            maker,
            shown_by: maker.or(effective),
            end: None,
            sent_at: (kind != CallKind::GrpcStream).then(|| self.world.clock.now()),
            grpc: GrpcProgress::default(),
        };
        self.calls.pending.insert(token, call);
        let vm = self.index;
        let event = CallEvent::Made;
        self.world.asked.push_back(Asked::Call {
            vm,
            token,
            id,
            event,
        });
    }

    /// Whether a call belongs to the root of the effective context.
    pub(crate) fn is_own(&self, token: u32) -> bool {
        let root = self.context().map(|context| context.root);
        let call = self.calls.pending.get(&token);
        call.is_some_and(|call| Some(call.root) == root)
    }

    /// The guest cancels a gRPC call or stream. What is asked of a cluster while an answer of it is read is
    /// taken back; what goes out on a connection that is there has gone.
    pub(crate) fn take_back(&mut self, token: u32, call: &Pending) {
        let is_of_it = |asked: &Asked| matches!(asked, Asked::Call { id, .. } if *id == call.id);
        let read = self.world.reading_from == Some(call.cluster);
        if read && !self.world.mutated(Rule::CancelledGrpcStreamsAreSent) {
            self.world.asked.retain(|asked| !is_of_it(asked));
            return;
        }
        let connected = self
            .world
            .grpc_connections
            .contains(&(self.thread, call.cluster));
        if connected
            && self.is_unsent(call.id)
            && !self.world.mutated(Rule::CancelledGrpcCallsAreNotSent)
        {
            let plugin = self.contexts.get(&call.root).map(|context| context.plugin);
            self.world.record_made(token, plugin, call);
        }
    }

    /// Whether a call is made, and did not go to its cluster so far.
    pub(crate) fn is_unsent(&self, of: CallId) -> bool {
        let mut asked = self.world.asked.iter();
        asked.any(
            |asked| matches!(asked, Asked::Call { id, event: CallEvent::Made, .. } if *id == of),
        )
    }

    pub(crate) fn call_mut(&mut self, token: u32, id: CallId) -> Option<&mut Pending> {
        let call = self.calls.pending.get_mut(&token);
        call.filter(|call| call.id == id)
    }

    /// The guest has been told of the end: the token of a call is unknown now, and that of a stream if the guest
    /// had closed it.
    pub(crate) fn forget_token(&mut self, token: u32, id: CallId) {
        let call = self.call_mut(token, id);
        if call.is_some_and(|call| call.kind == CallKind::Grpc || call.grpc.closed_by_guest()) {
            self.calls.pending.remove(&token);
        }
    }
}

impl CallEvent {
    /// Adds what the guest did to the request as its cluster receives it.
    fn add_to(&self, request: &mut UpstreamRequest) {
        match self {
            Self::Message(message) => request.message.push(frames::framed(message)),
            Self::HalfClosed => request.complete = true,
            Self::Made | Self::Cancelled { .. } => {}
        }
    }
}

fn add_to(calls: &mut [CallOut], id: CallId, event: &CallEvent) {
    if let Some(call) = calls.iter_mut().rev().find(|call| call.id == id) {
        event.add_to(&mut call.request);
    }
}

impl World {
    /// The stream that made a call, as long as it is under way.
    pub(crate) fn account_of(&self, maker: Option<(usize, StreamId)>) -> Option<usize> {
        maker
            .filter(|(slot, stream)| self.is_open(*slot, *stream))
            .map(|(slot, _)| slot)
    }

    /// Records a call as its cluster receives it; what the codec refuses does not reach it.
    fn record_made(&mut self, token: u32, plugin: Option<usize>, call: &Pending) {
        let connects = !self.mutated(Rule::ConnectNeedsNoProtocol);
        if unacceptable(call.request.headers(), connects).is_some()
            || call.kind == CallKind::Http && self.not_taken(call).is_some()
        {
            return;
        }
        let plugin = plugin.map(|plugin| self.plugins[plugin].name.to_string());
        let record = CallOut {
            id: call.id,
            kind: call.kind,
            plugin: plugin.unwrap_or_default(),
            cluster: self.clusters.name(call.cluster).to_owned(),
            token,
            request: call.request.clone(),
        };
        self.record_call(call.shown_by, record);
    }

    /// Records that a call is made again, with this request.
    pub(crate) fn record_again(
        &mut self,
        maker: Option<(usize, StreamId)>,
        id: CallId,
        request: &UpstreamRequest,
    ) {
        let made = self.call_outs.iter().rev().find(|made| made.id == id);
        if let Some(mut call) = made.cloned() {
            call.request = request.clone();
            self.record_call(maker, call);
        }
    }

    fn record_call(&mut self, maker: Option<(usize, StreamId)>, call: CallOut) {
        if let Some(slot) = self.account_of(maker) {
            self.streams[slot].exchange.calls.push(call.clone());
        }
        self.call_outs.push(call);
    }

    /// Brings the records of a call up to date.
    fn record_more(&mut self, maker: Option<(usize, StreamId)>, id: CallId, event: &CallEvent) {
        if let Some(slot) = self.account_of(maker) {
            add_to(&mut self.streams[slot].exchange.calls, id, event);
        }
        add_to(&mut self.call_outs, id, event);
    }

    /// Brings the records of a call up to date that is over.
    fn record_late(&mut self, id: CallId, event: &CallEvent) {
        for stream in &mut self.streams {
            add_to(&mut stream.exchange.calls, id, event);
        }
        add_to(&mut self.call_outs, id, event);
    }

    /// Notes what becomes of a call, in its stream's timeline or in the host's.
    pub(crate) fn note_call(&mut self, maker: Option<(usize, StreamId)>, text: String) {
        let slot = self.account_of(maker);
        self.timeline(slot).note(text);
    }
}

impl Proxy {
    /// A call-out, or the next thing that the guest does with it, is at its cluster.
    pub(crate) fn ask_cluster(
        &mut self,
        vm: usize,
        token: u32,
        id: CallId,
        event: &CallEvent,
    ) -> Moved {
        if let CallEvent::Cancelled { cluster, unsent } = event {
            self.cancel_at_cluster(*cluster);
            // The connection that was opened for it stays, for the next one.
            let lost = self
                .world
                .mutated(Rule::CancelledGrpcCallsLeaveNoConnection);
            let thread = self.vms.get(vm).map(Vm::thread);
            let opened = *unsent && !lost && !self.world.clusters.refuses(*cluster);
            if let Some(thread) = thread.filter(|_| opened) {
                self.world.grpc_connections.insert((thread, *cluster));
            }
            return Ok(());
        }
        let Some(guest) = self.vms.get_mut(vm) else {
            return Ok(());
        };
        let state = guest.state();
        let Some(call) = state
            .calls
            .pending
            .get_mut(&token)
            .filter(|call| call.id == id)
        else {
            // It was on its way when the cluster ended the call.
            self.world.record_late(id, event);
            return Ok(());
        };
        let kind = call.kind;
        match event {
            CallEvent::Message(_) | CallEvent::HalfClosed => {
                self.world.record_more(call.shown_by, id, event);
                event.add_to(&mut call.request);
            }
            CallEvent::Made => {
                let plugin = state.contexts.get(&call.root).map(|context| context.plugin);
                self.world.record_made(token, plugin, call);
                if kind != CallKind::Http && !self.world.clusters.refuses(call.cluster) {
                    let connection = (state.thread, call.cluster);
                    self.world.grpc_connections.insert(connection);
                }
            }
            CallEvent::Cancelled { .. } => {}
        }
        match kind {
            CallKind::Http => self.answer_http_call(vm, token),
            CallKind::Grpc | CallKind::GrpcStream => self.ask_grpc(vm, token, id, event),
        }
    }

    /// The time has come for a call-out.
    pub(crate) fn call_is_due(&mut self, vm: usize, token: u32, id: CallId) -> Moved {
        let Some(guest) = self.vms.get_mut(vm) else {
            return Ok(());
        };
        let Some(call) = guest.state().call_mut(token, id) else {
            return Ok(());
        };
        match call.kind {
            CallKind::Http => self.end_http_call(vm, token),
            CallKind::Grpc | CallKind::GrpcStream => self.receive_grpc(vm, token, id),
        }
    }

    /// Lets a call-out go on at a time.
    pub(crate) fn schedule_call(&mut self, vm: usize, token: u32, id: CallId, time: Duration) {
        let guest = self.vms.get_mut(vm);
        let call = guest.and_then(|guest| guest.state().call_mut(token, id));
        let cluster = call.map_or(0, |call| call.cluster);
        let event = Event::Call {
            vm,
            token,
            id,
            cluster,
        };
        self.world.schedule(time, event);
    }
}

impl Host {
    /// Every call-out that was made since the host began to start, in the order in which the
    /// clusters were asked. Those of a canary are lost with it and reach nobody, as in Envoy.
    #[must_use]
    pub fn calls(&self) -> &[CallOut] {
        &self.proxy.world.call_outs
    }
}

impl fmt::Display for CallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP call",
            Self::Grpc => "gRPC call",
            Self::GrpcStream => "gRPC stream",
        })
    }
}
