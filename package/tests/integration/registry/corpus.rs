//! The same requests to our registry and to a real one of others: what differs is written down.

use std::net::SocketAddr;
use std::path::Path;

use attache_package::Digest;
use attache_package::registry::{Server, Writers};
use reqwest::{Client, Method, Response, Url};
use serde_json::{Value, json};

use crate::modules::{Folder, guard};
use crate::registries::{client, graph, wait};
use crate::registry::Registry;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Serves a folder on a thread of its own, which ends with the process.
pub(crate) fn serve(folder: &Path, writers: Writers) -> SocketAddr {
    let server = Server::open(folder, writers).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        wait(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            server
                .serve(listener, std::future::pending())
                .await
                .unwrap();
        });
    });
    told.recv().unwrap()
}

/// A client that asks what it is told to, and what was answered.
struct Play {
    client: Client,
    root: Url,
    lines: Vec<String>,
}

impl Play {
    fn new(address: SocketAddr) -> Self {
        // Which arithmetic TLS uses has to be known, though there is none here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            client: Client::builder().no_proxy().build().unwrap(),
            root: format!("http://{address}/v2/").parse().unwrap(),
            lines: Vec::new(),
        }
    }

    async fn ask(
        &mut self,
        what: &str,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut request = self.client.request(method, self.root.join(path).unwrap());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body.to_vec()).send().await.unwrap();
        let mut line = format!("{what}: {}", response.status().as_u16());
        for header in ["docker-content-digest", "oci-subject", "content-range"] {
            if response.headers().contains_key(header) {
                line += &format!(" {header}");
            }
        }
        self.lines.push(line);
        response
    }

    /// Begins an upload, and says where it goes on.
    async fn upload(&mut self, what: &str) -> String {
        let begin = (Method::POST, "corpus/filter/blobs/uploads/");
        let response = self.ask(what, begin, &[], b"").await;
        location(&response)
    }

    async fn json(&mut self, what: &str, path: &str) -> Value {
        let response = self.ask(what, (Method::GET, path), &[], b"").await;
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default()
    }
}

fn location(response: &Response) -> String {
    let place = response.headers()["location"].to_str().unwrap();
    response.url().join(place).unwrap().to_string()
}

fn with_digest(place: &str, digest: &Digest) -> String {
    let sign = if place.contains('?') { '&' } else { '?' };
    format!("{place}{sign}digest={digest}")
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len() })
}

