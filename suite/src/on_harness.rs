mod cluster;
mod host;
mod message;
mod peer;
mod reload;
mod tcp;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use attache_harness::mutation::Mutator;
use attache_harness::{
    CallOut, DownstreamResponse, Exchange, Host, HostError, KnownGround, LogLevel, LogLine,
    Outcome, PhaseCost, StreamId, UpstreamRequest,
};

use self::host::{describe, serve};
use crate::case::{Case, Protocol, Protocols, Request, Step};
use crate::forecast::{Forecast, Milestone};
use crate::known_ground::Ground;
use crate::on_envoy::{CUT_AFTER, HELD_AFTER, HELD_IN_THE_END, NOTICED_AFTER, Until};
use crate::pace::{Pace, Paced};
use crate::seen::{Access, Calls, Ended, Line, Seen, Stream, grown};

/// How finely time passes while something is waited for.
const STEP: Duration = Duration::from_millis(5);

/// Why a case could not be played on the harness.
#[derive(Debug, thiserror::Error)]
#[error("cannot play the case on the harness")]
pub struct HarnessError(#[from] pub(crate) HostError);

/// What the harness alone can tell of a play.
#[derive(Clone, Debug)]
pub(crate) struct Insight {
    pub(crate) host_calls: Vec<String>,
    pub(crate) callbacks: Vec<String>,
    pub(crate) fuel: u64,
    pub(crate) timeline: String,
}

/// Plays a case on the harness, all of it on the first worker.
///
/// # Errors
///
/// [`HarnessError`], when a plugin cannot start, and when the filters do what would crash Envoy.
pub fn on_harness(case: &Case) -> Result<Seen, HarnessError> {
    play(case, None).played.map(|played| played.seen)
}

/// What a play on the harness shows.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) seen: Seen,
    /// One for each request.
    pub(crate) insights: Vec<Insight>,
    /// How far it had come when each step was over, and in the end.
    pub(crate) steps: Vec<Milestone>,
    pub(crate) end: Milestone,
    pub(crate) lasts: Duration,
}

impl Played {
    /// What Envoy is to be waited for.
    pub(crate) fn forecast(&self) -> Forecast {
        Forecast {
            steps: self.steps.clone(),
            end: self.end,
            lasts: self.lasts,
            seen: self.seen.clone(),
        }
    }
}

/// A play on the harness, whatever came of it.
pub(crate) struct Performance {
    /// What callbacks of the first worker were called.
    pub(crate) phases: Vec<PhaseCost>,
    pub(crate) pace: Pace,
    /// The known differences from Envoy that it came to.
    pub(crate) known: Vec<Ground>,
    pub(crate) played: Result<Played, HarnessError>,
}

/// Plays a case, with its pace, and an insight into each of its streams; for tests of tests on a harness
/// that departs from Envoy.
pub(crate) fn play(case: &Case, mutator: Option<Arc<Mutator>>) -> Performance {
    let mut host = match start(case, mutator) {
        Ok(host) => host,
        Err(error) => {
            return Performance {
                phases: Vec::new(),
                pace: Pace::default(),
                known: Vec::new(),
                played: Err(error.into()),
            };
        }
    };
    let mut paced = Paced::default();
    let (started, mut streams) = (first_line(&host, case), Vec::new());
    let played = play_on(&mut host, case, &mut paced, &mut streams);
    Performance {
        phases: host.take_phases(),
        pace: paced.pace(&host),
        known: grounds(&host, case, started, &streams),
        played: played.map_err(HarnessError),
    }
}

/// Where the lines begin that the case is about.
fn first_line(host: &Host, case: &Case) -> usize {
    if case.log_from_start {
        0
    } else {
        host.log().len()
    }
}

/// Where the play came to known differences.
fn grounds(host: &Host, case: &Case, started: usize, streams: &[StreamId]) -> Vec<Ground> {
    let ground = |ground: &KnownGround| {
        let before = host.log().get(started..ground.logged).unwrap_or_default();
        Ground {
            difference: ground.difference,
            stream: streams.iter().position(|id| Some(*id) == ground.stream),
            lines: before
                .iter()
                .filter_map(|logged| line(case, logged))
                .count(),
        }
    };
    host.known_differences().iter().map(ground).collect()
}

