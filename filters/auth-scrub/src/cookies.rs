//! Single cookies of `cookie` and `set-cookie` (RFC 6265, 4), with every byte of the others kept.

use std::borrow::Cow;

use crate::change::{Item, Outcome};
use crate::credentials::{cut, is_blank, joined, parts, trim};
use crate::judge::{Judge, Verdict};
use crate::query::{self, Place};

/// What becomes of a line of cookies.
///
/// They are separated by `;`. A quoted value may reach over one of these for some upstreams, so one
/// that does not stay takes along what its quotes enclose. Old upstreams separate by `,` too, and Python's
/// `http.cookies` by blanks: in a cookie that stays, what stands there is judged like cookies.
pub(crate) fn scrub(line: &[u8], judge: &Judge<'_>) -> Outcome {
    let segments: Vec<&[u8]> = parts(line, b';').collect();
    let mut kept: Vec<Cow<'_, [u8]>> = Vec::new();
    let mut changed = false;
    // Whether a quote may end behind here: looked for but once where none does.
    let mut may_end = true;
    let mut index = 0;
    while let Some(segment) = segments.get(index) {
        index += 1;
        let (name, value) = pair(segment);
        let Verdict::Changes(item) = readings(name, judge) else {
            match within(segment, judge) {
                Outcome::Stays => kept.push(Cow::Borrowed(segment)),
                Outcome::Goes => changed = true,
                Outcome::Becomes(other) => {
                    changed = true;
                    kept.push(Cow::Owned(other));
                }
            }
            continue;
        };
        let mut value = value.map(<[u8]>::to_vec);
        if may_end
            && let Some(value) = &mut value
            && is_open(value)
        {
            let mut rest = segments.iter().skip(index);
            let end = rest.position(|later| trim(later).ends_with(b"\""));
            may_end = end.is_some();
            let enclosed = end.map_or(0, |end| end + 1);
            for later in segments.iter().skip(index).take(enclosed) {
                value.push(b';');
                value.extend_from_slice(later);
            }
            index += enclosed;
        }
        match changed_pair(name, value.as_deref(), item, judge) {
            Outcome::Stays => kept.push(match value {
                None => Cow::Borrowed(segment),
                Some(value) => Cow::Owned([name, b"=", &value].concat()),
            }),
            Outcome::Goes => changed = true,
            Outcome::Becomes(other) => {
                changed = true;
                kept.push(Cow::Owned(other));
            }
        }
    }
    if !changed {
        return Outcome::Stays;
    }
    let line = joined(&kept, b";");
    let line = line.trim_ascii_start();
    if line.iter().all(|&byte| byte <= b' ' || byte == b';') {
        Outcome::Goes
    } else {
        Outcome::Becomes(line.to_vec())
    }
}

/// What is said of a cookie.
fn readings<'r>(name: &[u8], judge: &Judge<'r>) -> Verdict<'r> {
    query::readings(trim(name), Place::Cookies, judge)
}

/// What becomes of a line that sets a cookie. Its attributes stay.
pub(crate) fn scrub_set(line: &[u8], judge: &Judge<'_>) -> Outcome {
    let (cookie, _) = cut(line, b';');
    let (name, value) = pair(cookie);
    let Verdict::Changes(item) = readings(name, judge) else {
        return Outcome::Stays;
    };
    if value.is_some_and(is_open) {
        // Where the value ends, and the attributes begin, is a matter of opinion.
        return Outcome::Goes;
    }
    match changed_pair(name, value, item, judge) {
        Outcome::Becomes(other) => {
            let attributes = line.get(cookie.len()..).unwrap_or_default();
            Outcome::Becomes([&other, attributes].concat())
        }
        outcome => outcome,
    }
}

/// A cookie that stays, less those in it that do not.
fn within(segment: &[u8], judge: &Judge<'_>) -> Outcome {
    let goes = |name: &[u8]| matches!(readings(name, judge), Verdict::Changes(_));
    let is_list = segment.contains(&b',');
    let mut kept = Vec::new();
    let mut changed = false;
    for part in parts(segment, b',') {
        let front = before_blank(part, goes);
        let is_cut = front.len() < part.len();
        // A name that is neither in a list nor cut was judged already.
        if (is_list || is_cut) && goes(pair(front).0) {
            changed = true;
            continue;
        }
        changed |= is_cut;
        kept.push(front);
    }
    if !changed {
        Outcome::Stays
    } else if kept.is_empty() {
        Outcome::Goes
    } else {
        Outcome::Becomes(joined(&kept, b","))
    }
}

/// What stands before the first blank that a name which goes follows, and a sign behind it. What follows
/// that may be its value.
fn before_blank(text: &[u8], goes: impl Fn(&[u8]) -> bool) -> &[u8] {
    let mut start = 0;
    for piece in parts(text, b'=') {
        let word = piece.trim_ascii_end();
        let blank = word.iter().rposition(|&byte| is_blank(byte));
        if let Some((front, name)) = blank.and_then(|blank| word.split_at_checked(blank))
            && start + piece.len() < text.len()
            && !trim(front).is_empty()
            && goes(name)
        {
            return text.get(..start + front.len()).unwrap_or_default();
        }
        start += piece.len() + 1;
    }
    text
}

fn changed_pair(name: &[u8], value: Option<&[u8]>, item: &Item, judge: &Judge<'_>) -> Outcome {
    let value = trim(value.unwrap_or_default());
    let inside = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    match item.apply(inside.unwrap_or(value), judge.hasher) {
        // A value that would end the cookie would begin another one.
        Outcome::Becomes(other) if other.iter().any(|byte| b";,\"\\".contains(byte)) => {
            Outcome::Goes
        }
        Outcome::Becomes(other) => Outcome::Becomes([name, b"=", &other].concat()),
        outcome => outcome,
    }
}

