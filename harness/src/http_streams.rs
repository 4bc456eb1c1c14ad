//! `proxy_send_local_response`, `proxy_continue_stream`, `proxy_close_stream`.
//!
//! All three take effect when the callback has returned. In a TCP filter the first does nothing, nor
//! do the others with the numbers of HTTP; elsewhere the numbers of TCP do nothing.

mod second_end;

use self::second_end::End;
use crate::abi::{Direction, Status};
use crate::call::{Answer, Call};
use crate::error::HostError;
use crate::exchange::Outcome;
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::stream::Reply;
use crate::vm::{Deferred, Phase, Place, VmState};

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
pub(crate) fn send_local_response(
    call: &mut Call<'_>,
    code: u32,
    details: u32,
    details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    grpc: u32,
) -> Answer {
    call.number(code);
    // Envoy's type of a status code.
    let code = code & 0xffff;
    let details = call.bytes(details, details_size)?;
    let body = call.bytes(body, body_size)?;
    let headers = call.pairs(headers, headers_size)?;
    call.number(grpc.cast_signed());
    let state = call.state();
    state.stops = true;
    let Some(place) = state.place().filter(|place| is_http(state, *place)) else {
        return nothing(call);
    };
    let details = told(details, state, place.slot);
    if let Some(phase @ (Phase::Log | Phase::Done | Phase::Delete)) = state.own_phase() {
        let spared = answered_unread(state, place)
            && !state.world.mutated(Rule::ReplyBehindAnUnreadRequestCrashes);
        if spared && phase == Phase::Log {
            // Envoy notes the details before it looks what there is to do.
            state.world.streams[place.slot].exchange.details = Some(details.into());
            return Ok(());
        }
        if spared || state.world.mutated(Rule::ReplyBehindTheEndIsSurvived) {
            return Ok(());
        }
        let taken = state.world.streams[place.slot].is_answered_behind_a_reset()
            && !state.world.mutated(Rule::ReplyBehindAResetCrashes);
        if taken {
            let reply = Reply {
                status: code,
                body,
                headers,
                grpc_status: (grpc <= 16).then_some(grpc),
                details,
                plugin: None,
            };
            state.deferred.push_back(Deferred::LocalReply(place, reply));
            return Ok(());
        }
        return Err(call.give_up(|timeline| HostError::EnvoyWouldCrash {
            call: "proxy_send_local_response".to_owned(),
            why: "may not be called from `proxy_on_log` or `proxy_on_done` on, where the \
                      response is out; reply in an earlier callback"
                .to_owned(),
            timeline,
        }));
    }
    let plugin = state.context().map(|context| context.plugin);
    second_end::check(call, place, End::Reply)?;
    if !(200..600).contains(&code) {
        call.lint(LintKind::LocalReplyStatus, format!("status {code}"));
    }
    if matches!(code, 204 | 304) && !body.is_empty() {
        let what = format!("{} bytes with status {code}", body.len());
        call.lint(LintKind::LocalReplyBody, what);
    }
    let highest = match grpc {
        16 if call.mutated(Rule::HighestGrpcStatusIsRefused) => 15,
        17.. if call.mutated(Rule::UnknownGrpcStatusIsTaken) => u32::MAX,
        _ => 16,
    };
    let reply = Reply {
        status: code,
        body,
        headers,
        grpc_status: (grpc <= highest).then_some(grpc),
        details,
        plugin,
    };
    let reply = Deferred::LocalReply(place, reply);
    call.state().deferred.push_back(reply);
    Ok(())
}

/// Details as the access log has them.
fn told(mut details: Vec<u8>, state: &mut VmState, slot: usize) -> String {
    if !state.world.mutated(Rule::DetailsKeepBlanks) {
        let blanks = details
            .iter_mut()
            .filter(|byte| matches!(byte, b'\t'..=b'\r' | b' '));
        blanks.for_each(|byte| *byte = b'_');
    }
    match String::from_utf8(details) {
        Ok(details) => details,
        Err(error) => {
            let bare = error.into_bytes();
            let details = one_by_one(&bare);
            state.world.streams[slot].bare_details.push(bare);
            details
        }
    }
}

