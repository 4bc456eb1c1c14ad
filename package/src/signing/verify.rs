//! One signature against one key or identity.

use std::fmt::{self, Display};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sigstore_verify::crypto::VerificationKey;
use sigstore_verify::trust_root::{SigstoreInstance, TrustedRoot};
use sigstore_verify::types::bundle::SignatureContent;
use sigstore_verify::types::intoto::Statement;
use sigstore_verify::types::{Bundle, SignatureBytes};
use sigstore_verify::{VerificationPolicy, Verifier};

use super::key::PublicKey;
use super::policy::{Identity, Signer};
use super::provider;
use super::signature::{SIGNATURE, STATEMENT};
use crate::digest::Digest;
use crate::graph::Simple;
use attache_module::harmless;

/// Why a signature does not count.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Attempt {
    /// What it was held against.
    pub signer: String,
    /// What came of it.
    pub why: String,
}

/// No signature of an image is one of those that are trusted.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no signature of `{name}` is trusted: {}", tried(.attempts))]
#[non_exhaustive]
pub struct Unverified {
    /// The image.
    pub name: String,
    /// What was tried; empty where there is no signature at all.
    pub attempts: Vec<Attempt>,
}

fn tried(attempts: &[Attempt]) -> String {
    match attempts {
        [] => "it has none".to_owned(),
        attempts => {
            let texts = attempts.iter().take(8).map(Attempt::to_string);
            texts.collect::<Vec<_>>().join("; ")
        }
    }
}

impl Attempt {
    /// What was not looked at, though it may have been a signature.
    pub(crate) fn left_out(what: &str, why: &str) -> Self {
        Self {
            signer: format!("left out was {what}"),
            why: why.to_owned(),
        }
    }
}

/// What a signature says of itself is anybody's word.
impl Display for Attempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (signer, why) = (harmless(&self.signer), harmless(&self.why));
        write!(formatter, "{signer}: {why}")
    }
}

/// Reads a bundle that is a signature of an image; nothing where it is a statement of another kind, about where an image
/// comes from or what is in it.
pub(super) fn read(bundle: &[u8]) -> Result<Option<Bundle>, String> {
    let text = std::str::from_utf8(bundle).map_err(|_| "the bundle is not text".to_owned())?;
    let bundle =
        Bundle::from_json(text).map_err(|error| format!("the bundle is broken ({error})"))?;
    if let SignatureContent::DsseEnvelope(envelope) = &bundle.content {
        let statement: serde_json::Value = serde_json::from_slice(envelope.payload.as_bytes())
            .map_err(|error| format!("the bundle's statement is broken ({error})"))?;
        if statement
            .get("predicateType")
            .and_then(serde_json::Value::as_str)
            != Some(SIGNATURE)
        {
            return Ok(None);
        }
    }
    Ok(Some(bundle))
}

/// Holds a signature of `artifact` against a key.
///
/// What logs say of it does not matter: whoever has the key may sign, whenever that was. Sigstore's own check insists
/// on a log or a time, so this one is ours.
pub(super) fn by_key(artifact: &[u8], bundle: &Bundle, key: &PublicKey) -> Result<Signer, String> {
    provider::install();
    let arithmetic = VerificationKey::from_spki(&key.0).map_err(|error| error.to_string())?;
    let not_its = |_| "the signature is not by this key".to_owned();
    match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => {
            let signature = &envelope.signature.sig;
            arithmetic
                .verify(envelope.pae(), signature)
                .map_err(not_its)?;
            let statement: Statement = serde_json::from_slice(envelope.payload.as_bytes())
                .map_err(|error| format!("what is signed is no statement ({error})"))?;
            let wanted = Digest::of(artifact).hex();
            let mut subjects = statement.subject.iter();
            let names_it =
                subjects.any(|it| it.digest.sha256.is_some_and(|it| it.to_hex() == wanted));
            if envelope.payload_type != STATEMENT || !names_it {
                return Err("the signature is for something else".to_owned());
            }
        }
        SignatureContent::MessageSignature(message) => {
            arithmetic
                .verify(artifact, &message.signature)
                .map_err(not_its)?;
        }
        _ => return Err("the signature is of a kind that is not known".to_owned()),
    }
    Ok(Signer::Key(key.clone()))
}

