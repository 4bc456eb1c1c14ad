//! Two messages side by side.

use crate::screen::{Screen, Tone};

/// Headers that differ between any two requests and say nothing about the filter.
const VOLATILE: [&str; 3] = ["date", "x-envoy-upstream-service-time", "x-request-id"];

/// One row: a line of either message, or of both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Row<'a> {
    Same(&'a str, &'a str),
    Changed(&'a str, &'a str),
    Removed(&'a str),
    Added(&'a str),
}

/// Aligns two messages by what their lines are about: the header's name, or the line's place as
/// the first one.
pub(super) fn rows<'a>(left: &'a [String], right: &'a [String]) -> Vec<Row<'a>> {
    let (left_keys, right_keys) = (keys(left), keys(right));
    // lengths[i][j]: the longest common part of left[i..] and right[j..].
    let mut lengths = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            lengths[i][j] = if left_keys[i] == right_keys[j] {
                lengths[i + 1][j + 1] + 1
            } else {
                lengths[i + 1][j].max(lengths[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut rows = Vec::new();
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left_keys[i] == right_keys[j] {
            let same = left[i] == right[j] || VOLATILE.contains(&left_keys[i].as_str());
            rows.push(if same {
                Row::Same(&left[i], &right[j])
            } else {
                Row::Changed(&left[i], &right[j])
            });
            i += 1;
            j += 1;
        } else if j == right.len() || (i < left.len() && lengths[i + 1][j] >= lengths[i][j + 1]) {
            rows.push(Row::Removed(&left[i]));
            i += 1;
        } else {
            rows.push(Row::Added(&right[j]));
            j += 1;
        }
    }
    rows
}

fn keys(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .enumerate()
        .map(|(index, line)| match line.split_once(':') {
            _ if index == 0 => String::new(),
            Some((name, _)) => name.to_ascii_lowercase(),
            None => line.clone(),
        })
        .collect()
}

/// Prints rows in two columns, with a mark before those that differ: `-` gone, `+` new,
/// `~` another value. Long lines go on below.
pub(super) fn render(rows: &[Row<'_>], screen: &Screen) -> String {
    let column = column(screen);
    let mut text = String::new();
    for row in rows {
        let (mark, tone, left, right) = match *row {
            Row::Same(left, right) => (' ', None, left, right),
            Row::Changed(left, right) => ('~', Some(Tone::Changed), left, right),
            Row::Removed(left) => ('-', Some(Tone::Bad), left, ""),
            Row::Added(right) => ('+', Some(Tone::Good), "", right),
        };
        let (left, right) = (wrap(left, column), wrap(right, column));
        for line in 0..left.len().max(right.len()) {
            let part = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
            let mark = if line == 0 { mark } else { ' ' };
            let line = format!(" {mark} {:<column$} │ {}", part(&left), part(&right));
            let line = line.trim_end();
            text.push_str(&tone.map_or_else(|| line.to_owned(), |tone| screen.tint(tone, line)));
            text.push('\n');
        }
    }
    text
}

/// How wide each of the two columns is.
pub(super) fn column(screen: &Screen) -> usize {
    screen.width().saturating_sub(6).max(40) / 2
}

fn wrap(line: &str, column: usize) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    characters
        .chunks(column)
        .map(|chunk| chunk.iter().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn lines_are_aligned_by_header_name() {
        let left = lines(&[
            "GET /?t=1",
            "host: a",
            "authorization: x",
            "date: 1",
            "b: 1",
        ]);
        let right = lines(&["GET /", "host: a", "date: 2", "b: 2", "c: 3"]);
        assert_eq!(
            rows(&left, &right),
            [
                Row::Changed("GET /?t=1", "GET /"),
                Row::Same("host: a", "host: a"),
                Row::Removed("authorization: x"),
                Row::Same("date: 1", "date: 2"),
                Row::Changed("b: 1", "b: 2"),
                Row::Added("c: 3"),
            ]
        );
    }

    #[test]
    fn a_message_that_is_missing_leaves_its_column_empty() {
        let left = lines(&["GET /", "host: a"]);
        assert_eq!(
            rows(&left, &[]),
            [Row::Removed("GET /"), Row::Removed("host: a")]
        );
        assert!(rows(&[], &[]).is_empty());
    }

    #[test]
    fn long_lines_lose_nothing() {
        assert_eq!(wrap("abcdefg", 3), ["abc", "def", "g"]);
        assert_eq!(wrap("äöü", 2), ["äö", "ü"]);
    }
}
