//! What a host call is for, in words of somebody who decides whether to allow it.

/// Purposes by parts of names, the first that fits.
const PURPOSES: [(&str, &str); 27] = [
    ("header_map", "headers and trailers"),
    ("buffer", "bodies and messages"),
    ("local_response", "answers in the upstream's place"),
    ("http_call", "HTTP calls to clusters"),
    ("grpc_", "gRPC calls to clusters"),
    ("resolve_dns", "DNS"),
    ("shared_data", "data shared by workers"),
    ("shared_queue", "queues between VMs"),
    ("metric", "metrics"),
    ("property", "properties of streams"),
    ("foreign_function", "Envoy's foreign functions"),
    ("proxy_log", "log"),
    ("log_level", "log"),
    ("time", "clock and timers"),
    ("tick_period", "clock and timers"),
    ("poll_oneoff", "clock and timers"),
    ("clock_res", "clock and timers"),
    ("continue_", "flow of streams"),
    ("close_stream", "flow of streams"),
    ("clear_route_cache", "flow of streams"),
    ("effective_context", "flow of streams"),
    ("proxy_done", "flow of streams"),
    ("get_status", "status of calls"),
    ("get_configuration", "configuration"),
    ("environ", "environment variables"),
    ("random", "random numbers"),
    ("fd_write", "standard output, which is logged"),
];

/// What the function `name` of `module` is for.
pub(super) fn of(module: &str, name: &str) -> &'static str {
    let fits = |(part, _): &&(&str, &str)| name.contains(part);
    match PURPOSES.iter().find(fits) {
        Some((_, purpose)) => purpose,
        None if module.starts_with("wasi_") => "the rest of WASI, most of which answers an error",
        None if module == "env" => "the engine",
        None => "no proxy offers it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_named_by_what_it_does() {
        for (name, purpose) in [
            ("proxy_get_header_map_value", "headers and trailers"),
            ("proxy_get_current_time_nanoseconds", "clock and timers"),
            ("proxy_set_tick_period_milliseconds", "clock and timers"),
            ("proxy_grpc_call", "gRPC calls to clusters"),
            ("pthread_equal", "the engine"),
        ] {
            assert_eq!(of("env", name), purpose, "{name}");
        }
        let rest = of("wasi_snapshot_preview1", "path_open");
        assert!(rest.starts_with("the rest of WASI"));
        assert_eq!(of("wbindgen", "now"), "no proxy offers it");
    }
}
