//! `declare_property`, `set_envoy_filter_state`, `clear_route_cache`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::{Returned, fields, text_of};
use crate::abi::Status;
use crate::call::Call;
use crate::envoy_version::{EnvoyVersion, VersionDifference};
use crate::error::HostError;
use crate::filter_state::{Kind, Object, Prototype};
use crate::http_streams;
use crate::mutation::Rule;
use crate::protobuf::{bytes_of, varint_of};

/// Says how a property is to be kept (`declare_property.proto`: 1 name, 2 readonly, 3 type, 4
/// schema, 5 span). A context declares for itself, and what a stream sets is kept as its root
/// declared it: a declaration on a stream context has no effect.
pub(super) fn declare(call: &mut Call<'_>, argument: &[u8]) -> Returned {
    let fields = fields(argument)?;
    let kind = match varint_of(&fields, 3) {
        1 => Kind::String,
        2 => Kind::FlatBuffers,
        3 => Kind::Protobuf,
        _ => Kind::Bytes,
    };
    let readonly = varint_of(&fields, 2) != 0;
    let prototype = Prototype {
        readonly: readonly && !call.mutated(Rule::ReadOnlyPropertiesAreWritten),
        of_connection: varint_of(&fields, 5) == 2,
        kind,
        schema: bytes_of(&fields, 4).to_vec(),
    };
    let name = text_of(&fields, 1)?.as_bytes().to_vec();
    let state = call.state();
    // The current context, whatever the effective one is.
    let other = state.effective != state.current;
    let declarer = match other && state.world.mutated(Rule::EffectiveContextDeclares) {
        true => state.effective,
        false => state.current,
    };
    let context = state.contexts.get_mut(&declarer).ok_or(Status::NotFound)?;
    if context.declared.contains_key(&name)
        && !state.world.mutated(Rule::PropertiesAreDeclaredAgain)
    {
        return Err(Status::BadArgument.into());
    }
    context.declared.insert(name, Arc::new(prototype));
    Ok(None)
}

/// Keeps an object that Envoy's extensions read (`set_envoy_filter_state.proto`: 1 path, 2 value,
/// 3 span).
pub(super) fn set_filter_state(call: &mut Call<'_>, argument: &[u8]) -> Returned {
    let fields = fields(argument)?;
    let (path, value) = (text_of(&fields, 1)?, bytes_of(&fields, 2));
    let object = match Factory::of(path.as_bytes(), call.world().version) {
        Factory::Makes(make) => make(value).ok_or(Status::BadArgument)?,
        Factory::None => return Err(Status::NotFound.into()),
        Factory::Unknown => {
            return Err(call.give_up(|timeline| HostError::NotAnswered {
                what: format!("`set_envoy_filter_state` of `{path}`"),
                timeline,
            }));
        }
    };
    let state = call.state();
    let effective = state.effective;
    let follows = VersionDifference::ForeignFunctionsFollowTheEffectiveContext;
    if state.world.is_before(follows) {
        state.effective = state.current;
    }
    let place = state.place();
    state.effective = effective;
    let place = place.ok_or(Status::NotFound)?;
    let exchange = &mut state.world.streams[place.slot].exchange;
    exchange.filter_state.set(path, object);
    Ok(None)
}

/// There is one route: nothing to choose anew.
pub(super) fn clear_route_cache(call: &mut Call<'_>) -> Returned {
    http_streams::clear_route_cache(call)?;
    Ok(None)
}

/// What makes an object of a value, by the name of its path.
enum Factory {
    /// None where the value is refused.
    Makes(fn(&[u8]) -> Option<Object>),
    /// Envoy has none of this name.
    None,
    /// Envoy may have one.
    Unknown,
}

impl Factory {
    /// The factories that were found in Envoy.
    fn of(path: &[u8], envoy: EnvoyVersion) -> Self {
        let came = match path {
            b"envoy.network.network_namespace" => Some(VersionDifference::NetworkNamespaces),
            b"envoy.hashable_string" => Some(VersionDifference::HashableStrings),
            b"envoy.bool" | b"envoy.ai.model.request" => Some(VersionDifference::ModelsAndBooleans),
            _ => None,
        };
        if came.is_some_and(|came| envoy.is_before(came)) {
            return Self::None;
        }
        Self::Makes(match path {
            b"envoy.string"
            | b"envoy.hashable_string"
            | b"envoy.network.upstream_server_name"
            | b"envoy.network.upstream_subject_alt_names"
            | b"envoy.network.network_namespace"
            | b"envoy.tcp_proxy.cluster"
            | b"envoy.upstream.dynamic_host" => |value| Some(Object::Text(value.to_vec())),
            b"envoy.ai.model.request" => {
                |value| (!value.is_empty()).then(|| Object::Text(value.to_vec()))
            }
            b"envoy.network.application_protocols" => |_| Some(Object::Opaque),
            b"envoy.network.transport_socket.original_dst_address"
            | b"envoy.filters.listener.original_dst.local_ip"
            | b"envoy.filters.listener.original_dst.remote_ip" => {
                |value| parsed::<SocketAddr>(value).map(Object::Address)
            }
            b"envoy.network.ip" => |value| {
                let address = SocketAddr::new(parsed::<IpAddr>(value)?, 0);
                Some(Object::Text(address.to_string().into_bytes()))
            },
            b"envoy.upstream.dynamic_port" | b"envoy.ratelimit.hits_addend" => {
                |value| parsed::<u32>(value).map(text)
            }
            b"envoy.tcp_proxy.per_connection_idle_timeout_ms" => {
                |value| parsed::<u64>(value).map(text)
            }
            b"envoy.tcp_proxy.disable_tunneling" => |value| Some(text(value == b"true")),
            b"envoy.bool" => |value| boolean(value).map(text),
            // What these make has effects beyond its value, or takes values that are not known here.
            b"envoy.ai.llm_protocol.request"
            | b"envoy.network.transport_socket.http_11_proxy.info"
            | b"envoy.router.debug_config" => return Self::Unknown,
            b"envoy.udp_proxy.cluster" => return Self::None,
            // All longer names that the binary has in it were tried.
            name if name.starts_with(b"envoy.") && name.len() < 24 => return Self::Unknown,
            _ => return Self::None,
        })
    }
}

fn text(value: impl ToString) -> Object {
    Object::Text(value.to_string().into_bytes())
}

fn parsed<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    str::from_utf8(value).ok()?.trim_ascii().parse().ok()
}

/// `absl::SimpleAtob`.
fn boolean(value: &[u8]) -> Option<bool> {
    match value.to_ascii_lowercase().as_slice() {
        b"true" | b"t" | b"yes" | b"y" | b"1" => Some(true),
        b"false" | b"f" | b"no" | b"n" | b"0" => Some(false),
        _ => None,
    }
}
