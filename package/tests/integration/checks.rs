mod clusters;

use std::fs;
use std::path::Path;

use attache_package::{Digest, Published, Severity, check};
use serde_json::json;

use crate::modules::{described, guard, published};

/// What is found in a text, as `LINE severity: text`.
fn found(text: &str, images: &[Published]) -> Vec<String> {
    let checked = check(text, images).unwrap();
    let findings = checked.into_iter().flat_map(|document| document.findings);
    findings
        .map(|finding| format!("{} {}: {}", finding.line, finding.severity, finding.text))
        .collect()
}

fn assert_found(text: &str, images: &[Published], expected: &[&str]) {
    let found = found(text, images);
    let all = expected
        .iter()
        .all(|expected| found.iter().any(|line| line.contains(expected)));
    assert!(all && found.len() == expected.len(), "{found:#?}");
}

fn wasm_plugin(lines: &str) -> String {
    format!(
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata:\n  name: guard\nspec:\n  phase: STATS\n  failStrategy: FAIL_RELOAD\n{lines}"
    )
}

#[test]
fn a_good_plugin_has_no_findings() {
    let image = published(&guard());
    let digest = image.descriptor.digest.hex();
    let text = wasm_plugin(&format!(
        "  url: oci://registry.example.com/guard:1\n  sha256: {digest}\n  pluginName: guard\n  pluginConfig: {{rules: []}}\n"
    ));
    assert_found(&text, &[image], &[]);
}

#[test]
fn an_image_without_a_digest_is_an_error() {
    assert_found(
        &wasm_plugin("  url: oci://registry/guard:1\n"),
        &[],
        &["8 error: not pinned"],
    );
    assert_found(
        &wasm_plugin("  url: registry/guard:latest\n"),
        &[],
        &["8 error: not pinned"],
    );
    assert_found(
        &wasm_plugin("  url: https://example.com/guard.wasm\n"),
        &[],
        &["the digest of the module"],
    );
    assert_found(&wasm_plugin("  url: file:///guard.wasm\n"), &[], &[]);
    assert_found(
        &wasm_plugin("  url: fake://example.com\n"),
        &[],
        &["8 error: `fake` is not a scheme"],
    );
}

#[test]
fn a_digest_of_the_wrong_kind_is_an_error_that_names_the_right_one() {
    let image = published(&guard());
    let manifest = image.descriptor.digest.hex();
    let module = Digest::of(&image.bytes).hex();
    let images = [image];
    let wrong = wasm_plugin(&format!(
        "  url: oci://registry/guard:1\n  sha256: {module}\n"
    ));
    assert_found(
        &wrong,
        &images,
        &[&format!(
            "9 error: this is the digest of the module; an image is pinned by its manifest's, {manifest}"
        )],
    );
    let wrong = wasm_plugin(&format!(
        "  url: https://example.com/guard.wasm\n  sha256: {manifest}\n"
    ));
    assert_found(&wrong, &images, &[&format!("pinned by its own, {module}")]);
    let remote = format!(
        "- config:\n    failure_policy: FAIL_RELOAD\n    vm_config:\n      code:\n        remote:\n          sha256: {manifest}\n"
    );
    assert_found(
        &remote,
        &images,
        &[&format!(
            "6 error: this is the digest of an image's manifest; Envoy wants the module's, {module}"
        )],
    );
}

#[test]
fn two_digests_have_to_agree() {
    let (one, two) = ("1a".repeat(32), "2b".repeat(32));
    let text = wasm_plugin(&format!(
        "  url: oci://registry/guard@sha256:{one}\n  sha256: {two}\n"
    ));
    assert_found(
        &text,
        &[],
        &["9 error: the digest is another one than that in the `url`"],
    );
    assert_found(
        &wasm_plugin(&format!("  url: oci://registry/guard@sha256:{one}\n")),
        &[],
        &[],
    );
    assert_found(
        &wasm_plugin("  url: oci://registry/guard:1\n  sha256: abc\n"),
        &[],
        &["9 error: expected 64"],
    );
    let number = format!(
        "  url: oci://registry/guard:1\n  sha256: {}\n",
        "1".repeat(64)
    );
    assert_found(
        &wasm_plugin(&number),
        &[],
        &["9 error: YAML takes this for a number"],
    );
}

#[test]
fn a_list_as_kubectl_prints_it_is_checked_item_by_item() {
    let text = "kind: List\nitems:\n- kind: Pod\n- kind: WasmPlugin\n  spec: {phase: STATS, failStrategy: FAIL_RELOAD, url: registry/guard:1}\n";
    assert_found(text, &[], &["5 error: not pinned"]);
}

#[test]
fn a_configuration_is_held_against_the_schema_with_its_line_and_without_its_value() {
    let image = published(&guard());
    let digest = image.descriptor.digest.hex();
    let text = wasm_plugin(&format!(
        "  url: oci://registry/guard:1\n  sha256: {digest}\n  pluginName: guard\n  pluginConfig:\n    rules: []\n    token: hunter2\n"
    ));
    let found = found(&text, &[image]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("13 error: the configuration is refused by `guard`: /token: "),
        "{found:?}"
    );
    assert!(
        !found[0].contains("hunter2"),
        "a value may be a secret: {found:?}"
    );
}

#[test]
fn a_root_id_that_the_module_lacks_is_an_error() {
    let image = published(&guard());
    let digest = image.descriptor.digest.hex();
    let base = format!("  url: oci://registry/guard:1\n  sha256: {digest}\n");
    let images = [image];
    assert_found(
        &wasm_plugin(&base),
        &images,
        &["6 error: no root id is named"],
    );
    let text = wasm_plugin(&format!("{base}  pluginName: other\n"));
    assert_found(
        &text,
        &images,
        &["10 error: the module has no filter `other`: it knows `guard`"],
    );
}

