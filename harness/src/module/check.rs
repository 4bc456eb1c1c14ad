//! What Envoy looks at before a module runs: marker, imports, exports.

use wasmtime::{ExternType, HeapType, Module, ValType};

use super::LoadError;
use crate::abi::AbiVersion;
use crate::capabilities::Capabilities;
use crate::envoy_version::EnvoyVersion;
use crate::imports::{describe, describe_i32, lookup};

/// Finds the version of the ABI that a module asks for, and checks whether Envoy can hold the module.
pub(super) fn kinds(module: &Module) -> Result<AbiVersion, LoadError> {
    let abi = marker(module)?;
    describable(module)?;
    supplied(module)?;
    Ok(abi)
}

/// The first function export that is a marker decides.
fn marker(module: &Module) -> Result<AbiVersion, LoadError> {
    module
        .exports()
        .filter(|export| matches!(export.ty(), ExternType::Func(_)))
        .find_map(|export| AbiVersion::from_marker(export.name()))
        .ok_or(LoadError::NoAbiMarker)
}

/// V8's C interface has no words for tags, vectors and most references, and Envoy asks it for the type
/// of every import and export. An internal function may have any type.
fn describable(module: &Module) -> Result<(), LoadError> {
    let imports = module
        .imports()
        .map(|import| ("imports", import.name(), import.ty()));
    let exports = module
        .exports()
        .map(|export| ("exports", export.name(), export.ty()));
    for (verb, name, ty) in imports.chain(exports) {
        if !is_describable(&ty) {
            return Err(LoadError::CrashesEnvoy {
                what: format!("{verb} `{name}` of a type that V8 cannot tell Envoy"),
                instead: "keep tags, vectors and references other than `funcref` and `externref` \
                          inside of the module",
            });
        }
    }
    Ok(())
}

fn is_describable(ty: &ExternType) -> bool {
    let known = |ty: ValType| match ty {
        ValType::V128 => false,
        ValType::Ref(ty) => matches!(ty.heap_type(), HeapType::Func | HeapType::Extern),
        _ => true,
    };
    match ty {
        ExternType::Func(ty) => ty.params().chain(ty.results()).all(known),
        ExternType::Global(ty) => known(ty.content().clone()),
        ExternType::Tag(_) => false,
        _ => true,
    }
}

/// Envoy makes one memory and one table for a module that imports them; it does not survive a second
/// one, and V8 does not take the one for a memory that threads share.
fn supplied(module: &Module) -> Result<(), LoadError> {
    let (mut memories, mut tables) = (0, 0);
    for import in module.imports() {
        match import.ty() {
            ExternType::Memory(_) => memories += 1,
            ExternType::Table(_) => tables += 1,
            _ => {}
        }
    }
    if memories > 1 || tables > 1 {
        return Err(LoadError::CrashesEnvoy {
            what: "imports several memories or several tables".to_owned(),
            instead: "import one of each at the most, or let the module define them",
        });
    }
    let shared = |ty: ExternType| matches!(ty, ExternType::Memory(ty) if ty.is_shared());
    if module.imports().any(|import| shared(import.ty())) {
        return Err(LoadError::SharedMemoryImport);
    }
    Ok(())
}

/// Checks whether an Envoy has what a module imports.
pub(super) fn imports(
    module: &Module,
    abi: AbiVersion,
    envoy: EnvoyVersion,
) -> Result<(), LoadError> {
    for import in module.imports() {
        let (module, name) = (import.module().to_owned(), import.name().to_owned());
        let ty = match import.ty() {
            ExternType::Func(ty) => ty,
            // Envoy makes whatever memory or table is asked for.
            ExternType::Memory(_) | ExternType::Table(_) => continue,
            other => {
                let kind = match other {
                    ExternType::Global(_) => "global",
                    _ => "tag",
                };
                return Err(LoadError::ImportKind { module, name, kind });
            }
        };
        let Some(signature) = lookup(abi, envoy, &module, &name) else {
            return Err(LoadError::UnknownImport { module, name });
        };
        if !signature.accepts(&ty) {
            return Err(LoadError::ImportType {
                module,
                name,
                found: describe(&ty),
                expected: signature.describe(),
            });
        }
    }
    Ok(())
}

