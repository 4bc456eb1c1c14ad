//! The schemes of credentials (RFC 9110, 11): the word before the first blank.

/// How long a scheme may be: a longer word is a secret that something follows.
const LONGEST: usize = 24;

/// How many bytes of a value are its scheme and the blanks after it; 0 without a scheme.
pub(crate) fn scheme_length(value: &[u8]) -> usize {
    let Some(word) = value.iter().position(|&byte| is_blank(byte)) else {
        return 0;
    };
    match value.get(..word) {
        Some(scheme) if word <= LONGEST && is_token(scheme) => {
            let blanks = value.iter().skip(word);
            word + blanks.take_while(|&&byte| is_blank(byte)).count()
        }
        _ => 0,
    }
}

/// The scheme of a value, if it has one.
pub(crate) fn scheme(value: &[u8]) -> Option<&[u8]> {
    let length = scheme_length(value);
    let scheme = value.get(..length)?;
    (length > 0).then(|| trim(scheme))
}

/// Whether a value has one of these schemes, which are in lower case, in any of its parts between
/// commas: Envoy joins repeated lines so, and a client may. A part that is neither of another scheme
/// nor a parameter of the one before counts too, because nobody knows what it is.
pub(crate) fn has_scheme(value: &[u8], schemes: &[Vec<u8>]) -> bool {
    let mut has_scheme_before = false;
    parts(value, b',').any(|part| {
        let part = trim(part);
        if part.is_empty() {
            return false;
        }
        if let Some(scheme) = scheme(part) {
            has_scheme_before = true;
            return schemes.iter().any(|own| own.eq_ignore_ascii_case(scheme));
        }
        let is_parameter = has_scheme_before && is_parameter(part);
        // A scheme alone, without credentials: `Negotiate`.
        !is_parameter
    })
}

/// `name=value` of a scheme before. The padding of Base64 is no value.
fn is_parameter(part: &[u8]) -> bool {
    let (name, value) = cut(part, b'=');
    is_token(trim(name)) && value.is_some_and(|value| value.iter().any(|&byte| byte != b'='))
}

/// Without blanks and controls around it.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let begins = text.iter().position(|&byte| !is_blank(byte));
    let ends = text.iter().rposition(|&byte| !is_blank(byte));
    match (begins, ends) {
        (Some(first), Some(last)) => text.get(first..=last).unwrap_or_default(),
        _ => b"",
    }
}

/// The parts between separators. One function, since a `split` is compiled for each closure.
pub(crate) fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> + Clone {
    text.split(move |&byte| byte == separator)
}

/// What stands before the first such sign, and behind it, if it is there.
pub(crate) fn cut(text: &[u8], sign: u8) -> (&[u8], Option<&[u8]>) {
    let place = text.iter().position(|&byte| byte == sign);
    match place.and_then(|place| text.split_at_checked(place)) {
        Some((before, behind)) => (before, behind.get(1..)),
        None => (text, None),
    }
}

/// Parts with something between them. `join` would be compiled for each kind of both.
pub(crate) fn joined<T: AsRef<[u8]>>(parts: &[T], between: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            text.extend_from_slice(between);
        }
        text.extend_from_slice(part.as_ref());
    }
    text
}

/// What parsers have been seen to take for a blank, and more.
pub(crate) fn is_blank(byte: u8) -> bool {
    byte <= b' '
}

/// A token (RFC 9110, 5.6.2).
pub(crate) fn is_token(text: &[u8]) -> bool {
    let of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(of_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(value: &str) -> bool {
        has_scheme(value.as_bytes(), &[b"basic".to_vec(), b"bearer".to_vec()])
    }

    #[test]
    fn a_scheme_counts_in_any_case_and_in_any_part() {
        for value in [
            "Basic x",
            "BEARER x",
            "bearer\tx",
            "bearer\u{b}x",
            "  Bearer x",
            "Digest a=\"b\", Bearer y",
            "Digest a=\"b, Bearer y\"",
            "Basic x, Digest a=b",
        ] {
            assert!(goes(value), "{value}");
        }
    }

    #[test]
    fn what_has_no_scheme_counts() {
        for value in [
            "x",
            "Bearer=x",
            "Bearer:x y",
            "Digest a=b, c2VjcmV0",
            "Token x, c2VjcmV0==",
        ] {
            assert!(goes(value), "{value}");
        }
    }

    #[test]
    fn other_schemes_do_not_count() {
        for value in [
            "",
            " , ",
            "Token x",
            "Digest username=\"a\", realm=\"b\"",
            "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c",
            "Bearerx y",
        ] {
            assert!(!goes(value), "{value}");
        }
    }

    #[test]
    fn a_scheme_is_the_word_before_a_blank() {
        assert_eq!(scheme(b"Bearer  x"), Some(&b"Bearer"[..]));
        assert_eq!(scheme_length(b"Bearer  x"), 8);
        assert_eq!(scheme(b"Bearer"), None);
        assert_eq!(scheme(b" x"), None);
        assert_eq!(scheme(b"a:b c"), None);
        assert_eq!(
            scheme(b"SharedAccessSignature sr=a"),
            Some(&b"SharedAccessSignature"[..])
        );
        assert_eq!(scheme(b"c2VjcmV0LXRva2VuLW9mLW1pbmU x"), None);
    }
}
