use jsonschema::Validator;
use serde_json::{Value, json};

use super::rules::{Rules, Said};
use super::{CheckError, Report, Severity, objects};
use crate::document::Located;

/// The kinds that a cluster knows, as its CustomResourceDefinitions have them.
///
/// Documents are held against the schemas: types, enums, patterns, what is required, fields that are not there, and the
/// rules in CEL (`x-kubernetes-validations`). A rule that asks for more of the language than is known here is named in a
/// warning, and is the API server's alone.
#[derive(Debug, Default)]
pub struct Crds {
    kinds: Vec<Kind>,
}

#[derive(Debug)]
struct Kind {
    kind: String,
    /// Group and version, as `apiVersion` has them.
    api: String,
    validator: Validator,
    rules: Rules,
}

impl Crds {
    /// Reads CRDs, as repositories have them and as `kubectl get crds -o yaml` prints them. Other documents in the text
    /// are left alone.
    ///
    /// # Errors
    ///
    /// [`CheckError`], when it is not YAML or a schema is broken.
    pub fn read(text: &str) -> Result<Self, CheckError> {
        let mut kinds = Vec::new();
        for document in Located::documents(text)
            .map_err(Box::new)?
            .iter()
            .flat_map(objects)
        {
            let is_crd = document.get("kind").and_then(Located::text);
            if is_crd == Some("CustomResourceDefinition") {
                kinds.extend(versions(&document.json())?);
            }
        }
        Ok(Self { kinds })
    }

    /// Those of another text as well.
    pub fn extend(&mut self, other: Self) {
        self.kinds.extend(other.kinds);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// What the cluster would refuse of a document; false where it does not know the kind.
    pub(super) fn check(&self, document: &Located, report: &mut Report<'_>) -> bool {
        let text = |key: &str| {
            document
                .get(key)
                .and_then(Located::text)
                .unwrap_or_default()
        };
        let of_kind: Vec<&Kind> = self
            .kinds
            .iter()
            .filter(|it| it.kind == text("kind"))
            .collect();
        if of_kind.is_empty() {
            return false;
        }
        let Some(kind) = of_kind.iter().find(|it| it.api == text("apiVersion")) else {
            let known: Vec<String> = of_kind.iter().map(|it| format!("`{}`", it.api)).collect();
            let text = format!(
                "the cluster has no `{}` of this kind, expected {}",
                text("apiVersion"),
                known.join(" or ")
            );
            report.error(document.get("apiVersion").unwrap_or(document), text);
            return true;
        };
        let json = document.json();
        let before = report.findings.len();
        for fault in kind.validator.iter_errors(&json) {
            let pointer = fault.instance_path().to_string();
            // A value may be a secret.
            let text = format!("the cluster refuses it: {pointer}: {}", fault.masked());
            report.find(
                Severity::Error,
                document.line_at(&pointer),
                text.replace(": : ", ": "),
            );
        }
        // A rule may count on what the schema asks for, so an API server holds it against what the schema takes.
        if report.findings.len() == before {
            for (pointer, said) in kind.rules.judge(&json) {
                let (severity, text) = match said {
                    Said::Refused(why) => (
                        Severity::Error,
                        format!("the cluster refuses it: {pointer}: {why}"),
                    ),
                    Said::Unjudged(why) => (
                        Severity::Warning,
                        format!("the cluster has a rule that is not judged here: {pointer}: {why}"),
                    ),
                };
                let line = document.line_at(&pointer);
                report.find(severity, line, text.replace(": : ", ": "));
            }
        }
        true
    }
}

fn versions(crd: &Value) -> Result<Vec<Kind>, CheckError> {
    let text = |pointer: &str| {
        crd.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array);
    let served = versions
        .into_iter()
        .flatten()
        .filter(|it| it["served"] != json!(false));
    served
        .map(|version| {
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            let rules = Rules::of(&schema);
            close(&mut schema);
            let name = version["name"].as_str().unwrap_or_default();
            let api = format!("{group}/{name}");
            let validator =
                jsonschema::validator_for(&schema).map_err(|error| CheckError::Schema {
                    what: format!("{api} {kind}"),
                    why: error.to_string(),
                })?;
            Ok(Kind {
                kind: kind.to_owned(),
                api,
                validator,
                rules,
            })
        })
        .collect()
}

/// Makes of a schema of Kubernetes one of JSON: fields that are not named are errors, as for a strict client, but where
/// the schema keeps them; and `nullable` is a type. The API server looks at `metadata` itself.
fn close(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let keeps = object.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
    if object.contains_key("properties") && !keeps {
        object.insert("additionalProperties".to_owned(), json!(false));
    }
    if object.get("nullable") == Some(&json!(true))
        && let Some(kind) = object.get("type").filter(|kind| kind.is_string()).cloned()
    {
        object.insert("type".to_owned(), json!([kind, "null"]));
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        if properties.contains_key("spec") {
            for name in ["apiVersion", "kind", "metadata"] {
                properties.insert(name.to_owned(), json!({}));
            }
        }
        properties.values_mut().for_each(close);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            close(inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check_against;

    use super::*;

    const CRD: &str = "
apiVersion: v1
kind: List
items:
  - kind: CustomResourceDefinition
    spec:
      group: example.com
      names: { kind: Gate }
      versions:
        - name: v1
          served: true
          schema:
            openAPIV3Schema:
              type: object
              properties:
                spec:
                  type: object
                  required: [open]
                  properties:
                    open: { type: string, enum: [WIDE, SHUT] }
                    note: { type: string, nullable: true }
                    free: { type: object, x-kubernetes-preserve-unknown-fields: true }
        - { name: v0, served: false, schema: { openAPIV3Schema: {} } }
";

    fn found(text: &str) -> Vec<(u64, String)> {
        let crds = Crds::read(CRD).unwrap();
        let checked = check_against(text, &[], &crds).unwrap();
        let findings = checked.into_iter().flat_map(|it| it.findings);
        findings.map(|it| (it.line, it.text)).collect()
    }

    #[test]
    fn a_document_is_held_against_the_kinds_of_a_cluster() {
        let good = "apiVersion: example.com/v1\nkind: Gate\nmetadata: { name: a }\nspec: { open: WIDE, note: null, free: { x: 1 } }\n";
        assert_eq!(found(good), []);
        for (wrong, line, expected) in [
            (good.replace("WIDE", "secret"), 4, "/spec/open"),
            (good.replace("note: null", "note: 3"), 4, "/spec/note"),
            (good.replace("note", "notes"), 4, "notes"),
            (good.replace("open: WIDE, ", ""), 4, "open"),
            (
                good.replace("example.com/v1", "example.com/v0"),
                1,
                "expected `example.com/v1`",
            ),
        ] {
            let found = found(&wrong);
            let [(at, text)] = &found[..] else {
                panic!("{wrong}: {found:?}");
            };
            assert_eq!(*at, line, "{wrong}");
            assert!(
                text.contains(expected) && !text.contains("secret"),
                "{text}"
            );
        }
        // What the cluster does not know is not ours to judge.
        assert_eq!(found("apiVersion: v1\nkind: Pod\n"), []);
    }
}