fn play_on(
    host: &mut Host,
    case: &Case,
    paced: &mut Paced,
    streams: &mut Vec<StreamId>,
) -> Result<Played, HostError> {
    let (started, begun) = (first_line(host, case), host.now());
    let called = host.calls().len();
    let before = counters(host);
    let of_histograms = histograms(host, case);
    let mut abandoned = Vec::new();
    let mut disconnected = Vec::new();
    let mut connections = tcp::Connections::default();
    let mut seen = Seen::default();
    let mut sorted = Vec::new();
    let mut steps = Vec::new();
    let mut counted = Counted {
        read: started,
        lines: 0,
    };
    for step in &case.steps {
        let since = host.now();
        match step {
            Step::Request(request) => {
                let mark = case.mark(streams.len());
                let mut sent = message::sent(request, mark, case.protocols.downstream);
                let before = request
                    .follows
                    .filter(|number| !disconnected.contains(number));
                if let Some(id) = before.and_then(|number| streams.get(number))
                    && stream(host, *id, false, case.protocols)?
                        .0
                        .downstream
                        .leaves_open()
                {
                    sent = sent.on_connection_of(*id);
                }
                streams.push(host.open(sent)?);
                if !settle(host, case, streams, HELD_AFTER, Until::PassedOn)? {
                    paced.waited(since, host);
                } else if is_cut(host, case, streams) {
                    let since = host.now();
                    pass(host, case, streams, CUT_AFTER)?;
                    paced.waited(since, host);
                }
            }
            Step::Reload(filter) => {
                paced.acts(host);
                let from = host.log().len();
                seen.reloads.push(reload::reload(host, filter)?);
                sorted.push(from..host.log().len());
            }
            Step::Tcp(step) => {
                paced.acts(host);
                connections.step(host, step)?;
            }
            Step::Send(number, bytes) => {
                paced.acts(host);
                if let Some(id) = streams.get(*number) {
                    host.send_data(*id, bytes)?;
                }
            }
            Step::Wait(time) => {
                pass(host, case, streams, *time)?;
                paced.waited(since, host);
            }
            Step::Disconnect(number) => {
                disconnected.push(*number);
                if let Some(id) = streams.get(*number) {
                    // Who has an answer stays with it.
                    let exchange = host.exchange(*id)?;
                    let settled = is_whole(exchange, case.protocols) || is_upgraded(exchange);
                    if is_under_way(exchange) && !settled {
                        abandoned.push(*number);
                    }
                    host.disconnect(*id)?;
                }
                pass(host, case, streams, NOTICED_AFTER)?;
                paced.waited(since, host);
            }
        }
        let ended = has_come_far(host, case, streams, Until::PassedOn);
        steps.push(counted.milestone(host, case, ended));
    }
    let limit = HELD_IN_THE_END.saturating_add(case.patience());
    let since = host.now();
    if !settle(host, case, streams, limit, Until::Ended)? {
        paced.waited(since, host);
    }
    let ended = has_come_far(host, case, streams, Until::Ended);
    let end = counted.milestone(host, case, ended);
    let mut insights = Vec::new();
    for (number, id) in streams.iter().enumerate() {
        let abandoned = abandoned.contains(&number);
        let (mut stream, insight) = stream(host, *id, abandoned, case.protocols)?;
        let endless = case
            .requests()
            .nth(number)
            .is_some_and(Request::asks_for_upgrade);
        tunnel(host.exchange(*id)?, endless, &mut stream);
        seen.streams.push(stream);
        insights.push(insight);
    }
    let (seen_of_tcp, of_tcp) = connections.seen(host)?;
    seen.connections = seen_of_tcp;
    insights.extend(of_tcp);
    seen.log = Line::all(host.log(), started, &sorted, |logged| line(case, logged));
    seen.counters = grown(counters(host), &before, &case.counters);
    seen.calls = calls(case, host.calls().get(called..).unwrap_or_default());
    for (name, after) in histograms(host, case) {
        let before = of_histograms.get(&name).copied().unwrap_or_default();
        seen.histograms.insert(name, after.saturating_sub(before));
    }
    for name in &case.gauges {
        if let Some(value) = host.gauge(name) {
            seen.gauges.insert(name.clone(), value);
        }
    }
    Ok(Played {
        seen,
        insights,
        steps,
        end,
        lasts: host.now().saturating_sub(begun),
    })
}

/// A line of a filter, as it stands in Envoy's log, which is at info.
fn line(case: &Case, logged: &LogLine) -> Option<Line> {
    let text = format!("{}{}", logged.prefix, logged.message);
    let level = (logged.level >= LogLevel::Info).then_some(logged.level)?;
    let line = Line::of(case, "", level.to_string(), &text)?;
    Some(line.at(Some(logged.time)))
}

