mod error;
mod walk;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use attache_module::{Facts, write_whole};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::error::LayoutError;
use crate::consumer::{Consumer, Found};
use crate::digest::Digest;
use crate::graph::{Content, Graph};
use crate::image::Image;
use crate::layer::{MODULE_LIMIT, module};
use crate::manifest::{Descriptor, Index, Manifest, media_type};

/// The annotation by which an index names a manifest's tag.
const TAG: &str = "org.opencontainers.image.ref.name";
/// The annotation by which an index of ours names what the signatures of a manifest are about that are under a tag of
/// their own in a registry.
const SIGNATURES_OF: &str = "attache.image/signatures-of";
const TAG_POINTER: &str = "/annotations/org.opencontainers.image.ref.name";

/// The most bytes that a manifest or an index may have, as registries have it.
pub(crate) const DOCUMENT_LIMIT: u64 = 4 * 1024 * 1024;

/// Images in a folder, as the OCI image specification's image-layout.md has them; `skopeo` and others call it
/// `oci:FOLDER:TAG`.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
}

/// A module out of an image, each byte checked against its digest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Published {
    /// What names the manifest.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The module.
    pub bytes: Vec<u8>,
    /// What can be read off it.
    pub facts: Facts,
}

impl Layout {
    /// The layout in a folder, which is made if there is none.
    ///
    /// # Errors
    ///
    /// [`LayoutError`], when the folder holds something else or cannot be written.
    pub fn create(folder: &Path) -> Result<Self, LayoutError> {
        let layout = Self {
            folder: folder.to_owned(),
        };
        let mark = folder.join("oci-layout");
        if !mark.is_file() {
            let occupied = fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
            if occupied || folder.is_file() {
                return Err(LayoutError::NotALayout {
                    folder: folder.to_owned(),
                });
            }
            let blobs = folder.join("blobs/sha256");
            fs::create_dir_all(&blobs).map_err(failed("make the folder", &blobs))?;
            let empty = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
            write(&folder.join("index.json"), empty)?;
            write(&mark, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        Ok(layout)
    }

    /// The layout that is in a folder.
    ///
    /// # Errors
    ///
    /// [`LayoutError::NotALayout`], when none is.
    pub fn open(folder: &Path) -> Result<Self, LayoutError> {
        if !folder.join("oci-layout").is_file() {
            return Err(LayoutError::NotALayout {
                folder: folder.to_owned(),
            });
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Puts an image and what is attached to it into the folder, and makes the tag name it. Returns what the tag named
    /// before, where that was something else: it stays in the folder, by its digest.
    ///
    /// # Errors
    ///
    /// [`LayoutError`], when a file cannot be written or the index is broken. The index is written last and
    /// at once, so a failure leaves the tag where it was.
    pub fn add(&self, image: &Image, tag: &str) -> Result<Option<Digest>, LayoutError> {
        self.put(&Graph::from(image), tag)
    }

    /// The same for an image that came from elsewhere.
    ///
    /// # Errors
    ///
    /// As [`Layout::add`].
    pub fn put(&self, graph: &Graph, tag: &str) -> Result<Option<Digest>, LayoutError> {
        for graph in graph.lists.iter().chain([graph]) {
            let documents = graph.documents.values().chain(graph.simple.values());
            let documents = documents.map(|it| (it.descriptor.digest, &it.bytes));
            let blobs = graph
                .blobs
                .iter()
                .map(|(digest, (_, bytes))| (*digest, bytes));
            for (digest, bytes) in documents.chain(blobs) {
                write(&self.blob(digest), bytes)?;
            }
        }
        let mut named = graph.root.clone();
        // A digest names it anyway.
        if tag.parse::<Digest>().is_err() {
            named.annotations.insert(TAG.to_owned(), tag.to_owned());
        }
        let lists = graph.lists.iter().map(|list| list.root.clone());
        // Whoever may attach something names no image by it.
        let all = graph.lists.iter().chain([graph]);
        let attached = all.flat_map(Graph::referrers).map(|document| {
            let mut descriptor = document.as_referrer();
            descriptor.annotations.remove(TAG);
            descriptor
        });
        let all = graph.lists.iter().chain([graph]);
        let simple = all
            .flat_map(|graph| &graph.simple)
            .map(|(subject, document)| {
                let mut descriptor = document.descriptor.clone();
                let notes = &mut descriptor.annotations;
                notes.insert(SIGNATURES_OF.to_owned(), subject.to_string());
                descriptor
            });
        let new = [named]
            .into_iter()
            .chain(lists)
            .chain(attached)
            .chain(simple);
        let new: Vec<Descriptor> = new.collect();
        self.enter(&new, tag)
    }

    /// Enters descriptors into the index, of which the first one has the tag. What others wrote there stays as it is.
    fn enter(&self, new: &[Descriptor], tag: &str) -> Result<Option<Digest>, LayoutError> {
        let path = self.folder.join("index.json");
        let mut index: Value = document(&path)?;
        let broken = |source| LayoutError::Document {
            path: path.clone(),
            source,
        };
        let Some(entries) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
            return Err(broken(serde::de::Error::custom(
                "there is no list `manifests`",
            )));
        };
        let names = |entry: &Value, digest: Digest| {
            entry.get("digest").and_then(Value::as_str) == Some(&digest.to_string())
        };
        let is_tagged = |entry: &Value| entry.pointer(TAG_POINTER).is_some();
        let mut replaced = None;
        for entry in entries.iter_mut() {
            if entry.pointer(TAG_POINTER).and_then(Value::as_str) == Some(tag) {
                let before = entry.get("digest").and_then(Value::as_str);
                replaced = before.and_then(|digest| digest.parse::<Digest>().ok());
                if let Some(notes) = entry.get_mut("annotations").and_then(Value::as_object_mut) {
                    notes.remove(TAG);
                }
            }
        }
        entries.retain(|old| is_tagged(old) || !new.iter().any(|new| names(old, new.digest)));
        for new in new {
            // An image that has a tag needs no entry without one.
            let is_there = entries.iter().any(|old| names(old, new.digest));
            if !is_there || new.annotations.contains_key(TAG) {
                entries.push(serde_json::to_value(new).map_err(broken)?);
            }
        }
        write(&path, &serde_json::to_vec(&index).map_err(broken)?)?;
        Ok(replaced.filter(|before| new.iter().all(|new| new.digest != *before)))
    }

    /// What the folder holds, in the order in which it came.
    ///
    /// # Errors
    ///
    /// [`LayoutError`], when the index cannot be read.
    pub fn index(&self) -> Result<Index, LayoutError> {
        document(&self.folder.join("index.json"))
    }

    /// The tags, in alphabetical order.
    ///
    /// # Errors
    ///
    /// [`LayoutError`], when the index cannot be read.
    pub fn tags(&self) -> Result<Vec<String>, LayoutError> {
        let index = self.index()?;
        let names = index.manifests.into_iter();
        let mut tags: Vec<String> = names
            .filter_map(|mut image| image.annotations.remove(TAG))
            .collect();
        tags.sort_unstable();
        Ok(tags)
    }

    /// The module in the image that a tag or a digest names, by the rules of Istio, every byte checked. Of a list of
    /// images the one for linux/amd64 is taken.
    ///
    /// # Errors
    ///
    /// [`LayoutError`], which says what is missing, changed or refused.
    pub fn module(&self, tag: &str) -> Result<Published, LayoutError> {
        let mut document = self.document(&self.named(tag)?)?;
        if let Some(index) = document.index() {
            let child = index.for_proxies().ok_or_else(|| LayoutError::Platform {
                tag: tag.to_owned(),
                platforms: index.platforms(),
            })?;
            document = self.document(child)?;
        }
        let Content::Manifest(manifest) = document.content else {
            return Err(LayoutError::Platform {
                tag: tag.to_owned(),
                platforms: "lists in a list".to_owned(),
            });
        };
        let bytes = match Consumer::Istio.find(&manifest)? {
            Found::Archive(layer) => module(&self.read(layer, MODULE_LIMIT)?, MODULE_LIMIT)?,
            Found::Raw(layer) => self.read(layer, MODULE_LIMIT)?,
        };
        Ok(Published {
            facts: Facts::read(&bytes)?,
            descriptor: document.descriptor,
            manifest: *manifest,
            bytes,
        })
    }

    /// What is attached to a manifest: those whose `subject` it is, each with its content.
    ///
    /// # Errors
    ///
    /// [`LayoutError`], when a document cannot be read or was changed.
    pub fn referrers(&self, subject: Digest) -> Result<Vec<(Descriptor, Vec<u8>)>, LayoutError> {
        let mut found = Vec::new();
        for descriptor in self.index()?.manifests {
            if descriptor.media_type != media_type::MANIFEST {
                continue;
            }
            // What is broken belongs to nothing.
            let Ok(document) = self.document(&descriptor) else {
                continue;
            };
            let is_about = document
                .subject()
                .is_some_and(|about| about.digest == subject);
            if let (true, Some([content])) =
                (is_about, document.manifest().map(|it| &it.layers[..]))
                && let Ok(content) = self.read(content, MODULE_LIMIT)
            {
                found.push((descriptor, content));
            }
        }
        Ok(found)
    }

    fn named(&self, tag: &str) -> Result<Descriptor, LayoutError> {
        let index = self.index()?;
        let digest = tag.parse::<Digest>().ok();
        let found = index.manifests.into_iter().find(|image| {
            Some(image.digest) == digest
                || image.annotations.get(TAG).is_some_and(|name| name == tag)
        });
        let within = || digest.and_then(|digest| self.listed(digest).transpose());
        match found.map(Ok).or_else(within).transpose()? {
            Some(found) => Ok(found),
            None => {
                let tags = self.tags()?;
                Err(LayoutError::NoTag {
                    folder: self.folder.clone(),
                    tag: tag.to_owned(),
                    tags: if tags.is_empty() {
                        "none".to_owned()
                    } else {
                        tags.join(", ")
                    },
                })
            }
        }
    }

    fn read(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, LayoutError> {
        let path = self.blob(descriptor.digest);
        let size = fs::metadata(&path).map_err(failed("read", &path))?.len();
        if size > limit {
            return Err(LayoutError::TooLarge { path, size, limit });
        }
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        let found = Digest::of(&bytes);
        let size = bytes.len() as u64;
        if found != descriptor.digest || size != descriptor.size {
            return Err(LayoutError::Changed {
                path,
                found,
                size,
                expected: descriptor.size,
            });
        }
        Ok(bytes)
    }

    fn blob(&self, digest: Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }
}

fn document<T: DeserializeOwned>(path: &Path) -> Result<T, LayoutError> {
    let size = fs::metadata(path).map_err(failed("read", path))?.len();
    if size > DOCUMENT_LIMIT {
        return Err(LayoutError::TooLarge {
            path: path.to_owned(),
            size,
            limit: DOCUMENT_LIMIT,
        });
    }
    parse(path, &fs::read(path).map_err(failed("read", path))?)
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, LayoutError> {
    serde_json::from_slice(bytes).map_err(|source| LayoutError::Document {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    write_whole(path, bytes).map_err(failed("write", path))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LayoutError {
    let path = path.to_owned();
    move |source| LayoutError::File { what, path, source }
}
