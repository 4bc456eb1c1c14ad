use serde_json::json;
use sigstore_verify::bundle::{BundleV03, VerificationMaterialV03};
use sigstore_verify::types::bundle::SignatureContent;
use sigstore_verify::types::dsse::pae;
use sigstore_verify::types::{DsseEnvelope, DsseSignature, KeyId, PayloadBytes, SignatureBytes};

use super::key::{KeyError, SigningKey};
use crate::digest::Digest;
use crate::graph::Graph;

/// The media type of a bundle, and the kind of artifact that it is in a registry.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The kind of statement that is an image's signature, and not a word about its origin or contents.
pub(super) const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The kind of document in an envelope.
pub(super) const STATEMENT: &str = "application/vnd.in-toto+json";

/// Why no signature was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The key fails.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The bundle cannot be written.
    #[error("cannot write the signature")]
    Json(#[from] serde_json::Error),
    /// The bundle cannot be written.
    #[error("cannot write the signature")]
    Bundle(#[from] sigstore_verify::types::Error),
}

/// Signs an image, and attaches the signature to it.
///
/// The same key gives the same signature of the same image, so signing twice is signing once.
///
/// # Errors
///
/// [`SigningError`], which with a key that was read does not happen.
pub fn sign(graph: &mut Graph, key: &SigningKey) -> Result<(), SigningError> {
    let bundle = bundle(graph.descriptor().digest, key)?;
    graph.attach(
        BUNDLE,
        [
            ("dev.sigstore.bundle.content", "dsse-envelope"),
            ("dev.sigstore.bundle.predicateType", SIGNATURE),
        ],
        bundle.into_bytes(),
    )?;
    Ok(())
}

/// The signature of a manifest.
pub(super) fn bundle(manifest: Digest, key: &SigningKey) -> Result<String, SigningError> {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": manifest.hex() } }],
        "predicateType": SIGNATURE,
        "predicate": {},
    });
    let statement = serde_json::to_vec(&statement)?;
    let signature = key.sign(&pae(STATEMENT, &statement));
    let envelope = DsseEnvelope::new(
        STATEMENT,
        PayloadBytes::new(statement),
        DsseSignature::new(SignatureBytes::new(signature), KeyId::new("")),
    );
    let hint = key.public()?.hint();
    let material = VerificationMaterialV03::PublicKey { hint };
    let bundle = BundleV03::new(material, SignatureContent::DsseEnvelope(envelope));
    Ok(bundle.into_bundle().to_json()?)
}
