//! What is attached to an image is anybody's: whatever it is, the image itself can be fetched, and nothing is left out
//! without a word.

use attache_package::registry::{Access, Client, Credentials, Options, Pulled, RegistryError};
use attache_package::signing::{Policy, Signer, SigningKey, Verdict, sign};
use attache_package::{Digest, Graph};
use serde_json::{Value, json};

use super::double::{Double, Question, Reply, Shelf};
use super::{client, graph, wait};
use crate::modules::{Folder, guard};

/// Pulls an image from a registry whose list of what is attached is another one.
fn pull_with(
    list: impl Fn(&Question, &mut Shelf, Vec<Value>) -> Option<Reply> + Send + Sync + 'static,
) -> (Double, Result<Pulled, RegistryError>) {
    let digest = graph().descriptor().digest;
    let registry = Double::with(move |question, shelf| {
        let wanted = format!("/v2/filter/referrers/{digest}");
        let is_list = question.target.starts_with(&wanted);
        is_list.then(|| list(question, shelf, named(&graph())))?
    });
    registry.hold(&graph(), "1");
    let pulled = wait(client().pull(&registry.name("filter:1")));
    (registry, pulled)
}

/// What is attached to a graph, as a list names it.
fn named(graph: &Graph) -> Vec<Value> {
    let attached = graph.attached();
    let named = attached
        .iter()
        .map(|it| serde_json::to_value(&it.descriptor).unwrap());
    named.collect()
}

fn index(entries: &[Value]) -> Reply {
    Reply::new(
        200,
        json!({ "schemaVersion": 2, "manifests": entries }).to_string(),
    )
}

fn entry(digest: &str, size: u64) -> Value {
    json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size })
}

