//! What is wrong with single values of a configuration.

use attache::ConfigError;
use attache::matching::{self, MatchError, Matcher};

use crate::change::{Change, Item};
use crate::config::Place;
use crate::credentials::is_token;

use super::Kind;

/// Headers that the message itself needs.
const PROTECTED: [&str; 3] = ["host", "content-length", "transfer-encoding"];

/// Checks the name of a header.
fn header_name(name: &str) -> Result<(), &'static str> {
    // Not `http::HeaderName`: its table of standard names alone is a tenth of the module.
    if name.starts_with(':') {
        return Err("expected a header, found a pseudo header");
    }
    if !is_token(name.as_bytes()) {
        return Err("expected a header name");
    }
    Ok(())
}

/// Whether a header may not be changed, because the message itself needs it.
pub(crate) fn is_protected(name: &[u8]) -> bool {
    PROTECTED
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
}

/// Checks the name of a header that is changed.
pub(super) fn changeable_header(name: &str) -> Result<(), &'static str> {
    header_name(name)?;
    match is_protected(name.as_bytes()) {
        true => Err("this header is part of the message and cannot be removed"),
        false => Ok(()),
    }
}

/// Checks a name of some kind.
pub(super) fn name(kind: Kind, name: &str) -> Result<(), &'static str> {
    let breaks = |byte: u8| byte <= b' ' || b"=;,\"\x7f".contains(&byte);
    match kind {
        Kind::Header | Kind::ResponseHeader => header_name(name),
        Kind::Parameter if name.is_empty() => Err("expected a name, found an empty string"),
        Kind::Cookie | Kind::SetCookie if name.is_empty() || name.bytes().any(breaks) => {
            Err("expected the name of a cookie")
        }
        _ => Ok(()),
    }
}

/// The name of an item, and whether it is the beginning of names.
pub(super) fn name_of<'a>(item: &Place<'a>) -> (&'a str, bool) {
    let name = item.get("name");
    let part = |key| name.as_ref().and_then(|name| name.text_of(key));
    match (part("exact"), part("prefix")) {
        (Some(exact), _) => (exact, false),
        (_, Some(prefix)) => (prefix, true),
        _ => (item.text_of("name").unwrap_or_default(), false),
    }
}

/// Checks an item of a table.
pub(super) fn item(kind: Kind, place: &Place<'_>, can_hash: bool) -> Result<Item, ConfigError> {
    let (text, is_prefix) = name_of(place);
    let action = place.text_of("action").unwrap_or_default();
    let is_header = matches!(kind, Kind::Header | Kind::ResponseHeader);
    match is_header && action != "keep" {
        true => changeable_header(text),
        false => name(kind, text),
    }
    .map_err(|reason| place.fault_at("name", reason))?;

    let uses: &[&str] = match action {
        "replace" => &["value", "keep_scheme"],
        "mask" => &["keep_first", "keep_last", "char", "keep_scheme"],
        "hash" => &["keep_scheme"],
        "truncate" => &["length", "keep_scheme"],
        _ => &[],
    };
    for (key, member) in place.members() {
        let of_header = matches!(key, "schemes" | "keep_scheme");
        if of_header && !is_header {
            return Err(member.fault("this is for headers"));
        }
        if !matches!(key, "name" | "action" | "schemes") && !uses.contains(&key) {
            return Err(member.fault("the action does not use it"));
        }
    }
    let mut schemes = Vec::new();
    for scheme in place.list("schemes") {
        if !is_token(scheme.text().as_bytes()) {
            return Err(scheme.fault("expected the name of a scheme, such as `basic`"));
        }
        schemes.push(scheme.text().as_bytes().to_vec());
    }
    let change = match action {
        "keep" => Change::Keep,
        "replace" => Change::Replace(replacement(kind, place)?),
        "mask" => mask(place)?,
        "hash" if can_hash => Change::Hash,
        "hash" => return Err(place.fault_at("action", "hashing needs a key, in `/hash`")),
        "truncate" => match place.number("length") {
            Some(length) => Change::Truncate(length),
            None => return Err(place.fault_at("length", "missing")),
        },
        _ => Change::Remove,
    };
    let is_binary = is_header && !is_prefix && text.to_ascii_lowercase().ends_with("-bin");
    if is_binary && !matches!(change, Change::Remove | Change::Keep) {
        let reason = "binary metadata of gRPC can only be removed or kept";
        return Err(place.fault_at("action", reason));
    }
    Ok(Item {
        change,
        schemes,
        keep_scheme: place.flag("keep_scheme", false),
    })
}

fn replacement(kind: Kind, place: &Place<'_>) -> Result<Vec<u8>, ConfigError> {
    let Some(value) = place.text_of("value") else {
        return Err(place.fault_at("value", "missing"));
    };
    let breaks = |byte: u8| match kind {
        // It is encoded.
        Kind::Parameter => false,
        Kind::Header | Kind::ResponseHeader => byte < b' ' || byte == 0x7f,
        Kind::Cookie | Kind::SetCookie => byte <= b' ' || b";,\"\\\x7f".contains(&byte),
    };
    match value.bytes().any(breaks) {
        true => Err(place.fault_at("value", "the value has bytes that cannot stand there")),
        false => Ok(value.as_bytes().to_vec()),
    }
}

fn mask(place: &Place<'_>) -> Result<Change, ConfigError> {
    let kept = |key| place.number(key).unwrap_or(0);
    let (first, last) = (kept("keep_first"), kept("keep_last"));
    let letter = match place.text_of("char").map(str::as_bytes) {
        None if first > 0 || last > 0 => return Err(place.fault_at("char", "missing")),
        None => b'*',
        Some([letter]) if letter.is_ascii_graphic() && !b";,\"\\".contains(letter) => *letter,
        Some(_) => {
            let reason = "expected one visible letter of ASCII other than `;,\"\\`";
            return Err(place.fault_at("char", reason));
        }
    };
    Ok(Change::Mask {
        first,
        last,
        letter,
    })
}

/// Checks patterns.
pub(super) fn patterns(list: &[Place<'_>]) -> Result<Vec<Matcher>, ConfigError> {
    let mut patterns = Vec::new();
    for place in list {
        patterns.push(pattern(place).map_err(|error| place.fault(error.reason()))?);
    }
    Ok(patterns)
}

/// Reads a pattern: a text, or an object whose one member but `ignore_case` is of a kind.
fn pattern(place: &Place<'_>) -> Result<Matcher, MatchError> {
    let ignore_case = place.flag("ignore_case", false);
    let mut members = place.members().into_iter();
    let named = members.find_map(|(key, text)| Some((matching::Kind::named(key)?, text)));
    let Some((kind, text)) = named else {
        return Matcher::new(matching::Kind::Exact, place.text(), ignore_case);
    };
    let text = text.text_of("regex").unwrap_or_else(|| text.text());
    Matcher::new(kind, text, ignore_case)
}

/// Checks methods.
pub(super) fn methods(list: &[Place<'_>]) -> Result<Vec<Vec<u8>>, ConfigError> {
    let mut methods = Vec::new();
    for place in list {
        let method = place.text().as_bytes();
        if !is_token(method) || method.iter().all(u8::is_ascii_lowercase) {
            return Err(place.fault("expected a method, such as `GET`"));
        }
        methods.push(method.to_vec());
    }
    Ok(methods)
}
