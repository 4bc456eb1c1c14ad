//! What a file of plugin tests holds.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::file::Text;
use crate::yaml::Fault;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "the keys `env` and `test`")]
pub(super) struct TestsFile {
    /// `runtime` in older files.
    #[serde(default, alias = "runtime")]
    pub(super) env: Env,
    #[serde(default, deserialize_with = "many")]
    pub(super) test: Vec<Test>,
}

/// The plugin and what is around it. What is for benchmarks, or only for people, is read and not used.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of `env`, such as `wasm_path`"
)]
#[expect(dead_code, reason = "known keys are not refused")]
pub(super) struct Env {
    #[serde(alias = "wasmPath")]
    pub(super) wasm_path: Option<PathBuf>,
    #[serde(alias = "configPath")]
    pub(super) config_path: Option<PathBuf>,
    #[serde(default, alias = "min_log_level", alias = "logLevel")]
    pub(super) log_level: Level,
    /// Seconds since the epoch, which is what it is unless set.
    #[serde(default, alias = "timeSecs")]
    pub(super) time_secs: u64,
    test_path: Option<String>,
    #[serde(alias = "logPath")]
    log_path: Option<String>,
    num_additional_streams: Option<u64>,
    additional_stream_advance_rate: Option<u64>,
}

/// From which level on lines of the log count.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Level {
    Trace,
    Debug,
    #[default]
    #[serde(alias = "UNDEFINED")]
    Info,
    Warn,
    Error,
    Critical,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "the keys of a test, such as `name`")]
pub(super) struct Test {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    #[expect(dead_code, reason = "known keys are not refused")]
    benchmark: bool,
    #[serde(alias = "numChunks")]
    pub(super) num_chunks: Option<usize>,
    #[serde(alias = "chunkSize")]
    pub(super) chunk_size: Option<usize>,
    #[serde(default, deserialize_with = "many")]
    pub(super) properties: Vec<Property>,
    #[serde(alias = "requestHeaders")]
    pub(super) request_headers: Option<Invocation>,
    #[serde(default, deserialize_with = "many", alias = "requestBody")]
    pub(super) request_body: Vec<Invocation>,
    #[serde(alias = "responseHeaders")]
    pub(super) response_headers: Option<Invocation>,
    #[serde(default, deserialize_with = "many", alias = "responseBody")]
    pub(super) response_body: Vec<Invocation>,
    #[serde(default, alias = "pluginInit")]
    pub(super) plugin_init: Expectation,
    #[serde(default, alias = "streamInit")]
    pub(super) stream_init: Expectation,
    #[serde(default, alias = "streamDestroy")]
    pub(super) stream_destroy: Expectation,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "`path` and `value`")]
pub(super) struct Property {
    pub(super) path: String,
    #[serde(default)]
    pub(super) value: Text,
}

/// A callback: what it is given, and what it must leave behind.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "`input` and `result`")]
pub(super) struct Invocation {
    #[serde(default)]
    pub(super) input: Input,
    #[serde(default)]
    pub(super) result: Expectation,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "`header`, `content` or `file`")]
pub(super) struct Input {
    #[serde(default, deserialize_with = "many")]
    pub(super) header: Vec<Header>,
    #[serde(default)]
    pub(super) content: Text,
    pub(super) file: Option<PathBuf>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "`key` and `value`")]
pub(super) struct Header {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: Text,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a result, such as `has_header`"
)]
pub(super) struct Expectation {
    #[serde(default, deserialize_with = "many", alias = "hasHeader")]
    has_header: Vec<Header>,
    #[serde(default, deserialize_with = "many", alias = "noHeader")]
    no_header: Vec<Header>,
    /// In some versions of the format the two above, and texts for the lines, stand in here.
    #[serde(default, deserialize_with = "many")]
    headers: Vec<Headers>,
    #[serde(default, deserialize_with = "many")]
    body: Vec<StringMatcher>,
    pub(super) immediate: Option<Immediate>,
    #[serde(default, deserialize_with = "many")]
    pub(super) log: Vec<StringMatcher>,
}

impl Expectation {
    /// Headers that have to be there.
    pub(super) fn has_header(&self) -> impl Iterator<Item = &Header> {
        let grouped = self.grouped().flat_map(|group| &group.has_header);
        self.has_header.iter().chain(grouped)
    }

    /// Headers that must not be there.
    pub(super) fn no_header(&self) -> impl Iterator<Item = &Header> {
        let grouped = self.grouped().flat_map(|group| &group.no_header);
        self.no_header.iter().chain(grouped)
    }

    /// What the lines of the headers have to be like.
    pub(super) fn lines(&self) -> impl Iterator<Item = &StringMatcher> {
        self.grouped()
            .flat_map(|group| group.line.iter().chain(&group.lines))
    }

    /// What the body has to be like: of a reply, where there is one.
    pub(super) fn body(&self) -> impl Iterator<Item = &StringMatcher> {
        let replied = self.immediate.iter().flat_map(|reply| &reply.body);
        self.body.iter().chain(replied)
    }

