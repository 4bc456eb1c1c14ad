//! The WASI that Envoy has. The numbers are those that Envoy 1.40 answered to the same calls.

use attache_harness::{Host, HostError, LogLevel, Plugin, Request};

use crate::guest::said;

type Tested = Result<(), HostError>;

/// A plugin that calls a WASI function in `proxy_on_request_headers`, and logs its answer as two
/// digits and then the 24 bytes at 64, which it fills with ones before.
fn calls(module: &str, name: &str, ty: &str, arguments: &str) -> Plugin {
    let text = format!(
        r#"(module
        (import "{module}" "{name}" (func $call {ty}))
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (memory (export "memory") 2)
        (data (i32.const 100) "\00\02\00\00\05\00\00\00\00\03\00\00\02\00\00\00")
        (data (i32.const 512) "abc\0a\0a") (data (i32.const 768) "x\0a")
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 4096)
        (func $say (param $n i32)
          (i32.store8 (i32.const 500) (i32.add (i32.const 48) (i32.div_u (local.get $n) (i32.const 10))))
          (i32.store8 (i32.const 501) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
          (drop (call $log (i32.const 2) (i32.const 500) (i32.const 2))))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (i64.store (i32.const 64) (i64.const 0x7e7e7e7e7e7e7e7e))
          (i64.store (i32.const 72) (i64.const 0x7e7e7e7e7e7e7e7e))
          (i64.store (i32.const 80) (i64.const 0x7e7e7e7e7e7e7e7e))
          (call $say (call $call {arguments}))
          (drop (call $log (i32.const 2) (i32.const 64) (i32.const 24)))
          i32.const 0))"#
    );
    let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Plugin::from_bytes("wasi", bytes)
}

/// The type of a function of these parameters, and the arguments as constants.
fn typed(arguments: &[(&str, i64)]) -> (String, String) {
    let parameters: String = arguments
        .iter()
        .map(|(ty, _)| format!("(param {ty})"))
        .collect();
    let constants = arguments
        .iter()
        .map(|(ty, value)| format!("({ty}.const {value})"));
    (parameters + "(result i32)", constants.collect())
}

