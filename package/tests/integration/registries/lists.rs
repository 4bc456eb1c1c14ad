//! Lists of images: who signed them, what they name, and how they go through folders.

use std::collections::BTreeMap;
use std::path::Path;

use attache_package::registry::{Access, Client, Credentials, Options, Reference, RegistryError};
use attache_package::signing::{Policy, SigningKey, Verdict, sign};
use attache_package::{About, Descriptor, Digest, Graph, Image, Layout};
use serde_json::{Value, json};

use super::double::{Double, Reply};
use super::{client, graph, wait, whole};
use crate::modules::{Folder, guard};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The image for other machines.
fn other() -> Graph {
    Graph::from(&Image::new(&guard(), About::new("guard", "6.6.6")).unwrap())
}

/// A registry that has a list of two images under the tag `list`.
pub(crate) fn registry() -> (Double, Descriptor) {
    let registry = Double::new();
    registry.hold(&graph(), "amd64");
    registry.hold(&other(), "arm64");
    let named = |graph: &Graph, architecture: &str| {
        let mut named = serde_json::to_value(graph.descriptor()).unwrap();
        named["platform"] = json!({ "os": "linux", "architecture": architecture });
        named
    };
    let list = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [named(&other(), "arm64"), named(&graph(), "amd64")],
    });
    let list = list.to_string().into_bytes();
    let descriptor = Descriptor::of(INDEX, &list);
    for name in ["list".to_owned(), descriptor.digest.to_string()] {
        let manifest = (INDEX.to_owned(), list.clone());
        registry.shelf().manifests.insert(name, manifest);
    }
    (registry, descriptor)
}

fn policy(folder: &Path) -> Policy {
    Policy::parse("rules: [{ images: '**', keys: [team.pub] }]", folder).unwrap()
}

fn strict(folder: &Path) -> Client {
    let mut options = Options::default();
    options.access = Access::As(Credentials::Anonymous);
    options.policy = Some(policy(folder));
    Client::new(options).unwrap()
}

/// Signs something that is published.
fn publish_signature(registry: &Double, of: &Descriptor, key: &SigningKey) {
    let mut signature = Graph::about(of.clone());
    sign(&mut signature, key).unwrap();
    let name = registry.name("filter").pinned(of.digest);
    wait(client().push(&signature, &name)).unwrap();
}

fn is_unverified<T: std::fmt::Debug>(result: Result<T, RegistryError>) -> bool {
    matches!(result, Err(RegistryError::Unverified(_)))
}

#[test]
fn a_signature_of_the_list_or_of_the_image_lets_the_image_in() {
    for lists in [true, false] {
        let folder = Folder::new(&format!("lists-{lists}"));
        let (key, _, _) = SigningKey::create(&folder.path().join("team")).unwrap();
        let (foreign, _, _) = SigningKey::create(&folder.path().join("foreign")).unwrap();
        let pull = |registry: &Double| {
            let pulled = wait(strict(folder.path()).pull(&registry.name("filter:list")))?;
            assert_eq!(pulled.reference.digest(), Some(graph().descriptor().digest));
            assert!(matches!(pulled.verdict, Some(Verdict::Signed(_))));
            Ok(pulled)
        };
        let fetch =
            |registry: &Double| wait(strict(folder.path()).fetch(&registry.name("filter:list")));
        let start = || {
            let (registry, list) = registry();
            registry.shelf().lists = lists;
            (registry, list)
        };

        let (registry, list) = start();
        assert!(is_unverified(pull(&registry)));
        publish_signature(&registry, &list, &foreign);
        assert!(is_unverified(pull(&registry)));
        publish_signature(&registry, &list, &key);
        pull(&registry).unwrap();
        fetch(&registry).unwrap();
        // By its own digest it is named by no list.
        let own = registry.name("filter").pinned(graph().descriptor().digest);
        assert!(is_unverified(wait(strict(folder.path()).pull(&own))));

        let (registry, _) = start();
        publish_signature(&registry, graph().descriptor(), &key);
        pull(&registry).unwrap();
        // Of a whole list all images are, or it is not.
        assert!(is_unverified(fetch(&registry)));
        publish_signature(&registry, other().descriptor(), &key);
        fetch(&registry).unwrap();

        // The other image is not the one that is taken.
        let (registry, _) = start();
        publish_signature(&registry, other().descriptor(), &key);
        assert!(is_unverified(pull(&registry)));
    }
}

#[test]
fn what_is_held_against_a_policy_alone_brings_no_layers() {
    let folder = Folder::new("alone");
    let (key, _, _) = SigningKey::create(&folder.path().join("team")).unwrap();
    let (registry, list) = registry();
    publish_signature(&registry, &list, &key);
    let before = registry.count("GET", "blobs/");
    let found = wait(client().signatures(&registry.name("filter:list"))).unwrap();
    let verdict = found.judge(&policy(folder.path()), "r.io/a").unwrap();
    assert_eq!(verdict.signers().len(), 1);
    assert_eq!(found.descriptor().digest, graph().descriptor().digest);
    // A configuration and a bundle.
    assert_eq!(registry.count("GET", "blobs/") - before, 2);
}

