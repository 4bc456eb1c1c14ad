//! From one type to another: `int`, `uint`, `double`, `string`, `bool`.

use super::fault::Fault;
use super::time;
use super::value::Value;

pub(super) fn int<'a>(of: &Value<'a>) -> Result<Value<'a>, Fault> {
    let number = match of {
        Value::Int(number) => Some(*number),
        Value::Uint(number) => i64::try_from(*number).ok(),
        #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
        Value::Double(number) if number.abs() < 2_f64.powi(63) => Some(*number as i64),
        Value::Bool(value) => Some(i64::from(*value)),
        Value::String(text) => trimmed(text).and_then(|text| text.parse().ok()),
        Value::Time(time) => i64::try_from(time.div_euclid(time::SECOND)).ok(),
        _ => None,
    };
    number.map(Value::Int).ok_or(Fault::Error)
}

pub(super) fn uint<'a>(of: &Value<'a>) -> Result<Value<'a>, Fault> {
    let number = match of {
        Value::Uint(number) => Some(*number),
        Value::Int(number) => u64::try_from(*number).ok(),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is in range"
        )]
        Value::Double(number) if *number >= 0.0 && *number < 2_f64.powi(64) => Some(*number as u64),
        Value::String(text) => trimmed(text).and_then(|text| text.parse().ok()),
        _ => None,
    };
    number.map(Value::Uint).ok_or(Fault::Error)
}

pub(super) fn double<'a>(of: &Value<'a>) -> Result<Value<'a>, Fault> {
    let Value::String(text) = of else {
        return of.as_double().map(Value::Double).ok_or(Fault::Error);
    };
    let text = trimmed(text).ok_or(Fault::Error)?;
    let digits = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    if let Some(digits) = digits.strip_prefix("0x") {
        let number = u32::from_str_radix(digits, 16).map_err(|_| {
            Fault::unknown("a number in base 16, as a text, with more than 8 digits or a fraction")
        })?;
        let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
        return Ok(Value::Double(sign * f64::from(number)));
    }
    if digits.starts_with("nan(") {
        return Err(Fault::unknown("a NaN that says which"));
    }
    text.parse().map(Value::Double).map_err(|_| Fault::Error)
}

pub(super) fn string<'a>(of: &Value<'a>) -> Result<Value<'a>, Fault> {
    Ok(match of {
        Value::String(_) => of.clone(),
        Value::Bool(value) => Value::text(value.to_string()),
        Value::Int(number) => Value::text(number.to_string()),
        Value::Uint(number) => Value::text(number.to_string()),
        Value::Double(number) => Value::text(double_as_text(*number)),
        Value::Bytes(bytes) if str::from_utf8(bytes).is_ok() => Value::String(bytes.clone()),
        Value::Duration(time) => Value::text(time::duration_as_text(*time)),
        Value::Time(time) => Value::text(time::time_as_text(*time).ok_or(Fault::Error)?),
        _ => return Err(Fault::Error),
    })
}

pub(super) fn bool<'a>(of: &Value<'a>) -> Result<Value<'a>, Fault> {
    match of {
        Value::Bool(_) => Ok(of.clone()),
        Value::String(text) => match &**text {
            b"true" | b"True" | b"TRUE" | b"t" | b"1" => Ok(Value::Bool(true)),
            b"false" | b"False" | b"FALSE" | b"f" | b"0" => Ok(Value::Bool(false)),
            _ => Err(Fault::Error),
        },
        _ => Err(Fault::Error),
    }
}

/// A number's text without the white space around it.
fn trimmed(text: &[u8]) -> Option<&str> {
    let space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let start = text.iter().position(|byte| !space(byte))?;
    let end = text.iter().rposition(|byte| !space(byte))?;
    str::from_utf8(&text[start..=end]).ok()
}

/// The fewest digits that say which number it is, with an exponent from a million on and below a
/// ten thousandth.
fn double_as_text(number: f64) -> String {
    if number.is_nan() {
        return if number.is_sign_negative() {
            "-nan(ind)".to_owned()
        } else {
            "nan".to_owned()
        };
    }
    if number.is_infinite() || number == 0.0 {
        return format!("{number}");
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_envoy_writes_them() {
        for (number, text) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (123_456_789.123, "1.23456789123e+08"),
            (0.0001, "0.0001"),
            (1e-5, "1e-05"),
            (0.1 + 0.2, "0.30000000000000004"),
            (5e-324, "5e-324"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(double_as_text(number), text);
        }
    }
}
