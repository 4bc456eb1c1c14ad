//! Registries that want to know who asks.

use std::time::Duration;

use attache_package::registry::{Access, Client, Credentials, Options};

use super::double::{Double, Question, Reply, Shelf};
use super::{client, graph, wait, whole};

const ADA: &str = "Basic YWRhOnNlY3JldA==";

fn ada() -> Client {
    let mut options = Options::default();
    options.access = Access::As(Credentials::Password {
        user: "ada".to_owned(),
        password: "secret".to_owned(),
    });
    options.backoff = Duration::from_millis(1);
    Client::new(options).unwrap()
}

/// A registry that gives tokens to Ada, for what she asks for, and lets in who has one.
fn guarded(question: &Question, _: &mut Shelf) -> Option<Reply> {
    let authorization = question.headers.get("authorization").map(String::as_str);
    let host = &question.headers["host"];
    if let Some((_, scope)) = question.target.split_once("/token?service=here&scope=") {
        return Some(match authorization {
            Some(ADA) => Reply::new(200, format!(r#"{{"token":"{}"}}"#, scope.replace('%', "-"))),
            _ => Reply::new(
                401,
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"who?"}]}"#,
            ),
        });
    }
    let writes = ["PUT", "POST"].contains(&&*question.method);
    let needed = match writes {
        true => "Bearer repository-3Afilter-3Apull-2Cpush",
        false => "Bearer repository-3Afilter-3Apull",
    };
    if authorization.is_some_and(|it| it.starts_with(needed)) {
        return None;
    }
    let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"here\"");
    Some(Reply::new(401, "").with("www-authenticate", challenge))
}

#[test]
fn a_token_is_got_for_reading_and_another_for_writing() {
    let registry = Double::with(guarded);
    let name = registry.name("filter:1");
    let client = ada();
    wait(client.push(&graph(), &name)).unwrap();
    wait(client.pull(&name)).unwrap();
    // Each is kept for what comes after.
    assert_eq!(registry.count("GET", "/token"), 2);
}

#[test]
fn who_is_not_let_in_is_told_as_whom_and_what_to_do() {
    let registry = Double::with(guarded);
    registry.hold(&graph(), "1");
    let error = wait(client().pull(&registry.name("filter:1")))
        .unwrap_err()
        .to_string();
    for part in [
        "does not let an anonymous client give the manifest",
        "who?",
        "docker login 127.0.0.1:",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn basic_is_met_too() {
    let registry = Double::with(|question, _| {
        let known = question.headers.get("authorization").map(String::as_str) == Some(ADA);
        let challenge = r#"Basic realm="here""#;
        (!known).then(|| Reply::new(401, "").with("www-authenticate", challenge))
    });
    registry.hold(&graph(), "1");
    let name = registry.name("filter:1");
    wait(ada().pull(&name)).unwrap();
    let error = wait(client().pull(&name)).unwrap_err().to_string();
    assert!(
        error.contains("does not let an anonymous client"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_met_is_said() {
    for (challenge, expected) in [
        ("Negotiate", "it wants neither `Bearer` nor `Basic`"),
        ("Bearer service=x", "has no `realm`"),
        (r#"Bearer realm="nowhere""#, "its realm is no address"),
    ] {
        let registry =
            Double::with(move |_, _| Some(Reply::new(401, "").with("www-authenticate", challenge)));
        let error = wait(ada().pull(&registry.name("filter:1"))).unwrap_err();
        assert!(whole(&error).contains(expected), "{}", whole(&error));
    }
}

#[test]
fn where_an_upload_is_sent_to_gets_the_bytes_and_no_credentials() {
    // Storage services have hosts of their own.
    let storage = Double::new();
    let place = format!(
        "http://{}/v2/filter/blobs/uploads/1?state=a",
        storage.address
    );
    let registry = Double::with(move |question, shelf| {
        let refused = guarded(question, shelf);
        match question.method.as_str() {
            "POST" if refused.is_none() => Some(Reply::new(202, "").with("location", &place)),
            _ => refused,
        }
    });
    wait(ada().push(&graph(), &registry.name("filter:1"))).unwrap();
    assert!(storage.count("PUT", "uploads") > 0);
    for question in &storage.shelf().asked {
        assert!(!question.headers.contains_key("authorization"));
    }
}

#[test]
fn whom_the_registry_sends_us_on_to_learns_no_password() {
    let elsewhere = Double::with(|question, _| {
        let realm = format!("http://{}/token", question.headers["host"]);
        let challenge = format!("Bearer realm=\"{realm}\",service=\"there\"");
        Some(Reply::new(401, "").with("www-authenticate", challenge))
    });
    let address = elsewhere.address;
    let registry = Double::with(move |question, shelf| {
        let is_blob = question.method == "GET" && question.target.contains("/blobs/");
        match is_blob {
            true => Some(
                Reply::new(307, "")
                    .with("location", format!("http://{address}{}", question.target)),
            ),
            false => guarded(question, shelf),
        }
    });
    registry.hold(&graph(), "1");
    let error = wait(ada().pull(&registry.name("filter:1"))).unwrap_err();
    assert!(error.to_string().contains("does not let"), "{error}");
    let shelf = elsewhere.shelf();
    assert!(!shelf.asked.is_empty());
    for question in &shelf.asked {
        assert!(question.target.contains("/blobs/"), "{question:?}");
        assert_eq!(question.headers.get("authorization"), None);
    }
}

#[test]
fn a_realm_elsewhere_without_tls_gets_no_password() {
    let registry = Double::with(|_, _| {
        let challenge = "Bearer realm=\"http://registry.invalid/token\",service=\"here\"";
        Some(Reply::new(401, "").with("www-authenticate", challenge))
    });
    let error = wait(ada().pull(&registry.name("filter:1")))
        .unwrap_err()
        .to_string();
    assert!(error.contains("its realm is not `https`"), "{error}");
}
