use std::collections::BTreeMap;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use attache_module::harmless;

/// Media types that this crate writes or knows.
pub mod media_type {
    /// A manifest of OCI.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// A list of manifests.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// The configuration of a container image.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer: a tar file, compressed by gzip.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// Docker's manifest, second schema.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's list of manifests.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's layer.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// A module as it is, in the layout of wasme's artifacts.
    pub const MODULE: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
    /// A suite, as a referrer.
    pub const SUITE: &str = "application/vnd.attache.suite.v1+yaml";
    /// A configuration of no meaning, `{}`, as referrers have it.
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
}

/// What names some bytes, and says how many there are.
///
/// OCI image specification, descriptor.md.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Of what kind they are.
    pub media_type: String,
    /// Their digest.
    pub digest: Digest,
    /// How many there are.
    pub size: u64,
    /// Of what kind an artifact is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// For which machines it is, where a list has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// For which machines an image is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Platform {
    /// The system, such as `linux`.
    pub os: String,
    /// The processor, such as `amd64`.
    pub architecture: String,
    /// Which of the processors of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Descriptor {
    /// The descriptor of these bytes.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    pub(crate) fn is_for(&self, os: &str, architecture: &str) -> bool {
        self.platform
            .as_ref()
            .is_some_and(|it| it.os == os && it.architecture == architecture)
    }
}

/// A manifest: what an image or an artifact consists of.
///
/// OCI image specification, manifest.md.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// [`media_type::MANIFEST`] in what this crate writes; others may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Of what kind it is, where it is an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// A manifest of these pieces, without notes.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// A list of manifests.
///
/// OCI image specification, image-index.md.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", from = "Read")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// [`media_type::INDEX`] in what this crate writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests that are named as this crate understands it, by SHA-256.
    pub manifests: Vec<Descriptor>,
    /// What else it names.
    #[serde(skip)]
    pub(crate) foreign: Foreign,
}

/// Entries of a list that are named in a way that is not known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Foreign {
    /// The first ones, made harmless.
    pub(crate) texts: Vec<String>,
    /// How many there are beside those.
    pub(crate) more: usize,
}

impl Index {
    /// The image that Istio and Envoy Gateway take.
    pub(crate) fn for_proxies(&self) -> Option<&Descriptor> {
        self.manifests
            .iter()
            .find(|child| child.is_for("linux", "amd64"))
    }

    /// The machines that it has images for.
    pub(crate) fn platforms(&self) -> String {
        let platforms = self
            .manifests
            .iter()
            .filter_map(|child| child.platform.as_ref());
        let texts = platforms.map(|it| harmless(&format!("{}/{}", it.os, it.architecture)));
        let texts: Vec<String> = texts.take(20).collect();
        match texts.is_empty() {
            true => "machines that it does not name".to_owned(),
            false => texts.join(", "),
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            manifests: Vec::new(),
            foreign: Foreign::default(),
        }
    }
}

/// A list as it is read: one entry that is not understood does not spoil the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    #[serde(default = "two")]
    schema_version: u32,
    media_type: Option<String>,
    manifests: Entries,
}

#[derive(Default)]
struct Entries {
    known: Vec<Descriptor>,
    foreign: Foreign,
}

fn two() -> u32 {
    2
}

impl From<Read> for Index {
    fn from(read: Read) -> Self {
        Self {
            schema_version: read.schema_version,
            media_type: read.media_type,
            manifests: read.manifests.known,
            foreign: read.manifests.foreign,
        }
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self::default())
    }
}

/// Entry by entry, so that only what is kept takes memory.
impl<'de> Visitor<'de> for Entries {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of manifests")
    }

    /// A list of nothing, as programs in Go write it.
    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Self, A::Error> {
        while let Some(entry) = list.next_element::<Value>()? {
            match Descriptor::deserialize(&entry) {
                Ok(known) => self.known.push(known),
                Err(_) if self.foreign.texts.len() < 8 => {
                    let digest = entry.get("digest").and_then(Value::as_str);
                    let text = digest.map_or("an entry without a digest".to_owned(), |digest| {
                        format!("`{}`", harmless(digest))
                    });
                    self.foreign.texts.push(text);
                }
                Err(_) => self.foreign.more += 1,
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_foreign_entry_does_not_spoil_a_list() {
        let mine = serde_json::to_value(Descriptor::of(media_type::MANIFEST, b"mine")).unwrap();
        let sha512 =
            json!({ "digest": format!("sha512:{}", "0".repeat(128)), "mediaType": "x", "size": 1 });
        let list = json!({ "schemaVersion": 2, "manifests": [sha512, mine, 7, { "digest": "\u{1b}[2J" }] });
        let index: Index = serde_json::from_value(list).unwrap();
        assert_eq!(
            index.manifests,
            [Descriptor::of(media_type::MANIFEST, b"mine")]
        );
        assert_eq!(index.foreign.texts.len(), 3);
        assert!(index.foreign.texts[0].starts_with("`sha512:"));
        assert_eq!(index.foreign.texts[2], "`\\u001b[2J`");

        let nothing: Index = serde_json::from_str(r#"{"manifests":null}"#).unwrap();
        assert_eq!(nothing.manifests, []);
        let many: Index = serde_json::from_value(json!({ "manifests": vec![0; 20] })).unwrap();
        assert_eq!((many.foreign.texts.len(), many.foreign.more), (8, 12));
        for other in ["{}", r#"{"manifests":{}}"#, r#"{"manifests":"x"}"#] {
            assert!(serde_json::from_str::<Index>(other).is_err(), "{other}");
        }
    }
}
