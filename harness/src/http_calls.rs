//! `proxy_http_call`, and the callback that answers it.
//!
//! Envoy sends the request through a router of its own (`async_client_impl.cc`), so that a call that
//! fails is answered by a *response* of 503 or 504. Only one whose response has begun and does not
//! end is answered by nothing, with status 11.

mod again;
mod connections;

use std::time::Duration;

pub(crate) use self::connections::CallConnections;
use self::connections::stays_open;
use crate::abi::Status;
use crate::arrival::Piece;
use crate::call::{Answer, Call};
use crate::calls::{CallKind, Pending};
use crate::clusters::Decides;
use crate::codec::{Codec, join_cookies, strip_keep_alive};
use crate::envoy_version::{EnvoyVersion, VersionDifference};
use crate::error::HostError;
use crate::exchange::{Message, UpstreamRequest};
use crate::headers::{Headers, Kind};
use crate::known_difference::KnownDifference;
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::response::{Fault, Response, has_no_body};
use crate::router::{
    Retries, Timeouts, give_scheme, is_forbidden, is_unreadable, on_the_wire, route_timeout,
    status, take_what_is_asked, unacceptable,
};
use crate::tunnel::is_upgrade;
use crate::vm::{Deferred, Phase};
use crate::world::World;

/// Envoy's `http.async_response_buffer_limit`.
const BODY_LIMIT: usize = 32 << 20;

/// The response to a call, whole.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<Headers>,
    /// Whether it leaves the connection for another call.
    stays_open: bool,
}

/// What a call comes to.
#[derive(Debug)]
pub(crate) enum HttpEnd {
    Answered(Box<HttpResponse>),
    /// The response began and did not end.
    Lost,
}

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
pub(crate) fn http_call(
    call: &mut Call<'_>,
    cluster: u32,
    cluster_size: u32,
    headers: u32,
    headers_size: u32,
    body: u32,
    body_size: u32,
    trailers: u32,
    trailers_size: u32,
    timeout: u32,
    token: u32,
) -> Answer {
    let cluster = call.bytes(cluster, cluster_size)?;
    let pairs = call.pairs(headers, headers_size)?;
    let body = call.bytes(body, body_size)?;
    let trailers = call.pairs(trailers, trailers_size)?;
    call.number(timeout.cast_signed());
    // Envoy tries the pointer before it sends anything.
    call.write_u32(token, 0)?;
    let timeout = u64::try_from(timeout.cast_signed()).map_err(|_| Status::BadArgument)?;
    let state = call.state();
    let cluster = state.world.clusters.find(&cluster);
    let cluster = cluster.ok_or(Status::BadArgument)?;
    let mut headers = Headers::new(Kind::Request);
    for (name, value) in &pairs {
        headers.add(name, value);
    }
    let required = [
        (":path", Rule::CallsNeedNoPath),
        (":method", Rule::CallsNeedNoMethod),
        (":authority", Rule::CallsNeedNoAuthority),
    ];
    let missing = |name: &str, rule| !headers.contains_key(name) && !state.world.mutated(rule);
    if required.into_iter().any(|(name, rule)| missing(name, rule)) {
        return Err(Status::BadArgument.into());
    }
    let given = headers.clone();
    let retries = Retries::asked(&headers);
    let timeouts = complete(&mut headers, &body, Duration::from_millis(timeout));
    if state.world.mutator.is_some() {
        complete_otherwise(&state.world, &mut headers, &given);
    }
    let step = 1 + u32::from(state.world.mutated(Rule::CallTokensSkip));
    let number = state.calls.next_token(CallKind::Http, step);
    if state.world.clusters.decides(cluster) == Decides::AtOnce {
        // It fails while it is sent, and nobody is told later.
        return Err(Status::InternalFailure.into());
    }
    let codec = state.world.call_codec(cluster);
    let mut message = Message::new(on_the_wire(
        &headers,
        body.is_empty(),
        codec,
        state.world.version,
    ));
    // What follows an upgrade is not sent before the answer, which ends the call.
    if codec == Codec::Http2
        || !is_upgrade(message.headers())
        || state.world.mutated(Rule::CallsMayBecomeTunnels)
    {
        message.push(body);
    }
    let request = UpstreamRequest {
        cut: false,
        message,
        complete: true,
    };
    let connects = !state.world.mutated(Rule::ConnectNeedsNoProtocol);
    let unsent = unacceptable(request.headers(), connects).is_some();
    if request.method() == b"CONNECT" && connects && !unsent {
        return Err(call.give_up(|timeline| HostError::NotAnswered {
            what: "a call of CONNECT with `:protocol`".to_owned(),
            timeline,
        }));
    }
    let thread = state.thread;
    let idle = state.world.call_connections.take(thread, cluster);
    if idle && unsent {
        // The codec refuses it while it is sent. The connection is closed, and nobody is told later.
        return Err(Status::InternalFailure.into());
    }
    state.place_call(number, (CallKind::Http, cluster), request, timeouts);
    if let Some(call) = state.calls.pending.get_mut(&number) {
        call.retries = retries;
    }
    if !trailers.is_empty() {
        let what = "`proxy_http_call` was given trailers";
        call.lint(LintKind::CallTrailersDropped, what);
    }
    call.write_u32(token, number)
}

