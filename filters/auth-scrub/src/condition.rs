//! Which requests a rule is for.

use attache::matching::{Expression, Matcher};

use crate::credentials::parts;
use crate::query;

/// What conditions ask of a request.
#[derive(Debug)]
pub(crate) struct Facts {
    method: Vec<u8>,
    authority: Vec<u8>,
    path: Vec<u8>,
    /// Whether upstreams may read another path than the one that stands there.
    ambiguous: bool,
    cluster: Option<Vec<u8>>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Holds {
    No,
    /// Some upstream may think so: what goes then goes, and what stays then does not.
    Maybe,
    Yes,
}

/// Lists each of which, if it is not empty, matches by one of its elements.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    pub(crate) authority: Vec<Matcher>,
    pub(crate) path: Vec<Matcher>,
    pub(crate) methods: Vec<Vec<u8>>,
    pub(crate) cluster: Vec<Matcher>,
}

impl Facts {
    /// `target` is the path with its query, `cluster` what Envoy has chosen, if it has.
    pub(crate) fn new(
        method: &[u8],
        authority: &[u8],
        target: &[u8],
        cluster: Option<Vec<u8>>,
    ) -> Self {
        let path = target
            .split(|byte| b"?#".contains(byte))
            .next()
            .unwrap_or_default();
        Self {
            method: method.to_vec(),
            authority: host(authority).to_ascii_lowercase(),
            path: path.to_vec(),
            ambiguous: is_ambiguous(path),
            cluster,
        }
    }
}

impl Condition {
    /// Whether it holds for all requests.
    pub(crate) fn is_empty(&self) -> bool {
        self.authority.is_empty()
            && self.path.is_empty()
            && self.methods.is_empty()
            && self.cluster.is_empty()
    }

    pub(crate) fn holds(&self, facts: &Facts) -> Holds {
        let any = |matchers: &[Matcher], text: &[u8]| {
            matchers.is_empty() || matchers.iter().any(|matcher| matcher.matches(text))
        };
        let methods = &self.methods;
        if !any(&self.authority, &facts.authority)
            || !(methods.is_empty() || methods.contains(&facts.method))
        {
            return Holds::No;
        }
        let mut holds = Holds::Yes;
        if !self.cluster.is_empty() {
            match &facts.cluster {
                Some(cluster) if any(&self.cluster, cluster) => {}
                Some(_) => return Holds::No,
                None => holds = Holds::Maybe,
            }
        }
        if !self.path.is_empty() {
            if facts.ambiguous {
                holds = Holds::Maybe;
            } else if !any(&self.path, &facts.path) {
                return Holds::No;
            }
        }
        holds
    }
}

/// A host without its port and its final dot.
fn host(authority: &[u8]) -> &[u8] {
    let authority = match authority.iter().rposition(|&byte| byte == b'@') {
        Some(sign) => authority.get(sign + 1..).unwrap_or_default(),
        None => authority,
    };
    let colon = authority.iter().rposition(|&byte| byte == b':');
    let is_port = |port: &[u8]| port.iter().all(u8::is_ascii_digit);
    let host = match colon.and_then(|colon| authority.split_at_checked(colon)) {
        Some((host, port)) if is_port(port.get(1..).unwrap_or_default()) => host,
        _ => authority,
    };
    host.strip_suffix(b".").unwrap_or(host)
}

