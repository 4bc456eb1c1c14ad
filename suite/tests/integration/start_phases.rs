//! What a module may call while it starts, and what its allocator may.

use attache_harness::{Host, Plugin};

use crate::loading::validate;

/// Every import of ABI 0.2.1, with `i` for each i32 and `l` for each i64 that it takes.
const ENV: &[(&str, &str)] = &[
    ("proxy_get_log_level", "i"),
    ("proxy_get_current_time_nanoseconds", "i"),
    ("proxy_set_tick_period_milliseconds", "i"),
    ("proxy_get_property", "iiii"),
    ("proxy_set_property", "iiii"),
    ("proxy_get_status", "iii"),
    ("proxy_set_effective_context", "i"),
    ("proxy_done", ""),
    ("proxy_get_header_map_value", "iiiii"),
    ("proxy_add_header_map_value", "iiiii"),
    ("proxy_replace_header_map_value", "iiiii"),
    ("proxy_remove_header_map_value", "iii"),
    ("proxy_get_header_map_pairs", "iii"),
    ("proxy_set_header_map_pairs", "iii"),
    ("proxy_get_header_map_size", "ii"),
    ("proxy_get_buffer_bytes", "iiiii"),
    ("proxy_get_buffer_status", "iii"),
    ("proxy_set_buffer_bytes", "iiiii"),
    ("proxy_send_local_response", "iiiiiiii"),
    ("proxy_continue_stream", "i"),
    ("proxy_close_stream", "i"),
    ("proxy_get_shared_data", "iiiii"),
    ("proxy_set_shared_data", "iiiii"),
    ("proxy_register_shared_queue", "iii"),
    ("proxy_resolve_shared_queue", "iiiii"),
    ("proxy_enqueue_shared_queue", "iii"),
    ("proxy_dequeue_shared_queue", "iii"),
    ("proxy_call_foreign_function", "iiiiii"),
    ("proxy_define_metric", "iiii"),
    ("proxy_increment_metric", "il"),
    ("proxy_record_metric", "il"),
    ("proxy_get_metric", "ii"),
    ("proxy_http_call", "iiiiiiiiii"),
    ("proxy_grpc_call", "iiiiiiiiiiii"),
    ("proxy_grpc_stream", "iiiiiiiii"),
    ("proxy_grpc_send", "iiii"),
    ("proxy_grpc_close", "i"),
    ("proxy_grpc_cancel", "i"),
    ("proxy_log", "iii"),
    ("envoy_resolve_dns", "iii"),
    ("pthread_equal", "ii"),
    ("emscripten_notify_memory_growth", "i"),
];

const WASI: &[(&str, &str)] = &[
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "ili"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "illi"),
    ("fd_allocate", "ill"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "ill"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "il"),
    ("fd_filestat_set_times", "illi"),
    ("fd_pread", "iiili"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiili"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiili"),
    ("fd_renumber", "ii"),
    ("fd_seek", "ilii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiilli"),
    ("path_link", "iiiiii"),
    ("path_open", "iiiiillii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// A module that calls the functions in `_initialize` or in `malloc`, which the host needs for an answer
/// in `proxy_on_configure`.
fn module(functions: &[(&str, &str, &str)], place: Place) -> Vec<u8> {
    let mut imports = String::new();
    let mut calls = String::new();
    for (index, (set, name, letters)) in functions.iter().enumerate() {
        let ty = |letter| if letter == 'l' { "i64" } else { "i32" };
        let parameters: Vec<&str> = letters.chars().map(ty).collect();
        let constants: String = parameters
            .iter()
            .map(|ty| format!("({ty}.const 0)"))
            .collect();
        let result = match *name {
            "proc_exit" | "emscripten_notify_memory_growth" => "",
            _ => "(result i32)",
        };
        imports.push_str(&format!(
            r#"(import "{set}" "{name}" (func $f{index} (param {}) {result}))"#,
            parameters.join(" ")
        ));
        let call = format!("(call $f{index} {constants})");
        calls.push_str(&if result.is_empty() {
            call
        } else {
            format!("(drop {call})")
        });
    }
    let (initialize, malloc) = match place {
        Place::Initialize => (calls.as_str(), ""),
        Place::Malloc => ("", calls.as_str()),
    };
    let text = format!(
        r#"(module {imports}
        (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 100) "plugin_name")
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "_initialize") {initialize})
        (func (export "malloc") (param i32) (result i32) {malloc} i32.const 4096)
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
          (i32.eqz (call $get (i32.const 100) (i32.const 11) (i32.const 64) (i32.const 68)))))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Initialize,
    Malloc,
}

fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let env = ENV.iter().map(|(name, letters)| ("env", *name, *letters));
    let wasi = WASI
        .iter()
        .map(|(name, letters)| ("wasi_snapshot_preview1", *name, *letters));
    env.chain(wasi)
}

fn starts(functions: &[(&str, &str, &str)], place: Place) -> bool {
    Host::with(Plugin::from_bytes("guest", module(functions, place))).is_ok()
}

/// What is allowed is called by one module, since Envoy starts anew for each.
#[test]
#[ignore = "needs Envoy"]
fn what_may_be_called_while_a_module_starts_is_what_envoy_allows() {
    for (place, count) in [(Place::Initialize, 41), (Place::Malloc, 4)] {
        let (may, may_not): (Vec<_>, Vec<_>) = all().partition(|one| starts(&[*one], place));
        assert_eq!(may.len(), count, "{place:?}: {may:?}");
        let (status, log) = validate(&format!("{place:?}"), &module(&may, place));
        assert_eq!(status.code(), Some(0), "{place:?}: {log}");
        for function in may_not {
            let name = format!("{place:?}-{}", function.1);
            let (status, log) = validate(&name, &module(&[function], place));
            assert_eq!(status.code(), Some(1), "{name}: {log}");
            assert!(log.contains("restricted_callback"), "{name}: {log}");
        }
    }
}

