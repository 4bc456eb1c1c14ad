use std::fmt;

/// A media type as `content-type` says it (RFC 9110, 8.3): what a body is.
///
/// A view of the header's bytes: nothing is copied, and any bytes may be parsed.
///
/// ```
/// use attache::ContentType;
///
/// let kind = ContentType::parse(b"Application/Problem+JSON; charset=\"UTF-8\"").unwrap();
/// assert!(kind.is("application/problem+json"));
/// assert!(kind.is_json());
/// assert!(kind.parameter("charset").is_some_and(|value| value.is("utf-8")));
/// ```
///
/// Of a message, [`Headers::content_type`](crate::Headers::content_type) gives it.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct ContentType<'a> {
    essence: &'a [u8],
    slash: usize,
    /// From the first semicolon on.
    parameters: &'a [u8],
}

/// The value of a parameter, such as `utf-8` or `"utf-8"`; see [`ContentType::parameter`].
///
/// ```
/// use attache::ContentType;
///
/// let kind = ContentType::parse(br#"multipart/form-data; boundary="a b""#).unwrap();
/// let boundary = kind.parameter("boundary").unwrap();
/// assert!(boundary.bytes().eq(*b"a b"));
/// ```
#[derive(Clone, Copy)]
pub struct Parameter<'a> {
    text: &'a [u8],
    quoted: bool,
}

impl<'a> ContentType<'a> {
    /// Reads a header's value. `None` for what has no type and subtype, and for several values in one,
    /// joined by a comma as Envoy joins repeated lines: peers differ in which of them they believe.
    ///
    /// Parameters that are none (`; charset`) are passed over, as browsers do.
    ///
    /// ```
    /// use attache::ContentType;
    ///
    /// assert!(ContentType::parse(b"text/html").is_some());
    /// assert!(ContentType::parse(b"html").is_none());
    /// assert!(ContentType::parse(b"text/html, application/json").is_none());
    /// ```
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let end = value.iter().position(|&byte| byte == b';');
        let (essence, parameters) = value.split_at(end.unwrap_or(value.len()));
        let essence = essence.trim_ascii_end();
        let slash = essence.iter().position(|&byte| byte == b'/')?;
        let (kind, subtype) = (essence.get(..slash)?, essence.get(slash + 1..)?);
        let this = Self {
            essence,
            slash,
            parameters,
        };
        (is_token(kind) && is_token(subtype) && !has_bare_comma(parameters)).then_some(this)
    }

    /// Type and subtype without parameters, such as `text/html`, in the case they came in; compare
    /// with [`is`](Self::is).
    ///
    /// ```
    /// use attache::ContentType;
    ///
    /// let kind = ContentType::parse(b"Text/HTML; charset=utf-8").unwrap();
    /// assert_eq!(kind.essence(), b"Text/HTML");
    /// ```
    #[must_use]
    pub fn essence(self) -> &'a [u8] {
        self.essence
    }

    /// Whether type and subtype are these, in any case.
    #[must_use]
    pub fn is(self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence.as_bytes())
    }

    /// Whether the type is this one, in any case: `text` of `text/html`.
    ///
    /// ```
    /// use attache::ContentType;
    ///
    /// let picture = |value| ContentType::parse(value).is_some_and(|kind| kind.is_any("image"));
    /// assert!(picture(b"image/png"));
    /// assert!(!picture(b"text/html"));
    /// ```
    #[must_use]
    pub fn is_any(self, kind: &str) -> bool {
        let own = self.essence.get(..self.slash).unwrap_or_default();
        own.eq_ignore_ascii_case(kind.as_bytes())
    }

    /// The format that the type is made of, where it says so: `json` of `application/problem+json`, in
    /// the case it came in.
    ///
    /// ```
    /// use attache::ContentType;
    ///
    /// let kind = ContentType::parse(b"image/svg+xml").unwrap();
    /// assert_eq!(kind.suffix(), Some(&b"xml"[..]));
    /// ```
    #[must_use]
    pub fn suffix(self) -> Option<&'a [u8]> {
        let subtype = self.essence.get(self.slash + 1..)?;
        let plus = subtype.iter().rposition(|&byte| byte == b'+')?;
        subtype.get(plus + 1..)
    }

    /// Whether the body is JSON: `application/json`, `text/json`, or a type with the suffix `+json`.
    #[must_use]
    pub fn is_json(self) -> bool {
        let suffix = |suffix: &[u8]| suffix.eq_ignore_ascii_case(b"json");
        self.is("application/json") || self.is("text/json") || self.suffix().is_some_and(suffix)
    }

    /// Whether the body is messages of gRPC: `application/grpc`, or that with a format, such as
    /// `application/grpc+proto`. gRPC-Web is another type.
    ///
    /// ```
    /// use attache::ContentType;
    ///
    /// let is_grpc = |value| ContentType::parse(value).is_some_and(ContentType::is_grpc);
    /// assert!(is_grpc(b"application/grpc+proto"));
    /// assert!(!is_grpc(b"application/grpc-web"));
    /// ```
    #[must_use]
    pub fn is_grpc(self) -> bool {
        let format = |rest: &[u8]| rest.is_empty() || rest.starts_with(b"+");
        let name = b"application/grpc";
        let (begin, rest) = self.essence.split_at(name.len().min(self.essence.len()));
        begin.eq_ignore_ascii_case(name) && format(rest)
    }

    /// The first parameter of that name, which is compared without regard to case.
    #[must_use]
    pub fn parameter(self, name: &str) -> Option<Parameter<'a>> {
        self.parameters()
            .find(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// All parameters in order.
    ///
    /// ```
    /// use attache::ContentType;
    ///
    /// let kind = ContentType::parse(b"text/plain; charset=utf-8; format=flowed").unwrap();
    /// let names: Vec<_> = kind.parameters().map(|(name, _)| name).collect();
    /// assert_eq!(names, [&b"charset"[..], b"format"]);
    /// ```
    pub fn parameters(self) -> impl Iterator<Item = (&'a [u8], Parameter<'a>)> {
        let mut rest = self.parameters;
        std::iter::from_fn(move || {
            while let Some((b';', behind)) = rest.split_first() {
                let (part, others) = behind.split_at(part_length(behind));
                rest = others;
                if let Some(parameter) = parameter(part.trim_ascii()) {
                    return Some(parameter);
                }
            }
            None
        })
    }
}

