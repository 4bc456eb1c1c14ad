use std::cell::Cell;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::*;
use crate::ErrorKind;
use crate::foreign::Message;
use crate::host::double::{self, Answer};

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    limit: u8,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    deep: Deep,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Deep {
    a: Option<i32>,
    b: Option<f64>,
    c: Option<bool>,
}

fn any(value: &Json) -> Vec<u8> {
    match value {
        Json::Null => vec![1 << 3, 0],
        Json::Bool(truth) => vec![4 << 3, u8::from(*truth)],
        Json::Number(number) => {
            let mut bytes = vec![2 << 3 | 1];
            bytes.extend(number.as_f64().unwrap().to_le_bytes());
            bytes
        }
        Json::String(text) => {
            let mut bytes = vec![3 << 3 | 2, u8::try_from(text.len()).unwrap()];
            bytes.extend(text.as_bytes());
            bytes
        }
        Json::Object(_) => nested(5, &structure(value)),
        Json::Array(values) => {
            let list = values
                .iter()
                .fold(Message::default(), |list, value| list.bytes(1, &any(value)));
            nested(6, &list.finish())
        }
    }
}

/// Also of an empty message, which counts in a `oneof`.
fn nested(field: u8, message: &[u8]) -> Vec<u8> {
    match message {
        [] => vec![field << 3 | 2, 0],
        message => Message::default().bytes(field, message).finish(),
    }
}

fn structure(value: &Json) -> Vec<u8> {
    let members = value.as_object().unwrap().iter();
    members
        .fold(Message::default(), |message, (key, value)| {
            let entry = Message::default()
                .bytes(1, key.as_bytes())
                .bytes(2, &any(value));
            message.bytes(1, &entry.finish())
        })
        .finish()
}

fn metadata(value: &Json) -> Vec<u8> {
    let members = value.as_object().unwrap().iter();
    members
        .fold(Message::default(), |message, (name, value)| {
            let entry = Message::default()
                .bytes(1, name.as_bytes())
                .bytes(2, &structure(value));
            message.bytes(1, &entry.finish())
        })
        .finish()
}

/// The plugin `p`, with this configuration.
fn per_route(configuration: &Json) -> PerRoute<Config> {
    let bytes = configuration.to_string().into_bytes();
    double::answer([Answer::bytes(b"p")]);
    let config: Config = config::parse(&bytes).unwrap();
    let plugin = Plugin::new(String::new()).with_configuration(bytes);
    let build = |config: Config| match config.limit {
        13 => Err(ConfigError::at("/limit", "expected another number")),
        _ => Ok(config),
    };
    plugin.per_route(config, build).unwrap()
}

fn on_route(per_route: &PerRoute<Config>, route: &Json) -> Result<Config, Error> {
    double::answer([Answer::bytes(metadata(route))]);
    per_route.get().map(|config| (*config).clone())
}

fn refusal(per_route: &PerRoute<Config>, route: &Json) -> ConfigError {
    match on_route(per_route, route).unwrap_err().kind() {
        ErrorKind::Overlay(error) => error.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_route_that_says_nothing_has_the_configuration_of_the_plugin() {
    let per_route = per_route(&json!({"limit": 1}));
    for route in [json!({}), json!({"other": {"limit": 2}}), json!({"p": {}})] {
        assert_eq!(on_route(&per_route, &route).unwrap(), *per_route.base());
    }
    double::answer([Answer::status(1)]);
    assert_eq!(*per_route.get().unwrap(), *per_route.base());
}

#[test]
fn objects_are_merged_and_everything_else_is_replaced() {
    let per_route =
        per_route(&json!({"limit": 1, "names": ["a", "b"], "deep": {"a": 1, "c": true}}));
    let route = json!({"p": {"names": ["c"], "deep": {"a": -2, "b": 0.5}}, "other": {"limit": 9}});
    assert_eq!(
        on_route(&per_route, &route).unwrap(),
        Config {
            limit: 1,
            names: vec!["c".to_owned()],
            deep: Deep {
                a: Some(-2),
                b: Some(0.5),
                c: Some(true)
            },
        }
    );
    let route = json!({"p": {"limit": null, "names": [], "deep": {"c": null, "b": 3}}});
    assert_eq!(
        on_route(&per_route, &route).unwrap(),
        Config {
            limit: 0,
            names: Vec::new(),
            deep: Deep {
                a: Some(1),
                b: Some(3.0),
                c: None
            },
        }
    );
}

#[test]
fn a_refused_overlay_names_its_place_in_the_merged_configuration() {
    let per_route = per_route(&json!({"limit": 1}));
    for (overlay, pointer, reason) in [
        (
            json!({"limit": 2.5}),
            "/limit",
            "expected u8, found a number with a fraction",
        ),
        (
            json!({"limit": 256}),
            "/limit",
            "expected u8, found another integer",
        ),
        (
            json!({"names": ["a", 7]}),
            "/names/1",
            "expected a string, found an integer",
        ),
        (
            json!({"deep": {"d": 1}}),
            "/deep/d",
            "unknown field, expected one of `a`, `b`, `c`",
        ),
        (
            json!({"deep": "no"}),
            "/deep",
            "expected struct Deep, found a string",
        ),
        (json!({"limit": 13}), "/limit", "expected another number"),
    ] {
        let error = refusal(&per_route, &json!({"p": overlay}));
        assert_eq!((error.pointer(), error.reason()), (pointer, reason));
    }
    // The filter serves other routes on.
    assert_eq!(
        on_route(&per_route, &json!({"p": {"limit": 2}}))
            .unwrap()
            .limit,
        2
    );
}

#[test]
fn an_overlay_is_read_once_and_so_is_its_refusal() {
    let times = std::rc::Rc::new(Cell::new(0));
    double::answer([Answer::bytes(b"p")]);
    let plugin = Plugin::new(String::new()).with_configuration(b"{}".to_vec());
    let counted = std::rc::Rc::clone(&times);
    let per_route = plugin
        .per_route(config::parse(b"{}").unwrap(), move |config: Config| {
            counted.set(counted.get() + 1);
            match config.limit {
                13 => Err(ConfigError::at("/limit", "expected another number")),
                _ => Ok(config),
            }
        })
        .unwrap();
    for limit in [1, 2, 13, 1, 2, 13, 2, 1] {
        let _ = on_route(&per_route, &json!({"p": {"limit": limit}}));
    }
    assert_eq!(times.get(), 4);
    // Old ones make room for new ones, and what is used stays.
    for limit in 14..200 {
        let _ = on_route(&per_route, &json!({"p": {"limit": limit}}));
        let _ = on_route(&per_route, &json!({"p": {"limit": 1}}));
    }
    assert_eq!(times.get(), 4 + 186);
    assert_eq!(per_route.known.borrow().len(), REMEMBERED);
}

#[test]
fn whatever_the_host_answers_is_a_configuration_or_an_error() {
    let per_route = per_route(&json!({}));
    for answer in double::hostile() {
        double::answer([answer]);
        let _ = per_route.get();
    }
    // Nesting without end is no overlay.
    let mut bytes = any(&json!(1));
    for _ in 0..200 {
        bytes = nested(6, &Message::default().bytes(1, &bytes).finish());
    }
    let entry = Message::default()
        .bytes(1, b"limit")
        .bytes(2, &bytes)
        .finish();
    assert!(read_struct(&Message::default().bytes(1, &entry).finish()).is_none());
}
