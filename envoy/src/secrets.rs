//! Messages without the secrets in them, for files that people keep.

use std::collections::BTreeMap;

use serde_json::Value;

/// A secret of fewer bytes is not looked for elsewhere: it may be any word.
const TELLING: usize = 8;

/// Parts of a name that say that its value is a secret.
const SECRET: [&str; 13] = [
    "apikey",
    "api-key",
    "api_key",
    "auth",
    "credential",
    "csrf",
    "jwt",
    "passw",
    "secret",
    "session",
    "signature",
    "token",
    "xsrf",
];

/// Names of which nobody would guess it.
const SHORT: [&str; 7] = ["code", "key", "pin", "pwd", "sid", "sig", "otp"];

/// Stand-ins for secrets: of credentials, cookies, and of what is called like a secret.
///
/// One secret has one stand-in wherever it stands, `stand-in-1`, so that what belongs together still does.
/// Schemes, names of cookies and attributes stay.
///
/// ```
/// use attache_envoy::StandIns;
///
/// let mut secrets = StandIns::default();
/// assert_eq!(secrets.header("Authorization", "Bearer abc"), "Bearer stand-in-1");
/// assert_eq!(secrets.header("cookie", "sid=abc; theme=dark"), "sid=stand-in-1; theme=stand-in-2");
/// assert_eq!(secrets.target("/x?page=2&access_token=t"), "/x?page=2&access_token=stand-in-3");
/// ```
#[derive(Clone, Debug, Default)]
pub struct StandIns {
    known: BTreeMap<String, String>,
}

impl StandIns {
    /// How many secrets were found.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// The value of a header.
    pub fn header(&mut self, name: &str, value: &str) -> String {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "authorization" | "proxy-authorization" => match value.trim().split_once(' ') {
                Some((scheme, secret)) => format!("{scheme} {}", self.of(secret.trim())),
                None => self.of(value),
            },
            "cookie" => {
                let pairs: Vec<String> = value
                    .split(';')
                    .map(|pair| self.pair(pair.trim()))
                    .collect();
                pairs.join("; ")
            }
            "set-cookie" => match value.split_once(';') {
                Some((pair, attributes)) => format!("{};{attributes}", self.pair(pair.trim())),
                None => self.pair(value.trim()),
            },
            "location"
            | "referer"
            | "content-location"
            | ":path"
            | "origin"
            | "x-original-url"
            | "x-original-uri"
            | "x-rewrite-url"
            | "x-envoy-original-path"
            | "x-envoy-original-url"
            | "x-forwarded-uri"
            | "x-forwarded-path" => self.target(value),
            // user:password@host
            "host" | ":authority" | "x-forwarded-host" | "x-original-host" => {
                self.text(value.rsplit('@').next().unwrap_or(value))
            }
            "www-authenticate" | "proxy-authenticate" => value.to_owned(),
            _ if is_secret(&name) => self.of(value),
            _ => self.text(value),
        }
    }

    /// A path with its query, or a URL.
    pub fn target(&mut self, target: &str) -> String {
        let (before, fragment) = match target.split_once('#') {
            Some((before, fragment)) => (before, Some(fragment)),
            None => (target, None),
        };
        let mut text = match before.split_once('?') {
            Some((path, query)) => format!("{}?{}", self.text(path), self.form(query)),
            None => self.text(before),
        };
        if let Some(fragment) = fragment {
            text.push('#');
            text.push_str(&self.form(fragment));
        }
        // https://user:password@host/
        match text.split_once("://") {
            Some((scheme, rest)) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, behind) = rest.split_at(end);
                let host = authority.rsplit('@').next().unwrap_or(authority);
                format!("{scheme}://{host}{behind}")
            }
            None => text,
        }
    }

    /// A body, by its `content-type`.
    pub fn body(&mut self, kind: &str, body: &str) -> String {
        let kind = kind.to_ascii_lowercase();
        if kind.contains("form-urlencoded") {
            return self.form(body);
        }
        if let (true, Ok(mut value)) = (kind.contains("json"), serde_json::from_str::<Value>(body))
            && self.value(&mut value)
        {
            return value.to_string();
        }
        self.text(body)
    }

    /// A text in which a secret may stand that was found elsewhere, or one that gives itself away.
    fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (secret, stand_in) in &self.known {
            if secret.len() >= TELLING {
                text = text.replace(secret, stand_in);
            }
        }
        // A JSON Web Token begins with the Base64 of `{"`.
        while let Some(start) = text.find("eyJ") {
            let of_token = |sign: char| sign.is_ascii_alphanumeric() || "-_.".contains(sign);
            let rest = &text[start..];
            let end = rest.find(|sign| !of_token(sign)).unwrap_or(rest.len());
            let token = rest[..end].to_owned();
            if token.split('.').count() < 3 {
                break;
            }
            let stand_in = self.of(&token);
            text = text.replace(&token, &stand_in);
        }
        text
    }

    /// `name=value` of a cookie.
    fn pair(&mut self, pair: &str) -> String {
        match pair.split_once('=') {
            Some((name, value)) if !value.is_empty() => format!("{name}={}", self.of(value)),
            Some(_) => pair.to_owned(),
            None if pair.is_empty() => String::new(),
            None => self.of(pair),
        }
    }

    fn form(&mut self, query: &str) -> String {
        let parameter = |parameter: &str| match parameter.split_once('=') {
            Some((name, value)) if is_secret(&name.to_ascii_lowercase()) && !value.is_empty() => {
                format!("{name}={}", self.of(value))
            }
            _ => self.text(parameter),
        };
        query
            .split('&')
            .map(parameter)
            .collect::<Vec<_>>()
            .join("&")
    }

    /// Whether anything in it was a secret.
    fn value(&mut self, value: &mut Value) -> bool {
        match value {
            Value::Object(map) => {
                let mut found = false;
                for (name, value) in map.iter_mut() {
                    let secret = is_secret(&name.to_ascii_lowercase());
                    match value {
                        Value::String(text) if secret => *value = self.of(text).into(),
                        Value::Number(number) if secret => {
                            *value = self.of(&number.to_string()).into()
                        }
                        other => {
                            found |= self.value(other);
                            continue;
                        }
                    }
                    found = true;
                }
                found
            }
            Value::Array(list) => list
                .iter_mut()
                .fold(false, |found, value| self.value(value) | found),
            Value::String(text) => {
                let without = self.text(text);
                let found = without != *text;
                *text = without;
                found
            }
            _ => false,
        }
    }

    fn of(&mut self, secret: &str) -> String {
        // What is a stand-in already stays one.
        if secret.is_empty() || secret.starts_with("stand-in-") {
            return secret.to_owned();
        }
        let next = self.known.len() + 1;
        let stand_in = self.known.entry(secret.to_owned());
        stand_in
            .or_insert_with(|| format!("stand-in-{next}"))
            .clone()
    }
}

