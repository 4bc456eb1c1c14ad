//! Callbacks that Envoy makes inside of a host call.
//!
//! When such a callback returns, Envoy does at once what the guest deferred until then, in the middle of
//! the outer callback. Some of it shows only when that is over; the rest is not played.

use crate::abi::Direction;
use crate::call::{Answer, Call};
use crate::error::HostError;
use crate::mutation::Rule;
use crate::vm::{Deferred, VmState};

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
        let Some(now) = state
            .deferred
            .iter()
            .position(|action| !state.shows_later(action))
        else {
            return Ok(());
        };
        let outer = self.record.name;
        if matches!(self.state().deferred[now], Deferred::GrpcClose { .. }) {
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
        Err(self.give_up(|timeline| HostError::NotAnswered {
            what: format!(
                "a resume, reply or close that Envoy would do in the middle of `{outer}`, when \
                 `{inner}` has returned,"
            ),
            timeline,
        }))
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
    /// trailers that are resumed go to the router, which answers later. Bodies leave the view.
    fn shows_later(&self, action: &Deferred) -> bool {
        let Deferred::Continue(place, Direction::Request) = action else {
            return false;
        };
        let stream = &self.world.streams[place.slot];
        let is_last = place.filter + 1 == stream.filters.len();
        let own = self
            .contexts
            .get(&self.current)
            .and_then(|context| context.stream);
        let is_own = own.is_some_and(|own| own.slot == place.slot);
        let in_body = self.export == "proxy_on_request_body";
        is_last && is_own && stream.request.in_callback && !in_body
    }
}
