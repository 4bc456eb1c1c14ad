//! Rules in CEL, as CRDs have them (`x-kubernetes-validations`): the part of the language that such rules are written in.
//!
//! A rule that asks for more is not judged and said to be not judged; nothing is guessed.

mod evaluate;
mod parse;
mod url;
mod value;

use self::parse::Node;
pub(super) use self::value::Value;

/// A rule that can be judged.
#[derive(Debug)]
pub(super) struct Rule(Node);

/// Why a rule has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    /// It asks for what is not known here.
    #[error("`{0}` is not known here")]
    Unknown(String),
    /// It cannot be answered for this value; an API server refuses the value then.
    #[error("{0}")]
    Failed(String),
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    ///
    /// [`Fault::Unknown`], when it asks for what is not known here.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        parse::parse(text).map(Self)
    }

    /// Whether a value keeps the rule.
    ///
    /// # Errors
    ///
    /// [`Fault`], when there is no answer.
    pub(super) fn holds(&self, value: &Value) -> Result<bool, Fault> {
        match evaluate::evaluate(&self.0, value)? {
            Value::Bool(holds) => Ok(holds),
            _ => Err(Fault::Failed("the rule says neither yes nor no".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn holds(rule: &str, value: &Json) -> Result<bool, Fault> {
        Rule::parse(rule)?.holds(&Value::from(value))
    }

    #[test]
    fn rules_are_answered_as_the_language_says() {
        for (rule, value, expected) in [
            ("self", json!(true), true),
            (
                "(has(self.a) ? 1 : 0) + (has(self.b) ? 1 : 0) <= 1",
                json!({ "a": 1 }),
                true,
            ),
            (
                "(has(self.a) ? 1 : 0) + (has(self.b) ? 1 : 0) <= 1",
                json!({ "a": 1, "b": 1 }),
                false,
            ),
            ("has(self.a) != has(self.b)", json!({ "a": null }), true),
            (
                "self.all(key, !key.contains(\"*\"))",
                json!({ "a": 1, "*": 2 }),
                false,
            ),
            ("self.all(key, key.size() != 0)", json!({ "": 1 }), false),
            ("size(self) == 2", json!("äb"), true),
            (
                "self.exists(e, e == 'a') == self.exists(e, e == 'b')",
                json!(["a"]),
                false,
            ),
            ("self.exists_one(e, e == 'a')", json!(["a", "a"]), false),
            ("self.map(e, e + 1) == [2, 3]", json!([1, 2]), true),
            ("self.filter(e, e > 1).size() == 1", json!([1, 2]), true),
            ("0 < self && self <= 65535", json!(65_536), false),
            ("self.kind in ['A', 'B']", json!({ "kind": "B" }), true),
            ("'a' in self", json!({ "a": 1 }), true),
            (
                "self.x.upperAscii() in ['POST','PUT']",
                json!({ "x": "put" }),
                true,
            ),
            (
                "!self.startsWith('envoy.') || self.endsWith('x')",
                json!("envoy.x"),
                true,
            ),
            ("duration(self) > duration('0s')", json!("1h1.5s"), true),
            (
                "duration(self.a) < duration(self.b)",
                json!({ "a": "1m", "b": "59s" }),
                false,
            ),
            (
                "self.a == 1.0 && self.b != '1'",
                json!({ "a": 1, "b": 1 }),
                true,
            ),
            (
                "-self * 2 - 1 == -7 && self % 2 == 1 && 7 / self == 2",
                json!(3),
                true,
            ),
            (
                "self['a'] == self.l[1]",
                json!({ "a": 2, "l": [1, 2] }),
                true,
            ),
            ("self == 'it\\'s' || self == r'\\d'", json!("it's"), true),
            ("self == null", json!(null), true),
            // What fails does not matter where the other side decides.
            ("self.gone == 1 || true", json!({}), true),
            ("false && self.gone == 1", json!({}), false),
            ("true ? true : self.gone", json!({}), true),
            (
                "self.exists(e, e.gone == 1 || e.a == 2)",
                json!([{ "a": 2 }]),
                true,
            ),
        ] {
            assert_eq!(holds(rule, &value), Ok(expected), "{rule} {value}");
        }
    }

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        let scheme = "isURL(self) ? url(self).getScheme() in ['oci', 'https'] : !self.contains('//') && isURL('http://' + self)";
        for (text, expected) in [
            ("oci://ghcr.io/a/b:1", true),
            ("https://a:8080/b?c#d", true),
            ("ghcr.io/a/b:1", true),
            ("/a", false),
            ("ftp://a", false),
            // What stands before the colon is a scheme.
            ("localhost:5000/a", false),
            ("a b", false),
            ("#%blah$#@", false),
            ("https://a:port/b", false),
            ("oci://a/%zz", false),
            ("", true),
        ] {
            assert_eq!(holds(scheme, &json!(text)), Ok(expected), "{text}");
        }
        let host = "url(self).getHostname() == 'a' && url(self).getPort() == '80' && url(self).getEscapedPath() == '/b'";
        assert_eq!(holds(host, &json!("http://u@a:80/b?c")), Ok(true));
    }

    #[test]
    fn what_has_no_answer_is_neither_yes_nor_no() {
        for (rule, value) in [
            ("self.gone == 1", json!({})),
            ("self + 1 == 2", json!("x")),
            ("self", json!(1)),
            ("9223372036854775807 + self == 0", json!(1)),
            ("1 / self == 1", json!(0)),
            ("duration(self) > duration('1s')", json!("soon")),
            ("self[3] == 1", json!([1])),
            (
                "self.all(a, self.all(b, self.all(c, self.all(d, a + b + c + d >= 0))))",
                json!(vec![1; 100]),
            ),
        ] {
            assert!(
                matches!(holds(rule, &value), Err(Fault::Failed(_))),
                "{rule}"
            );
        }
        for rule in [
            "self.matches('a')",
            "oldSelf == self",
            "self.all(x)",
            "frob(self)",
            "self ? 1",
            "self &",
            "self == 'a",
            "(self",
            "self)",
            "self.a.b.c(1)",
            "",
        ] {
            assert!(
                matches!(holds(rule, &json!({})), Err(Fault::Unknown(_))),
                "{rule}"
            );
        }
        let deep = "(".repeat(10_000);
        assert!(matches!(holds(&deep, &json!(1)), Err(Fault::Unknown(_))));
    }
}
