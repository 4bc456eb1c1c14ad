mod cluster;
mod entries;
mod tcp;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use attache_harness::EnvoyVersion;

use crate::file::Metadata;

pub(crate) use cluster::{Cluster, ClusterKind, Grpc, GrpcPart, GrpcStatus};
pub(crate) use entries::{Entries, Service};
pub(crate) use tcp::{TcpEnds, TcpFault, TcpStep, TcpUpstream};

/// One play: filters, requests, and what the upstream answers.
#[derive(Clone, Debug)]
pub struct Case {
    pub(crate) filters: Vec<Filter>,
    pub(crate) entries: Entries,
    pub(crate) steps: Vec<Step>,
    pub(crate) answer: Reply,
    /// What the upstream does if the filters are of TCP.
    pub(crate) tcp: Option<TcpUpstream>,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    pub(crate) buffer_limit: Option<u32>,
    /// What requests over HTTP/1.1 may ask an upgrade to.
    pub(crate) upgrades: Vec<String>,
    /// The `filter_metadata` of the route.
    pub(crate) route_metadata: Metadata,
    pub(crate) workers: u32,
    pub(crate) protocols: Protocols,
    /// Gauges to be read in the end, by their names without `wasmcustom.`.
    pub(crate) gauges: Vec<String>,
    /// Counters to be told even if they do not grow, likewise.
    pub(crate) counters: Vec<String>,
    /// Histograms of which the number of values is told, likewise.
    pub(crate) histograms: Vec<String>,
    /// Whether the log is looked at from the start of the plugins on, rather than from the first step.
    pub(crate) log_from_start: bool,
    /// The Envoy that the harness plays.
    pub(crate) envoy: EnvoyVersion,
}

/// One thing that happens in a play.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Request(Box<Request>),
    Wait(Duration),
    /// The client of the request of this number goes away.
    Disconnect(usize),
    /// That of one that asked for an upgrade sends bytes.
    Send(usize, Vec<u8>),
    Tcp(TcpStep),
    /// A plugin is replaced by one of the same name.
    Reload(Box<Filter>),
}

/// A filter in the chain. Those of one vm_id, module and VM configuration share a VM.
#[derive(Clone, Debug)]
pub struct Filter {
    pub(crate) name: String,
    pub(crate) root_id: String,
    pub(crate) vm_id: String,
    pub(crate) module: PathBuf,
    pub(crate) configuration: Option<String>,
    pub(crate) vm_configuration: Option<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) policy: Policy,
    pub(crate) allow_on_headers_stop_iteration: bool,
    /// What its VM may use; everything where it is empty.
    pub(crate) allowed_capabilities: BTreeSet<String>,
}

/// What becomes of streams once a VM has failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Policy {
    Closed,
    Open,
    Reload,
}

/// A request, byte for byte.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) headers: Vec<HeaderLine>,
    pub(crate) body: Body,
    pub(crate) trailers: Vec<HeaderLine>,
    /// What the upstream answers, if not what it answers to the others.
    pub(crate) answer: Option<Reply>,
    /// The request before it on its client connection.
    pub(crate) follows: Option<usize>,
    after: Duration,
    abandoned: bool,
}

/// A name and a value.
pub(crate) type HeaderLine = (Vec<u8>, Vec<u8>);

/// What the two peers of Envoy speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Protocols {
    pub(crate) downstream: Protocol,
    pub(crate) upstream: Protocol,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Protocol {
    #[default]
    Http1,
    Http2,
}

/// What goes wrong at a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Nobody listens.
    Refused,
    /// It takes the request and closes the connection.
    Closed,
    /// It takes the request and resets the stream, over HTTP/2.
    Reset,
    /// It answers what is not HTTP.
    Malformed,
    /// It never answers.
    Never,
    /// Its body ends before its end.
    Cut,
}

/// How a body is sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Body {
    #[default]
    None,
    /// With its `content-length`.
    Whole(Vec<u8>),
    Chunks(Vec<Vec<u8>>),
}

/// What a server answers.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<HeaderLine>,
    pub(crate) body: Body,
    pub(crate) trailers: Vec<HeaderLine>,
    pub(crate) after: Duration,
    pub(crate) fault: Option<Fault>,
    /// What is sent for each piece that arrives behind an upgrade.
    pub(crate) each: Option<Vec<u8>>,
}

