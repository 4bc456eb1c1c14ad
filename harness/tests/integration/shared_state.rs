use attache_harness::{Host, HostError, Request};

use crate::guest::{guest, said};

type Tested = Result<(), HostError>;

#[test]
fn shared_data_is_found_by_its_vm_id_with_a_cas_to_change_it() -> Tested {
    let writes = guest().on(
        "request_headers",
        "(call $tell (call $get_shared_data s(k) ret (i32.const 24)))
         (call $say (call $set_shared_data s(k) s(v) (i32.const 99)))
         (call $tell (call $get_shared_data s(k) (i32.const 16) (i32.const 20) (i32.const 24)))
         (call $say (i32.load (i32.const 24)))
         (call $say (call $set_shared_data s(k) s(w) (i32.const 99)))
         (call $say (call $set_shared_data s(k) s() (i32.const 0)))
         (call $tell (call $get_shared_data s(k) (i32.const 16) (i32.const 20) (i32.const 24)))
         i32.const 0"
            .replace(" ret ", " (i32.const 16) (i32.const 20) ")
            .as_str(),
    );
    let other = guest()
        .on("request_headers", "(call $say (call $get_shared_data s(k) (i32.const 16) (i32.const 20) (i32.const 24))) i32.const 0");
    let mut host = Host::builder()
        .plugin(writes.plugin("writes").vm_id("one"))
        .plugin(other.plugin("same").vm_id("one"))
        .plugin(other.plugin("other").vm_id("two"))
        .start()?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log()),
        [
            "1", "-", "0", "0", "v", "1", "8", "0", "0", "null", "0", "1"
        ]
    );
    Ok(())
}

#[test]
fn metrics_answer_by_their_kind() -> Tested {
    let define =
        |kind: u32| format!("(drop (call $define_metric (i32.const {kind}) s(m) (i32.const 24)))");
    let calls = "(call $say (i32.load (i32.const 24)))
         (call $say (call $increment_metric (i32.load (i32.const 24)) (i64.const 5)))
         (call $say (call $increment_metric (i32.load (i32.const 24)) (i64.const -7)))
         (call $say (call $record_metric (i32.load (i32.const 24)) (i64.const 3)))
         (call $say (call $get_metric (i32.load (i32.const 24)) (i32.const 32)))";
    let body = |kind| {
        format!(
            "{} {calls} {} (call $say (i32.load (i32.const 24)))",
            define(kind),
            define(kind)
        )
    };
    for (kind, expected) in [
        (0, ["4", "0", "2", "0", "0", "8"]),
        (1, ["5", "0", "0", "0", "0", "9"]),
        (2, ["6", "2", "2", "0", "2", "10"]),
    ] {
        let guest = guest().on("request_headers", &format!("{} i32.const 0", body(kind)));
        let mut host = guest.host();
        assert_eq!(
            said(host.send(Request::get("/"))?.log()),
            expected,
            "kind {kind}"
        );
        match kind {
            0 => assert_eq!(host.counter("m"), Some(8)),
            1 => assert_eq!(host.gauge("m"), Some(3)),
            _ => assert_eq!(host.histogram("m"), Some(&[3][..])),
        }
    }
    Ok(())
}

#[test]
fn a_gauge_wraps_below_zero_and_unknown_metrics_are_not_found() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(call $say (call $define_metric (i32.const 1) s(g) (i32.const 24)))
         (call $say (call $increment_metric (i32.load (i32.const 24)) (i64.const -1)))
         (call $say (call $define_metric (i32.const 3) s(x) (i32.const 24)))
         (call $say (call $increment_metric (i32.const 100) (i64.const 1)))
         (call $say (call $record_metric (i32.const 100) (i64.const 1)))
         (call $say (call $get_metric (i32.const 100) (i32.const 32))) i32.const 0",
    );
    let mut host = guest.host();
    assert_eq!(
        said(host.send(Request::get("/"))?.log()),
        ["0", "0", "2", "1", "1", "1"]
    );
    assert_eq!(host.gauge("g"), Some(u64::MAX));
    Ok(())
}
