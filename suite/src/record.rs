//! Suites made of traffic that was seen.

use std::collections::{BTreeMap, BTreeSet};

use attache_envoy::StandIns;
use serde_json::Value;

use crate::yaml::Yaml;

/// What becomes a suite, and how.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Recording {
    /// The package, or the path of the module as the suite is to name it.
    pub plugin: RecordedPlugin,
    /// The plugin's configuration, as JSON.
    pub configuration: Option<Value>,
    /// Only requests whose URL contains this.
    pub only: Option<String>,
    /// Whether bodies are kept.
    pub bodies: bool,
    /// Whether secrets are kept, and not replaced by stand-ins.
    pub secrets: bool,
}

/// Which plugin a recorded suite is about.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RecordedPlugin {
    /// A package that is built.
    Package(String),
    /// A module, by its path from the suite.
    Module(String),
}

impl Default for RecordedPlugin {
    fn default() -> Self {
        Self::Package(String::new())
    }
}

/// A suite, and what did not become part of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// The suite.
    pub text: String,
    /// How many cases it has.
    pub cases: usize,
    /// How many secrets have a stand-in.
    pub secrets: usize,
    /// What was left out, in words.
    pub left: Vec<String>,
}

/// Why traffic cannot become a suite.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It is not JSON.
    #[error("it is not JSON, as HAR files are")]
    Json(#[from] serde_json::Error),
    /// It is JSON of another kind.
    #[error("it is no HAR file: expected `log.entries`, a list of requests with their responses")]
    Har,
    /// No request is left.
    #[error("none of its {requests} requests became a case{}", only.as_ref().map_or_else(String::new, |only| format!("; those with `{only}` in their URL were asked for")))]
    Nothing {
        /// How many there are.
        requests: usize,
        /// What was asked for.
        only: Option<String>,
    },
}

/// Headers that belong to a connection, or to how a body was sent.
const OF_CONNECTION: [&str; 12] = [
    "connection",
    "content-length",
    "date",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

impl Recording {
    /// A recording for this plugin.
    #[must_use]
    pub fn new(plugin: RecordedPlugin) -> Self {
        Self {
            plugin,
            ..Self::default()
        }
    }

    /// Makes a suite of a HAR file: a case for each request, without expectations. What the upstream answers is
    /// what was answered. Secrets become stand-ins, and bodies are left out, unless asked for.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub fn suite(&self, har: &str) -> Result<Recorded, RecordError> {
        let har: Value = serde_json::from_str(har)?;
        let Some(entries) = har["log"]["entries"].as_array() else {
            return Err(RecordError::Har);
        };
        let mut writer = Writer {
            recording: self,
            secrets: StandIns::default(),
            names: BTreeMap::new(),
            seen: BTreeSet::new(),
            left: BTreeMap::new(),
        };
        let cases: Vec<Yaml> = entries
            .iter()
            .filter_map(|entry| writer.case(entry))
            .collect();
        if cases.is_empty() {
            return Err(RecordError::Nothing {
                requests: entries.len(),
                only: self.only.clone(),
            });
        }
        let count = cases.len();
        let mut plugin = vec![match &self.plugin {
            RecordedPlugin::Package(name) => ("package".to_owned(), Yaml::text(name.as_str())),
            RecordedPlugin::Module(path) => ("module".to_owned(), Yaml::text(path.as_str())),
        }];
        if let Some(configuration) = &self.configuration {
            plugin.push(("configuration".to_owned(), yaml(configuration)));
        }
        let suite = Yaml::Map(vec![
            ("version".to_owned(), Yaml::text("1")),
            ("plugins".to_owned(), Yaml::List(vec![Yaml::Map(plugin)])),
            ("cases".to_owned(), Yaml::List(cases)),
        ]);
        let Yaml::Map(parts) = suite else {
            return Err(RecordError::Har);
        };
        let part = |(key, value): &(String, Yaml)| format!("{key}:{}\n", value.block(0));
        let parts: Vec<String> = parts.iter().map(part).collect();
        let left = writer.left.into_iter();
        Ok(Recorded {
            text: parts.join("\n"),
            cases: count,
            secrets: writer.secrets.count(),
            left: left
                .map(|(what, count)| format!("{count} {what}"))
                .collect(),
        })
    }
}

struct Writer<'a> {
    recording: &'a Recording,
    secrets: StandIns,
    names: BTreeMap<String, usize>,
    /// Cases that are there already, but for their names.
    seen: BTreeSet<String>,
    left: BTreeMap<&'static str, usize>,
}

