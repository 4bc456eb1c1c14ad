use std::io::{self, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use httparse::{Header as Parsed, ParserConfig, Status};

use super::lenient;
use super::message::{Header, Response};
use super::{Error, Framing, Limits};

/// Headers of one message that are parsed; further ones are an error.
const MAX_HEADERS: usize = 1024;

fn headers(parsed: &[Parsed<'_>]) -> Vec<Header> {
    parsed.iter().map(Header::from).collect()
}

/// The reading side of a connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    limits: Limits,
    /// When reading ends, and how long that was at the start.
    deadline: Option<(Instant, Duration)>,
    /// What has arrived and is not used yet.
    pending: Vec<u8>,
}

/// What follows the head of a message.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<Header>,
    /// Whether it ended as it had to, rather than with the connection.
    pub(crate) complete: bool,
}

/// The start line and the headers of a request.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) minor_version: u8,
    pub(crate) headers: Vec<Header>,
}

impl Wire {
    pub(crate) fn new(
        stream: TcpStream,
        limits: Limits,
        deadline: Option<(Instant, Duration)>,
    ) -> Self {
        Self {
            stream,
            limits,
            deadline,
            pending: Vec::new(),
        }
    }

    /// Reads an answer to a request of this method.
    pub(crate) fn response(&mut self, method: &[u8]) -> Result<Response, Error> {
        let mut response = loop {
            let head = self.response_head()?;
            if !matches!(head.status, 100 | 102..=199) {
                break head;
            }
        };
        let framing = Framing::of_response(method, response.status, &response.headers)?;
        let payload = self.payload(framing)?;
        response.body = payload.body;
        response.trailers = payload.trailers;
        if payload.complete {
            Ok(response)
        } else {
            Err(Error::Truncated {
                received: Box::new(response),
            })
        }
    }

    fn response_head(&mut self) -> Result<Response, Error> {
        self.head(|bytes, slots| {
            let mut parsed = httparse::Response::new(slots);
            let mut config = ParserConfig::default();
            config.allow_obsolete_multiline_headers_in_responses(true);
            let (length, headers) = match config.parse_response(&mut parsed, bytes) {
                Ok(Status::Complete(length)) => (length, headers(parsed.headers)),
                Ok(Status::Partial) => return Ok(None),
                Err(error) => match lenient::head(bytes, error)? {
                    Some(found) => found,
                    None => return Ok(None),
                },
            };
            let response = Response {
                minor_version: parsed.version.unwrap_or(1),
                status: parsed.code.unwrap_or_default(),
                reason: parsed.reason.unwrap_or_default().to_owned(),
                headers,
                ..Response::default()
            };
            Ok(Some((length, response)))
        })
    }

    /// Reads the head of the next request of a connection.
    pub(crate) fn request_head(&mut self) -> Result<RequestHead, Error> {
        self.head(|bytes, slots| {
            let mut parsed = httparse::Request::new(slots);
            let (length, headers) = match parsed.parse(bytes) {
                Ok(Status::Complete(length)) => (length, headers(parsed.headers)),
                Ok(Status::Partial) => return Ok(None),
                Err(error) => match lenient::head(bytes, error)? {
                    Some(found) => found,
                    None => return Ok(None),
                },
            };
            let head = RequestHead {
                method: parsed.method.unwrap_or_default().into(),
                target: parsed.path.unwrap_or_default().into(),
                minor_version: parsed.version.unwrap_or(1),
                headers,
            };
            Ok(Some((length, head)))
        })
    }