/// What Envoy adds to a call's headers. Returns the timeouts that hold.
fn complete(headers: &mut Headers, body: &[u8], timeout: Duration) -> Timeouts {
    if !body.is_empty() {
        headers.set(b"content-length", body.len().to_string().as_bytes());
    }
    if !headers.contains_key(":scheme") {
        headers.add(b":scheme", b"http");
    }
    headers.set(b"x-envoy-internal", b"true");
    take_what_is_asked(headers);
    give_scheme(headers);
    route_timeout(headers, timeout)
}

/// What else the headers of a call could be than what [`complete`] makes of them.
fn complete_otherwise(world: &World, headers: &mut Headers, given: &Headers) {
    let mut take = |name: &str, rule| {
        if headers.contains_key(name) && world.mutated(rule) {
            headers.remove(name.as_bytes());
        }
    };
    take("x-envoy-internal", Rule::CallsAreNotInternal);
    take("x-envoy-expected-rq-timeout-ms", Rule::CallsTellNoTimeout);
    let length = given.get("content-length");
    if let Some(length) = length.filter(|_| world.mutated(Rule::CallsKeepAGivenLength)) {
        headers.set(b"content-length", length);
    } else if headers.contains_key("content-length") && world.mutated(Rule::CallsHaveNoLength) {
        headers.remove(b"content-length");
    }
}

impl World {
    /// What an HTTP call to a cluster is written in.
    fn call_codec(&self, cluster: usize) -> Codec {
        match self.mutated(Rule::CallsSpeakHttp1Only) {
            true => Codec::Http1,
            false => self.clusters.codec(cluster),
        }
    }

    /// What else a call could come to.
    fn end_otherwise(&self, end: HttpEnd) -> HttpEnd {
        let HttpEnd::Answered(mut response) = end else {
            return end;
        };
        if self.mutator.is_none() {
            return HttpEnd::Answered(response);
        }
        let own = !response
            .headers
            .contains_key("x-envoy-upstream-service-time");
        let timed_out = response.headers.get(":status") == Some(b"504");
        match (own, timed_out) {
            (true, true) if self.mutated(Rule::CallTimeoutIsNoResponse) => return HttpEnd::Lost,
            (true, false) if self.mutated(Rule::CallFailureIsNoResponse) => return HttpEnd::Lost,
            (true, true) if self.mutated(Rule::CallTimeoutHasAnotherStatus) => {
                response.headers.set(b":status", b"503");
            }
            (true, false) if self.mutated(Rule::CallFailureHasAnotherStatus) => {
                response.headers.set(b":status", b"502");
            }
            (true, _) if self.mutated(Rule::CallFailureHasNoBody) => response.body.clear(),
            (true, _) if self.mutated(Rule::CallFailureHasNoType) => {
                response.headers.remove(b"content-type");
            }
            (false, _) if self.mutated(Rule::CallTellsNoServiceTime) => {
                response.headers.remove(b"x-envoy-upstream-service-time");
            }
            _ => {}
        }
        if response.trailers.is_some() && self.mutated(Rule::CallTrailersAreLost) {
            response.trailers = None;
        }
        HttpEnd::Answered(response)
    }
}

