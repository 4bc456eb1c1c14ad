use std::net::ToSocketAddrs;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use attache_control_plane::api::REQUIRED_HEADER;
use attache_control_plane::status::Fault;
use attache_envoy::http1::{self, Response};
use serde::de::DeserializeOwned;

/// The variable that says where the API is.
pub(super) const VARIABLE: &str = "ATTACHE_CONTROL_PLANE";
const DEFAULT: &str = "127.0.0.1:18001";
const DEFAULT_PORT: u16 = 18_001;
const LIMIT: Duration = Duration::from_secs(10);

/// The HTTP API of a control plane.
pub(super) struct Client {
    /// Host and port.
    authority: String,
}

impl Client {
    /// That of an address which was given, or of the environment, or on this machine.
    pub(super) fn new(given: Option<&str>) -> anyhow::Result<Self> {
        let variable = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
        let (text, origin) = match (given, &variable) {
            (Some(given), _) => (given, "--api"),
            (None, Some(variable)) => (variable.as_str(), VARIABLE),
            (None, None) => (DEFAULT, "--api"),
        };
        let authority =
            authority(text).with_context(|| format!("{origin} names no control plane"))?;
        Ok(Self { authority })
    }

    /// What is at a path.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask("GET", path)
    }

    /// Has something done.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask("POST", path)
    }

    fn ask<T: DeserializeOwned>(&self, method: &str, path: &str) -> anyhow::Result<T> {
        let response = self.exchange(method, path)?;
        let authority = &self.authority;
        let strange = || {
            format!(
                "what answers at `http://{authority}` is no control plane of this version: \
                 {method} {path} got status {}",
                response.status
            )
        };
        if response.status == 200 {
            return serde_json::from_slice(&response.body).with_context(strange);
        }
        match serde_json::from_slice::<Fault>(&response.body) {
            Ok(fault) => Err(anyhow!(fault.error)),
            Err(_) => bail!(strange()),
        }
    }

    fn exchange(&self, method: &str, path: &str) -> anyhow::Result<Response> {
        let authority = &self.authority;
        let length = if method == "POST" {
            "content-length: 0\r\n"
        } else {
            ""
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {authority}\r\naccept: application/json\r\n\
             {REQUIRED_HEADER}: command\r\n{length}connection: close\r\n\r\n"
        );
        let addresses = authority
            .to_socket_addrs()
            .with_context(|| format!("no address belongs to `{authority}`"))?;
        let mut last = None;
        for address in addresses {
            match http1::exchange(address, request.as_bytes(), LIMIT) {
                Ok(response) => return Ok(response),
                Err(error) => last = Some(error),
            }
        }
        let last = last.with_context(|| format!("no address belongs to `{authority}`"))?;
        Err(anyhow::Error::new(last).context(format!(
            "no control plane answers at `http://{authority}`; `attache control-plane serve` starts one, \
             --api or {VARIABLE} names another address"
        )))
    }
}

/// Host and port of an address as people write it.
fn authority(text: &str) -> anyhow::Result<String> {
    let rest = match text.split_once("://") {
        None => text,
        Some(("http", rest)) => rest,
        Some((scheme, _)) => bail!(
            "`{scheme}` is not spoken here, only http; a tunnel brings the API to this machine, \
             as `ssh -L 18001:127.0.0.1:18001 HOST` does"
        ),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter);
    if rest.is_empty() || !rest.chars().all(plain) {
        bail!("`{text}` is no address; it looks like `http://127.0.0.1:18001`, or `host:18001`");
    }
    let port = match rest.rsplit_once(':') {
        Some((host, port))
            if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) =>
        {
            Some(port)
        }
        _ => None,
    };
    match port {
        Some(port) if port.parse::<u16>().is_ok() => Ok(rest.to_owned()),
        Some(port) => bail!("`{port}` in `{text}` is no port; a port is a number up to 65535"),
        None if rest.contains(':') && !rest.starts_with('[') => {
            Ok(format!("[{rest}]:{DEFAULT_PORT}"))
        }
        None => Ok(format!("{rest}:{DEFAULT_PORT}")),
    }
}

/// A word as a part of a path.
pub(super) fn encoded(word: &str) -> String {
    let mut path = String::new();
    for byte in word.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, read) in [
            ("127.0.0.1:9", "127.0.0.1:9"),
            ("http://plane:9/", "plane:9"),
            ("plane", "plane:18001"),
            ("[::1]:9", "[::1]:9"),
            ("[::1]", "[::1]:18001"),
            ("::1", "[::1]:18001"),
        ] {
            assert_eq!(authority(text).unwrap(), read, "{text}");
        }
        for text in [
            "",
            "https://plane",
            "plane:x",
            "plane/v1",
            "plane:99999",
            "a b",
            "a\r\nb",
        ] {
            assert!(authority(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_encoded_for_a_path() {
        assert_eq!(encoded("my filter/ü"), "my%20filter%2F%C3%BC");
    }
}