/// Whether a path can be written otherwise: dot segments, empty ones, backslashes, parameters of
/// segments, escapes of what needs none or would be one of these, and ASCII in more bytes of UTF-8 than one.
/// Longer paths than patterns look at count too.
fn is_ambiguous(path: &[u8]) -> bool {
    if path.len() > Expression::LONGEST || path.iter().any(|byte| b"\\;".contains(byte)) {
        return true;
    }
    let mut segments = parts(path, b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if matches!(segment, b"." | b"..") || (segment.is_empty() && !is_last) {
            return true;
        }
    }
    let is_escaped = |three: &[u8]| match three {
        [b'%', high, low] => {
            let digits = [*high, *low].map(|digit| char::from(digit).to_digit(16));
            match digits {
                [Some(high), Some(low)] => u8::try_from(high << 4 | low).is_ok_and(|byte| {
                    byte.is_ascii_alphanumeric() || b"-._~/\\%;\0".contains(&byte)
                }),
                _ => true,
            }
        }
        _ => false,
    };
    let is_plain = path.iter().all(|&byte| byte.is_ascii() && byte != b'%');
    !is_plain && (path.windows(3).any(is_escaped) || query::is_overlong(path))
}

#[cfg(test)]
mod tests {
    use attache::matching::Kind;

    use super::*;

    fn prefix(text: &str) -> Vec<Matcher> {
        vec![Matcher::new(Kind::Prefix, text, false).unwrap()]
    }

    fn facts(path: &str) -> Facts {
        Facts::new(b"GET", b"Example.COM.:80", path.as_bytes(), None)
    }

    #[test]
    fn each_list_has_to_match() {
        let condition = Condition {
            authority: prefix("example."),
            path: prefix("/api"),
            methods: vec![b"POST".to_vec(), b"GET".to_vec()],
            cluster: Vec::new(),
        };
        assert_eq!(condition.holds(&facts("/api/x?y")), Holds::Yes);
        assert_eq!(condition.holds(&facts("/other?/api")), Holds::No);
        let put = Facts::new(b"PUT", b"example.com", b"/api", None);
        assert_eq!(condition.holds(&put), Holds::No);
        let other = Facts::new(b"GET", b"other", b"/api", None);
        assert_eq!(condition.holds(&other), Holds::No);
        assert_eq!(Condition::default().holds(&facts("//")), Holds::Yes);
    }

    #[test]
    fn a_path_that_can_be_read_otherwise_may_match() {
        let condition = Condition {
            path: prefix("/api"),
            ..Condition::default()
        };
        for path in [
            "/x/../api",
            "//api",
            "/%61pi",
            "/a%70i",
            "/x/%2e%2e/api",
            "/x%2fapi",
            "/.",
            "/api/..;/x",
            "\\api",
            "/x%5capi",
            "/%2561pi",
            "/x/%c0%ae%C0%AE/api",
            "/%c1%a1pi",
            "/x/%e0%80%ae%E0%80%AE/api",
            "/%f0%80%81%a1pi",
            "/%f8%80%80%81%a1pi",
            "/%fc%80%80%80%81%a1pi",
            "/%u0061pi",
            "/a%",
        ] {
            let path = path.to_owned() + "/x";
            assert_eq!(condition.holds(&facts(&path)), Holds::Maybe, "{path}");
        }
        for path in [
            "/x/api/",
            "/x%20y",
            "/x.y",
            "/...",
            "/",
            "/%c3%a9%e0%a4%85%f0%9f%98%80",
        ] {
            assert_eq!(condition.holds(&facts(path)), Holds::No, "{path}");
        }
    }

    #[test]
    fn an_unknown_cluster_may_match() {
        let condition = Condition {
            cluster: prefix("idp"),
            ..Condition::default()
        };
        let on = |cluster: Option<&[u8]>| {
            condition.holds(&Facts::new(b"GET", b"a", b"/", cluster.map(<[u8]>::to_vec)))
        };
        assert_eq!(on(None), Holds::Maybe);
        assert_eq!(on(Some(b"idp-2")), Holds::Yes);
        assert_eq!(on(Some(b"orders")), Holds::No);
    }

    #[test]
    fn a_host_has_no_port_and_no_final_dot() {
        for (authority, expected) in [
            ("a:80", "a"),
            ("a.:80", "a"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("u@a", "a"),
            ("a:b", "a:b"),
        ] {
            assert_eq!(host(authority.as_bytes()), expected.as_bytes());
        }
    }
}