impl World {
    /// What comes of a call that no server takes: over HTTP/2 it has what that forbids, or there is less of it than it says.
    pub(crate) fn not_taken(&self, call: &Pending) -> Option<Response> {
        let codec = self.call_codec(call.cluster);
        let headers = call.request.headers();
        let declared = headers.get("content-length");
        let declared = declared.and_then(|length| str::from_utf8(length).ok()?.parse().ok());
        let sent: usize = call.request.chunks().iter().map(Vec::len).sum();
        let upgrade = codec == Codec::Http1 && is_upgrade(headers);
        let waits = !upgrade && declared.is_some_and(|declared: usize| declared > sent);
        let forbidden = is_forbidden(headers, codec);
        let refused = self.clusters.refuses(call.cluster);
        if refused || !(waits || forbidden) || self.mutated(Rule::ForbiddenLinesAreTaken) {
            return None;
        }
        Some(match codec {
            Codec::Http1 => Response::never(),
            Codec::Http2 => Response::malformed(),
        })
    }
}

impl Proxy {
    /// The cluster answers; the response is handed over when it is whole.
    pub(crate) fn answer_http_call(&mut self, vm: usize, token: u32) -> Moved {
        let Some(call) = self.vms[vm].state().calls.pending.get_mut(&token) else {
            return Ok(());
        };
        let cluster = call.cluster;
        let codec = self.world.call_codec(cluster);
        let unreadable = is_unreadable(call.request.headers(), codec);
        let bodiless = call.request.method() == b"HEAD"
            && !self.world.mutated(Rule::FailedCallsOfHeadHaveABody);
        let connects = !self.world.mutated(Rule::ConnectNeedsNoProtocol);
        if let Some(why) = unacceptable(call.request.headers(), connects) {
            call.end = Some(replied(503, &why, bodiless));
            let thread = self.vms[vm].thread();
            let version = self.world.version;
            if version.is_before(VersionDifference::RefusedCallsCloseTheirConnection) {
                self.world.call_connections.leave(thread, cluster);
            }
            return self.end_http_call(vm, token);
        }
        if unreadable && self.world.not_taken(call).is_none() {
            let slot = self.world.account_of(call.maker);
            self.world
                .comes_to(slot, KnownDifference::UnreadableMessage);
        }
        let asked = call.request.headers();
        let websocket = codec == Codec::Http1
            && is_upgrade(asked)
            && asked
                .get("upgrade")
                .is_some_and(|to| to.eq_ignore_ascii_case(b"websocket"));
        let (response, timeouts, retried) = self.world.answered(call);
        let asked = Asked {
            timeouts,
            retried,
            head: call.request.method() == b"HEAD",
            websocket: websocket && !self.world.mutated(Rule::CallsMayBecomeTunnels),
            replied_bodiless: bodiless,
            codec,
            envoy: self.world.version,
        };
        let ending = asked.ending(response);
        let cluster = self.world.clusters.name(call.cluster);
        let id = call.id;
        let ending = ending.map(|(after, end, note)| (after, self.world.end_otherwise(end), note));
        let Some((after, end, note)) = ending else {
            let note = format!("`{cluster}` will not answer call {token}, which has no timeout");
            let maker = call.maker;
            self.world.note_call(maker, note);
            return Ok(());
        };
        call.end = Some(end);
        let (maker, note) = (call.maker, format!("`{cluster}` {note} call {token}"));
        if after.is_zero() {
            self.world.note_call(maker, note);
            return self.end_http_call(vm, token);
        }
        let note = format!("{note}, {} ms later", after.as_millis());
        self.world.note_call(maker, note);
        let time = self.world.clock.now().saturating_add(after);
        self.schedule_call(vm, token, id, time);
        Ok(())
    }

