//! Parameters of a query, with every byte of the others kept.
//!
//! Upstreams read names differently, and where any of these readings is looked for, the parameter is
//! meant:
//!
//! * percent-decoded, `+` as a blank, and ASCII in more bytes of UTF-8 than one as one (old decoders);
//! * `%u0061` and `%uff41` as `a`, and without a `%` that begins no escape (ASP);
//! * by PHP's rules (`main/php_variables.c`) without leading blanks, cut at NUL, with `.` and blank as `_`, and
//!   cut at `[` or, where that is never closed, with `_` in its place;
//! * what stands first between brackets: `[name]` (`qs` of Express), `]name` and `name]` (Rack);
//! * without blanks of Unicode around it, which JavaScript and Python trim, and without a second `?` before it
//!   (`URLSearchParams`), or `/` and `!` where it stands behind `#`;
//! * as it stands, as names of cookies are read.

use std::borrow::Cow;

use crate::change::Outcome;
use crate::credentials::{cut, joined, parts};
use crate::judge::{Judge, Verdict};

/// What becomes of a path with its query.
///
/// Parameters are separated by `&`. Some upstreams separate by `;` too: within a parameter that
/// stays, parts after a `;` are judged like parameters; one that does not stay takes its `;` parts
/// along, because they may be its value. A `?` with nothing left after it goes as well.
pub(crate) fn scrub(path: &[u8], judge: &Judge<'_>) -> Outcome {
    let (base, query) = cut(path, b'?');
    match query.and_then(|query| parameters(query, Place::Query, judge)) {
        None => Outcome::Stays,
        Some(query) if query.is_empty() => Outcome::Becomes(base.to_vec()),
        Some(query) => Outcome::Becomes([base, b"?", &query].concat()),
    }
}

/// What becomes of a URL: its query is judged, and its fragment as if it were one where `fragment`
/// says so.
pub(crate) fn scrub_url(url: &[u8], fragment: bool, judge: &Judge<'_>) -> Outcome {
    let (front, back) = cut(url, b'#');
    let kept = back.filter(|_| fragment);
    let kept = kept.and_then(|fragment| in_fragment(fragment, judge));
    let front_after = scrub(front, judge);
    let front = match (&front_after, &kept) {
        (Outcome::Becomes(front), _) => front,
        (_, Some(_)) => front,
        _ => return Outcome::Stays,
    };
    let is_gone = kept.as_ref().is_some_and(Vec::is_empty);
    Outcome::Becomes(match kept.as_deref().or(back) {
        Some(parts) if !is_gone => [front, b"#", parts].concat(),
        _ => front.to_vec(),
    })
}

/// A URL as its readers have it, who drop tabs wherever they stand in it (WHATWG's URL, 4.4; Python's
/// `urlsplit`).
pub(crate) fn without_tabs(url: &[u8]) -> Cow<'_, [u8]> {
    match url.contains(&b'\t') {
        true => Cow::Owned(joined(&parts(url, b'\t').collect::<Vec<_>>(), b"")),
        false => Cow::Borrowed(url),
    }
}

/// The fragment that is left, which may be a path with a query; `None` where all stays as it is. A `?` in the
/// value of a parameter begins no query.
fn in_fragment(fragment: &[u8], judge: &Judge<'_>) -> Option<Vec<u8>> {
    let left = parameters(fragment, Place::Fragment, judge);
    match scrub(left.as_deref().unwrap_or(fragment), judge) {
        Outcome::Becomes(after) => Some(after),
        _ => left,
    }
}

/// The parameters that are left; `None` where all stay as they are.
fn parameters(query: &[u8], place: Place, judge: &Judge<'_>) -> Option<Vec<u8>> {
    let mut kept: Vec<Cow<'_, [u8]>> = Vec::new();
    let mut changed = false;
    for parameter in parts(query, b'&') {
        match whole(parameter, place, judge) {
            Some(Outcome::Stays) => kept.push(Cow::Borrowed(parameter)),
            Some(Outcome::Goes) => changed = true,
            Some(Outcome::Becomes(other)) => {
                changed = true;
                kept.push(Cow::Owned(other));
            }
            None => match behind_semicolons(parameter, place, judge) {
                None => kept.push(Cow::Borrowed(parameter)),
                Some(other) => {
                    changed = true;
                    kept.push(Cow::Owned(other));
                }
            },
        }
    }
    changed.then(|| joined(&kept, b"&"))
}