    fn grouped(&self) -> impl Iterator<Item = &Headers> {
        let replied = self.immediate.iter().flat_map(|reply| &reply.headers);
        self.headers.iter().chain(replied)
    }
}

/// What headers have to be like: a text for one of their lines, or a group of conditions.
#[derive(Debug, serde::Deserialize)]
#[serde(from = "HeadersKeys")]
struct Headers {
    line: Option<StringMatcher>,
    lines: Vec<StringMatcher>,
    has_header: Vec<Header>,
    no_header: Vec<Header>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`exact` or `regex`, or `has_header`, `no_header` and `headers_serialized`"
)]
struct HeadersKeys {
    #[serde(default)]
    invert: bool,
    exact: Option<Text>,
    regex: Option<Pattern>,
    file: Option<PathBuf>,
    #[serde(default, deserialize_with = "many", alias = "hasHeader")]
    has_header: Vec<Header>,
    #[serde(default, deserialize_with = "many", alias = "noHeader")]
    no_header: Vec<Header>,
    #[serde(default, deserialize_with = "many", alias = "headersSerialized")]
    headers_serialized: Vec<StringMatcher>,
}

impl From<HeadersKeys> for Headers {
    fn from(keys: HeadersKeys) -> Self {
        let is_group = !keys.has_header.is_empty()
            || !keys.no_header.is_empty()
            || !keys.headers_serialized.is_empty();
        let line = StringMatcher {
            invert: keys.invert,
            exact: keys.exact,
            regex: keys.regex,
            file: keys.file,
        };
        Self {
            // What says nothing at all is refused with the other texts.
            line: (!is_group || line.says_something()).then_some(line),
            lines: keys.headers_serialized,
            has_header: keys.has_header,
            no_header: keys.no_header,
        }
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`http_status`, `grpc_status`, `details`, `headers` or `body`"
)]
pub(super) struct Immediate {
    #[serde(default, deserialize_with = "many")]
    headers: Vec<Headers>,
    #[serde(default, deserialize_with = "many")]
    body: Vec<StringMatcher>,
    #[serde(alias = "httpStatus")]
    pub(super) http_status: Option<u32>,
    #[serde(alias = "grpcStatus")]
    pub(super) grpc_status: Option<u32>,
    pub(super) details: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`exact`, `regex` or `file`, and perhaps `invert`"
)]
pub(super) struct StringMatcher {
    #[serde(default)]
    pub(super) invert: bool,
    pub(super) exact: Option<Text>,
    pub(super) regex: Option<Pattern>,
    pub(super) file: Option<PathBuf>,
}

impl StringMatcher {
    fn says_something(&self) -> bool {
        self.invert || self.exact.is_some() || self.regex.is_some() || self.file.is_some()
    }
}

/// A regular expression for all of a text, as RE2 matches it in full.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) regex: regex::bytes::Regex,
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let regex = regex::bytes::Regex::new(&format!(r"\A(?:{text})\z")).map_err(|error| {
            serde::de::Error::custom(format_args!("`{text}` is no regular expression: {error}"))
        })?;
        Ok(Self { text, regex })
    }
}

impl TestsFile {
    /// What the format cannot say of itself.
    pub(super) fn check(&self) -> Result<(), Fault> {
        for (index, test) in self.test.iter().enumerate() {
            test.check()
                .map_err(|fault| fault.within(index).under("test"))?;
        }
        Ok(())
    }
}

impl Test {
    fn check(&self) -> Result<(), Fault> {
        if self.num_chunks.is_some() && self.chunk_size.is_some() {
            return Err(Fault::new(
                "expected `num_chunks` or `chunk_size`, not both",
            ));
        }
        let cut = self.num_chunks.or(self.chunk_size);
        if cut == Some(0) {
            return Err(Fault::new(
                "expected `num_chunks` and `chunk_size` of 1 and more",
            ));
        }
        if cut.is_some() && (self.request_body.len() > 1 || self.response_body.len() > 1) {
            return Err(Fault::new(
                "a body that is cut by `num_chunks` or `chunk_size` is given once",
            ));
        }
        let results = self
            .invocations()
            .map(|invocation| &invocation.result)
            .chain([&self.plugin_init, &self.stream_init, &self.stream_destroy]);
        for result in results {
            let matchers = result.lines().chain(result.body()).chain(&result.log);
            for matcher in matchers {
                let given = [
                    matcher.exact.is_some(),
                    matcher.regex.is_some(),
                    matcher.file.is_some(),
                ];
                if given.iter().filter(|given| **given).count() != 1 {
                    return Err(Fault::new(
                        "expected one of `exact`, `regex` and `file` for each text",
                    ));
                }
            }
        }
        Ok(())
    }

    fn invocations(&self) -> impl Iterator<Item = &Invocation> {
        self.request_headers
            .iter()
            .chain(&self.request_body)
            .chain(&self.response_headers)
            .chain(&self.response_body)
    }
}

/// A repeated field: in the text format one that is given once looks like any other.
fn many<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct OneOrMany<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a message, or a list of messages")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = list.next_element()? {
                all.push(one);
            }
            Ok(all)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
        }
    }
    deserializer.deserialize_any(OneOrMany(PhantomData))
}