impl Case {
    /// A case of one filter, without requests, with an upstream that answers 200 and nothing else.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Self {
            filters: vec![filter],
            entries: Entries::default(),
            steps: Vec::new(),
            answer: Reply::new(200),
            tcp: None,
            clusters: BTreeMap::new(),
            buffer_limit: None,
            upgrades: Vec::new(),
            route_metadata: Metadata::new(),
            workers: 1,
            protocols: Protocols::default(),
            gauges: Vec::new(),
            counters: Vec::new(),
            histograms: Vec::new(),
            log_from_start: false,
            envoy: EnvoyVersion::default(),
        }
    }

    /// Whether a plugin of this name is replaced.
    pub(crate) fn reloads(&self, name: &str) -> bool {
        let own = |step: &Step| matches!(step, Step::Reload(filter) if filter.name == name);
        self.steps.iter().any(own)
    }

    /// All plugins, wherever they stand, and those that replace them.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = &Filter> {
        let reloaded = self.steps.iter().filter_map(|step| match step {
            Step::Reload(filter) => Some(&**filter),
            _ => None,
        });
        let entries = self.entries.plugins();
        self.filters.iter().chain(entries).chain(reloaded)
    }

    /// The same, in the same order.
    pub(crate) fn plugins_mut(&mut self) -> impl Iterator<Item = &mut Filter> {
        let reloaded = self.steps.iter_mut().filter_map(|step| match step {
            Step::Reload(filter) => Some(&mut **filter),
            _ => None,
        });
        let entries = self.entries.plugins_mut();
        self.filters.iter_mut().chain(entries).chain(reloaded)
    }

    /// Adds a filter after those that are there.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Adds a request. It begins once the one before has come as far as it can: to its end, or to
    /// where a filter holds it. On the harness all requests meet the first worker; on Envoy they meet
    /// any, where a suite asks for several.
    #[must_use]
    pub fn request(mut self, request: Request) -> Self {
        let number = self.requests().count();
        let (after, abandoned) = (request.after, request.abandoned);
        if !after.is_zero() {
            self.steps.push(Step::Wait(after));
        }
        self.steps.push(Step::Request(Box::new(request)));
        if abandoned {
            self.steps.push(Step::Disconnect(number));
        }
        self
    }

    /// Sets what the upstream answers.
    #[must_use]
    pub fn answer(mut self, answer: Reply) -> Self {
        self.answer = answer;
        self
    }

    /// Adds a cluster that filters may call out to, and what it answers.
    #[must_use]
    pub fn cluster(mut self, name: impl Into<String>, answer: Reply) -> Self {
        self.clusters.insert(name.into(), Cluster::http1(answer));
        self
    }

    pub(crate) fn requests(&self) -> impl Iterator<Item = &Request> {
        self.steps.iter().filter_map(|step| match step {
            Step::Request(request) => Some(&**request),
            _ => None,
        })
    }

    /// Whether another request is to come on the connection of the one of this number.
    pub(crate) fn is_followed(&self, number: usize) -> bool {
        self.requests()
            .any(|request| request.follows == Some(number))
    }

    /// What the upstream answers to the request of this number.
    pub(crate) fn answer_to(&self, number: usize) -> &Reply {
        let own = self.requests().nth(number);
        own.and_then(|request| request.answer.as_ref())
            .unwrap_or(&self.answer)
    }

    /// How long clients wait in the end for servers that think, one after the other.
    pub(crate) fn patience(&self) -> Duration {
        let times = || self.answers().map(|answer| answer.after);
        let sum = times().fold(Duration::ZERO, Duration::saturating_add);
        let longest = times().max().unwrap_or_default();
        sum.min(MOST_PATIENCE).max(longest)
    }

    /// All that servers answer in it.
    pub(crate) fn answers(&self) -> impl Iterator<Item = &Reply> {
        self.own_answers().chain(self.cluster_answers())
    }

    /// All that clusters beside the upstream answer.
    pub(crate) fn cluster_answers(&self) -> impl Iterator<Item = &Reply> {
        self.clusters.values().map(|cluster| &cluster.answer)
    }

    /// All that the upstream answers in it.
    pub(crate) fn own_answers(&self) -> impl Iterator<Item = &Reply> {
        let own = self
            .requests()
            .filter_map(|request| request.answer.as_ref());
        own.chain([&self.answer])
    }

    /// Whether nobody listens at the upstream.
    pub(crate) fn is_refused(&self) -> bool {
        match &self.tcp {
            Some(upstream) => upstream.fault == Some(TcpFault::Refused),
            None => self.answer.fault == Some(Fault::Refused),
        }
    }

    /// The header by which a request is known again at the upstream, where there are several.
    pub(crate) fn mark(&self, number: usize) -> Option<HeaderLine> {
        let several = self.requests().nth(1).is_some();
        several.then(|| (MARK.as_bytes().to_vec(), number.to_string().into_bytes()))
    }
}

/// So long are servers waited for that think one after the other, unless one alone takes longer.
const MOST_PATIENCE: Duration = Duration::from_secs(60);

/// See [`Case::mark`].
pub(crate) const MARK: &str = "x-case-request";

