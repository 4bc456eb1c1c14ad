//! A manifest, or a list of them, that can be read in one way only.

use std::fmt;

use bytes::Bytes;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::manifest::{Descriptor, Index, Manifest, media_type};
use attache_module::harmless;

/// A manifest, or a list of them.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) descriptor: Descriptor,
    pub(crate) bytes: Bytes,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Manifest(Box<Manifest>),
    Index(Index),
}

/// Why some bytes are no document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It is of another kind.
    #[error("it is of the kind `{}`, expected an image of OCI or Docker", harmless(.0))]
    Kind(String),
    /// Others may read it otherwise.
    #[error("{0}")]
    Ambiguous(String),
}

impl Document {
    /// Reads a manifest or a list, by its sender's word of its kind or else by its own.
    ///
    /// What two readers may take for two things is refused (CVE-2021-41190): both a list and a manifest, another kind
    /// than it was sent as, keys twice or in another spelling, which readers written in Go take for the same.
    pub(crate) fn read(descriptor: &Descriptor, bytes: Bytes) -> Result<Self, Unread> {
        let top = Top::read(&bytes)?;
        let sent = descriptor.media_type.as_str();
        let kind = match &top.media_type {
            Some(own) if !sent.is_empty() && own != sent => {
                return Err(Unread::Ambiguous(format!(
                    "its `mediaType` is `{}`, and it comes as `{}`",
                    harmless(own),
                    harmless(sent)
                )));
            }
            Some(own) => own.clone(),
            None => sent.to_owned(),
        };
        if top.is_list && top.is_image {
            return Err(Unread::Ambiguous(
                "it is a list of images (`manifests`) and an image (`config`, `layers`) at once"
                    .to_owned(),
            ));
        }
        let content = match kind.as_str() {
            media_type::MANIFEST | media_type::DOCKER_MANIFEST => {
                Content::Manifest(serde_json::from_slice(&bytes)?)
            }
            media_type::INDEX | media_type::DOCKER_LIST => {
                Content::Index(serde_json::from_slice(&bytes)?)
            }
            _ => return Err(Unread::Kind(kind)),
        };
        Ok(Self {
            descriptor: Descriptor::of(&kind, &bytes),
            bytes,
            content,
        })
    }

    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        match &self.content {
            Content::Manifest(manifest) => Some(manifest),
            Content::Index(_) => None,
        }
    }

    pub(crate) fn index(&self) -> Option<&Index> {
        match &self.content {
            Content::Manifest(_) => None,
            Content::Index(index) => Some(index),
        }
    }

    /// The manifest that it is about.
    pub(crate) fn subject(&self) -> Option<&Descriptor> {
        self.manifest()?.subject.as_ref()
    }

    /// The descriptor by which lists of what is attached name it ("Listing Referrers").
    pub(crate) fn as_referrer(&self) -> Descriptor {
        let mut descriptor = self.descriptor.clone();
        if let Some(manifest) = self.manifest() {
            let kind = manifest.artifact_type.as_ref();
            let kind = kind.unwrap_or(&manifest.config.media_type);
            descriptor.artifact_type = Some(kind.clone());
            descriptor.annotations.clone_from(&manifest.annotations);
        }
        descriptor
    }
}

/// The keys that have a meaning, in a document and in what it names.
const KEYS: [&str; 21] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "digest",
    "size",
    "urls",
    "data",
    "platform",
    "os",
    "os.version",
    "os.features",
    "architecture",
    "variant",
    "fsLayers",
    "history",
    "blobs",
];

/// What a document is by its keys.
#[derive(Default)]
struct Top {
    media_type: Option<String>,
    is_list: bool,
    is_image: bool,
}

impl Top {
    fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        let mut top = Self::default();
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        Keys(Some(&mut top)).deserialize(&mut reader)?;
        reader.end()?;
        Ok(top)
    }
}