/// What a module logs as the harness and Envoy start it.
fn logged(name: &str, fields: &str) -> [Vec<String>; 2] {
    let text = format!(
        r#"(module (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "_initialize _start main __main_void vm_start")
        (func $say (param i32 i32)
          (drop (call $log (i32.const 2) (local.get 0) (local.get 1))))
        (func (export "malloc") (param i32) (result i32) i32.const 4096)
        (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
          (call $say (i32.const 36) (i32.const 8)) i32.const 1)
        {fields})"#
    );
    let module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let host = Host::with(Plugin::from_bytes("guest", module.clone())).unwrap();
    let lines = host.log().iter().map(|line| line.message.clone());
    let here = lines.collect();
    let (status, log) = validate(name, &module);
    assert_eq!(status.code(), Some(0), "{name}: {log}");
    let words = log.lines().filter_map(|line| {
        line.split_once("wasm log")
            .and_then(|(_, line)| line.split_once(": "))
    });
    [here, words.map(|(_, word)| word.to_owned()).collect()]
}

#[test]
#[ignore = "needs Envoy"]
fn initialize_start_and_main_are_called_as_in_envoy() {
    let marker = r#"(func (export "proxy_abi_version_0_2_1"))"#;
    let initialize = r#"(func (export "_initialize") (call $say (i32.const 0) (i32.const 11)))"#;
    let start = r#"(func (export "_start") (call $say (i32.const 12) (i32.const 6)))"#;
    let main = r#"(func (export "main") (param i32 i32) (result i32)
        (call $say (i32.add (i32.const 19) (local.get 0)) (i32.add (i32.const 4) (local.get 1))) i32.const 0)"#;
    let void = r#"(func (export "__main_void") (result i32)
        (call $say (i32.const 24) (i32.const 11)) i32.const 0)"#;
    for (name, fields, before) in [
        ("initialize", vec![initialize], vec!["_initialize"]),
        ("start", vec![start], vec!["_start"]),
        ("both", vec![start, initialize], vec!["_initialize"]),
        ("main", vec![main, initialize], vec!["_initialize", "main"]),
        (
            "void",
            vec![void, initialize],
            vec!["_initialize", "__main_void"],
        ),
        (
            "all",
            vec![void, main, start, initialize],
            vec!["_initialize", "main"],
        ),
        ("main alone", vec![main, void], vec![]),
        ("start and main", vec![start, main, void], vec!["_start"]),
    ] {
        let fields = format!("{marker} {}", fields.join(" "));
        for (place, log) in ["harness", "Envoy"].iter().zip(logged(name, &fields)) {
            let at = log.iter().position(|line| line == "vm_start").unwrap();
            assert_eq!(log[at - before.len()..at], before, "{name}: {place}");
        }
    }
}

/// Whether the harness takes a module, which Envoy has to say as well.
fn taken(name: &str, fields: &str) -> bool {
    let text = format!(r#"(module {fields} (memory (export "memory") 1))"#);
    let module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let taken = Host::with(Plugin::from_bytes("guest", module.clone())).is_ok();
    let (status, log) = validate(name, &module);
    assert_eq!(status.code() == Some(0), taken, "{name}: {log}");
    taken
}

#[test]
#[ignore = "needs Envoy"]
fn the_first_marker_decides_in_envoy_too() {
    let malloc = r#"(func (export "malloc") (param i32) (result i32) i32.const 0)"#;
    let marker = |version: &str| format!(r#"(func (export "proxy_abi_version_{version}"))"#);
    // One import for each version, which the others do not have.
    let imports = [
        (
            "0_1_0",
            r#"(import "env" "proxy_clear_route_cache" (func (result i32)))"#,
        ),
        (
            "0_2_1",
            r#"(import "env" "proxy_get_log_level" (func (param i32) (result i32)))"#,
        ),
    ];
    for (first, second) in [
        ("0_1_0", "0_2_1"),
        ("0_2_1", "0_1_0"),
        ("0_1_0", "0_2_0"),
        ("0_2_1", "0_2_0"),
        ("0_2_0", "0_1_0"),
        ("0_2_0", "0_2_1"),
    ] {
        for (version, import) in imports {
            let fields = format!("{import} {} {} {malloc}", marker(first), marker(second));
            let name = format!("{first}-{second}-{version}");
            assert_eq!(taken(&name, &fields), version == first, "{name}");
        }
    }
}

#[test]
#[ignore = "needs Envoy"]
fn malloc_is_asked_before_the_other_allocator() {
    let property = r#"(import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
        (func (export "proxy_abi_version_0_2_1")) (data (i32.const 100) "plugin_name")
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
          (i32.eqz (call $get (i32.const 100) (i32.const 11) (i32.const 64) (i32.const 68))))"#;
    let allocator = |name: &str, answer: &str| {
        format!(r#"(func (export "{name}") (param i32) (result i32) {answer})"#)
    };
    let (good, bad) = ("i32.const 4096", "i32.const 0");
    for (malloc, other, is_taken) in [
        (Some(good), bad, true),
        (Some(bad), good, false),
        (None, good, true),
    ] {
        for reversed in [false, true] {
            let other = allocator("proxy_on_memory_allocate", other);
            let malloc = malloc.map_or_else(String::new, |answer| allocator("malloc", answer));
            let name = format!("allocators-{is_taken}-{reversed}");
            let both = if reversed {
                other + &malloc
            } else {
                malloc + &other
            };
            assert_eq!(
                taken(&name, &format!("{property} {both}")),
                is_taken,
                "{both}"
            );
        }
    }
}