/// What becomes of `name=value` up to its `&`; `None` where nobody names it. A fragment that is no more than a
/// name is an anchor, or a path.
fn whole(parameter: &[u8], place: Place, judge: &Judge<'_>) -> Option<Outcome> {
    let end = |&byte: &u8| byte == b'=' || byte == b';';
    let name = parameter.split(end).next().unwrap_or_default();
    let value = parameter
        .get(name.len()..)
        .and_then(|rest| rest.strip_prefix(b"="));
    if value.is_none() && place == Place::Fragment {
        return None;
    }
    let item = match readings(name, place, judge) {
        Verdict::Unnamed => return None,
        Verdict::Keeps => return behind_semicolons(parameter, place, judge).map(Outcome::Becomes),
        Verdict::Changes(item) => item,
    };
    let value = replaced(value.unwrap_or_default(), percent);
    Some(match item.apply(&value, judge.hasher) {
        Outcome::Becomes(other) => Outcome::Becomes([name, b"=", &encode(&other)].concat()),
        outcome => outcome,
    })
}

/// A parameter that stays, less the parts after a `;` that do not; `None` where all do.
fn behind_semicolons(parameter: &[u8], place: Place, judge: &Judge<'_>) -> Option<Vec<u8>> {
    let mut parts = parts(parameter, b';');
    let mut kept = vec![Cow::Borrowed(parts.next().unwrap_or_default())];
    let mut changed = false;
    for part in parts {
        match whole(part, place, judge) {
            None | Some(Outcome::Stays) => kept.push(Cow::Borrowed(part)),
            Some(Outcome::Goes) => changed = true,
            Some(Outcome::Becomes(other)) => {
                changed = true;
                kept.push(Cow::Owned(other));
            }
        }
    }
    changed.then(|| joined(&kept, b";"))
}

/// Where a name stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Cookies,
    Query,
    Fragment,
}

/// What is said of a name in any reading of it. Where one says that it goes and another that it stays,
/// it goes.
pub(crate) fn readings<'r>(raw: &[u8], place: Place, judge: &Judge<'r>) -> Verdict<'r> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"%+.[]?/!".contains(byte);
    if raw.iter().all(plain) {
        return judge.of(raw);
    }
    let decoded = decode(raw);
    let (name, _) = cut(decoded.trim_ascii_start(), 0);
    let before = match (place, name) {
        (Place::Query, [b'?', ..]) => 1,
        (Place::Fragment, _) => {
            let is_before = |byte: &&u8| b"/!?".contains(byte);
            name.iter().take_while(is_before).count()
        }
        _ => 0,
    };
    let name = name.get(before..).unwrap_or_default();
    let mut pieces = name.split(|byte| b"[]".contains(byte));
    let first = pieces.find(|piece| !piece.is_empty()).unwrap_or_default();
    let mut said = Verdict::Unnamed;
    for reading in [raw, name, bare(first), &folded(first), &folded(name)] {
        said = said.or(|| judge.of(reading));
    }
    said
}

/// How long the blank is that a text begins with, in UTF-8 or Latin-1; 0 where none does.
fn blank(text: &[u8]) -> usize {
    match *text {
        [0..=b' ' | 0x85 | 0xa0, ..] => 1,
        [0xc2, 0x85 | 0xa0, ..] => 2,
        [0xe1, 0x9a, 0x80, ..]
        | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..]
        | [0xe2, 0x81, 0x9f, ..]
        | [0xe3, 0x80, 0x80, ..]
        // The byte order mark, to JavaScript.
        | [0xef, 0xbb, 0xbf, ..] => 3,
        _ => 0,
    }
}

