//! What the peers of a real Envoy make of header lines, so that both hosts are asked and read alike.

use crate::case::{HeaderLine, Protocol};

/// Lines as a peer of this protocol reads and sends them: over HTTP/1.1 blanks around a value are no part
/// of it, over HTTP/2 the lines of a name stand together, as the crate `http` keeps them.
pub(super) fn lines(lines: Vec<HeaderLine>, protocol: Protocol) -> Vec<HeaderLine> {
    match protocol {
        Protocol::Http1 => lines.into_iter().map(trimmed).collect(),
        Protocol::Http2 => {
            let mut grouped: Vec<HeaderLine> = Vec::new();
            for (name, value) in lines {
                let same = |(own, _): &HeaderLine| own.eq_ignore_ascii_case(&name);
                let at = grouped.iter().rposition(same);
                grouped.insert(at.map_or(grouped.len(), |at| at + 1), (name, value));
            }
            grouped
        }
    }
}

fn trimmed((name, value): HeaderLine) -> HeaderLine {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().take_while(|byte| blank(byte)).count();
    let end = value.iter().rev().take_while(|byte| blank(byte)).count();
    let value = value.get(start..value.len() - end).unwrap_or_default();
    (name, value.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(written: &[(&str, &str)], protocol: Protocol) -> Vec<String> {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let written = written
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)));
        let shown =
            |(name, value): HeaderLine| format!("{}={}", name.escape_ascii(), value.escape_ascii());
        lines(written.collect(), protocol)
            .into_iter()
            .map(shown)
            .collect()
    }

    #[test]
    fn blanks_around_values_are_of_http2_only() {
        let written = [("a", " \t1 2 "), ("b", "   ")];
        assert_eq!(shown(&written, Protocol::Http1), ["a=1 2", "b="]);
        assert_eq!(shown(&written, Protocol::Http2), ["a= \\t1 2 ", "b=   "]);
    }

    #[test]
    fn lines_of_a_name_stand_together_over_http2() {
        let written = [("a", "1"), ("b", "2"), ("A", "3")];
        assert_eq!(shown(&written, Protocol::Http1), ["a=1", "b=2", "A=3"]);
        assert_eq!(shown(&written, Protocol::Http2), ["a=1", "A=3", "b=2"]);
    }
}
