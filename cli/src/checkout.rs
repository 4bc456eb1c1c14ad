//! A checkout of Attaché on this machine.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the checkout that a folder is in.
pub(crate) fn around(folder: &Path) -> Option<PathBuf> {
    folder
        .ancestors()
        .find(|root| is_one(root))
        .map(Path::to_owned)
}

/// The checkout that this program was built in, where it is still there.
pub(crate) fn built_in() -> Option<PathBuf> {
    around(Path::new(env!("CARGO_MANIFEST_DIR")))
}

/// Whether a folder is the root of a checkout.
pub(crate) fn is_one(root: &Path) -> bool {
    let manifest = fs::read_to_string(root.join("suite/Cargo.toml"));
    manifest.is_ok_and(|manifest| manifest.contains("name = \"attache-suite\""))
        && root.join("Cargo.toml").is_file()
}
