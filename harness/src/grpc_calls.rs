//! `proxy_grpc_call`, `proxy_grpc_stream`, and what follows from them.
//!
//! Envoy's gRPC client sits on its router, as its HTTP client does: a call that fails is answered by
//! a status, with the response code details behind the message.

pub(crate) mod frames;
mod receiving;
mod reentry;
mod request;
mod target;
mod telling;

use std::time::Duration;

pub(crate) use self::receiving::GrpcProgress;
use self::request::Opening;
use self::target::{GrpcService, Target};
use crate::abi::Status;
use crate::call::{Answer, Call, Stop};
use crate::calls::{CallEvent, CallKind};
use crate::clusters::Decides;
use crate::codec::Codec;
use crate::error::HostError;
use crate::headers::Headers;
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::router::{Asked, refusal, unacceptable};
use crate::vm::{Deferred, VmState};
use crate::world::World;

/// gRPC's UNAVAILABLE.
const UNAVAILABLE: u32 = 14;

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
pub(crate) fn call(
    call: &mut Call<'_>,
    target: u32,
    target_size: u32,
    service: u32,
    service_size: u32,
    method: u32,
    method_size: u32,
    metadata: u32,
    metadata_size: u32,
    message: u32,
    message_size: u32,
    timeout: u32,
    token: u32,
) -> Answer {
    let target = call.bytes(target, target_size)?;
    let service = call.bytes(service, service_size)?;
    let method = call.bytes(method, method_size)?;
    let metadata = call.pairs(metadata, metadata_size)?;
    let message = call.bytes(message, message_size)?;
    call.number(timeout);
    let target = resolve(call, &target)?;
    let step = 1 + u32::from(call.mutated(Rule::GrpcCallTokensSkip));
    let number = call.state().calls.next_token(CallKind::Grpc, step);
    let opening = Opening {
        authority: &target.authority,
        service: &service,
        method: &method,
        metadata: [&target.metadata, &metadata],
        envoy: call.world().version,
        codec: target.codec(call.world()),
        timeout: Some(Duration::from_millis(timeout.into())),
    };
    let (mut request, timeout) = request::open(&opening);
    request.message.push(frames::framed(&message));
    let state = call.state();
    match target.open(state, request.headers()) {
        Ok(cluster) => state.place_call(number, (CallKind::Grpc, cluster), request, timeout),
        Err(why) => {
            close_later(state, number, &why);
            return Err(Status::InternalFailure.into());
        }
    }
    call.write_u32(token, number)
}

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
pub(crate) fn stream(
    call: &mut Call<'_>,
    target: u32,
    target_size: u32,
    service: u32,
    service_size: u32,
    method: u32,
    method_size: u32,
    metadata: u32,
    metadata_size: u32,
    token: u32,
) -> Answer {
    let target = call.bytes(target, target_size)?;
    let service = call.bytes(service, service_size)?;
    let method = call.bytes(method, method_size)?;
    let metadata = call.pairs(metadata, metadata_size)?;
    let target = resolve(call, &target)?;
    let step = 1 + u32::from(call.mutated(Rule::GrpcStreamTokensSkip));
    let number = call.state().calls.next_token(CallKind::GrpcStream, step);
    let opening = Opening {
        authority: &target.authority,
        service: &service,
        method: &method,
        metadata: [&target.metadata, &metadata],
        envoy: call.world().version,
        codec: target.codec(call.world()),
        timeout: None,
    };
    let (mut request, timeout) = request::open(&opening);
    // It ends when the guest says so.
    request.complete = false;
    let state = call.state();
    match target.open(state, request.headers()) {
        Ok(cluster) => state.place_call(number, (CallKind::GrpcStream, cluster), request, timeout),
        Err(why) => {
            if why != Unreachable::NoCluster {
                call.tell_at_once(number, &why.message())?;
            }
            close_later(call.state(), number, &why);
            return Err(Status::InternalFailure.into());
        }
    }
    call.write_u32(token, number)
}

