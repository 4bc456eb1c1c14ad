//! Loading a module as Envoy loads it, and refusing it where Envoy does.

mod check;
mod load_error;

use std::fmt;

use crate::abi::AbiVersion;
use crate::engine::{Linked, Shared};

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
    /// # Errors
    ///
    /// A [`LoadError`] where Envoy would refuse the module, or where it asks for more than this
    /// harness can play.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        if !bytes.starts_with(b"\0asm") {
            return Err(LoadError::NotWasm {
                start: bytes.iter().take(8).copied().collect(),
            });
        }
        let shared = Shared::get().map_err(|error| engine_error(&error))?;
        let linked = match shared.cached(bytes) {
            Some(linked) => linked,
            None => {
                let module = shared.compile(bytes).map_err(|error| LoadError::Invalid {
                    reason: format!("{error:#}"),
                })?;
                let abi = check::check(&module)?;
                shared
                    .link(bytes, module, abi)
                    .map_err(|error| LoadError::Invalid {
                        reason: format!("{error:#}"),
                    })?
            }
        };
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

fn engine_error(error: &wasmtime::Error) -> LoadError {
    LoadError::Engine {
        reason: format!("{error:#}"),
    }
}
