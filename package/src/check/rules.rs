//! What a CRD asks beside the types of its fields: rules in CEL, and lists in which nothing is twice.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::cel::{Fault, Rule, Value};

/// The rules of a schema and of all schemas within it.
#[derive(Debug, Default)]
pub(super) struct Rules {
    own: Vec<Named>,
    /// By which of their fields the items of a list are told apart; by all of them where none is named.
    distinct: Option<Vec<String>>,
    /// What a field is that is not there.
    default: Option<Json>,
    fields: BTreeMap<String, Self>,
    /// Of the fields that have no name in the schema.
    others: Option<Box<Self>>,
    items: Option<Box<Self>>,
}

#[derive(Debug)]
struct Named {
    rule: Result<Rule, Fault>,
    message: String,
}

/// What is said of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Said {
    /// It breaks a rule.
    Refused(String),
    /// Here nobody knows.
    Unjudged(String),
}

impl Rules {
    /// Collects the rules of a schema.
    pub(super) fn of(schema: &Json) -> Self {
        let text = |json: &Json, key: &str| {
            let text = json.get(key).and_then(Json::as_str);
            text.map(|text| text.trim().to_owned())
        };
        let list = |key: &str| {
            schema
                .get(key)
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
        };
        let own = list("x-kubernetes-validations").filter_map(|one| {
            let rule = text(one, "rule")?;
            // What compares with the object before says nothing of a new one.
            (!rule.contains("oldSelf")).then(|| Named {
                message: text(one, "message")
                    .unwrap_or_else(|| format!("it breaks the rule `{rule}`")),
                rule: Rule::parse(&rule),
            })
        });
        let fields = schema.get("properties").and_then(Json::as_object);
        let fields = fields.into_iter().flatten();
        let within = |key: &str| {
            let inner = schema.get(key).filter(|inner| inner.is_object());
            inner.map(|inner| Box::new(Self::of(inner)))
        };
        let keys = list("x-kubernetes-list-map-keys").filter_map(Json::as_str);
        Self {
            own: own.collect(),
            distinct: match text(schema, "x-kubernetes-list-type").as_deref() {
                Some("map") => Some(keys.map(str::to_owned).collect()),
                Some("set") => Some(Vec::new()),
                _ => None,
            },
            default: schema.get("default").cloned(),
            fields: fields
                .map(|(name, inner)| (name.clone(), Self::of(inner)))
                .collect(),
            others: within("additionalProperties"),
            items: within("items"),
        }
    }

    /// Holds a value against the rules, as an API server has it: with what is there unless it is said.
    pub(super) fn judge(&self, value: &Json) -> Vec<(String, Said)> {
        let mut value = value.clone();
        self.fill(&mut value);
        let mut said = Vec::new();
        self.judge_at("", &value, &mut said);
        said
    }

    fn field(&self, name: &str) -> Option<&Self> {
        self.fields.get(name).or(self.others.as_deref())
    }

    fn fill(&self, value: &mut Json) {
        match value {
            Json::Object(object) => {
                for (name, inner) in &self.fields {
                    if let (Some(default), false) = (&inner.default, object.contains_key(name)) {
                        object.insert(name.clone(), default.clone());
                    }
                }
                for (name, value) in object {
                    if let Some(inner) = self.field(name) {
                        inner.fill(value);
                    }
                }
            }
            Json::Array(items) => {
                for (item, inner) in items.iter_mut().zip(std::iter::repeat(&self.items)) {
                    if let Some(inner) = inner {
                        inner.fill(item);
                    }
                }
            }
            _ => {}
        }
    }

