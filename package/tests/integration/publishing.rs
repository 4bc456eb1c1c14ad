//! The commands around registries, as a person runs them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use attache_package::signing::{SigningKey, sign};
use attache_package::{About, Graph, Image, Layout};
use serde_json::{Value, json};

use crate::modules::{Folder, guard};
use crate::registries::double::{Double, Reply};
use crate::registries::{client, graph, lists, wait};

fn run(folder: &Path, words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_attache-image"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Exit status, standard output, standard error.
fn said(folder: &Path, words: &str) -> (i32, String, String) {
    let output = run(folder, words);
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), stdout, stderr)
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn what_nobody_has_signed_is_not_verified_though_the_policy_lets_it_in() {
    let folder = Folder::new("unsigned");
    let here = folder.path();
    let (key, _, _) = SigningKey::create(&here.join("team")).unwrap();
    let registry = Double::new();
    registry.hold(&graph(), "1");
    let image = registry.name("filter:1").to_string();
    let rule = format!(
        "rules: [{{ images: '{}', keys: [team.pub], unsigned: allow }}]",
        registry.name("filter").name()
    );
    fs::write(here.join("policy.yaml"), rule).unwrap();
    let others = "{ rules: [], others: allow }";
    fs::write(here.join("others.yaml"), others).unwrap();

    for (policy, by) in [
        ("policy.yaml", "the rule for `127.0.0.1:"),
        ("others.yaml", "`others: allow`"),
    ] {
        let verify = format!("verify {image} --policy {policy}");
        let (code, stdout, stderr) = said(here, &verify);
        assert_eq!(code, 1, "{stderr}");
        assert!(
            stdout.contains(&format!("unsigned  let in by {by}")),
            "{stdout}"
        );
        assert!(stderr.contains("nothing is verified: nobody"), "{stderr}");
        let (code, stdout, _) = said(here, &format!("{verify} --json"));
        assert_eq!(code, 1);
        let line = json_of(&stdout);
        assert_eq!(line["signers"], json!([]));
        assert!(line["allowed_by"].as_str().unwrap().contains(by), "{line}");
        let (code, _, stderr) = said(here, &format!("{verify} --allow-unsigned"));
        assert_eq!(code, 0, "{stderr}");
        // It is let in where nothing more was asked for.
        let (code, stdout, _) = said(here, &format!("pull {image} -o images --policy {policy}"));
        assert_eq!(code, 0);
        assert!(stdout.contains(by), "{stdout}");
    }
    let mut signature = Graph::about(graph().descriptor().clone());
    sign(&mut signature, &key).unwrap();
    let pinned = registry.name("filter").pinned(graph().descriptor().digest);
    wait(client().push(&signature, &pinned)).unwrap();
    let (code, stdout, _) = said(here, &format!("verify {image} --policy policy.yaml"));
    assert_eq!(code, 0);
    assert!(stdout.contains("signed by key "), "{stdout}");
    // The flag is about a policy: a key that has to have signed has.
    let (code, _, _) = said(
        here,
        &format!("verify {image} --key team.pub --allow-unsigned"),
    );
    assert_eq!(code, 2);
}

#[test]
fn where_a_policy_would_not_be_asked_it_is_refused() {
    let folder = Folder::new("unasked");
    let here = folder.path();
    for words in [
        "tags localhost:1/a --policy p.yaml",
        "sign localhost:1/a --key k --policy p.yaml",
        "search --registry localhost:1 --policy p.yaml",
    ] {
        let (code, _, stderr) = said(here, words);
        assert_eq!(code, 2, "{words}: {stderr}");
        assert!(
            stderr.contains("unexpected argument '--policy'"),
            "{stderr}"
        );
    }
}

