//! What the access log reads, as filter state.

use attache_harness::{Host, HostError, Request, plugin};
use serde_json::json;

#[test]
fn redacted_values_are_kept_with_the_stream() -> Result<(), HostError> {
    let configuration = json!({
        "hash": {"key": {"inline": "0123456789abcdef"}, "length": 8},
        "rules": [{"request": {"defaults": true}}],
        "access_log": {
            "filter_state_prefix": "red",
            "fields": ["path", "changes", "authorization_scheme", "authorization_hash", "path"],
        },
    });
    let mut host = Host::with(plugin!("auth-scrub").config(configuration))?;
    let request = Request::get("/a?token=secret&b=1").header("authorization", "Bearer one");
    let exchange = host.send(request)?;
    for (name, value) in [
        ("wasm.red.path", &b"/a?b=1"[..]),
        ("wasm.red.changes", b"headers,query"),
        ("wasm.red.authorization_scheme", b"Bearer"),
    ] {
        assert_eq!(exchange.filter_state(name), Some(value), "{name}");
    }
    let hash = exchange.filter_state("wasm.red.authorization_hash");
    assert!(hash.is_some_and(|hash| hash.starts_with(b"h:") && hash.len() == 10));

    let exchange = host.send(Request::get("/a"))?;
    assert_eq!(exchange.filter_state("wasm.red.path"), Some(&b"/a"[..]));
    assert_eq!(exchange.filter_state("wasm.red.changes"), None);
    assert_eq!(exchange.filter_state("wasm.red.authorization_hash"), None);
    Ok(())
}

#[test]
fn in_report_only_the_log_shows_what_would_be_left() -> Result<(), HostError> {
    let configuration =
        json!({"mode": "report_only", "access_log": {"fields": ["path", "changes"]}});
    let mut host = Host::with(plugin!("auth-scrub").config(configuration))?;
    let exchange = host.send(Request::get("/a?token=secret"))?;
    assert_eq!(exchange.upstream_request().path(), b"/a?token=secret");
    assert_eq!(exchange.filter_state("wasm.scrub.path"), Some(&b"/a"[..]));
    assert_eq!(
        exchange.filter_state("wasm.scrub.changes"),
        Some(&b"query"[..])
    );
    Ok(())
}
