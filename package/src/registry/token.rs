//! What a registry wants to see before it answers: the token protocol of the distribution project
//! (<https://distribution.github.io/distribution/spec/auth/token/>), and Basic.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_auth::{ChallengeRef, parse_challenges};
use reqwest::Url;
use serde::Deserialize;

use super::credentials::Credentials;

/// What an answer of 401 asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Challenge {
    /// User and password, each time.
    Basic,
    /// A token, to be got elsewhere.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// The one of `WWW-Authenticate` that we can meet, or why there is none.
    pub(super) fn read(header: &str) -> Result<Self, String> {
        let challenges = parse_challenges(header)
            .map_err(|_| "its `WWW-Authenticate` cannot be read".to_owned())?;
        let of = |scheme: &str| {
            challenges
                .iter()
                .find(|challenge| challenge.scheme.eq_ignore_ascii_case(scheme))
        };
        if let Some(bearer) = of("bearer") {
            let parameter = |name| parameter(bearer, name);
            return Ok(Self::Bearer {
                realm: parameter("realm").ok_or("its `WWW-Authenticate` has no `realm`")?,
                service: parameter("service"),
                scope: parameter("scope"),
            });
        }
        match of("basic") {
            Some(_) => Ok(Self::Basic),
            None => Err("it wants neither `Bearer` nor `Basic`".to_owned()),
        }
    }
}

fn parameter(challenge: &ChallengeRef<'_>, name: &str) -> Option<String> {
    let mut parameters = challenge.params.iter();
    let (_, value) = parameters.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value.to_unescaped())
}

/// What the place that gives tokens answers.
#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// A token, and for how many seconds it is good.
pub(super) struct Token {
    pub(super) text: String,
    pub(super) seconds: u64,
}

impl Token {
    pub(super) fn read(answer: &[u8]) -> Option<Self> {
        let given: Given = serde_json::from_slice(answer).ok()?;
        let text = given.token.or(given.access_token)?;
        Some(Self {
            text,
            // The protocol's own default, and least. Longer than an hour none is kept, whatever it says.
            seconds: given.expires_in.unwrap_or(60).clamp(60, 3_600),
        })
    }
}

/// How a token is asked for.
pub(super) struct Question {
    pub(super) url: Url,
    /// The form of a POST, where the credentials are a token themselves.
    pub(super) form: Option<String>,
    pub(super) authorization: Option<String>,
}

impl Question {
    pub(super) fn new(
        mut realm: Url,
        service: Option<&str>,
        scope: &str,
        who: &Credentials,
    ) -> Self {
        let pairs = |url: &mut Url, more: &[(&str, &str)]| {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(service.map(|service| ("service", service)));
            query.append_pair("scope", scope);
            query.extend_pairs(more);
        };
        if let Credentials::IdentityToken(token) = who {
            let mut form = realm.clone();
            form.set_query(None);
            pairs(
                &mut form,
                &[
                    ("grant_type", "refresh_token"),
                    ("client_id", "attache"),
                    ("refresh_token", token),
                ],
            );
            return Self {
                form: form.query().map(str::to_owned),
                url: realm,
                authorization: None,
            };
        }
        pairs(&mut realm, &[]);
        Self {
            url: realm,
            form: None,
            authorization: basic(who),
        }
    }
}

/// The header of `Basic`, where there is a user.
pub(super) fn basic(who: &Credentials) -> Option<String> {
    match who {
        Credentials::Password { user, password } => {
            let pair = STANDARD.encode(format!("{user}:{password}"));
            Some(format!("Basic {pair}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_that_can_be_met_is_found() {
        let bearer = r#"Bearer realm="https://auth.example.com/token",service="registry, the \"first\"",scope="repository:a:pull""#;
        let expected = Challenge::Bearer {
            realm: "https://auth.example.com/token".to_owned(),
            service: Some("registry, the \"first\"".to_owned()),
            scope: Some("repository:a:pull".to_owned()),
        };
        assert_eq!(Challenge::read(bearer).unwrap(), expected);
        assert_eq!(
            Challenge::read(r#"basic realm="x""#).unwrap(),
            Challenge::Basic
        );
        let both = format!(r#"Negotiate, Basic realm="x", {bearer}"#);
        assert_eq!(Challenge::read(&both).unwrap(), expected);
        for other in ["", "Bearer service=x", "Negotiate", "\"\""] {
            assert!(Challenge::read(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_token_is_asked_for_as_the_credentials_allow() {
        let realm: Url = "https://auth.example.com/token?tenant=1".parse().unwrap();
        let scope = "repository:a/b:pull";
        let ask = |who: &Credentials| Question::new(realm.clone(), Some("r"), scope, who);
        let plain = ask(&Credentials::Anonymous);
        assert_eq!(
            plain.url.as_str(),
            "https://auth.example.com/token?tenant=1&service=r&scope=repository%3Aa%2Fb%3Apull"
        );
        assert_eq!((plain.form, plain.authorization), (None, None));
        let password = ask(&Credentials::Password {
            user: "ada".to_owned(),
            password: "secret".to_owned(),
        });
        assert_eq!(
            password.authorization.as_deref(),
            Some("Basic YWRhOnNlY3JldA==")
        );
        let identity = ask(&Credentials::IdentityToken("a&b".to_owned()));
        assert_eq!(identity.url, realm);
        assert!(identity.form.unwrap().contains("refresh_token=a%26b"));
    }

    #[test]
    fn a_token_comes_under_either_name() {
        let read =
            |text: &str| Token::read(text.as_bytes()).map(|token| (token.text, token.seconds));
        assert_eq!(
            read(r#"{"token":"a","expires_in":300}"#),
            Some(("a".to_owned(), 300))
        );
        assert_eq!(read(r#"{"access_token":"a"}"#), Some(("a".to_owned(), 60)));
        assert_eq!(
            read(&format!(r#"{{"token":"a","expires_in":{}}}"#, u64::MAX)),
            Some(("a".to_owned(), 3_600))
        );
        assert_eq!(read(r#"{"expires_in":1}"#), None);
        assert_eq!(read("<html>"), None);
    }
}