impl<'a> Parameter<'a> {
    /// Whether this is the value, in any case.
    ///
    /// ```
    /// use attache::ContentType;
    ///
    /// let kind = ContentType::parse(b"text/html; charset=\"UTF-8\"").unwrap();
    /// assert!(kind.parameter("charset").is_some_and(|charset| charset.is("utf-8")));
    /// ```
    #[must_use]
    pub fn is(self, value: &str) -> bool {
        let lower = |byte: u8| byte.to_ascii_lowercase();
        self.bytes().map(lower).eq(value.bytes().map(lower))
    }

    /// The value's bytes, without quotes and backslashes.
    pub fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        let mut rest = self.text.iter().copied();
        std::iter::from_fn(move || match rest.next() {
            Some(b'\\') if self.quoted => rest.next(),
            other => other,
        })
    }
}

/// A name and a value.
fn parameter(part: &[u8]) -> Option<(&[u8], Parameter<'_>)> {
    let equals = part.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (part.get(..equals)?, part.get(equals + 1..)?);
    let value = match value {
        [b'"', text @ .., b'"'] => Parameter { text, quoted: true },
        [b'"', ..] | [] => return None,
        text => Parameter {
            text,
            quoted: false,
        },
    };
    is_token(name).then_some((name, value))
}

/// How many bytes come before the semicolon that ends a parameter; those in quotes end none.
fn part_length(bytes: &[u8]) -> usize {
    bare(bytes)
        .find(|&(_, byte)| byte == b';')
        .map_or(bytes.len(), |(index, _)| index)
}

fn has_bare_comma(bytes: &[u8]) -> bool {
    bare(bytes).any(|(_, byte)| byte == b',')
}

/// The bytes that stand outside of quotes, with their places.
fn bare(bytes: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let (mut quoted, mut escaped) = (false, false);
    bytes.iter().copied().enumerate().filter(move |&(_, byte)| {
        let inside = quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        !inside
    })
}

