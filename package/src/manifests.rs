//! What makes a proxy load an image: manifests for Istio, Envoy Gateway and Envoy itself.

mod envoy;
mod envoy_gateway;
mod istio;

use std::fmt::{self, Display};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use crate::digest::Digest;
use crate::layout::Published;

pub use self::istio::Phase;

/// Where an image is to be loaded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// Istio by `WasmPlugin`, which every version has.
    WasmPlugin,
    /// Istio 1.30 and later by `TrafficExtension`.
    TrafficExtension,
    /// Envoy Gateway by `EnvoyExtensionPolicy`.
    EnvoyExtensionPolicy,
    /// Envoy, by a filter for the list of its HTTP or network filters.
    Envoy,
}

/// What happens to traffic where the plugin cannot run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// It is refused, and a VM that trapped is started again. Envoy Gateway knows no reload: there it is
    /// refused.
    #[default]
    Reload,
    /// It is refused.
    Close,
    /// It passes without the plugin.
    Open,
}

/// How a plugin is to be loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plugin {
    /// The manifest's name, and the plugin's.
    pub name: String,
    /// The namespace, for Kubernetes.
    pub namespace: String,
    /// Where the image is, without a scheme: `registry.example.com/filters/auth-scrub:1.2.0`. For Envoy, not
    /// needed.
    pub image: String,
    /// For Envoy: the file that holds the module.
    pub file: Option<PathBuf>,
    /// Which filter of the module; may be left out where it has one.
    pub root_id: Option<String>,
    /// The configuration, checked against the schema that the module brings.
    pub config: Option<Value>,
    /// What happens without it.
    pub failure: Failure,
    /// Where in Istio's chain.
    pub phase: Option<Phase>,
    /// Which of several in a phase comes first, for Istio: higher ones do.
    pub priority: Option<i32>,
    /// Labels of the workloads, for Istio.
    pub selector: Vec<(String, String)>,
    /// The Gateway that it belongs to, for Envoy Gateway and Istio.
    pub gateway: Option<String>,
    /// The name of the secret to pull with.
    pub pull_secret: Option<String>,
    /// Variables of the VM. Envoy Gateway passes on those of the host only: there a value is refused.
    pub environment: Vec<(String, Option<String>)>,
}

/// Why a target does not get a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A word that Kubernetes refuses.
    #[error(
        "the {field} `{value}` is refused by Kubernetes: expected lower-case letters, digits, `-` and `.`, with a letter or a digit at both ends"
    )]
    Name {
        /// Which.
        field: &'static str,
        /// What it is.
        value: String,
    },
    /// The image's name is no name.
    #[error(
        "`{image}` names no image: expected `registry/repository:tag`, without `http://`, `oci://` or blanks"
    )]
    Image {
        /// What it is.
        image: String,
    },
    /// There are several filters in the module, or other ones.
    #[error("{named}; the module has {known}")]
    RootId {
        /// What was named.
        named: String,
        /// Those that it has.
        known: String,
    },
    /// The target cannot give what the filter needs.
    #[error("{target} cannot run `{root_id}`: {reason}")]
    Unable {
        /// The target.
        target: Target,
        /// The filter.
        root_id: String,
        /// What is missing, and what to do.
        reason: String,
    },
    /// Something that the target has no field for.
    #[error("{target} has no field for {what}: {hint}")]
    NoField {
        /// The target.
        target: Target,
        /// What was asked for.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The configuration does not fit the filter's schema.
    #[error("the configuration is refused {}: {reason}", at(pointer))]
    Configuration {
        /// Where, as a JSON Pointer.
        pointer: String,
        /// Why.
        reason: String,
    },
    /// The schema in the module is not one.
    #[error("the module's schema for `{root_id}` is not a JSON Schema: {reason}")]
    Schema {
        /// The filter.
        root_id: String,
        /// Why.
        reason: String,
    },
    /// The manifest could not be written as text.
    #[error("cannot write the manifest as YAML")]
    Yaml(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What the manifests are made of, once it was checked.
struct Checked<'p> {
    plugin: &'p Plugin,
    target: Target,
    root_id: String,
    kind: String,
    manifest: Digest,
    module: Digest,
    holds: bool,
}

impl Plugin {
    /// A plugin of this name, with the module's own defaults.
    #[must_use]
    pub fn new(name: &str, image: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: "default".to_owned(),
            image: image.to_owned(),
            file: None,
            root_id: None,
            config: None,
            failure: Failure::default(),
            phase: None,
            priority: None,
            selector: Vec::new(),
            gateway: None,
            pull_secret: None,
            environment: Vec::new(),
        }
    }

    /// The manifest, as YAML, that makes a target load the image.
    ///
    /// It is pinned: by the manifest's digest where the target reads images, by the module's where Envoy reads
    /// it.
    ///
    /// # Errors
    ///
    /// [`ManifestError`], when the target would refuse it, could not run it, or the configuration does not fit.
    pub fn manifest(&self, published: &Published, target: Target) -> Result<String, ManifestError> {
        let checked = self.check(published, target)?;
        match target {
            Target::WasmPlugin | Target::TrafficExtension => istio::manifest(&checked),
            Target::EnvoyExtensionPolicy => envoy_gateway::manifest(&checked),
            Target::Envoy => envoy::filter(&checked),
        }
    }

    fn check<'p>(
        &'p self,
        published: &Published,
        target: Target,
    ) -> Result<Checked<'p>, ManifestError> {
        name("name", &self.name)?;
        if target != Target::Envoy {
            name("namespace", &self.namespace)?;
            image(&self.image)?;
        }
        for (field, word) in [
            ("gateway", &self.gateway),
            ("pull secret", &self.pull_secret),
        ] {
            if let Some(word) = word {
                name(field, word)?;
            }
        }
        let (root_id, kind, schema) = self.filter(published)?;
        if let Some(schema) = schema {
            fits(
                &root_id,
                schema,
                self.config
                    .as_ref()
                    .unwrap_or(&Value::Object(Default::default())),
            )?;
        }
        let description = published.facts.description.as_ref();
        Ok(Checked {
            plugin: self,
            target,
            root_id,
            kind,
            manifest: published.descriptor.digest,
            module: Digest::of(&published.bytes),
            holds: description.is_some_and(|description| {
                description.host_options.allow_on_headers_stop_iteration
            }),
        })
    }

    /// Root id, kind and schema of the filter that is meant.
    fn filter<'d>(
        &self,
        published: &'d Published,
    ) -> Result<(String, String, Option<&'d Value>), ManifestError> {
        let Some(description) = &published.facts.description else {
            // A module of another SDK says nothing of itself.
            let root_id = self.root_id.clone().unwrap_or_default();
            return Ok((root_id, "http".to_owned(), None));
        };
        let known = || {
            let names = description
                .filters
                .iter()
                .map(|filter| format!("`{}`", filter.root_id));
            names.collect::<Vec<_>>().join(", ")
        };
        let found = match (&self.root_id, &description.filters[..]) {
            (None, [only]) => Some(only),
            (None, _) => {
                return Err(ManifestError::RootId {
                    named: "no root id is named".to_owned(),
                    known: known(),
                });
            }
            (Some(root_id), filters) => filters.iter().find(|filter| filter.root_id == *root_id),
        };
        let Some(found) = found else {
            return Err(ManifestError::RootId {
                named: format!(
                    "there is no root id `{}`",
                    self.root_id.as_deref().unwrap_or_default()
                ),
                known: known(),
            });
        };
        Ok((
            found.root_id.clone(),
            found.kind.clone(),
            Some(&found.configuration),
        ))
    }
}

