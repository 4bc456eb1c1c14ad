//! Header lines whose names the parser refuses. Envoy writes what a filter made of them, such as an empty
//! name, and a test wants to see what was on the wire.

use httparse::Error;

use super::message::Header;

/// The end of a line.
const LINE_END: &[u8] = b"\r\n";

/// The length of a head and the headers in it, if only a name was refused and the head is whole.
pub(super) fn head(bytes: &[u8], error: Error) -> Result<Option<(usize, Vec<Header>)>, Error> {
    let Some((start_line, rest)) = split(bytes, LINE_END) else {
        return Err(error);
    };
    let start = start_line.len() + LINE_END.len();
    let found = lines(rest, error)?;
    Ok(found.map(|(length, headers)| (start + length, headers)))
}

/// The same of lines that no start line precedes.
pub(super) fn lines(bytes: &[u8], error: Error) -> Result<Option<(usize, Vec<Header>)>, Error> {
    if error != Error::HeaderName {
        return Err(error);
    }
    let (mut headers, mut rest) = (Vec::new(), bytes);
    while let Some((line, behind)) = split(rest, LINE_END) {
        rest = behind;
        if line.is_empty() {
            return Ok(Some((bytes.len() - rest.len(), headers)));
        }
        let (name, value) = split(line, b":").ok_or(error)?;
        headers.push(Header::new(name, value.trim_ascii()));
    }
    Ok(None)
}

/// What stands before the first `mark`, and behind it.
fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes
        .windows(mark.len())
        .position(|window| window == mark)?;
    Some((&bytes[..at], &bytes[at + mark.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_an_empty_name_are_read_once_the_head_is_whole() {
        let head_of = |text: &str| head(text.as_bytes(), Error::HeaderName);
        let whole = "HTTP/1.1 200 OK\r\n: two words\r\na b:  v \r\n\r\nbody";
        let (length, headers) = head_of(whole).unwrap().unwrap();
        assert_eq!(&whole[length..], "body");
        assert_eq!(
            headers,
            [Header::new("", "two words"), Header::new("a b", "v")]
        );
        assert_eq!(head_of("HTTP/1.1 200 OK\r\n: two\r\n"), Ok(None));
    }

    #[test]
    fn what_is_refused_for_another_reason_stays_refused() {
        assert_eq!(head(b"HTTP/1.1\r\n\r\n", Error::Status), Err(Error::Status));
        let line = b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n";
        assert_eq!(head(line, Error::HeaderName), Err(Error::HeaderName));
    }
}