async fn play(address: SocketAddr) -> Vec<String> {
    let mut play = Play::new(address);
    let blob = b"0123456789";
    let digest = Digest::of(blob);
    let blob_path = format!("corpus/filter/blobs/{digest}");
    play.ask("the version", (Method::GET, ""), &[], b"").await;
    play.ask(
        "tags of nothing",
        (Method::GET, "corpus/nothing/tags/list"),
        &[],
        b"",
    )
    .await;
    play.ask(
        "a manifest that is not there",
        (Method::GET, "corpus/filter/manifests/1"),
        &[],
        b"",
    )
    .await;
    play.ask(
        "a blob that is not there",
        (Method::HEAD, &blob_path),
        &[],
        b"",
    )
    .await;
    for path in [
        "corpus/filter/blobs/sha256:..%2F..%2Fmetadata.json",
        "..%2F..%2Fetc/manifests/passwd",
        "Corpus/Filter/tags/list",
    ] {
        play.ask(&format!("the path {path}"), (Method::GET, path), &[], b"")
            .await;
    }

    let place = play.upload("an upload begins").await;
    let wrong = with_digest(&place, &Digest::of(b"other"));
    play.ask(
        "it ends with another digest",
        (Method::PUT, &wrong),
        &[],
        blob,
    )
    .await;
    let place = play.upload("an upload begins").await;
    play.ask(
        "it ends",
        (Method::PUT, &with_digest(&place, &digest)),
        &[],
        blob,
    )
    .await;
    play.ask("the blob", (Method::HEAD, &blob_path), &[], b"")
        .await;
    let range = [("range", "bytes=2-4")];
    let response = play
        .ask("a part of it", (Method::GET, &blob_path), &range, b"")
        .await;
    let is_part = response.status().as_u16() == 206;
    assert_eq!(
        response.bytes().await.unwrap(),
        if is_part { "234" } else { "0123456789" }
    );

    let config = b"{}";
    let place = play.upload("an upload in pieces begins").await;
    let first = [
        ("content-range", "0-0"),
        ("content-type", "application/octet-stream"),
    ];
    let response = play
        .ask("a piece", (Method::PATCH, &place), &first, &config[..1])
        .await;
    let place = location(&response);
    let second = [
        ("content-range", "1-1"),
        ("content-type", "application/octet-stream"),
    ];
    let response = play
        .ask("a piece", (Method::PATCH, &place), &second, &config[1..])
        .await;
    let place = with_digest(&location(&response), &Digest::of(config));
    play.ask("it ends", (Method::PUT, &place), &[], b"").await;

    let layers = json!([descriptor("application/octet-stream", blob)]);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
    });
    let bytes = manifest.to_string().into_bytes();
    let kind = [("content-type", MANIFEST)];
    let mut broken = manifest.clone();
    broken["layers"][0] = descriptor("application/octet-stream", b"missing");
    let missing = broken.to_string().into_bytes();
    play.ask(
        "a manifest without its blob",
        (Method::PUT, "corpus/filter/manifests/0"),
        &kind,
        &missing,
    )
    .await;
    let wrong = format!("corpus/filter/manifests/{}", Digest::of(b"other"));
    play.ask(
        "a manifest by another digest",
        (Method::PUT, &wrong),
        &kind,
        &bytes,
    )
    .await;
    play.ask(
        "a manifest",
        (Method::PUT, "corpus/filter/manifests/1"),
        &kind,
        &bytes,
    )
    .await;
    let accept = [("accept", MANIFEST)];
    let response = play
        .ask(
            "it again",
            (Method::GET, "corpus/filter/manifests/1"),
            &accept,
            b"",
        )
        .await;
    assert_eq!(response.headers()["content-type"], MANIFEST);
    assert_eq!(response.bytes().await.unwrap(), bytes);

    let subject = descriptor(MANIFEST, &bytes);
    let about = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "text/plain",
        "config": descriptor("application/vnd.oci.empty.v1+json", config),
        "layers": layers,
        "subject": subject,
    });
    let attached = about.to_string().into_bytes();
    let path = format!("corpus/filter/manifests/{}", Digest::of(&attached));
    play.ask("what is about it", (Method::PUT, &path), &kind, &attached)
        .await;
    let referrers = format!("corpus/filter/referrers/{}", Digest::of(&bytes));
    play.json("what is attached to it", &referrers).await;
    let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [subject] });
    let list = list.to_string().into_bytes();
    let kind = [("content-type", INDEX)];
    play.ask(
        "a list of images",
        (Method::PUT, "corpus/filter/manifests/list"),
        &kind,
        &list,
    )
    .await;
    play.ask(
        "a list for who wants an image",
        (Method::GET, "corpus/filter/manifests/list"),
        &accept,
        b"",
    )
    .await;
    let tags = play.json("tags", "corpus/filter/tags/list").await;
    let mut tags: Vec<&str> = tags["tags"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    tags.sort_unstable();
    assert_eq!(tags, ["1", "list"]);
    let repositories = play.json("repositories", "_catalog").await;
    assert_eq!(repositories["repositories"], json!(["corpus/filter"]));
    play.ask(
        "a tag is deleted",
        (Method::DELETE, "corpus/filter/manifests/list"),
        &[],
        b"",
    )
    .await;
    play.lines
}

