//! `proxy_get_property`, `proxy_set_property`.

mod http;
mod network;
mod stream_info;
mod value;
mod xds;

use std::sync::Arc;
use std::time::Duration;

use self::stream_info::{StreamInfo, Upstream};
use self::value::{ABSENT, Found};
pub(crate) use self::value::{Miss, Value};
use crate::abi::{MapType, Status};
use crate::attributes::Metadata;
use crate::call::{Answer, Call, Stop};
use crate::downstream::Downstream;
use crate::error::HostError;
use crate::filter_state::{FilterState, Kind, Message, Object};
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::stream::Stream;
use crate::vm::VmState;
use crate::world::World;

pub(crate) fn get(
    call: &mut Call<'_>,
    path: u32,
    path_size: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    let path = call.bytes(path, path_size)?;
    let state = call.state();
    if let Some(given) = given(state, &path) {
        let given = given.clone();
        return call.give(&given, value, value_size);
    }
    let found = find(state, &path).and_then(|value| serialized(&state.world, &value));
    let hidden = call
        .world()
        .mutator
        .as_ref()
        .is_some_and(|mutator| mutator.hides(&path));
    match found {
        Ok(_) if hidden => Err(Status::NotFound.into()),
        Ok(found) => call.give(&found, value, value_size),
        Err(Miss::Status(status)) => {
            if let Some(name) = gone(call.state(), &path) {
                let what = format!("`request.{}` was asked for", name.escape_ascii());
                call.lint(LintKind::HeaderPropertyOutsideItsPhase, what);
            }
            Err(status.into())
        }
        Err(Miss::Schema) => {
            let what = format!("proxy_get_property(\"{}\")", readable(&path));
            Err(crash_over_schema(call, what))
        }
        Err(Miss::Unknown) => Err(call.give_up(|timeline| HostError::NotAnswered {
            what: format!("property `{}`", readable(&path)),
            timeline,
        })),
    }
}

/// What a test says that a property is, in streams.
fn given<'s>(state: &'s VmState, path: &[u8]) -> Option<&'s Vec<u8>> {
    if state.world.given_properties.is_empty() || state.place().is_none() {
        return None;
    }
    let parts = path
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty());
    let dotted = parts.collect::<Vec<_>>().join(&b'.');
    let dotted = std::str::from_utf8(&dotted).ok()?;
    state.world.given_properties.get(dotted)
}

/// The bytes of a value.
fn serialized(world: &World, value: &Value<'_>) -> Result<Vec<u8>, Miss> {
    let bytes = value.serialize()?.into_owned();
    let broken = match value {
        Value::Int(_) | Value::Uint(_) => Rule::PropertiesHaveShortNumbers,
        Value::Bool(_) => Rule::PropertiesHaveLongTruths,
        Value::Bytes(_) => Rule::PropertiesEndTextsWithNul,
        Value::Headers(None) => Rule::AbsentMapsAreNoBytes,
        Value::Headers(Some(headers)) if headers.is_empty() => Rule::AbsentMapsAreNoBytes,
        Value::Headers(Some(_)) => Rule::HeaderPropertiesLackTheLastByte,
        Value::Json(serde_json::Value::Number(_)) => Rule::PropertiesHaveWholeNumbers,
        _ => return Ok(bytes),
    };
    if !world.mutated(broken) {
        return Ok(bytes);
    }
    Ok(match value {
        Value::Int(_) | Value::Uint(_) => bytes[..4].to_vec(),
        Value::Bool(_) => [&bytes[..], &[0; 7]].concat(),
        Value::Bytes(_) => [&bytes[..], &[0]].concat(),
        Value::Json(serde_json::Value::Number(number)) => number
            .as_f64()
            .unwrap_or(0.0)
            .to_bits()
            .to_be_bytes()
            .to_vec(),
        Value::Headers(Some(headers)) if !headers.is_empty() => bytes[..bytes.len() - 1].to_vec(),
        _ => Vec::new(),
    })
}

/// Ends the test where Envoy's process ends.
pub(crate) fn crash_over_schema(call: &mut Call<'_>, what: String) -> Stop {
    call.give_up(|timeline| HostError::EnvoyWouldCrash {
        call: what,
        why: "looks into a property that `declare_property` gave the type FlatBuffers and no schema; \
              Envoy follows the schema's offsets unchecked (`cel_state.cc`); declare it with a binary \
              schema (`flatc --schema --binary`), or as bytes"
            .to_owned(),
        timeline,
    })
}