/// What the guest logs of one call.
fn answer(name: &str, arguments: &[(&str, i64)]) -> Result<Vec<String>, HostError> {
    let (ty, constants) = typed(arguments);
    let mut logs = Vec::new();
    for module in ["wasi_snapshot_preview1", "wasi_unstable"] {
        let exchange = Host::with(calls(module, name, &ty, &constants))?.send(Request::get("/"))?;
        logs.push(
            said(exchange.log())
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(logs[0], logs[1], "{name} is one under both names");
    Ok(logs.remove(0))
}

/// i32 parameters.
fn small<const N: usize>(values: [i64; N]) -> [(&'static str, i64); N] {
    values.map(|value| ("i32", value))
}

const FAR: i64 = 0x7fff_ffff;
const UNTOUCHED: &str = "~~~~~~~~~~~~~~~~~~~~~~~~";

#[test]
fn a_line_to_a_descriptor_is_logged_without_its_last_line_feed() -> Tested {
    let written = "\u{7}\0\0\0~~~~~~~~~~~~~~~~~~~~";
    assert_eq!(
        answer("fd_write", &small([1, 100, 2, 64]))?,
        ["abc\n\nx", "00", written]
    );
    let (ty, constants) = typed(&small([2, 100, 1, 64]));
    let plugin = calls("wasi_unstable", "fd_write", &ty, &constants);
    let exchange = Host::with(plugin)?.send(Request::get("/"))?;
    assert_eq!(exchange.log()[0].level, LogLevel::Error);
    assert_eq!(exchange.log()[0].message, "abc\n");
    let none = "\0\0\0\0~~~~~~~~~~~~~~~~~~~~";
    assert_eq!(answer("fd_write", &small([1, 100, 0, 64]))?, ["00", none]);
    assert_eq!(
        answer("fd_write", &small([3, 100, 2, 64]))?,
        ["08", UNTOUCHED]
    );
    assert_eq!(
        answer("fd_write", &small([1, FAR, 1, 64]))?,
        ["21", UNTOUCHED]
    );
    assert_eq!(
        answer("fd_write", &small([1, 100, 2, FAR]))?,
        ["abc\n\nx", "21", UNTOUCHED],
        "the line is out before the count is written"
    );
    let at = [
        ("i32", 1),
        ("i32", 100),
        ("i32", 2),
        ("i64", 9),
        ("i32", 64),
    ];
    assert_eq!(answer("fd_pwrite", &at)?, ["abc\n\nx", "00", written]);
    Ok(())
}

#[test]
fn what_writes_numbers_writes_envoys() -> Tested {
    let zero = "\0\0\0\0\0\0\0\0~~~~~~~~~~~~~~~~";
    let short = "\0\0\0\0~~~~~~~~~~~~~~~~~~~~";
    let rights = "\0\0\0\0\0\0\0\0@\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let one = "\u{1}\0\0\0\0\0\0\0~~~~~~~~~~~~~~~~";
    assert_eq!(answer("fd_tell", &small([1, 64]))?, ["00", zero]);
    assert_eq!(answer("fd_tell", &small([1, FAR]))?, ["21", UNTOUCHED]);
    assert_eq!(answer("fd_tell", &small([3, 64]))?, ["08", UNTOUCHED]);
    assert_eq!(answer("fd_fdstat_get", &small([2, 64]))?, ["00", rights]);
    assert_eq!(
        answer("fd_fdstat_get", &small([1, FAR]))?,
        ["00", UNTOUCHED]
    );
    assert_eq!(answer("fd_fdstat_get", &small([0, 64]))?, ["08", UNTOUCHED]);
    let directory = [("i32", 1), ("i32", 72), ("i32", 8), ("i64", 0), ("i32", 64)];
    assert_eq!(answer("fd_readdir", &directory)?, ["20", short]);
    assert_eq!(answer("poll_oneoff", &small([0, 0, 1, 64]))?, ["00", short]);
    assert_eq!(
        answer("poll_oneoff", &small([0, 0, 1, FAR]))?,
        ["21", UNTOUCHED]
    );
    assert_eq!(answer("clock_res_get", &small([1, 64]))?, ["00", one]);
    assert_eq!(answer("clock_res_get", &small([2, 64]))?, ["58", UNTOUCHED]);
    assert_eq!(answer("args_sizes_get", &small([64, 68]))?, ["00", zero]);
    assert_eq!(answer("args_sizes_get", &small([64, FAR]))?, ["21", short]);
    assert_eq!(answer("environ_sizes_get", &small([64, 68]))?, ["00", zero]);
    Ok(())
}

#[test]
fn what_envoy_does_not_do_has_envoys_number() -> Tested {
    let long = |count: usize| vec![("i32", 1); count];
    for (name, arguments, errno) in [
        ("args_get", long(2), "00"),
        (
            "fd_advise",
            vec![("i32", 9), ("i64", 0), ("i64", 0), ("i32", 0)],
            "00",
        ),
        (
            "fd_allocate",
            vec![("i32", 1), ("i64", 0), ("i64", 0)],
            "00",
        ),
        (
            "fd_allocate",
            vec![("i32", 3), ("i64", 0), ("i64", 0)],
            "08",
        ),
        ("fd_close", long(1), "00"),
        ("fd_datasync", long(1), "00"),
        ("fd_fdstat_set_flags", long(2), "52"),
        (
            "fd_fdstat_set_rights",
            vec![("i32", 0), ("i64", 0), ("i64", 0)],
            "08",
        ),
        ("fd_filestat_get", long(2), "08"),
        ("fd_filestat_set_size", vec![("i32", 1), ("i64", 0)], "00"),
        (
            "fd_filestat_set_times",
            vec![("i32", 1), ("i64", 0), ("i64", 0), ("i32", 0)],
            "00",
        ),
        (
            "fd_pread",
            vec![("i32", 1), ("i32", 0), ("i32", 0), ("i64", 0), ("i32", 64)],
            "52",
        ),
        ("fd_prestat_dir_name", long(3), "52"),
        ("fd_prestat_get", long(2), "08"),
        ("fd_read", long(4), "52"),
        ("fd_renumber", vec![("i32", 1), ("i32", 2)], "58"),
        ("fd_renumber", vec![("i32", 1), ("i32", 5)], "08"),
        (
            "fd_seek",
            vec![("i32", 1), ("i64", 0), ("i32", 0), ("i32", 64)],
            "00",
        ),
        ("fd_sync", vec![("i32", 5)], "08"),
        ("path_create_directory", long(3), "58"),
        ("path_filestat_get", long(5), "58"),
        ("path_link", long(6), "58"),
        (
            "path_open",
            vec![
                ("i32", 3),
                ("i32", 0),
                ("i32", 64),
                ("i32", 1),
                ("i32", 0),
                ("i64", 0),
                ("i64", 0),
                ("i32", 0),
                ("i32", 64),
            ],
            "44",
        ),
        ("path_readlink", long(6), "58"),
        ("path_remove_directory", long(3), "58"),
        ("path_rename", long(6), "58"),
        ("path_symlink", long(4), "58"),
        ("path_unlink_file", long(3), "58"),
        ("sched_yield", vec![], "00"),
        ("sock_accept", long(3), "58"),
        ("sock_recv", long(6), "58"),
        ("sock_send", long(5), "58"),
        ("sock_shutdown", long(2), "58"),
    ] {
        assert_eq!(answer(name, &arguments)?, [errno, UNTOUCHED], "{name}");
    }
    Ok(())
}

#[test]
fn a_link_with_wasis_own_parameters_does_not_load() {
    let (ty, constants) = typed(&small([0; 7]));
    let error = Host::with(calls(
        "wasi_snapshot_preview1",
        "path_link",
        &ty,
        &constants,
    ))
    .expect_err("Envoy declares one parameter fewer");
    assert!(
        format!("{error:?}").contains(
            "import type mismatch: wasi_snapshot_preview1.path_link, want: i32 i32 i32 i32 i32 i32 \
             i32 -> i32, but host exports: i32 i32 i32 i32 i32 i32 -> i32"
        ),
        "{error:?}"
    );
}

#[test]
fn random_bytes_are_the_same_in_every_host_and_differ_within_one() -> Tested {
    let (ty, constants) = typed(&small([64, 24]));
    let plugin = calls("wasi_unstable", "random_get", &ty, &constants);
    let mut host = Host::with(plugin.clone())?;
    let mut draw = || -> Result<String, HostError> {
        Ok(host.send(Request::get("/"))?.log()[1].message.clone())
    };
    let (first, second) = (draw()?, draw()?);
    assert_ne!(first, second);
    assert_ne!(first, UNTOUCHED);
    let again = Host::with(plugin)?.send(Request::get("/"))?.log()[1]
        .message
        .clone();
    assert_eq!(again, first);
    assert_eq!(
        answer("random_get", &small([64, 65_537]))?,
        ["28", UNTOUCHED]
    );
    assert_eq!(answer("random_get", &small([FAR, 4]))?, ["21", UNTOUCHED]);
    assert_eq!(answer("random_get", &small([FAR, 0]))?, ["00", UNTOUCHED]);
    Ok(())
}

#[test]
fn clocks_are_the_hosts_own() -> Tested {
    let time = |clock: i64| -> Result<[u64; 2], HostError> {
        let (ty, constants) = typed(&[("i32", clock), ("i64", 0), ("i32", 64)]);
        // The time of day as a number, since the log is text.
        let constants = format!(
            "{constants})) (call $say (i32.wrap_i64 (i64.rem_u (i64.div_u (i64.load (i32.const 64)) (i64.const 1000000000)) (i64.const 60))"
        );
        let mut host = Host::with(calls("wasi_unstable", "clock_time_get", &ty, &constants))?;
        let mut second = || -> Result<u64, HostError> {
            let exchange = host.send(Request::get("/"))?;
            assert_eq!(exchange.log()[0].message, "00");
            let text = exchange.log()[1].message.clone();
            host.advance(std::time::Duration::from_secs(5))?;
            Ok(text.parse().expect("a number"))
        };
        Ok([second()?, second()?])
    };
    assert_eq!(time(0)?, [0, 5], "the host starts at midnight");
    assert_eq!(time(1)?, [0, 5]);
    let other = [("i32", 2), ("i64", 0), ("i32", 64)];
    assert_eq!(answer("clock_time_get", &other)?, ["58", UNTOUCHED]);
    let far = [("i32", 0), ("i64", 0), ("i32", FAR)];
    assert_eq!(answer("clock_time_get", &far)?, ["21", UNTOUCHED]);
    Ok(())
}

#[test]
fn proc_exit_comes_back() -> Tested {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "still here")
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 4096)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (call $exit (i32.const 1))
          (call $log (i32.const 2) (i32.const 0) (i32.const 10))))"#;
    let plugin = Plugin::from_bytes("exits", wat::parse_str(text).expect("a module"));
    let exchange = Host::with(plugin)?.send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["still here"]);
    assert_eq!(exchange.host_calls()[0].errno, Some(0));
    Ok(())
}