    /// Hands the response of a call to its root context.
    pub(crate) fn end_http_call(&mut self, vm: usize, token: u32) -> Moved {
        let failed = self.vms[vm].failed;
        let thread = self.vms[vm].thread();
        let state = self.vms[vm].state();
        let Some(call) = state.calls.pending.remove(&token) else {
            return Ok(());
        };
        let Some(root) = state.roots.get_mut(&call.root).filter(|_| !failed) else {
            return Ok(());
        };
        let counts = match call.end {
            Some(HttpEnd::Answered(response)) => {
                if response.stays_open {
                    self.world.call_connections.leave(thread, call.cluster);
                }
                let trailers = response.trailers.as_ref().map_or(0, Headers::len);
                let counts = [response.headers.len(), response.body.len(), trailers];
                root.call.http_response = Some(response);
                counts
            }
            Some(HttpEnd::Lost) | None => {
                root.call.status = Status::BrokenConnection.code();
                root.call.message = b"reset".to_vec();
                [0; 3]
            }
        };
        let [headers, body, trailers] =
            counts.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        // Before everything that the guest asks for in the callback.
        state.deferred.push_back(Deferred::ForgetCall(call.root));
        let off = |rule| u32::from(self.world.mutated(rule));
        let headers = headers + off(Rule::CallHeadersAreMiscounted);
        let body = body + off(Rule::CallBodyIsMiscounted);
        let trailers = trailers + off(Rule::CallTrailersAreMiscounted);
        let slot = self.world.account_of(call.maker);
        self.call(
            vm,
            (Phase::CallOut, call.root, slot),
            "proxy_on_http_call_response",
            |all| &all.http_call_response,
            (call.root, token, headers, body, trailers),
        )?;
        self.run_deferred(vm)
    }
}

/// What a call asked for.
struct Asked {
    timeouts: Timeouts,
    /// Whether it is not the first try.
    retried: bool,
    head: bool,
    /// Whether it asks for a WebSocket, which no call becomes.
    websocket: bool,
    /// Whether what Envoy's own router replies has no body.
    replied_bodiless: bool,
    codec: Codec,
    envoy: EnvoyVersion,
}

impl Asked {
    /// When a call is over, counted from when it was made, what it comes to, and that in words; none if
    /// it waits for ever.
    fn ending(&self, response: Response) -> Option<(Duration, HttpEnd, String)> {
        let Self {
            timeouts,
            retried,
            head,
            websocket,
            replied_bodiless,
            codec,
            envoy,
        } = *self;
        let limit = |timeout: Duration| (!timeout.is_zero()).then_some(timeout);
        let (timeout, first) = (limit(timeouts.whole), limit(timeouts.first()));
        let overdue = |time: Duration| timeout.filter(|timeout| *timeout < time);
        let timed_out = |timeout| {
            let end = replied(504, "upstream request timeout", replied_bodiless);
            (timeout, end, "lets the timeout end".to_owned())
        };
        if response.fault == Some(Fault::Never) {
            return first.map(timed_out);
        }
        let mut time = response.latency;
        if let Some(timeout) = first.filter(|timeout| *timeout < time) {
            return Some(timed_out(timeout));
        }
        if let Some(Fault::Failed(failure)) = response.fault {
            let end = replied(
                failure.status(),
                &failure.body(envoy, retried),
                replied_bodiless,
            );
            let note = format!("fails ({}) for", failure.details_before());
            return Some((time, end, note));
        }
        let lost = |time, why| Some((time, HttpEnd::Lost, format!("{why} of the response to")));
        let (mut headers, mut trailers) = (response.headers, response.trailers);
        match codec {
            Codec::Http1 => {
                headers.trim();
                trailers.iter_mut().for_each(Headers::trim);
            }
            Codec::Http2 => {
                join_cookies(&mut headers);
                trailers.iter_mut().for_each(join_cookies);
            }
        }
        let stays_open = codec == Codec::Http1 && stays_open(&headers);
        if !envoy.is_before(VersionDifference::KeepAliveIsOfTheUpstream) {
            strip_keep_alive(&mut headers);
        }
        let code = status(&headers).unwrap_or(0);
        let refused = websocket && code < 400;
        let bodiless = head || refused || has_no_body(code.try_into().unwrap_or(0));
        let empty = response.pieces.is_empty() && trailers.is_none();
        // A response to HEAD says how its body would come.
        let chunked = codec == Codec::Http1 && !empty && (head || refused || !bodiless);
        if refused && headers.contains_key("content-length") {
            headers.remove(b"content-length");
        } else if chunked
            && !headers.contains_key("content-length")
            && !headers.contains_key("transfer-encoding")
        {
            headers.add(b"transfer-encoding", b"chunked");
        }
        let latency = response.latency.as_millis().to_string();
        if !refused {
            headers.set(b"x-envoy-upstream-service-time", latency.as_bytes());
        }
        let mut body = Vec::new();
        for piece in response.pieces.into_iter().filter(|_| !bodiless) {
            match piece {
                Piece::Chunk(chunk) => body.extend(chunk),
                Piece::Pause(pause) => time += pause,
                Piece::Cut(_) => return lost(time, "cuts the end"),
                Piece::Until(_) => {}
                Piece::Stall => return timeout.and_then(|timeout| lost(timeout, "keeps the end")),
            }
            if let Some(timeout) = overdue(time) {
                return lost(timeout, "delays the end");
            }
            if body.len() > BODY_LIMIT {
                return lost(time, "sends more than 32 MiB");
            }
        }
        let end = HttpEnd::Answered(Box::new(HttpResponse {
            headers,
            body,
            trailers: trailers.filter(|_| !bodiless),
            stays_open,
        }));
        Some((time, end, format!("answers {code} to")))
    }
}