#[test]
fn signatures_of_a_list_and_of_its_images_go_through_a_folder() {
    let folder = Folder::new("through");
    let (key, _, _) = SigningKey::create(&folder.path().join("team")).unwrap();
    let policy = policy(folder.path());
    let layout = Layout::create(&folder.path().join("images")).unwrap();
    let (from, list) = registry();
    for image in [graph(), other()] {
        publish_signature(&from, image.descriptor(), &key);
    }
    let copied = wait(client().fetch(&from.name("filter:list"))).unwrap();
    layout.put(&copied, "list").unwrap();
    let back = layout.graph("list").unwrap();
    assert_eq!(back.descriptor().digest, list.digest);
    back.judge(&policy, "r.io/a").unwrap();
    let to = Double::new();
    wait(client().push(&back, &to.name("filter:list"))).unwrap();
    let pulled = wait(strict(folder.path()).pull(&to.name("filter:list"))).unwrap();
    assert_eq!(pulled.attached.len(), 3);
    // Of a list the module for linux/amd64 is meant, in a folder as in a registry.
    assert_eq!(layout.module("list").unwrap().bytes, guard());
    let digest = list.digest.to_string();
    let module = layout.module(&digest).unwrap();
    assert_eq!(module.descriptor.digest, graph().descriptor().digest);
    // An image of it can be named, though the folder names the list alone.
    let own = graph().descriptor().digest.to_string();
    assert_eq!(layout.graph(&own).unwrap().lists(), [list.digest]);
    assert!(layout.graph(&Digest::of(b"none").to_string()).is_err());

    // An image that came by a signed list.
    let layout = Layout::create(&folder.path().join("one")).unwrap();
    let (from, list) = registry();
    publish_signature(&from, &list, &key);
    let pulled = wait(client().pull(&from.name("filter:list"))).unwrap();
    layout.put(&pulled.graph, "one").unwrap();
    layout
        .graph("one")
        .unwrap()
        .judge(&policy, "r.io/a")
        .unwrap();
    assert_eq!(layout.tags().unwrap(), ["one"]);
    // It goes to another registry without the list, whose other images are not there.
    let to = Double::new();
    wait(client().push(&layout.graph("one").unwrap(), &to.name("filter:one"))).unwrap();
    assert!(is_unverified(wait(
        strict(folder.path()).pull(&to.name("filter:one"))
    )));
}

#[test]
fn a_foreign_image_in_a_list_is_no_hindrance_to_the_others() {
    let (registry, _) = registry();
    let mut list: Value = serde_json::from_slice(&registry.shelf().manifests["list"].1).unwrap();
    let sha512 = format!("sha512:{}", "0".repeat(128));
    let foreign = json!({ "mediaType": "x", "digest": sha512, "size": 1 });
    list["manifests"].as_array_mut().unwrap().insert(0, foreign);
    let bytes = list.to_string().into_bytes();
    registry
        .shelf()
        .manifests
        .insert("list".to_owned(), (INDEX.to_owned(), bytes));
    let name = registry.name("filter:list");
    assert_eq!(wait(client().pull(&name)).unwrap().image.bytes, guard());
    // A copy would not be whole, and no registry takes half of a list.
    let error = whole(&wait(client().fetch(&name)).unwrap_err());
    assert!(
        error.contains("names what is not known here: `sha512:"),
        "{error}"
    );
}

#[test]
fn a_document_that_can_be_read_in_two_ways_is_refused() {
    let (registry, _) = registry();
    let image: Value = serde_json::from_slice(&registry.shelf().manifests["amd64"].1).unwrap();
    let list: Value = serde_json::from_slice(&registry.shelf().manifests["list"].1).unwrap();
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let name: Reference = registry.name("filter:both");
    let pull = |kind: &str, document: &Value| {
        let entry = (kind.to_owned(), document.to_string().into_bytes());
        registry.shelf().manifests.insert("both".to_owned(), entry);
        wait(client().pull(&name)).map_err(|error| whole(&error))
    };
    let mut both = image.clone();
    both["manifests"] = list["manifests"].clone();
    both.as_object_mut().unwrap().remove("mediaType");
    for kind in [manifest, INDEX] {
        let error = pull(kind, &both).unwrap_err();
        assert!(error.contains("at once"), "{error}");
    }
    for (kind, document) in [(INDEX, &image), (manifest, &list)] {
        let error = pull(kind, document).unwrap_err();
        assert!(error.contains("its `mediaType` is"), "{error}");
    }
    assert!(pull(manifest, &image).is_ok());
    assert!(pull(INDEX, &list).is_ok());
    let mut shouted = image.clone();
    shouted["Layers"] = json!([]);
    assert!(
        pull(manifest, &shouted)
            .unwrap_err()
            .contains("another spelling of `layers`")
    );
}

