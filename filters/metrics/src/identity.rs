//! Who this proxy stands beside, from the node in its bootstrap.

use attache::properties::{Property, xds};

use crate::labels::{Constant, End};

/// What is the same for all requests. Empty where nothing says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    workload: String,
    namespace: String,
    app: String,
    version: String,
    canonical_service: String,
    canonical_revision: String,
    cluster: String,
}

impl Identity {
    /// Reads the node's metadata, under the names that Istio gives them. Where there are none, the
    /// node's `cluster` is the workload's name.
    pub(crate) fn read() -> Self {
        let metadata = |names: &[&str]| {
            let path: Vec<&str> = ["xds", "node", "metadata"]
                .iter()
                .chain(names)
                .copied()
                .collect();
            Property::<String>::at(&path)
                .get()
                .ok()
                .flatten()
                .unwrap_or_default()
        };
        let or = |first: String, second: &dyn Fn() -> String| {
            if first.is_empty() { second() } else { first }
        };
        let workload = or(metadata(&["WORKLOAD_NAME"]), &|| {
            xds::NODE_CLUSTER.get().ok().flatten().unwrap_or_default()
        });
        Self {
            namespace: metadata(&["NAMESPACE"]),
            app: metadata(&["LABELS", "app"]),
            version: metadata(&["LABELS", "version"]),
            canonical_service: or(
                metadata(&["LABELS", "service.istio.io/canonical-name"]),
                &|| workload.clone(),
            ),
            canonical_revision: metadata(&["LABELS", "service.istio.io/canonical-revision"]),
            cluster: metadata(&["CLUSTER_ID"]),
            workload,
        }
    }

    /// The name of its service, which may be empty.
    pub(crate) fn service(&self) -> &str {
        &self.canonical_service
    }

    /// The value of a label.
    pub(crate) fn value(&self, constant: Constant, end: End) -> &str {
        let (value, otherwise) = match constant {
            Constant::Reporter => (end.name(), ""),
            Constant::Workload => (&*self.workload, "unknown"),
            Constant::Namespace => (&*self.namespace, "unknown"),
            Constant::App => (&*self.app, "unknown"),
            Constant::Version => (&*self.version, "unknown"),
            Constant::CanonicalService => (&*self.canonical_service, "unknown"),
            Constant::CanonicalRevision => (&*self.canonical_revision, "latest"),
            Constant::Cluster => (&*self.cluster, "unknown"),
            Constant::Unknown => ("", "unknown"),
            Constant::UnknownRevision => ("", "latest"),
        };
        if value.is_empty() { otherwise } else { value }
    }
}