#[test]
fn a_filter_that_holds_headers_is_an_error_where_the_option_is_missing() {
    let image = published(&described(true, &[("guard", "http", json!(true))]));
    let digest = image.descriptor.digest.hex();
    let module = Digest::of(&image.bytes).hex();
    let images = [image];
    let text = wasm_plugin(&format!(
        "  url: oci://registry/guard:1\n  sha256: {digest}\n  pluginName: guard\n"
    ));
    assert_found(&text, &images, &["allow_on_headers_stop_iteration"]);
    let envoy = |more: &str| {
        format!(
            "root_id: guard\nfailure_policy: FAIL_RELOAD\n{more}vm_config: {{code: {{remote: {{sha256: {module}}}}}}}\n"
        )
    };
    assert_found(&envoy(""), &images, &["1 error: the filter holds headers"]);
    assert_found(
        &envoy("allow_on_headers_stop_iteration: true\n"),
        &images,
        &[],
    );
}

#[test]
fn what_happens_when_it_fails_is_said() {
    let pinned = format!("  url: oci://registry/guard@sha256:{}\n", "1a".repeat(32));
    let open = wasm_plugin(&pinned).replace("FAIL_RELOAD", "FAIL_OPEN");
    assert_found(&open, &[], &["7 warning: with FAIL_OPEN"]);
    let unsaid = wasm_plugin(&pinned).replace("  failStrategy: FAIL_RELOAD\n", "");
    assert_found(&unsaid, &[], &["warning: with FAIL_CLOSE, the default"]);
    let phase = wasm_plugin(&pinned).replace("  phase: STATS\n", "");
    assert_found(&phase, &[], &["warning: no `phase`"]);
    let key = wasm_plugin(&format!("{pinned}  verificationKey: k\n"));
    assert_found(
        &key,
        &[],
        &["9 warning: Istio does not implement `verificationKey`"],
    );
}

#[test]
fn remote_code_over_ecds_is_an_error() {
    let digest = "1a".repeat(32);
    let resource = |more: &str| {
        format!(
            "resources:\n- '@type': type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig\n  typed_config:\n    config:\n      failure_policy: FAIL_RELOAD\n      vm_config:\n{more}        code:\n          remote:\n            sha256: {digest}\n"
        )
    };
    assert_found(
        &resource(""),
        &[],
        &["9 error: remote code in a resource of ECDS"],
    );
    assert_found(
        &resource("        nack_on_code_cache_miss: true\n"),
        &[],
        &[],
    );
    assert_found(
        &resource("        nack_on_code_cache_miss: true\n        vm_id: guard\n"),
        &[],
        &["8 warning: with remote code, a `vm_id` that stays the same"],
    );
    let patch = format!(
        "kind: EnvoyFilter\nspec:\n  configPatches:\n  - applyTo: EXTENSION_CONFIG\n    patch:\n      value:\n        typed_config:\n          config:\n            failure_policy: FAIL_RELOAD\n            vm_config: {{code: {{remote: {{sha256: {digest}}}}}}}\n"
    );
    assert_found(
        &patch,
        &[],
        &["10 error: remote code in a resource of ECDS"],
    );
}

#[test]
fn two_plugins_in_one_vm_are_told_of() {
    let plugin = |root: &str| {
        format!(
            "- root_id: {root}\n  failure_policy: FAIL_RELOAD\n  vm_config: {{vm_id: one, code: {{local: {{filename: nowhere.wasm}}}}}}\n"
        )
    };
    let text = plugin("a") + &plugin("b");
    assert_found(
        &text,
        &[],
        &["4 warning: shares its VM with the plugin in line 1"],
    );
    assert_found(
        &(plugin("a") + &plugin("b").replace("vm_id: one", "vm_id: two")),
        &[],
        &[],
    );
}

#[test]
fn a_policy_of_envoy_gateway_is_checked() {
    let image = published(&guard());
    let digest = image.descriptor.digest.hex();
    let policy = |image: &str| {
        format!(
            "kind: EnvoyExtensionPolicy\nspec:\n  wasm:\n  - rootID: guard\n    code:\n      type: Image\n      image:\n{image}"
        )
    };
    let images = [image];
    assert_found(
        &policy(&format!(
            "        url: registry/guard:1\n        sha256: {digest}\n"
        )),
        &images,
        &[],
    );
    assert_found(
        &policy("        url: oci://registry/guard:1\n"),
        &images,
        &[
            "8 error: the `url` of an image has no scheme",
            "8 error: not pinned",
        ],
    );
}

#[test]
fn other_documents_are_left_out() {
    assert!(
        check("kind: Deployment\n---\nname: x\n---\n", &[])
            .unwrap()
            .is_empty()
    );
    assert!(check("a: [", &[]).is_err());
}

/// What stands in the repository is for its users to copy.
#[test]
fn our_own_configurations_lack_the_digest_and_little_else() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy-configs");
    for folder in ["", "istio", "envoy-gateway"] {
        for file in fs::read_dir(configs.join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "yaml") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let checked = check(&text, &[]).unwrap();
            assert!(!checked.is_empty(), "{}", path.display());
            for finding in checked.iter().flat_map(|document| &document.findings) {
                // Statistics are worth no outage.
                let is_metrics = path.file_stem() == Some("metrics".as_ref());
                let is_known = match finding.severity {
                    Severity::Error => finding.text.starts_with("not pinned"),
                    _ => is_metrics && finding.text.contains("passes without the plugin"),
                };
                assert!(
                    is_known,
                    "{}:{}: {}",
                    path.display(),
                    finding.line,
                    finding.text
                );
            }
        }
    }
}