/// Looks at the keys of a value and of all within it, but for notes, whose keys are anybody's.
struct Keys<'t>(Option<&'t mut Top>);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a document of OCI")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = [false; KEYS.len()];
        let mut top = self.0;
        while let Some(key) = map.next_key::<String>()? {
            let known = KEYS.iter().position(|known| folds(known, &key));
            if let Some(at) = known {
                if KEYS[at] != key {
                    return Err(de::Error::custom(format_args!(
                        "the key `{}` is another spelling of `{}`, which some readers take for it",
                        harmless(&key),
                        KEYS[at]
                    )));
                }
                if std::mem::replace(&mut seen[at], true) {
                    return Err(de::Error::custom(format_args!(
                        "the key `{key}` is there twice"
                    )));
                }
            }
            match (key.as_str(), &mut top) {
                ("annotations" | "data", _) => drop(map.next_value::<IgnoredAny>()?),
                ("mediaType", Some(top)) => top.media_type = map.next_value()?,
                (name, Some(top)) => {
                    top.is_list |= name == "manifests";
                    top.is_image |= matches!(name, "config" | "layers" | "fsLayers" | "blobs");
                    map.next_value_seed(Keys(None))?;
                }
                (_, None) => map.next_value_seed(Keys(None))?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Keys(None))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Whether a reader that does not look at case takes a key for a known one; `ſ` and the sign of kelvin are letters to it.
fn folds(known: &str, key: &str) -> bool {
    let letter = |symbol: char| match symbol {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        symbol => symbol.to_ascii_lowercase(),
    };
    key.chars()
        .map(letter)
        .eq(known.chars().map(|symbol| symbol.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(kind: &str, document: &str) -> Result<Document, String> {
        let descriptor = Descriptor::of(kind, document.as_bytes());
        let bytes = Bytes::copy_from_slice(document.as_bytes());
        Document::read(&descriptor, bytes).map_err(|error| error.to_string())
    }

    fn image() -> Value {
        serde_json::to_value(Manifest::new(
            Descriptor::of(media_type::CONFIG, b"{}"),
            Vec::new(),
        ))
        .unwrap()
    }

    #[test]
    fn what_is_a_list_and_an_image_at_once_is_neither() {
        for kind in [
            media_type::MANIFEST,
            media_type::INDEX,
            media_type::DOCKER_LIST,
        ] {
            let mut both = image();
            both["manifests"] = json!([]);
            both["mediaType"] = json!(kind);
            let error = read(kind, &both.to_string()).unwrap_err();
            assert!(error.contains("at once"), "{kind}: {error}");
            both.as_object_mut().unwrap().remove("layers");
            assert!(read(kind, &both.to_string()).is_err(), "{kind}");
        }
    }

    #[test]
    fn a_document_is_of_the_kind_that_it_was_sent_as() {
        let text = image().to_string();
        assert!(read(media_type::MANIFEST, &text).is_ok());
        assert!(read("", &text).is_ok());
        let error = read(media_type::INDEX, &text).unwrap_err();
        assert!(error.contains("and it comes as"), "{error}");
        let mut silent = image();
        silent.as_object_mut().unwrap().remove("mediaType");
        assert!(read(media_type::MANIFEST, &silent.to_string()).is_ok());
        assert!(read("", &silent.to_string()).is_err());
        assert!(read(media_type::INDEX, &silent.to_string()).is_err());
    }

    #[test]
    fn keys_that_others_may_take_for_another_are_refused() {
        let text = image().to_string();
        for (from, to) in [
            ("\"layers\":[]", "\"layers\":[],\"Layers\":[]"),
            ("\"layers\":[]", "\"layers\":[],\"layer\u{17f}\":[]"),
            ("\"layers\":[]", "\"layers\":[],\"layers\":[]"),
            ("\"layers\":[]", "\"LAYERS\":[]"),
            ("\"digest\":", "\"Digest\":\"x\",\"digest\":"),
            ("\"mediaType\":", "\"mediaType\":\"x\",\"mediaType\":"),
        ] {
            let other = text.replacen(from, to, 1);
            assert_ne!(other, text);
            assert!(read(media_type::MANIFEST, &other).is_err(), "{other}");
        }
        // Notes are anybody's.
        let mut noted = image();
        noted["annotations"] = json!({ "Layers": "three", "DIGEST": "x" });
        noted["extra"] = json!([1, -1, 0.5, true, null, { "more": "x" }]);
        assert!(read(media_type::MANIFEST, &noted.to_string()).is_ok());
    }
}
