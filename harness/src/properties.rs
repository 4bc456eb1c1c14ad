//! `proxy_get_property`, `proxy_set_property`.

mod http;

use crate::abi::Status;
use crate::call::{Answer, Call};
use crate::error::HostError;
use crate::vm::{Phase, VmState};

/// What a path leads to.
enum Found {
    Value(Vec<u8>),
    /// Envoy answers this status.
    No(Status),
    /// Envoy has a value here that this harness does not know.
    Unknown,
}

impl From<Option<Vec<u8>>> for Found {
    fn from(value: Option<Vec<u8>>) -> Self {
        value.map_or(Self::No(Status::NotFound), Self::Value)
    }
}

pub(crate) fn get(
    call: &mut Call<'_>,
    path: u32,
    path_size: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    let path = call.bytes(path, path_size)?;
    match find(call.state(), &path) {
        Found::Value(found) => call.give(&found, value, value_size),
        Found::No(status) => Err(status.into()),
        Found::Unknown => Err(call.give_up(|timeline| HostError::NotAnswered {
            what: format!("property `{}`", readable(&path)),
            timeline,
        })),
    }
}

/// Keeps filter state of the stream. The key is taken literally, NULs and all.
pub(crate) fn set(
    call: &mut Call<'_>,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    let key = call.bytes(key, key_size)?;
    let value = call.bytes(value, value_size)?;
    let state = call.state();
    let place = state.place().ok_or(Status::NotFound)?;
    state.world.streams[place.slot]
        .filter_state
        .insert(key, value);
    Ok(())
}

fn find(state: &VmState, path: &[u8]) -> Found {
    if path.is_empty() {
        return Found::No(Status::SerializationFailure);
    }
    let path = path.strip_suffix(&[0]).unwrap_or(path);
    let mut parts = path.split(|byte| *byte == 0);
    let root = parts.next().unwrap_or_default();
    let rest: Vec<&[u8]> = parts.collect();
    let Some(context) = state.context() else {
        return Found::No(Status::NotFound);
    };
    let plugin = &state.world.plugins[context.plugin];
    // From `proxy_on_done` on the stream is gone.
    let over = matches!(state.own_phase(), Some(Phase::Done | Phase::Delete));
    let stream = context
        .observed()
        .map(|slot| &state.world.streams[slot])
        .filter(|stream| !over || stream.tcp.is_some());
    let http = stream.filter(|stream| stream.tcp.is_none());
    let text = |text: &str| scalar(&rest, text.as_bytes().to_vec());
    match (root, stream) {
        (b"plugin_name", _) => text(&plugin.name),
        (b"plugin_root_id", _) => text(&plugin.root_id),
        (b"plugin_vm_id", _) => text(&plugin.vm_id),
        (b"request" | b"response" | b"filter_state" | b"xds", _) if rest.is_empty() => {
            Found::No(Status::SerializationFailure)
        }
        (b"request" | b"response", _) if http.is_none() => Found::No(Status::NotFound),
        (b"request", Some(stream)) => http::request(state, stream, &rest),
        (b"response", Some(stream)) => http::response(state, stream, &rest),
        (
            b"source"
            | b"destination"
            | b"connection"
            | b"connection_id"
            | b"upstream"
            | b"upstream_filter_state"
            | b"metadata"
            | b"filter_state"
            | b"xds",
            _,
        ) => Found::Unknown,
        (b"node" | b"cluster_name" | b"route_name" | b"listener_direction", _) | (_, None) => {
            Found::No(Status::NotFound)
        }
        (key, Some(stream)) => match stream.filter_state.get(key) {
            Some(value) => scalar(&rest, value.clone()),
            None => Found::No(Status::NotFound),
        },
    }
}

/// A value that has nothing below it.
fn scalar(rest: &[&[u8]], value: Vec<u8>) -> Found {
    if rest.is_empty() {
        Found::Value(value)
    } else {
        Found::No(Status::NotFound)
    }
}

fn readable(path: &[u8]) -> String {
    path.split(|byte| *byte == 0)
        .map(|part| part.escape_ascii().to_string())
        .collect::<Vec<_>>()
        .join(".")
}