/// Keeps filter state of the stream under `wasm.` and the key, which is taken literally, NULs and
/// all.
pub(crate) fn set(
    call: &mut Call<'_>,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    let key = call.bytes(key, key_size)?;
    let value = call.bytes(value, value_size)?;
    if key.contains(&0) {
        let what = format!("`{}`", key.escape_ascii());
        call.lint(LintKind::PropertyPathInParts, what);
    }
    if ATTRIBUTES.contains(&key.as_slice()) {
        let what = format!("`{}` was kept", key.escape_ascii());
        call.lint(LintKind::ShadowedProperty, what);
    }
    let state = call.state();
    let place = state.place().ok_or(Status::NotFound)?;
    let key = match key.split(|byte| *byte == 0).next() {
        Some(first) if key.contains(&0) && state.world.mutated(Rule::PropertyKeysEndAtNul) => {
            first.to_vec()
        }
        _ => key,
    };
    let root = state
        .context()
        .and_then(|context| state.contexts.get(&context.root));
    let declared = root.and_then(|root| root.declared.get(&key));
    let declared = declared.map_or_else(Arc::default, Arc::clone);
    let known = |stream: &Stream| stream.exchange.filter_state.wasm(&key).is_some();
    if known(&state.world.streams[place.slot]) && state.world.mutated(Rule::PropertiesAreSetOnce) {
        return Ok(());
    }
    let stream = &mut state.world.streams[place.slot];
    if stream
        .exchange
        .filter_state
        .set_wasm(&key, value, &declared)
    {
        Ok(())
    } else {
        Err(Status::BadArgument.into())
    }
}

/// Follows a path from its first name, as long as there are parts. A NUL at the end is no part.
fn find<'a>(state: &'a VmState, path: &[u8]) -> Found<'a> {
    if path.is_empty() {
        return Ok(Value::Null);
    }
    let path = match path.strip_suffix(&[0]) {
        Some(_) if state.world.mutated(Rule::NulAtTheEndIsAPart) => path,
        Some(path) => path,
        None => path,
    };
    let mut parts = path.split(|byte| *byte == 0);
    let first = parts.next().unwrap_or_default();
    let end = match parts.next() {
        Some(second) => End::Somewhere(Some(second)),
        None => End::Here,
    };
    let value = top(state, first, end)?;
    parts.try_fold(value, Value::field)
}

/// The value of a name in an expression.
pub(crate) fn variable<'a>(state: &'a VmState, name: &[u8]) -> Found<'a> {
    top(state, name, End::Somewhere(None))
}

/// What a map of Envoy's own has under a name.
pub(crate) fn member<'a>(state: &'a VmState, map: &[u8], name: &[u8]) -> Found<'a> {
    top(state, map, End::Somewhere(Some(name)))
}

/// What stands behind the first name.
#[derive(Clone, Copy)]
enum End<'a> {
    /// Nothing at all: a message is handed out as its bytes.
    Here,
    /// Another name, or what an expression does with the value.
    Somewhere(Option<&'a [u8]>),
}

/// The value of a path's first one or two parts.
fn top<'a>(state: &'a VmState, first: &[u8], end: End<'_>) -> Found<'a> {
    let second = match end {
        End::Here => None,
        End::Somewhere(second) => second,
    };
    let context = state.context().ok_or(ABSENT)?;
    let late = state.world.mutated(Rule::ConnectionIsSeenWithTheAnswer);
    let now = if late {
        Duration::ZERO
    } else {
        state.world.clock.now()
    };
    let info = context
        .observed()
        .map(|slot| StreamInfo::of(&state.world.streams[slot], now));
    if let Some(found) = attribute(state, info.as_ref(), first, second) {
        return found;
    }
    let value = match (first, &info) {
        (b"connection_id", Some(info)) if context.stream.is_some() => Value::Uint(info.connection),
        (b"connection_id", _) => return Err(ABSENT),
        (b"plugin_name", _) => Value::text(&*state.world.plugins[context.plugin].name),
        (b"plugin_root_id", _) => Value::text(&state.world.plugins[context.plugin].root_id),
        (b"plugin_vm_id", _) => Value::text(&state.world.plugins[context.plugin].vm_id),
        (key, Some(info)) => {
            let object = info.filter_state.wasm(key);
            if object.is_some() && state.world.mutated(Rule::OwnPropertiesHavePrefix) {
                return Err(ABSENT);
            }
            let object = object.ok_or(ABSENT)?;
            let bytes = object.bytes().filter(|_| matches!(end, End::Here));
            return below(
                bytes.map_or_else(|| value_of(object), |bytes| Ok(Value::bytes(bytes))),
                second,
            );
        }
        (_, None) => return Err(ABSENT),
    };
    below(Ok(value), second)
}

