//! What passes a place between filters, told by a script in the access log.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::yaml::{Yaml, quoted};

/// The namespace of the dynamic metadata in which the scripts leave what they saw.
const NAMESPACE: &str = "attache.taps";

/// Envoy's expression for all of it.
pub(crate) const EXPRESSION: (&str, &str) = ("taps", "%DYNAMIC_METADATA(attache.taps)%");

/// Reads and never writes, so that messages pass as they are. Bytes that are no ASCII text become escapes, as
/// metadata must be UTF-8.
const SCRIPT: &str = include_str!("tap.lua");

/// A message as it passed a place between filters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Passed {
    /// The headers in Envoy's order, those with a `:` among them. Names and values are printable ASCII; a
    /// backslash and two digits after `x` stand for any other byte.
    pub headers: Vec<(String, String)>,
    /// The body; nothing where it did not come to its end there.
    pub body: Option<PassedBody>,
}

/// The body of a message as it passed a place between filters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PassedBody {
    /// How many bytes.
    pub length: u64,
    /// Differs where bytes differ, all but always.
    pub sum: u64,
    /// The first 200 bytes, as a header's value.
    pub start: String,
}

/// What passed one place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Tapped {
    /// The request, if it came there.
    pub request: Option<Passed>,
    /// The response, if it came there.
    pub response: Option<Passed>,
}

/// Writes the filter.
pub(crate) fn write(yaml: &mut Yaml, name: &str) {
    let script = SCRIPT
        .replace("NAMESPACE", &quoted(NAMESPACE))
        .replace("NAME", &quoted(name));
    yaml.line("# Reads what passes here, and says it in the access log.");
    yaml.within(
        &format!("- name: {}", quoted(&format!("tap {name}"))),
        |yaml| {
            yaml.within("typed_config:", |yaml| {
                yaml.line(
                    "\"@type\": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                );
                yaml.within("default_source_code:", |yaml| {
                    yaml.block("inline_string", script.trim_end());
                });
            });
        },
    );
}

/// Reads the field of a line, by the names of the places.
pub(crate) fn read(field: &Value) -> BTreeMap<String, Tapped> {
    let mut places: BTreeMap<String, Tapped> = BTreeMap::new();
    for (key, value) in field.as_object().into_iter().flatten() {
        let Some(((name, part), text)) = key.rsplit_once(' ').zip(value.as_str()) else {
            continue;
        };
        let place = places.entry(name.to_owned()).or_default();
        let (message, is_body) = match part {
            "request" => (&mut place.request, false),
            "request-body" => (&mut place.request, true),
            "response" => (&mut place.response, false),
            "response-body" => (&mut place.response, true),
            _ => continue,
        };
        let message = message.get_or_insert_default();
        match is_body {
            true => message.body = body(text),
            false => message.headers = text.lines().filter_map(header).collect(),
        }
    }
    places
}

fn header(line: &str) -> Option<(String, String)> {
    // Names may begin with a colon.
    let colon = line.get(1..)?.find(": ")? + 1;
    Some((line[..colon].to_owned(), line[colon + 2..].to_owned()))
}

fn body(text: &str) -> Option<PassedBody> {
    let mut parts = text.splitn(3, ' ');
    Some(PassedBody {
        length: parts.next()?.parse().ok()?,
        sum: parts.next()?.parse().ok()?,
        start: parts.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_passed_each_place() {
        let field = serde_json::json!({
            "0 request": ":path: /a: b\nx: \nhost: c",
            "0 request-body": "3 99 a b",
            "after 1 response": ":status: 200",
        });
        let places = read(&field);
        let request = places["0"].request.clone().unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            request.headers,
            [pair(":path", "/a: b"), pair("x", ""), pair("host", "c")]
        );
        let body = request.body.unwrap();
        assert_eq!((body.length, body.sum, body.start.as_str()), (3, 99, "a b"));
        assert_eq!(places["0"].response, None);
        let response = places["after 1"].response.clone().unwrap();
        assert_eq!(response.headers, [pair(":status", "200")]);
        assert!(read(&Value::Null).is_empty());
    }
}
