use wasmparser::{ExternalKind, Parser, Payload, TypeRef, Validator};

use crate::callbacks::Callbacks;
use crate::description::{Description, SECTION};
use crate::host_calls::{is_host_call, is_wasi_call};

/// The custom section in which the SDK's `filters!` leaves its declarations.
pub(crate) const DECLARATIONS: &str = "attache.filters";

/// What a module says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts {
    /// The ABI that its marker names.
    pub abi: Abi,
    /// What it imports, in order.
    pub imports: Vec<Import>,
    /// The names it exports, in order.
    pub exports: Vec<String>,
    /// The filters it holds, where the SDK made it; empty for others.
    pub declarations: Vec<Declaration>,
    /// What it says of itself, where it is finished and the SDK made it.
    pub description: Option<Description>,
}

/// A version of the proxy-wasm ABI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Abi {
    /// `proxy_abi_version_0_1_0`
    V0_1_0,
    /// `proxy_abi_version_0_2_0`
    V0_2_0,
    /// `proxy_abi_version_0_2_1`
    V0_2_1,
}

impl Abi {
    /// Its number, such as `0.2.1`.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_2_1 => "0.2.1",
        }
    }

    fn from_export(name: &str) -> Option<Self> {
        match name {
            "proxy_abi_version_0_1_0" => Some(Self::V0_1_0),
            "proxy_abi_version_0_2_0" => Some(Self::V0_2_0),
            "proxy_abi_version_0_2_1" => Some(Self::V0_2_1),
            _ => None,
        }
    }
}

/// One import.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Import {
    /// The module imported from, such as `env`.
    pub module: String,
    /// The name in it.
    pub name: String,
    /// Whether it is a function; a proxy offers nothing else by a name.
    pub is_function: bool,
}

/// A filter in a module: its root id and the callbacks it declares.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Declaration {
    /// The root id that selects it.
    pub root_id: String,
    /// What it needs.
    pub callbacks: Callbacks,
}

/// Why bytes are not a proxy-wasm module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Not WebAssembly at all.
    #[error("not a WebAssembly module: it begins with `{begins}`, expected `\\0asm`{}", packed(.begins))]
    NotWasm {
        /// The first bytes, escaped.
        begins: String,
    },
    /// WebAssembly of the component model.
    #[error(
        "a component, and proxies load core modules: build it for `wasm32-unknown-unknown` or \
         `wasm32-wasip1`, and not for `wasm32-wasip2`"
    )]
    Component,
    /// WebAssembly that does not validate.
    #[error("not a valid WebAssembly module")]
    Invalid(#[from] wasmparser::BinaryReaderError),
    /// A description that this version cannot read.
    #[error("the section `attache.module` is not a description")]
    Description(#[from] serde_json::Error),
    /// A valid module for some other host.
    #[error(
        "not a proxy-wasm module: it exports no `proxy_abi_version_0_1_0`, `_0_2_0` or `_0_2_1` \
         (build it as a `cdylib` with a proxy-wasm SDK)"
    )]
    NoAbi,
    /// A declaration that this version cannot read.
    #[error(
        "the section `attache.filters` has the line `{line}`, expected `<root id> <eight hex \
         digits>` with no bits but the known ones; if the module is made with a newer SDK, install the `attache` that goes with it"
    )]
    Declaration {
        /// The line, escaped.
        line: String,
    },
}

impl Facts {
    /// Reads and validates a module.
    ///
    /// # Errors
    ///
    /// [`ReadError`], for everything but a valid proxy-wasm module.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        check_kind(bytes)?;
        Validator::new().validate_all(bytes)?;