/// Bytes that are no text, as an access log in JSON has them: each by itself.
pub(crate) fn one_by_one(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Whether a stream was answered before its request was read to its end: Envoy resets it then for a reply that comes
/// behind, which does nothing any more.
fn answered_unread(state: &VmState, place: Place) -> bool {
    let stream = &state.world.streams[place.slot];
    stream.headers_sent
        && *stream.exchange.outcome() != Outcome::Reset
        && !stream.request.observed_end
        && !stream.is_gone_below
}

/// Without a stream nothing happens, and the answer is 0.
#[expect(clippy::unnecessary_wraps, reason = "the answer of its callers")]
fn nothing(call: &mut Call<'_>) -> Answer {
    let what = format!("`{}` in a root context", call.record.name);
    call.lint(LintKind::NoStream, what);
    Ok(())
}

pub(crate) fn continue_stream(call: &mut Call<'_>, stream: u32) -> Answer {
    call.number(stream);
    let direction = match stream {
        0 => Direction::Request,
        1 => Direction::Response,
        2 => return tcp(call, Deferred::ContinueReading),
        3 => return Err(Status::Unimplemented.into()),
        _ => return Err(Status::BadArgument.into()),
    };
    resume(call, direction)
}

fn resume(call: &mut Call<'_>, direction: Direction) -> Answer {
    let state = call.state();
    let Some(place) = state.place().filter(|place| is_http(state, *place)) else {
        return nothing(call);
    };
    let replied = state
        .deferred
        .iter()
        .any(|action| matches!(action, Deferred::LocalReply(reply, _) if reply.slot == place.slot));
    if replied && !state.world.mutated(Rule::ContinueBehindAReplyIsTaken) {
        return Err(call.give_up(|timeline| HostError::Misuse {
            call: "proxy_continue_stream".to_owned(),
            why: "follows `proxy_send_local_response` in one callback: Envoy would resume the \
                  request in the middle of the reply; drop the call, a reply ends the request"
                .to_owned(),
            timeline,
        }));
    }
    // Envoy forgets the request's maps for either direction.
    let keeps = state.world.mutated(match direction {
        Direction::Request => Rule::ContinueKeepsTheMaps,
        Direction::Response => Rule::ContinueOfAResponseKeepsTheMaps,
    });
    if !keeps {
        state.world.streams[place.slot]
            .side(place.filter, Direction::Request)
            .forget();
    }
    state
        .deferred
        .push_back(Deferred::Continue(place, direction));
    Ok(())
}

/// `proxy_continue_stream(0)` under its name in ABI 0.1.0.
pub(crate) fn continue_request(call: &mut Call<'_>) -> Answer {
    resume(call, Direction::Request)
}

/// `proxy_continue_stream(1)` under its name in ABI 0.1.0.
pub(crate) fn continue_response(call: &mut Call<'_>) -> Answer {
    resume(call, Direction::Response)
}

/// There is one route: nothing to choose anew.
pub(crate) fn clear_route_cache(call: &mut Call<'_>) -> Answer {
    if call.state().own_phase() == Some(Phase::Log) {
        call.lint(LintKind::RouteCacheInLog, "the stream is over");
    }
    Ok(())
}

pub(crate) fn close_stream(call: &mut Call<'_>, stream: u32) -> Answer {
    call.number(stream);
    let direction = match stream {
        0 => Direction::Request,
        1 => Direction::Response,
        2 | 3 => return tcp(call, Deferred::CloseConnection),
        _ => return Err(Status::BadArgument.into()),
    };
    let state = call.state();
    let Some(place) = state.place().filter(|place| is_http(state, *place)) else {
        return nothing(call);
    };
    let survived = state.world.streams[place.slot].survives_a_close()
        && !state.world.mutated(Rule::EveryCloseBehindTheEndCrashes);
    let in_log = state.own_phase() == Some(Phase::Log);
    if in_log && direction == Direction::Request && !survived {
        if state.world.mutated(Rule::CloseBehindTheEndIsSurvived) {
            return Ok(());
        }
        return Err(call.give_up(|timeline| HostError::EnvoyWouldCrash {
            call: "proxy_close_stream(0)".to_owned(),
            why: "may not be called in `proxy_on_log`, where the stream is over; drop the call"
                .to_owned(),
            timeline,
        }));
    }
    second_end::check(call, place, End::Close)?;
    let close = Deferred::Close(place, direction);
    call.state().deferred.push_back(close);
    Ok(())
}

/// Defers what a TCP filter asks for. Other contexts are answered 0, and nothing happens.
fn tcp(call: &mut Call<'_>, action: fn(Place) -> Deferred) -> Answer {
    let state = call.state();
    if let Some(place) = state.place().filter(|place| !is_http(state, *place)) {
        state.deferred.push_back(action(place));
    }
    Ok(())
}

fn is_http(state: &VmState, place: Place) -> bool {
    state.world.streams[place.slot].tcp.is_none()
}