/// Counts the lines of filters.
struct Counted {
    read: usize,
    lines: usize,
}

impl Counted {
    fn milestone(&mut self, host: &Host, case: &Case, ended: bool) -> Milestone {
        let fresh = host.log().iter().skip(self.read);
        self.lines += fresh.filter_map(|logged| line(case, logged)).count();
        self.read = host.log().len();
        Milestone {
            lines: self.lines,
            ended,
        }
    }
}

fn is_under_way(exchange: &Exchange) -> bool {
    matches!(
        exchange.outcome(),
        Outcome::Paused { .. } | Outcome::Running
    )
}

/// Whether the client has the whole response though a filter holds its end: over HTTP/1.1 it knows by
/// the length, or by a status or a method that has no body.
fn is_whole(exchange: &Exchange, protocols: Protocols) -> bool {
    let whole = |response: &DownstreamResponse| {
        if matches!(response.status(), 204 | 304) || exchange.is_head() {
            return true;
        }
        let length = response.headers().get("content-length");
        let length = length.and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
        length == Some(response.chunks().iter().map(Vec::len).sum::<usize>())
    };
    protocols.downstream == Protocol::Http1 && exchange.try_response().is_some_and(whole)
}

/// Whether the client takes what it got for an interim response, and waits on.
fn is_interim(exchange: &Exchange, protocols: Protocols) -> bool {
    let interim = |response: &DownstreamResponse| matches!(response.status(), 100 | 102..=199);
    protocols.downstream == Protocol::Http1 && exchange.try_response().is_some_and(interim)
}

/// Whether the connection is not one of HTTP any more.
fn is_upgraded(exchange: &Exchange) -> bool {
    exchange
        .try_response()
        .is_some_and(|answer| answer.status() == 101)
}

/// What came behind an upgrade is the answer's body, however the connection ends.
fn tunnel(exchange: &Exchange, asked: bool, stream: &mut Stream) {
    if asked
        && is_upgraded(exchange)
        && !is_under_way(exchange)
        && let Some(answer) = exchange.try_response()
    {
        stream.downstream = Ended::Answered(message::upgraded(answer));
    }
}

/// Lets time pass until requests have come as far as they can, as on Envoy, where it passes by itself;
/// false if the time was over before.
fn settle(
    host: &mut Host,
    case: &Case,
    streams: &[StreamId],
    limit: Duration,
    until: Until,
) -> Result<bool, HostError> {
    let mut left = limit;
    loop {
        leave(host, case, streams)?;
        let done = has_come_far(host, case, streams, until);
        if done || left.is_zero() {
            return Ok(done);
        }
        let step = left.min(STEP);
        host.advance(step)?;
        left -= step;
    }
}

/// Lets time pass, in which clients leave that have their response.
fn pass(
    host: &mut Host,
    case: &Case,
    streams: &[StreamId],
    time: Duration,
) -> Result<(), HostError> {
    let mut left = time;
    while !left.is_zero() {
        let goes_on = |id: &StreamId| host.exchange(*id).is_ok_and(is_under_way);
        let step = match streams.iter().any(goes_on) {
            true => left.min(STEP),
            false => left,
        };
        host.advance(step)?;
        left -= step;
        leave(host, case, streams)?;
    }
    Ok(())
}

/// Has clients close their connections that have the whole response and do not wait for what a filter
/// holds behind it, unless another request is to follow.
fn leave(host: &mut Host, case: &Case, streams: &[StreamId]) -> Result<(), HostError> {
    for (number, id) in streams.iter().enumerate() {
        let exchange = host.exchange(*id)?;
        if is_under_way(exchange) && is_whole(exchange, case.protocols) && !case.is_followed(number)
        {
            host.disconnect(*id)?;
        }
    }
    Ok(())
}

/// Whether the connection of the last request is cut, which its client notices a little later over HTTP/1.1.
fn is_cut(host: &Host, case: &Case, streams: &[StreamId]) -> bool {
    let last = streams.last().and_then(|id| host.exchange(*id).ok());
    let cut = last.is_some_and(|exchange| *exchange.outcome() == Outcome::Reset);
    cut && case.protocols.downstream == Protocol::Http1
}