#[test]
fn an_image_that_its_list_calls_something_else_is_refused() {
    let registry = Double::with(|question, shelf| {
        // Under its digest it comes as a manifest of Docker; it does not say itself what it is.
        let digest = question
            .target
            .strip_prefix("/v2/filter/manifests/sha256:")?;
        let (_, bytes) = shelf.manifests.get(&format!("sha256:{digest}"))?;
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        Some(Reply::new(200, bytes.clone()).with("content-type", kind))
    });
    let mut image = serde_json::to_value(
        Image::new(&guard(), About::new("guard", "1"))
            .unwrap()
            .manifest(),
    )
    .unwrap();
    image.as_object_mut().unwrap().remove("mediaType");
    let image = image.to_string().into_bytes();
    let mut named = serde_json::to_value(Descriptor::of(
        "application/vnd.oci.image.manifest.v1+json",
        &image,
    ))
    .unwrap();
    named["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [named] });
    registry.shelf().manifests = BTreeMap::from([
        (Digest::of(&image).to_string(), (String::new(), image)),
        (
            "list".to_owned(),
            (INDEX.to_owned(), list.to_string().into_bytes()),
        ),
    ]);
    let error = wait(client().pull(&registry.name("filter:list"))).unwrap_err();
    assert!(matches!(error, RegistryError::Ambiguous { .. }), "{error}");
}

/// Writes a document into a folder of images.
fn keep(layout: &Path, document: &Value) -> Descriptor {
    let bytes = document.to_string().into_bytes();
    let descriptor = Descriptor::of(document["mediaType"].as_str().unwrap(), &bytes);
    std::fs::write(
        layout.join("blobs/sha256").join(descriptor.digest.hex()),
        bytes,
    )
    .unwrap();
    descriptor
}

#[test]
fn lists_in_lists_are_walked_once_and_not_without_end() {
    let folder = Folder::new("nested");
    let here = folder.path().join("images");
    let layout = Layout::create(&here).unwrap();
    let twice = |named: &Descriptor| json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [named, named] });
    let mut top = keep(
        &here,
        &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }),
    );
    for _ in 0..100 {
        top = keep(&here, &twice(&top));
    }
    let index = |top: &Descriptor| {
        let mut named = serde_json::to_value(top).unwrap();
        named["annotations"] = json!({ "org.opencontainers.image.ref.name": "deep" });
        let index = json!({ "schemaVersion": 2, "manifests": [named] });
        std::fs::write(here.join("index.json"), index.to_string()).unwrap();
    };
    index(&top);
    // Each way through them would be 2^100 of them.
    layout.graph("deep").unwrap();

    for _ in 0..300 {
        top = keep(&here, &twice(&top));
    }
    index(&top);
    let error = layout.graph("deep").unwrap_err().to_string();
    assert!(
        error.contains("301 manifests with all that it names"),
        "{error}"
    );
}

#[test]
fn what_others_wrote_into_a_folder_stays_and_is_no_hindrance() {
    let folder = Folder::new("others-wrote");
    let here = folder.path().join("images");
    let layout = Layout::create(&here).unwrap();
    layout.put(&graph(), "one").unwrap();
    let path = here.join("index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let foreign = [
        json!({ "mediaType": "x", "digest": format!("sha512:{}", "0".repeat(128)), "size": 1, "urls": ["x"] }),
        json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::of(b"gone"), "size": 4 }),
    ];
    index["manifests"]
        .as_array_mut()
        .unwrap()
        .extend(foreign.clone());
    index["annotations"] = json!({ "kept": "yes" });
    std::fs::write(&path, index.to_string()).unwrap();

    assert_eq!(layout.graph("one").unwrap().attached().len(), 2);
    assert_eq!(
        layout.referrers(graph().descriptor().digest).unwrap().len(),
        2
    );
    assert_eq!(layout.put(&graph(), "one").unwrap(), None);
    // A tag that moves says so, and what it named stays.
    assert_eq!(
        layout.put(&other(), "one").unwrap(),
        Some(graph().descriptor().digest)
    );
    assert_eq!(
        layout.module("one").unwrap().descriptor.digest,
        other().descriptor().digest
    );
    let before = graph().descriptor().digest.to_string();
    assert_eq!(layout.graph(&before).unwrap().attached().len(), 2);
    assert_eq!(
        layout.put(&graph(), "one").unwrap(),
        Some(other().descriptor().digest)
    );
    assert_eq!(layout.tags().unwrap(), ["one"]);

    let index: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(index["annotations"]["kept"], "yes");
    for entry in &foreign {
        assert!(index["manifests"].as_array().unwrap().contains(entry));
    }
    // Each image has one entry.
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2 + 2 + 2);
}
