use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::yaml::QUOTED;

/// Bytes: as text, as `{bytes: 'caf\xe9'}` or as `{base64: Y2Fm6Q==}`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Text(pub(crate) Vec<u8>);

/// What a text has to be like: a text is equal, `{contains: …}` and the like look closer.
#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    Equals(Vec<u8>),
    Contains(Vec<u8>),
    StartsWith(Vec<u8>),
    EndsWith(Vec<u8>),
    Matches(regex::bytes::Regex),
}

/// The keys of a text that is no plain one.
const FORMS: &[&str] = &["bytes", "base64"];
/// The keys of a matcher.
pub(super) const MATCHERS: &[&str] = &[
    "contains",
    "starts_with",
    "ends_with",
    "matches",
    "bytes",
    "base64",
];

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Text;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text, `{bytes: …}` or `{base64: …}`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.as_bytes().to_vec()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                let (key, value) = only_entry::<A>(&mut map, FORMS)?;
                Ok(Text(written(key, value)?))
            }
        }
        deserializer.deserialize_str(Form)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Matcher;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text, or one of `contains`, `starts_with`, `ends_with`, `matches`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Matcher, E> {
                Ok(Matcher::Equals(text.as_bytes().to_vec()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Matcher, A::Error> {
                let (key, value) = only_entry::<A>(&mut map, MATCHERS)?;
                Matcher::new(key, value)
            }
        }
        deserializer.deserialize_str(Form)
    }
}

impl Matcher {
    /// The matcher that this key of [`MATCHERS`] means.
    pub(super) fn new<E: Error>(key: &'static str, value: Text) -> Result<Self, E> {
        Ok(match key {
            "contains" => Self::Contains(value.0),
            "starts_with" => Self::StartsWith(value.0),
            "ends_with" => Self::EndsWith(value.0),
            "matches" => {
                let pattern = String::from_utf8(value.0)
                    .map_err(|_| E::custom("expected a pattern in UTF-8"))?;
                // In full, so that nobody has to remember the anchors.
                let whole = format!("(?s-u:^(?:{pattern})$)");
                let regex = regex::bytes::Regex::new(&whole).map_err(|error| {
                    E::custom(format_args!(
                        "`{pattern}` is no regular expression: {error}"
                    ))
                })?;
                Self::Matches(regex)
            }
            _ => Self::Equals(written(key, value)?),
        })
    }

    pub(crate) fn accepts(&self, found: &[u8]) -> bool {
        let contains =
            |part: &[u8]| part.is_empty() || found.windows(part.len()).any(|window| window == part);
        match self {
            Self::Equals(text) => found == text,
            Self::Contains(part) => contains(part),
            Self::StartsWith(start) => found.starts_with(start),
            Self::EndsWith(end) => found.ends_with(end),
            Self::Matches(regex) => regex.is_match(found),
        }
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, text) = match self {
            Self::Equals(text) => ("", text.as_slice()),
            Self::Contains(text) => ("something that contains ", text.as_slice()),
            Self::StartsWith(text) => ("something that starts with ", text.as_slice()),
            Self::EndsWith(text) => ("something that ends with ", text.as_slice()),
            Self::Matches(regex) => {
                let pattern = regex.as_str();
                let pattern = pattern.strip_prefix("(?s-u:^(?:").unwrap_or(pattern);
                let pattern = pattern.strip_suffix(")$)").unwrap_or(pattern);
                return write!(f, "something that matches `{pattern}`");
            }
        };
        write!(f, "{word}{}", crate::seen::shown(text))
    }
}

/// The one entry of a map, whose key is among `keys`.
fn only_entry<'de, A: MapAccess<'de>>(
    map: &mut A,
    keys: &'static [&'static str],
) -> Result<(&'static str, Text), A::Error> {
    let Some(key) = map.next_key::<String>()? else {
        return Err(Error::custom("expected a key"));
    };
    let Some(key) = keys.iter().copied().find(|known| *known == key) else {
        return Err(Error::unknown_field(&key, keys));
    };
    let value = map.next_value()?;
    if map.next_key::<String>()?.is_some() {
        return Err(Error::custom(format_args!(
            "expected `{key}` and no other key beside it"
        )));
    }
    Ok((key, value))
}

/// The bytes that `{bytes: …}` or `{base64: …}` mean.
fn written<E: Error>(key: &str, value: Text) -> Result<Vec<u8>, E> {
    match key {
        "base64" => STANDARD
            .decode(&value.0)
            .map_err(|error| E::custom(format_args!("expected Base64 with its padding: {error}"))),
        _ => unescaped(&value.0).map_err(E::custom),
    }
}

