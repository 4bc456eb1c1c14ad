//! Suites for older Envoys.

use std::fs;
use std::path::{Path, PathBuf};

use attache_suite::{Suite, Target};

use super::{refusal, suite};

#[test]
fn an_envoy_that_the_harness_does_not_play_is_refused() {
    let text = suite("request: {}");
    for (envoy, reason) in [
        ("1.35", "no release of Envoy `1.35` is known"),
        (
            "1.35.2",
            "the harness plays Envoy 1.36 to 1.40, and not 1.35.2",
        ),
        (
            "1.41.0",
            "the harness plays Envoy 1.36 to 1.40, and not 1.41.0",
        ),
    ] {
        let text = text.replace(
            "version: \"1\"",
            &format!("version: \"1\"\nenvoy: \"{envoy}\""),
        );
        let refusal = refusal(&text);
        assert!(refusal.contains("2:8: envoy: "), "{refusal}");
        assert!(refusal.contains(reason), "{refusal}");
    }
    let suite = Suite::from_text("s", text).unwrap();
    let error = suite.for_envoy(attache_envoy::Version::new(1, 41, 0));
    assert!(error.unwrap_err().to_string().contains("and not 1.41.0"));
}

#[test]
fn the_harness_plays_the_envoy_that_a_suite_is_for() {
    let module = module_that_imports_clock_res_get();
    let text = |envoy: &str, expect: &str| {
        format!(
            "version: \"1\"\n{envoy}plugins: [{{module: {}, name: a}}]\ncases: [{{name: a, {expect}}}]\n",
            module.display()
        )
    };
    let (plays, refused) = (
        "request: {}",
        "expect: {refused: {contains: clock_res_get}}",
    );
    for (envoy, expect) in [
        ("", plays),
        ("envoy: \"1.39\"\n", plays),
        ("envoy: \"1.38.2\"\n", refused),
        ("envoy: \"1.36\"\n", refused),
    ] {
        let suite = Suite::from_text("s.suite.yaml", text(envoy, expect)).unwrap();
        let report = suite.run_on(&Target::Harness).unwrap();
        assert!(report.passed(), "{envoy}{report}");
    }
    let suite = Suite::from_text("s.suite.yaml", text("", refused)).unwrap();
    let suite = suite.for_envoy("1.38".parse().unwrap()).unwrap();
    let report = suite.run_on(&Target::Harness).unwrap();
    assert!(report.passed(), "{report}");
}

fn module_that_imports_clock_res_get() -> PathBuf {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "clock_res_get" (func (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 1024))"#;
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clock_res_get.wasm");
    fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
    path
}
