use std::fmt;

/// Everything that one play of a case showed; equal on both hosts.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Seen {
    /// One for each request, in their order.
    pub streams: Vec<Stream>,
    /// What the filters logged, in order, since the first request.
    pub log: Vec<String>,
}

/// What became of one request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stream {
    /// What the upstream received of it; `None` if nothing.
    pub upstream: Option<Message>,
    /// What the client received.
    pub downstream: Ended,
}

/// How a request ended for its client.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ended {
    /// With a whole response.
    Answered(Message),
    /// With a cut connection.
    Reset,
    /// Not at all: a filter holds the stream.
    Held,
    /// The client went away.
    Abandoned,
}

/// A message on the wire, less what differs each time.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// `GET /path`, or the status.
    pub start: String,
    /// Names and values in order, without those that differ by the clock or by chance:
    /// `date`, `x-envoy-upstream-service-time` and `x-request-id`.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
    /// The trailers in order.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Headers that tell the time, and the one that Envoy draws by lot.
const VOLATILE: [&[u8]; 3] = [b"date", b"x-envoy-upstream-service-time", b"x-request-id"];

impl Message {
    pub(crate) fn new(
        start: String,
        headers: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        body: Vec<u8>,
        trailers: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Self {
        let headers = headers
            .into_iter()
            .filter(|(name, _)| !VOLATILE.contains(&name.as_slice()))
            .collect();
        Self {
            start,
            headers,
            body,
            trailers,
        }
    }

    /// All values of a header, in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_slice())
    }
}

/// As lines, so that a difference is found at a glance.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.start)?;
        for (name, value) in &self.headers {
            writeln!(
                formatter,
                "{}: {}",
                name.escape_ascii(),
                value.escape_ascii()
            )?;
        }
        writeln!(
            formatter,
            "({} bytes) {}",
            self.body.len(),
            self.body.escape_ascii()
        )?;
        for (name, value) in &self.trailers {
            writeln!(
                formatter,
                "trailer {}: {}",
                name.escape_ascii(),
                value.escape_ascii()
            )?;
        }
        Ok(())
    }
}
