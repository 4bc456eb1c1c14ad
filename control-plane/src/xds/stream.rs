use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{ControlPlane, Node as EnvoyNode};
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::machine::{Event, Node, StreamId};
use crate::mailbox::Parcel;
use crate::plane::Plane;
use crate::resource::{TYPE_URL, resource};

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
    address: String,
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
    let (id, mailbox) = plane.open_stream();
    plane.tell(Event::Connected { stream: id, node });
    let mut stream = Stream {
        plane: Arc::clone(&plane),
        id,
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
        self.last_nonce += 1;
        let response = DiscoveryResponse {
            version_info: parcel.generation.to_string(),
            resources: vec![resource(&parcel.rollout, parcel.generation)],
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
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(None),
        }
    }
}

fn node_of(node: Option<&EnvoyNode>, address: String) -> Node {
    let Some(node) = node else {
        return Node::new("", "", address);
    };
    let own = node
        .metadata
        .as_ref()
        .and_then(|all| all.fields.get("attache"));
    let group = match own.and_then(|value| value.kind.as_ref()) {
        Some(Kind::StructValue(own)) => text(own, "group"),
        _ => None,
    };
    let cut = |text: &str| text.chars().take(LONGEST_NAME).collect::<String>();
    Node::new(cut(&node.id), cut(group.unwrap_or(&node.cluster)), address)
}

fn text<'s>(own: &'s Struct, name: &str) -> Option<&'s str> {
    match own.fields.get(name) {
        Some(Value {
            kind: Some(Kind::StringValue(text)),
        }) => Some(text),
        _ => None,
    }
}