pub(crate) fn send(
    call: &mut Call<'_>,
    token: u32,
    message: u32,
    size: u32,
    end_stream: u32,
) -> Answer {
    call.number(token);
    let message = call.bytes(message, size)?;
    call.number(end_stream);
    if CallKind::of(token) != Some(CallKind::GrpcStream) {
        return Err(Status::BadArgument.into());
    }
    let stream = open_stream(call, token)?;
    if stream.is_half_closed() {
        return Ok(());
    }
    let end = end_stream != 0;
    if end {
        stream.half_close();
    }
    tell(call, token, CallEvent::Message(message));
    if end {
        tell(call, token, CallEvent::HalfClosed);
    }
    Ok(())
}

/// Cancels a call, or closes our half of a stream.
pub(crate) fn close(call: &mut Call<'_>, token: u32) -> Answer {
    call.number(token);
    if CallKind::of(token) != Some(CallKind::GrpcStream) {
        return cancel_known(call, token);
    }
    let stream = open_stream(call, token)?;
    let fresh = !stream.is_half_closed();
    stream.half_close();
    if stream.close_by_guest() {
        call.state().calls.pending.remove(&token);
    } else if fresh {
        tell(call, token, CallEvent::HalfClosed);
    }
    Ok(())
}

/// Cancels a call or a stream: no callback follows.
pub(crate) fn cancel(call: &mut Call<'_>, token: u32) -> Answer {
    call.number(token);
    if CallKind::of(token) == Some(CallKind::GrpcStream) {
        open_stream(call, token)?;
    }
    cancel_known(call, token)
}

fn cancel_known(call: &mut Call<'_>, token: u32) -> Answer {
    if !matches!(
        CallKind::of(token),
        Some(CallKind::Grpc | CallKind::GrpcStream)
    ) {
        return Err(Status::BadArgument.into());
    }
    let state = call.state();
    if !state.is_own(token) {
        return Err(Status::NotFound.into());
    }
    let gone = state.calls.pending.remove(&token).ok_or(Status::NotFound)?;
    let unsent = state.is_unsent(gone.id);
    state.take_back(token, &gone);
    if !gone.grpc.is_closed_by_peer() {
        let cluster = gone.cluster;
        let event = CallEvent::Cancelled { cluster, unsent };
        let (vm, id) = (state.index, gone.id);
        let asked = Asked::Call {
            vm,
            token,
            id,
            event,
        };
        state.world.asked.push_back(asked);
    }
    Ok(())
}

/// A stream that the root knows. Envoy frees one that its peer has closed and keeps the token: a
/// guest that uses it makes Envoy use what was freed.
fn open_stream<'a>(call: &'a mut Call<'_>, token: u32) -> Result<&'a mut GrpcProgress, Stop> {
    let state = call.state();
    if !state.is_own(token) {
        return Err(Status::NotFound.into());
    }
    let pending = state.calls.pending.get(&token).ok_or(Status::NotFound)?;
    if pending.grpc.is_closed_by_peer() {
        let name = call.record.name;
        let what = format!("`{name}` names stream {token}, which its peer has closed");
        call.lint(LintKind::GrpcStreamUsedAfterClose, what);
    }
    let pending = call.state().calls.pending.get_mut(&token);
    Ok(pending.map(|call| &mut call.grpc).ok_or(Status::NotFound)?)
}

/// Lets the cluster know, unless the peer has closed the stream.
fn tell(call: &mut Call<'_>, token: u32, event: CallEvent) {
    let state = call.state();
    let vm = state.index;
    if let Some(call) = state.calls.pending.get(&token)
        && !call.grpc.is_closed_by_peer()
    {
        let id = call.id;
        let asked = Asked::Call {
            vm,
            token,
            id,
            event,
        };
        state.world.asked.push_back(asked);
    }
}

/// Whom a call asks.
struct Resolved {
    cluster: Option<usize>,
    authority: Vec<u8>,
    metadata: Vec<crate::pairs::Pair>,
}