impl Writer<'_> {
    fn case(&mut self, entry: &Value) -> Option<Yaml> {
        let request = &entry["request"];
        let (method, url) = (request["method"].as_str()?, request["url"].as_str()?);
        let only = self.recording.only.as_deref();
        if only.is_some_and(|part| !url.contains(part)) {
            return None;
        }
        let Some((authority, target)) = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"))
            .map(split)
        else {
            return self.leave("requests of other protocols than HTTP");
        };
        let status = entry["response"]["status"].as_u64().unwrap_or(0);
        if method == "CONNECT" || status == 101 {
            return self.leave("tunnels");
        }
        let target = if self.recording.secrets {
            target
        } else {
            self.secrets.target(&target)
        };
        let mut told = vec![("path".to_owned(), Yaml::text(target.as_str()))];
        if method != "GET" {
            told.insert(0, ("method".to_owned(), Yaml::text(method)));
        }
        let mut headers = self.headers(&request["headers"], true);
        if !headers.iter().any(|(name, _)| name == "host") {
            headers.insert(0, ("host".to_owned(), Yaml::text(authority)));
        }
        told.push(("headers".to_owned(), Yaml::Map(headers)));
        let kind = request["postData"]["mimeType"].as_str().unwrap_or_default();
        let body = request["postData"]["text"].as_str().unwrap_or_default();
        told.extend(self.body(kind, body));

        let mut case = vec![("request".to_owned(), Yaml::Map(told))];
        // Where a filter answered, nobody knows what the upstream would have.
        let replied = entry["comment"].as_str() == Some(NOT_RECEIVED);
        if (200..600).contains(&status) && !replied {
            case.push((
                "upstream".to_owned(),
                self.answer(&entry["response"], status),
            ));
        }
        let told = Yaml::Map(case.clone()).flow();
        if !self.seen.insert(told) {
            return self.leave("requests that are like another one");
        }
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let name = self.name(&format!("{method} {path}"));
        case.insert(0, ("name".to_owned(), Yaml::text(name)));
        Some(Yaml::Map(case))
    }

    fn answer(&mut self, response: &Value, status: u64) -> Yaml {
        let mut answer = vec![("status".to_owned(), Yaml::word(status))];
        let headers = self.headers(&response["headers"], false);
        if !headers.is_empty() {
            answer.push(("headers".to_owned(), Yaml::Map(headers)));
        }
        let content = &response["content"];
        // In Base64 it is no text, which is all that a person wants to keep.
        if content["encoding"].is_null() {
            let kind = content["mimeType"].as_str().unwrap_or_default();
            let body = content["text"].as_str().unwrap_or_default();
            answer.extend(self.body(kind, body));
        }
        Yaml::Map(answer)
    }

    /// By name, each with all its values; in the order in which names come first.
    fn headers(&mut self, list: &Value, is_request: bool) -> Vec<(String, Yaml)> {
        let mut all: Vec<(String, Vec<Yaml>)> = Vec::new();
        for header in list.as_array().into_iter().flatten() {
            let (Some(name), Some(value)) = (header["name"].as_str(), header["value"].as_str())
            else {
                continue;
            };
            let name = name.to_ascii_lowercase();
            // Bodies are kept as they are read, and so without their coding.
            let coded = !is_request && name == "content-encoding";
            let token =
                |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
            if name.starts_with(':') || coded || OF_CONNECTION.contains(&name.as_str()) {
                continue;
            }
            if !name.bytes().all(token) || value.contains(char::is_control) {
                self.leave::<()>("headers that no client can send");
                continue;
            }
            // Browsers write values of one name on lines of their own.
            for value in value.split('\n') {
                let value = match self.recording.secrets {
                    true => value.to_owned(),
                    false => self.secrets.header(&name, value),
                };
                let value = Yaml::text(value);
                match all.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, values)) => values.push(value),
                    None => all.push((name.clone(), vec![value])),
                }
            }
        }
        let one = |(name, mut values): (String, Vec<Yaml>)| match values.pop() {
            Some(value) if values.is_empty() => (name, value),
            last => (name, Yaml::List(values.into_iter().chain(last).collect())),
        };
        all.into_iter().map(one).collect()
    }

    fn body(&mut self, kind: &str, body: &str) -> Option<(String, Yaml)> {
        if body.is_empty() {
            return None;
        }
        if !self.recording.bodies {
            return self.leave("bodies; --bodies keeps them");
        }
        let body = match self.recording.secrets {
            true => body.to_owned(),
            false => self.secrets.body(kind, body),
        };
        Some(("body".to_owned(), Yaml::text(body)))
    }

    /// A name that no other case has.
    fn name(&mut self, name: &str) -> String {
        let count = self.names.entry(name.to_owned()).or_default();
        *count += 1;
        match count {
            1 => name.to_owned(),
            count => format!("{name}, {count}"),
        }
    }

    fn leave<T>(&mut self, what: &'static str) -> Option<T> {
        *self.left.entry(what).or_default() += 1;
        None
    }
}

/// What `attache run --har` says of a request that the upstream did not receive.
const NOT_RECEIVED: &str = "the upstream received nothing";

/// The authority without its user, and the target without its fragment.
fn split(rest: &str) -> (String, String) {
    let rest = rest.split('#').next().unwrap_or_default();
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(at);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let target = match target.starts_with('/') {
        true => target.to_owned(),
        false => format!("/{target}"),
    };
    (host.to_owned(), target)
}

