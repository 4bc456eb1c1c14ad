//! From what a file says to what is played.

mod cluster;
mod message;
mod metadata;
mod plugin;
mod reload;
mod tcp;
mod visible;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use attache_harness::EnvoyVersion;

use crate::case::{Case, Cluster, Protocol, Protocols, Reply, Step, TcpUpstream};
use crate::file::{
    CaseExpect, CaseFile, ConnectionExpect, FaultFile, LogFromFile, Matcher, ProtocolFile,
    ProtocolsFile, ReplyFile, StepFile, StreamExpect, SuiteFile,
};
use crate::report::End;
use crate::yaml::{Fault, nearest};
use cluster::clusters;
use message::{reply, request};
use plugin::Plugins;
use reload::Reloads;

/// So many workers may Envoy have: each has its own VM of every plugin.
const MOST_WORKERS: u32 = 64;

/// A case that is ready to be played but for its modules.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) covers: Vec<String>,
    /// Which of the file's cases it is.
    pub(crate) index: usize,
    /// Its modules are those of `sources`, and their paths not known yet.
    pub(crate) case: Case,
    pub(crate) sources: Vec<Source>,
    pub(crate) expect: CaseExpect,
    /// Whether it does not matter what else is expected but how the case ends.
    pub(crate) only_its_end: bool,
    /// One for each request.
    pub(crate) streams: Vec<PlannedStream>,
    /// One for each TCP connection.
    pub(crate) connections: Vec<PlannedConnection>,
    /// One for each time that a plugin is replaced.
    pub(crate) reloads: Vec<PlannedReload>,
}

/// Where a module comes from.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Source {
    Package(String),
    File(PathBuf),
}

/// What is expected of one request.
#[derive(Clone, Debug)]
pub(crate) struct PlannedStream {
    pub(crate) expect: StreamExpect,
    /// The step that it begins with; none in a case of one request.
    pub(crate) step: Option<usize>,
    /// Whether its client goes away.
    pub(crate) abandoned: bool,
}

/// What is expected when a plugin is replaced.
#[derive(Clone, Debug)]
pub(crate) struct PlannedReload {
    /// What a line is like that says why it is refused; none if it is not to be.
    pub(crate) refused: Option<Matcher>,
    /// The step that it is.
    pub(crate) step: usize,
}

/// What is expected of one TCP connection.
#[derive(Clone, Debug)]
pub(crate) struct PlannedConnection {
    pub(crate) expect: ConnectionExpect,
    /// The step that it begins with.
    pub(crate) step: usize,
}

impl Plan {
    /// The plans of all cases; `folder` is the file's, if modules are looked for there.
    pub(crate) fn all(file: &SuiteFile, folder: Option<&Path>) -> Result<Vec<Self>, Fault> {
        let mut names = BTreeMap::new();
        let mut plans = Vec::new();
        if file.cases.is_empty() {
            return Err(Fault::new("expected at least one case").under("cases"));
        }
        sound(file, folder)?;
        for (index, case) in file.cases.iter().enumerate() {
            if let (None, Some(upstream)) = (&case.upstream, &file.upstream) {
                speakable(upstream, protocols(file, case).upstream)
                    .map_err(|fault| fault.under("upstream"))?;
            }
            let plan = Self::new(file, index, folder)
                .and_then(|plan| match names.insert(case.name.clone(), index) {
                    None => Ok(plan),
                    Some(first) => Err(Fault::new(format!(
                        "`cases[{first}]` has this name already; give each case its own"
                    ))
                    .under("name")),
                })
                .map_err(|fault| fault.within(index).under("cases"))?;
            plans.push(plan);
        }
        Ok(plans)
    }