impl Filter {
    /// A filter from a module, without configuration; its name is also its root id and its vm_id. Its
    /// VM is started anew after a failure.
    pub fn new(name: impl Into<String>, module: impl Into<PathBuf>) -> Self {
        let name = name.into();
        Self {
            root_id: name.clone(),
            vm_id: name.clone(),
            name,
            module: module.into(),
            configuration: None,
            vm_configuration: None,
            environment: BTreeMap::new(),
            policy: Policy::Reload,
            allow_on_headers_stop_iteration: false,
            allowed_capabilities: BTreeSet::new(),
        }
    }

    /// Sets the plugin configuration.
    #[must_use]
    pub fn configured(mut self, configuration: impl Into<String>) -> Self {
        self.configuration = Some(configuration.into());
        self
    }

    /// Sets Envoy's `allow_on_headers_stop_iteration`.
    #[must_use]
    pub fn allow_on_headers_stop_iteration(mut self) -> Self {
        self.allow_on_headers_stop_iteration = true;
        self
    }
}

impl Request {
    /// A request of this method for this target, over HTTP/1.1 to `example.com`.
    pub fn new(method: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Body::None,
            trailers: Vec::new(),
            answer: None,
            follows: None,
            after: Duration::ZERO,
            abandoned: false,
        }
    }

    /// Lets time pass before the request begins.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    /// Lets the client go away once the request has come as far as it can.
    #[must_use]
    pub fn abandoned(mut self) -> Self {
        self.abandoned = true;
        self
    }

    /// `GET target`
    pub fn get(target: impl Into<Vec<u8>>) -> Self {
        Self::new("GET", target)
    }

    /// `POST target`
    pub fn post(target: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target)
    }

    /// Adds a header line as it is: any case, any bytes, any repetition.
    #[must_use]
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a piece to the body, which is sent chunked.
    #[must_use]
    pub fn chunk(mut self, piece: impl Into<Vec<u8>>) -> Self {
        self.body.push(piece.into());
        self
    }

    /// Adds a trailer, after the chunks.
    #[must_use]
    pub fn trailer(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }

    /// Whether the client asks for an upgrade.
    pub(crate) fn asks_for_upgrade(&self) -> bool {
        let named = |(name, _): &HeaderLine| name.eq_ignore_ascii_case(b"upgrade");
        self.headers.iter().any(named)
    }

    /// Whether the client says which host it asks.
    pub(crate) fn names_host(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(b"host"))
    }
}

impl Reply {
    /// A reply of this status without headers and without a body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::None,
            trailers: Vec::new(),
            after: Duration::ZERO,
            fault: None,
            each: None,
        }
    }

    /// The same reply with one header more.
    #[must_use]
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same reply with another body, sent with its length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Whole(body.into());
        self
    }

    /// The same reply with another piece of body, sent chunked.
    #[must_use]
    pub fn chunk(mut self, piece: impl Into<Vec<u8>>) -> Self {
        self.body.push(piece.into());
        self
    }

    /// The same reply with one trailer more, which makes it chunked.
    #[must_use]
    pub fn trailer(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }
}

impl Body {
    fn push(&mut self, piece: Vec<u8>) {
        match self {
            Self::Chunks(chunks) => chunks.push(piece),
            Self::None => *self = Self::Chunks(vec![piece]),
            Self::Whole(whole) => *self = Self::Chunks(vec![std::mem::take(whole), piece]),
        }
    }

    /// The pieces in which it is sent, none of them empty, and whether it is chunked: a body with
    /// trailers always is.
    pub(crate) fn pieces(&self, with_trailers: bool) -> (Vec<&[u8]>, bool) {
        let (pieces, chunked): (Vec<&[u8]>, bool) = match self {
            Self::None => (Vec::new(), false),
            Self::Whole(whole) => (vec![whole], false),
            Self::Chunks(chunks) => (chunks.iter().map(Vec::as_slice).collect(), true),
        };
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        (pieces.collect(), chunked || with_trailers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(seconds: u64) -> Reply {
        Reply {
            after: Duration::from_secs(seconds),
            ..Reply::new(200)
        }
    }

    #[test]
    fn servers_that_think_one_after_the_other_are_waited_for_in_turn() {
        let mut case = Case::new(Filter::new("a", "a.wasm")).answer(slow(3));
        assert_eq!(case.patience(), Duration::from_secs(3));
        case = case.cluster("one", slow(4));
        case = case.cluster("two", slow(5));
        assert_eq!(case.patience(), Duration::from_secs(12));
        case = case.cluster("two", slow(58));
        assert_eq!(case.patience(), MOST_PATIENCE);
        case = case.cluster("two", slow(70));
        assert_eq!(case.patience(), Duration::from_secs(70));
        case = case.cluster("two", slow(u64::MAX));
        assert_eq!(case.patience(), Duration::from_secs(u64::MAX));
    }
}
