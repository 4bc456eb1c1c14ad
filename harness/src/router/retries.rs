//! Requests that are sent again, which filters and the headers of a call-out ask for.
//!
//! Envoy's `retry_state_impl.cc` says what is tried again. A filter sees nothing of it but the time that it takes, and the
//! last answer.

use std::time::Duration;

use crate::agenda::Event;
use crate::error::HostError;
use crate::headers::Headers;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::response_flags::ResponseFlags;
use crate::upstream_failure::UpstreamFailure;

use super::status;

/// How often Envoy tries again unless told otherwise.
const USUAL: u32 = 1;

/// How long it waits before that: anything up to 25 ms, and twice, four times and so on as long before the next ones.
const WAIT: Duration = Duration::from_millis(12);
const LONGEST_WAIT: Duration = Duration::from_millis(125);

/// When a request is to be tried again.
#[derive(Clone, Debug)]
pub(crate) struct Retries {
    /// `x-envoy-retry-on`.
    on: Vec<Vec<u8>>,
    /// `x-envoy-retry-grpc-on`.
    on_grpc: Vec<Vec<u8>>,
    /// `x-envoy-retriable-status-codes`.
    codes: Vec<u32>,
    /// `x-envoy-retriable-header-names`.
    names: Vec<Vec<u8>>,
    left: u32,
    wait: Duration,
}

/// What came of a try.
#[derive(Clone, Copy)]
pub(crate) enum Try<'a> {
    /// The headers of an answer.
    Answered(&'a Headers),
    /// The upstream was lost before them.
    Failed(UpstreamFailure),
    /// None came in time for a try.
    Late,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// It is the end.
    Keep,
    /// It is to be tried again after a while.
    Retry(Duration),
    /// It would be, and has been as often as it may.
    Exceeded,
}

impl Retries {
    /// What the headers of a request ask for, before Envoy takes them out.
    pub(crate) fn asked(headers: &Headers) -> Option<Self> {
        let list = |name: &str| -> Vec<Vec<u8>> {
            let items = headers.get(name).unwrap_or_default();
            let items = items.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            items.map(<[u8]>::to_vec).collect()
        };
        let given = |name: &str| headers.contains_key(name);
        if !given("x-envoy-retry-on") && !given("x-envoy-retry-grpc-on") {
            return None;
        }
        let number = |item: &[u8]| str::from_utf8(item).ok()?.parse().ok();
        let most = headers.get("x-envoy-max-retries").map(<[u8]>::trim_ascii);
        let codes = list("x-envoy-retriable-status-codes");
        let mut names = list("x-envoy-retriable-header-names");
        names
            .iter_mut()
            .for_each(|name| name.make_ascii_lowercase());
        names.retain(|name| !name.is_empty());
        Some(Self {
            on: list("x-envoy-retry-on"),
            on_grpc: list("x-envoy-retry-grpc-on"),
            codes: codes.iter().filter_map(|code| number(code)).collect(),
            names,
            left: most.and_then(number).unwrap_or(USUAL),
            wait: WAIT,
        })
    }

    /// What is to be done about a try; a retry counts.
    pub(crate) fn next(&mut self, came: Try<'_>) -> Next {
        if !self.wants(came) {
            return Next::Keep;
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Next::Exceeded;
        };
        self.left = left;
        let wait = self.wait;
        self.wait = (2 * wait).min(LONGEST_WAIT);
        Next::Retry(wait)
    }

    fn is_on(&self, condition: &str) -> bool {
        self.on.iter().any(|on| on == condition.as_bytes())
    }

    fn wants(&self, came: Try<'_>) -> bool {
        let resets = ["5xx", "gateway-error", "reset"];
        let is_any = |conditions: &[&str]| conditions.iter().any(|on| self.is_on(on));
        match came {
            Try::Answered(headers) => self.wants_answer(headers),
            Try::Late => is_any(&resets),
            Try::Failed(UpstreamFailure::Refused) => {
                is_any(&resets) || is_any(&["connect-failure", "reset-before-request"])
            }
            Try::Failed(_) => is_any(&resets),
        }
    }

    fn wants_answer(&self, headers: &Headers) -> bool {
        if headers.contains_key("x-envoy-ratelimited") {
            return self.is_on("envoy-ratelimited");
        }
        let status = status(headers).unwrap_or(0);
        let grpc = headers.get("grpc-status").and_then(|text| {
            let name = match text {
                b"1" => "cancelled",
                b"4" => "deadline-exceeded",
                b"8" => "resource-exhausted",
                b"13" => "internal",
                b"14" => "unavailable",
                _ => return None,
            };
            Some(name)
        });
        let is_gateways = (502..=504).contains(&status);
        (self.is_on("5xx") && (500..600).contains(&status))
            || (self.is_on("gateway-error") && is_gateways)
            || (self.is_on("retriable-4xx") && status == 409)
            || (self.is_on("retriable-status-codes") && self.codes.contains(&status))
            || (self.is_on("retriable-headers")
                && self.names.iter().any(|name| headers.contains_key(name)))
            || grpc.is_some_and(|name| self.on_grpc.iter().any(|on| on == name.as_bytes()))
    }
}

