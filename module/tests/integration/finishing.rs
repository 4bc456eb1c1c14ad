use attache_module::{Abi, FinishError, finish, without_exports};

use crate::sample::Sample;

fn names(bytes: &[u8]) -> Vec<String> {
    attache_module::Facts::read(bytes).unwrap().exports
}

#[test]
fn a_module_of_another_sdk_keeps_its_exports() {
    let sample = Sample::default();
    let finished = finish(&sample.encode()).unwrap();
    assert_eq!(names(&finished.bytes), sample.exports);
    assert!(finished.dropped_exports.is_empty());
    assert_eq!(finished.facts.abi, Abi::V0_2_1);
}

#[test]
fn callbacks_that_no_filter_declares_are_dropped() {
    let sample = Sample {
        declarations: Some("a 00000001\n"),
        ..Sample::default()
    };
    let finished = finish(&sample.encode()).unwrap();
    assert_eq!(
        names(&finished.bytes),
        [
            "proxy_abi_version_0_2_1",
            "malloc",
            "proxy_on_context_create",
            "proxy_on_configure",
            "proxy_on_request_headers",
            "proxy_on_delete"
        ]
    );
    assert_eq!(finished.dropped_exports.len(), 5);
}

#[test]
fn exports_are_taken_away_by_name_and_nothing_else_changes() {
    let sample = Sample::default();
    let bytes = without_exports(&sample.encode(), &["proxy_on_tick", "proxy_on_log"]).unwrap();
    let left: Vec<_> = sample
        .exports
        .iter()
        .filter(|name| !["proxy_on_tick", "proxy_on_log"].contains(name))
        .collect();
    assert_eq!(names(&bytes).iter().collect::<Vec<_>>(), left);
    let error = without_exports(&sample.encode(), &["proxy_on_tock"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the module has no export `proxy_on_tock` to take away"
    );
}

#[test]
fn the_filters_of_a_module_share_their_callbacks() {
    let sample = Sample {
        declarations: Some("a 00000001\nb 00000003\n"),
        ..Sample::default()
    };
    let finished = finish(&sample.encode()).unwrap();
    assert!(names(&finished.bytes).contains(&"proxy_on_response_headers".to_owned()));
    assert_eq!(finished.facts.declarations.len(), 2);
}

#[test]
fn functions_that_nothing_reaches_are_gone_and_no_others() {
    let sample = Sample {
        declarations: Some("a 00000001\n"),
        ..Sample::default()
    };
    let finished = finish(&sample.encode()).unwrap();
    let bodies = wasmparser::Parser::new(0)
        .parse_all(&finished.bytes)
        .filter(|payload| matches!(payload, Ok(wasmparser::Payload::CodeSectionEntry(_))))
        .count();
    // Six exports stay, each with the function that only it calls; the import, which nothing calls,
    // goes.
    assert_eq!(bodies, 12);
    assert!(finished.facts.imports.is_empty());
}

#[test]
fn finishing_is_reproducible_and_has_nothing_left_to_do() {
    let sample = Sample {
        declarations: Some("a 00000005\n"),
        ..Sample::default()
    };
    let once = finish(&sample.encode()).unwrap();
    assert_eq!(finish(&sample.encode()).unwrap().bytes, once.bytes);
    assert_eq!(finish(&once.bytes).unwrap().bytes, once.bytes);
}

#[test]
fn other_custom_sections_go_and_the_declaration_stays() {
    let sample = Sample {
        declarations: Some("a 00000001\n"),
        ..Sample::default()
    };
    let bytes = finish(&sample.encode()).unwrap().bytes;
    let sections: Vec<String> = wasmparser::Parser::new(0)
        .parse_all(&bytes)
        .filter_map(|payload| match payload.unwrap() {
            wasmparser::Payload::CustomSection(section) => Some(section.name().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(sections, ["attache.filters"]);
}

#[test]
fn a_pruned_callback_that_a_waiting_filter_needs_is_an_error() {
    let sample = Sample {
        exports: &[
            "proxy_abi_version_0_2_1",
            "proxy_on_context_create",
            "proxy_on_configure",
            "proxy_on_request_headers",
            "proxy_on_response_headers",
            "proxy_on_delete",
            "proxy_on_log",
        ],
        declarations: Some("gate 00000005\n"),
        ..Sample::default()
    };
    let error = finish(&sample.encode()).unwrap_err();
    assert!(
        matches!(
            error,
            FinishError::MissingCallback {
                name: "proxy_on_request_body"
            }
        ),
        "{error}"
    );
}

#[test]
fn imports_that_no_proxy_offers_are_named() {
    let sample = Sample {
        imports: &[
            ("env", "proxy_log"),
            ("env", "proxy_pass_go"),
            ("__wbindgen_placeholder__", "__wbindgen_throw"),
            ("wasi_snapshot_preview1", "random_get"),
            ("wasi_snapshot_preview1", "path_open"),
        ],
        declarations: Some("a 00000001\n"),
        ..Sample::default()
    };
    let error = finish(&sample.encode()).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "the module imports `env.proxy_pass_go`, `__wbindgen_placeholder__.__wbindgen_throw`, \
             `wasi_snapshot_preview1.path_open`, which no proxy offers to its ABI"
        ),
        "{error}"
    );
    assert!(error.contains("cargo tree"), "{error}");
}

#[test]
fn a_host_call_of_another_abi_is_named() {
    for (marker, call, offered) in [
        ("proxy_abi_version_0_2_1", "proxy_continue_request", false),
        ("proxy_abi_version_0_1_0", "proxy_continue_request", true),
        ("proxy_abi_version_0_2_0", "proxy_get_log_level", false),
        ("proxy_abi_version_0_2_1", "proxy_get_log_level", true),
    ] {
        let sample = Sample {
            imports: &[("env", call)],
            exports: &[marker],
            ..Sample::default()
        };
        assert_eq!(finish(&sample.encode()).is_ok(), offered, "{marker} {call}");
    }
}

#[test]
fn only_a_module_that_the_sdk_did_not_make_may_import_all_of_envoys_wasi() {
    let imports = &[("wasi_snapshot_preview1", "fd_write")];
    let raw = Sample {
        imports,
        ..Sample::default()
    };
    finish(&raw.encode()).unwrap();
    let filter = Sample {
        imports,
        declarations: Some("a 00000001\n"),
        ..Sample::default()
    };
    let error = finish(&filter.encode()).unwrap_err();
    assert!(
        matches!(error, FinishError::ForeignImports { .. }),
        "{error}"
    );
    let unknown = Sample {
        imports: &[("wasi_snapshot_preview1", "fd_dance")],
        ..Sample::default()
    };
    assert!(finish(&unknown.encode()).is_err());
}
