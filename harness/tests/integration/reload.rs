//! Another plugin in the place of one that serves. The orders are those of Envoy 1.40 with ECDS.

use std::time::Duration;

use attache_harness::{FailurePolicy, Host, HostError, LintKind, Plugin, Request};

use crate::guest::{Guest, guest, said};

type Tested = Result<(), HostError>;

/// A guest that tells of the life of its contexts, and pauses requests with `x-pause`.
fn tells(version: &str) -> Guest {
    let tell =
        |what: &str| format!("(call $text s({version} {what})) (call $say (local.get $ctx))");
    guest()
        .on("context_create", &tell("create"))
        .on("configure", &(tell("configure") + CONFIGURE))
        .on(
            "request_headers",
            "(i32.eqz (call $get_header_map_value (i32.const 0) s(x-pause) ret))",
        )
        .on("done", &(tell("done") + "i32.const 1"))
        .on("delete", &tell("delete"))
}

/// Refuses a configuration that begins with an R.
const CONFIGURE: &str = "
    (drop (call $get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 9) (i32.const 24) (i32.const 28)))
    (if (i32.load (i32.const 28)) (then (return (i32.ne (i32.load8_u (i32.load (i32.const 24))) (i32.const 82)))))
    i32.const 1";

fn plugin(version: &str, configuration: &str) -> Plugin {
    tells(version).plugin("p").config(configuration)
}

/// What was logged since `from`, words joined: `v1 create 1`.
fn since(host: &Host, from: usize) -> String {
    said(&host.log()[from..]).join(" ")
}

fn paused() -> Request {
    Request::get("/").header("x-pause", "1")
}

#[test]
fn a_new_configuration_gets_a_new_root_in_the_same_vms_and_streams_keep_theirs() -> Tested {
    let mut host = Host::with(plugin("v1", "A"))?;
    let in_flight = host.open(paused())?;
    let from = host.log().len();
    host.reload("p", plugin("v1", "B"))?;
    assert_eq!(
        since(&host, from),
        "v1 create 1 v1 configure 1 \
         v1 create 2 v1 configure 2 v1 create 3 v1 configure 3 \
         v1 done 1 v1 delete 1",
        "canary, main thread, worker; the main thread's old root has nothing to wait for"
    );
    let from = host.log().len();
    host.send(Request::get("/"))?;
    assert_eq!(since(&host, from), "v1 create 4 v1 done 4 v1 delete 4");
    let from = host.log().len();
    host.disconnect(in_flight)?;
    assert_eq!(
        since(&host, from),
        "v1 done 2 v1 delete 2 v1 done 1 v1 delete 1"
    );
    Ok(())
}

#[test]
fn new_code_gets_new_vms_and_the_old_ones_go_with_their_last_stream() -> Tested {
    let mut host = Host::with(plugin("v1", "A"))?;
    let active = |host: &Host| host.stat("wasm.envoy.wasm.runtime.v8.active");
    let created = |host: &Host| host.stat("wasm.envoy.wasm.runtime.v8.created");
    assert_eq!((created(&host), active(&host)), (Some(4), Some(3)));
    let in_flight = host.open(paused())?;
    let from = host.log().len();
    host.reload("p", plugin("v2", "A"))?;
    assert_eq!(
        since(&host, from),
        "v2 create 1 v2 configure 1 v2 create 1 v2 configure 1 v2 create 1 v2 configure 1 \
         v1 done 1 v1 delete 1"
    );
    assert_eq!(
        (created(&host), active(&host)),
        (Some(8), Some(5)),
        "the old base and the worker's VM wait for the stream"
    );
    host.disconnect(in_flight)?;
    assert_eq!((created(&host), active(&host)), (Some(8), Some(3)));
    assert_eq!(host.stat("wasm.wasm_vm_count"), Some(3));
    Ok(())
}

#[test]
fn what_a_canary_took_is_not_tried_again_in_the_same_base() -> Tested {
    let mut host = Host::with(plugin("v1", "A"))?;
    host.reload("p", plugin("v1", "B"))?;
    let from = host.log().len();
    host.reload("p", plugin("v1", "A"))?;
    assert_eq!(
        since(&host, from),
        "v1 create 3 v1 configure 3 v1 create 3 v1 configure 3 \
         v1 done 2 v1 delete 2 v1 done 2 v1 delete 2"
    );
    Ok(())
}

