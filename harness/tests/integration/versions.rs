//! ABI 0.1.0 and 0.2.0.

use attache_harness::{Host, HostError, Outcome, Plugin, Request, Response};

use crate::guest::said;

type Tested = Result<(), HostError>;

/// A guest of ABI 0.1.0 with these fields; `$say` logs a digit.
fn old(fields: &str) -> Plugin {
    let text = format!(
        r#"(module
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (import "env" "proxy_get_configuration" (func $configuration (param i32 i32) (result i32)))
        (import "env" "proxy_continue_request" (func $continue_request (result i32)))
        (import "env" "proxy_continue_response" (func $continue_response (result i32)))
        (import "env" "proxy_clear_route_cache" (func $clear (result i32)))
        (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
        (import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
        (import "env" "proxy_get_header_map_value" (func $header (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "0123456789x-missing")
        (func (export "proxy_abi_version_0_1_0"))
        (func (export "malloc") (param i32) (result i32) i32.const 4096)
        (func $say (param i32) (drop (call $log (i32.const 2) (local.get 0) (i32.const 1))))
        (func $show (drop (call $configuration (i32.const 64) (i32.const 68)))
          (drop (call $log (i32.const 2) (i32.load (i32.const 64)) (i32.load (i32.const 68)))))
        (func $missing (param $map i32) (result i32) (i64.store (i32.const 64) (i64.const -1))
          (call $header (local.get $map) (i32.const 10) (i32.const 9) (i32.const 64) (i32.const 68)))
        {fields})"#
    );
    let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Plugin::from_bytes("old", bytes)
}

#[test]
fn headers_callbacks_of_0_1_0_are_not_told_of_the_end() -> Tested {
    let plugin = old(
        r#"(func (export "proxy_on_request_headers") (param i32 i32) (result i32) (call $say (i32.const 1)) i32.const 0)
        (func (export "proxy_on_response_headers") (param i32 i32) (result i32) (call $say (i32.const 2)) i32.const 0)"#,
    );
    let exchange = Host::with(plugin)?.send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["1", "2"]);
    let three = old(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) i32.const 0)"#,
    );
    let error = format!("{:?}", Host::with(three).expect_err("0.1.0 has two"));
    assert!(
        error.contains("want: i32 i32 -> i32, but the module exports: i32 i32 i32 -> i32"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_missing_header_is_an_empty_one_in_0_1_0_and_so_is_a_missing_map_in_the_log() -> Tested {
    let plugin = old(
        r#"(func $ask (param i32) (call $say (call $missing (local.get 0)))
          (if (i32.eqz (i32.load (i32.const 64))) (then (call $say (i32.const 0)))))
        (func (export "proxy_on_request_headers") (param i32 i32) (result i32)
          (call $ask (i32.const 0)) (call $ask (i32.const 1)) i32.const 0)
        (func (export "proxy_on_log") (param i32)
          (call $ask (i32.const 0)) (call $ask (i32.const 1)) (call $ask (i32.const 6)))"#,
    );
    let exchange = Host::with(plugin)?.send(Request::get("/"))?;
    let statuses = said(exchange.log());
    assert_eq!(statuses, ["0", "0", "2", "0", "0", "0", "0", "0", "0"]);
    Ok(())
}

#[test]
fn the_configuration_is_the_plugins_in_configure_and_the_vms_elsewhere() -> Tested {
    let plugin = old(
        r#"(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (call $show) i32.const 1)
        (func (export "proxy_on_configure") (param i32 i32) (result i32) (call $show) i32.const 1)
        (func (export "proxy_on_request_headers") (param i32 i32) (result i32) (call $show) i32.const 0)"#,
    );
    let mut host = Host::with(plugin.config("the plugin's").vm_config("the VM's"))?;
    assert_eq!(said(host.log())[..2], ["the VM's", "the plugin's"]);
    assert_eq!(said(host.send(Request::get("/"))?.log()), ["the VM's"]);
    Ok(())
}

#[test]
fn streams_are_continued_by_the_names_of_0_1_0() -> Tested {
    let plugin = old(r#"(global $paused (mut i32) (i32.const 0))
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
          (drop (call $tick (i32.const 100))) i32.const 1)
        (func (export "proxy_on_request_headers") (param i32 i32) (result i32)
          (global.set $paused (local.get 0)) (call $say (call $clear)) i32.const 1)
        (func (export "proxy_on_response_headers") (param i32 i32) (result i32)
          (global.set $paused (i32.sub (i32.const 0) (local.get 0))) i32.const 1)
        (func (export "proxy_on_tick") (param i32)
          (if (i32.gt_s (global.get $paused) (i32.const 0)) (then
            (drop (call $effective (global.get $paused)))
            (drop (call $continue_request))))
          (if (i32.lt_s (global.get $paused) (i32.const 0)) (then
            (drop (call $effective (i32.sub (i32.const 0) (global.get $paused))))
            (global.set $paused (i32.const 0))
            (drop (call $continue_response)))))"#);
    let mut host = Host::with(plugin)?;
    host.upstream(|_| Response::ok().body("answer"));
    let id = host.open(Request::get("/"))?;
    assert!(matches!(
        host.exchange(id)?.outcome(),
        Outcome::Paused { .. }
    ));
    host.advance(std::time::Duration::from_millis(100))?;
    assert!(matches!(
        host.exchange(id)?.outcome(),
        Outcome::Paused { .. }
    ));
    host.advance(std::time::Duration::from_millis(100))?;
    let exchange = host.exchange(id)?;
    assert_eq!(exchange.response().body(), b"answer");
    assert_eq!(exchange.log()[0].message, "0");
    Ok(())
}
