use std::path::PathBuf;

use clap::Args;

use super::{Remote, Trust};

/// Sign an image.
///
/// The signature is a Sigstore bundle that is attached to the image, as cosign 3 has it. It counts for the digest and
/// so for the image wherever it is copied to. Signing again changes nothing.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache sign --new-key team                                      makes team.key and team.pub
  attache sign registry.example.com/filters/scrub:1.2.0 --key team.key
  attache sign oci:images:scrub-1.2.0 --key team.key               before it is pushed
  attache push scrub registry.example.com/filters/scrub --sign team.key

What signs is a key on the curve P-256 in PEM, not encrypted: keep it where secrets are kept.")]
pub(crate) struct Sign {
    /// The image: a reference, or oci:FOLDER:TAG
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<String>,

    /// The private key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,

    /// Make a new key, NAME.key and NAME.pub
    #[arg(long, value_name = "NAME", conflicts_with_all = ["image", "key"])]
    pub(crate) new_key: Option<PathBuf>,

    /// Print one line of JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// Say who has signed an image, and fail where it is nobody who is trusted.
///
/// A signature counts when it was made with one of the keys, or by one of the identities: whom a certificate of some
/// minutes names that Sigstore gave out and wrote into its logs. Nobody is asked for that; the proofs are in the bundle,
/// and what they are held against is in --trusted-root, or in this program, as it was when it was made.
///
/// A signature of the list that an image is in counts for the image, too. An image that a policy lets in unsigned is not
/// verified: that is said, and fails without --allow-unsigned.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache verify registry.example.com/filters/scrub:1.2.0 --key team.pub
  attache verify ghcr.io/me/scrub:1.2.0 --issuer https://token.actions.githubusercontent.com \\
      --identity https://github.com/me/filters/.github/workflows/release.yml@refs/heads/main
  attache verify registry.example.com/filters/scrub:1.2.0 --policy policy.yaml

Exit status: 0 somebody who is trusted has signed (or nobody need, with --allow-unsigned), 1 nobody has, or it cannot be
told.")]
pub(crate) struct Verify {
    /// The image: a reference, or oci:FOLDER:TAG
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,

    /// A public key that may have signed; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Vec<PathBuf>,

    /// Who may have signed without a key that lasts: an address of mail or of a workflow
    #[arg(long, value_name = "SUBJECT", requires = "issuer")]
    pub(crate) identity: Option<String>,

    /// Who vouches for the identity
    #[arg(long, value_name = "URL", requires = "identity")]
    pub(crate) issuer: Option<String>,

    /// The logs and authorities that are trusted, as Sigstore's trusted_root.json has them
    #[arg(long, value_name = "FILE", requires = "identity")]
    pub(crate) trusted_root: Option<PathBuf>,

    /// Be content with an image that nobody has signed, where the policy lets it in
    #[arg(long, requires = "policy")]
    pub(crate) allow_unsigned: bool,

    /// Print one line of JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) trust: Trust,

    #[command(flatten)]
    pub(crate) remote: Remote,
}
