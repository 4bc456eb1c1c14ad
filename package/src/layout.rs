use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use attache_module::{Facts, ReadError};
use serde::de::DeserializeOwned;

use crate::consumer::{Consumer, Found, Refusal};
use crate::digest::Digest;
use crate::graph::{Content, Document, Graph};
use crate::image::Image;
use crate::layer::{LayerError, MODULE_LIMIT, module};
use crate::manifest::{Descriptor, Index, Manifest, media_type};

/// The annotation by which an index names a manifest's tag.
const TAG: &str = "org.opencontainers.image.ref.name";

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

/// Why a folder does not hold the image that was asked for, or does not take one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// A file cannot be read or written.
    #[error("cannot {what} `{}`", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The folder is something else, or not there.
    #[error(
        "`{}` is not a folder of images (it has no file `oci-layout`); `attache package` makes one where nothing is",
        folder.display()
    )]
    NotALayout {
        /// The folder.
        folder: PathBuf,
    },
    /// A document is not what it should be.
    #[error("`{}` is not what OCI says it is", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// A document is larger than any registry takes.
    #[error("`{}` is {size} bytes, expected at most {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// What it may be.
        limit: u64,
    },
    /// No manifest has the tag.
    #[error("`{}` has no image `{tag}` (it has {tags})", folder.display())]
    NoTag {
        /// The folder.
        folder: PathBuf,
        /// What was asked for.
        tag: String,
        /// What there is.
        tags: String,
    },
    /// A blob is not the one that it is called.
    #[error(
        "`{}` was changed: its digest is {found} and its size {size}, expected {expected} bytes",
        path.display()
    )]
    Changed {
        /// The file, named by its digest.
        path: PathBuf,
        /// The digest of what is there.
        found: Digest,
        /// The size of what is there.
        size: u64,
        /// The size that it is said to have.
        expected: u64,
    },
    /// No proxy would find the module.
    #[error("no module is found by the rules of Istio")]
    Refused(#[from] Refusal),
    /// The layer holds none.
    #[error("the image holds no module")]
    Layer(#[from] LayerError),
    /// What it holds is none.
    #[error("what the image holds would be refused by every proxy")]
    Module(#[from] ReadError),
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
            layout.write_index(&Index::default())?;
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

    /// Puts an image and what is attached to it into the folder, and makes the tag name it.
    ///
    /// # Errors
    ///
    /// [`LayoutError`], when a file cannot be written or the index is broken. The index is written last and
    /// at once, so a failure leaves the tag where it was.
    pub fn add(&self, image: &Image, tag: &str) -> Result<(), LayoutError> {
        self.put(&Graph::from(image), tag)
    }

    /// The same for an image that came from elsewhere.
    ///
    /// # Errors
    ///
    /// As [`Layout::add`].
    pub fn put(&self, graph: &Graph, tag: &str) -> Result<(), LayoutError> {
        let documents = graph.documents.values();
        for (digest, bytes) in documents
            .map(|document| (document.descriptor.digest, &document.bytes))
            .chain(
                graph
                    .blobs
                    .iter()
                    .map(|(digest, (_, bytes))| (*digest, bytes)),
            )
        {
            write(&self.blob(digest), bytes)?;
        }
        let mut index = self.index()?;
        let mut named = graph.root.clone();
        named.annotations.insert(TAG.to_owned(), tag.to_owned());
        // Whoever may attach something names no image by it.
        let attached = graph.referrers().map(|document| {
            let mut descriptor = document.as_referrer();
            descriptor.annotations.remove(TAG);
            descriptor
        });
        let new: Vec<Descriptor> = [named].into_iter().chain(attached).collect();
        index.manifests.retain(|old| {
            let same_tag = old.annotations.get(TAG).is_some_and(|name| name == tag);
            !same_tag
                && new
                    .iter()
                    .all(|new| new.digest != old.digest || old.annotations.contains_key(TAG))
        });
        index.manifests.extend(new);
        self.write_index(&index)
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

    /// The module in the image that a tag or a digest names, by the rules of Istio, every byte checked.
    ///
    /// # Errors
    ///
    /// [`LayoutError`], which says what is missing, changed or refused.
    pub fn module(&self, tag: &str) -> Result<Published, LayoutError> {
        let descriptor = self.named(tag)?;
        let bytes = self.read(&descriptor, DOCUMENT_LIMIT)?;
        let manifest: Manifest = parse(&self.blob(descriptor.digest), &bytes)?;
        let bytes = match Consumer::Istio.find(&manifest)? {
            Found::Archive(layer) => module(&self.read(layer, MODULE_LIMIT)?, MODULE_LIMIT)?,
            Found::Raw(layer) => self.read(layer, MODULE_LIMIT)?,
        };
        Ok(Published {
            facts: Facts::read(&bytes)?,
            descriptor,
            manifest,
            bytes,
        })
    }

    /// The image that a tag or a digest names, with all that it names and what is attached to it.
    ///
    /// # Errors
    ///
    /// [`LayoutError`], which says what is missing or changed.
    pub fn graph(&self, tag: &str) -> Result<Graph, LayoutError> {
        let mut root = self.named(tag)?;
        root.annotations.clear();
        let mut graph = Graph {
            root: root.clone(),
            documents: BTreeMap::new(),
            blobs: BTreeMap::new(),
        };
        let mut next = vec![root.clone()];
        for descriptor in self.index()?.manifests {
            if self
                .document(&descriptor)?
                .subject()
                .is_some_and(|it| it.digest == root.digest)
            {
                next.push(descriptor);
            }
        }
        while let Some(descriptor) = next.pop() {
            let document = self.document(&descriptor)?;
            match &document.content {
                Content::Index(index) => next.extend(index.manifests.iter().cloned()),
                Content::Manifest(manifest) => {
                    for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
                        let bytes = self.read(blob, MODULE_LIMIT)?.into();
                        graph.blobs.insert(blob.digest, (blob.clone(), bytes));
                    }
                }
            }
            graph.documents.insert(document.descriptor.digest, document);
        }
        Ok(graph)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, LayoutError> {
        let bytes = self.read(descriptor, DOCUMENT_LIMIT)?;
        let read = Document::read(descriptor, bytes.into());
        let read = read.and_then(|document| {
            document.ok_or_else(|| {
                serde::de::Error::custom("it is neither a manifest nor a list of them")
            })
        });
        read.map_err(|source| LayoutError::Document {
            path: self.blob(descriptor.digest),
            source,
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
            let bytes = self.read(&descriptor, DOCUMENT_LIMIT)?;
            let manifest: Manifest = parse(&self.blob(descriptor.digest), &bytes)?;
            let about = manifest
                .subject
                .is_some_and(|about| about.digest == subject);
            if let (true, [content]) = (about, &manifest.layers[..]) {
                found.push((descriptor, self.read(content, MODULE_LIMIT)?));
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
        match found {
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

    fn write_index(&self, index: &Index) -> Result<(), LayoutError> {
        let path = self.folder.join("index.json");
        let bytes = serde_json::to_vec(index).map_err(|source| LayoutError::Document {
            path: path.clone(),
            source,
        })?;
        write(&path, &bytes)
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

/// Writes a file beside its place and moves it there, so that nobody reads half of it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        // What was begun may be there or not.
        let _ = fs::remove_file(&beside);
        failed("write", path)(error)
    })
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LayoutError {
    let path = path.to_owned();
    move |source| LayoutError::File { what, path, source }
}
