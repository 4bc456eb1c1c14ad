use std::collections::BTreeMap;

use attache_module::Facts;

use crate::digest::Digest;

/// What people and tools are told of an image, beside what the module says of itself.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct About {
    /// The filter's name, such as `auth-scrub`.
    pub name: String,
    /// Its version, such as `1.2.0`.
    pub version: String,
    /// A line for people.
    pub description: String,
    /// Where the source is, as a URL.
    pub source: Option<String>,
    /// The commit that it was built from.
    pub revision: Option<String>,
    /// The licence, as an SPDX expression.
    pub licenses: Option<String>,
    /// Where the documentation is, as a URL.
    pub documentation: Option<String>,
    /// When it was made, as RFC 3339 has it. Left out by default: two builds of one source would differ.
    pub created: Option<String>,
    /// What a request costs, as a measurement says it in a line.
    pub cost: Option<String>,
}

impl About {
    /// A name and a version, and nothing else.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            ..Self::default()
        }
    }

    /// The annotations of an image: OCI's own (annotations.md), wasme's word for the layout, and ours, which
    /// begin with `attache.image/`.
    pub(crate) fn annotations(&self, module: &[u8], facts: &Facts) -> BTreeMap<String, String> {
        let mut notes = BTreeMap::new();
        let mut note = |name: &str, value: &str| {
            if !value.is_empty() {
                notes.insert(name.to_owned(), value.to_owned());
            }
        };
        note("module.wasm.image/variant", "compat");
        note("org.opencontainers.image.title", &self.name);
        note("org.opencontainers.image.version", &self.version);
        note("org.opencontainers.image.description", &self.description);
        for (name, value) in [
            ("source", &self.source),
            ("revision", &self.revision),
            ("licenses", &self.licenses),
            ("documentation", &self.documentation),
            ("created", &self.created),
        ] {
            let value = value.as_deref().unwrap_or_default();
            note(&format!("org.opencontainers.image.{name}"), value);
        }
        // Envoy's `sha256` fields want the module's digest, Istio's and Envoy Gateway's the manifest's.
        note("attache.image/module-sha256", &Digest::of(module).hex());
        note("attache.image/abi", facts.abi.version());
        note(
            "attache.image/cost",
            self.cost.as_deref().unwrap_or_default(),
        );
        if let Some(description) = &facts.description {
            let roots = description
                .filters
                .iter()
                .map(|filter| filter.root_id.as_str());
            note(
                "attache.image/root-ids",
                &roots.collect::<Vec<_>>().join(","),
            );
            note("attache.image/sdk", &description.sdk);
            note(
                "attache.image/capabilities",
                &description.capabilities.join(","),
            );
            if description.host_options.allow_on_headers_stop_iteration {
                note(
                    "attache.image/host-options",
                    "allow_on_headers_stop_iteration",
                );
            }
        }
        notes
    }
}