/// Why a call cannot be made although its target is one.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Unreachable {
    NoCluster,
    NoEndpoint,
    /// There is a connection, and its codec does not write the request.
    Refused(String),
}

impl Unreachable {
    /// What the guest is told, without Envoy's details.
    fn message(&self) -> String {
        match self {
            Self::NoCluster => "Cluster not available".to_owned(),
            Self::NoEndpoint => "no healthy upstream".to_owned(),
            Self::Refused(why) => why.clone(),
        }
    }

    /// The same with them.
    fn told(&self) -> String {
        let details = match self {
            Self::NoCluster => return self.message(),
            Self::NoEndpoint => "no_healthy_upstream".to_owned(),
            Self::Refused(why) => refusal(why),
        };
        format!("{}{{{details}}}", self.message())
    }
}

impl Resolved {
    /// What is spoken with it.
    fn codec(&self, world: &World) -> Codec {
        let cluster = self.cluster;
        cluster.map_or(Codec::Http2, |cluster| world.clusters.codec(cluster))
    }

    fn open(&self, state: &VmState, headers: &Headers) -> Result<usize, Unreachable> {
        let cluster = self.cluster.ok_or(Unreachable::NoCluster)?;
        if state.world.clusters.decides(cluster) == Decides::AtOnce {
            return Err(Unreachable::NoEndpoint);
        }
        let connected = state
            .world
            .grpc_connections
            .contains(&(state.thread, cluster));
        let checked = connected && !state.world.mutated(Rule::GrpcHeadersAreUnchecked);
        if let Some(why) = unacceptable(headers, false).filter(|_| checked) {
            return Err(Unreachable::Refused(why));
        }
        Ok(cluster)
    }
}

fn resolve(call: &mut Call<'_>, target: &[u8]) -> Result<Resolved, Stop> {
    let Some(service) = target::parse(target) else {
        let cluster = call.world().clusters.find(target);
        return Ok(Resolved {
            cluster: Some(cluster.ok_or(Status::ParseFailure)?),
            authority: target.to_vec(),
            metadata: Vec::new(),
        });
    };
    let GrpcService {
        target: named,
        initial_metadata,
    } = service;
    match named {
        Some(Target::Envoy { cluster, authority }) => Ok(Resolved {
            cluster: call.world().clusters.find(&cluster),
            authority: if authority.is_empty() {
                cluster
            } else {
                authority
            },
            metadata: initial_metadata,
        }),
        Some(Target::Google) => Err(call.give_up(|timeline| HostError::NotAnswered {
            what: "`google_grpc` as the target of a gRPC call, which Envoy reaches by gRPC's own client \
                   and no cluster,"
                .to_owned(),
            timeline,
        })),
        None => {
            let name = call.record.name;
            let target = target.escape_ascii().to_string();
            Err(call.give_up(|timeline| HostError::EnvoyWouldCrash {
                call: format!("{name}(\"{target}\")"),
                why: "names a target whose bytes happen to be a `GrpcService` message without a \
                      `target_specifier`, which Envoy does not survive (`panic: unset oneof` in \
                      `async_client_manager_impl.cc`); send a serialized `GrpcService`, or give the \
                      cluster another name"
                    .to_owned(),
                timeline,
            }))
        }
    }
}

/// What fails while it is sent is reported after the callback, under a token that the guest was not
/// told.
fn close_later(state: &mut VmState, token: u32, why: &Unreachable) {
    let message = why.told();
    let Some(root) = state.context().map(|context| context.root) else {
        return;
    };
    if state.world.mutated(Rule::GrpcCallsFailInSilence) {
        return;
    }
    let message = match state.world.mutated(Rule::GrpcCallsFailWithoutAWord) {
        true => String::new(),
        false => message,
    };
    state.deferred.push_back(Deferred::GrpcClose {
        root,
        token,
        status: UNAVAILABLE,
        message: message.into_bytes(),
    });
}
