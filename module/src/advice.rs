/// What to do where a request ended in a trap, by what its module said; nothing where that says nothing.
///
/// ```
/// let said = "panicked at proxy-wasm-0.2.5/src/dispatcher.rs:201:25: missing ContextType on root_context";
/// assert!(attache_module::trap_advice(said).unwrap().contains("no context for HTTP requests"));
/// ```
#[must_use]
pub fn trap_advice(said: &str) -> Option<&'static str> {
    if said.contains("/src/dispatcher.rs") && said.contains("ContextType") {
        return Some(
            "the module makes no context for HTTP requests under this root id: it is a service and no filter, or \
             its root lacks `get_type` and `create_http_context`",
        );
    }
    if said.contains("panicked") && said.contains("BadArgument") {
        return Some(
            "a host call was refused as BadArgument; of a call-out that is a cluster that is not there, or headers \
             without `:method`, `:path` or `:authority`: --cluster NAME=HOST:PORT gives `attache run` a cluster, and \
             `clusters` a suite",
        );
    }
    None
}
