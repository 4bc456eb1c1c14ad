//! Signatures under the tag `sha256-….sig`, as cosign had them before version 3.

use std::fs;

use attache_package::registry::{Access, Client, Credentials, Options, RegistryError};
use attache_package::signing::{Policy, Verdict};
use attache_package::{Descriptor, Digest, Graph, Layout};
use base64::Engine as _;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::DecodePrivateKey as _;
use serde_json::{Value, json};

use super::key;
use crate::modules::Folder;
use crate::registries::double::Double;
use crate::registries::{client, graph, lists, wait};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn payload(digest: Digest) -> Value {
    json!({
        "critical": {
            "identity": { "docker-reference": "registry.example.com/filter" },
            "image": { "docker-manifest-digest": digest },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
}

/// Puts signatures by a key under the tag of a manifest.
fn publish(registry: &Double, folder: &Folder, key: &str, subject: Digest, payloads: &[Value]) {
    let text = fs::read_to_string(folder.path().join(format!("{key}.key"))).unwrap();
    let key = p256::ecdsa::SigningKey::from_pkcs8_pem(&text).unwrap();
    let mut shelf = registry.shelf();
    let layers = payloads.iter().map(|payload| {
        let payload = payload.to_string().into_bytes();
        let signature: p256::ecdsa::Signature = key.sign(&payload);
        let signature =
            base64::engine::general_purpose::STANDARD.encode(signature.to_der().as_bytes());
        let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
        let mut layer = serde_json::to_value(Descriptor::of(kind, &payload)).unwrap();
        layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signature });
        shelf
            .blobs
            .insert(Digest::of(&payload).to_string(), payload);
        layer
    });
    let layers: Vec<Value> = layers.collect();
    let config = br#"{"architecture":""}"#.to_vec();
    let kind = "application/vnd.oci.image.config.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": Descriptor::of(kind, &config),
        "layers": layers,
    });
    shelf.blobs.insert(Digest::of(&config).to_string(), config);
    let entry = (MANIFEST.to_owned(), manifest.to_string().into_bytes());
    shelf.manifests.insert(tag(subject), entry);
}

fn tag(subject: Digest) -> String {
    format!("sha256-{}.sig", subject.hex())
}

fn policy(folder: &Folder) -> Policy {
    Policy::parse("rules: [{ images: '**', keys: [team.pub] }]", folder.path()).unwrap()
}

/// Pulls with the policy that the team has signed.
fn pull(registry: &Double, folder: &Folder, tag: &str) -> Result<Graph, RegistryError> {
    let mut options = Options::default();
    options.access = Access::As(Credentials::Anonymous);
    options.policy = Some(policy(folder));
    let client = Client::new(options).unwrap();
    let pulled = wait(client.pull(&registry.name(&format!("filter:{tag}"))))?;
    assert!(matches!(pulled.verdict, Some(Verdict::Signed(_))));
    Ok(pulled.graph)
}

#[test]
fn a_signature_under_the_tag_of_an_image_counts_for_a_key() {
    let folder = Folder::new("simple");
    key(&folder, "team");
    key(&folder, "foreign");
    let own = graph().descriptor().digest;
    let registry = Double::new();
    registry.hold(&graph(), "1");
    assert!(pull(&registry, &folder, "1").is_err());
    let mut of_another_kind = payload(own);
    of_another_kind["critical"]["type"] = json!("atomic container signature");
    for (key, payloads, expected) in [
        (
            "foreign",
            vec![payload(own)],
            "the signature is not by this key",
        ),
        (
            "team",
            vec![payload(Digest::of(b"other"))],
            "the signature is for something else",
        ),
        (
            "team",
            vec![of_another_kind],
            "the signature is for something else",
        ),
        (
            "team",
            vec![json!({})],
            "the signature is for something else",
        ),
        (
            "team",
            vec![payload(own); 51],
            "it has 51 signatures, expected at most 50",
        ),
        (
            "team",
            vec![json!("x".repeat(70_000))],
            "expected at most 65536",
        ),
    ] {
        publish(&registry, &folder, key, own, &payloads);
        let error = pull(&registry, &folder, "1").unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        // Without a policy nothing there keeps the image from being fetched.
        wait(client().pull(&registry.name("filter:1"))).unwrap();
    }
    publish(&registry, &folder, "team", own, &[json!({}), payload(own)]);
    pull(&registry, &folder, "1").unwrap();

    // What was signed was changed, or the signature was.
    let signed = payload(own).to_string();
    let digest = Digest::of(signed.as_bytes()).to_string();
    let index = (
        MANIFEST.to_owned(),
        json!({ "mediaType": "x" }).to_string().into_bytes(),
    );
    let good = registry.shelf().manifests.insert(tag(own), index).unwrap();
    assert!(pull(&registry, &folder, "1").is_err());
    registry.shelf().manifests.insert(tag(own), good);
    let changed = signed.replace("registry", "Registry").into_bytes();
    registry.shelf().blobs.insert(digest, changed);
    assert!(pull(&registry, &folder, "1").is_err());
}

#[test]
fn signatures_under_a_tag_go_along_and_leave_those_of_others_alone() {
    let folder = Folder::new("along");
    key(&folder, "team");
    let own = graph().descriptor().digest;
    let registry = Double::new();
    registry.hold(&graph(), "1");
    publish(&registry, &folder, "team", own, &[payload(own)]);
    let copied = wait(client().fetch(&registry.name("filter:1"))).unwrap();
    let layout = Layout::create(&folder.path().join("images")).unwrap();
    layout.put(&copied, "one").unwrap();
    assert_eq!(layout.tags().unwrap(), ["one"]);
    let back = layout.graph("one").unwrap();
    back.judge(&policy(&folder), "r.io/a").unwrap();

    let other = Double::new();
    wait(client().push(&back, &other.name("filter:1"))).unwrap();
    pull(&other, &folder, "1").unwrap();

    let other = Double::new();
    let theirs = ("application/x".to_owned(), b"theirs".to_vec());
    other.shelf().manifests.insert(tag(own), theirs.clone());
    wait(client().push(&back, &other.name("filter:1"))).unwrap();
    assert_eq!(other.shelf().manifests[&tag(own)], theirs);
}

#[test]
fn a_signature_under_the_tag_of_a_list_counts_for_its_image() {
    let folder = Folder::new("simple-list");
    key(&folder, "team");
    let (registry, list) = lists::registry();
    assert!(pull(&registry, &folder, "list").is_err());
    publish(
        &registry,
        &folder,
        "team",
        list.digest,
        &[payload(list.digest)],
    );
    let pulled = pull(&registry, &folder, "list").unwrap();
    assert_eq!(pulled.lists(), [list.digest]);
}
