//! What is known of a stream: what was seen of its request, and what Envoy tells at its end.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use attache::foreign::Expression;
use attache::properties::{Property, connection, metadata, request, response, upstream, xds};
use attache::{Request, Timestamp};

use crate::config::Config;
use crate::declaration::Declaration;
use crate::expression::{Kind, Path};
use crate::flags;
use crate::grpc::{Messages, is_grpc};
use crate::identity::Identity;
use crate::labels::{End, Fact};
use crate::templates::Templates;

/// How many clusters are remembered with their services.
const CLUSTERS: usize = 256;

/// The methods that a label says (RFC 9110, 9.3; RFC 5789): a client can make up others.
const METHODS: [&[u8]; 9] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH",
];

/// What streams are judged by.
#[derive(Debug)]
pub(crate) struct Surroundings {
    templates: Option<Templates>,
    on_miss: Option<String>,
    /// The hosts that a label may say, in lower case.
    hosts: Vec<String>,
    has_code_classes: bool,
    identity: Identity,
    /// Services by the cluster that a route names.
    services: RefCell<Vec<(String, Rc<Service>)>>,
}

/// What the metadata of a cluster say of its service.
#[derive(Debug, Default)]
struct Service {
    host: String,
    name: String,
}

/// What was seen of a request when it came.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) is_grpc: bool,
    /// Which template fits its path.
    template: Option<usize>,
    /// Which of the hosts it asks.
    host: Option<usize>,
    /// The messages that have come, and gone back.
    pub(crate) asked: Messages,
    pub(crate) answered: Messages,
    /// When messages were counted last, or the first of them came.
    counted: Cell<Option<Timestamp>>,
}

impl Seen {
    /// Whether messages have been uncounted for so long.
    pub(crate) fn is_due(&self, period: Duration) -> bool {
        if period.is_zero() {
            return false;
        }
        let Ok(now) = Timestamp::now() else {
            return false;
        };
        let since = self.counted.get().map(|counted| now.since(counted));
        let is_due = since.is_some_and(|since| since >= period);
        if since.is_none() || is_due {
            self.counted.set(Some(now));
        }
        is_due
    }
}

/// When a stream is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    /// While it lasts.
    Meanwhile,
    /// At its end.
    End,
}

/// What is found out for a label.
#[derive(Debug)]
pub(crate) enum Read {
    Fact(Fact),
    PathTemplate,
    Property(Property<Vec<u8>>, Path),
    Evaluated(Rc<Expression>, Kind),
}

impl Read {
    pub(crate) fn property(path: &Path) -> Self {
        let parts: Vec<&str> = path.bytes.split('\0').collect();
        Self::Property(Property::at(&parts), path.clone())
    }
}

impl PartialEq for Read {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fact(own), Self::Fact(others)) => own == others,
            (Self::PathTemplate, Self::PathTemplate) => true,
            (Self::Property(_, own), Self::Property(_, others)) => own == others,
            (Self::Evaluated(own, _), Self::Evaluated(others, _)) => own == others,
            _ => false,
        }
    }
}

impl Surroundings {
    pub(crate) fn new(config: Config, declaration: Declaration, identity: Identity) -> Self {
        let hosts = config
            .host_header
            .map(|hosts| hosts.allow)
            .unwrap_or_default();
        Self {
            templates: declaration.names_paths().then_some(declaration.templates),
            on_miss: declaration.on_miss,
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            has_code_classes: config.response_code_class,
            identity,
            services: RefCell::default(),
        }
    }

    /// Looks at a request before others change it.
    pub(crate) fn see(&self, request: &Request) -> Seen {
        let content_types = request.headers().all("content-type");
        self.seen(
            content_types.first().is_some_and(|kind| is_grpc(kind)),
            request.path().as_bytes(),
            request.authority(),
        )
    }

    /// What can be said at the end of a stream that was never seen.
    fn see_late(&self) -> Seen {
        let text = |property: &Property<Vec<u8>>| property.get().ok().flatten().unwrap_or_default();
        let path = self.templates.as_ref().map(|_| text(&request::PATH));
        let host = (!self.hosts.is_empty()).then(|| text(&request::HOST));
        self.seen(
            is_grpc(&text(&request::header("content-type"))),
            &path.unwrap_or_default(),
            &host.unwrap_or_default(),
        )
    }

    fn seen(&self, is_grpc: bool, path: &[u8], host: &[u8]) -> Seen {
        let templates = self.templates.as_ref();
        Seen {
            is_grpc,
            template: templates.and_then(|templates| templates.position(path)),
            host: self.host(host),
            asked: Messages::default(),
            answered: Messages::default(),
            counted: Cell::default(),
        }
    }

