//! Loading a module as Envoy loads it, and refusing it where Envoy does.

use std::fmt;

use wasmtime::{ExternType, FuncType, InstancePre, ValType};

use crate::abi::AbiVersion;
use crate::engine::Shared;
use crate::imports::{self, Known};
use crate::vm::VmState;

/// A compiled module whose ABI, imports and exports Envoy accepts and this harness can play.
#[derive(Clone)]
pub struct Module {
    abi: AbiVersion,
    linked: InstancePre<VmState>,
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
                let module =
                    wasmtime::Module::from_binary(&shared.engine, bytes).map_err(|error| {
                        LoadError::Invalid {
                            reason: format!("{error:#}"),
                        }
                    })?;
                check(&module)?;
                shared
                    .link(bytes, &module)
                    .map_err(|error| LoadError::Invalid {
                        reason: format!("{error:#}"),
                    })?
            }
        };
        let abi = playable_abi(linked.module())?;
        Ok(Self { abi, linked })
    }

    /// The version of the ABI that the module's marker names.
    #[must_use]
    pub fn abi(&self) -> AbiVersion {
        self.abi
    }

    pub(crate) fn linked(&self) -> &InstancePre<VmState> {
        &self.linked
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("abi", &self.abi)
            .finish_non_exhaustive()
    }
}

/// Why a module is refused. The messages name Envoy's words where it has some.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes do not start with the magic number.
    #[error(
        "this is no wasm module: it starts with `{}` and not with `\\0asm`; give the `.wasm` that \
         the linker wrote", .start.escape_ascii()
    )]
    NotWasm {
        /// The first bytes.
        start: Vec<u8>,
    },
    /// The module does not validate, or is larger than the engine takes.
    #[error("this is no valid wasm module: {reason}; build it again for `wasm32-unknown-unknown`")]
    Invalid {
        /// What wasmtime says.
        reason: String,
    },
    /// No function export names an ABI.
    #[error(
        "no function export marks an ABI (Envoy: `Missing or unknown Proxy-Wasm ABI version`); a \
         filter exports `proxy_abi_version_0_2_1`, which the SDK's entry macro adds"
    )]
    NoAbiMarker,
    /// The ABI is one that this harness does not play yet.
    #[error(
        "the module speaks ABI {found}, which Envoy runs and this harness does not yet; build it \
         with an SDK of ABI 0.2.1, or test it on a real Envoy"
    )]
    AbiNotPlayed {
        /// The version that the marker names.
        found: AbiVersion,
    },
    /// An import that Envoy does not offer to this ABI.
    #[error(
        "unknown import (Envoy: `missing import: {module}.{name}`); drop what calls it, or build \
         for `wasm32-unknown-unknown` if it comes from another target"
    )]
    UnknownImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// A host call of Envoy's that this harness cannot answer.
    #[error(
        "`{module}.{name}` is a host call of Envoy's that this harness does not answer yet; test on a \
         real Envoy"
    )]
    NotAnsweredYet {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// A known import with another type.
    #[error(
        "import `{module}.{name}` has the type `{found}`, the host offers `{expected}` (Envoy: `import type \
         mismatch`); correct the declaration"
    )]
    ImportType {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
        /// What the module declares.
        found: String,
        /// What the host offers.
        expected: String,
    },
    /// An import that is no function.
    #[error(
        "import `{module}.{name}` is a {kind}: Envoy refuses globals, and this harness supplies no \
         memory or table; let the module define its own"
    )]
    ImportKind {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// Nobody can hand data to the module.
    #[error(
        "neither `malloc` nor `proxy_on_memory_allocate` is exported (Envoy: `missing malloc \
         function`); the SDK exports the latter, do not strip it"
    )]
    NoAllocator,
    /// A callback with another type.
    #[error(
        "export `{name}` has the type `{found}`, the host calls `{expected}` (Envoy: `Bad function \
         signature for: {name}`); correct the definition"
    )]
    CallbackType {
        /// The export.
        name: String,
        /// What the module defines.
        found: String,
        /// What the host calls.
        expected: String,
    },
    /// wasmtime does not run on this machine.
    #[error("wasmtime cannot start on this machine: {reason}")]
    Engine {
        /// What wasmtime says.
        reason: String,
    },
}

fn engine_error(error: &wasmtime::Error) -> LoadError {
    LoadError::Engine {
        reason: format!("{error:#}"),
    }
}