/// RFC 9110, 5.6.2.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_letter)
}

impl fmt::Debug for ContentType<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}{}",
            self.essence.escape_ascii(),
            self.parameters.escape_ascii()
        )
    }
}

impl fmt::Debug for Parameter<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.text.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &[u8]) -> ContentType<'_> {
        ContentType::parse(value).unwrap()
    }

    fn parameter(value: &[u8], name: &str) -> Option<Vec<u8>> {
        let parameter = parse(value).parameter(name)?;
        Some(parameter.bytes().collect())
    }

    #[test]
    fn type_and_subtype_are_compared_in_any_case_and_without_parameters() {
        let kind = parse(b"  Text/HTML ;charset=utf-8");
        assert_eq!(kind.essence(), b"Text/HTML");
        assert!(kind.is("text/html"));
        assert!(kind.is_any("TEXT"));
        assert!(!kind.is("text/htm"));
        assert!(!kind.is("text/html; charset=utf-8"));
    }

    #[test]
    fn json_is_a_type_or_a_suffix_and_not_a_beginning() {
        for value in [
            "application/json",
            "APPLICATION/JSON; charset=utf-8",
            "text/json",
            "application/vnd.api+json",
            "application/a+b+JSON ;x=y",
        ] {
            assert!(parse(value.as_bytes()).is_json(), "{value}");
        }
        for value in [
            "application/json5",
            "application/jsonlines",
            "application/json+xml",
            "image/json",
            "application/x-json",
            "text/plain; x=application/json",
        ] {
            assert!(!parse(value.as_bytes()).is_json(), "{value}");
        }
    }

    #[test]
    fn grpc_has_formats_and_grpc_web_is_another_type() {
        assert!(parse(b"application/grpc").is_grpc());
        assert!(parse(b"application/GRPC+proto; x=y").is_grpc());
        assert!(!parse(b"application/grpc-web").is_grpc());
        assert!(!parse(b"application/grp").is_grpc());
    }

    #[test]
    fn parameters_are_found_with_and_without_quotes() {
        let value = br#"a/b; Charset="utf\-8;x" ;; broken; =no; y="open; boundary=a/b=c"#;
        assert_eq!(parameter(value, "charset").unwrap(), b"utf-8;x");
        assert_eq!(parameter(value, "x"), None);
        assert_eq!(parameter(value, "broken"), None);
        // A quote that nothing closes reaches to the end.
        assert_eq!(parameter(value, "boundary"), None);
        assert_eq!(
            parameter(b"a/b;boundary=a/b=c", "boundary").unwrap(),
            b"a/b=c"
        );
        assert_eq!(parameter(b"a/b;x=1;X=2", "x").unwrap(), b"1");
        assert_eq!(parse(b"a/b;x=1;X=2").parameters().count(), 2);
    }

    #[test]
    fn what_is_no_media_type_is_none() {
        let values: [&[u8]; 12] = [
            b"",
            b"/",
            b"text",
            b"text/",
            b"/html",
            b"text/html/x",
            b"te xt/html",
            b"text/ht\xffml",
            b"text/html, application/json",
            b"text/html; charset=utf-8, application/json",
            b"text/html;x=\"a\\\"\", b",
            b"; charset=utf-8",
        ];
        for value in values {
            assert_eq!(ContentType::parse(value), None, "{}", value.escape_ascii());
        }
        assert!(ContentType::parse(b"text/html; x=\"a, b\"").is_some());
    }

    #[test]
    fn any_bytes_may_be_parsed() {
        let letters = b"a/;=\"\\, \xff";
        for number in 0..letters.len().pow(5) {
            let mut number = number;
            let mut value = b"a/b".to_vec();
            for _ in 0..5 {
                value.push(letters[number % letters.len()]);
                number /= letters.len();
            }
            if let Some(kind) = ContentType::parse(&value) {
                let sum: usize = kind
                    .parameters()
                    .map(|(_, value)| value.bytes().count())
                    .sum();
                assert!(sum < value.len());
            }
        }
    }
}