impl Checked<'_> {
    fn unable<T>(&self, reason: &str) -> Result<T, ManifestError> {
        Err(ManifestError::Unable {
            target: self.target,
            root_id: self.root_id.clone(),
            reason: reason.to_owned(),
        })
    }

    fn no_field<T>(&self, what: &'static str, hint: &'static str) -> Result<T, ManifestError> {
        Err(ManifestError::NoField {
            target: self.target,
            what,
            hint,
        })
    }
}

/// A manifest of Kubernetes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'d, S> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'d>,
    spec: S,
}

#[derive(Serialize)]
struct Metadata<'d> {
    name: &'d str,
    namespace: &'d str,
}

/// A reference to another object.
#[derive(Serialize)]
struct Reference<'d> {
    group: &'static str,
    kind: &'static str,
    name: &'d str,
}

impl<'d> Reference<'d> {
    fn gateway(name: &'d str) -> Self {
        Self {
            group: "gateway.networking.k8s.io",
            kind: "Gateway",
            name,
        }
    }
}

/// A document with words for people above it.
fn yaml(words: &[String], document: &impl Serialize) -> Result<String, ManifestError> {
    let body =
        serde_saphyr::to_string(document).map_err(|error| ManifestError::Yaml(error.into()))?;
    let mut text: String = words.iter().map(|line| format!("# {line}\n")).collect();
    text += &body;
    Ok(text)
}

fn fits(root_id: &str, schema: &Value, config: &Value) -> Result<(), ManifestError> {
    let validator = jsonschema::validator_for(schema).map_err(|error| ManifestError::Schema {
        root_id: root_id.to_owned(),
        reason: error.to_string(),
    })?;
    match validator.iter_errors(config).next() {
        None => Ok(()),
        Some(error) => Err(ManifestError::Configuration {
            pointer: error.instance_path().to_string(),
            // The value may be a secret.
            reason: error.masked().to_string(),
        }),
    }
}

fn at(pointer: &str) -> String {
    if pointer.is_empty() {
        return "at the top".to_owned();
    }
    format!("at `{pointer}`")
}

/// Names of Kubernetes objects: RFC 1123 subdomains of at most 253 characters.
fn name(field: &'static str, value: &str) -> Result<(), ManifestError> {
    let inner = |symbol: u8| symbol.is_ascii_lowercase() || symbol.is_ascii_digit();
    let ends = [value.bytes().next(), value.bytes().next_back()];
    let fits = value.len() <= 253
        && value
            .bytes()
            .all(|symbol| inner(symbol) || b"-.".contains(&symbol))
        && ends.into_iter().all(|end| end.is_some_and(inner));
    match fits {
        true => Ok(()),
        false => Err(ManifestError::Name {
            field,
            value: value.chars().take(80).collect(),
        }),
    }
}

fn image(image: &str) -> Result<(), ManifestError> {
    let fits = |symbol: char| symbol.is_ascii_alphanumeric() || "._-/:@".contains(symbol);
    if image.contains('/') && !image.contains("://") && image.chars().all(fits) {
        return Ok(());
    }
    Err(ManifestError::Image {
        image: image.chars().take(200).collect(),
    })
}

impl Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::WasmPlugin => "Istio's WasmPlugin",
            Self::TrafficExtension => "Istio's TrafficExtension",
            Self::EnvoyExtensionPolicy => "Envoy Gateway's EnvoyExtensionPolicy",
            Self::Envoy => "Envoy",
        })
    }
}