fn check(module: &wasmtime::Module) -> Result<(), LoadError> {
    playable_abi(module)?;
    check_imports(module)?;
    check_exports(module)
}

/// The first function export that is a marker decides.
fn playable_abi(module: &wasmtime::Module) -> Result<AbiVersion, LoadError> {
    let found = module
        .exports()
        .filter(|export| matches!(export.ty(), ExternType::Func(_)))
        .find_map(|export| AbiVersion::from_marker(export.name()))
        .ok_or(LoadError::NoAbiMarker)?;
    if found == AbiVersion::V0_2_1 {
        Ok(found)
    } else {
        Err(LoadError::AbiNotPlayed { found })
    }
}

fn check_imports(module: &wasmtime::Module) -> Result<(), LoadError> {
    for import in module.imports() {
        let (module, name) = (import.module().to_owned(), import.name().to_owned());
        let ty = match import.ty() {
            ExternType::Func(ty) => ty,
            other => {
                return Err(LoadError::ImportKind {
                    module,
                    name,
                    kind: kind(&other),
                });
            }
        };
        match imports::lookup(&module, &name) {
            Known::Linked(signature) if signature.accepts(&ty) => {}
            Known::Linked(signature) => {
                let (found, expected) = (describe(&ty), signature.describe());
                return Err(LoadError::ImportType {
                    module,
                    name,
                    found,
                    expected,
                });
            }
            Known::NotYet => return Err(LoadError::NotAnsweredYet { module, name }),
            Known::No => return Err(LoadError::UnknownImport { module, name }),
        }
    }
    Ok(())
}

/// The exports that the host calls, as parameters and results: all are i32.
const CALLBACKS: &[(&str, usize, usize)] = &[
    ("_initialize", 0, 0),
    ("_start", 0, 0),
    ("main", 2, 1),
    ("__main_void", 0, 1),
    ("malloc", 1, 1),
    ("proxy_on_memory_allocate", 1, 1),
    ("proxy_on_context_create", 2, 0),
    ("proxy_on_vm_start", 2, 1),
    ("proxy_on_configure", 2, 1),
    ("proxy_on_tick", 1, 0),
    ("proxy_on_queue_ready", 2, 0),
    ("proxy_on_request_headers", 3, 1),
    ("proxy_on_request_body", 3, 1),
    ("proxy_on_request_trailers", 2, 1),
    ("proxy_on_response_headers", 3, 1),
    ("proxy_on_response_body", 3, 1),
    ("proxy_on_response_trailers", 2, 1),
    ("proxy_on_done", 1, 1),
    ("proxy_on_log", 1, 0),
    ("proxy_on_delete", 1, 0),
];

fn check_exports(module: &wasmtime::Module) -> Result<(), LoadError> {
    let mut allocator = false;
    for export in module.exports() {
        let ExternType::Func(ty) = export.ty() else {
            continue;
        };
        let name = export.name();
        let Some(&(_, parameters, results)) = CALLBACKS.iter().find(|known| known.0 == name) else {
            continue;
        };
        let all_i32 = ty
            .params()
            .chain(ty.results())
            .all(|ty| matches!(ty, ValType::I32));
        if ty.params().len() != parameters || ty.results().len() != results || !all_i32 {
            return Err(LoadError::CallbackType {
                name: name.to_owned(),
                found: describe(&ty),
                expected: describe_numbers(&vec!["i32"; parameters], &vec!["i32"; results]),
            });
        }
        allocator |= matches!(name, "malloc" | "proxy_on_memory_allocate");
    }
    if allocator {
        Ok(())
    } else {
        Err(LoadError::NoAllocator)
    }
}

fn kind(ty: &ExternType) -> &'static str {
    match ty {
        ExternType::Global(_) => "global",
        ExternType::Memory(_) => "memory",
        ExternType::Table(_) => "table",
        _ => "tag",
    }
}

fn describe(ty: &FuncType) -> String {
    let names = |types: &mut dyn Iterator<Item = ValType>| {
        types.map(|ty| ty.to_string()).collect::<Vec<_>>()
    };
    let (parameters, results) = (names(&mut ty.params()), names(&mut ty.results()));
    describe_numbers(&parameters, &results)
}

fn describe_numbers<T: AsRef<str>>(parameters: &[T], results: &[T]) -> String {
    let list = |names: &[T]| {
        names
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match results.len() {
        0 => format!("({})", list(parameters)),
        _ => format!("({}) -> {}", list(parameters), list(results)),
    }
}
