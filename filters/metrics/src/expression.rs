//! What a dimension or a metric is computed from: a property of the stream, spelt as in Envoy's
//! attributes, a text, a number, or an expression in CEL.

use crate::cel;

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Expression {
    /// A text or a number, as it was written.
    Literal(String),
    /// A whole number.
    Number(u64),
    /// The template that fits the request's path.
    PathTemplate,
    /// A property of Envoy's.
    Property(Path),
    /// What Envoy evaluates.
    Cel(String),
}

/// A property: the parts of its path, with a NUL between them, and how its bytes are read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path {
    /// As the host takes it.
    pub bytes: String,
    /// What it is.
    pub kind: Kind,
}

/// How the bytes of a property become the value of a label, or of a metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// Text that is there as it is.
    Text,
    /// A method: one that HTTP does not know is `_OTHER`.
    Method,
    /// A whole number.
    Number,
    /// A status: what is no status is 0.
    Status,
    /// Bits that have names.
    Flags,
    /// `true` or `false`.
    Truth,
    /// A time, in milliseconds.
    Time,
}

impl Kind {
    /// Whether a metric can be made of it.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::Time)
    }
}

/// Envoy's attributes that a log knows, by their kind.
const KNOWN: [(&str, Kind); 59] = {
    use Kind::{Flags, Method, Number, Status, Text, Time, Truth};
    [
        ("request.path", Text),
        ("request.url_path", Text),
        ("request.query", Text),
        ("request.host", Text),
        ("request.scheme", Text),
        ("request.method", Method),
        ("request.referer", Text),
        ("request.useragent", Text),
        ("request.id", Text),
        ("request.protocol", Text),
        ("request.size", Number),
        ("request.total_size", Number),
        ("request.duration", Time),
        ("response.code", Status),
        ("response.code_details", Text),
        ("response.flags", Flags),
        ("response.grpc_status", Number),
        ("response.size", Number),
        ("response.total_size", Number),
        ("response.backend_latency", Time),
        ("source.address", Text),
        ("source.port", Number),
        ("destination.address", Text),
        ("destination.port", Number),
        ("connection.mtls", Truth),
        ("connection.requested_server_name", Text),
        ("connection.termination_details", Text),
        ("connection.tls_version", Text),
        ("connection.subject_local_certificate", Text),
        ("connection.subject_peer_certificate", Text),
        ("connection.uri_san_local_certificate", Text),
        ("connection.uri_san_peer_certificate", Text),
        ("connection.dns_san_local_certificate", Text),
        ("connection.dns_san_peer_certificate", Text),
        ("connection.transport_failure_reason", Text),
        ("upstream.address", Text),
        ("upstream.port", Number),
        ("upstream.local_address", Text),
        ("upstream.locality.region", Text),
        ("upstream.locality.zone", Text),
        ("upstream.locality.sub_zone", Text),
        ("upstream.num_endpoints", Number),
        ("upstream.request_attempt_count", Number),
        ("upstream.cx_pool_ready_duration", Time),
        ("upstream.tls_version", Text),
        ("upstream.subject_peer_certificate", Text),
        ("upstream.uri_san_local_certificate", Text),
        ("upstream.uri_san_peer_certificate", Text),
        ("upstream.dns_san_peer_certificate", Text),
        ("upstream.transport_failure_reason", Text),
        ("xds.cluster_name", Text),
        ("xds.route_name", Text),
        ("xds.virtual_host_name", Text),
        ("xds.filter_chain_name", Text),
        ("xds.listener_direction", Number),
        ("xds.node.id", Text),
        ("xds.node.cluster", Text),
        ("plugin_name", Text),
        ("plugin_vm_id", Text),
    ]
};

