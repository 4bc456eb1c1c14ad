//! Documents held against the CRDs of a cluster, real ones and others.

use std::fs;
use std::path::Path;

use attache_package::{Crds, Severity, check_against};

/// A CRD of the folder that `ATTACHE_TEST_DATA` names.
fn real(name: &str) -> String {
    let data = std::env::var_os("ATTACHE_TEST_DATA").unwrap();
    fs::read_to_string(Path::new(&data).join("crds").join(name)).unwrap()
}

/// What a cluster says of a text.
fn said(text: &str, crds: &Crds) -> Vec<String> {
    let checked = check_against(text, &[], crds).unwrap();
    let findings = checked.into_iter().flat_map(|it| it.findings);
    let texts = findings.map(|it| it.text);
    texts.filter(|it| it.starts_with("the cluster")).collect()
}

/// The documents of Istio's own tests: the valid ones are let in, and the others refused, in the words of the rule where a
/// rule refuses them.
#[test]
#[ignore = "needs the CRDs in ATTACHE_TEST_DATA"]
fn documents_are_held_against_the_crds_of_a_cluster_as_the_cluster_does() {
    let crds = Crds::read(&real("wasmplugin.yaml")).unwrap();
    assert_eq!(said(&real("wasm-valid.yaml"), &crds), [""; 0]);
    let text = real("wasm-invalid.yaml");
    let documents = text
        .split("---\n")
        .filter_map(|it| it.strip_prefix("_err: ")?.split_once('\n'));
    let (mut by_schema, mut by_rule) = (0, 0);
    for (expected, document) in documents {
        let said = said(document, &crds);
        assert!(!said.is_empty(), "{expected}\n{document}");
        let expected = expected.trim_matches('\'');
        let is_schema = ["in body", "Required value", "Duplicate value"]
            .iter()
            .any(|part| expected.contains(part));
        match is_schema {
            true => by_schema += 1,
            false => {
                by_rule += 1;
                assert!(
                    said.iter().any(|it| it.contains(expected)),
                    "{expected}: {said:?}"
                );
            }
        }
    }
    assert_eq!((by_schema, by_rule), (9, 6));
}

