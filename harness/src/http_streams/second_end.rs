//! A callback that ends its stream twice, where Envoy neither takes the first nor crashes at once.
//!
//! Envoy does what a callback asked for when it has returned, one after the other, and does not look
//! whether the stream has ended meanwhile. In a response callback the second end finds the stream
//! gone; see `Proxy::ended_twice`.

use crate::call::{Call, Stop};
use crate::error::HostError;
use crate::vm::{Deferred, Place};

/// How a call ends a stream.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum End {
    Reply,
    Close,
}

/// Refuses a reply and a close of a request in one callback. A second reply to a request is just ignored.
pub(super) fn check(call: &mut Call<'_>, place: Place, end: End) -> Result<(), Stop> {
    let state = call.state();
    let stream = &state.world.streams[place.slot];
    let responding = stream.response.headers.is_some();
    let odd = !responding
        && state.deferred.iter().any(|action| match action {
            Deferred::LocalReply(at, _) => at.slot == place.slot && end == End::Close,
            Deferred::Close(at, _) => at.slot == place.slot && end == End::Reply,
            _ => false,
        });
    let name = call.record.name.to_owned();
    if odd {
        return Err(call.give_up(|timeline| HostError::Misuse {
            call: name,
            why: "follows another call that ends the stream in the same callback: Envoy would run \
                  the response callbacks of contexts that are deleted; return after the first of them"
                .to_owned(),
            timeline,
        }));
    }
    Ok(())
}
