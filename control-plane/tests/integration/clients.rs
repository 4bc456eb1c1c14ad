//! Many clients of discovery, and bad ones. None of them is an Envoy, so that each does what it is told.

use std::net::SocketAddr;
use std::time::Instant;

use attache_control_plane::TYPE_URL;
use attache_control_plane::status::{EnvoyState, Phase, RolloutStatus};
use attache_control_plane::xds::{self, Limits};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::envoy::service::extension::v3::extension_config_discovery_service_client::ExtensionConfigDiscoveryServiceClient as Client;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::stage::{LIMIT, PLUGIN, Stage, module};

/// A stream that was opened like an Envoy's.
pub(crate) struct Stream {
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
}

impl Stream {
    pub(crate) async fn open(
        channel: Channel,
        node: &str,
        group: &str,
    ) -> Result<Self, tonic::Status> {
        let (requests, outbound) = mpsc::channel(4);
        let node = Node {
            id: node.to_owned(),
            cluster: group.to_owned(),
            ..Node::default()
        };
        let first = DiscoveryRequest {
            node: Some(node),
            resource_names: vec![PLUGIN.to_owned()],
            type_url: TYPE_URL.to_owned(),
            ..DiscoveryRequest::default()
        };
        requests.send(first).await.unwrap();
        let mut client = Client::new(channel).max_decoding_message_size(64 << 20);
        let responses = client
            .stream_extension_configs(ReceiverStream::new(outbound))
            .await?;
        Ok(Self {
            requests,
            responses: responses.into_inner(),
        })
    }

    pub(crate) async fn next(&mut self) -> Result<Option<DiscoveryResponse>, tonic::Status> {
        self.responses.message().await
    }

    pub(crate) async fn acknowledge(&self, response: &DiscoveryResponse) {
        let answer = DiscoveryRequest {
            version_info: response.version_info.clone(),
            response_nonce: response.nonce.clone(),
            resource_names: vec![PLUGIN.to_owned()],
            type_url: TYPE_URL.to_owned(),
            ..DiscoveryRequest::default()
        };
        let _ = self.requests.send(answer).await;
    }
}

pub(crate) async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

/// Acknowledges whatever comes.
pub(crate) async fn obey(mut stream: Stream) {
    while let Ok(Some(response)) = stream.next().await {
        stream.acknowledge(&response).await;
    }
}

/// A client of the group `edge` that acknowledges whatever comes.
pub(crate) async fn follow_as_good(discovery: SocketAddr) {
    let stream = Stream::open(channel(discovery).await, "good", "edge").await;
    obey(stream.unwrap()).await;
}

/// Prints how long it takes until so many have acknowledged a version: `ATTACHE_CLIENTS=1000` with `--nocapture`.
#[test]
fn many_clients_acknowledge_a_version() {
    let count: usize = std::env::var("ATTACHE_CLIENTS").map_or(50, |count| count.parse().unwrap());
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "fails_when: { not_confirmed_within: 1h }\n");
    stage.reaches("r", Phase::Pushed);
    let clients = tokio::runtime::Runtime::new().unwrap();
    let limits = Limits {
        connections_per_address: count,
        ..Limits::default()
    };
    let discovery = stage.spawn(|listener, plane| xds::serve_within(listener, plane, None, limits));
    clients.spawn(async move {
        let mut all = JoinSet::new();
        for number in 0..count {
            let channel = channel(discovery).await;
            let stream = Stream::open(channel, &format!("client-{number}"), "edge").await;
            all.spawn(obey(stream.unwrap()));
        }
        while all.join_next().await.is_some() {}
    });
    let everybody = || {
        stage.reaches_as("r", |status| {
            let acknowledged = |state| state == EnvoyState::Acknowledged;
            let have = status.envoys.iter().filter(|one| acknowledged(one.state));
            status.phase == Phase::AcknowledgedUnconfirmed && have.count() == count
        })
    };
    let first = everybody();
    let memory = memory();
    let begun = Instant::now();
    stage.declare("r", "b", "fails_when: { not_confirmed_within: 1h }\n");
    stage.reaches_as("r", |status| status.declared != first.declared);
    everybody();
    println!(
        "{count} clients: {} ms from file change to all acknowledged; {} MB before, {} MB after",
        begun.elapsed().as_millis(),
        memory >> 20,
        self::memory() >> 20
    );
}

/// What this process, clients included, has of the machine's memory.
pub(crate) fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
}

#[test]
fn clients_that_do_not_answer_or_ask_for_too_much_do_not_stop_others() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.write("s.wasm", module());
    stage.declare("r", "a", "groups: [edge]\n");
    stage.declare("s", "a", "groups: [bad]\n");
    let discovery = stage.discovery;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // These never read what they are sent, and are kept.
    let silent = runtime.block_on(async {
        let mut silent = Vec::new();
        for number in 0..20 {
            let node = format!("silent-{number}");
            let stream = Stream::open(channel(discovery).await, &node, "bad");
            silent.push(stream.await.unwrap());
        }
        silent
    });
    runtime.spawn(follow_as_good(discovery));
    let first = acknowledged(&stage);
    let refused = runtime.block_on(async {
        let stream = Stream::open(channel(discovery).await, "greedy", "bad")
            .await
            .unwrap();
        let greedy = DiscoveryRequest {
            resource_names: (0..1_000).map(|number| number.to_string()).collect(),
            type_url: TYPE_URL.to_owned(),
            ..DiscoveryRequest::default()
        };
        stream.requests.send(greedy).await.unwrap();
        let mut stream = stream;
        loop {
            match tokio::time::timeout(LIMIT, stream.next()).await.unwrap() {
                Ok(Some(_)) => {}
                other => break other,
            }
        }
    });
    assert_eq!(refused.unwrap_err().code(), tonic::Code::ResourceExhausted);
    let huge = runtime.block_on(async {
        let mut stream =
            Stream::open(channel(discovery).await, &"x".repeat(2 << 20), "bad").await?;
        stream.next().await
    });
    assert!(huge.map_or(true, |response| response.is_none()));
    let other = runtime.block_on(async {
        let (requests, outbound) = mpsc::channel(1);
        let first = DiscoveryRequest {
            type_url: "type.googleapis.com/envoy.config.listener.v3.Listener".to_owned(),
            ..DiscoveryRequest::default()
        };
        requests.send(first).await.unwrap();
        let mut client = Client::new(channel(discovery).await);
        let stream = client
            .stream_extension_configs(ReceiverStream::new(outbound))
            .await?;
        stream.into_inner().message().await
    });
    assert_eq!(other.unwrap_err().code(), tonic::Code::InvalidArgument);
    stage.declare("r", "b", "groups: [edge]\n");
    stage.reaches_as("r", |status| {
        status.declared.configuration != first.declared.configuration
    });
    let status = acknowledged(&stage);
    assert!(status.declared.generation > first.declared.generation);
    assert!(
        status.envoys.iter().all(|one| one.node == "good"),
        "{status:#?}"
    );
    drop(silent);
    // What has gone is seen to have gone.
    stage.reaches_as("s", |status| {
        let gone = |state| state == EnvoyState::Disconnected;
        !status.envoys.is_empty() && status.envoys.iter().all(|one| gone(one.state))
    });
}

/// Waits until every Envoy of `r` has acknowledged what is declared now.
fn acknowledged(stage: &Stage) -> RolloutStatus {
    stage.reaches_as("r", |status| {
        let generation = status.declared.generation;
        status.phase == Phase::AcknowledgedUnconfirmed
            && generation.is_some()
            && status
                .envoys
                .iter()
                .any(|one| one.acknowledged == generation)
    })
}
