use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use attache_harness::{Host, HostError, LintKind, Request};

use crate::guest::{Guest, guest, said};

type Tested = Result<(), HostError>;

/// Looks a name up with each request, and tells what comes of it.
fn asks(name: &str) -> Guest {
    guest()
        .on(
            "request_headers",
            &format!(
                "(call $say (call $resolve_dns s({name}) (i32.const 24))) (call $say (i32.load (i32.const 24)))
                 (call $text s(asked)) i32.const 0"
            ),
        )
        .on(
            "envoy_on_resolve_dns",
            "(call $text s(root)) (call $say (local.get $ctx)) (call $say (local.get $n)) (call $say (local.get $size))
             (call $tell (call $get_buffer_bytes (i32.const 8) (i32.const 0) (i32.const 99) ret))",
        )
}

#[test]
fn a_name_of_the_table_is_answered_after_the_callback_on_the_root() -> Tested {
    let mut host = Host::builder()
        .plugin(asks("example.com").plugin("guest"))
        .dns(
            "example.com",
            [
                Ipv4Addr::new(192, 0, 2, 1).into(),
                Ipv6Addr::LOCALHOST.into(),
            ],
            Duration::from_secs(60),
        )
        .start()?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["0", "2", "asked"]);
    assert!(exchange.lints().is_empty());
    let addresses = "\u{2}\0\0\0<\0\0\0<\0\0\x00192.0.2.1:0\0[::1]:0\0";
    let expected = ["root", "1", "2", "32", "0", addresses];
    assert_eq!(said(host.log())[3..], expected);
    host.send(Request::get("/"))?;
    assert_eq!(said(host.log())[10], "3", "the next token");
    Ok(())
}

#[test]
fn an_unknown_name_has_no_address_and_a_failure_no_bytes() -> Tested {
    for (name, size, bytes) in [("nothing.invalid", "4", "\0\0\0\0"), ("down", "0", "null")] {
        let mut host = Host::builder()
            .plugin(asks(name).plugin("guest"))
            .dns_failure("down")
            .start()?;
        host.send(Request::get("/"))?;
        let expected = ["root", "1", "2", size, "0", bytes];
        assert_eq!(said(host.log())[3..], expected, "{name}");
    }
    Ok(())
}

#[test]
fn an_address_is_answered_inside_of_the_call_and_that_is_a_lint() -> Tested {
    let mut host = asks("127.0.0.1").host();
    let exchange = host.send(Request::get("/"))?;
    let answer = "\u{1}\0\0\0\0\0\0\x00127.0.0.1:0\0";
    assert_eq!(
        said(exchange.log()),
        ["root", "1", "2", "20", "0", answer, "0", "2", "asked"]
    );
    let lints: Vec<LintKind> = exchange.lints().iter().map(|lint| lint.kind).collect();
    assert_eq!(lints, [LintKind::DnsAnsweredInside]);
    Ok(())
}

#[test]
fn the_lookups_of_a_canary_are_dropped() -> Tested {
    let guest = guest()
        .on(
            "configure",
            "(drop (call $resolve_dns s(example.com) (i32.const 24))) i32.const 1",
        )
        .on("envoy_on_resolve_dns", "(call $say (local.get $n))");
    assert_eq!(said(guest.host().log()), ["2", "2"]);
    Ok(())
}

#[test]
fn lookups_that_never_end_fail_the_test() {
    let ask = "(drop (call $resolve_dns s(a) (i32.const 24)))";
    let guest = guest()
        .on("configure", &format!("{ask} i32.const 1"))
        .on("envoy_on_resolve_dns", ask);
    let error = Host::with(guest.plugin("guest"))
        .expect_err("there is always one more")
        .to_string();
    assert!(error.contains("100,000 notifications"), "{error}");
}
