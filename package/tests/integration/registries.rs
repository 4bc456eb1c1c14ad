//! The client of registries, against one in this process that does what it is told.

mod attached;
pub(crate) mod double;
mod hostile;
pub(crate) mod lists;
mod signing_in;
mod uploads;

use std::time::Duration;

use attache_package::registry::{
    Access, Client, Credentials, Entry, Options, RegistryError, Writers,
};
use attache_package::{About, Graph, Image};

use self::double::{Double, Reply};
use crate::modules::guard;

/// A client that nobody knows, and that does not wait long.
pub(crate) fn client() -> Client {
    let mut options = Options::default();
    options.access = Access::As(Credentials::Anonymous);
    options.backoff = Duration::from_millis(1);
    Client::new(options).unwrap()
}

/// Plays a future to its end.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn graph() -> Graph {
    let mut image = Image::new(&guard(), About::new("guard", "1.2.0")).unwrap();
    image
        .refer("text/markdown", "README.md", b"# Guard\n".to_vec())
        .unwrap();
    let suite = "application/vnd.attache.suite.v1+yaml";
    image
        .refer(suite, "guard.suite.yaml", b"cases: []\n".to_vec())
        .unwrap();
    Graph::from(&image)
}

/// An error with all its causes, as a person sees it.
pub(crate) fn whole(error: &RegistryError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    text
}

#[test]
fn what_is_published_comes_back_with_what_is_attached() {
    for lists in [true, false] {
        let registry = Double::new();
        registry.shelf().lists = lists;
        let name = registry.name("filter:1.2.0");
        let pushed = wait(client().push(&graph(), &name)).unwrap();
        assert_eq!(pushed.fallback, !lists);
        assert_eq!(pushed.replaced, None);
        assert!(pushed.sent > 0);

        let pulled = wait(client().pull(&name)).unwrap();
        assert_eq!(pulled.reference, pushed.reference);
        assert_eq!(pulled.image.bytes, guard());
        let titles: Vec<&str> = pulled.attached.iter().map(|it| &*it.title).collect();
        assert_eq!(titles, ["README.md", "guard.suite.yaml"]);
        let suites: Vec<_> = pulled.suites().collect();
        assert_eq!(suites, [("guard.suite.yaml", &b"cases: []\n"[..])]);

        let again = wait(client().push(&pulled.graph, &name)).unwrap();
        assert_eq!((again.sent, again.replaced), (0, None));
    }
}

#[test]
fn the_tag_is_written_last() {
    let registry = Double::new();
    registry.shelf().lists = false;
    wait(client().push(&graph(), &registry.name("filter:1.2.0"))).unwrap();
    let shelf = registry.shelf();
    let puts: Vec<&str> = shelf
        .asked
        .iter()
        .filter(|question| question.method == "PUT")
        .map(|question| question.target.as_str())
        .collect();
    assert!(
        puts.last().unwrap().ends_with("/manifests/1.2.0"),
        "{puts:?}"
    );
    assert!(
        puts[puts.len() - 2].contains("/manifests/sha256-"),
        "{puts:?}"
    );
}

#[test]
fn a_tag_that_moves_is_told() {
    let registry = Double::new();
    let name = registry.name("filter:next");
    let first = wait(client().push(&graph(), &name)).unwrap();
    let other = Image::new(&guard(), About::new("guard", "1.3.0")).unwrap();
    let second = wait(client().push(&Graph::from(&other), &name)).unwrap();
    assert_eq!(second.replaced, first.reference.digest());
    assert_eq!(
        wait(client().resolve(&name)).unwrap(),
        other.descriptor().digest
    );
    let tags = wait(client().tags(&name)).unwrap();
    assert_eq!(tags, ["next"]);
    // The first one is still there by its digest.
    let pulled = wait(client().pull(&first.reference)).unwrap();
    assert_eq!(
        pulled.graph.descriptor().digest,
        first.reference.digest().unwrap()
    );
}

