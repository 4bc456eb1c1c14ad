//! Loading a module as Envoy loads it, and refusing it where Envoy does.

mod check;
mod load_error;
mod sections;

use std::fmt;

use crate::abi::AbiVersion;
use crate::capabilities::Capabilities;
use crate::engine::{Effort, Linked, Shared};
use crate::envoy_version::EnvoyVersion;

pub use self::load_error::LoadError;

/// A compiled module whose ABI, imports and exports Envoy accepts and this harness can play.
#[derive(Clone)]
pub struct Module {
    linked: Linked,
}

impl Module {
    /// Compiles and checks a module. A module that this process, or by wasmtime's cache this user,
    /// compiled before is not compiled again.
    ///
    /// That cache is trusted as cargo's target folder is. An entry that is cut off, or is none, is
    /// compiled again. A flipped bit in one that can still be unpacked goes unnoticed: wasmtime keeps no
    /// checksum, and takes compiled code from elsewhere, which could have one, in unsafe code only.
    /// Where a disk does such things, delete the folder: `wasmtime` in the user's cache folder, which is
    /// `~/.cache` on Linux.
    ///
    /// # Errors
    ///
    /// A [`LoadError`] where Envoy would refuse the module, or where it asks for more than this
    /// harness can play.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        let capabilities = Capabilities::default();
        Self::load_with(bytes, &capabilities, EnvoyVersion::default(), Effort::Usual)
    }

    /// Loads a module in an Envoy, for a plugin that has no more than these capabilities: the type of
    /// a callback that it may not have does not matter.
    pub(crate) fn load_with(
        bytes: &[u8],
        capabilities: &Capabilities,
        envoy: EnvoyVersion,
        effort: Effort,
    ) -> Result<Self, LoadError> {
        if bytes.is_empty() {
            return Err(LoadError::Empty);
        }
        if !bytes.starts_with(b"\0asm") {
            return Err(LoadError::NotWasm {
                start: bytes.iter().take(8).copied().collect(),
            });
        }
        if !sections::are_readable(bytes) {
            return Err(LoadError::Corrupted);
        }
        let shared = Shared::get().map_err(|error| engine_error(&error))?;
        let linked = match shared.cached(bytes, effort) {
            Some(linked) => linked,
            None => link(shared, bytes, effort)?,
        };
        if envoy != EnvoyVersion::default() {
            check::imports(linked.module(), linked.abi, envoy)?;
        }
        check::exports(linked.module(), linked.abi, capabilities)?;
        Ok(Self { linked })
    }

    /// The version of the ABI that the module's marker names.
    #[must_use]
    pub fn abi(&self) -> AbiVersion {
        self.linked.abi
    }

    pub(crate) fn linked(&self) -> &Linked {
        &self.linked
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("abi", &self.linked.abi)
            .finish_non_exhaustive()
    }
}

fn link(shared: &Shared, bytes: &[u8], effort: Effort) -> Result<Linked, LoadError> {
    let invalid = |error: wasmtime::Error| {
        let reason = format!("{error:#}");
        // wasmtime's error has no kind to tell by. V8 takes these.
        if reason.contains("legacy_exceptions feature required") {
            return LoadError::NotPlayed {
                what: "uses exceptions as they were before they became a standard (`try`, `catch`)",
                instead: "build it with the standard ones (`try_table`)",
            };
        }
        LoadError::Invalid { reason }
    };
    let module = shared.compile(bytes, effort).map_err(invalid)?;
    let abi = check::kinds(&module)?;
    check::imports(&module, abi, EnvoyVersion::default())?;
    if sections::share_memory(bytes) {
        // The host could read it in unsafe code only, and no limit ends a wait on it.
        return Err(LoadError::NotPlayed {
            what: "shares its memory between threads",
            instead: "build it without threads: Envoy calls a VM from one thread only",
        });
    }
    shared.link(bytes, effort, module, abi).map_err(invalid)
}

fn engine_error(error: &wasmtime::Error) -> LoadError {
    LoadError::Engine {
        reason: format!("{error:#}"),
    }
}
