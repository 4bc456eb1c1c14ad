//! Signatures: made, attached, found again, and held against what is trusted.

mod simple;

use std::fs;
use std::path::Path;

use attache_package::registry::{Access, Client, Credentials, Options, Reference, RegistryError};
use attache_package::signing::{KeyError, Policy, PublicKey, Signer, SigningKey, Verdict, sign};
use attache_package::{About, Digest, Graph, Image};
use serde_json::{Value, json};

use crate::modules::{Folder, guard};
use crate::registries::double::Double;
use crate::registries::{graph, wait};

fn key(folder: &Folder, name: &str) -> (SigningKey, PublicKey) {
    let (key, _, public) = SigningKey::create(&folder.path().join(name)).unwrap();
    (key, PublicKey::read(&public).unwrap())
}

fn signed(key: &SigningKey) -> Graph {
    let mut graph = graph();
    sign(&mut graph, key).unwrap();
    graph
}

fn bundle(graph: &Graph) -> Value {
    let attached = graph.attached();
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let signature = attached.iter().find(|it| it.artifact_type == kind).unwrap();
    serde_json::from_slice(&signature.content).unwrap()
}

/// A client that lets in what the key has signed.
fn client(policy: Policy) -> Client {
    let mut options = Options::default();
    options.access = Access::As(Credentials::Anonymous);
    options.policy = Some(policy);
    Client::new(options).unwrap()
}

fn trusting(folder: &Folder, keys: &[&str], name: &Reference) -> Policy {
    let rule = json!({ "rules": [{ "images": name.name(), "keys": keys }] });
    Policy::parse(&rule.to_string(), folder.path()).unwrap()
}

#[test]
fn what_is_signed_is_let_in_and_nothing_else() {
    let folder = Folder::new("signed");
    let (team, public) = key(&folder, "team");
    key(&folder, "other");
    for lists in [true, false] {
        let registry = Double::new();
        registry.shelf().lists = lists;
        let name = registry.name("filter:1");
        wait(crate::registries::client().push(&signed(&team), &name)).unwrap();
        let pull = |keys: &[&str]| wait(client(trusting(&folder, keys, &name)).pull(&name));
        let pulled = pull(&["other.pub", "team.pub"]).unwrap();
        assert_eq!(
            pulled.verdict,
            Some(Verdict::Signed(vec![Signer::Key(public.clone())]))
        );
        assert_eq!(pulled.image.bytes, guard());
        let error = pull(&["other.pub"]).unwrap_err();
        assert!(matches!(error, RegistryError::Unverified(_)), "{error}");
        assert!(
            error.to_string().contains("no signature of `127.0.0.1:"),
            "{error}"
        );

        wait(crate::registries::client().push(&graph(), &registry.name("filter:2"))).unwrap();
        // The same image: it is signed, whatever the tag.
        wait(client(trusting(&folder, &["team.pub"], &name)).pull(&registry.name("filter:2")))
            .unwrap();
        // What is attached besides is no signature, not even a broken one.
        let mut other = Image::new(&guard(), About::new("guard", "9.9.9")).unwrap();
        other
            .refer("text/markdown", "README.md", b"# Guard\n".to_vec())
            .unwrap();
        wait(crate::registries::client().push(&Graph::from(&other), &registry.name("filter:3")))
            .unwrap();
        let error =
            wait(client(trusting(&folder, &["team.pub"], &name)).pull(&registry.name("filter:3")));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("is trusted: it has none"), "{error}");
    }
}

#[test]
fn a_signature_that_was_made_for_another_image_does_not_count() {
    let folder = Folder::new("moved");
    let (team, _) = key(&folder, "team");
    let mut other = Image::new(&guard(), About::new("guard", "6.6.6")).unwrap();
    let signature = bundle(&signed(&team)).to_string();
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    other.refer(kind, "", signature.into_bytes()).unwrap();
    let registry = Double::new();
    let name = registry.name("filter:1");
    wait(crate::registries::client().push(&Graph::from(&other), &name)).unwrap();
    let policy = trusting(&folder, &["team.pub"], &name);
    let error = wait(client(policy).pull(&name)).unwrap_err().to_string();
    assert!(error.contains("no signature of"), "{error}");
    assert!(!error.contains("it has none"), "{error}");
}

