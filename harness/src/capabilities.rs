//! What a plugin's VM may call, and what of it may be called: Envoy's `allowed_capabilities`.

use std::collections::BTreeSet;

/// Names of host calls, callbacks and WASI functions that are allowed; by default all are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Capabilities(Option<BTreeSet<String>>);

impl Capabilities {
    /// Only these. As in Envoy, an empty list restricts nothing.
    pub(crate) fn only(names: BTreeSet<String>) -> Self {
        Self((!names.is_empty()).then_some(names))
    }

    /// Whether there is anything that they take away.
    pub(crate) fn restrict(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn allow(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_restricts_nothing() {
        assert!(Capabilities::only(BTreeSet::new()).allow("proxy_log"));
        let log = Capabilities::only(BTreeSet::from(["proxy_log".to_owned()]));
        assert!(log.allow("proxy_log") && !log.allow("fd_write"));
    }
}
