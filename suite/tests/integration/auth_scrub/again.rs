//! Requests that Envoy sends more than once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use attache_envoy::upstream::{Reply, Upstream};

use super::chain::{in_front_of, scrub};

/// An upstream that fails at first, and sends to another place.
fn upstream() -> Upstream {
    let failures = AtomicUsize::new(1);
    let fails = move || {
        let left = failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
        left.is_ok()
    };
    Upstream::start(move |request| match &request.target[..] {
        b"/retried?a=1" if fails() => Reply::new(503),
        b"/redirected?a=1" => {
            Reply::new(302).header("location", "http://a/elsewhere?token=hunter2&a=2")
        }
        _ => Reply::echo(request),
    })
    .unwrap()
}

#[test]
#[ignore = "needs Envoy"]
fn what_is_sent_again_is_what_was_left() {
    let chain = in_front_of(upstream(), "scrub-again", &[scrub()]);
    for (path, seen) in [
        ("retried", ["/retried?a=1", "/retried?a=1"]),
        ("mirrored", ["/mirrored?a=1", "/mirrored?a=1"]),
        // What the upstream says where to go is scrubbed as if the client had.
        ("redirected", ["/redirected?a=1", "/elsewhere?a=2"]),
    ] {
        let request = format!(
            "GET /{path}?token=hunter2&a=1 HTTP/1.1\r\nhost: a\r\nauthorization: Bearer hunter2\r\nx-api-key: hunter2\r\n\r\n"
        );
        assert_eq!(chain.status(request.as_bytes()), 200, "{path}");
        let received = chain.upstream.wait_for(2, Duration::from_secs(30)).unwrap();
        let targets: Vec<_> = received
            .iter()
            .map(|it| String::from_utf8_lossy(&it.target).into_owned())
            .collect();
        assert_eq!(targets, seen, "{path}");
        for it in received {
            // Bytes are shown as text.
            let text = it.to_text().escape_ascii().to_string();
            assert!(!text.contains("hunter2"), "{path}: {text}");
        }
    }
    chain.envoy.stop().unwrap();
}