/// A policy with one key, in place of any repository.
fn judge(folder: &Path, manifest: &[u8], bundle: &Value) -> Result<Verdict, String> {
    let policy = Policy::parse("rules: [{ images: r.io/a, keys: [team.pub] }]", folder).unwrap();
    let bundle = bundle.to_string();
    let judged = policy.judge("r.io/a", manifest, &[bundle.as_bytes()]);
    judged.map_err(|error| error.to_string())
}

#[test]
fn nothing_in_a_signature_can_be_changed() {
    let folder = Folder::new("changed");
    let (team, _) = key(&folder, "team");
    let manifest = b"{}";
    let about = attache_package::Descriptor::of("x", manifest);
    let mut graph = Graph::about(about);
    sign(&mut graph, &team).unwrap();
    let good = bundle(&graph);
    assert_eq!(
        judge(folder.path(), manifest, &good)
            .unwrap()
            .signers()
            .len(),
        1
    );
    assert!(judge(folder.path(), b"{ }", &good).is_err());
    for (pointer, value) in [
        ("/dsseEnvelope/payload", json!("e30=")),
        ("/dsseEnvelope/payloadType", json!("text/plain")),
        ("/dsseEnvelope/signatures/0/sig", json!("MAYCAQECAQE=")),
        ("/dsseEnvelope/signatures", json!([])),
        (
            "/mediaType",
            json!("application/vnd.dev.sigstore.bundle+json;version=9"),
        ),
        ("/verificationMaterial", json!({})),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(judge(folder.path(), manifest, &bad).is_err(), "{pointer}");
    }
}

/// A bundle that the key in a file has made, of anything.
fn made(folder: &Folder, payload_type: &str, statement: &Value) -> Value {
    use base64::Engine as _;
    use p256::ecdsa::signature::Signer as _;
    use p256::pkcs8::DecodePrivateKey as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let text = fs::read_to_string(folder.path().join("team.key")).unwrap();
    let key = p256::ecdsa::SigningKey::from_pkcs8_pem(&text).unwrap();
    let payload = statement.to_string();
    let (kind, length) = (payload_type.len(), payload.len());
    let message = format!("DSSEv1 {kind} {payload_type} {length} {payload}");
    let signature: p256::ecdsa::Signature = key.sign(message.as_bytes());
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": "" } },
        "dsseEnvelope": {
            "payload": encode(payload.as_bytes()),
            "payloadType": payload_type,
            "signatures": [{ "sig": encode(signature.to_der().as_bytes()) }],
        },
    })
}

#[test]
fn not_everything_that_a_trusted_key_has_signed_is_a_signature_of_the_image() {
    const IN_TOTO: &str = "application/vnd.in-toto+json";
    let folder = Folder::new("everything");
    key(&folder, "team");
    let manifest = b"{}";
    let digest = Digest::of(manifest).hex();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": digest } }],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    });
    let held = |kind: &str, statement: &Value| {
        judge(folder.path(), manifest, &made(&folder, kind, statement))
    };
    assert_eq!(held(IN_TOTO, &statement).unwrap().signers().len(), 1);
    let with = |pointer: &str, value: Value| {
        let mut other = statement.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        other
    };
    let several =
        json!([{ "digest": { "sha256": "0".repeat(64) } }, { "digest": { "sha256": digest } }]);
    assert!(held(IN_TOTO, &with("/subject", several)).is_ok());

    // Where an image comes from, by the same key and about the same image.
    let origin = with("/predicateType", json!("https://slsa.dev/provenance/v1"));
    assert!(held(IN_TOTO, &origin).unwrap_err().contains("it has none"));
    let error = held("text/plain", &statement).unwrap_err();
    assert!(error.contains("for something else"), "{error}");
    for subject in [
        json!([]),
        json!([{ "digest": { "sha256": Digest::of(b"other").hex() } }]),
        json!([{ "digest": { "sha512": digest.repeat(2) } }]),
    ] {
        let error = held(IN_TOTO, &with("/subject", subject.clone())).unwrap_err();
        assert!(error.contains("for something else"), "{subject}: {error}");
    }
    assert!(held(IN_TOTO, &json!("text")).is_err());
}