/// `\xff`, `\n`, `\r`, `\t`, `\0`, `\\`, `\'` and `\"` as the bytes that they mean.
fn unescaped(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let escape = rest.next();
        bytes.push(match escape {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(byte @ (b'\\' | b'\'' | b'"')) => byte,
            Some(b'x') => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let digits = (digit(rest.next()), digit(rest.next()));
                let (Some(high), Some(low)) = digits else {
                    return Err(r"expected two hexadecimal digits after `\x`".to_owned());
                };
                u8::try_from(high * 16 + low).unwrap_or_default()
            }
            _ => {
                return Err(
                    r#"expected one of \xNN \n \r \t \0 \\ \' \" after a backslash"#.to_owned(),
                );
            }
        });
    }
    Ok(bytes)
}

/// A stretch of time: `500ms`, `1.5s`, `2m`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0)];
        let read = units.into_iter().find_map(|(unit, seconds)| {
            let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            Duration::try_from_secs_f64(number * seconds).ok()
        });
        read.filter(|time| *time <= Duration::from_secs(86_400))
            .map(Self)
            .ok_or_else(|| {
                Error::custom(format_args!(
                    "expected a time of a day at the most, such as `500ms`, `1.5s` or `2m`, found \
                     `{text}`"
                ))
            })
    }
}

/// A version, which is written in quotes.
#[derive(Clone, Debug)]
pub(crate) struct Version(String);

impl Version {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Quoted;
        impl<'de> Visitor<'de> for Quoted {
            type Value = Version;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a version in quotes")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Version, D::Error> {
                String::deserialize(deserializer).map(Version)
            }
        }
        deserializer.deserialize_newtype_struct(QUOTED, Quoted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{from_node, parse};

    fn read<T: serde::de::DeserializeOwned>(yaml: &str) -> Result<T, String> {
        let node = parse(yaml).map_err(|fault| fault.to_string())?;
        from_node(&node).map_err(|fault| fault.to_string())
    }

    #[test]
    fn bytes_are_written_in_three_ways() {
        for (yaml, bytes) in [
            ("café", "café".as_bytes()),
            ("1.40", b"1.40"),
            ("yes", b"yes"),
            (r"{bytes: 'caf\xe9\r\n\\'}", b"caf\xe9\r\n\\"),
            ("{base64: /wA=}", b"\xff\x00"),
            ("''", b""),
        ] {
            assert_eq!(read::<Text>(yaml), Ok(Text(bytes.to_vec())), "{yaml}");
        }
        for (yaml, reason) in [
            (r"{bytes: '\x1'}", "two hexadecimal digits"),
            (r"{bytes: '\q'}", "after a backslash"),
            ("{base64: '?'}", "expected Base64"),
            ("{byte: x}", "did you mean `bytes`?"),
            ("{bytes: x, base64: ''}", "no other key"),
            ("~", "write \"\" for the empty one"),
            ("[a]", "found a list"),
        ] {
            let refusal = read::<Text>(yaml).unwrap_err();
            assert!(refusal.contains(reason), "{yaml}: {refusal}");
        }
    }

    #[test]
    fn matchers_look_at_bytes() {
        for (yaml, yes, no) in [
            ("a", &b"a"[..], &b"ab"[..]),
            ("{contains: b}", b"abc", b"ac"),
            ("{contains: ''}", b"", b"\xff\xfe never"),
            ("{starts_with: a}", b"ab", b"ba"),
            ("{ends_with: a}", b"ba", b"ab"),
            ("{matches: 'a.c|x'}", b"a\xffc", b"xx"),
            (r"{bytes: '\xff'}", b"\xff", b"f"),
        ] {
            let matcher = read::<Matcher>(yaml).unwrap();
            assert!(matcher.accepts(yes), "{yaml}");
            assert!(matcher.accepts(no) == (yaml == "{contains: ''}"), "{yaml}");
        }
        let refusal = read::<Matcher>("{matches: '('}").unwrap_err();
        assert!(refusal.contains("no regular expression"), "{refusal}");
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(read::<Span>("1.5s").unwrap().0, Duration::from_millis(1500));
        assert_eq!(read::<Span>("20ms").unwrap().0, Duration::from_millis(20));
        for yaml in ["5", "-1s", "1h", "s", "1e9m", "nans"] {
            assert!(
                read::<Span>(yaml).unwrap_err().contains("such as `500ms`"),
                "{yaml}"
            );
        }
    }

    #[test]
    fn a_version_without_quotes_is_refused_with_the_reason() {
        assert_eq!(read::<Version>("'1.40'").unwrap().as_str(), "1.40");
        let refusal = read::<Version>("1.40").unwrap_err();
        assert!(
            refusal.contains(r#"as in "1.40""#) && refusal.contains("1.4"),
            "{refusal}"
        );
    }
}