    fn new(file: &SuiteFile, index: usize, folder: Option<&Path>) -> Result<Self, Fault> {
        let case = &file.cases[index];
        let mut plugins = Plugins::of(file, case, folder)?;
        let mut reloads = Reloads::new(&plugins, folder);
        let protocols = protocols(file, case);
        let tcp = case.tcp.as_ref().or(file.tcp.as_ref());
        reusable(case, protocols.downstream)?;
        let mut connections = Vec::new();
        let (steps, streams) = if tcp.is_some() && !no_steps(case) {
            let (steps, planned) = tcp::steps(case)?;
            connections = planned;
            (steps, Vec::new())
        } else {
            steps(case, protocols.upstream, &mut reloads)?
        };
        plugins.sources.append(&mut reloads.sources);
        let tcp = tcp.map(tcp::upstream).transpose();
        let tcp = tcp.map_err(|fault| fault.under("tcp"))?;
        let answer = case.upstream.as_ref().or(file.upstream.as_ref());
        if let Some(upstream) = &case.upstream {
            speakable(upstream, protocols.upstream).map_err(|fault| fault.under("upstream"))?;
        }
        let mut answers = clusters(&file.clusters)?;
        answers.extend(clusters(&case.clusters)?);
        if let Some(tcp) = &tcp {
            apart(tcp, &answers)?;
        }
        let expect = case.expect.clone().unwrap_or_default();
        alone(&expect)?;
        visible::check(case, &plugins.names(), &answers)?;
        let protocols = Protocols {
            downstream: protocol(protocols.downstream),
            upstream: protocol(protocols.upstream),
        };
        let route_metadata = case.route_metadata.as_ref();
        let upgrades = case.upgrades.as_ref().unwrap_or(&file.upgrades);
        let http1 = Protocols::default();
        if protocols != http1 && !upgrades.is_empty() {
            let reason = "a connection is upgraded over HTTP/1.1 only; drop this or `protocols`";
            return Err(Fault::new(reason).under("upgrades"));
        }
        let limit = case.buffer_limit.or(file.buffer_limit);
        Ok(Self {
            name: case.name.clone(),
            covers: case.covers.clone(),
            index,
            case: Case {
                filters: plugins.filters,
                entries: plugins.entries,
                steps,
                answer: answer
                    .map_or_else(|| Ok(Reply::new(200)), reply)
                    .map_err(|fault| fault.under("upstream"))?,
                tcp,
                clusters: answers,
                buffer_limit: limit.map(std::num::NonZeroU32::get),
                upgrades: upgrades.clone(),
                route_metadata: route_metadata
                    .or(file.route_metadata.as_ref())
                    .map(metadata::as_envoy_reads)
                    .unwrap_or_default(),
                protocols,
                workers: file.workers.map_or(1, std::num::NonZeroU32::get),
                gauges: names(expect.gauges.as_ref()),
                counters: names(expect.counters.as_ref()),
                histograms: names(expect.histograms.as_ref()),
                log_from_start: case.log_from == LogFromFile::Start,
                envoy: EnvoyVersion::default(),
            },
            sources: plugins.sources,
            expect,
            only_its_end: false,
            streams,
            connections,
            reloads: reloads.planned,
        })
    }

    /// Expects that the case ends like this, and nothing else.
    pub(crate) fn expect_only(&mut self, end: Option<End>) {
        let any = |of: End| (end == Some(of)).then(|| Matcher::Contains(Vec::new()));
        self.expect.refused = any(End::Refused);
        self.expect.crash = any(End::Crash);
        self.expect.stopped = any(End::Stopped);
        self.only_its_end = true;
    }
}

/// Whether a case has none because its chain is refused.
fn no_steps(case: &CaseFile) -> bool {
    case.request.is_none() && case.steps.is_none()
}

/// What is wrong with what stands for the whole suite is said once, where it stands.
fn sound(file: &SuiteFile, folder: Option<&Path>) -> Result<(), Fault> {
    if file
        .workers
        .is_some_and(|workers| workers.get() > MOST_WORKERS)
    {
        let reason = format!("expected at most {MOST_WORKERS} workers");
        return Err(Fault::new(reason).under("workers"));
    }
    plugin::sound(file, folder)?;
    let tcp = file.tcp.as_ref().map(tcp::upstream).transpose();
    let tcp = tcp.map_err(|fault| fault.under("tcp"))?;
    if let Some(upstream) = &file.upstream {
        reply(upstream).map_err(|fault| fault.under("upstream"))?;
    }
    let answers = clusters(&file.clusters)?;
    tcp.map_or(Ok(()), |tcp| apart(&tcp, &answers))
}

/// Refuses a cluster that answers calls and takes connections.
fn apart(tcp: &TcpUpstream, answers: &BTreeMap<String, Cluster>) -> Result<(), Fault> {
    let mut led_to = tcp.clusters.keys();
    let Some(name) = led_to.find(|name| answers.contains_key(*name)) else {
        return Ok(());
    };
    let reason = "a cluster of this name answers calls, under `clusters`; take another name";
    Err(Fault::new(reason)
        .under(name)
        .under("clusters")
        .under("tcp"))
}