/// Whether requests have come as far as is waited for.
fn has_come_far(host: &Host, case: &Case, streams: &[StreamId], until: Until) -> bool {
    let goes_on = |exchange: &Exchange| {
        let whole = is_whole(exchange, case.protocols);
        (is_under_way(exchange) && !whole) || is_interim(exchange, case.protocols)
    };
    let has_ended = |id: &StreamId| !host.exchange(*id).is_ok_and(goes_on);
    match until {
        Until::Ended => streams.iter().all(has_ended),
        Until::PassedOn => streams.last().is_none_or(|id| {
            let thinks = !case.answer_to(streams.len() - 1).after.is_zero();
            // A server tells of a request that is whole.
            let received = |exchange: &Exchange| {
                let request = exchange.try_upstream_request();
                request.is_some_and(UpstreamRequest::is_complete)
            };
            has_ended(id) || (thinks && host.exchange(*id).is_ok_and(received))
        }),
    }
}

fn start(case: &Case, mutator: Option<Arc<Mutator>>) -> Result<Host, HostError> {
    let builder = describe(case);
    let builder = match mutator {
        Some(mutator) => builder.mutate(mutator),
        None => builder,
    };
    let mut host = builder.start()?;
    serve(&mut host, case);
    Ok(host)
}

/// What callbacks of the first worker cost: in the start, and behind it.
pub(crate) fn cost(case: &Case) -> Result<(Vec<PhaseCost>, Vec<PhaseCost>), HostError> {
    let mut host = describe(case).start()?;
    serve(&mut host, case);
    let start = host.take_phases();
    play_on(&mut host, case, &mut Paced::default(), &mut Vec::new())?;
    Ok((start, host.take_phases()))
}

/// What clusters received; those that nobody listens at receive nothing.
fn calls(case: &Case, made: &[CallOut]) -> BTreeMap<String, Calls> {
    let mut calls: BTreeMap<String, Calls> = BTreeMap::new();
    for call in made {
        let known = case.clusters.get(call.cluster());
        let Some(cluster) = known.filter(|cluster| cluster.listens()) else {
            continue;
        };
        if call.request().is_complete() {
            let received = message::received(call.request(), cluster.protocol);
            calls
                .entry(call.cluster().to_owned())
                .or_default()
                .0
                .push(received);
        }
    }
    calls
}

/// How many values the histograms have taken that a case asks for.
fn histograms(host: &Host, case: &Case) -> BTreeMap<String, u64> {
    let count = |name: &String| Some((name.clone(), host.histogram(name)?.len() as u64));
    case.histograms.iter().filter_map(count).collect()
}

fn counters(host: &Host) -> std::collections::BTreeMap<String, u64> {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    host.counters()
        .map(|(name, value)| (text(name), value))
        .collect()
}

fn stream(
    host: &Host,
    id: StreamId,
    abandoned: bool,
    protocols: Protocols,
) -> Result<(Stream, Insight), HostError> {
    let exchange = host.exchange(id)?;
    let downstream = match (exchange.outcome(), exchange.try_response()) {
        _ if abandoned => Ended::Abandoned,
        _ if is_interim(exchange, protocols) => Ended::Held,
        (Outcome::Completed, Some(response)) => {
            Ended::Answered(message::answered(response, protocols.downstream))
        }
        (_, Some(response)) if is_whole(exchange, protocols) => {
            Ended::Answered(message::answered(response, protocols.downstream))
        }
        (Outcome::Paused { .. } | Outcome::Running, _) => Ended::Held,
        _ => Ended::Reset,
    };
    let stream = Stream {
        upstream: exchange
            .try_upstream_request()
            // A server tells of a request when it has ended, one way or the other.
            .filter(|request| request.is_complete() || request.is_cut() || !is_under_way(exchange))
            .map(|request| message::received(request, protocols.upstream)),
        access: access(exchange, &downstream),
        downstream,
    };
    Ok((stream, insight(exchange, exchange.to_string())))
}

fn insight(exchange: &Exchange, timeline: String) -> Insight {
    Insight {
        host_calls: exchange
            .host_calls()
            .iter()
            .map(|call| call.name.to_owned())
            .collect(),
        callbacks: exchange.timeline().callbacks(),
        fuel: exchange.cost().fuel,
        timeline,
    }
}

fn access(exchange: &Exchange, ended: &Ended) -> Option<Access> {
    if *ended == Ended::Held || (is_under_way(exchange) && *ended != Ended::Abandoned) {
        return None;
    }
    Some(Access {
        status: exchange.response_code(),
        details: exchange.details().map(str::to_owned),
        flags: exchange.flags().to_string(),
    })
}
