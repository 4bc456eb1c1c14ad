//! Registries and networks that lie, stumble and break off: nothing half of it is taken, and it is said what happened.

use std::sync::atomic::{AtomicUsize, Ordering};

use attache_package::registry::RegistryError;
use attache_package::{Digest, MODULE_LIMIT};
use serde_json::{Value, json};

use super::double::{Double, Question, Reply};
use super::{client, graph, wait, whole};
use crate::modules::guard;

/// Pulls from a registry that holds an image and answers some questions otherwise.
fn pull(
    whim: impl Fn(&Question, &mut super::double::Shelf) -> Option<Reply> + Send + Sync + 'static,
) -> (Double, Result<Vec<u8>, RegistryError>) {
    let registry = Double::with(whim);
    registry.hold(&graph(), "1");
    let pulled = wait(client().pull(&registry.name("filter:1")));
    (registry, pulled.map(|pulled| pulled.image.bytes))
}

fn is_layer(question: &Question, shelf: &super::double::Shelf) -> Option<Vec<u8>> {
    let digest = question.target.strip_prefix("/v2/filter/blobs/")?;
    let bytes = shelf.blobs.get(digest)?;
    bytes.starts_with(&[0x1f, 0x8b]).then(|| bytes.clone())
}

#[test]
fn another_layer_than_the_one_that_was_asked_for_is_refused() {
    let (_, pulled) = pull(|question, shelf| {
        let mut bytes = is_layer(question, shelf)?;
        *bytes.last_mut()? ^= 1;
        Some(Reply::new(200, bytes))
    });
    let error = whole(&pulled.unwrap_err());
    assert!(error.contains("lies about the blob `sha256:"), "{error}");
}

#[test]
fn a_layer_that_goes_on_behind_its_end_is_refused() {
    let (_, pulled) = pull(|question, shelf| {
        let mut bytes = is_layer(question, shelf)?;
        bytes.extend([0; 10]);
        Some(Reply::new(200, bytes))
    });
    assert!(
        matches!(pulled, Err(RegistryError::TooLarge { .. })),
        "{pulled:?}"
    );
}

#[test]
fn another_manifest_than_the_one_that_was_asked_for_is_refused() {
    let registry = Double::with(|question, shelf| {
        let (kind, bytes) = shelf.manifests.get("1")?.clone();
        let text = String::from_utf8(bytes).unwrap() + " ";
        let wanted = question.target.strip_prefix("/v2/filter/manifests/")?;
        wanted
            .starts_with("sha256:")
            .then(|| Reply::new(200, text).with("content-type", kind))
    });
    registry.hold(&graph(), "1");
    let name = registry
        .name("filter:1")
        .pinned(graph().descriptor().digest);
    let error = wait(client().pull(&name)).unwrap_err();
    assert!(
        error.to_string().contains("lies about the manifest"),
        "{error}"
    );
}

#[test]
fn a_manifest_that_is_not_what_its_own_header_says_is_refused() {
    let (_, pulled) = pull(|question, shelf| {
        let (kind, bytes) = shelf.manifests.get("1")?.clone();
        question.target.ends_with("manifests/1").then(|| {
            Reply::new(200, bytes)
                .with("content-type", kind)
                .with("docker-content-digest", Digest::of(b"other"))
        })
    });
    assert!(
        matches!(pulled, Err(RegistryError::Digest { .. })),
        "{pulled:?}"
    );
}

#[test]
fn a_layer_larger_than_any_module_is_not_even_asked_for() {
    let registry = Double::new();
    registry.hold(&graph(), "1");
    let mut manifest: Value = serde_json::from_slice(&registry.shelf().manifests["1"].1).unwrap();
    manifest["layers"][0]["size"] = json!(MODULE_LIMIT + 1);
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let kind = "application/vnd.oci.image.manifest.v1+json".to_owned();
    let bytes = manifest.to_string().into_bytes();
    registry
        .shelf()
        .manifests
        .insert("1".to_owned(), (kind, bytes));
    let error = wait(client().pull(&registry.name("filter:1"))).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("268435457 bytes, expected at most"),
        "{error}"
    );
    assert_eq!(registry.count("GET", &layer), 0);
}

#[test]
fn a_manifest_without_end_is_not_read_to_its_end() {
    let (_, pulled) = pull(|question, _| {
        question
            .target
            .ends_with("manifests/1")
            .then(|| Reply::new(200, vec![b' '; 5 << 20]))
    });
    assert!(
        matches!(pulled, Err(RegistryError::TooLarge { .. })),
        "{pulled:?}"
    );
}