/// A surprise for modules of Emscripten's: their allocator notifies the host when memory grows.
#[test]
fn an_allocator_that_notifies_of_growth_fails_the_vm() -> Tested {
    let text = r#"(module
        (import "env" "emscripten_notify_memory_growth" (func $grown (param i32)))
        (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "plugin_name")
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "_initialize") (call $grown (i32.const 0)))
        (func (export "malloc") (param i32) (result i32) (call $grown (i32.const 0)) i32.const 4096)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (call $grown (i32.const 0))
          (drop (call $get (i32.const 0) (i32.const 11) (i32.const 64) (i32.const 68))) i32.const 0))"#;
    let plugin = Plugin::from_bytes("grows", wat::parse_str(text).expect("a module"));
    let exchange = Host::with(plugin)?.send(Request::get("/"))?;
    assert!(
        exchange.log()[0]
            .message
            .starts_with("Function: malloc failed: Uncaught Error: restricted_callback")
    );
    assert_eq!(exchange.response().status(), 503);
    Ok(())
}

#[test]
fn at_the_start_and_in_the_allocator_part_of_wasi_may_be_called() {
    for (name, start, allocator) in [
        ("fd_write", true, true),
        ("poll_oneoff", true, true),
        ("fd_read", false, false),
    ] {
        let (ty, constants) = typed(&small([0; 4]));
        let text = |initialize: &str, malloc: &str| {
            format!(
                r#"(module (import "wasi_snapshot_preview1" "{name}" (func $call {ty}))
                (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
                (memory (export "memory") 1) (data (i32.const 0) "plugin_name")
                (func (export "proxy_abi_version_0_2_1"))
                (func (export "_initialize") {initialize})
                (func (export "malloc") (param i32) (result i32) {malloc} i32.const 4096)
                (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                  (drop (call $get (i32.const 0) (i32.const 11) (i32.const 64) (i32.const 68))) i32.const 0))"#
            )
        };
        let call = format!("(drop (call $call {constants}))");
        let plugin =
            |text: String| Plugin::from_bytes("p", wat::parse_str(text).expect("a module"));
        assert_eq!(Host::with(plugin(text(&call, ""))).is_ok(), start, "{name}");
        let mut host = Host::with(plugin(text("", &call))).expect("it starts");
        let status = host
            .send(Request::get("/"))
            .expect("it goes on")
            .response()
            .status();
        assert_eq!(status, if allocator { 200 } else { 503 }, "{name}");
    }
}