/// What has names of its own below it, and how many of them there are at least.
const OPEN: [(&str, usize); 10] = [
    ("request.headers", 1),
    ("response.headers", 1),
    ("filter_state", 1),
    ("metadata.filter_metadata", 2),
    ("xds.node.metadata", 1),
    ("xds.route_metadata.filter_metadata", 2),
    ("xds.virtual_host_metadata.filter_metadata", 2),
    ("xds.cluster_metadata.filter_metadata", 2),
    ("xds.upstream_host_metadata.filter_metadata", 2),
    ("xds.listener_metadata.filter_metadata", 2),
];

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without its text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim_ascii();
        if text == "path_template" {
            return Ok(Self::PathTemplate);
        }
        if cel::is_like(text) && parts(text).is_err() {
            cel::check(text, is_known)?;
            return Ok(Self::Cel(text.to_owned()));
        }
        if let Some(quote @ (b'\'' | b'"')) = text.as_bytes().first() {
            let inner = text
                .get(1..)
                .and_then(|rest| rest.strip_suffix(char::from(*quote)));
            return match inner {
                Some(inner) if !inner.as_bytes().contains(quote) => {
                    Ok(Self::Literal(inner.to_owned()))
                }
                _ => Err("the text in quotes does not end, or ends too early"),
            };
        }
        if text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_digit())
        {
            return text
                .parse()
                .map(Self::Number)
                .map_err(|_| "expected a whole number");
        }
        let parts = parts(text)?;
        let kind = kind(&parts).ok_or(
            "no such property; expected one of Envoy's attributes that an access log knows, \
             `path_template`, a number, a text in quotes, or an expression in CEL",
        )?;
        let mut bytes = String::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                bytes.push('\0');
            }
            // Envoy keeps the names of headers in lower case.
            if index == 2 && parts.get(1).is_some_and(|part| part == "headers") {
                bytes.push_str(&part.to_ascii_lowercase());
            } else {
                bytes.push_str(part);
            }
        }
        Ok(Self::Property(Path { bytes, kind }))
    }

    /// Whether a metric can be made of it.
    #[must_use]
    pub fn is_number(&self) -> bool {
        match self {
            Self::Number(_) | Self::Cel(_) => true,
            Self::Property(path) => path.kind.is_number(),
            Self::Literal(_) | Self::PathTemplate => false,
        }
    }
}

/// Names with dots between them, and `['any name']` behind one.
fn parts(text: &str) -> Result<Vec<String>, &'static str> {
    const WRONG: &str = "expected names with dots between them, or `['name']` behind one";
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.bytes().position(|byte| matches!(byte, b'.' | b'['));
        let (name, after) = rest
            .split_at_checked(end.unwrap_or(rest.len()))
            .ok_or(WRONG)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/');
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(WRONG);
        }
        parts.push(name.to_owned());
        rest = after;
        while let Some(index) = rest.strip_prefix('[') {
            let quote = index
                .chars()
                .next()
                .filter(|quote| matches!(quote, '\'' | '"'));
            let index = index.get(1..).ok_or(WRONG)?;
            let (name, after) = index.split_once(quote.ok_or(WRONG)?).ok_or(WRONG)?;
            if name.is_empty() || name.as_bytes().contains(&0) {
                return Err(WRONG);
            }
            parts.push(name.to_owned());
            rest = after.strip_prefix(']').ok_or(WRONG)?;
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(parts),
            None => return Err(WRONG),
        }
    }
}

/// Whether these are the first names of an attribute, or of what stands in one.
fn is_known(parts: &[&[u8]]) -> bool {
    let begins = |path: &str| {
        let mut names = path.as_bytes().split(|byte| *byte == b'.').zip(parts);
        names.all(|(name, part)| name == *part)
    };
    // The time at which a request began, and more of it than a label can say.
    const MORE: [&str; 3] = ["request.time", "xds.node", "response.trailers"];
    KNOWN.iter().any(|(path, _)| begins(path))
        || OPEN.iter().any(|(path, _)| begins(path))
        || MORE.iter().any(|path| begins(path))
}

