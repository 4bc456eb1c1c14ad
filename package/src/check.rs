//! What is wrong with somebody's manifest or bootstrap, before a proxy finds out.

mod cel;
mod crds;
mod envoy;
mod kubernetes;
mod rules;

use std::fmt::{self, Display};

use attache_module::{Facts, FilterDescription};
use serde_json::{Map, Value};

pub use self::crds::Crds;
use crate::digest::Digest;
use crate::document::Located;
use crate::layout::Published;
use crate::registry::Reference;

/// Something that a check found.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The line in the file, from 1.
    pub line: u64,
    /// What it is, and what to do.
    pub text: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Severity {
    /// It works otherwise than its author may think.
    Warning,
    /// It is refused, or it is not safe.
    Error,
}

/// A document that was checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// What it is, such as `WasmPlugin default/auth-scrub`.
    pub what: String,
    /// What was found, by line.
    pub findings: Vec<Finding>,
}

/// Why a file cannot be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// It is not YAML.
    #[error("not YAML")]
    Yaml(#[from] Box<serde_saphyr::Error>),
    /// A schema in a CRD is none.
    #[error("the schema of {what} is broken: {why}")]
    Schema {
        /// Of what.
        what: String,
        /// What is wrong.
        why: String,
    },
}

/// Checks the documents of a file: WasmPlugin, TrafficExtension, EnvoyExtensionPolicy, EnvoyFilter, and
/// configurations of Envoy. Others are left out.
///
/// `images` are those that the documents may name: what is known of them is checked too.
///
/// # Errors
///
/// [`CheckError`], when the file is not YAML.
pub fn check(text: &str, images: &[Published]) -> Result<Vec<Checked>, CheckError> {
    check_against(text, images, &Crds::default())
}

/// The same, and what a cluster with these CRDs would refuse. Documents of other kinds that it knows are checked too.
///
/// # Errors
///
/// As [`check`].
pub fn check_against(
    text: &str,
    images: &[Published],
    crds: &Crds,
) -> Result<Vec<Checked>, CheckError> {
    check_documents(text, images, crds, None)
}

/// Why an image that is known may not be loaded from the repository of this name, if it may not.
pub type Admission<'a> = dyn Fn(&Reference, &Published) -> Result<(), String> + 'a;

/// The same, and whether each image is let in under the name that its document has for it: a policy goes by repositories.
///
/// # Errors
///
/// As [`check`].
pub fn check_admitted(
    text: &str,
    images: &[Published],
    crds: &Crds,
    admission: &Admission<'_>,
) -> Result<Vec<Checked>, CheckError> {
    check_documents(text, images, crds, Some(admission))
}

fn check_documents(
    text: &str,
    images: &[Published],
    crds: &Crds,
    admission: Option<&Admission<'_>>,
) -> Result<Vec<Checked>, CheckError> {
    let documents = Located::documents(text).map_err(Box::new)?;
    let mut all = Vec::new();
    for document in documents.iter().flat_map(objects) {
        let report = Report {
            images,
            admission,
            findings: Vec::new(),
        };
        all.extend(check_document(document, report, crds));
    }
    Ok(all)
}

/// The objects of a document, which may be a list of them, as `kubectl get` prints it.
fn objects(document: &Located) -> &[Located] {
    let kind = document.get("kind").and_then(Located::text);
    match document.get("items") {
        Some(items) if kind.is_some_and(|kind| kind.ends_with("List")) => items.items(),
        _ => std::slice::from_ref(document),
    }
}

fn check_document(document: &Located, mut report: Report<'_>, crds: &Crds) -> Option<Checked> {
    let kind = document.get("kind").and_then(Located::text);
    let is_known = crds.check(document, &mut report);
    let what = match kind {
        Some("WasmPlugin") => {
            kubernetes::wasm_plugin(document, &mut report);
            named(document, "WasmPlugin")
        }
        Some("TrafficExtension") => {
            kubernetes::traffic_extension(document, &mut report);
            named(document, "TrafficExtension")
        }
        Some("EnvoyExtensionPolicy") => {
            kubernetes::extension_policy(document, &mut report);
            named(document, "EnvoyExtensionPolicy")
        }
        Some("EnvoyFilter") => {
            envoy::plugins(document, &mut report);
            named(document, "EnvoyFilter")
        }
        Some(other) if is_known => named(document, other),
        Some(_) => return None,
        None if envoy::plugins(document, &mut report) => "configuration of Envoy".to_owned(),
        None => return None,
    };
    report.findings.sort_by_key(|finding| finding.line);
    Some(Checked {
        what,
        findings: report.findings,
    })
}

