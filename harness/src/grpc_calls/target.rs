//! Whom a gRPC call asks: a serialized `envoy.config.core.v3.GrpcService`, or the name of a cluster.

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
    for (number, field) in fields(bytes)? {
        match (number, field) {
            (1, Some(bytes)) => {
                let (mut cluster, mut authority) = match service.target.take() {
                    Some(Target::Envoy { cluster, authority }) => (cluster, authority),
                    _ => (Vec::new(), Vec::new()),
                };
                for (number, field) in fields(bytes)? {
                    match (number, field) {
                        (1, Some(name)) => cluster = text(name)?,
                        (2, Some(name)) => authority = text(name)?,
                        _ => {}
                    }
                }
                service.target = Some(Target::Envoy { cluster, authority });
            }
            (2, Some(bytes)) => {
                fields(bytes)?;
                service.target = Some(Target::Google);
            }
            (5, Some(bytes)) => service.initial_metadata.push(header(bytes)?),
            _ => {}
        }
    }
    Some(service)
}

/// A `HeaderValue`.
fn header(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut name, mut value) = (Vec::new(), Vec::new());
    for (number, field) in fields(bytes)? {
        match (number, field) {
            (1, Some(bytes)) => name = text(bytes)?,
            (2, Some(bytes)) => value = text(bytes)?,
            (3, Some(bytes)) => value = bytes.to_vec(),
            _ => {}
        }
    }
    Some((name, value))
}

/// A `string` has to be UTF-8.
fn text(bytes: &[u8]) -> Option<Vec<u8>> {
    str::from_utf8(bytes).is_ok().then(|| bytes.to_vec())
}

/// The number of a field, and its bytes if it has a length.
type Field<'a> = (u64, Option<&'a [u8]>);

/// The fields of a message.
fn fields(mut bytes: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        fields.push(field(&mut bytes, 0)?);
    }
    Some(fields)
}

/// Protobuf's own limit for groups and messages within each other.
const DEPTH: usize = 100;

fn field<'a>(bytes: &mut &'a [u8], depth: usize) -> Option<Field<'a>> {
    let tag = varint(bytes).filter(|tag| u32::try_from(*tag).is_ok())?;
    let number = tag >> 3;
    if number == 0 || depth > DEPTH {
        return None;
    }
    let mut value = None;
    match tag & 7 {
        0 => {
            varint(bytes)?;
        }
        1 => {
            take(bytes, 8)?;
        }
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            value = Some(take(bytes, length)?);
        }
        3 => loop {
            let mut ahead = *bytes;
            let tag = varint(&mut ahead)?;
            if tag & 7 == 4 {
                *bytes = ahead;
                return (tag >> 3 == number).then_some((number, None));
            }
            field(bytes, depth + 1)?;
        },
        5 => {
            take(bytes, 4)?;
        }
        _ => return None,
    }
    Some((number, value))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(length)?;
    *bytes = tail;
    Some(head)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        if shift < 64 {
            number |= u64::from(first & 0x7f) << shift;
        }
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
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

    #[test]
    fn groups_are_skipped_and_end_where_they_began() {
        assert!(parse(b"\x1b\x08\x01\x1c").is_some());
        assert!(parse(b"\x1b\x08\x01\x24").is_none());
        assert!(parse(&[0x1b; 1000]).is_none());
        assert!(parse(b"\x00").is_none());
    }
}
