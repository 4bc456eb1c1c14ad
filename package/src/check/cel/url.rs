//! Addresses as Go's `url.ParseRequestURI` reads them, which is what `isURL` and `url` of Kubernetes are.

/// An address, in its parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::check) struct Address {
    pub(super) scheme: String,
    /// With its port.
    pub(super) host: String,
    pub(super) path: String,
}

impl Address {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return None;
        }
        let (scheme, rest) = scheme(text)?;
        let rest = rest.split('?').next().unwrap_or_default();
        let scheme = scheme.to_ascii_lowercase();
        if !rest.starts_with('/') {
            // Without a scheme it is no address; with one, nobody looks into the rest.
            return (!scheme.is_empty()).then(|| Self {
                scheme,
                ..Self::default()
            });
        }
        let (host, path) = match rest.strip_prefix("//") {
            Some(rest) if !scheme.is_empty() || !rest.starts_with('/') => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
                let fits = |symbol: char| {
                    symbol.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(symbol)
                };
                if !user.chars().all(fits) || !is_escaped(user) {
                    return None;
                }
                (is_host(host).then_some(host)?, path)
            }
            _ => ("", rest),
        };
        is_escaped(path).then(|| Self {
            scheme,
            host: host.to_owned(),
            path: path.to_owned(),
        })
    }

    /// The host without its port and brackets.
    pub(super) fn hostname(&self) -> &str {
        let host = match self.host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host,
            _ => &self.host,
        };
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((_, port)) if !port.contains(']') => port,
            _ => "",
        }
    }
}

/// What stands before the first colon, where it can be a scheme; none at all where it cannot be an address.
fn scheme(text: &str) -> Option<(&str, &str)> {
    for (at, symbol) in text.char_indices() {
        match symbol {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at > 0 => return Some((&text[..at], &text[at + 1..])),
            ':' => return None,
            _ => break,
        }
    }
    Some(("", text))
}

fn is_host(host: &str) -> bool {
    let port = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((_, behind)) => behind,
            None => return false,
        },
        None => host.find(':').map_or("", |at| &host[at..]),
    };
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|digit| digit.is_ascii_digit()));
    let fits = |symbol: char| {
        symbol.is_ascii_alphanumeric()
            || !symbol.is_ascii()
            || "-._~!$&'()*+,;=:[]<>\"%".contains(symbol)
    };
    is_port && host.chars().all(fits) && is_escaped(host)
}

/// Whether each `%` begins two hexadecimal digits.
fn is_escaped(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let bytes = rest.as_bytes();
        bytes.len() >= 2 && bytes[..2].iter().all(u8::is_ascii_hexdigit)
    })
}
