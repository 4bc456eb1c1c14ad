//! What registries and folders hand out: documents, and layers.

use std::fs;
use std::path::Path;

use attache_package::signing::Policy;
use attache_package::{Consumer, Digest, Index, Layout, Manifest, check, registry::Reference};
use serde_json::json;

/// Manifests, lists, references, policies, and files that make a proxy load an image.
pub fn image(data: &[u8]) {
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(data) {
        for consumer in [
            Consumer::Istio,
            Consumer::EnvoyGateway,
            Consumer::Higress,
            Consumer::Containers,
        ] {
            if let Err(refusal) = consumer.find(&manifest) {
                assert!(!refusal.to_string().is_empty());
            }
        }
    }
    let _ = serde_json::from_slice::<Index>(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = Policy::parse(text, Path::new("corpus"));
    let _ = check(text, &[]);
    if let Ok(reference) = text.parse::<Reference>() {
        let again = reference.to_string().parse::<Reference>();
        assert_eq!(again.ok().as_ref(), Some(&reference), "{text}");
    }
}

/// The layer of an image: a tar file in gzip, as the rules of Istio have it.
pub fn layer(data: &[u8]) {
    let folder = std::env::temp_dir().join(format!("attache-fuzz-layer-{}", std::process::id()));
    if let Some(layout) = written(&folder, data)
        && let Ok(published) = layout.module("t")
    {
        assert!(!published.bytes.is_empty());
    }
    let _ = fs::remove_dir_all(&folder);
}

/// A folder with an image of this layer.
fn written(folder: &Path, layer: &[u8]) -> Option<Layout> {
    let layout = Layout::create(folder).ok()?;
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).ok()?;
    let put = |bytes: &[u8], media_type: &str| {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).ok()?;
        Some(json!({
            "mediaType": media_type,
            "digest": digest.to_string(),
            "size": bytes.len(),
        }))
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(b"{}", "application/vnd.oci.image.config.v1+json")?,
        "layers": [put(layer, "application/vnd.oci.image.layer.v1.tar+gzip")?],
    });
    let mut named = put(
        manifest.to_string().as_bytes(),
        "application/vnd.oci.image.manifest.v1+json",
    )?;
    named["annotations"] = json!({"org.opencontainers.image.ref.name": "t"});
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [named],
    });
    fs::write(folder.join("index.json"), index.to_string()).ok()?;
    Some(layout)
}