#[test]
fn of_a_list_of_images_the_one_that_proxies_take_is_taken() {
    let registry = Double::new();
    let graph = graph();
    registry.hold(&graph, "one");
    let list = |platform: &str| {
        let (os, architecture) = platform.split_once('/').unwrap();
        let image = graph.descriptor();
        let list = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": image.media_type, "digest": image.digest, "size": image.size,
                "platform": { "os": os, "architecture": architecture },
            }],
        });
        let kind = "application/vnd.oci.image.index.v1+json".to_owned();
        registry
            .shelf()
            .manifests
            .insert("list".to_owned(), (kind, list.to_string().into_bytes()));
    };
    let name = registry.name("filter:list");
    list("linux/amd64");
    let pulled = wait(client().pull(&name)).unwrap();
    assert_eq!(pulled.reference.digest(), Some(graph.descriptor().digest));
    assert_eq!(pulled.attached.len(), 2);
    // Whole, it goes to another registry as it is.
    let whole_list = wait(client().fetch(&name)).unwrap();
    assert_ne!(whole_list.descriptor().digest, graph.descriptor().digest);
    let other = Double::new();
    wait(client().push(&whole_list, &other.name("filter:copy"))).unwrap();
    assert_eq!(
        wait(client().pull(&other.name("filter:copy")))
            .unwrap()
            .image
            .bytes,
        guard()
    );

    list("wasip1/wasm");
    let error = wait(client().pull(&name)).unwrap_err().to_string();
    assert!(
        error.contains("for wasip1/wasm, expected one for linux/amd64"),
        "{error}"
    );
}

#[test]
fn a_long_list_of_tags_is_read_to_its_end() {
    let registry = Double::with(|question, _| {
        let page = match question.target.as_str() {
            "/v2/filter/tags/list?n=1000" => ("a", Some("/v2/filter/tags/list?last=a")),
            "/v2/filter/tags/list?last=a" => ("b", None),
            _ => return None,
        };
        let reply = Reply::new(200, serde_json::json!({ "tags": [page.0] }).to_string());
        Some(match page.1 {
            Some(next) => reply.with("link", format!("<{next}>; rel=\"next\"")),
            None => reply,
        })
    });
    assert_eq!(
        wait(client().tags(&registry.name("filter"))).unwrap(),
        ["a", "b"]
    );
}

#[test]
fn a_digest_in_the_name_has_to_be_that_of_what_is_published() {
    let registry = Double::new();
    let other = attache_package::Digest::of(b"other");
    let name = registry.name("filter:1").pinned(other);
    let error = wait(client().push(&graph(), &name)).unwrap_err();
    // It is the name that is wrong: nobody lies.
    assert!(matches!(error, RegistryError::OtherName { .. }), "{error}");
    assert!(!error.to_string().contains("lies"), "{error}");
    assert_eq!(registry.shelf().asked.len(), 0);
}

#[test]
fn filters_are_found_by_what_they_say_of_themselves() {
    let folder = crate::modules::Folder::new("search");
    let address = crate::registry::corpus::serve(folder.path(), Writers::Anybody);
    for (repository, version) in [
        ("filters/guard", "1.2.0"),
        ("filters/guard", "1.10.0"),
        ("other", "1"),
    ] {
        let mut about = About::new("guard", version);
        about.description = "Guards the gate".to_owned();
        let image = Image::new(&guard(), about).unwrap();
        let name = format!("{address}/{repository}:{version}").parse().unwrap();
        wait(client().push(&Graph::from(&image), &name)).unwrap();
    }
    let at = format!("{address}/any").parse().unwrap();
    let entries = wait(client().catalogue(&at, |name, error| panic!("{name}: {error}"))).unwrap();
    let tags: Vec<_> = entries
        .iter()
        .map(|it| (it.reference.repository(), it.version.as_str()))
        .collect();
    assert_eq!(tags, [("filters/guard", "1.10.0"), ("other", "1")]);
    assert!(entries[0].has(&["GATE".to_owned(), "proxy_log".to_owned()]));
    assert!(!entries[0].has(&["gate".to_owned(), "proxy_http_call".to_owned()]));
    // As a line of an index, and back.
    let line = serde_json::to_string(&entries[0]).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entries[0]);
}
