//! The language and the SDK that a module was made with, by the traces that they leave.

use wasmparser::{KnownCustom, Parser, Payload};

use crate::facts::{Facts, ReadError};

/// Where a module comes from, as far as it shows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Origin {
    /// The language, such as `Rust`.
    pub language: Option<String>,
    /// The SDK and its version, such as `proxy-wasm 0.2.5`.
    pub sdk: Option<String>,
    /// The compilers and tools that name themselves in the section `producers`.
    pub tools: Vec<String>,
}

/// Texts in a module's data that a toolchain or an SDK leaves there.
const TRACES: [(&str, Option<&str>, &str); 9] = [
    (
        "github.com/proxy-wasm/proxy-wasm-go-sdk",
        Some("proxy-wasm-go-sdk"),
        "Go",
    ),
    (
        "github.com/tetratelabs/proxy-wasm-go-sdk",
        Some("proxy-wasm-go-sdk (tetratelabs)"),
        "Go",
    ),
    (
        "github.com/higress-group/wasm-go",
        Some("wasm-go (Higress)"),
        "Go",
    ),
    ("proxy_wasm::", Some("proxy-wasm"), "Rust"),
    ("proxy-wasm-cpp-sdk", Some("proxy-wasm-cpp-sdk"), "C++"),
    ("/library/core/src/", None, "Rust"),
    ("runtime.gopanic", None, "Go"),
    ("go.buildid", None, "Go"),
    ("\0~\0l\0i\0b\0/\0", None, "AssemblyScript"),
];

impl Origin {
    pub(super) fn read(bytes: &[u8], facts: Option<&Facts>) -> Result<Self, ReadError> {
        let mut origin = Self::default();
        let mut data: Vec<u8> = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::CustomSection(section) => match section.as_known() {
                    KnownCustom::Producers(producers) => origin.producers(producers)?,
                    // Names tell of an SDK what the data may not.
                    _ if section.name() == "name" => data.extend(section.data()),
                    _ if section.name().starts_with("go") => {
                        origin.language.get_or_insert_with(|| "Go".to_owned());
                    }
                    _ => {}
                },
                Payload::DataSection(section) => {
                    for segment in section {
                        data.extend(segment?.data);
                        data.push(0);
                    }
                }
                _ => {}
            }
        }
        if let Some(description) = facts.and_then(|facts| facts.description.as_ref()) {
            origin.language = Some("Rust".to_owned());
            origin.sdk = Some(format!("attache {}", description.sdk));
        } else if let Some(version) = crate_version(&data, b"/proxy-wasm-") {
            origin.sdk = Some(format!("proxy-wasm {version}"));
            origin.language.get_or_insert_with(|| "Rust".to_owned());
        }
        for (trace, sdk, language) in TRACES {
            if !contains(&data, trace.as_bytes()) {
                continue;
            }
            origin.language.get_or_insert_with(|| language.to_owned());
            if let (None, Some(sdk)) = (&origin.sdk, sdk) {
                origin.sdk = Some(sdk.to_owned());
            }
        }
        Ok(origin)
    }

    fn producers(
        &mut self,
        fields: wasmparser::ProducersSectionReader<'_>,
    ) -> Result<(), ReadError> {
        for field in fields {
            let field = field?;
            for value in field.values {
                let value = value?;
                let named = format!("{} {}", value.name, value.version);
                match field.name {
                    "language" => {
                        self.language.get_or_insert_with(|| value.name.to_owned());
                    }
                    _ => self.tools.push(named.trim_end().to_owned()),
                }
            }
        }
        Ok(())
    }
}

/// The version in a path such as `…/proxy-wasm-0.2.5/src/…`, which panics name.
fn crate_version(data: &[u8], before: &[u8]) -> Option<String> {
    let mut rest = data;
    while let Some(place) = find(rest, before) {
        rest = rest.get(place + before.len()..)?;
        let end = rest.iter().position(|byte| *byte == b'/')?;
        let version = std::str::from_utf8(rest.get(..end)?).unwrap_or_default();
        if version.starts_with(|letter: char| letter.is_ascii_digit()) && version.len() < 32 {
            return Some(version.to_owned());
        }
    }
    None
}

fn contains(data: &[u8], text: &[u8]) -> bool {
    find(data, text).is_some()
}

fn find(data: &[u8], text: &[u8]) -> Option<usize> {
    data.windows(text.len()).position(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(data: &str) -> Origin {
        let text = format!("(module (memory 1) (data (i32.const 0) \"{data}\"))");
        Origin::read(&wat::parse_str(text).unwrap(), None).unwrap()
    }

    #[test]
    fn a_crate_is_found_by_the_places_that_its_panics_name() {
        let found = origin("x/registry/src/proxy-wasm-0.2.5/src/hostcalls.rs");
        assert_eq!(found.sdk.as_deref(), Some("proxy-wasm 0.2.5"));
        assert_eq!(found.language.as_deref(), Some("Rust"));
        let other = origin("/proxy-wasm-experimental-0.0.8/src/");
        assert_eq!(other.sdk, None);
    }

    #[test]
    fn languages_leave_their_traces() {
        let assembly_script = r"~\00l\00i\00b\00/\00";
        for (data, language) in [
            ("/rustc/0/library/core/src/fmt.rs", "Rust"),
            ("github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm", "Go"),
            (&format!(r"a\00{assembly_script}r\00t\00"), "AssemblyScript"),
        ] {
            assert_eq!(origin(data).language.as_deref(), Some(language), "{data}");
        }
        assert_eq!(origin("nothing"), Origin::default());
    }
}
