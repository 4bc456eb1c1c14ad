//! In which order the pieces of an image are fetched, what is left out, and how much there may be.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use super::document::{Content, Document};
use super::{Graph, LeftOut, is_signature};
use crate::digest::Digest;
use crate::layer::MODULE_LIMIT;
use crate::layout::DOCUMENT_LIMIT;
use crate::manifest::{Descriptor, Index};
use attache_module::harmless;

/// The most bytes of an image with all that is attached to it.
const BYTES: u64 = MODULE_LIMIT + 64 * 1024 * 1024;

/// The most manifests that an image may consist of, and the most that are attached to it.
const DOCUMENTS: usize = 300;

/// How much of an image is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// The document alone, and the signatures of it.
    Signatures,
}

/// What is needed next.
#[derive(Clone, Debug)]
pub(crate) enum Need {
    Document(Descriptor),
    Blob(Descriptor),
    /// What is attached to a document.
    Attached(Digest),
}

/// Why an image cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it is {size} {unit} with all that it names, expected at most {limit}")]
    TooLarge {
        unit: &'static str,
        size: u64,
        limit: u64,
    },
    #[error("it names what is not known here: {0}")]
    Foreign(String),
    #[error("`{0}` is of another kind or size than what names it says")]
    Ambiguous(Digest),
}

/// An image on its way.
///
/// First comes the image itself, of which nothing may be missing. What is attached comes after it, signatures first, into
/// the room that is left; what does not fit there, is broken or of a foreign kind is left out with a word, so that nobody
/// who may attach something makes an image that cannot be fetched.
#[derive(Debug)]
pub(crate) struct Walk {
    graph: Graph,
    part: Part,
    room: u64,
    /// Of the image.
    needs: Vec<Need>,
    /// Whose attachments are asked for.
    subjects: VecDeque<Digest>,
    /// What is attached, in the order in which it is fetched.
    attached: VecDeque<Descriptor>,
    begun: Option<Attachment>,
    /// The documents of the image.
    image: BTreeSet<Digest>,
    attachments: BTreeSet<Digest>,
    known_blobs: BTreeSet<Digest>,
    /// Whether the image itself is here.
    is_here: bool,
}

/// Something attached of which pieces are missing.
#[derive(Debug)]
struct Attachment {
    document: Document,
    blobs: Vec<(Descriptor, Bytes)>,
    missing: Vec<Descriptor>,
}

impl Walk {
    pub(crate) fn new(root: Document, part: Part) -> Result<Self, Refused> {
        let mut walk = Self {
            graph: Graph::about(root.descriptor.clone()),
            part,
            room: BYTES,
            needs: Vec::new(),
            subjects: VecDeque::new(),
            attached: VecDeque::new(),
            begun: None,
            image: BTreeSet::from([root.descriptor.digest]),
            attachments: BTreeSet::new(),
            known_blobs: BTreeSet::new(),
            is_here: false,
        };
        walk.enter(root)?;
        Ok(walk)
    }

    /// What has to be given next, or left out; nothing when all is there.
    pub(crate) fn next(&mut self) -> Option<Need> {
        if let Some(need) = self.needs.last() {
            return Some(need.clone());
        }
        self.is_here = true;
        if let Some(subject) = self.subjects.front() {
            return Some(Need::Attached(*subject));
        }
        if let Some(begun) = &self.begun {
            return begun.missing.last().cloned().map(Need::Blob);
        }
        loop {
            let next = self.attached.front()?;
            if next.size <= self.room.min(DOCUMENT_LIMIT) {
                return Some(Need::Document(next.clone()));
            }
            self.leave_out("there is no room for it");
        }
    }

    /// Whether it is the image itself that is fetched, and not what is attached to it.
    pub(crate) fn is_for_image(&self) -> bool {
        !self.is_here
    }

    /// What was needed cannot be had. Of what is attached it is left out.
    pub(crate) fn leave_out(&mut self, why: impl ToString) {
        let what = if let Some(begun) = self.begun.take() {
            name(&begun.document.as_referrer())
        } else if let Some(subject) = self.subjects.pop_front() {
            self.say(format!("what is attached to {subject}"), why.to_string());
            return self.sort_attached();
        } else if let Some(next) = self.attached.pop_front() {
            name(&next)
        } else {
            return;
        };
        self.say(what, why.to_string());
    }

    /// The document that was needed.
    pub(crate) fn document(&mut self, document: Document) -> Result<(), Refused> {
        if !self.is_here {
            return match self.needs.pop() {
                Some(Need::Document(named)) if is_as_named(&document, &named) => {
                    self.enter(document)
                }
                _ => Err(Refused::Ambiguous(document.descriptor.digest)),
            };
        }
        let Some(named) = self.attached.front() else {
            return Ok(());
        };
        if !is_as_named(&document, named) {
            self.leave_out("it is of another kind or size than the list says");
            return Ok(());
        }
        let subject = document.subject();
        if !subject.is_some_and(|subject| self.image.contains(&subject.digest)) {
            self.leave_out("it is not about this image");
            return Ok(());
        }
        self.attached.pop_front();
        self.room = self.room.saturating_sub(document.bytes.len() as u64);
        let referrer = document.as_referrer();
        if self.part == Part::Signatures && !is_signature(&referrer) {
            return Ok(());
        }
        let missing = document.manifest().map(blobs).unwrap_or_default();
        self.begun = Some(Attachment {
            document,
            blobs: Vec::new(),
            missing,
        });
        self.go_on();
        Ok(())
    }