#[test]
fn a_plugin_that_is_refused_leaves_the_old_one_serving() -> Tested {
    let mut host = Host::with(plugin("v1", "A"))?;
    let from = host.log().len();
    for _ in 0..2 {
        let error = host.reload("p", plugin("v1", "R")).expect_err("refused");
        assert!(
            error
                .to_string()
                .contains("`Unable to create Wasm plugin p`"),
            "{error}"
        );
    }
    let failed = "Plugin p failed to load Plugin configured to fail closed failed to load";
    assert_eq!(
        since(&host, from),
        format!(
            "v1 create 1 v1 configure 1 Wasm VM failed Failed to configure base Wasm plugin \
             {failed} {failed}"
        ),
        "the canary ends without done, and Envoy remembers"
    );
    let from = host.log().len();
    host.send(Request::get("/"))?;
    assert_eq!(since(&host, from), "v1 create 2 v1 done 2 v1 delete 2");

    let broken = host.reload("p", Plugin::from_bytes("p", *b"not wasm"));
    assert!(matches!(broken, Err(HostError::Load { .. })));
    let nobody = host.reload("q", plugin("v1", "A")).expect_err("no `q`");
    assert_eq!(
        nobody.to_string(),
        "no filter chain has a plugin `q`; use a plugin's `name`"
    );
    assert_eq!(host.send(Request::get("/"))?.response().status(), 200);
    Ok(())
}

#[test]
fn a_root_that_asks_for_time_lives_on_as_long_as_its_vm() -> Tested {
    let waits = guest()
        .on(
            "done",
            "(drop (call $set_tick_period_milliseconds (i32.const 10))) (call $text s(later)) i32.const 0",
        )
        .on(
            "tick",
            "(call $say (local.get $ctx)) (call $say (call $done)) (call $say (call $done))",
        )
        .on("delete", "(call $text s(delete))");
    let plugin = |configuration: &str| waits.plugin("p").config(configuration);
    let mut host = Host::with(plugin("A"))?;
    host.reload("p", plugin("B"))?;
    host.advance(Duration::from_millis(25))?;
    let told = ["1", "0", "1", "delete"];
    assert_eq!(
        said(host.log()),
        [&["later", "later"][..], &told, &told].concat(),
        "`proxy_done` answers 0 once, and the ticks end"
    );
    let from = host.log().len();
    host.reload("p", plugin("B").vm_config("other"))?;
    host.advance(Duration::from_millis(25))?;
    assert_eq!(
        since(&host, from),
        "later later",
        "the VM is gone, and the root with it"
    );
    Ok(())
}

#[test]
fn an_old_root_ticks_as_long_as_a_stream_holds_it() -> Tested {
    let ticks = guest()
        .on(
            "configure",
            "(drop (call $set_tick_period_milliseconds (i32.const 10))) i32.const 1",
        )
        .on("tick", "(call $say (local.get $ctx))")
        .on("request_headers", "i32.const 1");
    let mut host = Host::with(ticks.plugin("p").config("A"))?;
    let in_flight = host.open(Request::get("/"))?;
    host.reload("p", ticks.plugin("p").config("B"))?;
    host.advance(Duration::from_millis(10))?;
    assert_eq!(
        said(host.log()),
        ["1", "2", "3"],
        "the worker's old root, the main thread's and the worker's new one"
    );
    host.disconnect(in_flight)?;
    let from = host.log().len();
    host.advance(Duration::from_millis(10))?;
    assert_eq!(since(&host, from), "2 3");
    Ok(())
}

#[test]
fn shared_data_lives_as_long_as_a_vm_of_its_vm_id() -> Tested {
    let counts = |version: &str| {
        guest().with(&format!("(global (export \"{version}\") i32 (i32.const 0))")).on(
            "request_headers",
            "(call $say (call $get_shared_data s(k) (i32.const 24) (i32.const 28) (i32.const 32)))
             (drop (call $set_shared_data s(k) s(v) (i32.const 0))) i32.const 0",
        )
    };
    let mut host = Host::with(counts("v1").plugin("p"))?;
    assert_eq!(said(host.send(Request::get("/"))?.log()), ["1"]);
    host.reload("p", counts("v2").plugin("p"))?;
    assert_eq!(
        said(host.send(Request::get("/"))?.log()),
        ["0"],
        "other code, the same vm_id"
    );
    host.reload("p", counts("v2").plugin("p").vm_id("other"))?;
    assert_eq!(said(host.send(Request::get("/"))?.log()), ["1"]);
    host.reload("p", counts("v2").plugin("p"))?;
    assert_eq!(
        said(host.send(Request::get("/"))?.log()),
        ["1"],
        "the first vm_id had no VM in between"
    );
    Ok(())
}

#[test]
fn metrics_go_with_the_last_vm_that_defined_them() -> Tested {
    let counts = |version: &str| {
        guest().on(
            "configure",
            &format!(
                "(drop (call $define_metric (i32.const 0) s({version}) (i32.const 24)))
                 (drop (call $increment_metric (i32.load (i32.const 24)) (i64.const 1))) i32.const 1"
            ),
        )
    };
    let mut host = Host::with(counts("v1").plugin("p"))?;
    assert_eq!(host.counter("v1"), Some(3));
    host.reload("p", counts("v2").plugin("p"))?;
    assert_eq!((host.counter("v1"), host.counter("v2")), (None, Some(3)));
    host.reload("p", counts("v1").plugin("p"))?;
    assert_eq!(host.counter("v1"), Some(3), "it begins at 0 again");
    Ok(())
}

