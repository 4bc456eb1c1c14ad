//! What an Envoy says of itself.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::core::v3::Node as EnvoyNode;
use envoy_types::pb::google::protobuf::value::Kind;

use crate::machine::Node;

/// An id, a group or the name of a plugin is no longer than this.
pub(super) const LONGEST_NAME: usize = 1_024;

/// What a node says under `attache` in its metadata: `group`, and `admin_port` and `probe_port`, which are on the host
/// that it is connected from, so that nobody can have others asked.
///
/// What could not be shown as it is, is refused: two nodes that differ must not be shown as one.
pub(super) fn node_of(node: Option<&EnvoyNode>, address: SocketAddr) -> Result<Node, String> {
    let shown = address.to_string();
    let Some(node) = node else {
        return Ok(Node::new("", "", shown));
    };
    let fields = node.metadata.as_ref().map(|all| &all.fields);
    let own = fields.and_then(|fields| match fields.get("attache")?.kind.as_ref()? {
        Kind::StructValue(own) => Some(own),
        _ => None,
    });
    let value = |name: &str| own?.fields.get(name)?.kind.as_ref();
    let group = match value("group") {
        Some(Kind::StringValue(group)) => group,
        _ => &node.cluster,
    };
    let port = |name: &str| match value(name) {
        Some(Kind::NumberValue(port)) => port.to_string().parse::<u16>().ok(),
        _ => None,
    };
    check("the id of the node", &node.id)?;
    check("the group of the node", group)?;
    let admin = port("admin_port").map(|port| SocketAddr::new(address.ip(), port));
    let node = Node::new(&node.id, group, shown).with_admin(admin);
    Ok(node.with_probe_port(port("probe_port").filter(|port| *port > 0)))
}

/// Whether a name can be kept and shown; if not, why.
pub(super) fn check(what: &str, name: &str) -> Result<(), String> {
    if name.len() > LONGEST_NAME {
        let length = name.len();
        return Err(format!(
            "{what} has {length} bytes, at most {LONGEST_NAME} are taken"
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("{what} has control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use envoy_types::pb::google::protobuf::{Struct, Value};

    use super::*;

    fn address() -> SocketAddr {
        "10.0.0.1:4000".parse().unwrap()
    }

    fn node(id: &str, group: &str) -> EnvoyNode {
        EnvoyNode {
            id: id.to_owned(),
            cluster: group.to_owned(),
            ..EnvoyNode::default()
        }
    }

    #[test]
    fn the_admin_port_is_on_the_host_that_connects() {
        let mut node = node("a", "edge");
        let number = |number| Value {
            kind: Some(Kind::NumberValue(number)),
        };
        let own = |port| Value {
            kind: Some(Kind::StructValue(Struct {
                fields: HashMap::from([("admin_port".to_owned(), number(port))]),
            })),
        };
        for (port, wanted) in [(9_901.0, Some("10.0.0.1:9901")), (1e9, None), (0.5, None)] {
            node.metadata = Some(Struct {
                fields: HashMap::from([("attache".to_owned(), own(port))]),
            });
            let read = node_of(Some(&node), address()).unwrap();
            assert_eq!(read.admin, wanted.map(|text| text.parse().unwrap()));
        }
    }

    #[test]
    fn names_that_cannot_be_shown_are_refused() {
        let long = "x".repeat(LONGEST_NAME + 1);
        for bad in [&*long, "a\u{1b}[2J", "a\nb"] {
            assert!(node_of(Some(&node(bad, "edge")), address()).is_err());
            assert!(node_of(Some(&node("a", bad)), address()).is_err());
        }
        assert!(node_of(Some(&node("ä ~1", "edge")), address()).is_ok());
        assert!(node_of(None, address()).is_ok());
    }
}
