//! What Envoy looks at before a module runs: marker, imports, exports.

use wasmtime::{ExternType, Module};

use super::LoadError;
use crate::abi::AbiVersion;
use crate::imports::{self, describe, describe_i32};

/// Checks a module, and finds the version of the ABI that it asks for.
pub(super) fn check(module: &Module) -> Result<AbiVersion, LoadError> {
    let abi = abi(module)?;
    check_imports(module, abi)?;
    check_exports(module, abi)?;
    Ok(abi)
}

/// The first function export that is a marker decides.
fn abi(module: &Module) -> Result<AbiVersion, LoadError> {
    module
        .exports()
        .filter(|export| matches!(export.ty(), ExternType::Func(_)))
        .find_map(|export| AbiVersion::from_marker(export.name()))
        .ok_or(LoadError::NoAbiMarker)
}

fn check_imports(module: &Module, abi: AbiVersion) -> Result<(), LoadError> {
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
        let Some(signature) = imports::lookup(abi, &module, &name) else {
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
    ("proxy_on_http_call_response", 5, 0),
    ("proxy_on_grpc_receive_initial_metadata", 3, 0),
    ("proxy_on_grpc_receive_trailing_metadata", 3, 0),
    ("proxy_on_grpc_receive", 3, 0),
    ("proxy_on_grpc_close", 3, 0),
    ("proxy_on_done", 1, 1),
    ("proxy_on_log", 1, 0),
    ("proxy_on_delete", 1, 0),
    ("envoy_on_resolve_dns", 3, 0),
    ("envoy_on_stats_update", 2, 0),
];

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

fn check_exports(module: &Module, abi: AbiVersion) -> Result<(), LoadError> {
    let mut allocator = false;
    for export in module.exports() {
        let (ExternType::Func(ty), name) = (export.ty(), export.name()) else {
            continue;
        };
        let Some((parameters, results)) = expected(module, abi, name) else {
            continue;
        };
        let wanted = describe_i32(parameters, results);
        let found = describe(&ty);
        if found != wanted {
            return Err(LoadError::CallbackType {
                name: name.to_owned(),
                found,
                expected: wanted,
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
