//! Ten header operations, written against the bare crate as its examples are.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Headers));
}}

struct Headers;

impl Context for Headers {}

impl HttpContext for Headers {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        for name in [
            "x-bench",
            "x-bench-2",
            "x-bench-3",
            "x-bench-4",
            "x-bench-5",
        ] {
            self.add_http_request_header(name, "1");
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        for name in ["x-out", "x-out-2", "x-out-3", "x-out-4", "x-out-5"] {
            self.add_http_response_header(name, "1");
        }
        Action::Continue
    }
}
