use serde_json::Value;

use crate::file::Metadata;

/// Metadata as Envoy understands them in its configuration, which is YAML: numbers with a fraction or
/// more than 32 bits are text (Envoy, `source/common/protobuf/yaml_utility.cc`, `parseYamlNode`).
pub(crate) fn as_envoy_reads(metadata: &Metadata) -> Metadata {
    let mut metadata = metadata.clone();
    metadata
        .values_mut()
        .flat_map(|fields| fields.values_mut())
        .for_each(read);
    metadata
}

fn read(value: &mut Value) {
    match value {
        Value::Number(number) if !is_small(number) => *value = Value::String(number.to_string()),
        Value::Array(values) => values.iter_mut().for_each(read),
        Value::Object(fields) => fields.values_mut().for_each(read),
        _ => {}
    }
}

fn is_small(number: &serde_json::Number) -> bool {
    number
        .as_i64()
        .is_some_and(|number| i32::try_from(number).is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_with_a_fraction_or_more_than_32_bits_become_text() {
        let mut value = json!({"a": [1, -2, 0.5], "b": {"c": 2_147_483_648_u32}, "d": true});
        read(&mut value);
        assert_eq!(
            value,
            json!({"a": [1, -2, "0.5"], "b": {"c": "2147483648"}, "d": true})
        );
    }
}
