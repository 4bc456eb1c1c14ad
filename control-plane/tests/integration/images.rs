//! Versions that come as images, from a registry that is spoken to over the network.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use attache_control_plane::status::{Phase, RolloutStatus};
use attache_package::registry::{Client, Options, Reference, Server, Writers};
use attache_package::signing::{SigningKey, sign};
use attache_package::{About, Graph, Image, media_type};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::stage::{Stage, module, says};

/// A registry that runs until it is dropped.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    runtime: Runtime,
}

impl Registry {
    pub(crate) fn start(folder: &Path, address: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::open(folder, Writers::Anybody).unwrap();
        runtime.spawn(server.serve(listener, std::future::pending()));
        Self { address, runtime }
    }

    pub(crate) fn push(&self, graph: &Graph, tag: &str) -> String {
        let name = format!("{}/marker:{tag}", self.address);
        let reference: Reference = name.parse().unwrap();
        let client = Client::new(Options::default()).unwrap();
        self.runtime
            .block_on(client.push(graph, &reference))
            .unwrap();
        name
    }
}

pub(crate) fn image(version: &str, suite: Option<&str>) -> Graph {
    let mut image = Image::new(module(), About::new("marker", version)).unwrap();
    if let Some(word) = suite {
        let text = format!(
            "version: \"1\"\nplugins:\n- module: r.wasm\n  root_id: add-header\ncases:\n\
             - name: the word is in the response\n  request: {{ path: / }}\n  \
             expect: {{ response: {{ headers: {{ x-word: {word} }} }} }}\n"
        );
        let text = text.into_bytes();
        image
            .refer(media_type::SUITE, "r.suite.yaml", text)
            .unwrap();
    }
    Graph::from(&image)
}

fn declare(stage: &Stage, image: &str, word: &str) {
    stage.write(
        "rollouts/r.yaml",
        format!(
            "version: \"1\"\nplugin: marker\nroot_id: add-header\nimage: {image}\n\
             configuration: {{ response: [{{ name: x-word, value: {word} }}] }}\n"
        ),
    );
}

fn reason(status: &RolloutStatus) -> &str {
    status.reason.as_deref().unwrap_or_default()
}

#[test]
#[ignore = "needs Envoy"]
fn an_image_is_fetched_tried_with_its_suite_and_sent() {
    let stage = Stage::new();
    let registry = Registry::start(&stage.folder.join("registry"), "127.0.0.1:0");
    let name = registry.push(&image("1.0.0", Some("a")), "1.0.0");
    declare(&stage, &name, "a");
    let envoy = stage.start_envoy("edge");
    let status = stage.reaches("r", Phase::Confirmed);
    says(envoy.listener_address("filtered").unwrap(), "a");
    let shown = status.declared.image.unwrap();
    assert!(shown.contains("@sha256:"), "{shown}");
    // Its suite says that it is another word.
    declare(&stage, &name, "b");
    let status = stage.reaches("r", Phase::Refused);
    assert!(reason(&status).contains("r.suite.yaml"), "{status:?}");
    says(envoy.listener_address("filtered").unwrap(), "a");
}

#[test]
fn a_registry_that_does_not_answer_is_asked_again() {
    let stage = Stage::new();
    let folder = stage.folder.join("registry");
    let registry = Registry::start(&folder, "127.0.0.1:0");
    let name = registry.push(&image("1.0.0", None), "1.0.0");
    let address = registry.address.to_string();
    drop(registry);
    declare(&stage, &name, "a");
    let status = stage.reaches_as("r", |status| reason(status).contains("tried again after"));
    assert_eq!(status.phase, Phase::Validating);
    assert!(reason(&status).contains(&address), "{status:?}");
    let _registry = Registry::start(&folder, &address);
    stage.reaches("r", Phase::Pushed);
}

#[test]
fn what_a_registry_does_not_have_is_refused() {
    let stage = Stage::new();
    let registry = Registry::start(&stage.folder.join("registry"), "127.0.0.1:0");
    declare(&stage, &format!("{}/marker:2.0.0", registry.address), "a");
    let status = stage.reaches("r", Phase::Refused);
    assert!(reason(&status).contains("has no"), "{status:?}");
}

#[test]
fn a_policy_keeps_unsigned_images_from_envoys() {
    let stage = Stage::new();
    let registry = Registry::start(&stage.folder.join("registry"), "127.0.0.1:0");
    let (key, _, public) = SigningKey::create(&stage.folder.join("release")).unwrap();
    let public = public.display();
    let rule = format!(
        "rules:\n- images: {}/**\n  keys: [{public}]\n",
        registry.address
    );
    fs::write(stage.folder.join("policy.yaml"), rule).unwrap();
    let stage = stage.begin_again();
    let unsigned = registry.push(&image("1.0.0", None), "1.0.0");
    declare(&stage, &unsigned, "a");
    let status = stage.reaches("r", Phase::Refused);
    assert!(reason(&status).contains("sign"), "{status:?}");
    let mut graph = image("1.0.1", None);
    sign(&mut graph, &key).unwrap();
    let signed = registry.push(&graph, "1.0.1");
    declare(&stage, &signed, "a");
    stage.reaches("r", Phase::Pushed);
}

#[test]
fn an_image_is_kept_over_another_start() {
    let stage = Stage::new();
    let registry = Registry::start(&stage.folder.join("registry"), "127.0.0.1:0");
    let name = registry.push(&image("1.0.0", None), "1.0.0");
    declare(&stage, &name, "a");
    let before = stage.reaches("r", Phase::Pushed);
    let deadline = std::time::Instant::now() + crate::stage::LIMIT;
    let path = stage.folder.join("state/state.json");
    while !fs::read_to_string(&path).is_ok_and(|text| text.contains(&before.declared.module)) {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(registry);
    let stage = stage.begin_again();
    let after = stage.reaches("r", Phase::Pushed);
    assert_eq!(after.declared.image, before.declared.image);
}
