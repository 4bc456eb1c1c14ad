use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::message::Values;
use super::text::MATCHERS;
use super::{Headers, Matcher, Text};

/// What must be seen of a case.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "what must be seen, such as `upstream` and `response`"
)]
pub(crate) struct CaseExpect {
    /// How the request ended; `answered` unless set.
    pub(crate) outcome: Option<OutcomeExpect>,
    /// The request as the upstream received it, or `none`.
    pub(crate) upstream: Option<UpstreamExpect>,
    /// The response as the client received it.
    pub(crate) response: Option<ResponseExpect>,
    /// What Envoy's access log says about the request.
    pub(crate) access_log: Option<AccessExpect>,
    /// What only the harness can tell; not looked at on Envoy.
    pub(crate) harness: Option<HarnessExpect>,
    /// All lines that filters log from the first request on, in order.
    pub(crate) log: Option<Vec<LineExpect>>,
    /// Lines among those that filters log.
    pub(crate) log_has: Option<Vec<LineExpect>>,
    /// What no line may be like.
    pub(crate) log_lacks: Option<Vec<LineExpect>>,
    /// How much counters (`wasmcustom.<name>`) grow from the first request on.
    pub(crate) counters: Option<BTreeMap<String, u64>>,
    /// What gauges (`wasmcustom.<name>`) are in the end.
    pub(crate) gauges: Option<BTreeMap<String, u64>>,
    /// How many values histograms (`wasmcustom.<name>`) take from the first request on.
    pub(crate) histograms: Option<BTreeMap<String, u64>>,
    /// All requests that clusters received from the first request on, by the cluster's name, in the
    /// order in which they came; `[]` for none.
    pub(crate) clusters: Option<BTreeMap<String, Vec<RequestExpect>>>,
    /// The chain does not start, and one line of the log is like this. Nothing else is expected then.
    pub(crate) refused: Option<Matcher>,
    /// Envoy crashes; the harness says so, in words like these.
    pub(crate) crash: Option<Matcher>,
    /// The harness stops at what Envoy would survive and its operator not: a callback without an end,
    /// a peer that hangs, a call with an effect that nobody can want; in words like these. Not played
    /// on Envoy.
    pub(crate) stopped: Option<Matcher>,
}

/// What must be seen of one request among several.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "what must be seen, such as `upstream` and `response`"
)]
pub(crate) struct StreamExpect {
    /// How the request ended; `answered` unless set, or `abandoned` where its client goes away.
    pub(crate) outcome: Option<OutcomeExpect>,
    /// The request as the upstream received it, or `none`.
    pub(crate) upstream: Option<UpstreamExpect>,
    /// The response as the client received it.
    pub(crate) response: Option<ResponseExpect>,
    /// What Envoy's access log says about the request.
    pub(crate) access_log: Option<AccessExpect>,
    /// What only the harness can tell; not looked at on Envoy.
    pub(crate) harness: Option<HarnessExpect>,
}

impl CaseExpect {
    /// What is expected of the case's only request.
    pub(crate) fn stream(&self) -> StreamExpect {
        StreamExpect {
            outcome: self.outcome,
            upstream: self.upstream.clone(),
            response: self.response.clone(),
            access_log: self.access_log.clone(),
            harness: self.harness.clone(),
        }
    }

    /// The keys with which nothing else is expected.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (&'static str, &Matcher)> {
        [
            ("refused", &self.refused),
            ("crash", &self.crash),
            ("stopped", &self.stopped),
        ]
        .into_iter()
        .filter_map(|(key, expected)| Some((key, expected.as_ref()?)))
    }

    /// The first key that is about one request.
    pub(crate) fn stream_key(&self) -> Option<&'static str> {
        [
            ("outcome", self.outcome.is_some()),
            ("upstream", self.upstream.is_some()),
            ("response", self.response.is_some()),
            ("access_log", self.access_log.is_some()),
            ("harness", self.harness.is_some()),
        ]
        .into_iter()
        .find_map(|(key, given)| given.then_some(key))
    }
}

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeExpect {
    /// With a whole response.
    Answered,
    /// With a cut connection.
    Reset,
    /// Not at all: a filter or the upstream holds it.
    Held,
    /// The client went away.
    Abandoned,
}

impl OutcomeExpect {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Reset => "reset",
            Self::Held => "held",
            Self::Abandoned => "abandoned",
        }
    }
}

/// What the upstream received: keys, or the word `none` for nothing at all.
#[derive(Clone, Debug)]
pub(crate) enum UpstreamExpect {
    None,
    Request(Box<RequestExpect>),
}

impl<'de> Deserialize<'de> for UpstreamExpect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = UpstreamExpect;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`none`, or the keys of a request")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<UpstreamExpect, E> {
                match text {
                    "none" => Ok(UpstreamExpect::None),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<UpstreamExpect, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                RequestExpect::deserialize(map)
                    .map(|request| UpstreamExpect::Request(Box::new(request)))
            }
        }
        deserializer.deserialize_str(Form)
    }
}