/// What is asked, what our registry answers, and what docker-registry 2.8.2 does: the status, and some headers that are
/// there.
const ANSWERS: &[(&str, &str, &str)] = &[
    ("the version", "200", "200"),
    ("tags of nothing", "200", "404"),
    ("a manifest that is not there", "404", "404"),
    ("a blob that is not there", "404", "404"),
    (
        "the path corpus/filter/blobs/sha256:..%2F..%2Fmetadata.json",
        "400",
        "404",
    ),
    ("the path ..%2F..%2Fetc/manifests/passwd", "400", "404"),
    ("the path Corpus/Filter/tags/list", "400", "404"),
    ("an upload begins", "202", "202"),
    ("it ends with another digest", "400", "400"),
    ("an upload begins", "202", "202"),
    (
        "it ends",
        "201 docker-content-digest",
        "201 docker-content-digest",
    ),
    (
        "the blob",
        "200 docker-content-digest",
        "200 docker-content-digest",
    ),
    (
        "a part of it",
        "200 docker-content-digest",
        "206 docker-content-digest content-range",
    ),
    ("an upload in pieces begins", "202", "202"),
    ("a piece", "202", "202"),
    ("a piece", "202", "202"),
    (
        "it ends",
        "201 docker-content-digest",
        "201 docker-content-digest",
    ),
    ("a manifest without its blob", "404", "400"),
    ("a manifest by another digest", "400", "400"),
    (
        "a manifest",
        "201 docker-content-digest",
        "201 docker-content-digest",
    ),
    (
        "it again",
        "200 docker-content-digest",
        "200 docker-content-digest",
    ),
    (
        "what is about it",
        "201 docker-content-digest oci-subject",
        "201 docker-content-digest",
    ),
    ("what is attached to it", "200", "404"),
    (
        "a list of images",
        "201 docker-content-digest",
        "201 docker-content-digest",
    ),
    (
        "a list for who wants an image",
        "200 docker-content-digest",
        "404",
    ),
    ("tags", "200", "200"),
    ("repositories", "200", "200"),
    ("a tag is deleted", "405", "405"),
];

fn written(column: impl Fn(&(&str, &'static str, &'static str)) -> &'static str) -> Vec<String> {
    let line = |row: &(&str, &'static str, &'static str)| format!("{}: {}", row.0, column(row));
    ANSWERS.iter().map(line).collect()
}

#[test]
#[ignore = "needs a registry and skopeo, which .ci/registry fetches"]
fn a_real_registry_answers_as_it_is_written_down() {
    let folder = Folder::new("corpus-real");
    let registry = Registry::start(folder.path());
    assert_eq!(wait(play(registry.address)), written(|row| row.2));
}

#[test]
fn our_registry_answers_as_it_is_written_down() {
    let folder = Folder::new("corpus");
    let address = serve(folder.path(), Writers::Anybody);
    assert_eq!(wait(play(address)), written(|row| row.1));
}

#[test]
fn our_registry_keeps_what_it_was_given_when_it_begins_anew() {
    let folder = Folder::new("kept");
    let name = |address: SocketAddr| format!("{address}/filters/guard:1.2.0").parse().unwrap();
    let address = serve(folder.path(), Writers::Anybody);
    let pushed = wait(client().push(&graph(), &name(address))).unwrap();
    assert!(!pushed.fallback, "it keeps lists of what is attached");
    // The first one has the folder.
    let error = Server::open(folder.path(), Writers::Anybody)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("another registry keeps its images"),
        "{error}"
    );

    let copy = Folder::new("kept-copy");
    copied(folder.path(), copy.path());
    let address = serve(copy.path(), Writers::Nobody);
    let pulled = wait(client().pull(&name(address))).unwrap();
    assert_eq!((pulled.image.bytes, pulled.attached.len()), (guard(), 2));
    // It is there to be fetched from.
    let error =
        wait(client().push(&pulled.graph, &name(address).tagged("2").unwrap())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("images can only be fetched here"),
        "{error}"
    );
}

#[test]
fn our_registry_does_not_begin_without_tags_where_it_had_some() {
    let folder = Folder::new("damaged");
    std::fs::write(folder.path().join("metadata.json"), "{ half").unwrap();
    let error = Server::open(folder.path(), Writers::Anybody)
        .unwrap_err()
        .to_string();
    assert!(error.contains("metadata.json` is damaged"), "{error}");
}

fn copied(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copied(&file.path(), &target);
        } else {
            std::fs::copy(file.path(), target).unwrap();
        }
    }
}