#[test]
fn an_image_of_a_folder_is_held_against_the_policy_under_the_name_that_a_manifest_has_for_it() {
    let folder = Folder::new("under");
    let here = folder.path();
    let (key, _, _) = SigningKey::create(&here.join("team")).unwrap();
    let layout = Layout::create(&here.join("images")).unwrap();
    let mut signed = graph();
    sign(&mut signed, &key).unwrap();
    layout.put(&signed, "signed").unwrap();
    let other = Graph::from(&Image::new(&guard(), About::new("guard", "6.6.6")).unwrap());
    layout.put(&other, "other").unwrap();
    let rule = "rules: [{ images: r.io/team/*, keys: [team.pub] }, { images: r.io/open/*, unsigned: allow }]";
    fs::write(here.join("policy.yaml"), rule).unwrap();
    let digest = |graph: &Graph| graph.descriptor().digest.hex();
    for (name, digest, expected) in [
        ("r.io/team/guard:1", digest(&signed), None),
        ("r.io/open/guard:1", digest(&other), None),
        (
            "r.io/team/guard:1",
            digest(&other),
            Some(
                "error: WasmPlugin default/a: the policy does not let it in: no signature of `r.io/team/guard`",
            ),
        ),
        (
            "r.io/elsewhere:1",
            digest(&signed),
            Some("no rule names the repository"),
        ),
        (
            "r.io/team/guard:1",
            "0".repeat(64),
            Some(
                "warning: WasmPlugin default/a: the policy is not asked: the image is none of those",
            ),
        ),
    ] {
        let manifest = format!(
            "kind: WasmPlugin\nmetadata: {{ name: a }}\nspec:\n  phase: AUTHN\n  failStrategy: FAIL_RELOAD\n  url: oci://{name}\n  sha256: '{digest}'\n  pluginName: guard\n"
        );
        fs::write(here.join("manifest.yaml"), manifest).unwrap();
        let words = "check manifest.yaml --images images --policy policy.yaml";
        let (code, stdout, stderr) = said(here, words);
        let is_error = expected.is_some_and(|it| !it.starts_with("warning"));
        assert_eq!(code, i32::from(is_error), "{stdout}{stderr}");
        match expected {
            Some(expected) => assert!(stdout.contains(expected), "{stdout}"),
            None => assert!(!stdout.contains("policy"), "{stdout}"),
        }
    }
    let envoy = "typed_config:\n  '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n  config: { vm_config: { vm_id: a, code: { local: { filename: a.wasm } } } }\n";
    fs::write(here.join("envoy.yaml"), envoy).unwrap();
    let (_, stdout, _) = said(
        here,
        "check envoy.yaml --images images --policy policy.yaml",
    );
    assert!(
        stdout.contains("nothing here says from which repository"),
        "{stdout}"
    );
    let (code, _, stderr) = said(here, "check manifest.yaml --policy policy.yaml");
    assert_eq!(code, 1);
    assert!(stderr.contains("name one with --image"), "{stderr}");
}

#[test]
fn a_tag_of_a_folder_that_moves_is_told_with_both_digests() {
    let folder = Folder::new("moves");
    let here = folder.path();
    let registry = Double::new();
    registry.hold(&graph(), "1");
    let pull = format!("pull {} -o images", registry.name("filter:1"));
    let (_, stdout, _) = said(here, &pull);
    assert!(!stdout.contains("moved"), "{stdout}");
    let (_, stdout, _) = said(here, &pull);
    assert!(!stdout.contains("moved"), "{stdout}");
    let other = Image::new(&guard(), About::new("guard", "1.3.0")).unwrap();
    registry.hold(&Graph::from(&other), "1");
    let (code, stdout, _) = said(here, &pull);
    let before = graph().descriptor().digest.to_string();
    assert_eq!(code, 0);
    assert!(
        stdout.contains(&format!("moved     the tag named {before} before")),
        "{stdout}"
    );
    assert!(
        stdout.contains(&format!("digest    {}", other.descriptor().digest)),
        "{stdout}"
    );
    let layout = Layout::open(&here.join("images")).unwrap();
    assert_eq!(layout.module(&before).unwrap().bytes, guard());
    // By its digest it is signed, verified and copied on; no tag comes of that.
    SigningKey::create(&here.join("team")).unwrap();
    let by_digest = format!("oci:images:{before}");
    let (code, _, stderr) = said(here, &format!("sign {by_digest} --key team.key"));
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = said(here, &format!("verify {by_digest} --key team.pub"));
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = said(
        here,
        &format!("copy {by_digest} {}", registry.name("filter:old")),
    );
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(layout.tags().unwrap(), ["filter-1"]);
    registry.hold(&graph(), "1");
    let (_, stdout, _) = said(here, &format!("{pull} --json"));
    assert_eq!(
        json_of(&stdout)["replaced"],
        other.descriptor().digest.to_string()
    );
}