    fn host(&self, host: &[u8]) -> Option<usize> {
        let name = host.split(|&byte| byte == b':').next()?;
        self.hosts
            .iter()
            .position(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }

    fn service(&self, cluster: &str) -> Rc<Service> {
        let mut services = self.services.borrow_mut();
        if let Some((_, service)) = services.iter().find(|(known, _)| known == cluster) {
            return Rc::clone(service);
        }
        let field = |name: &str| {
            let list = metadata::cluster::<Vec<u8>>("istio", "services");
            let field = list.child::<Vec<u8>>("0").child::<String>(name);
            field.get().ok().flatten().unwrap_or_default()
        };
        let (host, mut name) = (field("host"), field("name"));
        if name.is_empty() {
            host.split('.')
                .next()
                .unwrap_or_default()
                .clone_into(&mut name);
        }
        let service = Rc::new(Service { host, name });
        if services.len() >= CLUSTERS {
            services.clear();
        }
        services.push((cluster.to_owned(), Rc::clone(&service)));
        service
    }
}

/// Reads what Envoy knows of a stream at its end, each thing once.
pub(crate) struct Reader<'a> {
    surroundings: &'a Surroundings,
    seen: Result<&'a Seen, Seen>,
    end: End,
    moment: Moment,
    peer: OnceCell<Vec<u8>>,
    cluster: OnceCell<String>,
    service: OnceCell<Rc<Service>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        surroundings: &'a Surroundings,
        seen: Option<&'a Seen>,
        end: End,
        moment: Moment,
    ) -> Self {
        Self {
            surroundings,
            seen: seen.ok_or_else(|| surroundings.see_late()),
            end,
            moment,
            peer: OnceCell::new(),
            cluster: OnceCell::new(),
            service: OnceCell::new(),
        }
    }

    fn seen(&self) -> &Seen {
        match &self.seen {
            Ok(seen) => seen,
            Err(late) => late,
        }
    }

    /// Whether a template names the path.
    pub(crate) fn names_path(&self) -> bool {
        self.seen().template.is_some()
    }

    /// The value of a label; `None` where the request does not count.
    pub(crate) fn value(&self, read: &Read) -> Option<Vec<u8>> {
        let value = match read {
            Read::Fact(fact) => self.fact(*fact),
            Read::PathTemplate => {
                let templates = self.surroundings.templates.as_ref();
                let position = self.seen().template;
                let text = position.and_then(|position| templates?.text(position));
                text.or(self.surroundings.on_miss.as_deref())?.into()
            }
            Read::Property(property, path) => shown(path.kind, property.get().ok()),
            Read::Evaluated(expression, kind) => shown(*kind, expression.evaluate().ok()),
        };
        Some(value)
    }

    /// How long it took, in milliseconds.
    pub(crate) fn duration(&self) -> Option<u64> {
        let duration = request::DURATION.get().ok()??;
        u64::try_from(duration.as_millis()).ok()
    }

    /// Bytes of headers, body and trailers that came.
    pub(crate) fn request_bytes(&self) -> Option<u64> {
        u64::try_from(request::TOTAL_SIZE.get().ok()??).ok()
    }

    /// Bytes of headers, body and trailers that went back.
    pub(crate) fn response_bytes(&self) -> Option<u64> {
        u64::try_from(response::TOTAL_SIZE.get().ok()??).ok()
    }

    /// Messages of a gRPC call.
    pub(crate) fn messages(&self, of: impl FnOnce(&Seen) -> &Messages) -> Option<u64> {
        let seen = self.seen();
        seen.is_grpc.then(|| of(seen).take())
    }

    fn fact(&self, fact: Fact) -> Vec<u8> {
        match fact {
            Fact::PeerWorkload => self.peer(0),
            Fact::PeerNamespace => self.peer(1),
            Fact::PeerCanonicalService => self.peer(2),
            Fact::PeerCanonicalRevision => match self.peer(3) {
                unknown if unknown == UNKNOWN => b"latest".to_vec(),
                revision => revision,
            },
            Fact::PeerCluster => self.peer(4),
            Fact::ClientPrincipal => bytes(&connection::URI_SAN_PEER_CERTIFICATE),
            Fact::OwnPrincipal => text(&connection::URI_SAN_LOCAL_CERTIFICATE),
            Fact::UpstreamPrincipal => bytes(&upstream::URI_SAN_PEER_CERTIFICATE),
            Fact::OwnUpstreamPrincipal => text(&upstream::URI_SAN_LOCAL_CERTIFICATE),
            Fact::Service => self.service_or(|service| &service.host),
            Fact::ServiceName => self.service_or(|service| &service.name),
            Fact::Protocol if self.seen().is_grpc => b"grpc".to_vec(),
            Fact::Protocol => b"http".to_vec(),
            Fact::Code => code(
                response::CODE.get().ok().flatten(),
                self.surroundings.has_code_classes,
            ),
            // Without a status the call is one of unknown outcome: 2.
            Fact::GrpcStatus if self.seen().is_grpc && self.moment == Moment::End => {
                let status = response::GRPC_STATUS.get().ok().flatten();
                status.unwrap_or(2).to_string().into_bytes()
            }
            Fact::GrpcStatus => Vec::new(),
            Fact::Flags => {
                let bits = response::FLAGS.get().ok().flatten();
                let bits = bits.and_then(|bits| u64::try_from(bits).ok());
                flags::names(bits.unwrap_or_default()).into_bytes()
            }
            Fact::Security => match connection::MTLS.get() {
                Ok(Some(true)) => b"mutual_tls".to_vec(),
                Ok(_) => b"none".to_vec(),
                Err(_) => UNKNOWN.to_vec(),
            },
        }
    }

    /// A part of what Istio says of the host: workload, namespace, canonical service, canonical
    /// revision, cluster.
    fn peer(&self, part: usize) -> Vec<u8> {
        let workload = self.peer.get_or_init(|| {
            let workload = metadata::upstream_host::<Vec<u8>>("istio", "workload");
            workload.get().ok().flatten().unwrap_or_default()
        });
        let mut parts = workload.split(|&byte| byte == b';');
        or_unknown(parts.nth(part).unwrap_or_default().to_vec())
    }

    /// What the cluster's metadata say; or the host that was asked for, where that is allowed; or the
    /// name of the service that this proxy stands beside, or of the cluster.
    fn service_or(&self, part: impl FnOnce(&Service) -> &String) -> Vec<u8> {
        let cluster = self
            .cluster
            .get_or_init(|| xds::CLUSTER_NAME.get().ok().flatten().unwrap_or_default());
        let service = self.service.get_or_init(|| match cluster.as_str() {
            "" => Rc::default(),
            cluster => self.surroundings.service(cluster),
        });
        let host = self.seen().host;
        let host = host.and_then(|host| self.surroundings.hosts.get(host));
        let own = match self.end {
            End::Source => "",
            End::Destination => self.surroundings.identity.service(),
        };
        let host = host.map_or("", String::as_str);
        let candidates = [part(service), host, own, cluster];
        let known = candidates.into_iter().find(|name| !name.is_empty());
        known.map_or_else(|| UNKNOWN.to_vec(), |name| name.as_bytes().to_vec())
    }
}