        let mut imports = Vec::new();
        let mut exports = Vec::new();
        let mut abi = None;
        let mut declarations = Vec::new();
        let mut description = None;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        imports.push(Import {
                            module: import.module.to_owned(),
                            name: import.name.to_owned(),
                            is_function: matches!(
                                import.ty,
                                TypeRef::Func(_) | TypeRef::FuncExact(_)
                            ),
                        });
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        // Envoy takes the first marker (`proxy-wasm-cpp-host`,
                        // `src/bytecode_util.cc`).
                        if export.kind == ExternalKind::Func {
                            abi = abi.or_else(|| Abi::from_export(export.name));
                        }
                        exports.push(export.name.to_owned());
                    }
                }
                Payload::CustomSection(section) if section.name() == DECLARATIONS => {
                    declarations.extend(read_declarations(section.data())?);
                }
                Payload::CustomSection(section) if section.name() == SECTION => {
                    description = Some(Description::from_section(section.data())?);
                }
                _ => {}
            }
        }
        Ok(Self {
            abi: abi.ok_or(ReadError::NoAbi)?,
            imports,
            exports,
            declarations,
            description,
        })
    }

    /// Whether Envoy offers what this import asks for to a module of this ABI.
    #[must_use]
    pub fn offers(&self, import: &Import) -> bool {
        import.is_function
            && (is_host_call(self.abi, &import.module, &import.name)
                || is_wasi_call(&import.module, &import.name))
    }

    /// The host calls and callbacks that the module links, by the names of Envoy's
    /// `allowed_capabilities`, in alphabetical order.
    #[must_use]
    pub fn capabilities(&self) -> Vec<String> {
        crate::description::capabilities(self)
    }

    /// What all filters of the module need together; `None` for a module that declares nothing.
    #[must_use]
    pub fn callbacks(&self) -> Option<Callbacks> {
        self.declarations
            .iter()
            .map(|declaration| declaration.callbacks)
            .reduce(Callbacks::union)
    }
}

/// Refuses what is no core module, by its first bytes.
pub(crate) fn check_kind(bytes: &[u8]) -> Result<(), ReadError> {
    if !bytes.starts_with(b"\0asm") {
        let begins = bytes.get(..8).unwrap_or(bytes);
        return Err(ReadError::NotWasm {
            begins: begins.escape_ascii().to_string(),
        });
    }
    // Behind the version stands the layer.
    if bytes.get(6..8) == Some(&[1, 0]) {
        return Err(ReadError::Component);
    }
    Ok(())
}

/// What to do with what is packed.
fn packed(begins: &str) -> &'static str {
    if begins.starts_with(r"\x1f\x8b") {
        "; it is packed by gzip: unpack it (`gunzip`, or `tar -xzf` for a layer of an image)"
    } else if begins.starts_with(r"(\xb5/\xfd") {
        "; it is packed by zstd: unpack it (`unzstd`)"
    } else if begins.starts_with("(module") {
        "; it is WebAssembly's text format: `wat2wasm` makes a module of it"
    } else {
        ""
    }
}

fn read_declarations(section: &[u8]) -> Result<Vec<Declaration>, ReadError> {
    section
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            declaration(line).ok_or_else(|| ReadError::Declaration {
                line: line.escape_ascii().to_string(),
            })
        })
        .collect()
}

fn declaration(line: &[u8]) -> Option<Declaration> {
    let (root_id, digits) = std::str::from_utf8(line).ok()?.rsplit_once(' ')?;
    let callbacks = Callbacks::new(u32::from_str_radix(digits, 16).ok()?)?;
    (digits.len() == 8).then(|| Declaration {
        root_id: root_id.to_owned(),
        callbacks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_not_wasm() {
        let error = Facts::read(b"#!/bin/sh\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            r"not a WebAssembly module: it begins with `#!/bin/s`, expected `\0asm`"
        );
    }

    #[test]
    fn what_is_packed_or_a_component_is_told_apart() {
        for (bytes, words) in [
            (&b"\x1f\x8b\x08\0\0\0\0\0"[..], "packed by gzip"),
            (b"\x28\xb5\x2f\xfd\0\0\0\0", "packed by zstd"),
            (b"(module)", "`wat2wasm` makes"),
            (b"\0asm\x0d\0\x01\0", "a component, and proxies load core"),
        ] {
            let error = Facts::read(bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn an_empty_module_is_no_proxy_wasm_module() {
        let error = Facts::read(b"\0asm\x01\0\0\0").unwrap_err();
        assert!(matches!(error, ReadError::NoAbi), "{error}");
    }

    #[test]
    fn a_module_that_is_cut_short_is_invalid() {
        let error = Facts::read(b"\0asm\x01\0\0\0\x01\x7f").unwrap_err();
        assert!(matches!(error, ReadError::Invalid(_)), "{error}");
    }

    #[test]
    fn a_declaration_has_a_root_id_and_eight_digits() {
        let read = read_declarations(b"a-b 00000005\nc 000001ff\n").unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].root_id, "a-b");
        assert!(read[0].callbacks.waits());
        for line in ["a", "a 05", "a 0000000g", "a 000000123", "a 80000000"] {
            assert!(read_declarations(line.as_bytes()).is_err(), "{line}");
        }
    }
}
