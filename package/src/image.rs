use std::io;

use attache_module::{Facts, ReadError};
use serde_json::json;

use crate::annotations::About;
use crate::digest::Digest;
use crate::layer::{Layer, MODULE_LIMIT, MODULE_NAME};
use crate::manifest::{Descriptor, Manifest, media_type};

/// A module as an OCI image.
///
/// One manifest, a container's configuration, and one layer with the files `plugin.wasm` and
/// `runtime-config.json`: the layout that Istio, Envoy Gateway, Higress, Google's Service Extensions and
/// container tools all read. The same module and the same words give the same bytes.
///
/// The platform is `linux/amd64`, though the module runs on any: loaders of modules never look at it, Docker
/// refuses other systems than its own, and containerd unpacks an image of its own platform only, which image
/// volumes need. [`Image::for_architecture`] is for clusters of other machines.
#[derive(Clone, Debug)]
pub struct Image {
    manifest: Manifest,
    manifest_bytes: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
    module: Digest,
    referrers: Vec<Referrer>,
}

/// Something about an image: an artifact whose `subject` the image is.
#[derive(Clone, Debug)]
pub struct Referrer {
    pub(crate) manifest: Manifest,
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptor: Descriptor,
    pub(crate) content: Vec<u8>,
}

/// Why no image is made of a module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// It is no proxy-wasm module.
    #[error("the module would be refused by every proxy")]
    Module(#[from] ReadError),
    /// It is larger than any loader takes.
    #[error(
        "the module is {size} bytes, expected at most {MODULE_LIMIT}: Istio and Envoy Gateway take no more"
    )]
    TooLarge {
        /// What it is.
        size: usize,
    },
    /// A name or a version that a tag or an annotation could not hold.
    #[error("the {field} {value:?} is not usable: expected letters, digits, `.`, `_`, `-` and `+`")]
    Word {
        /// Which.
        field: &'static str,
        /// What it is.
        value: String,
    },
    /// The archive could not be written.
    #[error("cannot write the layer")]
    Layer(#[from] io::Error),
    /// The documents could not be written.
    #[error("cannot write the manifest")]
    Json(#[from] serde_json::Error),
}

impl Image {
    /// The image of a module.
    ///
    /// # Errors
    ///
    /// [`ImageError`], when the bytes are no proxy-wasm module or too many, or the words are not usable.
    pub fn new(module: &[u8], about: About) -> Result<Self, ImageError> {
        Self::for_architecture(module, about, "amd64")
    }

    /// The same, for container tools on other machines: `arm64`, say.
    ///
    /// # Errors
    ///
    /// As [`Image::new`].
    pub fn for_architecture(
        module: &[u8],
        about: About,
        architecture: &str,
    ) -> Result<Self, ImageError> {
        if module.len() as u64 > MODULE_LIMIT {
            return Err(ImageError::TooLarge { size: module.len() });
        }
        word("name", &about.name)?;
        word("version", &about.version)?;
        word("architecture", architecture)?;
        let facts = Facts::read(module)?;
        let runtime = runtime_config(&about, &facts)?;
        let layer = Layer::of(&[(MODULE_NAME, module), ("runtime-config.json", &runtime)])?;
        let mut config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Entrypoint": ["/plugin.wasm"] },
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer.tar)] },
            "history": [{ "created_by": "attache package" }],
        });
        if let Some(created) = &about.created {
            config["created"] = json!(created);
        }
        let config = serde_json::to_vec(&config)?;
        let mut manifest = Manifest::new(
            Descriptor::of(media_type::CONFIG, &config),
            vec![Descriptor::of(media_type::LAYER, &layer.compressed)],
        );
        manifest.annotations = about.annotations(module, &facts);
        Ok(Self {
            manifest_bytes: serde_json::to_vec(&manifest)?,
            manifest,
            config,
            layer: layer.compressed,
            module: Digest::of(module),
            referrers: Vec::new(),
        })
    }

    /// Attaches something that is about the image: its README, a schema, a bill of materials.
    ///
    /// # Errors
    ///
    /// [`ImageError::Json`].
    pub fn refer(
        &mut self,
        artifact_type: &str,
        title: &str,
        content: Vec<u8>,
    ) -> Result<(), ImageError> {
        let title = (
            "org.opencontainers.image.title".to_owned(),
            title.to_owned(),
        );
        let mut layer = Descriptor::of(artifact_type, &content);
        layer.annotations.extend([title.clone()]);
        let mut manifest = Manifest::new(Descriptor::of(media_type::EMPTY, EMPTY), vec![layer]);
        manifest.artifact_type = Some(artifact_type.to_owned());
        manifest.subject = Some(self.descriptor());
        manifest.annotations.extend([title]);
        let bytes = serde_json::to_vec(&manifest)?;
        let mut descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
        descriptor.artifact_type = manifest.artifact_type.clone();
        descriptor.annotations = manifest.annotations.clone();
        self.referrers.push(Referrer {
            manifest,
            bytes,
            descriptor,
            content,
        });
        Ok(())
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What names it: Istio's and Envoy Gateway's `sha256` is this one's digest.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(media_type::MANIFEST, &self.manifest_bytes)
    }

    /// The digest of the module, which Envoy's own `sha256` is.
    #[must_use]
    pub fn module_digest(&self) -> Digest {
        self.module
    }

    /// What is attached to it.
    #[must_use]
    pub fn referrers(&self) -> &[Referrer] {
        &self.referrers
    }

    pub(crate) fn manifest_bytes(&self) -> &[u8] {
        &self.manifest_bytes
    }

    pub(crate) fn config(&self) -> &[u8] {
        &self.config
    }

    pub(crate) fn layer(&self) -> &[u8] {
        &self.layer
    }
}

impl Referrer {
    /// What names it, with its kind and title.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }
}

/// The content of an empty configuration (OCI image specification, manifest.md, "Guidance for an empty
/// descriptor").
pub(crate) const EMPTY: &[u8] = b"{}";

/// What wasme's loaders read beside the module (its `compat` layout, `runtime-config.json`).
fn runtime_config(about: &About, facts: &Facts) -> Result<Vec<u8>, serde_json::Error> {
    let declared = facts.declarations.iter().map(|filter| &filter.root_id);
    serde_json::to_vec(&json!({
        "type": "envoy_proxy",
        "abiVersions": [format!("v{}", facts.abi.version())],
        "config": { "rootIds": declared.collect::<Vec<_>>() },
        "name": about.name,
        "version": about.version,
    }))
}

fn word(field: &'static str, value: &str) -> Result<(), ImageError> {
    let fits = |symbol: char| symbol.is_ascii_alphanumeric() || "._-+".contains(symbol);
    if value.is_empty() || value.len() > 120 || !value.chars().all(fits) {
        return Err(ImageError::Word {
            field,
            value: value.chars().take(80).collect(),
        });
    }
    Ok(())
}