impl Proxy {
    /// Tries a request again if it is to be; whether it is.
    pub(super) fn retry(&mut self, slot: usize, came: Try<'_>) -> Result<bool, HostError> {
        if self.world.mutated(Rule::NothingIsTriedAgain) {
            return Ok(false);
        }
        let stream = &mut self.world.streams[slot];
        let Some(retries) = &mut stream.retries else {
            return Ok(false);
        };
        match retries.next(came) {
            Next::Keep => Ok(false),
            Next::Exceeded => {
                let flag = ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED;
                stream.exchange.flags.set(flag);
                Ok(false)
            }
            Next::Retry(_) if stream.asked_at.is_none() => Err(HostError::NotAnswered {
                what: "a retry of a request that is under way".to_owned(),
                timeline: self.timeline(Some(slot)),
            }),
            Next::Retry(wait) => {
                stream.exchange.timeline.note("the request is tried again");
                stream.answer = None;
                stream.arrived |= !matches!(came, Try::Failed(UpstreamFailure::Refused));
                stream.upstream_asked = false;
                let event = Event::Retry {
                    slot,
                    stream: stream.exchange.id,
                };
                // A try that waits has no timeout, and the one before no answer.
                stream.tried_at = None;
                let over = [stream.timer.take(), stream.answer_due.take()];
                over.into_iter()
                    .flatten()
                    .for_each(|moment| self.world.cancel(moment));
                self.watch(slot);
                let time = self.world.clock.now().saturating_add(wait);
                self.world.schedule(time, event);
                Ok(true)
            }
        }
    }

    /// A body that is larger than what may be held back is sent once.
    pub(super) fn keep_for_retries(&mut self, slot: usize) {
        let limit = self.world.buffer_limit_of(slot);
        let stream = &mut self.world.streams[slot];
        let Some(request) = stream
            .exchange
            .upstream
            .as_ref()
            .filter(|_| stream.retries.is_some())
        else {
            return;
        };
        let size: usize = request.message.chunks().iter().map(Vec::len).sum();
        if size > limit {
            stream.retries = None;
        }
    }

    /// The next try begins.
    pub(crate) fn try_again(&mut self, slot: usize) -> Moved {
        let now = self.world.clock.now();
        let stream = &mut self.world.streams[slot];
        if stream.has_its_answer() {
            return Ok(());
        }
        stream.tried_at = Some(now);
        stream.retried += 1;
        if let Some(timer) = stream.timer.take() {
            self.world.cancel(timer);
        }
        self.ask_upstream(slot);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::Kind;

    fn asked(pairs: &[(&str, &str)]) -> Option<Retries> {
        let mut headers = Headers::new(Kind::Request);
        for (name, value) in pairs {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        Retries::asked(&headers)
    }

    fn next(retries: &mut Retries, pairs: &[(&str, &str)]) -> Next {
        let mut headers = Headers::new(Kind::Response);
        for (name, value) in pairs {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        retries.next(Try::Answered(&headers))
    }

    #[test]
    fn what_nobody_asked_for_is_not_tried_again() {
        assert!(asked(&[("x-envoy-max-retries", "3")]).is_none());
        let mut unknown = asked(&[("x-envoy-retry-on", "6xx, ,")]).expect("asked");
        assert_eq!(next(&mut unknown, &[(":status", "503")]), Next::Keep);
        assert_eq!(unknown.next(Try::Late), Next::Keep);
    }

    #[test]
    fn answers_are_told_apart() {
        for (on, status, wanted) in [
            ("5xx", "500", true),
            ("5xx", "499", false),
            ("gateway-error", "500", false),
            (" gateway-error ,x", "504", true),
            ("Gateway-Error", "504", false),
            ("retriable-4xx", "409", true),
            ("retriable-4xx", "404", false),
            ("retriable-status-codes", "418", true),
            ("retriable-status-codes", "503", false),
        ] {
            let codes = ("x-envoy-retriable-status-codes", "x, 418");
            let mut retries = asked(&[("x-envoy-retry-on", on), codes]).expect("asked");
            let expected = if wanted {
                Next::Retry(WAIT)
            } else {
                Next::Keep
            };
            let answer = [(":status", status)];
            assert_eq!(next(&mut retries, &answer), expected, "{on} {status}");
        }
        let limited = [(":status", "503"), ("x-envoy-ratelimited", "true")];
        let mut retries = asked(&[("x-envoy-retry-on", "5xx")]).expect("asked");
        assert_eq!(next(&mut retries, &limited), Next::Keep);
        let mut retries = asked(&[("x-envoy-retry-grpc-on", "unavailable")]).expect("asked");
        let grpc = [(":status", "200"), ("grpc-status", "14")];
        assert_eq!(next(&mut retries, &grpc), Next::Retry(WAIT));
        let mut other = asked(&[("x-envoy-retry-on", "unavailable")]).expect("asked");
        assert_eq!(next(&mut other, &grpc), Next::Keep);
        let names = ("x-envoy-retriable-header-names", "X-Again");
        let on = ("x-envoy-retry-on", "retriable-headers");
        let mut retries = asked(&[on, names]).expect("asked");
        let again = [(":status", "200"), ("x-again", "")];
        assert_eq!(next(&mut retries, &again), Next::Retry(WAIT));
    }

    #[test]
    fn retries_are_counted_and_wait_longer_each_time() {
        let on = ("x-envoy-retry-on", "connect-failure");
        let most = ("x-envoy-max-retries", "2");
        let mut retries = asked(&[on, most]).expect("asked");
        assert_eq!(
            retries.next(Try::Failed(UpstreamFailure::Closed)),
            Next::Keep
        );
        let refused = Try::Failed(UpstreamFailure::Refused);
        assert_eq!(retries.next(refused), Next::Retry(WAIT));
        assert_eq!(retries.next(refused), Next::Retry(2 * WAIT));
        assert_eq!(retries.next(refused), Next::Exceeded);
    }
}