#[test]
fn the_bundle_is_the_one_that_cosign_writes() {
    let folder = Folder::new("bundle");
    let (team, public) = key(&folder, "team");
    let bundle = bundle(&signed(&team));
    assert_eq!(
        bundle["mediaType"],
        "application/vnd.dev.sigstore.bundle.v0.3+json"
    );
    assert_eq!(
        bundle["dsseEnvelope"]["payloadType"],
        "application/vnd.in-toto+json"
    );
    assert!(bundle["verificationMaterial"]["publicKey"]["hint"].is_string());
    let decode = |value: &Value| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD
            .decode(value.as_str().unwrap())
            .unwrap()
    };
    let payload = decode(&bundle["dsseEnvelope"]["payload"]);
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    let digest = graph().descriptor().digest.hex();
    assert_eq!(
        statement["subject"],
        json!([{ "digest": { "sha256": digest } }])
    );
    assert_eq!(
        statement["predicateType"],
        "https://sigstore.dev/cosign/sign/v1"
    );

    // By the arithmetic of others, over what the specification of DSSE says is signed.
    use p256::ecdsa::signature::Verifier as _;
    use p256::pkcs8::DecodePublicKey as _;
    let key = p256::ecdsa::VerifyingKey::from_public_key_pem(&public.to_pem()).unwrap();
    let signature = decode(&bundle["dsseEnvelope"]["signatures"][0]["sig"]);
    let signature = p256::ecdsa::Signature::from_der(&signature).unwrap();
    let mut message =
        format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len()).into_bytes();
    message.extend(payload);
    key.verify(&message, &signature).unwrap();

    // Signing again changes nothing.
    let mut twice = signed(&team);
    sign(&mut twice, &team).unwrap();
    assert_eq!(twice.attached().len(), signed(&team).attached().len());
}

/// Made by others: the conformance suites of Sigstore have them.
#[test]
fn a_signature_that_others_made_with_a_key_is_understood() {
    let folder = Folder::new("others");
    fs::write(
        folder.path().join("key.pub"),
        include_str!("signing/key.pub"),
    )
    .unwrap();
    let text = "rules: [{ images: r.io/a, keys: [key.pub] }]";
    let policy = Policy::parse(text, folder.path()).unwrap();
    let artifact = include_bytes!("signing/a.txt");
    let bundle = include_bytes!("signing/key.sigstore.json");
    assert_eq!(
        policy
            .judge("r.io/a", artifact, &[bundle])
            .unwrap()
            .signers()
            .len(),
        1
    );
    assert!(policy.judge("r.io/a", b"another", &[bundle]).is_err());
    // A word about where something comes from is no signature of it, whoever gives it.
    let bundle = include_bytes!("signing/identity.sigstore.json");
    let error = policy.judge("r.io/a", artifact, &[bundle]).unwrap_err();
    assert!(error.to_string().contains("it has none"), "{error}");
}

#[test]
fn a_key_is_never_overwritten_nor_read_by_others() {
    let folder = Folder::new("keys");
    let name = folder.path().join("team");
    let (_, private, _) = SigningKey::create(&name).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&private).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
    let before = fs::read(&private).unwrap();
    assert!(matches!(
        SigningKey::create(&name),
        Err(KeyError::File { .. })
    ));
    assert_eq!(fs::read(&private).unwrap(), before);
    let key = SigningKey::read(&private).unwrap();
    assert_eq!(format!("{key:?}"), "SigningKey(…)");

    for (text, expected) in [
        (
            "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
            "encrypted by cosign",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\n",
            "not a private key on the curve P-256",
        ),
        ("", "not a private key"),
    ] {
        let path = folder.path().join("other.key");
        fs::write(&path, text).unwrap();
        let error = SigningKey::read(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let error = PublicKey::read(&path).unwrap_err().to_string();
        assert!(error.contains("not a public key"), "{error}");
    }
}

