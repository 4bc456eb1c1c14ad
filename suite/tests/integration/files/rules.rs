//! Which rules of a configuration the cases of a suite need.

use std::fs;
use std::path::Path;

use attache_suite::{Player, Suite, Target, Verdict};

use super::program::{folder, program};

/// A filter that refuses configurations of fewer than 15 bytes, which those with one rule are.
const MODULE: &str = r#"(module (memory (export "memory") 1)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (i32.ge_u (local.get 1) (i32.const 15))))"#;

/// A suite of one case, with this status of its response.
fn written(folder: &Path, status: u16) {
    let case = format!(
        "version: \"1\"\nplugins:\n  - module: m.wasm\n    configuration: {{rules: [1, 22]}}\ncases:\n  - name: it is \
         asked\n    request: {{path: /}}\n    expect: {{response: {{status: {status}}}}}\n"
    );
    fs::write(folder.join("x.suite.yaml"), case).unwrap();
    fs::write(folder.join("m.wasm"), wat::parse_str(MODULE).unwrap()).unwrap();
}

#[test]
fn a_rule_without_which_the_configuration_is_refused_is_not_tried() {
    let folder = folder("rules-refused");
    written(&folder, 200);
    let words = ["test", "x.suite.yaml", "--coverage"];
    let (status, out, err) = program(&folder, &words);
    assert_eq!(status, Some(0), "{out}{err}");
    let refused = "not tried: the filter refuses the configuration without it\n";
    assert_eq!(out.matches(refused).count(), 2, "{out}");
    let (_, out, _) = program(&folder, &[&words[..], &["--json"]].concat());
    let refused = r#""need":"not tried","plugin":"m","reason":"the filter refuses"#;
    assert_eq!(out.matches(refused).count(), 2, "{out}");
}

#[test]
fn what_passes_elsewhere_and_not_on_the_harness_says_nothing_of_rules() {
    let folder = folder("rules-elsewhere");
    written(&folder, 201);
    let suite = Suite::load(folder.join("x.suite.yaml")).unwrap();
    let mut report = suite.run_on(&Target::Harness).unwrap();
    assert!(!report.passed());
    report.cases[0].verdicts = vec![(Player::Envoy, Verdict::Passed)];
    let rules = suite.rule_coverage(&report).to_string();
    let untried = "not tried: no case with it passes on the harness\n";
    assert_eq!(rules.matches(untried).count(), 2, "{rules}");
}
