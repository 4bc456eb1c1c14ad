//! Which bodies are looked into: those of JSON and forms, whole, in a coding that is read.

use crate::coding::Coding;
use crate::config::Kind;
use crate::head::Head;

/// How many codings a body may have one over the other.
const MAX_CODINGS: usize = 3;

/// What a body is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Media {
    pub(crate) kind: Kind,
    /// In the order in which they were applied.
    pub(crate) codings: Vec<Coding>,
}

/// Why a body is left alone; the reason that is counted.
pub(crate) type Skip = &'static str;

/// What the body of a message with this head is.
pub(crate) fn media(head: &Head, kinds: &[Kind], read: &[Coding]) -> Result<Media, Skip> {
    // Part of a body is no JSON, and what would come out could not be told apart from other parts.
    if head.status == Some(206) || head.has("content-range") {
        return Err("partial");
    }
    let kind = kind(&head.joined("content-type").ok_or("content_type")?)?;
    if !kinds.contains(&kind) {
        return Err("content_type");
    }
    let mut codings = Vec::new();
    if let Some(names) = head.joined("content-encoding") {
        for name in names.split(|&byte| byte == b',') {
            match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"" | b"identity" => {}
                name => codings.push(
                    Coding::named(name)
                        .filter(|coding| read.contains(coding))
                        .ok_or("content_encoding")?,
                ),
            }
        }
    }
    if codings.len() > MAX_CODINGS {
        return Err("content_encoding");
    }
    Ok(Media { kind, codings })
}

fn kind(content_type: &[u8]) -> Result<Kind, Skip> {
    let lower = content_type.to_ascii_lowercase();
    let mut parts = lower.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().unwrap_or_default();
    let kind = match name {
        b"application/json" | b"text/json" => Kind::Json,
        b"application/x-www-form-urlencoded" => Kind::Form,
        // Texts one after the other, each of which goes on by itself.
        b"application/stream+json" => return Err("content_type"),
        name if name.starts_with(b"application/grpc") => return Err("content_type"),
        name if name.ends_with(b"+json") && !name.contains(&b',') => Kind::Json,
        _ => return Err("content_type"),
    };
    for parameter in parts {
        let charset = parameter.strip_prefix(b"charset");
        let value = charset.and_then(|rest| rest.trim_ascii_start().strip_prefix(b"="));
        if let Some(value) = value {
            let value = value.trim_ascii();
            let plain = value
                .strip_prefix(b"\"")
                .and_then(|value| value.strip_suffix(b"\""));
            if !matches!(plain.unwrap_or(value), b"utf-8" | b"utf8" | b"us-ascii") {
                return Err("charset");
            }
        }
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(headers: &[(&str, &str)]) -> Result<Media, Skip> {
        let mut head = Head::default();
        for (name, value) in headers {
            head.append(name, value.as_bytes());
        }
        media(
            &head,
            &[Kind::Json, Kind::Form],
            &[Coding::Gzip, Coding::Brotli],
        )
    }

    #[test]
    fn types_of_json_and_forms_are_known() {
        for (name, kind) in [
            ("application/json", Ok(Kind::Json)),
            ("Application/JSON ; charset=UTF-8", Ok(Kind::Json)),
            ("application/json;charset=\"utf-8\";x=y", Ok(Kind::Json)),
            ("application/problem+json", Ok(Kind::Json)),
            ("application/vnd.api+json; version=1", Ok(Kind::Json)),
            ("application/x-www-form-urlencoded", Ok(Kind::Form)),
            ("application/json; charset=utf-16", Err("charset")),
            ("application/json; charset = iso-8859-1", Err("charset")),
            ("application/stream+json", Err("content_type")),
            ("application/x-ndjson", Err("content_type")),
            ("text/event-stream", Err("content_type")),
            ("application/grpc", Err("content_type")),
            ("application/grpc+json", Err("content_type")),
            ("application/jsonp", Err("content_type")),
            ("text/plain, application/json", Err("content_type")),
            ("text/plain, a/b+json", Err("content_type")),
            ("", Err("content_type")),
        ] {
            let found = judged(&[("content-type", name)]).map(|media| media.kind);
            assert_eq!(found, kind, "{name}");
        }
        assert_eq!(judged(&[]), Err("content_type"));
    }

    #[test]
    fn codings_are_read_in_their_order() {
        let codings = |value| {
            judged(&[("content-type", "text/json"), ("content-encoding", value)])
                .map(|media| media.codings)
        };
        assert_eq!(codings("identity, "), Ok(Vec::new()));
        assert_eq!(codings("GZIP"), Ok(vec![Coding::Gzip]));
        assert_eq!(codings("gzip, br"), Ok(vec![Coding::Gzip, Coding::Brotli]));
        for value in ["zstd", "deflate", "gzip, x", "br,br,br,br"] {
            assert_eq!(codings(value), Err("content_encoding"), "{value}");
        }
    }

    #[test]
    fn parts_are_left_alone() {
        let parts = judged(&[
            ("content-type", "text/json"),
            ("content-range", "bytes 0-1/2"),
        ]);
        assert_eq!(parts, Err("partial"));
    }
}