/// A name without blanks around it.
fn bare(name: &[u8]) -> &[u8] {
    let (mut start, mut end, mut at) = (0, 0, 0);
    while let Some(rest @ [_, ..]) = name.get(at..) {
        let length = blank(rest);
        at += length.max(1);
        match length {
            0 => end = at,
            _ if end == 0 => start = at,
            _ => {}
        }
    }
    name.get(start..end).unwrap_or_default()
}

/// As PHP writes names, and without signs of escapes that are none, which ASP drops.
fn folded(name: &[u8]) -> Vec<u8> {
    let fold = |&byte| match byte {
        b'.' | b' ' | b'[' => b'_',
        byte => byte,
    };
    let kept = name.iter().filter(|byte| **byte != b'%');
    kept.map(fold).collect()
}

/// What may stand in a query as it is, of what masks and hashes are made of.
fn encode(value: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |four: u8| DIGITS.get(usize::from(four)).copied().unwrap_or(b'0');
    let mut encoded = Vec::with_capacity(value.len());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~:*!".contains(&byte) {
            encoded.push(byte);
        } else {
            encoded.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

/// Percent-decodes, and makes one byte of ASCII that is more.
pub(crate) fn decode(raw: &[u8]) -> Vec<u8> {
    let text = replaced(raw, escape);
    match text.is_ascii() {
        true => text,
        false => replaced(&text, overlong),
    }
}

/// Whether a text has ASCII in more bytes of UTF-8 than one, escaped or not.
pub(crate) fn is_overlong(raw: &[u8]) -> bool {
    decode(raw).len() < replaced(raw, escape).len()
}

/// A text with one byte for as many as `read` says that it takes.
fn replaced(text: &[u8], read: fn(&[u8]) -> Option<(u8, usize)>) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, ..] = rest {
        let (letter, length) = read(rest).unwrap_or((*byte, 1));
        replaced.push(letter);
        rest = rest.get(length..).unwrap_or_default();
    }
    replaced
}

/// The byte of an escape that a text begins with, and how long that is. What is none stays as it is.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match *text {
        [b'%', b'u' | b'U', a, b, c, d, ..] => match (hex(a, b)?, hex(c, d)?) {
            (0, byte) => Some((byte, 6)),
            // Letters as wide as Chinese ones.
            (0xff, byte @ 1..=0x5e) => Some((byte + 0x20, 6)),
            _ => None,
        },
        _ => percent(text),
    }
}

