/// A cluster as the host takes it: `envoy.config.core.v3.GrpcService` with `envoy_grpc.cluster_name`.
///
/// A bare name would do, too, were it not that Envoy first tries to read it as that message, and that
/// names such as `users` happen to be one, of unknown fields: then the host answers a status on which
/// the crate below panics.
pub(super) fn service(cluster: &str) -> Vec<u8> {
    const CLUSTER_NAME: u8 = 0x0a;
    const ENVOY_GRPC: u8 = 0x0a;
    let inner = field(CLUSTER_NAME, cluster.as_bytes());
    field(ENVOY_GRPC, &inner)
}

/// A field of bytes.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    let mut length = bytes.len();
    while length > 0x7f {
        field.push(0x80 | (length & 0x7f).to_le_bytes()[0]);
        length >>= 7;
    }
    field.push(length.to_le_bytes()[0]);
    field.extend_from_slice(bytes);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_a_message_in_a_message() {
        assert_eq!(service("chat"), b"\x0a\x06\x0a\x04chat");
        let long = "x".repeat(300);
        let expected = [b"\x0a\xaf\x02\x0a\xac\x02", long.as_bytes()].concat();
        assert_eq!(service(&long), expected);
    }
}
