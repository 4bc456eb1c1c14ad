//! Numbers as they are spelt, compared by what they say.

use std::cmp::Ordering;

use super::Value;

/// The nearest number that 64 bits hold. Numbers beyond those of 64 bits are the largest one.
pub fn number_of(text: &str) -> f64 {
    let number = text.parse::<f64>().unwrap_or(0.0);
    number.clamp(f64::MIN, f64::MAX)
}

/// A number that was computed, as it is spelt; none where it is not finite.
pub(crate) fn spelt(number: f64) -> Option<Value<'static>> {
    if !number.is_finite() {
        return None;
    }
    let text = if number == 0.0 {
        "0".to_owned()
    } else if number.abs() >= 1e17 || number.abs() < 1e-7 {
        format!("{number:e}")
    } else {
        number.to_string()
    };
    Some(Value::number(&text))
}

/// The whole number that `text` says, where it is one that 64 bits hold.
#[must_use]
pub fn integer_of(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Digits without zeros at their ends, and the place of the point: `0.d1d2… × 10^exponent`.
#[derive(Debug, Eq, PartialEq)]
struct Decimal {
    is_negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    fn of(text: &str) -> Self {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, saturating(exponent)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = whole.bytes().chain(fraction.bytes());
        let zeros = all.clone().take_while(|digit| *digit == b'0').count();
        let mut digits: Vec<u8> = all.skip(zeros).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Self {
                is_negative: false,
                digits,
                exponent: 0,
            };
        }
        let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            is_negative,
            digits,
            exponent: exponent
                .saturating_add(length(whole.len()))
                .saturating_sub(length(zeros)),
        }
    }
}

/// Far beyond what digits could make up for.
fn saturating(exponent: &str) -> i64 {
    exponent.parse().unwrap_or(if exponent.starts_with('-') {
        i64::MIN / 2
    } else {
        i64::MAX / 2
    })
}

/// Compares numbers exactly, however they are spelt.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Decimal::of(left), Decimal::of(right));
    let sign = |number: &Decimal| match (number.digits.is_empty(), number.is_negative) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => -1,
    };
    let by_size = || {
        let size = left.exponent.cmp(&right.exponent);
        size.then_with(|| left.digits.cmp(&right.digits))
    };
    sign(&left)
        .cmp(&sign(&right))
        .then_with(|| match sign(&left) {
            0 => Ordering::Equal,
            1 => by_size(),
            _ => by_size().reverse(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_what_they_say() {
        use Ordering::{Equal, Greater, Less};
        for (left, order, right) in [
            ("1", Equal, "1.0"),
            ("1", Equal, "10e-1"),
            ("0", Equal, "-0.0e9"),
            ("100", Equal, "1E+2"),
            ("9007199254740993", Greater, "9007199254740992"),
            ("0.1", Greater, "0.01"),
            ("0.001", Equal, "1e-3"),
            ("-2", Less, "-1"),
            ("-1", Less, "0"),
            ("10", Greater, "9"),
            ("1e999999999999999999999", Greater, "1e99"),
            ("1e-999999999999999999999", Less, "1e-99"),
        ] {
            assert_eq!(compare(left, right), order, "{left} and {right}");
            assert_eq!(compare(right, left), order.reverse(), "{right} and {left}");
        }
    }

    #[test]
    fn what_is_computed_is_spelt_as_json() {
        let text = |number| match spelt(number) {
            Some(Value::Number(text)) => Some(text.as_str().to_owned()),
            _ => None,
        };
        assert_eq!(text(3.0).as_deref(), Some("3"));
        assert_eq!(text(-0.0).as_deref(), Some("0"));
        assert_eq!(text(2.5).as_deref(), Some("2.5"));
        assert_eq!(text(1e300).as_deref(), Some("1e300"));
        assert_eq!(text(f64::NAN), None);
    }
}
