use std::io;
use std::path::PathBuf;

use attache_module::ReadError;

use crate::consumer::Refusal;
use crate::digest::Digest;
use crate::layer::LayerError;
use attache_module::harmless;

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
    #[error("`{}` has no image `{tag}` (it has {})", folder.display(), harmless(tags))]
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
    /// A document that one reader takes for this and another for that, or an image that is too large.
    #[error("`{}` is refused: {why}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A list of images for several machines, with none that is taken.
    #[error(
        "`{tag}` is a list of images for {platforms}, expected one for linux/amd64, which Istio and Envoy Gateway take; name one by its digest"
    )]
    Platform {
        /// What was asked for.
        tag: String,
        /// What it has.
        platforms: String,
    },
    /// No proxy would find the module.
    #[error("no module is found by the rules of Istio")]
    NoModule(#[from] Refusal),
    /// The layer holds none.
    #[error("the image holds no module")]
    Layer(#[from] LayerError),
    /// What it holds is none.
    #[error("what the image holds would be refused by every proxy")]
    Module(#[from] ReadError),
}