fn kind(parts: &[String]) -> Option<Kind> {
    let starts = |path: &str| {
        let mut names = 0;
        let all = path.split('.').zip(parts).all(|(name, part)| {
            names += 1;
            name == part
        });
        let whole = path.split('.').count();
        (all && names == whole).then(|| parts.len() - whole)
    };
    let known = KNOWN.iter().find(|(path, _)| starts(path) == Some(0));
    if let Some((_, kind)) = known {
        return Some(*kind);
    }
    let (path, least) = OPEN.iter().find(|(path, _)| starts(path).is_some())?;
    let below = starts(path)?;
    let most = if *least == 1 && !path.ends_with("metadata") {
        1
    } else {
        usize::MAX
    };
    (below >= *least && below <= most).then_some(Kind::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(text: &str) -> (String, Kind) {
        match Expression::parse(text) {
            Ok(Expression::Property(path)) => (path.bytes, path.kind),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_property_is_spelt_as_an_attribute() {
        for (text, bytes, kind) in [
            ("request.method", "request\0method", Kind::Method),
            (" response.code ", "response\0code", Kind::Status),
            (
                "response.backend_latency",
                "response\0backend_latency",
                Kind::Time,
            ),
            (
                "request.headers['X-Team']",
                "request\0headers\0x-team",
                Kind::Text,
            ),
            (
                "request.headers.x-team",
                "request\0headers\0x-team",
                Kind::Text,
            ),
            (
                "response.headers[\"a b\"]",
                "response\0headers\0a b",
                Kind::Text,
            ),
            (
                "filter_state['wasm.tier']",
                "filter_state\0wasm.tier",
                Kind::Text,
            ),
            (
                "xds.route_metadata.filter_metadata['acme.team'].name",
                "xds\0route_metadata\0filter_metadata\0acme.team\0name",
                Kind::Text,
            ),
            (
                "xds.node.metadata.LABELS['a/b']",
                "xds\0node\0metadata\0LABELS\0a/b",
                Kind::Text,
            ),
            ("plugin_name", "plugin_name", Kind::Text),
        ] {
            assert_eq!(property(text), (bytes.to_owned(), kind), "{text}");
        }
    }

    #[test]
    fn texts_and_numbers_stand_for_themselves() {
        assert_eq!(
            Expression::parse("'a b'"),
            Ok(Expression::Literal("a b".to_owned()))
        );
        assert_eq!(
            Expression::parse("\"it's\""),
            Ok(Expression::Literal("it's".to_owned()))
        );
        assert_eq!(
            Expression::parse("''"),
            Ok(Expression::Literal(String::new()))
        );
        assert_eq!(Expression::parse("1"), Ok(Expression::Number(1)));
        assert_eq!(
            Expression::parse("path_template"),
            Ok(Expression::PathTemplate)
        );
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "",
            ".",
            "request",
            "request.",
            "request.mehtod",
            "request.method.x",
            "request.headers",
            "request.headers.a.b",
            "request..method",
            "request.headers[a]",
            "request.headers['a'",
            "request.headers['']",
            "request.headers['a']x",
            "response.trailers['x']",
            "request.time",
            "xds.node",
            "metadata.filter_metadata.ns",
            "filter_state",
            "-1",
            "1x",
            "'a",
            "'a'b'",
            "'",
            "\"",
            "request.mehtod == 'GET'",
            "string(request.prot)",
            "'a' + response.code_detail",
            "99999999999999999999",
            "é",
            "[",
            "['a']",
            "'é",
        ] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_has_operators_or_calls_is_for_envoy_to_read() {
        for text in [
            "request.method == 'GET' ? 'read' : 'write'",
            "string(destination.port)",
            "request.headers['x-a'] + '.mehtod'",
            "'a' + request.path",
            "request.path.startsWith('/api')",
            "has(request.headers.x) && request.size > 10",
            "request.time.getHours()",
            "a | b",
            "metadata.filter_metadata.a.b.c == 1",
        ] {
            assert_eq!(
                Expression::parse(text),
                Ok(Expression::Cel(text.to_owned())),
                "{text}"
            );
        }
    }

    #[test]
    fn metrics_are_made_of_numbers() {
        for (text, number) in [
            ("1", true),
            ("response.size", true),
            ("request.duration", true),
            ("response.code", false),
            ("'1'", false),
            ("path_template", false),
            ("request.path", false),
            ("connection.mtls", false),
            ("metadata.filter_metadata.a.b", false),
            ("request.size + response.size", true),
        ] {
            assert_eq!(
                Expression::parse(text).unwrap().is_number(),
                number,
                "{text}"
            );
        }
    }
}
