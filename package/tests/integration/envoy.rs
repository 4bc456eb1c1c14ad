//! What is written for Envoy, read by a real Envoy.

use std::fs;
use std::process::Command;

use attache_envoy::{Bootstrap, Endpoint, Environment, Listener, Selection, find};
use attache_package::{About, Digest, Image, Layout, Plugin, Target};
use serde_json::{Value, json};

use crate::modules::{Folder, guard};

/// Lets Envoy read a bootstrap with the filter, and start the plugin, as it does in validation.
fn validate(folder: &Folder, filter: Value) -> (bool, String) {
    let nowhere = Endpoint::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let yaml = Bootstrap::new(nowhere, vec![Listener::new("http")])
        .to_yaml()
        .unwrap();
    let mut bootstrap: Value = serde_saphyr::from_str(&yaml).unwrap();
    let filters =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let filters = bootstrap
        .pointer_mut(filters)
        .and_then(Value::as_array_mut)
        .unwrap();
    filters.insert(0, filter);
    let path = folder.path().join("envoy.json");
    fs::write(&path, bootstrap.to_string()).unwrap();
    let envoy = find(&Selection::Default, &Environment::current(), &mut |_| {}).unwrap();
    let output = Command::new(&envoy.path)
        .args(["--mode", "validate", "--concurrency", "1", "-c"])
        .arg(path)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
#[ignore = "needs Envoy"]
fn envoy_loads_the_filter_from_the_file_that_its_digest_names() {
    let folder = Folder::new("envoy");
    let layout = Layout::create(&folder.path().join("images")).unwrap();
    layout
        .add(
            &Image::new(&guard(), About::new("guard", "1.2.0")).unwrap(),
            "1",
        )
        .unwrap();
    let published = layout.module("1").unwrap();
    let file = folder
        .path()
        .join(format!("{}.wasm", Digest::of(&guard()).hex()));

    let mut plugin = Plugin::new("guard", "");
    plugin.file = Some(file.clone());
    plugin.config = Some(json!({ "rules": ["no"] }));
    plugin.environment = vec![
        ("REGION".to_owned(), Some("eu".to_owned())),
        ("HOME".to_owned(), None),
    ];
    let text = plugin.manifest(&published, Target::Envoy).unwrap();
    let filters: Value = serde_saphyr::from_str(&text).unwrap();

    let (accepted, said) = validate(&folder, filters[0].clone());
    assert!(!accepted, "the file is not there yet: {said}");
    fs::write(&file, published.bytes).unwrap();
    let (accepted, said) = validate(&folder, filters[0].clone());
    assert!(accepted, "{said}");
}
