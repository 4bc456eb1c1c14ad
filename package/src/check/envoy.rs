//! Wasm plugins in configurations of Envoy, wherever they stand: bootstraps, resources, patches of EnvoyFilter.

use std::collections::BTreeMap;
use std::fs;

use attache_module::Facts;
use serde_json::Value;

use crate::digest::Digest;
use crate::document::Located;

use super::{Report, Severity};

/// Checks all plugins in a document; false where there is none.
pub(super) fn plugins(document: &Located, report: &mut Report<'_>) -> bool {
    let mut found: Vec<&Located> = Vec::new();
    let mut discovered: Vec<&Located> = Vec::new();
    document.walk(&mut |value| {
        if value.at(&["vm_config", "code"]).is_some() {
            found.push(value);
        }
        if is_discovered(value) {
            value.walk(&mut |inner| {
                if inner.at(&["vm_config", "code"]).is_some() {
                    discovered.push(inner);
                }
            });
        }
    });
    let mut roots: BTreeMap<(String, String), Vec<&Located>> = BTreeMap::new();
    for plugin in &found {
        let over_ecds = discovered.iter().any(|inner| std::ptr::eq(*inner, *plugin));
        check(plugin, over_ecds, report);
        let vm_id = plugin
            .at(&["vm_config", "vm_id"])
            .and_then(Located::text)
            .unwrap_or_default();
        let code = plugin
            .at(&["vm_config", "code"])
            .map(|code| code.json().to_string());
        roots
            .entry((vm_id.to_owned(), code.unwrap_or_default()))
            .or_default()
            .push(plugin);
    }
    for together in roots.values().filter(|plugins| plugins.len() > 1) {
        for plugin in &together[1..] {
            report.warning(
                plugin,
                format!("shares its VM with the plugin in line {}: a trap in one ends both; another `vm_id` parts them", together[0].line),
            );
        }
    }
    !found.is_empty()
}

/// A resource that Envoy is given over ECDS: by its type, or as an EnvoyFilter adds one.
fn is_discovered(value: &Located) -> bool {
    let is_extension = value
        .get("@type")
        .and_then(Located::text)
        .is_some_and(|name| name.ends_with("envoy.config.core.v3.TypedExtensionConfig"));
    let is_patch = value.get("applyTo").and_then(Located::text) == Some("EXTENSION_CONFIG");
    is_extension || is_patch
}

fn check(plugin: &Located, over_ecds: bool, report: &mut Report<'_>) {
    failure(plugin, report);
    let Some(vm) = plugin.get("vm_config") else {
        return;
    };
    if let Some(runtime) = vm
        .get("runtime")
        .filter(|runtime| runtime.text() != Some("envoy.wasm.runtime.v8"))
    {
        report.warning(
            runtime,
            "official builds of Envoy have the runtime `envoy.wasm.runtime.v8` only",
        );
    }
    let module = match (vm.at(&["code", "remote"]), vm.at(&["code", "local"])) {
        (Some(remote), _) => remote_code(remote, vm, over_ecds, report),
        (None, Some(local)) => local_code(local, report),
        (None, None) => None,
    };
    let Some(facts) = module else { return };
    let holds = facts
        .description
        .as_ref()
        .is_some_and(|description| description.host_options.allow_on_headers_stop_iteration);
    let allowed = plugin
        .get("allow_on_headers_stop_iteration")
        .is_some_and(Located::is_true);
    if holds && !allowed {
        report.error(plugin, "the filter holds headers: without `allow_on_headers_stop_iteration: true` it is shown no body, and ends each request after some seconds");
    }
    let root_id = plugin.get("root_id");
    let Some(filter) = report.filter(plugin, &facts, root_id) else {
        return;
    };
    let Some(text) = plugin.at(&["configuration", "value"]) else {
        return;
    };
    match serde_json::from_str::<Value>(text.text().unwrap_or_default()) {
        Ok(value) => {
            let filter = filter.clone();
            report.configuration(text, None, &value, &filter);
        }
        Err(error) => report.find(
            Severity::Error,
            text.line,
            format!("the configuration is not JSON: {error}"),
        ),
    }
}

fn failure(plugin: &Located, report: &mut Report<'_>) {
    if let Some(old) = plugin.get("fail_open") {
        report.warning(old, "`fail_open` is deprecated: `failure_policy` says it");
    }
    match plugin.get("failure_policy") {
        Some(policy) if policy.text() == Some("FAIL_OPEN") => {
            report.warning(policy, "with FAIL_OPEN traffic passes without the plugin once it has failed");
        }
        Some(policy) if policy.text() == Some("FAIL_RELOAD") => {}
        other => report.warning(
            other.unwrap_or(plugin),
            "without FAIL_RELOAD, one trap ends all traffic of a worker until the configuration changes",
        ),
    }
    if let Some(capabilities) = plugin.get("capability_restriction_config") {
        report.warning(
            capabilities,
            "Envoy 1.40 deprecates `capability_restriction_config`",
        );
    }
}

/// Envoy fetches the module itself.
fn remote_code(
    remote: &Located,
    vm: &Located,
    over_ecds: bool,
    report: &mut Report<'_>,
) -> Option<Facts> {
    let nacks = vm
        .get("nack_on_code_cache_miss")
        .is_some_and(Located::is_true);
    if over_ecds && !nacks {
        report.error(remote, "remote code in a resource of ECDS: Envoy 1.40 accepts it, fetches nothing, and lets traffic pass without the filter, whatever the failure policy; use a local file or inline bytes, or set `nack_on_code_cache_miss`");
    }
    if let Some(vm_id) = vm
        .get("vm_id")
        .filter(|vm_id| vm_id.text().is_some_and(|name| !name.is_empty()))
    {
        report.warning(vm_id, "with remote code, a `vm_id` that stays the same keeps the old module running when the digest changes: let it change with the digest");
    }
    let Some(sha256) = remote.get("sha256") else {
        report.error(
            remote,
            "there is no `sha256`, which Envoy demands of remote code: the digest of the module",
        );
        return None;
    };
    let digits = sha256.text().unwrap_or_default();
    if let Some(image) = report.image(digits) {
        report.error(
            sha256,
            format!(
                "this is the digest of an image's manifest; Envoy wants the module's, {}",
                Digest::of(&image.bytes).hex()
            ),
        );
        return None;
    }
    report.say_unasked(remote);
    report.module(digits).map(|image| image.facts.clone())
}

/// The module in a file, where it can be read here.
fn local_code(local: &Located, report: &mut Report<'_>) -> Option<Facts> {
    report.say_unasked(local);
    let file = local.get("filename")?;
    let bytes = fs::read(file.text()?).ok()?;
    match Facts::read(&bytes) {
        Ok(facts) => Some(facts),
        Err(error) => {
            report.error(file, format!("Envoy would refuse this module: {error}"));
            None
        }
    }
}