/// Name and value. Signs before the name are no part of it: of `=a=b` browsers make a cookie without a
/// name, and send it back as `a=b` (RFC 6265bis, 5.6 and 5.8.3).
fn pair(cookie: &[u8]) -> (&[u8], Option<&[u8]>) {
    let cookie = match cookie.trim_ascii_start() {
        signs @ [b'=', ..] => {
            let is_before = |&byte: &u8| byte <= b' ' || byte == b'=';
            let start = signs.iter().position(|byte| !is_before(byte));
            signs.get(start.unwrap_or(0)..).unwrap_or_default()
        }
        _ => cookie,
    };
    cut(cookie, b'=')
}

/// Whether a quote begins the value, and none ends it.
fn is_open(value: &[u8]) -> bool {
    let value = trim(value);
    value.starts_with(b"\"") && (value.len() == 1 || !value.ends_with(b"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Change;

    fn judged(
        line: &str,
        item: &Item,
        scrub: fn(&[u8], &Judge<'_>) -> Outcome,
    ) -> Option<Option<String>> {
        let find = |name: &[u8]| match name {
            b"session" => Verdict::Changes(item),
            _ => Verdict::Unnamed,
        };
        match scrub(line.as_bytes(), &Judge::new(&find, None)) {
            Outcome::Stays => Some(Some(line.to_owned())),
            Outcome::Goes => None,
            Outcome::Becomes(line) => Some(Some(String::from_utf8(line).unwrap())),
        }
        .map(|line| line.filter(|line| !line.is_empty()))
    }

    #[test]
    fn one_cookie_goes_and_the_others_keep_every_byte() {
        for (line, after) in [
            ("session=s; theme=dark", "theme=dark"),
            ("theme=dark; session=s", "theme=dark"),
            ("a=1;session=s;b=2", "a=1;b=2"),
            ("a=1; session=s;  b=2; session=t; c", "a=1;  b=2; c"),
            ("a=1;; session", "a=1;"),
            ("a=1; session = s", "a=1"),
            ("a=1; sess%69on=s; session[x]=t", "a=1"),
            ("a=1; session=\"x;y\"; b=2", "a=1; b=2"),
            ("a=1; session=\"x; b=2", "a=1; b=2"),
            ("session=\"x; session=\"y; b=2", "b=2"),
            ("session=\"x; b=\"; session=\"y; c", "c"),
            ("a=\"x; session=s\"; b=2", "a=\"x; b=2"),
            ("a=1, session=s, b=2; c", "a=1, b=2; c"),
            ("a=1; session, session=s; b=2", "a=1; b=2"),
            ("a=1; session, b=2", "a=1; b=2"),
            ("a=1 session=s; b=2", "a=1; b=2"),
            ("a session\t= s c=1, d=1 session=s; b=2", "a, d=1; b=2"),
            ("a=1 session; b= session=2", "a=1 session; b= session=2"),
            ("a=1; session session=s; b", "a=1; b"),
            (
                "a=x=session=s; b= c session2=s",
                "a=x=session=s; b= c session2=s",
            ),
            ("a=1;\u{a0}session=s; session\u{3000}=s; b", "a=1; b"),
            (
                "session!=1; ?session=2; /session=3; \u{30e6}\u{30fc}session=4",
                "session!=1; ?session=2; /session=3; \u{30e6}\u{30fc}session=4",
            ),
            (
                "a=1; =session=s; == session=s;b=2; =; ==c",
                "a=1;b=2; =; ==c",
            ),
            (
                "session2=a; __Host-session=b; xsession=c",
                "session2=a; __Host-session=b; xsession=c",
            ),
        ] {
            let judged = judged(line, &Item::REMOVE, scrub);
            assert_eq!(judged, Some(Some(after.to_owned())), "{line}");
        }
    }

    #[test]
    fn a_line_without_a_cookie_left_goes() {
        for line in ["session=s", "session=s; session=t", " session=s ;; "] {
            assert_eq!(judged(line, &Item::REMOVE, scrub), None, "{line}");
        }
    }

    #[test]
    fn a_cookie_that_is_set_goes_whole_or_keeps_its_attributes() {
        let expires = "session=s; Expires=Wed, 09 Jun 2027 10:18:14 GMT";
        assert_eq!(judged(expires, &Item::REMOVE, scrub_set), None);
        assert_eq!(judged("=session=s; Path=/", &Item::REMOVE, scrub_set), None);
        let other = "other=session=s; Path=/, session=s";
        assert_eq!(
            judged(other, &Item::REMOVE, scrub_set),
            Some(Some(other.to_owned()))
        );
        let mask = Item {
            change: Change::Mask {
                first: 1,
                last: 0,
                letter: b'*',
            },
            ..Item::REMOVE
        };
        for (line, after) in [
            (
                "session=abc; Path=/; HttpOnly",
                Some("session=a**; Path=/; HttpOnly"),
            ),
            ("session=\"abc\"", Some("session=a**")),
            ("session=\"ab;c\"; Path=/", None),
            ("session=; Max-Age=0", Some("session=; Max-Age=0")),
        ] {
            let after = after.map(|after| Some(after.to_owned()));
            assert_eq!(judged(line, &mask, scrub_set), after, "{line}");
        }
    }

    #[test]
    fn a_value_that_would_begin_another_cookie_goes() {
        let item = Item {
            change: Change::Truncate(3),
            ..Item::REMOVE
        };
        assert_eq!(judged("session=\"a;bcd\"", &item, scrub), None);
    }
}