/// The byte of an escape of URLs that a text begins with, and how long that is: what values are written with.
fn percent(text: &[u8]) -> Option<(u8, usize)> {
    match *text {
        [b'%', high, low, ..] => Some((hex(high, low)?, 3)),
        [b'+', ..] => Some((b' ', 1)),
        _ => None,
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    Some(digit(high)? << 4 | digit(low)?)
}

/// The byte of ASCII that a text begins with in more bytes than one, and how many these are.
fn overlong(text: &[u8]) -> Option<(u8, usize)> {
    let lead = *text.first()?;
    let length = lead.leading_ones();
    if !(2..=6).contains(&length) {
        return None;
    }
    let mut letter = u32::from(lead & 0x7f >> length);
    let length = usize::try_from(length).ok()?;
    for byte in text.get(1..length)? {
        if byte >> 6 != 0b10 {
            return None;
        }
        letter = letter << 6 | u32::from(byte & 0x3f);
    }
    let letter = u8::try_from(letter).ok().filter(u8::is_ascii)?;
    Some((letter, length))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::change::{Change, Item};

    fn scrubbed(path: &[u8], name: &[u8], item: &Item) -> Option<Vec<u8>> {
        let find = |other: &[u8]| match other == name {
            true => Verdict::Changes(item),
            false => Verdict::Unnamed,
        };
        match scrub(path, &Judge::new(&find, None)) {
            Outcome::Stays => None,
            Outcome::Becomes(path) => Some(path),
            Outcome::Goes => panic!("a path never goes"),
        }
    }

    fn without_token(path: &str) -> Option<String> {
        scrubbed(path.as_bytes(), b"access_token", &Item::REMOVE)
            .map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn each_spelling_of_the_name_goes() {
        for spelling in [
            "access_token=x",
            "access_token",
            "access_token=",
            "access_token==",
            "%61ccess_token=x",
            "%61%63%63%65%73%73%5f%74%6f%6b%65%6e=x",
            "access%5Ftoken=x",
            "access.token=x",
            "access+token=x",
            "access%20token=x",
            "+access_token=x",
            "%20%20access_token=x",
            "access_token[]=x",
            "access_token[a][b]=x",
            "access_token%5B%5D=x",
            "access[token=x",
            "access%5btoken=x",
            "[access_token]=x",
            "%5Baccess_token%5D[x]=x",
            "%u0061ccess_token=x",
            "access%u005Ftoken=x",
            "access_token%00=x",
            "access_token%00z=x",
            "access_token=x;y=z",
            "access_token+=x",
            "access_token%20%09=x",
            "access_token%C2%A0=x",
            "\u{3000}access_token=x",
            "?access_token=x",
            "]access_token=x",
            "[[access_token]]=x",
            "access_token%5D=x",
            "access_token]x=x",
            "acc%ess_token=x",
            "access_token%=x",
            "%uff41ccess%uFF3Ftoken=x",
            "%c1%a1ccess_token=x",
            "%e0%81%a1ccess_%F0%80%81%B4oken=x",
            "access_token%c0%80z=x",
        ] {
            let path = format!("/p?a=1&{spelling}&b=2");
            assert_eq!(
                without_token(&path).as_deref(),
                Some("/p?a=1&b=2"),
                "{spelling}"
            );
        }
    }

    #[test]
    fn blanks_around_a_name_are_those_that_readers_trim() {
        let all = '\0'..=char::MAX;
        for letter in all.filter(|letter| !letter.is_ascii_graphic() && *letter != '\0') {
            let trims = letter.is_whitespace() || letter <= ' ' || letter == '\u{feff}';
            for name in [
                format!("{letter}{letter}key"),
                format!("key{letter}{letter}"),
            ] {
                assert_eq!(bare(name.as_bytes()) == b"key", trims, "{letter:?}");
            }
        }
        for name in [
            &b"\x85\xa0key"[..],
            b"key\xa0\x85",
            b"\xa0\xc2\xa0key\x85\xc2\x85",
        ] {
            assert_eq!(bare(name), b"key");
        }
        assert_eq!(bare(b" \xa0"), b"");
    }

    #[test]
    fn names_of_many_letters_stay() {
        let item = Item::REMOVE;
        for other in [
            "\u{5546}\u{54c1}key=1",
            "%E5%95%86%E5%93%81key=1",
            "key%E6%95%B0=5",
        ] {
            let path = format!("/search?{other}");
            assert_eq!(scrubbed(path.as_bytes(), b"key", &item), None, "{other}");
        }
    }

    #[test]
    fn a_name_with_brackets_can_be_meant() {
        let path = b"/?filter%5Bkey%5D=s&filter[other]=1";
        let scrubbed = scrubbed(path, b"filter[key]", &Item::REMOVE).unwrap();
        assert_eq!(scrubbed, b"/?filter[other]=1");
    }

    #[test]
    fn names_that_only_look_alike_stay() {
        for other in [
            "xaccess_token=1",
            "access_token2=1",
            "a=access_token",
            "%2561ccess_token=1",
            "%zzaccess_token=1",
            "access_toke%6=1",
            "a[access_token]=1",
            "%u0161ccess_token=1",
            "access_token!=1",
            "!access_token=1",
            "access_token/=1",
            "/access_token=1",
            "access_token?=1",
            "??access_token=1",
            "access_token%E6%95%B0=5",
            "%E5%95%86%E5%93%81access_token=1",
            "\u{c0}access_token\u{e0}=1",
        ] {
            assert_eq!(without_token(&format!("/p?{other}")), None, "{other}");
        }
    }

    #[test]
    fn the_other_parameters_keep_every_byte() {
        assert_eq!(
            without_token("/a%2Fb//c?&x=%41%2b+&&access_token=s&=&y&z=?/:@;q=1;#f&").as_deref(),
            Some("/a%2Fb//c?&x=%41%2b+&&=&y&z=?/:@;q=1;#f&")
        );
    }

    #[test]
    fn every_repetition_goes() {
        assert_eq!(
            without_token("/?access_token=1&access_token=2&k=v&access_token=3").as_deref(),
            Some("/?k=v")
        );
    }

    #[test]
    fn a_question_mark_with_nothing_after_it_goes() {
        assert_eq!(without_token("/?access_token=1").as_deref(), Some("/"));
    }

    #[test]
    fn a_path_without_the_parameter_is_not_written() {
        for path in [
            "/",
            "/?",
            "/?a&b",
            "*",
            "",
            "/access_token=1",
            "/a;access_token=1",
        ] {
            assert_eq!(without_token(path), None, "{path}");
        }
    }

    #[test]
    fn semicolons_separate_for_some_upstreams() {
        assert_eq!(
            without_token("/?a=1;access_token=s;b=2&c").as_deref(),
            Some("/?a=1;b=2&c")
        );
    }

    #[test]
    fn bytes_that_are_not_text_stay() {
        let path = b"/\xff?\xfe=\xfd&access_token=\x80&\x81";
        let scrubbed = scrubbed(path, b"access_token", &Item::REMOVE).unwrap();
        assert_eq!(scrubbed, b"/\xff?\xfe=\xfd&\x81");
    }

    #[test]
    fn a_value_can_change_and_is_written_as_a_query_is() {
        let item = Item {
            change: Change::Mask {
                first: 2,
                last: 0,
                letter: b'*',
            },
            ..Item::REMOVE
        };
        for (before, after) in [
            ("/?token=abcd&b=%20", "/?token=ab**&b=%20"),
            ("/?%74oken=a%26cd", "/?%74oken=a%26**"),
            ("/?a=1;token=abcd;b", "/?a=1;token=ab**;b"),
            ("/?token=ab;cd", "/?token=ab***"),
            ("/?token=ab%C1%A1", "/?token=ab**"),
            ("/?token=ab%u0061", "/?token=ab******"),
        ] {
            assert_eq!(
                scrubbed(before.as_bytes(), b"token", &item).as_deref(),
                Some(after.as_bytes())
            );
        }
        for same in ["/?token", "/?token=", "/?token=**"] {
            assert_eq!(scrubbed(same.as_bytes(), b"token", &item), None, "{same}");
        }
    }

    #[test]
    fn a_url_keeps_its_fragment_or_has_it_judged() {
        static ITEM: Item = Item::REMOVE;
        let find = |name: &[u8]| match name == b"t" {
            true => Verdict::Changes(&ITEM),
            false => Verdict::Unnamed,
        };
        let judge = Judge::new(&find, None);
        for (url, fragment, after) in [
            ("https://a/b?t=1#c", false, Some("https://a/b#c")),
            ("https://a/b?x#t=1", false, None),
            ("https://a/b?x#t=1&y", true, Some("https://a/b?x#y")),
            ("https://a/b?t#t=1", true, Some("https://a/b")),
            ("https://a/b#?t=1", false, None),
            ("https://a/b#?t=1", true, Some("https://a/b")),
            ("/b#/c?t=1&x", true, Some("/b#/c?x")),
            ("/b#!t=1&x?y", true, Some("/b#x?y")),
            ("/b#t=1?t=2", true, Some("/b")),
            ("/b#/c?x", true, None),
            ("/b#t=hunter?2", true, Some("/b")),
            ("/b#x?y&t=hunter?2;t=3&z", true, Some("/b#x?y&z")),
            ("/b#/?t", true, Some("/b#/")),
            ("/b#/t=1", true, Some("/b")),
            ("/b#!/t=1&x", true, Some("/b#x")),
            ("/b#/t", true, None),
            ("/b#/t?x=2", true, None),
            ("/b#t", true, None),
            ("/b#t;x&t", true, None),
            ("/b#t!=1", true, None),
            ("/b?/t=1", true, None),
        ] {
            let outcome = match after {
                None => Outcome::Stays,
                Some(after) => Outcome::Becomes(after.as_bytes().to_vec()),
            };
            assert_eq!(
                scrub_url(url.as_bytes(), fragment, &judge),
                outcome,
                "{url}"
            );
        }
    }
}
