use std::collections::BTreeMap;
use std::error::Error;

use wasm_encoder::{CustomSection, Module, RawSection, Section, SectionId};
use wasmparser::{BinaryReaderError, Parser, Payload};

use crate::callbacks::Callbacks;
use crate::description::{Answer, DescribeError, Description, SECTION};
use crate::facts::{DECLARATIONS, Facts, Import, ReadError};
use crate::host_calls::{is_host_call, is_wasi_call};
use crate::interpreter::{self, EXPORT};
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
    /// The linker's names of the functions, by their numbers in the finished module, which has no names
    /// itself; empty where the linker left none.
    pub names: BTreeMap<u32, String>,
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
    /// The module's description is refused.
    #[error("the module does not describe itself")]
    Describe(#[from] DescribeError),
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
/// its filters do not need, and with them the functions and data that nothing reaches then, asks the
/// module for its [`Description`] and writes it into the custom section `attache.module`, and drops
/// custom sections but the SDK's. The same bytes give the same bytes.
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
    let dropped_exports = facts.exports.iter().filter(|name| !keep(name));
    let dropped_exports: Vec<String> = dropped_exports.cloned().collect();
    let (finished, names) = if of_sdk {
        pruned(bytes, &keep)?
    } else {
        (without_custom_sections(bytes)?, BTreeMap::new())
    };
    let (bytes, facts) = if facts.exports.iter().any(|name| name == EXPORT) {
        described(bytes, finished)?
    } else {
        let facts = Facts::read(&finished)?;
        (finished, facts)
    };
    Ok(Finished {
        facts,
        bytes,
        dropped_exports,
        names,
    })
}

/// Asks a linked module for its description, and writes it into the finished one.
fn described(linked: &[u8], mut finished: Vec<u8>) -> Result<(Vec<u8>, Facts), FinishError> {
    let mut facts = Facts::read(&finished)?;
    let answer = interpreter::ask(linked).map_err(DescribeError::Ask)?;
    let answer = Answer::read(&answer, &facts.declarations)?;
    let description = Description::new(answer, &facts);
    let data = description.to_section().map_err(DescribeError::Form)?;
    CustomSection {
        name: SECTION.into(),
        data: data.into(),
    }
    .append_to(&mut finished);
    facts.description = Some(description);
    Ok((finished, facts))
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
    Ok(pruned(bytes, &|name| !names.contains(&name))?.0)
}

/// Without the exports that `keep` refuses, and without what only they reach; and the names of what is
/// left.
fn pruned(
    bytes: &[u8],
    keep: &dyn Fn(&str) -> bool,
) -> Result<(Vec<u8>, BTreeMap<u32, String>), FinishError> {
    let live = reachable(bytes, keep)?;
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::CustomSection(section) = payload?
            && [DECLARATIONS, SECTION].contains(&section.name())
        {
            sections.push((section.name(), section.data()));
        }
    }
    let rewritten = rewrite(bytes, &live, keep, &sections);
    let rewritten = rewritten.map_err(|error| FinishError::Rewrite(error.into()))?;
    let numbers = live.functions.iter().zip(0..);
    let names = numbers.filter_map(|(old, new)| Some((new, live.names.get(old)?.clone())));
    Ok((rewritten, names.collect()))
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
