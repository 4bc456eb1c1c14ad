use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{ControlPlane, Node as EnvoyNode};
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::admin::{self, Counts};
use crate::machine::{Event, Node, StreamId};
use crate::mailbox::Parcel;
use crate::observer::Observer;
use crate::plane::Plane;
use crate::resource::TYPE_URL;

/// A peer has so long to say who it is.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// A peer that does not take what it is sent for so long is cut off; it may come again.
const SENDING: Duration = Duration::from_secs(30);
/// Names that one stream may ask for, and their length.
const MOST_NAMES: usize = 256;
const LONGEST_NAME: usize = 1_024;
/// Pushes that were not answered; Envoy answers each.
const MOST_UNANSWERED: usize = 64;

type Outbound = mpsc::Sender<Result<DiscoveryResponse, Status>>;

/// Attends to one stream until it ends.
pub(super) async fn run(
    plane: Arc<Plane>,
    address: Option<SocketAddr>,
    mut requests: Streaming<DiscoveryRequest>,
    outbound: Outbound,
) {
    let first = match timeout(FIRST_REQUEST, requests.message()).await {
        Ok(Ok(Some(first))) => first,
        Ok(_) => return,
        Err(_) => {
            let late = Status::deadline_exceeded("no request came");
            let _ = outbound.try_send(Err(late));
            return;
        }
    };
    let node = node_of(first.node.as_ref(), address);
    let admin = node.admin;
    let (id, mailbox) = plane.open_stream();
    plane.tell(Event::Connected { stream: id, node });
    let mut stream = Stream {
        plane: Arc::clone(&plane),
        id,
        admin,
        outbound,
        names: BTreeSet::new(),
        unanswered: BTreeMap::new(),
        last_nonce: 0,
    };
    let mut ended = stream.take(first);
    while ended.is_ok() {
        ended = tokio::select! {
            request = requests.message() => match request {
                Ok(Some(request)) => stream.take(request),
                Ok(None) | Err(_) => Err(None),
            },
            parcel = mailbox.next() => stream.send(parcel).await,
        };
    }
    if let Err(Some(status)) = ended {
        let _ = stream.outbound.try_send(Err(status));
    }
    plane.close_stream(id);
}

/// Why a stream ends; nothing if the peer is gone.
type End = Option<Status>;

struct Stream {
    plane: Arc<Plane>,
    id: StreamId,
    admin: Option<SocketAddr>,
    outbound: Outbound,
    names: BTreeSet<String>,
    /// What was sent under which nonce.
    unanswered: BTreeMap<u64, (String, u64)>,
    last_nonce: u64,
}

impl Stream {
    fn take(&mut self, request: DiscoveryRequest) -> Result<(), End> {
        if !request.type_url.is_empty() && request.type_url != TYPE_URL {
            let told = format!("`{}` is not offered, only `{TYPE_URL}`", request.type_url);
            return Err(Some(Status::invalid_argument(told)));
        }
        self.take_answer(&request);
        let holds = request.version_info.parse().ok();
        for name in request.resource_names {
            if name.len() > LONGEST_NAME || self.names.len() >= MOST_NAMES {
                let told = "too many names, or too long ones";
                return Err(Some(Status::resource_exhausted(told)));
            }
            if self.names.insert(name.clone()) {
                self.plane.tell(Event::Subscribed {
                    stream: self.id,
                    plugin: name,
                    holds,
                });
            }
        }
        Ok(())
    }

    /// What Envoy says to what it was sent; each answer names the nonce of what it answers.
    fn take_answer(&mut self, request: &DiscoveryRequest) {
        let nonce = request.response_nonce.parse::<u64>().ok();
        let Some((plugin, generation)) = nonce.and_then(|nonce| self.unanswered.remove(&nonce))
        else {
            return;
        };
        let stream = self.id;
        self.plane.tell(match &request.error_detail {
            None => Event::Acknowledged {
                stream,
                plugin,
                generation,
            },
            Some(error) => Event::Refused {
                stream,
                plugin,
                generation,
                reason: error.message.chars().take(1_000).collect(),
            },
        });
    }

    /// One resource in each response: an answer is about all of a response.
    async fn send(&mut self, parcel: Parcel) -> Result<(), End> {
        let before = match self.admin {
            Some(admin) => admin::read(admin, &parcel.rollout, parcel.generation).await,
            None => None,
        };
        self.last_nonce += 1;
        let response = DiscoveryResponse {
            version_info: parcel.generation.to_string(),
            resources: vec![parcel.resource()],
            type_url: TYPE_URL.to_owned(),
            nonce: self.last_nonce.to_string(),
            control_plane: Some(ControlPlane {
                identifier: "attache".to_owned(),
            }),
            ..DiscoveryResponse::default()
        };
        let plugin = parcel.rollout.plugin.clone();
        self.unanswered
            .insert(self.last_nonce, (plugin, parcel.generation));
        if self.unanswered.len() > MOST_UNANSWERED {
            self.unanswered.pop_first();
        }
        match timeout(SENDING, self.outbound.send(Ok(response))).await {
            Ok(Ok(())) => {
                self.observe(parcel, before);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(None),
        }
    }

    /// Has the Envoy watched from here on, if it could be asked where its counters stand.
    fn observe(&self, parcel: Parcel, before: Option<Counts>) {
        if let (Some(admin), Some(before)) = (self.admin, before) {
            let observer = Observer {
                plane: Arc::clone(&self.plane),
                stream: self.id,
                admin,
                rollout: parcel.rollout,
                generation: parcel.generation,
                before,
            };
            tokio::spawn(observer.run());
        }
    }
}

/// What a node says of itself under `attache` in its metadata: `group`, and `admin_port`, which is on the host
/// that it is connected from, so that nobody can have others asked.
fn node_of(node: Option<&EnvoyNode>, address: Option<SocketAddr>) -> Node {
    let shown = address.map_or_else(String::new, |address| address.to_string());
    let Some(node) = node else {
        return Node::new("", "", shown);
    };
    let fields = node.metadata.as_ref().map(|all| &all.fields);
    let own = fields.and_then(|fields| match fields.get("attache")?.kind.as_ref()? {
        Kind::StructValue(own) => Some(own),
        _ => None,
    });
    let value = |name: &str| own?.fields.get(name)?.kind.as_ref();
    let group = match value("group") {
        Some(Kind::StringValue(group)) => group,
        _ => &node.cluster,
    };
    let port = match value("admin_port") {
        Some(Kind::NumberValue(port)) => port.to_string().parse::<u16>().ok(),
        _ => None,
    };
    let admin = address.and_then(|address| Some(SocketAddr::new(address.ip(), port?)));
    let cut = |text: &str| text.chars().take(LONGEST_NAME).collect::<String>();
    Node::new(cut(&node.id), cut(group), shown).with_admin(admin)
}
