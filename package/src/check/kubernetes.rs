//! WasmPlugin and TrafficExtension of Istio, EnvoyExtensionPolicy of Envoy Gateway.

use crate::digest::Digest;
use crate::document::Located;

use super::Report;

pub(super) fn wasm_plugin(document: &Located, report: &mut Report<'_>) {
    let Some(spec) = document.get("spec") else {
        return report.error(document, "there is no `spec`");
    };
    placement(spec, report);
    istio_module(spec, report);
}

pub(super) fn traffic_extension(document: &Located, report: &mut Report<'_>) {
    let Some(spec) = document.get("spec") else {
        return report.error(document, "there is no `spec`");
    };
    placement(spec, report);
    match (spec.get("wasm"), spec.get("lua")) {
        (Some(wasm), None) => istio_module(wasm, report),
        (None, Some(_)) => {}
        (Some(_), Some(lua)) => {
            report.error(lua, "there are `wasm` and `lua`: Istio takes one of them")
        }
        (None, None) => report.error(spec, "there is neither `wasm` nor `lua`"),
    }
}

fn placement(spec: &Located, report: &mut Report<'_>) {
    let target = spec.get("targetRefs").or_else(|| spec.get("targetRef"));
    if let (Some(_), Some(target)) = (spec.get("selector"), target) {
        report.error(
            target,
            "there is a `selector` and a target: Istio takes one of them",
        );
    }
    if spec.get("phase").is_none() {
        report.warning(spec, "no `phase`: the plugin runs last, after Istio's own authentication, authorization and statistics");
    }
}

fn istio_module(module: &Located, report: &mut Report<'_>) {
    let Some(url) = module.get("url") else {
        return report.error(module, "there is no `url`");
    };
    let text = url.text().unwrap_or_default();
    let is_image = match text.split_once("://") {
        None | Some(("oci", _)) => true,
        Some(("http" | "https", _)) => false,
        Some(("file", _)) => {
            // Istio reads it where the proxy runs; nothing is fetched that could be another.
            report.say_unasked(url);
            return common(module, None, report);
        }
        Some((scheme, _)) => {
            return report.error(
                url,
                format!(
                    "`{scheme}` is not a scheme that Istio knows: expected oci, http, https or file"
                ),
            );
        }
    };
    let pinned = pin(url, text, module.get("sha256"), is_image, report);
    if let Some(policy) = module
        .get("imagePullPolicy")
        .filter(|policy| policy.text() == Some("Always"))
        && pinned.is_some()
    {
        report.warning(
            policy,
            "`Always` fetches what the digest has pinned already",
        );
    }
    if let Some(key) = module.get("verificationKey") {
        report.warning(
            key,
            "Istio does not implement `verificationKey`: no signature is checked",
        );
    }
    for variable in module
        .at(&["vmConfig", "env"])
        .map_or(&[][..], Located::items)
    {
        let from_host = variable.get("valueFrom").and_then(Located::text) == Some("HOST");
        if let (true, Some(value)) = (from_host, variable.get("value")) {
            report.error(value, "a variable of the HOST has no `value` of its own");
        }
    }
    common(module, pinned.as_deref(), report);
}

/// Failure strategy, and what the module says, where its image is known.
fn common(module: &Located, pinned: Option<&str>, report: &mut Report<'_>) {
    match module.get("failStrategy") {
        Some(strategy) if strategy.text() == Some("FAIL_OPEN") => {
            report.warning(strategy, "with FAIL_OPEN traffic passes without the plugin when it cannot be loaded or has failed");
        }
        Some(strategy) if strategy.text() == Some("FAIL_RELOAD") => {}
        other => report.warning(
            other.unwrap_or(module),
            "with FAIL_CLOSE, the default, one trap ends all traffic of a worker until the resource changes; FAIL_RELOAD starts the VM again",
        ),
    }
    let Some(image) = pinned.and_then(|digits| report.image(digits)) else {
        return;
    };
    let holds = image
        .facts
        .description
        .as_ref()
        .is_some_and(|description| description.host_options.allow_on_headers_stop_iteration);
    if holds {
        report.error(module, "the filter holds headers, for which Envoy needs `allow_on_headers_stop_iteration`, and Istio has no field for that");
    }
    report.plugin(
        module,
        &image.facts,
        module.get("pluginName"),
        module.get("pluginConfig"),
    );
}

