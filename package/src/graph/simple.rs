//! Signatures under the tag `sha256-….sig` of an image, as cosign had them before version 3: a manifest whose layers are
//! what was signed, each with its signature in a note.

use bytes::Bytes;

use super::{Document, Graph};
use crate::digest::Digest;
use crate::manifest::Descriptor;

/// The kind of what was signed.
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The note that holds the signature, in Base64.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// The most bytes of what was signed: a digest and a few notes.
const PAYLOAD_LIMIT: u64 = 64 * 1024;

/// The most signatures under one tag that are looked at.
const SIGNATURES: usize = 50;

/// What was signed, and the signature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Simple<'g> {
    pub(crate) payload: &'g [u8],
    pub(crate) signature: &'g str,
}

/// The tag.
pub(crate) fn signature_tag(subject: Digest) -> String {
    format!("sha256-{}.sig", subject.hex())
}

/// The pieces of such a manifest that are worth fetching; why none is, where it is something else.
pub(crate) fn pieces(document: &Document) -> Result<Vec<Descriptor>, String> {
    let Some(manifest) = document.manifest() else {
        return Err("it is a list of images, expected a manifest with signatures".to_owned());
    };
    let pieces: Vec<Descriptor> = manifest
        .layers
        .iter()
        .chain([&manifest.config])
        .cloned()
        .collect();
    if pieces.len() > SIGNATURES + 1 {
        return Err(format!(
            "it has {} signatures, expected at most {SIGNATURES}",
            pieces.len() - 1
        ));
    }
    match pieces.iter().find(|piece| piece.size > PAYLOAD_LIMIT) {
        Some(large) => Err(format!(
            "a piece of it is {} bytes, expected at most {PAYLOAD_LIMIT}",
            large.size
        )),
        None => Ok(pieces),
    }
}

impl Graph {
    /// Keeps the signatures under the tag of a document.
    pub(crate) fn keep_simple(
        &mut self,
        subject: Digest,
        document: Document,
        pieces: Vec<(Descriptor, Bytes)>,
    ) {
        for (descriptor, bytes) in pieces {
            self.blobs.insert(descriptor.digest, (descriptor, bytes));
        }
        self.simple.insert(subject, document);
    }

    /// The signatures under the tag of a document.
    pub(super) fn simple_of(&self, subject: Digest) -> Vec<Simple<'_>> {
        let manifest = self.simple.get(&subject).and_then(Document::manifest);
        let layers = manifest.into_iter().flat_map(|manifest| &manifest.layers);
        let signed = layers.filter(|layer| layer.media_type == PAYLOAD);
        signed
            .filter_map(|layer| {
                Some(Simple {
                    payload: &self.blobs.get(&layer.digest)?.1,
                    signature: layer.annotations.get(SIGNATURE)?,
                })
            })
            .collect()
    }
}
