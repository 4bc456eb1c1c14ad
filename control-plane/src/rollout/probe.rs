use std::collections::BTreeMap;

use attache_module::harmless;
use hyper::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::GENERATION;

/// A request that shows which version a worker runs, for modules that do not count what they configure.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Probe {
    /// The port of the listener, on the host that an Envoy connects from; or what the Envoy's node says.
    #[serde(default)]
    pub port: Option<u16>,
    /// The path.
    #[serde(default = "root")]
    pub path: String,
    /// The header `host`; or the address.
    #[serde(default)]
    pub host: Option<String>,
    /// What the version answers, and no other.
    pub expect: Answer,
}

/// What tells a version by its answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Answer {
    /// The status.
    #[serde(default)]
    pub status: Option<u16>,
    /// Headers, each with one value among those that it has.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

fn root() -> String {
    "/".to_owned()
}

/// In values of headers, the number of the push, which the module finds in its environment.
fn placeholder() -> String {
    format!("${GENERATION}")
}

impl Probe {
    /// What is wrong with it, and what was expected.
    pub(super) fn fault(&self) -> Option<String> {
        let answer = &self.expect;
        if answer.status.is_none() && answer.headers.is_empty() {
            return Some("`probe.expect` is empty; `status` or `headers` tells the version".into());
        }
        if self.port == Some(0) {
            return Some("`probe.port` is 0".to_owned());
        }
        if let Some(status) = answer.status.filter(|status| !(100..600).contains(status)) {
            return Some(format!(
                "`probe.expect.status` is {status}, expected a status of 100 to 599"
            ));
        }
        let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.path.starts_with('/') || !is_visible(&self.path) {
            let path = &self.path;
            return Some(format!(
                "`probe.path` is `{path}`, expected a path that begins with `/`, without blanks"
            ));
        }
        if let Some(host) = self.host.as_ref().filter(|host| !is_visible(host)) {
            return Some(format!("`probe.host` is `{host}`, which is no host"));
        }
        answer.headers.iter().find_map(|(name, value)| {
            let what = if HeaderName::try_from(name).is_err() {
                format!("`{}`, which is no name of a header", harmless(name))
            } else if HeaderValue::try_from(value).is_err() || value.trim() != value {
                format!("a value of `{name}` that no header has")
            } else {
                return None;
            };
            Some(format!("`probe.expect.headers` has {what}"))
        })
    }

    /// Whether no other push can be answered alike.
    pub(crate) fn names_the_generation(&self) -> bool {
        let mut values = self.expect.headers.values();
        values.any(|value| value.contains(&placeholder()))
    }

    /// What an answer has that is not this version's, pushed as this generation; nothing if it is its own.
    pub(crate) fn difference<'h>(
        &self,
        generation: u64,
        status: u16,
        headers: impl Fn(&str) -> Vec<&'h [u8]>,
    ) -> Option<String> {
        if let Some(wanted) = self.expect.status
            && wanted != status
        {
            return Some(format!("status {status}, not {wanted}"));
        }
        let number = generation.to_string();
        self.expect.headers.iter().find_map(|(name, value)| {
            let wanted = value.replace(&placeholder(), &number);
            let values = headers(name);
            match values.first() {
                _ if values.contains(&wanted.as_bytes()) => None,
                None => Some(format!("status {status} without `{name}`")),
                Some(found) => {
                    let found = String::from_utf8_lossy(&found[..found.len().min(100)]);
                    let found = harmless(&found);
                    Some(format!("`{name}: {found}`, not `{wanted}`"))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(text: &str) -> Probe {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_answer_is_the_versions_when_status_and_headers_are() {
        let probe = probe(r#"{"expect":{"status":200,"headers":{"x-build":"7"}}}"#);
        let of = |status, value: &'static [u8]| probe.difference(1, status, |_| vec![value]);
        assert_eq!(of(200, b"7"), None);
        assert_eq!(of(503, b"7").unwrap(), "status 503, not 200");
        assert_eq!(of(200, b"6").unwrap(), "`x-build: 6`, not `7`");
        let none = probe.difference(1, 200, |_| Vec::new());
        assert_eq!(none.unwrap(), "status 200 without `x-build`");
        let both = probe.difference(1, 200, |_| vec![b"6", b"7"]);
        assert_eq!(both, None, "one value among those that it has");
    }

    #[test]
    fn a_value_can_be_the_generation() {
        let probe = probe(r#"{"expect":{"headers":{"x-build":"b-$ATTACHE_GENERATION"}}}"#);
        assert!(probe.names_the_generation());
        assert_eq!(probe.difference(12, 200, |_| vec![b"b-12"]), None);
        assert!(probe.difference(13, 200, |_| vec![b"b-12"]).is_some());
    }

    #[test]
    fn what_tells_nothing_is_refused() {
        for (text, said) in [
            (r#"{"expect":{}}"#, "`probe.expect` is empty"),
            (r#"{"port":0,"expect":{"status":200}}"#, "`probe.port` is 0"),
            (
                r#"{"path":"x","expect":{"status":200}}"#,
                "`probe.path` is `x`",
            ),
            (
                r#"{"path":"/ x","expect":{"status":200}}"#,
                "without blanks",
            ),
            (r#"{"host":"a\r\nb","expect":{"status":200}}"#, "no host"),
            (
                r#"{"expect":{"headers":{"a b":"c"}}}"#,
                "no name of a header",
            ),
            (
                r#"{"expect":{"headers":{":status":"200"}}}"#,
                "no name of a header",
            ),
            (
                r#"{"expect":{"headers":{"a":"b\nc"}}}"#,
                "that no header has",
            ),
            (r#"{"expect":{"headers":{"a":" b"}}}"#, "that no header has"),
            (r#"{"expect":{"status":600}}"#, "expected a status"),
        ] {
            let fault = probe(text).fault().unwrap();
            assert!(fault.contains(said), "{fault}");
        }
        assert!(probe(r#"{"expect":{"status":200}}"#).fault().is_none());
    }
}
