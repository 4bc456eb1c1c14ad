use std::fmt;

/// One line of headers or trailers, as it was on the wire.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Header {
    /// The name, in the case it had.
    pub name: Vec<u8>,
    /// The value without the blanks around it; not necessarily UTF-8.
    pub value: Vec<u8>,
}

impl Header {
    /// A header of this name and value.
    pub fn new(name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }

    /// Whether it has this name; case makes no difference.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// `name: value`, with other bytes than printable ASCII escaped.
impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            self.name.escape_ascii(),
            self.value.escape_ascii()
        )
    }
}

impl From<&httparse::Header<'_>> for Header {
    fn from(header: &httparse::Header<'_>) -> Self {
        Self::new(header.name, header.value)
    }
}

/// All values of a name, in their order.
pub(crate) fn values<'a>(headers: &'a [Header], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |header| header.is(name))
        .map(|header| header.value.as_slice())
}

/// An answer as it was on the wire.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The headers, in their order.
    pub headers: Vec<Header>,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
    /// The trailers, in their order.
    pub trailers: Vec<Header>,
}

impl Response {
    /// All values of a header, in their order; case makes no difference.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.headers, name)
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