#[test]
fn a_connection_that_is_cut_is_taken_up_where_it_was() {
    let asked = AtomicUsize::new(0);
    let (registry, pulled) = pull(move |question, shelf| {
        let bytes = is_layer(question, shelf)?;
        let half = bytes.len() / 2;
        (asked.fetch_add(1, Ordering::Relaxed) == 0).then(|| Reply {
            cut: Some(half),
            ..Reply::new(200, bytes)
        })
    });
    assert_eq!(pulled.unwrap(), guard());
    let shelf = registry.shelf();
    let ranges: Vec<_> = shelf
        .asked
        .iter()
        .filter_map(|it| it.headers.get("range"))
        .collect();
    assert_eq!(ranges.len(), 1);
}

#[test]
fn a_registry_that_knows_no_ranges_is_read_from_the_beginning() {
    let asked = AtomicUsize::new(0);
    let (_, pulled) = pull(move |question, shelf| {
        let bytes = is_layer(question, shelf)?;
        let half = bytes.len() / 2;
        Some(match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Reply {
                cut: Some(half),
                ..Reply::new(200, bytes)
            },
            _ => Reply::new(200, bytes),
        })
    });
    assert_eq!(pulled.unwrap(), guard());
}

#[test]
fn a_connection_that_is_always_cut_is_given_up_with_the_count() {
    let (registry, pulled) = pull(|question, shelf| {
        let bytes = is_layer(question, shelf)?;
        Some(Reply {
            cut: Some(100),
            ..Reply::new(200, bytes)
        })
    });
    let error = pulled.unwrap_err().to_string();
    assert!(error.contains("was cut while the blob `sha256:"), "{error}");
    assert!(error.contains("100 of "), "{error}");
    // Once, and three times again from where it was.
    let shelf = registry.shelf();
    let layers = shelf
        .blobs
        .iter()
        .filter(|(_, bytes)| bytes.starts_with(&[0x1f, 0x8b]));
    let layers: Vec<&String> = layers.map(|(digest, _)| digest).collect();
    let [layer] = layers[..] else {
        panic!("{layers:?}");
    };
    let asked = shelf.asked.iter().filter(|it| it.target.ends_with(layer));
    let ranges: Vec<_> = asked
        .map(|it| it.headers.get("range").map(String::as_str))
        .collect();
    let from = [
        None,
        Some("bytes=100-"),
        Some("bytes=100-"),
        Some("bytes=100-"),
    ];
    assert_eq!(ranges, from);
}

#[test]
fn a_registry_that_is_busy_is_asked_again() {
    let asked = AtomicUsize::new(0);
    let (_, pulled) = pull(move |question, _| {
        let busy =
            question.target.ends_with("manifests/1") && asked.fetch_add(1, Ordering::Relaxed) < 2;
        busy.then(|| Reply::new(503, "").with("retry-after", 0))
    });
    assert_eq!(pulled.unwrap(), guard());
    let (registry, pulled) = pull(|question, _| {
        let busy = question.target.ends_with("manifests/1");
        busy.then(|| {
            Reply::new(
                500,
                r#"{"errors":[{"code":"BROKEN","message":"no\u001b[31m"}]}"#,
            )
        })
    });
    let error = pulled.unwrap_err().to_string();
    assert!(
        error.contains("answered 500 to give the manifest (`BROKEN: no\\u001b[31m`)"),
        "{error}"
    );
    // Once, and three times again.
    assert_eq!(registry.count("GET", "manifests/1"), 4);
}

#[test]
fn what_is_no_image_is_refused_with_its_kind() {
    for (kind, body, expected) in [
        ("text/html", "<html>", "is not what OCI says it is"),
        (
            "application/json",
            "{}",
            "of the kind `application/json`, expected an image",
        ),
        (
            "application/vnd.oci.image.manifest.v1+json",
            "{}",
            "is not what OCI says it is",
        ),
    ] {
        let (_, pulled) = pull(move |question, _| {
            let is_it = question.target.ends_with("manifests/1");
            is_it.then(|| Reply::new(200, body).with("content-type", kind))
        });
        let error = pulled.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let registry = Double::new();
    let error = wait(client().pull(&registry.name("filter:9")))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("` has no `filter:9`; `attache tags 127.0.0.1:"),
        "{error}"
    );
    // Nobody listens on a port that a client has, as long as it has it.
    let client_of_it = std::net::TcpStream::connect(registry.address).unwrap();
    let port = client_of_it.local_addr().unwrap();
    let nowhere = format!("{port}/filter:9").parse().unwrap();
    let error = wait(client().pull(&nowhere)).unwrap_err();
    assert!(
        whole(&error).contains("cannot reach `127.0.0.1:"),
        "{}",
        whole(&error)
    );
}