pub(super) fn extension_policy(document: &Located, report: &mut Report<'_>) {
    for wasm in document
        .at(&["spec", "wasm"])
        .map_or(&[][..], Located::items)
    {
        if let Some(open) = wasm.get("failOpen").filter(|open| open.is_true()) {
            report.warning(open, "with `failOpen` traffic passes without the plugin when it cannot be loaded or has failed");
        }
        let Some(code) = wasm.get("code") else {
            report.error(wasm, "there is no `code`");
            continue;
        };
        if let Some(kind) = code
            .get("type")
            .filter(|kind| !matches!(kind.text(), Some("Image" | "HTTP")))
        {
            report.error(kind, "expected `Image` or `HTTP`");
        }
        let (source, is_image) = match (code.get("image"), code.get("http")) {
            (Some(image), _) => (image, true),
            (None, Some(http)) => (http, false),
            (None, None) => {
                report.error(code, "there is neither `image` nor `http`");
                continue;
            }
        };
        let Some(url) = source.get("url") else {
            report.error(source, "there is no `url`");
            continue;
        };
        let text = url.text().unwrap_or_default();
        if is_image && text.contains("://") {
            report.error(
                url,
                "the `url` of an image has no scheme here: expected `registry/repository:tag`",
            );
        }
        let pinned = pin(url, text, source.get("sha256"), is_image, report);
        let Some(image) = pinned.and_then(|digits| report.image(&digits)) else {
            continue;
        };
        let holds =
            image.facts.description.as_ref().is_some_and(|description| {
                description.host_options.allow_on_headers_stop_iteration
            });
        if holds {
            report.error(wasm, "the filter holds headers, for which Envoy needs `allow_on_headers_stop_iteration`, and Envoy Gateway has no field for that");
        }
        report.plugin(wasm, &image.facts, wasm.get("rootID"), wasm.get("config"));
    }
}

/// The digest that a source is pinned by, when it is pinned by one of the right kind.
fn pin(
    url: &Located,
    text: &str,
    sha256: Option<&Located>,
    is_image: bool,
    report: &mut Report<'_>,
) -> Option<String> {
    let in_url = is_image
        .then(|| {
            text.rsplit_once("@sha256:")
                .map(|(_, digits)| digits.to_owned())
        })
        .flatten();
    let given = sha256.and_then(Located::text);
    if let (Some(at), None) = (sha256, given) {
        report.error(
            at,
            "YAML takes this for a number: write the digest in quotes",
        );
        return None;
    }
    let (at, digits) = match (&in_url, given, sha256) {
        (Some(in_url), Some(given), Some(at)) if in_url != given => {
            report.error(
                at,
                "the digest is another one than that in the `url`: the image is refused",
            );
            return None;
        }
        (_, Some(given), Some(at)) => (at, given.to_owned()),
        (Some(in_url), ..) => (url, in_url.clone()),
        _ => {
            let what = if is_image {
                "the image's manifest"
            } else {
                "the module"
            };
            report.error(url, format!("not pinned: what is there may change at any time; add `sha256`, the digest of {what}"));
            return None;
        }
    };
    if format!("sha256:{digits}").parse::<Digest>().is_err() {
        report.error(at, "expected 64 lower-case hexadecimal digits");
        return None;
    }
    if is_image && let Some(image) = report.module(&digits) {
        report.error(
            at,
            format!(
                "this is the digest of the module; an image is pinned by its manifest's, {}",
                image.descriptor.digest.hex()
            ),
        );
        return None;
    }
    if !is_image && let Some(image) = report.image(&digits) {
        let module = Digest::of(&image.bytes).hex();
        report.error(at, format!("this is the digest of an image's manifest; a module by HTTP is pinned by its own, {module}"));
        return None;
    }
    match is_image {
        true => report.admit(url, text, &digits),
        false => report.say_unasked(url),
    }
    Some(digits)
}