fn protocols(file: &SuiteFile, case: &CaseFile) -> ProtocolsFile {
    case.protocols.or(file.protocols).unwrap_or_default()
}

/// Whether the fault can happen over this protocol.
fn speakable(answer: &ReplyFile, protocol: ProtocolFile) -> Result<(), Fault> {
    match (answer.fault, protocol) {
        (Some(FaultFile::Reset), ProtocolFile::Http1)
        | (Some(FaultFile::Closed | FaultFile::Malformed), ProtocolFile::Http2) => {
            let reason = "expected a fault of the protocol: `reset` is of HTTP/2 only, `closed` \
                          and `malformed` of HTTP/1.1 only";
            Err(Fault::new(reason).under("fault"))
        }
        _ => Ok(()),
    }
}

fn names(metrics: Option<&BTreeMap<String, u64>>) -> Vec<String> {
    metrics
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect()
}

fn protocol(file: ProtocolFile) -> Protocol {
    match file {
        ProtocolFile::Http1 => Protocol::Http1,
        ProtocolFile::Http2 => Protocol::Http2,
    }
}

/// A chain that does not start, a crash and a stop leave nothing else to see.
fn alone(expect: &CaseExpect) -> Result<(), Fault> {
    let other = expect.stream_key().or_else(|| {
        let log = expect.log.is_some() || expect.log_has.is_some() || expect.log_lacks.is_some();
        let metrics =
            expect.counters.is_some() || expect.gauges.is_some() || expect.histograms.is_some();
        if log {
            Some("log")
        } else if metrics {
            Some("counters")
        } else {
            expect.clusters.is_some().then_some("clusters")
        }
    });
    let mut ends = expect.ends().map(|(key, _)| key);
    let Some(word) = ends.next() else {
        return Ok(());
    };
    if let Some(second) = ends.next() {
        let reason = format!("`{word}` and `{second}` exclude each other");
        return Err(Fault::new(reason).under("expect"));
    }
    match other {
        Some(other) => Err(Fault::new(format!(
            "nothing else is seen with `{word}`; drop one of the two"
        ))
        .under(other)
        .under("expect")),
        None => Ok(()),
    }
}

fn steps(
    case: &CaseFile,
    upstream: ProtocolFile,
    reloads: &mut Reloads<'_>,
) -> Result<(Vec<Step>, Vec<PlannedStream>), Fault> {
    let request = match (&case.request, &case.steps) {
        (Some(request), None) => request,
        (None, Some(steps)) => {
            if let Some(key) = case.expect.as_ref().and_then(CaseExpect::stream_key) {
                let reason = "this is about one request; write it under the `expect` of its step";
                return Err(Fault::new(reason).under(key).under("expect"));
            }
            return play(steps, upstream, reloads).map_err(|fault| fault.under("steps"));
        }
        (None, None) => {
            // A chain that is refused needs no request.
            if case
                .expect
                .as_ref()
                .is_some_and(|expect| expect.refused.is_some())
            {
                return Ok((Vec::new(), Vec::new()));
            }
            return Err(Fault::new("expected `request`, or `steps`"));
        }
        (Some(_), Some(_)) => {
            return Err(Fault::new("expected either `request` or `steps`, not both"));
        }
    };
    let request = self::request(request, None).map_err(|fault| fault.under("request"))?;
    let stream = PlannedStream {
        expect: case
            .expect
            .as_ref()
            .map(CaseExpect::stream)
            .unwrap_or_default(),
        step: None,
        abandoned: false,
    };
    Ok((vec![Step::Request(Box::new(request))], vec![stream]))
}

