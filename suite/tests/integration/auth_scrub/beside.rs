//! auth-scrub in an Envoy whose routes, other filters and access log have to do with what goes.

use serde_json::json;

use super::chain::{basic_auth, chain, scrub, transform};

#[test]
#[ignore = "needs Envoy"]
fn a_route_that_matches_on_what_goes_is_chosen_again() {
    let chain = chain("scrub-routes", &[scrub()]);
    assert_eq!(
        chain.status(b"GET /a?token=s HTTP/1.1\r\nhost: a\r\n\r\n"),
        200
    );
    assert_eq!(
        chain.status(b"GET /b HTTP/1.1\r\nhost: a\r\nx-api-key: s\r\n\r\n"),
        200
    );
    let targets = chain.targets();
    // Without the filter the second one is rewritten to `/partnersb`.
    assert_eq!(targets, [&b"/a"[..], b"/b"]);
    chain.envoy.stop().unwrap();
    let log = std::fs::read_to_string(chain.log).unwrap();
    assert_eq!(log, "/a query -\n/b headers -\n");
}

#[test]
#[ignore = "needs Envoy"]
fn a_filter_that_checks_credentials_stands_before() {
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nauthorization: Basic dXNlcjp0ZXN0\r\n\r\n";
    let right = chain("scrub-after-check", &[basic_auth(), scrub()]);
    assert_eq!(right.status(request), 200);
    assert_eq!(right.upstream.take()[0].header("authorization").count(), 0);
    right.envoy.stop().unwrap();
    let wrong = chain("scrub-before-check", &[scrub(), basic_auth()]);
    assert_eq!(wrong.status(request), 401);
    assert_eq!(wrong.upstream.take().len(), 0);
    wrong.envoy.stop().unwrap();
}

#[test]
#[ignore = "needs Envoy"]
fn a_route_that_matches_on_what_comes_from_a_body_is_chosen_again() {
    let steps = json!([{"op": "copy", "from": {"body": "/key"}, "to": {"header": "x-api-key"}}]);
    let request = json!({"body": {"hold_headers": true}, "rules": [{"steps": steps}]});
    let transform = transform(&json!({"request": request}));
    let chain = chain("transform-routes", &[scrub(), transform]);
    for body in [r#"{"key": 7}"#, r#"{"other": 7}"#] {
        let length = body.len();
        let request = format!(
            "POST /b HTTP/1.1\r\nhost: a\r\nx-api-key: s\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        assert_eq!(chain.status(request.as_bytes()), 200);
    }
    let targets = chain.targets();
    // The client's own key chooses nothing.
    assert_eq!(targets, [&b"/partnersb"[..], b"/b"]);
    chain.envoy.stop().unwrap();
}