fn yaml(value: &Value) -> Yaml {
    match value {
        Value::Object(map) => Yaml::Map(
            map.iter()
                .map(|(key, value)| (key.clone(), yaml(value)))
                .collect(),
        ),
        Value::Array(list) => Yaml::List(list.iter().map(yaml).collect()),
        Value::String(text) => Yaml::text(text.as_str()),
        other => Yaml::word(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::suite::Suite;

    fn har() -> Value {
        let header = |name: &str, value: &str| json!({"name": name, "value": value});
        json!({"log": {"entries": [
            {
                "request": {
                    "method": "GET", "url": "https://shop.example/orders?page=2&token=t0ken-t0ken#x",
                    "headers": [
                        header(":path", "/orders"), header("Accept", "*/*"), header("Connection", "close"),
                        header("Authorization", "Bearer abc"), header("X-Many", "1"), header("x-many", "2"),
                    ],
                },
                "response": {
                    "status": 200,
                    "headers": [
                        header("content-encoding", "br"), header("set-cookie", "sid=s; Path=/"),
                        header("content-type", "application/json"),
                    ],
                    "content": {"mimeType": "application/json", "text": "{\"token\":\"t0ken-t0ken\"}"},
                },
            },
            {
                "request": {
                    "method": "POST", "url": "http://shop.example/orders", "headers": [header("Host", "shop")],
                    "postData": {"mimeType": "application/json", "text": "{\"password\":\"p\"}"},
                },
                "response": {"status": 403, "headers": [], "content": {}},
                "comment": "the upstream received nothing",
            },
            {
                "request": {"method": "GET", "url": "ws://shop.example/live", "headers": []},
                "response": {"status": 101},
            },
            {
                "request": {
                    "method": "POST", "url": "http://shop.example/orders", "headers": [header("Host", "shop")],
                    "postData": {"mimeType": "application/json", "text": "{\"password\":\"p\"}"},
                },
                "response": {"status": 403, "headers": [], "content": {}},
                "comment": "the upstream received nothing",
            },
        ]}})
    }

    fn recording() -> Recording {
        Recording::new(RecordedPlugin::Package("auth-scrub".to_owned()))
    }

    #[test]
    fn requests_become_cases_without_secrets_and_bodies() {
        let recorded = recording().suite(&har().to_string()).unwrap();
        let expected = r#"version: "1"

plugins:
  - package: auth-scrub

cases:
  - name: "GET /orders"
    request:
      path: "/orders?page=2&token=stand-in-1"
      headers:
        host: shop.example
        accept: "*/*"
        authorization: "Bearer stand-in-2"
        x-many: ["1", "2"]
    upstream:
      status: 200
      headers:
        set-cookie: "sid=stand-in-3; Path=/"
        content-type: application/json
  - name: "POST /orders"
    request:
      method: POST
      path: /orders
      headers:
        host: shop
"#;
        assert_eq!(recorded.text, expected);
        assert_eq!((recorded.cases, recorded.secrets), (2, 3));
        assert_eq!(
            recorded.left,
            [
                "3 bodies; --bodies keeps them",
                "1 requests of other protocols than HTTP",
                "1 requests that are like another one",
            ]
        );
        let suite = Suite::from_text("recorded.suite.yaml", recorded.text).unwrap();
        assert_eq!(suite.cases().len(), 2);
    }

    #[test]
    fn bodies_lose_secrets_too_and_what_is_asked_for_stays() {
        let mut recording = recording();
        recording.bodies = true;
        let recorded = recording.suite(&har().to_string()).unwrap();
        assert!(!recorded.text.contains("t0ken") && !recorded.text.contains(r#"\"p\""#));
        assert!(
            recorded
                .text
                .contains(r#"body: "{\"token\":\"stand-in-1\"}""#),
            "{}",
            recorded.text
        );
        recording.secrets = true;
        recording.only = Some("page=2".to_owned());
        recording.configuration = Some(json!({"rules": []}));
        let recorded = recording.suite(&har().to_string()).unwrap();
        assert_eq!(recorded.cases, 1);
        assert!(recorded.text.contains("token=t0ken-t0ken"));
        assert!(
            recorded
                .text
                .contains("    configuration:\n      rules: []\n"),
            "{}",
            recorded.text
        );
    }

    #[test]
    fn what_is_no_traffic_is_refused() {
        let refused = |text: &str| recording().suite(text).unwrap_err().to_string();
        assert!(refused("x").contains("not JSON"));
        assert!(refused("{}").contains("`log.entries`"));
        assert!(refused(r#"{"log":{"entries":[]}}"#).contains("none of its 0 requests"));
        let mut other = recording();
        other.only = Some("nowhere".to_owned());
        let error = other.suite(&har().to_string()).unwrap_err();
        assert!(error.to_string().contains("`nowhere` in their URL"));
    }
}
