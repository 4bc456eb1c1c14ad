use std::fmt::Write as _;

/// The most letters of a text that are shown.
const SHOWN: usize = 300;

/// A text that somebody else wrote, on one line and without what a terminal would obey or what would hide what it says.
///
/// Names, tags, platforms and annotations in an image, and what a registry says of a failure, are written by whoever
/// can publish, or by whoever answers in the registry's place.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut shown = String::new();
    let mut symbols = text.chars();
    for symbol in symbols.by_ref().take(SHOWN) {
        push(&mut shown, symbol);
    }
    if symbols.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The same for a text of any length.
#[must_use]
pub fn harmless_line(text: &str) -> String {
    let mut shown = String::new();
    text.chars().for_each(|symbol| push(&mut shown, symbol));
    shown
}

/// The same for a text of several lines, of any length: a line that somebody else began is told from ours by its margin.
#[must_use]
pub fn harmless_lines(text: &str, margin: &str) -> String {
    let mut shown = String::new();
    for symbol in text.chars() {
        match symbol {
            '\n' => {
                shown.push('\n');
                shown.push_str(margin);
            }
            symbol => push(&mut shown, symbol),
        }
    }
    shown
}

/// As JSON has it, so that a line of JSON stays what it is.
fn push(shown: &mut String, symbol: char) {
    match symbol.is_control() || is_invisible(symbol) {
        true => {
            for unit in symbol.encode_utf16(&mut [0; 2]) {
                // Writing to a text does not fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
        false => shown.push(symbol),
    }
}

/// What has no shape of its own and changes the order or the end of what has one (Unicode's format characters).
fn is_invisible(symbol: char) -> bool {
    matches!(
        symbol,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_as_what_it_is() {
        for (text, expected) in [
            ("Größe 3 – ok", "Größe 3 – ok"),
            ("\u{1b}[31mred\u{7}", "\\u001b[31mred\\u0007"),
            ("one\r\ntwo\t3", "one\\u000d\\u000atwo\\u00093"),
            ("\u{9b}2J", "\\u009b2J"),
            ("abc\u{202e}cba", "abc\\u202ecba"),
            ("a\u{2028}b", "a\\u2028b"),
        ] {
            assert_eq!(harmless(text), expected);
        }
        let json = serde_json::json!({ "a": "\u{9b}\u{202e}\u{e0001}\u{1b}" }).to_string();
        let shown = harmless_lines(&json, "");
        assert!(shown.is_ascii(), "{shown}");
        let [one, other] = [json, shown].map(|it| serde_json::from_str::<serde_json::Value>(&it));
        assert_eq!(one.unwrap(), other.unwrap());
        assert_eq!(harmless(&"x".repeat(301)).chars().count(), 301);
        assert!(harmless(&"x".repeat(301)).ends_with('…'));
    }

    #[test]
    fn a_line_of_any_length_is_one() {
        let text = "x\n".repeat(500);
        assert_eq!(harmless_line(&text), "x\\u000a".repeat(500));
    }

    #[test]
    fn lines_of_others_keep_their_margin() {
        let text = "one\n  signed by \u{1b}nobody";
        assert_eq!(
            harmless_lines(text, "    "),
            "one\n      signed by \\u001bnobody"
        );
    }
}