/// Holds a signature of cosign's older kind against a key: what is signed names the manifest.
pub(super) fn by_simple(
    manifest: Digest,
    signature: Simple<'_>,
    key: &PublicKey,
) -> Result<Signer, String> {
    provider::install();
    let arithmetic = VerificationKey::from_spki(&key.0).map_err(|error| error.to_string())?;
    let bytes = STANDARD
        .decode(signature.signature)
        .map_err(|_| "the signature is not Base64".to_owned())?;
    arithmetic
        .verify(signature.payload, &SignatureBytes::new(bytes))
        .map_err(|_| "the signature is not by this key".to_owned())?;
    let signed: Value = serde_json::from_slice(signature.payload)
        .map_err(|error| format!("what is signed is not JSON ({error})"))?;
    let says = |pointer: &str| signed.pointer(pointer).and_then(Value::as_str);
    let is_image = says("/critical/type") == Some("cosign container image signature");
    let names_it = says("/critical/image/docker-manifest-digest") == Some(&manifest.to_string());
    match is_image && names_it {
        true => Ok(Signer::Key(key.clone())),
        false => Err("the signature is for something else".to_owned()),
    }
}

/// Holds a signature of `artifact` against an identity, which a certificate that lasted some minutes has vouched for:
/// chain, time in the certificate transparency log, and entry in the transparency log are checked, without asking anybody.
pub(super) fn by_identity(
    artifact: &[u8],
    bundle: &Bundle,
    identity: &Identity,
    trusted_root: Option<&str>,
) -> Result<Signer, String> {
    let root = trusted_root.unwrap_or(SigstoreInstance::PublicGood.embedded_trusted_root_json());
    let policy = VerificationPolicy::new(identity.subject.as_str(), identity.issuer.as_str());
    verifier(root)?
        .verify(artifact, bundle, &policy)
        .map_err(|error| error.to_string())?;
    Ok(Signer::Identity(identity.clone()))
}

/// Whether a text is what names logs and authorities that are trusted.
pub(super) fn check_root(text: &str) -> Result<(), String> {
    verifier(text).map(|_| ())
}

fn verifier(root: &str) -> Result<Verifier, String> {
    provider::install();
    let root = TrustedRoot::from_json(root).map_err(|error| error.to_string())?;
    Verifier::new(&root).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use sigstore_verify::trust_root::SIGSTORE_STAGING_TRUSTED_ROOT;

    use super::*;

    /// Made by others: a workflow, for sigstore-python's tests.
    const ARTIFACT: &[u8] = include_bytes!("../../tests/integration/signing/a.txt");
    const BUNDLE: &str = include_str!("../../tests/integration/signing/identity.sigstore.json");
    const SUBJECT: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
    const ISSUER: &str = "https://token.actions.githubusercontent.com";

    fn held(
        artifact: &[u8],
        subject: &str,
        issuer: &str,
        root: Option<&str>,
    ) -> Result<Signer, String> {
        let identity = Identity {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        };
        by_identity(
            artifact,
            &Bundle::from_json(BUNDLE).unwrap(),
            &identity,
            root,
        )
    }

    #[test]
    fn an_identity_is_known_by_certificate_and_logs_without_a_network() {
        let staging = Some(SIGSTORE_STAGING_TRUSTED_ROOT);
        let signer = held(ARTIFACT, SUBJECT, ISSUER, staging).unwrap();
        assert!(matches!(signer, Signer::Identity(it) if it.subject == SUBJECT));

        assert!(held(b"another", SUBJECT, ISSUER, staging).is_err());
        let error = held(ARTIFACT, "https://github.com/others", ISSUER, staging).unwrap_err();
        assert!(error.contains("identity mismatch"), "{error}");
        assert!(held(ARTIFACT, SUBJECT, "https://accounts.google.com", staging).is_err());
        // Logs and authorities that know nothing of it.
        assert!(held(ARTIFACT, SUBJECT, ISSUER, None).is_err());
    }
}