/// Good documents, and for each rule one that breaks it.
#[test]
#[ignore = "needs the CRDs in ATTACHE_TEST_DATA"]
fn the_rules_of_the_real_crds_are_judged() {
    let mut crds = Crds::default();
    for name in [
        "trafficextension.yaml",
        "envoyfilter.yaml",
        "envoyextensionpolicy.yaml",
    ] {
        crds.extend(Crds::read(&real(name)).unwrap());
    }
    let traffic = |spec: &str| {
        format!(
            "apiVersion: extensions.istio.io/v1alpha1\nkind: TrafficExtension\nmetadata: {{ name: a }}\nspec: {spec}\n"
        )
    };
    let filter = |spec: &str| {
        format!(
            "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {{ name: a }}\nspec: {spec}\n"
        )
    };
    let policy = |spec: &str| {
        format!(
            "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {{ name: a }}\nspec: {spec}\n"
        )
    };
    let target = "targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: g }]";
    let code = "code: { type: Image, image: { url: r.io/a } }";
    for good in [
        traffic("{ wasm: { url: oci://r.io/a } }"),
        traffic("{ wasm: { url: r.io/a }, selector: { matchLabels: { app: x } } }"),
        traffic("{ lua: { inlineCode: x } }"),
        filter(
            "{ workloadSelector: { labels: { app: x } }, configPatches: [{ applyTo: HTTP_FILTER, match: { context: ANY } }] }",
        ),
        policy(&format!("{{ {target}, wasm: [{{ name: a, {code} }}] }}")),
        policy(&format!(
            "{{ {target}, lua: [{{ type: Inline, inline: x }}] }}"
        )),
    ] {
        assert_eq!(said(&good, &crds), [""; 0], "{good}");
    }
    for (bad, expected) in [
        (
            traffic("{ wasm: { url: oci://r.io/a }, lua: { inlineCode: x } }"),
            "spec",
        ),
        (traffic("{}"), "spec"),
        (
            traffic("{ wasm: { url: ftp://r.io/a } }"),
            "/spec/wasm/url: url must have schema one of",
        ),
        (
            traffic("{ wasm: { url: 'localhost:5000/a' } }"),
            "/spec/wasm/url: url must have schema one of",
        ),
        (
            traffic(
                "{ wasm: { url: oci://a }, selector: { matchLabels: { a: x } }, targetRefs: [{ kind: Service, name: a }] }",
            ),
            "only one of",
        ),
        (
            traffic("{ wasm: { url: oci://a }, selector: { matchLabels: { 'a*': x } } }"),
            "wildcard",
        ),
        (
            traffic(
                "{ wasm: { url: oci://a, vmConfig: { env: [{ name: A, valueFrom: HOST, value: x }] } } }",
            ),
            "value may only be set when valueFrom is INLINE",
        ),
        (
            filter(
                "{ workloadSelector: { labels: { a: x } }, targetRefs: [{ kind: Service, name: a }] }",
            ),
            "only one of",
        ),
        (
            filter("{ configPatches: [{ applyTo: HTTP_FILTER, match: { context: WAYPOINT } }] }"),
            "when context is WAYPOINT",
        ),
        (
            policy(&format!("{{ wasm: [{{ name: a, {code} }}] }}")),
            "targetRef",
        ),
        (
            policy(&format!(
                "{{ {target}, wasm: [{{ name: a, code: {{ type: HTTP }} }}] }}"
            )),
            "/spec/wasm/0/code: ",
        ),
        (
            policy("{ targetRefs: [{ group: apps, kind: Gateway, name: g }] }"),
            "group",
        ),
        (
            policy("{ targetRefs: [{ group: gateway.networking.k8s.io, kind: Pod, name: g }] }"),
            "kind",
        ),
        (
            policy(&format!("{{ {target}, mergeType: StrategicMerge }}")),
            "mergeType",
        ),
        (
            policy(&format!("{{ {target}, lua: [{{ type: Inline }}] }}")),
            "/spec/lua/0: ",
        ),
        (
            policy(&format!(
                "{{ {target}, wasm: [{{ name: a, code: {{ type: Image, image: {{ url: r.io/a, pullSecretRef: {{ kind: ConfigMap, name: a }} }} }} }}] }}"
            )),
            "pullSecretRef",
        ),
    ] {
        let said = said(&bad, &crds);
        assert_eq!(said.len(), 1, "{bad}: {said:?}");
        assert!(
            said[0].starts_with("the cluster refuses it") && said[0].contains(expected),
            "{bad}: {said:?}"
        );
    }
}

#[test]
fn a_rule_that_is_not_judged_is_named() {
    let crd = "
kind: CustomResourceDefinition
spec:
  group: example.com
  names: { kind: Gate }
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                a: { type: string, x-kubernetes-validations: [{ rule: self.matches('^a'), message: begins with a }] }
                b: { type: integer, x-kubernetes-validations: [{ rule: self > 2, message: more than two }] }
";
    let crds = Crds::read(crd).unwrap();
    let gate = |spec: &str| format!("apiVersion: example.com/v1\nkind: Gate\nspec:\n  {spec}\n");
    assert_eq!(said(&gate("b: 3"), &crds), [""; 0]);
    assert_eq!(
        said(&gate("b: 2"), &crds),
        ["the cluster refuses it: /spec/b: more than two"]
    );
    let expected = "the cluster has a rule that is not judged here: /spec/a: begins with a (`matches()` is not known here)";
    assert_eq!(said(&gate("a: a"), &crds), [expected]);
    let checked = check_against(&gate("a: a"), &[], &crds).unwrap();
    assert_eq!(checked[0].findings[0].severity, Severity::Warning);
    // What the schema refuses is not held against rules, which count on it.
    let said = said(&gate("b: x"), &crds);
    assert!(
        said.len() == 1 && !said[0].contains("more than two"),
        "{said:?}"
    );
}
