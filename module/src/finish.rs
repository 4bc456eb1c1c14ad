use wasm_encoder::{CodeSection, ExportKind, ExportSection, RawSection};
use wasmparser::{BinaryReaderError, ExternalKind, Parser, Payload, TypeRef, Validator};

use crate::callbacks::Callbacks;
use crate::facts::{DECLARATIONS, Facts, Import, ReadError};
use crate::host_calls::{is_host_call, is_wasi_call};
use crate::reach::reachable;

/// A module that is ready to ship.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finished {
    /// The module.
    pub bytes: Vec<u8>,
    /// What it says of itself, after finishing.
    pub facts: Facts,
    /// The exports that were dropped, in order.
    pub dropped_exports: Vec<String>,
}

/// Why a module cannot be shipped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FinishError {
    /// Not a proxy-wasm module.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It imports what no proxy offers, so Envoy could not link it.
    #[error("{}", foreign_imports(.imports))]
    ForeignImports {
        /// The offending imports.
        imports: Vec<Import>,
    },
    /// A callback is missing that the module's filters declare a need for.
    #[error(
        "the module declares that it waits or handles responses, but does not export `{name}`; \
         without it a request can pass unjudged (was it pruned by another tool?)"
    )]
    MissingCallback {
        /// The callback.
        name: &'static str,
    },
    /// An export was named that the module does not have.
    #[error("the module has no export `{name}` to take away")]
    NoSuchExport {
        /// The name.
        name: String,
    },
    /// The module cannot be rewritten.
    #[error("cannot rewrite the module")]
    Rewrite(#[source] BinaryReaderError),
}

fn foreign_imports(imports: &[Import]) -> String {
    let mut names: Vec<String> = imports
        .iter()
        .map(|import| format!("`{}.{}`", import.module, import.name))
        .collect();
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    let mut text = format!("the module imports {}", names.join(", "));
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text.push_str(", which no proxy offers to its ABI, so Envoy cannot load it");
    if imports
        .iter()
        .any(|import| import.module.contains("wbindgen"))
    {
        text.push_str(
            "; some dependency expects JavaScript: switch its `js`, `wasmbind` or `clock` feature \
             off (`cargo tree --target wasm32-unknown-unknown -i wasm-bindgen` names it)",
        );
    }
    text
}

/// Makes a linked module ready to ship: checks its imports and its ABI, drops the callbacks that
/// its filters do not need, empties the functions that nothing reaches then, and drops custom
/// sections but the SDK's declaration. The same bytes give the same bytes.
///
/// A module that no filter of the SDK declares anything in keeps its exports.
///
/// # Errors
///
/// [`FinishError`] when Envoy would refuse the module, or when the module lacks a callback that its
/// filters need.
pub fn finish(bytes: &[u8]) -> Result<Finished, FinishError> {
    let facts = Facts::read(bytes)?;
    let of_sdk = !facts.declarations.is_empty();
    let offered = |import: &Import| {
        is_host_call(facts.abi, &import.module, &import.name)
            || (!of_sdk && is_wasi_call(&import.module, &import.name))
    };
    let foreign: Vec<Import> = facts
        .imports
        .iter()
        .filter(|import| !import.is_function || !offered(import))
        .cloned()
        .collect();
    if !foreign.is_empty() {
        return Err(FinishError::ForeignImports { imports: foreign });
    }
    let callbacks = facts.callbacks();
    if let Some(name) = callbacks
        .into_iter()
        .flat_map(Callbacks::required)
        .find(|required| !facts.exports.iter().any(|export| export == required))
    {
        return Err(FinishError::MissingCallback { name });
    }
    let keep = |name: &str| callbacks.is_none_or(|callbacks| callbacks.keeps(name));
    let bytes = rewrite(bytes, keep).map_err(FinishError::Rewrite)?;
    Validator::new()
        .validate_all(&bytes)
        .map_err(FinishError::Rewrite)?;
    let (kept, dropped) = facts.exports.iter().cloned().partition(|name| keep(name));
    Ok(Finished {
        bytes,
        facts: Facts {
            exports: kept,
            ..facts
        },
        dropped_exports: dropped,
    })
}

/// Takes exports away from a module, for tests of what a host does without a callback.
///
/// # Errors
///
/// [`FinishError::NoSuchExport`], and [`FinishError::Rewrite`] for bytes that are no module.
pub fn without_exports(bytes: &[u8], names: &[&str]) -> Result<Vec<u8>, FinishError> {
    let exports = Facts::read(bytes)?.exports;
    if let Some(name) = names
        .iter()
        .find(|name| !exports.iter().any(|export| export == *name))
    {
        return Err(FinishError::NoSuchExport {
            name: (*name).to_owned(),
        });
    }
    rewrite(bytes, |name| !names.contains(&name)).map_err(FinishError::Rewrite)
}

fn rewrite(bytes: &[u8], keep: impl Fn(&str) -> bool) -> Result<Vec<u8>, BinaryReaderError> {
    /// No locals, `unreachable`, `end`.
    const EMPTY_BODY: [u8; 3] = [0x00, 0x00, 0x0b];

    let reached = reachable(bytes, &keep)?;
    let mut module = wasm_encoder::Module::new();
    let mut code = CodeSection::new();
    let mut index = 0_u32;
    let mut bodies = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match &payload {
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    index += u32::from(matches!(
                        import?.ty,
                        TypeRef::Func(_) | TypeRef::FuncExact(_)
                    ));
                }
            }
            Payload::ExportSection(section) => {
                module.section(&exports(section.clone(), &keep)?);
                continue;
            }
            Payload::CodeSectionStart { count, .. } => {
                bodies = *count;
                if bodies == 0 {
                    module.section(&code);
                }
                continue;
            }
            Payload::CodeSectionEntry(body) => {
                let live = reached.contains(&index);
                code.raw(if live { body.as_bytes() } else { &EMPTY_BODY });
                index += 1;
                if code.len() == bodies {
                    module.section(&code);
                }
                continue;
            }
            Payload::CustomSection(section) if section.name() != DECLARATIONS => continue,
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            module.section(&RawSection {
                id,
                data: bytes.get(range).unwrap_or_default(),
            });
        }
    }
    Ok(module.finish())
}

fn exports(
    section: wasmparser::ExportSectionReader<'_>,
    keep: impl Fn(&str) -> bool,
) -> Result<ExportSection, BinaryReaderError> {
    let mut kept = ExportSection::new();
    for export in section {
        let export = export?;
        if keep(export.name) {
            let kind = match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
                ExternalKind::Table => ExportKind::Table,
                ExternalKind::Memory => ExportKind::Memory,
                ExternalKind::Global => ExportKind::Global,
                ExternalKind::Tag => ExportKind::Tag,
            };
            kept.export(export.name, kind, export.index);
        }
    }
    Ok(kept)
}