#[test]
fn a_key_whose_public_part_cannot_be_written_is_not_left_behind() {
    let folder = Folder::new("half");
    let name = folder.path().join("team");
    fs::write(folder.path().join("team.pub"), "somebody's").unwrap();
    assert!(matches!(
        SigningKey::create(&name),
        Err(KeyError::File { .. })
    ));
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let kept = fs::read_to_string(folder.path().join("team.pub")).unwrap();
    assert_eq!(kept, "somebody's");
}

#[test]
fn what_is_labelled_a_public_key_has_to_be_one() {
    use base64::Engine as _;
    let folder = Folder::new("labelled");
    let (_, good) = key(&folder, "team");
    let pem = good.to_pem();
    let base64 = base64::engine::general_purpose::STANDARD;
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64.decode(body).unwrap();
    let label = |der: &[u8]| {
        let body = base64.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    };
    let path = folder.path().join("other.pub");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        PublicKey::read(&path).map_err(|error| error.to_string())
    };
    assert_eq!(read(&label(&der)).unwrap(), good);
    assert!(read(include_str!("signing/key.pub")).is_ok());
    let mut off_the_curve = der.clone();
    *off_the_curve.last_mut().unwrap() ^= 1;
    let mut of_another_kind = der.clone();
    of_another_kind[12] ^= 1;
    for garbage in [
        &b"garbage"[..],
        &[],
        &der[..der.len() - 1],
        &off_the_curve,
        &of_another_kind,
        &[&der[..], &[0]].concat(),
    ] {
        let error = read(&label(garbage)).unwrap_err();
        assert!(error.contains("is not a public key"), "{error}");
        // Nor is it one in the text of a policy.
        let policy = json!({ "rules": [{ "images": "**", "keys": [label(garbage)] }] });
        assert!(Policy::parse(&policy.to_string(), folder.path()).is_err());
    }
}

#[test]
fn a_signature_of_any_length_is_not_read() {
    let folder = Folder::new("long");
    let (team, _) = key(&folder, "team");
    let image = Image::new(&guard(), About::new("guard", "1.2.0")).unwrap();
    let mut own = Graph::about(image.descriptor());
    sign(&mut own, &team).unwrap();
    let text = bundle(&own).to_string();
    let policy =
        Policy::parse("rules: [{ images: '**', keys: [team.pub] }]", folder.path()).unwrap();
    for (spaces, is_read) in [(10, true), (1 << 20, false)] {
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let mut signed = image.clone();
        let long = text.clone() + &" ".repeat(spaces);
        signed.refer(kind, "", long.into_bytes()).unwrap();
        let judged = Graph::from(&signed).judge(&policy, "r.io/a");
        assert_eq!(judged.is_ok(), is_read);
        if let Err(error) = judged {
            assert!(
                error.to_string().contains("expected at most 1048576"),
                "{error}"
            );
        }
    }
}

#[test]
fn what_is_attached_by_digest_stays_with_the_digest() {
    let folder = Folder::new("later");
    let (team, _) = key(&folder, "team");
    let registry = Double::new();
    let name = registry.name("filter:1");
    let plain = crate::registries::client();
    let pushed = wait(plain.push(&graph(), &name)).unwrap();
    let root = wait(plain.describe(&name)).unwrap();
    assert_eq!(Some(root.digest), pushed.reference.digest());
    let mut signature = Graph::about(root.clone());
    sign(&mut signature, &team).unwrap();
    wait(plain.push(&signature, &name.pinned(root.digest))).unwrap();
    // The image was not touched, and is signed now.
    assert_eq!(wait(plain.resolve(&name)).unwrap(), root.digest);
    wait(client(trusting(&folder, &["team.pub"], &name)).pull(&name)).unwrap();
    assert_ne!(root.digest, Digest::of(b""));
}