/// Whether a name, in lower case, says that its value is a secret. `authority` and `author` do not.
fn is_secret(name: &str) -> bool {
    let name = name.replace("authority", "").replace("author", "");
    let mut parts = name.split(['-', '_', '.']);
    SECRET.iter().any(|secret| name.contains(secret)) || parts.any(|part| SHORT.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names_and_by_themselves() {
        let mut secrets = StandIns::default();
        for (name, value, expected) in [
            ("Authorization", "Bearer long-secret", "Bearer stand-in-1"),
            ("authorization", "bare", "stand-in-2"),
            ("x-copy", "the long-secret again", "the stand-in-1 again"),
            ("X-Api-Key", "k", "stand-in-3"),
            ("cookie", "a=k; b=; c", "a=stand-in-3; b=; stand-in-4"),
            (
                "set-cookie",
                "sid=s1; Path=/; HttpOnly",
                "sid=stand-in-5; Path=/; HttpOnly",
            ),
            (
                "location",
                "https://u:p@h/x?code=c1#access_token=t1",
                "https://h/x?code=stand-in-6#access_token=stand-in-7",
            ),
            ("x-trace", "eyJhbGciOi.eyJzdWIi.c2ln, x", "stand-in-8, x"),
            ("authority", "example.com", "example.com"),
            ("Host", "u:p@h:80", "h:80"),
            ("x-forwarded-host", "u@h", "h"),
            (
                "x-original-url",
                "https://u:p@h/x?code=c1",
                "https://h/x?code=stand-in-6",
            ),
            ("accept", "text/html", "text/html"),
            ("www-authenticate", "Bearer realm=x", "Bearer realm=x"),
            ("x-keyboard", "qwerty", "qwerty"),
        ] {
            assert_eq!(secrets.header(name, value), expected, "{name}");
        }
        assert_eq!(secrets.count(), 8);
    }

    #[test]
    fn bodies_lose_what_is_called_like_a_secret() {
        let mut secrets = StandIns::default();
        let json = r#"{"user":"ada","password":"p","list":[{"pin":1234}]}"#;
        assert_eq!(
            secrets.body("application/json", json),
            r#"{"list":[{"pin":"stand-in-1"}],"password":"stand-in-2","user":"ada"}"#
        );
        let plain = r#"{ "user": "ada" }"#;
        assert_eq!(secrets.body("application/json", plain), plain);
        assert_eq!(
            secrets.body("application/x-www-form-urlencoded", "a=1&password=p"),
            "a=1&password=stand-in-2"
        );
        assert_eq!(secrets.body("text/plain", "password"), "password");
    }
}
