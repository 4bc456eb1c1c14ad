//! The real CRDs of the folder that `ATTACHE_TEST_DATA` names, and manifests held against them.

use std::path::PathBuf;

use jsonschema::Validator;
use serde_json::{Value, json};

/// A CRD, and the schema of its first version, closed as [`close`] says.
pub(crate) struct Crd {
    document: Value,
    validator: Validator,
}

impl Crd {
    pub(crate) fn read(name: &str) -> Self {
        let data = std::env::var_os("ATTACHE_TEST_DATA");
        let data = data.unwrap_or_else(|| panic!("ATTACHE_TEST_DATA names no folder"));
        let path = PathBuf::from(data).join(format!("crds/{name}.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        let document: Value = serde_saphyr::from_str(&text).unwrap();
        let mut schema = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        close(&mut schema);
        let validator = jsonschema::validator_for(&schema).unwrap();
        Self {
            document,
            validator,
        }
    }

    /// Fails unless a manifest is of this kind and version, and nothing is wrong with it.
    pub(crate) fn check(&self, manifest: &Value) {
        let spec = &self.document["spec"];
        let (group, version) = (&spec["group"], &spec["versions"][0]["name"]);
        let api = format!("{}/{}", group.as_str().unwrap(), version.as_str().unwrap());
        assert_eq!(manifest["apiVersion"], api.as_str());
        assert_eq!(manifest["kind"], spec["names"]["kind"]);
        assert_eq!(self.faults(manifest), [""; 0]);
    }

    /// Fails unless the schema refuses a manifest with another value where a pointer says.
    pub(crate) fn check_refused(&self, manifest: &Value, pointer: &str, wrong: Value) {
        let mut broken = manifest.clone();
        *broken.pointer_mut(pointer).unwrap() = wrong;
        assert_ne!(self.faults(&broken), [""; 0], "{pointer}");
    }

    /// What is wrong with a manifest, each with its place.
    pub(crate) fn faults(&self, manifest: &Value) -> Vec<String> {
        let faults = self.validator.iter_errors(manifest);
        faults
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect()
    }
}

/// Makes unknown fields an error, as the API server does for a strict client, but where the schema
/// keeps them. The server looks at `metadata` itself.
fn close(schema: &mut Value) {
    let keeps = schema["x-kubernetes-preserve-unknown-fields"] == json!(true);
    if let Some(object) = schema.as_object_mut() {
        if object.contains_key("properties") && !keeps {
            object.insert("additionalProperties".to_owned(), json!(false));
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
}
