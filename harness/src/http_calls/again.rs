//! Calls that are made again.

use std::time::Duration;

use crate::calls::Pending;
use crate::codec::Codec;
use crate::exchange::UpstreamRequest;
use crate::mutation::Rule;
use crate::response::{Fault, Response};
use crate::router::{Next, Retries, Timeouts, Try};
use crate::world::World;

/// After so many tries, minutes later, a call is one that waits for ever.
const MOST: u32 = 1_000;

impl World {
    /// What the cluster answers in the end, with the time that all tries took; the timeouts, as counted from the first
    /// one; and whether there were several.
    pub(super) fn answered(&mut self, call: &mut Pending) -> (Response, Timeouts, bool) {
        let codec = self.call_codec(call.cluster);
        let mut timeouts = call.timeouts;
        let tries = !self.mutated(Rule::NothingIsTriedAgain);
        let mut retries = call.retries.take().filter(|_| tries);
        let mut response = self.ask(call);
        let mut passed = Duration::ZERO;
        let mut count = 0;
        while let Some(wait) = retries
            .as_mut()
            .and_then(|retries| time_to_retry(retries, &response, timeouts))
        {
            passed = passed.saturating_add(wait);
            count += 1;
            let is_over = !timeouts.whole.is_zero() && passed >= timeouts.whole;
            if is_over || count == MOST {
                response = Response::never();
                timeouts.of_try = Duration::ZERO;
                break;
            }
            make_again(&mut call.request, codec, timeouts, passed);
            self.record_again(call.shown_by, call.id, &call.request);
            response = self.ask(call);
        }
        response.latency = response.latency.saturating_add(passed);
        if !timeouts.of_try.is_zero() {
            let end = timeouts.of_try.saturating_add(passed);
            let is_first = timeouts.whole.is_zero() || end < timeouts.whole;
            timeouts.of_try = if is_first { end } else { Duration::ZERO };
        }
        (response, timeouts, !passed.is_zero())
    }

    fn ask(&mut self, call: &Pending) -> Response {
        self.not_taken(call)
            .unwrap_or_else(|| self.clusters.answer(call.cluster, &call.request))
    }
}

/// What Envoy changes of the request when a call is made again: it no longer knows that there is no body, and less
/// time is left.
fn make_again(request: &mut UpstreamRequest, codec: Codec, timeouts: Timeouts, passed: Duration) {
    let headers = &mut request.message.headers;
    if codec == Codec::Http1
        && !headers.contains_key("content-length")
        && !headers.contains_key("transfer-encoding")
    {
        headers.add_line(b"transfer-encoding", b"chunked");
    }
    if !timeouts.whole.is_zero() {
        let left = timeouts.whole.saturating_sub(passed);
        let told = timeouts.first().min(left).as_millis().max(1).to_string();
        headers.set(b"x-envoy-expected-rq-timeout-ms", told.as_bytes());
    }
}

/// How long after a try the next one begins, if there is one.
fn time_to_retry(
    retries: &mut Retries,
    response: &Response,
    timeouts: Timeouts,
) -> Option<Duration> {
    let of_try = Some(timeouts.of_try).filter(|of_try| !of_try.is_zero());
    let late =
        of_try.filter(|of_try| response.fault == Some(Fault::Never) || *of_try < response.latency);
    let (time, came) = match (late, response.fault) {
        (Some(of_try), _) => (of_try, Try::Late),
        (None, Some(Fault::Never)) => return None,
        (None, Some(Fault::Failed(failure))) => (response.latency, Try::Failed(failure)),
        (None, None) => (response.latency, Try::Answered(&response.headers)),
    };
    match retries.next(came) {
        Next::Retry(wait) => Some(time.saturating_add(wait)),
        Next::Keep | Next::Exceeded => None,
    }
}
