use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::discovered::Discovered;
use crate::http1::{self, Response};
use crate::stats_filter::{stats_literal, stats_path};

const LIMIT: Duration = Duration::from_secs(10);

/// Why Envoy's admin endpoint gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// It could not be asked.
    #[error("Envoy's admin endpoint does not answer `{path}`")]
    Exchange {
        /// What it was asked for.
        path: String,
        /// Why.
        source: http1::Error,
    },
    /// It answered something else.
    #[error(
        "Envoy's admin endpoint answers `{path}` with status {status} and something other than expected: `{start}`"
    )]
    Answer {
        /// What it was asked for.
        path: String,
        /// The status.
        status: u16,
        /// How the answer begins.
        start: String,
    },
    /// There is no listener of this name that listens.
    #[error("Envoy has no listener `{name}`, it has {known}")]
    NoListener {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
}

/// The admin endpoint of a running Envoy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admin {
    address: SocketAddr,
}

/// What Envoy has counted about a discovered plugin.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Discovery {
    /// Files whose content was taken for applied.
    pub(super) success: u64,
    /// Files with a resource that was refused.
    pub(super) rejected: u64,
    /// Files that could not be read as a discovery response.
    pub(super) failure: u64,
    /// Times that Envoy tried to apply a resource, because it had changed.
    pub(super) reload: u64,
}

impl Discovery {
    pub(super) fn refused(self) -> u64 {
        self.rejected + self.failure
    }
}

impl Admin {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    pub(super) fn address(self) -> SocketAddr {
        self.address
    }

    pub(super) fn get(self, path: &str) -> Result<Response, AdminError> {
        let address = self.address;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        http1::exchange(address, request.as_bytes(), LIMIT).map_err(|source| AdminError::Exchange {
            path: path.to_owned(),
            source,
        })
    }

    fn listener_statuses(self) -> Result<Vec<Value>, AdminError> {
        let path = "/listeners?format=json";
        let answer = self.get(path)?;
        let parsed: Option<Value> = serde_json::from_slice(&answer.body).ok();
        match parsed.as_ref().map(|value| &value["listener_statuses"]) {
            Some(Value::Array(statuses)) => Ok(statuses.clone()),
            // Envoy leaves out a list that is empty.
            Some(Value::Null) => Ok(Vec::new()),
            _ => Err(unexpected(path, &answer)),
        }
    }

    pub(super) fn listeners(self) -> Result<Vec<(String, SocketAddr)>, AdminError> {
        let statuses = self.listener_statuses()?;
        let bound = |status: &Value| {
            let name = status["name"].as_str()?.to_owned();
            Some((name, socket_address(status)?))
        };
        Ok(statuses.iter().filter_map(bound).collect())
    }

    pub(super) fn listener_address(self, name: &str) -> Result<SocketAddr, AdminError> {
        let statuses = self.listener_statuses()?;
        let wanted = statuses.iter().find(|status| status["name"] == name);
        wanted.and_then(socket_address).ok_or_else(|| {
            let names = statuses.iter().filter_map(|status| status["name"].as_str());
            let known: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            AdminError::NoListener {
                name: name.to_owned(),
                known,
            }
        })
    }

    pub(super) fn stat(self, name: &str) -> Result<Option<u64>, AdminError> {
        let found = self.stats(&format!("^{}$", stats_literal(name)))?;
        Ok(found
            .into_iter()
            .find_map(|(found, value)| (found == name).then_some(value)))
    }

    pub(super) fn discovery(self, place: &Discovered) -> Result<Discovery, AdminError> {
        let prefix = place.statistics();
        let mut seen = Discovery::default();
        for (name, value) in self.stats(&format!("^{}", stats_literal(&prefix)))? {
            match name.strip_prefix(&prefix) {
                Some("update_success") => seen.success = value,
                Some("update_rejected") => seen.rejected = value,
                Some("update_failure") => seen.failure = value,
                Some("config_reload") => seen.reload = value,
                _ => {}
            }
        }
        Ok(seen)
    }

    pub(super) fn counters(self, prefix: &str) -> Result<Vec<(String, u64)>, AdminError> {
        let path = stats_path(&format!("^{}", stats_literal(prefix)));
        let found = self.ask(&format!("{path}&type=Counters"))?;
        let own =
            |(name, value): (String, u64)| Some((name.strip_prefix(prefix)?.to_owned(), value));
        Ok(found.into_iter().filter_map(own).collect())
    }

    /// The counters and gauges whose names match a regular expression.
    fn stats(self, pattern: &str) -> Result<Vec<(String, u64)>, AdminError> {
        self.ask(&stats_path(pattern))
    }

    fn ask(self, path: &str) -> Result<Vec<(String, u64)>, AdminError> {
        let answer = self.get(path)?;
        if answer.status != 200 {
            return Err(unexpected(path, &answer));
        }
        let text = answer.text();
        // A name may hold a colon, a value of these kinds may not.
        let pairs = text.lines().filter_map(|line| line.rsplit_once(": "));
        Ok(pairs
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect())
    }
}

fn unexpected(path: &str, answer: &Response) -> AdminError {
    AdminError::Answer {
        path: path.to_owned(),
        status: answer.status,
        start: answer.text().chars().take(80).collect(),
    }
}

fn socket_address(status: &Value) -> Option<SocketAddr> {
    let address = &status["local_address"]["socket_address"];
    let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
    Some(SocketAddr::new(
        address["address"].as_str()?.parse().ok()?,
        port,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Reply, Upstream};

    #[test]
    fn an_unknown_listener_is_answered_with_the_known_ones() {
        let json = r#"{"listener_statuses":[{"name":"a","local_address":{"socket_address":{"address":"127.0.0.1","port_value":7}}}]}"#;
        let upstream = Upstream::start(move |_| Reply::new(200).body(json)).unwrap();
        let admin = Admin::new(upstream.address());
        assert_eq!(
            admin.listener_address("a").unwrap(),
            "127.0.0.1:7".parse().unwrap()
        );
        let message = admin.listener_address("b").unwrap_err().to_string();
        assert_eq!(message, "Envoy has no listener `b`, it has `a`");
    }

    #[test]
    fn a_name_is_asked_for_literally() {
        let upstream =
            Upstream::start(|_| Reply::new(200).body("a.b:c: 12\naxb:c: 3\nh: P0(nan,1)\n"))
                .unwrap();
        assert_eq!(
            Admin::new(upstream.address()).stat("a.b:c").unwrap(),
            Some(12)
        );
        let asked = upstream.take().remove(0).target;
        assert_eq!(asked, b"/stats?filter=%5Ea%5C%2Eb%5C%3Ac%24");
    }

    #[test]
    fn an_answer_that_is_no_json_is_shown() {
        let upstream = Upstream::start(|_| Reply::new(500).body("oh")).unwrap();
        let error = Admin::new(upstream.address())
            .listener_address("a")
            .unwrap_err();
        assert!(
            error.to_string().contains("status 500") && error.to_string().contains("`oh`"),
            "{error}"
        );
    }
}
