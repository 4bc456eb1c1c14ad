//! Tokens among the protocols of a WebSocket (`sec-websocket-protocol`).

use crate::change::Outcome;
use crate::credentials::{joined, parts, trim};
use crate::query::decode;
use crate::token;

/// Whether a word is a JSON object in Base64. Three letters say so where a name begins it; with blanks behind the
/// bracket eight have to, since words begin with three of these (`ewon`).
fn is_object(word: &[u8]) -> bool {
    if word.starts_with(b"eyJ") || word.starts_with(b"eyI") {
        return true;
    }
    let bytes = word.get(..8).and_then(token::base64::decode);
    match bytes.as_deref().map(<[u8]>::trim_ascii_end) {
        Some([b'{', inside @ ..]) => matches!(trim(inside), [] | [b'"', ..]),
        _ => false,
    }
}

/// What becomes of the list, where `doomed` says which names are those of credentials. Schemes and
/// tokens that say what they are go where `authorization` does.
///
/// Known ways to pass a token are `bearer, TOKEN`, `access_token, TOKEN`, `NAME.TOKEN`, Kubernetes'
/// `base64url.bearer.authorization.k8s.io.TOKEN`, AppSync's `header-JSON`, `Bearer%20TOKEN`, and a JSON Web Token
/// behind whatever. Escapes are read as servers do.
///
/// Several lines are one list, so that `is_value` goes from one to the next: whether what comes is the value of a
/// name that has gone. Empty elements count for nothing (RFC 9110, 5.6.1).
pub(crate) fn scrub(value: &[u8], is_value: &mut bool, doomed: impl Fn(&[u8]) -> bool) -> Outcome {
    let hides_authorization = doomed(b"authorization");
    let is_credential = |word: &[u8]| {
        let is_scheme = [&b"bearer"[..], b"basic", b"token", b"authorization"]
            .iter()
            .any(|own| own.eq_ignore_ascii_case(word));
        (is_scheme && hides_authorization) || doomed(word)
    };
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut changed = false;
    for item in parts(value, b',') {
        let name = decode(trim(item));
        let name = trim(&name);
        if name.is_empty() && *is_value {
            continue;
        }
        let goes_as_value = std::mem::take(is_value);
        if is_credential(name) {
            *is_value = true;
            changed = true;
            continue;
        }
        let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        let mut parts = name.split(|byte| !of_name(byte));
        let mut words = name.split(|byte| !byte.is_ascii_alphanumeric());
        let is_token = hides_authorization && words.any(is_object);
        if goes_as_value || is_token || parts.any(is_credential) {
            changed = true;
            continue;
        }
        kept.push(item);
    }
    if !changed {
        return Outcome::Stays;
    }
    let list = joined(&kept, b",");
    match trim(&list) {
        b"" => Outcome::Goes,
        list => Outcome::Becomes(list.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(value: &str) -> Option<String> {
        let doomed = |name: &[u8]| [&b"authorization"[..], b"access_token"].contains(&name);
        match scrub(value.as_bytes(), &mut false, doomed) {
            Outcome::Stays => Some(value.to_owned()),
            Outcome::Goes => None,
            Outcome::Becomes(value) => Some(String::from_utf8(value).unwrap()),
        }
    }

    #[test]
    fn tokens_go_and_protocols_stay() {
        for (value, kept) in [
            ("graphql-transport-ws", Some("graphql-transport-ws")),
            ("v1.chat, v2.chat", Some("v1.chat, v2.chat")),
            ("bearer, abc", None),
            ("bearer, , abc, chat", Some("chat")),
            ("a, , b", Some("a, , b")),
            ("chat, Bearer, abc, v2", Some("chat, v2")),
            ("access_token,abc, chat", Some("chat")),
            ("access_token.abc, chat", Some("chat")),
            (
                "base64url.bearer.authorization.k8s.io.abc, base64.binary.k8s.io",
                Some("base64.binary.k8s.io"),
            ),
            ("chat, eyJhbGciOiJI.e30.abc", Some("chat")),
            ("auth.eyJhbGciOiJI.e30.abc, chat", Some("chat")),
            (
                "aws-appsync-event-ws, header-eyJob3N0Ijo",
                Some("aws-appsync-event-ws"),
            ),
            ("chat, Bearer%20abc, v2", Some("chat, v2")),
            ("keyJournal, heyJ", Some("keyJournal, heyJ")),
            (
                "ewkb.v1, ewon-m2web, eyAsomething, ewonetworks",
                Some("ewkb.v1, ewon-m2web, eyAsomething, ewonetworks"),
            ),
            (
                "chat, ewoJImFsZyI6.e30.abc, ewogICAgImFsZyI, ewog",
                Some("chat, ewog"),
            ),
            ("chat, ew0KICAiYWxnI", Some("chat")),
        ] {
            assert_eq!(after(value).as_deref(), kept, "{value}");
        }
    }
}
