//! Types for the fields of a configuration: what is not right in the file never reaches the filter.
//!
//! Each of them is read from a string, refuses what is none with its place in the configuration, and
//! says in the JSON Schema what it takes. They hold the types that a filter works with, and become
//! those by `Deref` and `From`.
//!
//! ```
//! use attache::prelude::*;
//! use attache::setting;
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// What upstreams are told: `{"name": "x-from", "value": "proxy"}`.
//!     name: setting::HeaderName,
//!     value: setting::HeaderValue,
//!     /// How long the cluster may take, such as `200ms`.
//!     #[serde(default = "timeout")]
//!     timeout: setting::Duration,
//! }
//!
//! fn timeout() -> setting::Duration {
//!     setting::Duration::from_millis(500)
//! }
//!
//! # fn change(config: &Config, request: &mut Request, authz: &Cluster) {
//! request.headers_mut().insert(&config.name, &config.value);
//! let check = authz.get("/check").timeout(*config.timeout);
//! # }
//! ```

mod duration;
mod header;

pub use self::duration::{Duration, DurationError};
pub use self::header::{HeaderName, HeaderValue};

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::parse;
    use crate::describe::schema_of;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(default)]
        fields: Vec<(HeaderName, HeaderValue)>,
        #[serde(default = "timeout")]
        timeout: Duration,
    }

    fn timeout() -> Duration {
        Duration::from_millis(500)
    }

    #[test]
    fn they_are_read_as_the_types_that_a_filter_works_with() {
        let json = r#"{"fields": [["X-From", "caf\u00e9 \t"]], "timeout": "0.2s"}"#;
        let config: Config = parse(json.as_bytes()).unwrap();
        let [(name, value)] = config.fields.as_slice() else {
            panic!("{config:?}");
        };
        assert_eq!(http::HeaderName::from(name), "x-from");
        assert_eq!(http::HeaderValue::from(value), "café \t".as_bytes());
        assert_eq!(*config.timeout, std::time::Duration::from_millis(200));
    }

    #[test]
    fn what_is_none_is_refused_with_its_place_and_not_shown() {
        for (json, pointer, reason) in [
            (
                r#"{"fields": [["a", "b"], ["x 5123", ""]]}"#,
                "/fields/1/0",
                "not a header name",
            ),
            (
                r#"{"fields": [[":5123", ""]]}"#,
                "/fields/0/0",
                "not a header name",
            ),
            (
                r#"{"fields": [["", ""]]}"#,
                "/fields/0/0",
                "not a header name",
            ),
            (
                r#"{"fields": [["a", "5123\r\nx-b: c"]]}"#,
                "/fields/0/1",
                "not a header value",
            ),
            (
                r#"{"fields": [["a", 5123]]}"#,
                "/fields/0/1",
                "expected a string, found an integer",
            ),
            (
                r#"{"timeout": "5123"}"#,
                "/timeout",
                "not a duration with its unit, such as `200ms`, `1.5s` or `2m`",
            ),
            (
                r#"{"timeout": 5123}"#,
                "/timeout",
                "expected a string, found an integer",
            ),
        ] {
            let error = parse::<Config>(json.as_bytes()).unwrap_err();
            assert_eq!(
                (error.pointer(), error.reason()),
                (pointer, reason),
                "{json}"
            );
        }
    }

    #[test]
    fn the_schema_says_what_they_take_and_what_holds_without_them() {
        let schema: Value = schema_of::<Config>().into();
        let timeout = &schema["properties"]["timeout"];
        assert_eq!(timeout["type"], "string");
        assert_eq!(timeout["default"], "500ms");
        assert!(timeout["pattern"].is_string());
        let field = &schema["properties"]["fields"]["items"];
        assert!(field["prefixItems"][0]["pattern"].is_string(), "{schema}");
        assert_eq!(schema["properties"]["fields"]["default"], json!([]));
    }
}
