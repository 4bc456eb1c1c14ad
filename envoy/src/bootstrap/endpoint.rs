use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A server that Envoy connects to: `host:port`, where the host is a name or an
/// address, an IPv6 address in brackets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// The name or the address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is an address rather than a name to be resolved.
    #[must_use]
    pub fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }
}

/// A text is no `host:port`.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an upstream; write it like `127.0.0.1:8080` or `example.org:80`")]
#[non_exhaustive]
pub struct EndpointError {
    /// What was given.
    pub text: String,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (host, port) = text.rsplit_once(':')?;
            let port = port.parse().ok().filter(|port| *port != 0)?;
            let bracketed = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            let host = match bracketed {
                Some(address) => address.parse::<IpAddr>().ok()?.to_string(),
                None if host.is_empty() || host.contains([':', '/', '[', ' ']) => return None,
                None => host.to_owned(),
            };
            Some(Self { host, port })
        };
        parse().ok_or_else(|| EndpointError {
            text: text.to_owned(),
        })
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read_and_shown() {
        for (text, host, is_address) in [
            ("127.0.0.1:80", "127.0.0.1", true),
            ("[::1]:80", "::1", true),
            ("example.org:80", "example.org", false),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(
                (endpoint.host(), endpoint.port(), endpoint.is_address()),
                (host, 80, is_address)
            );
            assert_eq!(endpoint.to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused_with_an_example() {
        for text in [
            "",
            "host",
            ":80",
            "host:",
            "host:0",
            "host:99999",
            "::1:80",
            "http://host:80",
            "[host]:80",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(error.to_string().contains("`127.0.0.1:8080`"), "{error}");
        }
    }
}
