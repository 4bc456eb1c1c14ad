//! Host calls with any pointers and lengths, by a guest whose allocator lies too.

use std::fmt::Write;
use std::sync::OnceLock;

use attache_harness::{Host, Plugin, Request};

/// Host calls whose parameters are all of 32 bits, and how many they have.
const CALLS: [(&str, usize); 27] = [
    ("proxy_log", 3),
    ("proxy_get_log_level", 1),
    ("proxy_get_current_time_nanoseconds", 1),
    ("proxy_get_property", 4),
    ("proxy_set_property", 4),
    ("proxy_get_header_map_value", 5),
    ("proxy_add_header_map_value", 5),
    ("proxy_replace_header_map_value", 5),
    ("proxy_remove_header_map_value", 3),
    ("proxy_get_header_map_pairs", 3),
    ("proxy_set_header_map_pairs", 3),
    ("proxy_get_header_map_size", 2),
    ("proxy_get_buffer_bytes", 5),
    ("proxy_get_buffer_status", 3),
    ("proxy_set_buffer_bytes", 5),
    ("proxy_send_local_response", 8),
    ("proxy_get_status", 3),
    ("proxy_http_call", 10),
    ("proxy_grpc_call", 12),
    ("proxy_grpc_stream", 9),
    ("proxy_get_shared_data", 5),
    ("proxy_set_shared_data", 5),
    ("proxy_register_shared_queue", 3),
    ("proxy_enqueue_shared_queue", 3),
    ("proxy_dequeue_shared_queue", 3),
    ("proxy_define_metric", 4),
    ("proxy_call_foreign_function", 6),
];

/// Where the script lies in the guest's memory of a page.
const SCRIPT: u32 = 8_192;

/// How long it may be, with room for what host calls read.
const LONGEST: usize = 4_096;

/// A call that is none: the script ends.
const END: u8 = 0xff;

/// What pointers and lengths lie about.
const ODD: [u32; 10] = [
    0,
    1,
    4,
    SCRIPT,
    65_532,
    65_535,
    65_536,
    0x7fff_ffff,
    0xffff_fff8,
    u32::MAX,
];

/// A word for the allocator, then calls with their words: the host answers or ends the test, and lives.
pub fn memory(data: &[u8]) {
    let plugin = Plugin::from_bytes("script", guest()).config(script(data));
    let started = Host::builder()
        .plugin(plugin)
        .fuel_limit(10_000_000)
        .cluster("script", attache_harness::Response::ok())
        .start();
    if let Ok(mut host) = started {
        let request = Request::post("/").header("x-a", "b").body("body");
        match host.send(request) {
            Ok(exchange) => drop(exchange.cost()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// Bytes as the guest reads them: words of four bytes behind each call's number.
fn script(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.iter().copied();
    let mut word = || {
        let byte = bytes.next()?;
        Some(match ODD.get(usize::from(byte)) {
            Some(odd) => *odd,
            // What is left of a byte is small.
            None => u32::from(byte.saturating_sub(10)),
        })
    };
    let mut script = word().unwrap_or(0).to_le_bytes().to_vec();
    while script.len() < LONGEST {
        let Some(call) = word() else { break };
        let call = call as usize % CALLS.len();
        let words: Option<Vec<u32>> = (0..CALLS[call].1).map(|_| word()).collect();
        let Some(words) = words else { break };
        script.push(u8::try_from(call).unwrap_or(END));
        script.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    script.push(END);
    // Behind it is what host calls read as texts and pairs.
    script.extend(&data[..data.len().min(1_024)]);
    script
}

/// The guest, which takes its configuration as its script.
fn guest() -> Vec<u8> {
    static GUEST: OnceLock<Vec<u8>> = OnceLock::new();
    GUEST
        .get_or_init(|| wat::parse_str(text()).unwrap_or_default())
        .clone()
}

fn text() -> String {
    let mut imports = String::new();
    let mut calls = String::new();
    for (number, (name, count)) in CALLS.iter().enumerate() {
        let words = "i32 ".repeat(*count);
        // A String takes all that is written.
        let _ = writeln!(
            imports,
            "(import \"env\" \"{name}\" (func ${name} (param {words}) (result i32)))"
        );
        let loads: String = (0..*count)
            .map(|word| format!("(i32.load offset={} align=1 (local.get $at))", 1 + 4 * word))
            .collect();
        let _ = writeln!(
            calls,
            "(if (i32.eq (local.get $call) (i32.const {number})) (then
                (drop (call ${name} {loads}))
                (local.set $at (i32.add (local.get $at) (i32.const {})))
                (br $next)))",
            1 + 4 * count
        );
    }
    format!(
        "(module {imports}
            (memory (export \"memory\") 1 16)
            (global $heap (mut i32) (i32.const {SCRIPT}))
            (func (export \"proxy_abi_version_0_2_1\"))
            (func (export \"malloc\") (param i32) (result i32) global.get $heap)
            (func (export \"proxy_on_context_create\") (param i32 i32))
            (func (export \"proxy_on_configure\") (param i32 i32) (result i32)
                (drop (call $proxy_get_buffer_bytes
                    (i32.const 7) (i32.const 0) (local.get 1) (i32.const 0) (i32.const 4)))
                (global.set $heap (i32.load (i32.const {SCRIPT})))
                i32.const 1)
            (func $play (local $at i32) (local $call i32)
                (local.set $at (i32.const {}))
                (loop $next
                    (local.set $call (i32.load8_u (local.get $at)))
                    {calls}))
            (func (export \"proxy_on_request_headers\") (param i32 i32 i32) (result i32)
                call $play i32.const 0)
            (func (export \"proxy_on_request_body\") (param i32 i32 i32) (result i32)
                call $play i32.const 0)
            (func (export \"proxy_on_log\") (param i32)))",
        SCRIPT + 4
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_is_loaded_and_plays() {
        attache_harness::Module::load(&guest()).unwrap();
        // `proxy_log` of level 2, one byte of the script.
        let log = 10;
        let plugin = Plugin::from_bytes("script", guest()).config(script(&[0, log, 12, 3, 1]));
        let mut host = Host::with(plugin).unwrap();
        let exchange = host.send(Request::get("/")).unwrap();
        assert_eq!(exchange.host_calls().len(), 1);
        assert_eq!(exchange.log().len(), 1);
    }
}
