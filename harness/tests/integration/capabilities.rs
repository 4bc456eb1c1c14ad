use attache_harness::{Host, HostError, Plugin, Request};

use crate::guest::{guest, said, trace, transparent};

type Tested = Result<(), HostError>;

/// Logs its environment, as `KEY=value` with a NUL behind each.
fn shows_environment(name: &str) -> Plugin {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 4096)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (drop (call $sizes (i32.const 0) (i32.const 4)))
          (drop (call $get (i32.const 16) (i32.const 1024)))
          ;; The second address leads to the second variable.
          (drop (call $log (i32.const 2) (i32.load (i32.const 20)) (i32.const 3)))
          (call $log (i32.const 2) (i32.const 1024) (i32.load (i32.const 4)))))"#;
    Plugin::from_bytes(name, wat::parse_str(text).expect("a module"))
}

#[test]
fn a_host_call_without_its_capability_logs_and_answers_10() -> Tested {
    let plugin = guest()
        .on(
            "request_headers",
            "(call $say (call $get_log_level (i32.const 24))) i32.const 0",
        )
        .plugin("guest")
        .allowed_capabilities(["proxy_log", "proxy_on_request_headers"]);
    let exchange = Host::with(plugin)?.send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log()),
        [
            "Attempted call to restricted proxy-wasm capability: proxy_get_log_level",
            "10"
        ]
    );
    Ok(())
}

#[test]
fn a_wasi_function_without_its_capability_answers_76() -> Tested {
    let plugin = shows_environment("guest")
        .environment("A", "1")
        .allowed_capabilities(["proxy_log", "proxy_on_request_headers", "environ_get"]);
    let exchange = Host::with(plugin)?.send(Request::get("/"))?;
    assert_eq!(
        exchange.log()[0].message,
        "Attempted call to restricted WASI capability: environ_sizes_get"
    );
    assert_eq!(exchange.host_calls()[0].errno, Some(76));
    assert_eq!(exchange.host_calls()[1].errno, Some(0));
    Ok(())
}

#[test]
fn a_callback_without_its_capability_is_not_called_nor_looked_at() -> Tested {
    let plugin = transparent()
        .plugin("guest")
        .allowed_capabilities(["proxy_on_request_headers", "proxy_on_log"]);
    let exchange = Host::with(plugin)?.send(Request::post("/").body("x"))?;
    assert_eq!(trace(&exchange), "guest:rqh guest:log");

    let odd = guest().with(r#"(func (export "proxy_on_tick"))"#);
    assert!(
        Host::with(odd.plugin("odd")).is_err(),
        "it has another type"
    );
    Host::with(odd.plugin("odd").allowed_capabilities(["proxy_log"]))?;
    Ok(())
}

#[test]
fn the_start_and_the_allocator_need_no_capability() -> Tested {
    let plugin = guest()
        .on("_initialize", "(call $text s(start))")
        .on(
            "request_headers",
            "(call $tell (call $get_property s(plugin_name) ret)) i32.const 0",
        )
        .plugin("guest")
        .allowed_capabilities([
            "proxy_log",
            "proxy_get_property",
            "proxy_on_request_headers",
        ]);
    let mut host = Host::with(plugin)?;
    assert!(said(host.log()).contains(&"start"));
    assert_eq!(said(host.send(Request::get("/"))?.log()), ["0", "guest"]);
    Ok(())
}

#[test]
fn the_environment_is_the_plugins_and_what_it_takes_of_the_hosts() -> Tested {
    let plugin = shows_environment("guest")
        .environment("B", "x=y")
        .host_environment_key("A")
        .host_environment_key("HOME_THAT_IS_NOT_THERE");
    let mut host = Host::builder()
        .plugin(plugin)
        .host_environment("A", "1")
        .host_environment("SECRET", "2")
        .start()?;
    assert_eq!(
        said(host.send(Request::get("/"))?.log()),
        ["B=x", "A=1\0B=x=y\0"]
    );
    Ok(())
}

#[test]
fn a_variable_that_is_set_and_taken_is_refused() {
    let plugin = shows_environment("guest")
        .environment("A", "1")
        .host_environment_key("A");
    let error = Host::with(plugin).expect_err("which of them").to_string();
    assert!(
        error.contains("Key A is duplicated in envoy.extensions.wasm.v3.VmConfig"),
        "{error}"
    );
}

#[test]
fn a_plugin_with_another_environment_has_a_vm_of_its_own() -> Tested {
    let first = shows_environment("first")
        .vm_id("one")
        .environment("A", "1")
        .environment("C", "3");
    let second = shows_environment("second")
        .vm_id("one")
        .environment("B", "2")
        .environment("D", "4");
    let mut host = Host::builder().plugin(first).plugin(second).start()?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log()),
        ["C=3", "A=1\0C=3\0", "D=4", "B=2\0D=4\0"]
    );
    Ok(())
}

#[test]
fn environment_and_capabilities_tell_vms_apart() -> Tested {
    // Roots and streams of a VM are numbered by one count.
    let numbered = guest().on("configure", "(call $say (local.get $ctx)) i32.const 1");
    let plugin = |name: &str| numbered.plugin(name).vm_id("one");
    let roots = |first: Plugin, second: Plugin| -> Result<Vec<String>, HostError> {
        let host = Host::builder()
            .plugin(first)
            .plugin(second)
            .host_environment("A", "1")
            .start()?;
        let worker = host.log().iter().rev().take(2).rev();
        Ok(worker.map(|line| line.message.clone()).collect())
    };
    let (shared, apart) = (["1", "2"], ["1", "1"]);
    let (x, y) = (|| plugin("x"), || plugin("y"));
    assert_eq!(roots(x(), y())?, shared);
    assert_eq!(
        roots(x().environment("A", "1"), y().environment("A", "1"))?,
        shared
    );
    assert_eq!(
        roots(x().environment("A", "1"), y().environment("A", "2"))?,
        apart
    );
    assert_eq!(
        roots(x().environment("A", "1"), y().host_environment_key("A"))?,
        apart
    );
    assert_eq!(roots(x(), y().host_environment_key("B"))?, apart);
    assert_eq!(
        roots(
            x().host_environment_key("A").host_environment_key("B"),
            y().host_environment_key("B").host_environment_key("A"),
        )?,
        apart,
        "Envoy looks at the order"
    );
    let some = ["proxy_log", "proxy_on_configure"];
    assert_eq!(roots(x().allowed_capabilities(some), y())?, apart);
    let other_way = ["proxy_on_configure", "proxy_log"];
    assert_eq!(
        roots(
            x().allowed_capabilities(some),
            y().allowed_capabilities(other_way)
        )?,
        shared
    );
    Ok(())
}
