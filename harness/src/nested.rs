//! Callbacks that Envoy makes inside of a host call.
//!
//! When such a callback returns, Envoy does at once what the guest deferred until then, in the middle of
//! the outer callback: of other streams, so that their filters are called there. Of the stream that a callback
//! is about, what shows only when that is over waits; the rest is not played.

mod along;

use std::collections::VecDeque;

use crate::abi::Direction;
use crate::call::{Answer, Call, Stop};
use crate::error::HostError;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::vm::{Deferred, Place, VmState};

/// So many host calls may wait for what is done inside of them. Envoy has no such limit; a guest that goes on like
/// that has no end in it.
const DEEPEST: usize = 16;

impl Call<'_> {
    /// Does what was deferred when the callback `inner` has returned into the host call.
    pub(crate) fn settle_inside(&mut self, inner: &str) -> Answer {
        let state = self.state();
        // A reply stops what its own callback is about, and the inner one is over.
        state.stops &= state.world.mutated(Rule::InnerRepliesStopTheOuterCallback);
        let deferred = std::mem::take(&mut state.deferred);
        for action in deferred {
            let left = state.act_inside(action);
            state.deferred.extend(left);
        }
        let (later, now): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut state.deferred)
            .into_iter()
            .partition(|action| state.shows_later(action));
        if now.is_empty() || state.world.mutated(Rule::InnerActionsWait) {
            state.deferred.extend(later.into_iter().chain(now));
            return Ok(());
        }
        let hangs = now
            .iter()
            .any(|action| matches!(action, Deferred::GrpcClose { .. }));
        let outer = self.record.name;
        if hangs {
            return Err(self.give_up(|timeline| HostError::Misuse {
                call: outer.to_owned(),
                why: format!(
                    "calls `{inner}` back, behind a gRPC call or stream that failed in the same \
                     callback: Envoy's worker would hang for ever, since it tells of that failure in \
                     the middle of this call; make one such call in a callback, or see that the \
                     cluster has an endpoint"
                ),
                timeline,
            }));
        }
        let state = self.state();
        let elsewhere = now.iter().all(|action| state.is_elsewhere(action));
        if !elsewhere {
            return Err(self.not_played(format!(
                "a resume, reply or close of a stream in whose callback it comes, or the end of a root, which Envoy \
                 would do in the middle of `{outer}`, when `{inner}` has returned,"
            )));
        }
        if state.world.entered.len() >= DEEPEST {
            return Err(self.not_played(format!(
                "a callback inside of a host call that comes inside of {DEEPEST} others"
            )));
        }
        state.deferred = now;
        let slot = state.slot;
        let timeline = state.world.timeline(slot);
        timeline.note(format!(
            "what `{inner}` asked for other streams is done now"
        ));
        let moved = self.move_machine();
        self.state().deferred.extend(later);
        match moved {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(self.give_up(|_| error)),
            None => Err(self.not_played(format!(
                "what Envoy would do in the middle of `{outer}`, when `{inner}` has returned,"
            ))),
        }
    }

    fn not_played(&mut self, what: String) -> Stop {
        self.give_up(|timeline| HostError::NotAnswered { what, timeline })
    }
}

impl Proxy {
    /// Refuses what is asked, in the middle of a host call, of the stream in whose callback that call is made.
    pub(crate) fn refuse_entered(&mut self, action: &Deferred) -> Moved {
        let slot = action.place().map(|place| place.slot);
        if slot.is_none() || !self.world.entered.contains(&slot) {
            return Ok(());
        }
        Err(HostError::NotAnswered {
            what: "a resume, reply or close that is asked, in the middle of a host call, of the stream in whose \
                   callback that call is made,"
                .to_owned(),
            timeline: self.timeline(slot),
        })
    }
}

impl Deferred {
    /// The stream and filter that it is asked of.
    fn place(&self) -> Option<&Place> {
        match self {
            Self::Continue(place, _)
            | Self::Close(place, _)
            | Self::LocalReply(place, _)
            | Self::Overflow(place, _)
            | Self::ContinueReading(place)
            | Self::CloseConnection(place) => Some(place),
            _ => None,
        }
    }
}

impl VmState {
    /// Does what asks nothing of other filters and peers: what roots were told of call-outs is over,
    /// and a reply to the stream under way is noted. Hands back what is left to do.
    fn act_inside(&mut self, action: Deferred) -> Option<Deferred> {
        match action {
            Deferred::ForgetCall(root) => {
                if let Some(root) = self.roots.get_mut(&root) {
                    root.call.forget();
                }
                None
            }
            Deferred::ForgetToken(token, id) => {
                self.forget_token(token, id);
                None
            }
            Deferred::LocalReply(place, reply) => {
                let stream = &self.world.streams[place.slot];
                if !stream.request.in_callback || stream.response.headers.is_some() {
                    return Some(Deferred::LocalReply(place, reply));
                }
                if !self.world.mutated(Rule::InnerRepliesAreLost) {
                    self.world.prepare(place.slot, reply);
                }
                None
            }
            action => Some(action),
        }
    }

    /// Whether nobody can tell if Envoy does this at once or behind the outer callback: headers and
    /// trailers that are resumed go to the router, which answers later, and so does the end of a connection. Bodies
    /// leave the view.
    fn shows_later(&self, action: &Deferred) -> bool {
        let (Deferred::Continue(place, Direction::Request) | Deferred::ContinueReading(place)) =
            action
        else {
            return false;
        };
        let stream = &self.world.streams[place.slot];
        if let Some(tcp) = &stream.tcp {
            let is_last = place.filter + 1 == tcp.filters.len();
            let is_own = self.about() == Some(place.slot);
            let in_end = self.export == "proxy_on_downstream_data" && tcp.read.is_empty();
            return is_last && is_own && in_end;
        }
        let is_last = place.filter + 1 == stream.filters.len();
        let own = self
            .contexts
            .get(&self.entered_for)
            .and_then(|context| context.stream);
        let is_own = own.is_some_and(|own| own.slot == place.slot);
        let in_body = self.export == "proxy_on_request_body";
        is_last && is_own && stream.request.in_callback && !in_body
    }

    /// Whether this is asked of a stream that no callback under way is about.
    fn is_elsewhere(&self, action: &Deferred) -> bool {
        let Some(place) = action.place() else {
            return false;
        };
        let at = Some(place.slot);
        let stream = &self.world.streams[place.slot];
        let called = stream.request.in_callback || stream.response.in_callback;
        !called && self.about() != at && !self.world.entered.contains(&at)
    }

    /// The stream that the callback is about. An answer to a call-out goes on a stream's account, and is about
    /// none.
    fn about(&self) -> Option<usize> {
        self.contexts.get(&self.entered_for)?.observed()
    }
}