/// What was left out, as it is said.
fn said(pulled: &Pulled) -> String {
    let left_out = pulled.graph.left_out().iter().map(ToString::to_string);
    left_out.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_foreign_missing_or_broken_is_left_out_with_a_word() {
    let page = json!({ "mediaType": "text/html", "digest": Digest::of(b"<html>"), "size": 6 });
    for (bad, expected) in [
        (
            entry(&format!("sha512:{}", "0".repeat(128)), 5),
            "`sha512:000",
        ),
        (
            json!({ "digest": "\u{1b}[2J" }),
            "`\\u001b[2J`: it is named in a way",
        ),
        (json!(7), "an entry without a digest"),
        (
            entry(&Digest::of(b"missing").to_string(), 7),
            "has no `filter@sha256:",
        ),
        (page, "left out"),
    ] {
        let (_, pulled) = pull_with({
            let bad = bad.clone();
            move |_, shelf, mut entries| {
                let html = ("text/html".to_owned(), b"<html>".to_vec());
                shelf
                    .manifests
                    .insert(Digest::of(b"<html>").to_string(), html);
                entries.insert(0, bad.clone());
                Some(index(&entries))
            }
        });
        let pulled = pulled.unwrap();
        assert_eq!(pulled.image.bytes, guard());
        assert_eq!(pulled.attached.len(), 2, "{bad}");
        assert_eq!(pulled.graph.left_out().len(), 1, "{bad}");
        let said = said(&pulled);
        assert!(said.contains(expected) || expected == "left out", "{said}");
    }
}

#[test]
fn a_list_of_what_is_attached_without_end_is_not_read_to_its_end() {
    // Each page says that there is another one.
    let (registry, pulled) = pull_with(|question, _, entries| {
        let page = question
            .target
            .split_once("page=")
            .map_or(0_u32, |(_, page)| page.parse().unwrap());
        let path = question.target.split('?').next().unwrap();
        let next = format!("<{path}?page={}>; rel=\"next\"", page + 1);
        Some(index(&entries).with("link", next))
    });
    let pulled = pulled.unwrap();
    assert_eq!(pulled.attached.len(), 2);
    assert!(said(&pulled).contains("the rest of a list that does not end"));
    assert!(registry.count("GET", "referrers") <= 110);

    // One page is larger than any list has reason to be.
    let (_, pulled) = pull_with(|_, _, _| Some(Reply::new(200, vec![b' '; 5 << 20])));
    let pulled = pulled.unwrap();
    assert_eq!(pulled.attached.len(), 0);
    assert!(
        said(&pulled).contains("expected at most 4194304"),
        "{}",
        said(&pulled)
    );
}

#[test]
fn nobody_crowds_out_a_signature() {
    let folder = Folder::new("crowd");
    let (key, _, _) = SigningKey::create(&folder.path().join("team")).unwrap();
    let mut signed = graph();
    sign(&mut signed, &key).unwrap();
    let digest = graph().descriptor().digest;
    let real = named(&signed);
    let registry = Double::with(move |question, _| {
        let is_list = question.target.contains(&format!("referrers/{digest}"));
        is_list.then(|| {
            let many = (0..2_000).map(|n: u32| entry(&Digest::of(&n.to_be_bytes()).to_string(), 4));
            index(&many.chain(real.clone()).collect::<Vec<_>>())
        })
    });
    registry.hold(&signed, "1");
    let mut options = Options::default();
    options.access = Access::As(Credentials::Anonymous);
    let rule = "rules: [{ images: '**', keys: [team.pub] }]";
    options.policy = Some(Policy::parse(rule, folder.path()).unwrap());
    let pulled = wait(
        Client::new(options)
            .unwrap()
            .pull(&registry.name("filter:1")),
    )
    .unwrap();
    let signer = Signer::Key(key.public().unwrap());
    assert_eq!(pulled.verdict, Some(Verdict::Signed(vec![signer])));
    assert!(
        said(&pulled).contains("1703 more: 300 are taken at most"),
        "{}",
        said(&pulled)
    );
    assert!(registry.count("GET", "manifests/") < 400);
}

#[test]
fn what_says_other_than_it_is_is_left_out_before_it_takes_memory() {
    let other = |digest: &str| {
        let config = attache_package::Descriptor::of("x", b"[]");
        let mut manifest = attache_package::Manifest::new(config, Vec::new());
        let mut subject = graph().descriptor().clone();
        subject.digest = digest.parse().unwrap();
        manifest.subject = Some(subject);
        serde_json::to_vec(&manifest).unwrap()
    };
    let own = graph().descriptor().digest.to_string();
    let elsewhere = other(&Digest::of(b"elsewhere").to_string());
    let large = String::from_utf8(other(&own)).unwrap();
    let large = large.replace("\"size\":2", "\"size\":400000000");
    for (manifest, lie, expected) in [
        (elsewhere, 0, "it is not about this image"),
        (other(&own), -10, "expected at most"),
        (
            other(&own),
            10,
            "of another kind or size than the list says",
        ),
        (other(&own), 5 << 20, "there is no room for it"),
        (large.into_bytes(), 0, "there is no room for it"),
    ] {
        let digest = Digest::of(&manifest).to_string();
        let size = u64::try_from(i64::try_from(manifest.len()).unwrap() + lie).unwrap();
        let (registry, pulled) = pull_with(move |_, shelf, mut entries| {
            let bad = entry(&digest, size);
            let kind = bad["mediaType"].as_str().unwrap().to_owned();
            shelf
                .manifests
                .insert(digest.clone(), (kind, manifest.clone()));
            entries.push(bad);
            Some(index(&entries))
        });
        let pulled = pulled.unwrap();
        assert_eq!(pulled.attached.len(), 2, "{expected}");
        assert!(
            said(&pulled).contains(expected),
            "{expected}: {}",
            said(&pulled)
        );
        let config = Digest::of(b"[]").to_string();
        assert_eq!(registry.count("GET", &format!("blobs/{config}")), 0);
    }
}

#[test]
fn half_of_what_is_attached_is_not_taken() {
    let (_, pulled) = pull_with(|_, shelf, entries| {
        let readme = Digest::of(b"# Guard\n").to_string();
        shelf.blobs.remove(&readme);
        Some(index(&entries))
    });
    let pulled = pulled.unwrap();
    let titles: Vec<&str> = pulled.attached.iter().map(|it| &*it.title).collect();
    assert_eq!(titles, ["guard.suite.yaml"]);
    assert!(
        said(&pulled).contains("has no blob `sha256:"),
        "{}",
        said(&pulled)
    );
    // What is left of it goes nowhere else.
    let other = Double::new();
    wait(client().push(&pulled.graph, &other.name("filter:1"))).unwrap();
    assert_eq!(
        wait(client().pull(&other.name("filter:1")))
            .unwrap()
            .attached
            .len(),
        1
    );
}

#[test]
fn a_registry_whose_lists_fail_gives_images_and_a_copy_of_all_fails() {
    let (registry, pulled) = pull_with(|_, _, _| Some(Reply::new(500, "")));
    let pulled = pulled.unwrap();
    assert_eq!(pulled.image.bytes, guard());
    assert!(
        said(&pulled).contains("what is attached to sha256:"),
        "{}",
        said(&pulled)
    );
    let error = wait(client().fetch(&registry.name("filter:1"))).unwrap_err();
    assert!(
        matches!(error, RegistryError::Status { status: 500, .. }),
        "{error}"
    );

    // What another attempt would find again is left out of a copy as well.
    let (registry, _) = pull_with(|_, _, _| Some(Reply::new(200, "<html>")));
    let copied = wait(client().fetch(&registry.name("filter:1"))).unwrap();
    assert_eq!(copied.attached().len(), 0);
    assert_eq!(copied.left_out().len(), 1);
}

#[test]
fn whoever_wants_a_signature_is_told_what_was_left_out() {
    let folder = Folder::new("told");
    SigningKey::create(&folder.path().join("team")).unwrap();
    let registry = Double::with(|question, _| {
        let is_list = question.target.contains("/referrers/");
        is_list.then(|| Reply::new(200, "<html>"))
    });
    registry.hold(&graph(), "1");
    let mut options = Options::default();
    options.access = Access::As(Credentials::Anonymous);
    let rule = "rules: [{ images: '**', keys: [team.pub] }]";
    options.policy = Some(Policy::parse(rule, folder.path()).unwrap());
    let error = wait(
        Client::new(options)
            .unwrap()
            .pull(&registry.name("filter:1")),
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("left out was what is attached"),
        "{error}"
    );
}

#[test]
fn a_tag_of_publishers_that_holds_no_list_is_left_out() {
    let registry = Double::new();
    registry.hold(&graph(), "1");
    let tag = graph().descriptor().digest.to_string().replace(':', "-");
    registry.shelf().lists = false;
    registry
        .shelf()
        .manifests
        .insert(tag, ("text/html".to_owned(), b"<html>".to_vec()));
    let pulled = wait(client().pull(&registry.name("filter:1"))).unwrap();
    assert_eq!(pulled.image.bytes, guard());
    assert_eq!(pulled.graph.left_out().len(), 1);
}