    /// Reads until the connection ends, however it does.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        while let Some(piece) = self.piece() {
            rest.extend(piece);
        }
        rest
    }

    /// Reads what is there, or comes next; none at the end of the connection.
    pub(crate) fn piece(&mut self) -> Option<Vec<u8>> {
        if self.pending.is_empty() && !self.fill().is_ok_and(|more| more) {
            return None;
        }
        Some(std::mem::take(&mut self.pending))
    }

    /// Reads what follows a head.
    pub(crate) fn payload(&mut self, framing: Framing) -> Result<Payload, Error> {
        let mut payload = Payload::default();
        let complete = match framing {
            Framing::Length(length) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                self.take(length, &mut payload.body)?
            }
            Framing::Chunked => self.chunks(&mut payload)?,
            Framing::UntilClose => {
                while self.fill()? {
                    let arrived = self.pending.len();
                    self.take(arrived, &mut payload.body)?;
                }
                let rest = self.pending.len();
                self.take(rest, &mut payload.body)?
            }
        };
        payload.complete = complete;
        Ok(payload)
    }

    fn chunks(&mut self, payload: &mut Payload) -> Result<bool, Error> {
        loop {
            let size = loop {
                match httparse::parse_chunk_size(&self.pending)
                    .map_err(|_| httparse::Error::Token)?
                {
                    Status::Complete((length, size)) => {
                        self.pending.drain(..length);
                        break size;
                    }
                    Status::Partial if self.pending.len() > self.limits.head => {
                        return Err(self.head_too_long());
                    }
                    Status::Partial if !self.fill()? => return Ok(false),
                    Status::Partial => {}
                }
            };
            if size == 0 {
                return self.trailers(payload);
            }
            let mut line_end = Vec::new();
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if !self.take(size, &mut payload.body)? || !self.take(2, &mut line_end)? {
                return Ok(false);
            }
            if line_end != b"\r\n" {
                return Err(httparse::Error::NewLine.into());
            }
        }
    }

    fn trailers(&mut self, payload: &mut Payload) -> Result<bool, Error> {
        let parsed = self.head(|bytes, slots| match httparse::parse_headers(bytes, slots) {
            Ok(Status::Complete((length, found))) => Ok(Some((length, headers(found)))),
            Ok(Status::Partial) => Ok(None),
            Err(error) => lenient::lines(bytes, error),
        });
        match parsed {
            Ok(trailers) => payload.trailers = trailers,
            Err(Error::Closed | Error::Truncated { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Reads until `parse` finds a whole head, and drops its bytes.
    fn head<T>(
        &mut self,
        parse: impl for<'b> Fn(
            &'b [u8],
            &mut [Parsed<'b>],
        ) -> Result<Option<(usize, T)>, httparse::Error>,
    ) -> Result<T, Error> {
        loop {
            let mut slots = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
            if let Some((length, head)) = parse(&self.pending, &mut slots)? {
                self.pending.drain(..length);
                return Ok(head);
            }
            if self.pending.len() > self.limits.head {
                return Err(self.head_too_long());
            }
            let started = !self.pending.is_empty();
            if !self.fill()? {
                return Err(if started {
                    Error::Truncated {
                        received: Box::default(),
                    }
                } else {
                    Error::Closed
                });
            }
        }
    }

    fn head_too_long(&self) -> Error {
        Error::TooLong {
            what: "head",
            limit: self.limits.head,
        }
    }

    /// Moves `length` bytes to `target`; false if the connection ends before.
    fn take(&mut self, length: usize, target: &mut Vec<u8>) -> Result<bool, Error> {
        if length > self.limits.body.saturating_sub(target.len()) {
            return Err(Error::TooLong {
                what: "body",
                limit: self.limits.body,
            });
        }
        let mut missing = length;
        loop {
            let ready = missing.min(self.pending.len());
            target.extend(self.pending.drain(..ready));
            missing -= ready;
            if missing == 0 {
                return Ok(true);
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// Waits for more bytes; false at the end of the connection.
    fn fill(&mut self) -> Result<bool, Error> {
        let mut chunk = [0; 16 << 10];
        let timed_out = |limit| Error::TimedOut { limit };
        loop {
            if let Some((at, limit)) = self.deadline {
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(timed_out(limit));
                }
                self.stream
                    .set_read_timeout(Some(left))
                    .map_err(Error::Broken)?;
            }
            match self.stream.read(&mut chunk) {
                Ok(length) => {
                    self.pending.extend_from_slice(&chunk[..length]);
                    return Ok(length > 0);
                }
                Err(error) => match (error.kind(), self.deadline) {
                    (io::ErrorKind::Interrupted, _) => {}
                    (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, Some((_, limit))) => {
                        return Err(timed_out(limit));
                    }
                    _ => return Err(Error::Broken(error)),
                },
            }
        }
    }
}
