//! Whole images out of a folder.

use super::{DOCUMENT_LIMIT, Layout, LayoutError, SIGNATURES_OF};
use crate::digest::Digest;
use crate::graph::{Document, Graph, Need, Part, Unread, Walk, pieces};
use crate::layer::MODULE_LIMIT;
use crate::manifest::{Descriptor, Index};

impl Layout {
    /// The image that a tag or a digest names, with all that it names and what is attached to it.
    ///
    /// What is attached and broken is left out, see [`Graph::left_out`].
    ///
    /// # Errors
    ///
    /// [`LayoutError`], which says what is missing or changed.
    pub fn graph(&self, tag: &str) -> Result<Graph, LayoutError> {
        let root = self.document(&self.named(tag)?)?;
        let around = self.surroundings()?;
        let digest = root.descriptor.digest;
        let mut graph = self.walk(root, Part::Whole, &around)?;
        for document in &around {
            let named = document.index().map_or(&[][..], |index| &index.manifests);
            if named.iter().any(|named| named.digest == digest) {
                let list = self.walk(document.clone(), Part::Signatures, &around)?;
                graph.lists.push(list);
            }
        }
        Ok(graph)
    }

    fn walk(&self, root: Document, part: Part, around: &[Document]) -> Result<Graph, LayoutError> {
        let path = self.blob(root.descriptor.digest);
        let refused = |error: crate::graph::Refused| LayoutError::Refused {
            path: path.clone(),
            why: error.to_string(),
        };
        let mut walk = Walk::new(root, part).map_err(refused)?;
        while let Some(need) = walk.next() {
            let failed = match &need {
                Need::Document(named) => match self.document(named) {
                    Ok(document) => {
                        walk.document(document).map_err(refused)?;
                        continue;
                    }
                    Err(error) => error,
                },
                Need::Blob(named) => match self.read(named, MODULE_LIMIT) {
                    Ok(bytes) => {
                        walk.blob(bytes.into());
                        continue;
                    }
                    Err(error) => error,
                },
                Need::Attached(subject) => {
                    walk.attached(about(*subject, around));
                    continue;
                }
            };
            if walk.is_for_image() {
                return Err(failed);
            }
            walk.leave_out(failed);
        }
        let mut graph = walk.finish();
        for named in self.index()?.manifests {
            let subject = named.annotations.get(SIGNATURES_OF);
            let subject = subject.and_then(|digest| digest.parse::<Digest>().ok());
            let Some(subject) = subject.filter(|it| graph.images().contains(it)) else {
                continue;
            };
            // What is broken belongs to nothing.
            if let Ok(document) = self.document(&named)
                && let Ok(pieces) = pieces(&document)
            {
                let read = pieces.into_iter().map(|piece| {
                    let bytes = self.read(&piece, MODULE_LIMIT)?;
                    Ok((piece, bytes.into()))
                });
                if let Ok(pieces) = read.collect::<Result<Vec<_>, LayoutError>>() {
                    graph.keep_simple(subject, document, pieces);
                }
            }
        }
        Ok(graph)
    }

    /// The documents that the folder names without a tag or with one. What is broken there belongs to nothing.
    fn surroundings(&self) -> Result<Vec<Document>, LayoutError> {
        let index = self.index()?;
        let documents = index.manifests.iter();
        Ok(documents
            .filter_map(|named| self.document(named).ok())
            .collect())
    }

    /// The image of this digest in a list that the folder names.
    pub(super) fn listed(&self, digest: Digest) -> Result<Option<Descriptor>, LayoutError> {
        let around = self.surroundings()?;
        let mut named = around
            .iter()
            .filter_map(Document::index)
            .flat_map(|it| &it.manifests);
        Ok(named.find(|named| named.digest == digest).cloned())
    }

    pub(super) fn document(&self, descriptor: &Descriptor) -> Result<Document, LayoutError> {
        let path = self.blob(descriptor.digest);
        let bytes = self.read(descriptor, DOCUMENT_LIMIT)?;
        Document::read(descriptor, bytes.into()).map_err(|error| match error {
            Unread::Json(source) => LayoutError::Document { path, source },
            other => LayoutError::Refused {
                path,
                why: other.to_string(),
            },
        })
    }
}

fn about(subject: Digest, around: &[Document]) -> Index {
    let about = around.iter().filter(|document| {
        let named = document.subject();
        named.is_some_and(|named| named.digest == subject)
    });
    Index {
        manifests: about.map(Document::as_referrer).collect(),
        ..Index::default()
    }
}