/// The exports that the host calls, as numbers of parameters and results: all are i32.
const CALLBACKS: &[(&str, usize, usize)] = &[
    ("proxy_on_memory_allocate", 1, 1),
    ("proxy_on_context_create", 2, 0),
    ("proxy_on_vm_start", 2, 1),
    ("proxy_validate_configuration", 2, 1),
    ("proxy_on_configure", 2, 1),
    ("proxy_on_tick", 1, 0),
    ("proxy_on_queue_ready", 2, 0),
    ("proxy_on_http_call_response", 5, 0),
    ("proxy_on_grpc_receive_initial_metadata", 3, 0),
    ("proxy_on_grpc_receive", 3, 0),
    ("proxy_on_grpc_receive_trailing_metadata", 3, 0),
    ("proxy_on_grpc_close", 3, 0),
    ("proxy_on_new_connection", 1, 1),
    ("proxy_on_downstream_data", 3, 1),
    ("proxy_on_upstream_data", 3, 1),
    ("proxy_on_downstream_connection_close", 2, 0),
    ("proxy_on_upstream_connection_close", 2, 0),
    ("proxy_on_request_body", 3, 1),
    ("proxy_on_request_trailers", 2, 1),
    ("proxy_on_request_metadata", 2, 1),
    ("proxy_on_response_body", 3, 1),
    ("proxy_on_response_trailers", 2, 1),
    ("proxy_on_response_metadata", 2, 1),
    ("proxy_on_done", 1, 1),
    ("proxy_on_log", 1, 0),
    ("proxy_on_delete", 1, 0),
    ("envoy_on_resolve_dns", 3, 0),
    ("envoy_on_stats_update", 2, 0),
];

/// Checks the types of what the host calls, as far as it may be called, and whether there is an
/// allocator.
pub(super) fn exports(
    module: &Module,
    abi: AbiVersion,
    capabilities: &Capabilities,
) -> Result<(), LoadError> {
    let mut allocator = false;
    for export in module.exports() {
        let (ExternType::Func(ty), name) = (export.ty(), export.name()) else {
            continue;
        };
        let Some((parameters, results)) = expected(module, abi, name) else {
            continue;
        };
        if name.starts_with("proxy_")
            && name != "proxy_on_memory_allocate"
            && !capabilities.allow(name)
        {
            continue;
        }
        let all_i32 = ty
            .params()
            .chain(ty.results())
            .all(|ty| matches!(ty, ValType::I32));
        if ty.params().len() != parameters || ty.results().len() != results || !all_i32 {
            return Err(LoadError::CallbackType {
                name: name.to_owned(),
                found: describe(&ty),
                expected: describe_i32(parameters, results),
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

/// The type that the host expects of an export, if it looks for it.
fn expected(module: &Module, abi: AbiVersion, name: &str) -> Option<(usize, usize)> {
    let exports_function = |name| matches!(module.get_export(name), Some(ExternType::Func(_)));
    let reactor = exports_function("_initialize");
    let old = abi == AbiVersion::V0_1_0;
    match name {
        "_initialize" => Some((0, 0)),
        "_start" => (!reactor).then_some((0, 0)),
        "main" => reactor.then_some((2, 1)),
        "__main_void" => reactor.then_some((0, 1)),
        "malloc" => Some((1, 1)),
        "proxy_on_memory_allocate" if exports_function("malloc") => None,
        "proxy_on_request_headers" | "proxy_on_response_headers" => {
            Some((if old { 2 } else { 3 }, 1))
        }
        "proxy_on_foreign_function" => (!old).then_some((3, 0)),
        _ => {
            let (_, parameters, results) = CALLBACKS.iter().find(|known| known.0 == name)?;
            Some((*parameters, *results))
        }
    }
}
