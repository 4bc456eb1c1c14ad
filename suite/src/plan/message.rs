//! Requests and answers.

use crate::case::{Body, Fault as Broken, HeaderLine, MARK, Reply, Request};
use crate::file::{FaultFile, Headers, ReplyFile, RequestFile, Text};
use crate::yaml::Fault;

pub(super) fn request(file: &RequestFile, answer: Option<Reply>) -> Result<Request, Fault> {
    let body = body(&file.body, &file.chunks)?;
    let method = match (&file.method, &body) {
        (Some(method), _) => method.0.clone(),
        (None, Body::None) => b"GET".to_vec(),
        (None, _) => b"POST".to_vec(),
    };
    let target = file
        .path
        .as_ref()
        .map_or_else(|| b"/".to_vec(), |path| path.0.clone());
    let mut request = Request::new(method, target);
    request
        .headers
        .clone_from(&lines(&file.headers, "headers")?);
    request.body = body;
    request.trailers = lines(&file.trailers, "trailers")?;
    request.answer = answer;
    sendable(&request)?;
    Ok(request)
}

pub(super) fn reply(file: &ReplyFile) -> Result<Reply, Fault> {
    let mut reply = Reply::new(file.status.unwrap_or(200));
    if !(200..1000).contains(&reply.status) && reply.status != 101 {
        let reason = "expected a status from 200 to 999, or 101 of an upgrade";
        return Err(Fault::new(reason).under("status"));
    }
    reply.headers = lines(&file.headers, "headers")?;
    reply.body = body(&file.body, &file.chunks)?;
    reply.trailers = lines(&file.trailers, "trailers")?;
    reply.after = file.after.map(|time| time.0).unwrap_or_default();
    reply.fault = file.fault.map(|fault| match fault {
        FaultFile::Refused => Broken::Refused,
        FaultFile::Closed => Broken::Closed,
        FaultFile::Reset => Broken::Reset,
        FaultFile::Malformed => Broken::Malformed,
        FaultFile::Never => Broken::Never,
        FaultFile::Cut => Broken::Cut,
    });
    reply.each = file.answer_each.as_ref().map(|text| text.0.clone());
    if reply.each.is_some() && reply.status != 101 {
        let reason = "pieces arrive on a connection that was upgraded, by an answer of 101";
        return Err(Fault::new(reason).under("answer_each"));
    }
    let cut = reply.fault == Some(Broken::Cut) && reply.status != 101;
    if cut && !matches!(reply.body, Body::Chunks(_)) {
        return Err(Fault::new("a body that is cut off is given as `chunks`").under("fault"));
    }
    Ok(reply)
}

fn body(whole: &Option<Text>, chunks: &Option<Vec<Text>>) -> Result<Body, Fault> {
    match (whole, chunks) {
        (Some(_), Some(_)) => Err(Fault::new("expected either `body` or `chunks`, not both")),
        (Some(whole), None) => Ok(Body::Whole(whole.0.clone())),
        (None, Some(chunks)) if chunks.iter().all(|chunk| chunk.0.is_empty()) => {
            Err(Fault::new("expected at least one piece that is not empty").under("chunks"))
        }
        (None, Some(chunks)) => Ok(Body::Chunks(
            chunks.iter().map(|chunk| chunk.0.clone()).collect(),
        )),
        (None, None) => Ok(Body::None),
    }
}

/// No client can send anything else, and Envoy's codec would answer it before any filter sees it.
fn sendable(request: &Request) -> Result<(), Fault> {
    if !is_token(&request.method) {
        let reason = "expected a method: letters, digits and hyphens, without blanks";
        return Err(Fault::new(reason).under("method"));
    }
    let blank = |byte: &u8| *byte <= b' ' || *byte == 0x7f;
    if request.target.is_empty() || request.target.iter().any(blank) {
        let reason = "expected a path without blanks and control characters; write `%20` for a \
                      blank";
        return Err(Fault::new(reason).under("path"));
    }
    for (name, value) in &request.headers {
        let refused = |reason: &str| {
            let name = String::from_utf8_lossy(name);
            Err(Fault::new(reason).under(name).under("headers"))
        };
        let lower = name.to_ascii_lowercase();
        match lower.as_slice() {
            _ if !is_token(name) => {
                return refused("expected a header's name, without blanks and control characters");
            }
            b"content-length" if request.body != Body::None || *value != *b"0" => {
                return refused(
                    "a `body` is sent with its length, and `chunks` without; drop the header",
                );
            }
            b"transfer-encoding" => {
                return refused("`chunks` are sent with it; drop the header");
            }
            name if name == MARK.as_bytes() => {
                return refused("the header numbers the requests of a case; choose another name");
            }
            _ => {}
        }
    }
    let lengths = request.headers.iter();
    let lengths = lengths.filter(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
    if lengths.count() > 1 {
        let reason = "`content-length` is given twice";
        return Err(Fault::new(reason).under("headers"));
    }
    Ok(())
}

/// As RFC 9110 has it (5.6.2).
fn is_token(bytes: &[u8]) -> bool {
    let of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(of_token)
}

/// What breaks a line would make another message of it, and another on each host.
pub(super) fn lines(headers: &Headers, key: &str) -> Result<Vec<HeaderLine>, Fault> {
    for (name, value) in &headers.0 {
        if name.is_empty() || name.contains(&b':') {
            let reason = "expected a header's name, without colons; `method` and `path` have keys";
            return Err(Fault::new(reason).under(key));
        }
        on_one_line(name, key)?;
        on_one_line(value, key)?;
    }
    Ok(headers.0.clone())
}

fn on_one_line(bytes: &[u8], key: &str) -> Result<(), Fault> {
    if bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(Fault::new("a line of a message has no line breaks and no NUL").under(key));
    }
    Ok(())
}