/// What a request is like. `date`, `x-request-id` and `x-envoy-upstream-service-time` are never
/// looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a request, such as `path`"
)]
pub(crate) struct RequestExpect {
    /// The method.
    pub(crate) method: Option<Matcher>,
    /// Path and query.
    pub(crate) path: Option<Matcher>,
    /// Headers by name, each with all its values; there may be others.
    #[serde(default)]
    pub(crate) headers: HeaderExpect,
    /// Names of headers that are not there.
    #[serde(default)]
    pub(crate) lacks: Vec<String>,
    /// All header lines in order.
    pub(crate) all_headers: Option<Headers>,
    /// The whole body.
    pub(crate) body: Option<Matcher>,
    /// The messages of a gRPC call, in the place of its body.
    pub(crate) messages: Option<Vec<Matcher>>,
    /// All trailers in order; `{}` for none.
    pub(crate) trailers: Option<Headers>,
}

/// What a response is like. `date`, `x-request-id` and `x-envoy-upstream-service-time` are never
/// looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a response, such as `status`"
)]
pub(crate) struct ResponseExpect {
    /// The status code.
    pub(crate) status: Option<u32>,
    /// Headers by name, each with all its values; there may be others.
    #[serde(default)]
    pub(crate) headers: HeaderExpect,
    /// Names of headers that are not there.
    #[serde(default)]
    pub(crate) lacks: Vec<String>,
    /// All header lines in order.
    pub(crate) all_headers: Option<Headers>,
    /// The whole body.
    pub(crate) body: Option<Matcher>,
    /// All trailers in order; `{}` for none.
    pub(crate) trailers: Option<Headers>,
}

/// Headers by name, each with what all its values are like.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeaderExpect(pub(crate) Vec<(String, Vec<Matcher>)>);

impl<'de> Deserialize<'de> for HeaderExpect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = HeaderExpect;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("header names with values; `all_headers` takes a list")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderExpect, A::Error> {
                let mut names = Vec::new();
                while let Some((name, Values(values))) =
                    map.next_entry::<String, Values<Matcher>>()?
                {
                    names.push((name, values));
                }
                Ok(HeaderExpect(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// What the access log says.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "`status`, `details` or `flags`")]
pub(crate) struct AccessExpect {
    /// `%RESPONSE_CODE%`; 0 where there was no response.
    pub(crate) status: Option<u32>,
    /// `%RESPONSE_CODE_DETAILS%`, such as `via_upstream`.
    pub(crate) details: Option<Matcher>,
    /// `%RESPONSE_FLAGS%`, such as `UF`; `-` for none.
    pub(crate) flags: Option<Matcher>,
}

/// What only the harness can tell.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "keys such as `host_calls`")]
pub(crate) struct HarnessExpect {
    /// All host calls of the stream in order, such as `proxy_get_header_map_pairs`.
    pub(crate) host_calls: Option<Vec<String>>,
    /// How many host calls there are at the most.
    pub(crate) host_calls_at_most: Option<usize>,
    /// All callbacks of the stream in order, such as `auth-scrub:proxy_on_request_headers`.
    pub(crate) callbacks: Option<Vec<String>>,
    /// How much fuel callbacks burn at the most: about one unit an instruction.
    pub(crate) fuel_at_most: Option<u64>,
}

/// A line that a filter logs: its message, or keys that look closer.
#[derive(Clone, Debug)]
pub(crate) struct LineExpect {
    pub(crate) level: Option<Level>,
    pub(crate) plugin: Option<String>,
    pub(crate) message: Option<Matcher>,
}

/// How grave a line is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl Level {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

const LINE: &[&str] = &[
    "level",
    "plugin",
    "message",
    "contains",
    "starts_with",
    "ends_with",
    "matches",
    "bytes",
    "base64",
];

impl<'de> Deserialize<'de> for LineExpect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = LineExpect;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a log line's message, or `level`, `plugin` and `message`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<LineExpect, E> {
                Ok(LineExpect {
                    level: None,
                    plugin: None,
                    message: Some(Matcher::Equals(text.as_bytes().to_vec())),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LineExpect, A::Error> {
                let mut line = LineExpect {
                    level: None,
                    plugin: None,
                    message: None,
                };
                while let Some(key) = map.next_key::<String>()? {
                    let matcher = MATCHERS.iter().copied().find(|known| *known == key);
                    let message = match (key.as_str(), matcher) {
                        ("level", _) => {
                            line.level = Some(map.next_value()?);
                            continue;
                        }
                        ("plugin", _) => {
                            line.plugin = Some(map.next_value()?);
                            continue;
                        }
                        ("message", _) => map.next_value()?,
                        (_, Some(key)) => Matcher::new(key, map.next_value::<Text>()?)?,
                        _ => {
                            let _ = map.next_value::<IgnoredAny>();
                            return Err(A::Error::unknown_field(&key, LINE));
                        }
                    };
                    if line.message.replace(message).is_some() {
                        return Err(A::Error::custom("the message is described twice"));
                    }
                }
                Ok(line)
            }
        }
        deserializer.deserialize_str(Form)
    }
}
