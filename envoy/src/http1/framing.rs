use super::Error;
use super::message::{Header, values};

/// Where the body of a message ends (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

impl Framing {
    pub(crate) fn of_request(headers: &[Header]) -> Result<Self, Error> {
        Ok(Self::declared(headers)?.unwrap_or(Self::Length(0)))
    }

    /// `method` is that of the request that is answered.
    pub(crate) fn of_response(
        method: &[u8],
        status: u16,
        headers: &[Header],
    ) -> Result<Self, Error> {
        if method == b"HEAD" || matches!(status, 100..=199 | 204 | 304) {
            return Ok(Self::Length(0));
        }
        Ok(Self::declared(headers)?.unwrap_or(Self::UntilClose))
    }

    fn declared(headers: &[Header]) -> Result<Option<Self>, Error> {
        let length = |reason: &str, value: &[u8]| Error::Length {
            reason: format!("{reason}: {}", value.escape_ascii()),
        };
        if let Some(coding) = values(headers, "transfer-encoding").last() {
            let last = coding
                .rsplit(|byte| *byte == b',')
                .next()
                .unwrap_or_default();
            return if last.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                Ok(Some(Self::Chunked))
            } else {
                Err(length("transfer-encoding", coding))
            };
        }
        let mut lengths = values(headers, "content-length");
        let Some(first) = lengths.next() else {
            return Ok(None);
        };
        if let Some(other) = lengths.find(|other| *other != first) {
            return Err(length("a second content-length", other));
        }
        let number = std::str::from_utf8(first)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let bytes = number.and_then(|text| text.parse().ok());
        bytes
            .map(|bytes| Some(Self::Length(bytes)))
            .ok_or_else(|| length("content-length", first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Vec<Header> {
        lines
            .iter()
            .map(|(name, value)| Header::new(*name, *value))
            .collect()
    }

    #[test]
    fn chunked_wins_over_a_length() {
        let both = headers(&[
            ("Content-Length", "3"),
            ("Transfer-Encoding", "gzip, Chunked"),
        ]);
        assert_eq!(Framing::of_request(&both).unwrap(), Framing::Chunked);
    }

    #[test]
    fn requests_without_a_length_have_no_body_and_responses_last_until_the_close() {
        assert_eq!(Framing::of_request(&[]).unwrap(), Framing::Length(0));
        assert_eq!(
            Framing::of_response(b"GET", 200, &[]).unwrap(),
            Framing::UntilClose
        );
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_declare() {
        let declared = headers(&[("content-length", "5")]);
        for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 103)] {
            let framing = Framing::of_response(method.as_bytes(), status, &declared);
            assert_eq!(framing.unwrap(), Framing::Length(0), "{method} {status}");
        }
    }

    #[test]
    fn lengths_that_disagree_or_are_no_numbers_are_refused() {
        for lines in [
            [("content-length", "5"), ("content-length", "6")].as_slice(),
            &[("content-length", "+5")],
            &[("content-length", "99999999999999999999")],
            &[("transfer-encoding", "gzip")],
        ] {
            assert!(
                matches!(
                    Framing::of_request(&headers(lines)),
                    Err(Error::Length { .. })
                ),
                "{lines:?}"
            );
        }
        let same = headers(&[("content-length", "5"), ("content-length", "5")]);
        assert_eq!(Framing::of_request(&same).unwrap(), Framing::Length(5));
    }
}
