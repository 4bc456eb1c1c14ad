//! Why a module is refused.

/// Why a module is refused. The messages name Envoy's words where it has some.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There are no bytes.
    #[error("the module is empty; give the `.wasm` that the linker wrote")]
    Empty,
    /// The bytes do not start with the magic number.
    #[error(
        "this is no wasm module (Envoy: `Failed to parse corrupted Wasm module`): it starts with `{}` \
         and not with `\\0asm`; give the `.wasm` that the linker wrote", .start.escape_ascii()
    )]
    NotWasm {
        /// The first bytes.
        start: Vec<u8>,
    },
    /// A section, or a name in the section of names, ends behind the module's end.
    #[error(
        "the module is cut off or damaged (Envoy: `Failed to parse corrupted Wasm module`); build it \
         again, or fetch it again"
    )]
    Corrupted,
    /// The module does not validate, or is larger than the engine takes.
    #[error(
        "this is no valid wasm module (Envoy: `Failed to load Wasm bytecode`): {reason}; build it \
         again for `wasm32-unknown-unknown`"
    )]
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
    /// An import that Envoy does not offer to this ABI.
    #[error(
        "unknown import (Envoy: `Failed to load Wasm module due to a missing import: {module}.{name}`); \
         drop what calls it, or build for `wasm32-unknown-unknown` if it comes from another target"
    )]
    UnknownImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// A known import with another type.
    #[error(
        "an import has another type than the host's function (Envoy: `Failed to load Wasm module due \
         to an import type mismatch: {module}.{name}, want: {found}, but host exports: {expected}`); \
         correct the declaration"
    )]
    ImportType {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
        /// What the module declares, such as `i32 i32 -> i32`.
        found: String,
        /// What the host offers.
        expected: String,
    },
    /// An import that is neither function nor memory nor table.
    #[error(
        "import `{module}.{name}` is a {kind}, which Envoy does not supply (Envoy: `Failed to load \
         Wasm module due to a missing import: {module}.{name}`); let the module define its own"
    )]
    ImportKind {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// A memory that threads share is imported; Envoy supplies none.
    #[error(
        "the module imports a memory that threads share, which Envoy does not supply (Envoy: `Failed to \
         create new Wasm instance`); build it without threads: Envoy calls a VM from one thread only"
    )]
    SharedMemoryImport,
    /// Nobody can hand data to the module.
    #[error(
        "neither `malloc` nor `proxy_on_memory_allocate` is exported (Envoy: `Wasm module is missing \
         malloc function`); the SDK exports the latter, do not strip it"
    )]
    NoAllocator,
    /// A callback with another type.
    #[error(
        "a callback has another type than the host calls (Envoy: `Bad function signature for: {name}, \
         want: {expected}, but the module exports: {found}`); correct the definition"
    )]
    CallbackType {
        /// The export.
        name: String,
        /// What the module defines.
        found: String,
        /// What the host calls.
        expected: String,
    },
    /// Envoy would not survive the attempt to load the module.
    #[error("Envoy would crash: the module {what}; {instead}")]
    CrashesEnvoy {
        /// What of the module V8's interface cannot describe, or Envoy cannot supply.
        what: String,
        /// What to do.
        instead: &'static str,
    },
    /// What V8 takes and this harness cannot play.
    #[error("the module {what}, which Envoy plays and this harness does not; {instead}")]
    NotPlayed {
        /// What it is.
        what: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// wasmtime does not run on this machine.
    #[error("wasmtime cannot start on this machine: {reason}")]
    Engine {
        /// What wasmtime says.
        reason: String,
    },
}
