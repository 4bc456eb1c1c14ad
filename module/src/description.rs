use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::callbacks::Callbacks;
use crate::facts::{Declaration, Facts};
use crate::interpreter::AskError;

/// The custom section that holds it.
pub(crate) const SECTION: &str = "attache.module";

/// How hard to try when it is compressed: as hard as can be.
const EFFORT: u8 = 10;

/// How large a description may be: whoever reads a module may have it from anybody.
const LIMIT: usize = 4 << 20;

/// What a module that the SDK made says of itself, for people and for tools that publish or load it.
///
/// It stands in the custom section `attache.module`, as JSON that is compressed by zlib (RFC 1950): a
/// quarter of the bytes. JSON as it is will be read too.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Description {
    /// The version of this form: 1.
    pub format: u32,
    /// The name of the package that it was made of.
    pub name: String,
    /// The version of that package.
    pub version: String,
    /// A line for people; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The package's licence, as an SPDX expression; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// The version of the SDK.
    pub sdk: String,
    /// The version of the proxy-wasm ABI, such as `0.2.1`.
    pub abi: String,
    /// What the host has to be told when it loads the module.
    pub host_options: HostOptions,
    /// The host calls and callbacks that the module needs, by the names of Envoy's
    /// `allowed_capabilities`, in alphabetical order. They are those that it links: code that it never
    /// runs may be among them, and nothing that it runs is missing.
    pub capabilities: Vec<String>,
    /// Its filters, in the order of their declaration.
    pub filters: Vec<FilterDescription>,
}

/// Options of Envoy's `PluginConfig` without which a module does not work.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HostOptions {
    /// A filter holds headers until it knows the body.
    pub allow_on_headers_stop_iteration: bool,
}

/// A filter of a module.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FilterDescription {
    /// The root id that selects it.
    pub root_id: String,
    /// What it filters, such as `http`.
    pub kind: String,
    /// What it looks at, and whether it waits or holds ([`Callbacks::phases`]).
    pub phases: Vec<String>,
    /// The JSON Schema of its configuration.
    pub configuration: Value,
}

/// Why a module's description is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescribeError {
    /// It gave none.
    #[error("it gave no answer")]
    Ask(#[source] AskError),
    /// What it gave is not one.
    #[error("its answer is not what `filters!` writes")]
    Form(#[from] serde_json::Error),
    /// It has no name, no version, or one with characters that would not stay one line.
    #[error("its {field} is {value:?}, expected a word")]
    Word {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: String,
    },
    /// It names other filters than the module has.
    #[error("it describes the filters {described:?}, and the module has {declared:?}")]
    OtherFilters {
        /// The root ids that it describes.
        described: Vec<String>,
        /// The root ids that the module declares.
        declared: Vec<String>,
    },
    /// A configuration's schema is none.
    #[error(
        "the configuration of `{root_id}` is not described by a JSON Schema, which is an object or a boolean"
    )]
    NotASchema {
        /// The filter.
        root_id: String,
    },
}

/// What the export `attache_describe` answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    sdk: String,
    name: String,
    version: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    license: String,
    filters: Vec<Described>,
}

#[derive(Debug, Deserialize)]
struct Described {
    root_id: String,
    kind: String,
    configuration: Value,
}

impl Answer {
    /// Reads an answer and compares it with what the module declares.
    pub(crate) fn read(bytes: &[u8], declared: &[Declaration]) -> Result<Self, DescribeError> {
        let mut answer: Self = serde_json::from_slice(bytes)?;
        for (field, value) in [
            ("name", &answer.name),
            ("version", &answer.version),
            ("sdk", &answer.sdk),
        ] {
            if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                let value = value.clone();
                return Err(DescribeError::Word { field, value });
            }
        }
        let sorted = |mut names: Vec<String>| {
            names.sort_unstable();
            names
        };
        let described = answer.filters.iter().map(|filter| filter.root_id.clone());
        let described = sorted(described.collect());
        let declared = declared.iter().map(|declared| declared.root_id.clone());
        let declared = sorted(declared.collect());
        if described != declared {
            return Err(DescribeError::OtherFilters {
                described,
                declared,
            });
        }
        for filter in &mut answer.filters {
            if !(filter.configuration.is_object() || filter.configuration.is_boolean()) {
                return Err(DescribeError::NotASchema {
                    root_id: filter.root_id.clone(),
                });
            }
            // What order `serde_json` keeps depends on who else uses it.
            filter.configuration.sort_all_objects();
        }
        Ok(answer)
    }
}

impl Description {
    /// What stands in the section.
    pub(crate) fn to_section(&self) -> Result<Vec<u8>, serde_json::Error> {
        Ok(compress_to_vec_zlib(&serde_json::to_vec(self)?, EFFORT))
    }

    /// Reads the section.
    pub(crate) fn from_section(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        if bytes.starts_with(b"{") {
            return serde_json::from_slice(bytes);
        }
        let text = decompress_to_vec_zlib_with_limit(bytes, LIMIT)
            .map_err(|error| serde_json::Error::custom(format!("it is no zlib stream: {error}")))?;
        serde_json::from_slice(&text)
    }

    /// The description of the finished module `facts` is about.
    pub(crate) fn new(answer: Answer, facts: &Facts) -> Self {
        let callbacks = |root_id: &str| {
            let declared = facts.declarations.iter();
            declared
                .filter(|declared| declared.root_id == root_id)
                .map(|declared| declared.callbacks)
                .reduce(Callbacks::union)
                .unwrap_or_default()
        };
        let filters = answer.filters.into_iter().map(|filter| FilterDescription {
            phases: callbacks(&filter.root_id)
                .phases()
                .map(str::to_owned)
                .collect(),
            root_id: filter.root_id,
            kind: filter.kind,
            configuration: filter.configuration,
        });
        Self {
            format: 1,
            name: answer.name,
            version: answer.version,
            description: answer.description,
            license: answer.license,
            sdk: answer.sdk,
            abi: facts.abi.version().to_owned(),
            host_options: HostOptions {
                allow_on_headers_stop_iteration: facts.callbacks().is_some_and(Callbacks::holds),
            },
            capabilities: capabilities(facts),
            filters: filters.collect(),
        }
    }
}

/// What of imports and exports Envoy can forbid (`proxy-wasm-cpp-host`, `src/wasm.cc`).
pub(crate) fn capabilities(facts: &Facts) -> Vec<String> {
    let imports = facts.imports.iter().map(|import| &import.name);
    let calls = imports.filter(|name| {
        !["pthread_equal", "emscripten_", "envoy_"]
            .iter()
            .any(|free| name.starts_with(free))
    });
    let callbacks = facts
        .exports
        .iter()
        .filter(|name| name.starts_with("proxy_on_") && *name != "proxy_on_memory_allocate");
    let mut capabilities: Vec<String> = calls.chain(callbacks).cloned().collect();
    capabilities.sort_unstable();
    capabilities.dedup();
    capabilities
}
