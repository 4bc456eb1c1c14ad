//! What a module answers when it is asked to describe itself.

use attache_module::{Facts, FinishError, Finished, finish};
use serde_json::json;

/// A module that declares the filter `a`, has `answer` in its data, and `function`.
fn guest(answer: &str, function: &str) -> Vec<u8> {
    wat::parse_str(guest_text(answer, function)).unwrap()
}

fn guest_text(answer: &str, function: &str) -> String {
    format!(
        r#"(module
          (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (func (export "proxy_abi_version_0_2_1"))
          (func (export "malloc") (param i32) (result i32) i32.const 0)
          (func (export "proxy_on_context_create") (param i32 i32))
          (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
          (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $log (i32.const 2) (i32.const 0) (i32.const 0)))
          (func (export "proxy_on_delete") (param i32))
          {function}
          (data (i32.const 4096) "{}")
          (@custom "attache.filters" "a 00000001\n"))"#,
        answer.escape_default().to_string().replace("\\'", "'")
    )
}

fn answering(answer: &str) -> Result<Finished, FinishError> {
    let result = (4096_u64 << 32) + answer.len() as u64;
    let function = format!(r#"(func (export "attache_describe") (result i64) i64.const {result})"#);
    finish(&guest(answer, &function))
}

fn doing(instructions: &str) -> String {
    let function =
        format!(r#"(func $d (export "attache_describe") (result i64) {instructions} i64.const 0)"#);
    refusal(finish(&guest("", &function)))
}

/// The causes of a refusal, outermost first.
fn refusal(result: Result<Finished, FinishError>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, FinishError::Describe(_)), "{error}");
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn good() -> serde_json::Value {
    json!({
        "sdk": "0.1.0", "name": "b", "version": "1.0.0",
        "filters": [{"root_id": "a", "kind": "http", "configuration": {"type": "object"}}],
    })
}

#[test]
fn the_answer_becomes_a_section_and_the_export_goes() {
    let finished = answering(&good().to_string()).unwrap();
    assert!(
        !finished
            .facts
            .exports
            .contains(&"attache_describe".to_owned())
    );
    let read = Facts::read(&finished.bytes).unwrap().description;
    assert_eq!(read, finished.facts.description);
    assert_eq!(
        serde_json::to_value(read.unwrap()).unwrap(),
        json!({
            "format": 1, "name": "b", "version": "1.0.0", "sdk": "0.1.0", "abi": "0.2.1",
            "host_options": {"allow_on_headers_stop_iteration": false},
            "capabilities": [
                "proxy_log", "proxy_on_configure", "proxy_on_context_create", "proxy_on_delete",
                "proxy_on_request_headers",
            ],
            "filters": [{
                "root_id": "a", "kind": "http", "phases": ["request"],
                "configuration": {"type": "object"},
            }],
        })
    );
    // Nothing is left to do, and nothing is asked twice.
    assert_eq!(finish(&finished.bytes).unwrap().bytes, finished.bytes);
}

/// A module whose section `attache.module` is `section`.
fn described(section: &[u8]) -> Vec<u8> {
    let mut module = guest("", "");
    let name = b"attache.module";
    let size = 1 + name.len() + section.len();
    assert!(size < 128, "the length has to be one byte");
    module.extend([
        0,
        u8::try_from(size).unwrap(),
        u8::try_from(name.len()).unwrap(),
    ]);
    module.extend(name);
    module.extend(section);
    module
}

#[test]
fn the_section_is_compressed() {
    let finished = answering(&good().to_string()).unwrap();
    // As `zlib.decompress` of Python reads it: a method, a window, and a check of the two (RFC 1950).
    let at = finished
        .bytes
        .windows(14)
        .position(|it| it == b"attache.module");
    let head: [u8; 2] = finished.bytes[at.unwrap() + 14..][..2].try_into().unwrap();
    assert_eq!((head[0] & 15, u16::from_be_bytes(head) % 31), (8, 0));
}

#[test]
fn a_description_that_is_not_compressed_is_read_too() {
    let text = r#"{"format":1,"name":"b","version":"1","sdk":"1","abi":"0.2.1"}"#;
    let refusal = Facts::read(&described(text.as_bytes())).unwrap_err();
    let cause = std::error::Error::source(&refusal).unwrap().to_string();
    assert!(cause.starts_with("missing field `host_options`"), "{cause}");
}

#[test]
fn what_is_neither_is_refused() {
    for section in [&b""[..], b"x", b"\x78\x9c\x01", b"\x78\x9c\x03\0\0\0\0\x01"] {
        let refusal = Facts::read(&described(section)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the section `attache.module` is not a description"
        );
    }
}

#[test]
fn a_filter_that_holds_headers_names_the_host_option() {
    let exports = [
        ("proxy_on_request_body", "i32 i32 i32"),
        ("proxy_on_request_trailers", "i32 i32"),
        ("proxy_on_response_headers", "i32 i32 i32"),
        ("proxy_on_log", "i32"),
    ];
    let mut function = format!(
        r#"(func (export "attache_describe") (result i64) i64.const {})"#,
        (4096_u64 << 32) + good().to_string().len() as u64
    );
    for (name, parameters) in exports {
        function.push_str(&format!(r#"(func (export "{name}") (param {parameters}))"#));
    }
    let text = guest_text(&good().to_string(), &function).replace("a 00000001", "a 00000105");
    let finished = finish(&wat::parse_str(text).unwrap()).unwrap();
    let description = finished.facts.description.unwrap();
    assert!(description.host_options.allow_on_headers_stop_iteration);
    assert_eq!(description.filters[0].phases, ["request", "waits", "holds"]);
    assert!(
        description
            .capabilities
            .iter()
            .any(|name| name == "proxy_on_request_body")
    );
}

#[test]
fn a_module_that_traps_is_refused() {
    let text = doing("unreachable");
    assert!(
        text.contains("describe itself: it gave no answer: it trapped"),
        "{text}"
    );
    let text = doing("(drop (call $d))");
    assert!(text.contains("it trapped"), "{text}");
}

#[test]
fn a_module_without_an_end_is_refused() {
    let text = doing("(loop (br 0))");
    assert!(text.contains("it did not end within"), "{text}");
}

#[test]
fn a_module_that_asks_for_a_host_is_refused() {
    let text = doing("(drop (call $log (i32.const 2) (i32.const 0) (i32.const 0)))");
    assert!(text.contains("it calls `proxy_log`"), "{text}");
}

#[test]
fn a_module_that_wants_all_memory_is_refused() {
    let text = doing("(drop (memory.grow (i32.const 60000)))");
    assert!(text.contains("more than 64 MiB of memory"), "{text}");
}

#[test]
fn an_answer_outside_of_memory_or_too_long_is_refused() {
    let answer = |start: u64, length: u64| {
        let result = (start << 32) + length;
        let function =
            format!(r#"(func (export "attache_describe") (result i64) i64.const {result})"#);
        refusal(finish(&guest("", &function)))
    };
    assert!(answer(65_530, 7).contains("not all in its memory"));
    assert!(answer(0xffff_ffff, 7).contains("not all in its memory"));
    assert!(answer(0, 300_000).contains("at most 262144 are allowed"));
}

#[test]
fn an_answer_that_lies_is_refused() {
    for (pointer, value, why) in [
        ("/filters/0/root_id", json!("b"), "it describes the filters"),
        ("/filters", json!([]), "it describes the filters"),
        (
            "/filters/0/configuration",
            json!("no"),
            "not described by a JSON Schema",
        ),
        ("/name", json!(""), "its name is \"\""),
        ("/version", json!("1\n2"), "its version is \"1\\n2\""),
        ("/sdk", json!(7), "not what `filters!` writes"),
    ] {
        let mut answer = good();
        *answer.pointer_mut(pointer).unwrap() = value;
        let text = refusal(answering(&answer.to_string()));
        assert!(text.contains(why), "{text}");
    }
    assert!(refusal(answering("{")).contains("not what `filters!` writes"));
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let deep = good().to_string().replace(r#"{"type":"object"}"#, &deep);
    assert!(refusal(answering(&deep)).contains("recursion limit"));
}

#[test]
fn an_export_of_that_name_with_another_type_is_refused() {
    let function = r#"(func (export "attache_describe") (param i32))"#;
    let text = refusal(finish(&guest("", function)));
    assert!(text.contains("not a function of no parameters"), "{text}");
}
