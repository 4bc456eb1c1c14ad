//! The properties `xds.*`: Envoy's configuration around the filter.

use std::sync::LazyLock;

use super::stream_info::{StreamInfo, Upstream};
use super::value::{ABSENT, Found, Value};
use crate::attributes::{Attributes, Metadata};
use crate::stream::Routing;

static NOTHING: LazyLock<Metadata> = LazyLock::new(Metadata::default);

/// A field of the configuration. Root contexts know the node and nothing else.
pub(super) fn xds<'a>(
    attributes: &'a Attributes,
    info: Option<&StreamInfo<'a>>,
    name: &[u8],
) -> Found<'a> {
    if name == b"node" {
        return Ok(Value::Node(&attributes.node));
    }
    let info = info.ok_or(ABSENT)?;
    // Envoy has no message where a host's configuration has no metadata.
    let of_host = |metadata: &'a Option<Metadata>| match metadata {
        _ if info.upstream < Upstream::Selected => Err(ABSENT),
        Some(metadata) => Ok(Value::Metadata(metadata)),
        None => Ok(Value::Null),
    };
    let http = info.protocol.is_some();
    match name {
        // The TCP proxy chooses a cluster when it hears of the connection.
        b"cluster_name" | b"cluster_metadata" if !http && info.upstream == Upstream::None => {
            Err(ABSENT)
        }
        b"cluster_name" | b"cluster_metadata" | b"route_name" | b"route_metadata"
            if info.routing != Routing::Route =>
        {
            Err(ABSENT)
        }
        b"virtual_host_name" | b"virtual_host_metadata" if info.routing == Routing::Nothing => {
            Err(ABSENT)
        }
        b"cluster_name" => Ok(Value::text(
            info.named_cluster.unwrap_or(&attributes.cluster_name),
        )),
        // Nothing is said of others than the listener's.
        b"cluster_metadata" if info.named_cluster.is_some() => Ok(Value::Metadata(&NOTHING)),
        b"cluster_metadata" => Ok(Value::Metadata(&attributes.cluster_metadata)),
        b"route_name" if http => Ok(Value::text(&attributes.route_name)),
        b"route_metadata" if http => Ok(Value::Metadata(&attributes.route_metadata)),
        b"virtual_host_name" if http => Ok(Value::text(&attributes.virtual_host_name)),
        b"virtual_host_metadata" if http => Ok(Value::Metadata(&attributes.virtual_host_metadata)),
        b"upstream_host_metadata" => of_host(&attributes.host_metadata),
        b"upstream_host_locality_metadata" => of_host(&attributes.locality_metadata),
        b"filter_chain_name" => Ok(Value::text(&attributes.filter_chain_name)),
        b"listener_metadata" => Ok(Value::Metadata(&attributes.listener_metadata)),
        b"listener_direction" => Ok(Value::Int(attributes.listener_direction as i64)),
        _ => Err(ABSENT),
    }
}
