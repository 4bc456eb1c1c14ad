//! What can be told of a module without running it, be it whose it may.

mod origin;
mod sizes;

use std::collections::BTreeMap;

use wasmparser::{ExternalKind, Parser, Payload, TypeRef, Validator};

use crate::facts::{Facts, ReadError, check_kind};

pub use self::origin::Origin;
pub use self::sizes::{CrateSize, FunctionSize, Sizes};

/// The size of a page of memory.
const PAGE: u64 = 65_536;
/// What Istio's agent and Envoy Gateway load at most.
const MODULE_LIMIT: usize = 256 << 20;

/// A WebAssembly module, looked at from outside.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// What it says of itself, or why it is no proxy-wasm module.
    pub facts: Result<Facts, ReadError>,
    /// What it was made with.
    pub origin: Origin,
    /// Its memory.
    pub memory: Memory,
    /// What takes how many bytes.
    pub sizes: Sizes,
    /// What hosts refuse of it, or take otherwise than its author may think.
    pub findings: Vec<Finding>,
}

/// The linear memory of a module.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Memory {
    /// Its bytes at the start; none where the module has no memory.
    pub initial: Option<u64>,
    /// Its bytes at most, where the module says.
    pub maximum: Option<u64>,
    /// How many of them are written at the start.
    pub data: u64,
    /// How many functions can be called by a pointer.
    pub table: u64,
}

/// One thing that a host has against a module.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// Which host.
    pub host: &'static str,
    /// Whether it loads the module all the same.
    pub verdict: Verdict,
    /// What and why.
    pub text: String,
}

/// What a host does about a [`Finding`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It does not load the module.
    Refuses,
    /// It loads the module, which then does not do all that it could.
    Warns,
}

impl Inspection {
    /// Looks at a module.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotWasm`], [`ReadError::Component`] and [`ReadError::Invalid`]: of such bytes nothing can be told.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        Self::read_named(bytes, &BTreeMap::new())
    }

    /// As [`read`](Self::read), with names of functions by their numbers, for a module that has lost
    /// its own.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn read_named(bytes: &[u8], names: &BTreeMap<u32, String>) -> Result<Self, ReadError> {
        check_kind(bytes)?;
        Validator::new().validate_all(bytes)?;
        let facts = Facts::read(bytes);
        let shape = Shape::read(bytes)?;
        let mut findings = Vec::new();
        envoy(&facts, &shape, &mut findings);
        if let Ok(facts) = &facts {
            controllers(facts, bytes.len(), &mut findings);
        }
        Ok(Self {
            origin: Origin::read(bytes, facts.as_ref().ok())?,
            memory: shape.memory,
            sizes: Sizes::read(bytes, names)?,
            facts,
            findings,
        })
    }
}

/// What of a module's outside its hosts look at.
#[derive(Default)]
struct Shape {
    memory: Memory,
    imports_memory: bool,
    exports: Vec<(String, ExternalKind)>,
    /// Imports that are neither functions nor memories or tables, which the engine supplies.
    odd_imports: Vec<String>,
}

impl Shape {
    fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        let mut shape = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        match import.ty {
                            TypeRef::Func(_) | TypeRef::FuncExact(_) | TypeRef::Table(_) => {}
                            TypeRef::Memory(memory) => {
                                shape.imports_memory = true;
                                shape.memory(memory);
                            }
                            _ => shape
                                .odd_imports
                                .push(format!("{}.{}", import.module, import.name)),
                        }
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        shape.memory(memory?);
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        shape.memory.table += table?.ty.initial;
                    }
                }
                Payload::DataSection(section) => {
                    for data in section {
                        shape.memory.data += data?.data.len() as u64;
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        shape.exports.push((export.name.to_owned(), export.kind));
                    }
                }
                _ => {}
            }
        }
        Ok(shape)
    }

    fn memory(&mut self, memory: wasmparser::MemoryType) {
        self.memory.initial = Some(memory.initial.saturating_mul(PAGE));
        self.memory.maximum = memory.maximum.map(|pages| pages.saturating_mul(PAGE));
    }

    fn exports(&self, kind: ExternalKind, name: &str) -> bool {
        self.exports
            .iter()
            .any(|(export, its)| *its == kind && export == name)
    }
}