#[test]
fn after_a_thread_refused_its_base_takes_no_plugin_any_more() -> Tested {
    // The third root to be configured, that of the worker, sees the count 2.
    let refuses = guest().on(
        "configure",
        "(drop (call $define_metric (i32.const 0) s(starts) (i32.const 24)))
         (drop (call $get_metric (i32.load (i32.const 24)) (i32.const 32)))
         (drop (call $increment_metric (i32.load (i32.const 24)) (i64.const 1)))
         (i64.ne (i64.load (i32.const 32)) (i64.const 2))",
    );
    let mut host = Host::with(refuses.plugin("p"))?;
    let failed = host
        .lints()
        .iter()
        .find(|lint| lint.kind == LintKind::ThreadStartFailure);
    assert_eq!(
        failed.map(|lint| lint.what.as_str()),
        Some("`p` did not start in worker 0")
    );
    let error = host
        .reload("p", refuses.plugin("p").config("other"))
        .expect_err("the base has failed");
    assert!(
        format!("{error:?}").contains("give it another `vm_id`"),
        "{error:?}"
    );
    host.reload("p", refuses.plugin("p").vm_id("fresh"))?;
    assert_eq!(host.send(Request::get("/"))?.response().status(), 200);
    Ok(())
}

#[test]
fn plugins_that_share_a_failed_vm_share_the_next_one() -> Tested {
    let traps = guest()
        .on("context_create", "(call $say (local.get $ctx))")
        .on(
            "request_headers",
            "(if (i32.eqz (call $get_header_map_value (i32.const 0) s(x-trap) ret)) (then unreachable)) i32.const 0",
        );
    let plugin = |name: &str| {
        let plugin = traps.plugin(name).vm_id("vm");
        plugin
            .failure_policy(FailurePolicy::FailReload)
            .reload_backoff(Duration::from_secs(10))
    };
    let mut host = Host::builder()
        .plugin(plugin("a"))
        .plugin(plugin("b"))
        .start()?;
    let stat = |host: &Host, name: &str| host.stat(&format!("wasm.{name}")).expect("a stat");
    let trap = || Request::get("/").header("x-trap", "1");
    host.send(trap())?;
    assert_eq!(host.send(Request::get("/"))?.response().status(), 503);
    assert_eq!(stat(&host, "a.vm_reload_backoff"), 1);
    host.advance(Duration::from_secs(15))?;
    let from = host.log().len();
    assert_eq!(host.send(Request::get("/"))?.response().status(), 200);
    assert_eq!(
        since(&host, from),
        "1 3 2 4",
        "roots are made as the stream is, and then its contexts are told"
    );
    for name in ["a", "b"] {
        assert_eq!(stat(&host, &format!("{name}.vm_reload_success")), 1);
        assert_eq!(stat(&host, &format!("{name}.vm_reload_failure")), 0);
    }
    assert_eq!(
        host.stat("wasm.envoy.wasm.runtime.v8.active"),
        Some(3),
        "the failed VM is gone"
    );
    assert_eq!(host.stat("wasm.c.vm_reload"), None);
    Ok(())
}

#[test]
fn a_thousand_reloads_need_no_more_room_than_one() -> Tested {
    let mut host = Host::with(plugin("v1", "0"))?;
    for number in 1..1000 {
        host.reload("p", plugin("v1", "A").vm_config(number.to_string()))?;
    }
    assert_eq!(host.stat("wasm.wasm_vm_count"), Some(3));
    Ok(())
}

#[test]
fn whatever_changes_in_a_plugin_gives_it_a_new_root_and_in_its_vm_a_new_vm() -> Tested {
    let mut host = Host::with(plugin("v1", "A"))?;
    let from = host.log().len();
    host.reload("p", plugin("v1", "A"))?;
    assert_eq!(
        since(&host, from),
        "",
        "nothing has changed, nobody is told"
    );
    host.reload(
        "p",
        plugin("v1", "A").failure_policy(FailurePolicy::FailOpen),
    )?;
    let root = "v1 create 1 v1 configure 1 v1 create 2 v1 configure 2 v1 create 2 v1 configure 2 \
                v1 done 1 v1 delete 1 v1 done 1 v1 delete 1";
    assert_eq!(since(&host, from), root);
    let from = host.log().len();
    host.reload("p", plugin("v1", "A").environment("KEY", "value"))?;
    let vm = "v1 create 1 v1 configure 1 v1 create 1 v1 configure 1 v1 create 1 v1 configure 1 \
              v1 done 2 v1 delete 2 v1 done 2 v1 delete 2";
    assert_eq!(since(&host, from), vm);
    Ok(())
}
