//! A tree as JSON, for programs that make a suite of parts of another.

use serde_json::{Map, Value as Json};

use super::{Node, Value};

impl Node {
    /// The value as JSON, which read as YAML means the same.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => Json::Null,
            Value::Scalar { text, plain: true } => plain(text),
            Value::Scalar { text, .. } => Json::String(text.clone()),
            Value::List(elements) => elements.iter().map(Self::to_json).collect(),
            Value::Map { entries, .. } => {
                let entry = |(key, value): &(Self, Self)| {
                    let key = key.as_key().unwrap_or_default().to_owned();
                    (key, value.to_json())
                };
                Json::Object(entries.iter().map(entry).collect::<Map<_, _>>())
            }
        }
    }
}

/// A number or a boolean where JSON writes it with the same letters, and a text otherwise.
fn plain(text: &str) -> Json {
    let known = serde_json::from_str::<Json>(text).ok();
    let known = known.filter(|value| matches!(value, Json::Number(_) | Json::Bool(_)));
    let known = known.filter(|value| {
        let written = value.to_string();
        written == text
    });
    known.unwrap_or_else(|| Json::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::yaml::parse;

    #[test]
    fn values_mean_the_same_as_json() {
        let text = "a: [5, '5', 1.40, true, yes, ~, 0x10]\nb: &x {c: d e}\nf: *x\n";
        let json = parse(text).unwrap().to_json();
        assert_eq!(
            json,
            json!({
                "a": [5, "5", "1.40", true, "yes", null, "0x10"],
                "b": { "c": "d e" },
                "f": { "c": "d e" },
            })
        );
    }
}
