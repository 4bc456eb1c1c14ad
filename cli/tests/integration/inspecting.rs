//! `attache inspect`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::command::{Said, attache, folder, said};

fn inspect(words: &[&str]) -> Said {
    said(attache(&["inspect"]).args(words))
}

/// A module without an allocator in a file of its own.
pub(crate) fn module(name: &str) -> String {
    // (module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))): sections of
    // types, functions, memories, exports and code.
    let mut bytes = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01".to_vec();
    let export = |name: &str, kind: u8| {
        let length = u8::try_from(name.len()).unwrap();
        [&[length], name.as_bytes(), &[kind, 0]].concat()
    };
    let exports = [export("memory", 2), export("proxy_abi_version_0_2_1", 0)].concat();
    bytes.extend([7, u8::try_from(exports.len() + 1).unwrap(), 2]);
    bytes.extend(exports);
    bytes.extend(b"\x0a\x04\x01\x02\0\x0b");
    let path = folder(name).join("bare.wasm");
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_filter_is_shown_with_all_that_it_says_of_itself() {
    let said = inspect(&["auth-scrub"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    for words in [
        "  ABI           0.2.1\n",
        "  made with     Rust, attache 0.1.0\n",
        "  root id       auth-scrub (http): ",
        "Configuration of auth-scrub\n",
        "  rules ",
        "Host calls, by what they are for\n",
        "  headers and trailers\n",
        "      proxy_get_header_map_pairs: {}\n",
        "deprecated",
        "  Envoy         yes\n  Istio         yes\n  Envoy Gateway yes\n",
    ] {
        assert!(said.out.contains(words), "{words}\n{}", said.out);
    }
}

#[test]
fn a_program_gets_one_line_of_json() {
    let said = inspect(&["auth-scrub", "--json"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert_eq!(said.out.lines().count(), 1);
    let line: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(line["abi"], "0.2.1");
    assert_eq!(line["description"]["name"], "auth-scrub");
    assert_eq!(line["findings"], Value::Array(Vec::new()));
    let capabilities = &line["allowed_capabilities"];
    assert_eq!(capabilities, &line["description"]["capabilities"]);
    let crates = line["crates"].as_array().unwrap();
    assert!(
        crates.iter().any(|of| of["name"] == "auth_scrub"),
        "{}",
        line["crates"]
    );
}

#[test]
fn a_module_that_envoy_refuses_says_why() {
    let said = inspect(&[&module("refused")]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    let why = "  Envoy         no: it exports neither `malloc` nor `proxy_on_memory_allocate`";
    assert!(said.out.contains(why), "{}", said.out);
    assert!(
        said.out.contains("  Istio         no, as Envoy\n"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("  made with     it does not show\n"),
        "{}",
        said.out
    );
}

#[test]
fn what_is_no_module_is_refused() {
    let folder = folder("not-inspected");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let script = file("script.wasm", b"#!/bin/sh\n");
    inspect(&[&script]).refuses("caused by: not a WebAssembly module: it begins with `#!/bin/s");
    let cut = file("cut.wasm", b"\0asm\x01\0\0\0\x01\x7f");
    inspect(&[&cut]).refuses("caused by: not a valid WebAssembly module");
    inspect(&["nowhere.wasm"]).refuses("error: there is no file `nowhere.wasm`");
    inspect(&["auth-scrup"]).refuses("error: there is no package `auth-scrup`");
    inspect(&[]).refuses("which filter is meant? Name one of: auth-scrub, ");
}

#[test]
#[ignore = "needs modules of other toolchains (fixtures/toolchains/build)"]
fn modules_of_other_languages_are_told_apart() {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("toolchains");
    // A module of C bears no mark of its language.
    for (file, language) in [("c.wasm", Value::Null), ("go.wasm", "Go".into())] {
        let path = built.join(file);
        let said = inspect(&[path.to_str().unwrap(), "--json"]);
        assert_eq!(said.status, Some(0), "{}", said.err);
        let line: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(line["abi"], "0.2.1", "{file}");
        assert_eq!(line["language"], language, "{file}");
        assert_eq!(line["sdk"], Value::Null, "{file}");
        assert_eq!(line["findings"], Value::Array(Vec::new()), "{file}");
        assert!(!line["functions"].as_array().unwrap().is_empty(), "{file}");
    }
}

#[test]
fn what_is_nearly_a_module_is_told_what_to_do_with_it() {
    let folder = folder("nearly-modules");
    for (file, bytes, message) in [
        (
            "packed.wasm",
            &b"\x1f\x8b\x08\0\0\0\0\0"[..],
            "packed by gzip: unpack it",
        ),
        ("text.wasm", b"(module)", "`wat2wasm` makes a module of it"),
        (
            "component.wasm",
            b"\0asm\x0d\0\x01\0",
            "a component, and proxies load core modules",
        ),
        (
            "cut.wasm",
            b"\0asm\x01\0\0\0\x01\x7f",
            "not a valid WebAssembly module",
        ),
        (
            "config.json",
            b"{}",
            "a configuration goes behind `--config`",
        ),
    ] {
        let path = folder.join(file);
        fs::write(&path, bytes).unwrap();
        inspect(&[path.to_str().unwrap()]).refuses(message);
    }
    // What a module is called does not matter.
    let named = folder.join("plugin.bin");
    fs::copy(module("nearly-a-name"), &named).unwrap();
    let said = inspect(&[named.to_str().unwrap()]);
    assert_eq!(said.status, Some(0), "{}", said.err);
}
