use crate::host;

/// The plugin that is being configured: the filter's place in a chain, as the operator named it.
#[derive(Debug)]
pub struct Plugin {
    root_id: String,
}

impl Plugin {
    pub(crate) fn new(root_id: String) -> Self {
        Self { root_id }
    }

    /// The root id of Envoy's plugin configuration; empty when it has none.
    #[must_use]
    pub fn root_id(&self) -> &str {
        &self.root_id
    }

    /// The plugin's name in Envoy's configuration (`plugin_name`); empty when the host does not
    /// tell.
    #[must_use]
    pub fn name(&self) -> String {
        property_text("plugin_name")
    }
}

/// A property as text; empty when it is absent or not UTF-8.
pub(crate) fn property_text(name: &str) -> String {
    host::property(&[name])
        .ok()
        .flatten()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default()
}
