//! JSON Web Tokens: told from other values, stripped of what makes them valid, and read.

use attache::Document;

use crate::change::Outcome;
use crate::credentials::{parts, scheme, scheme_length, trim};

pub(crate) mod base64;

/// What stands in place of a signature: no Base64, whose length this is not, so that it verifies
/// nowhere, and says why.
const STRIPPED: &[u8] = b"signature-removed";

/// How long a value with a token may be. Work on its members grows with their square.
const LONGEST: usize = 8 << 10;

/// What is done to a token, what leaves least last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum JwtAction {
    Keep,
    StripSignature,
    Remove,
}

/// A token in a header.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    /// The value up to the signature, with its last dot.
    signed: &'a [u8],
    claims: Document,
}

impl<'a> Token<'a> {
    /// Reads a value: three parts in Base64, the first two JSON objects, an algorithm that is not
    /// `none`, and no member twice. `None` for whatever is not that or very long, encrypted tokens (five
    /// parts) included.
    pub(crate) fn read(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii_end();
        if value.len() > LONGEST {
            return None;
        }
        let start = match scheme(value) {
            None => 0,
            Some(bearer) if bearer.eq_ignore_ascii_case(b"bearer") => scheme_length(value),
            Some(_) => return None,
        };
        let mut parts = parts(value.get(start..)?, b'.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        base64::decode(signature)?;
        let (header, claims) = (object(header)?, object(payload)?);
        match member(&header, "alg") {
            Some(Document::Text(name)) if !name.expose().eq_ignore_ascii_case("none") => {}
            _ => return None,
        }
        Some(Self {
            signed: value.get(..value.len() - signature.len())?,
            claims,
        })
    }

    /// What becomes of the value.
    pub(crate) fn apply(&self, action: JwtAction) -> Outcome {
        match action {
            JwtAction::StripSignature => Outcome::Becomes([self.signed, STRIPPED].concat()),
            JwtAction::Remove => Outcome::Goes,
            JwtAction::Keep => Outcome::Stays,
        }
    }

    /// A claim, or with dots one in others, as far as it is a text, number or boolean that a header can hold.
    pub(crate) fn claim(&self, name: &str) -> Option<Vec<u8>> {
        let inner = || name.split('.').try_fold(&self.claims, member);
        let value = match member(&self.claims, name).or_else(inner)? {
            Document::Bool(value) => value.to_string(),
            Document::Unsigned(value) => value.to_string(),
            Document::Signed(value) => value.to_string(),
            Document::Decimal(value) => value.clone(),
            Document::Text(value) => value.expose().clone(),
            _ => return None,
        }
        .into_bytes();
        let is_legal = value.iter().all(|&byte| byte >= b' ' && byte != 0x7f);
        (is_legal && trim(&value).len() == value.len()).then_some(value)
    }
}

/// A part of a token. Readers of JSON differ in which of two members of one name they take, so these
/// are none.
fn object(part: &[u8]) -> Option<Document> {
    match Document::read(&base64::decode(part)?) {
        Ok(object @ Document::Object(_)) => Some(object),
        _ => None,
    }
}

fn member<'d>(object: &'d Document, name: &str) -> Option<&'d Document> {
    let Document::Object(members) = object else {
        return None;
    };
    let (_, value) = members.iter().find(|(own, _)| own == name)?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        let encoded = |text: &str| base64::encode(text.as_bytes());
        format!("Bearer {}.{}.c2ln", encoded(header), encoded(payload))
    }

    #[test]
    fn a_token_is_read_and_stripped() {
        let value = token(
            r#"{"alg":"RS256","typ":"JWT"}"#,
            r#"{"sub":"ada","n":-1.5e3,"b":true,"o":{"p":{"q":1}},"o.p":"dotted"}"#,
        );
        let token = Token::read(value.as_bytes()).unwrap();
        assert_eq!(token.claim("sub"), Some(b"ada".to_vec()));
        assert_eq!(token.claim("n"), Some(b"-1.5e3".to_vec()));
        assert_eq!(token.claim("b"), Some(b"true".to_vec()));
        assert_eq!(token.claim("o.p.q"), Some(b"1".to_vec()));
        assert_eq!(token.claim("o.p"), Some(b"dotted".to_vec()));
        for name in ["x", "o", "o.q", "o.p.q.r", "sub.x", ""] {
            assert_eq!(token.claim(name), None, "{name}");
        }
        let stripped = value.replace(".c2ln", ".signature-removed");
        assert_eq!(
            token.apply(JwtAction::StripSignature),
            Outcome::Becomes(stripped.clone().into_bytes())
        );
        assert!(
            Token::read(stripped.as_bytes()).is_none(),
            "it verifies nowhere"
        );
    }

    #[test]
    fn claims_that_no_header_can_hold_are_not_there() {
        let value = token(
            r#"{"alg":"HS256"}"#,
            r#"{"o":{"a":1},"l":["x"],"n":null,"line":"a\r\nx: y","blank":" a","e":"\u00e9\ud83d\ude00"}"#,
        );
        let token = Token::read(value.as_bytes()).unwrap();
        for name in ["o", "l", "n", "line", "blank"] {
            assert_eq!(token.claim(name), None, "{name}");
        }
        assert_eq!(token.claim("e"), Some("é😀".as_bytes().to_vec()));
    }

    #[test]
    fn what_is_no_signed_token_is_none() {
        let good = token(r#"{"alg":"HS256"}"#, "{}");
        assert!(Token::read(good.as_bytes()).is_some());
        for value in [
            String::new(),
            "Bearer opaque".to_owned(),
            "Bearer a.b.c".to_owned(),
            "Bearer ....".to_owned(),
            good.replace("Bearer", "Basic"),
            good.clone() + ".a.b",
            good.clone() + "," + &good,
            good.clone() + "=",
            good.replace(".c2ln", ".c!ln"),
            token(r#"{"alg":"none"}"#, "{}"),
            token(r#"{"alg":"NONE"}"#, "{}"),
            token(r#"{"alg":["HS256"]}"#, "{}"),
            token("{}", "{}"),
            token(r#"{"alg":"none","alg":"HS256"}"#, "{}"),
            token(r#"{"alg":"HS256"}"#, r#"{"sub":"a","sub":"b"}"#),
            token(r#"{"alg":"HS256"}"#, r#"{"sub":"a","s\u0075b":"b"}"#),
            token(r#"{"alg":"HS256"}"#, "[]"),
            token(r#"{"alg":"HS256"}"#, "{} x"),
            token(r#"{"alg":"HS256"}"#, &format!("{{}}{}", " ".repeat(6_200))),
        ] {
            assert!(Token::read(value.as_bytes()).is_none(), "{value}");
        }
    }
}
