//! What callbacks are given.

use std::fs;
use std::path::Path;

use super::file::{Input, Test};

/// Names and values.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A file that a test names: from the folder of the tests, or from here.
pub(super) fn read(folder: &Path, named: &Path) -> Result<Vec<u8>, String> {
    fs::read(folder.join(named))
        .or_else(|error| fs::read(named).map_err(|_| error))
        .map_err(|error| format!("cannot read `{}`: {error}", named.display()))
}

/// Headers, sorted by name, each name once.
pub(super) fn headers(input: &Input, folder: &Path, is_request: bool) -> Result<Pairs, String> {
    let given = match &input.file {
        Some(file) => http1(&read(folder, file)?, is_request)?,
        None if !input.content.0.is_empty() => http1(&input.content.0, is_request)?,
        None => {
            let pair = |header: &super::file::Header| {
                (header.key.clone().into_bytes(), header.value.0.clone())
            };
            input.header.iter().map(pair).collect()
        }
    };
    let mut sorted = Pairs::new();
    for (name, value) in given {
        let name = name.to_ascii_lowercase();
        match sorted.iter_mut().find(|(known, _)| *known == name) {
            Some((_, joined)) => *joined = [joined, &b", "[..], &value].concat(),
            None => sorted.push((name, value)),
        }
    }
    sorted.sort();
    Ok(sorted)
}

/// A message's head as HTTP/1 writes it, with pseudo headers for its first line.
fn http1(text: &[u8], is_request: bool) -> Result<Pairs, String> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let mut pairs = Pairs::new();
    let mut push = |name: &str, value: &str| {
        pairs.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    };
    let mut words = first.split_ascii_whitespace();
    let mut authority = None;
    match (is_request, words.next(), words.next()) {
        (true, Some(method), Some(target)) => {
            push(":method", method);
            match target.split_once("://") {
                Some((scheme, rest)) => {
                    let at = rest.find(['/', '?']).unwrap_or(rest.len());
                    let (host, path) = rest.split_at(at);
                    push(":scheme", scheme);
                    authority = Some(host.to_owned());
                    push(":path", if path.is_empty() { "/" } else { path });
                }
                None if target.starts_with('/') => push(":path", target),
                None => return Err(format!("`{target}` is no target of a request")),
            }
        }
        (false, Some(version), Some(status)) if version.starts_with("HTTP/") => {
            push(":status", status);
        }
        _ => return Err(format!("`{first}` is not the first line of a message")),
    }
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            return Err(format!("`{line}` is not `name: value`"));
        };
        let value = value.trim();
        if is_request && name.eq_ignore_ascii_case("host") {
            authority.get_or_insert_with(|| value.to_owned());
        } else {
            push(name, value);
        }
    }
    if let Some(authority) = &authority {
        push(":authority", authority);
    }
    Ok(pairs)
}

/// A body, in the pieces that the test asks for.
pub(super) fn pieces(input: &Input, folder: &Path, test: &Test) -> Result<Vec<Vec<u8>>, String> {
    let body = match &input.file {
        Some(file) => read(folder, file)?,
        None => input.content.0.clone(),
    };
    let (size, most) = match (test.num_chunks, test.chunk_size) {
        (Some(count), _) => ((body.len() / count).max(1), count),
        (None, Some(size)) => (size, usize::MAX),
        (None, None) => return Ok(vec![body]),
    };
    let mut pieces = Vec::new();
    let mut rest = &body[..];
    while pieces.len() + 1 < most && rest.len() > size {
        let (piece, behind) = rest.split_at(size);
        pieces.push(piece.to_vec());
        rest = behind;
    }
    pieces.push(rest.to_vec());
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Text;

    fn read(text: &str, is_request: bool) -> Result<String, String> {
        let input = Input {
            content: Text(text.as_bytes().to_vec()),
            ..Input::default()
        };
        let pairs = headers(&input, Path::new(""), is_request)?;
        let line = |(name, value): &(Vec<u8>, Vec<u8>)| {
            format!("{}: {}", name.escape_ascii(), value.escape_ascii())
        };
        Ok(pairs.iter().map(line).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn a_message_of_http1_becomes_headers() {
        for (text, is_request, expected) in [
            (
                "GET /a?b=c HTTP/1.1\r\nHost: h\r\nX-B: 1\r\nx-b: 2\r\n\r\nbody",
                true,
                ":authority: h|:method: GET|:path: /a?b=c|x-b: 1, 2",
            ),
            (
                "GET https://e.com:80/p HTTP/1.1\nHost: other\n",
                true,
                ":authority: e.com:80|:method: GET|:path: /p|:scheme: https",
            ),
            ("GET / HTTP/1.1", true, ":method: GET|:path: /"),
            ("HTTP/1.1 200 OK\na: b\n", false, ":status: 200|a: b"),
        ] {
            assert_eq!(read(text, is_request).as_deref(), Ok(expected));
        }
        for (text, is_request) in [("GET", true), ("GET a HTTP/1.1", true), ("200 OK", false)] {
            assert!(read(text, is_request).is_err(), "{text}");
        }
        assert!(read("HTTP/1.1 200 OK\nnothing\n", false).is_err());
    }
}
