//! The properties that can be absent.

/// Paths, with dots between their parts.
pub(super) const PROPERTIES: &[&str] = &[
    "connection.id",
    "connection.mtls",
    "connection.requested_server_name",
    "connection_id",
    "destination.address",
    "destination.port",
    "metadata",
    "metadata.filter_metadata",
    "plugin_name",
    "plugin_root_id",
    "plugin_vm_id",
    "request.duration",
    "request.headers",
    "request.host",
    "request.id",
    "request.method",
    "request.path",
    "request.protocol",
    "request.query",
    "request.referer",
    "request.scheme",
    "request.size",
    "request.time",
    "request.total_size",
    "request.url_path",
    "request.useragent",
    "response.backend_latency",
    "response.code",
    "response.code_details",
    "response.flags",
    "response.grpc_status",
    "response.headers",
    "response.size",
    "response.total_size",
    "response.trailers",
    "source.address",
    "source.port",
    "upstream.address",
    "upstream.local_address",
    "upstream.port",
    "upstream.request_attempt_count",
    "xds.cluster_metadata",
    "xds.cluster_name",
    "xds.filter_chain_name",
    "xds.listener_direction",
    "xds.listener_metadata",
    "xds.node",
    "xds.node.cluster",
    "xds.node.id",
    "xds.route_metadata",
    "xds.route_name",
    "xds.virtual_host_metadata",
    "xds.virtual_host_name",
];

/// The path that stands for these bytes, whose parts are apart by NUL.
pub(super) fn find(path: &[u8]) -> Option<&'static str> {
    let path = path.strip_suffix(&[0]).unwrap_or(path);
    let dotted = |byte: &u8| if *byte == 0 { b'.' } else { *byte };
    let known = |known: &&&str| known.bytes().eq(path.iter().map(dotted));
    PROPERTIES.iter().find(known).copied()
}
