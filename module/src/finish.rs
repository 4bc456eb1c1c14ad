use std::error::Error;

use wasm_encoder::{Module, RawSection, SectionId};
use wasmparser::{BinaryReaderError, Parser, Payload};

use crate::callbacks::Callbacks;
use crate::facts::{DECLARATIONS, Facts, Import, ReadError};
use crate::host_calls::{is_host_call, is_wasi_call};
use crate::reach::reachable;
use crate::rewrite::rewrite;

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
    Rewrite(#[source] Box<dyn Error + Send + Sync>),
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
/// its filters do not need, and with them the functions and data that nothing reaches then, and drops
/// custom sections but the SDK's declaration. The same bytes give the same bytes.
///
/// A module that no filter of the SDK declares anything in keeps all but its custom sections.
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
    let bytes = if of_sdk {
        pruned(bytes, &keep)?
    } else {
        without_custom_sections(bytes)?
    };
    Ok(Finished {
        facts: Facts::read(&bytes)?,
        bytes,
        dropped_exports: facts
            .exports
            .into_iter()
            .filter(|name| !keep(name))
            .collect(),
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
    pruned(bytes, &|name| !names.contains(&name))
}

/// Without the exports that `keep` refuses, and without what only they reach.
fn pruned(bytes: &[u8], keep: &dyn Fn(&str) -> bool) -> Result<Vec<u8>, FinishError> {
    let live = reachable(bytes, keep)?;
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::CustomSection(section) = payload?
            && section.name() == DECLARATIONS
        {
            sections.push((DECLARATIONS, section.data()));
        }
    }
    rewrite(bytes, &live, keep, &sections).map_err(|error| FinishError::Rewrite(error.into()))
}

fn without_custom_sections(bytes: &[u8]) -> Result<Vec<u8>, FinishError> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Some((id, range)) = payload?.as_section()
            && id != SectionId::Custom as u8
        {
            let data = bytes.get(range).unwrap_or_default();
            module.section(&RawSection { id, data });
        }
    }
    Ok(module.finish())
}

impl From<BinaryReaderError> for FinishError {
    fn from(error: BinaryReaderError) -> Self {
        Self::Rewrite(error.into())
    }
}