/// What Envoy's loader looks at (`proxy-wasm-cpp-host`, `src/bytecode_util.cc`, `src/v8.cc` and
/// `src/wasm.cc`).
fn envoy(facts: &Result<Facts, ReadError>, shape: &Shape, findings: &mut Vec<Finding>) {
    let mut add = |verdict, text: String| {
        findings.push(Finding {
            host: "Envoy",
            verdict,
            text,
        });
    };
    if let Err(error) = facts {
        add(Verdict::Refuses, error.to_string());
    }
    if !shape.odd_imports.is_empty() {
        let names = shape.odd_imports.join(", ");
        let text = format!("it imports {names}, and functions alone can be imported");
        add(Verdict::Refuses, text);
    }
    if let Ok(facts) = facts {
        let foreign = facts.imports.iter().filter(|import| import.is_function);
        for import in foreign.filter(|import| !facts.offers(import)) {
            let (module, name) = (&import.module, &import.name);
            let abi = facts.abi.version();
            add(
                Verdict::Refuses,
                format!("it imports `{module}.{name}`, which is not offered to ABI {abi}"),
            );
        }
    }
    let function = |name| shape.exports(ExternalKind::Func, name);
    if !function("malloc") && !function("proxy_on_memory_allocate") {
        let text = "it exports neither `malloc` nor `proxy_on_memory_allocate`, so that the host can hand \
                    out nothing";
        add(Verdict::Refuses, text.to_owned());
    }
    let exported = |(_, kind): &(String, ExternalKind)| *kind == ExternalKind::Memory;
    if !shape.imports_memory && !shape.exports.iter().any(exported) {
        let text = "it shares no memory with the host, which can tell it nothing";
        add(Verdict::Warns, text.to_owned());
    }
    let stream = |(name, _): &(String, ExternalKind)| name.starts_with("proxy_on_");
    if facts.is_ok() && !shape.exports.iter().any(stream) {
        let text = "it exports no callback, and is never heard";
        add(Verdict::Warns, text.to_owned());
    }
}

/// What the controllers that bring modules to Envoys can and cannot say of one (delivery by
/// `WasmPlugin`, `TrafficExtension` and `EnvoyExtensionPolicy`).
fn controllers(facts: &Facts, size: usize, findings: &mut Vec<Finding>) {
    let filters = facts
        .description
        .iter()
        .flat_map(|described| &described.filters);
    let kinds: Vec<(&str, &str)> = filters
        .map(|filter| (filter.kind.as_str(), filter.root_id.as_str()))
        .collect();
    for host in ["Istio", "Envoy Gateway"] {
        let mut add = |verdict, text: String| {
            findings.push(Finding {
                host,
                verdict,
                text,
            });
        };
        if size > MODULE_LIMIT {
            let limit = MODULE_LIMIT >> 20;
            add(Verdict::Refuses, format!("it is larger than {limit} MB"));
        }
        let holds = |facts: &Facts| {
            let described = facts.description.as_ref();
            described.is_some_and(|it| it.host_options.allow_on_headers_stop_iteration)
        };
        if holds(facts) {
            let text = "it needs `allow_on_headers_stop_iteration`, which has no place in the resource; a \
                        filter that holds headers fails there after 5 s";
            add(Verdict::Refuses, text.to_owned());
        }
        for (kind, root_id) in &kinds {
            let placed = *kind == "http" || (*kind == "tcp" && host == "Istio");
            if !placed {
                let text = format!("`{root_id}` is of the kind {kind}, which has no place there");
                add(Verdict::Refuses, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(text: &str) -> Inspection {
        Inspection::read(&wat::parse_str(text).unwrap()).unwrap()
    }

    fn texts(inspection: &Inspection) -> Vec<&str> {
        let findings = inspection.findings.iter();
        findings.map(|finding| finding.text.as_str()).collect()
    }

    #[test]
    fn a_module_that_envoy_loads_has_nothing_against_it() {
        let inspection = inspect(
            r#"(module (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
            (memory (export "memory") 2 4) (table 3 funcref) (data (i32.const 0) "abc")
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "malloc") (param i32) (result i32) i32.const 0)
            (func (export "proxy_on_context_create") (param i32 i32)))"#,
        );
        assert_eq!(texts(&inspection), [""; 0]);
        assert_eq!(inspection.memory.initial, Some(131_072));
        assert_eq!(inspection.memory.maximum, Some(262_144));
        assert_eq!((inspection.memory.data, inspection.memory.table), (3, 3));
    }

    #[test]
    fn a_module_for_another_host_is_told_all_that_it_lacks() {
        let inspection = inspect(r#"(module (import "js" "now" (global i32)))"#);
        let texts = texts(&inspection);
        assert_eq!(texts.len(), 4, "{texts:?}");
        assert!(texts[0].starts_with("not a proxy-wasm module"), "{texts:?}");
        assert!(texts[1].contains("js.now"), "{texts:?}");
    }

    #[test]
    fn a_call_that_its_abi_lacks_is_named() {
        let inspection = inspect(
            r#"(module (import "env" "proxy_get_log_level" (func (param i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "proxy_abi_version_0_2_0"))
            (func (export "malloc") (param i32) (result i32) i32.const 0)
            (func (export "proxy_on_context_create") (param i32 i32)))"#,
        );
        let text = "it imports `env.proxy_get_log_level`, which is not offered to ABI 0.2.0";
        assert_eq!(texts(&inspection), [text]);
    }
}
