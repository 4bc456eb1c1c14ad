//! Modules to package, and folders to put images into.

use std::path::{Path, PathBuf};

use attache_package::{About, Image, Layout, Published};
use serde_json::{Value, json};

/// A module that says of itself what one of the SDK says.
pub(crate) fn described(holds: bool, filters: &[(&str, &str, Value)]) -> Vec<u8> {
    let filters: Vec<Value> = filters
        .iter()
        .map(|(root_id, kind, schema)| {
            json!({ "root_id": root_id, "kind": kind, "phases": [], "configuration": schema })
        })
        .collect();
    let description = json!({
        "format": 1,
        "name": "guard",
        "version": "1.2.0",
        "description": "Guards",
        "license": "Apache-2.0",
        "sdk": "0.1.0",
        "abi": "0.2.1",
        "host_options": { "allow_on_headers_stop_iteration": holds },
        "capabilities": ["proxy_log"],
        "filters": filters,
    });
    let text = description
        .to_string()
        .replace('\\', "\\\\")
        .replace('"', "\\\"");
    module(&format!(r#"(@custom "attache.module" "{text}")"#))
}

/// A module of another SDK: it says nothing of itself.
pub(crate) fn foreign() -> Vec<u8> {
    module("")
}

fn module(more: &str) -> Vec<u8> {
    // Envoy refuses a module without an allocator.
    let text = format!(
        r#"(module
            (memory (export "memory") 1)
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
            {more})"#
    );
    wat::parse_str(text).unwrap()
}

/// The filter that most tests take: it wants a list `rules`.
pub(crate) fn guard() -> Vec<u8> {
    let schema = json!({
        "type": "object",
        "properties": { "rules": { "type": "array" }, "token": { "type": "string", "maxLength": 4 } },
        "additionalProperties": false,
    });
    described(false, &[("guard", "http", schema)])
}

/// A module that went into an image and came back.
pub(crate) fn published(module: &[u8]) -> Published {
    let folder =
        Folder::new(&format!("{:?}", std::thread::current().id()).replace(['(', ')'], "-"));
    let layout = Layout::create(folder.path()).unwrap();
    let image = Image::new(module, About::new("guard", "1.2.0")).unwrap();
    layout.add(&image, "1").unwrap();
    layout.module("1").unwrap()
}

/// A folder that goes when the test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("attache-package-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