/// One of Envoy's attributes; none if it has none of this name here.
fn attribute<'a>(
    state: &'a VmState,
    info: Option<&StreamInfo<'a>>,
    first: &[u8],
    second: Option<&[u8]>,
) -> Option<Found<'a>> {
    let attributes = &state.world.attributes;
    if first == b"xds" {
        return Some(named("xds", second, |name| {
            xds::xds(attributes, info, name)
        }));
    }
    let info = info?;
    let downstream: &'a Downstream = info.downstream.unwrap_or(&state.world.downstream);
    Some(match first {
        b"request" => named("request", second, |name| http::request(state, info, name)),
        b"response" => named("response", second, |name| http::response(state, info, name)),
        b"source" => named("source", second, |name| {
            network::peer(downstream.client, name)
        }),
        b"destination" => named("destination", second, |name| {
            network::peer(downstream.server, name)
        }),
        b"connection" => named("connection", second, |name| {
            network::connection(downstream, info, name)
        }),
        b"upstream" => named("upstream", second, |name| {
            network::upstream(attributes, info, name)
        }),
        b"metadata" => {
            static NONE: Metadata = Metadata::new();
            let metadata = info.dynamic_metadata.unwrap_or(&NONE);
            below(Ok(Value::Metadata(metadata)), second)
        }
        b"filter_state" => named("filter_state", second, |name| {
            object(info.filter_state, name)
        }),
        b"upstream_filter_state" if info.upstream == Upstream::Connected => {
            named("upstream_filter_state", second, |_| Err(ABSENT))
        }
        _ => return None,
    })
}

/// What a map of Envoy's own has under a name; without one the map itself.
fn named<'a>(
    map: &'static str,
    name: Option<&[u8]>,
    field: impl FnOnce(&[u8]) -> Found<'a>,
) -> Found<'a> {
    name.map_or(Ok(Value::Unlisted(map)), field)
}

fn below<'a>(found: Found<'a>, part: Option<&[u8]>) -> Found<'a> {
    match part {
        Some(part) => found?.field(part),
        None => found,
    }
}

/// An object of the filter state by its full name.
fn object<'a>(state: &'a FilterState, name: &[u8]) -> Found<'a> {
    value_of(state.get(name).ok_or(ABSENT)?)
}

/// An object as Envoy shows it: a guest's own by its type, others as the bytes that they are written as.
fn value_of(object: &Object) -> Found<'_> {
    Ok(match object {
        Object::Cel(cel) => match &cel.message {
            Some(message) => value_of_message(message)?,
            None if cel.declared.kind == Kind::String => Value::text(&cel.bytes),
            None => Value::bytes(&cel.bytes),
        },
        Object::Text(text) => Value::bytes(text),
        Object::Address(address) => Value::Address(*address),
        Object::Opaque => return Err(ABSENT),
    })
}

fn value_of_message(message: &Message) -> Found<'_> {
    Ok(match message {
        Message::Json(value) => Value::Json(value),
        Message::Bool(value) => Value::Bool(*value),
        Message::Int(number) => Value::Int(*number),
        Message::Uint(number) => Value::Uint(*number),
        Message::Double(number) => Value::Double(*number),
        Message::Text(text) => Value::text(text),
        Message::Bytes(bytes) => Value::bytes(bytes),
        Message::Duration(time) => Value::Duration(*time),
        Message::Time(time) => Value::Time(*time),
        Message::Empty => Value::Nothing,
        Message::Broken => Value::Broken,
        Message::Unknown => return Err(Miss::Unknown),
        Message::Deadly => return Err(Miss::Schema),
    })
}

/// The part of the request that a path asks for while its headers cannot be read.
fn gone<'a>(state: &VmState, path: &'a [u8]) -> Option<&'a [u8]> {
    let mut parts = path.split(|byte| *byte == 0);
    let name = parts
        .next()
        .filter(|first| *first == b"request")
        .and(parts.next())?;
    let slot = state.context()?.observed()?;
    let http = state.world.streams[slot].tcp.is_none();
    let hidden = crate::http_fields::readable(state, MapType::RequestHeaders).is_none();
    (http && hidden && http::stands_in_headers(name)).then_some(name)
}

/// The first names of paths that lead to Envoy's own values.
const ATTRIBUTES: [&[u8]; 14] = [
    b"request",
    b"response",
    b"source",
    b"destination",
    b"connection",
    b"connection_id",
    b"upstream",
    b"metadata",
    b"filter_state",
    b"upstream_filter_state",
    b"xds",
    b"plugin_name",
    b"plugin_root_id",
    b"plugin_vm_id",
];

fn readable(path: &[u8]) -> String {
    path.split(|byte| *byte == 0)
        .map(|part| part.escape_ascii().to_string())
        .collect::<Vec<_>>()
        .join(".")
}
