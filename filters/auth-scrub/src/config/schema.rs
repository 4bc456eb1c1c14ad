//! The JSON Schema of the tables; asked for once, while the module is finished.

use attache::matching;
use attache::schemars::{Schema, SchemaGenerator, json_schema};

use super::shapes::Words;
use super::{Kind, Shape};

/// The schema of a shape, with the shapes in it among the generator's definitions.
pub(super) fn of(shape: &Shape, words: &[Words], generator: &mut SchemaGenerator) -> Schema {
    let said = words.iter().find(|said| said.shape == shape.name);
    let mut schema = json_schema!({"type": "object", "additionalProperties": false});
    schema.insert(
        "description".to_owned(),
        said.map_or("", |said| said.about.trim()).into(),
    );
    let mut properties = Schema::default();
    let mut required = Vec::new();
    for (index, field) in shape.fields.iter().enumerate() {
        let mut property = of_kind(&field.kind, words, generator);
        let (about, default) = said
            .and_then(|said| said.fields.get(index))
            .copied()
            .unwrap_or_default();
        property.insert("description".to_owned(), about.trim().into());
        let default = match (&field.kind, default) {
            (_, "") => None,
            (Kind::Flag, default) => Some((default == "true").into()),
            (Kind::Number, default) => default.parse().ok().map(|number: u32| number.into()),
            (_, default) => Some(default.trim_matches('"').into()),
        };
        if let Some(default) = default {
            property.insert("default".to_owned(), default);
        }
        properties.insert(field.name.to_owned(), property.to_value());
        if field.required {
            required.push(field.name);
        }
    }
    schema.insert("properties".to_owned(), properties.to_value());
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema
}

fn of_kind(kind: &Kind, words: &[Words], generator: &mut SchemaGenerator) -> Schema {
    let text = || json_schema!({"type": "string"});
    match kind {
        Kind::Flag => json_schema!({"type": "boolean"}),
        Kind::Number => json_schema!({"type": "integer", "minimum": 0}),
        Kind::Text => text(),
        Kind::Word(words) => json_schema!({"enum": words}),
        Kind::Object(shape) => reference(shape, words, generator),
        Kind::Objects(shape) => {
            let element = reference(shape, words, generator);
            json_schema!({"type": "array", "items": element})
        }
        Kind::Texts => json_schema!({"type": "array", "items": text()}),
        Kind::Map => json_schema!({"type": "object", "additionalProperties": text()}),
        Kind::Name => json_schema!({"anyOf": [text(), one_of(&["exact", "prefix"])]}),
        Kind::Regex => json_schema!({"anyOf": [text(), one_of(&["regex"])]}),
        Kind::Patterns => {
            let pattern = named("Pattern", generator, |generator| {
                let mut pattern = one_of(&matching::Kind::NAMES);
                let regex = of_kind(&Kind::Regex, words, generator);
                let properties = pattern
                    .get_mut("properties")
                    .and_then(|it| it.as_object_mut());
                if let Some(properties) = properties {
                    properties.insert("safe_regex".to_owned(), regex.to_value());
                    let flag = json_schema!({"type": "boolean"});
                    properties.insert("ignore_case".to_owned(), flag.to_value());
                }
                pattern.insert("maxProperties".to_owned(), 2.into());
                json_schema!({"anyOf": [text(), pattern]})
            });
            json_schema!({"type": "array", "items": pattern})
        }
    }
}

/// An object with one text under one of these names.
fn one_of(names: &[&str]) -> Schema {
    let mut properties = Schema::default();
    for name in names {
        let text = json_schema!({"type": "string"});
        properties.insert((*name).to_owned(), text.to_value());
    }
    json_schema!({
        "type": "object",
        "properties": properties,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
    })
}

fn reference(shape: &Shape, words: &[Words], generator: &mut SchemaGenerator) -> Schema {
    named(shape.name, generator, |generator| {
        of(shape, words, generator)
    })
}

/// A reference to a definition, which is made if it is not there.
fn named(
    name: &str,
    generator: &mut SchemaGenerator,
    make: impl FnOnce(&mut SchemaGenerator) -> Schema,
) -> Schema {
    if !generator.definitions().contains_key(name) {
        let schema = make(generator);
        generator
            .definitions_mut()
            .insert(name.to_owned(), schema.to_value());
    }
    json_schema!({"$ref": format!("#/$defs/{name}")})
}