fn play(
    written: &[StepFile],
    upstream: ProtocolFile,
    reloads: &mut Reloads<'_>,
) -> Result<(Vec<Step>, Vec<PlannedStream>), Fault> {
    let mut steps = Vec::new();
    let mut streams: Vec<PlannedStream> = Vec::new();
    let mut names: Vec<(&str, usize)> = Vec::new();
    let mut endless: Vec<bool> = Vec::new();
    let mut connections: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, step) in written.iter().enumerate() {
        let mut read = || -> Result<Step, Fault> {
            of_http(step)?;
            let only_with_request = [
                ("name", step.name.is_some()),
                ("connection", step.connection.is_some()),
                ("upstream", step.upstream.is_some()),
                ("expect", step.expect.is_some()),
            ];
            if let Some(key) = only_with_request
                .iter()
                .find_map(|(key, given)| given.then_some(*key))
                && step.request.is_none()
            {
                return Err(Fault::new("this belongs to a `request`").under(key));
            }
            let kinds = (&step.request, &step.wait, &step.disconnect, &step.reload);
            match (kinds, &step.send) {
                ((Some(asked), None, None, None), None) => {
                    if let Some(name) = &step.name {
                        names.push((name, streams.len()));
                    }
                    streams.push(PlannedStream {
                        expect: step.expect.clone().unwrap_or_default(),
                        step: Some(index),
                        abandoned: false,
                    });
                    let answer = step.upstream.as_ref();
                    let answer = answer
                        .map(|answer| own_answer(answer, upstream))
                        .transpose();
                    let answer = answer.map_err(|fault| fault.under("upstream"))?;
                    let mut request =
                        request(asked, answer).map_err(|fault| fault.under("request"))?;
                    if let Some(connection) = &step.connection {
                        request.follows = connections.insert(connection, streams.len() - 1);
                    }
                    endless.push(request.asks_for_upgrade());
                    Ok(Step::Request(Box::new(request)))
                }
                ((None, Some(time), None, None), None) => Ok(Step::Wait(time.0)),
                ((None, None, Some(name), None), None) => {
                    let number = named(name, &names, "request")
                        .map_err(|fault| fault.under("disconnect"))?;
                    // What came before stays where there is no other end.
                    streams[number].abandoned = !endless[number];
                    Ok(Step::Disconnect(number))
                }
                ((None, None, None, Some(reload)), None) => reloads
                    .step(index, reload)
                    .map_err(|fault| fault.under("reload")),
                ((None, None, None, None), Some(bytes)) => {
                    let number = match &step.to {
                        Some(name) => {
                            named(name, &names, "request").map_err(|fault| fault.under("to"))?
                        }
                        None => endless.len().saturating_sub(1),
                    };
                    if endless.get(number) != Some(&true) {
                        let reason = "only a request that asks for an `upgrade` sends more";
                        return Err(Fault::new(reason).under("send"));
                    }
                    Ok(Step::Send(number, bytes.0.clone()))
                }
                _ => Err(Fault::new(
                    "expected exactly one of `request`, `wait`, `send`, `disconnect` and `reload`",
                )),
            }
        };
        let step = read().map_err(|fault| fault.within(index))?;
        steps.push(step);
    }
    Ok((steps, streams))
}

/// Refuses connections of several requests where these need one each.
fn reusable(case: &CaseFile, downstream: ProtocolFile) -> Result<(), Fault> {
    let of_steps = case.steps.iter().flatten().enumerate();
    let mut shared = of_steps.filter(|(_, step)| step.connection.is_some());
    match shared.next() {
        Some((index, _)) if downstream == ProtocolFile::Http2 => {
            let reason = "over HTTP/2 each request has a connection of its own; drop this";
            Err(Fault::new(reason)
                .under("connection")
                .within(index)
                .under("steps"))
        }
        _ => Ok(()),
    }
}

/// Refuses what is of TCP.
fn of_http(step: &StepFile) -> Result<(), Fault> {
    let of_tcp = [
        ("connect", step.connect.is_some()),
        ("to", step.to.is_some() && step.send.is_none()),
        ("half_close", step.half_close.is_some()),
    ];
    match of_tcp.iter().find(|(_, given)| *given) {
        Some((key, _)) => {
            let reason = "this is of TCP, which the case or the suite asks for with `tcp`";
            Err(Fault::new(reason).under(key))
        }
        None => Ok(()),
    }
}

/// What is answered to one request.
fn own_answer(file: &ReplyFile, upstream: ProtocolFile) -> Result<Reply, Fault> {
    if file.fault == Some(FaultFile::Refused) {
        let reason = "nobody listens for one request alone: `refused` belongs to the `upstream` \
                      of the case";
        return Err(Fault::new(reason).under("fault"));
    }
    speakable(file, upstream)?;
    reply(file)
}

fn named(name: &str, known: &[(&str, usize)], what: &str) -> Result<usize, Fault> {
    if let Some((_, number)) = known.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let near = nearest(name, known.iter().map(|(name, _)| *name));
    let hint = near.map_or_else(
        || format!("give a {what} of a step before this `name`"),
        |near| format!("did you mean `{near}`?"),
    );
    Err(Fault::new(format!(
        "no {what} before is called `{name}`; {hint}"
    )))
}