/// The reply of Envoy's own router to a call. One to HEAD has the length of a body that it lacks.
fn replied(status: u16, body: &str, bodiless: bool) -> HttpEnd {
    let mut headers = Headers::new(Kind::Response);
    headers.add(b":status", status.to_string().as_bytes());
    headers.add(b"content-length", body.len().to_string().as_bytes());
    headers.add(b"content-type", b"text/plain");
    HttpEnd::Answered(Box::new(HttpResponse {
        headers,
        body: if bodiless {
            Vec::new()
        } else {
            body.as_bytes().to_vec()
        },
        trailers: None,
        stays_open: false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(response: Response, timeout: u64) -> String {
        let timeouts = Timeouts {
            whole: Duration::from_millis(timeout),
            of_try: Duration::ZERO,
        };
        ended_by(response, timeouts)
    }

    fn ended_by(response: Response, timeouts: Timeouts) -> String {
        let asked = Asked {
            timeouts,
            retried: false,
            head: false,
            websocket: false,
            replied_bodiless: false,
            codec: Codec::Http1,
            envoy: EnvoyVersion::default(),
        };
        match asked.ending(response) {
            None => "never".to_owned(),
            Some((time, HttpEnd::Lost, _)) => format!("{} lost", time.as_millis()),
            Some((time, HttpEnd::Answered(response), _)) => {
                let code = status(&response.headers).unwrap_or(0);
                let body = response.body.escape_ascii();
                format!("{} {code} {body}", time.as_millis())
            }
        }
    }

    #[test]
    fn a_call_ends_with_its_response_or_with_its_timeout() {
        let slow = || {
            let pause = Duration::from_millis(30);
            let latency = Duration::from_millis(40);
            Response::ok()
                .after(latency)
                .chunk("a")
                .pause(pause)
                .chunk("b")
        };
        for (response, timeout, expected) in [
            (slow(), 0, "70 200 ab"),
            (slow(), 70, "70 200 ab"),
            (slow(), 69, "69 lost"),
            (slow(), 39, "39 504 upstream request timeout"),
            (slow().cut(), 0, "70 lost"),
            (slow().stall(), 100, "100 lost"),
            (slow().stall(), 0, "never"),
            (Response::never(), 5, "5 504 upstream request timeout"),
            (Response::never(), 0, "never"),
        ] {
            assert_eq!(ended(response, timeout), expected);
        }
    }

    #[test]
    fn a_try_ends_unless_there_are_headers() {
        let timeouts = |of_try, whole| Timeouts {
            whole: Duration::from_millis(whole),
            of_try: Duration::from_millis(of_try),
        };
        let slow = || Response::ok().after(Duration::from_millis(40));
        let rest = || slow().pause(Duration::from_millis(30)).chunk("b");
        for (response, timeouts, expected) in [
            (slow(), timeouts(39, 100), "39 504 upstream request timeout"),
            (slow(), timeouts(39, 0), "39 504 upstream request timeout"),
            (
                Response::never(),
                timeouts(39, 0),
                "39 504 upstream request timeout",
            ),
            (rest(), timeouts(40, 70), "70 200 b"),
            (rest(), timeouts(40, 69), "69 lost"),
        ] {
            assert_eq!(ended_by(response, timeouts), expected);
        }
    }

    #[test]
    fn a_response_over_envoys_limit_is_lost() {
        let body = vec![b'x'; BODY_LIMIT];
        assert!(ended(Response::ok().body(&body), 0).starts_with("0 200"));
        assert_eq!(ended(Response::ok().body(&body).chunk("x"), 0), "0 lost");
    }
}
