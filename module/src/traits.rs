//! Methods of the traits of `proxy-wasm` that nobody calls.
//!
//! A trait object carries all methods of its trait. Its contexts have two kinds: those that a callback
//! of the host is passed on to, which nobody calls where that callback is not exported, and those that
//! make a host call, which filters of the SDK never call. What refers to them is a table of methods, in
//! the data; the linker knows their names.

/// Methods and the callbacks that are passed on to them.
const CALLBACKS: [(&str, &[&str]); 20] = [
    ("on_tick", &["proxy_on_tick"]),
    ("on_queue_ready", &["proxy_on_queue_ready"]),
    ("on_log", &["proxy_on_log"]),
    ("on_foreign_function", &["proxy_on_foreign_function"]),
    ("on_http_request_headers", &["proxy_on_request_headers"]),
    ("on_http_request_body", &["proxy_on_request_body"]),
    ("on_http_request_trailers", &["proxy_on_request_trailers"]),
    ("on_http_response_headers", &["proxy_on_response_headers"]),
    ("on_http_response_body", &["proxy_on_response_body"]),
    ("on_http_response_trailers", &["proxy_on_response_trailers"]),
    ("on_downstream_data", &["proxy_on_downstream_data"]),
    ("on_upstream_data", &["proxy_on_upstream_data"]),
    (
        "on_downstream_close",
        &["proxy_on_downstream_connection_close"],
    ),
    ("on_upstream_close", &["proxy_on_upstream_connection_close"]),
    ("on_http_call_response", &["proxy_on_http_call_response"]),
    (
        "on_grpc_call_response",
        &["proxy_on_grpc_receive", "proxy_on_grpc_close"],
    ),
    (
        "on_grpc_stream_initial_metadata",
        &["proxy_on_grpc_receive_initial_metadata"],
    ),
    ("on_grpc_stream_message", &["proxy_on_grpc_receive"]),
    (
        "on_grpc_stream_trailing_metadata",
        &["proxy_on_grpc_receive_trailing_metadata"],
    ),
    ("on_grpc_stream_close", &["proxy_on_grpc_close"]),
];

/// The beginnings of the methods that `proxy-wasm` calls itself.
const CALLED: [&str; 4] = ["on_", "create_", "get_type", "done"];

/// Whether a function is such a method, of a module whose exported callbacks are those that `keep`
/// accepts.
pub(crate) fn is_unused(symbol: &str, keep: &dyn Fn(&str) -> bool) -> bool {
    let Some(method) = method(symbol) else {
        return false;
    };
    match CALLBACKS.iter().find(|(name, _)| *name == method) {
        Some((_, callbacks)) => !callbacks.iter().any(|callback| keep(callback)),
        None => !CALLED.iter().any(|called| method.starts_with(called)),
    }
}

/// The method's name, where the symbol is that of a trait's method: of its default
/// (`_ZN10proxy_wasm6traits7Context4done17h…E`), or of one that a type has
/// (`_ZN…proxy_wasm..traits..RootContext$GT$7on_tick17h…E`). Both are Rust's older way to write symbols;
/// in the newer one nothing is found, and nothing is lost but bytes.
fn method(symbol: &str) -> Option<&str> {
    let path = match symbol.strip_prefix("_ZN10proxy_wasm6traits") {
        Some(path) => word(path)?.1,
        None => {
            let (_, path) = symbol.split_once("$u20$as$u20$proxy_wasm..traits..")?;
            path.split_once("Context$GT$")?.1
        }
    };
    let (method, rest) = word(path)?;
    // The hash ends a symbol; within a method stand its closures, which only it calls.
    rest.starts_with("17h").then_some(method)
}

/// A length and so many letters.
fn word(path: &str) -> Option<(&str, &str)> {
    let digits = path.bytes().take_while(u8::is_ascii_digit).count();
    let (length, rest) = path.split_at_checked(digits)?;
    rest.split_at_checked(length.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "17h1234567890abcdefE";

    #[test]
    fn methods_that_make_host_calls_are_unused() {
        for (symbol, unused) in [
            ("_ZN10proxy_wasm6traits7Context16get_current_time", true),
            (
                "_ZN10proxy_wasm6traits11HttpContext18send_http_response",
                true,
            ),
            ("_ZN10proxy_wasm6traits7Context7on_done", false),
            ("_ZN10proxy_wasm6traits11RootContext8get_type", false),
            ("_ZN10proxy_wasm9hostcalls16get_current_time", false),
            ("_ZN7attache6traits7Context16get_current_time", false),
            ("_ZN10proxy_wasm6traits7Context99get_current_time", false),
            ("main", false),
        ] {
            let symbol = symbol.to_owned() + HASH;
            assert_eq!(is_unused(&symbol, &|_| true), unused, "{symbol}");
        }
    }

    #[test]
    fn a_callback_is_used_where_it_is_exported() {
        let symbol =
            "_ZN72_$LT$attache..entry..Root$u20$as$u20$proxy_wasm..traits..RootContext$GT$7on_tick";
        let symbol = symbol.to_owned() + HASH;
        assert!(!is_unused(&symbol, &|name| name == "proxy_on_tick"));
        assert!(is_unused(&symbol, &|name| name != "proxy_on_tick"));
    }
}
