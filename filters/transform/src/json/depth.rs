use super::Value;
use crate::failure::Failure;
use crate::fuel::Fuel;

/// How many levels a value has.
///
/// # Errors
///
/// [`Failure::Depth`] where they are more than `limit`, and [`Failure::Work`].
pub fn depth(value: &Value<'_>, limit: usize, fuel: &Fuel) -> Result<usize, Failure> {
    fuel.spend(1)?;
    let inside: Vec<&Value<'_>> = match value {
        Value::Array(array) => array.elements.iter().map(|it| &it.value).collect(),
        Value::Object(object) => object.members.iter().map(|it| &it.value).collect(),
        _ => return Ok(0),
    };
    let room = limit.checked_sub(1).ok_or(Failure::Depth)?;
    let mut deepest = 0;
    for value in inside {
        deepest = deepest.max(depth(value, room, fuel)?);
    }
    Ok(deepest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn the_deepest_way_counts() {
        for (text, levels) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a": [1, {"b": [2]}], "c": []}"#, 4),
        ] {
            let value = parse(text).expect("JSON").value;
            let fuel = Fuel::new(100);
            assert_eq!(depth(&value, levels, &fuel), Ok(levels), "{text}");
            if levels > 0 {
                assert_eq!(depth(&value, levels - 1, &fuel), Err(Failure::Depth));
            }
        }
    }
}