/// What stands for what is not known.
const UNKNOWN: &[u8] = b"unknown";

fn or_unknown(value: Vec<u8>) -> Vec<u8> {
    if value.is_empty() {
        UNKNOWN.to_vec()
    } else {
        value
    }
}

fn bytes(property: &Property<Vec<u8>>) -> Vec<u8> {
    or_unknown(property.get().ok().flatten().unwrap_or_default())
}

fn text(property: &Property<String>) -> Vec<u8> {
    or_unknown(
        property
            .get()
            .ok()
            .flatten()
            .unwrap_or_default()
            .into_bytes(),
    )
}

/// A status, or its class; what is none is 0.
fn code(code: Option<i64>, as_class: bool) -> Vec<u8> {
    match code.filter(|code| (100..600).contains(code)) {
        Some(code) if as_class => format!("{}xx", code / 100).into_bytes(),
        Some(code) => code.to_string().into_bytes(),
        None => b"0".to_vec(),
    }
}

/// As a label shows it.
fn shown(kind: Kind, bytes: Option<Option<Vec<u8>>>) -> Vec<u8> {
    let text = bytes.flatten().and_then(|bytes| print(kind, bytes));
    or_unknown(text.unwrap_or_default())
}

/// What a label says for the bytes of a property.
fn print(kind: Kind, bytes: Vec<u8>) -> Option<Vec<u8>> {
    let number = || Some(i64::from_le_bytes(bytes.as_slice().try_into().ok()?));
    Some(match kind {
        Kind::Text => bytes,
        Kind::Method if METHODS.contains(&bytes.as_slice()) => bytes,
        Kind::Method => b"_OTHER".to_vec(),
        Kind::Number => number()?.to_string().into_bytes(),
        Kind::Status => code(number(), false),
        Kind::Flags => flags::names(u64::try_from(number()?).ok()?).into_bytes(),
        Kind::Truth => match bytes.as_slice() {
            [0] => b"false".to_vec(),
            [1] => b"true".to_vec(),
            _ => return None,
        },
        Kind::Time => (number()? / 1_000_000).to_string().into_bytes(),
    })
}

#[cfg(test)]
mod tests;