fn named(document: &Located, kind: &str) -> String {
    let word = |key: &str| document.at(&["metadata", key]).and_then(Located::text);
    let namespace = word("namespace").unwrap_or("default");
    format!("{kind} {namespace}/{}", word("name").unwrap_or("(no name)"))
}

/// What is found, and what is known while finding it.
struct Report<'i> {
    images: &'i [Published],
    admission: Option<&'i Admission<'i>>,
    findings: Vec<Finding>,
}

impl<'i> Report<'i> {
    fn error(&mut self, at: &Located, text: impl Into<String>) {
        self.find(Severity::Error, at.line, text);
    }

    fn warning(&mut self, at: &Located, text: impl Into<String>) {
        self.find(Severity::Warning, at.line, text);
    }

    fn find(&mut self, severity: Severity, line: u64, text: impl Into<String>) {
        self.findings.push(Finding {
            severity,
            line,
            text: text.into(),
        });
    }

    /// Asks whether an image may be loaded under this name, where somebody asks.
    fn admit(&mut self, at: &Located, name: &str, digits: &str) {
        let Some(admission) = self.admission else {
            return;
        };
        let reference = name.parse::<Reference>();
        match (self.image(digits), reference) {
            (Some(image), Ok(reference)) => {
                if let Err(why) = admission(&reference, image) {
                    self.error(at, format!("the policy does not let it in: {why}"));
                }
            }
            (_, Err(error)) => self.error(at, error.to_string()),
            (None, Ok(_)) => self.warning(
                at,
                "the policy is not asked: the image is none of those that --image and --images name",
            ),
        }
    }

    /// Says of a module that a policy cannot be asked about, where somebody asks.
    fn say_unasked(&mut self, at: &Located) {
        if self.admission.is_some() {
            self.warning(
                at,
                "the policy is not asked: nothing here says from which repository the module is",
            );
        }
    }

    /// The image whose manifest has this digest.
    fn image(&self, digits: &str) -> Option<&'i Published> {
        self.images
            .iter()
            .find(|image| image.descriptor.digest.hex() == digits)
    }

    /// The image whose module has this digest.
    fn module(&self, digits: &str) -> Option<&'i Published> {
        self.images
            .iter()
            .find(|image| Digest::of(&image.bytes).hex() == digits)
    }

    /// Root id and configuration against what the module says of itself.
    fn plugin(
        &mut self,
        at: &Located,
        facts: &Facts,
        root_id: Option<&Located>,
        config: Option<&Located>,
    ) {
        let Some(filter) = self.filter(at, facts, root_id) else {
            return;
        };
        let empty = Value::Object(Map::new());
        let value = config.map_or(empty, Located::json);
        self.configuration(config.unwrap_or(at), config, &value, filter);
    }

    /// The filter that a root id names.
    fn filter<'f>(
        &mut self,
        at: &Located,
        facts: &'f Facts,
        root_id: Option<&Located>,
    ) -> Option<&'f FilterDescription> {
        let filters = &facts.description.as_ref()?.filters;
        let known: Vec<String> = filters
            .iter()
            .map(|filter| format!("`{}`", filter.root_id))
            .collect();
        let known = known.join(", ");
        let wanted = root_id.and_then(Located::text).unwrap_or_default();
        let found = filters.iter().find(|filter| filter.root_id == wanted);
        if found.is_none() {
            let text = match wanted {
                "" => format!(
                    "no root id is named, and the module knows {known}: it refuses to start"
                ),
                wanted => format!("the module has no filter `{wanted}`: it knows {known}"),
            };
            self.error(root_id.unwrap_or(at), text);
        }
        found
    }

    fn configuration(
        &mut self,
        at: &Located,
        lines: Option<&Located>,
        value: &Value,
        filter: &FilterDescription,
    ) {
        let Ok(validator) = jsonschema::validator_for(&filter.configuration) else {
            return;
        };
        for error in validator.iter_errors(value) {
            let pointer = error.instance_path().to_string();
            let line = lines.map_or(at.line, |lines| lines.line_at(&pointer));
            // A value may be a secret.
            let text = format!(
                "the configuration is refused by `{}`: {pointer}: {}",
                filter.root_id,
                error.masked()
            );
            self.find(Severity::Error, line, text.replace(": : ", ": "));
        }
    }
}

impl Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}
