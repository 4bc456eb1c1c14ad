//! Suites made of traffic, as `attache record` makes them.

use std::fs;

use super::program::{folder, program};
use crate::both::module;

const HAR: &str = r#"{"log": {"entries": [{
  "request": {
    "method": "GET", "url": "http://shop/orders?page=2&access_token=t0p-s3cret",
    "headers": [{"name": "Authorization", "value": "Bearer t0p-s3cret"}, {"name": "X-Kept", "value": "1"}]
  },
  "response": {"status": 404, "headers": [{"name": "X-By", "value": "shop"}], "content": {"text": "gone"}}
}]}}"#;

#[test]
fn what_was_recorded_is_blessed_and_passes() {
    let folder = folder("record");
    fs::write(folder.join("shop.har"), HAR).unwrap();
    let module = module("auth-scrub");
    let module = module.to_str().unwrap();
    let words = [
        "record",
        "shop.har",
        "--plugin",
        module,
        "-o",
        "shop.suite.yaml",
    ];
    let (status, out, err) = program(&folder, &words);
    assert_eq!((status, out.as_str()), (Some(0), ""), "{err}");
    assert!(
        err.contains("Recorded 1 case in shop.suite.yaml; 1 secret has a stand-in"),
        "{err}"
    );
    assert!(
        err.contains("Left out 1 bodies; --bodies keeps them"),
        "{err}"
    );
    let written = fs::read_to_string(folder.join("shop.suite.yaml")).unwrap();
    assert!(
        !written.contains("t0p-s3cret") && written.contains("Bearer stand-in-1"),
        "{written}"
    );

    let (status, _, err) = program(&folder, &["test", "shop.suite.yaml", "--bless"]);
    assert_eq!(status, Some(0), "{err}");
    let blessed = fs::read_to_string(folder.join("shop.suite.yaml")).unwrap();
    assert!(blessed.contains("path: \"/orders?page=2\""), "{blessed}");
    assert!(blessed.contains("status: 404"), "{blessed}");
    let (status, out, _) = program(&folder, &["shop.suite.yaml"]);
    assert_eq!(status, Some(0));
    assert!(out.contains("1 passed"), "{out}");

    let (status, _, err) = program(&folder, &words);
    assert_eq!(status, Some(1));
    assert!(err.contains("`shop.suite.yaml` is there already"), "{err}");
}

#[test]
fn what_cannot_be_recorded_says_why() {
    let folder = folder("record-refuses");
    fs::write(folder.join("shop.har"), HAR).unwrap();
    fs::write(folder.join("not.har"), "<html>").unwrap();
    fs::write(folder.join("other.har"), "{}").unwrap();
    fs::write(folder.join("module.wasm"), b"\0asm\x01\0\0\0\xff").unwrap();
    for (arguments, reason) in [
        (
            &["nowhere.har", "--plugin", "auth-scrub"][..],
            "cannot read the traffic `nowhere.har`",
        ),
        (
            &["not.har", "--plugin", "auth-scrub"],
            "not JSON, as HAR files are",
        ),
        (
            &["other.har", "--plugin", "auth-scrub"],
            "expected `log.entries`",
        ),
        (
            &["shop.har", "--plugin", "x.wasm"],
            "there is no file `x.wasm`",
        ),
        (
            &["shop.har", "--plugin", "auth-scrup"],
            "there is no package `auth-scrup` in this workspace",
        ),
        (
            &["https://example.com/", "--plugin", "auth-scrub"],
            "reads traffic that was saved, by a browser",
        ),
        (
            &["module.wasm", "--plugin", "auth-scrub"],
            "`module.wasm` is no HAR file: expected JSON, and it is no text",
        ),
        (
            &["shop.har"],
            "Say --plugin with one of: auth-scrub, metrics, transform",
        ),
        (
            &["shop.har", "--plugin", "auth-scrub", "--only", "/cart"],
            "those with `/cart` in their URL",
        ),
        (
            &[
                "shop.har",
                "--plugin",
                "auth-scrub",
                "--config",
                "shop.har.json",
            ],
            "cannot read the configuration",
        ),
    ] {
        let (status, out, err) = program(&folder, &[&["record"], arguments].concat());
        assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains(reason), "{err}");
    }
}
