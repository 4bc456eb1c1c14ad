//! Parameters out of a query, with every byte of the others kept.
//!
//! Upstreams read names differently, and where any of these readings names a credential, the
//! parameter goes: percent-decoded, `+` as a blank, `%u0061` as `a` (ASP.NET); by PHP's rules
//! (`main/php_variables.c`) without leading blanks, cut at NUL, with `.` and blank as `_`, and cut at
//! `[` or, where that is never closed, with `_` in its place; and `[name]` as `name` (the library
//! `qs` of Express).

use std::borrow::Cow;

/// The path with query `path`, less the parameters that `doomed` names; `None` when there are none
/// such, so that nothing has to be written.
///
/// Parameters are separated by `&`. Some upstreams separate by `;` too: within a parameter that
/// stays, parts after a `;` are judged like parameters; one that goes takes its `;` parts along,
/// because they may be its value. A `?` with nothing left after it goes as well.
#[must_use]
pub fn scrub(path: &[u8], mut doomed: impl FnMut(&[u8]) -> bool) -> Option<Vec<u8>> {
    let mark = path.iter().position(|&byte| byte == b'?')?;
    let (base, query) = (path.get(..mark)?, path.get(mark + 1..)?);

    let mut kept: Vec<Cow<'_, [u8]>> = Vec::new();
    let mut changed = false;
    for parameter in query.split(|&byte| byte == b'&') {
        let mut parts = parameter.split(|&byte| byte == b';');
        let first = parts.next().unwrap_or_default();
        if goes(first, &mut doomed) {
            changed = true;
            continue;
        }
        if parts.clone().any(|part| goes(part, &mut doomed)) {
            changed = true;
            let rest = parts.filter(|part| !goes(part, &mut doomed));
            let whole: Vec<&[u8]> = std::iter::once(first).chain(rest).collect();
            kept.push(Cow::Owned(whole.join(&b';')));
        } else {
            kept.push(Cow::Borrowed(parameter));
        }
    }
    if !changed {
        return None;
    }
    let mut path = base.to_vec();
    for (index, parameter) in kept.iter().enumerate() {
        path.push(if index == 0 { b'?' } else { b'&' });
        path.extend_from_slice(parameter);
    }
    Some(path)
}

/// Whether some upstream reads the name of `name=value`, or of `name`, as one that is doomed.
fn goes(parameter: &[u8], doomed: &mut impl FnMut(&[u8]) -> bool) -> bool {
    let raw = parameter
        .split(|&byte| byte == b'=')
        .next()
        .unwrap_or_default();
    let plain = |byte: &u8| !matches!(byte, b'%' | b'+' | b' ' | b'.' | b'[' | 0);
    if raw.iter().all(plain) {
        return doomed(raw);
    }
    let decoded = decode(raw);
    let start = decoded.iter().take_while(|&&byte| byte == b' ').count();
    let name = decoded.get(start..).unwrap_or_default();
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    let fold = |bytes: &[u8]| -> Vec<u8> {
        let fold = |&byte| {
            if matches!(byte, b'.' | b' ' | b'[') {
                b'_'
            } else {
                byte
            }
        };
        bytes.iter().map(fold).collect()
    };
    let mut brackets = name.split(|&byte| byte == b'[');
    let before = brackets.next().unwrap_or_default();
    let inside = brackets.next().unwrap_or_default();
    let inside = inside
        .split(|&byte| byte == b']')
        .next()
        .unwrap_or_default();
    doomed(name)
        || doomed(&fold(before))
        || (name.contains(&b'[') && doomed(&fold(name)))
        || (before.is_empty() && doomed(&fold(inside)))
}

/// Percent-decodes; what is no escape stays as it is.
fn decode(raw: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        decoded.push(match (byte, tail) {
            (b'%', [b'u' | b'U', b'0', b'0', high, low, after @ ..])
                if digit(*high).is_some() && digit(*low).is_some() =>
            {
                rest = after;
                digit(*high).unwrap_or(0) << 4 | digit(*low).unwrap_or(0)
            }
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            (b'+', _) => b' ',
            (byte, _) => *byte,
        });
    }
    decoded
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_token(path: &str) -> Option<String> {
        scrub(path.as_bytes(), |name| name == b"access_token")
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
    fn a_name_with_brackets_can_be_meant() {
        let doomed = |name: &[u8]| name == b"filter[key]";
        let scrubbed = scrub(b"/?filter%5Bkey%5D=s&filter[other]=1", doomed).unwrap();
        assert_eq!(scrubbed, b"/?filter[other]=1");
    }

    #[test]
    fn names_that_only_look_alike_stay() {
        for other in [
            "xaccess_token=1",
            "access_token2=1",
            "a=access_token",
            "%2561ccess_token=1",
            "access_toke%6=1",
            "access_token%=1",
            "%zzaccess_token=1",
            "a[access_token]=1",
            "%u0161ccess_token=1",
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
        let scrubbed = scrub(path, |name| name == b"access_token").unwrap();
        assert_eq!(scrubbed, b"/\xff?\xfe=\xfd&\x81");
    }
}
