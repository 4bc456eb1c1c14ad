//! What `/stats` of the admin endpoint is asked for.

/// The path and query that ask for the statistics whose names match a regular expression (RE2).
#[must_use]
pub fn stats_path(pattern: &str) -> String {
    format!("/stats?filter={}", encoded(pattern))
}

/// A text as a regular expression (RE2) that matches it alone.
#[must_use]
pub fn stats_literal(text: &str) -> String {
    let mut pattern = String::new();
    for character in text.chars() {
        if character.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// A text as a query parameter.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