    fn judge_at(&self, at: &str, value: &Json, said: &mut Vec<(String, Said)>) {
        if !self.own.is_empty() {
            let this = Value::from(value);
            for Named { rule, message } in &self.own {
                let answer = rule.as_ref().map_err(Clone::clone);
                let what = match answer.and_then(|rule| rule.holds(&this)) {
                    Ok(true) => continue,
                    Ok(false) => Said::Refused(message.clone()),
                    Err(Fault::Failed(why)) => Said::Refused(format!("{message} ({why})")),
                    Err(fault) => Said::Unjudged(format!("{message} ({fault})")),
                };
                said.push((at.to_owned(), what));
            }
        }
        match value {
            Json::Object(object) => self.judge_fields(at, object, said),
            Json::Array(items) => self.judge_items(at, items, said),
            _ => {}
        }
    }

    fn judge_fields(&self, at: &str, object: &Map<String, Json>, said: &mut Vec<(String, Said)>) {
        for (name, value) in object {
            if let Some(inner) = self.field(name) {
                let name = name.replace('~', "~0").replace('/', "~1");
                inner.judge_at(&format!("{at}/{name}"), value, said);
            }
        }
    }

    fn judge_items(&self, at: &str, items: &[Json], said: &mut Vec<(String, Said)>) {
        let mut known = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let at = format!("{at}/{index}");
            if let Some(keys) = &self.distinct {
                let parts: Vec<Option<&Json>> = keys.iter().map(|key| item.get(key)).collect();
                let name = match keys.is_empty() {
                    true => item.to_string(),
                    false => format!("{parts:?}"),
                };
                if !known.insert(name) {
                    let why = match keys.is_empty() {
                        true => "it is there twice".to_owned(),
                        false => format!("another item has the same {}", keys.join(" and ")),
                    };
                    said.push((at.clone(), Said::Refused(why)));
                }
            }
            if let Some(inner) = &self.items {
                inner.judge_at(&at, item, said);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_are_held_where_they_stand() {
        let schema = json!({
            "properties": {
                "kind": { "default": "Service" },
                "port": {},
                "list": {
                    "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": { "x-kubernetes-validations": [{ "rule": "has(self.name)", "message": "name it" }] },
                },
                "set": { "x-kubernetes-list-type": "set" },
                "labels": { "additionalProperties": {
                    "x-kubernetes-validations": [{ "rule": "!self.contains('*')" }],
                } },
                "odd": { "x-kubernetes-validations": [{ "rule": "self.matches('a')", "message": "odd" }] },
                "once": { "x-kubernetes-validations": [{ "rule": "self == oldSelf", "message": "no" }] },
            },
            "x-kubernetes-validations": [
                { "rule": "self.kind == 'Service' ? has(self.port) : true", "message": "a port" },
            ],
        });
        let rules = Rules::of(&schema);
        let refused = |at: &str, why: &str| (at.to_owned(), Said::Refused(why.to_owned()));
        for (value, expected) in [
            (json!({ "port": 1 }), vec![]),
            (json!({ "kind": "Other" }), vec![]),
            // Unless it is said, it is a Service.
            (json!({}), vec![refused("", "a port")]),
            (
                json!({ "port": 1, "list": [{ "name": "a" }, { "name": "b" }], "set": ["a", "b"] }),
                vec![],
            ),
            (
                json!({ "port": 1, "list": [{ "name": "a" }, { "name": "a" }, {}], "set": [1, 1] }),
                vec![
                    refused("/list/1", "another item has the same name"),
                    refused("/list/2", "name it"),
                    refused("/set/1", "it is there twice"),
                ],
            ),
            (
                json!({ "port": 1, "labels": { "a/b": "*", "c": "d" }, "once": 1 }),
                vec![refused(
                    "/labels/a~1b",
                    "it breaks the rule `!self.contains('*')`",
                )],
            ),
            (
                json!({ "port": 1, "odd": "a" }),
                vec![(
                    "/odd".to_owned(),
                    Said::Unjudged("odd (`matches()` is not known here)".to_owned()),
                )],
            ),
        ] {
            assert_eq!(rules.judge(&value), expected, "{value}");
        }
    }
}
