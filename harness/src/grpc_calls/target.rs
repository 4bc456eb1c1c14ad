//! Whom a gRPC call asks: a serialized `envoy.config.core.v3.GrpcService`, or the name of a cluster.

use crate::protobuf::{Wire, read};

/// The fields of a `GrpcService` that matter here.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct GrpcService {
    pub(crate) target: Option<Target>,
    pub(crate) initial_metadata: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Its `target_specifier`.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Envoy {
        cluster: Vec<u8>,
        authority: Vec<u8>,
    },
    Google,
}

/// Reads a `GrpcService`; none if the bytes are no message at all. Unknown fields are skipped, as
/// protobuf wants it: that is why some names of clusters are messages.
pub(crate) fn parse(bytes: &[u8]) -> Option<GrpcService> {
    let mut service = GrpcService::default();
    for (number, field) in read(bytes)? {
        match (number, field) {
            (1, Wire::Bytes(bytes)) => {
                let (mut cluster, mut authority) = match service.target.take() {
                    Some(Target::Envoy { cluster, authority }) => (cluster, authority),
                    _ => (Vec::new(), Vec::new()),
                };
                for (number, field) in read(bytes)? {
                    match (number, field) {
                        (1, Wire::Bytes(name)) => cluster = text(name)?,
                        (2, Wire::Bytes(name)) => authority = text(name)?,
                        _ => {}
                    }
                }
                service.target = Some(Target::Envoy { cluster, authority });
            }
            (2, Wire::Bytes(bytes)) => {
                read(bytes)?;
                service.target = Some(Target::Google);
            }
            (5, Wire::Bytes(bytes)) => service.initial_metadata.push(header(bytes)?),
            _ => {}
        }
    }
    Some(service)
}

/// A `HeaderValue`.
fn header(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut name, mut value) = (Vec::new(), Vec::new());
    for (number, field) in read(bytes)? {
        match (number, field) {
            (1, Wire::Bytes(bytes)) => name = text(bytes)?,
            (2, Wire::Bytes(bytes)) => value = text(bytes)?,
            (3, Wire::Bytes(bytes)) => value = bytes.to_vec(),
            _ => {}
        }
    }
    Some((name, value))
}

/// A `string` has to be UTF-8.
fn text(bytes: &[u8]) -> Option<Vec<u8>> {
    str::from_utf8(bytes).is_ok().then(|| bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envoy(cluster: &str, authority: &str) -> Option<Target> {
        Some(Target::Envoy {
            cluster: cluster.into(),
            authority: authority.into(),
        })
    }

    #[test]
    fn a_service_names_its_cluster_and_authority() {
        let service = b"\x0a\x08\x0a\x03abc\x12\x01x\x2a\x08\x0a\x01k\x12\x03val";
        let parsed = parse(service).expect("a message");
        assert_eq!(parsed.target, envoy("abc", "x"));
        assert_eq!(parsed.initial_metadata, [(b"k".to_vec(), b"val".to_vec())]);
    }

    #[test]
    fn most_names_are_no_messages_and_some_are() {
        for name in ["authz", "cluster", "upstream", "d", "ratelimit"] {
            assert_eq!(parse(name.as_bytes()), None, "{name}");
        }
        for name in ["", "empty", "users"] {
            assert_eq!(
                parse(name.as_bytes()),
                Some(GrpcService::default()),
                "{name}"
            );
        }
    }
}
