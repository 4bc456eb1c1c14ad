//! A trap in each callback, alone and in a shared VM: what Envoy 1.40 showed.

use attache_harness::{FailurePolicy, Host, HostError, Outcome, Request, Response};

use crate::guest::{trace, transparent};

type Tested = Result<(), HostError>;

/// A chain of two guests, B the second, which traps in a callback; B has A's VM or one of its own.
fn two(callback: &str, vms: [&str; 2], policy: FailurePolicy) -> Host {
    let traps = |name: &str| {
        let result = if matches!(callback, "log" | "delete") {
            ""
        } else {
            "i32.const 0"
        };
        // In the first request after the roots B's context is 4 in a shared VM, and 2 in its own.
        let context = if vms[0] == vms[1] { 4 } else { 2 };
        let trap =
            format!("(if (i32.eq (local.get $ctx) (i32.const {context})) (then unreachable))");
        let guest = transparent().on(callback, &format!("{trap} {result}"));
        guest.plugin(name).failure_policy(policy)
    };
    let a = if vms[0] == vms[1] {
        traps("A")
    } else {
        transparent().plugin("A")
    };
    let mut host = Host::builder()
        .plugin(a.vm_id(vms[0]))
        .plugin(traps("B").vm_id(vms[1]))
        .start()
        .expect("the guests start");
    host.upstream(|_| Response::ok().chunk("ok").trailer("x-t", "1"));
    host
}

#[test]
fn each_callback_fails_the_stream_as_observed_on_envoy() -> Tested {
    const ASKED: &str = "A:create A:rqh B:create B:rqh";
    const ENDED: &str = "A:log A:done A:delete";
    let cut = |status| (status, Outcome::Reset, "wasm_fail_stream");
    let replied = (503, Outcome::Completed, "wasm_fail_stream");
    let passed = (200, Outcome::Completed, "via_upstream");
    for (callback, seen, outcome) in [
        (
            "response_trailers",
            format!("{ASKED} B:rsh A:rsh B:rsb A:rsb B:rst {ENDED}"),
            cut(200),
        ),
        (
            "response_body",
            format!("{ASKED} B:rsh A:rsh B:rsb {ENDED}"),
            cut(200),
        ),
        (
            "response_headers",
            format!("{ASKED} B:rsh {ENDED}"),
            replied.clone(),
        ),
        (
            "log",
            format!("{ASKED} B:rsh A:rsh B:rsb A:rsb B:rst A:rst A:log B:log A:done A:delete"),
            passed.clone(),
        ),
        (
            "done",
            format!(
                "{ASKED} B:rsh A:rsh B:rsb A:rsb B:rst A:rst A:log B:log A:done A:delete B:done"
            ),
            passed.clone(),
        ),
    ] {
        let mut host = two(callback, ["a", "b"], FailurePolicy::FailClosed);
        check(callback, &mut host, &seen, outcome)?;
    }
    Ok(())
}

#[test]
fn in_a_shared_vm_the_other_filter_fails_with_the_one_that_traps() -> Tested {
    const ASKED: &str = "A:create A:rqh B:create B:rqh";
    let closed = FailurePolicy::FailClosed;
    let open = FailurePolicy::DeprecatedFailOpen;
    let replied = (503, Outcome::Completed, "wasm_fail_stream");
    let passed = (200, Outcome::Completed, "via_upstream");
    for (callback, policy, seen, outcome) in [
        ("request_headers", closed, ASKED.to_owned(), replied.clone()),
        (
            "response_headers",
            closed,
            format!("{ASKED} B:rsh"),
            replied,
        ),
        (
            "response_body",
            closed,
            format!("{ASKED} B:rsh A:rsh B:rsb"),
            (200, Outcome::Reset, "wasm_fail_stream"),
        ),
        ("request_headers", open, ASKED.to_owned(), passed.clone()),
        (
            "response_headers",
            open,
            format!("{ASKED} B:rsh"),
            passed.clone(),
        ),
        (
            "response_body",
            open,
            format!("{ASKED} B:rsh A:rsh B:rsb"),
            passed,
        ),
    ] {
        let mut host = two(callback, ["v", "v"], policy);
        check(callback, &mut host, &seen, outcome)?;
    }
    Ok(())
}

fn check(
    callback: &str,
    host: &mut Host,
    seen: &str,
    (status, outcome, details): (u16, Outcome, &str),
) -> Tested {
    let exchange = host.send(Request::get("/"))?;
    let got = (
        trace(&exchange),
        exchange.response().status(),
        exchange.outcome(),
        exchange.details(),
    );
    let expected = (seen.to_owned(), status, &outcome, Some(details));
    assert_eq!(got, expected, "a trap in {callback}\n{exchange}");
    Ok(())
}
