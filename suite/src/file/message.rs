use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Span, Text};

/// Header lines in order: `name: value`, `name: [value, value]`, or a list of `- name: value` where
/// the order among repeated names matters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(pub(crate) Vec<(Vec<u8>, Vec<u8>)>);

/// A value, or several.
pub(super) struct Values<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Values<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Form<T> {
            type Value = Values<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value or a list of values")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let text = serde::de::value::StrDeserializer::new(text);
                Ok(Values(vec![T::deserialize(text)?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Values(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                Ok(Values(vec![T::deserialize(map)?]))
            }
        }
        deserializer.deserialize_str(Form(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lines;
        impl<'de> Visitor<'de> for Lines {
            type Value = Headers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("header names with values, or a list of `- name: value`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut lines = Vec::new();
                while let Some((name, Values(values))) = map.next_entry::<Text, Values<Text>>()? {
                    lines.extend(values.into_iter().map(|value| (name.0.clone(), value.0)));
                }
                Ok(Headers(lines))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Headers, A::Error> {
                let mut lines = Vec::new();
                while let Some(Headers(mut line)) = list.next_element()? {
                    lines.append(&mut line);
                }
                Ok(Headers(lines))
            }
        }
        deserializer.deserialize_any(Lines)
    }
}

/// A request of the client.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a request, such as `path`"
)]
pub(crate) struct RequestFile {
    /// The method; GET unless there is a body, else POST.
    pub(crate) method: Option<Text>,
    /// Path and query, byte for byte; `/` unless set.
    pub(crate) path: Option<Text>,
    /// Header lines, in any case, any bytes, any repetition. `host` is `example.com` unless set.
    #[serde(default)]
    pub(crate) headers: Headers,
    /// A body sent in one piece, with its `content-length`.
    pub(crate) body: Option<Text>,
    /// A body sent in pieces (`transfer-encoding: chunked`), instead of `body`.
    pub(crate) chunks: Option<Vec<Text>>,
    /// Trailers, after chunks.
    #[serde(default)]
    pub(crate) trailers: Headers,
}

/// What a server answers.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of an answer, such as `status`"
)]
pub(crate) struct ReplyFile {
    /// The status code; 200 unless set.
    pub(crate) status: Option<u16>,
    /// Header lines.
    #[serde(default)]
    pub(crate) headers: Headers,
    /// A body sent in one piece, with its `content-length`.
    pub(crate) body: Option<Text>,
    /// A body sent in pieces (`transfer-encoding: chunked`), instead of `body`.
    pub(crate) chunks: Option<Vec<Text>>,
    /// Trailers, after chunks.
    #[serde(default)]
    pub(crate) trailers: Headers,
    /// How long the server thinks before it answers.
    pub(crate) after: Option<Span>,
    /// What the upstream sends for each piece that arrives on a connection that was upgraded; `chunks` go out
    /// before.
    pub(crate) answer_each: Option<Text>,
    /// What goes wrong instead of an answer, or within it.
    pub(crate) fault: Option<FaultFile>,
}

/// What goes wrong at a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultFile {
    /// Nobody listens: the connection is refused.
    Refused,
    /// It takes the request and closes the connection; HTTP/1.1 only.
    Closed,
    /// It takes the request and resets the stream; HTTP/2 only.
    Reset,
    /// It answers what is not HTTP; HTTP/1.1 only.
    Malformed,
    /// It never answers.
    Never,
    /// It goes away after the chunks, before the body's end.
    Cut,
}

/// What the two peers of Envoy speak.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`downstream` and `upstream`"
)]
pub(crate) struct ProtocolsFile {
    /// The client; `http1` unless set.
    pub(crate) downstream: ProtocolFile,
    /// The upstream; `http1` unless set.
    pub(crate) upstream: ProtocolFile,
}

/// A protocol.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProtocolFile {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, with prior knowledge.
    Http2,
}
