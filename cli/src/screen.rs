//! What a person sees.

use std::fmt::Display;
use std::path::Path;

pub(crate) use attache_module::{Screen, Tone, size as bytes};

/// A path as short as it can be told from here.
pub(crate) fn shown(path: &Path) -> impl Display {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    relative
        .unwrap_or_else(|| path.to_owned())
        .display()
        .to_string()
}