#[test]
fn a_manifest_for_a_list_is_pinned_by_the_image_that_proxies_take() {
    let folder = Folder::new("pinned");
    let (registry, list) = lists::registry();
    let own = graph().descriptor().digest;
    let by_digest = registry.name("filter").pinned(list.digest).to_string();
    let by_tag = registry.name("filter:list").to_string();
    for (name, to) in [
        (&by_digest, "istio"),
        (&by_digest, "envoy-gateway --gateway g"),
        (&by_tag, "istio"),
    ] {
        let (code, stdout, stderr) = said(folder.path(), &format!("deploy {name} --to {to}"));
        assert_eq!(code, 0, "{stderr}");
        assert!(stdout.contains(&own.hex()), "{stdout}");
        assert!(!stdout.contains(&list.digest.hex()), "{stdout}");
    }
}

#[test]
fn what_others_wrote_cannot_draw_on_a_terminal() {
    const BAD: &str = "\u{1b}[2K\rsigned by key 1234\nok\u{9b}1m\u{202e}";
    let folder = Folder::new("drawn");
    let here = folder.path();
    let mut about = About::new("guard", "1.2.0");
    about.description = BAD.to_owned();
    let mut image = Image::new(&guard(), about).unwrap();
    image.refer(BAD, BAD, b"x".to_vec()).unwrap();
    let registry = Double::with(|question, shelf| match question.target.as_str() {
        "/v2/filter/tags/list?n=1000" => {
            Some(Reply::new(200, json!({ "tags": [BAD] }).to_string()))
        }
        target if target.ends_with("/denied") => {
            let body = json!({ "errors": [{ "code": "DENIED", "message": BAD }] });
            Some(Reply::new(403, body.to_string()))
        }
        target if target.ends_with("/platforms") => {
            let digest = attache_package::Digest::of(b"");
            let list = json!({ "schemaVersion": 2, "manifests": [{
                "mediaType": "x", "size": 1, "digest": digest, "platform": { "os": BAD, "architecture": BAD },
            }] });
            let kind = "application/vnd.oci.image.index.v1+json";
            Some(Reply::new(200, list.to_string()).with("content-type", kind))
        }
        target if target.ends_with("/layers") => {
            let (kind, bytes) = shelf.manifests.get("1")?.clone();
            let mut manifest = json_of(std::str::from_utf8(&bytes).unwrap());
            manifest["layers"][0]["mediaType"] = json!(BAD);
            Some(Reply::new(200, manifest.to_string()).with("content-type", kind))
        }
        target if target.ends_with("/kind") => {
            let body = json!({ "mediaType": BAD }).to_string();
            Some(Reply::new(200, body))
        }
        _ => None,
    });
    registry.hold(&Graph::from(&image), "1");
    let name = registry.name("filter");
    for words in [
        format!("pull {name}:1 -o images"),
        format!("pull {name}:1 -o images --json"),
        "images images".to_owned(),
        "images images --json".to_owned(),
        format!("tags {name}"),
        format!("tags {name} --json"),
        format!("pull {name}:denied"),
        format!("pull {name}:platforms"),
        format!("pull {name}:layers"),
        format!("pull {name}:kind"),
        format!("copy {name}:1 oci:copy:a"),
        format!("deploy {name}:1 --to istio"),
    ] {
        let (_, stdout, stderr) = said(here, &words);
        for text in [stdout, stderr] {
            let drawn = text
                .chars()
                .find(|it| it.is_control() && *it != '\n' || *it == '\u{202e}');
            assert_eq!(drawn, None, "{words}: {text:?}");
            assert!(
                !text.lines().any(|line| line.starts_with("ok")),
                "{words}: {text}"
            );
        }
    }
}
