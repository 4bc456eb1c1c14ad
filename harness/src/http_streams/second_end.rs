//! A callback that ends its stream twice.
//!
//! Envoy does what a callback asked for when it has returned, one after the other, and does not look
//! whether the stream has ended meanwhile.

use crate::abi::Direction;
use crate::call::{Call, Stop};
use crate::error::HostError;
use crate::vm::{Deferred, Place};

/// How a call ends a stream.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum End {
    Reply,
    Close,
}

/// Refuses what crashes Envoy, or lets it reply on a stream that is gone: a reply or a close behind
/// another one in the same callback. A second reply to a request that has no response yet is just
/// ignored.
pub(super) fn check(call: &mut Call<'_>, place: Place, end: End) -> Result<(), Stop> {
    let state = call.state();
    let stream = &mut state.world.streams[place.slot];
    let responding = stream.response.headers.is_some();
    let in_trailers = stream
        .side(place.filter, Direction::Response)
        .trailers_visible;
    let mut crash = false;
    let mut odd = false;
    for action in &state.deferred {
        match action {
            Deferred::LocalReply(other, _) if other.slot == place.slot => {
                crash |= responding;
                odd |= end == End::Close;
            }
            Deferred::Close(other, _) if other.slot == place.slot => {
                crash |= responding;
                odd = true;
            }
            Deferred::Continue(other, Direction::Response) if other.slot == place.slot => {
                crash |= in_trailers;
            }
            _ => {}
        }
    }
    let name = call.record.name.to_owned();
    if crash {
        return Err(call.give_up(|timeline| HostError::EnvoyWouldCrash {
            call: name,
            why: "may not follow another call that ends the stream in the same callback; end a \
                  stream once, and return"
                .to_owned(),
            timeline,
        }));
    }
    if odd {
        return Err(call.give_up(|timeline| HostError::Misuse {
            call: name,
            why: "follows another call that ends the stream in the same callback: Envoy would run \
                  the response callbacks of a stream that is deleted; end a stream once, and return"
                .to_owned(),
            timeline,
        }));
    }
    Ok(())
}
