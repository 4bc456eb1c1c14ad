//! Base64 for URLs without padding (RFC 4648, 5), as tokens have it.

/// `None` for other letters, for a length that is none, and for bits that say nothing.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for four in text.chunks(4) {
        let mut bits = 0_u32;
        for &letter in four {
            bits = bits << 6 | u32::from(value(letter)?);
        }
        let [_, first, second, third] = match four.len() {
            4 => bits,
            3 if bits & 0b11 == 0 => bits << 6,
            2 if bits & 0b1111 == 0 => bits << 12,
            _ => return None,
        }
        .to_be_bytes();
        bytes.extend([first, second, third].get(..four.len() - 1)?);
    }
    Some(bytes)
}

fn value(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
pub(super) fn encode(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..=three.len() {
            let index = bits >> (18 - 6 * letter) & 63;
            text.push(char::from(LETTERS[usize::try_from(index).unwrap()]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for length in 0..40_u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            assert_eq!(decode(encode(&bytes).as_bytes()).unwrap(), bytes);
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in [
            "a", "abcde", "ab=", "ab==", "a+b/", "a b", "ab\n", "aB", "é",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