    /// The bytes that were needed.
    pub(crate) fn blob(&mut self, bytes: Bytes) {
        if !self.is_here {
            if let Some(Need::Blob(descriptor)) = self.needs.pop() {
                let entry = (descriptor.clone(), bytes);
                self.graph.blobs.insert(descriptor.digest, entry);
            }
        } else if let Some(begun) = &mut self.begun
            && let Some(descriptor) = begun.missing.pop()
        {
            begun.blobs.push((descriptor, bytes));
            self.go_on();
        }
    }

    /// What is attached, as far as it is named.
    pub(crate) fn attached(&mut self, list: Index) {
        self.subjects.pop_front();
        for foreign in list.foreign.texts {
            self.say(foreign, "it is named in a way that is not known".to_owned());
        }
        if list.foreign.more > 0 {
            let what = format!("{} more", list.foreign.more);
            self.say(what, "they are named in a way that is not known".to_owned());
        }
        for descriptor in list.manifests {
            let is_wanted = self.part == Part::Whole
                || descriptor.artifact_type.is_none()
                || is_signature(&descriptor);
            if is_wanted && self.attachments.insert(descriptor.digest) {
                self.attached.push_back(descriptor);
            }
        }
        self.sort_attached();
    }

    /// The image, when nothing is needed any more.
    pub(crate) fn finish(self) -> Graph {
        self.graph
    }

    /// Takes a document of the image itself.
    fn enter(&mut self, document: Document) -> Result<(), Refused> {
        self.take(document.bytes.len() as u64)?;
        match &document.content {
            _ if self.part == Part::Signatures => {}
            Content::Index(index) => {
                if let Some(foreign) = index.foreign.texts.first() {
                    return Err(Refused::Foreign(foreign.clone()));
                }
                for named in &index.manifests {
                    if self.image.insert(named.digest) {
                        self.needs.push(Need::Document(named.clone()));
                    }
                }
            }
            Content::Manifest(manifest) => {
                for blob in blobs(manifest) {
                    if self.known_blobs.insert(blob.digest) {
                        self.take(blob.size)?;
                        self.needs.push(Need::Blob(blob));
                    }
                }
            }
        }
        let waiting = self
            .needs
            .iter()
            .filter(|need| matches!(need, Need::Document(_)));
        let count = self.graph.documents.len() + waiting.count() + 1;
        if count > DOCUMENTS {
            return Err(Refused::TooLarge {
                unit: "manifests",
                size: count as u64,
                limit: DOCUMENTS as u64,
            });
        }
        let digest = document.descriptor.digest;
        self.subjects.push_back(digest);
        self.graph.documents.insert(digest, document);
        Ok(())
    }

    fn take(&mut self, size: u64) -> Result<(), Refused> {
        self.room = self.room.checked_sub(size).ok_or(Refused::TooLarge {
            unit: "bytes",
            size: (BYTES - self.room).saturating_add(size),
            limit: BYTES,
        })?;
        Ok(())
    }

    /// Signatures first, and no more than there is time for.
    fn sort_attached(&mut self) {
        if !self.subjects.is_empty() {
            return;
        }
        let list = self.attached.make_contiguous();
        list.sort_by_key(|descriptor| !is_signature(descriptor));
        if self.attached.len() > DOCUMENTS {
            let what = format!("{} more", self.attached.len() - DOCUMENTS);
            self.attached.truncate(DOCUMENTS);
            self.say(what, format!("{DOCUMENTS} are taken at most"));
        }
    }

    /// What is attached is taken when all of it is there.
    fn go_on(&mut self) {
        let Some(begun) = &mut self.begun else {
            return;
        };
        let blobs = &self.graph.blobs;
        while let Some(next) = begun.missing.last() {
            if let Some((_, bytes)) = blobs.get(&next.digest) {
                let entry = (next.clone(), bytes.clone());
                begun.blobs.push(entry);
                begun.missing.pop();
                continue;
            }
            match self.room.checked_sub(next.size) {
                Some(room) => {
                    self.room = room;
                    return;
                }
                None => return self.leave_out("there is no room for it"),
            }
        }
        if let Some(begun) = self.begun.take() {
            for (descriptor, bytes) in begun.blobs {
                self.graph
                    .blobs
                    .insert(descriptor.digest, (descriptor, bytes));
            }
            let digest = begun.document.descriptor.digest;
            self.graph.documents.insert(digest, begun.document);
        }
    }

    fn say(&mut self, what: String, why: String) {
        self.graph.left_out.push(LeftOut { what, why });
    }
}

/// The pieces of a manifest, the last one first.
fn blobs(manifest: &crate::manifest::Manifest) -> Vec<Descriptor> {
    let mut blobs = manifest.layers.clone();
    blobs.push(manifest.config.clone());
    blobs
}

fn is_as_named(document: &Document, named: &Descriptor) -> bool {
    let found = &document.descriptor;
    let is_kind = found.media_type == named.media_type || named.media_type.is_empty();
    is_kind && found.size == named.size && found.digest == named.digest
}

fn name(descriptor: &Descriptor) -> String {
    match &descriptor.artifact_type {
        Some(kind) => format!("{} ({})", descriptor.digest, harmless(kind)),
        None => descriptor.digest.to_string(),
    }
}
