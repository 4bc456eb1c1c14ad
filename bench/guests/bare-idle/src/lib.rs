//! Nothing in two callbacks, written against the bare crate.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Idle));
}}

struct Idle;

impl Context for Idle {}

impl HttpContext for Idle {}
